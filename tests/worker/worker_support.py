"""What the tests of the worker library share: jobs to run, their output, and what a worker may have left behind."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
import tempfile
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker.worker import LogEnd, LogGap
from jobworker_testing import children_of

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator

    from jobworker.worker import Frame, StreamName, Worker

MARK = f"JOBWORKER_TEST={os.getpid()}"
"""In the environment of every process that descends from the tests."""


def python(source: str, *arguments: str) -> list[str]:
    """Returns a command that runs Python source, isolated from the environment."""
    return [sys.executable, "-ISc", source, *arguments]


def sh(source: str, *arguments: str) -> list[str]:
    """Returns a command that runs a shell script; its arguments are $1 and so on."""
    return ["sh", "-c", source, "sh", *arguments]


async def contents(frames: AsyncGenerator[Frame, None]) -> AsyncGenerator[bytes, None]:
    """Yields the bytes of a read, which it closes: one frame continues where the other ended, and nothing is missing.

    Raises:
        AssertionError: If it isn't so.
    """
    offset: int | None = None
    ended = False
    async with aclosing(frames):
        async for frame in frames:
            assert not ended, frame
            assert not isinstance(frame, LogGap), frame
            assert offset in {None, frame.offset}, (offset, frame)
            if isinstance(frame, LogEnd):
                ended = True
            else:
                assert frame.data
                offset = frame.offset + len(frame.data)
                yield frame.data
    assert ended, f"the read ended at {offset} and did not say so"


async def read_all(worker: Worker, job_id: str, stream: StreamName = "stdout", *, offset: int = 0) -> bytes:
    """Follows a stream of a job to its end and returns all of it."""
    frames = worker.read_logs(job_id, stream, offset=offset, follow=True)
    return b"".join([chunk async for chunk in contents(frames)])


async def read_now(worker: Worker, job_id: str, stream: StreamName = "stdout", *, offset: int = 0) -> bytes:
    """Returns what a job has written to a stream so far."""
    return b"".join([chunk async for chunk in contents(worker.read_logs(job_id, stream, offset=offset))])


async def read_lines(worker: Worker, job_id: str, count: int = 1) -> list[str]:
    """Waits for the first lines of a job's stdout and returns them.

    Raises:
        EOFError: If the job ends before it has written so many.
    """
    text = b""
    async with aclosing(contents(worker.read_logs(job_id, "stdout", follow=True))) as reading:
        async for chunk in reading:
            text += chunk
            if text.count(b"\n") >= count:
                return text.decode().split("\n")[:count]
    raise EOFError(f"the job ended after {text!r}, when {count} lines were expected")


class Gate:
    """A named pipe that a job waits at: `read -r _ < PATH` returns once for each `open` of the gate."""

    def __init__(self, path: Path) -> None:
        """Makes the pipe.

        Args:
            path: Where; nothing may be there yet.
        """
        os.mkfifo(path)
        self.path = str(path)
        # For both directions, so that neither end ever waits for the other to open it.
        self._descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC)

    def open(self) -> None:
        """Lets one waiting job through, also one that comes later."""
        os.write(self._descriptor, b"\n")

    def close(self) -> None:
        """Gives the pipe back."""
        os.close(self._descriptor)


@dataclass(frozen=True)
class Footprint:
    """What this process holds of the system: equal before and after means that nothing is left behind."""

    descriptors: tuple[str, ...]
    children: tuple[int, ...]
    marked: tuple[int, ...]
    tasks: frozenset[asyncio.Task[object]]
    temporary_files: tuple[str, ...]


def footprint() -> Footprint:
    """Returns what this process holds now."""
    return Footprint(
        descriptors=tuple(descriptors_of(os.getpid())),
        children=tuple(children_of(os.getpid())),
        marked=tuple(marked_processes()),
        tasks=frozenset(asyncio.all_tasks() - {asyncio.current_task()}),
        temporary_files=tuple(sorted(path.name for path in Path(tempfile.gettempdir()).iterdir())),
    )


@asynccontextmanager
async def leaves_nothing() -> AsyncIterator[None]:
    """Fails if its body leaves descriptors, processes, tasks or temporary files behind."""
    before = footprint()
    yield
    after = footprint()
    # In full: not all of these tests run under pytest, which would show the difference.
    assert after == before, f"left behind:\n{after}\nwhere there was:\n{before}"


def descriptors_of(pid: int) -> list[str]:
    """Returns what a process has open, sorted: paths as they are, sockets and pipes without their number."""
    found = []
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # the descriptor of this very listing
            found.append(re.sub(r":\[\d+\]$", "", str(link.readlink())))
    return sorted(found)


def watches_of(pid: int) -> int:
    """Returns how many inotify watches a process has."""
    return sum(file.read_text().count("inotify wd:") for file in Path(f"/proc/{pid}/fdinfo").iterdir() if file.exists())


def marked_processes(mark: str = MARK) -> list[int]:
    """Returns the processes, but for this one, whose environment has a variable."""
    return [
        int(entry.name)
        for entry in Path("/proc").iterdir()
        if entry.name.isdigit() and int(entry.name) != os.getpid() and mark.encode() in _environment_of(entry)
    ]


def _environment_of(process: Path) -> list[bytes]:
    try:
        return (process / "environ").read_bytes().split(b"\0")
    except OSError:
        return []  # gone, or another user's


def library_environment() -> dict[str, str]:
    """Returns an environment in which Python finds the library and these tests; with mark and temporary directory."""
    return {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
        "TMPDIR": tempfile.gettempdir(),
        **dict([MARK.split("=")]),
    }


def granted(*under: str) -> tuple[str, ...]:
    """Returns a command that runs others in an environment of their own; skips the test where that is refused."""
    import pytest  # noqa: PLC0415 - what is run so imports this file too, without pytest

    try:
        tried = subprocess.run([*under, "true"], capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"{under[0]} is not to be had here: {error}")
    if tried.returncode:
        pytest.skip(f"not granted here: {' '.join(under)}: {tried.stderr.strip()}")
    return under
