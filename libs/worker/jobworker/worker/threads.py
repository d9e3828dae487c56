"""Threads, for what blocks for too long for an event loop."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Calls what blocks in a thread; in this one, if there can't be another. It is called once in any case.

    A caller that is cancelled leaves it to go on.
    """
    claim, result = threading.Lock(), Future[_T]()

    def run() -> None:
        if not claim.acquire(blocking=False):
            return
        with suppress(InvalidStateError):  # nobody waits for it any more
            try:
                result.set_result(function(*args, **kwargs))
            except BaseException as error:  # noqa: BLE001 - it is the caller's
                result.set_exception(error)

    try:
        asyncio.get_running_loop().run_in_executor(None, run)
    except RuntimeError:
        # "can't start new thread": out of processes. But another thread may have found it in the executor's queue.
        run()
    return await asyncio.wrap_future(result)
