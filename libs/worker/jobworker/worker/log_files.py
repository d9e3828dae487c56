"""One output log, open for reading: a file whose oldest bytes may be a hole, or a directory of segments.

What is read is exact whatever is released meanwhile: bytes that are gone are told, never made up.
"""

from __future__ import annotations

import bisect
import errno
import os
from typing import Protocol, final

from jobworker.supervisor.released import first_kept
from jobworker.worker.threads import in_thread

CHUNK_BYTES = 512 << 10
"""The most that one read returns: larger chunks made no follower faster (docs/performance.md)."""

# One buffer for all readers of this thread: each read is copied out of it before anybody else can run.
_buffer = bytearray(CHUNK_BYTES)


class OutputLog(Protocol):
    """One stream's log, open for reading by any number of readers at once."""

    def close(self) -> None:
        """Closes it; to be called once."""

    def size(self) -> int:
        """Returns how many bytes were ever written to it."""

    async def read(self, offset: int, length: int) -> tuple[int, bytes]:
        """Returns what it has at an offset, or at the first kept byte if that is further on.

        Args:
            offset: In bytes, from 0.
            length: How many bytes at most, at least 1; `CHUNK_BYTES` is never exceeded.

        Returns:
            Where the data begins: at `offset`, or later if what lies between was released. And the data: b"" at the
            end, and perhaps where it begins later.
        """


@final
class WholeLog:
    """A log in one file."""

    def __init__(self, path: str) -> None:
        """Opens it.

        Args:
            path: Where it is.

        Raises:
            OSError: If it can't be opened.
        """
        self._path = path
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def __repr__(self) -> str:
        return f"<WholeLog {self._path}>"

    def close(self) -> None:
        """See `OutputLog.close`."""
        os.close(self._descriptor)

    def size(self) -> int:
        """See `OutputLog.size`."""
        return os.fstat(self._descriptor).st_size

    async def read(self, offset: int, length: int) -> tuple[int, bytes]:
        """See `OutputLog.read`."""
        data = await _read(self._descriptor, offset, length)
        # After the reading: what had not been released by now was none of a hole's zeros then.
        first = first_kept(self._path)
        return (offset, data) if first <= offset else (first, data[first - offset :])


@final
class SegmentedLog:
    """A log in segments (`jobworker.supervisor.log_segments`), of which the oldest are removed."""

    def __init__(self, path: str) -> None:
        """Opens it.

        Args:
            path: Where its directory is.

        Raises:
            OSError: If it can't be opened.
        """
        self._path = path
        self._directory = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def __repr__(self) -> str:
        return f"<SegmentedLog {self._path}>"

    def close(self) -> None:
        """See `OutputLog.close`."""
        os.close(self._directory)

    def size(self) -> int:
        """See `OutputLog.size`."""
        while starts := self._starts():
            try:
                return starts[-1] + os.stat(str(starts[-1]), dir_fd=self._directory).st_size
            except FileNotFoundError:
                continue  # it was the oldest meanwhile
        return 0

    async def read(self, offset: int, length: int) -> tuple[int, bytes]:
        """See `OutputLog.read`."""
        while starts := self._starts():
            start = starts[max(0, bisect.bisect_right(starts, offset) - 1)]
            try:
                # Once it is open, its removal takes nothing from it.
                descriptor = os.open(str(start), os.O_RDONLY | os.O_CLOEXEC, dir_fd=self._directory)
            except FileNotFoundError:
                continue
            try:
                begin = max(start, offset)
                return begin, await _read(descriptor, begin - start, length)
            finally:
                os.close(descriptor)
        return offset, b""  # all of it was removed

    def _starts(self) -> list[int]:
        return sorted(map(int, os.listdir(self._directory)))


async def _read(descriptor: int, offset: int, length: int) -> bytes:
    length = min(length, CHUNK_BYTES)
    data = _read_cached(descriptor, offset, length)
    if data is None:
        # Only what must come from the disk is worth a thread.
        data = await in_thread(os.pread, descriptor, length, offset)
    return data


def _read_cached(descriptor: int, offset: int, length: int) -> bytes | None:
    """Returns what the page cache has, or None if the disk must be asked or the file system can't tell."""
    view = memoryview(_buffer)[:length]
    try:
        count = os.preadv(descriptor, [view], offset, os.RWF_NOWAIT)
    except BlockingIOError:
        return None
    except OSError as error:
        if error.errno == errno.EOPNOTSUPP:
            return None
        raise
    return bytes(view[:count])
