"""What the checks that drive a program share: finding it, finding the build's compile commands, running it over many files."""

import argparse
import concurrent.futures
import json
import pathlib
import shutil
import subprocess
import sys
from typing import Callable, Iterable, Iterator

import report

JOBS = 2


def program(name: str) -> str:
    found = shutil.which(name)
    if not found:
        sys.exit(f"{name} is not installed: run deploy/install --tests")
    return found


def arguments(name: str, description: str | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog=name, description=description)
    parser.add_argument("--root", type=pathlib.Path, default=report.PROJECT)
    parser.add_argument("--build", type=pathlib.Path, default=report.PROJECT / "build/lint", help="a configured build directory")
    options = parser.parse_args()
    options.root, options.build = options.root.resolve(), options.build.resolve()
    return options


def compiled(root: pathlib.Path, build: pathlib.Path) -> list[pathlib.Path]:
    """The files of src/ that the build compiles, so generated code and tests are left out."""
    database = build / "compile_commands.json"
    if not database.exists():
        sys.exit(f"{database} is missing: run cmake --preset lint")
    files = {pathlib.Path(entry["directory"], entry["file"]).resolve() for entry in json.loads(database.read_text())}
    source = (root / "src").resolve()
    return sorted(file for file in files if file.is_relative_to(source))


def each(files: Iterable[pathlib.Path], command: Callable[[pathlib.Path], list[str]],
         cwd: pathlib.Path) -> Iterator[tuple[pathlib.Path, int, str]]:
    """Runs a command per file, JOBS at once: (file, exit status, output), in the files' order."""

    def one(file: pathlib.Path) -> tuple[pathlib.Path, int, str]:
        done = subprocess.run(command(file), cwd=cwd, text=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
        return file, done.returncode, done.stdout

    with concurrent.futures.ThreadPoolExecutor(JOBS) as pool:
        yield from pool.map(one, files)
