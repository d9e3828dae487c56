"""Followers that wait for more, each a client with a connection of its own."""

from __future__ import annotations

import os
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_testing import connect

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from typing import Self


@final
class Pipe:
    """A named pipe that a job copies to its stdout: a context manager, and who leaves it lets the job end.

    Attributes:
        command: What the job is to run.
    """

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.command = ["cat", str(path)]
        # For both directions, so that it doesn't wait for the job to open it.
        self._descriptor = os.open(path, os.O_RDWR)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)

    def write(self, count: int) -> None:
        """Writes bytes."""
        while count:
            count -= os.write(self._descriptor, b"x" * count)


@dataclass(frozen=True, slots=True)
class Followers:
    """Followers of which each has got the first byte.

    Attributes:
        calls: What each still gets.
    """

    calls: Sequence[Iterator[pb.ReadLogsResponse]]

    def read(self, size: int) -> list[int]:
        """Reads at least so many bytes of each, and returns how many that were.

        Args:
            size: How many.
        """
        return [_read(call, size) for call in self.calls]


def _read(call: Iterator[pb.ReadLogsResponse], size: int) -> int:
    count = 0
    for frame in call:
        count += len(frame.data.data)
        if count >= size:
            break
    return count


@contextmanager
def following(address: str, certs: Path, jobs: Sequence[str], count: int) -> Iterator[Followers]:
    """Connects followers, and gives them once each has got the first byte.

    Args:
        address: The daemon's.
        certs: Folder of the development certificates.
        jobs: The ids of jobs that have written one byte each; the followers take turns.
        count: How many followers.
    """
    with ExitStack() as stack:
        calls = []
        for number in range(count):
            stub: rpc.JobWorkerServiceStub = rpc.JobWorkerServiceStub(stack.enter_context(connect(address, certs)))
            request = pb.ReadLogsRequest(job_id=jobs[number % len(jobs)], stream=pb.LOG_STREAM_STDOUT, follow=True)
            call = stub.ReadLogs(request)
            # Also where they are not read to the end.
            stack.callback(call.cancel)
            calls.append(call)
        for call in calls:
            next(call)
        yield Followers(calls)
