#!/usr/bin/env python3
import unittest

import hosts
import report


def host(*labels: str) -> str:
    """A host name put together here, so that this file does not hold one either."""
    return ".".join(labels)


class Hosts(report.TreeTest):
    def lines(self, text: str) -> list[str]:
        return self.found(hosts.check, {"deploy/run": text + "\n"})

    def test_registry_hosts_are_found(self):
        for name in (host("docker", "io"), host("registry-1", "docker", "io"), host("repo1", "maven", "org"),
                     host("repo", "maven", "apache", "org"), host("proxy", "golang", "org"), host("pypi", "org"),
                     host("files", "pythonhosted", "org"), host("deb", "debian", "org"), host("registry", "npmjs", "org"),
                     host("maven", "some-company", "com"), host("pip", "mirrors", "a-company", "com")):
            self.assertEqual(self.lines(f"x\ncurl https://{name}/x"), ["deploy/run:2"], name)
            self.assertEqual(self.lines(f"FROM {name}/library/debian"), ["deploy/run:1"], name)
            self.assertEqual(self.lines(f'host = "{name}"'), ["deploy/run:1"], name)

    def test_other_names_pass(self):
        for text in ("https://github.com/nacos-group/nacos-sdk-go", "import com.alibaba.nacos.api.naming.NamingFactory;",
                     "apt-get install docker.io-like", "org.apache.maven.plugins", "google.golang.org/grpc v1.48.0",
                     f"http://{host('maven', 'apache', 'org')}/POM/4.0.0", "proxy.c", "repo.go", "mirror.com.c",
                     "a-user@registry-host", "127.0.0.1:8848", "spec.config.io_uring"):
            self.assertEqual(self.lines(text), [], text)


if __name__ == "__main__":
    unittest.main()
