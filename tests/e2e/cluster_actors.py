"""Who uses the three nodes while they are killed, paused and cut off: the strict load, a swarm of Go clients, and named Java and Go clients.

Clients are given all addresses or one; nobody is told what happens to the nodes.
"""
import os
import time

import harness
import scenarios
from cluster_load import Load
from harness import Failed, wait_for
from scenarios import BACK_S, Client, Watch, instance
from scenarios_config import ConfigClient, Listening

SWARM_S = 20  # until every member has been told a whole list
WRITES_BACK_S = 8
LANGUAGES = ("java-2.5.1", "go")


class Seat:
    """In place of a server: only what its clients are given."""

    list_s = 5

    def __init__(self, address):
        self.address = address


class Swarm:
    """Many Go clients in one process (go/swarm.go)."""

    def __init__(self, home, cluster, count, services=3, every_ms=250, servers=None):
        self.driver = harness.Driver("go", os.path.join(home, "swarm")).wait_ready()
        servers = servers or [cluster.all_addresses, *cluster.addresses]
        self.driver.call("swarm-open", servers=servers, namespace="", service="swarm", services=services, count=count, everyMs=every_ms)
        wait_for("members of the swarm that were not told a whole list", lambda: self.driver.call("swarm-arm"), lambda w: w == [], SWARM_S)
        self.count, self.services = count, services
        self.ips = {k: {"10.50.%d.%d" % (n // 250, n % 250 + 1) for n in range(count) if n % services == k} for k in range(services)}

    def report(self):
        return self.driver.call("swarm-report")

    def missing_at(self, node):
        """Instances of living members that a node's lists lack; None when it does not answer."""
        missing = set()
        for k, ips in self.ips.items():
            status, text = node.get("/v1/ns/instance/list?serviceName=swarm-%d" % k)
            if status != 200:
                return None
            missing |= {i for i in ips if '"%s"' % i not in text}
        return sorted(missing)

    def check(self):
        r = self.report()
        if r["falseRemovals"]:
            raise Failed("%d false removals at least: %s" % (len(r["falseRemovals"]), "; ".join(r["falseRemovals"][:5])))
        return r

    def close(self):
        self.driver.kill()


class Actors:
    """One named set of clients of a language: one with all addresses, one at each node, each with an instance, a subscription, a listener."""

    def __init__(self, kind, cluster, home):
        self.kind, self.service, self.data_id, self.changes = kind, "actors-" + kind, "actors-" + kind, 0
        self.driver = harness.Driver(kind, os.path.join(home, "actors-" + kind))
        self.places = {"all": cluster.all_addresses, **{"one%d" % n.number: n.address for n in cluster.nodes}}

    def open(self):
        self.driver.wait_ready()
        self.naming, self.configs, self.watches, self.listenings, self.has = {}, {}, {}, {}, {}
        for k, (name, address) in enumerate(self.places.items()):
            stage = scenarios.Stage(self.kind, Seat(address), "")
            stage.main, stage.scenario = self.driver, name
            self.naming[name] = Client(stage, self.driver, name, "")
            self.configs[name] = ConfigClient(stage, name + "-config")
            self.has[name] = instance("10.60.%d.%d" % (LANGUAGES.index(self.kind), k))
            self.naming[name].register(self.service, self.has[name])
        self.configs["all"].publish(self.data_id, "start")
        for name in self.places:
            self.watches[name] = Watch(self.naming[name], self.service)
            self.listenings[name] = Listening(self.configs[name], self.data_id)
        for w in self.watches.values():
            w.sees(list(self.has.values()))
        self.heard = {name: len(w.events()) for name, w in self.watches.items()}
        return self

    def work(self, timeout_s=BACK_S):
        """Every client changes what it has, and every subscription and listener hears of it. Returns how long that took at most."""
        self.changes += 1
        begin = time.monotonic()
        for name, client in self.naming.items():
            self.has[name] = dict(self.has[name], weight=1.0 + self.changes)
            wait_for("%s registers through %s" % (self.kind, name), lambda client=client, name=name: client.driver.send(
                "register", client=client.name, service=self.service, group=scenarios.G, instance=self.has[name]), lambda a: "result" in a, timeout_s)
        content = "change %d" % self.changes
        wait_for("%s publishes" % self.kind, lambda: self.driver.send("publish", client=self.configs["all"].name, dataId=self.data_id,
                                                                      group=scenarios.G, content=content), lambda a: "result" in a, timeout_s)
        for w in self.watches.values():
            w.sees(list(self.has.values()), timeout_s)
        for x in self.listenings.values():
            x.hears(content, timeout_s)
        return time.monotonic() - begin

    def check(self):
        """No subscriber was told a list without one of the living clients."""
        want = {i["ip"] for i in self.has.values()}
        for name, w in self.watches.items():
            for _, found in w.events()[self.heard[name]:]:
                missing = want - {i["ip"] for i in found}
                if missing:
                    raise Failed("%s, the client of %s, was told a list without %s" % (self.kind, name, sorted(missing)))

    def close(self):
        self.driver.kill()


class Crowd:
    """All of them on one cluster."""

    def __init__(self, cluster, home, seed=0, languages=LANGUAGES, swarm=12):
        self.cluster = cluster
        self.parts = []
        self.actors = [Actors(kind, cluster, home) for kind in languages]
        self.parts += self.actors
        self.swarm = Swarm(home, cluster, swarm)
        self.parts.append(self.swarm)
        for a in self.actors:
            a.open()
        self.load = Load(cluster, seed).start()

    def writes_back(self, nodes, moment):
        """The longest time that one of these nodes took no write after that moment."""
        return max(self.load.probe(n).back_after(moment, WRITES_BACK_S) for n in nodes)

    def complete(self, nodes, timeout_s=10):
        """Within 10 s no node's lists lack an instance of a living client."""
        for n in nodes:
            wait_for("instances of living clients that the lists of node %d lack" % n.number, lambda n=n: self.swarm.missing_at(n),
                     lambda m: m == [], timeout_s)

    def check(self):
        self.load.check()
        self.swarm.check()
        for a in self.actors:
            a.check()

    def finish(self):
        """After the last disturbance: everybody works, nothing was lost, nobody was told a false removal. A remark."""
        self.cluster.settle()
        self.complete(self.cluster.nodes)
        took = max([a.work() for a in self.actors], default=0)
        said = self.load.finish()
        report = self.swarm.check()
        for a in self.actors:
            a.check()
        return "%s; clients work again after %.1f s; %d of %d SDK calls of the swarm failed" % (said, took, report["errorCount"], report["calls"])

    def close(self):
        try:
            self.load.stop()
        except (Failed, AttributeError):
            pass
        for p in self.parts:
            p.close()
