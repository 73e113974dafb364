#!/usr/bin/env python3
"""The C files of src/ and tests/ look as .clang-format says."""

import collections
import pathlib
import re
import subprocess
import sys

import source
import tools


def run(root: pathlib.Path) -> tuple[int, str]:
    """Exit status, and a line per file that clang-format would change: its first place, and how many there are."""
    files = [str(path) for path in source.c_files(root, "src", "tests")]
    if not files:
        return 0, "no files\n"
    done = subprocess.run([tools.program("clang-format-14"), "--dry-run", "-Werror", "--style=file", *files], cwd=root,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    places = collections.defaultdict(list)
    for name, line in re.findall(r"^(\S+?):(\d+):\d+: error: ", done.stdout, re.MULTILINE):
        places[str(pathlib.Path(name).relative_to(root))].append(line)
    found = "".join(f"{name}:{lines[0]}: another format, in {len(lines)} place(s)\n" for name, lines in places.items())
    return done.returncode, found or done.stdout


if __name__ == "__main__":
    status, output = run(tools.arguments("format", __doc__).root)
    sys.stdout.write(output)
    print("format: " + ("clang-format-14 -i FILE puts it right" if status else "0 finding(s)"))
    sys.exit(status)
