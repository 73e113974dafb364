#!/usr/bin/env python3
"""A nacos-sdk-python behind standard input and output; the commands are described in tests/e2e/README.md.

usage: driver.py HOME   (HOME takes the SDK's logs and caches)
"""
import asyncio
import json
import os
import sys

from v2.nacos import (BatchRegisterInstanceParam, ClientConfigBuilder, DeregisterInstanceParam, ListInstanceParam,
                      ListServiceParam, NacosNamingService, RegisterInstanceParam, SubscribeServiceParam)

OUT = sys.stdout
sys.stdout = sys.stderr  # a library that prints must not break the stream of answers


def write(message):
    OUT.write(json.dumps(message) + "\n")
    OUT.flush()


def view(instances):
    return [{"ip": i.ip, "port": i.port, "weight": i.weight, "healthy": i.healthy, "enabled": i.enabled,
             "ephemeral": i.ephemeral, "cluster": i.clusterName, "service": i.serviceName, "metadata": i.metadata}
            for i in instances]


def registration(c, i):
    return RegisterInstanceParam(ip=i["ip"], port=i["port"], weight=i["weight"], enabled=i["enabled"],
                                 healthy=i["healthy"], metadata=i["metadata"], cluster_name=i["cluster"],
                                 service_name=c["service"], group_name=c["group"], ephemeral=i["ephemeral"])


def batch(c):
    return BatchRegisterInstanceParam(service_name=c["service"], group_name=c["group"],
                                      instances=[registration(c, i) for i in c["instances"]])


class Driver:
    def __init__(self, home):
        self.home = home
        self.clients = {}
        self.subscriptions = {}

    async def open(self, c):
        config = (ClientConfigBuilder().server_address(c["server"]).namespace_id(c["namespace"]).log_level("WARNING")
                  .log_dir(os.path.join(self.home, "log")).cache_dir(os.path.join(self.home, "cache", c["client"]))
                  .load_cache_at_start(False).build())
        # Without this the SDK keeps the last instance of a service for ever, and nobody would see it go.
        config.update_cache_when_empty = True
        self.clients[c["client"]] = await NacosNamingService.create_naming_service(config)
        return True

    async def register(self, n, c):
        return await n.register_instance(registration(c, c["instance"]))

    async def deregister(self, n, c):
        i = c["instance"]
        return await n.deregister_instance(DeregisterInstanceParam(
            ip=i["ip"], port=i["port"], cluster_name=i["cluster"], service_name=c["service"], group_name=c["group"],
            ephemeral=i["ephemeral"]))

    async def batch(self, n, c):
        return await n.batch_register_instances(batch(c))

    async def unbatch(self, n, c):
        return await n.batch_deregister_instances(batch(c))

    async def query(self, n, c):
        return view(await n.list_instances(ListInstanceParam(
            service_name=c["service"], group_name=c["group"], clusters=c["clusters"], subscribe=c["subscribe"],
            healthy_only=c.get("healthy"))))

    async def subscribe(self, n, c):
        async def changed(instances):
            write({"event": c["sub"], "instances": view(instances)})
        param = SubscribeServiceParam(service_name=c["service"], group_name=c["group"], clusters=c["clusters"],
                                      subscribe_callback=changed)
        self.subscriptions[c["sub"]] = (n, param)
        await n.subscribe(param)
        return True

    async def unsubscribe(self, c):
        n, param = self.subscriptions.pop(c["sub"])
        await n.unsubscribe(param)
        return True

    async def services(self, n, c):
        page = await n.list_services(ListServiceParam(namespace_id="", group_name=c["group"], page_no=c["page"],
                                                      page_size=c["size"]))
        return {"count": page.count, "names": page.services}

    async def status(self, n, _):
        return await n.server_health()

    async def close(self, n, c):
        del self.clients[c["client"]]
        await n.shutdown()
        return True

    async def run(self, c):
        if c["op"] in ("open", "unsubscribe"):
            return await getattr(self, c["op"])(c)
        ops = {f.__name__: f for f in (self.register, self.deregister, self.batch, self.unbatch, self.query,
                                       self.subscribe, self.services, self.status, self.close)}
        return await ops[c["op"]](self.clients[c["client"]], c)


async def main():
    driver = Driver(sys.argv[1])
    write({"hello": "python", "can": ["batch", "unbatch"]})
    while line := await asyncio.to_thread(sys.stdin.readline):
        c = json.loads(line)
        try:
            write({"id": c["id"], "result": await driver.run(c)})
        except Exception as e:  # whatever the SDK raises is the answer
            write({"id": c["id"], "error": "%s: %s" % (type(e).__name__, e)})
    os._exit(0)  # the SDK's tasks and gRPC threads may not end by themselves


asyncio.run(main())
