"""Any sequence of what can be done to workers, and of what can happen to them, leaves what a model of it says.

The workers of one state directory follow each other: each lives in a process of its own, which may be killed, and so
may their supervisor. The jobs do what they are told, so that each step is over when the next one begins.
"""

from __future__ import annotations

import signal
from typing import Literal

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import initialize, invariant, precondition, rule, run_state_machine_as_test

from jobworker.worker import (
    STREAMS,
    Exited,
    JobNotFoundError,
    JobRunningError,
    OffsetOutOfRangeError,
    ProgramNotFoundError,
    RequestIdReusedError,
    Signaled,
    StreamName,
)
from machine_base import WorkersBase, jobs_with_processes
from machine_model import FOREVER_SECONDS, KINDS, ModelJob

_MOST_JOBS = 6
_SOON_SECONDS = 0.01
_streams = st.sampled_from(STREAMS)
_codes = st.integers(0, 255)
_times = st.integers(0, 3)
_signals = st.sampled_from([signal.SIGKILL, signal.SIGUSR1])
_texts = st.binary(min_size=1, max_size=12) | st.sampled_from([b"a line\n", b"\n\n", b"no newline", b"x" * 5000])
_keep = st.booleans()
_orders: st.SearchStrategy[StreamName | Literal["exit", "nothing"]] = st.sampled_from(["exit", "nothing", *STREAMS])


def _has_jobs(machine: WorkersBase) -> bool:
    return bool(machine.model.jobs)


def _has_running(machine: WorkersBase) -> bool:
    return bool(machine.model.running())


def _stubborn(machine: WorkersBase) -> list[ModelJob]:
    return [job for job in machine.model.running() if job.kind == "ignores" and not job.is_asked]


def _has_stubborn(machine: WorkersBase) -> bool:
    return bool(_stubborn(machine))


def _has_room(machine: WorkersBase) -> bool:
    return len(machine.model.jobs) < _MOST_JOBS


class Workers(WorkersBase):
    """The rules; each says what must hold."""

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[str, bool] = {}

    @initialize(cgroup_root=st.sampled_from(["auto", "off"]), keep_jobs=_keep)
    def open(self, cgroup_root: str, *, keep_jobs: bool) -> None:
        """The first worker finds nothing."""
        self.open_worker(cgroup_root, keep_jobs=keep_jobs)

    @precondition(_has_room)
    @rule(kind=st.sampled_from([*KINDS, "ignores"]), left=st.sampled_from([0, 0, 2]), times=_times)
    def start_what_obeys(self, kind: str, left: int, times: int) -> None:
        """A job starts once for all starts with its request id."""
        self.start_job(kind, left, times)

    @precondition(_has_room)
    @rule(code=_codes, times=_times)
    def start_what_ends_at_once(self, code: int, times: int) -> None:
        """A job that nobody stops ends as it exits."""
        job = self.start(["sh", "-c", f"exit {code}"], times)
        job.end(Exited(code))
        self.wait_for_end(job)

    @precondition(_has_jobs)
    @rule(data=st.data())
    def start_again(self, data: st.DataObject) -> None:
        """A request id that has a job gives that job, and no other command's; one of a refused start is free."""
        job = self.any_of(data, self.model.jobs)
        if job.request_id is not None:
            (again,) = self.host.call("start", list(job.command), job.request_id, 1)
            job.check(again)
            self.is_refused(RequestIdReusedError, "start", ["false"], job.request_id, 1)
        else:
            request_id = self.model.new_request_id()
            for _ in range(2):
                self.is_refused(ProgramNotFoundError, "start", ["/no/such/program"], request_id, 1)

    @precondition(_has_running)
    @rule(data=st.data(), stream=_streams, text=_texts)
    def write(self, data: st.DataObject, stream: StreamName, text: bytes) -> None:
        """What a job writes can be read."""
        job = self.any_of(data, self.model.running())
        self.order_text(job, stream, text)
        self.wait_for_output(job, stream)

    @precondition(_has_running)
    @rule(data=st.data(), code=_codes)
    def exit(self, data: st.DataObject, code: int) -> None:
        """A job ends as it exits."""
        job = self.any_of(data, self.model.running())
        self.order_exit(job, code)
        self.wait_for_end(job)

    @precondition(_has_running)
    @rule(data=st.data(), number=_signals)
    def be_killed(self, data: st.DataObject, number: int) -> None:
        """A job ends by the signal that it gets."""
        job = self.any_of(data, self.model.running())
        self.order(job, "kill", int(number))
        job.end(Signaled(number))
        self.wait_for_end(job)

    @precondition(_has_jobs)
    @rule(data=st.data(), is_patient=st.booleans())
    def stop(self, data: st.DataObject, *, is_patient: bool) -> None:
        """A stop answers when the job has ended; one that had ended before stays as it was."""
        asked = [job for job in self.model.running() if job.is_asked]
        job = self.any_of(data, asked or self.model.jobs)
        patience = _SOON_SECONDS if job.kind == "ignores" else FOREVER_SECONDS
        stopped = self.host.call("stop", job.id, patience if is_patient else 0.0)
        job.stop(patiently=is_patient)
        job.check(stopped)
        self.end_followers(job)

    @precondition(_has_stubborn)
    @rule(data=st.data())
    def begin_stop(self, data: st.DataObject) -> None:
        """A job that does not answer a stop runs on, and whoever comes next knows that it was asked."""
        job = self.any_of(data, _stubborn(self))
        self.host.call("begin_stop", job.id, FOREVER_SECONDS)
        job.is_asked = True
        # The supervisor answers in order, so that it has sent its signal by then.
        self.is_refused(ProgramNotFoundError, "start", ["/no/such/program"], None, 1)

    @precondition(_has_jobs)
    @rule(data=st.data(), stream=_streams, limit=st.integers(0, 30))
    def read(self, data: st.DataObject, stream: StreamName, limit: int) -> None:
        """A read gives what there is from its offset, as much as it may; from beyond the end it is refused."""
        job = self.any_of(data, self.model.jobs)
        written = job.written[stream]
        offset = data.draw(st.integers(0, len(written) + 2))
        if offset > len(written):
            self.is_refused(OffsetOutOfRangeError, "read", job.id, stream, offset=offset, limit=limit)
            return
        due = written[offset : offset + limit] if limit else written[offset:]
        # With follow it ends too if its limit is reached, and if the job has ended.
        for follow in {False, not job.is_running or len(due) == limit > 0}:
            came, end = self.host.call("read", job.id, stream, offset=offset, limit=limit, follow=follow)
            assert (came, end.offset) == (due, offset + len(due))
            job.check(end.job)

    @precondition(_has_jobs)
    @rule(data=st.data(), stream=_streams, lines=st.integers(0, 4))
    def read_tail(self, data: st.DataObject, stream: StreamName, lines: int) -> None:
        """The last lines are those that there are."""
        job = self.any_of(data, self.model.jobs)
        came, end = self.host.call("read", job.id, stream, tail_lines=lines)
        assert came == job.written[stream][job.tail(stream, lines) :]
        assert end.offset == len(job.written[stream])

    @precondition(_has_running)
    @rule(data=st.data(), stream=_streams)
    def follow(self, data: st.DataObject, stream: StreamName) -> None:
        """A follower gets all that comes until the job ends, if the worker lives as long."""
        job = self.any_of(data, self.model.running())
        self.follow_job(job, stream, data.draw(st.integers(0, len(job.written[stream]))))

    @precondition(_has_jobs)
    @rule(data=st.data(), page_size=st.integers(1, 4), length=st.integers(12, 36))
    def look(self, data: st.DataObject, page_size: int, length: int) -> None:
        """All pages but the last are full; together they hold all jobs, the newest first. Part of an id does for it."""
        pages = self.host.call("list", page_size)
        ids = [job.id for job in reversed(self.model.jobs)]
        due = [ids[first : first + page_size] for first in range(0, len(ids), page_size)]
        assert [[job.id for job in page] for page in pages] == due
        job = self.any_of(data, self.model.jobs)
        job.check(self.host.call("get", job.id[:length]))

    @precondition(_has_jobs)
    @rule(data=st.data())
    def delete(self, data: st.DataObject) -> None:
        """A finished job can be deleted, once; a running one can't."""
        job = self.any_of(data, self.model.jobs)
        if job.is_running:
            self.is_refused(JobRunningError, "delete", job.id)
            return
        job.check(self.host.call("delete", job.id))
        self.model.jobs.remove(job)
        self.model.deleted.append(job)
        for method in ("delete", "get", "wait"):
            self.is_refused(JobNotFoundError, method, job.id)

    @precondition(lambda machine: bool(machine.model.deleted) and _has_room(machine))
    @rule(data=st.data())
    def start_as_a_deleted_job(self, data: st.DataObject) -> None:
        """Its request id is free again."""
        request_id = self.any_of(data, self.model.deleted).request_id
        if request_id is not None and request_id not in {job.request_id for job in self.model.jobs}:
            job = self.start_as(request_id, ["true"])
            job.end(Exited(0))
            self.wait_for_end(job)

    @precondition(_has_running)
    @rule(keep_jobs=_keep)
    def close_and_reopen(self, *, keep_jobs: bool) -> None:
        """A worker that is left takes its jobs with it, unless it keeps them; see `close`."""
        self.close()
        self.reopen(keep_jobs=keep_jobs)

    @precondition(_has_running)
    @rule(data=st.data(), keep_jobs=_keep)
    def crash_and_reopen(self, data: st.DataObject, *, keep_jobs: bool) -> None:
        """Jobs go on without a worker, and end; the next worker has all of it."""
        self.host.kill()
        running = [(job, data.draw(_orders)) for job in self.model.running()]
        for job, order in running:
            if order == "exit":
                self.order_exit(job, data.draw(_codes))
            elif order != "nothing":
                self.order_text(job, order, data.draw(_texts))
        self.reopen(keep_jobs=keep_jobs)
        for job, order in running:
            if order == "exit":
                self.wait_for_end(job)
            elif order != "nothing":
                self.wait_for_output(job, order)

    @precondition(_has_running)
    @rule(is_alone=st.booleans(), keep_jobs=_keep)
    def lose_the_supervisor(self, *, is_alone: bool, keep_jobs: bool) -> None:
        """Jobs that nobody watches are lost: the worker notices, or the next one says so as soon as it is there."""
        running = self.model.running()
        if is_alone:
            self.kill_supervisor()
        else:
            self.host.kill()
            self.kill_supervisor()
            self.reopen(keep_jobs=keep_jobs)
            assert self.host.call("running") == []
        for job in running:
            self.wait_for_end(job)

    @invariant()
    def what_is_said_is_so(self) -> None:
        """All jobs are listed, newest first, each as it is, and each stream has exactly the bytes that were written."""
        (page,) = self.host.call("list", 1000)
        assert [job.id for job in page] == [job.id for job in reversed(self.model.jobs)]
        for said, job in zip(reversed(page), self.model.jobs, strict=True):
            job.check(said)
            for stream in STREAMS:
                assert self.host.call("read", job.id, stream).data == job.written[stream]

    @invariant()
    def what_runs_lives_and_nothing_else(self) -> None:
        """A job that is said to run has processes, and no other job has any."""
        known = {job.id: job.is_running for job in (*self.model.deleted, *self.model.jobs)}
        # To look through all processes of the host takes longer than most steps do.
        if known != self._seen:
            alive = jobs_with_processes()
            assert {job_id: job_id in alive for job_id in known} == known
            self._seen = known


def test_workers() -> None:
    """Some dozens of sequences, the same ones each time."""
    run_state_machine_as_test(
        Workers,
        settings=settings(
            derandomize=True,
            database=None,
            deadline=None,
            # To look for a shorter sequence that fails too would take minutes.
            phases=[Phase.generate],
            max_examples=45,
            stateful_step_count=30,
            suppress_health_check=list(HealthCheck),
        ),
    )
