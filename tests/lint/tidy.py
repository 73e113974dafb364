#!/usr/bin/env python3
"""clang-tidy (.clang-tidy) over what the build compiles of src/.

A file that passed is not read again until it, a header, .clang-tidy or the compile commands change: a stamp in the build
directory keeps the digest of all of them.
"""

import hashlib
import pathlib
import re
import sys

import source
import tools


def run(root: pathlib.Path, build: pathlib.Path) -> tuple[int, str]:
    """Number of files with findings, and the findings."""
    stamps = build / "tidy"
    stamps.mkdir(exist_ok=True)
    shared = _shared_digest(root, build)
    digests = {file: _digest(shared, file) for file in tools.compiled(root, build)}
    due = [file for file, digest in digests.items() if not (stamps / digest).exists()]
    tidy = tools.program("clang-tidy-14")
    failed, found = 0, ""
    for file, status, output in tools.each(due, lambda file: [tidy, "--quiet", "-p", str(build), str(file)], root):
        if status == 0:
            (stamps / digests[file]).touch()
        else:
            failed += 1
            found += _without_noise(output)
    return failed, found


def _shared_digest(root: pathlib.Path, build: pathlib.Path) -> bytes:
    """Of everything that can change the verdict on any file."""
    digest = hashlib.sha256()
    headers = [path for path in source.c_files(root, "src") if path.suffix == ".h"]
    for path in [root / ".clang-tidy", build / "compile_commands.json", *headers]:
        digest.update(path.read_bytes())
    return digest.digest()


def _digest(shared: bytes, file: pathlib.Path) -> str:
    return hashlib.sha256(shared + str(file).encode() + file.read_bytes()).hexdigest()


def _without_noise(output: str) -> str:
    return re.sub(r"^(\d+ warnings? (generated|treated as error).*|Suppressed .*|Use -header-filter.*)\n", "", output, flags=re.MULTILINE)


if __name__ == "__main__":
    options = tools.arguments("tidy", __doc__)
    failed, output = run(options.root, options.build)
    sys.stdout.write(output)
    print(f"tidy: {failed} file(s) with findings")
    sys.exit(1 if failed else 0)
