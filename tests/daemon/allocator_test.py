"""The allocator can be told here; what that is good for is measured elsewhere."""

from __future__ import annotations

import asyncio
import ctypes
import os
from contextlib import closing

import pytest

from jobworker.daemon import allocator
from jobworker.daemon.allocator import Heap, bound_arenas, give_back
from jobworker_testing import resident_bytes

GLIBC = pytest.mark.skipif("CS_GNU_LIBC_VERSION" not in os.confstr_names, reason="another C library")
MIB = 1 << 20


@GLIBC
def test_glibc_takes_it() -> None:
    """Glibc knows the parameter, and says so."""
    assert bound_arenas()


@GLIBC
def test_memory_that_nothing_needs_is_given_back() -> None:
    """Also where what lies behind it is in use, which is what keeps glibc from it."""
    libc = ctypes.CDLL(None)
    libc.malloc.restype = ctypes.c_void_p
    libc.free.argtypes = (ctypes.c_void_p,)
    blocks = [libc.malloc(64 << 10) for _ in range(1024)]
    for block in blocks:
        ctypes.memset(block, 1, 64 << 10)
    kept, dropped = blocks[::16], [block for number, block in enumerate(blocks) if number % 16]
    for block in dropped:
        libc.free(block)
    before = resident_bytes(os.getpid())
    assert give_back()
    assert resident_bytes(os.getpid()) < before - 32 * MIB
    for block in kept:
        libc.free(block)


async def test_it_is_given_back_once_readers_are_quiet(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once for all that was sent before, and again for what is sent after that."""
    given: asyncio.Queue[None] = asyncio.Queue()
    monkeypatch.setattr(allocator, "give_back", lambda: given.put_nowait(None))
    with closing(Heap()) as heap:
        for _ in range(2):
            for _ in range(64):
                heap.sent(MIB)
            await given.get()
            assert given.empty()


async def test_a_little_is_not_worth_the_while(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines of text that come now and then have nothing be looked for."""
    scheduled = []
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(loop, "call_later", lambda *_: scheduled.append("timer"))
    heap = Heap()
    for _ in range(1000):
        heap.sent(100)
    assert scheduled == []
    heap.sent(8 * MIB)
    assert scheduled == ["timer"]
