"""The audit log: lines of many calls are written and synced together, in a thread, in the order in which they came."""

from __future__ import annotations

import asyncio
import logging
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, final

from jobworker.daemon.audit_file import Entry
from jobworker.daemon.errors import AuditUnwritableError, ConfigurationError
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from jobworker.daemon.audit_file import Appended, AuditFile
    from jobworker.daemon.counters import Counters

_logger = logging.getLogger(__name__)

# How many outcomes that can't be written wait for better times; beyond that they are counted.
_MOST_KEPT = 1000
# The last hash goes to the daemon's log as well, which is kept elsewhere, at least every so many lines.
_ANCHOR_LINES = 1000
# What an outcome says beyond the announcement of its call, in bytes, generously.
_OUTCOME_BYTES = 1024


@final
@dataclass(slots=True)
class _Line:
    """A line on its way.

    Attributes:
        entry: What it is to say.
        number: Set to its number once it is on disk, or to None if it can't be written; None if nobody waits.
        is_kept: Whether it is kept until it can be written.
    """

    entry: Entry
    number: asyncio.Future[int | None] | None
    is_kept: bool


@final
class AuditLog:
    """Takes lines in the event loop; `run` writes them. What has happened is kept until it can be written."""

    def __init__(self, file: AuditFile, counters: Counters) -> None:
        """Prepares a log.

        Args:
            file: The file, which stays the caller's.
            counters: What counts the lines, and how often they could not be written.
        """
        self._file = file
        self._counters = counters
        self._queue: list[_Line] = []
        self._kept: list[_Line] = []
        self._lost = 0
        self._reserved: dict[int, int] = {}
        self._wake = asyncio.Event()
        self._is_closing = self._is_failing = self._must_reopen = False
        self._anchored = file.head.seq

    def __repr__(self) -> str:
        return f"<AuditLog {self._file!r} queued={len(self._queue)} kept={len(self._kept)}>"

    async def begin(self, fields: Mapping[str, object]) -> int:
        """Writes that a call begins, and returns the line's number once it is on disk, with space for the outcome.

        Args:
            fields: Who asks for what.

        Raises:
            AuditUnwritableError: If the log can't be written; nothing may be changed then. The host's fault.
        """
        number = await self._put("begin", fields, is_kept=False)
        if number is None:
            raise AuditUnwritableError
        return number

    async def record(self, event: str, fields: Mapping[str, object]) -> bool:
        """Writes what has happened, and returns once it is on disk; False if it isn't, and is kept.

        Args:
            event: What has happened.
            fields: What else is to be said.
        """
        return await self._put(event, fields, is_kept=True) is not None

    def record_soon(self, event: str, fields: Mapping[str, object]) -> None:
        """Writes what has happened, for which nobody waits; see `record`."""
        self._queue.append(_Line(Entry(_now(), event, fields), None, is_kept=True))
        self._wake.set()

    def reopen(self) -> None:
        """Has the file opened anew, before more is written; see `AuditFile.reopen`."""
        self._must_reopen = True
        self._wake.set()

    def close(self) -> None:
        """Has `run` end, once all is written that can be."""
        self._is_closing = True
        self._wake.set()

    async def run(self) -> None:
        """Writes what comes, until the log is closed."""
        self._anchor("opened")
        if self._file.torn:
            _logger.error("audit_log_torn", extra={"fields": {"bytes": len(self._file.torn)}})
        while not self._is_closing:
            await self._wake.wait()
            self._wake.clear()
            is_anew = self._must_reopen
            if is_anew:
                self._must_reopen = False
                await self._reopen()
            if self._queue or (is_anew and self._kept):
                await self._write()
        while self._queue:
            await self._write()
        if self._kept:
            _logger.error("audit_log_lost", extra={"fields": {"lines": len(self._kept) + self._lost}})
        self._anchor("closed")

    def _put(self, event: str, fields: Mapping[str, object], *, is_kept: bool) -> asyncio.Future[int | None]:
        number: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
        self._queue.append(_Line(Entry(_now(), event, fields), number, is_kept))
        self._wake.set()
        return number

    async def _write(self) -> None:
        lines = [*self._kept, *self._queue]
        self._kept, self._queue = [], []
        entries = [line.entry for line in lines]
        if self._lost:
            entries.append(Entry(_now(), "lost", {"count": self._lost}))
        for line in lines:
            self._reserved.pop(_number_of_call(line.entry), 0)
        announced = sum(_outcome_size(line.entry) for line in lines if line.entry.event == "begin")
        appended = await in_thread(self._file.append, entries, announced + sum(self._reserved.values()))
        self._settle(lines, appended)
        if appended.error:
            self._counters.add("jobworker_audit_failures_total")
        for entry in entries[: len(appended.numbers)]:
            self._counters.add("jobworker_audit_lines_total", f"event={entry.event}")
        if len(appended.numbers) == len(entries):
            self._lost = 0
        self._tell(appended.error)
        if self._file.head.seq >= self._anchored + _ANCHOR_LINES:
            self._anchor("written")

    def _settle(self, lines: Sequence[_Line], appended: Appended) -> None:
        for index, line in enumerate(lines):
            number = appended.numbers[index] if index < len(appended.numbers) else None
            if number is None and line.is_kept:
                if len(self._kept) < _MOST_KEPT:
                    self._kept.append(_Line(line.entry, None, is_kept=True))
                else:
                    self._lost += 1
            if number is not None and line.entry.event == "begin":
                self._reserved[number] = _outcome_size(line.entry)
            if line.number and not line.number.done():
                line.number.set_result(number)

    def _tell(self, error: OSError | None) -> None:
        """Says it once when the log can't be written, and once when it can again."""
        if bool(error) != self._is_failing:
            self._is_failing = bool(error)
            if error:
                fields = {"path": self._file.path, "error": error.strerror or error, "kept": len(self._kept)}
                _logger.error("audit_log_unwritable", extra={"fields": fields})
            else:
                self._anchor("writable_again")

    async def _reopen(self) -> None:
        try:
            is_other = await in_thread(self._file.reopen)
        except ConfigurationError as error:
            _logger.error("audit_log_not_reopened", extra={"fields": {"error": error}})  # noqa: TRY400 - it says all
        else:
            self._anchor("reopened" if is_other else "unchanged")

    def _anchor(self, why: str) -> None:
        """Tells the daemon's log how the chain ends, so that it is kept in two places."""
        head = self._file.head
        self._anchored = head.seq
        fields = {"path": self._file.path, "is": why, "seq": head.seq, "last": head.digest}
        _logger.info("audit_log", extra={"fields": fields})


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


def _number_of_call(entry: Entry) -> int:
    number = entry.fields.get("begin", 0)
    return number if isinstance(number, int) else 0


def _outcome_size(entry: Entry) -> int:
    """Returns how long the outcome of an announced call can be, in bytes: JSON makes at most six of one."""
    argv = entry.fields.get("argv", ())
    return _OUTCOME_BYTES + (sum(6 * len(each.encode()) + 3 for each in argv) if isinstance(argv, list) else 0)
