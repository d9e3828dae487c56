"""Calls under way whose caller loses access: they end at once and say why, and no job is harmed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2_grpc import HealthStub

from daemon_world import follow, read_until, reason_of, shell
from devcerts import Validity
from identity_world import LivePki, crl, pem, serving, wait_for_event
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daemon_world import World


_DENIED = (grpc.StatusCode.PERMISSION_DENIED, "ACCESS_DENIED")
_TOO_LOW = (grpc.StatusCode.PERMISSION_DENIED, "ROLE_TOO_LOW")


@pytest.fixture
def live(tmp_path: Path) -> LivePki:
    """The files of one daemon, which lets a second client have the role FULL, so that one is left."""
    return LivePki.make(tmp_path / "files", admin=Validity.long())


@pytest.fixture
def world(live: LivePki) -> Iterator[World]:
    """A daemon on these files."""
    with serving(live) as made:
        yield made


def _is_running(stub: JobWorkerServiceStub, job_id: str) -> bool:
    return stub.GetJob(pb.GetJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_RUNNING


def _leave(live: LivePki) -> None:
    live.grant(full=["admin"])


def _revoke(live: LivePki) -> None:
    live.revoke("full")


def _demote(live: LivePki) -> None:
    live.grant(full=["admin"], log=["full"])


@pytest.mark.parametrize(
    ("lose", "refusal"),
    [(_leave, _DENIED), (_revoke, _DENIED), (_demote, _TOO_LOW)],
    ids=["left", "revoked", "demoted"],
)
def test_a_follow_ends(
    world: World, live: LivePki, lose: Callable[[LivePki], None], refusal: tuple[grpc.StatusCode, str]
) -> None:
    """Within a second, with the error of a refused call; the job runs on, and others' follows of it go on."""
    with world.stub() as stub, world.stub("admin") as other:
        job_id = shell(stub, "echo ready; exec sleep 1000")
        frames, others = follow(stub, job_id), follow(other, job_id)
        read_until(frames, b"ready")
        read_until(others, b"ready")
        lose(live)
        began = time.monotonic()
        assert reason_of(lambda: next(frames)) == refusal
        assert time.monotonic() - began < 1
        assert "code=PERMISSION_DENIED" in world.call_line("ReadLogs")
        assert reason_of(lambda: list(follow(stub, job_id))) == refusal
        assert _is_running(other, job_id)
        other.StopJob(pb.StopJobRequest(job_id=job_id))
        assert list(others)[-1].end.job.state == pb.JOB_STATE_STOPPED


def test_a_call_that_the_new_role_allows_goes_on(world: World, live: LivePki) -> None:
    """Who drops to LOG keeps what LOG may do, under way as well."""
    with world.channel() as channel, world.stub("admin") as other:
        watch = HealthStub(channel).Watch(health_pb2.HealthCheckRequest())
        next(watch)
        frames = follow(JobWorkerServiceStub(channel), job_id := shell(other, "echo ready; exec sleep 1000"))
        read_until(frames, b"ready")
        _demote(live)
        assert reason_of(lambda: next(frames)) == _TOO_LOW
        assert _is_running(JobWorkerServiceStub(channel), job_id)
        assert watch.is_active()


def _name(live: LivePki, name: str) -> None:
    entry = f'name = "{name}"\nrole = "FULL"\nfingerprints = ["{live.clients["full"].fingerprint}"]'
    live.replace("roles.toml", f"[[principal]]\n{entry}".encode())


@pytest.mark.parametrize("isolated", [True, False])
def test_a_certificate_that_changes_hands(live: LivePki, isolated: bool) -> None:  # noqa: FBT001 - a parameter's value
    """Its calls under way see no more of jobs that are another principal's now; unless all may see all."""
    _name(live, "ann")
    with serving(live, *(["--isolate-owners"] if isolated else [])) as world, world.stub() as stub:
        job_id = shell(stub, "echo ready; read line; exec sleep 1000")
        frames = follow(stub, job_id)
        read_until(frames, b"ready")
        _name(live, "bob")
        wait_for_event(world, "reloaded", changed="roles")
        if isolated:
            assert reason_of(lambda: next(frames)) == _DENIED
        else:
            stub.StopJob(pb.StopJobRequest(job_id=job_id))
            assert list(frames)[-1].end.job.state == pb.JOB_STATE_STOPPED


def test_a_certificate_that_is_given_a_name(live: LivePki) -> None:
    """It keeps its jobs, and so its calls under way, though owners are isolated: to rotate it begins so."""
    with serving(live, "--isolate-owners") as world, world.stub() as stub:
        job_id = shell(stub, "echo ready; exec sleep 1000")
        frames = follow(stub, job_id)
        read_until(frames, b"ready")
        _name(live, "ann")
        wait_for_event(world, "reloaded", changed="roles")
        assert stub.StopJob(pb.StopJobRequest(job_id=job_id)).job.principal == live.clients["full"].fingerprint
        assert list(frames)[-1].end.job.state == pb.JOB_STATE_STOPPED


def test_a_follower_that_does_not_read(world: World, live: LivePki) -> None:
    """It gets no more than what was on its way; that it lost access is decided and logged all the same."""
    with world.stub() as stub, world.stub("admin") as other:
        job_id = shell(stub, "head -c 100000000 /dev/zero; exec sleep 1000")
        frames = follow(stub, job_id)
        next(frames)
        # By the time that another one has read all, what is on its way has filled the windows.
        everything = follow(other, job_id)
        left = 100_000_000
        while left:
            left -= len(next(everything).data.data)
        _leave(live)
        assert 'reason="not in the role table"' in wait_for_event(world, "access_lost", job=job_id)
        received: list[int] = []

        def read_on() -> None:
            received.extend(len(frame.data.data) for frame in frames)

        assert reason_of(read_on) == _DENIED
        assert sum(received) < 50_000_000
        assert _is_running(other, job_id)


def test_a_stop_under_way_is_finished(world: World, live: LivePki) -> None:
    """The call that asked for it ends, but what it asked for while it might was right, and happens."""
    with world.stub() as stub, world.stub("admin") as other:
        job_id = shell(stub, "trap 'echo asked' TERM; echo ready; while :; do sleep 1; done")
        frames = follow(other, job_id)
        read_until(frames, b"ready")
        request = pb.StopJobRequest(job_id=job_id)
        request.grace_period.FromSeconds(2)
        stopping = stub.StopJob.future(request)
        read_until(frames, b"asked")
        _leave(live)
        assert reason_of(stopping.result) == _DENIED
        assert list(frames)[-1].end.job.state == pb.JOB_STATE_STOPPED


def test_a_certificate_expires_during_a_follow(world: World, live: LivePki) -> None:
    """At that moment its calls end, and no further one is let in on the connection; the job runs on."""
    seconds = 10.0
    live.issue("brief", Validity.days(-1, seconds / 86_400))
    live.grant(full=["full", "brief"])
    wait_for_event(world, "reloaded", changed="roles")
    expires = live.clients["brief"].certificate.not_valid_after_utc.timestamp()
    with world.stub("brief") as stub, world.stub() as other:
        frames = follow(stub, job_id := shell(stub, "echo ready; exec sleep 1000"))
        read_until(frames, b"ready")
        assert reason_of(lambda: next(frames)) == _DENIED
        assert 0 <= time.time() - expires < 1
        assert "reason=expired" in wait_for_event(world, "access_lost")
        assert reason_of(lambda: _is_running(stub, job_id)) == _DENIED
        assert _is_running(other, job_id)


def test_a_revocation_list_that_expires_is_honoured(world: World, live: LivePki) -> None:
    """Else whoever keeps new lists away would undo the old ones; it is warned of."""
    live.replace("crl.pem", pem(crl(live.authority, [live.clients["full"]], days=(-1, 5 / 86_400))))
    wait_for_event(world, "crl_expired", still="honoured")
    # Nor does it keep out what else is new.
    live.grant(full=["full", "admin", "stranger"])
    wait_for_event(world, "reloaded", changed="roles")
    with world.stub() as stub:
        assert reason_of(lambda: shell(stub, "true")) == _DENIED
