"""What a follower costs the daemon: a thousand of them on one job, and on 200 jobs."""

from __future__ import annotations

import asyncio
import os
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from grpc import aio

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_bench.figures import Below, Figure
from jobworker_bench.units import Unit
from jobworker_testing import credentials, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceAsyncStub
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import Daemon, World

FOLLOWERS = 1000
_CONNECTIONS = 4
_OUTPUT_BYTES = 1 << 20


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures the daemon's memory for each of many followers that wait, on one job and on 200."""
    del sizes
    for jobs in (1, 200):
        with world.daemon() as daemon:
            before, waiting, _ = asyncio.run(resident(daemon, world.folder("pipes"), jobs))
        name = f"RSS daemon for each of {FOLLOWERS:,} followers on {jobs} job{'s' * (jobs > 1)}"
        value = (waiting - before) / FOLLOWERS
        yield Figure(f"memory_follower_{jobs}", "followers", name, Unit.BYTES, (value,), target=Below(300 << 10))


async def resident(daemon: Daemon, scratch: Path, jobs: int) -> tuple[int, int, int]:
    """Returns the daemon's memory before there are followers, while they wait, and after each has got an output.

    Args:
        daemon: The daemon.
        scratch: An empty folder, for pipes.
        jobs: How many jobs the followers share.

    Raises:
        RuntimeError: If a follower did not get every byte.
    """
    access = credentials(daemon.certs)
    async with AsyncExitStack() as stack:
        stubs = [
            rpc.JobWorkerServiceStub(await stack.enter_async_context(aio.secure_channel(daemon.address, access)))
            for _ in range(_CONNECTIONS)
        ]
        pipes = [_Pipe(scratch / str(number)) for number in range(jobs)]
        ids = [(await stubs[0].StartJob(pb.StartJobRequest(command=["cat", pipe.path]))).job.id for pipe in pipes]
        before = resident_bytes(daemon.pid)
        # The first byte shows that a follower follows.
        for pipe in pipes:
            pipe.write(1)
        reads = [_Follower(stubs[number % _CONNECTIONS], ids[number % jobs]) for number in range(FOLLOWERS)]
        await asyncio.gather(*(read.begin() for read in reads))
        waiting = resident_bytes(daemon.pid)
        finished = asyncio.gather(*(read.finish() for read in reads))
        await asyncio.gather(*(asyncio.to_thread(pipe.finish, _OUTPUT_BYTES // jobs - 1) for pipe in pipes))
        received = await finished
        after = resident_bytes(daemon.pid)
    if set(received) != {_OUTPUT_BYTES // jobs}:
        raise RuntimeError(f"not every follower got all: {sorted(set(received))}")
    return before, waiting, after


class _Pipe:
    """A named pipe that a job copies to its stdout."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.path = str(path)
        # For both directions, so that it doesn't wait for the job to open it.
        self._descriptor = os.open(path, os.O_RDWR)

    def write(self, count: int) -> None:
        """Writes bytes."""
        while count:
            count -= os.write(self._descriptor, b"x" * count)

    def finish(self, count: int) -> None:
        """Writes bytes and then closes the pipe, so that the job ends."""
        self.write(count)
        os.close(self._descriptor)


class _Follower:
    """One follow of one job's stdout."""

    def __init__(self, stub: JobWorkerServiceAsyncStub, job_id: str) -> None:
        self._call = stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True))
        self._frames = aiter(self._call)
        self._received = 0

    async def begin(self) -> None:
        """Returns once the first byte has come."""
        self._received = len((await anext(self._frames)).data.data)

    async def finish(self) -> int:
        """Reads to the end and returns how many bytes came in all."""
        return self._received + sum([len(frame.data.data) async for frame in self._frames])
