#!/usr/bin/env python3
import unittest

import folders
import report

GOOD = {
    "CMakeLists.txt": "foreach(folder src/base src/loop\n        src)\n",
    "src/CMakeLists.txt": "",
    "src/base/CMakeLists.txt": "", "src/base/README.md": "# base\n", "src/base/a.c": "",
    "src/loop/CMakeLists.txt": "", "src/loop/README.md": "# loop\n", "src/loop/a.c": "",
    "tests/CMakeLists.txt": "set(NACRE_TEST_FOLDERS unit lint)\n",
    "tests/unit/CMakeLists.txt": "set(NACRE_UNIT_FOLDERS base loop)\n",
    "tests/lint/CMakeLists.txt": "",
}


class Folders(report.TreeTest):
    def without(self, *names: str) -> dict[str, str]:
        return {name: text for name, text in GOOD.items() if name not in names}

    def test_a_whole_tree_passes(self):
        self.assertEqual(self.found(folders.check, GOOD), [])

    def test_a_named_folder_that_is_missing_is_found(self):
        self.assertEqual(self.found(folders.check, self.without("tests/lint/CMakeLists.txt")), ["tests/CMakeLists.txt:1"])
        self.assertEqual(self.found(folders.check, self.without("src/loop/CMakeLists.txt")), ["CMakeLists.txt:1"])

    def test_a_folder_that_nobody_names_is_found(self):
        extra = {"src/misc/a.c": "", "src/misc/README.md": "# misc\n"}
        self.assertEqual(self.found(folders.check, GOOD | extra), ["src/misc:1", "src/misc:1"])

    def test_a_folder_introduces_itself_briefly(self):
        self.assertEqual(self.found(folders.check, self.without("src/base/README.md")), ["src/base:1"])
        self.assertEqual(self.found(folders.check, GOOD | {"src/base/README.md": "x\n" * 31}), ["src/base/README.md:1"])

    def test_a_list_that_cannot_be_read_is_found(self):
        self.assertEqual(self.found(folders.check, GOOD | {"tests/CMakeLists.txt": "add_subdirectory(unit)\n"}), ["tests/CMakeLists.txt:1"])


if __name__ == "__main__":
    unittest.main()
