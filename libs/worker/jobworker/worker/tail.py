"""Finds where the last lines of a stream begin, reading it backwards a chunk at a time.

A line ends with a newline, which belongs to it; the last one may lack it. Bytes are not decoded.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, final

from jobworker.worker.log_files import CHUNK_BYTES
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from jobworker.worker.log_files import OutputLog

# Most tails are short.
_FIRST_CHUNK_BYTES = 8 << 10


@final
class TailSearch:
    """The search for the beginning of the last lines; it is fed chunks, each of which ends where the one before began.

    Attributes:
        lines: How many newlines are still to be passed.
    """

    def __init__(self, lines: int) -> None:
        """Begins at the end of a stream.

        Args:
            lines: How many lines are wanted, at least 1.
        """
        self.lines = lines
        self._at_end = True

    def __repr__(self) -> str:
        return f"<TailSearch lines={self.lines}>"

    def feed(self, chunk: bytes) -> int | None:
        """Looks through the next chunk to the left.

        Args:
            chunk: Not empty.

        Returns:
            The index in the chunk at which the last lines begin, or None if they begin further to the left.
        """
        if self._at_end:
            self._at_end = False
            # The last byte of all, if it is a newline, ends the last line and parts it from nothing.
            self.lines += chunk.endswith(b"\n")
        newlines = chunk.count(b"\n")
        if newlines < self.lines:
            self.lines -= newlines
            return None
        return _nth_newline_from_end(chunk, self.lines) + 1


def _nth_newline_from_end(chunk: bytes, number: int) -> int:
    """Returns the index of the `number`th newline, counted from the end; halving it is fast however many there are."""
    low, high = 0, len(chunk)
    while high - low > 1:
        middle = (low + high) // 2
        right = chunk.count(b"\n", middle, high)
        if number <= right:
            low = middle
        else:
            number -= right
            high = middle
    return low


async def find_tail(log: OutputLog, size: int, lines: int) -> int:
    """Returns the offset at which a log's last lines begin; 0 if there are fewer, or the others were released.

    Args:
        log: The log.
        size: Where the last line ends, in bytes: output that comes meanwhile is not looked at.
        lines: How many lines, at least 0.
    """
    if not lines:
        return size
    search = TailSearch(lines)
    end, length = size, _FIRST_CHUNK_BYTES
    while end:
        begin = max(0, end - length)
        first, chunk = await _read_between(log, begin, end)
        # In a thread, since it may take as long as there are long lines.
        index = await in_thread(search.feed, chunk) if chunk else None
        if index is not None:
            return first + index
        if first > begin:
            break
        end, length = begin, min(2 * length, CHUNK_BYTES)
    return 0


async def _read_between(log: OutputLog, begin: int, end: int) -> tuple[int, bytes]:
    """Returns what a log has between two offsets, and where that begins: later than asked for if it was released."""
    data = b""
    while (offset := begin + len(data)) < end:
        first, piece = await log.read(offset, end - offset)
        if first > offset:
            begin, data = first, piece
        elif piece:
            data += piece
        else:
            break  # the job has truncated it
    return begin, data
