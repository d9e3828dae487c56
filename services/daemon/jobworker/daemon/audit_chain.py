"""The audit log's lines, and the chain that they make: each carries the hash of the one before; no I/O.

A line is a JSON object in ASCII and a line feed. It begins with `prev`, `seq`, `time` and `event`, in that order.
`prev` is the SHA-256 over the exact bytes of the line before, its line feed included, so that `tail -n 1 FILE |
sha256sum` gives what the next line will carry. The first line of a chain carries 64 zeros, and has the number 1.
"""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GENESIS = "0" * 64
"""What the first line of a chain carries."""

BEGINNING = b'{"prev":"'
"""What every line begins with."""

RECOVERED = "recovered"
"""The event of a line that tells of bytes before it that are no line: what a crash or a full disk cut off."""

_START = re.compile(rb'\{"prev":"([0-9a-f]{64})","seq":([1-9][0-9]{0,17}),"time":"[0-9T:.-]+Z","event":"([a-z_]+)"[,}]')


class MalformedLineError(ValueError):
    """Some bytes are not a line of an audit log; the message says why."""


@final
@dataclass(frozen=True, slots=True)
class Line:
    """A line of an audit log.

    Attributes:
        prev: The hash of the line before.
        seq: Its number in the chain.
        event: What it tells of.
        fields: All of it.
    """

    prev: str
    seq: int
    event: str
    fields: Mapping[str, object]


@final
@dataclass(frozen=True, slots=True)
class Head:
    """Where a chain ends.

    Attributes:
        seq: The number of the last line; 0 if there is none.
        digest: What the next line has to carry.
    """

    seq: int = 0
    digest: str = GENESIS

    def next_line(self, time: str, event: str, fields: Mapping[str, object]) -> tuple[bytes, Head]:
        """Returns the line that goes on from here, and where the chain ends with it.

        Args:
            time: The time of the event, as `2026-11-25T22:31:36.123456Z`.
            event: What it tells of.
            fields: What else it says.
        """
        whole = {"prev": self.digest, "seq": self.seq + 1, "time": time, "event": event, **fields}
        # JSON leaves one control character as it is.
        raw = json.dumps(whole, separators=(",", ":")).replace("\x7f", "\\u007f").encode() + b"\n"
        return raw, Head(self.seq + 1, digest_of(raw))

    def after(self, raw: bytes, line: Line) -> Head | None:
        """Returns where the chain ends with a line; None if it doesn't go on from here.

        Args:
            raw: The line's bytes.
            line: What they say.
        """
        if (line.prev, line.seq) != (self.digest, self.seq + 1):
            return None
        return Head(line.seq, digest_of(raw))


@final
@dataclass(frozen=True, slots=True)
class Tail:
    """How an audit log ends.

    Attributes:
        head: The last whole line.
        torn: The bytes after it.
    """

    head: Head
    torn: bytes


def digest_of(data: bytes) -> str:
    """Returns the SHA-256 of some bytes, lower-case hex."""
    return hashlib.sha256(data).hexdigest()


def parse_line(raw: bytes) -> Line:
    """Returns what a line says.

    Args:
        raw: Its bytes, the line feed included.

    Raises:
        MalformedLineError: If they are not a line; somebody changed it, or it was cut off.
    """
    if not raw.endswith(b"\n"):
        raise MalformedLineError("it was cut off: it has no line feed")
    start = _START.match(raw)
    if not start:
        raise MalformedLineError("it does not begin as a line of an audit log does")
    try:
        fields = json.loads(raw, object_pairs_hook=_once)
    except RecursionError:
        raise MalformedLineError("it is nested too deeply") from None
    except ValueError as error:
        raise MalformedLineError(f"it is no JSON object: {error}") from None
    prev, seq, event = start.groups()
    return Line(prev.decode(), int(seq), event.decode(), fields)


def recovery_fields(torn: bytes) -> dict[str, object]:
    """Returns what a line says that tells of bytes before it that are no line; a line feed at their end counts not."""
    body = torn.removesuffix(b"\n")
    return {"torn_bytes": len(body), "torn_sha256": digest_of(body)}


def completes(tail: Tail) -> Head | None:
    """Returns where the chain ends if nothing but the last line feed is missing; None if more is."""
    raw = tail.torn + b"\n"
    try:
        return tail.head.after(raw, parse_line(raw))
    except MalformedLineError:
        return None


def tail_of(data: bytes) -> Tail | None:
    """Returns how an audit log ends, from its last bytes; None if there is no whole line in them.

    Args:
        data: The last bytes of the log; they may begin in the middle of a line.
    """
    end = len(data)
    while (stop := data.rfind(b"\n", 0, end)) >= 0:
        begin = data.rfind(b"\n", 0, stop) + 1
        raw = data[begin : stop + 1]
        try:
            line = parse_line(raw)
        except MalformedLineError:
            end = stop
            continue
        return Tail(Head(line.seq, digest_of(raw)), data[stop + 1 :])
    return None


def _once(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """Makes an object of its members, none of which may come twice: readers would differ in which one counts."""
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("a name comes twice")
    return made
