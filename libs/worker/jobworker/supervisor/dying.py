"""What is known of processes that were killed and are not gone yet: whose they are, and who is heard of; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection

    from jobworker.supervisor.leader import Leader


class Dying:
    """The processes, beside their first, of jobs that were killed.

    They are known by ids, some of which may be another process's by now: that of one which its own parent has reaped.
    So what is said here may spare work, and be wrong now and then; nothing is killed, or taken for gone, because of it.
    """

    def __init__(self) -> None:
        """Knows of none yet."""
        # Of all jobs that have not ended: what is in their leaders' `left`.
        self._counted: set[int] = set()
        # Children that were sent SIGKILL one by one, until they are reaped.
        self._swept: set[int] = set()

    def __repr__(self) -> str:
        return f"<Dying counted={len(self._counted)} swept={len(self._swept)}>"

    def count(self, leader: Leader, alive: Collection[int]) -> None:
        """Counts processes that were found alive as their job was killed."""
        leader.left |= frozenset(alive)
        self._counted.update(alive)

    def is_counted(self, pid: int) -> bool:
        """Returns whether a process was found alive as its job was killed."""
        return pid in self._counted

    def sweep(self, orphans: Collection[int]) -> set[int]:
        """Returns which of some children need a SIGKILL: each once, as one that is dying is slow to take another."""
        fresh = set(orphans) - self._swept
        self._swept |= fresh
        return fresh

    def has_swept_child(self, leader: Leader) -> bool:
        """Returns whether a child that a job has left was sent SIGKILL and has not been reaped: it will be heard of."""
        return not self._swept.isdisjoint(leader.left)

    def reaped(self, pid: int) -> None:
        """Forgets a child that was reaped, and whose id may become another's."""
        self._swept.discard(pid)

    def forget(self, leader: Leader) -> None:
        """Forgets a job that has ended."""
        self._counted -= leader.left
