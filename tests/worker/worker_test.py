"""A worker starts, stops, finds, lists and awaits jobs."""

from __future__ import annotations

import asyncio
import errno
import re
import signal
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import (
    STREAMS,
    AmbiguousJobIdError,
    Exited,
    InvalidJobIdError,
    InvalidPageTokenError,
    Job,
    JobNotFoundError,
    JobState,
    LogData,
    MemoryJobStore,
    Signaled,
    Worker,
    WorkerClosedError,
)
from worker_support import footprint, leaves_nothing, read_all, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping
    from collections.abc import Set as AbstractSet
    from pathlib import Path
    from typing import Self

UUID4 = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
UNKNOWN = "00000000-0000-4000-8000-000000000000"


class FaultyStore:
    """A job store whose answers can be held up, or fail, as a disk's can."""

    is_durable = False

    def __init__(self) -> None:
        self._kept = MemoryJobStore()
        self.reserve = self._kept.reserve
        self.release = self._kept.release
        self.reservations = self._kept.reservations
        self.delete = self._kept.delete
        self.surplus = self._kept.surplus
        self.page = self._kept.page
        self.secret = self._kept.secret
        self.oldest_end = self._kept.oldest_end
        self.unsaved = self._kept.unsaved
        self.free = asyncio.Event()
        self.free.set()
        self.full = False

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Has nothing to close."""

    async def add(self, job: Job) -> None:
        """See `JobStore.add`."""
        if self.full:
            raise OSError(errno.ENOSPC, "no space for a job")
        await self._kept.add(job)

    async def replace(self, job: Job) -> None:
        """See `JobStore.replace`."""
        await self._kept.replace(job)

    async def find(self, prefix: str, *, visible_to: AbstractSet[str] | None = None) -> Job:
        """See `JobStore.find`."""
        await self.free.wait()
        return await self._kept.find(prefix, visible_to=visible_to)

    async def find_request(self, principal: str, request_id: str) -> Job | None:
        """See `JobStore.find_request`."""
        await self.free.wait()
        return await self._kept.find_request(principal, request_id)

    async def running(self) -> tuple[Job, ...]:
        """See `JobStore.running`."""
        return await self._kept.running()

    async def running_counts(self) -> Mapping[str, int]:
        """See `JobStore.running_counts`."""
        return await self._kept.running_counts()


async def test_ten_lines_run_a_job() -> None:
    """The README's example works as it stands there."""
    output = b""
    async with leaves_nothing(), Worker() as worker:
        job = await worker.start(["sh", "-c", "echo hi; sleep 0.01"])
        async for frame in worker.read_logs(job.id, "stdout", follow=True):
            if isinstance(frame, LogData):
                output += frame.data
        job = await worker.stop(job.id)
    assert (output, job.state) == (b"hi\n", JobState.SUCCEEDED)


async def test_a_started_job_runs(worker: Worker) -> None:
    """It has an id, the command as given, an owner, and no end."""
    before = datetime.now(UTC)
    job = await worker.start(["sleep", "1000"], owner="me")
    assert UUID4.fullmatch(job.id)
    assert (job.command, job.owner, job.request_id) == (("sleep", "1000"), "me", None)
    assert (job.state, job.outcome, job.end_time, job.stop_request_time) == (JobState.RUNNING, None, None, None)
    assert before <= job.start_time <= datetime.now(UTC)


@pytest.mark.parametrize(
    ("script", "outcome", "state"),
    [
        ("exit 0", Exited(0), JobState.SUCCEEDED),
        ("exit 7", Exited(7), JobState.FAILED),
        ("exit 255", Exited(255), JobState.FAILED),
        ("kill -TERM $$", Signaled(signal.SIGTERM), JobState.FAILED),
        ("kill -KILL $$", Signaled(signal.SIGKILL), JobState.FAILED),
    ],
)
async def test_a_job_ends_as_its_first_process_does(
    worker: Worker, script: str, outcome: Exited | Signaled, state: JobState
) -> None:
    """A signal that nobody asked for is a failure, SIGKILL included."""
    job = await worker.wait((await worker.start(sh(script))).id)
    assert (job.outcome, job.state, job.stop_request_time) == (outcome, state, None)
    assert job.end_time is not None
    assert job.start_time <= job.end_time <= datetime.now(UTC)


async def test_a_stopped_job_says_when_and_how(worker: Worker) -> None:
    """It was killed, because somebody asked, and ended after that."""
    job = await worker.stop((await worker.start(["sleep", "1000"])).id)
    assert (job.state, job.outcome) == (JobState.STOPPED, Signaled(signal.SIGKILL, by_stop=True))
    assert job.stop_request_time is not None
    assert job.end_time is not None
    assert job.start_time <= job.stop_request_time <= job.end_time
    assert await worker.get(job.id) == job


async def test_many_wait_for_one_job(worker: Worker) -> None:
    """All are told, those too that come after the end."""
    job = await worker.start(sh("read -r _ < /dev/null; exit 3"))
    waits = [worker.wait(job.id) for _ in range(20)]
    ended = await asyncio.gather(*waits)
    assert {one.exit_code for one in ended} == {3}
    assert await worker.wait(job.id) == ended[0]


async def test_a_cancelled_wait_harms_nothing(worker: Worker) -> None:
    """The job goes on, and so does who else waits for it."""
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, job.id)
    waiting = [asyncio.ensure_future(worker.wait(job.id)) for _ in range(2)]
    await asyncio.sleep(0)
    waiting[0].cancel()
    assert (await worker.get(job.id)).state is JobState.RUNNING
    stopped = await worker.stop(job.id)
    assert await waiting[1] == stopped
    assert waiting[0].cancelled()


async def test_a_cancelled_stop_stops_all_the_same(worker: Worker) -> None:
    """A client that went away after asking has asked."""
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, job.id)
    stopping = asyncio.ensure_future(worker.stop(job.id))
    await asyncio.sleep(0)
    assert (await worker.get(job.id)).stop_request_time is not None
    stopping.cancel()
    assert (await worker.wait(job.id)).state is JobState.STOPPED


async def test_a_job_is_found_by_the_beginning_of_its_id(worker: Worker) -> None:
    """In every call that takes an id, in any case."""
    job = await worker.start(sh("echo hi"))
    prefix = job.id[:13].upper()
    assert await read_all(worker, prefix) == b"hi\n"
    ended = await worker.wait(prefix)
    assert [ended.id, await worker.get(prefix), await worker.stop(prefix)] == [job.id, ended, ended]


@pytest.mark.parametrize("call", [Worker.get, Worker.stop, Worker.wait, read_all])
@pytest.mark.parametrize(
    ("job_id", "kind"), [(UNKNOWN, JobNotFoundError), ("no id", InvalidJobIdError), ("", InvalidJobIdError)]
)
async def test_an_id_that_names_no_job_is_refused(
    worker: Worker, call: Callable[[Worker, str], Awaitable[object]], job_id: str, kind: type[Exception]
) -> None:
    """Every call that takes an id says which of the two it is."""
    with pytest.raises(kind):
        await call(worker, job_id)


async def test_an_ambiguous_id_stops_nothing(worker: Worker) -> None:
    """With 17 jobs two ids begin alike; neither job is touched."""
    jobs = [await worker.start(["sleep", "1000"]) for _ in range(17)]
    digits = [job.id[0] for job in jobs]
    shared = max(digits, key=digits.count)
    with pytest.raises(AmbiguousJobIdError, match=f"{digits.count(shared)} jobs"):
        await worker.stop(shared)
    page = await worker.list()
    assert {(job.state, job.stop_request_time) for job in page.jobs} == {(JobState.RUNNING, None)}


async def test_jobs_are_listed_newest_first_while_jobs_are_added(worker: Worker) -> None:
    """Who pages sees each job once that was there at the first page."""
    ids = [(await worker.start(["true"])).id for _ in range(7)]
    page = await worker.list(page_size=3)
    seen = [job.id for job in page.jobs]
    while page.next_page_token:
        await worker.start(["true"])
        page = await worker.list(page_size=3, page_token=page.next_page_token)
        seen += [job.id for job in page.jobs]
    assert seen == ids[::-1]


async def test_a_list_shows_what_running_jobs_have_written(worker: Worker) -> None:
    """As get does: sizes are those of now, not of the start."""
    job = await worker.start(sh("echo hello; echo oh >&2; exec sleep 1000"))
    await read_lines(worker, job.id)
    (listed,) = (await worker.list()).jobs
    assert (listed.stdout_bytes, (await worker.get(job.id)).stdout_bytes) == (6, 6)


async def test_a_page_token_of_ones_own_making_is_refused(worker: Worker) -> None:
    """It is an error of its own, not an empty page."""
    with pytest.raises(InvalidPageTokenError):
        await worker.list(page_token="1")  # noqa: S106 - no secret


async def test_a_store_may_be_given_and_outlives_the_worker() -> None:
    """What it holds at the end are finished jobs."""
    store = MemoryJobStore()
    async with leaves_nothing(), Worker(store=store) as worker:
        job = await worker.start(["sleep", "1000"])
    kept = await store.find(job.id)
    assert (kept.state, kept.signal) == (JobState.STOPPED, signal.SIGKILL)


async def test_calls_held_up_by_the_store_while_the_worker_closes() -> None:
    """A start that comes through too late is told so, and a stop finds its job stopped."""
    async with leaves_nothing():
        store = FaultyStore()
        async with Worker(store=store) as worker:
            job = await worker.start(["sleep", "1000"])
            store.free.clear()
            calls = [worker.start(["true"], request_id=UNKNOWN), worker.stop(job.id)]
            tasks = [asyncio.ensure_future(call) for call in calls]
            await asyncio.sleep(0)
            asyncio.get_running_loop().call_soon(store.free.set)
        start, stop = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(start, WorkerClosedError)
    assert isinstance(stop, WorkerClosedError) or (isinstance(stop, Job) and stop.state is JobState.STOPPED)


async def test_a_store_that_fails_ends_the_worker() -> None:
    """Its error comes out, the job that could not be kept is killed, and who waits for the start is told."""
    store = FaultyStore()
    store.full = True
    async with leaves_nothing():
        with pytest.raises(OSError, match="no space for a job"):  # noqa: PT012 - a whole `async with`
            async with Worker(store=store) as worker:
                start = asyncio.ensure_future(worker.start(["sleep", "1000"]))
                await asyncio.get_running_loop().create_future()
        async with asyncio.timeout(9):
            with pytest.raises(WorkerClosedError):
                await start


def mode(path: Path) -> str:
    """Returns a file's permission bits."""
    return oct(path.stat().st_mode & 0o7777)


async def test_a_state_directory_is_made_and_left(tmp_path: Path) -> None:
    """For its user alone; what jobs wrote is there after the worker's end."""
    directory = tmp_path / "a" / "b"
    async with leaves_nothing(), Worker(state_dir=directory) as worker:
        job = await worker.wait((await worker.start(sh("echo out; echo err >&2"))).id)
    logs = [directory / "logs" / f"{job.id}.{stream}" for stream in STREAMS]
    assert [path.read_text() for path in logs] == ["out\n", "err\n"]
    modes = [mode(path) for path in (directory, directory / "logs", *logs)]
    assert modes == ["0o700", "0o700", "0o600", "0o600"]


async def test_a_private_state_directory_is_for_its_user_alone(worker: Worker, scratch: Path) -> None:
    """The default one is in the temporary directory, with mode 0700."""
    await worker.start(["true"])
    (directory,) = footprint().temporary_files
    assert mode(scratch / directory) == "0o700"


@pytest.mark.parametrize("opened", [False, True])
async def test_a_worker_that_is_not_open_says_so(*, opened: bool) -> None:
    """Before it is entered and after it is left, each call fails with the same error."""
    worker = Worker()
    if opened:
        async with worker:
            pass
    for call in (
        worker.start(["true"]),
        worker.stop(UNKNOWN),
        worker.get(UNKNOWN),
        worker.list(),
        worker.wait(UNKNOWN),
        read_all(worker, UNKNOWN),
    ):
        with pytest.raises(WorkerClosedError):
            await call


async def test_two_workers_know_nothing_of_each_other() -> None:
    """Closing one leaves the other's jobs alone."""
    async with leaves_nothing(), Worker() as one:
        async with Worker() as other:
            await other.start(["sleep", "1000"])
            job = await one.start(sh("echo ready; exec sleep 1000"))
            with pytest.raises(JobNotFoundError):
                await other.get(job.id)
        await read_lines(one, job.id)
        assert (await one.get(job.id)).state is JobState.RUNNING


def test_a_worker_shows_its_state() -> None:
    """For logs and debuggers."""
    assert repr(Worker()) == "<Worker closed store=<MemoryJobStore jobs=0 running=0>>"
