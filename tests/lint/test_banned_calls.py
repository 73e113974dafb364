#!/usr/bin/env python3
import unittest

import banned_calls
import report


class BannedCalls(report.TreeTest):
    def calls(self, path: str, code: str) -> list[str]:
        return self.found(banned_calls.check, {path: code})

    def test_every_banned_call_is_found(self):
        for name in banned_calls.BANNED | banned_calls.ALLOCATE | banned_calls.PARSE:
            self.assertEqual(self.calls("src/conn/a.c", f"void f(void)\n{{\n    {name}(x);\n}}\n"), ["src/conn/a.c:3"], name)

    def test_a_call_in_a_macro_is_found(self):
        self.assertEqual(self.calls("src/conn/a.h", "#define COPY(a, b) strcpy(a, b)\n"), ["src/conn/a.h:1"])

    def test_names_that_only_look_alike_pass(self):
        self.assertEqual(self.calls("src/conn/a.c", """\
            /* strcpy(x) is banned */
            const char *text = "system(x)";
            int g(void) { return loop_signal(l) + ops->system(1) + ops.sleep(2) + snprintf(b, n, "x"); }
            """), [])

    def test_one_file_allocates(self):
        self.assertEqual(self.calls("src/base/mem.c", "void *f(void) { return malloc(1); }\n"), [])
        self.assertEqual(self.calls("src/base/mem.c", "void f(void) { strcpy(a, b); }\n"), ["src/base/mem.c:1"])

    def test_one_file_parses_json(self):
        self.assertEqual(self.calls("src/wire/json_in.c", "void f(void) { cJSON_ParseWithLength(a, b); }\n"), [])
        self.assertEqual(self.calls("src/naming/a.c", "void f(void) { cJSON_IsString(a); }\n"), [])

    def test_tests_may_allocate_but_not_sleep(self):
        self.assertEqual(self.calls("tests/unit/x/test_a.c", "void f(void) { malloc(1); usleep(5); }\n"), ["tests/unit/x/test_a.c:1"])

    def test_the_standard_assert_is_found(self):
        self.assertEqual(self.calls("src/base/a.c", "#include <assert.h>\n"), ["src/base/a.c:1"])
        self.assertEqual(self.calls("src/base/a.c", '#include "base/assert.h"\n'), [])


if __name__ == "__main__":
    unittest.main()
