"""Jobs and reservations as rows of the SQLite job store; no I/O and no event loop.

Times are whole microseconds since the epoch. Texts are written as JSON writes them between its quotes, in ASCII: a
plain one stays as it is, and any other, also with NULs and Python's escapes for what is not UTF-8, comes back exactly.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from json.encoder import encode_basestring_ascii
from typing import TYPE_CHECKING, Any, TypeAlias

from jobworker.worker.job import Exited, Job, Lost, Outcome, Signaled
from jobworker.worker.store import Reservation

if TYPE_CHECKING:
    from collections.abc import Sequence

Row: TypeAlias = tuple[Any, ...]
"""A row of a table; what is in it is the file's affair."""

JOB_COLUMNS = (
    "id",
    "command",
    "owner",
    "principal",
    "request_id",
    "start_time",
    "stop_request_time",
    "end_time",
    "exit_code",
    "signal",
    "lost",
    "by_stop",
    "killed_processes",
    "stdout_bytes",
    "stderr_bytes",
)
"""The columns of a job but for its position, in the order of `job_row`."""

CHANGE_COLUMNS = JOB_COLUMNS[6:]
"""The columns of what changes of a job once it is started, in the order of `change_row`."""

RESERVATION_COLUMNS = JOB_COLUMNS[:5]
"""The columns of a reservation but for its position, in the order of `reservation_row`."""

_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)

# A page has a thousand commands: less than json.loads does for each.
_decode = json.JSONDecoder().raw_decode


def to_text(text: str) -> str:
    """Returns a text as it stands in a row."""
    return encode_basestring_ascii(text)[1:-1]


def _from_text(text: str) -> str:
    # Without a backslash, and that is nearly all of them, it is the text itself.
    return str(json.loads(f'"{text}"')) if "\\" in text else text


def to_microseconds(time: datetime) -> int:
    """Returns a time as it stands in a row."""
    return (time - _EPOCH) // _MICROSECOND


def to_time(microseconds: int) -> datetime:
    """Returns the time that stands in a row.

    Raises:
        ValueError, TypeError: If `to_microseconds` never gave it; the fault of whoever changed the file.
    """
    try:
        return _EPOCH + timedelta(0, 0, microseconds)
    except OverflowError:
        raise ValueError(f"{microseconds} microseconds after 1970 are no time") from None


def job_row(job: Job) -> Row:
    """Returns a job's row, by `JOB_COLUMNS`."""
    start = _start_columns(job.id, job.command, job.owner, job.principal, job.request_id)
    return (*start, to_microseconds(job.start_time), *change_row(job))


def change_row(job: Job) -> Row:
    """Returns the part of a job's row that changes, by `CHANGE_COLUMNS`."""
    exit_code, signal, lost, by_stop = _outcome_columns(job.outcome)
    return (
        None if job.stop_request_time is None else to_microseconds(job.stop_request_time),
        None if job.end_time is None else to_microseconds(job.end_time),
        exit_code,
        signal,
        lost,
        by_stop,
        job.killed_processes,
        job.stdout_bytes,
        job.stderr_bytes,
    )


def job_of(row: Row) -> Job:
    """Returns the job of a row by `JOB_COLUMNS`.

    Raises:
        ValueError, TypeError: If `job_row` never made such a row; the fault of whoever changed the file.
    """
    job_id, command, owner, principal, request, start, stop_request, end, code, signal, lost, by_stop, *numbers = row
    # By position: a third faster than by name, and a page has a thousand.
    return Job(
        job_id,
        _command_of(command),
        to_time(start),
        _from_text(owner),
        _from_text(principal),
        None if request is None else _from_text(request),
        None if end is None else to_time(end),
        None if stop_request is None else to_time(stop_request),
        None if end is None else _outcome(code, signal, lost, by_stop=bool(by_stop)),
        *numbers,
    )


def reservation_row(reservation: Reservation) -> Row:
    """Returns a reservation's row, by `RESERVATION_COLUMNS`."""
    of = reservation
    return _start_columns(of.job_id, of.command, of.owner, of.principal, of.request_id)


def reservation_of(row: Row) -> Reservation:
    """Returns the reservation of a row by `RESERVATION_COLUMNS`.

    Raises:
        ValueError, TypeError: If `reservation_row` never made such a row; the fault of whoever changed the file.
    """
    job_id, command, owner, principal, request_id = row
    request = None if request_id is None else _from_text(request_id)
    return Reservation(job_id, _command_of(command), _from_text(owner), _from_text(principal), request)


def _command_of(text: str) -> tuple[str, ...]:
    try:
        command, _ = _decode(text)
    except RecursionError:
        raise ValueError("the command is nested too deeply") from None
    # By their types at once: a page has a thousand commands.
    if type(command) is not list or set(map(type, command)) - {str}:
        raise TypeError("the command is no list of words")
    return tuple(command)


def _start_columns(job_id: str, command: Sequence[str], owner: str, principal: str, request_id: str | None) -> Row:
    request = None if request_id is None else to_text(request_id)
    return job_id, json.dumps(command), to_text(owner), to_text(principal), request


def _outcome_columns(outcome: Outcome | None) -> tuple[int | None, int | None, str | None, bool]:
    match outcome:
        case Exited(code, by_stop):
            return code, None, None, by_stop
        case Signaled(signal, by_stop):
            return None, signal, None, by_stop
        case Lost(reason):
            return None, None, to_text(reason), False
        case None:
            return None, None, None, False


def _outcome(exit_code: int | None, signal: int | None, lost: str | None, *, by_stop: bool) -> Outcome:
    if exit_code is not None:
        return Exited(exit_code, by_stop)
    if signal is not None:
        return Signaled(signal, by_stop)
    return Lost(_from_text(lost or ""))
