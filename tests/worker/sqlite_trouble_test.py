"""A store whose file is locked, whose disk is full, or whose pages are damaged while it is open: nothing is lost."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager, suppress
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

import pytest

from jobworker.worker import (
    AmbiguousJobIdError,
    Job,
    JobNotFoundError,
    JobStoreError,
    Lost,
    ResourceExhaustedError,
    WorkerClosedError,
    WorkerError,
    sqlite_database,
    sqlite_schema,
)
from jobworker.worker import sqlite_statements as sql
from jobworker.worker.sqlite_rows import job_row
from jobworker.worker.sqlite_store import SqliteJobStore
from store_support import NOW, ended, filled, finished, job, reservation
from worker_support import library_environment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """What waits for a lock does not wait long."""
    monkeypatch.setattr(sqlite_schema, "PATIENCE", 0)
    monkeypatch.setattr(sqlite_database, "PATIENCE", 0)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where the store has its file."""
    return tmp_path / "jobs.sqlite"


@pytest.fixture
async def store(path: Path) -> AsyncIterator[SqliteJobStore]:
    """An open store."""
    async with SqliteJobStore(path) as opened:
        yield opened


@contextmanager
def locked(store: SqliteJobStore, statement: str = "BEGIN IMMEDIATE") -> Iterator[type[WorkerError]]:
    """Has another program write to the file, and no end of it."""
    with closing(sqlite3.connect(store._path, isolation_level=None)) as other:
        other.execute(statement)
        yield JobStoreError


@contextmanager
def full(store: SqliteJobStore) -> Iterator[type[WorkerError]]:
    """Lets the file grow no more, as a full disk does; for as long as it is open."""
    ((limit,),) = store._database.read("PRAGMA max_page_count")
    store._database.read("PRAGMA max_page_count = 1")  # which is understood as: as many as it has
    yield ResourceExhaustedError
    with suppress(WorkerClosedError):
        store._database.read(f"PRAGMA max_page_count = {limit}")


class Trouble(Protocol):
    """Makes a store unable to write for as long as the context lasts, and tells with which error."""

    def __call__(self, store: SqliteJobStore) -> AbstractContextManager[type[WorkerError]]:
        """Begins it."""


@pytest.fixture(params=[locked, full])
def trouble(request: pytest.FixtureRequest) -> Trouble:
    """Each kind of it."""
    made: Trouble = request.param
    return made


def big(one: Job) -> Job:
    """Returns a job that needs pages of its own."""
    return Job(id=one.id, command=("x" * 100_000,), start_time=one.start_time, request_id=one.request_id)


def lost(one: Job, seconds: float) -> Job:
    """Returns a job that ended so many seconds after `NOW`, and then needs pages of its own."""
    return one.ended(Lost("y" * 100_000), NOW + timedelta(seconds=seconds))


def rows(store: SqliteJobStore, columns: str) -> list[tuple[object, ...]]:
    """Returns what is in the file, as another program finds it."""
    with closing(sqlite3.connect(store._path)) as other:
        return other.execute(f"SELECT {columns} FROM jobs ORDER BY position").fetchall()  # noqa: S608 - ours


async def reopened(store: SqliteJobStore, job_id: str) -> Job:
    """Returns a job as a later store finds it."""
    async with SqliteJobStore(store._path) as later:
        return await later.find(job_id)


async def test_what_can_not_be_written_is_refused_whole(store: SqliteJobStore, trouble: Trouble) -> None:
    """Neither a reservation nor a job is there then, nor ids taken; what was reserved still is."""
    kept = reservation(request_id="kept")
    await store.reserve(kept)
    one, taken = big(job(request_id="one")), reservation(request_id="taken")
    huge = type(taken)(taken.job_id, big(job()).command, "", "taken")
    with trouble(store) as kind:
        for _ in range(2):
            with pytest.raises(kind):
                await store.reserve(huge)
            with pytest.raises(kind):
                await store.add(one)
            with pytest.raises(kind):
                await store.add(big(job(kept.job_id, request_id="kept")))
        assert await store.page(9, None) == ((), None)
        assert await store.running() == ()
        assert await store.reservations() == (kept,)
        assert store._database.read("SELECT id FROM reservations") == [(kept.job_id,)]
    await store.reserve(huge)
    await store.add(one)
    assert await store.reservations() == (kept, huge)
    assert await reopened(store, one.id) == one


async def test_a_locked_store_says_so(store: SqliteJobStore) -> None:
    """And a full disk what it is full of."""
    with locked(store), pytest.raises(JobStoreError, match="another program has locked it"):
        await store.reserve(reservation())
    with full(store), pytest.raises(ResourceExhaustedError, match="disk space"):
        await store.add(big(job()))


async def test_a_transaction_that_fails_is_undone(store: SqliteJobStore) -> None:
    """As when somebody else had written to the file; what comes after is not part of it."""
    (one,) = await finished(store, 1)
    delete, add = (sql.DELETE, (one.id,)), (sql.ADD, job_row(job(one.id)))
    with pytest.raises(ValueError, match="UNIQUE"):
        store._database.write(delete, add, add)
    assert await store.find(one.id) == one
    await filled(store, 1)
    assert len(rows(store, "id")) == 2


async def test_a_job_is_not_half_deleted(store: SqliteJobStore) -> None:
    """Whoever deletes it is told, and may try again."""
    (one,) = await finished(store, 1)
    with locked(store), pytest.raises(JobStoreError):
        await store.delete(one.id)
    assert await store.find(one.id) == one
    await store.delete(one.id)
    with pytest.raises(JobNotFoundError):
        await store.find(one.id)


async def test_an_end_is_kept_whatever_the_disk_says(store: SqliteJobStore, trouble: Trouble) -> None:
    """Every call finds the job as it is; none of it is taken for saved."""
    older = await finished(store, 2)
    # No id that was made at random begins so.
    one, other = job("xy" + "0" * 34, request_id="r"), job("xy" + "1" * 34)
    await store.add(one)
    await store.add(other)
    over = lost(one, 1.5)
    with trouble(store):
        await store.replace(over)
        assert store.unsaved() == {one.id}
        assert await store.find(one.id) == await store.find(one.id[:3]) == over
        with pytest.raises(AmbiguousJobIdError, match="2 jobs"):
            await store.find("xy")
        assert await store.find_request("", "r") == over
        assert await store.page(9, None) == ((other, over, *older[::-1]), None)
        assert await store.page(1, 4) == ((over,), 3)
        assert await store.running() == (other,)
        assert "jobs=4 running=1 unsaved=1" in repr(store)
        assert rows(store, "id, end_time")[2:] == [(one.id, None), (other.id, None)]


async def test_what_is_not_saved_counts_as_finished(store: SqliteJobStore, trouble: Trouble) -> None:
    """It has its place among those that ended before and after, by either limit."""
    first, last = await finished(store, 2)
    early, middle = await filled(store, 2)
    with trouble(store):
        await store.replace(lost(middle, 1.5))
        assert await store.oldest_end() == first.end_time
        assert await store.surplus(0, None) == (first, lost(middle, 1.5), last)
        assert await store.surplus(1, None) == (first, lost(middle, 1.5))
        assert await store.surplus(2, NOW + timedelta(seconds=1.2)) == (first,)
        assert await store.surplus(None, NOW + timedelta(seconds=1.8)) == (first, lost(middle, 1.5))
        await store.replace(lost(early, 0.5))
        assert await store.oldest_end() == NOW + timedelta(seconds=0.5)
        assert await store.surplus(3, None) == (lost(early, 0.5),)


@pytest.mark.parametrize("write", ["add", "reserve", "delete", "replace", "release"])
async def test_the_next_write_saves_what_is_not_saved(store: SqliteJobStore, trouble: Trouble, write: str) -> None:
    """Whichever it is, once the trouble is over."""
    one, other = await filled(store, 2)
    taken = reservation()
    await store.reserve(taken)
    with trouble(store):
        await store.replace(lost(one, 1))
        assert store.unsaved() == {one.id}
    await {
        "add": lambda: store.add(job()),
        "reserve": lambda: store.reserve(reservation()),
        "delete": lambda: store.delete(other.id),
        "replace": lambda: store.replace(ended(other)),
        "release": lambda: store.release(taken.job_id),
    }[write]()
    assert store.unsaved() == frozenset()
    assert await reopened(store, one.id) == lost(one, 1)


async def test_what_was_replaced_twice_is_saved_as_it_is_last(store: SqliteJobStore) -> None:
    """A stop request, then the end; while the job runs, it stays where it is among those that do."""
    newest, one, oldest = await filled(store, 3)
    with locked(store):
        asked = one.with_stop_request(NOW)
        await store.replace(asked)
        assert store.unsaved() == {one.id}
        assert await store.running() == (oldest, asked, newest)
        await store.replace(lost(asked, 1))
    await store.replace(ended(oldest))
    assert await reopened(store, one.id) == lost(asked, 1)


async def test_a_deleted_job_is_not_saved(store: SqliteJobStore) -> None:
    """It does not come back with the next write."""
    one, other = await filled(store, 2)
    with full(store):
        await store.replace(lost(other, 1))
        await store.replace(lost(one, 1))
        await store.delete(one.id)
        assert store.unsaved() == {other.id}
    await filled(store, 1)
    assert store.unsaved() == frozenset()
    with pytest.raises(JobNotFoundError):
        await store.find(one.id)


async def test_a_released_reservation_stays_released(store: SqliteJobStore) -> None:
    """Its ids are free at once, and the next write forgets it for good."""
    taken = reservation(request_id="r")
    await store.reserve(taken)
    with locked(store):
        await store.release(taken.job_id)
        assert await store.reservations() == ()
    for again in (reservation(taken.job_id), reservation(request_id="r")):
        await store.reserve(again)
        assert store._database.read("SELECT id FROM reservations ORDER BY position")[-1:] == [(again.job_id,)]
    async with SqliteJobStore(store._path) as later:
        assert await later.reservations() == await store.reservations() != ()


async def test_much_that_is_not_saved_is_saved_in_parts(path: Path) -> None:
    """The event loop does not stand still for all of it at once; the close takes all that is left."""
    async with SqliteJobStore(path) as store:
        jobs = await filled(store, 500)
        with locked(store):
            for one in jobs:
                await store.replace(ended(one))
        left = [len(store.unsaved())]
        for _ in range(2):
            await store.add(job())
            left.append(len(store.unsaved()))
        assert left == [500, 300, 100]
    async with SqliteJobStore(path) as store:
        assert len(await store.running()) == 2


async def test_the_close_saves_what_is_not_saved(path: Path, trouble: Trouble) -> None:
    """Also if no other write came."""
    async with SqliteJobStore(path) as store:
        (one,) = await filled(store, 1)
        with trouble(store):
            await store.replace(lost(one, 1))
    assert await reopened(store, one.id) == lost(one, 1)


async def test_a_close_that_can_not_save_says_so(path: Path, trouble: Trouble) -> None:
    """The end is lost to the store, and only that: the file is closed and as it was."""
    store = SqliteJobStore(path)
    await store.__aenter__()
    (one,) = await filled(store, 1)
    with trouble(store) as kind:
        await store.replace(lost(one, 1))
        with pytest.raises(kind):
            await store.__aexit__(None, None, None)
    assert await reopened(store, one.id) == one


async def test_the_event_loop_waits_for_a_lock_once(store: SqliteJobStore) -> None:
    """As long as the file stays locked, no call holds the loop up again."""

    def patience() -> object:
        return store._database.read("PRAGMA busy_timeout")[0][0]

    one, other = await filled(store, 2)
    assert patience() == 50
    with locked(store):
        await store.replace(ended(one))
        assert patience() == 0
    await store.replace(ended(other))
    assert patience() == 50


@pytest.mark.parametrize("statement", ["BEGIN IMMEDIATE", "PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE"])
async def test_a_file_that_is_locked_is_not_opened(path: Path, statement: str) -> None:
    """The error says why, and the file is opened once it isn't."""
    async with SqliteJobStore(path) as store:
        (one,) = await finished(store, 1)
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        for part in statement.split(";"):
            other.execute(part)
        with pytest.raises(JobStoreError, match="another program has locked it"):
            await SqliteJobStore(path).__aenter__()
    assert await reopened(store, one.id) == one


def scribble(path: Path) -> None:
    """Damages all pages but the first."""
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


async def test_damage_to_an_open_file_is_said(path: Path) -> None:
    """What is in memory is still right; the next start keeps the file aside."""
    async with SqliteJobStore(path) as store:
        jobs = await finished(store, 2000)
        (running,) = await filled(store, 1)
    store = SqliteJobStore(path)
    await store.__aenter__()
    scribble(path)
    with pytest.raises(JobStoreError, match=r"it is damaged.*the next start"):
        await store.page(1000, None)
    with pytest.raises(JobStoreError, match="it is damaged"):
        await store.find(jobs[0].id)
    with pytest.raises(JobStoreError, match="it is damaged"):
        await store.replace(ended(running))
    assert await store.find(running.id) == ended(running)
    assert store.unsaved() == {running.id}
    with pytest.raises(JobStoreError, match="it is damaged"):
        await store.__aexit__(None, None, None)
    with pytest.raises(JobStoreError, match="kept as"):
        await SqliteJobStore(path).__aenter__()
    async with SqliteJobStore(path) as store:
        assert await store.page(9, None) == ((), None)


FULL_DISK = """
import asyncio, os, sys
from datetime import UTC, datetime
from jobworker.worker import Exited, Job, ResourceExhaustedError
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.store import Reservation

NOW = datetime(2030, 1, 2, tzinfo=UTC)
PATH, FILLER = sys.argv[1] + "/jobs.sqlite", sys.argv[1] + "/filler"

def fill():
    with open(FILLER, "ab", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError as error:
            assert error.errno == 28, error

async def until_full(write):
    for index in range(10_000):
        try:
            await write(index)
        except ResourceExhaustedError as error:
            assert error.resource == "disk space", error
            return index
    raise AssertionError("the disk was never full")

async def main():
    jobs = []
    async with SqliteJobStore(PATH) as store:
        async def add(index):
            job = Job(f"{index:036}", ("x" * 500,), NOW)
            await store.add(job)
            jobs.append(job)

        for index in range(50):
            await add(index)
    async with SqliteJobStore(PATH) as store:
        fill()
        # The WAL has room, and begins anew when that is used up.
        for index in range(900):
            await store.replace(jobs[0].with_sizes(index % 100, 0))
            assert store.unsaved() == frozenset(), index
        await until_full(lambda index: add(50 + index))
        assert len(await store.running()) == len(jobs)
        reserved = await until_full(lambda index: store.reserve(Reservation(f"r{index}", ("x" * 500,))))
        assert len(await store.reservations()) == reserved
        ends = [job.ended(Exited(index % 256), NOW) for index, job in enumerate(jobs)]
        for job in ends:
            await store.replace(job)
        assert (await store.page(10_000, None))[0] == tuple(ends[::-1])
        assert await store.running() == ()
        os.truncate(FILLER, 0)
        await store.reserve(Reservation("after", ("true",)))
        assert store.unsaved() == frozenset()
        fill()
    os.unlink(FILLER)
    async with SqliteJobStore(PATH) as store:
        assert (await store.page(10_000, None))[0] == tuple(ends[::-1])
        fill()
        for job in ends:
            await store.delete(job.id)

asyncio.run(main())
"""


def test_a_full_disk_loses_nothing(tmp_path: Path) -> None:
    """Starts are refused, ends are kept; what is deleted makes room, and a full disk is closed on and opened on."""
    mount = 'mount -t tmpfs -o size=2m none "$1" && shift && exec "$@"'
    namespaces = ["unshare", *([] if os.geteuid() == 0 else ["--user", "--map-root-user"]), "--mount"]
    command = [*namespaces, "sh", "-c", mount, "sh", str(tmp_path)]
    if subprocess.run([*command, "true"], capture_output=True, check=False).returncode:
        pytest.skip("mounts are not granted here")
    ran = subprocess.run(
        [*command, sys.executable, "-c", FULL_DISK, str(tmp_path)],
        env=library_environment(),
        capture_output=True,
        text=True,
        check=False,
    )
    assert (ran.returncode, ran.stdout + ran.stderr) == (0, "")
