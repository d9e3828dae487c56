"""Kills what a dead supervisor left behind; runs in its worker, which is not the parent of these processes.

They are known by their cgroup, by the marks that they carry (`jobworker.supervisor.marks`), by the first process's id
together with its start time, and by descending from, or sharing a session with, one that is known.

Their ids may be recycled at any moment. So when a process was started is read first, then whose it is; then a pidfd is
taken, and what it stands for is killed only if that was started at the same time: it is then the process that was read
of, since it was there before and after, and a pidfd never stands for another.
"""

from __future__ import annotations

import collections
import os
import select
import signal
from typing import TYPE_CHECKING, NamedTuple

from jobworker.supervisor import cgroups
from jobworker.supervisor.marks import job_of, key
from jobworker.supervisor.proc import children, processes, status

if TYPE_CHECKING:
    from collections.abc import Collection


class Leftover(NamedTuple):
    """A job whose supervisor is dead."""

    job_id: str
    pid: int = 0
    """Its first process; 0 if that is not known."""
    start_ticks: int = 0
    """When that was started, in clock ticks since the start of the host that still runs."""
    cgroup: str = ""
    """The path of its cgroup; empty if it has none."""


class _Process(NamedTuple):
    """A process, and no later one of the same id."""

    pid: int
    start_ticks: int


def kill_leftovers(leftovers: Collection[Leftover]) -> collections.Counter[str]:
    """Kills every process of the jobs, and returns when they are gone.

    It looks again until it finds none, so a process that forks meanwhile doesn't escape. It blocks: run it in a
    thread.

    Returns:
        How many processes of each job, by its id, were killed; its first process, if it is known, does not count.

    Raises:
        OSError: If descriptors or memory ran out; the host's fault.
    """
    firsts = {_Process(one.pid, one.start_ticks): one.job_id for one in leftovers}
    killed: dict[_Process, str] = {}
    for leftover in leftovers:
        killed.update(dict.fromkeys(_processes_of(leftover.cgroup), leftover.job_id))
        cgroups.kill(leftover.cgroup)
    while gone := {process: job_id for process, job_id in _find(leftovers, firsts).items() if _kill(process)}:
        killed.update(gone)
    for leftover in leftovers:
        cgroups.wait_until_empty(leftover.cgroup)
        cgroups.remove(leftover.cgroup)
    return collections.Counter(job_id for process, job_id in killed.items() if process not in firsts)


def _processes_of(cgroup: str) -> list[_Process]:
    found = ((pid, status(pid)) for pid in cgroups.processes(cgroup))
    return [_Process(pid, seen.start_ticks) for pid, seen in found if seen is not None]


def _find(leftovers: Collection[Leftover], firsts: dict[_Process, str]) -> dict[_Process, str]:
    """Returns the processes of the jobs that are there now, and whose each is."""
    jobs = {key(leftover.job_id): leftover.job_id for leftover in leftovers}
    sessions = {pid: job_id for (pid, ticks), job_id in firsts.items() if _is(_Process(pid, ticks))}
    found: dict[_Process, str] = {}
    for pid in processes():
        seen = status(pid)
        if seen is None:
            continue
        process = _Process(pid, seen.start_ticks)
        if job_id := firsts.get(process) or sessions.get(_session(pid)) or job_of(pid, jobs):
            _add_family(process, job_id, found)
    return found


def _add_family(process: _Process, job_id: str, found: dict[_Process, str]) -> None:
    """Adds a process and all that descends from it."""
    family = [process]
    while family:
        member = family.pop()
        if member in found or member.pid == os.getpid():
            continue
        found[member] = job_id
        for child in children(member.pid):
            seen = status(child)
            if seen is not None and seen.parent == member.pid and _is(member):
                family.append(_Process(child, seen.start_ticks))


def _is(process: _Process) -> bool:
    """Returns whether a process is there still, if only as a zombie."""
    seen = status(process.pid) if process.pid else None
    return seen is not None and seen.start_ticks == process.start_ticks


def _session(pid: int) -> int:
    try:
        return os.getsid(pid)
    except ProcessLookupError:
        return 0


def _kill(process: _Process) -> bool:
    """Kills a process, waits for its end, and says whether it was alive."""
    try:
        descriptor = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return False
    try:
        ended = select.poll()
        ended.register(descriptor, select.POLLIN)
        # A zombie is somebody else's to reap.
        if ended.poll(0) or not _is(process):
            return False
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
        ended.poll()
    except (ProcessLookupError, PermissionError):
        return False
    finally:
        os.close(descriptor)
    return True
