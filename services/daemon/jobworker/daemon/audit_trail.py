"""Audits calls: one that is about to change something is announced, and its outcome told; a refused one is told.

An outcome is known only after the change, and a daemon can die between the two. So such a call has two lines: `begin`,
without which nothing is changed, and `call`, without which the caller is not told that all is well.
"""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, final

from google.rpc import code_pb2

from jobworker.daemon import __version__
from jobworker.daemon.audit_entries import CHANGES, REFUSALS, RefusedKind, call_fields, request_fields
from jobworker.daemon.errors import AuditOutcomeError
from jobworker.daemon.permissions import LEAST_ROLE
from jobworker.daemon.status import rule_of
from jobworker.daemon.throttle import Throttle

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from jobworker.daemon.audit_log import AuditLog
    from jobworker.daemon.call import Call
    from jobworker.daemon.throttle import Summary


@final
class AuditTrail:
    """Audits calls in a log."""

    def __init__(
        self,
        log: AuditLog,
        tasks: asyncio.TaskGroup,
        *,
        redact: bool = False,
        throttle: Throttle[RefusedKind] | None = None,
    ) -> None:
        """Begins to audit.

        Args:
            log: Where the lines go.
            tasks: What the calls run in.
            redact: Whether a command's hash stands for its arguments.
            throttle: What bounds the lines of refused calls.
        """
        self._log = log
        self._tasks = tasks
        self._redact = redact
        self._throttle = throttle or Throttle[RefusedKind]()
        self._timer: asyncio.TimerHandle | None = None
        self._running: set[asyncio.Task[None]] = set()
        log.record_soon("daemon_start", {"version": __version__, "pid": os.getpid()})

    def __repr__(self) -> str:
        return f"<AuditTrail log={self._log!r} running={len(self._running)}>"

    async def carry_out(self, call: Call, peer: str, body: Callable[[], Awaitable[object]]) -> object:
        """See `Audit.carry_out`. The body goes on, and is told of, if the caller doesn't wait for it."""
        if call.method not in CHANGES:
            return await body()
        fields = call_fields(call, peer) | request_fields(call.request, redact=self._redact)
        told = asyncio.get_running_loop().create_future()
        task = self._tasks.create_task(self._carry_out(call, fields, body, told))
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return await asyncio.shield(told)

    async def refused(self, call: Call, peer: str, error: Exception) -> None:
        """See `Audit.refused`. Of too many of a kind the number is told instead."""
        rule = rule_of(error)
        if call.is_audited or (rule.code not in REFUSALS and call.method not in CHANGES):
            return
        fields, outcome = call_fields(call, peer), code_pb2.Code.Name(rule.code)
        method = call.method if call.method in LEAST_ROLE else ""
        principal = call.caller.principal if call.caller else None
        kind = RefusedKind(principal, call.peer.fingerprint, method, outcome, rule.reason)
        is_told = self._throttle.admit(kind, time.monotonic())
        self._summarize()
        if is_told:
            asked = request_fields(call.request, redact=self._redact, is_refused=True)
            await self._log.record("call", fields | asked | {"outcome": outcome, "reason": rule.reason})

    def reopen(self) -> None:
        """See `Audit.reopen`."""
        self._log.reopen()

    async def close(self) -> None:
        """Ends what still runs, and has the log end."""
        if self._timer:
            self._timer.cancel()
        running = list(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running)
        self._record(self._throttle.rest())
        self._log.record_soon("daemon_stop", {"pid": os.getpid()})
        self._log.close()

    async def _carry_out(
        self, call: Call, fields: dict[str, object], body: Callable[[], Awaitable[object]], told: asyncio.Future[object]
    ) -> None:
        try:
            answer = await self._recorded(call, fields, body)
        except asyncio.CancelledError:
            told.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - it is the caller's
            if not told.done():
                told.set_exception(error)
        else:
            if not told.done():
                told.set_result(answer)

    async def _recorded(self, call: Call, fields: dict[str, object], body: Callable[[], Awaitable[object]]) -> object:
        """Runs a body, and records what came of it, unless that is nothing, which `refused` tells of."""
        begun: dict[str, object] = {}

        async def announce(job_id: str) -> None:
            begun["job"] = job_id
            begun["begin"] = await self._log.begin(fields | {"job": job_id})
            call.is_audited = True

        call.announce = announce
        try:
            answer = await body()
        except asyncio.CancelledError:
            if call.is_audited:
                self._log.record_soon("call", fields | begun | {"outcome": "CANCELLED", "reason": "DAEMON_STOPPED"})
            raise
        except Exception as error:
            if call.is_audited:
                rule = rule_of(error)
                outcome = {"outcome": code_pb2.Code.Name(rule.code), "reason": rule.reason}
                await self._log.record("call", fields | begun | outcome)
            raise
        call.is_audited = True
        job = {"job": call.job_id or fields["job"]}
        if not await self._log.record("call", fields | begun | job | {"outcome": "OK", "reason": ""}):
            raise AuditOutcomeError(call.job_id)
        return answer

    def _summarize(self) -> None:
        self._record(self._throttle.due(time.monotonic()))
        due = self._throttle.next_due()
        if self._timer is None and due is not None:
            self._timer = asyncio.get_running_loop().call_later(max(0.0, due - time.monotonic()), self._summarize_later)

    def _summarize_later(self) -> None:
        self._timer = None
        self._summarize()

    def _record(self, summaries: list[Summary[RefusedKind]]) -> None:
        nobody = RefusedKind(None, "", "", "", "")
        for summary in summaries:
            self._log.record_soon("refusals", (summary.key or nobody).fields() | {"count": summary.count})
