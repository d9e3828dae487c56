"""SIGHUP, in this process itself."""

from __future__ import annotations

import asyncio
import logging
import signal
from typing import TYPE_CHECKING

from jobworker.daemon.signals import HangupSignals

if TYPE_CHECKING:
    import pytest


async def test_all_things_are_done_at_a_hangup(caplog: pytest.LogCaptureFixture) -> None:
    """One that fails is logged, and the ones after it are done all the same, at each signal."""
    done: asyncio.Queue[str] = asyncio.Queue()

    def fail() -> None:
        raise ZeroDivisionError

    hangups = HangupSignals()
    hangups.add(fail)
    hangups.add(lambda: done.put_nowait("done"))
    assert repr(hangups) == "<HangupSignals actions=2>"
    with caplog.at_level(logging.ERROR):
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
            assert await done.get() == "done"
    assert [record.getMessage() for record in caplog.records] == ["hangup_failed"] * 2
