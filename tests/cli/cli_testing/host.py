"""A real gRPC server on the loopback, with mutual TLS, that can go away and come back."""

from __future__ import annotations

from concurrent import futures
from typing import TYPE_CHECKING, final

import grpc

from jobworker.v1 import job_worker_pb2_grpc as rpc

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from devcerts import Authority, Identity

_THREADS = 4


@final
class Host:
    """Serves a service from entering the context to leaving it.

    Attributes:
        address: where, as the CLI's --address takes it.
    """

    def __init__(self, service: rpc.JobWorkerServiceServicer, identity: Identity, authority: Authority) -> None:
        """Prepares a server.

        Args:
            service: what to serve.
            identity: the server's certificate and key.
            authority: whose clients are let in.
        """
        self._service = service
        self._credentials = grpc.ssl_server_credentials(
            [(identity.key_pem, identity.cert_pem)], authority.cert_pem, require_client_auth=True
        )
        self._threads = futures.ThreadPoolExecutor(_THREADS)
        self.address = "127.0.0.1:0"

    def __repr__(self) -> str:
        """Names the address."""
        return f"<Host {self.address}>"

    def __enter__(self) -> Self:
        """Starts to serve."""
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Breaks all connections and ends all threads."""
        self.stop()
        self._threads.shutdown()

    def start(self) -> None:
        """Serves, after a stop at the same address again."""
        self._server = grpc.server(self._threads)
        rpc.add_JobWorkerServiceServicer_to_server(self._service, self._server)
        port = self._server.add_secure_port(self.address, self._credentials)
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def stop(self) -> None:
        """Breaks all connections and no longer listens."""
        self._server.stop(grace=0).wait()
