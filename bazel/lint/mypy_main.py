"""Runs mypy as a Bazel test: imports resolve as they do at run time, along sys.path."""

import os
import sys
from pathlib import Path

from mypy import api


def module(file: Path, roots: set[Path]) -> Path:
    """Returns the path of a file from the nearest import root above it, which is what mypy makes its name from."""
    return file.relative_to(next(parent for parent in file.parents if parent in roots))


def rounds(files: list[Path], roots: set[Path]) -> list[dict[Path, Path]]:
    """Returns the files so divided that no two of a round are of one name, which mypy would not take together."""
    divided: list[dict[Path, Path]] = []
    for file in files:
        name = module(file, roots)
        fitting = next((round_ for round_ in divided if name not in round_), None)
        if fitting is None:
            divided.append(fitting := {})
        fitting[name] = file
    return divided


def main() -> int:
    """Checks the files that the arguments name and returns mypy's worst exit code."""
    # This repository's own import roots are sources to mypy; the locked packages are installed
    # packages to it, found along sys.path, and their own errors are none of ours.
    here = Path.cwd()
    roots = {path for path in map(Path, sys.path) if path.is_relative_to(here)} | {here}
    os.environ["MYPYPATH"] = os.pathsep.join(map(str, sorted(roots - {here})))
    cache = Path(os.environ["TEST_TMPDIR"], "mypy")
    worst = 0
    for files in rounds([here / file for file in sys.argv[1:]], roots):
        report, errors, status = api.run([f"--cache-dir={cache}", *map(str, files.values())])
        sys.stdout.write(report)
        sys.stderr.write(errors)
        worst = max(worst, status)
    return worst


if __name__ == "__main__":
    sys.exit(main())
