"""Each target, fuzzed for a moment, guided by what it covers; and that fuzzing would find something."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jobworker_fuzz import TARGETS

FUZZ = Path(__file__).with_name("fuzz.py")
FOUND = 77
_STATISTIC = re.compile(r"^stat::number_of_executed_units: +(\d+)$", re.MULTILINE)
_COVERED = re.compile(r"cov: (\d+)")

pytestmark = pytest.mark.skipif(
    importlib.util.find_spec("atheris") is None,
    reason="not run: atheris has no wheel for this Python and machine",
)


def fuzz(name: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Fuzzes a target in a process of its own."""
    return subprocess.run(
        [sys.executable, str(FUZZ), name, *options],
        env=os.environ | {"BUILD_WORKING_DIRECTORY": str(folder)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
        check=False,
    )


@pytest.mark.parametrize("name", TARGETS)
def test_nothing_is_found(name: str, tmp_path: Path) -> None:
    """No input of thousands breaks a promise, takes long, or much memory."""
    done = fuzz(name, tmp_path, "--seconds=1", "--runs=20000")
    assert done.returncode == 0, done.stdout[-4000:]
    executed, covered = _STATISTIC.search(done.stdout), _COVERED.findall(done.stdout)
    assert executed
    assert covered
    print(f"{name}: {executed[1]} executions, {covered[-1]} covered")
    assert int(executed[1]) >= len(list((FUZZ.parent / "testdata" / name).iterdir()))
    # Of an uninstrumented target nothing would be covered, and its fuzzing be blind.
    assert int(covered[-1]) > 0


def test_a_broken_promise_is_found(tmp_path: Path) -> None:
    """The fuzzer gets, by coverage alone, to what no seed has and no chance would find, and says so."""
    done = fuzz("broken", tmp_path, "--seconds=60")
    assert done.returncode == FOUND, done.stdout[-4000:]
    assert "the promise is broken" in done.stdout
    assert [path.read_bytes()[:4] for path in tmp_path.glob("crash-*")] == [b"FUZZ"]
