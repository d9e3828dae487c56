"""SIGTERM and SIGINT: the first asks to stop, the second ends the process at once."""

from __future__ import annotations

import asyncio
import os
import signal
from typing import TYPE_CHECKING, NoReturn, final

if TYPE_CHECKING:
    from types import FrameType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


@final
class StopSignals:
    """Catches the signals that ask this process to stop, from its making on; needs a running event loop."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._first: asyncio.Future[signal.Signals] = self._loop.create_future()
        for number in _SIGNALS:
            self._loop.add_signal_handler(number, self._stop, number)

    def __repr__(self) -> str:
        return f"<StopSignals {self._first.result().name if self._first.done() else 'none'}>"

    async def wait(self) -> signal.Signals:
        """Returns the first signal that asks to stop, once it has come."""
        return await asyncio.shield(self._first)

    def _stop(self, number: signal.Signals) -> None:
        self._first.set_result(number)
        for each in _SIGNALS:
            self._loop.remove_signal_handler(each)
            # Not the event loop's any more, which may be what is stuck.
            signal.signal(each, _exit_at_once)


def _exit_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    # Without any clean-up, as SIGKILL would: jobs that can outlive this process go on, the supervisor kills others.
    os._exit(128 + number)
