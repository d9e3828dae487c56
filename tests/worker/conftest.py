"""Workers for the tests, each of which leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Worker

pytest.register_assert_rewrite("look_support", "process_support", "restart_support", "worker_support")
# After the line that shows their asserts' values.
from process_support import cgroup_for_tests  # noqa: E402
from restart_support import state_directory  # noqa: E402
from worker_support import MARK, Gate, leaves_nothing  # noqa: E402

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path


@pytest.fixture(autouse=True)
def scratch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the test's temporary files go, so that any left behind are seen; with a mark for its processes."""
    directory = tmp_path / "tmp"
    directory.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(directory))
    monkeypatch.setenv(*MARK.split("="))
    # Where everybody may look: in a folder that this user may not search, a missing program is a forbidden one.
    monkeypatch.setenv("PATH", os.defpath)
    return directory


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Runs the tests of a module that has BOTH_MODES twice: with a cgroup for each job, and without."""
    if "cgroup_root" in metafunc.fixturenames and getattr(metafunc.module, "BOTH_MODES", False):
        metafunc.parametrize("cgroup_root", ["cgroup", "group"], indirect=True)


@pytest.fixture
def cgroup_root(request: pytest.FixtureRequest) -> Iterator[str]:
    """What workers are given as theirs; after a test in a cgroup of its own, no job's cgroup may be left in there."""
    mode = getattr(request, "param", "auto")
    if mode == "cgroup":
        with cgroup_for_tests() as path:
            yield path
    else:
        yield "off" if mode == "group" else mode


@pytest.fixture
async def worker(cgroup_root: str) -> AsyncIterator[Worker]:
    """An open worker, whose end leaves nothing behind."""
    async with leaves_nothing(), Worker(cgroup_root=cgroup_root) as made:
        yield made


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that jobs wait at until the test opens it."""
    made = Gate(tmp_path / "gate")
    yield made
    made.close()


@pytest.fixture
async def state(tmp_path: Path) -> AsyncIterator[Path]:
    """A state directory; what workers and supervisors leave there when they are killed, the next worker takes back."""
    async with state_directory(tmp_path / "state") as directory:
        yield directory
