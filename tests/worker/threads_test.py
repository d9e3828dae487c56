"""What blocks is done once, in a thread, or if there can't be one without."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobworker.worker.threads import in_thread


def no_more_threads(*_: object) -> None:
    """Fails as the start of a thread does when there are no processes left."""
    raise RuntimeError("can't start new thread")


async def test_it_is_another_thread() -> None:
    """Its arguments are passed on, and its result comes back."""
    assert await in_thread(threading.get_ident) != threading.get_ident()
    assert await in_thread(divmod, 7, 2) == (3, 1)
    assert await in_thread(int, "11", base=2) == 3


@pytest.mark.parametrize("error", [ValueError, RuntimeError, OSError])
async def test_an_error_is_the_caller_s(error: type[Exception]) -> None:
    """Whatever it is, it does not mean that there is no thread."""
    calls: list[None] = []

    def fail() -> None:
        calls.append(None)
        raise error("mine")

    with pytest.raises(error, match="mine"):
        await in_thread(fail)
    assert len(calls) == 1


async def test_without_a_thread_it_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """A blocked event loop is better than an undone task."""
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", no_more_threads)
        assert await in_thread(threading.get_ident) == threading.get_ident()
        with pytest.raises(ZeroDivisionError):
            await in_thread(divmod, 1, 0)


async def test_it_is_done_once_even_if_another_thread_finds_it_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """An executor that can't start another thread has put it into its queue all the same."""
    calls: list[None] = []
    await in_thread(calls.append, None)
    with monkeypatch.context() as patched:
        patched.setattr(ThreadPoolExecutor, "_adjust_thread_count", no_more_threads)
        for count in range(2, 1000):
            await in_thread(calls.append, None)
            assert len(calls) == count


async def test_a_caller_that_is_cancelled_leaves_it_to_go_on() -> None:
    """It may be half done."""
    begun, let_go, done = threading.Event(), threading.Event(), asyncio.Event()
    loop = asyncio.get_running_loop()

    def work() -> None:
        begun.set()
        let_go.wait()
        loop.call_soon_threadsafe(done.set)

    waiting = asyncio.ensure_future(in_thread(work))
    await in_thread(begun.wait)
    waiting.cancel()
    await asyncio.wait([waiting])
    let_go.set()
    await done.wait()
