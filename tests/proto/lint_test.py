"""buf's linter, which //proto:buf runs over the API, sees what breaks its rules."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from bazel.lint import programs

if TYPE_CHECKING:
    from collections.abc import Callable

API = "jobworker/v1/job_worker.proto"


@pytest.fixture
def lint(tmp_path: Path) -> Callable[[str], str]:
    """Returns what buf says of the API in another wording; empty if nothing."""

    def run(source: str) -> str:
        (tmp_path / API).parent.mkdir(parents=True)
        (tmp_path / API).write_text(source)
        (tmp_path / "buf.yaml").write_bytes(Path("proto/buf.yaml").read_bytes())
        environment = {"BUF_CACHE_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
        command: list[str | Path] = [programs.path("buf-bin", "buf"), "lint"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, check=False, text=True)
        assert done.stderr == ""
        assert (done.returncode == 0) == (done.stdout == "")
        told: str = done.stdout
        return told

    return run


@pytest.fixture
def source() -> str:
    """The proto as it is."""
    return Path("proto", API).read_text()


def test_the_api_is_clean(lint: Callable[[str], str], source: str) -> None:
    """There is nothing to say of it."""
    assert lint(source) == ""


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("int64 stdout_bytes", "int64 stdoutBytes", "should be lower_snake_case"),
        ("JOB_STATE_RUNNING", "RUNNING", 'should be prefixed with "JOB_STATE_"'),
        ("JobWorkerService", "JobWorker", 'should be suffixed with "Service"'),
        ("package jobworker.v1;", "package jobworker;", "should be suffixed with a correctly formed version"),
        ("// One started command, with its state and facts about its output.\n", "", "should have a non-empty comment"),
    ],
)
def test_a_fault_is_told(lint: Callable[[str], str], source: str, old: str, new: str, told: str) -> None:
    """STANDARD and COMMENTS are in force."""
    assert old in source
    assert told in lint(source.replace(old, new))
