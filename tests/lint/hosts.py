#!/usr/bin/env python3
"""No file names the host of a package registry or mirror: clients (apt, go, maven, pip, docker) know where to look.

A name written down would tie the build to one place and override what the user's machine is set up for.
"""

import pathlib
import re
import subprocess
from typing import Iterator

import report
import source

# A host name with a label that is typical of a registry; put together from labels, so that none is written here.
_LABEL = r"(?:registry|repo|repo1|mirrors?|proxy|goproxy|sum|pypi|pythonhosted|npmjs|maven|docker|quay|ghcr|gcr|crates|nexus|artifactory|deb|archive)"
_TOP = r"(?:io|org|com|net|dev|cn)"
_HOST = re.compile(
    rf"(?<![\w/.@-])(?:https?://)?((?:[a-z0-9-]+\.)*(?:[a-z0-9]+-)*{_LABEL}(?:-[a-z0-9]+)*(?:\.[a-z0-9-]+)*\.{_TOP})(?![\w-]|\.\w|/POM|/xsd)",
    re.IGNORECASE,
)
SELF = ("tests/lint/test_hosts.py",)


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Registry host names in the files that git knows, or in all files where there is no git."""
    for name in _files(root):
        path = root / name
        if name in SELF or not path.is_file():
            continue
        for number, line in enumerate(source.read(path).splitlines(), 1):
            for match in _HOST.finditer(line):
                yield report.Finding(name, number, f"names a registry host ({match.group(1)})")


def _files(root: pathlib.Path) -> list[str]:
    if (root / ".git").exists():
        listed = subprocess.run(["git", "-C", str(root), "ls-files", "-z"], check=True, capture_output=True, text=True)
        return [name for name in listed.stdout.split("\0") if name]
    return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())


if __name__ == "__main__":
    report.run("hosts", check)
