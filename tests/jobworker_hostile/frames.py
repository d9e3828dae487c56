"""HTTP/2 frames by hand (RFC 9113), and headers without compression (RFC 7541, section 6.2.2); no I/O."""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

DATA, HEADERS, RST_STREAM, SETTINGS, PING, GOAWAY, CONTINUATION = 0, 1, 3, 4, 6, 7, 9
END_STREAM, END_HEADERS, ACK = 1, 4, 1

CANCEL = struct.pack(">I", 8)
"""The body of a RST_STREAM by which a client takes its call back."""

_HEADER_BYTES = 9
_LONGEST_SHORT = 127
_SEVEN_BITS = 0x7F


class Frame(NamedTuple):
    """One frame."""

    kind: int
    flags: int
    stream: int
    body: bytes

    @property
    def error(self) -> int:
        """The error code of a GOAWAY or RST_STREAM."""
        return int.from_bytes(self.body[4:8] if self.kind == GOAWAY else self.body[:4])

    @property
    def ends_stream(self) -> bool:
        """Whether it is the last one of its stream."""
        return self.kind == RST_STREAM or (self.kind in {DATA, HEADERS} and bool(self.flags & END_STREAM))


def frame(kind: int, body: bytes = b"", *, flags: int = 0, stream: int = 0) -> bytes:
    """Returns a frame as it goes over the wire."""
    return len(body).to_bytes(3) + bytes((kind, flags)) + stream.to_bytes(4) + body


def setting(identifier: int, value: int) -> bytes:
    """Returns a SETTINGS frame with one setting."""
    return frame(SETTINGS, struct.pack(">HI", identifier, value))


def parsed(received: bytearray) -> Iterator[Frame]:
    """Yields the frames that are complete, and takes them away from what was received."""
    while len(received) >= _HEADER_BYTES:
        length = int.from_bytes(received[:3])
        if len(received) < _HEADER_BYTES + length:
            return
        body = bytes(received[_HEADER_BYTES : _HEADER_BYTES + length])
        yield Frame(received[3], received[4], int.from_bytes(received[5:9]) & 0x7FFFFFFF, body)
        del received[: _HEADER_BYTES + length]


def header(name: str, value: str) -> bytes:
    """Returns one header as a literal that is never indexed."""
    return b"\x10" + _string(name) + _string(value)


def call_headers(method: str, **others: str) -> bytes:
    """Returns the headers of a gRPC call, with others after them, _ for -."""
    usual = {
        ":method": "POST",
        ":scheme": "https",
        ":path": f"/{method}",
        ":authority": "localhost",
        "te": "trailers",
        "content-type": "application/grpc",
    }
    others = {name.replace("_", "-"): value for name, value in others.items()}
    return b"".join(header(*each) for each in (usual | others).items())


def message(body: bytes) -> bytes:
    """Returns a gRPC message, not compressed."""
    return b"\0" + len(body).to_bytes(4) + body


def call(stream: int, headers: bytes, body: bytes = b"") -> bytes:
    """Returns a whole unary call."""
    return frame(HEADERS, headers, flags=END_HEADERS, stream=stream) + frame(
        DATA, message(body), flags=END_STREAM, stream=stream
    )


def _string(text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) < _LONGEST_SHORT:
        return bytes((len(encoded),)) + encoded
    rest, length = len(encoded) - _LONGEST_SHORT, bytearray((_LONGEST_SHORT,))
    while rest > _SEVEN_BITS:
        length.append(rest & _SEVEN_BITS | _SEVEN_BITS + 1)
        rest >>= 7
    length.append(rest)
    return bytes(length) + encoded
