"""Threads, for what blocks: never for long, or never on the event loop."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ParamSpec, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def in_thread(function: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Calls what blocks in a thread; in this one, if there can't be another."""
    try:
        return await asyncio.to_thread(function, *args, **kwargs)
    except RuntimeError:
        # "can't start new thread": out of processes.
        return function(*args, **kwargs)
