#!/usr/bin/env python3
import unittest

import cppcheck
import test_tidy


class Cppcheck(test_tidy.CompiledTest):
    def test_sound_code_passes(self):
        self.assertEqual(self.run_on(cppcheck.run, "int f(int a)\n{\n    return a + 1;\n}\n"), (0, ""))

    def test_a_defect_is_found(self):
        status, output = self.run_on(cppcheck.run, "int f(void)\n{\n    int a[2] = {0, 0};\n    return a[2];\n}\n")
        self.assertEqual(status, 1)
        self.assertIn("src/base/a.c", output)

    def test_generated_code_is_left_out(self):
        root, build = self.project("int f(int a)\n{\n    return a + 1;\n}\n", also="build/gen/b.c")
        (root / "build/gen/b.c").write_text("int g(void)\n{\n    int a[2] = {0, 0};\n    return a[2];\n}\n")
        self.assertEqual(cppcheck.run(root, build)[0], 0)


if __name__ == "__main__":
    unittest.main()
