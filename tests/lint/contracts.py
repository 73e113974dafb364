#!/usr/bin/env python3
"""Every header opens with its contract, and every public function has one directly above it.

A comment covers the declarations that follow it without an empty line (a family may share one); a comment at the end of
the same line will do for a one-word function. Functions defined in a header (static inline) show their whole body: exempt.
"""

import pathlib
import re
from typing import Iterator

import report
import source


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Headers and public functions of src/ without a comment that says what the types do not."""
    for path in sorted((root / "src").rglob("*.h")):
        name = str(path.relative_to(root))
        text = source.read(path)
        if not text.startswith("/*"):
            yield report.Finding(name, 1, "a header opens with its contract: what it is, thread, owner, limits, source")
        yield from _functions(name, text)


def _functions(name: str, text: str) -> Iterator[report.Finding]:
    lines = text.splitlines()
    for declaration in source.declarations(text):
        if declaration.is_definition:
            continue
        if _has_comment_after(lines, declaration) or _has_comment_above(lines, declaration.line):
            continue
        yield report.Finding(name, declaration.line, f"{declaration.name}: no contract comment directly above it")


def _has_comment_after(lines: list[str], declaration: source.Declaration) -> bool:
    return re.search(r";\s*/\*", lines[declaration.line_end - 1]) is not None


def _has_comment_above(lines: list[str], line: int) -> bool:
    """Walks up through the block of declarations; true when a comment ends right above it."""
    for above in reversed(lines[: line - 1]):
        above = above.strip()
        if not above or above.startswith("#") or above.endswith(("}", "};")):
            return False
        if above.endswith("*/") and not re.search(r";\s*/\*", above):
            return True
    return False


if __name__ == "__main__":
    report.run("contracts", check)
