"""What clients are told of errors."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

import pytest
from google.protobuf.message import DecodeError, Message
from google.rpc import code_pb2, error_details_pb2

from jobworker import worker
from jobworker.daemon import errors, status

if TYPE_CHECKING:
    from collections.abc import Iterator

    from google.rpc import status_pb2

_Detail = TypeVar("_Detail", bound=Message)


def _family(root: type[Exception]) -> Iterator[type[Exception]]:
    yield root
    for child in root.__subclasses__():
        yield from _family(child)


def _detail(of: status_pb2.Status, kind: type[_Detail]) -> _Detail:
    found = [detail for detail in of.details if detail.Is(kind.DESCRIPTOR)]
    assert len(found) == 1
    unpacked = kind()
    found[0].Unpack(unpacked)
    return unpacked


@pytest.mark.parametrize(
    "kind", [*_family(worker.WorkerError), *_family(errors.CallError)], ids=lambda kind: kind.__name__
)
def test_every_error_has_one_code(kind: type[Exception]) -> None:
    """Each error of the library and of a call has a row of its own, so a new one can't be told by accident."""
    if kind is not errors.CallError:
        assert status.RULES[kind].code != code_pb2.OK


def test_reasons_are_unique() -> None:
    """A program can tell errors apart by their reason alone."""
    # The reasons of these are those of others, which clients can't, or need not, tell them from.
    at_start = {
        worker.StateDirectoryInUseError,
        worker.SupervisorVersionError,
        worker.CgroupError,
        worker.InheritanceError,
    }
    same = {worker.WorkerClosedError, DecodeError, *at_start}
    reasons = [rule.reason for kind, rule in status.RULES.items() if kind not in same]
    assert len(reasons) == len(set(reasons))


@pytest.mark.parametrize(
    ("error", "code", "reason", "field"),
    [
        (worker.InvalidCommandError("empty"), code_pb2.INVALID_ARGUMENT, "INVALID_COMMAND", "command"),
        (worker.ProgramNotFoundError("x"), code_pb2.INVALID_ARGUMENT, "PROGRAM_NOT_FOUND", "command"),
        (worker.InvalidJobIdError("?"), code_pb2.INVALID_ARGUMENT, "INVALID_JOB_ID", "job_id"),
        (worker.AmbiguousJobIdError("5a", 2), code_pb2.INVALID_ARGUMENT, "AMBIGUOUS_JOB_ID", "job_id"),
        (worker.InvalidOffsetError(-1), code_pb2.INVALID_ARGUMENT, "INVALID_OFFSET", "offset"),
        (worker.InvalidTailLinesError("-1 lines"), code_pb2.INVALID_ARGUMENT, "INVALID_TAIL_LINES", "tail_lines"),
        (worker.InvalidLimitError(-1), code_pb2.INVALID_ARGUMENT, "INVALID_LIMIT", "limit"),
        (worker.InvalidGracePeriodError(-1), code_pb2.INVALID_ARGUMENT, "INVALID_GRACE_PERIOD", "grace_period"),
        (worker.InvalidPageTokenError(), code_pb2.INVALID_ARGUMENT, "INVALID_PAGE_TOKEN", "page_token"),
        (worker.OffsetOutOfRangeError(9, 5), code_pb2.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE", "offset"),
    ],
)
def test_callers_fault(error: Exception, code: code_pb2.Code.ValueType, reason: str, field: str) -> None:
    """What the caller did wrong is told in the library's words, with the field to blame."""
    told = status.status_of(error)
    assert (told.code, told.message) == (code, str(error))
    assert _detail(told, error_details_pb2.ErrorInfo).reason == reason
    assert _detail(told, error_details_pb2.ErrorInfo).domain == "jobworker"
    violation = _detail(told, error_details_pb2.BadRequest).field_violations[0]
    assert (violation.field, violation.description) == (field, str(error))


@pytest.mark.parametrize(
    ("error", "reason"),
    [(worker.JobNotFoundError("5a2e"), "JOB_NOT_FOUND"), (worker.JobDeletedError("5a2e"), "JOB_DELETED")],
)
def test_not_found_names_it(error: Exception, reason: str) -> None:
    """NOT_FOUND names the resource that was asked for, and a reader learns that it was there."""
    told = status.status_of(error, "5a2e")
    assert (told.code, _detail(told, error_details_pb2.ErrorInfo).reason) == (code_pb2.NOT_FOUND, reason)
    resource = _detail(told, error_details_pb2.ResourceInfo)
    assert (resource.resource_type, resource.resource_name) == ("jobworker.v1.Job", "5a2e")


def test_running_job_is_a_precondition() -> None:
    """What has to be done first is told with the job that it has to be done to."""
    told = status.status_of(worker.JobRunningError("5a2e-in-full"), "5a2e")
    assert (told.code, told.message) == (code_pb2.FAILED_PRECONDITION, "job 5a2e-in-full has not ended; stop it first")
    violation = _detail(told, error_details_pb2.PreconditionFailure).violations[0]
    assert (violation.type, violation.subject) == ("JOB_RUNNING", "jobworker.v1.Job/5a2e")
    assert violation.description == told.message


def test_metadata_for_programs() -> None:
    """Numbers that a program needs need not be parsed out of the message."""

    def metadata(error: Exception) -> dict[str, str]:
        return dict(_detail(status.status_of(error), error_details_pb2.ErrorInfo).metadata)

    assert metadata(worker.OffsetOutOfRangeError(9, 5)) == {"offset": "9", "size": "5"}
    assert metadata(worker.ProgramNotFoundError("nope")) == {"program": "nope"}
    assert metadata(worker.ResourceExhaustedError("processes", "wait")) == {"resource": "processes"}
    assert metadata(errors.RoleTooLowError("LOG", "FULL")) == {"role": "LOG", "required": "FULL"}
    assert metadata(errors.ServerStoppingError(7)) == {"offset": "7"}
    assert metadata(errors.ServerStoppingError()) == {}


@pytest.mark.parametrize("error", [errors.ServerStoppingError(1), worker.ResourceExhaustedError("files", "wait")])
def test_what_passes_can_be_retried(error: Exception) -> None:
    """What may pass says when to try again."""
    assert _detail(status.status_of(error), error_details_pb2.RetryInfo).retry_delay.seconds > 0


def test_limits_are_named() -> None:
    """A refusal at a limit says which, how large it is, whose, and when to try again, to the millisecond."""
    told = status.status_of(errors.LimitReachedError("followers", 7, "7 are open"))
    assert (told.code, told.message) == (code_pb2.RESOURCE_EXHAUSTED, "the limit followers is 7: 7 are open")
    info = _detail(told, error_details_pb2.ErrorInfo)
    assert (info.reason, dict(info.metadata)) == ("LIMIT_REACHED", {"limit": "followers", "maximum": "7"})
    assert _detail(told, error_details_pb2.QuotaFailure).violations[0].subject == "daemon"
    told = status.status_of(errors.LimitReachedError("start_rate", 0.5, "x", retry_seconds=1.2341, principal="ci"))
    assert dict(_detail(told, error_details_pb2.ErrorInfo).metadata) == {
        "limit": "start_rate",
        "maximum": "0.5",
        "principal": "ci",
    }
    assert _detail(told, error_details_pb2.RetryInfo).retry_delay.ToMilliseconds() == 1235
    assert _detail(told, error_details_pb2.QuotaFailure).violations[0].subject == "principal:ci"


@pytest.mark.parametrize(
    "error",
    [ValueError("secret"), worker.WorkerError("secret"), worker.StateDirectoryError("/secret", "full"),
     worker.StateDirectoryInUseError("/secret", "another"), worker.JobStoreError("/secret", "full"),
     worker.SupervisorError("secret"), worker.SupervisorVersionError("/secret", 2, 1, 3),
     worker.CgroupError("/secret", "full"), worker.InheritanceError("/secret")],
)  # fmt: skip
def test_hosts_secrets_stay(error: Exception) -> None:
    """What is not the caller's business is INTERNAL with a bland message."""
    told = status.status_of(error)
    assert told.code == code_pb2.INTERNAL
    assert "secret" not in str(told)
    assert "log" in told.message


def test_malformed_request() -> None:
    """Bytes that are no message are the caller's fault, not an unforeseen error."""
    assert status.status_of(DecodeError("x")).code == code_pb2.INVALID_ARGUMENT


@pytest.mark.parametrize("text", ["x" * 100_000, "ü" * 100_000, "\udcff" * 100_000])
def test_long_texts_are_cut(text: str) -> None:
    """What a client sent comes back short enough for grpc's limit on metadata, whatever its alphabet."""
    told = status.status_of(worker.ProgramNotFoundError(text), text)
    assert told.ByteSize() < 3000
