"""Daemons that die, or leave their jobs, and those that start after them on the same state directory."""

from __future__ import annotations

import os
import re
import signal
import socket
import uuid
from typing import TYPE_CHECKING

import grpc
import pytest

from daemon_world import finish, follow, new_world, read_until, reason_of, refusal_of, run_to_its_end, shell
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing import ProcessHandle, kill_supervisor, supervisor_of

if TYPE_CHECKING:
    from pathlib import Path

    from daemon_world import Pki, World
    from jobworker.v1 import job_worker_pb2_grpc as rpc


@pytest.fixture
def gate(tmp_path: Path) -> Path:
    """A named pipe: who reads it waits for who writes it, and the other way round."""
    path = tmp_path / "gate"
    os.mkfifo(path)
    return path


def _kill(world: World) -> None:
    assert world.daemon.stop(signal.SIGKILL) == -signal.SIGKILL


def _say_pid(stub: rpc.JobWorkerServiceStub, script: str) -> tuple[str, ProcessHandle]:
    """Starts a job that says its pid and then runs a script; returns its id and its first process."""
    job_id = shell(stub, f"echo $$; {script}")
    return job_id, ProcessHandle(int(read_until(follow(stub, job_id), b"\n")))


def _get(stub: rpc.JobWorkerServiceStub, job_id: str) -> pb.Job:
    return stub.GetJob(pb.GetJobRequest(job_id=job_id)).job


def _page(stub: rpc.JobWorkerServiceStub, token: str = "") -> tuple[list[str], str]:
    page = stub.ListJobs(pb.ListJobsRequest(page_size=2, page_token=token))
    return [job.id for job in page.jobs], page.next_page_token


def test_running_job(own_world: World, gate: Path) -> None:
    """A job runs on when its daemon is killed; the next one has it as it was, and all that it wrote and writes."""
    script = f"echo before; read _ <{gate}; echo meanwhile; echo done >{gate}; read _ <{gate}; echo after; exit 7"
    with own_world.stub() as stub:
        before = _get(stub, shell(stub, script))
        read = read_until(follow(stub, before.id), b"before\n")
    _kill(own_world)
    gate.write_text("go on\n")
    assert gate.read_text() == "done\n"
    own_world.daemon.start()
    with own_world.stub() as stub:
        now = _get(stub, before.id)
        assert (now.state, now.stdout_bytes) == (pb.JOB_STATE_RUNNING, len("before\nmeanwhile\n"))
        now.stdout_bytes = before.stdout_bytes = 0
        assert now == before
        resumed = follow(stub, before.id, len(read))
        assert read_until(resumed, b"meanwhile\n") == b"meanwhile\n"
        gate.write_text("go on\n")
        rest = b"".join(frame.data.data for frame in resumed)
        output, ended = finish(stub, before.id)
    assert rest == b"after\n"
    assert output == b"before\nmeanwhile\nafter\n"
    assert (ended.state, ended.exit_code) == (pb.JOB_STATE_FAILED, 7)


@pytest.mark.parametrize(
    ("script", "state", "outcome"),
    [
        ("exit 0", pb.JOB_STATE_SUCCEEDED, pb.Job(exit_code=0)),
        ("exit 3", pb.JOB_STATE_FAILED, pb.Job(exit_code=3)),
        ("kill -SEGV $$", pb.JOB_STATE_FAILED, pb.Job(signal=signal.SIGSEGV)),
    ],
)
def test_job_that_ends_meanwhile(
    own_world: World, gate: Path, script: str, state: pb.JobState.ValueType, outcome: pb.Job
) -> None:
    """How a job ended is known though no daemon was there to see it, and so is all that it wrote."""
    with own_world.stub() as stub:
        job_id, process = _say_pid(stub, f"read _ <{gate}; echo bye; {script}")
    _kill(own_world)
    with process:
        gate.write_text("go on\n")
        process.wait()
    own_world.daemon.start()
    with own_world.stub() as stub:
        output, job = finish(stub, job_id)
        assert _get(stub, job_id) == job
    assert output == b"%d\nbye\n" % process.pid
    name = outcome.WhichOneof("outcome") or ""
    assert (job.state, job.WhichOneof("outcome")) == (state, name)
    assert getattr(job, name) == getattr(outcome, name)
    assert (job.stdout_bytes, job.termination.killed_processes) == (len(output), 0)


def test_a_job_outlives_many_daemons(own_world: World) -> None:
    """However often the daemon is killed, it is the same job and the same process, which can then be stopped."""
    with own_world.stub() as stub:
        job_id, process = _say_pid(stub, "exec sleep 1000")
    with process:
        for _ in range(3):
            _kill(own_world)
            own_world.daemon.start()
            with own_world.stub() as stub:
                assert _get(stub, job_id).state == pb.JOB_STATE_RUNNING
                assert not process.has_exited()
        with own_world.stub() as stub:
            job = stub.StopJob(pb.StopJobRequest(job_id=job_id)).job
        assert process.has_exited()
    assert (job.state, job.signal) == (pb.JOB_STATE_STOPPED, signal.SIGKILL)


def test_finished_jobs_are_kept(own_world: World) -> None:
    """Finished jobs, their output, their order and even a page token are the next daemon's too."""
    with own_world.stub() as stub:
        ids = [shell(stub, f"echo {number}; echo {number} >&2") for number in range(5)][::-1]
        before = [finish(stub, job_id) for job_id in ids]
        first, token = _page(stub)
    _kill(own_world)
    own_world.daemon.start()
    with own_world.stub() as stub:
        assert [finish(stub, job_id) for job_id in ids] == before
        second, token = _page(stub, token)
        third, token = _page(stub, token)
    assert (first + second + third, token) == (ids, "")


def test_request_id(own_world: World) -> None:
    """A start that is repeated with its request id, since the daemon was killed, gives the job that there is."""
    request = pb.StartJobRequest(command=["sleep", "1000"], request_id=str(uuid.uuid4()))
    with own_world.stub() as stub:
        job = stub.StartJob(request).job
    _kill(own_world)
    own_world.daemon.start()
    with own_world.stub() as stub:
        assert stub.StartJob(request).job == job
        assert [one.id for one in stub.ListJobs(pb.ListJobsRequest()).jobs] == [job.id]
        request.command.append("1")
        assert reason_of(lambda: stub.StartJob(request)) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_ID_REUSED")


def test_sigterm_stops_the_jobs(own_world: World) -> None:
    """Jobs that SIGTERM to the daemon stopped are STOPPED for the next one, with their output."""
    with own_world.stub() as stub:
        job_id, process = _say_pid(stub, "exec sleep 1000")
    with process:
        assert own_world.daemon.stop() == 0
        assert process.has_exited()
    assert supervisor_of(own_world.state_dir) is None
    own_world.daemon.start()
    with own_world.stub() as stub:
        output, job = finish(stub, job_id)
    assert output == b"%d\n" % process.pid
    assert (job.state, job.signal) == (pb.JOB_STATE_STOPPED, signal.SIGKILL)
    assert job.HasField("stop_request_time")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize(("options", "variables"), [(["--keep-jobs"], {}), ([], {"JOBWORKER_KEEP_JOBS": "1"})])
def test_keep_jobs(pki: Pki, options: list[str], variables: dict[str, str], number: signal.Signals) -> None:
    """A daemon that is to keep its jobs ends its followers, exits with 0, and leaves jobs to the next one."""
    with new_world(pki, *options, environment=variables) as world:
        with world.stub() as stub:
            job_id, process = _say_pid(stub, "exec sleep 1000")
            frames = follow(stub, job_id)
            read = read_until(frames, b"\n")
            os.kill(world.daemon.pid, number)
            error = refusal_of(lambda: next(frames))
        assert world.end() == 0
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert f"up to offset {len(read)}" in (error.details() or "")
        with process:
            assert not process.has_exited()
            world.daemon.start()
            with world.stub() as stub:
                assert _get(stub, job_id).state == pb.JOB_STATE_RUNNING
                assert not _get(stub, job_id).HasField("stop_request_time")
                assert stub.StopJob(pb.StopJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_STOPPED
            assert process.has_exited()


def test_a_memory_forgets(pki: Pki) -> None:
    """With --store=memory jobs die with the daemon, however it ends, and the next one has none."""
    with new_world(pki, "--store=memory") as world:
        with world.stub() as stub:
            _, process = _say_pid(stub, "exec sleep 1000")
        _kill(world)
        with process:
            process.wait()
        world.daemon.start()
        with world.stub() as stub:
            assert list(stub.ListJobs(pb.ListJobsRequest()).jobs) == []


@pytest.mark.parametrize("store", ["sqlite", "memory"])
def test_two_daemons_on_one_directory(own_world: World, store: str) -> None:
    """The second says whose the directory is, in one line, and ends with 2; the first doesn't notice."""
    with own_world.stub() as stub:
        job_id, process = _say_pid(stub, "exec sleep 1000")
        state_dir = str(own_world.state_dir)
        done = run_to_its_end(*own_world.pki.options(address="127.0.0.1:0", state_dir=state_dir, store=store))
        (line,) = done.stderr.splitlines()
        assert done.returncode == 2
        assert line.startswith(f"worker-daemon: state directory {state_dir}: it is in use by another worker")
        with process:
            assert not process.has_exited()
        assert _get(stub, job_id).state == pb.JOB_STATE_RUNNING
        assert finish(stub, shell(stub, "echo well"))[0] == b"well\n"


def test_daemon_that_cannot_listen(own_world: World) -> None:
    """A daemon that gives up since its port is taken leaves the jobs that it found as they were."""
    with own_world.stub() as stub:
        job_id, process = _say_pid(stub, "exec sleep 1000")
    _kill(own_world)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        options = own_world.pki.options(address=address, state_dir=str(own_world.state_dir))
        assert run_to_its_end(*options).returncode == 1
    own_world.daemon.start()
    with process, own_world.stub() as stub:
        assert _get(stub, job_id).state == pb.JOB_STATE_RUNNING
        assert not process.has_exited()


def test_supervisor_is_killed_too(own_world: World) -> None:
    """With nobody left to see a job's end it is not taken for running: it is killed, and LOST is what is known."""
    with own_world.stub() as stub:
        job_id, process = _say_pid(stub, "exec sleep 1000")
        finished = finish(stub, shell(stub, "echo well"))
    supervisor = supervisor_of(own_world.state_dir)
    assert supervisor
    _kill(own_world)
    with process, ProcessHandle(supervisor) as handle:
        os.kill(supervisor, signal.SIGKILL)
        handle.wait()
        assert not process.has_exited()
        own_world.daemon.start()
        assert process.has_exited()
    with own_world.stub() as stub:
        output, job = finish(stub, job_id)
        assert finish(stub, finished[1].id) == finished
    assert output == b"%d\n" % process.pid
    assert (job.state, job.WhichOneof("outcome")) == (pb.JOB_STATE_FAILED, "lost")
    assert job.lost.reason


@pytest.fixture
def deep(tmp_path: Path) -> Path:
    """A state directory whose path is longer than the name of a socket may be."""
    return tmp_path / ("x" * 120) / ("y" * 120)


def test_deep_state_directory(pki: Pki, deep: Path) -> None:
    """A state directory may lie as deep as any; it is made for this user alone."""
    with new_world(pki, state_dir=deep) as world:
        with world.stub() as stub:
            job_id, process = _say_pid(stub, "exec sleep 1000")
        _kill(world)
        world.daemon.start()
        with world.stub() as stub, process:
            assert _get(stub, job_id).state == pb.JOB_STATE_RUNNING
            assert not process.has_exited()
    assert deep.stat().st_mode & 0o777 == 0o700


def test_harness_leaves_nothing(own_world: World) -> None:
    """What ends the jobs of a daemon that can't be started again finds them all, whatever they are at."""
    script = "setsid sleep 1000 & echo $$ $!; trap '' TERM; kill -STOP $$"
    with own_world.stub() as stub:
        first, other = read_until(follow(stub, shell(stub, script)), b"\n").split()
    _kill(own_world)
    with ProcessHandle(int(first)) as process, ProcessHandle(int(other)) as escaped:
        kill_supervisor(own_world.state_dir)
        assert (process.has_exited(), escaped.has_exited()) == (True, True)
    assert supervisor_of(own_world.state_dir) is None


def test_what_was_taken_back_is_logged(own_world: World) -> None:
    """A line says how many jobs the daemon found when it started, and how they are."""
    with own_world.stub() as stub:
        _, process = _say_pid(stub, "exec sleep 1000")
        with process:
            pass
    _kill(own_world)
    own_world.daemon.start()
    assert any(re.search("event=taken_back running=1 ended=0 lost=0", line) for line in own_world.daemon.lines)
