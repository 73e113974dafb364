"""What is taken out of a recording before it is compared, and how a difference is said.

The filters take out what this server does not serve yet. They run on both sides alike, on copies: neither the recordings
nor the tools are changed. They shrink as the server grows.
"""
import json
import re
from difflib import SequenceMatcher

# The routes of `/nacos` that are served, with every method: the wrong ones are refused in Nacos's words.
ROUTES = {"/v1/ns/instance", "/v1/ns/instance/list", "/v1/ns/instance/beat", "/v1/ns/service", "/v1/ns/service/list",
          "/v1/ns/service/subscribers", "/v1/ns/catalog/services", "/v1/ns/catalog/instances", "/v1/ns/health/server",
          "/v1/ns/operator/metrics", "/v2/ns/instance", "/v2/ns/instance/list", "/v2/ns/instance/beat", "/v2/ns/service",
          "/v2/ns/service/list", "/v2/ns/client/list", "/v2/ns/client", "/v2/ns/client/publish/list",
          "/v2/ns/client/subscribe/list", "/v2/ns/operator/metrics", "/v2/ns/ops/metrics", "/v1/console/health/liveness",
          "/v1/console/health/readiness", "/v2/console/health/liveness", "/v2/console/health/readiness",
          "/v1/console/server/state", "/v1/cs/configs", "/v1/cs/configs/catalog", "/v1/cs/configs/listener", "/v1/cs/listener",
          "/v1/cs/history", "/v1/cs/history/detail", "/v1/cs/history/previous", "/v1/cs/history/configs", "/v1/cs/capacity",
          "/v1/cs/health", "/v2/cs/config", "/v2/cs/config/searchDetail", "/v2/cs/history", "/v2/cs/history/list", "/v2/cs/history/detail",
          "/v2/cs/history/previous", "/v2/cs/history/configs", "/v1/console/namespaces", "/v2/console/namespace",
          "/v2/console/namespace/list"}


def load(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(x) for x in f if x.strip()]


def save(path, lines):
    with open(path, "w", encoding="utf-8") as f:
        f.writelines(json.dumps(x, ensure_ascii=False) + "\n" for x in lines)


QUERY = re.compile(r"\?(.*)$")


def sorted_query(lines):
    """HTTP requests with their parameters in order: Go keeps them in a map, whose order is free."""
    for x in lines:
        if x["rpc"] == "http" and x["dir"] == "c2s":
            x["type"] = QUERY.sub(lambda m: "?" + "&".join(sorted(m.group(1).split("&"))), x["type"])
    return lines


def one_connection(lines):
    """All connections as one. Clients that dial a server that comes and goes need more or fewer of them by chance."""
    seen = set()
    out = []
    for x in lines:
        if x["type"] == "ConnectionSetupRequest":
            if "setup" in seen:
                continue
            seen.add("setup")
        out.append(dict(x, conn=1) if "conn" in x else x)
    return out


LATE_MS = 1000  # before the end of a connection: an ack may be cut off with it


def missing_acks(lines):
    """The recording without the acks of naming pushes, which a client may send in a later step; each push that got none is
    followed by a line that says so."""
    ends = {x["conn"]: x["t_ms"] for x in lines if "conn" in x}
    acks = {(x["conn"], x["body"]["requestId"]) for x in lines if x["type"] == "NotifySubscriberResponse"}
    out = []
    for x in lines:
        if x["type"] == "NotifySubscriberResponse":
            continue
        out.append(x)
        if (x["type"] == "NotifySubscriberRequest" and (x["conn"], x["body"]["requestId"]) not in acks
                and ends[x["conn"]] - x["t_ms"] > LATE_MS):
            out.append(dict(x, dir="c2s", type="no NotifySubscriberResponse"))
    return out


REDO_MS = 500  # after the request


def without_redo(lines):
    """The recording without what the SDK did again by its own clock, and without the answers to that: Java looks every 3 s for what is
    not confirmed, and repeats, word for word, a registration or subscription whose answer was just on its way."""
    sent, again, out = {}, set(), []
    for x in lines:
        if x.get("dir") == "c2s" and x["type"] in ("InstanceRequest", "BatchInstanceRequest", "SubscribeServiceRequest"):
            words = json.dumps([x["conn"], x["type"], x["body"], x.get("headers")])
            if x["t_ms"] - sent.setdefault(words, x["t_ms"] - REDO_MS) < REDO_MS:
                again.add((x["conn"], x["call"]))
            else:
                sent[words] = x["t_ms"]
        if (x.get("conn"), x.get("call")) not in again:
            out.append(x)
    return out


# What a configuration client does when it is told of a change, and what its own clock makes it ask.
LISTENING = {"ConfigChangeNotifyRequest", "ConfigChangeNotifyResponse", "NotifySubscriberResponse", "ConfigBatchListenRequest",
             "ConfigChangeBatchListenResponse", "ConfigQueryRequest", "ConfigQueryResponse"}


def listening_aside(lines):
    """The recording with the traffic of listening and reading after all else, as if in a step of its own. The original tells of a
    change some 100 ms late and this server at once, and clients ask by their own clocks: which step such a message falls into is
    free, so the set of all of a connection is compared. What a call gave back to its caller stays in its step."""
    config = {x["conn"] for x in lines if x["type"] == "ConnectionSetupRequest" and (x["body"].get("labels") or {}).get("module") == "config"}
    aside = [x for x in lines if x.get("conn") in config and x["type"] in LISTENING]
    if not aside:
        return lines
    rest = [x for x in lines if not (x.get("conn") in config and x["type"] in LISTENING)]
    return rest + [{"rpc": "note", "type": "call", "t_ms": lines[-1]["t_ms"], "body": {"step": "(listening and reading)"}}] + aside


def until(lines, note):
    """A recording up to a note of the driver."""
    for n, x in enumerate(lines):
        if x["rpc"] == "note" and x["type"] == note:
            return lines[:n + 1]
    return lines


def served_routes(lines):
    """An HTTP recording with only the exchanges on routes that are served."""
    served = [x for x in without_beats(lines) if x["req"]["path"].removeprefix("/nacos").rstrip("/") in ROUTES]
    for x in served:  # compare.py sorts only lists whose order is free below certain keys
        body = x["res"].get("body")
        if isinstance(body, list):
            body.sort(key=json.dumps)
        elif isinstance(body, dict) and "list" in body and len(body["list"]) == body["count"]:  # all there is, on one page
            body["list"].sort(key=lambda i: (i["ip"], i["port"]))
    return served


BEAT_LIST = re.compile(r"list (\S+) s after the last beat$")
# Without beats an instance is unhealthy after 15 s and gone after 30 s. The original looks every 5 s, the driver twice a second, and
# its clock starts a moment after the last beat.
BEAT_WINDOWS = ((14, 21, "15 to 20 s"), (29, 36, "30 to 35 s"))


def without_beats(lines):
    """The lists that the driver saw change after the last beat as one answer: what became of each instance, and when.
    As the original looks every 5 s, two instances that end together change at different times there, and other lists are seen."""
    lists = [x for x in lines if BEAT_LIST.match(x["case"])]
    if not lists:
        return lines
    before, story = hosts(next(x for x in lines if x["case"] == "list at once")), {}
    for x in lists:
        now = hosts(x)
        for ip in sorted(before.keys() | now.keys()):
            if before.get(ip) != now.get(ip):
                story.setdefault(ip, []).append({window(x): now.get(ip, "gone")})
        before = now
    others = [x for x in lines if not BEAT_LIST.match(x["case"])]
    return others + [dict(lists[0], case="after the last beat", res=dict(lists[0]["res"], body=story))]


def hosts(listed):
    return {i["ip"]: i for i in listed["res"]["body"]["hosts"]}


def window(listed):
    seconds = float(BEAT_LIST.match(listed["case"])[1])
    return next((name for low, high, name in BEAT_WINDOWS if low <= seconds <= high), "%.1f s" % seconds)


# The original pushes 500 ms after a change, this server at once: the same push may belong to an earlier step here.
PUSHED = ("NotifySubscriberRequest", "event")


def drop_moved(groups):
    """Takes out of [(place, lines)] each pushed message that only moved from one step of a connection to another."""
    seen = {}
    for place, lines in groups:
        for line in lines:
            if json.loads(line[2:]).get("type") in PUSHED:
                who = place.rsplit(", ", 1)[-1]
                seen.setdefault((who, line[2:]), {"-": [], "+": []})[line[0]].append(lines)
    for (_, text), sides in seen.items():
        for minus, plus in zip(sides["-"], sides["+"]):
            minus.remove("- " + text)
            plus.remove("+ " + text)


def shape(line):
    """What two messages must share to be one message that differs: its kind, and for notes the step."""
    v = json.loads(line[2:])
    return [v.get(k) for k in ("rpc", "type", "dir")] if "rpc" in v else []


def paths(a, b, path=""):
    """The places where two JSON values differ, as "path: a -> b"."""
    if isinstance(a, dict) and isinstance(b, dict):
        for k in sorted(a.keys() | b.keys()):
            here = path + "." + k if path else k
            if k not in b:
                yield "%s: %s -> absent" % (here, json.dumps(a[k], ensure_ascii=False))
            elif k not in a:
                yield "%s: absent -> %s" % (here, json.dumps(b[k], ensure_ascii=False))
            else:
                yield from paths(a[k], b[k], here)
    elif isinstance(a, list) and isinstance(b, list) and len(a) == len(b):
        for n, (x, y) in enumerate(zip(a, b)):
            yield from paths(x, y, "%s[%d]" % (path, n))
    elif a != b:
        yield "%s: %s -> %s" % (path, json.dumps(a, ensure_ascii=False), json.dumps(b, ensure_ascii=False))


def say(where, lines):
    """The '-' (only the original) and '+' (only ours) lines of one place; alike ones become "~ type path: theirs -> ours"."""
    plus = [x for x in lines if x.startswith("+ ")]
    for minus in (x for x in lines if x.startswith("- ")):
        alike = [x for x in plus if shape(x) == shape(minus)]
        if not alike:
            yield where, minus
            continue
        best = max(alike, key=lambda x: SequenceMatcher(None, minus, x, autojunk=False).quick_ratio())
        plus.remove(best)
        a, b = json.loads(minus[2:]), json.loads(best[2:])
        for p in paths(a, b):
            yield where, "~ %s %s" % (a.get("type") if "rpc" in a else "answer", p)
    for x in plus:
        yield where, x
