"""Who may call what, on the wire: every method of every service, for every kind of client."""

from __future__ import annotations

from contextlib import ExitStack
from typing import TYPE_CHECKING, NamedTuple, cast

import grpc
import pytest
from grpc_health.v1 import health_pb2
from grpc_reflection.v1alpha import reflection_pb2

from daemon_world import raw_call
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.protobuf.message import Message

    from daemon_world import World

_NO_JOB = "00000000-0000-4000-8000-000000000000"
_ASK = reflection_pb2.ServerReflectionRequest(list_services="")


class _Case(NamedTuple):
    """One method.

    Attributes:
        request: A request that ends in `code` for who may call it.
        arity: u or s for the request, and for the response.
        code: What comes of it.
        log: Whether the role LOG may call it.
    """

    request: Message
    arity: str
    code: grpc.StatusCode
    log: bool


_OK, _MISSING, _INVALID = grpc.StatusCode.OK, grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT
_CASES = {
    "jobworker.v1.JobWorkerService/StartJob": _Case(pb.StartJobRequest(), "uu", _INVALID, log=False),
    "jobworker.v1.JobWorkerService/StopJob": _Case(pb.StopJobRequest(job_id=_NO_JOB), "uu", _MISSING, log=False),
    "jobworker.v1.JobWorkerService/GetJob": _Case(pb.GetJobRequest(job_id=_NO_JOB), "uu", _MISSING, log=True),
    "jobworker.v1.JobWorkerService/ListJobs": _Case(pb.ListJobsRequest(), "uu", _OK, log=True),
    "jobworker.v1.JobWorkerService/ReadLogs": _Case(
        pb.ReadLogsRequest(job_id=_NO_JOB, stream=pb.LOG_STREAM_STDOUT), "us", _MISSING, log=False
    ),
    "jobworker.v1.JobWorkerService/DeleteJob": _Case(pb.DeleteJobRequest(job_id=_NO_JOB), "uu", _MISSING, log=False),
    "grpc.health.v1.Health/Check": _Case(health_pb2.HealthCheckRequest(), "uu", _OK, log=True),
    "grpc.health.v1.Health/List": _Case(health_pb2.HealthListRequest(), "uu", _OK, log=True),
    "grpc.health.v1.Health/Watch": _Case(health_pb2.HealthCheckRequest(), "us", _OK, log=True),
    "grpc.reflection.v1.ServerReflection/ServerReflectionInfo": _Case(_ASK, "ss", _OK, log=True),
    "grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo": _Case(_ASK, "ss", _OK, log=True),
}


def _code(channel: grpc.Channel, method: str, request: bytes, arity: str) -> tuple[grpc.StatusCode, str | None]:
    """Returns the code and the message of a call after at most one response."""
    try:
        raw_call(channel, method, request, arity)
    except grpc.RpcError as error:
        refused = cast("grpc.Call", error)
        return refused.code(), refused.details()
    return _OK, None


@pytest.fixture(scope="module")
def channels(world: World) -> Iterator[dict[str, grpc.Channel]]:
    """A connection for each kind of client."""
    with ExitStack() as stack:
        clients = ("full", "log", "both", "stranger")
        yield {client: stack.enter_context(world.channel(client)) for client in clients}


def test_cases_are_all_methods(channels: dict[str, grpc.Channel]) -> None:
    """The matrix has each method of each service that the daemon itself says it serves."""
    ask = channels["full"].stream_stream(
        "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
        request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
        response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
    )
    answer = next(ask(iter([_ASK])))
    assert {one.name for one in answer.list_services_response.service} == {method.split("/")[0] for method in _CASES}


@pytest.mark.parametrize("client", ["full", "both"])
@pytest.mark.parametrize("method", _CASES)
def test_full_and_both_may(channels: dict[str, grpc.Channel], client: str, method: str) -> None:
    """FULL may call everything, and so may a fingerprint that is in both lists."""
    case = _CASES[method]
    assert _code(channels[client], method, case.request.SerializeToString(), case.arity)[0] is case.code


@pytest.mark.parametrize("method", _CASES)
def test_log_may_look(channels: dict[str, grpc.Channel], method: str) -> None:
    """LOG may list and query, ask for health and reflection, and nothing else; not even read logs."""
    case = _CASES[method]
    code, message = _code(channels["log"], method, case.request.SerializeToString(), case.arity)
    if case.log:
        assert code is case.code
    else:
        assert (code, message) == (
            grpc.StatusCode.PERMISSION_DENIED,
            "your role, LOG, may not call this method; it needs FULL",
        )


@pytest.mark.parametrize("method", _CASES)
def test_stranger_may_nothing(channels: dict[str, grpc.Channel], method: str) -> None:
    """A certificate without a role gets one bland refusal everywhere, health and reflection included."""
    case = _CASES[method]
    refusal = _code(channels["stranger"], method, case.request.SerializeToString(), case.arity)
    assert refusal == (grpc.StatusCode.PERMISSION_DENIED, "permission denied")


@pytest.mark.parametrize("arity", ["uu", "us", "su", "ss"])
@pytest.mark.parametrize("method", ["jobworker.v1.JobWorkerService/NoSuch", "no.such.Service/Method", "nonsense"])
def test_unknown_method(channels: dict[str, grpc.Channel], method: str, arity: str) -> None:
    """An unknown method is UNIMPLEMENTED for who has a role, and looks like any other to a stranger."""
    assert _code(channels["log"], method, b"", arity)[0] is grpc.StatusCode.UNIMPLEMENTED
    assert _code(channels["stranger"], method, b"", arity) == (grpc.StatusCode.PERMISSION_DENIED, "permission denied")


@pytest.mark.parametrize("method", [method for method, case in _CASES.items() if case.arity != "ss"])
def test_stranger_is_refused_before_parsing(channels: dict[str, grpc.Channel], method: str) -> None:
    """What a stranger sends is not even parsed, while others are told that it is malformed."""
    garbage = b"\xff\xff\xff"
    assert _code(channels["stranger"], method, garbage, _CASES[method].arity)[0] is grpc.StatusCode.PERMISSION_DENIED
    assert _code(channels["full"], method, garbage, _CASES[method].arity)[0] is _INVALID
