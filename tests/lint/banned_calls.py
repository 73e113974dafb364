#!/usr/bin/env python3
"""Calls that have a better home, or no place in a server that must not crash, block or be fooled."""

import pathlib
import re
from typing import Iterator

import report
import source

# name -> what to do instead
BANNED = {
    "strcpy": "copy with a known length (base/span.h, memcpy)",
    "strcat": "append to a bounded buffer",
    "stpcpy": "copy with a known length",
    "sprintf": "snprintf with the buffer's size",
    "vsprintf": "vsnprintf with the buffer's size",
    "gets": "read with a length",
    "strtok": "span_cut (base/span.h)",
    "atoi": "span_int (base/span.h): it says when the text is no number",
    "atol": "span_int (base/span.h)",
    "atoll": "span_int (base/span.h)",
    "atof": "span_double (base/span.h): independent of the locale",
    "system": "no shell in a server",
    "popen": "no shell in a server",
    "alloca": "the stack has no limit check: base/arena.h",
    "rand": "base/rand.h",
    "srand": "base/rand.h",
    "random": "base/rand.h",
    "signal": "sigaction or signalfd in main.c",
    "usleep": "nothing sleeps to wait: a timer or a condition with a deadline",
    "sleep": "nothing sleeps to wait: a timer or a condition with a deadline",
    "nanosleep": "nothing sleeps to wait: a timer or a condition with a deadline",
}
ALLOCATE = {name: "base/mem.h: one place decides what happens when memory is out"
            for name in ("malloc", "calloc", "realloc", "reallocarray", "strdup", "strndup", "asprintf", "vasprintf")}
PARSE = {name: "wire/json_in.h: it checks depth and size first, because cJSON recurses"
         for name in ("cJSON_Parse", "cJSON_ParseWithLength", "cJSON_ParseWithOpts", "cJSON_ParseWithLengthOpts")}
PARSE |= {name: "base/json_out.h: replies are written, never built as a tree" for name in ("cJSON_Print", "cJSON_PrintUnformatted")}
# Calls that only these may make.
HOMES = [("src/base/mem.c", ALLOCATE), ("src/wire/json_in.c", PARSE)]
# Tests may be plain where a server may not, but they do not sleep either.
BANNED_IN_TESTS = {name: BANNED[name] for name in ("sleep", "usleep", "gets", "strtok")}

_ASSERT_H = re.compile(r'^[ \t]*#[ \t]*include[ \t]*[<"]assert\.h[>"]', re.MULTILINE)


def check(root: pathlib.Path) -> Iterator[report.Finding]:
    """Calls of banned functions, and <assert.h>."""
    for path in source.c_files(root, "src", "tests"):
        name = str(path.relative_to(root))
        text = source.read(path)
        banned = BANNED_IN_TESTS if name.startswith("tests/") else BANNED
        for home, calls in HOMES:
            if name.startswith("src/") and name != home:
                banned = banned | calls
        code = source.without_comments(text)
        for match in _calls(banned).finditer(code):
            called = match.group(1)
            yield report.Finding(name, source.line_of(code, match.start()), f"{called}: {banned[called]}")
        if name.startswith("src/"):
            for match in _ASSERT_H.finditer(text):
                yield report.Finding(name, source.line_of(text, match.start()), '<assert.h>: use "base/assert.h", it stays on')


def _calls(names: dict[str, str]) -> re.Pattern:
    # Not a member (ops->signal) and not a longer name (loop_signal).
    return re.compile(r"(?<![\w.>])(" + "|".join(names) + r")\s*\(")


if __name__ == "__main__":
    report.run("banned_calls", check)
