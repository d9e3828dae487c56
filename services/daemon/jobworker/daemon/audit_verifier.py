"""Finds the line of an audit log at which it was changed; no I/O.

What a crash or a full disk cut off is no line, and is no fault if the next one tells of it: `recovered`, with the
number and hash of the bytes. Such places are reported all the same.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from jobworker.daemon.audit_chain import GENESIS, RECOVERED, Head, Line, MalformedLineError, digest_of, parse_line

if TYPE_CHECKING:
    from collections.abc import Iterable


class BrokenChainError(Exception):
    """An audit log was changed, or is none; the message says where, and what is wrong."""


@final
@dataclass(slots=True)
class Report:
    """What an audit log that holds together is.

    Attributes:
        lines: How many lines it has.
        after: The hash that its first line carries.
        first: The number of its first line.
        head: Its last line.
        torn: Where there are bytes that are no line, and how many.
        unfinished: Where a call was begun of which no outcome is told, by the line's number.
        missing: The hashes that were looked for and are not among its lines'.
    """

    lines: int = 0
    after: str = GENESIS
    first: int = 1
    head: Head = field(default_factory=Head)
    torn: list[tuple[str, int]] = field(default_factory=list)
    unfinished: dict[int, str] = field(default_factory=dict)
    missing: set[str] = field(default_factory=set)


class _Suspect:
    """Bytes that do not fit: cut off, if a line that tells of them follows, else the place of a change."""

    def __init__(self, place: str, problem: str) -> None:
        self.place = place
        self.problem = problem
        self.bytes = 0
        self._sha256 = hashlib.sha256()
        self._held = b""

    def add(self, raw: bytes) -> None:
        """Adds what follows; the last line feed ends the bytes and is none of them."""
        body = raw.removesuffix(b"\n")
        self._sha256.update(self._held + body)
        self.bytes += len(self._held) + len(body)
        self._held = raw[len(body) :]

    def is_told_by(self, line: Line) -> bool:
        told = line.fields.get("torn_bytes"), line.fields.get("torn_sha256")
        return told == (self.bytes, self._sha256.hexdigest())


@final
class Verifier:
    """Takes the lines of an audit log, one after another, through all of its parts."""

    def __init__(self, expected: Iterable[str] = ()) -> None:
        """Begins a chain.

        Args:
            expected: Hashes that were kept elsewhere, each of which has to be that of a line.
        """
        self._report = Report(missing=set(expected))
        self._head: Head | None = None
        self._last_place = ""
        self._suspect: _Suspect | None = None

    def __repr__(self) -> str:
        return f"<Verifier lines={self._report.lines}>"

    def add(self, place: str, raw: bytes) -> None:
        """Takes the next line.

        Args:
            place: Where it is, for people.
            raw: Its bytes, up to and with the line feed.

        Raises:
            BrokenChainError: If it shows that the log was changed, or is none.
        """
        try:
            line = parse_line(raw)
        except MalformedLineError as error:
            self._doubt(place, raw, str(error))
            return
        head = self._after(raw, line)
        if head is None:
            self._doubt(place, raw, self._misfit(line))
            return
        self._settle(place, line)
        self._take(place, line, head)

    def report(self) -> Report:
        """Returns what was found, at the end.

        Raises:
            BrokenChainError: If the end shows that the log was changed, or is none.
        """
        if self._suspect:
            raise _broken(self._suspect)
        if self._head is None:
            raise BrokenChainError("there is no line in it")
        return self._report

    def _after(self, raw: bytes, line: Line) -> Head | None:
        if self._head is not None:
            return self._head.after(raw, line)
        # A part of a longer chain may begin anywhere in it.
        return Head(line.seq, digest_of(raw)) if (line.prev == GENESIS) == (line.seq == 1) else None

    def _doubt(self, place: str, raw: bytes, problem: str) -> None:
        if self._suspect is None:
            self._suspect = _Suspect(place, problem)
        self._suspect.add(raw)

    def _settle(self, place: str, line: Line) -> None:
        suspect, self._suspect = self._suspect, None
        if line.event == RECOVERED:
            if suspect is None:
                raise BrokenChainError(f"{place}: it tells of bytes before it that are not there")
            if suspect.is_told_by(line):
                self._report.torn.append((suspect.place, suspect.bytes))
                return
        if suspect is not None:
            raise _broken(suspect)

    def _take(self, place: str, line: Line, head: Head) -> None:
        report = self._report
        if self._head is None:
            report.after, report.first = line.prev, line.seq
        self._head = report.head = head
        self._last_place = place
        report.lines += 1
        report.missing.discard(head.digest)
        if line.event == "begin":
            report.unfinished[line.seq] = place
        elif line.event == "call" and isinstance(begun := line.fields.get("begin"), int):
            report.unfinished.pop(begun, None)

    def _misfit(self, line: Line) -> str:
        if self._head is None:
            return f"it has the number {line.seq} and carries {line.prev}, which no first line does"
        if line.seq > self._head.seq + 1:
            return f"number {self._head.seq} ({self._last_place}) is followed by number {line.seq}: lines are missing"
        if line.seq <= self._head.seq:
            return f"number {self._head.seq} ({self._last_place}) is followed by number {line.seq}: out of order"
        return (
            f"it carries the hash {line.prev}, but the line before it ({self._last_place}) has {self._head.digest}: "
            "one of them was changed"
        )


def _broken(suspect: _Suspect) -> BrokenChainError:
    return BrokenChainError(f"{suspect.place}: {suspect.problem}")
