"""The single-file programs run on the interpreter alone, from anywhere."""

import os
import subprocess
import sys
import zipfile
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


@pytest.mark.parametrize("program", ["WORKER_CLI_PYZ", "WORKER_DAEMON_PYZ"])
def test_python_finds_few_names_in_a_program(program: str) -> None:
    """Each start reads all that are there, so what is packed is in an archive of its own."""
    assert zipfile.ZipFile(os.environ[program]).namelist() == ["__main__.py", "payload.zip"]


def test_imports_look_into_the_standard_library_first(tmp_path: Path) -> None:
    """Most are of it; then comes what was packed, before anything of the same name in the user's environment."""
    other, program = tmp_path / "other", Path(os.environ["WORKER_CLI_PYZ"]).resolve()
    other.mkdir()
    (other / "docopt.py").write_text("raise AssertionError")
    show = f"""
import runpy, sys
sys.argv[1:] = ["--version"]
try:
    runpy.run_path({str(program)!r}, run_name="__main__")
finally:
    print(*sys.path, sep="\\n")
"""
    environment = {"PATH": os.environ["PATH"], "XDG_CACHE_HOME": str(tmp_path / "cache"), "PYTHONPATH": str(other)}
    said = subprocess.check_output([sys.executable, "-Sc", show], env=environment, text=True).splitlines()
    packed = [index for index, path in enumerate(said) if path.startswith(str(tmp_path / "cache"))]
    assert said.index(str(Path(os.__file__).parent)) < min(packed)
    assert max(packed) < said.index(str(other))


def test_program_names_its_interpreter() -> None:
    """What was built for one version of Python does not start on another."""
    version = "{}.{}".format(*sys.version_info)
    with Path(os.environ["WORKER_CLI_PYZ"]).open("rb") as archive:
        assert archive.readline() == f"#!/usr/bin/env -S python{version} -IS\n".encode()
