"""What an open worker does with jobs: starts, stops, finds, lists, reads, awaits and deletes them."""

from __future__ import annotations

import uuid
from contextlib import aclosing
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from jobworker.worker import arguments
from jobworker.worker.bus import MessageBus, StateChanged, output_channel
from jobworker.worker.errors import JobRunningError, WorkerClosedError
from jobworker.worker.page_tokens import PageTokens
from jobworker.worker.store import Page, Reservation

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from collections.abc import Set as AbstractSet

    from jobworker.worker.assembly import Parts
    from jobworker.worker.bus import Subscription
    from jobworker.worker.frames import Frame
    from jobworker.worker.job import Job, StreamName
    from jobworker.worker.starts import Admit, Announce


class Operations:
    """What a `Worker` does while it is open.

    A job id may everywhere be the beginning of one, as long as a single one fits. Where principals are given as
    `visible_to`, such as all names of a caller, the jobs of all others are as if they did not exist: they are not
    found, not listed, and make no beginning of an id ambiguous.
    """

    def __init__(self) -> None:
        self.bus = MessageBus()
        self._opened: Parts | None = None

    async def start(  # noqa: PLR0913 - each says one thing of the job, or of who is asked
        self,
        command: Sequence[str],
        *,
        owner: str = "",
        principal: str | None = None,
        aliases: AbstractSet[str] = frozenset(),
        request_id: str | None = None,
        admit: Admit | None = None,
        announce: Announce | None = None,
    ) -> Job:
        """Starts a job.

        Args:
            command: The program, looked up along the worker's PATH unless it has a slash, and its arguments; no shell.
            owner: Who starts it, in the caller's own terms.
            principal: Whose it is, in the caller's own terms; None is the owner's.
            aliases: Other names of that principal, under which its earlier requests may have come.
            request_id: A UUID of the caller's choice: the same principal's same one always gives the same job, however
                often and however concurrently it is asked for, for as long as that job is kept. None or "" for a new
                job in any case.
            admit: Asked if this is a new job, right before it begins; see `Admit`. None lets each one in.
            announce: Told of a new job once it was admitted, before it is made; see `Announce`. None tells nobody.

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
        whose = owner if principal is None else principal
        wanted = Reservation(str(uuid.uuid4()), words, owner, whose, request)
        return parts.lifecycle.measured(await parts.starts.start(wanted, aliases, admit, announce))

    async def stop(self, job_id: str, *, grace_period: float = 0.0, visible_to: AbstractSet[str] | None = None) -> Job:
        """Ends a job and returns it once its processes are gone; a finished job is returned as it is.

        Args:
            job_id: The job.
            grace_period: How many seconds it may take to end by itself, after SIGTERM was sent to its process group;
                what is left then is killed. 0 kills at once. The shortest of several stops holds.
            visible_to: Whose jobs there are; None is everyone's.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            InvalidGracePeriodError: If it can't be; the caller's fault.
            WorkerClosedError: If the worker is closed, or is being closed; the caller's fault.
        """
        now, grace_seconds = datetime.now(UTC), arguments.check_grace_period(grace_period)
        parts, job = self._parts, await self._find(job_id, visible_to)
        async with self.bus.subscribe(output_channel(job.id)) as news:
            job = await parts.lifecycle.change(job.id, lambda job: job.with_stop_request(now))
            if not job.state.is_final:
                parts.supervision.stop(job.id, grace_seconds)
            return await self._end_of(job, news)

    async def get(self, job_id: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """Returns a job as it is now.

        Args:
            job_id: The job.
            visible_to: Whose jobs there are; None is everyone's.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        return self._parts.lifecycle.measured(await self._find(job_id, visible_to))

    async def list(
        self, *, page_size: int = 0, page_token: str = "", visible_to: AbstractSet[str] | None = None
    ) -> Page:
        """Returns jobs, newest first, a page at a time.

        Args:
            page_size: How many jobs at most; 0 is `DEFAULT_PAGE_SIZE`, and more than `MAX_PAGE_SIZE` is that many.
            page_token: The page before's `next_page_token`, of the same view; empty begins with the newest job.
            visible_to: Whose jobs there are; None is everyone's.

        Raises:
            InvalidPageSizeError, InvalidPageTokenError: If they can't be; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        parts, size = self._parts, arguments.check_page_size(page_size)
        tokens = PageTokens(parts.store.secret())
        first = tokens.decode(page_token, visible_to)
        jobs, before = await parts.store.page(size, first, visible_to=visible_to)
        return Page(tuple(map(parts.lifecycle.measured, jobs)), tokens.encode(before, visible_to))

    async def wait(self, job_id: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """Returns a job once it has finished and its processes are gone.

        Args:
            job_id: The job.
            visible_to: Whose jobs there are; None is everyone's.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            WorkerClosedError: If the worker is closed, or is closed meanwhile; the caller's fault.
        """
        parts, job = self._parts, await self._find(job_id, visible_to)
        async with self.bus.subscribe(output_channel(job.id)) as news:
            return await self._end_of(await parts.store.find(job.id), news)

    async def delete(self, job_id: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """Deletes a finished job, its output included, and returns it as it was.

        Args:
            job_id: The job.
            visible_to: Whose jobs there are; None is everyone's.

        Raises:
            InvalidJobIdError, AmbiguousJobIdError, JobNotFoundError: If the id names no one job; the caller's fault.
            JobRunningError: If it has not ended; the caller's fault.
            WorkerClosedError: If the worker is closed; the caller's fault.
        """
        parts, job = self._parts, await self._find(job_id, visible_to)
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
        visible_to: AbstractSet[str] | None = None,
    ) -> AsyncGenerator[Frame, None]:
        """Yields what a job has written to a stream, exact to the byte, frame by frame.

        Args:
            job_id: The job.
            stream: "stdout" or "stderr".
            offset: Where to begin, in bytes from 0.
            follow: Whether to go on until the job has ended; else to what is there at the call.
            tail_lines: Where to begin in place of at an offset: this many lines before the end of what is there.
            limit: How many bytes of output to give at most; 0 for any number.
            visible_to: Whose jobs there are; None is everyone's.

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
        parts, job = self._parts, await self._find(job_id, visible_to)
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

    async def _find(self, job_id: str, visible_to: AbstractSet[str] | None) -> Job:
        parts = self._parts
        return await parts.store.find(arguments.check_job_id(job_id), visible_to=visible_to)

    async def _end_of(self, job: Job, news: Subscription) -> Job:
        if job.state.is_final:
            return job
        async for message in news:
            if isinstance(message, StateChanged) and message.job.state.is_final:
                return message.job
        raise WorkerClosedError
