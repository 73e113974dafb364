#!/usr/bin/env python3
"""Every local link of the documents leads somewhere: the file exists, and the heading too where one is named."""

import pathlib
import re
from typing import Iterator

import report
import source

_LINK = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)")
_FENCE = re.compile(r"^```.*?^```", re.MULTILINE | re.DOTALL)
_INLINE_CODE = re.compile(r"`[^`\n]*`")


def documents(root: pathlib.Path) -> list[pathlib.Path]:
    return sorted([*root.glob("*.md"), *(root / "docs").rglob("*.md"), *(root / "src").rglob("*.md"), *(root / "tests").rglob("*.md")])


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Links to files or headings that do not exist."""
    for path in documents(root):
        text = _without_code(source.read(path))
        for match in _LINK.finditer(text):
            problem = _problem(root, path, match.group(1))
            if problem:
                yield report.Finding(str(path.relative_to(root)), source.line_of(text, match.start()), problem)


def _without_code(text: str) -> str:
    def blank(match: re.Match) -> str:
        return re.sub(r"[^\n]", " ", match.group())

    # Inline code inside a link's text must not eat the link, so only its letters go.
    return _INLINE_CODE.sub(blank, _FENCE.sub(blank, text))


def _problem(root: pathlib.Path, path: pathlib.Path, link: str) -> str | None:
    if re.match(r"[a-z]+:", link):
        return None
    file, _, heading = link.partition("#")
    target = (path.parent / file).resolve() if file else path
    if not target.is_relative_to(root.resolve()):
        return f"{link} leads out of the project"
    if not target.exists():
        return f"{link}: no such file"
    if heading and heading not in _headings(target):
        return f"{link}: no such heading"
    return None


def _headings(path: pathlib.Path) -> set[str]:
    """The anchors of a document's headings, made as code forges make them."""
    found = set()
    for line in _FENCE.sub("", source.read(path)).splitlines():
        if line.startswith("#"):
            words = re.sub(r"[^\w\- ]", "", line.lstrip("#").strip().lower())
            found.add(words.replace(" ", "-"))
    return found


if __name__ == "__main__":
    report.run("doc_links", check)
