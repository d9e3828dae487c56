"""What becomes of the jobs of a supervisor that is dead: what is left of them is killed, and each gets an end."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from typing import TYPE_CHECKING, final

from jobworker.supervisor import failpoints
from jobworker.supervisor.cgroups import PREFIX
from jobworker.supervisor.records import Record, boot_id
from jobworker.supervisor.sweep import Leftover, kill_leftovers
from jobworker.worker.threads import in_thread

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jobworker.supervisor.records import Records
    from jobworker.worker.lifecycle import Lifecycle
    from jobworker.worker.output import OutputLogs
    from jobworker.worker.starts import Starts
    from jobworker.worker.store import JobStore

_KILLED = "its supervisor was killed"
_RESTARTED = "the host was restarted"
_RUNNING = "while the job ran"
_STARTING = "while it was being started: it may or may not have run"
_UNKNOWN = "its supervisor does not know it"


@final
class Burial:
    """Gives ends to the jobs that no supervisor can tell of any more."""

    def __init__(self, store: JobStore, logs: OutputLogs, lifecycle: Lifecycle, starts: Starts) -> None:
        """Has nothing to do yet.

        Args:
            store: Where jobs are kept.
            logs: Their output.
            lifecycle: What changes them.
            starts: The starts under way.
        """
        self._store = store
        self._logs = logs
        self._lifecycle = lifecycle
        self._starts = starts

    def __repr__(self) -> str:
        return f"<Burial {self._store!r}>"

    async def bury(self, records: Records, *, has_run_since: bool) -> None:
        """Ends all jobs of a dead supervisor: as it has recorded, or else as lost, and killed.

        Args:
            records: What it has recorded.
            has_run_since: Whether the host has run since then. If so, a start that there is no record of was never
                made, and is left under way: it may be asked for again. If not, the disk may not have had the record.

        Raises:
            OSError: If records or processes can't be looked at; the disk's fault, or a limit's.
            WorkerError: If the job store can't keep an end; see `JobStore`.
        """
        found = {record.job_id: record for record in records.read()}
        running = [job.id for job in await self._store.running()]
        asked = [job_id for job_id in self._starts.asked() if job_id in found or not has_run_since]
        for job_id in {*running, *asked} - found.keys():
            found[job_id] = Record(job_id, None, None, None)
        boot = boot_id()
        killed = await _kill(_leftover(record, boot) for record in found.values() if record.exited is None)
        for record in found.values():
            doing = _STARTING if record.job_id in asked else _RUNNING
            is_of_this_boot = has_run_since if record.begun is None else record.begun.boot_id == boot
            reason = f"{_KILLED if is_of_this_boot else _RESTARTED} {doing}"
            await self._end(record, reason, killed.get(record.job_id, 0))
            failpoints.reach(failpoints.BURIED)
            # What only memory knows, the record has to tell whoever comes next.
            if record.job_id not in self._store.unsaved():
                records.remove(record.job_id)

    async def end_unknown(self, known: Iterable[str]) -> None:
        """Kills and ends all jobs that should run, but for those whose supervisor knows them."""
        unknown = [job.id for job in await self._store.running() if job.id not in known]
        killed = await _kill(map(Leftover, unknown))
        for job_id in unknown:
            await self._lifecycle.lose(job_id, _UNKNOWN, killed.get(job_id, 0))

    async def kill_all(self, cgroup_root: str) -> tuple[int, int]:
        """Kills what is left of all jobs, whose ends nobody can keep.

        Returns:
            How many jobs that were, and how many processes were killed.
        """
        # A start that was not answered may have happened all the same.
        left = [*(job.id for job in await self._store.running()), *self._starts.asked(), *self._starts.unkept()]
        killed = await _kill(
            Leftover(job_id, cgroup=f"{cgroup_root}/{PREFIX}{job_id}" if cgroup_root else "") for job_id in left
        )
        return len(left), sum(killed.values())

    async def _end(self, record: Record, reason: str, killed: int) -> None:
        if record.started is not None:
            await self._starts.started(record.started)
        elif record.job_id in self._starts.asked():
            await self._starts.add(record.job_id, datetime.now(UTC))
        if record.exited is not None:
            is_known = await self._lifecycle.exited(record.exited)
        else:
            is_known = await self._lifecycle.lose(record.job_id, reason, killed)
        if not is_known:
            self._logs.remove(record.job_id)


def _leftover(record: Record, boot: str) -> Leftover:
    begun, started = record.begun, record.started
    if begun is None or begun.boot_id != boot:
        return Leftover(record.job_id)
    # All that is in it will be killed: it has to be this job's, whatever has become of the record.
    cgroup = begun.cgroup if os.path.basename(begun.cgroup) == f"{PREFIX}{record.job_id}" else ""
    if started is None:
        return Leftover(record.job_id, cgroup=cgroup)
    return Leftover(record.job_id, started.pid, started.start_ticks, cgroup)


async def _kill(leftovers: Iterable[Leftover]) -> dict[str, int]:
    """Kills what is left of jobs, and returns how many processes of each that were."""
    found = list(leftovers)
    return await in_thread(kill_leftovers, found) if found else {}
