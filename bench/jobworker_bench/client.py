"""A client of the daemon, as small as one can be."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

import grpc

import jobworker_testing as testing
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_AT_ONCE = 8
_WRITE_BYTES = 64 << 10


def writer(size: int) -> list[str]:
    """Returns the command that writes so many bytes, a multiple of 64 KiB, in writes of 64 KiB."""
    return ["dd", "if=/dev/zero", f"bs={_WRITE_BYTES}", f"count={size // _WRITE_BYTES}", "status=none"]


@dataclass(frozen=True, slots=True)
class Client:
    """One connection with role FULL.

    Attributes:
        stub: The service.
    """

    stub: rpc.JobWorkerServiceStub

    def start(self, command: Sequence[str]) -> str:
        """Starts a job and returns its id."""
        return self.stub.StartJob(pb.StartJobRequest(command=command)).job.id

    def follow(self, job_id: str) -> Iterator[bytes]:
        """Yields a job's stdout from byte 0 until it ends.

        Raises:
            RuntimeError: If the stream does not end with an end frame.
        """
        request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True)
        for response in self.stub.ReadLogs(request):
            if response.HasField("end"):
                return
            yield response.data.data
        raise RuntimeError(f"the log of {job_id} ended without an end frame")

    def finish(self, job_id: str) -> None:
        """Waits until a job has ended."""
        for _ in self.follow(job_id):
            pass

    def wait(self, job_id: str) -> None:
        """Waits until a job that writes nothing to stderr has ended, without following its stdout.

        Raises:
            RuntimeError: If it wrote something, or the stream does not end with an end frame.
        """
        request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDERR, follow=True)
        if [response.WhichOneof("frame") for response in self.stub.ReadLogs(request)] != ["end"]:
            raise RuntimeError(f"{job_id} wrote to its stderr, or the log ended without an end frame")

    def start_many(self, command: Sequence[str], count: int) -> list[str]:
        """Starts jobs, eight at once, and returns their ids."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            return list(pool.map(self.start, [command] * count))

    def stop_many(self, job_ids: Sequence[str]) -> None:
        """Stops jobs, eight at once."""
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            list(pool.map(self.stop, job_ids))

    def delete(self, job_id: str) -> None:
        """Deletes a job that has ended, and its output."""
        self.stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id))

    def stop(self, job_id: str) -> None:
        """Stops a job."""
        self.stub.StopJob(pb.StopJobRequest(job_id=job_id))

    def newest(self, count: int) -> list[pb.Job]:
        """Returns the newest jobs, or all if there are fewer."""
        token = ""
        jobs: list[pb.Job] = []
        while len(jobs) < count:
            page = self.stub.ListJobs(pb.ListJobsRequest(page_size=min(1000, count - len(jobs)), page_token=token))
            jobs += page.jobs
            token = page.next_page_token
            if not token:
                break
        return jobs


@contextmanager
def connect(address: str, certs: Path) -> Iterator[Client]:
    """Connects to a daemon with the development certificate `client`."""
    with testing.connect(address, certs) as channel:
        grpc.channel_ready_future(channel).result()
        yield Client(rpc.JobWorkerServiceStub(channel))
