"""inotify(7), one event a time: tells that watched files were written to, once each until they are watched again."""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_IN_MODIFY = 0x00000002  # linux/inotify.h
_IN_Q_OVERFLOW = 0x00004000
_IN_ONESHOT = 0x80000000
_EVENT = struct.Struct("iIII")
_READ_BYTES = 1 << 16

_libc = ctypes.CDLL(None, use_errno=True)
_libc.inotify_add_watch.argtypes = (ctypes.c_int, ctypes.c_char_p, ctypes.c_uint32)


def _check(result: int) -> int:
    if result < 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))
    return result


class OneShotWatches:
    """One inotify instance. A watched file costs its writers nothing after the first write."""

    def __init__(self) -> None:
        """Opens it.

        Raises:
            OSError: If there are no inotify instances or descriptors left; the host's fault.
        """
        self._descriptor = _check(_libc.inotify_init1(os.O_NONBLOCK | os.O_CLOEXEC))
        self._paths: dict[int, str] = {}
        self._watches: dict[str, int] = {}

    def __repr__(self) -> str:
        return f"<OneShotWatches watched={len(self._paths)}>"

    def fileno(self) -> int:
        """Returns the descriptor, readable when `read` has something to tell."""
        return self._descriptor

    def add(self, path: str) -> None:
        """Watches a file for its next write; one that is watched already stays so.

        Raises:
            OSError: If the file is gone, or there are no watches left; the host's fault then.
        """
        if path not in self._watches:
            watch = _check(_libc.inotify_add_watch(self._descriptor, os.fsencode(path), _IN_MODIFY | _IN_ONESHOT))
            self._watches[path] = watch
            self._paths[watch] = path

    def remove(self, path: str) -> None:
        """Watches a file no more; nothing happens if it isn't watched."""
        watch = self._watches.pop(path, None)
        if watch is not None:
            del self._paths[watch]
            # Fails if the file, and so the watch, is gone already.
            _libc.inotify_rm_watch(self._descriptor, watch)

    def read(self) -> Iterable[str]:
        """Returns the files that were written to, which are watched no more."""
        events = b""
        with suppress(BlockingIOError):
            events = os.read(self._descriptor, _READ_BYTES)
        written = []
        offset = 0
        while offset < len(events):
            watch, mask, _, length = _EVENT.unpack_from(events, offset)
            offset += _EVENT.size + length
            if mask & _IN_Q_OVERFLOW:
                # Nobody knows which were written to: all may have been.
                return self._forget_all()
            if path := self._paths.pop(watch, None):
                del self._watches[path]
                written.append(path)
        return written

    def close(self) -> None:
        """Gives the instance back, and with it all watches."""
        os.close(self._descriptor)

    def _forget_all(self) -> Iterable[str]:
        paths = tuple(self._watches)
        for path in paths:
            self.remove(path)
        return paths
