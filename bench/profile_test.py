"""Runs the built profile."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

PROGRAM = Path(os.environ["PROFILE"]).absolute()


@pytest.mark.skipif(os.geteuid() != 0, reason="to look at other processes takes root")
def test_a_profile_sees_daemon_and_supervisor(tmp_path: Path) -> None:
    """It finds the calls of a start in both of them, and draws them."""
    # A table of the most frequent alone may lack one of them in a run.
    command = [str(PROGRAM), "--seconds=2", "--most=1000", f"--output={tmp_path}", "jobs"]
    done = subprocess.run(command, capture_output=True, check=False, text=True)
    assert done.returncode == 0, done.stderr
    for process, call in (("daemon", "StartJob"), ("supervisor", "Jobs.start")):
        assert f"## jobs: {process}" in done.stdout
        assert call in (tmp_path / f"jobs-{process}.md").read_text()
        assert call in (tmp_path / f"jobs-{process}.svg").read_text()


def test_an_unknown_load_is_refused() -> None:
    """With the names of those that there are, before anything runs."""
    done = subprocess.run([PROGRAM, "sleep"], capture_output=True, check=False, text=True)
    assert done.returncode == 2
    assert "there are jobs, start" in done.stderr
