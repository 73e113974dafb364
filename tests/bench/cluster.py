"""Figures of three nodes on this machine, for tests/bench/run: nodes and generator share all cores."""

import contextlib
import os
import pathlib
import statistics
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
import cluster_harness  # noqa: E402

GRPC_OFFSET = 1000
IDLE_S = 20

FIGURES = {
    "cluster_register_rate": ("**three nodes: registrations through a follower, 100 × 10**", "/s", 8000, "at least"),
    "cluster_register_leader_rate": ("three nodes: registrations through the leader, 100 × 10", "/s", None, ""),
    "cluster_push_p50_ms": ("**three nodes: register answered on one → push received from another, p50**", "ms", 5, "at most"),
    "cluster_push_p99_ms": ("**three nodes: register answered on one → push received from another, p99**", "ms", 20, "at most"),
    "cluster_publish_rate": ("**three nodes: publishes of 1 KB through a follower, 100 × 1**", "/s", 2500, "at least"),
    "cluster_publish_p99_ms": ("three nodes: publish of 1 KB through a follower, p99", "ms", None, ""),
    "cluster_get_leader_cpu": ("three nodes: get of a 1 KB config from the leader, 100 × 1: CPU per request", "µs", None, ""),
    "cluster_get_follower_cpu": ("three nodes: the same from a follower", "µs", None, ""),
    "cluster_get_ratio": ("**three nodes: get from a follower ÷ from the leader**", "×", 1.1, "at most"),
    "cluster_idle_cpu": ("**three idle nodes: CPU of each, the busiest**", "% of a core", 0.5, "at most"),
    "cluster_idle_rss_mb": ("**three idle nodes: resident memory of each, the largest**", "MB", 25, "at most"),
}


@contextlib.contextmanager
def three(bench):
    """Three nodes with empty directories; the cluster, its leader and its followers."""
    with tempfile.TemporaryDirectory(prefix="nacre-bench-cluster-", dir=bench.options.data_root) as home:
        cores = os.sched_getaffinity(0)
        os.sched_setaffinity(0, range(os.cpu_count()))
        cluster = cluster_harness.Cluster(str(bench.options.build / "nacre"), home)
        try:
            cluster.start()
            leader = cluster.leader()
            yield cluster, leader, [n for n in cluster.nodes if n is not leader]
            cluster.stop()
        finally:
            cluster.close()
            os.sched_setaffinity(0, cores)


def idle(bench, cluster, cpu_ns, rss_mb):
    pids = [n.process.pid for n in cluster.nodes]
    time.sleep(3)
    before = [cpu_ns(pid) for pid in pids]
    time.sleep(IDLE_S)
    bench.note("cluster_idle_cpu", max(cpu_ns(pid) - b for pid, b in zip(pids, before)) / (IDLE_S * 1e9) * 100)
    bench.note("cluster_idle_rss_mb", max(rss_mb(pid) for pid in pids))


def gets(bench, leader, follower):
    """Next to each other and in turn, so that a noisy neighbour hits both."""
    of = {leader: [], follower: []}
    for node in (leader, follower, follower, leader):
        result = bench.load(node.port, "config-get", "--content-bytes", "1024", pid=node.process.pid, cores="all")
        of[node].append(result["server_cpu_us"])
    of_leader, of_follower = statistics.mean(of[leader]), statistics.mean(of[follower])
    bench.note("cluster_get_leader_cpu", of_leader)
    bench.note("cluster_get_follower_cpu", of_follower)
    bench.note("cluster_get_ratio", of_follower / of_leader)


def measure(bench, cpu_ns, rss_mb):
    """One round of all figures."""
    with three(bench) as (cluster, leader, followers):
        idle(bench, cluster, cpu_ns, rss_mb)
        one, other = followers
        result = bench.load(one.port, "subscribe", "--publish-port", str(other.port + GRPC_OFFSET), "--interval-ms", "20", cores="all")
        bench.note("cluster_push_p50_ms", result["p50_us"] / 1000)
        bench.note("cluster_push_p99_ms", result["p99_us"] / 1000)
        gets(bench, leader, one)
        result = bench.load(one.port, "config-publish", "--content-bytes", "1024", cores="all")
        bench.note("cluster_publish_rate", result["rate_per_s"])
        bench.note("cluster_publish_p99_ms", result["p99_us"] / 1000)
        for node, name in ((one, "cluster_register_rate"), (leader, "cluster_register_leader_rate")):
            bench.note(name, bench.load(node.port, "register", "--inflight", "10", cores="all")["rate_per_s"])
