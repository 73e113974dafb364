#!/usr/bin/env python3
import unittest

import modules
import report

GOOD = {
    "src/conn/table.c": "int x;\n",
    "tests/unit/conn/test_table.c": "cmocka_unit_test(test_a)\n",
    "tests/unit/conn/CMakeLists.txt": "nacre_unit_test(conn table)\n",
}


class Modules(report.TreeTest):
    def test_a_module_with_its_test_passes(self):
        self.assertEqual(self.found(modules.check, GOOD), [])

    def test_a_missing_test_is_found(self):
        self.assertEqual(self.found(modules.check, GOOD | {"src/conn/ack.c": "\n"}), ["src/conn/ack.c:1"])

    def test_a_test_file_without_tests_is_found(self):
        self.assertEqual(self.found(modules.check, GOOD | {"tests/unit/conn/test_table.c": "\n"}), ["src/conn/table.c:1"])

    def test_a_test_that_is_not_built_is_found(self):
        for text in ("nacre_unit_test(conn table_more)\n", "# nacre_unit_test(conn table)\n"):
            found = self.found(modules.check, GOOD | {"tests/unit/conn/CMakeLists.txt": text})
            self.assertEqual(found, ["src/conn/table.c:1"])

    def test_an_exception_needs_a_reason_and_a_use(self):
        bad = GOOD | {"src/main.c": "\n"}
        excepted = bad | {report.EXCEPTIONS: "modules src/main.c tested by deploy/run --check\n"}
        self.assertEqual(report.judge(self.tree(excepted), "modules", modules.check), [])
        stale = GOOD | {report.EXCEPTIONS: "modules src/main.c tested by deploy/run --check\n"}
        self.assertEqual(len(report.judge(self.tree(stale), "modules", modules.check)), 1)
        with self.assertRaises(SystemExit):
            report.judge(self.tree(bad | {report.EXCEPTIONS: "modules src/main.c\n"}), "modules", modules.check)


if __name__ == "__main__":
    unittest.main()
