"""What the server shows and asks for in each handshake: always that of the snapshot in force."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import grpc

if TYPE_CHECKING:
    from collections.abc import Callable

    from jobworker.daemon.live_identity import LiveIdentity
    from jobworker.daemon.snapshot import Snapshot


def credentials(identity: LiveIdentity) -> grpc.ServerCredentials:
    """Returns the credentials of one port; each port needs its own, since each is told of a change once.

    Connections that are there stay as they are: the gate asks at each call what the snapshot in force says of them.

    Args:
        identity: What the server proves itself with.
    """
    first = identity.snapshot
    known = first.generation

    def fetch() -> grpc.ServerCertificateConfiguration | None:
        """Returns what is new; called by grpc, in a thread of its own, before each handshake."""
        nonlocal known
        snapshot = identity.snapshot
        if snapshot.generation == known:
            return None
        known = snapshot.generation
        return _configuration(snapshot)

    # None says that nothing is new, which grpc's types don't know.
    fetcher = cast("Callable[[], grpc.ServerCertificateConfiguration]", fetch)
    return grpc.dynamic_ssl_server_credentials(_configuration(first), fetcher, require_client_authentication=True)


def _configuration(snapshot: Snapshot) -> grpc.ServerCertificateConfiguration:
    server = snapshot.server
    return grpc.ssl_server_certificate_configuration([(server.key, server.certificate)], root_certificates=server.ca)
