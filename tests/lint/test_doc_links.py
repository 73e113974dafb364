#!/usr/bin/env python3
import unittest

import doc_links
import report

GUIDE = {"docs/GUIDE.md": "# The `first` part\n\n## Ports, and more\n"}


class DocLinks(report.TreeTest):
    def links(self, text: str) -> list[str]:
        return self.found(doc_links.check, GUIDE | {"README.md": text, "src/base/err.h": "\n"})

    def test_links_that_lead_somewhere_pass(self):
        self.assertEqual(self.links("[a](docs/GUIDE.md) [b](docs/GUIDE.md#ports-and-more) [`c`](docs/GUIDE.md#the-first-part)\n"
                                    "[d](src/base/err.h) [e](https://example.net/x) [f](docs)\n# Here\n[g](#here)\n"), [])

    def test_a_missing_file_is_found(self):
        self.assertEqual(self.links("ok\n[a](docs/NONE.md)\n"), ["README.md:2"])
        self.assertEqual(self.links("[`a`](docs/NONE.md)\n"), ["README.md:1"])

    def test_a_missing_heading_is_found(self):
        self.assertEqual(self.links("[a](docs/GUIDE.md#none)\n"), ["README.md:1"])

    def test_a_way_out_of_the_project_is_found(self):
        self.assertEqual(self.links("[a](../shared/style.md)\n"), ["README.md:1"])

    def test_code_is_not_read(self):
        self.assertEqual(self.links("`[a](b.md)`\n\n```\n[a](b.md)\n```\n"), [])

    def test_a_link_is_relative_to_its_document(self):
        self.assertEqual(self.found(doc_links.check, GUIDE | {"docs/B.md": "[a](GUIDE.md)\n[b](docs/GUIDE.md)\n"}), ["docs/B.md:2"])


if __name__ == "__main__":
    unittest.main()
