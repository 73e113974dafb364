#!/usr/bin/env python3
import unittest

import report
import sizes


def function(lines: int) -> str:
    """A function of so many lines, its signature and closing brace counted."""
    return "static int\nf(int a, const char *b)\n{\n" + "    if (a) { a = '}'; /* { */ }\n" * (lines - 4) + "}\n"


class Sizes(report.TreeTest):
    def lines(self, text: str) -> list[str]:
        return self.found(sizes.check, {"src/base/x.c": text})

    def test_a_long_function_is_found_and_one_at_the_limit_is_not(self):
        table = "static const int t[] = {\n" + "    1,\n" * 90 + "};\n\n"
        self.assertEqual(self.lines(table + function(70)), [])
        self.assertEqual(self.lines(table + function(71)), ["src/base/x.c:94"])

    def test_a_function_after_a_long_one_is_seen(self):
        self.assertEqual(self.lines(function(10) + "\n" + function(80)), ["src/base/x.c:12"])

    def test_deep_nesting_is_found(self):
        deep = "void f(void)\n{\n    if (a) {\n        while (b) {\n            switch (c) {\n            case 1: {\n            }\n            }\n        }\n    }\n}\n"
        self.assertEqual(self.lines(deep), ["src/base/x.c:6"])
        self.assertEqual(self.lines(deep.replace("case 1: {", "case 1:").replace("            }\n            }\n", "            }\n")), [])

    def test_initialisers_are_no_nesting(self):
        self.assertEqual(self.lines("void f(void)\n{\n    if (a) {\n        for (;;) {\n            if (b) {\n"
                                    "                struct x y = {\n                    {{1}}};\n                g((struct z){1});\n"
                                    "            }\n        }\n    }\n}\n"), [])

    def test_a_long_file_is_found_and_one_at_the_limit_is_not(self):
        self.assertEqual(self.lines("int x;\n" * 600), [])
        self.assertEqual(self.lines("int x;\n" * 601), ["src/base/x.c:1"])


if __name__ == "__main__":
    unittest.main()
