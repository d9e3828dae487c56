"""A real daemon holds its clients to its limits, and says which it was."""

from __future__ import annotations

import re
import shutil
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest
from google.rpc import error_details_pb2
from grpc_status import rpc_status

from daemon_world import Pki, finish, follow, new_world, raw_call, refusal_of, shell
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from daemon_world import World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_REQUEST = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"
_WAITING = pb.StartJobRequest(command=["sleep", "1000"], request_id=_REQUEST)


@pytest.fixture
def small(pki: Pki) -> Iterator[World]:
    """A daemon with limits that are soon reached."""
    with new_world(
        pki,
        *("--max-jobs=3", "--max-jobs-per-principal=2", "--max-followers=3", "--max-followers-per-principal=2"),
        *("--max-arguments=10", "--max-argument-size=1K", "--max-message-size=2K"),
    ) as made:
        yield made


def _refused(call: Callable[[], object]) -> tuple[dict[str, str], float]:
    """Makes a call that is refused at a limit; returns what is said of the limit, and after how long to try again."""
    error = refusal_of(call)
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED, error.details()
    status = rpc_status.from_call(error)
    info, retry = error_details_pb2.ErrorInfo(), error_details_pb2.RetryInfo()
    assert status.details[0].Unpack(info)
    assert status.details[1].Unpack(retry)
    assert (info.reason, info.domain) == ("LIMIT_REACHED", "jobworker")
    return dict(info.metadata), retry.retry_delay.ToMilliseconds() / 1000


def _start(stub: rpc.JobWorkerServiceStub) -> str:
    return shell(stub, "exec sleep 1000")


def _counted(world: World) -> dict[str, str]:
    """Returns the daemon's counters of refusals, which it logs when it is asked to."""
    world.daemon.signal(signal.SIGHUP)
    line = world.daemon.wait_for_line(re.compile("event=counters .*"))[0]
    return dict(re.findall(r"jobworker_refused_total[.]limit[.](\w+)=(\d+)", line))


def test_jobs(small: World) -> None:
    """The jobs that run are bounded, those of each principal and all together; one that ends makes room."""
    with small.stub("full") as full, small.stub("both") as both:
        _start(full)
        second = _start(full)
        limit, retry = _refused(lambda: _start(full))
        principal = small.pki.fingerprints["full"]
        assert limit == {"limit": "jobs_per_principal", "maximum": "2", "principal": principal}
        assert retry > 0
        _start(both)
        limit, retry = _refused(lambda: _start(both))
        assert limit == {"limit": "jobs", "maximum": "3"}
        assert retry > 0
        full.StopJob(pb.StopJobRequest(job_id=second))
        _start(full)
    assert _counted(small) == {"jobs": "1", "jobs_per_principal": "1"}


def test_jobs_that_were_taken_back(pki: Pki) -> None:
    """After the daemon was killed its jobs still run, and so still count."""
    with new_world(pki, "--max-jobs-per-principal=2") as world:
        with world.stub() as stub:
            stub.StartJob(_WAITING)
            stopped = _start(stub)
        world.daemon.stop(signal.SIGKILL)
        world.daemon.start()
        with world.stub() as stub:
            assert _refused(lambda: _start(stub))[0]["limit"] == "jobs_per_principal"
            # A repeated request is the job that there is, and needs no room.
            assert stub.StartJob(_WAITING).job.state == pb.JOB_STATE_RUNNING
            stub.StopJob(pb.StopJobRequest(job_id=stopped))
            _start(stub)


def test_jobs_of_who_gets_a_name(pki: Pki, tmp_path: Path) -> None:
    """What a certificate started before its principal had a name still counts as that principal's."""
    own = Pki(Path(shutil.copytree(pki.folder, tmp_path / "pki")), pki.fingerprints)
    fingerprint = pki.fingerprints["full"]
    with new_world(own, "--max-jobs-per-principal=1") as world, world.stub() as stub:
        _start(stub)
        renamed = tmp_path / "renamed.toml"
        renamed.write_text(f'[[principal]]\nname = "ci"\nrole = "FULL"\nfingerprints = ["{fingerprint}"]\n')
        renamed.rename(own.folder / "roles.toml")
        world.daemon.wait_for_line(re.compile("event=reloaded"))
        limit, _ = _refused(lambda: _start(stub))
    assert limit == {"limit": "jobs_per_principal", "maximum": "1", "principal": "ci"}


def test_starts_in_time(pki: Pki) -> None:
    """Who has started many jobs is told when the next may be; what is repeated takes no token."""
    with new_world(pki, "--start-rate=0.001", "--start-burst=2") as world, world.stub() as stub:
        for _ in range(10):
            stub.StartJob(_WAITING)
        finish(stub, shell(stub, "true"))
        limit, retry = _refused(lambda: _start(stub))
        assert limit == {"limit": "start_rate", "maximum": "0.001", "principal": world.pki.fingerprints["full"]}
        assert 900 < retry <= 1000
        stub.StartJob(_WAITING)
        with world.stub("both") as other:
            _start(other)


def test_followers(small: World) -> None:
    """The streams that are open are bounded; one that ends makes room."""
    with small.stub("full") as full, small.stub("both") as both, ExitStack() as open_ones:
        job_id = shell(full, "echo ready; exec sleep 1000")

        def begin(stub: rpc.JobWorkerServiceStub) -> None:
            frames = follow(stub, job_id)
            open_ones.callback(frames.cancel)
            next(iter(frames))

        begin(full)
        begin(full)
        limit, _ = _refused(lambda: begin(full))
        principal = small.pki.fingerprints["full"]
        assert limit == {"limit": "followers_per_principal", "maximum": "2", "principal": principal}
        begin(both)
        assert _refused(lambda: begin(both))[0] == {"limit": "followers", "maximum": "3"}
        open_ones.pop_all().close()
        for _ in range(3):
            small.daemon.wait_for_line(re.compile("method=[^ ]*/ReadLogs code=CANCELLED"))
        begin(full)
    assert _counted(small) == {"followers": "1", "followers_per_principal": "1"}


def test_what_is_too_large(small: World) -> None:
    """Commands and requests are bounded; to repeat such a call is of no use soon."""
    with small.channel() as channel, small.stub() as stub:
        calls: list[tuple[str, str, Callable[[], object]]] = [
            ("arguments", "10", lambda: stub.StartJob(pb.StartJobRequest(command=["true"] * 11))),
            ("argument_bytes", "1024", lambda: stub.StartJob(pb.StartJobRequest(command=["true", "x" * 1024]))),
            ("message_bytes", "2048", lambda: raw_call(channel, "jobworker.v1.JobWorkerService/GetJob", b"x" * 2049)),
        ]
        for limit, maximum, call in calls:
            said, retry = _refused(call)
            assert said == {"limit": limit, "maximum": maximum}
            assert retry == 3600
        stub.StartJob(pb.StartJobRequest(command=["true", *["x"] * 9]))
        stub.StartJob(pb.StartJobRequest(command=["true", "x" * 1000]))
    assert _counted(small) == {"arguments": "1", "argument_bytes": "1", "message_bytes": "1"}


def test_far_too_large(small: World) -> None:
    """What is twice as large isn't even received."""
    with small.channel() as channel:
        error = refusal_of(lambda: raw_call(channel, "jobworker.v1.JobWorkerService/GetJob", b"x" * 10_000))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
