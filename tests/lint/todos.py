#!/usr/bin/env python3
"""An open end names its issue: TODO(#12): what is missing. Other words for the same thing are not used."""

import pathlib
import re
from typing import Iterator

import report
import source

_MARK = re.compile(r"\b(TODO(?!\(#\d+\): )|FIXME|XXX)\b")
FOLDERS = ("src", "tests", "proto", "cmake", "deploy", ".ci")
SUFFIXES = {".c", ".h", ".py", ".txt", ".cmake", ".proto", ".go", ".java", ".sh", ".js", ".css", ".html", ""}


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Open ends without an issue number."""
    for folder in FOLDERS:
        for path in sorted((root / folder).rglob("*")):
            name = str(path.relative_to(root))
            # This check and its self-test must write what they look for.
            if not path.is_file() or path.suffix not in SUFFIXES or path.name in ("todos.py", "test_todos.py"):
                continue
            for number, line in enumerate(source.read(path).splitlines(), 1):
                if _MARK.search(line):
                    yield report.Finding(name, number, "an open end without an issue: write TODO(#number): what")


if __name__ == "__main__":
    report.run("todos", check)
