"""What a peer is: another program that runs commands for clients, given the load that we are given."""

from __future__ import annotations

import os
import queue
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import IO, TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from contextlib import AbstractContextManager
    from pathlib import Path


_PATIENCE_SECONDS = 60


class UnavailableError(Exception):
    """A peer is installed, but doesn't do its work here; the message says why."""


class Crowd(Protocol):
    """What gives a peer that runs the load."""

    def __call__(self, clients: int, each: int) -> None:
        """Starts /bin/true as a job, again and again, and returns when all of these have ended.

        Args:
            clients: How many start jobs at once.
            each: How many jobs each of them starts, one after the other.
        """


@final
@dataclass(frozen=True, slots=True)
class Peer:
    """A peer that may be installed.

    Attributes:
        key: Names it in the figures' keys.
        name: Names it for people.
        programs: What has to be installed.
        run: Runs it in an empty folder of its own, for so many jobs at most.
        share: Its part of the jobs, if it needs far longer for each than others.
    """

    key: str
    name: str
    programs: tuple[str, ...]
    run: Callable[[Path, int], AbstractContextManager[Crowd]]
    share: float = 1

    def missing(self) -> str:
        """Returns which of its programs is not installed; empty if all are."""
        # Debian has daemons where only root looks.
        path = f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin"
        return next((program for program in self.programs if not shutil.which(program, path=path)), "")


ENVIRONMENT = {
    "PATH": f"{os.environ.get('PATH', os.defpath)}:/usr/sbin:/sbin",
    # Nothing of this process's Python, which some of them are written in too.
    **{name: os.environ[name] for name in ("HOME", "USER", "LOGNAME") if name in os.environ},
}
"""Of a peer's programs."""


def run(command: Sequence[str], **variables: str) -> str:
    """Runs a peer's program and returns its stdout.

    Args:
        command: The program and its arguments.
        **variables: Further environment variables.

    Raises:
        UnavailableError: If it fails.
    """
    environment = {**ENVIRONMENT, **variables}
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, check=False, text=True, env=environment
    )
    if done.returncode:
        said = (done.stderr.strip() or done.stdout.strip() or f"exit code {done.returncode}").splitlines()[-1]
        raise UnavailableError(f"{command[0]}: {said}")
    return done.stdout


def at_once(clients: int, act: Callable[[], None]) -> None:
    """Runs a function in so many threads at once, and returns when all have ended."""
    with ThreadPoolExecutor(clients) as pool:
        for running in [pool.submit(act) for _ in range(clients)]:
            running.result()


@contextmanager
def daemon(command: Sequence[str]) -> Iterator[queue.SimpleQueue[bytes]]:
    """Runs a peer's daemon in the foreground.

    Yields:
        The lines that it writes to its stdout and stderr, and b"" at their end; they are read whoever waits for them,
        so that it is never kept from writing.
    """
    lines: queue.SimpleQueue[bytes] = queue.SimpleQueue()

    def read(stream: IO[bytes]) -> None:
        for line in stream:
            lines.put(line)
        lines.put(b"")

    with (
        ThreadPoolExecutor(1) as reader,
        subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=ENVIRONMENT
        ) as process,
    ):
        assert process.stdout is not None
        reading = reader.submit(read, process.stdout)
        try:
            yield lines
        finally:
            process.terminate()
            reading.result()


def wait_for(lines: queue.SimpleQueue[bytes], part: bytes, times: int = 1) -> None:
    """Returns once so many lines with a part have come.

    Raises:
        UnavailableError: If they end before that, or nothing comes for a minute: the peer hangs, or says it otherwise.
    """
    last = b""
    while times:
        try:
            line = lines.get(timeout=_PATIENCE_SECONDS)
        except queue.Empty:
            raise UnavailableError(f"nothing with {part.decode()!r} came for {_PATIENCE_SECONDS} s") from None
        if not line:
            raise UnavailableError(last.decode(errors="replace").strip() or "it ended at once")
        last = line
        times -= part in line
