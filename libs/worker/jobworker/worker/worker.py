"""The worker: opens all that runs jobs, and closes it."""

from __future__ import annotations

import os
import warnings
from contextlib import AsyncExitStack
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.worker import arguments
from jobworker.worker.assembly import Settings, assemble, default_store
from jobworker.worker.inheritance import Inheritance
from jobworker.worker.operations import Operations
from jobworker.worker.retention import KeepFinished

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType
    from typing import Self

    from jobworker.worker.store import JobStore
    from jobworker.worker.supervision import Recovery

DEFAULT_LOG_LIMIT = 1 << 30
"""How many bytes of each output stream are kept, unless told otherwise."""


@final
class Worker(Operations):
    """Runs jobs: an async context manager that belongs to one event loop and one task.

    Without a state directory a job never outlives its worker, even if that is killed by SIGKILL. With one, jobs go on
    when this process is killed, and the next worker of the directory takes all of them back; leaving the context kills
    them unless they are to be kept. What it does with jobs is said by `Operations`.

    Example:
        >>> async with Worker() as worker:
        ...     job = await worker.start(["sh", "-c", "echo hi; sleep 1"])
        ...     async for frame in worker.read_logs(job.id, "stdout", follow=True):
        ...         print(frame)
    """

    def __init__(  # noqa: PLR0913 - each has a default
        self,
        *,
        state_dir: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        inheritance: Inheritance | None = None,
        store: JobStore | None = None,
        keep_jobs: bool = False,
        cgroup_root: str = "auto",
        log_limit: int = DEFAULT_LOG_LIMIT,
        keep_finished: KeepFinished | None = None,
    ) -> None:
        """Prepares a worker; entering it starts its supervisor, or finds the one that its state directory has.

        Args:
            state_dir: Where all is kept, made if it isn't there. None is a temporary directory, removed at the end.
            environment: That of the jobs; None is this process's.
            inheritance: What else they are given; None is this process's directory, user and rights.
            store: Where jobs are kept; None is an SQLite file in the state directory, or without one this process's
                memory. With a store that is not durable, jobs die with their worker.
            keep_jobs: Whether jobs go on when the context is left, for the next worker; an attribute, to be set anew.
            cgroup_root: The cgroup v2 directory to make jobs' cgroups in; "auto" is this process's own, "off" is none.
            log_limit: How many bytes of each output stream are kept; the oldest give way. 0 is no limit.
            keep_finished: Which finished jobs are kept; None is the default.
        """
        super().__init__()
        directory = None if state_dir is None else Path(state_dir)
        self._settings = Settings(
            directory=directory,
            environment=os.environ if environment is None else environment,
            inheritance=inheritance or Inheritance(),
            store=store or default_store(directory),
            cgroup_root=cgroup_root,
            log_limit=arguments.check_limit(log_limit),
            keep_finished=keep_finished or KeepFinished(),
        )
        self.keep_jobs = keep_jobs
        self._stack = AsyncExitStack()

    def __repr__(self) -> str:
        return f"<Worker {'closed' if self._opened is None else 'open'} store={self._settings.store!r}>"

    def __del__(self) -> None:
        if self._opened is not None:
            warnings.warn(f"{self!r} was never left: use 'async with'", ResourceWarning, source=self, stacklevel=2)

    @property
    def recovery(self) -> Recovery:
        """What was taken back from the worker before this one."""
        return self._parts.supervision.recovery

    @property
    def cgroup_root(self) -> str:
        """The cgroup v2 directory in which each job's cgroup is made; empty if they have none."""
        return self._parts.supervision.cgroup_root

    async def __aenter__(self) -> Self:
        """Opens the worker.

        Raises:
            StateDirectoryError: If the state directory can't be used, or is in use; the fault of whoever chose it.
            JobStoreError: If the job store can't be opened; the message says what is wrong with it.
            CgroupError: If the cgroup can't be used; the fault of whoever chose it.
            InheritanceError: If jobs can't be given what they are to inherit; the fault of whoever configured it.
            SupervisorVersionError: If jobs of another version run there; who upgrades has to act.
            ResourceExhaustedError: If there are no processes, descriptors or inotify instances left; the host's fault.
            SupervisorError: If the supervisor does not start; the host's fault, or a bug of ours.
        """
        async with AsyncExitStack() as stack:
            self._opened = await assemble(self._settings, self.bus, stack)
            self._stack = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends readers, and kills all jobs unless they are to be kept.

        Raises:
            SupervisorError: If the supervisor died while the worker was open; the host's fault, or a bug of ours.
            JobStoreError: If the job store failed meanwhile; the message says how.
        """
        parts, self._opened = self._parts, None
        parts.readers.end_all()
        parts.cleaning.cancel()
        parts.supervision.close(keep_jobs=self.keep_jobs)
        try:
            # Without the caller's exception: the events up to the supervisor's last are handled in any case.
            await self._stack.aclose()
        except BaseExceptionGroup as group:
            # Of the tasks, which are ours, one can fail; who uses the worker need not know that there is a group.
            raise group.exceptions[0] from None
        finally:
            self.bus.close()
