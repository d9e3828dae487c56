"""The access log: a line a call, but of calls that are refused the first few, and the number of the others.

Who is let in can have a line written by a call that does something; who is not must not fill the disk. The audit log
has its own bounds.
"""

from __future__ import annotations

import asyncio
import logging
import time
from typing import TYPE_CHECKING, NamedTuple, final

from google.rpc import code_pb2

from jobworker.daemon.throttle import Throttle

if TYPE_CHECKING:
    from jobworker.daemon.call import Call
    from jobworker.daemon.throttle import Summary

_logger = logging.getLogger(__name__)

_LEVELS = {code_pb2.INTERNAL: logging.ERROR, code_pb2.PERMISSION_DENIED: logging.WARNING}
_REFUSALS = frozenset({code_pb2.PERMISSION_DENIED, code_pb2.RESOURCE_EXHAUSTED, code_pb2.UNIMPLEMENTED})
# What a peer chooses is cut to this length in the log.
_MAX_FIELD = 200


@final
class _Kind(NamedTuple):
    """Refused calls that are told as one."""

    peer: str
    code: str


@final
class AccessLog:
    """Writes what came of each call; needs a running event loop once something was refused."""

    def __init__(self, throttle: Throttle[_Kind] | None = None) -> None:
        """Begins with nothing refused.

        Args:
            throttle: What bounds the lines of refused calls; None is 20 a minute of each peer and code.
        """
        self._throttle = throttle or Throttle[_Kind](burst=20)
        self._timer: asyncio.TimerHandle | None = None

    def __repr__(self) -> str:
        return f"<AccessLog throttle={self._throttle!r}>"

    def write(self, call: Call, code: code_pb2.Code.ValueType, address: str, seconds: float) -> None:
        """Writes a call's line, or counts it.

        Args:
            call: The call.
            code: What it was answered with.
            address: Where it came from.
            seconds: How long it took.
        """
        level, name = _LEVELS.get(code, logging.INFO), code_pb2.Code.Name(code)
        if not _logger.isEnabledFor(level):
            return
        if call.caller is None or code in _REFUSALS:
            is_told = self._throttle.admit(_Kind(call.peer.fingerprint, name), time.monotonic())
            self._summarize()
            if not is_told:
                return
        fields = {
            "method": call.method[:_MAX_FIELD],
            "code": name,
            "duration_ms": f"{seconds * 1000:.2f}",
            "principal": call.caller.principal if call.caller else "",
            "peer": call.peer.fingerprint,
            "name": call.peer.common_name[:_MAX_FIELD],
            "address": address,
            "job": call.job_id[:_MAX_FIELD],
        }
        if call.reason:
            fields["reason"] = call.reason
        _logger.log(level, "call", extra={"fields": fields})

    def close(self) -> None:
        """Writes how many were counted."""
        if self._timer:
            self._timer.cancel()
        _tell(self._throttle.rest())

    def _summarize(self) -> None:
        now = time.monotonic()
        _tell(self._throttle.due(now))
        due = self._throttle.next_due()
        if self._timer is None and due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - now), self._summarize_later)

    def _summarize_later(self) -> None:
        self._timer = None
        self._summarize()


def _tell(summaries: list[Summary[_Kind]]) -> None:
    for summary in summaries:
        peer, code = summary.key or ("", "")
        fields = {"peer": peer, "code": code, "count": summary.count}
        _logger.warning("further_calls_refused", extra={"fields": fields})
