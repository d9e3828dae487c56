"""Carries out what a worker asks for, and keeps what it has to be told until it has been."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING

from jobworker.supervisor import cgroups, failpoints
from jobworker.supervisor.children import Children
from jobworker.supervisor.deadlines import soonest
from jobworker.supervisor.inheritance import Inheritance, inheritance_of, problem_of
from jobworker.supervisor.leader import Leader
from jobworker.supervisor.protocol import STEP_LOG, Exited, Refused, Started, Synced
from jobworker.supervisor.records import Begun, boot_id, start_ticks, ticks_now
from jobworker.supervisor.spawn import SpawnError, spawn

if TYPE_CHECKING:
    import select
    from collections.abc import Iterable, Iterator

    from jobworker.supervisor.protocol import Configure, Event, Start
    from jobworker.supervisor.records import Records
    from jobworker.supervisor.running_logs import RunningLogs


class Jobs:
    """All jobs of one supervisor, until the worker has acknowledged their ends."""

    def __init__(self, poll: select.poll, logs: RunningLogs, records: Records | None) -> None:
        """Has no job yet.

        Args:
            poll: Where the children's descriptors are registered.
            logs: The output logs of the running ones.
            records: Where the jobs are recorded; None if they die with their worker, who then needs no record.
        """
        self._children = Children(poll, logs)
        self._logs = logs
        self._records = records
        self._boot_id = boot_id()
        self._stdin = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self._inheritance = Inheritance({}, b"/", None, no_new_privileges=False)
        self._unfit = ""
        self._cgroup_root = ""
        self._problem = ""
        self._wanted_root = "off"
        self._started: dict[str, Started] = {}
        self._exited: dict[str, Exited] = {}
        # What the disk would not take so far of the jobs' records.
        self._unrecorded: dict[str, tuple[Event, ...]] = {}

    def __repr__(self) -> str:
        return f"<Jobs {self._children!r} unacknowledged={len(self._exited)}>"

    @property
    def running(self) -> int:
        """How many jobs have not ended."""
        return len(self._children)

    @property
    def is_needed(self) -> bool:
        """Whether jobs run, or one's end is known here and nowhere else, and a worker may come to be told of it."""
        return bool(self.running or (self._unrecorded.keys() & self._exited.keys() and self.can_be_found))

    @property
    def can_be_found(self) -> bool:
        """Whether a worker to come could find these jobs: their records are there."""
        return self._records is not None and self._records.exists()

    def configure(self, request: Configure) -> None:
        """Starts jobs as the worker says from now on.

        Raises:
            ValueError: If that makes no sense; whoever asks for it is no worker.
        """
        self._inheritance = inheritance_of(request)
        self._unfit = problem_of(self._inheritance)
        if request.cgroup_root != self._wanted_root:
            self._wanted_root = request.cgroup_root
            self._cgroup_root, self._problem = cgroups.usable_root(request.cgroup_root)
        self._logs.limit = request.log_limit

    def tell(self) -> Iterator[Event]:
        """Yields all that a worker has to be told that has just come."""
        for job_id, started in self._started.items():
            yield started
            if job_id in self._exited:
                yield self._exited[job_id]
        yield Synced(self._cgroup_root, self._problem, self._unfit)

    def start(self, request: Start) -> Event:
        """Starts a job, and returns what came of it; one that was started already is told again."""
        if request.job_id in self._started:
            return self._started[request.job_id]
        cgroup = f"{self._cgroup_root}/{cgroups.PREFIX}{request.job_id}" if self._cgroup_root else ""
        logs = request.stdout, request.stderr
        try:
            self._begin(request.job_id, Begun(self._boot_id, cgroup, logs))
            failpoints.reach(failpoints.RECORDED)
            now, ticks = time.time_ns(), ticks_now()
            pid = spawn(request, self._stdin, self._inheritance, cgroup, self._logs)
        except (SpawnError, OSError) as error:
            self._give_up(request.job_id, cgroup)
            return Refused(request.job_id, getattr(error, "step", STEP_LOG), error.errno or 0)
        failpoints.reach(failpoints.SPAWNED)
        if ticks != ticks_now():
            # It was made in one of two ticks or more; to be told which takes as long as all else that is noted here.
            # Its zombie at the least is there: only this process reaps it.
            ticks = start_ticks(pid) or 0
        started = self._started[request.job_id] = Started(request.job_id, pid, now, ticks)
        self._children.add(Leader(request.job_id, pid, ticks, cgroup, logs))
        self._record(started.job_id, started)
        failpoints.reach(failpoints.REPORTED)
        return started

    def stop(self, job_id: str, grace_seconds: float) -> Iterator[Event]:
        """Ends a job; see `Children.stop`."""
        return self._ended(self._children.stop(job_id, grace_seconds))

    def kill_all(self) -> Iterator[Event]:
        """Kills all jobs; see `Children.kill_all`."""
        return self._ended(self._children.kill_all())

    def kill_strays(self) -> None:
        """Kills what is left when all jobs have ended; see `Children.kill_strays`."""
        self._children.kill_strays()

    def acknowledge(self, job_id: str) -> None:
        """Forgets a job that has ended, since the worker has kept its end; it may be one that was told of before."""
        for known in (self._exited, self._started, self._unrecorded):
            known.pop(job_id, None)
        if self._records is not None:
            self._records.remove(job_id)

    def reap(self) -> Iterator[Event]:
        """Looks for children that have exited; see `Children.reap`."""
        return self._ended(self._children.reap())

    def cgroup_changed(self, descriptor: int) -> Iterator[Event]:
        """Looks at a job whose cgroup has changed; see `Children.cgroup_changed`."""
        return self._ended(self._children.cgroup_changed(descriptor))

    def expire(self) -> Iterator[Event]:
        """Does what is due by the clock."""
        self._logs.check()
        return self._ended(self._children.expire())

    def timeout(self) -> float | None:
        """Returns in how many seconds something is due by the clock; None if nothing is."""
        return soonest(self._children.timeout(), self._logs.timeout())

    def _begin(self, job_id: str, begun: Begun) -> None:
        try:
            if self._records is not None:
                self._records.begin(job_id, begun)
            if begun.cgroup:
                os.mkdir(begun.cgroup)
        except OSError as error:
            raise SpawnError(STEP_LOG, error) from error

    def _give_up(self, job_id: str, cgroup: str) -> None:
        if cgroup:
            cgroups.remove(cgroup)
        if self._records is not None:
            self._records.remove(job_id)

    def _ended(self, exits: Iterable[Exited]) -> Iterator[Event]:
        for exited in exits:
            failpoints.reach(failpoints.EXITED)
            self._exited[exited.job_id] = exited
            self._record(exited.job_id, exited)
            failpoints.reach(failpoints.EXIT_RECORDED)
            yield exited

    def record_again(self) -> None:
        """Offers the disk what it would not take before."""
        for job_id in tuple(self._unrecorded):
            self._record(job_id)

    def _record(self, job_id: str, *events: Event) -> None:
        """Adds to a job's record; if the disk refuses, the worker is told all the same, and keeps it itself."""
        if self._records is None:
            return
        lines = *self._unrecorded.pop(job_id, ()), *events
        try:
            self._records.append(job_id, *lines)
        except OSError:
            self._unrecorded[job_id] = lines
