"""Puts the parts of a worker together, in the order in which they need each other, and starts them."""

from __future__ import annotations

import os
from asyncio import TaskGroup
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.supervisor import failpoints
from jobworker.supervisor.records import Records
from jobworker.worker import state_dir
from jobworker.worker.cleaner import Cleaner
from jobworker.worker.inotify import Inotify
from jobworker.worker.lifecycle import Lifecycle
from jobworker.worker.memory_store import MemoryJobStore
from jobworker.worker.output import OutputLogs
from jobworker.worker.reader import LogReaders
from jobworker.worker.starts import Starts
from jobworker.worker.supervision import Supervision
from jobworker.worker.supervisors import PrivateSupervisor, SharedSupervisor

if TYPE_CHECKING:
    from asyncio import Task
    from collections.abc import Mapping
    from contextlib import AsyncExitStack

    from jobworker.worker.bus import MessageBus
    from jobworker.worker.inheritance import Inheritance
    from jobworker.worker.retention import KeepFinished
    from jobworker.worker.store import JobStore


@final
@dataclass(frozen=True, slots=True)
class Settings:
    """What whoever made a worker asked for; see `Worker`."""

    directory: Path | None
    environment: Mapping[str, str]
    inheritance: Inheritance
    store: JobStore
    cgroup_root: str
    log_limit: int
    keep_finished: KeepFinished


@final
@dataclass(frozen=True, slots=True)
class Parts:
    """What an open worker consists of."""

    store: JobStore
    readers: LogReaders
    lifecycle: Lifecycle
    cleaner: Cleaner
    supervision: Supervision
    starts: Starts
    cleaning: Task[None]


def default_store(directory: Path | None) -> JobStore:
    """Returns the job store of a worker that was given none: a durable one if it has a state directory."""
    if directory is None:
        return MemoryJobStore()
    from jobworker.worker.sqlite_store import SqliteJobStore  # noqa: PLC0415 - only those pay for SQLite who use it

    return SqliteJobStore(state_dir.StateDirectory(directory.absolute()).store)


async def assemble(settings: Settings, bus: MessageBus, stack: AsyncExitStack) -> Parts:
    """Opens a worker's parts, each of which ends with the stack.

    Raises:
        WorkerError: If one can't be opened; see `Worker.__aenter__`.
    """
    failpoints.arm(os.environ.get(failpoints.VARIABLE, ""))
    store = settings.store
    scratch = None if settings.directory else stack.enter_context(state_dir.private_directory())
    state = state_dir.prepare(settings.directory or scratch or Path())
    stack.enter_context(state_dir.locked(state))
    await stack.enter_async_context(store)
    logs = OutputLogs(state.logs, await stack.enter_async_context(Inotify()), bus)
    readers, lifecycle = LogReaders(store, logs, bus), Lifecycle(store, bus, logs)
    cleaner = Cleaner(store, logs, readers, bus)
    if store.is_durable and scratch is None:
        records, shared = Records(os.fspath(state.records)), SharedSupervisor(settings.environment, state)
        supervision = Supervision(store, logs, lifecycle, shared, records)
    else:
        supervision = Supervision(store, logs, lifecycle, PrivateSupervisor(settings.environment, scratch), None)
    tasks = TaskGroup()
    starts = Starts(store, logs, tasks, supervision.ask)
    await starts.resume()
    inheritance, environment = settings.inheritance, settings.environment
    await supervision.connect(starts, inheritance.configure(environment, settings.cgroup_root, settings.log_limit))
    # Not before, so that what goes wrong till then is told as it is, and not as one of a group of errors.
    await stack.enter_async_context(tasks)
    tasks.create_task(supervision.serve(), name="jobworker: supervisor's events")
    cleaning = tasks.create_task(cleaner.run(settings.keep_finished, lifecycle), name="jobworker: finished jobs")
    return Parts(store, readers, lifecycle, cleaner, supervision, starts, cleaning)
