"""The worker: starts, stops, finds, lists, reads and awaits jobs. It puts the parts together and owns their lives."""

from __future__ import annotations

import asyncio
import os
import warnings
from contextlib import AsyncExitStack, aclosing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker.supervisor.protocol import Exited as ExitedEvent
from jobworker.supervisor.protocol import Refused, Started
from jobworker.supervisor.sweep import kill_marked
from jobworker.worker import arguments, state_dir
from jobworker.worker.bus import Closed, MessageBus, StateChanged, output_channel, stream_channel
from jobworker.worker.errors import SupervisorError, WorkerClosedError
from jobworker.worker.inotify import Inotify
from jobworker.worker.job import STREAMS, Exited, Job, Signaled
from jobworker.worker.output import OutputLogs
from jobworker.worker.reader import LogReaders
from jobworker.worker.starts import Starts, to_datetime
from jobworker.worker.store import JobStore, MemoryJobStore, Page
from jobworker.worker.supervisor_client import SupervisorClient

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
    from types import TracebackType
    from typing import Self

    from jobworker.worker.job import StreamName


@final
class Worker:
    """Runs jobs: an async context manager that belongs to one event loop and one task.

    Leaving the context kills every job. So does the end of this process, even by SIGKILL: a job never outlives its
    worker. A job id may everywhere be the beginning of one, as long as a single job's id begins with it.

    Example:
        >>> async with Worker() as worker:
        ...     job = await worker.start(["sh", "-c", "echo hi; sleep 1"])
        ...     async for chunk in worker.read_logs(job.id, "stdout", follow=True):
        ...         print(chunk)
    """

    def __init__(
        self,
        *,
        state_dir: Path | str | None = None,
        environment: Mapping[str, str] | None = None,
        store: JobStore | None = None,
    ) -> None:
        """Prepares a worker; entering it starts its supervisor.

        Args:
            state_dir: Where the output logs are kept, made if it isn't there, and left as it is at the end. None is a
                private temporary directory, removed at the end.
            environment: The environment of the jobs; None is this process's.
            store: Where jobs are kept; None is a new `MemoryJobStore`.
        """
        self._state_dir = None if state_dir is None else Path(state_dir)
        self._environment = os.environ if environment is None else environment
        self._store = MemoryJobStore() if store is None else store
        self.bus = MessageBus()
        self._changing = asyncio.Lock()
        self._stack = AsyncExitStack()
        self._open = False

    def __repr__(self) -> str:
        return f"<Worker {'open' if self._open else 'closed'} store={self._store!r}>"

    def __del__(self) -> None:
        if self._open:
            warnings.warn(f"{self!r} was never left: use 'async with'", ResourceWarning, source=self, stacklevel=2)

    async def __aenter__(self) -> Self:
        """Opens the worker.

        Raises:
            StateDirectoryError: If the state directory can't be used; the fault of whoever chose it.
            ResourceExhaustedError: If there are no processes, descriptors or inotify instances left; the host's fault.
            SupervisorError: If the supervisor does not start; the host's fault, or a bug of ours.
        """
        async with AsyncExitStack() as stack:
            scratch = None if self._state_dir else stack.enter_context(state_dir.private_directory())
            directory = state_dir.prepare(self._state_dir or scratch or Path())
            inotify = await stack.enter_async_context(Inotify())
            self._logs = OutputLogs(directory, inotify, self.bus)
            self._readers = LogReaders(self._store, self._logs, self.bus)
            self._supervisor = await stack.enter_async_context(SupervisorClient(self._environment, scratch))
            self._starts = Starts(self._store, self._supervisor, self._logs)
            tasks = await stack.enter_async_context(asyncio.TaskGroup())
            tasks.create_task(self._handle_events(), name="jobworker: supervisor's events")
            self._stack = stack.pop_all()
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """Ends readers, kills all jobs, and ends the supervisor.

        Raises:
            SupervisorError: If the supervisor died while the worker was open; the host's fault, or a bug of ours.
        """
        self._open = False
        self._readers.end_all()
        self._supervisor.close()
        try:
            # Without the caller's exception: the events up to the supervisor's last are handled in any case.
            await self._stack.aclose()
        except BaseExceptionGroup as group:
            # The one task that can fail is ours; who uses the worker need not know that there is a group.
            raise group.exceptions[0] from None
        finally:
            self.bus.close()

    async def start(self, command: Sequence[str], *, owner: str = "", request_id: str | None = None) -> Job:
        """Starts a job.

        Args:
            command: The program and its arguments; a program without a slash is looked up along the worker's PATH. No
                shell is involved.
            owner: Who starts it, in the caller's own terms.
            request_id: A UUID of the caller's choice: the same owner's same one always gives the same job, however
                often and however concurrently it is asked for. None or "" for a new job in any case.

        Returns:
            The job, which runs. It goes on whatever happens to the caller.

        Raises:
            InvalidCommandError: If the command is empty or can't be passed to the kernel; the caller's fault.
            InvalidRequestIdError: If the request id is no UUID; the caller's fault.
            RequestIdReusedError: If it came before with another command; the caller's fault.
            ProgramNotFoundError, ProgramNotExecutableError, ProgramFormatError, CommandTooLongError: If the kernel
                refuses to execute the program; the caller's fault.
            ResourceExhaustedError: If the host has no more processes, memory, descriptors or disk; the host's fault.
            SupervisorError: If the start failed in another way; the host's fault, or a bug of ours.
            WorkerClosedError: If the worker is closed, or is being closed; the caller's fault.
        """
        self._check_open()
        words, request = arguments.check_command(command), arguments.check_request_id(request_id)
        return self._measured(await self._starts.start(words, owner, request))

    async def stop(self, job_id: str) -> Job:
        """Kills a job and returns it once its processes are gone; a finished job is returned as it is.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed, or is being closed; the caller's fault.
        """
        now = datetime.now(UTC)
        job = await self._change((await self._find(job_id)).id, lambda job: job.with_stop_request(now))
        if not job.state.is_final:
            self._supervisor.kill(job.id)
        return await self.wait(job.id)

    async def get(self, job_id: str) -> Job:
        """Returns a job as it is now.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        return self._measured(await self._find(job_id))

    async def list(self, *, page_size: int = 0, page_token: str = "") -> Page:
        """Returns jobs, newest first, a page at a time.

        Args:
            page_size: How many jobs at most; 0 is `DEFAULT_PAGE_SIZE`, and more than `MAX_PAGE_SIZE` is that many.
            page_token: The page before's `next_page_token`; empty begins with the newest job.

        Raises:
            InvalidPageSizeError, InvalidPageTokenError: If they can't be; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        self._check_open()
        size = arguments.check_page_size(page_size)
        jobs, before = await self._store.page(size, arguments.decode_page_token(page_token))
        return Page(tuple(map(self._measured, jobs)), arguments.encode_page_token(before))

    async def wait(self, job_id: str) -> Job:
        """Returns a job once it has finished and its processes are gone.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed, or is closed meanwhile; the caller's fault.
        """
        job = await self._find(job_id)
        async with self.bus.subscribe(output_channel(job.id)) as news:
            job = await self._store.find(job.id)
            if job.state.is_final:
                return job
            async for message in news:
                if isinstance(message, StateChanged) and message.job.state.is_final:
                    return message.job
        raise WorkerClosedError

    async def read_logs(
        self, job_id: str, stream: StreamName, *, offset: int = 0, follow: bool = False
    ) -> AsyncGenerator[bytes, None]:
        """Yields what a job has written to a stream, exact to the byte, in chunks of up to 512 KiB.

        Args:
            job_id: The job.
            stream: "stdout" or "stderr".
            offset: Where to begin, in bytes from 0.
            follow: Whether to go on until the job has ended; else to what is there at the call.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            InvalidStreamError, InvalidOffsetError: If they can't be; the caller's fault.
            OffsetOutOfRangeError: If the stream has fewer bytes so far; the caller's fault.
            ResourceExhaustedError: If there are no descriptors or inotify watches left; the host's fault.
            WorkerClosedError: If the worker is closed, or is closed meanwhile; the caller's fault.
        """
        name = arguments.check_stream(stream)
        begin = arguments.check_offset(offset)
        job = await self._find(job_id)
        async with aclosing(self._readers.read(job, name, begin, follow=follow)) as chunks:
            async for chunk in chunks:
                yield chunk

    def stop_reading(self) -> None:
        """Ends every `read_logs`, and those to come, with a `WorkerClosedError`; jobs go on."""
        self._readers.end_all()

    def _check_open(self) -> None:
        if not self._open:
            raise WorkerClosedError

    async def _find(self, job_id: str) -> Job:
        self._check_open()
        return await self._store.find(arguments.check_job_id(job_id))

    def _measured(self, job: Job) -> Job:
        """Returns a job with the sizes its output has now; a finished one's are known."""
        if job.state.is_final:
            return job
        return job.with_sizes(*(self._logs.size(job.id, stream) for stream in STREAMS))

    async def _change(self, job_id: str, change: Callable[[Job], Job]) -> Job:
        """Changes a job in the store; a change never undoes another that came between its reading and its writing."""
        async with self._changing:
            before = await self._store.find(job_id)
            after = change(before)
            if after is not before:
                await self._store.replace(after)
        return after

    async def _handle_events(self) -> None:
        try:
            async for event in self._supervisor.events():
                match event:
                    case Started():
                        job = await self._starts.started(event)
                        self.bus.publish(output_channel(job.id), StateChanged(job))
                    case Refused():
                        self._starts.refused(event)
                    case ExitedEvent():
                        await self._end(event)
            # A start that was not answered may have happened all the same.
            left = [*(job.id for job in await self._store.running()), *self._starts.pending()]
        finally:
            # Also if the job store failed: nobody else would answer them.
            self._starts.fail_all(WorkerClosedError())
        if self._open or left:
            killed = await asyncio.to_thread(kill_marked, left)
            raise SupervisorError(f"the supervisor died; {killed} processes of its {len(left)} jobs were killed")

    async def _end(self, event: ExitedEvent) -> None:
        outcome = Signaled(event.signal, event.by_stop) if event.signal else Exited(event.code or 0)
        at = to_datetime(event.time_ns)

        def end(job: Job) -> Job:
            # A job that ends because its worker does is stopped too, though no client asked for it.
            asked = job.with_stop_request(at) if event.by_stop else job
            return self._measured(asked).ended(outcome, at)

        job = await self._change(event.job_id, end)
        for stream in STREAMS:
            self.bus.publish(stream_channel(job.id, stream), Closed(job.written(stream)))
        self.bus.publish(output_channel(job.id), StateChanged(job))
