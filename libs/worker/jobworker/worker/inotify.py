"""inotify(7) for asyncio: tells when watched files were written to, or replaced; it knows nothing of jobs."""

from __future__ import annotations

import asyncio
import ctypes
import errno
import os
import struct
from typing import TYPE_CHECKING, final

from jobworker.worker.errors import ResourceExhaustedError
from jobworker.worker.refusals import exhausted

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from types import TracebackType
    from typing import Self

# linux/inotify.h
_IN_MODIFY = 0x00000002
_IN_ATTRIB = 0x00000004
_IN_CLOSE_WRITE = 0x00000008
_IN_MOVED_FROM = 0x00000040
_IN_MOVED_TO = 0x00000080
_IN_CREATE = 0x00000100
_IN_DELETE = 0x00000200
_IN_DELETE_SELF = 0x00000400
_IN_Q_OVERFLOW = 0x00004000
_IN_IGNORED = 0x00008000
_IN_ONLYDIR = 0x01000000
_ENTRIES = _IN_ATTRIB | _IN_CLOSE_WRITE | _IN_MOVED_FROM | _IN_MOVED_TO | _IN_CREATE | _IN_DELETE | _IN_ONLYDIR
_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 16

PAUSE_SECONDS = 0.001
"""How long events are left to gather in the kernel once some were read: interrupt moderation, as network cards do it.

News of a quiet file is never late, since nothing was read just before. A file that is written to without a break is
told of once in one to two milliseconds: otherwise each write would wake this process, which costs the writer more than
the write itself (docs/performance.md). Nor are its writes watched meanwhile, since an event that the kernel merges with
the one before still costs the writer of a small line two thirds of the write itself.
"""

_libc = ctypes.CDLL(None, use_errno=True)


# inotify(7) gives these two meanings of its own.
_EXHAUSTED = {
    errno.EMFILE: (
        "inotify instances or file descriptors",
        "raise the host's limit (fs.inotify.max_user_instances) or the worker's (ulimit -n)",
    ),
    errno.ENOSPC: (
        "inotify watches",
        "wait for follows to end, or raise the host's limit (fs.inotify.max_user_watches)",
    ),
}


def _check(result: int, path: str) -> int:
    """Returns what a call returned, or raises what its errno means."""
    if result >= 0:
        return result
    error = ctypes.get_errno()
    if error in _EXHAUSTED:
        raise ResourceExhaustedError(*_EXHAUSTED[error])
    raise exhausted(error) or OSError(error, os.strerror(error), path)


def _name_of(events: bytes, offset: int) -> bytes:
    """Returns the name that the event at an offset has behind it, without what fills it up."""
    *_, length = _EVENT.unpack_from(events, offset)
    begin = offset + _EVENT.size
    return events[begin : begin + length].rstrip(b"\0")


@final
class Inotify:
    """One inotify instance: an async context manager of a running event loop."""

    def __init__(self) -> None:
        self._descriptor = -1
        self._callbacks: dict[int, Callable[[], None]] = {}
        # Of watches that are about some entries of a directory alone: which ones.
        self._names: dict[int, frozenset[bytes]] = {}
        # Of watches of writes to files: the files.
        self._paths: dict[int, str] = {}
        self._muted: list[int] = []
        self._resumption: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Inotify watches={len(self._callbacks)}>"

    async def __aenter__(self) -> Self:
        """Opens it.

        Raises:
            ResourceExhaustedError: If the host allows no more instances; the host's fault.
        """
        self._descriptor = _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC), "inotify")
        self._listen()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._resumption is not None:
            self._resumption.cancel()
        asyncio.get_running_loop().remove_reader(self._descriptor)
        os.close(self._descriptor)
        self._descriptor = -1

    def add(self, path: str, callback: Callable[[], None]) -> int:
        """Watches a file, or the files of a directory.

        Args:
            path: The file or directory; it is watched once at a time.
            callback: Called in the event loop after the file was written to, once for any number of writes; and once
                more when it is quiet again, though it may not have been.

        Returns:
            The watch, for `remove`.

        Raises:
            ResourceExhaustedError: If the host allows no more watches (fs.inotify.max_user_watches); its fault.
            OSError: If the file can't be watched, for example since it isn't there; a bug of the caller's.
        """
        watch = _check(self._watch(path, _IN_MODIFY), path)
        self._callbacks[watch] = callback
        self._paths[watch] = path
        return watch

    def add_entries(self, directory: str, names: Iterable[str], callback: Callable[[], None]) -> int:
        """Watches some entries of a directory, whether they are there or not; links are not followed.

        Args:
            directory: The directory; it is watched once at a time, and to watch it again replaces names and callback.
            names: The entries' names.
            callback: Called in the event loop after such an entry came, went, was replaced, had its permissions
                changed, or was closed by who had written to it; once for any number of these.

        Returns:
            The watch, for `remove`.

        Raises:
            ResourceExhaustedError: If the host allows no more watches (fs.inotify.max_user_watches); its fault.
            OSError: If the directory can't be watched, for example since it isn't there or may not be read.
        """
        watch = _check(self._watch(directory, _ENTRIES), directory)
        self._callbacks[watch] = callback
        self._names[watch] = frozenset(map(os.fsencode, names))
        return watch

    def remove(self, watch: int) -> None:
        """Ends a watch; its callback is not called again."""
        del self._callbacks[watch]
        self._names.pop(watch, None)
        self._paths.pop(watch, None)
        # Fails if the file, and so the watch, is gone already.
        _libc.inotify_rm_watch(self._descriptor, watch)

    def _watch(self, path: str, mask: int) -> int:
        """Watches a path, or changes what is watched of it; returns the watch, or -1 with an errno."""
        return int(_libc.inotify_add_watch(self._descriptor, os.fsencode(path), mask))

    def _listen(self) -> None:
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def _resume(self) -> None:
        muted, self._muted = self._muted, []
        for watch in muted:
            if watch in self._paths:
                self._watch(self._paths[watch], _IN_MODIFY)
                # What was written before that.
                self._callbacks[watch]()
        self._listen()

    def _read(self) -> None:
        loop = asyncio.get_running_loop()
        loop.remove_reader(self._descriptor)
        self._resumption = loop.call_later(PAUSE_SECONDS, self._resume)
        events = os.read(self._descriptor, _READ_BYTES)
        watches: set[int] = set()
        offset = 0
        while offset < len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, offset)
            if mask & _IN_Q_OVERFLOW:
                # Nobody knows which files changed: all may have.
                watches.update(self._callbacks)
            elif mask & _IN_IGNORED or watch not in self._names or _name_of(events, offset) in self._names[watch]:
                watches.add(watch)
            offset += _EVENT.size + length
        for watch in watches:
            if callback := self._callbacks.get(watch):
                callback()
        # What is written before this is told of by `_resume`, too.
        self._muted = [watch for watch in watches if watch in self._paths]
        for watch in self._muted:
            self._watch(self._paths[watch], _IN_DELETE_SELF)  # something must be watched; this comes once at most
