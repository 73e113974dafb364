#!/usr/bin/env python3
import json
import pathlib
import unittest

import report
import tidy


class CompiledTest(report.TreeTest):
    """A project of one file, src/base/a.c, with the compile commands that a build would leave."""

    def project(self, text: str, also: str = "") -> tuple[pathlib.Path, pathlib.Path]:
        files = {"src/base/a.c": text, ".clang-tidy": (report.PROJECT / ".clang-tidy").read_text()}
        if also:
            files[also] = ""
        root = self.tree(files)
        build = root / "build"
        build.mkdir(exist_ok=True)
        commands = [{"directory": str(build), "file": str(root / name), "command": f"cc -std=c11 -I{root}/src -c {root / name}"}
                    for name in ("src/base/a.c", also) if name]
        (build / "compile_commands.json").write_text(json.dumps(commands))
        return root, build

    def run_on(self, run, text: str) -> tuple[int, str]:
        return run(*self.project(text))


class Tidy(CompiledTest):
    def test_sound_code_passes(self):
        self.assertEqual(self.run_on(tidy.run, "int f(int a);\n\nint f(int a)\n{\n    return a + 1;\n}\n"), (0, ""))

    def test_findings_fail(self):
        for code, name in (("int f(int a)\n{\n    if (a)\n        return 1;\n    return 2;\n}\n", "braces"),
                           ("int f(const int *p)\n{\n    if (!p) {\n        return *p;\n    }\n    return 0;\n}\n", "NullDereference"),
                           ("int camelCase(int a)\n{\n    return a;\n}\n", "identifier-naming"),
                           ("int f(int a, int b, int c, int d, int e, int g, int h)\n{\n    return a+b+c+d+e+g+h;\n}\n", "function-size")):
            failed, output = self.run_on(tidy.run, code)
            self.assertEqual(failed, 1, name)
            self.assertIn(name, output)

    def test_a_verdict_is_kept_until_something_changes(self):
        root, build = self.project("int f(int a)\n{\n    return a;\n}\n")
        self.assertEqual(tidy.run(root, build)[0], 0)
        self.assertEqual(len(list((build / "tidy").iterdir())), 1)
        (root / "src/base/a.c").write_text("int f(int a)\n{\n    if (a)\n        return 1;\n    return 2;\n}\n")
        self.assertEqual(tidy.run(root, build)[0], 1)
        self.assertEqual(tidy.run(root, build)[0], 1, "a failed verdict is not kept")


if __name__ == "__main__":
    unittest.main()
