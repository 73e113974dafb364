"""Who has no business on the ports of a node: connections of every bad kind, from an address that is no member's, and what the node counted of them."""
import os
import socket
import ssl
import struct

from harness import Failed, wait_for

ADDRESS = "127.0.0.9"  # not where members are: their handshakes are not limited
PEER_NAME = "peer.nacre.internal"
BY_ITSELF_S = 2  # what is refused at once, on a busy machine
DEADLINE_S = 5  # who says nothing is closed after this
PORTS = {"clients": 1000, "peers": 1001}
ALIEN = [b"SSH-2.0-OpenSSH\r\n", b"\xff\xff\xff\xff", b"\x00", b"\x16\x03\x01\xff\xff" + b"x" * 40]
HALF = [b"", b"\x16\x03\x01", b"PRI * HT"]


def hello(name=PEER_NAME):
    """The first message of a TLS client, whole."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    out = ssl.MemoryBIO()
    try:
        context.wrap_bio(ssl.MemoryBIO(), out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def counted(node, port):
    """What became of the connections to a port, by outcome."""
    status, text = node.get("/actuator/prometheus")
    if status != 200:
        raise Failed("node %d does not show its figures: %d" % (node.number, status))
    head = 'nacre_door_connections_total{port="%s",outcome="' % port
    return {line[len(head):].split('"')[0]: int(line.split()[-1]) for line in text.splitlines() if line.startswith(head)}


def cpu_s(node):
    """Seconds of CPU that a node has used."""
    with open("/proc/%d/stat" % node.process.pid, encoding="ascii") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


class Strangers:
    """Connections to one port of a node. All are reset in the end, so that nothing of them is left on this machine."""

    def __init__(self, node, port):
        self.node, self.port, self.held = node, port, []
        self.before, self.made = counted(node, port), 0

    def come(self, say=b""):
        s = socket.socket()
        s.bind((ADDRESS, 0))
        s.settimeout(BY_ITSELF_S)
        s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        s.connect((self.node.host, self.node.port + PORTS[self.port]))
        self.held.append(s)
        self.made += 1
        if say:
            s.sendall(say)
        return s

    def go(self):
        for s in self.held:
            s.close()
        self.held.clear()

    def refused(self, say, answer=b""):
        """It is closed at once, by the node, and is told no more than that."""
        heard, s = b"", self.come(say)
        try:
            while part := s.recv(4096):
                heard += part
        except ConnectionResetError:
            pass
        except TimeoutError:
            raise Failed("not closed within %g s on the port of %s: %r" % (BY_ITSELF_S, self.port, say[:20])) from None
        if not heard.startswith(answer) or (heard and not answer):
            raise Failed("on the port of %s %r was answered %r" % (self.port, say[:20], heard[:80]))
        self.go()

    def since(self):
        now = counted(self.node, self.port)
        return {outcome: now[outcome] - self.before[outcome] for outcome in now}

    def expect(self, timeout_s=BY_ITSELF_S, **outcomes):
        """At least so many of each."""
        return wait_for("what the port of %s counts" % self.port, self.since,
                        lambda c: all(c[outcome] >= number for outcome, number in outcomes.items()), timeout_s)

    def close(self):
        self.go()
