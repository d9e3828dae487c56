"""Runs ruff's linter and its formatter's check as a Bazel test."""

import subprocess
import sys

from bazel.lint import programs


def main() -> int:
    """Checks the files that the arguments name and returns the worse exit code of the two checks."""
    ruff = programs.path("ruff", "ruff")
    return max(
        subprocess.run([ruff, *command, "--no-cache", "--force-exclude", *sys.argv[1:]], check=False).returncode
        for command in (["check"], ["format", "--diff"])
    )


if __name__ == "__main__":
    sys.exit(main())
