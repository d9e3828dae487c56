"""The single-file programs run on the interpreter alone, from anywhere."""

import os
import subprocess
import sys
from pathlib import Path

import pytest


@pytest.mark.parametrize("program", ["WORKER_CLI_PYZ", "WORKER_DAEMON_PYZ"])
def test_program_runs_without_its_sources(program: str, tmp_path: Path) -> None:
    """It unpacks itself the first time, and starts from there the second."""
    command: list[str | Path] = [sys.executable, "-IS", Path(os.environ[program]).resolve(), "--version"]
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "cache")}
    runs = [subprocess.check_output(command, cwd=tmp_path, env=environment, text=True) for _ in range(2)]
    assert runs[0] == runs[1]
    assert runs[0].strip()
    assert len(list((tmp_path / "cache/zipapp").iterdir())) == 1


def test_program_names_its_interpreter() -> None:
    """What was built for one version of Python does not start on another."""
    version = "{}.{}".format(*sys.version_info)
    with Path(os.environ["WORKER_CLI_PYZ"]).open("rb") as archive:
        assert archive.readline() == f"#!/usr/bin/env -S python{version} -IS\n".encode()
