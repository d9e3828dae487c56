"""Keeps running jobs' output logs within a limit: releases the oldest bytes, so that offsets never change.

Bytes are released by punching a hole where they were. A reader knows output from the zeros of a hole since the log's
sidecar (`jobworker.supervisor.released`) tells of the hole before it is there.

A log is looked at a pause after it was written to, so it exceeds its limit by a step, and by what is written within a
pause.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress
from typing import TYPE_CHECKING

from jobworker.supervisor.fallocate import BLOCK_BYTES, can_punch, punch
from jobworker.supervisor.released import note_released
from jobworker.supervisor.watches import OneShotWatches

if TYPE_CHECKING:
    from collections.abc import Iterable

PAUSE_SECONDS = 0.05
"""How long after a log was written to it is looked at; with the writer's speed it says how far a limit is exceeded."""

_LEAST_STEP = 64 << 10
_STEPS_PER_LIMIT = 16

# What one check may take before the rest has to wait for whatever else is to be done, a kill above all.
_BUDGET_SECONDS = 0.02


def next_first(size: int, first: int, limit: int, *, final: bool = False) -> int:
    """Returns the offset of the first byte that a log should keep from now on.

    Args:
        size: How many bytes were ever written to it.
        first: The first byte that it keeps so far.
        limit: How many bytes it may keep; 0 is any number.
        final: Whether nothing more will be written, so that steps need not be large.
    """
    wanted = (size - limit) // BLOCK_BYTES * BLOCK_BYTES
    step = BLOCK_BYTES if final else max(_LEAST_STEP, limit // _STEPS_PER_LIMIT)
    return wanted if limit and wanted - first >= step else first


class LogLimits:
    """The running jobs' logs, each of which keeps about as many bytes as the limit says.

    It belongs to a loop that polls `fileno` for reading, then calls `receive`, and calls `check` after `timeout`.
    """

    def __init__(self) -> None:
        """Prepares for logs; there is no limit yet.

        Raises:
            OSError: If there are no inotify instances or descriptors left; the host's fault.
        """
        self._limit = 0
        self._watches = OneShotWatches()
        # By path: the first byte that is kept.
        self._first: dict[str, int] = {}
        # Those to look at, the longest waiting first; the values mean nothing.
        self._due: dict[str, None] = {}
        self._check_at: float | None = None
        # By directory.
        self._can_punch: dict[str, bool] = {}

    def __repr__(self) -> str:
        return f"<LogLimits limit={self._limit} logs={len(self._first)} due={len(self._due)}>"

    @property
    def limit(self) -> int:
        """How many bytes of each log are kept; 0 is all. A change holds for all logs from the next check on."""
        return self._limit

    @limit.setter
    def limit(self, limit: int) -> None:
        """Sets it anew."""
        if limit != self._limit:
            self._limit = limit
            self._note(self._first)

    def fileno(self) -> int:
        """Returns the descriptor to poll for reading."""
        return self._watches.fileno()

    def can_release(self, path: str) -> bool:
        """Returns whether the file system that a log is on, or is to be on, can give back its oldest bytes.

        Raises:
            OSError: If no file can be made there to try it; the disk's fault, or of whoever chose the directory.
        """
        directory = os.path.dirname(path)
        if directory not in self._can_punch:
            self._can_punch[directory] = can_punch(directory)
        return self._can_punch[directory]

    def watch(self, path: str) -> None:
        """Takes a running job's log into its care; never raises, since a job runs whether or not its log is watched."""
        self._first[path] = 0
        # Looked at once in any case: it may have been written to already.
        if self._limit:
            self._note([path])

    def forget(self, path: str) -> None:
        """Lets a log go whose job has ended, after a last check; nothing happens if it isn't in its care."""
        if path in self._first:
            self._watches.remove(path)
            self._due.pop(path, None)
            with suppress(OSError):
                self._release(path, final=True)
            del self._first[path]

    def receive(self) -> None:
        """Takes note of which logs were written to; to be called when the descriptor is readable."""
        self._note(self._watches.read())

    def timeout(self) -> float | None:
        """Returns the seconds until `check` has something to do, 0 for now; None if nothing is to be done."""
        return None if self._check_at is None else max(0.0, self._check_at - time.monotonic())

    def check(self) -> None:
        """Releases what is beyond the limit, of the logs that were written to, if it is time; never raises."""
        if self.timeout() != 0:
            return
        now = time.monotonic()
        self._check_at = None
        waiting, self._due = self._due, {}
        for path in tuple(waiting):
            if time.monotonic() - now > _BUDGET_SECONDS:
                break
            del waiting[path]
            self._look_at(path)
        if waiting:
            self._due = {**waiting, **self._due}
            self._check_at = now

    def close(self) -> None:
        """Gives its descriptor back."""
        self._watches.close()

    def _note(self, paths: Iterable[str]) -> None:
        self._due.update(dict.fromkeys(path for path in paths if path in self._first))
        if self._due and self._check_at is None:
            self._check_at = time.monotonic() + PAUSE_SECONDS

    def _look_at(self, path: str) -> None:
        if not self._limit:
            return
        try:
            # Watched before it is measured, so that no write falls between.
            self._watches.add(path)
        except OSError:
            # Out of watches, say: until there are some, it is looked at after each pause.
            self._note([path])
        try:
            self._release(path)
        except FileNotFoundError:
            self._due.pop(path, None)
            self._watches.remove(path)
            del self._first[path]
        except OSError:
            pass  # out of descriptors, say; the next write is another chance

    def _release(self, path: str, *, final: bool = False) -> None:
        before = self._first[path]
        first = next_first(os.stat(path).st_size, before, self._limit, final=final)
        if first == before or not self.can_release(path):
            return
        descriptor = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            note_released(path, first)
            self._first[path] = first
            # From the very beginning, so that nothing is left of a hole that failed.
            punch(descriptor, first)
        finally:
            os.close(descriptor)
