"""Load on three nodes, and the strict judge of what it sees.

Configs: every key has one writer. Its values are numbered, some are removals, and the content follows from key and number, so a
reader can tell any value. A write without an answer leaves its key in doubt: it may take effect at any later time, so the writer leaves
that key for ever and takes a new one. Hence one rule for every read through every node in touch with the quorum: it gives at least
the newest number that was acknowledged, or that any finished read has seen, before it began; and no number that was never sent.

Probes measure how long a node takes no write. The swarm (go/swarm.go) is what lives in the registry.
"""
import http.client
import random
import threading
import time
import urllib.parse

from harness import Failed

G = "DEFAULT_GROUP"
KEYS_OF_A_WRITER = 4
LENGTHS = (20, 20, 200, 1000, 5000, 20000)
REMOVAL_EVERY = 9
TIMEOUT_S = 6
AWAY_S = 0.02  # before another try at a node that takes no connection
REFUSED_S = 0.2  # before another try at one that takes no writes
COMPLAINTS_MAX = 20
LETTERS = "abcdefghij 0123456789=\n\t\"\\\u00fc\u4e2d"


class Gone(Exception):
    """Nobody answered; sent: whether the node may have got the request."""

    def __init__(self, sent, text):
        super().__init__(text)
        self.sent = sent


class Http:
    """One connection with keep-alive to one node."""

    def __init__(self, address, timeout=TIMEOUT_S):
        self.connection = http.client.HTTPConnection(address, timeout=timeout)

    def ask(self, method, path, **form):
        """Status and text; Gone when there is no answer."""
        body = urllib.parse.urlencode(form) if method in ("POST", "PUT") else None
        query = "?" + urllib.parse.urlencode(form) if form and body is None else ""
        headers = {"Content-Type": "application/x-www-form-urlencoded"} if body else {}
        if self.connection.sock is None:
            try:
                self.connection.connect()
            except OSError as e:
                self.close()
                raise Gone(False, str(e)) from None
        try:
            self.connection.request(method, "/nacos" + path + query, body, headers)
            r = self.connection.getresponse()
            return r.status, r.read().decode("utf-8", "replace")
        except (OSError, http.client.HTTPException) as e:
            self.close()
            raise Gone(True, repr(e)) from None

    def config(self, method, key, **more):
        return self.ask(method, "/v1/cs/configs", dataId=key, group=G, **more)

    def close(self):
        self.connection.close()


class Key:
    """What is known of one config. Numbers begin at 1; 0 is that there was none yet."""

    def __init__(self, name):
        self.name = name
        self.started = 0  # the newest number that was sent
        self.floor = 0  # no read that begins now may give less

    def is_removal(self, number):
        return number % REMOVAL_EVERY == 0

    def content(self, number):
        r = random.Random("%s %d" % (self.name, number))
        return "%s %d %s." % (self.name, number, "".join(r.choices(LETTERS, k=r.choice(LENGTHS))))


class Ledger:
    """All keys of all writers, and the complaints of the judge. Its lock guards every field of it and of its keys."""

    def __init__(self):
        self.lock = threading.Lock()
        self.keys, self.in_use = [], []
        self.acknowledged = self.reads = self.doubts = 0
        self.complaints, self.stale, self.instances = [], 0, set()

    def new_key(self, writer):
        with self.lock:
            key = Key("load-%s-%d" % (writer, len(self.keys)))
            self.keys.append(key)
            self.in_use.append(key)
            return key

    def leave(self, key):
        with self.lock:
            self.in_use.remove(key)
            self.doubts += 1

    def begin_write(self, key):
        with self.lock:
            key.started += 1
            return key.started

    def end_write(self, key, number):
        with self.lock:
            key.floor = max(key.floor, number)
            self.acknowledged += 1

    def floor(self, key):
        with self.lock:
            return key.floor

    def judge(self, key, floor, status, text, where):
        """A read that began when the floor was this; where: through which node, for the complaint. True if it was right."""
        number = self._number(key, floor, status, text)
        with self.lock:
            self.reads += 1
            if number is None:
                self.stale += self._is_older(key, floor, status, text)
                if len(self.complaints) < COMPLAINTS_MAX:
                    self.complaints.append("%s of %s: %d %r, expected number %d to %d" % (where, key.name, status, text[:80], floor, key.started))
                return False
            key.floor = max(key.floor, number)
            return True

    @staticmethod
    def _is_older(key, floor, status, text):
        """Whether it is a value that was right before, rather than one that never was."""
        if status == 404:
            return True
        return any(text == key.content(n) for n in range(1, floor))

    def _number(self, key, floor, status, text):
        """The number that was read; of removals the oldest that it can be. None: nothing that may be here."""
        with self.lock:
            started = key.started
        if status == 404:
            return next((n for n in range(floor, started + 1) if key.is_removal(n)), None)
        try:
            number = int(text[len(key.name) + 1:].split(" ", 1)[0])
        except ValueError:
            return None
        right = status == 200 and floor <= number <= started and not key.is_removal(number) and text == key.content(number)
        return number if right else None


class Worker(threading.Thread):
    """A thread that works until it is stopped; what it raises is kept."""

    def __init__(self):
        super().__init__(daemon=True)
        self.stopping, self.error = threading.Event(), None

    def run(self):
        try:
            while not self.stopping.is_set():
                self.step()
        except Exception as e:
            self.error = e

    def pause_s(self, seconds):
        self.stopping.wait(seconds)


class Writer(Worker):
    """Publishes and removes through one node; sometimes it registers a persistent instance."""

    def __init__(self, ledger, node, name, seed):
        super().__init__()
        self.ledger, self.node, self.name, self.random = ledger, node, name, random.Random(seed)
        self.keys = [ledger.new_key(name) for _ in range(KEYS_OF_A_WRITER)]
        self.connection, self.refusals = Http(node.address), 0

    def step(self):
        try:
            if self.random.random() < 0.05:
                self.register()
            else:
                self.write(self.random.randrange(len(self.keys)))
        except Gone as e:
            if not e.sent:
                self.pause_s(AWAY_S)

    def write(self, place):
        key = self.keys[place]
        number = self.ledger.begin_write(key)
        try:
            if key.is_removal(number):
                status, text = self.connection.config("DELETE", key.name)
            else:
                status, text = self.connection.config("POST", key.name, content=key.content(number))
        except Gone:
            self.leave(place)
            raise
        if (status, text) == (200, "true"):
            self.ledger.end_write(key, number)
            return
        self.refusals += 1
        self.leave(place)  # a refusal says that nobody leads; whether an old leader got it before is not known
        self.pause_s(REFUSED_S)

    def leave(self, place):
        self.ledger.leave(self.keys[place])
        self.keys[place] = self.ledger.new_key(self.name)

    def register(self):
        ip = "10.30.%d.%d" % (self.node.number, self.random.randrange(1, 250))
        status, text = self.connection.ask("POST", "/v1/ns/instance", serviceName="load-persistent", ip=ip, port=80, ephemeral="false")
        if (status, text) == (200, "ok"):
            with self.ledger.lock:
                self.ledger.instances.add(ip)


class Reader(Worker):
    """Reads keys of all writers through one node. lenient: the node is out of touch with the quorum, and may give what it has."""

    def __init__(self, ledger, node, seed):
        super().__init__()
        self.ledger, self.node, self.random = ledger, node, random.Random(seed)
        self.connection, self.lenient, self.answers, self.refused = Http(node.address), threading.Event(), 0, 0

    def step(self):
        with self.ledger.lock:
            key = self.random.choice(self.ledger.in_use if self.random.random() < 0.9 else self.ledger.keys)
            floor = key.floor
        lenient = self.lenient.is_set()
        try:
            status, text = self.connection.config("GET", key.name)
        except Gone as e:
            if not e.sent:
                self.pause_s(AWAY_S)
            return
        if status not in (200, 404):
            self.refused += 1
            self.pause_s(AWAY_S)
            return
        self.answers += 1
        if not lenient and not self.lenient.is_set():
            self.ledger.judge(key, floor, status, text, "read through node %d" % self.node.number)


class Probe(Worker):
    """Publishes through one node, one after the other, and remembers when each began and was acknowledged."""

    def __init__(self, node, timeout_s=TIMEOUT_S):
        super().__init__()
        self.node, self.connection = node, Http(node.address, timeout_s)
        self.changed, self.done, self.count, self.refusal = threading.Condition(), [], 0, ""

    def step(self):
        begin = time.monotonic()
        self.count += 1
        try:
            status, text = self.connection.config("POST", "probe-%d" % self.node.number, content="probe %d" % self.count)
        except Gone:
            self.pause_s(0.005)
            return
        if (status, text) == (200, "true"):
            with self.changed:
                self.done.append((begin, time.monotonic()))
                del self.done[:-1000]
                self.changed.notify_all()
        else:
            self.refusal = "%d %s" % (status, text)
            self.pause_s(0.005)
        self.pause_s(0.002)

    def back_after(self, moment, timeout_s):
        """Seconds from that moment until a write that began after it was acknowledged."""
        def first():
            return next((end - moment for begin, end in self.done if begin >= moment), None)
        with self.changed:
            if not self.changed.wait_for(lambda: first() is not None, timeout_s):
                raise Failed("node %d acknowledged no write within %g s; it said last: %s" % (self.node.number, timeout_s, self.refusal or "nothing"))
            return first()


class Load:
    """Writers, readers and probes on every node of a cluster."""

    def __init__(self, cluster, seed=0, writers=1, readers=1):
        self.cluster, self.ledger = cluster, Ledger()
        r = random.Random(seed)
        self.probes = [Probe(n) for n in cluster.nodes]
        self.writers = [Writer(self.ledger, n, "%d%c" % (n.number, 97 + k), r.random()) for n in cluster.nodes for k in range(writers)]
        self.readers = [Reader(self.ledger, n, r.random()) for n in cluster.nodes for k in range(readers)]
        self.workers = self.probes + self.writers + self.readers

    def start(self):
        for w in self.workers:
            w.start()
        return self

    def probe(self, node):
        return self.probes[node.number]

    def lenient(self, node, on):
        for r in self.readers:
            if r.node is node:
                (r.lenient.set if on else r.lenient.clear)()

    def check(self):
        """Fails with the first thing that was wrong so far."""
        for w in self.workers:
            if w.error:
                raise w.error
        with self.ledger.lock:
            if self.ledger.complaints:
                raise Failed("wrong reads, %d of them only old, out of %d: %s"
                             % (self.ledger.stale, self.ledger.reads, "; ".join(self.ledger.complaints[:5])))

    def stop(self):
        for w in self.workers:
            w.stopping.set()
        for w in self.workers:
            if w.ident:
                w.join(TIMEOUT_S + 2)
                if w.is_alive():
                    raise Failed("a %s at node %d did not end" % (type(w).__name__.lower(), w.node.number))

    def finish(self):
        """Stops; then every key that was ever used is read through every node, and every acknowledged instance is there."""
        self.stop()
        self.check()
        for node in self.cluster.nodes:
            connection = Http(node.address)
            for key in self.ledger.keys:
                status, text = connection.config("GET", key.name)
                self.ledger.judge(key, self.ledger.floor(key), status, text, "at the end, through node %d," % node.number)
            _, text = connection.ask("GET", "/v1/ns/instance/list", serviceName="load-persistent")
            missing = [i for i in self.ledger.instances if '"%s"' % i not in text]
            if missing:
                raise Failed("%d acknowledged persistent instances are missing at node %d, one is %s" % (len(missing), node.number, missing[0]))
            connection.close()
        self.check()
        return "%d writes acknowledged (%d in doubt), %d reads judged" % (self.ledger.acknowledged, self.ledger.doubts, self.ledger.reads)
