"""The output logs of running jobs: made, kept within a limit while the jobs write, and measured at their end.

A log is a file that the job writes to by itself; old output is released by punching holes (`log_limits`). Where there
is a limit and the file system can't do that, it is a directory of segments, filled from a pipe (`log_segments`).
"""

from __future__ import annotations

import os
import select
import time

from jobworker.supervisor.log_limits import LogLimits
from jobworker.supervisor.log_segments import SegmentWriter

RETRY_SECONDS = 1.0
"""How long after the disk refused output it is offered again."""


class RunningLogs:
    """All running jobs' logs.

    They belong to a loop that polls `fileno` for reading, then calls `receive`, and calls `check` after `timeout`.
    """

    def __init__(self) -> None:
        """Has no log, and no limit.

        Raises:
            OSError: If there are no inotify instances or descriptors left; the host's fault.
        """
        self._limits = LogLimits()
        self._epoll = select.epoll()
        self._epoll.register(self._limits.fileno(), select.EPOLLIN)
        self._segmented: dict[str, SegmentWriter] = {}
        # The same ones by the descriptors that the epoll tells of.
        self._polled: dict[int, SegmentWriter] = {}
        # Those whose output the disk refused, and when it is offered again.
        self._stalled: list[SegmentWriter] = []
        self._retry_at = 0.0

    def __repr__(self) -> str:
        return f"<RunningLogs {self._limits!r} segmented={len(self._segmented)} stalled={len(self._stalled)}>"

    @property
    def limit(self) -> int:
        """How many bytes of each log are kept; 0 is all. A change holds for all logs."""
        return self._limits.limit

    @limit.setter
    def limit(self, limit: int) -> None:
        """Sets it anew."""
        self._limits.limit = limit
        for writer in self._segmented.values():
            writer.limit = limit

    def create(self, path: str) -> int:
        """Creates a job's log, and returns the descriptor that the job is to write to; the caller has to close it.

        Args:
            path: Where; nothing may be there yet.

        Raises:
            OSError: If it can't be created, or there are no descriptors left; the disk's or the host's fault.
        """
        if not self.limit or self._limits.can_release(path):
            # Appending, so that a job that truncates or seeks its stdout can't overwrite what readers have seen.
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_CLOEXEC
            descriptor = os.open(path, flags, 0o600)
            self._limits.watch(path)
            return descriptor
        writer = SegmentWriter(path, self.limit)
        try:
            self._poll(writer)
        except OSError:
            writer.discard()
            raise
        self._segmented[path] = writer
        return writer.take_writing_end()

    def discard(self, path: str) -> None:
        """Removes a log: its job was not started."""
        writer = self._segmented.pop(path, None)
        if writer is None:
            self._limits.forget(path)
            os.unlink(path)
        else:
            self._unpoll(writer)
            writer.discard()

    def finish(self, path: str) -> int:
        """Lets a log go whose job has ended, and returns its final size; 0 if somebody has removed it."""
        writer = self._segmented.pop(path, None)
        if writer is not None:
            self._unpoll(writer)
            return writer.finish()
        self._limits.forget(path)
        try:
            return os.stat(path).st_size
        except OSError:
            return 0

    def fileno(self) -> int:
        """Returns the descriptor to poll for reading."""
        return self._epoll.fileno()

    def receive(self) -> None:
        """Does what is to be done now; to be called when the descriptor is readable."""
        for descriptor, _ in self._epoll.poll(0):
            if writer := self._polled.get(descriptor):
                self._pump(writer)
            elif descriptor == self._limits.fileno():
                self._limits.receive()

    def timeout(self) -> float | None:
        """Returns the seconds until `check` has something to do, 0 for now; None if nothing is to be done."""
        limits = self._limits.timeout()
        if not self._stalled:
            return limits
        retry = max(0.0, self._retry_at - time.monotonic())
        return retry if limits is None else min(limits, retry)

    def check(self) -> None:
        """Does what is due; never raises."""
        self._limits.check()
        if self._stalled and time.monotonic() >= self._retry_at:
            stalled, self._stalled = self._stalled, []
            for writer in stalled:
                self._poll(writer)
                self._pump(writer)

    def close(self) -> None:
        """Gives its own descriptors back; there must be no logs."""
        self._epoll.close()
        self._limits.close()

    def _pump(self, writer: SegmentWriter) -> None:
        try:
            if not writer.pump():
                self._unpoll(writer)
        except OSError:
            self._unpoll(writer)
            self._stalled.append(writer)
            self._retry_at = time.monotonic() + RETRY_SECONDS

    def _poll(self, writer: SegmentWriter) -> None:
        self._epoll.register(writer.fileno(), select.EPOLLIN)
        self._polled[writer.fileno()] = writer

    def _unpoll(self, writer: SegmentWriter) -> None:
        if self._polled.pop(writer.fileno(), None) is not None:
            self._epoll.unregister(writer.fileno())
        if writer in self._stalled:
            self._stalled.remove(writer)
