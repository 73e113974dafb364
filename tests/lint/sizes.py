#!/usr/bin/env python3
"""A file fits in the head, a function on a screen."""

import pathlib
import re
from typing import Iterator

import report
import source

FILE_LINES_MAX = 600
FUNCTION_LINES_MAX = 70
NESTING_MAX = 3

# A brace that opens a block, in our format; those of initialisers and compound literals do not count, nor do macros' own.
_BLOCK = re.compile(r"(?:\) |\belse |\bdo |: |^\s*)\{$")


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Files over 600 lines, functions over 70 or nested deeper than 3, in src/ and tests/."""
    for path in source.c_files(root, "src", "tests"):
        name = str(path.relative_to(root))
        text = source.read(path)
        lines = len(text.splitlines())
        if lines > FILE_LINES_MAX:
            yield report.Finding(name, 1, f"{lines} lines, {FILE_LINES_MAX} are the limit: split the module")
        code = source.only_code(text).splitlines()
        for function in source.declarations(text):
            if not function.is_definition:
                continue
            length = function.line_end - function.line + 1
            if length > FUNCTION_LINES_MAX:
                yield report.Finding(name, function.line, f"{function.name}: {length} lines, {FUNCTION_LINES_MAX} are the limit")
            line = _too_deep(code, function)
            if line:
                yield report.Finding(name, line, f"{function.name}: nested deeper than {NESTING_MAX}: leave early, or split")


def _too_deep(code: list[str], function: source.Declaration) -> int:
    """The first line of a function that opens a block too deep; 0 when there is none."""
    is_block = []  # of each open brace
    for number in range(function.line, function.line_end + 1):
        line = code[number - 1].rstrip()
        for match in re.finditer(r"[{}]", line):
            if match.group() == "}":
                is_block.pop()
                continue
            is_inside_list = bool(is_block) and not is_block[-1]
            is_block.append(not is_inside_list and _BLOCK.search(line[: match.end()]) is not None)
            if sum(is_block) - 1 > NESTING_MAX:
                return number
    return 0


if __name__ == "__main__":
    report.run("sizes", check)
