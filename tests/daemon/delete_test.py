"""Jobs that are deleted: by a client, and by the daemon's own limits."""

from __future__ import annotations

import signal
import uuid
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from daemon_world import finish, follow, new_world, read_until, reason_of, refusal_of, shell
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from daemon_world import Frames, Pki, World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_GONE = (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
_DELETED = (grpc.StatusCode.NOT_FOUND, "JOB_DELETED")
# More than fits between a daemon and a client that doesn't read.
_MUCH = 64 << 20


def _delete(stub: rpc.JobWorkerServiceStub, job_id: str) -> pb.Job:
    return stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id)).job


def _read_a_little(stub: rpc.JobWorkerServiceStub, job_id: str) -> tuple[Frames, int]:
    """Begins to read a finished job's long output; returns the read, which is far from its end, and how much came."""
    frames = follow(stub, job_id)
    return frames, len(next(frames).data.data)


def _rest_of(frames: Frames, offset: int) -> int:
    """Returns where a read ends, whose frames each continue the one before."""
    for frame in frames:
        assert frame.data.offset == offset
        offset += len(frame.data.data)
    return offset


def test_finished_job(stub: rpc.JobWorkerServiceStub, world: World) -> None:
    """The answer is the job as it was; then it, its output and its files are gone, and its neighbours are not."""
    before, job_id, after = (shell(stub, f"echo {number}; exit {number}") for number in range(3))
    others = [finish(stub, other) for other in (before, after)]
    _, job = finish(stub, job_id)
    files = {path.name for path in world.state_dir.rglob(f"*{job_id}*")}
    assert files
    assert _delete(stub, job_id[:13]) == job
    assert reason_of(lambda: stub.GetJob(pb.GetJobRequest(job_id=job_id))) == _GONE
    assert reason_of(lambda: list(follow(stub, job_id))) == _GONE
    assert reason_of(lambda: stub.StopJob(pb.StopJobRequest(job_id=job_id))) == _GONE
    assert reason_of(lambda: _delete(stub, job_id)) == _GONE
    listed = [one.id for one in stub.ListJobs(pb.ListJobsRequest()).jobs]
    assert job_id not in listed
    assert listed.index(after) == listed.index(before) - 1
    assert [finish(stub, other) for other in (before, after)] == others
    assert list(world.state_dir.rglob(f"*{job_id}*")) == []


def test_running_job(stub: rpc.JobWorkerServiceStub) -> None:
    """A job that runs is not deleted, nor harmed; what has to be done first is told in a form for programs."""
    job_id = shell(stub, "echo ready; exec sleep 1000")
    read_until(follow(stub, job_id), b"ready")
    error = refusal_of(lambda: _delete(stub, job_id))
    unmet = error_details_pb2.PreconditionFailure()
    assert [detail for detail in rpc_status.from_call(error).details if detail.Unpack(unmet)]
    assert (error.code(), error.details()) == (
        grpc.StatusCode.FAILED_PRECONDITION,
        f"job {job_id} has not ended; stop it first",
    )
    assert [violation.type for violation in unmet.violations] == ["JOB_RUNNING"]
    assert stub.StopJob(pb.StopJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_STOPPED
    assert _delete(stub, job_id).state == pb.JOB_STATE_STOPPED


@pytest.mark.parametrize(("job_id", "reason"), [("", "INVALID_JOB_ID"), ("no id", "INVALID_JOB_ID")])
def test_no_job_id(stub: rpc.JobWorkerServiceStub, job_id: str, reason: str) -> None:
    """What can't be an id deletes nothing."""
    assert reason_of(lambda: _delete(stub, job_id)) == (grpc.StatusCode.INVALID_ARGUMENT, reason)


def test_request_id_is_forgotten(stub: rpc.JobWorkerServiceStub) -> None:
    """A request id whose job was deleted starts a new job."""
    request = pb.StartJobRequest(command=["true"], request_id=str(uuid.uuid4()))
    first = stub.StartJob(request).job.id
    finish(stub, first)
    _delete(stub, first)
    second = stub.StartJob(request).job.id
    assert second not in {first, ""}
    assert stub.StartJob(request).job.id == second


def test_while_its_output_is_read(stub: rpc.JobWorkerServiceStub) -> None:
    """A reader of a job that is deleted is told so; what it got up to then is exact, and there is no end frame."""
    job_id = shell(stub, f"head -c {_MUCH} /dev/zero")
    finish(stub, job_id)
    frames, read = _read_a_little(stub, job_id)
    _delete(stub, job_id)
    assert reason_of(lambda: _rest_of(frames, read)) == _DELETED


def test_stays_deleted(own_world: World) -> None:
    """A deleted job is not there again when the daemon is killed and starts again."""
    with own_world.stub() as stub:
        job_id, kept = shell(stub, "echo deleted"), shell(stub, "echo kept")
        finish(stub, job_id)
        _, job = finish(stub, kept)
        _delete(stub, job_id)
    own_world.daemon.stop(signal.SIGKILL)
    own_world.daemon.start()
    with own_world.stub() as stub:
        assert list(stub.ListJobs(pb.ListJobsRequest()).jobs) == [job]
        assert reason_of(lambda: stub.GetJob(pb.GetJobRequest(job_id=job_id))) == _GONE


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_only_so_many_are_kept(pki: Pki, store: str) -> None:
    """Beyond --keep-finished the jobs that ended first are deleted, by whatever store; one that runs is no such job."""
    with new_world(pki, "--keep-finished=2", f"--store={store}") as world, world.stub() as stub:
        running = shell(stub, "exec sleep 1000")
        first = shell(stub, f"head -c {_MUCH} /dev/zero")
        finish(stub, first)
        frames, read = _read_a_little(stub, first)
        second, third = shell(stub, "true"), shell(stub, "true")
        finish(stub, second)
        finish(stub, third)
        # The reader's end says when the deletion has been done.
        assert reason_of(lambda: _rest_of(frames, read)) == _DELETED
        assert [job.id for job in stub.ListJobs(pb.ListJobsRequest()).jobs] == [third, second, running]
        assert reason_of(lambda: stub.GetJob(pb.GetJobRequest(job_id=first))) == _GONE


def test_only_so_many_are_taken_back(pki: Pki) -> None:
    """What a daemon with a lower limit finds in the state directory is brought within it."""
    with new_world(pki) as world:
        with world.stub() as stub:
            ids = [shell(stub, "true") for _ in range(4)]
            for job_id in ids:
                finish(stub, job_id)
        assert world.daemon.stop() == 0
        with new_world(pki, "--keep-finished=1", state_dir=world.state_dir) as lower, lower.stub() as stub:
            finish(stub, last := shell(stub, "true"))
            assert [job.id for job in stub.ListJobs(pb.ListJobsRequest()).jobs] == [last]
