"""Runs mypy as a Bazel test: imports resolve as they do at run time, along sys.path."""

import os
import sys
from pathlib import Path

from mypy import api


def main() -> int:
    """Checks the files that the arguments name and returns mypy's exit code."""
    # This repository's own import roots are sources to mypy; the locked packages are installed
    # packages to it, found along sys.path, and their own errors are none of ours.
    here = f"{Path.cwd()}{os.sep}"
    os.environ["MYPYPATH"] = os.pathsep.join(path for path in sys.path if path.startswith(here))
    cache = Path(os.environ["TEST_TMPDIR"], "mypy")
    report, errors, status = api.run([f"--cache-dir={cache}", *sys.argv[1:]])
    sys.stdout.write(report)
    sys.stderr.write(errors)
    return status


if __name__ == "__main__":
    sys.exit(main())
