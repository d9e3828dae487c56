"""grpc.health.v1.Health: SERVING until the daemon begins to stop, NOT_SERVING from then on."""

# ruff: noqa: N802, ARG002 - the methods' names and parameters are the proto's

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, final

from grpc_health.v1 import health_pb2 as pb

from jobworker.daemon.errors import ServerStoppingError, UnknownServiceError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterable


@final
class HealthService:
    """Tells how the daemon is; every service has the daemon's own health.

    grpc_health's own servicer never ends a watch, so each would hold up the daemon's end.
    """

    def __init__(self, services: Iterable[str]) -> None:
        """Prepares the service.

        Args:
            services: The full names of the services that can be asked about, beside "", the daemon as a whole.
        """
        self._services = frozenset({"", *services})
        self._stopping = asyncio.Event()

    def __repr__(self) -> str:
        return f"<HealthService {'stopping' if self._stopping.is_set() else 'serving'}>"

    def stop(self) -> None:
        """Says NOT_SERVING from now on, to watchers too, and ends their streams."""
        self._stopping.set()

    async def Check(self, request: pb.HealthCheckRequest, context: object) -> pb.HealthCheckResponse:
        """Answers how a service is."""
        if request.service not in self._services:
            raise UnknownServiceError
        return pb.HealthCheckResponse(status=self._status)

    async def List(self, request: pb.HealthListRequest, context: object) -> pb.HealthListResponse:
        """Answers how all services are."""
        response = pb.HealthCheckResponse(status=self._status)
        return pb.HealthListResponse(statuses=dict.fromkeys(self._services, response))

    async def Watch(
        self, request: pb.HealthCheckRequest, context: object
    ) -> AsyncGenerator[pb.HealthCheckResponse, None]:
        """Tells how a service is, now and whenever that changes."""
        known = request.service in self._services
        yield pb.HealthCheckResponse(status=self._status if known else pb.HealthCheckResponse.SERVICE_UNKNOWN)
        if not self._stopping.is_set():
            await self._stopping.wait()
            if known:
                yield pb.HealthCheckResponse(status=self._status)
        raise ServerStoppingError

    @property
    def _status(self) -> pb.HealthCheckResponse.ServingStatus.ValueType:
        if self._stopping.is_set():
            return pb.HealthCheckResponse.NOT_SERVING
        return pb.HealthCheckResponse.SERVING
