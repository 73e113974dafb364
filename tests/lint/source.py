"""Reading C well enough to check it: files of a tree, text without comments, declarations at file level.

Not a parser: it relies on the project's format (clang-format runs before it) and on balanced brackets, nothing else.
"""

import pathlib
import re
from typing import Iterator, NamedTuple


def c_files(root: pathlib.Path, *folders: str) -> Iterator[pathlib.Path]:
    """The .c and .h files below the folders, sorted, generated trees left out."""
    for folder in folders:
        for path in sorted((root / folder).rglob("*.[ch]")):
            if "build" not in path.relative_to(root).parts:
                yield path


def read(path: pathlib.Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


_TOKEN = re.compile(
    r"""/\*.*?\*/            # comment
      | //[^\n]*
      | "(?:\\.|[^"\\\n])*"  # string
      | '(?:\\.|[^'\\\n])*'  # character
    """,
    re.VERBOSE | re.DOTALL,
)
_PREPROCESSOR = re.compile(r"^[ \t]*#(?:[^\n]*\\\n)*[^\n]*", re.MULTILINE)


def _spaces(match: re.Match) -> str:
    return re.sub(r"[^\n]", " ", match.group())


def without_comments(text: str) -> str:
    """The text with comments, strings and characters turned into spaces: every offset and line stays."""

    def blank(match: re.Match) -> str:
        token = match.group()
        if token[0] in "\"'":
            return token[0] + " " * (len(token) - 2) + token[0]
        return _spaces(match)

    return _TOKEN.sub(blank, text)


def only_code(text: str) -> str:
    """without_comments, and preprocessor lines blank too."""
    return _PREPROCESSOR.sub(_spaces, without_comments(text))


def comments(text: str) -> Iterator[tuple[int, str]]:
    """(line, text) of every comment."""
    for match in _TOKEN.finditer(text):
        if match.group().startswith("/"):
            yield line_of(text, match.start()), match.group()


def line_of(text: str, offset: int) -> int:
    return text.count("\n", 0, offset) + 1


class Declaration(NamedTuple):
    """A function at file level: its prototype, or its definition when it has a body."""

    name: str
    line: int
    line_end: int
    head: str
    is_definition: bool


# Words before a parenthesis that are not the function's name.
_NOT_A_NAME = {"__attribute__", "PRINTF_LIKE", "_Alignas", "_Static_assert", "static_assert", "void", "int"}


def declarations(text: str) -> Iterator[Declaration]:
    """The functions declared or defined at file level, in order."""
    code = only_code(text)
    start, depth, has_block = 0, 0, False
    head_end = 0
    for offset, char in enumerate(code):
        if char in "([{":
            if char == "{" and depth == 0 and not has_block:
                has_block, head_end = True, offset
            depth += 1
            continue
        if char in ")]}":
            depth -= 1
            if char != "}" or depth != 0 or not _is_function_head(code[start:head_end]):
                continue
        elif char != ";" or depth != 0:
            continue
        head = code[start : head_end if has_block else offset]
        name = _function_name(head)
        if name and (not has_block or char == "}"):
            begin = start + len(head) - len(head.lstrip())
            yield Declaration(name, line_of(code, begin), line_of(code, offset), head.strip(), has_block)
        start, has_block, head_end = offset + 1, False, 0


def _is_function_head(head: str) -> bool:
    return head.rstrip().endswith(")") and "=" not in head


def _function_name(head: str) -> str | None:
    if re.match(r"\s*(typedef|_Static_assert|static_assert)\b", head) or "=" in head:
        return None
    for match in re.finditer(r"\b([A-Za-z_]\w*)\s*\((\s*\*)?", head):
        if match.group(2):
            return None  # a pointer to a function: a variable
        if match.group(1) not in _NOT_A_NAME:
            return match.group(1)
    return None
