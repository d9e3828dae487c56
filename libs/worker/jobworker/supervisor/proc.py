"""What the kernel says of processes: in /proc, proc(5), and of this one's children by waitid(2).

What is gone meanwhile reads as empty. What can't be read since descriptors or memory ran out is an error: to take it
for gone would be to overlook a process that lives.
"""

from __future__ import annotations

import errno
import os
from typing import NamedTuple

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOMEM})
"""The errno of an OSError that says that descriptors or memory ran out, and nothing of what was asked for."""

_ENDED = frozenset({b"Z", b"X"})


class Status(NamedTuple):
    """What /proc/PID/stat says of a process."""

    parent: int
    start_ticks: int
    """When it was started, in clock ticks since the host's start, which together with the pid names it for good."""
    threads: int
    is_alive: bool
    """Whether it has not exited; one that has may still be a zombie."""


def status(pid: int) -> Status | None:
    """Returns what the kernel says of a process; None if there is none of this id.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    # The name in field 2 may hold anything, so it is counted from its end.
    fields = read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    if not fields:
        return None
    parent, threads, start_ticks = (int(fields[number]) for number in (1, 17, 19))
    # A first thread that has ended is a zombie too, as long as others of its process go on.
    return Status(parent, start_ticks, threads, is_alive=fields[0] not in _ENDED or threads > 1)


def children(pid: int, threads: int = 0) -> list[int]:
    """Returns the children of a process, zombies included; none if it is gone.

    Those of another process than this one are only most of them if it makes and reaps some meanwhile.

    Args:
        pid: The process.
        threads: How many threads it has, if that is known: one need not be looked for.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    return [
        int(child)
        for thread in ([pid] if threads == 1 else names(f"/proc/{pid}/task"))
        for child in read(f"/proc/{pid}/task/{thread}/children").split()
    ]


def next_zombie() -> int | None:
    """Returns a child of this process that has exited, leaving it a zombie; None if there is none now."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def has_exited(child: int) -> bool:
    """Returns whether a child of this process, which has not been reaped, has exited."""
    return os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def processes() -> list[int]:
    """Returns the ids of all processes that this one may see.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    return [int(name) for name in names("/proc") if name.isdigit()]


def names(directory: str) -> list[str]:
    """Returns what is in a directory; nothing if it is not there, or not for this user.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    try:
        return os.listdir(directory)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
        return []


def read(path: str) -> bytes:
    """Returns the content of a file; empty if it is not there, or not for this user.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    content = b""
    try:
        # Not `open`, which costs more than what is read here.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            while block := os.read(descriptor, 1 << 16):
                content += block
        finally:
            os.close(descriptor)
    except OSError as error:
        if error.errno in EXHAUSTED:
            raise
    return content
