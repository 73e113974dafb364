#!/usr/bin/env python3
import unittest

import report
import todos


class Todos(report.TreeTest):
    def test_an_open_end_without_an_issue_is_found(self):
        for text in ("/* TODO: later */", "/* TODO(me): later */", "/* TODO(#): x */", "// FIXME", "/* XXX why */", "/* TODO */"):
            self.assertEqual(self.found(todos.check, {"src/base/a.c": f"\n{text}\n"}), ["src/base/a.c:2"], text)

    def test_one_with_an_issue_passes(self):
        self.assertEqual(self.found(todos.check, {"src/base/a.c": "/* TODO(#12): snapshots */\nint TODOS;\n"}), [])

    def test_scripts_are_read_too(self):
        self.assertEqual(self.found(todos.check, {"deploy/run": "# FIXME\n"}), ["deploy/run:1"])


if __name__ == "__main__":
    unittest.main()
