"""What grpc's library is told to hold connections to; no I/O.

What each of these options does was tried with hostile clients; see tests/daemon/hostile_*_test.py.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobworker.daemon.limits import Limits

# A request that is too large is refused by the daemon itself, which can say more of it; beyond twice that, by grpc.
_GRPC_MESSAGES = 2

_PENDING = 20_000

_NO_LIMIT = 2**31 - 1


def channel_options(limits: Limits, descriptors: int) -> tuple[tuple[str, int], ...]:
    """Returns the options of a server.

    Args:
        limits: The limits that the operator chose.
        descriptors: How many file descriptors the process may have.
    """
    connections = limits.connections
    return (
        # A second daemon on the same port is to fail, not to get every other connection.
        ("grpc.so_reuseport", 0),
        # One that is more is closed at once. The others need descriptors too: jobs' logs, above all.
        ("grpc.max_allowed_incoming_connections", min(connections.connections or _NO_LIMIT, descriptors // 2)),
        # From the first byte to the client's HTTP/2 settings; grpc's own limit is two minutes.
        ("grpc.server_handshake_timeout_ms", _milliseconds(connections.handshake_seconds)),
        # Each call that a client begins costs the event loop's time before it can be refused, so this bounds how long
        # others wait while somebody begins calls and takes them back.
        ("grpc.max_concurrent_streams", connections.calls or _NO_LIMIT),
        # Beyond its own limits, 1,000 and 3,000, grpc picks calls at random and cancels them, good ones too. With these
        # a flood of many connections makes calls wait instead; each that waits costs some 10 KiB.
        ("grpc.server.max_pending_requests", _PENDING),
        ("grpc.server.max_pending_requests_hard_limit", 2 * _PENDING),
        ("grpc.max_connection_idle_ms", _milliseconds(connections.idle_seconds)),
        ("grpc.max_receive_message_length", _GRPC_MESSAGES * limits.calls.message_bytes),
        # A client whose host is gone is noticed, and its followers end, within 40 s.
        ("grpc.keepalive_time_ms", 30_000),
        ("grpc.keepalive_timeout_ms", 10_000),
        # Without which an unanswered ping has a minute, whatever the line above says (grpcio 1.85).
        ("grpc.http2.ping_timeout_ms", 10_000),
        ("grpc.keepalive_permit_without_calls", 1),
        # Clients may ask whether we are still there as often as this; grpc's own limit is every five minutes. Who asks
        # more often, three times, is cut off.
        ("grpc.http2.min_recv_ping_interval_without_data_ms", _milliseconds(connections.ping_seconds)),
        ("grpc.http2.max_ping_strikes", 2),
    )


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
