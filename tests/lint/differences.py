#!/usr/bin/env python3
"""A deliberate difference from Nacos is marked in the code and explained in docs/COMPAT.md.

In the code: a comment that says DIFF(<slug>): why.  In docs/COMPAT.md: a heading "### <slug>" or a table row with `<slug>`
in its first column.
"""

import pathlib
import re
from typing import Iterator

import report
import source

COMPAT = "docs/COMPAT.md"
_MARK = re.compile(r"\bDIFF\b(\(([a-z0-9-]+)\):|)")


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Marks without a name, and names that docs/COMPAT.md does not explain."""
    explained = _explained(root / COMPAT)
    for path in source.c_files(root, "src"):
        name = str(path.relative_to(root))
        for start, comment in source.comments(source.read(path)):
            for match in _MARK.finditer(comment):
                line = start + comment.count("\n", 0, match.start())
                if not match.group(1):
                    yield report.Finding(name, line, "write DIFF(<slug>): and explain <slug> in " + COMPAT)
                elif match.group(2) not in explained:
                    yield report.Finding(name, line, f"{COMPAT} does not explain {match.group(2)}")


def _explained(compat: pathlib.Path) -> set[str]:
    if not compat.exists():
        return set()
    return set(re.findall(r"^(?:###\s+|\|\s*)`?([a-z0-9-]+)`?\s*(?:\||$)", source.read(compat), re.MULTILINE))


if __name__ == "__main__":
    report.run("differences", check)
