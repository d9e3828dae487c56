"""Who may call now, and whose calls under way must end: each is judged again when what is known changes or expires."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import AccessDeniedError, CallError
from jobworker.daemon.permissions import authorize

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.daemon.call import Call
    from jobworker.daemon.counters import Counters
    from jobworker.daemon.judgement import Verdict
    from jobworker.daemon.live_identity import LiveIdentity

_logger = logging.getLogger(__name__)

_MOMENT_SECONDS = 0.001
_LONGEST_WAIT_SECONDS = 60.0
"""After a minute at the latest the clock is asked again: it may have been set, or the host been suspended."""


@final
@dataclass(eq=False, slots=True)
class _LiveCall:
    call: Call
    task: asyncio.Task[object] | None
    refusal: CallError | None = None


@final
class LiveCalls:
    """The calls under way; it belongs to the event loop.

    A call that may not go on is cancelled, as if its client had gone, and then told why. What it has begun goes on, as
    for any client that is gone: no job is harmed.
    """

    def __init__(self, identity: LiveIdentity, counters: Counters, *, isolate_owners: bool = False) -> None:
        """Follows what is known of whom to let in.

        Args:
            identity: What is known.
            counters: What counts the calls that were ended.
            isolate_owners: Whether a call may go on only for the principal that made it: another one, to which the
                certificate was given, may not see the same jobs.
        """
        self._isolate_owners = isolate_owners
        self._identity = identity
        self._counters = counters
        self._calls: set[_LiveCall] = set()
        # The timer goes off when the first certificate of a call under way expires, or before.
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = math.inf
        identity.follow(self._judge_all)

    def __repr__(self) -> str:
        return f"<LiveCalls {len(self._calls)}>"

    def admit(self, call: Call) -> None:
        """Returns if a call may be made now, and notes in it who makes it.

        Args:
            call: The call, whose peer is known.

        Raises:
            AccessDeniedError: If the peer's certificate is nobody's, not vouched for any more, revoked, or expired.
            UnknownMethodError: If there is no such method.
            RoleTooLowError: If the method needs a higher role.
        """
        verdict, now = self._verdict(call), time.time()
        caller = verdict.caller_at(now)
        call.caller, call.reason = caller, verdict.reason_at(now)
        authorize(caller and caller.role, call.method)

    @contextmanager
    def under_way(self, call: Call) -> Iterator[None]:
        """Ends the body of the context, which the running task executes, once the call may not go on.

        Args:
            call: The call, which was admitted.

        Raises:
            CallError: If it was ended: what `admit` would have raised.
        """
        live = _LiveCall(call, asyncio.current_task())
        self._calls.add(live)
        self._watch(self._verdict(call).until)
        try:
            yield
        except asyncio.CancelledError:
            # Else its client has gone as well, and nobody is there to be told.
            if live.refusal is not None and live.task is not None and live.task.uncancel() == 0:
                raise live.refusal from None
            raise
        finally:
            self._calls.discard(live)

    def _verdict(self, call: Call) -> Verdict:
        return self._identity.verdict(call.peer.certificate, call.peer.sent)

    def _judge_all(self) -> None:
        now = time.time()
        if self._timer is not None:
            self._timer.cancel()
        self._timer, self._timer_at = None, math.inf
        for live in [live for live in self._calls if live.refusal is None]:
            self._judge(live, now)

    def _judge(self, live: _LiveCall, now: float) -> None:
        verdict = self._verdict(live.call)
        caller = verdict.caller_at(now)
        try:
            authorize(caller and caller.role, live.call.method)
            before = live.call.caller
            # Who was given a name has its certificate's fingerprint for another one still.
            if self._isolate_owners and caller and before and before.principal not in caller.names:
                self._end(live, AccessDeniedError(), "another principal's")
            else:
                self._watch(verdict.until)
        except CallError as refusal:
            self._end(live, refusal, verdict.reason_at(now) or "role too low")

    def _end(self, live: _LiveCall, refusal: CallError, reason: str) -> None:
        live.refusal, live.call.reason = refusal, reason
        if live.task is not None:
            live.task.cancel()
        self._counters.add("jobworker_calls_ended_total", "reason=access_lost")
        fields = {
            "method": live.call.method,
            "principal": live.call.caller.principal if live.call.caller else "",
            "peer": live.call.peer.fingerprint,
            "job": live.call.job_id,
            "reason": reason,
        }
        _logger.warning("access_lost", extra={"fields": fields})

    def _watch(self, until: float) -> None:
        """Has all calls judged again when a certificate expires."""
        if until >= self._timer_at:
            return
        if self._timer is not None:
            self._timer.cancel()
        loop = asyncio.get_running_loop()
        # It is good through its last moment.
        wait = min(max(0.0, until - time.time()) + _MOMENT_SECONDS, _LONGEST_WAIT_SECONDS)
        self._timer = loop.call_later(wait, self._judge_all)
        self._timer_at = until
