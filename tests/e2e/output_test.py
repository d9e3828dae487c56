"""Output over mutual TLS: exact for every reader, whenever it joins and however slowly it reads."""

from __future__ import annotations

import hashlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import grpc
import pytest

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing.proxy import CuttingProxy
from jobworker_testing.world import follow, output_of, shell, start

if TYPE_CHECKING:
    from jobworker.v1 import job_worker_pb2_grpc as rpc
    from jobworker_testing.world import World

_FOLLOWERS = 50
_SIZE = 100 << 20


def test_fifty_followers_who_join_at_different_times_get_the_same(world: World) -> None:
    """Each follower gets every byte of 100 MiB from 0 on, though each joins after another part was written."""
    with world.stub() as first:
        # Each byte on the job's fifo lets it write one more part, so that followers join between the parts.
        gate = world.state_dir / "gate"
        part = _SIZE // _FOLLOWERS
        job_id = shell(
            first,
            f"mkfifo {gate}; echo ready; exec <{gate};"
            f"while read -r _; do head -c {part} /dev/urandom; done; echo over >&2",
        )
        frames = follow(first, job_id)
        assert next(frames).data.data == b"ready\n"
        with gate.open("wb", buffering=0) as opener, ThreadPoolExecutor(_FOLLOWERS) as pool:
            digests = []
            for _ in range(_FOLLOWERS):
                digests.append(pool.submit(_digest_of_follow, world, job_id))
                opener.write(b"\n")
            opener.close()
            followed = {future.result() for future in digests}
        written = (world.state_dir / "logs" / f"{job_id}.stdout").read_bytes()
        assert len(written) == len(b"ready\n") + part * _FOLLOWERS
        assert followed == {hashlib.sha256(written).hexdigest()}


def _digest_of_follow(world: World, job_id: str) -> str:
    digest, ended = hashlib.sha256(), False
    with world.stub() as stub:
        for frame in follow(stub, job_id):
            digest.update(frame.data.data)
            ended = frame.HasField("end")
    assert ended
    return digest.hexdigest()


def test_a_follower_that_never_reads_does_not_slow_the_job(world: World, stub: rpc.JobWorkerServiceStub) -> None:
    """A job ends though a follower took one frame of its 64 MiB and no more."""
    with world.stub() as lazy:
        job_id = shell(stub, "head -c 67108864 /dev/zero")
        frames = follow(lazy, job_id)
        next(frames)
        _, job = output_of(follow(stub, job_id))
        assert job.state == pb.JOB_STATE_SUCCEEDED
        assert job.stdout_bytes == 67108864


def test_a_follow_resumes_at_an_offset(stub: rpc.JobWorkerServiceStub) -> None:
    """A read from the middle gives exactly the rest."""
    job_id = shell(stub, "seq 100000")
    whole, _ = output_of(follow(stub, job_id))
    assert whole == b"".join(b"%d\n" % number for number in range(1, 100001))
    assert output_of(follow(stub, job_id, 12345))[0] == whole[12345:]


def test_an_offset_past_the_end_is_out_of_range(stub: rpc.JobWorkerServiceStub) -> None:
    """Nobody waits in vain at an offset that the stream doesn't have."""
    job_id = shell(stub, "echo hi")
    output_of(follow(stub, job_id))
    with pytest.raises(grpc.RpcError) as refused:
        output_of(follow(stub, job_id, 4))
    assert refused.value.code() == grpc.StatusCode.OUT_OF_RANGE


def test_the_end_frame_carries_the_finished_job(stub: rpc.JobWorkerServiceStub) -> None:
    """Whoever followed to the end knows the outcome without another call."""
    output, job = output_of(follow(stub, shell(stub, "printf abc; exit 7")))
    assert (output, job.state, job.exit_code, job.stdout_bytes) == (b"abc", pb.JOB_STATE_FAILED, 7, 3)


def test_the_cli_resumes_where_its_connection_broke(world: World) -> None:
    """A follow through a proxy that cuts every connection after a few hundred KiB writes each byte once."""
    # Over its first connection the CLI asks for the job, and over others reads.
    limits = [300_000, 300_000, 500_000, 700_000]
    with world.stub() as stub, CuttingProxy(world.daemon.address, limits=limits) as proxy:
        job_id = start(stub, "seq", "1000000")
        written = world.cli(address=proxy.address).run("logs", "stdout", job_id)
        assert written == output_of(follow(stub, job_id))[0]
        assert proxy.cuts == 3
