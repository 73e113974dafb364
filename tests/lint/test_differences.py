#!/usr/bin/env python3
import unittest

import differences
import report

COMPAT = {"docs/COMPAT.md": "# Compat\n\n### push-at-once\nText.\n\n| what | why |\n|---|---|\n| `list-order` | x |\n"}


class Differences(report.TreeTest):
    def marks(self, comment: str) -> list[str]:
        return self.found(differences.check, COMPAT | {"src/naming/push.c": f"\n/* {comment} */\n"})

    def test_an_explained_mark_passes(self):
        self.assertEqual(self.marks("DIFF(push-at-once): no 500 ms."), [])
        self.assertEqual(self.marks("Sorted.\n * DIFF(list-order): by name."), [])

    def test_an_unexplained_mark_is_found(self):
        self.assertEqual(self.marks("DIFF(no-such): x"), ["src/naming/push.c:2"])
        self.assertEqual(self.marks("Text\n * DIFF(no-such): x"), ["src/naming/push.c:3"])
        self.assertEqual(self.found(differences.check, {"src/naming/push.c": "/* DIFF(push-at-once): x */\n"}), ["src/naming/push.c:1"])

    def test_a_mark_without_a_name_is_found(self):
        self.assertEqual(self.marks("DIFF: no 500 ms."), ["src/naming/push.c:2"])
        self.assertEqual(self.marks("DIFF(Some Words): no"), ["src/naming/push.c:2"])


if __name__ == "__main__":
    unittest.main()
