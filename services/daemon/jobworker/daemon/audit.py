"""Whether calls are audited: opens the audit log if there is to be one."""

# ruff: noqa: PLC0415 - see auditing

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Protocol, final

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable

    from jobworker.daemon.audit_options import AuditOptions
    from jobworker.daemon.call import Call
    from jobworker.daemon.counters import Counters


class Audit(Protocol):
    """What the gate has calls audited by."""

    async def carry_out(self, call: Call, peer: str, body: Callable[[], Awaitable[object]]) -> object:
        """Runs an admitted call's body, and returns its answer once the call's outcome is in the audit log.

        Args:
            call: The call, with its request.
            peer: The caller's address.
            body: What does what the call asks for, and announces what it is about to change.

        Raises:
            AuditUnwritableError: If an announcement can't be written, so that nothing was changed.
            AuditOutcomeError: If something was changed, but that can't be written.
        """

    async def refused(self, call: Call, peer: str, error: Exception) -> None:
        """Writes that a call was refused; returns at once for what need not be told, or was.

        Args:
            call: The call, with its request if one was received.
            peer: The caller's address.
            error: Why it was refused.
        """

    def reopen(self) -> None:
        """Opens the log anew, after it was renamed."""


@final
class NoAudit:
    """Audits nothing."""

    async def carry_out(self, call: Call, peer: str, body: Callable[[], Awaitable[object]]) -> object:  # noqa: ARG002
        """See `Audit.carry_out`."""
        return await body()

    async def refused(self, call: Call, peer: str, error: Exception) -> None:
        """See `Audit.refused`."""

    def reopen(self) -> None:
        """See `Audit.reopen`."""


@asynccontextmanager
async def auditing(options: AuditOptions, counters: Counters) -> AsyncIterator[Audit]:
    """Opens the audit log that the options ask for, if any, and closes it once all is written.

    Args:
        options: What was asked for.
        counters: What counts the lines.

    Raises:
        ConfigurationError: If it can't be used; whoever configures the daemon has to mend it.
    """
    if options.file is None:
        yield NoAudit()
        return
    # They take protobuf, 15 ms, which a daemon without an audit log imports while its supervisor starts.
    from jobworker.daemon.audit_file import AuditFile
    from jobworker.daemon.audit_log import AuditLog
    from jobworker.daemon.audit_trail import AuditTrail

    failure: Exception | None = None
    with closing(AuditFile(options.file)) as file:
        log = AuditLog(file, counters)
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(log.run(), name="jobworker: audit log")
            trail = AuditTrail(log, tasks, redact=options.redact_arguments)
            try:
                yield trail
            except Exception as error:  # noqa: BLE001 - raised below, as it is, and not as one of a group of errors
                failure = error
            finally:
                await trail.close()
    if failure:
        raise failure
