"""Workers for the tests, each of which leaves nothing behind."""

from __future__ import annotations

import os
import tempfile
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Worker

pytest.register_assert_rewrite("worker_support")
from worker_support import MARK, Gate, leaves_nothing  # noqa: E402 - after the line that shows its asserts' values

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


@pytest.fixture
async def worker() -> AsyncIterator[Worker]:
    """An open worker, whose end leaves nothing behind."""
    async with leaves_nothing(), Worker() as made:
        yield made


@pytest.fixture
def gate(tmp_path: Path) -> Iterator[Gate]:
    """A gate that jobs wait at until the test opens it."""
    made = Gate(tmp_path / "gate")
    yield made
    made.close()
