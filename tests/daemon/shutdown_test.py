"""How the daemon ends, and what its clients, jobs and processes see of it."""

from __future__ import annotations

import functools
import os
import re
import signal
import socket
import subprocess
import time
from collections import deque
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status

from daemon_world import Frames, finish, follow, new_world, program, read_until, refusal_of, shell
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing import ProcessHandle, children_of, supervisor_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from daemon_world import Pki, World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_LIMIT_SECONDS = 5
_STOPPING = re.compile("event=stopping")


def _say_pid_and_wait(stub: rpc.JobWorkerServiceStub) -> tuple[ProcessHandle, Frames, int]:
    """Starts a job that says its pid; returns its process, a follower of it, and how much it has said."""
    frames = follow(stub, shell(stub, "echo $$; exec sleep 1000"))
    said = read_until(frames, b"\n")
    return ProcessHandle(int(said)), frames, len(said)


def _list_often(stub: rpc.JobWorkerServiceStub) -> None:
    for _ in range(10_000):
        stub.ListJobs(pb.ListJobsRequest())


def _error_of(frames: Iterable[object]) -> grpc.Call:
    return refusal_of(lambda: deque(frames, maxlen=0))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_first_signal(own_world: World, number: signal.Signals) -> None:
    """A follower is told at which offset it ended, its job is killed, and the daemon exits with 0, soon."""
    with own_world.stub() as stub:
        job, frames, said = _say_pid_and_wait(stub)
        with job:
            began = time.monotonic()
            os.kill(own_world.daemon.pid, number)
            error = _error_of(frames)
            assert own_world.end() == 0
            assert time.monotonic() - began < _LIMIT_SECONDS
            assert job.has_exited()
    assert error.code() is grpc.StatusCode.UNAVAILABLE
    assert error.details() == f"the server is going away; the output was sent up to offset {said}"
    status = rpc_status.from_call(error)
    info = error_details_pb2.ErrorInfo()
    assert status.details[0].Unpack(info)
    assert (info.reason, dict(info.metadata)) == ("SERVER_STOPPING", {"offset": str(said)})


def test_hundred_followers_who_never_read(own_world: World) -> None:
    """Followers that don't read can't hold up the end, however many there are and however much waits for them."""
    with own_world.stub() as stub:
        job_id = shell(stub, "exec yes")
        followers = [follow(stub, job_id) for _ in range(100)]
        for follower in followers:
            # Sent with the first frame: from here on each handler is busy writing.
            follower.initial_metadata()
        began = time.monotonic()
        assert own_world.daemon.stop() == 0
        assert time.monotonic() - began < _LIMIT_SECONDS


@pytest.mark.parametrize(("store", "go_on"), [("memory", False), ("sqlite", True)])
def test_second_signal(pki: Pki, store: str, *, go_on: bool) -> None:
    """A second signal ends a shutdown that takes its time; to the jobs that is a SIGKILL of the daemon."""
    with new_world(pki, f"--store={store}") as world, world.stub() as stub:
        job, _, _ = _say_pid_and_wait(stub)
        follower = follow(stub, shell(stub, "exec yes"))
        # Never read, so the shutdown waits for it.
        follower.initial_metadata()
        os.kill(world.daemon.pid, signal.SIGTERM)
        world.daemon.wait_for_line(_STOPPING)
        began = time.monotonic()
        assert world.daemon.stop(signal.SIGINT) == 128 + signal.SIGINT
        assert time.monotonic() - began < 1
        with job:
            if go_on:
                assert not job.has_exited()
            else:
                job.wait()


def test_health_over_the_shutdown(own_world: World) -> None:
    """A watcher sees SERVING, then NOT_SERVING, then that the server goes; and doesn't hold that up."""
    with own_world.channel("log") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        statuses = health.Watch(health_pb2.HealthCheckRequest(service="jobworker.v1.JobWorkerService"))
        unknown = health.Watch(health_pb2.HealthCheckRequest(service="no.such.Service"))
        assert next(statuses).status == health_pb2.HealthCheckResponse.SERVING
        assert next(unknown).status == health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        began = time.monotonic()
        os.kill(own_world.daemon.pid, signal.SIGTERM)
        assert next(statuses).status == health_pb2.HealthCheckResponse.NOT_SERVING
        for watch in (statuses, unknown):
            error = _error_of(watch)
            assert error.code() is grpc.StatusCode.UNAVAILABLE
        assert own_world.end() == 0
        assert time.monotonic() - began < 2


def test_nothing_new_is_accepted(own_world: World) -> None:
    """From the signal on no connection and no call is accepted, while a follower holds the end up."""
    with own_world.stub() as stub, own_world.stub() as late:
        follower = follow(stub, shell(stub, "exec yes"))
        follower.initial_metadata()
        late.ListJobs(pb.ListJobsRequest())
        os.kill(own_world.daemon.pid, signal.SIGTERM)
        own_world.daemon.wait_for_line(_STOPPING)
        for before in (stub, late):
            # One that was on its way may still be answered; those that follow aren't.
            error = refusal_of(functools.partial(_list_often, before))
            # grpc itself cancels a call that comes between the server's two GOAWAY frames.
            assert error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}
        with pytest.raises(OSError, match="refused"):
            socket.create_connection(("127.0.0.1", int(own_world.daemon.address.rpartition(":")[2])))
        assert own_world.end() == 0


def test_ctrl_c_in_a_terminal(pki: Pki, tmp_path: Path) -> None:
    """Ctrl-C reaches the daemon's whole process group, supervisor included, and is the same orderly end."""
    command = [*program(), *pki.options(address="127.0.0.1:0", state_dir=str(tmp_path))]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, process_group=0
    ) as daemon:
        assert daemon.stderr
        assert any(line.startswith("READY ") for line in daemon.stderr)
        os.killpg(daemon.pid, signal.SIGINT)
        log = daemon.stderr.read()
    assert daemon.returncode == 0
    assert [re.sub("^time=[^ ]+ ", "", line) for line in log.splitlines()] == [
        "level=info event=stopping signal=SIGINT",
        "level=info event=counters",
        "level=info event=stopped",
    ]


def test_nothing_is_left_of_a_private_directory(pki: Pki, tmp_path: Path) -> None:
    """With --store=memory and no --state-dir the output is kept in a private temporary directory, gone at the end."""
    environment = {"TMPDIR": str(tmp_path), "JOBWORKER_STATE_DIR": ""}
    with new_world(pki, "--store=memory", environment=environment) as world, world.stub() as stub:
        job, _, _ = _say_pid_and_wait(stub)
        with job:
            (private,) = tmp_path.iterdir()
            assert private.stat().st_mode & 0o777 == 0o700
            assert world.daemon.stop() == 0
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_left_of_the_processes(own_world: World) -> None:
    """When the daemon has ended after SIGTERM, its supervisor has too, though it would survive a SIGKILL."""
    pid = supervisor_of(own_world.state_dir)
    assert pid
    with ProcessHandle(pid) as supervisor:
        assert own_world.daemon.stop() == 0
        assert supervisor.has_exited()


def test_supervisor_dies_of_a_memory(pki: Pki) -> None:
    """With --store=memory its end can't be made good: the daemon says so in one line, kills the jobs, exits with 1."""
    with new_world(pki, "--store=memory") as world, world.stub() as stub:
        job, frames, _ = _say_pid_and_wait(stub)
        (supervisor,) = children_of(world.daemon.pid)
        before = len(world.daemon.lines)
        os.kill(supervisor, signal.SIGKILL)
        error = _error_of(frames)
        with job:
            job.wait()
        assert world.end() == 1
        assert error.code() is grpc.StatusCode.UNAVAILABLE
        said = [line for line in world.daemon.lines[before:] if "event=call" not in line]
        assert len(said) == 1, said
        assert said[0].startswith("worker-daemon: the supervisor died")


def test_supervisor_dies(own_world: World) -> None:
    """Otherwise the daemon goes on with a new one; what ran is killed, and lost for its followers too."""
    with own_world.stub() as stub:
        job, frames, said = _say_pid_and_wait(stub)
        supervisor = supervisor_of(own_world.state_dir)
        assert supervisor
        os.kill(supervisor, signal.SIGKILL)
        (last,) = frames
        with job:
            assert job.has_exited()
        assert (last.end.offset, last.end.job.state) == (said, pb.JOB_STATE_FAILED)
        assert last.end.job.lost.reason
        output, after = finish(stub, shell(stub, "echo well"))
        assert (output, after.state) == (b"well\n", pb.JOB_STATE_SUCCEEDED)
    assert supervisor_of(own_world.state_dir) not in {supervisor, None}
    assert own_world.daemon.stop() == 0


def test_daemon_dies(pki: Pki) -> None:
    """With --store=memory even SIGKILL leaves no job behind, nor a supervisor."""
    with new_world(pki, "--store=memory") as world, world.stub() as stub:
        job, _, _ = _say_pid_and_wait(stub)
        (pid,) = children_of(world.daemon.pid)
        with job, ProcessHandle(pid) as supervisor:
            assert world.daemon.stop(signal.SIGKILL) == -signal.SIGKILL
            job.wait()
            supervisor.wait()


def test_daemon_dies_and_leaves_its_jobs(own_world: World) -> None:
    """Otherwise SIGKILL leaves them running, for the next daemon."""
    with own_world.stub() as stub:
        job, _, _ = _say_pid_and_wait(stub)
    pid = supervisor_of(own_world.state_dir)
    assert pid
    with job, ProcessHandle(pid) as supervisor:
        assert own_world.daemon.stop(signal.SIGKILL) == -signal.SIGKILL
        assert not supervisor.has_exited()
        assert not job.has_exited()
