"""How much a supervisor takes in before a request is whole: the longest that there can be, and no more."""

from __future__ import annotations

import select
import socket
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.connection import Connection
from jobworker.supervisor.protocol import MOST_ARGUMENT_BYTES, MOST_LINE_BYTES, Start, encode
from jobworker.worker import JobState, Worker
from jobworker.worker.arguments import argument_bytes
from restart_support import WorkerProcess

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker.supervisor.protocol import Request

_PIECE = b"x" * (1 << 16)


@pytest.fixture
def ends() -> Iterator[tuple[Connection, socket.socket]]:
    """A supervisor's connection, and the worker's end of it."""
    ours, theirs = socket.socketpair()
    with ours:
        connection = Connection(theirs, select.poll())
        yield connection, ours
        connection.close()


def _passed_on(connection: Connection, worker: socket.socket, data: bytes) -> list[Request]:
    """Sends what a worker might, as a socket takes it, and returns the requests that came of it."""
    came: list[Request] = []
    rest = memoryview(data)
    while rest:
        rest = rest[worker.send(rest[: len(_PIECE)]) :]
        came += connection.receive()
    return came


# Control characters and lone bytes become six each, empty words three for their zero byte.
@pytest.mark.parametrize("word", ["\1" * 131_071, "\udcff" * 131_071, "\U0010ffff" * 32_767, ""])
def test_the_longest_request_arrives(ends: tuple[Connection, socket.socket], word: str) -> None:
    """A command as long as any kernel takes, of whatever JSON makes longest, with paths as long as they can be."""
    words = [word] * (MOST_ARGUMENT_BYTES // argument_bytes([word]))
    assert MOST_ARGUMENT_BYTES - argument_bytes([word]) < argument_bytes(words) <= MOST_ARGUMENT_BYTES
    request = Start("\1" * 36, words, "\1" * 4096, "\1" * 4096)
    line = encode(request)
    assert len(line) <= MOST_LINE_BYTES
    assert _passed_on(*ends, line) == [request]


def test_a_line_that_does_not_end_is_no_request(ends: tuple[Connection, socket.socket]) -> None:
    """Beyond the longest request nothing is taken in any more."""
    connection, worker = ends
    for _ in range(MOST_LINE_BYTES // len(_PIECE)):
        assert _passed_on(connection, worker, _PIECE) == []
    with pytest.raises(ValueError, match="a line of more than"):
        _passed_on(connection, worker, _PIECE)


async def test_whoever_sends_an_endless_line_is_cut_off(state: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The supervisor hangs up on it, harms no job, and serves the worker that comes then."""
    with WorkerProcess(state) as held:
        job_id, _ = held.start_line("echo; exec sleep 1000")
    monkeypatch.chdir(state)  # a socket's path has to be short
    with socket.socket(socket.AF_UNIX) as control:
        control.connect("supervisor.sock")
        assert control.recv(100).startswith(b'["Ready"')
        control.sendall(b"x" * MOST_LINE_BYTES)
        with pytest.raises(ConnectionError):
            control.sendall(b"x" * MOST_LINE_BYTES)
    async with Worker(state_dir=state) as worker:
        assert (await worker.get(job_id)).state is JobState.RUNNING
