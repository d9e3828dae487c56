"""Decides where a reading of an output stream goes on, and that nothing in it is skipped or repeated; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final

from jobworker.client.errors import ContractError


@final
@dataclass(slots=True)
class Position:
    """Where a reading is in its stream.

    Attributes:
        offset: the byte that is due next, counted from 0; while `tail_lines` is set, nobody knows it yet.
        tail_lines: how many lines before the end to begin, until the first frame tells at which byte that is.
    """

    offset: int = 0
    tail_lines: int | None = None

    def take(self, start: int, end: int) -> None:
        """Goes on from one byte to another, as a frame says.

        Args:
            start: the offset at which the frame begins.
            end: the offset at which the next one has to begin.

        Raises:
            ContractError: another byte was due, or the frame ends before it begins; the daemon's fault.
        """
        if self.tail_lines is None and start != self.offset:
            raise ContractError(f"the service sent output from byte {start} on where byte {self.offset} was due")
        if end < start:
            raise ContractError(f"the service sent output from byte {start} to byte {end}")
        self.offset, self.tail_lines = end, None

    def reached(self) -> str:
        """Returns how far the reading is, in words."""
        return f"at byte {self.offset}" if self.tail_lines is None else "before its first byte"
