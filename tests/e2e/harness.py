"""What every end-to-end test needs: a server, drivers of the client SDKs, and waiting with a deadline.

Nothing here outlives the test: children die with the process that started them (PR_SET_PDEATHSIG), also when that
one is killed, and close() ends them in the orderly way before.
"""
import ctypes
import http.client as http_client
import json
import os
import random
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.parse
import urllib.request

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BUILT = os.path.join(ROOT, "build", "e2e")
READY_S = 15
STOP_S = 15
ANSWER_S = 25  # a client that cannot connect gives up after about 15 s
TAIL_LINES = 40

PR_SET_PDEATHSIG = 1
LIBC = ctypes.CDLL(None, use_errno=True)


class Failed(Exception):
    """The rule under test does not hold; the text says what was expected and what was found."""


def die_with_parent():
    LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def tail(path, lines=TAIL_LINES):
    try:
        with open(path, encoding="utf-8", errors="replace") as f:
            return "".join("    " + x for x in f.readlines()[-lines:])
    except OSError as e:
        return "    (%s)\n" % e


def no_sanitizer_spoke(logs):
    for path in logs:
        with open(path, encoding="utf-8", errors="replace") as f:
            bad = [line for line in f if "Sanitizer" in line or "runtime error:" in line]
        if bad:
            raise Failed("the server's log %s has: %s" % (path, bad[0]))


def free_main_port():
    """A port P below the kernel's own range with P, P + 1000 (clients) and P + 1001 (peers) free."""
    for _ in range(200):
        port = random.randrange(12000, 30000)
        held = []
        try:
            for p in (port, port + 1000, port + 1001):
                s = socket.socket()
                held.append(s)
                s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                s.bind(("0.0.0.0", p))
            return port
        except OSError:
            continue
        finally:
            for s in held:
                s.close()
    raise Failed("found no free port P with P + 1000 and P + 1001 free as well")


def http(where, method, path, timeout=5, form=None, headers=None):
    """Status and text of one request; where: a port of this machine, or host:port. Status 0 when nobody answers."""
    status, text, _ = http_bytes(where, method, path, timeout, form, headers)
    return status, text.decode("utf-8", "replace")


def http_bytes(where, method, path, timeout=5, form=None, headers=None):
    """Status, body and headers of one request; status 0 when nobody answers."""
    data = None if form is None else urllib.parse.urlencode(form).encode()
    address = where if isinstance(where, str) else "127.0.0.1:%d" % where
    req = urllib.request.Request("http://%s%s" % (address, path), method=method, data=data, headers=headers or {})
    try:
        with urllib.request.urlopen(req, timeout=timeout) as r:
            return r.status, r.read(), r.headers
    except urllib.error.HTTPError as e:
        return e.code, e.read(), e.headers
    except (OSError, http_client.HTTPException) as e:
        return 0, str(e).encode(), {}


def wait_for(what, probe, want, timeout_s):
    """Calls probe() until want(value) holds and returns the value; fails with the last value after timeout_s."""
    end = time.monotonic() + timeout_s
    while True:
        value = probe()
        if want(value):
            return value
        if time.monotonic() > end:
            raise Failed("%s: not within %g s; last seen: %s" % (what, timeout_s, json.dumps(value)))
        time.sleep(0.02)


class Server:
    """`nacre server` on one port and one data directory; it may be stopped and started again there."""

    list_s = 0  # within which an answered registration is in every list: at once on one node

    def __init__(self, nacre, home, port=None):
        self.nacre = nacre
        self.data = os.path.join(home, "data")
        self.log = os.path.join(home, "server.log")
        self.port = port or free_main_port()
        self.process = None

    @property
    def address(self):
        """What a client is given."""
        return "127.0.0.1:%d" % self.port

    @property
    def logs(self):
        return [self.log]

    def ready(self):
        return http(self.port, "GET", "/nacos/v1/console/health/readiness")[0] == 200

    def running(self):
        return self.process is not None and self.process.poll() is None

    def launch(self, *arguments, enter=die_with_parent):
        """Starts the process and does not wait; enter runs in it before the program does."""
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen([self.nacre, "server", "--port", str(self.port), "--data", self.data, *arguments],
                                            stdin=subprocess.DEVNULL, stdout=log, stderr=subprocess.STDOUT, preexec_fn=enter)

    def start(self):
        self.launch()

        def state():
            return "ended with %s" % self.process.returncode if self.process.poll() is not None else self.ready()
        if wait_for("server answers readiness", state, bool, READY_S) is not True:
            raise Failed("the server ended with %s before it was ready" % self.process.returncode)

    def stop(self):
        """SIGTERM; the exit code must be 0."""
        self.process.send_signal(signal.SIGTERM)
        try:
            code = self.process.wait(STOP_S)
        except subprocess.TimeoutExpired:
            raise Failed("the server did not stop within %d s after SIGTERM" % STOP_S) from None
        if code != 0:
            raise Failed("the server ended with %d after SIGTERM, expected 0" % code)

    def kill(self):
        """kill -9: what was acknowledged must be on the disk."""
        self.process.kill()
        self.process.wait()

    def close(self):
        if self.running():
            self.kill()


def command_of(kind, home):
    """The command line of a driver: java-<version>, go or python."""
    if kind == "go":
        return [os.path.join(BUILT, "go", "driver"), home]
    if kind == "python":
        return [os.path.join(BUILT, "venv", "bin", "python"), os.path.join(ROOT, "tests/e2e/python/driver.py"), home]
    d = os.path.join(BUILT, "java", kind.split("-", 1)[1])
    flags = ["-Xmx256m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto", "-Djava.net.preferIPv4Stack=true"]
    places = ["-Duser.home=" + home, "-DJM.LOG.PATH=" + home + "/log", "-DJM.SNAPSHOT.PATH=" + home]
    return ["java", *flags, *places, "-cp", d + "/classes:" + d + "/lib/*", "Driver"]


class Driver:
    """One process with an SDK in it. Events of its subscriptions are kept in order, per subscription."""

    def __init__(self, kind, home):
        self.kind = kind
        self.home = home
        os.makedirs(home, exist_ok=True)
        self.log = os.path.join(home, "driver.log")
        self.changed = threading.Condition()
        self.answers, self.events, self.last_id, self.hello = {}, {}, 0, None
        with open(self.log, "a", encoding="utf-8") as log:
            self.process = subprocess.Popen(command_of(kind, home), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                            stderr=log, cwd=home, text=True, env=dict(os.environ, HOME=home),
                                            preexec_fn=die_with_parent)
        threading.Thread(target=self._read, daemon=True).start()

    def wait_ready(self):
        with self.changed:
            if not self.changed.wait_for(lambda: self.hello, ANSWER_S):
                raise Failed("driver %s did not start within %d s" % (self.kind, ANSWER_S))
        return self

    def can(self, what):
        return what in self.hello["can"]

    def _read(self):
        for line in self.process.stdout:
            try:
                m = json.loads(line)
            except ValueError:
                m = {"noise": line}
            with self.changed:
                if "event" in m:
                    self.events.setdefault(m["event"], []).append((time.monotonic(), m["instances"] if "instances" in m else m["content"]))
                elif "id" in m:
                    self.answers[m["id"]] = m
                elif "hello" in m:
                    self.hello = m
                self.changed.notify_all()

    def send(self, op, **args):
        """The whole answer: {"result": ...} or {"error": ...}."""
        self.last_id += 1
        number = self.last_id
        try:
            self.process.stdin.write(json.dumps(dict(args, id=number, op=op)) + "\n")
            self.process.stdin.flush()
        except BrokenPipeError:
            raise Failed("driver %s has ended with %s" % (self.kind, self.process.poll())) from None
        with self.changed:
            if not self.changed.wait_for(lambda: number in self.answers, ANSWER_S):
                raise Failed("driver %s did not answer %s within %d s" % (self.kind, op, ANSWER_S))
            return self.answers.pop(number)

    def call(self, op, **args):
        """The result; an error of the SDK is a failure."""
        a = self.send(op, **args)
        if "error" in a:
            raise Failed("%s %s: the SDK said: %s" % (op, json.dumps(args), a["error"]))
        return a["result"]

    def seen(self, sub):
        """Events of a subscription so far: [(monotonic seconds, instances or content)]."""
        with self.changed:
            return list(self.events.get(sub, []))

    def kill(self):
        self.process.kill()
        self.process.wait()

    def close(self):
        """End of input is the order to leave; who does not follow is killed."""
        try:
            self.process.stdin.close()
            self.process.wait(3)
        except (OSError, subprocess.TimeoutExpired):
            self.kill()
