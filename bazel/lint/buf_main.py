"""Runs buf's linter and its formatter's check as a Bazel test."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from bazel.lint import programs


def main() -> int:
    """Checks the folder of the buf.yaml that the argument names and returns the worse exit code of the two checks."""
    scratch = os.environ["TEST_TMPDIR"]
    # buf passes over symbolic links, and all that a test is given are such: it gets a copy.
    folder = shutil.copytree(Path(sys.argv[1]).parent, Path(scratch, "buf"))
    buf = programs.path("buf-bin", "buf")
    environment = {"BUF_CACHE_DIR": scratch, "PATH": os.environ["PATH"]}
    return max(
        subprocess.run([buf, *command], cwd=folder, env=environment, check=False).returncode
        for command in (["lint"], ["format", "--diff", "--exit-code"])
    )


if __name__ == "__main__":
    sys.exit(main())
