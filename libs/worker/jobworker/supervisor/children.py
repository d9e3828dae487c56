"""Kills and reaps jobs: nobody else signals a job's processes while their supervisor lives.

How a job ends: its first process has exited. While it is still a zombie, and so still pins its process group's id,
SIGKILL goes to the whole group, and to the job's cgroup if it has one; then it is reaped; then what has left the group
is killed, again and again until nothing of it is left; then its end is reported.

No signal can ever reach a recycled id. One is sent to nothing but a child that has not been reaped, whose id is its own
until this process, in which one thread does all, reaps it; or to the group of such a child that can't leave it, being
the group's first process, or a zombie. A job's group is in a session of the job's own: nobody else's process is in it.

Signalling a group is atomic against fork(2): the kernel walks the group under the lock that fork takes to add a
process, and a fork with a fatal signal pending fails. `cgroup.kill` likewise. One SIGKILL leaves no survivor in either,
but for what `cgroups.kill` says, which is swept up like what has left the group.
"""

from __future__ import annotations

import os
import signal
import time
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING

from jobworker.supervisor import cgroups, signals
from jobworker.supervisor.deadlines import Deadlines, soonest
from jobworker.supervisor.dying import Dying
from jobworker.supervisor.orphans import Orphans
from jobworker.supervisor.proc import has_exited
from jobworker.supervisor.zombies import Zombies

if TYPE_CHECKING:
    import select
    from collections.abc import Collection, Iterable, Iterator

    from jobworker.supervisor.leader import Leader
    from jobworker.supervisor.protocol import Exited
    from jobworker.supervisor.running_logs import RunningLogs

# How many children are reaped before it is looked what else there is to do: a job can make them faster than that.
_REAPED_AT_ONCE = 256
# How many of the jobs that a stop has killed are looked for before all others.
_SOUGHT_FIRST = 8


class Children:
    """All jobs' processes that are children of this process, or come back to it as orphans."""

    def __init__(self, poll: select.poll, logs: RunningLogs) -> None:
        """Takes charge of nothing yet.

        Args:
            poll: Where cgroups' descriptors are registered while their end is waited for.
            logs: The output logs of the running jobs.

        Raises:
            OSError: If descriptors ran out, or the kernel does not tell a process's children; the host's fault.
        """
        self._logs = logs
        self._by_job: dict[str, Leader] = {}
        # Those of which the first process has not been reaped, by its id.
        self._running: dict[int, Leader] = {}
        # Those of which it has; by the job, since the id may be another's by now.
        self._ending: dict[str, Leader] = {}
        # Those of which a stop has killed the first process, until it is reaped, by its id.
        self._stopped: dict[int, Leader] = {}
        self._emptiness = cgroups.Emptiness(poll)
        self._deadlines = Deadlines()
        self._orphans = Orphans()
        self._dying = Dying()
        self._zombies = Zombies()

    def __repr__(self) -> str:
        return f"<Children running={len(self._running)} ending={len(self._ending)}>"

    def __len__(self) -> int:
        """Returns how many jobs have not ended."""
        return len(self._by_job)

    def add(self, leader: Leader) -> None:
        """Takes charge of a job whose first process was just spawned."""
        self._running[leader.pid] = self._by_job[leader.job_id] = leader
        self._orphans.add(leader)

    def stop(self, job_id: str, grace_seconds: float) -> Iterator[Exited]:
        """Ends a job's processes: with SIGTERM first if there is a grace period, else by SIGKILL at once.

        Nothing happens to a job whose first process has exited already, unless it is in a longer grace period.

        Yields:
            The job's end, if nothing is left of it already.
        """
        leader = self._by_job.get(job_id)
        if leader is None or (leader.status is None and has_exited(leader.pid)):
            return
        deadline = time.monotonic() + grace_seconds
        if leader.deadline is not None:
            leader.deadline = min(leader.deadline, deadline)
            yield from self.expire()
        elif leader.status is None and grace_seconds > 0 and not leader.asked:
            leader.asked = signal.SIGTERM
            self._deadlines.begin_grace(leader, deadline)
            signals.send(-leader.pid, signal.SIGTERM)
            # As systemd does: what is suspended could not answer.
            signals.send(-leader.pid, signal.SIGCONT)
        elif leader.status is None:
            self._kill_by_stop(leader)

    def timeout(self) -> float | None:
        """Returns in how many seconds something is due by the clock; None if nothing is."""
        return soonest(self._deadlines.timeout(), self._zombies.timeout())

    def expire(self) -> Iterator[Exited]:
        """Does what is due by the clock, and yields the end of each job that nothing is left of.

        Jobs whose grace period is over are killed, and children that have exited looked for.
        """
        over = self._deadlines.take_graced()
        for leader in over:
            if leader.status is None:
                self._kill_by_stop(leader)
        yield from self._advance(list(self._ending.values()) if self._deadlines.take_retry() else over)
        if self._zombies.is_due():
            yield from self.reap()

    def kill_all(self) -> Iterator[Exited]:
        """Kills every job as a stop does, and yields the end of those that nothing is left of."""
        for job_id in tuple(self._by_job):
            yield from self.stop(job_id, 0)

    def kill_strays(self) -> None:
        """Kills every process that descends from a job, whosever it is, and returns when none is left.

        Descendants come back to this process, a child subreaper, when their parents die; so to kill one's children
        until there are none finds them all. Only for when all jobs have ended.
        """
        with suppress(ChildProcessError):  # there are none left
            while True:
                for pid in self._orphans.children():
                    signals.send(pid, signal.SIGKILL)
                os.waitpid(-1, 0)

    def reap(self) -> Iterator[Exited]:
        """Reaps the children that have exited, and yields the end of each job that nothing is left of.

        Those come first that somebody waits for: jobs that were stopped.
        """
        stopped = [one for one in islice(self._stopped.values(), _SOUGHT_FIRST) if has_exited(one.pid)]
        for one in stopped:
            self._reap_first(one)
        yield from self._advance(stopped)
        found = self._zombies.found(self._running, self._candidates, is_first=not stopped)
        for count, pid in enumerate(found, 1):
            leader = self._running.get(pid)
            if leader is None:
                self._reap_other(pid)
            else:
                self._reap_first(leader)
            if count == _REAPED_AT_ONCE:
                signal.raise_signal(signal.SIGCHLD)  # there may be more, for which there will be no other
                break
        yield from self._advance(self._ending.values())

    def cgroup_changed(self, descriptor: int) -> Iterator[Exited]:
        """Looks at the job whose cgroup's descriptor was reported, and yields its end if nothing is left of it."""
        cgroup = self._emptiness.reported(descriptor)
        self._emptiness.is_awaited(cgroup)  # read, or it is reported again at once
        leader = self._by_job.get(cgroup.rpartition(cgroups.PREFIX)[2])
        if leader is not None:
            yield from self._advance([leader])

    def _reap_first(self, leader: Leader) -> None:
        if cgroups.remove_if_empty(leader.cgroup):
            # The usual end: nobody was left whom to look for, to wait for, or to kill.
            self._emptiness.forget(leader.cgroup)
            leader.cgroup, leader.killed = "", True
        elif leader.deadline is None:
            self._kill(leader)  # while the zombie pins its group's id
        _, leader.status = os.waitpid(leader.pid, 0)
        del self._running[leader.pid]
        self._stopped.pop(leader.pid, None)
        self._ending[leader.job_id] = leader

    def _reap_other(self, pid: int) -> None:
        """Reaps an orphan and, while it pins its group's id, kills what is in there if its job is being killed.

        That catches what forks faster than it can be found, which is told by one that was not found while it lived.
        """
        if not self._dying.is_counted(pid):
            try:
                leader = self._by_job.get(self._orphans.owner(pid))
                if leader is not None and leader.killed and (group := os.getpgid(pid)) > 1:
                    signals.send(-group, signal.SIGKILL)
            except OSError as error:
                self._deadlines.try_again(error)
        os.waitpid(pid, 0)
        self._orphans.forget(pid)
        self._dying.reaped(pid)

    def _kill_by_stop(self, leader: Leader) -> None:
        leader.asked = leader.asked or signal.SIGKILL
        self._kill(leader, leader.pid)
        self._stopped[leader.pid] = leader

    def _kill(self, leader: Leader, *roots: int) -> None:
        """Kills a job's group, if its first process pins it, and its cgroup.

        Args:
            leader: The job.
            roots: The first process, if it has not exited: what descends from it is counted too.
        """
        try:
            # Before they are killed: a parent that waits for its children may reap some before it dies itself.
            self._dying.count(leader, self._alive(leader, roots) - {leader.pid})
        except OSError as error:
            self._deadlines.try_again(error)
        if leader.status is None:
            signals.send(-leader.pid, signal.SIGKILL)
        try:
            cgroups.kill(leader.cgroup)
            leader.killed = True
        except OSError as error:
            self._deadlines.try_again(error)

    def _alive(self, leader: Leader, roots: Collection[int]) -> set[int]:
        if self._emptiness.is_awaited(leader.cgroup):
            return cgroups.processes(leader.cgroup)
        orphans = self._orphans.of(leader, self._candidates())
        return self._orphans.note_descendants({*orphans, *roots}, leader.job_id)

    def _candidates(self) -> list[int]:
        """Returns the children that are no job's first process, zombies included."""
        return [pid for pid in self._orphans.children() if pid not in self._running]

    def _advance(self, leaders: Iterable[Leader]) -> Iterator[Exited]:
        """Does what is next of jobs whose first process was reaped, and yields the end of those with nothing left."""
        ending = [leader for leader in leaders if leader.status is not None and not self._will_be_heard_of(leader)]
        if not ending:
            return
        # All that lives now descends from one of these, and all that will live later does so too.
        candidates = self._candidates()
        for leader in ending:
            if self._is_gone(leader, candidates):
                yield self._ended(leader)

    def _will_be_heard_of(self, leader: Leader) -> bool:
        """Returns whether processes of a killed job live that are sure to bring it up again as they die.

        Of hundreds that die one after the other, each would else have all others looked at.
        """
        try:
            return self._dying.has_swept_child(leader) and leader.killed and self._emptiness.is_awaited(leader.cgroup)
        except OSError as error:
            self._deadlines.try_again(error)
            return False

    def _is_gone(self, leader: Leader, candidates: Collection[int]) -> bool:
        """Returns whether nothing is left of a job whose first process was reaped; what is left, it kills."""
        if leader.deadline is not None:
            if signals.has_members(leader.pid):
                return False
            self._deadlines.end_grace(leader)  # nobody is left whom it was for
        if not leader.killed:
            self._kill(leader)
        try:
            # Both, as the one has exceptions and the other may take some time.
            if self._emptiness.is_awaited(leader.cgroup):
                self._sweep_beside(leader, candidates)
                return False
            return not self._sweep(leader, candidates) and leader.killed
        except OSError as error:
            self._deadlines.try_again(error)
            return False

    def _sweep(self, leader: Leader, candidates: Collection[int]) -> list[int]:
        """Kills a job's orphans and returns them."""
        orphans = self._orphans.of(leader, candidates)
        self._dying.count(leader, self._orphans.note_descendants(set(orphans) - leader.left, leader.job_id))
        for pid in self._dying.sweep(orphans):
            signals.send(pid, signal.SIGKILL)
        return orphans

    def _sweep_beside(self, leader: Leader, candidates: Collection[int]) -> None:
        """Kills a job's orphans that have left its cgroup, and one of those that have not.

        These were killed with the cgroup, but for a kind of which `cgroups.kill` tells. When that one is reaped, the
        next has its turn.
        """
        within = [pid for pid in candidates if pid in leader.left]
        self._sweep(leader, [*(pid for pid in candidates if pid not in leader.left), *within[-1:]])

    def _ended(self, leader: Leader) -> Exited:
        del self._by_job[leader.job_id], self._ending[leader.job_id]
        self._orphans.remove(leader)
        self._dying.forget(leader)
        cgroups.remove(leader.cgroup)
        sizes = self._logs.finish(leader.logs[0]), self._logs.finish(leader.logs[1])
        return leader.exited(sizes, time.time_ns())
