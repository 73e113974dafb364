#!/usr/bin/env python3
import unittest

import format as check
import report

STYLE = {".clang-format": (report.PROJECT / ".clang-format").read_text()}
GOOD = "int f(int a)\n{\n    if (a) {\n        return 1;\n    }\n    return 2;\n}\n"


class Format(report.TreeTest):
    def test_our_format_passes(self):
        self.assertEqual(check.run(self.tree(STYLE | {"src/base/a.c": GOOD}))[0], 0)

    def test_another_format_is_found_in_code_and_tests(self):
        bad = GOOD.replace("    ", "\t")
        for path in ("src/base/a.c", "src/base/a.h", "tests/unit/base/test_a.c"):
            status, output = check.run(self.tree(STYLE | {path: bad}))
            self.assertNotEqual(status, 0, path)
            self.assertIn(path, output)


if __name__ == "__main__":
    unittest.main()
