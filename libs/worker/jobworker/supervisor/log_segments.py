"""One output log in segments, for file systems that can't punch holes: whole files of old output are removed.

The log is a directory of files, each named by the offset of its first byte. A job that held such a file would go on
writing to it for ever, so it writes into a pipe, and this process moves what comes to the newest segment. The pipe's
other end must therefore be served for as long as the job runs: a full pipe stops it.
"""

from __future__ import annotations

import array
import fcntl
import os
import termios
from contextlib import suppress

_LEAST_SEGMENT_BYTES = 64 << 10
_SEGMENTS_PER_LIMIT = 8
_UNLIMITED_SEGMENT_BYTES = 64 << 20

# What a pipe holds is at most as much (pipe(7)), unless the job makes it larger.
_buffer = bytearray(64 << 10)
_PIECES_PER_PUMP = 4


class SegmentWriter:
    """Writes one running job's log."""

    def __init__(self, path: str, limit: int) -> None:
        """Creates the log, with nothing in it.

        Args:
            path: The directory to be; nothing may be there yet.
            limit: How many bytes to keep at least, of what was written; 0 for all.

        Raises:
            OSError: If it can't be created, or there are no descriptors left; the disk's or the host's fault.
        """
        self.limit = limit
        self._path = path
        # The offsets at which the segments begin, that of the oldest first.
        self._starts: list[int] = []
        self._size = 0
        self._segment = self._reading = self._writing = -1
        # What was taken out of the pipe, and the disk had no room for.
        self._unwritten = b""
        os.mkdir(path, 0o700)
        try:
            self._begin_segment()
            self._reading, self._writing = os.pipe()
            os.set_blocking(self._reading, False)
        except BaseException:
            self.discard()
            raise

    def __repr__(self) -> str:
        return f"<SegmentWriter {self._path} size={self._size} segments={len(self._starts)}>"

    def fileno(self) -> int:
        """Returns the pipe's end to poll for reading: when it is ready, `pump` has something to do."""
        return self._reading

    def take_writing_end(self) -> int:
        """Returns the job's end of the pipe, which the caller has to close; to be called once."""
        writing, self._writing = self._writing, -1
        return writing

    def pump(self) -> bool:
        """Moves some of what has come to the log; a little at a time, since it is not the only thing to be done.

        Returns:
            Whether more may come: False once nobody has the pipe open for writing any more.

        Raises:
            OSError: If the disk is full, or fails. Nothing is lost: to be called again later.
        """
        self._write_rest()
        for _ in range(_PIECES_PER_PUMP):
            try:
                count = os.readv(self._reading, [_buffer])
            except BlockingIOError:
                return True
            if not count:
                return False
            self._take(count)
        return True

    def finish(self) -> int:
        """Moves what the pipe still holds, closes it, and returns the log's final size.

        Who has left the job and writes on gets SIGPIPE. What the disk has no room for is lost, and not counted.
        """
        with suppress(OSError):
            self._write_rest()
            left = array.array("i", [0])
            fcntl.ioctl(self._reading, termios.FIONREAD, left)
            while left[0] > 0:
                count = os.readv(self._reading, [memoryview(_buffer)[: left[0]]])
                left[0] -= count
                self._take(count)
        self._close()
        return self._size

    def discard(self) -> None:
        """Removes the log: the job was not started."""
        self._close()
        for start in self._starts:
            with suppress(FileNotFoundError):
                os.unlink(f"{self._path}/{start}")
        with suppress(FileNotFoundError):
            os.rmdir(self._path)

    def _take(self, count: int) -> None:
        self._unwritten = bytes(memoryview(_buffer)[:count])
        self._write_rest()

    def _write_rest(self) -> None:
        while self._unwritten:
            room = self._starts[-1] + self._segment_bytes() - self._size
            if room <= 0:
                self._begin_segment()
                continue
            written = os.write(self._segment, self._unwritten[:room])
            self._size += written
            self._unwritten = self._unwritten[written:]

    def _segment_bytes(self) -> int:
        if not self.limit:
            return _UNLIMITED_SEGMENT_BYTES
        return max(_LEAST_SEGMENT_BYTES, self.limit // _SEGMENTS_PER_LIMIT)

    def _begin_segment(self) -> None:
        path = f"{self._path}/{self._size}"
        segment = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        if self._segment >= 0:
            os.close(self._segment)
        self._segment = segment
        self._starts.append(self._size)
        # All of the oldest segment is over the limit if what comes after it reaches the limit alone.
        while self.limit and len(self._starts) > 1 and self._size - self._starts[1] >= self.limit:
            with suppress(FileNotFoundError):
                os.unlink(f"{self._path}/{self._starts[0]}")
            del self._starts[0]

    def _close(self) -> None:
        for descriptor in (self._segment, self._reading, self._writing):
            if descriptor >= 0:
                os.close(descriptor)
        self._segment = self._reading = self._writing = -1
