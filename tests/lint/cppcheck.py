#!/usr/bin/env python3
"""cppcheck over what the build compiles of src/, with the build's own flags."""

import pathlib
import subprocess
import sys

import tools


def run(root: pathlib.Path, build: pathlib.Path) -> tuple[int, str]:
    """Exit status and output. Results are kept in the build directory, so only changed files are read again."""
    tools.compiled(root, build)
    cache = build / "cppcheck"
    cache.mkdir(exist_ok=True)
    command = [
        tools.program("cppcheck"), "--enable=warning,performance,portability", "--inline-suppr", "--error-exitcode=1", "--quiet",
        f"-j{tools.JOBS}", f"--cppcheck-build-dir={cache}", f"--project={build / 'compile_commands.json'}", f"--file-filter={root}/src/*",
    ]
    done = subprocess.run(command, cwd=root, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout


if __name__ == "__main__":
    options = tools.arguments("cppcheck", __doc__)
    status, output = run(options.root, options.build)
    sys.stdout.write(output)
    print("cppcheck: " + ("see above" if status else "0 finding(s)"))
    sys.exit(status)
