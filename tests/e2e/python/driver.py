#!/usr/bin/env python3
"""A nacos-sdk-python behind standard input and output; the commands are described in tests/e2e/README.md.

usage: driver.py HOME   (HOME takes the SDK's logs and caches)
"""
import asyncio
import json
import os
import sys

from v2.nacos import (BatchRegisterInstanceParam, ClientConfigBuilder, ConfigParam, DeregisterInstanceParam,
                      ListInstanceParam, ListServiceParam, NacosConfigService, NacosNamingService, RegisterInstanceParam,
                      SubscribeServiceParam)

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


def config_param(c):
    return ConfigParam(data_id=c["dataId"], group=c["group"], content=c.get("content", ""), type=c.get("type", ""),
                       cas_md5=c.get("cas", ""), app_name=c.get("app", ""), src_user=c.get("user", ""), tag=c.get("tag", ""),
                       beta_ips=c.get("betaIps", ""))


class Driver:
    def __init__(self, home):
        self.home = home
        self.clients = {}
        self.configs = {}
        self.subscriptions = {}
        self.listenings = {}

    def config_of(self, c):
        builder = (ClientConfigBuilder().server_address(c["server"]).namespace_id(c["namespace"]).log_level("WARNING")
                   .log_dir(os.path.join(self.home, "log")).cache_dir(os.path.join(self.home, "cache", c["client"]))
                   .load_cache_at_start(False))
        if "tag" in c:
            builder = builder.app_conn_labels({"Vipserver-Tag": c["tag"]})
        config = builder.build()
        # Without this the SDK keeps the last instance of a service for ever, and nobody would see it go.
        config.update_cache_when_empty = True
        return config

    async def open(self, c):
        self.clients[c["client"]] = await NacosNamingService.create_naming_service(self.config_of(c))
        return True

    async def open_config(self, c):
        self.configs[c["client"]] = await NacosConfigService.create_config_service(self.config_of(c))
        return True

    async def publish(self, s, c):
        return await s.publish_config(config_param(c))

    async def get(self, s, c):
        return await s.get_config(config_param(c)) or None  # the SDK has one empty text for what is not there

    async def remove(self, s, c):
        return await s.remove_config(config_param(c))

    async def listen(self, s, c):
        async def changed(tenant, group, data_id, content):
            write({"event": c["sub"], "content": content or None})
        self.listenings[c["sub"]] = (s, c, changed)
        await s.add_listener(c["dataId"], c["group"], changed)
        return True

    async def unlisten(self, c):
        s, param, changed = self.listenings.pop(c["sub"])
        await s.remove_listener(param["dataId"], param["group"], changed)
        return True

    async def close_config(self, s, c):
        del self.configs[c["client"]]
        await s.shutdown()
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
        if c["op"] in ("open", "open-config", "unsubscribe", "unlisten"):
            return await getattr(self, c["op"].replace("-", "_"))(c)
        if c["client"] in self.configs:
            ops = {f.__name__: f for f in (self.publish, self.get, self.remove, self.listen, self.status)}
            ops["close"] = self.close_config
            return await ops[c["op"]](self.configs[c["client"]], c)
        ops = {f.__name__: f for f in (self.register, self.deregister, self.batch, self.unbatch, self.query,
                                       self.subscribe, self.services, self.status, self.close)}
        return await ops[c["op"]](self.clients[c["client"]], c)


async def main():
    driver = Driver(sys.argv[1])
    write({"hello": "python", "can": ["batch", "unbatch", "labels", "publish-fields", "publish-gray", "listen-tells-at-once"]})
    while line := await asyncio.to_thread(sys.stdin.readline):
        c = json.loads(line)
        try:
            write({"id": c["id"], "result": await driver.run(c)})
        except Exception as e:  # whatever the SDK raises is the answer
            write({"id": c["id"], "error": "%s: %s" % (type(e).__name__, e)})
    os._exit(0)  # the SDK's tasks and gRPC threads may not end by themselves


asyncio.run(main())
