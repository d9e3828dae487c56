"""A client of the daemon, as small as one can be."""

from __future__ import annotations

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

    def stop(self, job_id: str) -> None:
        """Stops a job."""
        self.stub.StopJob(pb.StopJobRequest(job_id=job_id))

    def jobs(self) -> list[pb.Job]:
        """Returns all jobs."""
        token = ""
        jobs: list[pb.Job] = []
        while True:
            page = self.stub.ListJobs(pb.ListJobsRequest(page_size=1000, page_token=token))
            jobs += page.jobs
            token = page.next_page_token
            if not token:
                return jobs


@contextmanager
def connect(address: str, certs: Path) -> Iterator[Client]:
    """Connects to a daemon with the development certificate `client`."""
    with testing.connect(address, certs) as channel:
        grpc.channel_ready_future(channel).result()
        yield Client(rpc.JobWorkerServiceStub(channel))
