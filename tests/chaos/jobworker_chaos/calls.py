"""Connections to a daemon that may be gone: calls are made again until one is answered."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, TypeVar, final

import grpc
from google.protobuf.duration_pb2 import Duration
from grpc import aio

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path
    from types import TracebackType
    from typing import Self, TypeAlias

    from jobworker_chaos.plan import JobPlan

    Stub: TypeAlias = rpc.JobWorkerServiceAsyncStub

_T = TypeVar("_T")

_OPTIONS = (
    # A connection of its own, and soon a new one.
    ("grpc.use_local_subchannel_pool", 1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 200),
    # As worker-cli has it for reads: gRPC can lose a call that it repeats out of sight as its connection ends.
    ("grpc.enable_retries", 0),
    # Likewise: a connection that stands still is given up.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
)
_PAGE_SIZE = 70


def is_outage(error: aio.AioRpcError) -> bool:
    """Whether a call failed since the connection or the daemon is gone, which is all that may ever happen to it.

    CANCELLED, which nobody here asks for, is what gRPC makes of a call that had come when its server was told to stop,
    and was not begun.
    """
    return error.code() in {grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED}


@final
class Calls:
    """Some connections as a client with role FULL.

    Attributes:
        stubs: One a connection.
        retries: How many calls were made again.
    """

    def __init__(self, address: str, certs: Path, connections: int = 1) -> None:
        """Prepares so many connections to an address, host:port, with the development certificates."""
        self._address = address
        self._certs = certs
        self._connections = connections
        self._stack = AsyncExitStack()
        self._channels: list[aio.Channel] = []
        self.stubs: list[Stub] = []
        self.retries = 0

    def __repr__(self) -> str:
        states = [channel.get_state().name for channel in self._channels]
        return f"<Calls to {self._address} retries={self.retries} {states}>"

    async def __aenter__(self) -> Self:
        credentials = grpc.ssl_channel_credentials(
            (self._certs / "ca-cert.pem").read_bytes(),
            (self._certs / "client-key.pem").read_bytes(),
            (self._certs / "client-cert.pem").read_bytes(),
        )
        for _ in range(self._connections):
            channel = aio.secure_channel(self._address, credentials, _OPTIONS)
            self._channels.append(await self._stack.enter_async_context(channel))
            self.stubs.append(rpc.JobWorkerServiceStub(channel))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._stack.aclose()

    async def keep_connecting(self) -> None:
        """Has all connections tried again and again, until it is cancelled.

        One of several hundred thousand stayed unconnected with calls that waited for it, with no attempt that the proxy
        saw.
        """
        while True:
            await asyncio.sleep(1)
            for channel in self._channels:
                channel.get_state(try_to_connect=True)

    def stub(self, number: int) -> Stub:
        """Returns one of the connections, the same for the same number."""
        return self.stubs[number % len(self.stubs)]

    async def start(self, plan: JobPlan, runs: Path) -> pb.Job:
        """Starts a job, as often as it takes, always with the same request id.

        Args:
            plan: The job.
            runs: The file that each run of a job adds its number to.
        """
        request = pb.StartJobRequest(command=plan.command(runs), request_id=plan.request_id)
        stub = self.stub(plan.number)
        return (await self._repeat(lambda: stub.StartJob(request, wait_for_ready=True))).job

    async def stop(self, plan: JobPlan, job_id: str) -> pb.Job:
        """Stops a job as its plan says."""
        grace = Duration()
        grace.FromNanoseconds(round((plan.grace_seconds or 0) * 1e9))
        request = pb.StopJobRequest(job_id=job_id, grace_period=grace)
        stub = self.stub(plan.number)
        return (await self._repeat(lambda: stub.StopJob(request, wait_for_ready=True))).job

    async def list(self) -> dict[str, pb.Job]:
        """Returns all jobs by their ids.

        Raises:
            ValueError: If one is on two pages, a fault of the daemon's.
        """
        found: dict[str, pb.Job] = {}
        token = ""
        while True:
            request = pb.ListJobsRequest(page_size=_PAGE_SIZE, page_token=token)
            page = await self.stub(0).ListJobs(request, wait_for_ready=True)
            for job in page.jobs:
                if job.id in found:
                    raise ValueError(f"job {job.id} is on two pages")
                found[job.id] = job
            token = page.next_page_token
            if not token:
                return found

    async def pass_by_the_supervisor(self) -> None:
        """Returns when the supervisor has done all that it was asked for before this call.

        Raises:
            grpc.aio.AioRpcError: If a start that must be refused is refused in another way than it should be.
        """
        try:
            await self.stub(0).StartJob(pb.StartJobRequest(command=["/no/such/program"]), wait_for_ready=True)
        except aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.INVALID_ARGUMENT:
                raise

    async def delete(self, job_id: str) -> None:
        """Deletes a job."""
        await self.stub(0).DeleteJob(pb.DeleteJobRequest(job_id=job_id), wait_for_ready=True)

    async def _repeat(self, call: Callable[[], Awaitable[_T]]) -> _T:
        while True:
            try:
                return await call()
            except aio.AioRpcError as error:
                if not is_outage(error):
                    raise
                self.retries += 1
            await asyncio.sleep(0)
