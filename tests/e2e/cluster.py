#!/usr/bin/env python3
"""Three real nodes under the published clients.

usage: cluster.py --nacre BIN [--list] [--test NAME ...] [--scenario NAME ...] [--keep]

Tests are named as --list prints them. scenarios.CLIENT.MODE: all of scenarios.py and scenarios_config.py on a cluster; in mode spread
every client is given one address, the next one's for each client, and every HTTP request goes to the next node; in mode all every client is given
all three. The others (cluster_tests.py) kill, pause, cut off, wipe and move nodes under load; those of partitions, and the one that moves a
node, run with a network namespace for each node and are skipped without root. Without --test: those that continuous integration runs. Ends with 'N passed, N failed'.
"""
import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

import cluster_harness
import cluster_tests
import harness
import run
import scenarios
import scenarios_config
from cluster_actors import Crowd, Seat

CLIENTS = ["java-2.0.4", "java-2.3.2", "java-2.5.1", "java-3.0.3", "go", "python"]
MODES = ["spread", "all"]
BASIC = {"register", "batch", "query", "subscribe", "persistent", "refused", "two-clients", "kill9", "config-crud", "config-cas", "config-listen",
         "config-read-your-writes"}
EVERYTHING = {"java-2.5.1", "go"}  # the others play BASIC only
USUAL = ["scenarios.java-2.5.1.spread", "scenarios.go.all"]  # of the scenarios; the whole crossing takes long


class Test:
    """A cluster of its own, and what the test at hand has started."""

    def __init__(self, args, name, in_lab):
        self.args = args
        self.home = tempfile.mkdtemp(prefix="nacre-cluster-%s-" % name)
        self.lab = cluster_harness.Lab() if in_lab else None
        self.cluster = cluster_harness.Cluster(args.nacre, self.home, self.lab)
        self.kept, self.stages = [], []

    def crowd(self, **kind):
        """Everybody who uses the nodes meanwhile."""
        return self.keep(Crowd(self.cluster, self.home, **kind))

    def keep(self, thing):
        """Closed with the test."""
        self.kept.append(thing)
        return thing

    def stage(self, kind, address, name):
        """A process with an SDK whose clients are given this address."""
        s = scenarios.Stage(kind, Seat(address), os.path.join(self.home, name))
        s.main, s.scenario = s.process().wait_ready(), name
        self.stages.append(s)
        return s

    def hold(self, seconds):
        """How long a disturbance lasts: no wait for a result."""
        time.sleep(seconds)

    def close(self):
        for thing in self.kept + self.stages + [self.cluster, self.lab]:
            if thing:
                thing.close()


def name_of(function):
    return function.__name__.replace("_", "-")


DISTURBANCES = {name_of(f): (f, in_lab) for group, in_lab in ((cluster_tests.ON_LOOPBACK, False), (cluster_tests.IN_LAB, True)) for f in group}
NAMES = ["scenarios.%s.%s" % (c, m) for c in CLIENTS for m in MODES] + list(DISTURBANCES)


def play_scenarios(args, name, report):
    _, client, mode = name.split(".", 1)[0], *name.split(".", 1)[1].rsplit(".", 1)
    each = scenarios_config.FOR_EACH + scenarios.FOR_EACH
    chosen = [s for s in each if (client in EVERYTHING or name_of(s) in BASIC) and (not args.scenario or name_of(s) in args.scenario)]
    home = tempfile.mkdtemp(prefix="nacre-cluster-%s-" % client)
    server = cluster_harness.Everywhere(cluster_harness.Cluster(args.nacre, home), mode, first=len(mode) + len(client))
    stage = scenarios.Stage(client, server, home)
    stage.label = "%s.%s" % (client, mode)
    run.play_all(args, stage, chosen, report)


def play(args, name, report):
    if not play_once(args, name, report, is_last=False):
        play_once(args, name, report, is_last=True)


def play_once(args, name, report, is_last):
    """False: it is to be played again."""
    function, in_lab = DISTURBANCES[name]
    t, remark, verdict, begin = Test(args, name, in_lab), "", "passed", time.monotonic()
    try:
        t.cluster.start()
        remark = function(t)
        t.cluster.stop()
        harness.no_sanitizer_spoke(t.cluster.logs)
    except cluster_tests.Unsteady as e:
        remark, verdict = str(e), "failed" if is_last else "again"
    except harness.Failed as e:
        remark, verdict = str(e), "failed"
    except Exception:
        remark, verdict = traceback.format_exc(), "failed"
    finally:
        t.close()
    if verdict == "again":
        print("again    cluster     %s: %s" % (name, remark), flush=True)
        shutil.rmtree(t.home, ignore_errors=True)
        return False
    report.line(verdict, "cluster", name, time.monotonic() - begin, remark)
    if verdict == "failed":
        with report.lock:
            for log in t.cluster.logs:
                print("  %s:\n%s" % (log, harness.tail(log)), flush=True)
    if verdict == "failed" and args.keep:
        print("  kept: " + t.home, flush=True)
    else:
        shutil.rmtree(t.home, ignore_errors=True)
    return True


def play_in_turn(args, names, report):
    """What wants the machine for itself: disturbances measure time."""
    for name in names:
        (play if name in DISTURBANCES else play_scenarios)(args, name, report)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--nacre")
    p.add_argument("--list", action="store_true")
    p.add_argument("--test", nargs="+", choices=NAMES, metavar="NAME", default=USUAL + list(DISTURBANCES))
    p.add_argument("--scenario", nargs="+", help="only these of scenarios.CLIENT.MODE")
    p.add_argument("--keep", action="store_true")
    args = p.parse_args()
    if args.list:
        print("\n".join(NAMES))
        return 0
    if not args.nacre or not os.access(args.nacre, os.X_OK):
        p.error("--nacre must name an executable server")
    args.nacre = os.path.abspath(args.nacre)
    subprocess.run([os.path.join(harness.ROOT, "tests/e2e/install")], check=True)
    report = run.Report()
    scenario_names = [n for n in args.test if n not in DISTURBANCES]
    together = [threading.Thread(target=play_in_turn, args=(args, [n], report)) for n in scenario_names]
    for thread in together:
        thread.start()
    for thread in together:
        thread.join()
    if any(DISTURBANCES.get(name, (None, False))[1] for name in args.test):
        try:
            cluster_harness.Lab.enter()
        except cluster_harness.NotAllowed as e:
            for name in [n for n in args.test if DISTURBANCES.get(n, (None, False))[1]]:
                report.line("skipped", "cluster", name, 0, str(e))
                args.test.remove(name)
    play_in_turn(args, [n for n in args.test if n in DISTURBANCES], report)
    print("%d passed, %d failed%s" % (report.passed, report.failed, ", %d skipped" % report.skipped if report.skipped else ""))
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
