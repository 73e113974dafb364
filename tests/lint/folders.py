#!/usr/bin/env python3
"""The builds skip folders that are not there yet; this check says which ones should be, and that each introduces itself."""

import pathlib
import re
from typing import Iterator

import report
import source

README_LINES_MAX = 30


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Folders that a list names but that are missing, that no list names, or that have no README."""
    yield from _listed(root, "CMakeLists.txt", _words(root, "CMakeLists.txt", r"foreach\(folder((?:\s+[\w/]+)+)\)"))
    tests = _words(root, "tests/CMakeLists.txt", r"set\(NACRE_TEST_FOLDERS([^)]*)\)")
    yield from _listed(root, "tests/CMakeLists.txt", [f"tests/{word}" for word in tests])
    units = set(_words(root, "tests/unit/CMakeLists.txt", r"set\(NACRE_UNIT_FOLDERS([^)]*)\)"))
    sources = set(_words(root, "CMakeLists.txt", r"foreach\(folder((?:\s+[\w/]+)+)\)"))
    for folder in sorted(path for path in (root / "src").glob("*") if path.is_dir()):
        yield from _source_folder(root, folder, units, sources)


def _words(root: pathlib.Path, file: str, pattern: str) -> list[str]:
    text = source.read(root / file) if (root / file).exists() else ""
    match = re.search(pattern, text)
    return match.group(1).split() if match else []


def _listed(root: pathlib.Path, file: str, folders: list[str]) -> Iterator[report.Finding]:
    if not folders:
        yield report.Finding(file, 1, "names no folders (or not in the form that tests/lint/folders.py reads)")
    for folder in folders:
        if not (root / folder / "CMakeLists.txt").exists():
            yield report.Finding(file, 1, f"{folder} is named, but {folder}/CMakeLists.txt does not exist")


def _source_folder(root: pathlib.Path, folder: pathlib.Path, units: set[str], sources: set[str]) -> Iterator[report.Finding]:
    name = f"src/{folder.name}"
    if not any(path.is_file() for path in folder.rglob("*")):
        return
    if name not in sources:
        yield report.Finding(name, 1, "CMakeLists.txt does not name this folder")
    if any(folder.rglob("*.c")) and folder.name not in units:
        yield report.Finding(name, 1, "tests/unit/CMakeLists.txt does not name this folder")
    readme = folder / "README.md"
    if not readme.exists():
        yield report.Finding(name, 1, "no README.md (what it is, who calls it, its thread, its invariants, to add X do Y)")
    elif len(source.read(readme).splitlines()) > README_LINES_MAX:
        yield report.Finding(f"{name}/README.md", 1, f"over {README_LINES_MAX} lines")


if __name__ == "__main__":
    report.run("folders", check)
