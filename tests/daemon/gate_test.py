"""The gate apart from a server: the second lock, all four arities, and what is unforeseen."""

from __future__ import annotations

import logging
import time
import weakref
from typing import TYPE_CHECKING, Any, cast

import grpc
import pytest
from grpc import aio
from grpc_health.v1.health_pb2_grpc import add_HealthServicer_to_server

from devcerts import Authority, KeyType
from jobworker.daemon import tls
from jobworker.daemon.access_log import AccessLog
from jobworker.daemon.allocator import Heap
from jobworker.daemon.audit import NoAudit
from jobworker.daemon.call import CURRENT, Call
from jobworker.daemon.certificates import ServerIdentity
from jobworker.daemon.counters import Counters
from jobworker.daemon.errors import PermissionTableError
from jobworker.daemon.gate import Gate
from jobworker.daemon.health import HealthService
from jobworker.daemon.identity_files import Contents
from jobworker.daemon.limiter import Limiter
from jobworker.daemon.limits import CallLimits
from jobworker.daemon.live_calls import LiveCalls
from jobworker.daemon.live_identity import LiveIdentity
from jobworker.daemon.methods import Methods, body_of
from jobworker.daemon.permissions import LEAST_ROLE
from jobworker.daemon.principals import Principal, PrincipalTable, Role
from jobworker.daemon.reflection import add_reflection
from jobworker.daemon.revocation import Revocations
from jobworker.daemon.service import JobWorkerService
from jobworker.daemon.snapshot import Snapshot
from jobworker.v1.job_worker_pb2_grpc import add_JobWorkerServiceServicer_to_server

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from jobworker.daemon.methods import Handler
    from jobworker.worker import Worker

_GET = "/jobworker.v1.JobWorkerService/GetJob"
_CA = Authority("ca", key_type=KeyType.EC_P256)
_CLIENT = _CA.issue("client", key_type=KeyType.EC_P256)


def _calls(counters: Counters) -> LiveCalls:
    """Returns what lets the client in, with the role FULL."""
    server = ServerIdentity(b"", b"", b"", (), (_CA.identity.certificate,))
    principals = PrincipalTable.of([Principal("all", Role.FULL, (_CLIENT.fingerprint,))])
    return LiveCalls(LiveIdentity(Snapshot(1, server, principals, Revocations(), Contents({}, ""))), counters)


class _AbortedError(aio.AbortError):
    """What grpc's context raises out of a call that it has answered with an error."""


class _Context:
    """Stands for grpc's context of a call: a connection of one TLS version, and what is sent to the client."""

    def __init__(self, version: bytes = tls.VERSION) -> None:
        self.version = version
        self.sent: list[object] = []
        self.status: Any = None

    def auth_context(self) -> dict[str, list[bytes]]:
        return {"ssl_tls_version": [self.version], "x509_pem_cert": [_CLIENT.cert_pem]}

    def peer(self) -> str:
        return "ipv4:127.0.0.1:1"

    def time_remaining(self) -> float | None:
        return None

    async def read(self) -> object:
        return b"x"

    async def write(self, message: object) -> None:
        self.sent.append(message)

    async def abort_with_status(self, status: object) -> None:
        self.status = status
        raise _AbortedError


def _methods(**behaviours: Handler) -> Methods:
    """Returns handlers for every method of the table: those given by the last part of their names, others bare."""

    async def bare(_request: object, _context: object) -> bytes:
        return b"answer"

    methods = Methods()
    # Brings the descriptors of all services with it.
    servicer = JobWorkerService(cast("Worker", None), _limiter(), Heap())
    add_JobWorkerServiceServicer_to_server(servicer, cast("aio.Server", methods))
    add_HealthServicer_to_server(HealthService(()), methods)
    add_reflection((), methods)
    for name in LEAST_ROLE:
        _, service, method = name.split("/")
        handler = behaviours.get(method) or grpc.unary_unary_rpc_method_handler(cast("Any", bare))
        methods.add_registered_method_handlers(service, {method: handler})
    return methods


def _limiter(**limits: float) -> Limiter:
    made: Any = CallLimits
    return Limiter(made(**limits), Counters(), time.monotonic)


async def _call(context: _Context, counters: Counters | None = None, **behaviours: Handler) -> object:
    counters = counters or Counters()
    gate = Gate(
        _methods(**behaviours), _calls(counters), counters, limiter=_limiter(), audit=NoAudit(), access_log=AccessLog()
    )
    details = type("Details", (), {"method": _GET, "invocation_metadata": ()})()
    behaviour: Any = gate.service(cast("grpc.HandlerCallDetails", details)).stream_unary
    return await behaviour(iter(()), context)


async def test_good_call() -> None:
    """A call on TLS 1.3 gets through."""
    assert await _call(_Context()) == b"answer"


async def test_calls_are_counted() -> None:
    """Each counts once, under the code that it was answered with."""
    counters = Counters()
    await _call(_Context(), counters)
    with pytest.raises(_AbortedError):
        await _call(_Context(b"TLSv1.2"), counters)
    assert counters.snapshot() == {
        'jobworker_calls_total{code="OK"}': 1,
        'jobworker_calls_total{code="PERMISSION_DENIED"}': 1,
    }


@pytest.mark.parametrize("version", [b"TLSv1.2", b"TLSv1.1", b"", b"TLSv1.3 "])
async def test_second_lock(version: bytes) -> None:
    """A call on anything but TLS 1.3 is refused, even if a handshake let it through."""
    context = _Context(version)
    with pytest.raises(_AbortedError):
        await _call(context)
    assert context.status.code is grpc.StatusCode.PERMISSION_DENIED
    assert context.status.details == "the connection is not TLS 1.3"


async def test_unforeseen_error(caplog: pytest.LogCaptureFixture) -> None:
    """What nobody foresaw is INTERNAL with a bland message; its traceback is in the log."""

    async def fail(_request: object, _context: object) -> bytes:
        raise ZeroDivisionError("secret")

    context = _Context()
    with caplog.at_level(logging.INFO), pytest.raises(_AbortedError):
        await _call(context, GetJob=grpc.unary_unary_rpc_method_handler(cast("Any", fail)))
    assert context.status.code is grpc.StatusCode.INTERNAL
    assert "secret" not in str(context.status)
    failed, called = caplog.records
    assert failed.getMessage() == "call_failed"
    assert failed.exc_info
    assert isinstance(failed.exc_info[1], ZeroDivisionError)
    assert vars(called)["fields"]["code"] == "INTERNAL"


async def test_error_in_the_answer_is_unforeseen_too() -> None:
    """An answer that can't be serialized doesn't get round the gate to grpc, which would tell the client all."""
    context = _Context()

    async def answer(_request: object, _context: object) -> str:
        return "x"

    def serialize(_message: object) -> bytes:
        raise ZeroDivisionError("secret")

    handler: Handler = grpc.unary_unary_rpc_method_handler(cast("Any", answer), response_serializer=serialize)
    with pytest.raises(_AbortedError):
        await _call(context, GetJob=handler)
    assert context.status.code is grpc.StatusCode.INTERNAL


def test_incomplete_table_stops_the_start() -> None:
    """A method without an entry in the permission table can't be served."""
    methods = _methods()
    methods.add_registered_method_handlers("jobworker.v1.JobWorkerService", {"New": methods.handlers[_GET]})
    with pytest.raises(PermissionTableError, match=r"no entry for /jobworker[.]v1[.]JobWorkerService/New"):
        Gate(methods, _calls(Counters()), Counters(), limiter=_limiter(), audit=NoAudit(), access_log=AccessLog())


def test_descriptors_count_too() -> None:
    """A method that a service's descriptor has counts as served, registered or not."""
    methods = Methods()
    methods.add_registered_method_handlers("jobworker.v1.JobWorkerService", {"GetJob": _methods().handlers[_GET]})
    assert "/jobworker.v1.JobWorkerService/ReadLogs" in methods.names()


async def test_all_arities() -> None:
    """Each of the four arities goes from bytes to bytes in the same way."""

    async def once(request: object, _context: object) -> str:
        return f"{request}!"

    async def often(request: object, _context: object) -> AsyncIterator[str]:
        for _ in range(2):
            yield f"{request}!"

    CURRENT.set(Call("/x/Y"))
    for make, behaviour, expected in (
        (grpc.unary_unary_rpc_method_handler, once, b"x!"),
        (grpc.unary_stream_rpc_method_handler, often, [b"x!", b"x!"]),
        (grpc.stream_unary_rpc_method_handler, once, b"stream!"),
        (grpc.stream_stream_rpc_method_handler, often, [b"stream!", b"stream!"]),
    ):
        made: Any = make
        handler = made(behaviour, bytes.decode, str.encode)
        context: Any = _Context()
        # A stream of requests comes as an iterator, which grpc itself fills.
        answer = await body_of(handler, _limiter(), NoAudit())("stream", context)
        assert (answer or context.sent) == expected


async def test_a_message_that_was_sent_is_let_go() -> None:
    """While the next one is long in coming: each of many waiting followers would else hold half a MiB."""

    class Message:
        """Something that can be seen to go."""

    alive: weakref.WeakSet[Message] = weakref.WeakSet()
    left = []

    async def often(_request: object, _context: object) -> AsyncIterator[Message]:
        for _ in range(2):
            message = Message()
            alive.add(message)
            yield message
            del message
            left.append(len(alive))

    class Sending(_Context):
        async def write(self, message: object) -> None:
            """Keeps nothing."""

    CURRENT.set(Call("/x/Y"))
    handler: Any = grpc.unary_stream_rpc_method_handler(cast("Any", often))
    await body_of(handler, _limiter(), NoAudit())("stream", cast("Any", Sending()))
    assert left == [0, 0]


async def test_stream_is_closed_with_its_call() -> None:
    """A generator whose client is gone is cleaned up with the call, not by the garbage collector."""
    closed = []

    async def often(_request: object, _context: object) -> AsyncIterator[bytes]:
        try:
            yield b"x"
        finally:
            closed.append(True)

    class Gone(_Context):
        async def write(self, message: object) -> None:
            raise aio.InternalError(message)

    CURRENT.set(Call("/x/Y"))
    handler: Any = grpc.unary_stream_rpc_method_handler(cast("Any", often))
    with pytest.raises(aio.InternalError):
        await body_of(handler, _limiter(), NoAudit())("stream", cast("Any", Gone()))
    assert closed
