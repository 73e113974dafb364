"""What every client must be able to do with configs. Same rules as scenarios.py.

A client answers a read from the server, so what was published is read at once, never waited for; only what a listener is told
needs a moment.
"""
import hashlib
import json
import random
import threading
import time

import harness
from harness import Failed, wait_for
from scenarios import BACK_S, G, QUIET_S, SEEN_S, Watch, instance, ms

LARGE_BYTES = 5 << 20
SDK_LARGE_BYTES = 3 << 20  # for an SDK that takes no answer of 5 MiB
LARGE_S = 3  # what the SDKs wait for an answer
ROUNDS = 30
KILLS = 3
KILL_AFTER = 20  # acknowledged publishes


def md5(content):
    return hashlib.md5(content.encode()).hexdigest()


class ConfigClient:
    """One SDK client for configs in a driver; label: the tag that its connection carries."""

    def __init__(self, stage, name, namespace="", driver=None, label=None):
        self.stage, self.driver, self.name = stage, driver or stage.main, stage.scenario + "." + name
        extra = {"tag": label} if label else {}
        self.call("open-config", server=stage.server.address, namespace=namespace, **extra)
        stage.clients.append(self)

    def call(self, op, **args):
        return self.driver.call(op, client=self.name, **args)

    def publish(self, data_id, content, group=G, **fields):
        self.call("publish", dataId=data_id, group=group, content=content, **fields)

    def refused(self, data_id, content, group=G, **fields):
        """The error of a publish that must not succeed."""
        said = self.driver.send("publish", client=self.name, dataId=data_id, group=group, content=content, **fields)
        if "error" not in said:
            raise Failed("published %r in group %r with %s, expected an error" % (data_id, group, fields))
        return said["error"]

    def get(self, data_id, group=G):
        return self.call("get", dataId=data_id, group=group)

    def remove(self, data_id, group=G):
        self.call("remove", dataId=data_id, group=group)

    def reads(self, data_id, content, group=G):
        """The config is this, at once; None: there is none."""
        found = self.get(data_id, group)
        if found != content:
            raise Failed("%s reads %r of %s, expected %r" % (self.name, brief(found), data_id, brief(content)))

    def close(self):
        self.call("close")
        self.stage.clients.remove(self)


def brief(content):
    return content if content is None or len(content) <= 80 else "%s... (%d characters)" % (content[:60], len(content))


class Listening:
    """A listener: what it was told, in order."""

    def __init__(self, client, data_id, group=G):
        self.driver, self.name = client.driver, "%s/%s/%s" % (client.name, group, data_id)
        client.call("listen", sub=self.name, dataId=data_id, group=group)

    def heard(self):
        return [content for _, content in self.driver.seen(self.name)]

    def hears(self, content, timeout_s=SEEN_S):
        """Waits until this is the newest; returns when that was, in monotonic seconds."""
        wait_for("%s hears %r" % (self.name, brief(content)), lambda: [brief(c) for c in self.heard()[-1:]],
                 lambda last: last == [brief(content)] and self.heard()[-1] == content, timeout_s)
        return self.driver.seen(self.name)[-1][0]

    def stop(self):
        self.driver.call("unlisten", sub=self.name)


def http(t, method, path, want=200, **args):
    """The text of one request; another status is a failure."""
    status, text = harness.http(t.server.port, method, "/nacos" + path, **args)
    if status != want:
        raise Failed("%s %s: %d %s, expected %d" % (method, path, status, text[:300], want))
    return text


def http_publish(t, data_id, content, headers=None, **fields):
    form = dict(fields, dataId=data_id, group=fields.get("group", G), content=content)
    if http(t, "POST", "/v1/cs/configs", form=form, headers=headers) != "true":
        raise Failed("POST /v1/cs/configs of %s did not say true" % data_id)


def expect(what, found, wanted):
    if found != wanted:
        raise Failed("%s: found %s, expected %s" % (what, json.dumps(found), json.dumps(wanted)))


# ---------------------------------------------------------------- scenarios

def config_crud(t):
    """What was published is read by everybody at once, and gone after the removal."""
    a, b = ConfigClient(t, "a"), ConfigClient(t, "b")
    a.reads("crud", None)
    a.refused("crud", " \n")
    for content in ("a=1\n\u4e2d\u6587 \U0001f600\r\n\ttab \"quoted\" \\ /\u007f\u0001", "x", "x", "y" * 100000):
        a.publish("crud", content)
        a.reads("crud", content)
        b.reads("crud", content)
        expect("GET /v1/cs/configs", http(t, "GET", "/v1/cs/configs?dataId=crud&group=" + G), content)
    a.publish("crud", "elsewhere", group="G2")
    b.reads("crud", "elsewhere", group="G2")
    b.remove("crud")
    a.reads("crud", None)
    b.reads("crud", "elsewhere", group="G2")
    a.remove("crud", group="G2")
    a.remove("crud-never")
    http(t, "GET", "/v1/cs/configs?dataId=crud&group=" + G, want=404)


def config_types(t):
    """The type travels with the config; what is no type becomes text."""
    a = ConfigClient(t, "a")
    for given, stored in (("json", "json"), ("yaml", "yaml"), ("properties", "properties"), ("nonsense", "text"), ("", "text")):
        a.publish("types", "{}", **({"type": given} if given else {}))
        _, _, headers = harness.http_bytes(t.server.port, "GET", "/nacos/v1/cs/configs?dataId=types&group=" + G)
        expect("Config-Type after type %r" % given, headers["Config-Type"], stored)
        expect("Content-MD5", headers["Content-MD5"], md5("{}"))
    a.remove("types")


def config_cas(t):
    """Compare and set: the right md5 passes, a wrong one is refused and changes nothing, a missing config takes any."""
    a, b = ConfigClient(t, "a"), ConfigClient(t, "b")
    a.publish("cas", "one")
    b.publish("cas", "two", cas=md5("one"))
    why = a.refused("cas", "three", cas=md5("one"))
    a.reads("cas", "two")
    a.publish("cas", "three", cas=md5("two"))
    b.reads("cas", "three")
    a.remove("cas")
    a.publish("cas", "four", cas=md5("three"))
    b.reads("cas", "four")
    a.remove("cas")
    return "a wrong md5: " + why.splitlines()[0][:80]


def config_fields(t):
    """Every field that a publish can carry is stored, and shown by the detail."""
    a = ConfigClient(t, "a")
    fields = {"type": "json", "appName": "app1", "config_tags": "t1,t2", "desc": "a description", "use": "some use",
              "effect": "some effect", "schema": "{\"s\":1}", "src_user": "joe"}
    http_publish(t, "fields", "{\"a\":1}", **fields)
    a.reads("fields", "{\"a\":1}")
    detail = json.loads(http(t, "GET", "/v1/cs/configs?show=all&dataId=fields&group=" + G))
    shown = {"content": "{\"a\":1}", "md5": md5("{\"a\":1}"), "type": "json", "appName": "app1", "configTags": "t1,t2",
             "desc": "a description", "use": "some use", "effect": "some effect", "schema": "{\"s\":1}", "createUser": "joe",
             "createIp": "127.0.0.1", "tenant": ""}
    expect("detail", {k: detail.get(k) for k in shown}, shown)
    if t.main.can("publish-fields"):
        tags = {"tags": "t3,t4"} if t.main.can("publish-tags") else {}
        a.publish("fields-sdk", "k: v", type="yaml", app="app2", user="jane", **tags)
        detail = json.loads(http(t, "GET", "/v1/cs/configs?show=all&dataId=fields-sdk&group=" + G))
        shown = {"content": "k: v", "type": "yaml", "appName": "app2", **({"configTags": "t3,t4"} if tags else {})}
        expect("detail of what the SDK published", {k: detail.get(k) for k in shown}, shown)
        a.remove("fields-sdk")
    a.remove("fields")


def config_history(t):
    """History has every change with what was there, also the first publish; newest first."""
    a = ConfigClient(t, "a")
    for content in ("h1", "h2"):
        a.publish("hist", content)
    a.remove("hist")
    page = json.loads(http(t, "GET", "/v1/cs/history?search=accurate&pageNo=1&pageSize=10&dataId=hist&group=" + G))
    rows = page["pageItems"]
    expect("operations", [r["opType"].strip() for r in rows], ["D", "U", "I"])
    contents = []
    for r in rows:
        one = json.loads(http(t, "GET", "/v1/cs/history?dataId=hist&group=%s&nid=%s" % (G, r["id"])))
        contents.append(one["content"])
    # Nacos keeps what was there before a change, and for a first publish what it wrote.
    expect("contents of the history", contents, ["h2", "h1", "h1"])


def config_listen(t):
    """A listener hears of every change, of a config that comes and of one that goes; after unlisten of nothing."""
    other = t.process().wait_ready()
    p, a, b = ConfigClient(t, "p"), ConfigClient(t, "a"), ConfigClient(t, "b", driver=other)
    p.publish("listen", "v1")
    on_a, on_b, missing = Listening(a, "listen"), Listening(b, "listen"), Listening(a, "listen-later")
    late = []

    def step(do, listeners, content):
        begin = time.monotonic()
        do()
        late.extend(x.hears(content) - begin for x in listeners)
    if t.main.can("listen-tells-at-once"):
        on_a.hears("v1")
        on_b.hears("v1")
    p.publish("listen", "v2")
    for x in (on_a, on_b):
        x.hears("v2")  # Go begins to listen up to 5 s after it was asked to: that is not counted
    for n in range(3, 7):
        step(lambda n=n: p.publish("listen", "v%d" % n), (on_a, on_b), "v%d" % n)
    step(lambda: p.publish("listen-later", "now here"), (missing,), "now here")
    step(lambda: p.remove("listen"), (on_a, on_b), None)
    step(lambda: b.publish("listen", "back"), (on_a, on_b), "back")
    witness = ConfigClient(t, "witness")
    seen = Listening(witness, "listen")
    on_a.stop()
    on_b.stop()
    time.sleep(QUIET_S)
    before = len(on_a.heard()), len(on_b.heard())
    p.publish("listen", "nobody but the witness")
    seen.hears("nobody but the witness")
    time.sleep(QUIET_S)
    expect("events after unlisten", [len(on_a.heard()), len(on_b.heard())], list(before))
    for x in (missing, seen):
        x.stop()
    for data_id in ("listen", "listen-later"):
        p.remove(data_id)
    return "call to event: median %s, at most %s" % (ms(sorted(late)[len(late) // 2]), ms(max(late)))


def config_who_listens(t):
    """An operator sees who listens, with the md5 that the client last said it holds."""
    a = ConfigClient(t, "a")
    a.publish("who", "w1")
    heard = Listening(a, "who")

    def holders():
        found = json.loads(http(t, "GET", "/v1/cs/configs/listener?dataId=who&group=" + G))
        return sorted(found["lisentersGroupkeyStatus"].values())
    # Python reads what its first listen said has changed, and listens again only when it is told of a change.
    first = [""] if t.kind == "python" else [md5("w1")]
    wait_for("the listener is shown with its md5", holders, lambda h: h == first, SEEN_S)
    a.publish("who", "w2")
    heard.hears("w2")
    wait_for("the listener is shown with its new md5", holders, lambda h: h == [md5("w2")], SEEN_S)
    heard.stop()
    a.remove("who")


def config_namespaces(t):
    """`public` and nothing are one namespace, for reads and for listeners; others are apart."""
    none, public, inside = ConfigClient(t, "none"), ConfigClient(t, "public", "public"), ConfigClient(t, "inside", "e2e-ns")
    none.publish("ns", "of none")
    public.reads("ns", "of none")
    inside.reads("ns", None)
    on_none, on_public, on_inside = (Listening(c, "ns") for c in (none, public, inside))
    time.sleep(QUIET_S)
    public.publish("ns", "of public")
    none.reads("ns", "of public")
    on_none.hears("of public")
    on_public.hears("of public")
    inside.publish("ns", "of inside")
    on_inside.hears("of inside")
    inside.reads("ns", "of inside")
    public.publish("ns", "of public 2")
    on_none.hears("of public 2")
    on_public.hears("of public 2")
    time.sleep(QUIET_S)
    expect("the last that the other namespace heard", on_inside.heard()[-1], "of inside")
    for spelled in ("public", "", "PUBLIC", "null"):
        expect("GET with tenant=" + spelled, http(t, "GET", "/v1/cs/configs?dataId=ns&group=%s&tenant=%s" % (G, spelled)),
               "of public 2")
    none.remove("ns")
    on_public.hears(None)
    inside.remove("ns")
    for x in (on_none, on_public, on_inside):
        x.stop()


def config_beta(t):
    """A beta is read by the addresses that it names, by nobody else, and until it is stopped."""
    a = ConfigClient(t, "a")
    a.publish("beta", "formal")
    heard = Listening(a, "beta")
    time.sleep(QUIET_S)
    http_publish(t, "beta", "for others", headers={"betaIps": "10.99.99.99"})
    a.reads("beta", "formal")
    here = my_addresses()
    http_publish(t, "beta", "for you", headers={"betaIps": here})
    a.reads("beta", "for you")
    heard.hears("for you")
    a.publish("beta", "formal 2")
    a.reads("beta", "for you")
    shown = json.loads(http(t, "GET", "/v1/cs/configs?beta=true&dataId=beta&group=" + G))["data"]
    expect("the beta as shown", [shown["content"], shown["betaIps"], shown["md5"]], ["for you", here, md5("for you")])
    http(t, "DELETE", "/v1/cs/configs?beta=true&dataId=beta&group=" + G)
    a.reads("beta", "formal 2")
    heard.hears("formal 2")
    if t.main.can("publish-gray"):
        a.publish("beta", "beta by the SDK", betaIps=here)
        a.reads("beta", "beta by the SDK")
        heard.hears("beta by the SDK")
        http(t, "DELETE", "/v1/cs/configs?beta=true&dataId=beta&group=" + G)
        heard.hears("formal 2")
    heard.stop()
    a.remove("beta")


def my_addresses():
    """What a server may see as, or be told to be, the address of a client on this machine."""
    found = {"127.0.0.1"}
    with open("/proc/net/fib_trie", encoding="ascii") as f:
        lines = f.read().split("\n")
    for above, line in zip(lines, lines[1:]):
        if "/32 host LOCAL" in line:
            found.add(above.split()[-1])
    return ",".join(sorted(found))


def config_tag(t):
    """A tag version is read by clients whose label names it, by nobody else; also with 13 to 16 characters."""
    t.need("labels")
    plain_client = ConfigClient(t, "plain")
    plain_client.publish("tag", "formal")
    for tag in ("tagA", "tag-of-13-byt", "tag-of-16-bytes."):
        # Labels belong to the SDK's connection: where a process has one for all clients, each needs its own process.
        tagged = ConfigClient(t, "tagged-" + tag, driver=t.process().wait_ready(), label=tag)
        heard = Listening(tagged, "tag")
        time.sleep(QUIET_S)
        http_publish(t, "tag", "for " + tag, tag=tag)
        tagged.reads("tag", "for " + tag)
        heard.hears("for " + tag)
        plain_client.reads("tag", "formal")
        expect("GET with tag", http(t, "GET", "/v1/cs/configs?dataId=tag&group=%s&tag=%s" % (G, tag)), "for " + tag)
        http(t, "GET", "/v1/cs/configs?dataId=tag&group=%s&tag=other" % G, want=404)
        http(t, "DELETE", "/v1/cs/configs?dataId=tag&group=%s&tag=%s" % (G, tag))
        tagged.reads("tag", "formal")
        heard.hears("formal")
        heard.stop()
    plain_client.remove("tag")


def config_large(t):
    """5 MiB are published, read and heard of within the SDK's own time."""
    a, b = ConfigClient(t, "a"), ConfigClient(t, "b")
    line = "server.port=8080 # \u00fcber \u4e2d\u6587 0123456789 abcdefghijklmnop\n"
    size = LARGE_BYTES if t.main.can("large") else SDK_LARGE_BYTES
    content = (line * (size // len(line.encode()) + 1)).encode()[:size].decode("utf-8", "ignore")
    a.publish("large", "small")
    heard = Listening(b, "large")
    time.sleep(QUIET_S)
    took = []
    for version in ("1", "2"):
        text = version + content
        begin = time.monotonic()
        a.publish("large", text)
        took.append(time.monotonic() - begin)
        begin = time.monotonic()
        b.reads("large", text)
        took.append(time.monotonic() - begin)
        heard.hears(text)
    if max(took) > LARGE_S:
        raise Failed("publish and read of %d MiB took %s" % (size >> 20, [ms(s) for s in took]))
    heard.stop()
    a.remove("large")
    return "%d MiB: publish %s, read %s" % (size >> 20, ms(took[2]), ms(took[3]))


def config_cipher(t):
    """An encrypted config goes through with its key."""
    http_publish(t, "cipher-aes-e2e", "c2VjcmV0", encryptedDataKey="the key")
    _, body, headers = harness.http_bytes(t.server.port, "GET", "/nacos/v1/cs/configs?dataId=cipher-aes-e2e&group=" + G)
    expect("content and key", [body.decode(), headers["Encrypted-Data-Key"]], ["c2VjcmV0", "the key"])
    detail = json.loads(http(t, "GET", "/v1/cs/configs?show=all&dataId=cipher-aes-e2e&group=" + G))
    expect("the key in the detail", detail["encryptedDataKey"], "the key")
    ConfigClient(t, "a").remove("cipher-aes-e2e")


def config_read_your_writes(t):
    """A read after an answered publish is never old, on the same client, on another one and over HTTP."""
    a, b = ConfigClient(t, "a"), ConfigClient(t, "b")
    for n in range(ROUNDS):
        writer, reader = (a, b) if n % 2 else (b, a)
        text = "round %d" % n
        if n % 7 == 6:
            writer.remove("ryw")
            text = None
        else:
            writer.publish("ryw", text)
        writer.reads("ryw", text)
        reader.reads("ryw", text)
        if text:
            expect("GET", http(t, "GET", "/v1/cs/configs?dataId=ryw&group=" + G), text)
    a.remove("ryw")


def config_refused(t):
    """A publish that breaks a rule is an error with its reason, and the client works on."""
    a = ConfigClient(t, "a")
    for data_id, group in (("bad id", G), ("bad/id", G), ("good", "bad group"), ("x" * 257, G), ("good", "g" * 129)):
        a.refused(data_id, "x", group=group)
    a.publish("refused", "fine")
    a.reads("refused", "fine")
    a.remove("refused")


def config_restart(t):
    """After an orderly restart configs, persistent instances and metadata are there; ephemeral instances are shown while their
    clients come back, nobody sees an empty list, and listeners hear of what changed meanwhile."""
    return come_back(t, "restart", t.server.stop)


def config_crash(t):
    """The same after kill -9."""
    return come_back(t, "crash", t.server.kill)


def come_back(t, name, end):
    svc, with_kept, with_meta, later = (name + x for x in ("-svc", "-kept-svc", "-meta-svc", "-later"))
    a, b = ConfigClient(t, "a"), ConfigClient(t, "b")
    a.publish(name, "v1", type="json")
    http_publish(t, name, "for x", tag="x")
    on_first, on_later = Listening(b, name), Listening(b, later)
    time.sleep(QUIET_S)
    n, w = t.client("n"), t.client("w")
    x, kept = instance("10.20.0.1", weight=2.0), instance("10.20.0.2", ephemeral=False)
    n.register(svc, x)
    watch = Watch(w, svc)
    watch.sees([x])
    n.register(with_kept, kept)
    http(t, "PUT", "/v1/ns/instance", form=dict(serviceName=with_kept, ip=kept["ip"], port=8080, ephemeral="false",
                                                weight="7.5", enabled="true", metadata="{\"by\":\"operator\"}"))
    http(t, "POST", "/v1/ns/service", form=dict(serviceName=with_meta, metadata="{\"k\":\"v\"}", protectThreshold="0.5"))
    kept = dict(kept, weight=7.5, metadata=dict(kept["metadata"], by="operator"))
    heard_before = len(watch.events())
    end()
    t.server.start()
    http_publish(t, name, "v2")
    http_publish(t, later, "now here")
    shown = json.loads(http(t, "GET", "/v1/ns/instance/list?serviceName=" + svc))["hosts"]
    expect("the ephemeral instance right after the start", [h["ip"] for h in shown], [x["ip"]])
    expect("the tag version", http(t, "GET", "/v1/cs/configs?tag=x&dataId=%s&group=%s" % (name, G)), "for x")
    service = json.loads(http(t, "GET", "/v1/ns/service?serviceName=" + with_meta))
    expect("the service's metadata", [service["metadata"], service["protectThreshold"]], [{"k": "v"}, 0.5])
    begin = time.monotonic()
    heard = on_first.hears("v2", BACK_S) - begin
    on_later.hears("now here", BACK_S)
    reader = t.client("reader")
    reader.finds(with_kept, [kept], without=("healthy",))
    wait_for("the clients are back", lambda: [c.call("status") for c in (n, w)], all, BACK_S)
    reader.finds(svc, [x])
    empty = [e for e in watch.events()[heard_before:] if not e[1]]
    if empty:
        raise Failed("the subscriber saw an empty list because the server restarted")
    reader.deregister(with_kept, kept)
    http(t, "DELETE", "/v1/ns/service?serviceName=" + with_meta)
    http(t, "DELETE", "/v1/cs/configs?tag=x&dataId=%s&group=%s" % (name, G))
    wait_for("a publish works again", lambda: a.driver.send("remove", client=a.name, dataId=name, group=G), lambda r: "result" in r, BACK_S)
    b.remove(later)
    return "listener told %s after the start" % ms(heard)


class Publisher(threading.Thread):
    """Publishes until an answer is an error, and remembers what was acknowledged."""

    def __init__(self, client, seed):
        super().__init__(daemon=True)
        self.client, self.random = client, random.Random(seed)
        self.acknowledged, self.unknown, self.count = {}, {}, 0

    def run(self):
        while True:
            key = "kill9-%d" % (self.count % 15)
            content = "%d:" % self.count + "".join(self.random.choices("abc \n\u00fc\u4e2d", k=self.random.choice((10, 500, 20000)))) + "."
            said = self.client.driver.send("publish", client=self.client.name, dataId=key, group=G, content=content)
            if "error" in said:
                self.unknown[key] = content  # it may be there or not
                return
            self.acknowledged[key] = content
            self.count += 1


def config_kill9(t):
    """The server is killed while publishes are under way: all that it acknowledged is there afterwards, byte for byte."""
    a, reader = ConfigClient(t, "a", driver=t.process().wait_ready()), ConfigClient(t, "reader")
    total = 0
    for n in range(KILLS):
        publisher = Publisher(a, n)
        publisher.start()
        wait_for("publishes are acknowledged", lambda: publisher.count, lambda c: c >= KILL_AFTER, SEEN_S)
        t.server.kill()
        publisher.join(harness.ANSWER_S)
        t.server.start()
        for key, content in publisher.acknowledged.items():
            status, body, _ = harness.http_bytes(t.server.port, "GET", "/nacos/v1/cs/configs?dataId=%s&group=%s" % (key, G))
            if status != 200 or body.decode() not in (content, publisher.unknown.get(key)):
                raise Failed("after kill -9 %s is %d %r, acknowledged was %r" % (key, status, brief(body.decode()), brief(content)))
        total += publisher.count
        wait_for("the publisher's SDK works again", lambda: a.driver.send("publish", client=a.name, dataId="kill9-probe", group=G, content="x"),
                 lambda r: "result" in r, BACK_S)
        wait_for("the reader's SDK works again", lambda: reader.driver.send("get", client=reader.name, dataId="kill9-0", group=G),
                 lambda r: r.get("result") in (publisher.acknowledged["kill9-0"], publisher.unknown.get("kill9-0")), BACK_S)
    return "%d acknowledged publishes in %d lives" % (total, KILLS)


def config_cross(t):
    """Every language reads and hears what the others publish and remove."""
    names = ["java-2.5.1", "go", "python"]
    clients = [ConfigClient(t, k, driver=t.process(k).wait_ready()) for k in names]
    clients[0].publish("cross", "start")
    listeners = [Listening(c, "cross") for c in clients]
    time.sleep(QUIET_S)
    for name, c in zip(names, clients):
        content = "by %s: \u8bed\n\u2713" % name
        c.publish("cross", content)
        for reader in clients:
            reader.reads("cross", content)
        for x in listeners:
            x.hears(content)
    clients[1].remove("cross")
    for x in listeners:
        x.hears(None)


FOR_EACH = (config_crud, config_types, config_cas, config_fields, config_history, config_listen, config_who_listens,
            config_namespaces, config_beta, config_tag, config_large, config_cipher, config_read_your_writes, config_refused,
            config_restart, config_crash, config_kill9)
FOR_ALL = (config_cross,)
