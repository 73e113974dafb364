"""What every client must be able to do. One function per scenario; it gets a Stage and returns a remark or None.

A rule is stated once and holds for every client. What an SDK does not offer is asked with Stage.main.can(); what a
client answers from its own cache needs a moment, so lists are waited for, never slept for.
"""
import json
import os.path
import time

import harness
from harness import Failed, wait_for

G = "DEFAULT_GROUP"
SEEN_S = 10  # for a list or an event that must come; usual are milliseconds
QUICK_S = 2  # a removal after kill -9
BACK_S = 45  # clients dial again with growing pauses; Java redoes every 3 s, Python only every 30 s
QUIET_S = 0.5  # how long nothing may come, after a witness has seen what would have come


class Skipped(Exception):
    """The SDK does not offer what the scenario tests."""


def instance(ip, port=8080, **other):
    i = {"ip": ip, "port": port, "weight": 1.0, "healthy": True, "enabled": True, "ephemeral": True, "cluster": "",
         "metadata": {"version": "1", "zone": "a"}}
    i.update(other)
    return i


def plain(instances, without=()):
    """What is compared: every attribute, in a fixed order, the default cluster by its name."""
    def one(i):
        i = dict(i, cluster=i["cluster"] or "DEFAULT", metadata=i["metadata"] or {})
        return {k: i[k] for k in sorted(i) if k != "service" and k not in without}
    return sorted((one(i) for i in instances), key=lambda i: json.dumps(i, sort_keys=True))


class Watch:
    """A subscription: what its listener was told last."""

    def __init__(self, client, service, clusters=(), group=G):
        self.client = client
        self.name = "%s/%s/%s" % (client.name, service, ",".join(clusters))
        client.call("subscribe", sub=self.name, service=service, group=group, clusters=list(clusters))

    def events(self):
        return self.client.driver.seen(self.name)

    def sees(self, instances, timeout_s=SEEN_S, without=()):
        """Waits until the newest event has exactly these instances; returns when that was, in monotonic seconds."""
        want = plain(instances, without)
        events = wait_for("%s hears of %s" % (self.name, json.dumps(want)), self.events,
                          lambda e: bool(e) and plain(e[-1][1], without) == want, timeout_s)
        return events[-1][0]

    def stop(self):
        self.client.driver.call("unsubscribe", sub=self.name)


class Client:
    """One SDK client in a driver."""

    def __init__(self, stage, driver, name, namespace):
        self.stage, self.driver, self.name = stage, driver, name
        self.call("open", server=stage.server.address, namespace=namespace)

    def call(self, op, **args):
        return self.driver.call(op, client=self.name, **args)

    def register(self, service, i, group=G):
        self.call("register", service=service, group=group, instance=i)

    def deregister(self, service, i, group=G):
        self.call("deregister", service=service, group=group, instance=i)

    def batch(self, op, service, instances, group=G):
        self.call(op, service=service, group=group, instances=instances)

    def query(self, service, group=G, clusters=(), subscribe=False, **healthy):
        return self.call("query", service=service, group=group, clusters=list(clusters), subscribe=subscribe, **healthy)

    def finds(self, service, instances, without=(), **flags):
        """The query gives exactly these instances, soon; at once if the SDK asks the server and not its cache."""
        want = plain(instances, without)
        soon_s = SEEN_S if not self.driver.can("query-direct") or flags.get("subscribe") else self.stage.server.list_s
        wait_for("query of %s %s gives %s" % (service, flags, json.dumps(want)),
                 lambda: plain(self.query(service, **flags), without), lambda got: got == want, soon_s)

    def close(self):
        self.call("close")
        self.stage.clients.remove(self)


class Stage:
    """One server, one kind of client, and the processes and clients that the scenario at hand has started."""

    def __init__(self, kind, server, home):
        self.kind, self.server, self.home = kind, server, home
        self.label = kind  # in the report
        self.scenario, self.processes, self.clients, self.main = "", [], [], None

    def process(self, kind=None):
        d = harness.Driver(kind or self.kind, os.path.join(self.home, "process-%d" % len(self.processes)))
        self.processes.append(d)
        return d

    def client(self, name, namespace="", driver=None):
        c = Client(self, driver or self.main, self.scenario + "." + name, namespace)
        self.clients.append(c)
        return c

    def need(self, what):
        if not self.main.can(what):
            raise Skipped("the SDK has no " + what)

    def begin(self, scenario):
        self.scenario = scenario

    def end(self):
        """Every scenario leaves an empty registry behind, whether it passed or not."""
        for c in self.clients:
            if c.driver.process.poll() is None:
                c.driver.send("close", client=c.name)
        self.clients.clear()

    def close(self):
        for d in self.processes:
            d.close()


def ms(seconds):
    return "%d ms" % round(seconds * 1000)


# ---------------------------------------------------------------- scenarios

def register(t):
    """What was registered is found as it was given, replaced by the client's next registration, gone after deregister."""
    a, b = t.client("a"), t.client("b")
    first = instance("10.1.0.1", weight=2.5, metadata={"version": "1", "\u00fcber": "stra\u00dfe \u4e2d\u6587"})
    second = instance("10.1.0.2", 9090, cluster="C2", metadata={})
    a.register("register-svc", first)
    b.finds("register-svc", [first])
    over_http(t, "register-svc", [first])
    a.register("register-svc", second)
    b.finds("register-svc", [second])
    a.deregister("register-svc", second)
    b.finds("register-svc", [])
    a.deregister("register-never-svc", second)


def over_http(t, service, instances):
    keys = set(instances[0]) - {"cluster"}

    def found():
        status, text = harness.http(t.server.port, "GET", "/nacos/v1/ns/instance/list?serviceName=" + service)
        if status != 200:
            raise Failed("GET instance/list: %d %s" % (status, text))
        return plain([dict({k: h[k] for k in keys}, cluster=h["clusterName"]) for h in json.loads(text)["hosts"]])
    wait_for("GET instance/list has %s" % plain(instances), found, lambda hosts: hosts == plain(instances), t.server.list_s)


def batch(t):
    """A batch is there whole, shrinks to what is left, and goes with deregister."""
    t.need("batch")
    a, w = t.client("a"), Watch(t.client("b"), "batch-svc")
    three = [instance("10.2.0.%d" % k, 1000 + k, cluster="C%d" % k) for k in (1, 2, 3)]
    a.batch("batch", "batch-svc", three)
    w.sees(three)
    if t.main.can("unbatch"):
        a.batch("unbatch", "batch-svc", three[:1])
        w.sees(three[1:])
        a.batch("unbatch", "batch-svc", three[1:])
        w.sees([])
    a.batch("batch", "batch-svc", three[:2])
    w.sees(three[:2])
    a.batch("batch", "batch-svc", three[2:])
    w.sees(three[2:])
    a.deregister("batch-svc", three[2])
    w.sees([])


def query(t):
    """Every flag of a query: all, healthy, unhealthy, one healthy, clusters, group; from the server and from the cache."""
    all_of = {"good": instance("10.3.0.1", cluster="C1"), "ill": instance("10.3.0.2", cluster="C1", healthy=False),
              "light": instance("10.3.0.3", cluster="C2", weight=0.0), "more": instance("10.3.0.4", cluster="C2"),
              "off": instance("10.3.0.5", cluster="C2", enabled=False)}
    elsewhere = instance("10.3.0.6")
    for name, i in all_of.items():
        t.client(name).register("query-svc", i)
    t.client("elsewhere").register("query-svc", elsewhere, group="G2")
    good, ill, light, more, _ = all_of.values()
    cases = [({}, [good, ill, light, more]), ({"healthy": True}, [good, more]), ({"healthy": False}, [ill]),
             ({"clusters": ["C1"]}, [good, ill]), ({"clusters": ["C2"]}, [light, more]),
             ({"clusters": ["C1", "C2"]}, [good, ill, light, more]), ({"clusters": ["C2"], "healthy": True}, [more]),
             ({"clusters": ["C9"]}, []), ({"group": "G2"}, [elsewhere]), ({"group": "G3"}, [])]
    r = t.client("reader")
    for subscribe in (False, True):
        for n, (flags, found) in enumerate(cases):
            # Java 2.5 narrows its cached copy of a service to the clusters that were asked for: then a reader each.
            fresh = t.client("reader-%d" % n) if subscribe and "clusters" in flags else None
            (fresh or r).finds("query-svc", found, subscribe=subscribe, **flags)
            if fresh:
                fresh.close()
    r.finds("query-none-svc", [])
    one_healthy(t, r, False, [good, more])
    one_healthy(t, r, True, [good, more])


def one_healthy(t, reader, subscribe, allowed):
    for _ in range(10 if t.main.can("one") else 0):
        got = plain([reader.call("one", service="query-svc", group=G, clusters=[], subscribe=subscribe)])[0]
        if got not in plain(allowed):
            raise Failed("one healthy instance: got %s" % got)


def namespaces(t):
    """A namespace sees only its own; the empty one and `public` are the same."""
    inside, outside = instance("10.4.0.1"), instance("10.4.0.2")
    t.client("inside", "e2e-ns").register("ns-svc", inside)
    t.client("outside").register("ns-svc", outside)
    t.client("reader-inside", "e2e-ns").finds("ns-svc", [inside])
    t.client("reader-outside").finds("ns-svc", [outside])
    t.client("reader-public", "public").finds("ns-svc", [outside])
    t.client("reader-other", "e2e-other").finds("ns-svc", [])


def subscribe(t):
    """A subscriber hears of an instance that comes, changes weight and metadata, and goes; after unsubscribe of nothing."""
    a, c, w = t.client("a"), t.client("c"), Watch(t.client("b"), "subscribe-svc")
    witness = Watch(t.client("witness"), "subscribe-svc")
    x, y = instance("10.5.0.1"), instance("10.5.0.2", metadata={})
    late = []

    def step(do, service_has):
        begin = time.monotonic()
        do()
        late.append(w.sees(service_has) - begin)
        witness.sees(service_has)
    step(lambda: a.register("subscribe-svc", x), [x])
    x = dict(x, weight=5.0)
    step(lambda: a.register("subscribe-svc", x), [x])
    x = dict(x, metadata={"version": "2", "zone": "a", "new": "x"})
    step(lambda: a.register("subscribe-svc", x), [x])
    step(lambda: c.register("subscribe-svc", y), [x, y])
    step(lambda: a.deregister("subscribe-svc", x), [y])
    step(lambda: c.deregister("subscribe-svc", y), [])
    w.stop()
    before = len(w.events())
    a.register("subscribe-svc", x)
    witness.sees([x])
    time.sleep(QUIET_S)
    if len(w.events()) != before:
        raise Failed("an event after unsubscribe: %s" % w.events()[-1][1])
    return "call to event at most " + ms(max(late))


def subscribe_clusters(t):
    """A subscription to clusters hears of these clusters only, and of an instance that moves out of them."""
    a, c, w = t.client("a"), t.client("c"), Watch(t.client("b"), "clusters-svc", ["C1", "C2"])
    everything = Watch(t.client("witness"), "clusters-svc")
    inside, outside = instance("10.6.0.1", cluster="C1"), instance("10.6.0.2", cluster="C3")
    a.register("clusters-svc", inside)
    w.sees([inside])
    c.register("clusters-svc", outside)
    everything.sees([inside, outside])
    w.sees([inside])
    moved = instance("10.6.0.3", cluster="C3")  # another ip: Java 2.5 tells a listener nothing of one that changes cluster
    a.register("clusters-svc", moved)
    w.sees([])
    everything.sees([moved, outside])


def persistent(t):
    """A persistent instance stays when its client leaves, and goes when another one takes it out; kinds do not mix."""
    a = t.client("a")
    one, two = instance("127.0.0.1", t.server.port, ephemeral=False), instance("127.0.0.1", 1, ephemeral=False)
    a.register("persistent-svc", one)
    a.register("persistent-svc", two)
    healthy = ("healthy",)  # the server's own checks decide it, not the client
    t.client("b").finds("persistent-svc", [one, two], without=healthy)
    wrong = t.client("wrong")
    said = t.main.send("register", client=wrong.name, service="persistent-svc", group=G, instance=instance("10.7.0.1"))
    if "error" not in said:
        raise Failed("an ephemeral instance was taken into a persistent service")
    wrong.close()
    a.close()
    b2 = t.client("b2")
    b2.finds("persistent-svc", [one, two], without=healthy)
    b2.deregister("persistent-svc", one)
    b2.finds("persistent-svc", [two], without=healthy)
    b2.deregister("persistent-svc", two)
    b2.finds("persistent-svc", [])


def services(t):
    """The list of services comes in pages that are complete, without doubles, and say the whole count."""
    a, group, names = t.client("a"), "PAGES", ["page-svc-%d" % k for k in range(1, 6)]
    for k, name in enumerate(names):
        a.register(name, instance("10.8.0.%d" % k), group=group)
    pages = [a.call("services", group=group, page=p, size=2) for p in (1, 2, 3, 4)]
    if [p["count"] for p in pages] != [5] * 4 or [len(p["names"] or []) for p in pages] != [2, 2, 1, 0]:
        raise Failed("pages of 2 out of 5: %s" % pages)
    if sorted(n for p in pages for n in p["names"] or []) != names:
        raise Failed("pages do not add up to %s: %s" % (names, pages))
    none = a.call("services", group="NOSUCHGROUP", page=1, size=10)
    if none["count"] != 0 or none["names"]:
        raise Failed("an unknown group has services: %s" % none)


def refused(t):
    """A registration that breaks a rule is an error for the caller, and the client works on."""
    a = t.client("a")
    for service, i in (("bad svc", instance("10.9.0.1")), ("bad-ip-svc", instance("not an ip")), ("@bad@@svc", instance("10.9.0.1"))):
        said = t.main.send("register", client=a.name, service=service, group=G, instance=i)
        if "error" not in said:
            raise Failed("registered %s as %s" % (i["ip"], service))
    good = instance("10.9.0.2")
    b = t.client("b")  # a repeats what was refused, as its redo wants it
    b.register("refused-svc", good)
    b.finds("refused-svc", [good])


def two_clients(t):
    """Two processes in one service see each other, and the one that leaves is gone for the other."""
    other = t.process().wait_ready()
    a, b = t.client("a"), t.client("b", driver=other)
    wa, wb = Watch(a, "two-svc"), Watch(b, "two-svc")
    one, two = instance("10.10.0.1"), instance("10.10.0.2", weight=3.0)
    a.register("two-svc", one)
    b.register("two-svc", two)
    wa.sees([one, two])
    wb.sees([one, two])
    b.close()
    wa.sees([one])


def kill9(t):
    """The instance of a process that is killed goes at once, because its connection closed, and stays away."""
    victim = t.process().wait_ready()
    a = t.client("a")
    w = Watch(a, "kill-svc")
    mine, its = instance("10.11.0.1"), instance("10.11.0.2")
    a.register("kill-svc", mine)
    t.client("victim", driver=victim).register("kill-svc", its)
    w.sees([mine, its])
    begin = time.monotonic()
    victim.kill()
    gone = w.sees([mine], QUICK_S) - begin
    a.finds("kill-svc", [mine])
    why = removal(t, "kill-svc", its["ip"])
    if "connection closed" not in why:
        raise Failed("the removal's reason is '%s', expected that the connection closed" % why)
    return "gone after " + ms(gone)


def removal(t, service, ip):
    """Why the server took the instance out, in its own words."""
    status, text = harness.http(t.server.port, "GET", "/nacos/v1/nacre/removals?serviceName=" + service)
    if status != 200:
        raise Failed("GET removals: %d %s" % (status, text))
    return next((r["reason"] for r in json.loads(text)["removals"] if r["instance"].startswith(ip)), "none")


def restart(t):
    """The server stops and starts under its clients: they come back by themselves, with instances and subscriptions."""
    a, b, c = t.client("a"), t.client("b"), t.client("c")
    w = Watch(b, "back-svc")
    x, y = instance("10.12.0.1", weight=2.0), instance("10.12.0.2")
    a.register("back-svc", x)
    w.sees([x])
    if t.main.can("batch"):
        c.batch("batch", "back-batch-svc", [x, y])
    t.server.stop()
    wait_for("the clients notice that the server is away", lambda: a.call("status") or b.call("status"), lambda up: not up, SEEN_S)
    t.server.start()
    begin = time.monotonic()
    reader = t.client("reader")
    wait_for("the instance is registered again", lambda: plain(reader.query("back-svc")), lambda got: got == plain([x]), BACK_S)
    if t.main.can("batch"):
        wait_for("the batch is registered again", lambda: plain(reader.query("back-batch-svc")),
                 lambda got: got == plain([x, y]), BACK_S)
    back = time.monotonic() - begin
    heard = []

    def changes():
        """Changes the instance until the subscriber hears of it: the subscription is sent again at a time of its own."""
        heard.append(dict(x, weight=3.0 + len(heard)))
        said = a.driver.send("register", client=a.name, service="back-svc", group=G, instance=heard[-1])
        if "error" in said:  # the instance is shown while its client is still on its way back
            return False
        until = time.monotonic() + 1
        while time.monotonic() < until:
            last = w.events()[-1][1]
            if plain(last) == plain([heard[-1]]):
                return True
            time.sleep(0.02)
        return False
    wait_for("the subscription is there again", changes, bool, BACK_S)
    return "instances back after " + ms(back)


def cross(t):
    """Every language sees what the others register, change and take away."""
    names = ["java-2.5.1", "go", "python"]
    drivers = [t.process(k) for k in names]
    clients = [t.client(k, driver=d.wait_ready()) for k, d in zip(names, drivers)]
    watches = [Watch(c, "cross-svc") for c in clients]
    has = []
    for k, c in enumerate(clients):
        has.append(instance("10.13.0.%d" % k, metadata={"lang": names[k], "\u8bed": "\u2713"}))
        c.register("cross-svc", has[k])
        for w in watches:
            w.sees(has)
    for k, c in enumerate(clients):
        has[k] = dict(has[k], weight=2.0 + k, metadata={"lang": names[k], "n": "2"})
        c.register("cross-svc", has[k])
        for w, r in zip(watches, clients):
            w.sees(has)
            r.finds("cross-svc", has, subscribe=True)
    for c in clients:
        c.deregister("cross-svc", has.pop(0))
        for w in watches:
            w.sees(has)


# restart is the last one: it leaves clients of earlier scenarios nothing to come back to.
FOR_EACH = (register, batch, query, namespaces, subscribe, subscribe_clusters, persistent, services, refused, two_clients,
            kill9, restart)
FOR_ALL = (cross,)
