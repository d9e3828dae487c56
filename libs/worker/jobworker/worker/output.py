"""Output logs: the append-only files that jobs write their streams to, and news of their growth.

Jobs write to them without this process; here they are measured, read at an offset, and watched.
"""

from __future__ import annotations

import asyncio
import errno
import os
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from jobworker.worker.bus import Grew, MessageBus, stream_channel
from jobworker.worker.errors import StateDirectoryError
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker.worker.inotify import Inotify
    from jobworker.worker.job import StreamName

CHUNK_BYTES = 512 << 10
"""The most that one read returns: larger chunks made no follower faster (docs/performance.md)."""

# One buffer for all readers of this thread: each read is copied out of it before anybody else can run.
_buffer = bytearray(CHUNK_BYTES)


@final
class OutputLog:
    """One stream's log, open for reading."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __repr__(self) -> str:
        return f"<OutputLog size={self.size()}>"

    def size(self) -> int:
        """Returns how many bytes it has now."""
        return os.fstat(self._descriptor).st_size

    async def read(self, offset: int, length: int) -> bytes:
        """Returns what it has at an offset; b"" at its end.

        Args:
            offset: In bytes, from 0.
            length: How many bytes at most; `CHUNK_BYTES` is never exceeded.
        """
        chunk = self._read_cached(offset, min(length, CHUNK_BYTES))
        if chunk is None:
            # Only what must come from the disk is worth a thread.
            chunk = await asyncio.to_thread(os.pread, self._descriptor, min(length, CHUNK_BYTES), offset)
        return chunk

    def _read_cached(self, offset: int, length: int) -> bytes | None:
        """Returns what the page cache has, or None if the disk must be asked or the file system can't tell."""
        view = memoryview(_buffer)[:length]
        try:
            count = os.preadv(self._descriptor, [view], offset, os.RWF_NOWAIT)
        except BlockingIOError:
            return None
        except OSError as error:
            if error.errno == errno.EOPNOTSUPP:
                return None
            raise
        return bytes(view[:count])


@final
class OutputLogs:
    """All output logs of one worker, in one directory."""

    def __init__(self, directory: Path, inotify: Inotify, bus: MessageBus) -> None:
        self._directory = os.fspath(directory)
        self._inotify = inotify
        self._bus = bus
        # By path: the watch, and how many ask for it.
        self._watched: dict[str, tuple[int, int]] = {}

    def __repr__(self) -> str:
        return f"<OutputLogs {self._directory} watched={len(self._watched)}>"

    def path(self, job_id: str, stream: StreamName) -> str:
        """Returns the path of a log, whether or not it is there."""
        return f"{self._directory}/{job_id}.{stream}"

    def size(self, job_id: str, stream: StreamName) -> int:
        """Returns how many bytes a job has written to a stream so far; 0 if somebody removed the log."""
        return _size(self.path(job_id, stream))

    @contextmanager
    def open(self, job_id: str, stream: StreamName) -> Iterator[OutputLog]:
        """Opens a log for reading, for as long as the context lasts.

        Raises:
            ResourceExhaustedError: If there are no file descriptors left; the host's fault.
            StateDirectoryError: If the log can't be read; the fault of whoever removed it, or of the disk.
        """
        path = self.path(job_id, stream)
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            problem = f"can't read the output log: {error.strerror}"
            raise exhausted(error.errno or 0) or StateDirectoryError(self._directory, problem) from error
        try:
            yield OutputLog(descriptor)
        finally:
            os.close(descriptor)

    @contextmanager
    def watching(self, job_id: str, stream: StreamName) -> Iterator[None]:
        """Has the growth of a log published on its channel, for as long as the context lasts.

        Any number of contexts share one watch.

        Raises:
            ResourceExhaustedError: If the host allows no more watches; its fault.
        """
        path = self.path(job_id, stream)
        if path in self._watched:
            watch, users = self._watched[path]
        else:
            channel = stream_channel(job_id, stream)
            watch, users = self._inotify.add(path, lambda: self._publish(channel, path)), 0
        self._watched[path] = watch, users + 1
        try:
            yield
        finally:
            watch, users = self._watched.pop(path)
            if users > 1:
                self._watched[path] = watch, users - 1
            else:
                self._inotify.remove(watch)

    def _publish(self, channel: str, path: str) -> None:
        self._bus.publish(channel, Grew(_size(path)))


def _size(path: str) -> int:
    try:
        return os.stat(path).st_size
    except FileNotFoundError:
        return 0
