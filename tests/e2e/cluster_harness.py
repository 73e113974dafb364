"""Three nodes: on loopback with ports of their own, or each in a network namespace behind a router that can lose packets.

A namespace belongs to a process that holds it and has no name: nothing is left behind, however the test ends. The router is the
network namespace of the test itself (Lab.enter), so its clients and requests reach every node whatever is cut between nodes.
"""
import ctypes
import json
import os
import random
import shutil
import signal
import subprocess
import time

import harness
from harness import Failed, http, wait_for

SETTLED_S = 20  # from the last start until all nodes follow one leader
LEADER_S = 5
CAUGHT_UP_S = 15
NODES = 3
CLONE_NEWNET = 0x40000000
LAB_PORT = 8848  # every node has an address of its own, so all have the usual port


class NotAllowed(Exception):
    """This machine lets nobody make network namespaces."""


class Lab:
    """A network for each node, and cuts between them. Packets of a cut direction are dropped without a word."""

    def __init__(self):
        self.holders, self.hosts, self.cuts = [], [], set()
        for n in range(NODES):
            self._add(n)

    @staticmethod
    def enter():
        """Puts this process into a network namespace of its own, where it has no address but its loopback; call it while there is one thread."""
        if harness.LIBC.unshare(CLONE_NEWNET) != 0:
            raise NotAllowed("unshare(CLONE_NEWNET): %s" % os.strerror(ctypes.get_errno()))
        ip("link", "set", "lo", "up")
        with open("/proc/sys/net/ipv4/ip_forward", "w", encoding="ascii") as f:
            f.write("1")

    def _add(self, n):
        def enter():
            harness.die_with_parent()
            if harness.LIBC.unshare(CLONE_NEWNET) != 0:
                os._exit(1)
        holder = subprocess.Popen(["cat"], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, preexec_fn=enter)
        self.holders.append(holder)
        self.hosts.append("10.77.%d.2" % n)
        ip("link", "add", "node%d" % n, "type", "veth", "peer", "name", "up0", "netns", str(holder.pid))
        ip("addr", "add", "10.77.%d.1/24" % n, "dev", "node%d" % n)
        ip("link", "set", "node%d" % n, "up")
        self._inside(n, "link", "set", "lo", "up")
        self._inside(n, "link", "set", "up0", "up")
        self._address(n)

    def _inside(self, n, *arguments):
        ip(*arguments, enter=self.entrance(n))

    def _address(self, n):
        self._inside(n, "addr", "add", self.hosts[n] + "/24", "dev", "up0")
        self._inside(n, "route", "add", "default", "via", "10.77.%d.1" % n)

    def entrance(self, n):
        """What a child calls to be in the namespace of node n."""
        path = "/proc/%d/ns/net" % self.holders[n].pid

        def enter():
            harness.die_with_parent()
            fd = os.open(path, os.O_RDONLY)
            if harness.LIBC.setns(fd, CLONE_NEWNET) != 0:
                os._exit(1)
            os.close(fd)
        return enter

    def move(self, n, host):
        """Node n gets another address, at once."""
        if self.cuts:
            raise Failed("heal() before move(): cuts name addresses")
        self._inside(n, "addr", "del", self.hosts[n] + "/24", "dev", "up0")
        self.hosts[n] = host
        self._address(n)

    def cut(self, a, b, both=True):
        """What a sends to b is lost from now on; with both also what b sends to a."""
        for pair in [(a, b), (b, a)] if both else [(a, b)]:
            if pair not in self.cuts:
                ip("rule", "add", "from", self.hosts[pair[0]], "to", self.hosts[pair[1]], "blackhole")
                self.cuts.add(pair)

    def isolate(self, a):
        for b in range(NODES):
            if b != a:
                self.cut(a, b)

    def heal(self):
        for a, b in self.cuts:
            ip("rule", "del", "from", self.hosts[a], "to", self.hosts[b], "blackhole")
        self.cuts.clear()

    def close(self):
        self.heal()
        for h in self.holders:
            h.kill()
            h.wait()
        for n in range(NODES):  # the kernel takes the pair away with the namespace, but at a time of its own
            ip("link", "del", "node%d" % n, check=False)


def ip(*arguments, enter=harness.die_with_parent, check=True):
    p = subprocess.run(["ip", *arguments], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=enter, check=False)
    if check and p.returncode:
        raise Failed("ip %s: %s" % (" ".join(arguments), p.stdout.strip()))


class Node(harness.Server):
    """One of three."""

    def __init__(self, nacre, home, number, host, port, enter):
        os.makedirs(home, exist_ok=True)
        super().__init__(nacre, home, port)
        self.home, self.number, self.host, self.enter = home, number, host, enter
        self.list_file = os.path.join(home, "cluster.conf")
        self.paused = False

    @property
    def address(self):
        return "%s:%d" % (self.host, self.port)

    def write_list(self, addresses):
        """As an editor does it: a new file under the old name."""
        with open(self.list_file + ".new", "w", encoding="ascii") as f:
            f.write("".join(a + "\n" for a in addresses))
        os.replace(self.list_file + ".new", self.list_file)

    def start(self):
        """The process only; Cluster.settle() waits for what it becomes."""
        self.launch("-D", "nacre.members.file=" + self.list_file, enter=self.enter)

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)
        self.paused = True

    def resume(self):
        self.process.send_signal(signal.SIGCONT)
        self.paused = False

    def kill(self):
        super().kill()
        self.paused = False

    def wipe(self):
        """Its directory is empty, as on a new disk."""
        shutil.rmtree(self.data)

    def get(self, path, timeout=5):
        return http(self.address, "GET", "/nacos" + path, timeout=timeout)

    def members(self, timeout=2):
        """What this node says of the members, by address; {} when it says nothing."""
        status, text = self.get("/v1/core/cluster/nodes", timeout)
        try:
            return {m["address"]: m for m in json.loads(text)["data"]} if status == 200 else {}
        except (ValueError, KeyError, TypeError):
            return {}

    def leader(self):
        """The address of the node that this one believes to lead, or ''."""
        for m in self.members().values():
            return m["extendInfo"]["raftMetaData"]["metaDataMap"]["nacre"]["leader"]
        return ""

    def applied(self):
        m = self.members().get(self.address)
        return m["extendInfo"]["nacre"].get("appliedIndex", 0) if m else 0

    def metric(self, name):
        """The sum of a metric's series; None when the node does not answer or has no such metric."""
        status, text = self.get("/actuator/prometheus")
        found = [float(line.split()[-1]) for line in text.splitlines() if line.split("{")[0].split(" ")[0] == name]
        return sum(found) if status == 200 and found else None

    def words(self):
        """For a failure: what it says of itself and the others."""
        return {a: "%s: %s" % (m["extendInfo"]["nacre"]["role"], m["extendInfo"]["nacre"]["words"]) for a, m in self.members().items()}


class Cluster:
    """Three nodes, or count, and what tests do to them. taken: main ports that are other nodes'."""

    def __init__(self, nacre, home, lab=None, random_seed=None, count=NODES, taken=()):
        self.lab, self.random, self.nodes = lab, random.Random(random_seed), []
        taken = set(taken)
        for n in range(count):
            port = LAB_PORT if lab else own_port(taken)
            host, enter = (lab.hosts[n], lab.entrance(n)) if lab else ("127.0.0.1", harness.die_with_parent)
            self.nodes.append(Node(nacre, os.path.join(home, "node%d" % n), n, host, port, enter))
        self.write_lists()

    @property
    def logs(self):
        return [n.log for n in self.nodes]

    @property
    def addresses(self):
        return [n.address for n in self.nodes]

    @property
    def all_addresses(self):
        return ",".join(self.addresses)

    def write_lists(self):
        for n in self.nodes:
            n.write_list(self.addresses)

    def start(self):
        for n in self.nodes:
            if not n.running():
                n.start()
        self.settle()

    def stop(self):
        """SIGTERM to all; each must end with 0."""
        for n in self.nodes:
            if n.running():
                n.process.send_signal(signal.SIGTERM)
        for n in self.nodes:
            if n.process:
                n.stop()

    def kill(self):
        for n in self.nodes:
            if n.running():
                n.kill()

    def close(self):
        for n in self.nodes:
            if n.running():
                n.resume()
            n.close()

    def alive(self):
        return [n for n in self.nodes if n.running() and not n.paused]

    def settle(self, nodes=None, timeout_s=SETTLED_S):
        """Waits until these nodes (all that run) follow one leader, which is one of them, and have applied what it had when asked."""
        nodes = nodes or self.alive()

        def state():
            ended = [n.number for n in nodes if not n.running()]
            if ended:
                raise Failed("node %s ended by itself with %s" % (ended[0], self.nodes[ended[0]].process.returncode))
            return {n.address: n.leader() for n in nodes}
        try:
            seen = wait_for("all nodes follow one leader", state,
                            lambda s: len(set(s.values())) == 1 and set(s.values()) <= set(s), timeout_s)
        except Failed as e:
            raise Failed("%s; they say: %s" % (e, json.dumps({n.address: n.words() for n in nodes}, indent=1))) from None
        leader = next(n for n in nodes if n.address == next(iter(seen.values())))
        index = leader.applied()
        for n in nodes:
            wait_for("%s has applied entry %d" % (n.address, index), n.applied, lambda i, index=index: i >= index, CAUGHT_UP_S)
        return leader

    def leader(self, timeout_s=LEADER_S, among=None):
        """The node that leads: it says so itself."""
        found = []

        def look():
            found[:] = [n for n in among or self.alive() if n.leader() == n.address]
            return [n.number for n in found]
        wait_for("a node leads", look, lambda l: len(l) == 1, timeout_s)
        return found[0]

    def followers(self):
        leader = self.leader()
        return [n for n in self.nodes if n is not leader]


def own_port(taken):
    """A main port at least two apart from the others, so that no node's main + 1000 is another one's main + 1001."""
    while True:
        port = harness.free_main_port()
        if all(abs(port - t) not in (0, 1, 999, 1000, 1001, 1002) for t in taken):
            taken.add(port)
            return port


class Everywhere:
    """A cluster in place of the one server of scenarios.py: each client and each request meets the next node, or clients get all addresses."""

    list_s = 5  # a list through another node follows within milliseconds; a busy machine may take its time

    def __init__(self, cluster, mode, first=0):
        self.cluster, self.mode, self.turn = cluster, mode, first

    def _next(self):
        self.turn += 1
        return self.cluster.nodes[(self.turn - 1) % NODES]

    @property
    def address(self):
        return self.cluster.all_addresses if self.mode == "all" else self._next().address

    @property
    def port(self):
        return self._next().port

    @property
    def logs(self):
        return self.cluster.logs

    def running(self):
        return len(self.cluster.alive()) == NODES

    def start(self):
        self.cluster.start()

    def stop(self):
        self.cluster.stop()

    def kill(self):
        self.cluster.kill()

    def close(self):
        self.cluster.close()
