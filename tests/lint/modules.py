#!/usr/bin/env python3
"""A module has a unit test that mirrors its path, and the build knows it: src/X/y.c, tests/unit/X/test_y.c."""

import pathlib
import re
from typing import Iterator

import report
import source


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Modules of src/ whose unit test is missing, empty of tests, or not in the build."""
    for path in sorted((root / "src").rglob("*.c")):
        inner = path.relative_to(root / "src")
        name = f"src/{inner}"
        test = root / "tests/unit" / inner.parent / f"test_{inner.stem}.c"
        where = test.relative_to(root)
        if not test.exists():
            yield report.Finding(name, 1, f"no unit test: {where} is missing")
        elif not re.search(r"\bcmocka_unit_test", source.read(test)):
            yield report.Finding(name, 1, f"{where} runs no test (no cmocka_unit_test in it)")
        elif not _is_built(test.parent / "CMakeLists.txt", inner.stem):
            yield report.Finding(name, 1, f"{where} is not built: {where.parent}/CMakeLists.txt does not name {inner.stem}")


def _is_built(lists: pathlib.Path, module: str) -> bool:
    if not lists.exists():
        return False
    text = re.sub(r"#.*", "", source.read(lists))
    return re.search(rf"(?<![\w.-]){re.escape(module)}(?![\w.-])", text) is not None


if __name__ == "__main__":
    report.run("modules", check)
