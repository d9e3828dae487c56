"""What the rules of the state machine are made of: workers that come and go, jobs that obey, and what is awaited."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from jobworker.supervisor.spawn import JOB_ID_VARIABLE
from jobworker.worker import STREAMS, Exited, StateDirectoryInUseError
from jobworker_testing import ProcessHandle, kill_supervisor, supervisor_of
from machine_host import Host, RefusedError
from machine_model import TERM_CODE, Model, ModelJob

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobworker.worker import StreamName, WorkerError

_T = TypeVar("_T")

# What it is told comes by a named pipe, a verb and a value a line.
_SOURCE = f"""
import os, signal, sys
gate, kind, left = sys.argv[1:]
if kind == "exits":
    signal.signal(signal.SIGTERM, lambda *_: os._exit({TERM_CODE}))
if kind == "ignores":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
for _ in range(int(left)):
    os.posix_spawnp("sleep", ["sleep", "100000"], os.environ, setsid=True)
os.write(1, b"ready\\n")
for line in open(gate, "rb"):
    verb, value = line.decode().split()
    if verb == "exit":
        os._exit(int(value))
    if verb == "kill":
        os.kill(os.getpid(), int(value))
    os.write({STREAMS}.index(verb) + 1, bytes.fromhex(value))
"""
_READY = b"ready\n"


class WorkersBase(RuleBasedStateMachine):
    """The workers of one state directory, one after the other, and their jobs.

    Attributes:
        host: The worker that there is now.
        model: What is expected of the jobs.
        state_dir: The state directory.
    """

    host: Host

    def __init__(self) -> None:
        super().__init__()
        self.model = Model()
        self._scratch = Path(tempfile.mkdtemp(prefix="machine-"))
        self.state_dir = self._scratch / "state"
        self._cgroup_root = "auto"
        self._keeps_jobs = False
        self._gates: dict[str, int] = {}
        self._followers: list[tuple[int, ModelJob, StreamName, int]] = []
        self._count = 0

    def open_worker(self, cgroup_root: str, *, keep_jobs: bool) -> None:
        """Has the first worker."""
        self._cgroup_root = cgroup_root
        self.reopen(keep_jobs=keep_jobs)
        # A state directory has one worker at a time, and the first one stays.
        with pytest.raises(RefusedError) as caught:
            Host(self.state_dir)
        assert caught.value.kind is StateDirectoryInUseError

    def reopen(self, *, keep_jobs: bool) -> None:
        """Has another worker, whose predecessor is gone."""
        self._followers.clear()
        self._keeps_jobs = keep_jobs
        self.host = Host(self.state_dir, cgroup_root=self._cgroup_root, keep_jobs=keep_jobs)

    def close(self) -> None:
        """Has the worker left in order; it takes its jobs with it, unless it keeps them."""
        self.host.close()
        if not self._keeps_jobs:
            assert supervisor_of(self.state_dir) is None
            for job in self.model.running():
                job.stop(patiently=False)

    def kill_supervisor(self) -> None:
        """Kills the supervisor, and with it what is known of the jobs that run."""
        pid = supervisor_of(self.state_dir)
        assert pid is not None
        with ProcessHandle(pid) as supervisor:
            os.kill(pid, signal.SIGKILL)
            supervisor.wait()
        for job in self.model.running():
            job.lose()

    def start_job(self, kind: str, left: int, times: int) -> None:
        """Starts a job that obeys, and waits until it does.

        Args:
            kind: One of the model's kinds.
            left: How many processes it leaves behind.
            times: How many starts there are at once, with one request id; 0 is one without.
        """
        self._count += 1
        gate = self._scratch / f"gate-{self._count}"
        os.mkfifo(gate)
        # For both directions, so that neither end ever waits for the other to open it.
        descriptor = os.open(gate, os.O_RDWR | os.O_CLOEXEC)
        job = self.start([sys.executable, "-ISc", _SOURCE, str(gate), kind, str(left)], times, kind=kind, left=left)
        self._gates[job.id] = descriptor
        job.written["stdout"] = _READY
        self.wait_for_output(job, "stdout")

    def start(self, command: list[str], times: int, *, kind: str = "default", left: int = 0) -> ModelJob:
        """Starts a command so many times at once, with a new request id; 0 is once without."""
        request_id = self.model.new_request_id() if times else None
        return self.start_as(request_id, command, max(1, times), kind=kind, left=left)

    def start_as(
        self, request_id: str | None, command: list[str], times: int = 1, *, kind: str = "default", left: int = 0
    ) -> ModelJob:
        """Starts a command so many times at once, which makes one job."""
        first, *others = self.host.call("start", command, request_id, times)
        assert {job.id for job in others} <= {first.id}
        job = ModelJob(first.id, tuple(command), request_id, kind, left)
        self.model.jobs.append(job)
        return job

    def order(self, job: ModelJob, verb: str, value: object) -> None:
        """Tells a job what to do."""
        os.write(self._gates[job.id], f"{verb} {value}\n".encode())

    def order_text(self, job: ModelJob, stream: StreamName, text: bytes) -> None:
        """Tells a job what to write."""
        self.order(job, stream, text.hex())
        job.written[stream] += text

    def order_exit(self, job: ModelJob, code: int) -> None:
        """Tells a job to exit."""
        self.order(job, "exit", code)
        job.end(Exited(code))

    def wait_for_output(self, job: ModelJob, stream: StreamName) -> None:
        """Returns when a job has written what it was to."""
        due = job.written[stream]
        assert self.host.call("read", job.id, stream, follow=True, limit=len(due)).data == due

    def wait_for_end(self, job: ModelJob) -> None:
        """Returns when a job has ended, which it was to."""
        job.check(self.host.call("wait", job.id))
        self.end_followers(job)

    def follow_job(self, job: ModelJob, stream: StreamName, offset: int) -> None:
        """Has a follower of a running job."""
        self._count += 1
        self.host.call("begin_follow", self._count, job.id, stream, offset)
        self._followers.append((self._count, job, stream, offset))

    def end_followers(self, ended: ModelJob) -> None:
        """Compares what came to the followers of a job that has ended."""
        for follower in tuple(self._followers):
            number, job, stream, offset = follower
            if job is ended:
                self._followers.remove(follower)
                came, end = self.host.call("end_follow", number)
                assert came == job.written[stream][offset:]
                assert end.offset == len(job.written[stream])
                job.check(end.job)

    def is_refused(self, kind: type[WorkerError], name: str, *arguments: object, **named: object) -> None:
        """Has a method of the worker's called, which must raise this error."""
        with pytest.raises(RefusedError) as caught:
            self.host.call(name, *arguments, **named)
        assert caught.value.kind is kind

    def any_of(self, data: st.DataObject, choices: Iterable[_T]) -> _T:
        """Returns one of several."""
        return data.draw(st.sampled_from(list(choices)))

    def teardown(self) -> None:
        """Whatever happened, the last worker's end is the end of all."""
        try:
            if hasattr(self, "host"):
                if self._keeps_jobs:
                    self.host.kill()
                    self.reopen(keep_jobs=False)
                self.close()
                assert not jobs_with_processes().intersection(job.id for job in self.model.jobs)
        finally:
            kill_supervisor(self.state_dir)
            for gate in self._gates.values():
                os.close(gate)
            shutil.rmtree(self._scratch)


def jobs_with_processes() -> set[str]:
    """Returns the ids of the jobs, of all workers, that have processes."""
    prefix = f"{JOB_ID_VARIABLE}=".encode()
    found: set[str] = set()
    for process in Path("/proc").iterdir():
        if process.name.isdigit():
            try:
                environment = (process / "environ").read_bytes().split(b"\0")
            except OSError:
                continue  # gone, or another user's
            found.update(one.removeprefix(prefix).decode() for one in environment if one.startswith(prefix))
    return found
