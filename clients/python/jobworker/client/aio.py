"""The client's face for asyncio."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, final

import grpc
import grpc.aio

from jobworker.client import aio_reading, connection
from jobworker.client.address import target
from jobworker.client.errors import translated
from jobworker.client.reading import begin
from jobworker.client.requests import start_request, stop_request
from jobworker.client.settings import PATIENCE, read_certificates
from jobworker.client.sync import Page
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceStub

if TYPE_CHECKING:
    import os
    from collections.abc import AsyncGenerator, Sequence
    from types import TracebackType
    from typing import Self

    from jobworker.client.frames import Frame, Interruption, Stream
    from jobworker.client.settings import Certificates
    from jobworker.v1.job_worker_pb2_grpc import JobWorkerServiceAsyncStub


@final
class AsyncClient:
    """A connection to a daemon, which connects with its first call, and again whenever it was lost.

    It is made, used and closed in one event loop. Every method that calls raises CallError if the call failed.

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
        self._channels: list[grpc.aio.Channel] = []
        self._closed = False
        self.channel = self._channel(connection.options())
        self._service = _stub(self.channel)
        self._once: JobWorkerServiceAsyncStub | None = None

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
        return f"<AsyncClient {self._target}>"

    async def __aenter__(self) -> Self:
        """Returns itself."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Closes the connection."""
        await self.close()

    async def close(self) -> None:
        """Ends the connection and all its calls; no job is harmed."""
        self._closed = True
        for channel in self._channels:
            await channel.close()

    async def start(
        self,
        command: Sequence[str],
        *,
        request_id: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - gRPC's, which the daemon is told of
    ) -> pb.Job:
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
            return (await service.StartJob(request, timeout=timeout)).job

    async def stop(self, job_id: str, *, grace: float = 0, timeout: float | None = None) -> pb.Job:  # noqa: ASYNC109 - as above
        """Ends all processes of a job, and returns it once they are gone; one that has ended already as it is.

        Args:
            job_id: which job.
            grace: how many seconds it gets to end by itself after SIGTERM, before it is killed.
            timeout: for how many seconds to wait.

        Raises:
            CallError: the call failed.
        """
        with translated():
            return (await self._service.StopJob(stop_request(job_id, grace), timeout=timeout)).job

    async def get(self, job_id: str, *, timeout: float | None = None) -> pb.Job:  # noqa: ASYNC109 - as above
        """Returns a job as it is now.

        Raises:
            CallError: the call failed.
        """
        with translated():
            return (await self._service.GetJob(pb.GetJobRequest(job_id=job_id), timeout=timeout)).job

    async def delete(self, job_id: str, *, timeout: float | None = None) -> pb.Job:  # noqa: ASYNC109 - as above
        """Deletes a job that has ended, and its output, and returns it as it was.

        It is not repeated by itself: after a request that got through, the next one finds no such job.

        Raises:
            CallError: the call failed.
        """
        with translated():
            return (await self._service.DeleteJob(pb.DeleteJobRequest(job_id=job_id), timeout=timeout)).job

    async def page(self, page_size: int = 0, page_token: str = "", *, timeout: float | None = None) -> Page:  # noqa: ASYNC109 - as above
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
            answer = await self._service.ListJobs(request, timeout=timeout)
        return Page(answer.jobs, answer.next_page_token)

    async def jobs(self, page_size: int = 0) -> AsyncGenerator[pb.Job, None]:
        """Yields all jobs, newest first, and asks for them page by page.

        Raises:
            CallError: a call failed.
        """
        token = ""
        while True:
            page = await self.page(page_size, token)
            for job in page.jobs:
                yield job
            token = page.next_page_token
            if not token:
                return

    async def read(  # noqa: PLR0913 - what a read can be told
        self,
        job_id: str,
        stream: Stream,
        offset: int = 0,
        *,
        follow: bool = False,
        tail_lines: int | None = None,
        limit: int = 0,
        timeout: float | None = None,  # noqa: ASYNC109 - as above
    ) -> AsyncGenerator[Frame, None]:
        """Yields an output stream of a job with one call, which may break; `follow` goes on by itself.

        Who leaves the loop early ends the call by closing the generator (contextlib.aclosing). The last frame is an
        End.

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
        request = pb.ReadLogsRequest(
            job_id=job_id, stream=stream, offset=offset, follow=follow, tail_lines=tail_lines, limit=limit
        )
        async with contextlib.aclosing(aio_reading.frames(self._service_once(), request, timeout)) as frames:
            async for frame in frames:
                yield frame

    async def follow(
        self, job_id: str, stream: Stream, offset: int = 0, *, tail_lines: int | None = None, until_final: bool = True
    ) -> AsyncGenerator[Frame | Interruption, None]:
        """Yields an output stream of a job until it is final, over as many calls as it takes.

        If the connection breaks, or the daemon is started anew, it says so with an Interruption, waits, and reads on at
        its offset. Who leaves the loop early ends it by closing the generator (contextlib.aclosing). The last frame is
        an End.

        Args:
            job_id: which job.
            stream: STDOUT or STDERR.
            offset: the first byte wanted.
            tail_lines: how many lines before the end to begin, in place of at the offset.
            until_final: whether to wait for more output, rather than to end where the stream ends now.

        Raises:
            JobDeletedError: the job was deleted meanwhile.
            GaveUpError: there was no progress for as long as this client is patient.
            CallError: the daemon said no, or was not reached in the first place.
        """
        # The beginning of an id may fit another job by the time a broken read is resumed; the whole id never does.
        job = await self.get(job_id)
        resuming = begin(job.id, stream, offset, tail_lines, self._patience, follow=until_final)
        async with contextlib.aclosing(
            aio_reading.resumed(self._service_once(), resuming, lambda: self._closed)
        ) as frames:
            async for frame in frames:
                yield frame

    def _service_once(self) -> JobWorkerServiceAsyncStub:
        if self._once is None:
            self._once = _stub(self._channel(connection.once_options()))
        return self._once

    def _channel(self, options: list[tuple[str, object]]) -> grpc.aio.Channel:
        channel = grpc.aio.secure_channel(self._target, self._credentials, options)
        self._channels.append(channel)
        return channel


def _stub(channel: grpc.aio.Channel) -> JobWorkerServiceAsyncStub:
    return JobWorkerServiceStub(channel)
