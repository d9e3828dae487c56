"""What is known of the call under way, for the service and for the access log."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import AccessDeniedError
from jobworker.daemon.peer import NOBODY

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobworker.daemon.peer import Peer
    from jobworker.daemon.principals import Caller


async def nobody_listens(_job_id: str) -> None:
    """Announces nothing, where nothing is audited."""


@final
@dataclass(slots=True)
class Call:
    """One call.

    Attributes:
        method: The method's full name, as the client gave it.
        peer: Who calls, as the handshake proved it.
        caller: Who calls, as the role table knows it; None until that was asked, and for one that it does not know.
        job_id: The job that it is about: as the client named it, then in full once that is known; empty if none.
        request: What is asked for, a message; None until that was received.
        announce: Tells the audit log which job is about to be changed, and raises if it can't take that; nothing may be
            changed then.
        is_audited: Whether the audit log is told what comes of it.
        reason: Why the caller's certificate lets nobody in, for the log alone; empty if it does.
    """

    method: str
    peer: Peer = NOBODY
    caller: Caller | None = None
    job_id: str = ""
    request: object = None
    announce: Callable[[str], Awaitable[None]] = nobody_listens
    is_audited: bool = False
    reason: str = ""


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
