"""The lives of jobs, calls and the daemon: what ends, what goes on, and that nothing is left."""

from __future__ import annotations

import os
import re
import signal
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing import ProcessHandle, children_of, open_files, supervisor_of
from jobworker_testing.world import follow, new_world, output_of, shell, start

if TYPE_CHECKING:
    from jobworker.v1 import job_worker_pb2_grpc as rpc
    from jobworker_testing.world import World


def _handles(stack: ExitStack, stub: rpc.JobWorkerServiceStub, job_id: str, count: int) -> list[ProcessHandle]:
    """Returns handles of the processes whose ids a job prints, one a line."""
    lines = b""
    for frame in follow(stub, job_id):
        lines += frame.data.data
        if lines.count(b"\n") == count:
            break
    return [stack.enter_context(ProcessHandle(int(pid))) for pid in lines.split()]


_TREE = "echo $$; sh -c 'echo $$; sleep 600' & sh -c 'trap \"\" TERM INT HUP; echo $$; sleep 600' & wait"


def test_stop_answers_when_the_group_is_gone(stub: rpc.JobWorkerServiceStub) -> None:
    """The answer of StopJob is the proof: all descendants have exited by then, also one that ignores SIGTERM."""
    job_id = shell(stub, _TREE)
    with ExitStack() as stack:
        processes = _handles(stack, stub, job_id, 3)
        job = stub.StopJob(pb.StopJobRequest(job_id=job_id)).job
        assert [process.has_exited() for process in processes] == [True] * 3
    assert (job.state, job.signal) == (pb.JOB_STATE_STOPPED, signal.SIGKILL)
    assert job.HasField("stop_request_time")


def test_what_a_job_leaves_behind_ends_with_it(world: World, stub: rpc.JobWorkerServiceStub) -> None:
    """A child that outlives the first process is gone when the job's end is told."""
    gate = world.state_dir / "gate"
    os.mkfifo(gate)
    job_id = shell(stub, f"sleep 600 & echo $!; read _ <{gate}")
    with ExitStack() as stack:
        (left,) = _handles(stack, stub, job_id, 1)
        gate.write_text("end\n")
        _, job = output_of(follow(stub, job_id))
        assert left.has_exited()
    assert job.state == pb.JOB_STATE_SUCCEEDED


def test_one_request_id_starts_one_job(world: World) -> None:
    """Concurrent starts with one request_id, over connections of their own, give one job that runs once."""
    marks = world.state_dir / "marks"
    request = pb.StartJobRequest(command=["sh", "-c", f"echo x >>{marks}"], request_id=str(uuid.uuid4()))

    def started() -> str:
        with world.stub() as stub:
            job_id = stub.StartJob(request).job.id
            output_of(follow(stub, job_id))
            return job_id

    with ThreadPoolExecutor(16) as pool:
        ids = {future.result() for future in [pool.submit(started) for _ in range(32)]}
    assert len(ids) == 1
    assert marks.read_text() == "x\n"


def test_stop_that_races_the_natural_end_tells_the_truth(stub: rpc.JobWorkerServiceStub) -> None:
    """Whichever comes first, state and outcome agree, and the state never changes again."""
    seen = set()
    for _ in range(40):
        job_id = start(stub, "true")
        job = stub.StopJob(pb.StopJobRequest(job_id=job_id)).job
        outcome = job.WhichOneof("outcome")
        assert (job.state, outcome) in {
            (pb.JOB_STATE_SUCCEEDED, "exit_code"),
            (pb.JOB_STATE_STOPPED, "signal"),
        }
        assert stub.GetJob(pb.GetJobRequest(job_id=job_id)).job == job
        seen.add(job.state)
    assert seen


def test_a_cancelled_follow_harms_nothing(stub: rpc.JobWorkerServiceStub) -> None:
    """A job runs on when its follower goes away in the middle."""
    job_id = shell(stub, "echo ready; sleep 600")
    frames = stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True))
    assert next(frames).data.data == b"ready\n"
    frames.cancel()
    assert stub.GetJob(pb.GetJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_RUNNING
    stub.StopJob(pb.StopJobRequest(job_id=job_id))


def test_kill_9_of_the_daemon_leaves_no_orphan() -> None:
    """When a daemon that keeps no state is killed, its supervisor kills all jobs, also what left a group, and ends."""
    with new_world(None, "--store=memory") as world, world.stub() as stub, ExitStack() as stack:
        daemon = world.daemon
        job_id = shell(stub, _TREE)
        processes = _handles(stack, stub, job_id, 3)
        escaped = shell(stub, "setsid sh -c 'echo $$; sleep 600' & wait")
        processes += _handles(stack, stub, escaped, 1)
        processes += [stack.enter_context(ProcessHandle(pid)) for pid in children_of(daemon.pid)]
        assert daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        for process in processes:
            process.wait()


def test_sigterm_ends_follows_jobs_and_daemon(own_world: World) -> None:
    """SIGTERM ends a follow with UNAVAILABLE and its offset, kills the jobs, and the daemon exits with 0."""
    with own_world.stub() as stub, ExitStack() as stack:
        job_id = shell(stub, "echo $$; sleep 600")
        (process,) = _handles(stack, stub, job_id, 1)
        frames = follow(stub, job_id)
        size = len(next(frames).data.data)
        own_world.daemon.signal(signal.SIGTERM)
        with pytest.raises(grpc.RpcError) as ended:
            next(frames)
        assert ended.value.code() == grpc.StatusCode.UNAVAILABLE
        assert str(size) in (ended.value.details() or "")
        assert own_world.daemon.wait() == 0
        assert process.has_exited()


def _everything_once(world: World) -> None:
    """Each kind of end: natural, stopped, refused, follower gone, client gone."""
    with world.stub() as stub:
        output_of(follow(stub, shell(stub, "echo hi")))
        running = shell(stub, "echo ready; sleep 600")
        frames = stub.ReadLogs(pb.ReadLogsRequest(job_id=running, stream=pb.LOG_STREAM_STDOUT, follow=True))
        next(frames)
        frames.cancel()
        abandoned = stub.ReadLogs(pb.ReadLogsRequest(job_id=running, stream=pb.LOG_STREAM_STDOUT, follow=True))
        next(abandoned)
        stub.StopJob(pb.StopJobRequest(job_id=running))
        with pytest.raises(grpc.RpcError):
            start(stub, "no-such-program")
    for _ in range(3):
        world.daemon.wait_for_line(_READ_ENDED)


_READ_ENDED = re.compile(r"ReadLogs.*\bcode=")


def test_nothing_leaks(own_world: World) -> None:
    """Descriptors of daemon and supervisor, children and files are the same after each kind of end, 20 times over."""
    daemon = own_world.daemon
    _everything_once(own_world)
    supervisor = supervisor_of(own_world.state_dir)
    assert supervisor
    with own_world.stub() as stub:
        before = open_files(daemon.pid), open_files(supervisor)
        for _ in range(20):
            _everything_once(own_world)
        jobs = stub.ListJobs(pb.ListJobsRequest(page_size=1000)).jobs
        assert children_of(daemon.pid) == []
        assert children_of(supervisor) == []
        assert (open_files(daemon.pid), open_files(supervisor)) == before
    logs = list((own_world.state_dir / "logs").iterdir())
    assert len(logs) == 2 * len(jobs) == 2 * 2 * 21
