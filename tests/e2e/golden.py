#!/usr/bin/env python3
"""Records the scenarios of ../shared/golden against our server and compares with what Nacos 2.5.1 said.

usage: golden.py --nacre BIN [--client NAME ...] [--scenario NAME ...] [--jobs N] [--out DIR]

Clients: java-2.5.1 java-2.0.4 java-3.0.3 go-2.3.5 python-3.2.0, and http (the routes that are served).
A difference passes if an entry of golden_expected.json matches it; most name the row of docs/COMPAT.md that explains them.
A recording with other differences is made once more, alone; that is said, and counts.
One line per scenario and client, 'N passed, N failed' at the end. Exit status: 0 no unexplained difference, 1 some, 77 no recordings.

The recordings' tools want the ports 8848, 9848, 18848 and 19848. Each client gets them in a network namespace of its own; where
that is not allowed, clients run one after the other on the machine's own ports.
"""
import argparse
import concurrent.futures
import ctypes
import fcntl
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

import golden_filter
import harness

SKIP = 77
HERE = os.path.dirname(os.path.abspath(__file__))
GOLDEN = os.path.join(harness.ROOT, "..", "shared", "golden")
WORK = os.path.join(harness.BUILT, "golden")
TOOLS = os.path.join(WORK, "tools")
PORT = 8848
SCENARIOS = ("connect-idle instance-ephemeral instance-persistent instance-batch replace subscribe subscribe-cluster services "
             "config-crud config-params config-listen config-beta config-cipher refused oversize kill9 freeze-short restart").split()
CLIENTS = ["java-2.5.1", "java-2.0.4", "java-3.0.3", "go-2.3.5", "python-3.2.0"]
HTTP_AREAS = ["health", "console", "config-v1", "config-search", "config-batch", "config-history", "config-v2", "config-misc",
              "naming-instance", "beats", "naming-service", "naming-v2", "longpoll", "checks", "sweep"]
LIMIT_S = 150  # for one scenario
# compare.py without flags sees a changed, missing or additional message of either side, per step and connection; that was tried
# with doctored copies. Where a client comes back by its own clock, no message has a fixed step.
FLAGS = {"restart": ["--whole"]}


# ---------------------------------------------------------------- preparing

def prepare(clients):
    """Copies the tools, which lie in a read-only folder and build beside their sources, and builds the drivers once."""
    if not os.path.exists(TOOLS) or newest(os.path.join(GOLDEN, "tools")) > os.path.getmtime(TOOLS):
        shutil.rmtree(TOOLS, ignore_errors=True)
        shutil.copytree(os.path.join(GOLDEN, "tools"), TOOLS)
        for root, dirs, _ in os.walk(TOOLS):
            for d in [root] + [os.path.join(root, x) for x in dirs]:
                os.chmod(d, 0o755)
        os.utime(TOOLS)
    env = dict(os.environ, GOTOOLCHAIN="local", PATH=os.environ["PATH"] + ":/usr/local/go/bin:/usr/lib/go-1.23/bin")
    run(["go", "build", "-o", os.path.join(WORK, "tap"), "."], cwd=os.path.join(TOOLS, "tap"), env=env)
    for c in clients:
        language, _, version = c.partition("-")
        if language == "go":
            run(["go", "build", "-o", os.path.join(WORK, "go-driver"), "."], cwd=os.path.join(TOOLS, "go"), env=env)
        if language == "java" and not os.path.exists(os.path.join(TOOLS, "java", "build", version, "done")):
            # It fails, because there is no scenario "none", after it has built.
            run([os.path.join(TOOLS, "java", "driver.sh"), version, "none"], check=False)


def newest(folder):
    return max(os.path.getmtime(os.path.join(r, f)) for r, _, fs in os.walk(folder) for f in fs)


def run(command, check=True, **kw):
    p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, **kw)
    if check and p.returncode:
        sys.exit("golden.py: %s failed:\n%s" % (" ".join(command), p.stdout[-3000:]))


def driver_of(client):
    language, _, version = client.partition("-")
    return {"java": "%s/java/driver.sh %s" % (TOOLS, version), "go": os.path.join(WORK, "go-driver"),
            "python": "%s/venv/bin/python %s/python/driver.py" % (harness.BUILT, TOOLS)}[language]


# ---------------------------------------------------------------- one client, in a process of its own

CLONE_NEWNET = 0x40000000
SIOCSIFADDR, SIOCGIFFLAGS, SIOCSIFFLAGS, IFF_UP = 0x8916, 0x8913, 0x8914, 1
TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 1, 0x1000


def own_network():
    """A network namespace with a loopback, and the recording machine's address. False if not allowed.

    The address is on a TUN device that nobody reads, because Go reports no address of a loopback as its own; where there is no
    /dev/net/tun it is on the loopback."""
    if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET) != 0:
        return False
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        def up(name):
            flags = struct.unpack("16sh", fcntl.ioctl(s, SIOCGIFFLAGS, struct.pack("16sh", name, 0)))[1]
            fcntl.ioctl(s, SIOCSIFFLAGS, struct.pack("16sh", name, flags | IFF_UP))
        up(b"lo")
        device = tun()
        address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton("192.0.2.2"))
        fcntl.ioctl(s, SIOCSIFADDR, struct.pack("16s16s8x", device or b"lo:1", address))
        if device:
            up(device)
    return True


def tun():
    """The name of a new TUN device; it is there as long as this process and its children are."""
    try:
        fd = os.open("/dev/net/tun", os.O_RDWR)
        fcntl.ioctl(fd, TUNSETIFF, struct.pack("16sh", b"recorded", IFF_TUN | IFF_NO_PI))
        return b"recorded"
    except OSError:
        return None


class Control:
    """Lets record.py stop and start the server, which stays this process's child: a command that talks to a socket."""

    def __init__(self, server, home):
        self.server = server
        self.path = os.path.join(home, "control")
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.bind(self.path)
        self.socket.listen(1)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            with self.socket.accept()[0] as c:
                order = c.recv(16).decode()
                try:
                    self.server.start() if order == "start" else self.server.stop()
                    c.sendall(b"0")
                except harness.Failed as e:
                    c.sendall(str(e).encode())


def control(path, order):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(harness.READY_S + harness.STOP_S)
        s.connect(path)
        s.sendall(order.encode())
        answer = s.recv(4096).decode()
    return 0 if answer == "0" else answer or "no answer"


def record(args, client, scenario, home):
    """One scenario on a fresh server. Returns what record.py says of it."""
    server = harness.Server(args.nacre, home, PORT)
    tap = None
    try:
        server.start()
        if client == "http":
            command = [sys.executable, os.path.join(TOOLS, "http_record.py"), "--out", os.path.join(args.out, "http"), *HTTP_AREAS]
        else:
            with open(os.path.join(home, "tap.log"), "w", encoding="utf-8") as log:
                tap = subprocess.Popen([os.path.join(WORK, "tap"), "-dir", args.out], stdout=log, stderr=log,
                                       preexec_fn=harness.die_with_parent)
            harness.wait_for("the tap listens", lambda: connects(PORT + 10000), bool, 5)
            command = [sys.executable, os.path.join(TOOLS, "record.py"), "--client", client, "--driver", driver_of(client),
                       "--server", "%s %s --control %s" % (sys.executable, os.path.abspath(__file__), Control(server, home).path),
                       "--dir", args.out, "--ip", "192.0.2.2", scenario]
        # The drivers make their homes in the temporary folder, and keep caches there.
        p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S, cwd=home,
                           env=dict(os.environ, TMPDIR=home), preexec_fn=harness.die_with_parent)
        said = p.stdout.strip()
        server.stop()
        return said if p.returncode == 0 else "FAILED " + said
    finally:
        if tap:
            tap.terminate()
            tap.wait()
        server.close()


def connects(port):
    with socket.socket() as s:
        return s.connect_ex(("127.0.0.1", port)) == 0


def worker(args, client, scenarios):
    isolated = own_network()
    if not isolated and connects(PORT):
        print("FAILED port %d is in use, and this machine allows no network namespace" % PORT)
        return 1
    bad = 0
    for s in scenarios:
        home = tempfile.mkdtemp(prefix="nacre-golden-")
        try:
            said = record(args, client, s, home)
        except (harness.Failed, subprocess.TimeoutExpired, OSError) as e:
            said = "FAILED %s" % e
        print(said.replace("\n", " | "))
        if "FAILED" in said:
            print("  server log:\n" + harness.tail(os.path.join(home, "server.log")))
            bad = 1
        sys.stdout.flush()
        shutil.rmtree(home, ignore_errors=True)
    return bad


# ---------------------------------------------------------------- comparing

class Expected:
    """golden_expected.json: the differences that are meant.

    An entry matches by regular expressions (client, scenario, where, line; absent: any) and says "why", backed by one of
    "slug" (a row of docs/COMPAT.md), "later" (words of its paragraph "Not served yet"), "unserved" (a route that is not
    served yet, whose effect is missing) or "recording" (true: the recording itself is the reason). What is not backed explains
    nothing; what is not needed any more is named at the end, unless it is only "sometimes" there.
    """

    def __init__(self):
        with open(os.path.join(HERE, "golden_expected.json"), encoding="utf-8") as f:
            entries = json.load(f)
        with open(os.path.join(harness.ROOT, "docs", "COMPAT.md"), encoding="utf-8") as f:
            text = f.read()
        self.rows = set(re.findall(r"^\| `([\w-]+)` \|", text, re.M))
        self.later = " ".join(text.partition("Not served yet")[2].partition("\n\n")[0].split())
        self.entries = [e for e in entries if self.backed(e)]
        self.used = set()

    def backed(self, e):
        good = (e.get("slug") in self.rows or "later" in e and e["later"] in self.later or
                "unserved" in e and e["unserved"] not in golden_filter.ROUTES or e.get("recording", False))
        if not good:
            print("note: docs/COMPAT.md does not back this: %s" % json.dumps(e, ensure_ascii=False))
        return good

    def explains(self, client, scenario, where, line):
        for n, e in enumerate(self.entries):
            if all(re.search(e.get(k, ""), v) for k, v in (("client", client), ("scenario", scenario), ("where", where), ("line", line))):
                self.used.add(n)
                return True
        return False


def compare_tool():
    """compare.py without its cut of long lines: a message that is cut is no JSON any more."""
    path = os.path.join(harness.BUILT, "compare.py")
    with open(os.path.join(TOOLS, "compare.py"), encoding="utf-8") as f:
        text = f.read()
    with open(path, "w", encoding="utf-8") as f:
        f.write(text.replace("[:1500]", ""))
    return path


def differences(golden, other, flags):
    """What compare.py finds, as [(where, what)]: the step and connection or the HTTP case, and what is different there."""
    p = subprocess.run([sys.executable, compare_tool(), golden, other, "--max", "100000", *flags],
                       stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=60)
    if p.returncode == 0:
        return []
    found, groups = [], [("", [])]
    for line in p.stdout.splitlines()[:-1]:  # the last one is the verdict
        if line.startswith("   "):
            groups[-1][1].append(line.strip())
            continue
        place = line.split(": ", 1)[-1].rstrip(":")
        groups.append((place, []))
        if "missing in the other" in line or "only in the other" in line or place[:1] in "+-@":
            found.append(("steps", place))
    golden_filter.drop_moved(groups)
    for group in groups:
        found.extend(golden_filter.say(*group))
    return found


def comparable(client, scenario, lines):
    if client == "http":
        return golden_filter.served_routes(lines)
    if (client, scenario) == ("python-3.2.0", "restart"):
        lines = golden_filter.until(lines, "server start")  # the driver of the original ended before that was done
    lines = golden_filter.sorted_query(golden_filter.missing_acks(lines))
    if client.startswith("java"):
        lines = golden_filter.without_redo(lines)
    lines = golden_filter.listening_aside(lines)
    return golden_filter.one_connection(lines) if scenario == "restart" else lines


def recordings(args, client, scenario):
    """The original's and ours."""
    name = os.path.join("http" if client == "http" else os.path.join("grpc", client), scenario + ".jsonl")
    return os.path.join(GOLDEN, name), os.path.join(args.out, name)


def remove_recording(args, client, scenario):
    _, other = recordings(args, client, scenario)
    if os.path.exists(other):
        os.remove(other)


def compare(args, client, scenario, expected):
    """The unexplained differences of one recording, as texts, and how many there are with the explained ones."""
    golden, other = recordings(args, client, scenario)
    if not os.path.exists(other):
        return ["no recording was made"], 1
    with tempfile.TemporaryDirectory() as d:
        pair = [os.path.join(d, x) for x in ("golden.jsonl", "other.jsonl")]
        for source, target in zip((golden, other), pair):
            golden_filter.save(target, comparable(client, scenario, golden_filter.load(source)))
        found = differences(*pair, FLAGS.get(scenario, []))
    return ["%s\n        %s" % f for f in found if not expected.explains(client, scenario, *f)], len(found)


# ---------------------------------------------------------------- the whole

def start_worker(args, client, scenarios):
    command = [sys.executable, os.path.abspath(__file__), "--worker", "--nacre", args.nacre, "--out", args.out,
               "--client", client, "--scenario", *scenarios]
    try:
        p = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=LIMIT_S * len(scenarios) + 30,
                           preexec_fn=harness.die_with_parent)
        return p.stdout
    except subprocess.TimeoutExpired as e:
        return "FAILED %s" % e


def report(args, verdict, client, scenario, result):
    bad, known = result
    print("%s   %-13s %-20s %d differences, %d explained" % (verdict, client, scenario, known, known - len(bad)))
    for b in bad[:args.max]:
        print("    " + b[:1600])
    if len(bad) > args.max:
        print("    ... and %d more" % (len(bad) - args.max))
    sys.stdout.flush()


def report_all(args, plan, expected):
    """Counts of passed and failed. A recording that differs is made once more, with nothing beside it: clients poll, retry and
    time out by real clocks, and four of them on two cores sometimes do so in another order than the original's. What a
    server does wrong is wrong again; both results are printed."""
    first = {(c, s): compare(args, c, s, expected) for c, names in plan.items() for s in names}
    again = [k for k, (bad, _) in first.items() if bad] if not args.compare_only else []
    for k, result in first.items():
        report(args, "again " if k in again else "failed" if result[0] else "passed", *k, result)
    failed = 0 if again else sum(bool(bad) for bad, _ in first.values())
    for client in sorted({c for c, _ in again}):
        names = [s for c, s in again if c == client]
        for s in names:
            remove_recording(args, client, s)
        print(start_worker(args, client, ["all"] if client == "http" else names).rstrip())
        for s in names:
            result = compare(args, client, s, expected)
            report(args, "failed" if result[0] else "passed", client, s, result)
            failed += bool(result[0])
    return len(first) - failed, failed


def parse():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--nacre")
    p.add_argument("--client", nargs="+", choices=CLIENTS + ["http"], default=CLIENTS + ["http"])
    p.add_argument("--scenario", nargs="+", help="scenarios of the gRPC clients, or areas of http")
    p.add_argument("--jobs", type=int, default=4, help="clients at a time (default 4: they mostly wait)")
    p.add_argument("--out", help="keep the recordings here; with --compare-only compare what is there")
    p.add_argument("--compare-only", action="store_true")
    p.add_argument("--max", type=int, default=20, help="unexplained differences to print per recording")
    p.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    p.add_argument("--control", nargs=2, help=argparse.SUPPRESS)
    return p.parse_args()


def plan_of(args):
    """What to record per client: only what was recorded of the original."""
    plan = {}
    for c in args.client:
        names, folder = (HTTP_AREAS, "http") if c == "http" else (SCENARIOS, os.path.join("grpc", c))
        plan[c] = [s for s in names if (not args.scenario or s in args.scenario) and
                   os.path.exists(os.path.join(GOLDEN, folder, s + ".jsonl"))]
    return {c: s for c, s in plan.items() if s}


def record_all(args, plan):
    prepare(plan)
    jobs = args.jobs
    if subprocess.run([sys.executable, "-c", "import golden, sys; sys.exit(not golden.own_network())"], cwd=HERE).returncode:
        print("no network namespaces here: one client at a time, on the machine's own ports")
        jobs = 1
    with concurrent.futures.ThreadPoolExecutor(jobs) as pool:
        # http records all its areas on one server, as the original did: their order is part of the recording.
        runs = {pool.submit(start_worker, args, c, ["all"] if c == "http" else s): c for c, s in plan.items()}
        for r in concurrent.futures.as_completed(runs):
            print(r.result().rstrip(), flush=True)


def main():
    args = parse()
    if args.control:
        return control(*args.control)
    if args.worker:
        return worker(args, args.client[0], args.scenario)
    if not os.path.isdir(GOLDEN):
        print("skipped: no recordings beside the repository")
        return SKIP
    begin = time.monotonic()
    scratch = None if args.out else tempfile.mkdtemp(prefix="nacre-golden-out-")
    args.out = os.path.abspath(args.out or scratch)
    args.nacre = args.nacre and os.path.abspath(args.nacre)
    plan = plan_of(args)
    try:
        if not args.compare_only:
            languages = sorted({c.split("-")[0] for c in plan if c != "http"})
            subprocess.run([os.path.join(HERE, "install"), *(languages or ["python"])], check=True)
            record_all(args, plan)
        expected = Expected()
        passed, failed = report_all(args, plan, expected)
    finally:
        if scratch:
            shutil.rmtree(scratch, ignore_errors=True)
    if not args.scenario and args.client == CLIENTS + ["http"]:
        for n, e in enumerate(expected.entries):
            if n not in expected.used and not e.get("sometimes"):
                print("note: nothing needed this explanation: %s" % json.dumps(e, ensure_ascii=False))
    print("%.0f s" % (time.monotonic() - begin))
    print("%d passed, %d failed" % (passed, failed))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
