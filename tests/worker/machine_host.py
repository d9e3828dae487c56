"""A worker in a process of its own, which does what it is told, and can be killed like any process."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
from contextlib import aclosing, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias, final

from jobworker.worker import Frame, LogEnd, LogGap, Worker, WorkerError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from multiprocessing.connection import Connection
    from pathlib import Path

    from jobworker.worker import Job, StreamName

    _Pipe: TypeAlias = Connection[Any, Any]

_PATIENCE_SECONDS = 20.0
"""How long an answer may take: what takes so long never comes."""


class Reading(NamedTuple):
    """What came of a read that ended well."""

    data: bytes
    end: LogEnd


class RefusedError(Exception):
    """The worker raised an error.

    Attributes:
        kind: Its class.
    """

    def __init__(self, kind: type[WorkerError], message: str) -> None:
        super().__init__(f"{kind.__name__}: {message}")
        self.kind = kind


@final
class Host:
    """A process that holds an open worker."""

    def __init__(self, state_dir: Path, **options: object) -> None:
        """Starts it and waits until the worker is open.

        Args:
            state_dir: The worker's state directory.
            **options: As `Worker` takes them.

        Raises:
            RefusedError: If the worker can't be opened.
        """
        self._pipe, theirs = multiprocessing.Pipe()
        # A fork costs a hundredth of what a new interpreter does; this process has no thread that it could harm.
        self._process = multiprocessing.get_context("fork").Process(
            target=_run, args=(theirs, self._pipe, state_dir, options)
        )
        self._process.start()
        theirs.close()
        try:
            self._answer()
        except BaseException:
            self._end()
            raise

    def __repr__(self) -> str:
        return f"<Host pid={self._process.pid}>"

    def call(self, name: str, *arguments: object, **named: object) -> Any:  # noqa: ANN401 - as the method has it
        """Has a method of `_Served` called, and returns what it returns.

        Raises:
            RefusedError: If it raises an error of the worker's.
        """
        self._pipe.send((name, arguments, named))
        return self._answer()

    def close(self) -> None:
        """Has the worker left in order, and waits for the process's end."""
        self._pipe.send(None)
        self._end()

    def kill(self) -> None:
        """Kills the process, and waits for its end."""
        os.kill(self._process.pid or 0, signal.SIGKILL)
        self._end()

    def _answer(self) -> Any:  # noqa: ANN401 - as above
        assert self._pipe.poll(_PATIENCE_SECONDS), f"{self!r}: no answer: it hangs"
        kind, value = self._pipe.recv()
        if kind is not None:
            raise RefusedError(kind, value)
        return value

    def _end(self) -> None:
        self._process.join(_PATIENCE_SECONDS)
        code = self._process.exitcode
        if code is None:
            self._process.kill()
            self._process.join()
        self._process.close()
        self._pipe.close()
        assert code in {0, -signal.SIGKILL}, f"the host's exit code: {code}"


def _run(pipe: _Pipe, other_end: _Pipe, state_dir: Path, options: dict[str, Any]) -> None:
    other_end.close()
    asyncio.run(_serve(pipe, state_dir, options))
    # Nothing of the process that this is a copy of is to be cleaned up here.
    os._exit(0)


async def _serve(pipe: _Pipe, state_dir: Path, options: dict[str, Any]) -> None:
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    try:
        async with Worker(state_dir=state_dir, **options) as worker:
            served = _Served(worker)
            pipe.send((None, None))
            while True:
                loop.add_reader(pipe.fileno(), readable.set)
                await readable.wait()
                # Not while it is carried out: what is not read yet would be told again and again.
                loop.remove_reader(pipe.fileno())
                readable.clear()
                request = pipe.recv()
                if request is None:
                    break
                pipe.send(await _carry_out(served, *request))
        await served.end()
    except WorkerError as error:
        pipe.send((type(error), str(error)))


async def _carry_out(served: _Served, name: str, arguments: list[Any], named: dict[str, Any]) -> tuple[object, object]:
    try:
        return None, await getattr(served, name)(*arguments, **named)
    except WorkerError as error:
        return type(error), str(error)


@final
class _Served:
    """What a host can be told to do."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._followers: dict[int, asyncio.Task[Reading]] = {}
        self._stops: set[asyncio.Task[Job]] = set()

    async def start(self, command: list[str], request_id: str | None, times: int) -> list[Job]:
        """Starts a job, so many times at once."""
        starts = (self._worker.start(command, request_id=request_id) for _ in range(times))
        return await asyncio.gather(*starts)

    async def get(self, job_id: str) -> Job:
        """See `Worker.get`."""
        return await self._worker.get(job_id)

    async def wait(self, job_id: str) -> Job:
        """See `Worker.wait`."""
        return await self._worker.wait(job_id)

    async def running(self) -> list[Job]:
        """Returns the jobs, of a thousand at most, that are said to run."""
        return [job for job in (await self._worker.list(page_size=1000)).jobs if not job.state.is_final]

    async def delete(self, job_id: str) -> Job:
        """See `Worker.delete`."""
        return await self._worker.delete(job_id)

    async def stop(self, job_id: str, grace_period: float) -> Job:
        """See `Worker.stop`."""
        return await self._worker.stop(job_id, grace_period=grace_period)

    async def begin_stop(self, job_id: str, grace_period: float) -> None:
        """Stops a job and returns when it has been asked to."""
        self._stops.add(asyncio.create_task(self._worker.stop(job_id, grace_period=grace_period)))
        while (await self._worker.get(job_id)).stop_request_time is None:  # noqa: ASYNC110 - nothing tells of it
            await asyncio.sleep(0)

    async def list(self, page_size: int) -> list[list[Job]]:
        """Returns all pages."""
        page = await self._worker.list(page_size=page_size)
        pages = [list(page.jobs)]
        while page.next_page_token:
            page = await self._worker.list(page_size=page_size, page_token=page.next_page_token)
            pages.append(list(page.jobs))
        return pages

    async def read(self, job_id: str, stream: StreamName, **options: Any) -> Reading:  # noqa: ANN401 - as `read_logs`
        """Reads a log to the end of the read."""
        return await _read(self._worker.read_logs(job_id, stream, **options))

    async def begin_follow(self, number: int, job_id: str, stream: StreamName, offset: int) -> None:
        """Follows a log, beside all else."""
        frames = self._worker.read_logs(job_id, stream, offset=offset, follow=True)
        self._followers[number] = asyncio.create_task(_read(frames))

    async def end_follow(self, number: int) -> Reading:
        """Returns what came of following a log, once it has ended."""
        return await self._followers.pop(number)

    async def end(self) -> None:
        """Waits for all that went on beside; to be called when the worker is closed, which ends it."""
        tasks = [*self._followers.values(), *self._stops]
        for task in tasks:
            with suppress(WorkerError):
                await task


async def _read(frames: AsyncGenerator[Frame, None]) -> Reading:
    """Returns the bytes of a read, and its end: one frame continues where the other ended, and nothing is missing."""
    data: list[bytes] = []
    offset, end = None, None
    async with aclosing(frames):
        async for frame in frames:
            assert end is None, frame
            assert not isinstance(frame, LogGap), frame
            assert offset in {None, frame.offset}, (offset, frame)
            if isinstance(frame, LogEnd):
                end = frame
            else:
                data.append(frame.data)
                offset = frame.offset + len(frame.data)
    assert end is not None
    return Reading(b"".join(data), end)
