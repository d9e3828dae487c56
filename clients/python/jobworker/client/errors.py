"""Owns the errors that a client's methods raise, and makes them of gRPC's."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, NamedTuple, cast, final

import grpc
from grpc import StatusCode

from jobworker.client.settings import SettingsError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Self

    from jobworker.client.position import Position

__all__ = ["CallError", "ContractError", "GaveUpError", "JobDeletedError", "SettingsError", "translated"]

_DETAILS = "grpc-status-details-bin"


class _Details(NamedTuple):
    reason: str
    field: str
    metadata: Mapping[str, str]


class CallError(Exception):
    """A call failed; the proto says of each method with which codes, and which of them may be tried again.

    Attributes:
        code: the gRPC status code.
        message: what it says, for people.
    """

    def __init__(self, code: StatusCode, message: str, details: bytes = b"") -> None:
        """Makes an error.

        Args:
            code: the gRPC status code.
            message: what it says, for people.
            details: the google.rpc.Status that came with it, as bytes; empty if none came.
        """
        super().__init__(f"{code.name}: {message}")
        self.code, self.message = code, message
        self._status = details
        self._details: _Details | None = None

    @classmethod
    def of(cls, error: grpc.RpcError) -> Self:
        """Makes ours of the error of a stub's call, also of another service's, such as that of gRPC's health."""
        call = cast("grpc.Call", error)
        details = dict(call.trailing_metadata() or ()).get(_DETAILS, b"")
        return cls(call.code(), call.details() or "", details if isinstance(details, bytes) else b"")

    @property
    def reason(self) -> str:
        """What is the matter where the code alone does not tell, such as JOB_NOT_FOUND; "" if the daemon didn't say."""
        return self._parsed().reason

    @property
    def field(self) -> str:
        """Which field of the request is wrong, such as job_id; "" if none is."""
        return self._parsed().field

    @property
    def metadata(self) -> Mapping[str, str]:
        """What else the daemon says for programs."""
        return self._parsed().metadata

    def _parsed(self) -> _Details:
        if self._details is None:
            self._details = _parse(self._status)
        return self._details


def _parse(status: bytes) -> _Details:
    # Few programs ask, and those types cost 10 ms.
    from google.rpc import error_details_pb2, status_pb2  # noqa: PLC0415

    info, request = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest()
    for detail in status_pb2.Status.FromString(status).details:
        detail.Unpack(info)
        detail.Unpack(request)
    fields = [violation.field for violation in request.field_violations]
    return _Details(info.reason, fields[0] if fields else "", dict(info.metadata))


class ContractError(CallError):
    """The daemon sent what it must not; its fault."""

    def __init__(self, message: str) -> None:
        super().__init__(StatusCode.DATA_LOSS, f"{message}; please report this")


class _FollowError(CallError):
    def __init__(self, code: StatusCode, message: str, cause: CallError, position: Position) -> None:
        super().__init__(code, message)
        self.cause, self.position = cause, position


@final
class GaveUpError(_FollowError):
    """A follow was without progress for as long as the client is patient.

    Attributes:
        cause: what broke the last call.
        position: how far it came.
    """

    def __init__(self, patience: float, cause: CallError, position: Position) -> None:
        message = f"gave up {position.reached()} after {patience:.0f} s without progress: {cause.message}"
        super().__init__(StatusCode.UNAVAILABLE, message, cause, position)


@final
class JobDeletedError(_FollowError):
    """The job whose output was followed was deleted, and its output with it.

    Attributes:
        cause: what the daemon said.
        job_id: the job's whole id.
        position: how far it came.
    """

    def __init__(self, cause: CallError, job_id: str, position: Position) -> None:
        super().__init__(cause.code, cause.message, cause, position)
        self.job_id = job_id


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Makes ours of gRPC's errors.

    Raises:
        CallError: a call in the context failed.
    """
    try:
        yield
    except grpc.RpcError as error:
        raise CallError.of(error) from error
