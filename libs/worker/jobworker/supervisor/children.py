"""Kills and reaps jobs: the only file that sends a signal to a process.

How a job ends: its first process has exited; while that process is still a zombie, and so still pins its process
group's id, SIGKILL goes to the whole group; then all of the group is reaped; then its end is reported. No signal can
therefore ever reach a recycled id.

Signalling a group is atomic against fork(2): the kernel walks the group under the lock that fork takes to add a
process, and a fork with a fatal signal pending fails. One SIGKILL to a group leaves no survivor in it.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

from jobworker.supervisor.protocol import Exited

if TYPE_CHECKING:
    from collections.abc import Iterator


class _Leader:
    """A job's first process, not yet reaped or with its group not yet empty."""

    __slots__ = ("job_id", "killed", "pid", "status")

    def __init__(self, job_id: str, pid: int) -> None:
        self.job_id = job_id
        self.pid = pid
        self.killed = False
        self.status = 0


class Children:
    """All jobs' processes that are children of this process, or come back to it as orphans."""

    def __init__(self) -> None:
        self._running: dict[int, _Leader] = {}
        self._emptying: dict[int, _Leader] = {}
        self._by_job: dict[str, _Leader] = {}

    def __repr__(self) -> str:
        return f"<Children running={len(self._running)} emptying={len(self._emptying)}>"

    def add(self, job_id: str, pid: int) -> None:
        """Takes charge of a job whose first process, `pid`, was just spawned and leads its own process group."""
        self._running[pid] = self._by_job[job_id] = _Leader(job_id, pid)

    def kill(self, job_id: str) -> None:
        """Kills a job's process group; nothing happens to a job whose first process has exited already."""
        leader = self._by_job.get(job_id)
        if leader is None or leader.pid not in self._running or _has_exited(leader.pid):
            return
        leader.killed = True
        os.killpg(leader.pid, signal.SIGKILL)

    def reap(self) -> Iterator[Exited]:
        """Reaps every child that has exited, and yields the end of each job whose group became empty by that."""
        while (pid := _next_zombie()) is not None:
            leader = self._running.pop(pid, None)
            if leader is not None:
                os.killpg(pid, signal.SIGKILL)
                _, leader.status = os.waitpid(pid, 0)
                self._emptying[pid] = leader
                group = pid
            else:
                group = os.getpgid(pid)
                os.waitpid(pid, 0)
            if group in self._emptying and _is_empty(group):
                yield self._ended(self._emptying.pop(group))

    def end_all(self) -> Iterator[Exited]:
        """Kills every job and everything that descends from one; yields the end of each job, and returns at the last.

        Descendants that left their group come back to this process, a child subreaper, when their parents die; so to
        kill one's children until there are none finds them all.
        """
        for leader in tuple(self._running.values()):
            self.kill(leader.job_id)
        while self._running or self._emptying:
            os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOWAIT)
            yield from self.reap()
        try:
            while True:
                for pid in _children():
                    os.kill(pid, signal.SIGKILL)
                os.waitpid(-1, 0)
        except ChildProcessError:
            pass  # there are none left

    def _ended(self, leader: _Leader) -> Exited:
        del self._by_job[leader.job_id]
        code = os.waitstatus_to_exitcode(leader.status)
        by_stop = leader.killed and code == -signal.SIGKILL
        if code >= 0:
            return Exited(leader.job_id, code, None, by_stop, time.time_ns())
        return Exited(leader.job_id, None, -code, by_stop, time.time_ns())


def _next_zombie() -> int | None:
    """Returns a child that has exited, leaving it a zombie; None if there is none now."""
    try:
        found = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return None
    return found.si_pid if found else None


def _has_exited(pid: int) -> bool:
    return os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is not None


def _is_empty(group: int) -> bool:
    """Reaps what has exited of a killed group, and says whether no child of this process is left in it."""
    try:
        while os.waitpid(-group, os.WNOHANG) != (0, 0):
            pass
    except ChildProcessError:
        return True
    return False


def _children() -> list[int]:
    # One thread, so one file lists them all. None can be recycled: only this process reaps them.
    with open(f"/proc/self/task/{os.getpid()}/children", encoding="ascii") as file:
        return [int(pid) for pid in file.read().split()]
