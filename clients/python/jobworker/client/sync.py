"""The client's synchronous face; it imports no asyncio, which takes longer than all the rest."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, final

import grpc

from jobworker.client import connection
from jobworker.client.address import target
from jobworker.client.errors import translated
from jobworker.client.requests import start_request, stop_request
from jobworker.client.settings import PATIENCE, read_certificates
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

if TYPE_CHECKING:
    import os
    from collections.abc import Generator, Iterator, Sequence
    from types import TracebackType
    from typing import Self

    from jobworker.client.frames import Frame, Interruption, Stream
    from jobworker.client.reading import Clock
    from jobworker.client.settings import Certificates


class Page(NamedTuple):
    """A part of the list of jobs.

    Attributes:
        jobs: the jobs, newest first.
        next_page_token: what to ask for the next page with; empty if this is the last one.
    """

    jobs: Sequence[pb.Job]
    next_page_token: str


@final
class Client:
    """A connection to a daemon, which connects with its first call, and again whenever it was lost.

    It may be used from many threads at once. Every method that calls raises CallError if the call failed.

    Attributes:
        channel: the gRPC channel, for stubs of other services, such as gRPC's health.
    """

    def __init__(self, address: str, certificates: Certificates, *, patience: float = PATIENCE) -> None:
        """Prepares a connection; `connect` is the usual way.

        Args:
            address: the daemon's host:port, such as localhost:8080 or [::1]:8080.
            certificates: what to connect with.
            patience: for how many seconds `follow` bears to be without progress.

        Raises:
            SettingsError: the address is none; the caller's fault.
        """
        self._target, self._patience = target(address), patience
        self._credentials = grpc.ssl_channel_credentials(certificates.ca, certificates.key, certificates.cert)
        self._open = contextlib.ExitStack()
        self._closed = False
        self.channel = self._channel(connection.options())
        self._service = JobWorkerServiceStub(self.channel)
        self._once: JobWorkerServiceStub | None = None

    @classmethod
    def connect(
        cls,
        address: str,
        *,
        ca: str | os.PathLike[str],
        cert: str | os.PathLike[str],
        key: str | os.PathLike[str],
        patience: float = PATIENCE,
    ) -> Self:
        """Returns a client.

        Args:
            address: the daemon's host:port, such as localhost:8080 or [::1]:8080.
            ca: the PEM file with the certificate of the daemon's authority.
            cert: the PEM file with the client's certificate. Without one, and so empty, every daemon refuses.
            key: the PEM file with its key.
            patience: for how many seconds `follow` bears to be without progress.

        Raises:
            SettingsError: the address is none, or a file is missing, unreadable or not PEM; the caller's fault.
        """
        return cls(address, read_certificates(ca, cert, key), patience=patience)

    def __repr__(self) -> str:
        """Names the address."""
        return f"<Client {self._target}>"

    def __enter__(self) -> Self:
        """Returns itself."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connection."""
        self.close()

    def close(self) -> None:
        """Ends the connection and all its calls; no job is harmed."""
        self._closed = True
        self._open.close()

    def start(self, command: Sequence[str], *, request_id: str | None = None, timeout: float | None = None) -> pb.Job:
        """Starts a command as a new job, and returns it once its first process runs.

        Args:
            command: the program and its arguments; no shell takes part.
            request_id: a UUID: who keeps it can ask again, even after a crash, and gets the job that the first request
                started. None makes one for this call, which is then repeated by itself. With an empty one every
                request starts a job, and it is made once.
            timeout: for how many seconds to wait.

        Raises:
            CallError: the call failed.
        """
        request = start_request(command, request_id)
        service = self._service if request.request_id else self._service_once()
        with translated():
            return service.StartJob(request, timeout=timeout).job

    def stop(self, job_id: str, *, grace: float = 0, timeout: float | None = None) -> pb.Job:
        """Ends all processes of a job, and returns it once they are gone; one that has ended already as it is.

        Args:
            job_id: which job.
            grace: how many seconds it gets to end by itself after SIGTERM, before it is killed.
            timeout: for how many seconds to wait.

        Raises:
            CallError: the call failed.
        """
        with translated():
            return self._service.StopJob(stop_request(job_id, grace), timeout=timeout).job

    def get(self, job_id: str, *, timeout: float | None = None) -> pb.Job:
        """Returns a job as it is now.

        Raises:
            CallError: the call failed.
        """
        with translated():
            return self._service.GetJob(pb.GetJobRequest(job_id=job_id), timeout=timeout).job

    def delete(self, job_id: str, *, timeout: float | None = None) -> pb.Job:
        """Deletes a job that has ended, and its output, and returns it as it was.

        It is not repeated by itself: after a request that got through, the next one finds no such job.

        Raises:
            CallError: the call failed.
        """
        with translated():
            return self._service.DeleteJob(pb.DeleteJobRequest(job_id=job_id), timeout=timeout).job

    def page(self, page_size: int = 0, page_token: str = "", *, timeout: float | None = None) -> Page:
        """Returns a part of the list of jobs, newest first.

        Args:
            page_size: the most jobs that it may have; 0 leaves it to the daemon.
            page_token: the `next_page_token` of the page before; empty for the first one.
            timeout: for how many seconds to wait.

        Raises:
            CallError: the call failed.
        """
        request = pb.ListJobsRequest(page_size=page_size, page_token=page_token)
        with translated():
            answer = self._service.ListJobs(request, timeout=timeout)
        return Page(answer.jobs, answer.next_page_token)

    def jobs(self, page_size: int = 0) -> Iterator[pb.Job]:
        """Yields all jobs, newest first, and asks for them page by page.

        Raises:
            CallError: a call failed.
        """
        page = self.page(page_size)
        yield from page.jobs
        while page.next_page_token:
            page = self.page(page_size, page.next_page_token)
            yield from page.jobs

    def read(  # noqa: PLR0913 - what a read can be told
        self,
        job_id: str,
        stream: Stream,
        offset: int = 0,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        limit: int = 0,
        timeout: float | None = None,
    ) -> Generator[Frame, None, None]:
        """Yields an output stream of a job with one call, which may break; `follow` goes on by itself.

        To leave the loop ends the call. The last frame is an End.

        Args:
            job_id: which job.
            stream: STDOUT or STDERR.
            offset: the first byte wanted.
            follow: whether to wait for more output until the stream is final.
            tail_lines: how many lines before the end to begin, in place of at the offset.
            limit: the most bytes to read; 0 for all.
            timeout: for how many seconds to read.

        Raises:
            CallError: the call failed, or broke.
        """
        from jobworker.client import reading  # noqa: PLC0415 - only who reads output needs it

        request = pb.ReadLogsRequest(
            job_id=job_id, stream=stream, offset=offset, follow=follow, tail_lines=tail_lines, limit=limit
        )
        return reading.frames(self._service_once(), request, timeout)

    def follow(  # noqa: PLR0913 - what a follow can be told
        self,
        job_id: str,
        stream: Stream,
        offset: int = 0,
        *,
        tail_lines: int | None = None,
        until_final: bool = True,
        clock: Clock | None = None,
    ) -> Generator[Frame | Interruption, None, None]:
        """Yields an output stream of a job until it is final, over as many calls as it takes.

        If the connection breaks, or the daemon is started anew, it says so with an Interruption, waits, and reads on at
        its offset. To leave the loop ends it. The last frame is an End.

        Args:
            job_id: which job.
            stream: STDOUT or STDERR.
            offset: the first byte wanted.
            tail_lines: how many lines before the end to begin, in place of at the offset.
            until_final: whether to wait for more output, rather than to end where the stream ends now.
            clock: what the pauses go by; by default the system's.

        Raises:
            JobDeletedError: the job was deleted meanwhile.
            GaveUpError: there was no progress for as long as this client is patient.
            CallError: the daemon said no, or was not reached in the first place.
        """
        from jobworker.client import reading  # noqa: PLC0415 - only who reads output needs it

        # The beginning of an id may fit another job by the time a broken read is resumed; the whole id never does. And
        # from here on it is known that the daemon can be reached and has the job: what fails later has another cause.
        job = self.get(job_id)
        resuming = reading.begin(job.id, stream, offset, tail_lines, self._patience, follow=until_final)
        yield from reading.resumed(self._service_once(), resuming, clock, lambda: self._closed)

    def _service_once(self) -> JobWorkerServiceStub:
        if self._once is None:
            self._once = JobWorkerServiceStub(self._channel(connection.once_options()))
        return self._once

    def _channel(self, options: list[tuple[str, object]]) -> grpc.Channel:
        return self._open.enter_context(grpc.secure_channel(self._target, self._credentials, options))
