"""What every check shares: findings, exceptions with reasons, the command line, and the small trees of the self-tests.

A check is a module with check(root) that yields findings. Its self-test, test_<check>.py beside it, shows on a small tree
that it finds what it should and accepts what it should.
"""

import argparse
import pathlib
import sys
import tempfile
import textwrap
import unittest
from typing import Callable, Iterable, NamedTuple

PROJECT = pathlib.Path(__file__).resolve().parents[2]
EXCEPTIONS = "tests/lint/exceptions"


class Finding(NamedTuple):
    path: str  # relative to the root
    line: int
    text: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.text}"


def exceptions(root: pathlib.Path, name: str) -> dict[str, str]:
    """The paths that the check called name leaves out, with the reason: lines "check path reason ..."."""
    file = root / EXCEPTIONS
    found = {}
    for line in file.read_text().splitlines() if file.exists() else []:
        words = line.split(None, 2)
        if not words or words[0].startswith("#") or words[0] != name:
            continue
        if len(words) < 3:
            raise SystemExit(f"{EXCEPTIONS}: an exception without a reason: {line}")
        found[words[1]] = words[2]
    return found


def judge(root: pathlib.Path, name: str, check: Callable[[pathlib.Path], Iterable[Finding]]) -> list[Finding]:
    """The findings that no exception covers, and the exceptions that cover nothing any more."""
    excepted = exceptions(root, name)
    kept, used = [], set()
    for finding in check(root):
        if finding.path in excepted:
            used.add(finding.path)
        else:
            kept.append(finding)
    kept += [Finding(EXCEPTIONS, 1, f"{name} {path}: covers nothing any more, remove it")
             for path in excepted if path not in used]
    return kept


def run(name: str, check: Callable[[pathlib.Path], Iterable[Finding]]) -> None:
    """The command line of a check: exit 1 when it found something."""
    parser = argparse.ArgumentParser(prog=name, description=check.__doc__)
    parser.add_argument("--root", type=pathlib.Path, default=PROJECT)
    findings = judge(parser.parse_args().root, name, check)
    for finding in findings:
        print(finding)
    print(f"{name}: {len(findings)} finding(s)")
    sys.exit(1 if findings else 0)


class TreeTest(unittest.TestCase):
    """A self-test: self.tree({"src/base/x.c": "..."}) makes a small project."""

    def tree(self, files: dict[str, str]) -> pathlib.Path:
        folder = tempfile.TemporaryDirectory(prefix="nacre-lint-")
        self.addCleanup(folder.cleanup)
        root = pathlib.Path(folder.name)
        for path, text in files.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(textwrap.dedent(text))
        return root

    def found(self, check: Callable[[pathlib.Path], Iterable[Finding]], files: dict[str, str]) -> list[str]:
        """What the check says of the tree, as "path:line" strings."""
        return [f"{finding.path}:{finding.line}" for finding in check(self.tree(files))]
