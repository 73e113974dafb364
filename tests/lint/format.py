#!/usr/bin/env python3
"""The C files of src/ and tests/ look as .clang-format says."""

import pathlib
import subprocess
import sys

import source
import tools


def run(root: pathlib.Path) -> tuple[int, str]:
    """Exit status and output of clang-format over the tree."""
    files = [str(path) for path in source.c_files(root, "src", "tests")]
    if not files:
        return 0, "no files\n"
    done = subprocess.run([tools.program("clang-format-14"), "--dry-run", "-Werror", "--style=file", *files], cwd=root,
                          text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


if __name__ == "__main__":
    status, output = run(tools.arguments("format", __doc__).root)
    sys.stdout.write(output)
    print("format: " + ("clang-format-14 -i FILE puts it right" if status else "0 finding(s)"))
    sys.exit(status)
