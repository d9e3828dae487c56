"""The worker: starts, stops, finds, lists, reads, awaits and deletes jobs. It puts the parts together."""

from __future__ import annotations

import os
import warnings
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.worker import arguments
from jobworker.worker.assembly import Parts, Settings, assemble, default_store
from jobworker.worker.bus import MessageBus, StateChanged, output_channel
from jobworker.worker.errors import JobRunningError, WorkerClosedError
from jobworker.worker.retention import KeepFinished
from jobworker.worker.store import Page

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from jobworker.worker.bus import Subscription
    from jobworker.worker.frames import Frame
    from jobworker.worker.job import Job, StreamName
    from jobworker.worker.store import JobStore
    from jobworker.worker.supervision import Recovery

DEFAULT_LOG_LIMIT = 1 << 30
"""How many bytes of each output stream are kept, unless told otherwise."""


@final
class Worker:
    """Runs jobs: an async context manager that belongs to one event loop and one task.

    Without a state directory a job never outlives its worker, even if that is killed by SIGKILL. With one, jobs go on
    when this process is killed, and the next worker of the directory takes all of them back; leaving the context kills
    them unless they are to be kept. A job id may everywhere be the beginning of one, as long as a single one fits.

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
            store: Where jobs are kept; None is an SQLite file in the state directory, or without one this process's
                memory. With a store that is not durable, jobs die with their worker.
            keep_jobs: Whether jobs go on when the context is left, for the next worker; an attribute, to be set anew.
            cgroup_root: The cgroup v2 directory to make jobs' cgroups in; "auto" is this process's own, "off" is none.
            log_limit: How many bytes of each output stream are kept; the oldest give way. 0 is no limit.
            keep_finished: Which finished jobs are kept; None is the default.
        """
        directory = None if state_dir is None else Path(state_dir)
        self._settings = Settings(
            directory=directory,
            environment=os.environ if environment is None else environment,
            store=store or default_store(directory),
            cgroup_root=cgroup_root,
            log_limit=arguments.check_limit(log_limit),
            keep_finished=keep_finished or KeepFinished(),
        )
        self.keep_jobs = keep_jobs
        self.bus = MessageBus()
        self._stack = AsyncExitStack()
        self._opened: Parts | None = None

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

    async def start(self, command: Sequence[str], *, owner: str = "", request_id: str | None = None) -> Job:
        """Starts a job.

        Args:
            command: The program, looked up along the worker's PATH unless it has a slash, and its arguments; no shell.
            owner: Who starts it, in the caller's own terms.
            request_id: A UUID of the caller's choice: the same owner's same one always gives the same job, however
                often and however concurrently it is asked for, for as long as that job is kept. None or "" for a new
                job in any case.

        Returns:
            The job, which runs. It goes on whatever happens to the caller.

        Raises:
            InvalidCommandError: If the command is empty or can't be passed to the kernel; the caller's fault.
            InvalidRequestIdError: If the request id is no UUID; the caller's fault.
            RequestIdReusedError: If it came before with another command; the caller's fault.
            ProgramNotFoundError, ProgramNotExecutableError, ProgramFormatError, CommandTooLongError: If the kernel
                refuses to execute the program; the caller's fault.
            ResourceExhaustedError: If the host has no more processes, memory, descriptors or disk; the host's fault.
            JobStoreError: If the job store can't keep it; the message says why.
            SupervisorError: If the start failed in another way; the host's fault, or a bug of ours.
            WorkerClosedError: If the worker is closed, or is being closed; the caller's fault.
        """
        parts = self._parts
        words, request = arguments.check_command(command), arguments.check_request_id(request_id)
        return parts.lifecycle.measured(await parts.starts.start(words, owner, request))

    async def stop(self, job_id: str, *, grace_period: float = 0.0) -> Job:
        """Ends a job and returns it once its processes are gone; a finished job is returned as it is.

        Args:
            job_id: The job.
            grace_period: How many seconds it may take to end by itself, after SIGTERM was sent to its process group;
                what is left then is killed. 0 kills at once. The shortest of several stops holds.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            InvalidGracePeriodError: If it can't be; the caller's fault.
            WorkerClosedError: If the worker is closed, or is being closed; the caller's fault.
        """
        now, grace_seconds = datetime.now(UTC), arguments.check_grace_period(grace_period)
        parts, job = self._parts, await self._find(job_id)
        async with self.bus.subscribe(output_channel(job.id)) as news:
            job = await parts.lifecycle.change(job.id, lambda job: job.with_stop_request(now))
            if not job.state.is_final:
                parts.supervision.stop(job.id, grace_seconds)
            return await self._end_of(job, news)

    async def get(self, job_id: str) -> Job:
        """Returns a job as it is now.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        return self._parts.lifecycle.measured(await self._find(job_id))

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page:
        """Returns jobs, newest first, a page at a time.

        Args:
            page_size: How many jobs at most; 0 is `DEFAULT_PAGE_SIZE`, and more than `MAX_PAGE_SIZE` is that many.
            page_token: The page before's `next_page_token`; empty begins with the newest job.

        Raises:
            InvalidPageSizeError, InvalidPageTokenError: If they can't be; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        parts, size = self._parts, arguments.check_page_size(page_size)
        jobs, before = await parts.store.page(size, arguments.decode_page_token(page_token))
        return Page(tuple(map(parts.lifecycle.measured, jobs)), arguments.encode_page_token(before))

    async def wait(self, job_id: str) -> Job:
        """Returns a job once it has finished and its processes are gone.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed, or is closed meanwhile; the caller's fault.
        """
        parts, job = self._parts, await self._find(job_id)
        async with self.bus.subscribe(output_channel(job.id)) as news:
            return await self._end_of(await parts.store.find(job.id), news)

    async def delete(self, job_id: str) -> Job:
        """Deletes a finished job, its output included, and returns it as it was.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            JobRunningError: If it has not ended; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        parts, job = self._parts, await self._find(job_id)
        if not job.state.is_final:
            raise JobRunningError(job.id)
        await parts.cleaner.delete(job)
        return job

    async def read_logs(  # noqa: PLR0913 - where a read begins and ends has many forms
        self,
        job_id: str,
        stream: StreamName,
        *,
        offset: int = 0,
        follow: bool = False,
        tail_lines: int | None = None,
        limit: int = 0,
    ) -> AsyncGenerator[Frame, None]:
        """Yields what a job has written to a stream, exact to the byte, frame by frame.

        Args:
            job_id: The job.
            stream: "stdout" or "stderr".
            offset: Where to begin, in bytes from 0.
            follow: Whether to go on until the job has ended; else to what is there at the call.
            tail_lines: Where to begin in place of at an offset: this many lines before the end of what is there.
            limit: How many bytes of output to give at most; 0 for any number.

        Yields:
            `LogData` of up to 512 KiB, `LogGap` for what was released, and last, if all goes well, one `LogEnd`.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            InvalidStreamError, InvalidOffsetError, InvalidTailLinesError, InvalidLimitError: The caller's fault.
            OffsetOutOfRangeError: If the stream has fewer bytes so far; the caller's fault.
            JobDeletedError: If the job is deleted meanwhile; whoever deletes it means it.
            ResourceExhaustedError: If there are no descriptors or inotify watches left; the host's fault.
            StateDirectoryError: If the log was removed by somebody else; their fault.
            WorkerClosedError: If the worker is closed, or is closed meanwhile; the caller's fault.
        """
        name, begin, most = arguments.check_stream(stream), arguments.check_offset(offset), arguments.check_limit(limit)
        lines = arguments.check_tail_lines(tail_lines, offset)
        parts, job = self._parts, await self._find(job_id)
        reading = parts.readers.read(job, name, offset=begin, tail_lines=lines, limit=most, follow=follow)
        async with aclosing(reading) as frames:
            async for frame in frames:
                yield frame
                del frame  # a follower that waits must not hold what it has given

    def stop_reading(self) -> None:
        """Ends every `read_logs`, and those to come, with a `WorkerClosedError`; jobs go on."""
        self._parts.readers.end_all()

    @property
    def _parts(self) -> Parts:
        if self._opened is None:
            raise WorkerClosedError
        return self._opened

    async def _find(self, job_id: str) -> Job:
        parts = self._parts
        return await parts.store.find(arguments.check_job_id(job_id))

    async def _end_of(self, job: Job, news: Subscription) -> Job:
        if job.state.is_final:
            return job
        async for message in news:
            if isinstance(message, StateChanged) and message.job.state.is_final:
                return message.job
        raise WorkerClosedError
