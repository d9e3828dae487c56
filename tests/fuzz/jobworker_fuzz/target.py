"""What a fuzz target is, and how it makes of plain bytes what it needs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Callable


@final
@dataclass(frozen=True, slots=True)
class Target:
    """Something that parses.

    Attributes:
        name: What it is called, and the folder of its seeds.
        check: Takes any bytes; raises if what is promised of them doesn't hold.
    """

    name: str
    check: Callable[[bytes], None]


def text(data: bytes) -> str:
    """Returns bytes as a text that may be in a message: never with half a surrogate pair."""
    return data.decode(errors="replace")


def words(data: bytes) -> list[str]:
    """Returns bytes as a command line, a word a line; what is no UTF-8 becomes what Python makes of it there."""
    return data.decode(errors="surrogateescape").replace("\0", "").splitlines()


@final
class Draw:
    """Takes values off the front of some bytes; when they are used up, all is zero and empty."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def __repr__(self) -> str:
        return f"<Draw {len(self._data)}>"

    def bytes(self, count: int) -> bytes:
        """Returns up to so many bytes."""
        taken, self._data = self._data[:count], self._data[count:]
        return taken

    def choice(self, count: int) -> int:
        """Returns a number below another."""
        return int.from_bytes(self.bytes(1)) % count

    def integer(self) -> int:
        """Returns a whole number as SQLite may hold it: 64 bits with a sign."""
        return int.from_bytes(self.bytes(8).rjust(8, b"\0"), signed=True)

    def text(self) -> str:
        """Returns a text of up to 255 bytes."""
        return text(self.bytes(self.choice(256)))
