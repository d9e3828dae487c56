"""Sends signals to the processes of a living supervisor's jobs: the only file that does.

To whom one may be sent, `jobworker.supervisor.children` says, which alone calls this.
"""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import signal


def send(target: int, number: signal.Signals) -> None:
    """Sends a signal to a process, or to a group if the target is negative."""
    # A program may be another user's, by its set-user-ID bit: its job ends when it does.
    with suppress(PermissionError):
        os.kill(target, number)


def has_members(group: int) -> bool:
    """Returns whether a group has any process, even if its id is by now another's: a signal of number 0 is none."""
    try:
        os.kill(-group, 0)
    except OSError as error:
        return not isinstance(error, ProcessLookupError)
    return True
