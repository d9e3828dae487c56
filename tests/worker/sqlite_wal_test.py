"""What is reserved is on the disk, with as few fsyncs as it takes; and the WAL does not grow."""

from __future__ import annotations

import asyncio
import errno
import os
import shutil
import sqlite3
import threading
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import JobStoreError, ResourceExhaustedError, sqlite_wal
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.sqlite_wal import GroupSync, open_wal
from store_support import ended, filled, job, reservation
from worker_support import descriptors_of

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path


class Disk:
    """An fsync that takes until the test lets it end."""

    def __init__(self) -> None:
        self.syncs = 0
        self.error: OSError | None = None
        self._loop = asyncio.get_running_loop()
        self._begun = asyncio.Semaphore(0)
        self._go_on = threading.Semaphore(0)

    def sync(self) -> None:
        """Blocks, as fsync(2) does."""
        self.syncs += 1
        self._loop.call_soon_threadsafe(self._begun.release)
        self._go_on.acquire()
        if self.error is not None:
            raise self.error

    async def begun(self) -> None:
        """Returns once one more fsync has begun."""
        await self._begun.acquire()

    def let_end(self, count: int = 1) -> None:
        """Lets fsyncs end, also ones that come later."""
        self._go_on.release(count)


@pytest.fixture
async def disk() -> Disk:
    """A disk that is slow."""
    return Disk()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteJobStore]:
    """An open store."""
    async with SqliteJobStore(tmp_path / "jobs.sqlite") as opened:
        yield opened


def on(disk: Disk, store: SqliteJobStore) -> asyncio.TaskGroup:
    """Has a store's WAL on a slow disk."""
    store._database._group = GroupSync(disk.sync, store._database._group._tasks)
    return store._database._group._tasks


async def all_run() -> None:
    """Lets every task run up to where it waits."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_callers_share_an_fsync(disk: Disk) -> None:
    """Those who come while one runs wait for the next, all of them for the same: it may not have what they wrote."""
    async with asyncio.TaskGroup() as tasks:
        group = GroupSync(disk.sync, tasks)
        first = tasks.create_task(group.sync())
        await disk.begun()
        later = [tasks.create_task(group.sync()) for _ in range(10)]
        await all_run()
        disk.let_end()
        await first
        await disk.begun()
        assert not any(caller.done() for caller in later)
        disk.let_end()
        await asyncio.gather(*later)
        disk.let_end()
        await group.sync()
    assert disk.syncs == 3


async def test_a_cancelled_caller_takes_nothing_from_the_others(disk: Disk) -> None:
    """Whether it was the one who began or one who joined; if all are, the fsync still ends."""
    async with asyncio.TaskGroup() as tasks:
        group = GroupSync(disk.sync, tasks)
        first = tasks.create_task(group.sync())
        await disk.begun()
        second, third = tasks.create_task(group.sync()), tasks.create_task(group.sync())
        await all_run()
        first.cancel()
        second.cancel()
        disk.let_end(2)
        await third
        last = tasks.create_task(group.sync())
        await all_run()
        last.cancel()
        disk.let_end()
    assert [caller.cancelled() for caller in (first, second, third, last)] == [True, True, False, True]
    assert disk.syncs == 3


async def test_a_failed_fsync_is_not_tried_again(disk: Disk) -> None:
    """The kernel forgets what it could not write, and would say next time that all is well."""
    disk.error = OSError(errno.EIO, "Input/output error")
    async with asyncio.TaskGroup() as tasks:
        group = GroupSync(disk.sync, tasks)
        disk.let_end(9)
        results = await asyncio.gather(*(group.sync() for _ in range(3)), return_exceptions=True)
        assert results == [disk.error] * 3
        with pytest.raises(OSError, match="Input/output"):
            await group.sync()
    assert disk.syncs == 1


async def test_callers_of_what_is_cancelled_are_cancelled(disk: Disk) -> None:
    """Nobody waits for ever."""
    async with asyncio.TaskGroup() as outer:
        tasks = asyncio.TaskGroup()
        await tasks.__aenter__()
        group = GroupSync(disk.sync, tasks)
        first = outer.create_task(group.sync())
        await disk.begun()
        second = outer.create_task(group.sync())
        await all_run()
        for task in tasks._tasks:
            task.cancel()
        await tasks.__aexit__(None, None, None)
        await all_run()
        assert first.cancelled()
        assert second.cancelled()
        disk.let_end()


@pytest.mark.parametrize("request_id", [None, "r"])
async def test_a_reservation_waits_for_the_disk(disk: Disk, store: SqliteJobStore, request_id: str | None) -> None:
    """Nothing else does: what a power cut may take of jobs, it ends."""
    tasks = on(disk, store)
    taken = reservation(request_id=request_id)
    reserving = tasks.create_task(store.reserve(taken))
    await disk.begun()
    (one,) = await filled(store, 1)
    await store.replace(ended(one))
    await store.delete(one.id)
    await all_run()
    assert not reserving.done()
    disk.let_end()
    await reserving
    assert await store.reservations() == (taken,)
    assert disk.syncs == 1


async def test_the_wal_is_what_is_synced(tmp_path: Path, store: SqliteJobStore) -> None:
    """The file that the commits are in, by a descriptor of the store's own."""
    await store.reserve(reservation())
    path = tmp_path / "jobs.sqlite"
    opened = descriptors_of(os.getpid())
    assert opened.count(f"{path}-wal") == 2
    descriptor = open_wal(path)
    assert descriptors_of(os.getpid()) == sorted([*opened, f"{path}-wal"])
    os.close(descriptor)


async def test_a_cancelled_caller_has_reserved_nothing(disk: Disk, store: SqliteJobStore) -> None:
    """Its request may come again at once; the others' reservations stay."""
    tasks = on(disk, store)
    first, second = reservation(request_id="r"), reservation()
    callers = [tasks.create_task(store.reserve(one)) for one in (first, second)]
    await disk.begun()
    callers[0].cancel()
    await asyncio.wait(callers[:1])
    assert callers[0].cancelled()
    disk.let_end(3)
    await store.reserve(reservation(request_id="r"))
    await callers[1]
    assert [one.request_id for one in await store.reservations()] == [None, "r"]
    rows = store._database.read("SELECT request_id FROM reservations ORDER BY position")
    assert rows == [(None,), ("r",)]


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [(errno.EIO, JobStoreError, "check the disk, then start"), (errno.ENOSPC, ResourceExhaustedError, "disk space")],
)
async def test_what_does_not_reach_the_disk_is_not_reserved(
    disk: Disk, store: SqliteJobStore, number: int, kind: type[Exception], said: str
) -> None:
    """All who wait are told, and nothing is left of it."""
    on(disk, store)
    disk.error = OSError(number, os.strerror(number))
    disk.let_end()
    results = await asyncio.gather(*(store.reserve(reservation()) for _ in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [kind] * 3
    with pytest.raises(kind, match=said):
        await store.reserve(reservation())
    assert await store.reservations() == ()
    assert store._database.read("SELECT * FROM reservations") == []


async def test_closing_waits_for_reservations_under_way(tmp_path: Path, disk: Disk) -> None:
    """Who was about to have reserved has."""
    async with asyncio.TaskGroup() as tasks:
        store = SqliteJobStore(tmp_path / "jobs.sqlite")
        async with store:
            on(disk, store)
            taken = reservation()
            reserving = tasks.create_task(store.reserve(taken))
            await disk.begun()
            asyncio.get_running_loop().call_soon(disk.let_end)
        await reserving
    async with store:
        assert await store.reservations() == (taken,)


async def test_without_a_thread_the_event_loop_waits(store: SqliteJobStore) -> None:
    """Out of processes, a reservation is on the disk all the same."""
    # Refuses threads from now on with the same error.
    await asyncio.get_running_loop().shutdown_default_executor()
    taken = reservation()
    await store.reserve(taken)
    assert await store.reservations() == (taken,)


async def checkpoints_done() -> None:
    """Returns once no checkpoint runs."""
    await asyncio.gather(*(task for task in asyncio.all_tasks() if "checkpoint" in task.get_name()))


@pytest.fixture
def no_room(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lets the WAL begin without any, so that its size says what is in it."""
    monkeypatch.setattr(sqlite_wal, "ROOM", 0)


async def write_much(store: SqliteJobStore) -> int:
    """Writes many times; returns how big the WAL became for how much was written."""
    for _ in range(200):
        await store.add(job())
        await checkpoints_done()
    return os.path.getsize(f"{store._path}-wal")  # noqa: ASYNC240, PTH202 - one call


@pytest.mark.usefixtures("no_room")
async def test_the_wal_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkpoint follows every so many writes; without, it has each of them."""
    async with SqliteJobStore(tmp_path / "without.sqlite") as store:
        without = await write_much(store)
    monkeypatch.setattr(sqlite_wal, "WRITES", 5)
    async with SqliteJobStore(tmp_path / "with.sqlite") as store:
        assert await write_much(store) < without / 10


@pytest.mark.usefixtures("no_room")
async def test_a_wal_that_never_rests_begins_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If writes come all the time, a checkpoint beside them never gets to the end, and the last step is the loop's."""
    async with SqliteJobStore(tmp_path / "without.sqlite") as store:
        without = await write_much(store)
    monkeypatch.setattr(sqlite_wal, "WRITES", 5)
    monkeypatch.setattr(sqlite_wal, "_checkpoint", lambda _: sqlite_wal.MOST_FRAMES + 1)
    async with SqliteJobStore(tmp_path / "with.sqlite") as other:
        assert await write_much(other) < without / 10


async def test_a_failed_checkpoint_harms_nothing(store: SqliteJobStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """The WAL has it all; the next one is tried."""
    tried = []

    def fail(path: Path) -> int:
        tried.append(path)
        raise sqlite3.OperationalError("disk I/O error")

    monkeypatch.setattr(sqlite_wal, "WRITES", 50)
    monkeypatch.setattr(sqlite_wal, "_checkpoint", fail)
    await write_much(store)
    assert len(tried) == 4
    monkeypatch.undo()
    async with SqliteJobStore(store._path) as other:
        assert len((await other.page(999, None))[0]) == 200


async def test_a_removed_file_does_not_come_back_empty(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A start that finds an empty store believes that there were no jobs."""
    monkeypatch.setattr(sqlite_wal, "WRITES", 1)
    folder = tmp_path / "state"
    folder.mkdir()
    async with SqliteJobStore(folder / "jobs.sqlite") as store:
        shutil.rmtree(folder)
        folder.mkdir()
        (one,) = await filled(store, 1)
        await checkpoints_done()
        assert await store.find(one.id) == one
    assert os.listdir(folder) == []  # noqa: PTH208 - a list
