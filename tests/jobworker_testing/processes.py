"""Looks processes up in /proc, and waits for their end."""

from __future__ import annotations

import os
import select
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self


@final
class ProcessHandle:
    """A process that need not be a child: a context manager that holds a pidfd of it.

    It must be made while the process is known to live; after that its id may be recycled without harm.
    """

    def __init__(self, pid: int) -> None:
        """Opens a handle.

        Raises:
            ProcessLookupError: If there is no such process.
        """
        self.pid = pid
        self._descriptor = os.pidfd_open(pid)

    def __repr__(self) -> str:
        return f"<ProcessHandle pid={self.pid}>"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        os.close(self._descriptor)

    def wait(self) -> None:
        """Waits until the process has exited; it may still be a zombie."""
        select.select([self._descriptor], [], [])

    def has_exited(self) -> bool:
        """Whether the process has exited; it may still be a zombie."""
        return bool(select.select([self._descriptor], [], [], 0)[0])


def resident_bytes(pid: int) -> int:
    """Returns a process's resident set size.

    Raises:
        FileNotFoundError: If there is no such process.
    """
    status = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(status["VmRSS"].split()[0]) << 10


def open_files(pid: int) -> list[str]:
    """Returns what a process has open, sorted, but for sockets: when a peer's end is noticed is the transport's affair.

    Raises:
        FileNotFoundError: If there is no such process.
    """
    targets = (str(link.readlink()) for link in Path(f"/proc/{pid}/fd").iterdir())
    return sorted(target for target in targets if not target.startswith("socket:"))


def children_of(pid: int) -> list[int]:
    """Returns the processes whose parent is a process, by whichever of its threads they were made.

    Raises:
        FileNotFoundError: If there is no such process.
    """
    while True:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
        try:
            return [int(child) for thread in threads for child in (thread / "children").read_text().split()]
        except FileNotFoundError:
            continue  # a thread has ended, and given its children to another, which may have been read


def suspend(pid: int) -> None:
    """Suspends a process by SIGSTOP, and returns when none of its threads runs any more.

    The kernel gives the signal to one thread, and the others run on until that one has got a CPU and told them.

    Raises:
        ProcessLookupError: If there is no such process.
    """
    os.kill(pid, signal.SIGSTOP)
    while not _states(pid) <= {"T", "Z"}:
        os.sched_yield()  # nobody tells of it but to the parent


def _states(pid: int) -> set[str]:
    """Returns the states that the threads of a process are in, as of proc(5); none if it is gone."""
    states = set()
    with suppress(FileNotFoundError):
        for thread in Path(f"/proc/{pid}/task").iterdir():
            with suppress(FileNotFoundError, ProcessLookupError):
                states.add((thread / "stat").read_text().rpartition(")")[2].split()[0])
    return states
