"""What is known of the call under way, for the service and for the access log."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import AccessDeniedError
from jobworker.daemon.peer import NOBODY

if TYPE_CHECKING:
    from jobworker.daemon.peer import Peer
    from jobworker.daemon.principals import Caller


@final
@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        method: The method's full name, as the client gave it.
        peer: Who calls, as the handshake proved it.
        caller: Who calls, as the role table knows it; None until that was asked, and for one that it does not know.
        job_id: The job that it is about: as the client named it, then in full once that is known; empty if none.
    """

    method: str
    peer: Peer = NOBODY
    caller: Caller | None = None
    job_id: str = ""


CURRENT: ContextVar[Call] = ContextVar("CURRENT")
"""The call that the running task serves; the gate sets it."""


def admitted() -> Caller:
    """Returns who makes the call that the running task serves.

    Raises:
        AccessDeniedError: If the gate has let nobody in; a bug of ours.
    """
    caller = CURRENT.get().caller
    if caller is None:
        raise AccessDeniedError
    return caller
