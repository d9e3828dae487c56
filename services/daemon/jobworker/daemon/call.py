"""What is known of the call under way, for the service and for the access log."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.peer import NOBODY

if TYPE_CHECKING:
    from jobworker.daemon.peer import Peer


@final
@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        method: The method's full name, as the client gave it.
        peer: Who calls.
        job_id: The job that it is about: as the client named it, then in full once that is known; empty if none.
    """

    method: str
    peer: Peer = NOBODY
    job_id: str = ""


CURRENT: ContextVar[Call] = ContextVar("CURRENT")
"""The call that the running task serves; the gate sets it."""
