"""Output logs: the append-only files that jobs write their streams to, and news of their growth.

Jobs write to them without this process, and the supervisor releases their oldest bytes; here they are measured, read at
an offset, watched, and removed.
"""

from __future__ import annotations

import os
import shutil
import stat
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, final

from jobworker.supervisor.released import sidecars
from jobworker.worker.bus import Grew, MessageBus, stream_channel
from jobworker.worker.errors import StateDirectoryError
from jobworker.worker.job import STREAMS
from jobworker.worker.log_files import OutputLog, SegmentedLog, WholeLog
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker.worker.inotify import Inotify
    from jobworker.worker.job import Job, StreamName

_DISCARDED = ".discarded-"
# Logs up to this size are removed where they are: that takes less than to have a thread do it (docs/performance.md).
_SMALL_BYTES = 64 << 10


@final
class OutputLogs:
    """All output logs of one worker, in one directory."""

    def __init__(self, directory: Path, inotify: Inotify, bus: MessageBus) -> None:
        self._directory = os.fspath(directory)
        self._inotify = inotify
        self._bus = bus
        # By path: the log, and how many read it.
        self._opened: dict[str, tuple[OutputLog, int]] = {}
        # By path: the watch, and how many ask for it.
        self._watched: dict[str, tuple[int, int]] = {}
        # By path: the size that was published last.
        self._published: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<OutputLogs {self._directory} opened={len(self._opened)} watched={len(self._watched)}>"

    def path(self, job_id: str, stream: StreamName) -> str:
        """Returns the path of a log, whether or not it is there."""
        return f"{self._directory}/{job_id}.{stream}"

    def size(self, job_id: str, stream: StreamName) -> int:
        """Returns how many bytes a job has written to a stream so far; 0 if its log isn't there."""
        return _size(self.path(job_id, stream))

    def measured(self, job: Job) -> Job:
        """Returns a job with the sizes that its output has now; a finished one's are known."""
        if job.state.is_final:
            return job
        return job.with_sizes(*(self.size(job.id, stream) for stream in STREAMS))

    def remove(self, job_id: str) -> None:
        """Removes a job's logs, whether or not they are there.

        Who reads them has to be ended before (`LogReaders.end_job`).

        Raises:
            StateDirectoryError: If they can't be removed; the fault of whoever changed the directory, or of the disk.
        """
        with self._removing():
            self.empty(self._move(job_id))

    def discard(self, job: Job) -> str | None:
        """Removes a finished job's logs if they are small, or else moves them out of the way: neither takes long.

        Whether or not they are there.

        Returns:
            What to `empty`; None if nothing is left.

        Raises:
            StateDirectoryError: If they can't be removed; the fault of whoever changed the directory, or of the disk.
        """
        with self._removing():
            if all(job.written(stream) <= _SMALL_BYTES for stream in STREAMS):
                with suppress(IsADirectoryError):  # a log in segments
                    for part in self._parts(job.id):
                        with suppress(FileNotFoundError):
                            os.unlink(part)
                    return None
            return self._move(job.id)

    def _move(self, job_id: str) -> str:
        discarded = f"{self._directory}/{_DISCARDED}{job_id}"
        os.makedirs(discarded, mode=0o700, exist_ok=True)
        for part in self._parts(job_id):
            with suppress(FileNotFoundError):
                os.rename(part, f"{discarded}/{os.path.basename(part)}")
        return discarded

    def _parts(self, job_id: str) -> Iterator[str]:
        """Yields the paths of all that a job's logs may consist of."""
        for path in (self.path(job_id, stream) for stream in STREAMS):
            yield path
            yield from sidecars(path)

    @contextmanager
    def _removing(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            problem = f"can't remove an output log: {error.strerror}"
            raise StateDirectoryError(self._directory, problem) from error

    def discarded(self) -> list[str]:
        """Returns all that was discarded and not emptied, since the worker before this one was killed, say."""
        with suppress(OSError):
            names = os.listdir(self._directory)
            return [f"{self._directory}/{name}" for name in names if name.startswith(_DISCARDED)]
        return []

    @staticmethod
    def empty(discarded: str) -> None:
        """Removes what was discarded; may run in a thread, since large logs take a while."""
        shutil.rmtree(discarded, ignore_errors=True)

    @contextmanager
    def open(self, job: Job, stream: StreamName) -> Iterator[OutputLog]:
        """Opens a log for reading, for as long as the context lasts.

        Any number of contexts share one descriptor. The log of a finished job that wrote nothing need not be there.

        Raises:
            ResourceExhaustedError: If there are no file descriptors left; the host's fault.
            StateDirectoryError: If the log can't be read; the fault of whoever removed it, or of the disk.
        """
        is_empty = job.state.is_final and not job.written(stream)
        path = os.devnull if is_empty else self.path(job.id, stream)
        log, users = self._opened.get(path) or (self._open(path), 0)
        self._opened[path] = log, users + 1
        try:
            yield log
        finally:
            log, users = self._opened.pop(path)
            if users > 1:
                self._opened[path] = log, users - 1
            else:
                log.close()

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
                self._published.pop(path, None)

    def _open(self, path: str) -> OutputLog:
        try:
            return SegmentedLog(path) if os.path.isdir(path) else WholeLog(path)
        except OSError as error:
            problem = f"can't read the output log: {error.strerror}"
            raise exhausted(error.errno or 0) or StateDirectoryError(self._directory, problem) from error

    def _publish(self, channel: str, path: str) -> None:
        size = _size(path)
        if size != self._published.get(path):
            self._published[path] = size
            self._bus.publish(channel, Grew(size))


def _size(path: str) -> int:
    try:
        status = os.stat(path)
        if not stat.S_ISDIR(status.st_mode):
            return status.st_size
        log = SegmentedLog(path)
    except FileNotFoundError:
        return 0
    try:
        return log.size()
    finally:
        log.close()
