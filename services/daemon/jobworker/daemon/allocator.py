"""Keeps glibc's allocator from hoarding what floods of connections, and many readers at once, have used."""

from __future__ import annotations

import asyncio
import ctypes
from typing import final

# From malloc.h: how many arenas there may be.
_M_ARENA_MAX = -8
_ARENAS = 2
# So much was sent since memory was last given back that it is worth the while: to give back 90 MiB takes 3 ms, and what
# is needed again comes from the kernel page by page, at 0.4 ms a MiB.
_WORTHWHILE_BYTES = 8 << 20
# For how long nothing was sent, so that it will not be needed again at once.
_QUIET_SECONDS = 0.5


def bound_arenas() -> bool:
    """Bounds what memory the allocator keeps to itself; returns whether it could be told, as glibc's can.

    grpc's library has threads, and each takes an arena of its own, up to eight a processor. What many connections have
    used is then scattered over all of them and hardly ever given back: after 14 times 3,000 half-open connections the
    process had 364 MiB, and went on growing; with two arenas it stays at some 220 MiB. Has to come before the threads.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, OSError):
        return False
    return bool(mallopt(_M_ARENA_MAX, _ARENAS))


def give_back() -> bool:
    """Gives the system the memory that the allocator has and nothing needs; returns whether there was any.

    By itself glibc gives back what lies at the end of an arena alone. Of 100 followers that had got 1 MiB each, 1 MiB
    each stayed with the process, of which 0.1 MiB was in use.
    """
    try:
        trim = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return False
    trim.argtypes = (ctypes.c_size_t,)
    return bool(trim(0))


@final
class Heap:
    """Gives memory back once readers have got their output and are quiet; it belongs to the event loop."""

    def __init__(self) -> None:
        """Knows of nothing that was sent."""
        self._sent = 0
        self._sent_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<Heap sent={self._sent}>"

    def sent(self, size: int) -> None:
        """Notes that a message of so many bytes was sent."""
        loop = asyncio.get_running_loop()
        self._sent += size
        self._sent_at = loop.time()
        if self._timer is None and self._sent >= _WORTHWHILE_BYTES:
            self._timer = loop.call_later(_QUIET_SECONDS, self._look)

    def close(self) -> None:
        """Gives nothing back any more."""
        if self._timer is not None:
            self._timer.cancel()

    def _look(self) -> None:
        loop = asyncio.get_running_loop()
        quiet_at = self._sent_at + _QUIET_SECONDS
        if loop.time() < quiet_at:
            self._timer = loop.call_at(quiet_at, self._look)
            return
        self._timer, self._sent = None, 0
        give_back()
