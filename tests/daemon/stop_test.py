"""Stops with a grace period, and what is told of the processes that a job leaves."""

from __future__ import annotations

import signal
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from daemon_world import finish, follow, read_until, reason_of, shell
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing import ProcessHandle

if TYPE_CHECKING:
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_LONG = Duration(seconds=1000)
_LONGEST = Duration(seconds=315_576_000_000, nanos=999_999_999)


def _stop(stub: rpc.JobWorkerServiceStub, job_id: str, grace_period: Duration | None = None) -> pb.Job:
    return stub.StopJob(pb.StopJobRequest(job_id=job_id, grace_period=grace_period)).job


def _ready(stub: rpc.JobWorkerServiceStub, script: str) -> str:
    """Starts a job whose script says that it is ready, waits for that, and returns the job's id."""
    job_id = shell(stub, script)
    read_until(follow(stub, job_id), b"ready\n")
    return job_id


@pytest.mark.parametrize("grace_period", [_LONG, _LONGEST])
def test_job_that_obeys(stub: rpc.JobWorkerServiceStub, grace_period: Duration) -> None:
    """A job that ends by itself within the grace period does so as it likes, and is STOPPED with its own exit code."""
    job_id = _ready(stub, "trap 'echo bye; exit 5' TERM; echo ready; sleep 1000 & wait")
    job = _stop(stub, job_id, grace_period)
    assert (job.state, job.exit_code) == (pb.JOB_STATE_STOPPED, 5)
    assert finish(stub, job_id) == (b"ready\nbye\n", job)


def test_job_that_has_no_handler(stub: rpc.JobWorkerServiceStub) -> None:
    """SIGTERM, which most programs end of, is what is asked with."""
    job = _stop(stub, _ready(stub, "echo ready; exec sleep 1000"), _LONG)
    assert (job.state, job.signal) == (pb.JOB_STATE_STOPPED, signal.SIGTERM)


def test_job_that_does_not_obey(stub: rpc.JobWorkerServiceStub) -> None:
    """What is left when the grace period is over is killed."""
    job_id = _ready(stub, "trap 'echo no' TERM; echo ready; while :; do sleep 1000; done")
    job = _stop(stub, job_id, Duration(nanos=200_000_000))
    assert (job.state, job.signal) == (pb.JOB_STATE_STOPPED, signal.SIGKILL)


@pytest.mark.parametrize("grace_period", [None, Duration()])
def test_no_grace(stub: rpc.JobWorkerServiceStub, grace_period: Duration | None) -> None:
    """Unset or zero is SIGKILL at once: a job gets no chance to say anything."""
    job_id = _ready(stub, "trap 'echo no' TERM; echo ready; while :; do sleep 1000; done")
    job = _stop(stub, job_id, grace_period)
    assert (job.state, job.signal) == (pb.JOB_STATE_STOPPED, signal.SIGKILL)
    assert finish(stub, job_id)[0] == b"ready\n"


def test_a_second_stop_shortens_the_first(stub: rpc.JobWorkerServiceStub) -> None:
    """Who is tired of waiting stops again without grace; both stops then have their answer."""
    job_id = _ready(stub, "trap 'echo heard' TERM; echo ready; while :; do sleep 1000 & wait; done")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(_stop, stub, job_id, _LONG)
        read_until(follow(stub, job_id), b"heard\n")
        second = _stop(stub, job_id)
        assert first.result() == second
    assert (second.state, second.signal) == (pb.JOB_STATE_STOPPED, signal.SIGKILL)


@pytest.mark.parametrize("period", [Duration(seconds=-1), Duration(nanos=-1), Duration(nanos=1_000_000_000)])
def test_no_grace_period(stub: rpc.JobWorkerServiceStub, period: Duration) -> None:
    """What is no period stops nothing."""
    job_id = _ready(stub, "echo ready; exec sleep 1000")
    assert reason_of(lambda: _stop(stub, job_id, period)) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "INVALID_GRACE_PERIOD",
    )
    job = stub.GetJob(pb.GetJobRequest(job_id=job_id)).job
    assert job.state == pb.JOB_STATE_RUNNING
    assert not job.HasField("stop_request_time")
    _stop(stub, job_id)


def test_processes_that_a_job_leaves(stub: rpc.JobWorkerServiceStub) -> None:
    """Processes that a job leaves behind end with it, also one that left its session, and are counted."""
    _, job = finish(stub, shell(stub, "sleep 1000 & setsid sleep 1000 & exit 0"))
    assert job.state == pb.JOB_STATE_SUCCEEDED
    assert job.termination.killed_processes == 2


def test_processes_of_a_stopped_job(stub: rpc.JobWorkerServiceStub) -> None:
    """The answer of a stop is the proof: descendants have exited by then, also one that left the job's session."""
    job_id = shell(stub, "setsid sh -c 'echo $$; exec sleep 1000' & wait")
    escaped = ProcessHandle(int(read_until(follow(stub, job_id), b"\n")))
    with escaped:
        job = _stop(stub, job_id)
        assert escaped.has_exited()
    assert job.termination.killed_processes >= 1
