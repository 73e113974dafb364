#!/usr/bin/env python3
"""End-to-end tests: the published clients, unchanged, against a real server.

usage: run.py --nacre BIN [--client java-2.5.1 ...] [--scenario NAME ...] [--jobs N] [--keep]

Clients: java-2.0.4 java-2.3.2 java-2.5.1 java-3.0.3 go python, cross (one of each language at once), and property
(property.py: random contents by gRPC and HTTP; its count is in NACRE_PROPERTY_COUNT). Without --client: all.
Builds what is missing with tests/e2e/install. One line per scenario and client, 'N passed, N failed' at the end; exit status 0 if
nothing failed. --keep leaves logs and data of the failed runs where the last lines say.
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

import harness
import scenarios
import scenarios_config

CLIENTS = ["java-2.0.4", "java-2.3.2", "java-2.5.1", "java-3.0.3", "go", "python", "cross", "property"]
LANGUAGES = {"java": ["java"], "go": ["go"], "python": ["python"], "cross": ["java", "go", "python"],
             "property": ["python"]}


class Report:
    def __init__(self):
        self.passed = self.failed = self.skipped = 0
        self.lock = threading.Lock()

    def line(self, verdict, client, scenario, seconds, remark):
        with self.lock:
            setattr(self, verdict, getattr(self, verdict) + 1)
            print("%-8s %-11s %-23s %5.1f s  %s" % (verdict, client, scenario, seconds, remark or ""), flush=True)

    def logs(self, stage):
        """What happened on both sides, for a failure that nobody can repeat at leisure."""
        with self.lock:
            for log in stage.server.logs:
                print("  server log:\n" + harness.tail(log))
            for p in stage.processes:
                print("  driver log (%s):\n%s" % (p.kind, harness.tail(p.log)), flush=True)


def play(stage, scenario, report):
    name = scenario.__name__.replace("_", "-")
    begin = time.monotonic()
    stage.begin(name)
    try:
        remark, verdict = scenario(stage), "passed"
    except scenarios.Skipped as e:
        remark, verdict = str(e), "skipped"
    except harness.Failed as e:
        remark, verdict = str(e), "failed"
    except Exception:
        remark, verdict = traceback.format_exc(), "failed"
    try:
        stage.end()
    except harness.Failed as e:
        if verdict == "passed":
            remark, verdict = str(e), "failed"
    report.line(verdict, stage.label, name, time.monotonic() - begin, remark)
    if verdict == "failed":
        report.logs(stage)
    return verdict != "failed"


def end(stage, report):
    """The server's own last scenario: it stops cleanly and has nothing to confess."""
    begin, remark, verdict = time.monotonic(), "", "passed"
    try:
        stage.close()
        stage.server.stop()
        harness.no_sanitizer_spoke(stage.server.logs)
    except harness.Failed as e:
        remark, verdict = str(e), "failed"
        report.line(verdict, stage.label, "stop", time.monotonic() - begin, remark)
        report.logs(stage)
        return False
    report.line(verdict, stage.label, "stop", time.monotonic() - begin, remark)
    return True


def run_property(args, report):
    """property.py is a program of its own, with the SDK's environment."""
    begin = time.monotonic()
    p = subprocess.run([sys.executable, os.path.join(harness.ROOT, "tests/e2e/property.py"), "--nacre", args.nacre],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, preexec_fn=harness.die_with_parent)
    lines = p.stdout.strip().splitlines() or ["no output"]
    report.line("failed" if p.returncode else "passed", "property", "contents", time.monotonic() - begin,
                "\n".join(lines) if p.returncode else lines[-1])


def run_client(args, client, report):
    if client == "property":
        if not args.scenario:
            run_property(args, report)
        return
    # Those of configs first: the registry's last one leaves clients of earlier scenarios nothing to come back to.
    each, for_all = scenarios_config.FOR_EACH + scenarios.FOR_EACH, scenarios_config.FOR_ALL + scenarios.FOR_ALL
    chosen = [s for s in (for_all if client == "cross" else each)
              if not args.scenario or s.__name__.replace("_", "-") in args.scenario]
    if not chosen:
        return
    home = tempfile.mkdtemp(prefix="nacre-e2e-%s-" % client)
    play_all(args, scenarios.Stage(client, harness.Server(args.nacre, home), home), chosen, report)


def play_all(args, stage, chosen, report):
    """The scenarios on one server, which is started before and stopped after; stage.home goes unless something failed and --keep."""
    server, home, good = stage.server, stage.home, False
    try:
        server.start()
        if stage.kind != "cross":
            stage.main = stage.process().wait_ready()
        results = []
        for s in chosen:
            if not server.running():
                server.start()  # one crash must not hide the other rules
            results.append(play(stage, s, report))
        good = end(stage, report) and all(results)
    except harness.Failed as e:
        report.line("failed", stage.label, "start", 0, str(e))
        report.logs(stage)
    finally:
        stage.close()
        server.close()
        if good or not args.keep:
            shutil.rmtree(home, ignore_errors=True)
        else:
            print("  kept: " + home, flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--nacre", required=True)
    p.add_argument("--client", nargs="+", choices=CLIENTS, default=CLIENTS)
    p.add_argument("--scenario", nargs="+")
    p.add_argument("--jobs", type=int, default=2, help="clients at a time (default 2)")
    p.add_argument("--keep", action="store_true")
    args = p.parse_args()
    args.nacre = os.path.abspath(args.nacre)
    if not os.access(args.nacre, os.X_OK):
        sys.exit("run.py: %s is not an executable server" % args.nacre)
    languages = sorted({x for c in args.client for x in LANGUAGES[c.split("-")[0]]})
    subprocess.run([os.path.join(harness.ROOT, "tests/e2e/install"), *languages], check=True)

    report, waiting = Report(), list(args.client)

    def worker():
        while waiting:
            try:
                client = waiting.pop(0)
            except IndexError:
                return
            run_client(args, client, report)
    workers = [threading.Thread(target=worker) for _ in range(args.jobs)]
    for w in workers:
        w.start()
    for w in workers:
        w.join()
    skipped = ", %d skipped" % report.skipped if report.skipped else ""
    print("%d passed, %d failed%s" % (report.passed, report.failed, skipped))
    return 1 if report.failed or not report.passed else 0


if __name__ == "__main__":
    sys.exit(main())
