"""Formats the whole tree and mends what lint can mend: ./bazelw run //bazel/lint:fix."""

import os
import subprocess
import sys
from pathlib import Path

from bazel.lint import programs


def main() -> int:
    """Runs the formatters in the working tree and returns the worst of their exit codes."""
    tree = Path(os.environ["BUILD_WORKSPACE_DIRECTORY"])
    ruff = programs.path("ruff", "ruff")
    commands: list[list[str | Path]] = [
        [ruff, "check", "--fix", "--no-cache"],
        [ruff, "format", "--no-cache"],
        [programs.path("buf-bin", "buf"), "format", "--write", "proto"],
    ]
    buildifier = Path(sys.argv[1]).absolute()
    if buildifier.name == "unavailable.txt":
        print(f"BUILD files are left as they are: {buildifier.read_text().strip()}", file=sys.stderr)
    else:
        commands.append([buildifier, "-lint=fix", *_build_files(tree)])
    return max(subprocess.run(command, cwd=tree, check=False).returncode for command in commands)


def _build_files(tree: Path) -> list[str]:
    # What third_party holds stands in for other repositories, in forms that lint would mend to death.
    listed = ["git", "ls-files", "--cached", "--others", "--exclude-standard"]
    patterns = ["*.bzl", "*BUILD.bazel", "MODULE.bazel", "WORKSPACE", ":!third_party"]
    return subprocess.run([*listed, *patterns], cwd=tree, check=True, capture_output=True, text=True).stdout.split()


if __name__ == "__main__":
    sys.exit(main())
