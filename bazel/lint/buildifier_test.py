"""buildifier's format and lint hold for the BUILD files, wherever buildifier is to be had."""

import os
import subprocess
from pathlib import Path

import pytest


@pytest.fixture
def buildifier() -> Path:
    """The program, as an absolute path."""
    path = Path(os.environ["BUILDIFIER"])
    if path.name == "unavailable.txt":
        pytest.skip(f"buildifier is not to be had here: {path.read_text().strip()}")
    return path.absolute()


def test_build_files_are_as_buildifier_wants_them(buildifier: Path) -> None:
    """There is nothing to format and nothing to warn of."""
    files = os.environ["BUILD_SOURCES"].split()
    command: list[str | Path] = [buildifier, "-mode=check", "-lint=warn", *files]
    run = subprocess.run(command, capture_output=True, check=False, text=True)
    assert run.returncode == 0, run.stdout + run.stderr
