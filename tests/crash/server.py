#!/usr/bin/env python3
"""A real server that is killed, and one whose disk is full: what it acknowledged is there afterwards, byte for byte.

usage: server.py kill --nacre BIN [--rounds N] [--seed N]
       server.py full --nacre BIN

kill: threads publish, remove and register over HTTP until the server is killed with SIGKILL; the next one must serve every acknowledged
content and instance, and its history must have a row for each acknowledged change of a config. NACRE_CRASH_ROUNDS sets the rounds.
full: the data directory is a tmpfs of 48 MB in a mount namespace of our own; exit status 77 where that is not allowed.
"""
import argparse
import ctypes
import http.client
import json
import os
import random
import shutil
import sys
import tempfile
import threading
import time
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
from harness import Failed, wait_for  # noqa: E402

SKIP = 77
G = "DEFAULT_GROUP"
CLONE_NEWNS, MS_REC, MS_PRIVATE = 0x20000, 0x4000, 0x40000
THREADS = 8
KEYS = 12  # of each thread
LENGTHS = (1, 36, 36, 1000, 5000, 5000, 40000)
LETTERS = "abcdefghij 0123456789=\n\r\t\"\\\u00fc\u4e2d\U0001f600"
LIFE_S = (0.05, 0.6)  # from the first acknowledged request to the kill
DISK_MB = 48
BALLAST_MB = 12
FILL_BYTES = 100000
REGISTER_MAX = 60000  # 60 MB
FILL_MAX = 2000  # 200 MB: a disk of 48 MB is full long before
BACK_S = 30
QUIET_LINES = 2000  # of a server's log in a minute of a full disk


class Http:
    """One connection with keep-alive."""

    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)

    def ask(self, method, path, **form):
        """Status, body and headers; raises OSError or HTTPException when the server is gone."""
        body = urllib.parse.urlencode(form) if method in ("POST", "PUT") else None
        query = "?" + urllib.parse.urlencode(form) if form and body is None else ""
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        self.connection.request(method, "/nacos" + path + query, body, headers)
        r = self.connection.getresponse()
        return r.status, r.read(), r.headers

    def config(self, method, key, **more):
        return self.ask(method, "/v1/cs/configs", dataId=key, group=G, **more)

    def close(self):
        self.connection.close()


class Config:
    """What is known of one config: the last acknowledged content (None: none), and what a request without an answer wanted."""

    def __init__(self):
        self.content, self.doubt, self.changes = None, [], 0

    def allowed(self):
        return [self.content, *self.doubt]


class Writer(threading.Thread):
    """Works on configs and instances of its own until the server is gone."""

    def __init__(self, number, port, seed, state):
        super().__init__(daemon=True)
        self.random = random.Random(seed)
        self.number, self.port, self.state, self.done = number, port, state, 0
        self.refusals = []

    def run(self):
        connection = Http(self.port)
        try:
            while True:
                self.step(connection)
                self.done += 1
        except (OSError, http.client.HTTPException):
            pass
        finally:
            connection.close()

    def step(self, connection):
        choice = self.random.random()
        if choice < 0.1:
            self.register(connection)
            return
        key = "crash-%d-%d" % (self.number, self.random.randrange(KEYS))
        config = self.state.configs.setdefault(key, Config())
        if choice < 0.2:
            self.change(config, None, lambda: connection.config("DELETE", key))
            return
        content = "".join(self.random.choices(LETTERS, k=self.random.choice(self.state.lengths))) + "."
        self.change(config, content, lambda: connection.config("POST", key, content=content))

    def change(self, config, content, ask):
        was_there = config.content is not None
        config.doubt.append(content)
        status, body, _ = ask()
        if status != 200 or body != b"true":
            self.refusals.append("%d %s" % (status, body[:200]))
            raise OSError("refused")
        config.doubt.clear()
        config.content = content
        config.changes += 1 if content is not None or was_there else 0

    def register(self, connection):
        ip = "10.30.%d.%d" % (self.number, self.random.randrange(250))
        status, body, _ = connection.ask("POST", "/v1/ns/instance", serviceName="crash-svc", ip=ip, port=80, ephemeral="false")
        if (status, body) != (200, b"ok"):
            self.refusals.append("register: %d %s" % (status, body[:200]))
            raise OSError("refused")
        self.state.instances.add(ip)


class State:
    def __init__(self, lengths=LENGTHS):
        self.configs, self.instances, self.lengths = {}, set(), lengths


def check_config(connection, key, config):
    status, body, headers = connection.config("GET", key)
    found = body.decode("utf-8", "replace") if status == 200 else None
    if status not in (200, 404) or found not in config.allowed():
        raise Failed("%s is %d %r, allowed are %s" % (key, status, body[:100], [c and c[:100] for c in config.allowed()]))
    config.changes += 1 if found is not config.content and found != config.content else 0
    config.content, config.doubt = found, []  # what was in doubt is decided now


def check_history(connection, key, config):
    """A row for each change that was acknowledged; a change without an answer may have one more."""
    _, body, _ = connection.ask("GET", "/v1/cs/history", search="accurate", dataId=key, group=G, pageNo=1, pageSize=1)
    count = json.loads(body)["totalCount"]
    if count < config.changes:
        raise Failed("the history of %s has %d rows, but %d changes were acknowledged" % (key, count, config.changes))


def check_all(port, state, history_of):
    connection = Http(port)
    for key, config in state.configs.items():
        check_config(connection, key, config)
    status, body, _ = connection.ask("GET", "/v1/ns/instance/list", serviceName="crash-svc")
    found = {h["ip"] for h in json.loads(body)["hosts"]} if status == 200 else set()
    if state.instances - found:
        raise Failed("%d of %d acknowledged instances are missing, one is %s"
                     % (len(state.instances - found), len(state.instances), min(state.instances - found)))
    for key in history_of:
        check_history(connection, key, state.configs[key])
    connection.close()


def life(server, state, chooser):
    """One life under load, ended by SIGKILL. Returns how many requests were acknowledged."""
    writers = [Writer(n, server.port, chooser.random(), state) for n in range(THREADS)]
    for w in writers:
        w.start()
    wait_for("the first requests are acknowledged", lambda: sum(w.done for w in writers), bool, 10)
    end = time.monotonic() + chooser.uniform(*LIFE_S)
    while time.monotonic() < end and all(w.is_alive() for w in writers):
        time.sleep(0.005)
    alive = server.process.poll() is None
    server.kill()
    for w in writers:
        w.join(15)
    refusals = [r for w in writers for r in w.refusals]
    if refusals:
        raise Failed("%d requests were refused, the first: %s" % (len(refusals), refusals[0]))
    if not alive:
        raise Failed("the server ended by itself")
    return sum(w.done for w in writers)


def kill(args, home):
    server, state, chooser, total = harness.Server(args.nacre, home), State(), random.Random(args.seed), 0
    slowest = 0
    try:
        server.start()
        for n in range(args.rounds):
            total += life(server, state, chooser)
            begin = time.monotonic()
            server.start()
            slowest = max(slowest, time.monotonic() - begin)
            check_all(server.port, state, chooser.sample(sorted(state.configs), min(3, len(state.configs))))
            if (n + 1) % 25 == 0:
                print("%d rounds, %d acknowledged requests" % (n + 1, total), flush=True)
        check_all(server.port, state, sorted(state.configs))
        server.stop()
    finally:
        server.close()
    print("%d rounds (seed %d), %d acknowledged requests, none lost; slowest start %.0f ms" % (args.rounds, args.seed, total, slowest * 1000))


# ---------------------------------------------------------------- a full disk

def mount_small(directory):
    """Mount a tmpfs here that nobody else sees. False if that is not allowed."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) != 0:
        return False
    if libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None) != 0:
        return False
    return libc.mount(b"tmpfs", directory.encode(), b"tmpfs", 0, b"size=%dm" % DISK_MB) == 0


def fill(connection, contents):
    """Publish until the server refuses; what it said."""
    for n in range(FILL_MAX):
        key = "full-%d" % n
        content = ("%d:" % n).ljust(FILL_BYTES, "x")
        status, body, _ = connection.config("POST", key, content=content)
        if status != 200:
            return "%d %s" % (status, body.decode("utf-8", "replace")[:300])
        contents[key] = content
    raise Failed("%d MB went onto a disk of %d MB" % (FILL_MAX * FILL_BYTES >> 20, DISK_MB))


def check_contents(connection, contents):
    for key, content in contents.items():
        status, body, _ = connection.config("GET", key)
        if status != 200 or body.decode() != content:
            raise Failed("%s: %d with %d bytes, acknowledged were %d" % (key, status, len(body), len(content)))


def fill_rest(home):
    """Not a byte is left for the log, either."""
    with open(os.path.join(home, "rest"), "wb", buffering=0) as f:
        try:
            while True:
                f.write(bytes(65536))
        except OSError:
            pass
        try:
            while True:
                f.write(b"x" * 512)
        except OSError:
            pass


def register_until_refused(connection, instances):
    """Registers until the log takes no more; what the server said, or None when it took all."""
    for n in range(REGISTER_MAX):
        ip = "10.40.%d.%d" % (n // 250, n % 250)
        status, body, _ = connection.ask("POST", "/v1/ns/instance", serviceName="full-svc", ip=ip, port=80, ephemeral="false",
                                         metadata=json.dumps({"filler": "z" * 900}))
        if status != 200:
            return "%d %s" % (status, body.decode("utf-8", "replace")[:300])
        instances.add(ip)
    return None


def check_instances(connection, instances):
    _, body, _ = connection.ask("GET", "/v1/ns/instance/list", serviceName="full-svc")
    missing = instances - {h["ip"] for h in json.loads(body)["hosts"]}
    if missing:
        raise Failed("%d of %d acknowledged instances are missing" % (len(missing), len(instances)))


def full(args, home):
    if not mount_small(home):
        print("skipped: no tmpfs can be mounted in a mount namespace here (%s)" % os.strerror(ctypes.get_errno()))
        return SKIP
    ballast = os.path.join(home, "ballast")
    with open(ballast, "wb") as f:
        f.write(bytes(BALLAST_MB << 20))
    server, contents = harness.Server(args.nacre, home), {}
    server.log = args.log  # not on the disk that fills
    try:
        server.start()
        connection = Http(server.port)
        refusal = fill(connection, contents)
        if not any(word in refusal.lower() for word in ("disk", "space", "full")):
            raise Failed("the refusal gives no reason: %s" % refusal)
        for _ in range(3):  # it stays refused, at once
            begin = time.monotonic()
            status, body, _ = connection.config("POST", "full-again", content="y" * FILL_BYTES)
            if status == 200:
                contents["full-again"] = "y" * FILL_BYTES
            elif time.monotonic() - begin > 5:
                raise Failed("a refusal took %.1f s: %d %s" % (time.monotonic() - begin, status, body[:200]))
        fill_rest(home)
        instances = set()
        no_more = register_until_refused(connection, instances)
        if no_more is None or not any(word in no_more.lower() for word in ("disk", "space", "full")):
            raise Failed("%d registrations went onto a full disk, then: %s" % (len(instances), no_more))
        check_contents(connection, contents)
        check_instances(connection, instances)
        os.unlink(os.path.join(home, "rest"))
        os.unlink(ballast)
        begin = time.monotonic()
        wait_for("registrations work again after space was freed", lambda: connection.ask(
            "POST", "/v1/ns/instance", serviceName="full-svc", ip="10.41.0.1", port=80, ephemeral="false")[0], lambda s: s == 200, BACK_S)
        instances.add("10.41.0.1")
        wait_for("publishes work again after space was freed", lambda: connection.config("POST", "after", content="again")[0],
                 lambda status: status == 200, BACK_S)
        recovered = time.monotonic() - begin
        contents["after"] = "again"
        check_contents(connection, contents)
        with open(args.log, encoding="utf-8", errors="replace") as f:
            lines = sum(1 for _ in f)
        if lines > QUIET_LINES:
            raise Failed("the server wrote %d lines of log about its disk" % lines)
        server.stop()
        server.start()
        check_contents(Http(server.port), contents)
        check_instances(Http(server.port), instances)
        server.stop()
    finally:
        server.close()
    print("registrations refused after %d with: %s" % (len(instances) - 1, no_more))
    print("refused with: %s; works again %.0f ms after space was freed; %d contents of %d bytes are there after a restart"
          % (refusal, recovered * 1000, len(contents), FILL_BYTES))
    return 0


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("kill", "full"))
    p.add_argument("--nacre", required=True)
    p.add_argument("--rounds", type=int, default=int(os.environ.get("NACRE_CRASH_ROUNDS", "10")))
    p.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    args = p.parse_args()
    args.nacre = os.path.abspath(args.nacre)
    home = tempfile.mkdtemp(prefix="nacre-crash-")
    handle, args.log = tempfile.mkstemp(prefix="nacre-crash-", suffix=".log")
    os.close(handle)
    code = 1
    try:
        code = kill(args, home) or 0 if args.what == "kill" else full(args, home)
    except (Failed, OSError, http.client.HTTPException) as e:
        print("failed (seed %d): %s" % (args.seed, e))
        print("  server log:\n" + harness.tail(args.log if args.what == "full" else os.path.join(home, "server.log")))
        if args.what == "kill":
            print("  kept: " + home)
            return 1
    shutil.rmtree(home, ignore_errors=True)
    os.unlink(args.log)
    return code


if __name__ == "__main__":
    sys.exit(main())
