"""SIGTERM and SIGINT: the first asks to stop, the second ends the process at once. SIGHUP: a list of things to do."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from typing import TYPE_CHECKING, NoReturn, final

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

_logger = logging.getLogger(__name__)

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


@final
class HangupSignals:
    """Catches SIGHUP from its making on, and does a list of things at each; needs a running event loop."""

    def __init__(self) -> None:
        self._actions: list[Callable[[], None]] = []
        asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, self._act)

    def __repr__(self) -> str:
        return f"<HangupSignals actions={len(self._actions)}>"

    def add(self, action: Callable[[], None]) -> None:
        """Adds something to do at each SIGHUP from now on, after what was added before.

        Args:
            action: Called in the event loop; what it raises is logged, and keeps none of the others from being done.
        """
        self._actions.append(action)

    def _act(self) -> None:
        for action in self._actions:
            try:
                action()
            except Exception as error:
                fields = {"error": f"{type(error).__name__}: {error}"}
                _logger.exception("hangup_failed", extra={"fields": fields})


def _exit_at_once(number: int, _frame: FrameType | None) -> NoReturn:
    # Without any clean-up, as SIGKILL would: jobs that can outlive this process go on, the supervisor kills others.
    os._exit(128 + number)
