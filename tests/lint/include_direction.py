#!/usr/bin/env python3
"""Who may include whom: a folder of src/ includes lower layers only, and each technology has one home."""

import pathlib
import re
from typing import Iterator

import report
import source

# docs/ARCHITECTURE.md draws the same table. A folder of the same number is a neighbour and closed.
LAYERS = {
    "base": 0,
    "loop": 1,
    "wire": 2, "store": 2, "consensus": 2,
    "api": 3,
    "auth": 4, "namespace": 4, "cluster": 4, "conn": 4, "view": 4,
    "naming": 5, "config": 5, "console": 5,
    "rpc": 6, "http": 6,
    "node": 7,
    "bench": 8,
}
MAIN = 8  # src/main.c

# Library headers with a home: every other folder of src/ goes through it.
HOMES = [
    (r"grpc/|grpc\+\+/", {"rpc"}),
    (r"microhttpd\.h", {"http"}),
    (r"uv\.h|uv/", {"loop", "consensus", "node"}),
    (r"raft\.h|raft/", {"consensus"}),
    (r"sqlite3\.h|mysql|mariadb", {"store"}),
    (r"nghttp2/", {"bench"}),
    (r".*\.pb-c\.h", {"wire", "consensus", "namespace", "naming", "config", "cluster", "rpc", "bench"}),
]

_INCLUDE = re.compile(r'^[ \t]*#[ \t]*include[ \t]*([<"])([^>"]+)[>"]', re.MULTILINE)


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Includes that point up, sideways, or at a library that has another home."""
    for path in source.c_files(root, "src"):
        parts = path.relative_to(root / "src").parts
        folder = parts[0] if len(parts) > 1 else "main"
        text = source.read(path)
        if folder != "main" and folder not in LAYERS:
            yield _finding(root, path, text, 0, f"folder src/{folder} has no layer in tests/lint/include_direction.py")
            continue
        for match in _INCLUDE.finditer(text):
            problem = _problem(folder, match.group(1), match.group(2))
            if problem:
                yield _finding(root, path, text, match.start(), problem)


def _finding(root: pathlib.Path, path: pathlib.Path, text: str, offset: int, problem: str) -> report.Finding:
    return report.Finding(str(path.relative_to(root)), source.line_of(text, offset), problem)


def _problem(folder: str, quote: str, header: str) -> str | None:
    for pattern, homes in HOMES:
        if re.match(pattern, header):
            if folder in homes:
                return None
            return f"<{header}> is used by {', '.join('src/' + home for home in sorted(homes))} only"
    if quote == "<":
        return None
    target = header.split("/")[0]
    if "/" not in header or target == ".." or target not in LAYERS:
        return f'"{header}": paths start at src/, as in "base/err.h"'
    if target == folder:
        return None
    mine = MAIN if folder == "main" else LAYERS[folder]
    if LAYERS[target] == mine:
        return f'"{header}": {target} is a neighbour of {folder} (layer {mine}); neighbours do not know each other'
    if LAYERS[target] > mine:
        return f'"{header}": {target} is layer {LAYERS[target]}, above {folder} (layer {mine})'
    return None


if __name__ == "__main__":
    report.run("include_direction", check)
