"""What a client is told of an error: one table from error class to gRPC code and details; no I/O and no grpc."""

from __future__ import annotations

import math
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, final

from google.protobuf import any_pb2
from google.protobuf.message import DecodeError
from google.rpc import code_pb2, error_details_pb2, status_pb2

from jobworker import worker
from jobworker.daemon import errors

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from google.protobuf.message import Message

DOMAIN = "jobworker"
"""The domain of every ErrorInfo."""

_JOB = "jobworker.v1.Job"
_RETRY_SECONDS = 1
# An error's text may quote what the client sent. It travels in up to four places of the trailing metadata, which grpc
# limits to 8 KiB, so it is cut to this many bytes.
_MAX_TEXT = 500


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """How an error class is told.

    Attributes:
        code: The gRPC status code.
        reason: What a program may rely on, in ErrorInfo.
        field: The field of the request that is to blame.
        metadata: The error's attributes that a program could use, in ErrorInfo.
        message: What to say in place of the error's own message, which is for the log alone.
    """

    code: code_pb2.Code.ValueType
    reason: str
    field: str = ""
    metadata: tuple[str, ...] = ()
    message: str = ""


UNFORESEEN = Rule(code_pb2.INTERNAL, "INTERNAL", message="internal error; the daemon's log says more")
"""How an error that is not in the table is told."""

# What the library says of these has paths of the daemon's host.
_STATE_DIRECTORY = Rule(
    code_pb2.INTERNAL,
    "STATE_DIRECTORY_UNUSABLE",
    message="the daemon can't use its state directory; its log says more",
)
_SUPERVISOR = Rule(
    code_pb2.INTERNAL, "SUPERVISOR_FAILED", message="the daemon's supervisor failed; the daemon's log says more"
)
_MALFORMED = Rule(code_pb2.INVALID_ARGUMENT, "MALFORMED_REQUEST", message=str(errors.MalformedRequestError()))
_INVALID = code_pb2.INVALID_ARGUMENT

RULES: Mapping[type[Exception], Rule] = MappingProxyType(
    {
        worker.WorkerError: UNFORESEEN,
        worker.InvalidArgumentError: Rule(_INVALID, "INVALID_ARGUMENT"),
        worker.InvalidCommandError: Rule(_INVALID, "INVALID_COMMAND", "command"),
        worker.ProgramError: Rule(_INVALID, "PROGRAM_UNUSABLE", "command", ("program",)),
        worker.ProgramNotFoundError: Rule(_INVALID, "PROGRAM_NOT_FOUND", "command", ("program",)),
        worker.ProgramNotExecutableError: Rule(_INVALID, "PROGRAM_NOT_EXECUTABLE", "command", ("program",)),
        worker.ProgramFormatError: Rule(_INVALID, "PROGRAM_FORMAT_UNKNOWN", "command", ("program",)),
        worker.CommandTooLongError: Rule(_INVALID, "COMMAND_TOO_LONG", "command"),
        worker.InvalidJobIdError: Rule(_INVALID, "INVALID_JOB_ID", "job_id"),
        worker.AmbiguousJobIdError: Rule(_INVALID, "AMBIGUOUS_JOB_ID", "job_id"),
        worker.InvalidRequestIdError: Rule(_INVALID, "INVALID_REQUEST_ID", "request_id"),
        worker.RequestIdReusedError: Rule(_INVALID, "REQUEST_ID_REUSED", "request_id"),
        worker.InvalidStreamError: Rule(_INVALID, "INVALID_STREAM", "stream"),
        worker.InvalidOffsetError: Rule(_INVALID, "INVALID_OFFSET", "offset"),
        worker.InvalidTailLinesError: Rule(_INVALID, "INVALID_TAIL_LINES", "tail_lines"),
        worker.InvalidLimitError: Rule(_INVALID, "INVALID_LIMIT", "limit"),
        worker.InvalidGracePeriodError: Rule(_INVALID, "INVALID_GRACE_PERIOD", "grace_period"),
        worker.InvalidPageSizeError: Rule(_INVALID, "INVALID_PAGE_SIZE", "page_size"),
        worker.InvalidPageTokenError: Rule(_INVALID, "INVALID_PAGE_TOKEN", "page_token"),
        worker.JobNotFoundError: Rule(code_pb2.NOT_FOUND, "JOB_NOT_FOUND"),
        worker.JobDeletedError: Rule(code_pb2.NOT_FOUND, "JOB_DELETED"),
        worker.JobRunningError: Rule(code_pb2.FAILED_PRECONDITION, "JOB_RUNNING"),
        worker.OffsetOutOfRangeError: Rule(code_pb2.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE", "offset", ("offset", "size")),
        worker.ResourceExhaustedError: Rule(code_pb2.RESOURCE_EXHAUSTED, "RESOURCE_EXHAUSTED", metadata=("resource",)),
        worker.WorkerClosedError: Rule(code_pb2.UNAVAILABLE, "SERVER_STOPPING", message="the server is going away"),
        worker.StateDirectoryError: _STATE_DIRECTORY,
        # It, a supervisor's version, a cgroup and what jobs inherit keep a daemon from starting: no client meets them.
        worker.StateDirectoryInUseError: _STATE_DIRECTORY,
        worker.CgroupError: UNFORESEEN,
        worker.InheritanceError: UNFORESEEN,
        worker.JobStoreError: Rule(
            code_pb2.INTERNAL, "JOB_STORE_UNUSABLE", message="the daemon can't use its job store; its log says more"
        ),
        worker.SupervisorError: _SUPERVISOR,
        worker.SupervisorVersionError: _SUPERVISOR,
        errors.AccessDeniedError: Rule(code_pb2.PERMISSION_DENIED, "ACCESS_DENIED"),
        errors.ConnectionTooWeakError: Rule(code_pb2.PERMISSION_DENIED, "CONNECTION_TOO_WEAK"),
        errors.RoleTooLowError: Rule(code_pb2.PERMISSION_DENIED, "ROLE_TOO_LOW", metadata=("role", "required")),
        errors.AuditUnwritableError: Rule(code_pb2.INTERNAL, "AUDIT_LOG_UNWRITABLE"),
        errors.AuditOutcomeError: Rule(code_pb2.INTERNAL, "AUDIT_OUTCOME_UNWRITTEN", metadata=("job_id",)),
        errors.UnknownMethodError: Rule(code_pb2.UNIMPLEMENTED, "UNKNOWN_METHOD"),
        errors.UnknownServiceError: Rule(code_pb2.NOT_FOUND, "SERVICE_NOT_FOUND"),
        errors.MalformedRequestError: _MALFORMED,
        errors.LimitReachedError: Rule(
            code_pb2.RESOURCE_EXHAUSTED, "LIMIT_REACHED", metadata=("limit", "maximum", "principal")
        ),
        errors.RequestTooSlowError: Rule(code_pb2.DEADLINE_EXCEEDED, "REQUEST_TOO_SLOW"),
        errors.ServerStoppingError: Rule(code_pb2.UNAVAILABLE, "SERVER_STOPPING", metadata=("offset",)),
        # What grpc raises through a handler that reads a stream of requests.
        DecodeError: _MALFORMED,
    }
)
"""How each error class is told; every class of the library has a row of its own."""


def rule_of(error: BaseException) -> Rule:
    """Returns how an error is told; a class without a row is told as the nearest class above it that has one."""
    return next((RULES[kind] for kind in type(error).__mro__ if kind in RULES), UNFORESEEN)


def status_of(error: Exception, job_id: str = "") -> status_pb2.Status:
    """Returns the google.rpc.Status that a client gets for an error.

    Args:
        error: What went wrong.
        job_id: The id that the client asked for, if any.
    """
    rule = rule_of(error)
    message = _cut(rule.message or str(error))
    return status_pb2.Status(
        code=rule.code, message=message, details=[_packed(detail) for detail in _details(rule, error, message, job_id)]
    )


def _details(rule: Rule, error: Exception, message: str, job_id: str) -> Iterator[Message]:
    known = {name: getattr(error, name) for name in rule.metadata}
    metadata = {name: _cut(str(value)) for name, value in known.items() if value is not None}
    yield error_details_pb2.ErrorInfo(reason=rule.reason, domain=DOMAIN, metadata=metadata)
    if rule.field:
        violation = error_details_pb2.BadRequest.FieldViolation(field=rule.field, description=message)
        yield error_details_pb2.BadRequest(field_violations=[violation])
    if isinstance(error, worker.JobNotFoundError | worker.JobDeletedError):
        yield error_details_pb2.ResourceInfo(resource_type=_JOB, resource_name=_cut(job_id), description=message)
    if isinstance(error, worker.JobRunningError):
        unmet = error_details_pb2.PreconditionFailure.Violation(
            type=rule.reason, subject=f"{_JOB}/{_cut(job_id)}", description=message
        )
        yield error_details_pb2.PreconditionFailure(violations=[unmet])
    if rule.code in (code_pb2.UNAVAILABLE, code_pb2.RESOURCE_EXHAUSTED):
        yield _retry_info(getattr(error, "retry_seconds", _RETRY_SECONDS))
    if isinstance(error, errors.LimitReachedError):
        subject = f"principal:{_cut(error.principal)}" if error.principal else "daemon"
        reached = error_details_pb2.QuotaFailure.Violation(subject=subject, description=message)
        yield error_details_pb2.QuotaFailure(violations=[reached])


def _retry_info(seconds: float) -> error_details_pb2.RetryInfo:
    info = error_details_pb2.RetryInfo()
    # Rounded up, so that who comes back then does not come too early.
    info.retry_delay.FromMilliseconds(math.ceil(seconds * 1000))
    return info


def _packed(detail: Message) -> any_pb2.Any:
    packed = any_pb2.Any()
    packed.Pack(detail)
    return packed


def _cut(text: str) -> str:
    encoded = text.encode(errors="replace")
    if len(encoded) <= _MAX_TEXT:
        return encoded.decode()
    return encoded[:_MAX_TEXT].decode(errors="ignore") + "…"
