#!/usr/bin/env python3
"""Random contents go round by gRPC and HTTP without changing a byte, and a listener's md5 always agrees.

usage: property.py --nacre BIN [--count N] [--seed N]

Every content is published by one of the two ways and read by both; then one ConfigBatchListenRequest with the md5 of all of a batch must
find none changed, and one with wrong md5s all of them. NACRE_PROPERTY_COUNT sets the count (100000 makes it long). Contents: all newlines,
control characters, UTF-8 of one to four bytes, quotes and backslashes, up to 100 KB, some with an md5 that begins with zeros; blank ones
are refused and change nothing. gRPC is spoken with grpcio and the message classes of the Python SDK (its environment is build/e2e/venv, in
which this program starts itself again), not with the SDK itself.
"""
import argparse
import hashlib
import http.client
import json
import os
import queue
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import urllib.parse

import harness
from harness import Failed

VENV = os.path.join(harness.BUILT, "venv", "bin", "python")
if __name__ == "__main__" and not sys.prefix.startswith(harness.BUILT):
    subprocess.run([os.path.join(harness.ROOT, "tests/e2e/install"), "python"], check=True)
    os.execv(VENV, [VENV, *sys.argv])

import grpc  # noqa: E402
from google.protobuf.any_pb2 import Any  # noqa: E402
from v2.nacos.transport.grpcauto.nacos_grpc_service_pb2 import Metadata, Payload  # noqa: E402

G = "DEFAULT_GROUP"
BATCH = 50
BYTES_MAX = 100 << 10
LIMIT_S = 10
ALPHABETS = ("\n", "\r\n", "\r", "ab\n", "abc \r\n\t", "\x0b\x0c\x85\u2028\u2029\n", "".join(map(chr, range(1, 32))) + "x", "\"\\/'<>&%+=;{}[]",
             "\u00e9\u00fc\u00df\u00bf", "\u4e2d\u6587\u8a9e\uac00", "\U0001f600\U0001f468\u200d\u0301", "\ufeff\uffff\ufdd0\ue000x",
             "abcdefghijklmnopqrstuvwxyz0123456789.=-_ \n")
BLANKS = ("", " ", "\n", " \t\r\n")


def content_of(chooser):
    """Not blank; about one in sixteen has an md5 that begins with a zero by itself, one in fifty with two by choice."""
    letters = chooser.choice(ALPHABETS)
    size = chooser.choice((1, chooser.randrange(1, 80), chooser.randrange(1, 3000), chooser.randrange(1, 3000), chooser.randrange(1, BYTES_MAX)))
    text = "".join(chooser.choices(letters, k=max(1, size // len(letters[0].encode()))))
    text = text.encode()[:size].decode("utf-8", "ignore")
    if not text.strip(BLANK_CHARACTERS):
        text += "x"
    if chooser.random() < 0.02:
        n = 0
        while not md5(text + str(n)).startswith("00"):
            n += 1
        text += str(n)
    return text


# What Nacos takes for white space (Java's Character.isWhitespace) and more: a content of only these may be refused.
BLANK_CHARACTERS = "".join(chr(c) for c in range(0x21)) + "\x7f\x85\u2028\u2029\ufeff\u200d"


def md5(text):
    return hashlib.md5(text.encode()).hexdigest()


class Sdk:
    """A registered connection for configs."""

    def __init__(self, address):
        host, port = address.split(":")
        limit = [("grpc.max_receive_message_length", 32 << 20), ("grpc.max_send_message_length", 32 << 20)]
        self.channel = grpc.insecure_channel("%s:%d" % (host, int(port) + 1000), limit)
        coders = {"request_serializer": Payload.SerializeToString, "response_deserializer": Payload.FromString}
        self.unary = self.channel.unary_unary("/Request/request", **coders)
        self.stream = self.channel.stream_stream("/BiRequestStream/requestBiStream", **coders)
        self.outgoing, self.ready, self.notices = queue.Queue(), threading.Event(), 0
        self.ask("ServerCheckRequest", {})
        self.outgoing.put(payload("ConnectionSetupRequest", {"clientVersion": "Nacos-Java-Client:v2.5.1", "tenant": "", "labels": {
            "source": "sdk", "module": "config"}, "abilityTable": {}}))
        self.pushes = self.stream(iter(self.outgoing.get, None))
        threading.Thread(target=self._take, daemon=True).start()
        if not self.ready.wait(LIMIT_S):
            raise Failed("no SetupAckRequest within %d s" % LIMIT_S)

    def _take(self):
        try:
            for push in self.pushes:
                body = json.loads(push.body.value)
                if push.metadata.type == "SetupAckRequest":
                    self.ready.set()
                    continue
                self.notices += push.metadata.type == "ConfigChangeNotifyRequest"
                self.outgoing.put(payload(push.metadata.type.replace("Request", "Response"),
                                          {"requestId": body.get("requestId"), "resultCode": 200, "success": True}))
        except grpc.RpcError:
            pass

    def ask(self, kind, body):
        reply = self.unary(payload(kind, body), timeout=LIMIT_S)
        return json.loads(reply.body.value)

    def config(self, kind, key, **more):
        return self.ask(kind, dict(more, dataId=key, group=G, tenant="", module="config"))

    def changed(self, md5_of):
        """The keys that the server says have changed."""
        contexts = [{"dataId": k, "group": G, "tenant": "", "md5": m} for k, m in md5_of.items()]
        reply = self.ask("ConfigBatchListenRequest", {"listen": True, "configListenContexts": contexts, "module": "config"})
        if reply["resultCode"] != 200:
            raise Failed("ConfigBatchListenRequest: %s" % json.dumps(reply)[:300])
        return {c["dataId"] for c in reply["changedConfigs"]}

    def close(self):
        self.outgoing.put(None)
        self.channel.close()


def payload(kind, body):
    return Payload(metadata=Metadata(type=kind, clientIp="127.0.0.1"), body=Any(value=json.dumps(dict(body, headers={}), ensure_ascii=False).encode()))


class Http:
    def __init__(self, port):
        self.connection = http.client.HTTPConnection("127.0.0.1", port, timeout=LIMIT_S)

    def publish(self, key, text):
        form = urllib.parse.urlencode({"dataId": key, "group": G, "content": text})
        self.connection.request("POST", "/nacos/v1/cs/configs", form, {"Content-Type": "application/x-www-form-urlencoded"})
        r = self.connection.getresponse()
        return r.status, r.read()

    def get(self, key):
        self.connection.request("GET", "/nacos/v1/cs/configs?dataId=%s&group=%s" % (key, G))
        r = self.connection.getresponse()
        return r.status, r.read(), r.headers.get("Content-MD5")


def show(text):
    return "%d bytes, md5 %s, begins %r" % (len(text.encode()), md5(text), text[:60])


def publish(sdk, web, key, text, by_http):
    if by_http:
        status, body = web.publish(key, text)
        return status == 200 and body == b"true", "%d %s" % (status, body[:200])
    reply = sdk.config("ConfigPublishRequest", key, content=text, additionMap={"type": "text"})
    return reply["resultCode"] == 200, json.dumps(reply)[:200]


def check_read(sdk, web, key, text):
    reply = sdk.config("ConfigQueryRequest", key)
    if (reply.get("content"), reply.get("md5")) != (text, md5(text)):
        raise Failed("gRPC reads %s with md5 %s; published were %s" % (show(reply.get("content") or ""), reply.get("md5"), show(text)))
    status, body, told = web.get(key)
    if (status, body, told) != (200, text.encode(), md5(text)):
        raise Failed("HTTP reads %d, %d bytes %r, Content-MD5 %s; published were %s" % (status, len(body), body[:60], told, show(text)))


def check_blank(sdk, web, key, text, chooser):
    for by_http in (False, True):
        good, said = publish(sdk, web, key, chooser.choice(BLANKS), by_http)
        if good:
            raise Failed("a blank content was taken: %s" % said)
    check_read(sdk, web, key, text)


def run(args, server):
    chooser = random.Random(args.seed)
    sdk, web = Sdk(server.address), Http(server.port)
    done = bytes_done = zeros = 0
    while done < args.count:
        texts = {"prop-%d" % n: content_of(chooser) for n in range(min(BATCH, args.count - done))}
        for n, (key, text) in enumerate(texts.items()):
            good, said = publish(sdk, web, key, text, by_http=(n + done) % 2 == 0)
            if not good:
                raise Failed("%s was refused: %s" % (show(text), said))
            check_read(sdk, web, key, text)
            bytes_done += len(text.encode())
            zeros += md5(text).startswith("0")
        right = {k: md5(t) for k, t in texts.items()}
        wrong = {k: m[:-1] + ("0" if m[-1] != "0" else "1") for k, m in right.items()}
        for md5_of, expected in ((right, set()), (wrong, set(texts)), ({k: m.lstrip("0") for k, m in right.items() if m[0] == "0"}, None)):
            found = sdk.changed(md5_of)
            expected = set(md5_of) if expected is None else expected
            if found != expected:
                raise Failed("a listen with %d md5s: %d changed, expected %d; one that differs is %s"
                             % (len(md5_of), len(found), len(expected), show(texts[min(found ^ expected)])))
        if sdk.changed(right):
            raise Failed("right md5s after wrong ones are not right any more")
        check_blank(sdk, web, *chooser.choice(list(texts.items())), chooser)
        done += len(texts)
        if done % 10000 == 0:
            print("%d contents" % done, flush=True)
    sdk.close()
    return "%d contents, %d MB, %d with an md5 that begins with 0, %d notices (seed %d)" % (done, bytes_done >> 20, zeros, sdk.notices, args.seed)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--nacre", required=True)
    p.add_argument("--count", type=int, default=int(os.environ.get("NACRE_PROPERTY_COUNT", "2000")))
    p.add_argument("--seed", type=int, default=random.randrange(1 << 31))
    args = p.parse_args()
    home = tempfile.mkdtemp(prefix="nacre-property-")
    server = harness.Server(os.path.abspath(args.nacre), home)
    begin = time.monotonic()
    try:
        server.start()
        print("%s, %.0f s" % (run(args, server), time.monotonic() - begin))
        server.stop()
        return 0
    except (Failed, grpc.RpcError) as e:
        print("failed (seed %d): %s" % (args.seed, e))
        print("  server log:\n" + harness.tail(server.log))
        return 1
    finally:
        server.close()
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    sys.exit(main())
