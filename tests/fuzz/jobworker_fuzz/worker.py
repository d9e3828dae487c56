"""What a worker is given, and what it finds in its job store."""

from __future__ import annotations

import uuid
from contextlib import suppress
from typing import TYPE_CHECKING

from jobworker.worker import InvalidJobIdError, InvalidPageTokenError, InvalidRequestIdError
from jobworker.worker.arguments import check_job_id, check_request_id
from jobworker.worker.page_tokens import PageTokens
from jobworker.worker.sqlite_rows import (
    JOB_COLUMNS,
    RESERVATION_COLUMNS,
    job_of,
    job_row,
    reservation_of,
    reservation_row,
)
from jobworker_fuzz.target import Draw, Target, text

if TYPE_CHECKING:
    from jobworker.worker.job import Job
    from jobworker.worker.sqlite_rows import Row

_TOKENS = PageTokens(b"any key of these tests")
_VIEW = frozenset(("ci",))
_VIEWS = (None, frozenset[str](), _VIEW, frozenset(("ci", "\ud800")))
_TEXTS = frozenset(("id", "command", "owner", "principal", "request_id", "lost"))
_MAY_BE_NULL = frozenset(("request_id", "stop_request_time", "end_time", "exit_code", "signal", "lost"))


def _ids(data: bytes) -> None:
    given = text(data)
    with suppress(InvalidJobIdError):
        prefix = check_job_id(given)
        assert prefix == given.lower()
        assert str(uuid.UUID(prefix + "00000000-0000-4000-8000-000000000000"[len(prefix) :])).startswith(prefix)
    with suppress(InvalidRequestIdError):
        request_id = check_request_id(given)
        assert request_id == (str(uuid.UUID(given)) if given else None)


def _page_tokens(data: bytes) -> None:
    given = text(data)
    for view in _VIEWS:
        with suppress(InvalidPageTokenError):
            assert _TOKENS.encode(_TOKENS.decode(given, view), view) == given
    # Of what was given out, each byte and the view count.
    position = int.from_bytes(data[:8])
    token = _TOKENS.encode(position, _VIEW)
    assert _TOKENS.decode(token, _VIEW) == position
    at = int.from_bytes(data[8:9]) % len(token)
    changed = f"{token[:at]}{data[9:10].decode('latin-1')}{token[at + 1 :]}"
    for other in {changed, token[:-1], f"{token}=", token.swapcase()} - {token}:
        assert not _understood(other, _VIEW)
    assert not any(_understood(token, view) for view in _VIEWS if view != _VIEW)


def _understood(token: str, view: frozenset[str] | None) -> bool:
    try:
        _TOKENS.decode(token, view)
    except InvalidPageTokenError:
        return False
    return True


def _rows(data: bytes) -> None:
    draw = Draw(data)
    with suppress(ValueError, TypeError):
        job = job_of(_row(draw, JOB_COLUMNS))
        _check_job(job)
        assert job_of(job_row(job)) == job
    with suppress(ValueError, TypeError):
        reservation = reservation_of(_row(draw, RESERVATION_COLUMNS))
        assert all(isinstance(word, str) for word in reservation.command)
        assert reservation_of(reservation_row(reservation)) == reservation


def _row(draw: Draw, columns: tuple[str, ...]) -> Row:
    return tuple(_value(draw, column) for column in columns)


def _value(draw: Draw, column: str) -> object:
    if column in _MAY_BE_NULL and draw.choice(2):
        return None
    return draw.text() if column in _TEXTS else draw.integer()


def _check_job(job: Job) -> None:
    assert all(isinstance(word, str) for word in job.command)
    assert job.state.is_final == (job.end_time is not None)


TARGETS = (
    Target("ids", _ids),
    Target("page_tokens", _page_tokens),
    Target("sqlite_rows", _rows),
)
"""The targets of the worker."""
