"""Finds what has left its job's process group: processes that came back to this one, a child subreaper, as orphans.

Whatever descends from a job and outlives its parents ends up as a child of the supervisor. Whose it is, is told by the
marks that it carries (`jobworker.supervisor.marks`), by its descent, if that was seen when its parents were killed, and
by its session or group; and if nothing tells, by its age: one that is older than every other job that has not ended
belongs to none of them.

A child's id is its own until this process reaps it, and all that is remembered of a child is forgotten then. Of what is
no child yet, only its id and start together are remembered.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, NamedTuple

from jobworker.supervisor.marks import job_of, job_of_limit, key
from jobworker.supervisor.proc import children, status

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

    from jobworker.supervisor.leader import Leader


_MOST_NOTED = 10_000


class _Descendant(NamedTuple):
    """Whose a process is; as long as it was started then, it is that process and no later one of the same id."""

    start_ticks: int
    job_id: str


class Orphans:
    """The children of this process that are no job's first process, and whose they are."""

    def __init__(self) -> None:
        """Knows of no job yet.

        Raises:
            OSError: If descriptors ran out, or the kernel was built without CONFIG_PROC_CHILDREN; the host's fault.
        """
        pid = os.getpid()
        # Of the main thread, which has orphans alone (`jobworker.supervisor.second_thread`). Kept open, so that to look
        # who is there needs no descriptor when there is none.
        self._children = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY | os.O_CLOEXEC)
        self._jobs: dict[str, str] = {}
        self._leaders: dict[str, Leader] = {}
        self._by_pid: dict[int, Leader] = {}
        # Of children, until they are reaped.
        self._owners: dict[int, str] = {}
        # Of what is no child yet, until its job has ended.
        self._descendants: dict[int, _Descendant] = {}

    def __repr__(self) -> str:
        return f"<Orphans jobs={len(self._jobs)} owned={len(self._owners)} descendants={len(self._descendants)}>"

    def add(self, leader: Leader) -> None:
        """Looks for a job's processes from now on."""
        self._jobs[key(leader.job_id)] = leader.job_id
        self._leaders[leader.job_id] = self._by_pid[leader.pid] = leader

    def remove(self, leader: Leader) -> None:
        """Forgets a job that has ended."""
        del self._jobs[key(leader.job_id)], self._leaders[leader.job_id]
        # A later job's first process may have the id by now.
        if self._by_pid.get(leader.pid) is leader:
            del self._by_pid[leader.pid]
        if self._descendants:
            kept = {pid: one for pid, one in self._descendants.items() if one.job_id != leader.job_id}
            self._descendants = kept

    def children(self) -> list[int]:
        """Returns the orphans of all jobs, zombies included; exact, since this process alone takes any from the list.

        Jobs' first processes are among them if the thread that calls this is the main one.
        """
        content = b""
        while block := os.pread(self._children, 1 << 16, len(content)):
            content += block
        return [int(word) for word in content.split()]

    def of(self, leader: Leader, candidates: Iterable[int]) -> list[int]:
        """Returns those of some children, none of them a job's first process, that belong to a job.

        Raises:
            OSError: If descriptors or memory ran out; the host's fault.
        """
        return [pid for pid in candidates if self._belongs(pid, leader)]

    def owner(self, pid: int) -> str:
        """Returns the job that a child belongs to, by all but its age; empty if that is not known.

        Raises:
            OSError: If descriptors or memory ran out; the host's fault.
        """
        owner = self._owners.get(pid)
        if owner is None:
            owner = job_of_limit(pid, self._jobs) or self._by_descent(pid)
            owner = owner or job_of(pid, self._jobs) or self._by_session(pid)
            if owner:
                self._owners[pid] = owner
        return owner

    def note_descendants(self, roots: Collection[int], job_id: str) -> set[int]:
        """Notes that all that descends from some children is a job's, and returns what of it lives, roots included.

        To be called before they are killed: they are what is known to descend from, and what is below them may carry
        no mark.

        Raises:
            OSError: If descriptors or memory ran out; the host's fault.
        """
        alive: set[int] = set()
        family = [(pid, os.getpid()) for pid in roots]
        # A job that forks as fast as its processes are read is not to be chased, but killed.
        for _ in range(_MOST_NOTED):
            if not family:
                break
            pid, parent = family.pop()
            found = status(pid)
            # Another parent: it has come back to this process, or is another one of the same id.
            if found is None or not found.is_alive or found.parent != parent:
                continue
            alive.add(pid)
            if parent != os.getpid():
                self._descendants[pid] = _Descendant(found.start_ticks, job_id)
            family += [(child, pid) for child in children(pid, found.threads)]
        return alive

    def forget(self, pid: int) -> None:
        """Forgets a child: to be called when it is reaped, and its id may become another's."""
        self._owners.pop(pid, None)
        self._descendants.pop(pid, None)

    def close(self) -> None:
        """Gives its descriptor back."""
        os.close(self._children)

    def _belongs(self, pid: int, leader: Leader) -> bool:
        owner = self.owner(pid)
        return owner == leader.job_id or (not owner and self._is_older_than_others(pid, leader))

    def _by_descent(self, pid: int) -> str:
        noted = self._descendants.get(pid)
        found = status(pid) if noted is not None else None
        return noted.job_id if noted and found and noted.start_ticks == found.start_ticks else ""

    def _by_session(self, pid: int) -> str:
        for number in (os.getsid(pid), os.getpgid(pid)):
            leader = self._by_pid.get(number)
            # Once it was reaped and its session is empty, its id may be any other process's.
            if leader is not None and (leader.status is None or _is_free(number)):
                return leader.job_id
        return ""

    def _is_older_than_others(self, pid: int, leader: Leader) -> bool:
        found = status(pid)
        others = [other.start_ticks for other in self._leaders.values() if other is not leader]
        # Within a tick, 10 ms, it can't be told which of two came first.
        return found is not None and found.start_ticks < min(others, default=found.start_ticks + 1)


def _is_free(pid: int) -> bool:
    return status(pid) is None
