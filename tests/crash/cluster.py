#!/usr/bin/env python3
"""Three real nodes, of which random ones are killed again and again under load through all of them.

usage: cluster.py kill --nacre BIN [--rounds N] [--seed N]

Each round kills one node (sometimes two or all three) with SIGKILL, waits for writes through the others, and starts it again. All the time
writers, readers and probes work through every node over HTTP (tests/e2e/cluster_load.py), and Go clients are registered and subscribed
(tests/e2e/go/swarm.go). It fails when an acknowledged publish is lost, when a read through a node in touch with the quorum is older than one
that was answered or read before, when an instance of a living client is missing 10 s after a kill, or when a subscriber is told a list
without a living instance. It prints for how long no write was taken. NACRE_CRASH_ROUNDS sets the rounds.
"""
import argparse
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
import harness  # noqa: E402
from cluster_actors import Swarm  # noqa: E402
from cluster_harness import NODES, Cluster  # noqa: E402
from cluster_load import Load  # noqa: E402
from harness import Failed, wait_for  # noqa: E402

MANY_AT_ONCE = 0.15  # the share of rounds that kill two or three
LEADER = 0.5  # the share of the others that kills the leader
AWAY_S = (0, 0.6)
LIFE_S = (0.3, 1.0)
INSTANCES_S = 10
WRITES_S = 10
SETTLED_S = 30
SWARM = 12
FEW = 50  # rounds: fewer have no percentiles worth a limit
P50_S, P99_S = 0.5, 1.5  # no write for at most so long after a leader was killed


class Gaps:
    """For how long no write was taken, in seconds, as a client of each surviving node saw it."""

    def __init__(self):
        self.of_leader, self.of_follower = [], []

    @staticmethod
    def percentile(values, share):
        return sorted(values)[min(len(values) - 1, int(len(values) * share))]

    def text(self, values):
        if not values:
            return "none"
        return "p50 %d ms, p99 %d ms, at most %d ms of %d" % (*(1000 * self.percentile(values, s) for s in (0.5, 0.99)), 1000 * max(values), len(values))

    def hold(self):
        return self.percentile(self.of_leader, 0.5) <= P50_S and self.percentile(self.of_leader, 0.99) <= P99_S


class Killer:
    """The rounds on one cluster."""

    def __init__(self, cluster, swarm, load, chooser):
        self.cluster, self.swarm, self.load, self.random, self.gaps = cluster, swarm, load, chooser, Gaps()
        self.kills = 0

    def victims(self, leader):
        if self.random.random() < MANY_AT_ONCE:
            return self.random.sample(self.cluster.nodes, self.random.choice((2, NODES)))
        others = [n for n in self.cluster.nodes if n is not leader]
        return [leader if self.random.random() < LEADER else self.random.choice(others)]

    def round(self):
        leader = self.cluster.leader()
        victims = self.victims(leader)
        survivors = [n for n in self.cluster.nodes if n not in victims]
        for n in survivors:
            self.load.lenient(n, len(victims) > 1)
        begin = time.monotonic()
        for n in victims:
            n.kill()
        self.kills += len(victims)
        if len(victims) == 1:
            seen = self.gaps.of_leader if victims[0] is leader else self.gaps.of_follower
            seen += [self.load.probe(n).back_after(begin, WRITES_S) for n in survivors]
        time.sleep(self.random.uniform(*AWAY_S))
        for n in self.random.sample(victims, len(victims)):
            self.load.lenient(n, True)  # out of touch with the quorum until it follows the leader
            n.start()
        self.cluster.settle(timeout_s=SETTLED_S)
        for n in self.cluster.nodes:
            self.load.lenient(n, False)
        for n in self.cluster.nodes:
            wait_for("instances of living clients that the lists of node %d lack, %d s after the kill" % (n.number, INSTANCES_S),
                     lambda n=n: self.swarm.missing_at(n), lambda m: m == [], begin + INSTANCES_S - time.monotonic())
        time.sleep(self.random.uniform(*LIFE_S))
        self.load.check()
        self.swarm.check()

    def summary(self):
        return "kill of the leader: no write for %s\nkill of a follower: no write for %s" % (
            self.gaps.text(self.gaps.of_leader), self.gaps.text(self.gaps.of_follower))


def kill(args, home):
    chooser = random.Random(args.seed)
    cluster, swarm, load = Cluster(args.nacre, home, random_seed=args.seed), None, None
    try:
        cluster.start()
        swarm = Swarm(home, cluster, SWARM)
        load = Load(cluster, args.seed).start()
        killer = Killer(cluster, swarm, load, chooser)
        for n in range(args.rounds):
            killer.round()
            if (n + 1) % 25 == 0:
                print("%d rounds, %d kills, %d writes acknowledged; %s" % (n + 1, killer.kills, load.ledger.acknowledged,
                                                                        killer.gaps.text(killer.gaps.of_leader)), flush=True)
        cluster.settle()
        said = load.finish()
        report = swarm.check()
        cluster.stop()
        harness.no_sanitizer_spoke(cluster.logs)
    finally:
        if load:
            load.stop()
        if swarm:
            swarm.close()
        cluster.close()
    print("%d rounds (seed %d), %d kills: %s, none lost, none old; %d events at subscribers, none without a living instance"
          % (args.rounds, args.seed, killer.kills, said, report["events"]))
    print(killer.summary())
    if args.rounds >= FEW and not killer.gaps.hold():
        raise Failed("writes stopped for longer than p50 %g s or p99 %g s after a kill of the leader" % (P50_S, P99_S))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("what", choices=("kill",))
    p.add_argument("--nacre", required=True)
    p.add_argument("--rounds", type=int, default=int(os.environ.get("NACRE_CRASH_ROUNDS", "10")))
    p.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    args = p.parse_args()
    args.nacre = os.path.abspath(args.nacre)
    subprocess.run([os.path.join(harness.ROOT, "tests/e2e/install"), "go"], check=True)
    home = tempfile.mkdtemp(prefix="nacre-crash-cluster-")
    try:
        kill(args, home)
    except Failed as e:
        print("failed (seed %d): %s" % (args.seed, e))
        for n in range(NODES):
            log = os.path.join(home, "node%d" % n, "server.log")
            print("  node %d:\n%s" % (n, harness.tail(log)))
        print("  kept: " + home)
        return 1
    shutil.rmtree(home, ignore_errors=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
