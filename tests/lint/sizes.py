#!/usr/bin/env python3
"""A file fits in the head, a function on a screen."""

import pathlib
from typing import Iterator

import report
import source

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Files over 600 lines and functions over 70, in src/ and tests/."""
    for path in source.c_files(root, "src", "tests"):
        name = str(path.relative_to(root))
        text = source.read(path)
        lines = len(text.splitlines())
        if lines > FILE_LINES_MAX:
            yield report.Finding(name, 1, f"{lines} lines, {FILE_LINES_MAX} are the limit: split the module")
        for function in source.declarations(text):
            length = function.line_end - function.line + 1
            if function.is_definition and length > FUNCTION_LINES_MAX:
                yield report.Finding(name, function.line, f"{function.name}: {length} lines, {FUNCTION_LINES_MAX} are the limit")


if __name__ == "__main__":
    report.run("sizes", check)
