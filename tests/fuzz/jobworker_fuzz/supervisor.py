"""What comes to a supervisor through its socket, and what it finds in its records."""

from __future__ import annotations

import json
import select
import socket
from contextlib import suppress

from jobworker.supervisor.connection import Connection
from jobworker.supervisor.protocol import Event, Request, decode_event, decode_request, encode
from jobworker.supervisor.records import Begun, Record, _parse
from jobworker_fuzz.target import Target

_ID = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"


def _messages(data: bytes) -> None:
    for decode in (decode_request, decode_event):
        with suppress(ValueError):
            message: Request | Event = decode(data)
            line = encode(message)
            assert line.count(b"\n") == 1
            assert encode(decode(line)) == line


def _lines(data: bytes) -> None:
    """However the bytes are cut on their way, the same requests come out, up to the first line that is none."""
    size, stream = data[0] % 64 + 1 if data else 1, data[1 : 1 << 12]
    expected: list[bytes] = []
    with suppress(ValueError):
        for line in stream.split(b"\n")[:-1]:
            expected.append(encode(decode_request(line)))  # noqa: PERF401 - it ends at the first that is none
    assert _received(stream, size) == expected


def _received(stream: bytes, size: int) -> list[bytes]:
    worker, supervisor = socket.socketpair()
    connection = Connection(supervisor, select.poll())
    received: list[bytes] = []
    try:
        for start in range(0, len(stream), size):
            worker.sendall(stream[start : start + size])
            received.extend(map(encode, connection.receive()))
        worker.close()
        with suppress(ConnectionResetError):
            assert not list(connection.receive())
    except ValueError:
        pass
    finally:
        worker.close()
        connection.close()
    return received


def _records(data: bytes) -> None:
    record = _parse(_ID, data)
    assert record.begun or not (record.started or record.exited)
    assert _parse(_ID, _written(record)) == record


def _written(record: Record) -> bytes:
    begun: Begun | None = record.begun
    events = [encode(event) for event in (record.started, record.exited) if event]
    return b"".join([json.dumps(begun).encode() + b"\n", *events]) if begun else b""


TARGETS = (
    Target("supervisor_messages", _messages),
    Target("supervisor_lines", _lines),
    Target("supervisor_records", _records),
)
"""The targets of the supervisor."""
