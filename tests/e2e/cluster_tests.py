"""What three nodes must stand. One function per rule; it gets a Test and returns a remark or None.

Every disturbance happens under a Crowd (cluster_actors.py), whose strict judge reads through every node all the time.
"""
import itertools
import json
import time

from cluster_actors import Crowd, Swarm
from cluster_harness import NODES, Cluster
from cluster_load import Http
from cluster_strangers import ALIEN, DEADLINE_S, HALF, Strangers, cpu_s, hello
from harness import Failed, wait_for
from scenarios import Client, Watch, instance, ms, plain

DOWN_S = 2  # how long a killed or paused node is away
CUT_S = 4  # longer than an election, shorter than the 15 s after which an owner is given up
OWNER_LOST_S = 15
WRITES_STOP_S = 5
REFUSED_S = 4
REGISTERED_S = 2.5  # below a quorum: 0.8 s, and what a busy machine adds
NOT_READY_S = 6
JOINS_S = 40
LIST_SEEN_S = 4


def plain_of(node, service):
    status, text = node.get("/v1/ns/instance/list?serviceName=" + service)
    return sorted(h["ip"] for h in json.loads(text)["hosts"]) if status == 200 else None


# ---------------------------------------------------------------- nodes that go and come

def starts(crowd, node):
    """Until it follows the leader a node is out of touch with the quorum, and may answer what its disk has."""
    crowd.load.lenient(node, True)
    node.start()
    crowd.cluster.settle()
    crowd.load.lenient(node, False)


def resumes(_, node):
    """It never knew that it was away: all that it answers must be right."""
    node.resume()


def away_and_back(t, node, go, come):
    """A node goes; the others take writes again, and with the node back everything is whole."""
    crowd = t.crowd()
    begin = time.monotonic()
    go(node)
    others = [n for n in t.cluster.nodes if n is not node]
    gap = crowd.writes_back(others, begin)
    t.hold(DOWN_S)
    come(crowd, node)
    return "no write for %s; %s" % (ms(gap), crowd.finish())


def kill_leader(t):
    """kill -9 of the leader under load."""
    return away_and_back(t, t.cluster.leader(), lambda n: n.kill(), starts)


def kill_follower(t):
    """kill -9 of a follower under load."""
    return away_and_back(t, t.cluster.followers()[0], lambda n: n.kill(), starts)


def stop_leader(t):
    """SIGTERM of the leader under load."""
    return away_and_back(t, t.cluster.leader(), lambda n: n.stop(), starts)


def stop_follower(t):
    """SIGTERM of a follower under load."""
    return away_and_back(t, t.cluster.followers()[0], lambda n: n.stop(), starts)


def pause_leader(t):
    """SIGSTOP of the leader: when it goes on it believes to lead, and must not answer an old value."""
    return away_and_back(t, t.cluster.leader(), lambda n: n.pause(), resumes)


def pause_follower(t):
    """SIGSTOP of a follower."""
    return away_and_back(t, t.cluster.followers()[0], lambda n: n.pause(), resumes)


def kill_all(t):
    """kill -9 of all three at once under load."""
    crowd = t.crowd()
    t.cluster.kill()
    begin = time.monotonic()
    for n in t.cluster.nodes:
        crowd.load.lenient(n, True)
    t.cluster.start()
    for n in t.cluster.nodes:
        crowd.load.lenient(n, False)
    gap = crowd.writes_back(t.cluster.nodes, begin)
    return "no write for %s after the start; %s" % (ms(gap), crowd.finish())


def restart_in_any_order(t):
    """All stop; whatever the order in which they start again, two are enough and everything is there."""
    crowd = t.crowd(swarm=4, languages=())
    crowd.load.stop()
    slowest = 0
    for order in itertools.permutations(t.cluster.nodes):
        t.cluster.stop()
        order[0].start()
        wait_for("the first node lives alone", lambda: order[0].get("/v1/console/health/liveness")[0], lambda s: s == 200, 10)
        begin = time.monotonic()
        order[1].start()
        t.cluster.settle(list(order[:2]))
        slowest = max(slowest, time.monotonic() - begin)
        order[2].start()
        t.cluster.settle()
    return "two of three lead at most %s after the second started; %s" % (ms(slowest), crowd.finish())


def wiped_follower(t):
    """A node comes back with an empty directory at its old address: it is taken in, and has everything."""
    return wiped(t, t.cluster.followers()[0])


def wiped_leader(t):
    """The same for the node that led."""
    return wiped(t, t.cluster.leader())


def wiped(t, node):
    crowd = t.crowd()
    node.kill()
    node.wipe()
    begin = time.monotonic()
    crowd.load.lenient(node, True)  # until it is a server again it has no touch with the quorum
    node.start()
    t.cluster.settle(timeout_s=JOINS_S)
    took = time.monotonic() - begin
    crowd.load.lenient(node, False)
    return "taken in after %s; %s" % (ms(took), crowd.finish())


def owner_lost(t):
    """A node that stays away: the instances of clients that moved never leave the lists, those of clients that had only this node go after 15 s."""
    crowd = t.crowd(languages=())
    gone, others = t.cluster.followers()[0], None
    others = [n for n in t.cluster.nodes if n is not gone]
    bound = Swarm_of_one(t, gone)
    wait_for("the instance is everywhere", lambda: [plain_of(n, bound.service) for n in t.cluster.nodes], lambda l: l == [[bound.ip]] * NODES, 5)
    begin = time.monotonic()
    gone.kill()
    bound.kill()
    wait_for("its instance goes", lambda: [plain_of(n, bound.service) for n in others], lambda l: l == [[], []], OWNER_LOST_S + 15)
    took = time.monotonic() - begin
    if took < OWNER_LOST_S - 2:
        raise Failed("the instance went after %.1f s, before its owner can count as lost" % took)
    gone.start()
    t.cluster.settle()
    return "gone after %.1f s; %s" % (took, crowd.load.finish())


class Swarm_of_one:
    """A Go client that knows one node only, in a process of its own."""

    service, ip = "bound-svc", "10.61.0.1"

    def __init__(self, t, node):
        stage = t.stage("go", node.address, "bound")
        self.client = Client(stage, stage.main, "bound", "")
        self.client.register(self.service, instance(self.ip))
        self.driver = stage.main

    def kill(self):
        self.driver.kill()


# ---------------------------------------------------------------- cuts

class Unsteady(Failed):
    """The leader changed where no node had a reason. So it does when the machine stands still for the time of an election: the test may
    be played once more."""


def expect_leader(t, leader, why):
    now = t.cluster.leader()
    if now is not leader:
        raise Unsteady("node %d led, now node %d does: %s" % (leader.number, now.number, why))


def cut_and_heal(t, cut, lenient, working):
    """Under load: a cut, then healing. lenient: nodes without the quorum; working: nodes that must take writes meanwhile."""
    crowd = t.crowd()
    for n in lenient:
        crowd.load.lenient(n, True)
    begin = time.monotonic()
    cut(t.lab)
    gap = crowd.writes_back(working, begin) if working else 0
    t.hold(CUT_S)
    if not working:
        refused_below_quorum(t.cluster.nodes[0])
    begin = time.monotonic()
    t.lab.heal()
    t.cluster.settle()
    healed = time.monotonic() - begin
    for n in lenient:
        crowd.load.lenient(n, False)
    crowd.writes_back(t.cluster.nodes, time.monotonic())
    return "no write for %s after the cut, one leader %s after healing; %s" % (ms(gap), ms(healed), crowd.finish())


def partition_leader_alone(t):
    """The leader is cut off from both others: they go on with a new one."""
    leader = t.cluster.leader()
    return cut_and_heal(t, lambda lab: lab.isolate(leader.number), [leader], [n for n in t.cluster.nodes if n is not leader])


def partition_follower_alone(t):
    """A follower is cut off: nobody else notices, and its return is no election."""
    follower = t.cluster.followers()[0]
    leader = t.cluster.leader()
    said = cut_and_heal(t, lambda lab: lab.isolate(follower.number), [follower], [n for n in t.cluster.nodes if n is not follower])
    expect_leader(t, leader, "the return of a follower was an election")
    return said


def partition_all_apart(t):
    """All three are apart: nobody takes config writes, and everything goes on after healing."""
    def cut(lab):
        for n in range(NODES):
            lab.isolate(n)
    return cut_and_heal(t, cut, t.cluster.nodes, [])


def partition_leader_is_not_heard(t):
    """What the leader sends is lost, what it is sent arrives."""
    leader = t.cluster.leader()
    others = t.cluster.followers()

    def cut(lab):
        for n in others:
            lab.cut(leader.number, n.number, both=False)
    return cut_and_heal(t, cut, [leader], others)


def partition_leader_hears_nothing(t):
    """What the leader is sent is lost, what it sends arrives: it must give way."""
    leader = t.cluster.leader()
    others = t.cluster.followers()

    def cut(lab):
        for n in others:
            lab.cut(n.number, leader.number, both=False)
    return cut_and_heal(t, cut, [leader], others)


def follower_one_way(t, cut_one, why):
    """cut_one(lab, follower, other) for each other node; the leader stays."""
    leader, follower = t.cluster.leader(), t.cluster.followers()[0]
    others = [n for n in t.cluster.nodes if n is not follower]

    def cut(lab):
        for n in others:
            cut_one(lab, follower.number, n.number)
    said = cut_and_heal(t, cut, [follower], others)
    expect_leader(t, leader, why)
    return said


def partition_follower_is_not_heard(t):
    """What a follower sends is lost: it has the log, and cannot tell."""
    return follower_one_way(t, lambda lab, follower, other: lab.cut(follower, other, both=False), "a follower was not heard")


def partition_follower_hears_nothing(t):
    """What a follower is sent is lost: it would like an election, and must not get one."""
    return follower_one_way(t, lambda lab, follower, other: lab.cut(other, follower, both=False), "a follower heard nothing")


def partition_followers_apart(t):
    """The two followers do not reach each other: nothing happens at all."""
    a, b = t.cluster.followers()
    leader = t.cluster.leader()
    said = cut_and_heal(t, lambda lab: lab.cut(a.number, b.number), [], t.cluster.nodes)
    expect_leader(t, leader, "both followers reached it")
    return said


def partition_leader_and_follower_apart(t):
    """The leader and one follower do not reach each other, the other follower reaches both: writes go on, without elections for ever."""
    leader, (a, b) = t.cluster.leader(), t.cluster.followers()
    said = cut_and_heal(t, lambda lab: lab.cut(leader.number, a.number), [leader, a], [b])
    return said


# ---------------------------------------------------------------- members

def changed_address(t):
    """A node gets another address, and the lists are edited: it is the same node, nothing is copied anew, and clients find it there."""
    node = t.cluster.followers()[0]
    crowd = t.crowd(languages=())
    crowd.load.stop()
    before = identity_of(node)
    node.stop()
    t.lab.move(node.number, "10.77.%d.9" % node.number)
    node.host = t.lab.hosts[node.number]
    t.cluster.write_lists()
    node.start()
    t.cluster.settle(timeout_s=JOINS_S)
    for n in t.cluster.nodes:
        wait_for("the members as node %d sees them" % n.number, lambda n=n: sorted(n.members()), lambda m: m == sorted(t.cluster.addresses), JOINS_S)
    if identity_of(node) != before:
        raise Failed("the node has another identity than before")
    reads(node, crowd)
    Client(t.stage("go", node.address, "moved"), t.stages[-1].main, "moved", "").register("moved-svc", instance("10.62.0.1"))
    wait_for("its registration is everywhere", lambda: [plain_of(n, "moved-svc") for n in t.cluster.nodes], lambda l: l == [["10.62.0.1"]] * NODES, 5)
    return None


def identity_of(node):
    return node.members()[node.address]["extendInfo"]["nacre"]["id"]


def reads(node, crowd):
    """All that the load has written is read through this node."""
    ledger, connection = crowd.load.ledger, Http(node.address)
    for key in ledger.keys:
        status, text = connection.config("GET", key.name)
        ledger.judge(key, ledger.floor(key), status, text, "through node %d" % node.number)
    crowd.load.check()


# ---------------------------------------------------------------- below a quorum

def refused_below_quorum(node):
    """A config write is refused with a sentence that says who is missing; returns the sentence."""
    begin = time.monotonic()
    status, text = Http(node.address, 10).config("POST", "below", content="x")
    took = time.monotonic() - begin
    if status == 200 or took > REFUSED_S:
        raise Failed("a config write below a quorum: %d %r after %.1f s" % (status, text, took))
    if "missing" not in text:
        raise Failed("the refusal does not say who is missing: %d %r" % (status, text))
    return text


def below_quorum(t):
    """One node of three: queries and registrations work, config writes are refused, readiness says so; later everything is taken over."""
    crowd = t.crowd(languages=())
    crowd.load.stop()
    crowd.load.check()
    alone = t.cluster.followers()[0]
    others = [n for n in t.cluster.nodes if n is not alone]
    stage = t.stage("go", alone.address, "alone")
    a, b = (Client(stage, stage.main, name, "") for name in "ab")
    one, two, late = instance("10.63.0.1"), instance("10.63.0.2"), instance("10.63.0.3")
    a.register("below-svc", one)
    w = Watch(b, "below-svc")
    w.sees([one])
    for n in others:
        n.kill()
    begin = time.monotonic()
    b.register("below-svc", two)
    took = time.monotonic() - begin
    if took > REGISTERED_S:
        raise Failed("a registration below a quorum took %.1f s" % took)
    w.sees([one, two], 1)
    c = Client(stage, stage.main, "c", "")
    c.register("below-new-svc", late)
    if plain_of(alone, "below-svc") != ["10.63.0.1", "10.63.0.2"] or plain_of(alone, "below-new-svc") != ["10.63.0.3"]:
        raise Failed("lists below a quorum: %s, %s" % (plain_of(alone, "below-svc"), plain_of(alone, "below-new-svc")))
    said = refused_below_quorum(alone)
    for n in others:
        if n.address not in said:
            raise Failed("the refusal does not name %s: %s" % (n.address, said))
    wait_for("readiness says that the quorum is missing", lambda: alone.get("/v1/console/health/readiness"),
             lambda r: r[0] >= 500 and "quorum" in r[1], NOT_READY_S)
    live = alone.get("/v1/console/health/liveness")
    if live[0] != 200:
        raise Failed("liveness below a quorum: %s" % (live,))
    reads(alone, crowd)  # nothing was written since: what is here is not old
    before = len(w.events())
    for n in others:
        n.start()
    t.cluster.settle()
    for n in t.cluster.nodes:
        wait_for("what was registered meanwhile is at node %d" % n.number, lambda n=n: (plain_of(n, "below-svc"), plain_of(n, "below-new-svc")),
                 lambda l: l == (["10.63.0.1", "10.63.0.2"], ["10.63.0.3"]), 10)
    wait_for("readiness is back", lambda: [n.get("/v1/console/health/readiness")[0] for n in t.cluster.nodes], lambda l: l == [200] * NODES, 10)
    lists = [plain(e[1]) for e in w.events()[before:]]
    if any(l != plain([one, two]) for l in lists):
        raise Failed("the subscriber was told other lists while the quorum came back: %s" % lists)
    return "registered in %s; refused with: %s" % (ms(took), said)


def ready_everywhere(t):
    """With a quorum every node is ready, whoever leads."""
    wait_for("readiness of all nodes", lambda: [n.get("/v1/console/health/readiness")[0] for n in t.cluster.nodes], lambda l: l == [200] * NODES, 5)


# ---------------------------------------------------------------- strangers

BURST = 10000
HELLOS, HELLOS_AT_ONCE = 300, 50  # of one address; more than these 50 have a rate
SILENT = 300
STRANGER_MS = 2  # of CPU for each of the burst, at most


def terms(nodes):
    return [n.metric("nacre_log_term") for n in nodes]


def strangers_at_a_port(t, node, port):
    """Everything that is nobody's business on one port; a remark."""
    s = t.keep(Strangers(node, port))
    for say in ALIEN + ([b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"] if port == "peers" else []):
        s.refused(say)
    s.refused(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 400 Bad Request")
    s.refused(hello("somebody.else"))
    s.expect(alien=len(ALIEN), http1=1, tls=1)
    before = cpu_s(node)
    for i in range(BURST):
        s.come((HALF + ALIEN)[i % 7])
        s.go()
    seen = s.expect(5)
    wait_for("all of them are counted", lambda: sum(s.since().values()), lambda n: n >= s.made, 5)
    each_ms = (cpu_s(node) - before) * 1000 / BURST
    if each_ms > STRANGER_MS:
        raise Failed("a connection to the port of %s costs %.2f ms of CPU, load included" % (port, each_ms))
    if seen["peer"]:
        raise Failed("%d of them were taken for peers" % seen["peer"])
    for i in range(SILENT):
        s.come(HALF[i % 3])
    s.expect(DEADLINE_S + 3, late=SILENT)
    s.go()
    for _ in range(HELLOS):
        s.come(hello())
    seen = s.expect(too_many_hellos=HELLOS // 2)
    if seen["peer"] < HELLOS_AT_ONCE:
        raise Failed("only %d handshakes of %d were begun" % (seen["peer"], HELLOS))
    s.go()
    return "%s: %.2f ms of CPU each, %d of %d handshakes begun" % (port, each_ms, seen["peer"], HELLOS)


def strangers(t):
    """Garbage, ten thousand connects, silence and handshakes by the hundred at both ports of the leader: refused cheaply, counted, and nothing changes."""
    crowd, leader = t.crowd(languages=()), t.cluster.leader()
    before, streams = terms(t.cluster.nodes), [n.metric("nacre_peer_disconnects_total") for n in t.cluster.nodes]
    said = [strangers_at_a_port(t, leader, port) for port in ("peers", "clients")]
    if terms(t.cluster.nodes) != before or t.cluster.leader() is not leader:
        raise Failed("there was an election: terms %s, before %s" % (terms(t.cluster.nodes), before))
    if [n.metric("nacre_peer_disconnects_total") for n in t.cluster.nodes] != streams:
        raise Failed("streams between members ended")
    return "; ".join(said + [crowd.finish()])


def refused_keys(nodes):
    return [n.metric("nacre_strangers_refused_total") for n in nodes]


def names_stranger(node, identity):
    with open(node.log, encoding="utf-8") as f:
        return any("event=stranger_refused" in line and "last_id=" + identity in line for line in f)


def another_clusters_member(t):
    """A node of another cluster lists the members of this one: they refuse its key, count it and name it in the log, and neither cluster changes."""
    crowd = t.crowd(languages=())
    other = t.keep(Cluster(t.args.nacre, t.home + "/other", count=2, taken={n.port for n in t.cluster.nodes}))
    other.start()
    Http(other.nodes[0].address).config("POST", "of-the-other", content="theirs")
    Http(t.cluster.nodes[0].address).config("POST", "of-this-one", content="ours")
    members, theirs = [sorted(n.members()) for n in t.cluster.nodes], identity_of(other.nodes[0])
    before, in_log = terms(t.cluster.nodes + other.nodes), [n.metric("nacre_members_in_log") for n in t.cluster.nodes + other.nodes]
    other.nodes[0].write_list(other.addresses + t.cluster.addresses)
    wait_for("every member has refused it several times", lambda: refused_keys(t.cluster.nodes), lambda l: min(l) >= 3, JOINS_S)
    for n in t.cluster.nodes:
        wait_for("node %d names it in its log" % n.number, lambda n=n: names_stranger(n, theirs), bool, 5)
    for mine, key in ((t.cluster, "of-the-other"), (other, "of-this-one")):
        found = [Http(n.address).config("GET", key)[0] for n in mine.nodes]
        if found != [404] * len(found):
            raise Failed("%s is found in the wrong cluster: %s" % (key, found))
    if [sorted(n.members()) for n in t.cluster.nodes] != members:
        raise Failed("the members are others than before")
    now = terms(t.cluster.nodes + other.nodes), [n.metric("nacre_members_in_log") for n in t.cluster.nodes + other.nodes]
    if now != (before, in_log):
        raise Failed("terms and members of the logs were %s, are %s" % ((before, in_log), now))
    status, text = Http(other.nodes[1].address).config("POST", "of-the-other", content="still theirs")
    if status != 200:
        raise Failed("the other cluster takes no write any more: %d %s" % (status, text))
    return "refused %s times; %s" % (refused_keys(t.cluster.nodes), crowd.finish())


# ---------------------------------------------------------------- rolling restart

def rolling_restart(t, clients=200):
    """The three are restarted one after the other under 200 clients: no SDK call fails beyond its own retries, nobody sees a false removal."""
    swarm = t.keep(Swarm(t.home, t.cluster, clients, services=20, every_ms=1000, servers=[t.cluster.all_addresses]))
    for node in t.cluster.nodes:
        node.stop()
        node.start()
        t.cluster.settle()
        wait_for("instances that the lists of node %d lack" % node.number, lambda node=node: swarm.missing_at(node), lambda m: m == [], 10)
        t.hold(2)
    report = swarm.check()
    if report["errorCount"]:
        raise Failed("%d of %d SDK calls failed: %s" % (report["errorCount"], report["calls"], "; ".join(report["errors"][:5])))
    return "%d SDK calls, the slowest %d ms, %d events" % (report["calls"], report["slowestMs"], report["events"])


# Without a network of their own, and with one.
ON_LOOPBACK = (ready_everywhere, kill_leader, kill_follower, stop_leader, stop_follower, pause_leader, pause_follower, kill_all, restart_in_any_order,
               wiped_follower, wiped_leader, owner_lost, below_quorum, strangers, another_clusters_member, rolling_restart)
IN_LAB = (partition_leader_alone, partition_follower_alone, partition_all_apart, partition_leader_is_not_heard, partition_leader_hears_nothing,
          partition_follower_is_not_heard, partition_follower_hears_nothing, partition_followers_apart, partition_leader_and_follower_apart,
          changed_address)
