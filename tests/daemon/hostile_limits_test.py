"""What connections are held to: each option of grpc's library that the daemon sets does what it is set for."""

from __future__ import annotations

import select
import threading
from contextlib import ExitStack
from typing import TYPE_CHECKING

import grpc
import pytest

from daemon_world import new_world, reason_of, refusal_of
from hostile_world import target_of
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_hostile import HostilePeer, open_sockets
from jobworker_hostile.attacks import GET_JOB
from jobworker_hostile.frames import (
    ACK,
    DATA,
    END_HEADERS,
    GOAWAY,
    HEADERS,
    PING,
    PREFACE,
    RST_STREAM,
    SETTINGS,
    call,
    call_headers,
    frame,
    message,
)
from jobworker_hostile.peer import read_to_end

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

    from daemon_world import Pki, World

_CONNECTIONS = 12
_CALLS = 5
_REFUSED_STREAM = 7
_ENHANCE_YOUR_CALM = 11
_MAX_CONCURRENT_STREAMS = 3


@pytest.fixture(scope="module")
def strict(pki: Pki) -> Iterator[World]:
    """A daemon that has little patience."""
    with new_world(
        pki,
        *(f"--max-connections={_CONNECTIONS}", f"--max-calls-per-connection={_CALLS}", "--handshake-timeout=1s"),
        *("--idle-timeout=2s", "--request-timeout=1s"),
    ) as made:
        yield made


def _peer(world: World, client: str = "full") -> HostilePeer:
    return target_of(world, client).peer()


def test_connections(pki: Pki) -> None:
    """One that is more is closed at once; those that are there are served, and one that goes makes room."""
    with new_world(pki, f"--max-connections={_CONNECTIONS}", "--handshake-timeout=10m") as world, world.stub() as stub:
        stub.ListJobs(pb.ListJobsRequest())
        with open_sockets(world.daemon.address, 3 * _CONNECTIONS) as sockets:
            closed: list[socket.socket] = []
            while len(closed) < 2 * _CONNECTIONS + 1:
                closed, _, _ = select.select(sockets, [], [])
            assert len(closed) == 2 * _CONNECTIONS + 1
            stub.ListJobs(pb.ListJobsRequest())
            with world.stub() as another:
                error = refusal_of(lambda: another.ListJobs(pb.ListJobsRequest()))
                assert error.code() is grpc.StatusCode.UNAVAILABLE
                next(each for each in sockets if each not in closed).close()
                another.ListJobs(pb.ListJobsRequest(), wait_for_ready=True)


def test_handshake_that_never_begins(strict: World) -> None:
    """A connection that says nothing, or half of a greeting, is closed after the handshake's time."""
    for first in (b"", b"\x16\x03\x01"):
        with open_sockets(strict.daemon.address, 3, first) as sockets:
            for each in sockets:
                read_to_end(each)


@pytest.mark.parametrize("greeting", [b"", PREFACE[:7], PREFACE, PREFACE + frame(SETTINGS)[:5]])
def test_handshake(strict: World, greeting: bytes) -> None:
    """A client has to say what it wants from HTTP/2 within the handshake's time, too."""
    with _peer(strict) as peer:
        peer.send(greeting)
        assert b"handshake" in peer.goodbye().body


def test_idle(strict: World) -> None:
    """A connection without a call is closed."""
    with _peer(strict) as peer:
        peer.greet()
        assert b"idle" in peer.goodbye().body


def test_calls_of_a_connection(strict: World) -> None:
    """The server says how many calls there may be, and further ones are taken back, not queued."""
    headers = call_headers(GET_JOB)
    with _peer(strict) as peer:
        peer.greet()
        for stream in range(1, 4 * _CALLS, 2):
            peer.send(frame(HEADERS, headers, flags=END_HEADERS, stream=stream))
        peer.wait_for_answers(2 * _CALLS)
        announced = next(each for each in peer.frames if each.kind == SETTINGS).body
    settings = {
        int.from_bytes(announced[at : at + 2]): int.from_bytes(announced[at + 2 : at + 6])
        for at in range(0, len(announced), 6)
    }
    assert settings[_MAX_CONCURRENT_STREAMS] == _CALLS
    refused = [each for each in peer.frames if each.kind == RST_STREAM and each.stream > 2 * _CALLS]
    assert {each.error for each in refused} <= {_REFUSED_STREAM, _ENHANCE_YOUR_CALM}
    assert len(refused) == _CALLS


def test_pings(strict: World) -> None:
    """Who asks too often whether the server is there is cut off: keepalive is enforced."""
    with _peer(strict) as peer:
        peer.greet()
        for _ in range(10):
            peer.send(frame(PING, b"\0" * 8))
        goodbye = peer.goodbye()
    assert (goodbye.error, goodbye.body[8:]) == (_ENHANCE_YOUR_CALM, b"too_many_pings")


def test_a_client_that_has_gone_without_a_word(world: World) -> None:
    """A silent connection is asked after 30 s whether somebody is there, and ended 10 s later if there is no answer."""
    with _peer(world) as peer:
        peer.greet()
        # Until the server has been silent for longer than either; a minute is grpc's own patience with an answer.
        peer.listen(45)
        *_, asked, last = peer.frames
    assert (asked.kind, asked.flags & ACK) == (PING, 0)
    assert (last.kind, last.body[8:]) == (GOAWAY, b"ping_timeout")


@pytest.mark.parametrize("sent", [b"", b"\0", message(b"x" * 100)[:50]])
def test_slow_request(strict: World, sent: bytes) -> None:
    """A call whose request does not arrive in time, or not all of it, is answered."""
    with _peer(strict) as peer:
        peer.greet()
        peer.send(frame(HEADERS, call_headers(GET_JOB), flags=END_HEADERS, stream=1) + frame(DATA, sent, stream=1))
        peer.wait_for_answers(1)


def test_slow_request_is_named(strict: World) -> None:
    """The answer says what was wrong."""
    ended = threading.Event()

    def requests() -> Iterator[bytes]:
        ended.wait()
        yield b""

    with strict.channel() as channel:
        get: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(f"/{GET_JOB}")
        try:
            assert reason_of(lambda: get(requests())) == (grpc.StatusCode.DEADLINE_EXCEEDED, "REQUEST_TOO_SLOW")
        finally:
            ended.set()


def test_no_request(strict: World) -> None:
    """A call that ends without its request is malformed."""
    with strict.channel() as channel:
        get: grpc.StreamUnaryMultiCallable[bytes, bytes] = channel.stream_unary(f"/{GET_JOB}")
        answer = reason_of(lambda: get(iter(())))
    assert answer == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")


def test_strangers_requests_are_not_waited_for(pki: Pki) -> None:
    """Who has no role is refused with the call's first frame, and can't have anything kept for it."""
    with new_world(pki, "--request-timeout=10m") as world, _peer(world, "stranger") as peer:
        peer.greet()
        for stream in range(1, 101, 2):
            peer.send(frame(HEADERS, call_headers(GET_JOB), flags=END_HEADERS, stream=stream))
        peer.wait_for_answers(50)


def test_a_stranger_can_not_use_up_what_others_have(pki: Pki) -> None:
    """However many streams it opens, it takes none of the followers' places."""
    watch = call_headers("grpc.health.v1.Health/Watch")
    with new_world(pki, "--max-followers=2") as world, ExitStack() as stack:
        for _ in range(3):
            peer = stack.enter_context(_peer(world, "stranger"))
            peer.greet()
            peer.send(b"".join(call(stream, watch) for stream in range(1, 101, 2)))
            peer.wait_for_answers(50)
        stub = stack.enter_context(world.stub())
        job_id = stub.StartJob(pb.StartJobRequest(command=["true"])).job.id
        request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True)
        assert [each.WhichOneof("frame") for each in stub.ReadLogs(request)] == ["end"]
