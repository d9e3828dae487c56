"""Kills what a dead supervisor left behind; runs in its worker, which is not the parent of these processes.

They are known by the mark that each job's environment carries. A pidfd is taken first and the mark is read through it
being alive, so that a signal can't reach a recycled id.
"""

from __future__ import annotations

import os
import select
import signal
from typing import TYPE_CHECKING

from jobworker.supervisor.spawn import JOB_ID_VARIABLE

if TYPE_CHECKING:
    from collections.abc import Collection


def kill_marked(job_ids: Collection[str]) -> int:
    """Kills every process that carries the mark of one of the jobs, and returns when they are gone.

    It looks again until it finds none, so a process that forks meanwhile doesn't escape. It blocks: run it in a
    thread.

    Returns:
        How many processes were killed.
    """
    marks = {f"{JOB_ID_VARIABLE}={job_id}".encode() for job_id in job_ids}
    killed = 0
    while found := [pid for pid in _processes() if _kill(pid, marks)]:
        killed += len(found)
    return killed


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != os.getpid()]


def _kill(pid: int, marks: set[bytes]) -> bool:
    """Kills a process if it carries one of the marks, waits for its end, and says whether it did."""
    if not _is_marked(pid, marks):
        return False
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return False
    try:
        # Only now it is sure to be the same process for as long as it lives.
        if not _is_marked(pid, marks):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        select.select([descriptor], [], [])
    except ProcessLookupError:
        return False
    finally:
        os.close(descriptor)
    return True


def _is_marked(pid: int, marks: set[bytes]) -> bool:
    try:
        with open(f"/proc/{pid}/environ", "rb") as file:
            return not marks.isdisjoint(file.read().split(b"\0"))
    except OSError:
        return False  # gone, a kernel thread, or another user's
