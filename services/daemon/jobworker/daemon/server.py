"""The gRPC server: what it serves, with which limits, and how it starts and drains. Needs the TLS floor beneath it."""

from __future__ import annotations

import asyncio
import resource
import time
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, cast

from grpc import aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from jobworker.daemon.access_log import AccessLog
from jobworker.daemon.address import Endpoint
from jobworker.daemon.allocator import Heap
from jobworker.daemon.channel_options import channel_options
from jobworker.daemon.errors import BindError
from jobworker.daemon.gate import Gate
from jobworker.daemon.health import HealthService
from jobworker.daemon.limiter import Limiter
from jobworker.daemon.live_calls import LiveCalls
from jobworker.daemon.methods import Methods
from jobworker.daemon.reflection import add_reflection
from jobworker.daemon.server_credentials import credentials
from jobworker.daemon.service import JobWorkerService
from jobworker.v1.job_worker_pb2_grpc import add_JobWorkerServiceServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobworker.daemon.audit import Audit
    from jobworker.daemon.counters import Counters
    from jobworker.daemon.limits import Limits
    from jobworker.daemon.live_identity import LiveIdentity
    from jobworker.daemon.tls import Floor
    from jobworker.worker import Worker

DRAIN_SECONDS = 2.0
"""How long calls under way may take to end once the server stops; a follower that does not read never would."""


@asynccontextmanager
async def serving(  # noqa: PLR0913 - each is a part of what is served
    floor: Floor,
    endpoints: tuple[Endpoint, ...],
    *,
    identity: LiveIdentity,
    worker: Worker,
    counters: Counters,
    limits: Limits,
    isolate_owners: bool,
    audit: Audit,
) -> AsyncIterator[tuple[Endpoint, ...]]:
    """Serves the worker's jobs inside the context, and says where; leaving it drains the server.

    Draining is: accept nothing more, say NOT_SERVING, end the streams, and wait for the calls under way.

    Args:
        floor: The floor under TLS.
        endpoints: Where to listen.
        identity: What the server proves itself with, and who may call what; live.
        worker: Whose jobs to serve.
        counters: What counts the calls.
        limits: What clients may have at most.
        isolate_owners: Whether each client is shown the jobs of its own principal alone.
        audit: What audits them.

    Raises:
        BindError: If the address can't be listened on; something else has it.
        CipherSuitesError: If the floor is gone; a bug of ours.
        PermissionTableError: If the permission table does not fit what is served; a bug of ours.
    """
    health = HealthService(["jobworker.v1.JobWorkerService"])
    floor.require()
    server = aio.server(options=channel_options(limits, resource.getrlimit(resource.RLIMIT_NOFILE)[0]))
    limiter = Limiter(limits.calls, counters, time.monotonic)
    calls = LiveCalls(identity, counters, isolate_owners=isolate_owners)
    with closing(AccessLog()) as access_log, closing(Heap()) as heap:
        methods = _methods(JobWorkerService(worker, limiter, heap, isolate_owners=isolate_owners), health)
        gate = Gate(methods, calls, counters, limiter=limiter, audit=audit, access_log=access_log)
        server.add_generic_rpc_handlers((gate,))
        bound = _bind(server, endpoints, identity)
        await server.start()
        try:
            yield bound
        finally:
            async with asyncio.TaskGroup() as tasks:
                # The first task runs first: nothing new is accepted from then on.
                tasks.create_task(server.stop(DRAIN_SECONDS))
                tasks.create_task(_end_streams(health, worker))


async def _end_streams(health: HealthService, worker: Worker) -> None:
    health.stop()
    worker.stop_reading()


def _methods(service: JobWorkerService, health: HealthService) -> Methods:
    methods = Methods()
    # Generated code knows servers alone; the two methods of one that it calls are there.
    server = cast("aio.Server", methods)
    add_JobWorkerServiceServicer_to_server(service, server)
    add_HealthServicer_to_server(health, server)
    add_reflection(["jobworker.v1.JobWorkerService", "grpc.health.v1.Health"], methods)
    return methods


def _bind(server: aio.Server, endpoints: tuple[Endpoint, ...], identity: LiveIdentity) -> tuple[Endpoint, ...]:
    bound: list[Endpoint] = []
    for endpoint in endpoints:
        # Where port 0 took a free port for the first address, the others take the same.
        wanted = Endpoint(endpoint.host, bound[0].port if bound else endpoint.port)
        try:
            bound.append(Endpoint(wanted.host, server.add_secure_port(str(wanted), credentials(identity))))
        except RuntimeError:
            raise BindError(f"can't listen on {wanted}; stop what listens there, or give another --address") from None
    return tuple(bound)
