"""What a job store in a file keeps beyond its process, and which files it takes."""

from __future__ import annotations

import os
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobworker.worker import Exited, Job, JobStoreError, Lost, Signaled, WorkerClosedError
from jobworker.worker import sqlite_statements as sql
from jobworker.worker.sqlite_rows import job_of, job_row, reservation_of, reservation_row
from jobworker.worker.sqlite_schema import APPLICATION_ID, MIGRATIONS
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.store import Reservation
from store_support import ended, filled, finished, job, pages, reservation
from worker_support import leaves_nothing, library_environment

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

PAGE = 4096


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """Where a store may make its file, in a folder of its own."""
    folder = tmp_path / "state"
    folder.mkdir()
    return folder / "jobs.sqlite"


def damaged(path: Path, damage: Callable[[bytes], bytes]) -> bytes:
    """Changes a file, and returns what is in it then."""
    content = damage(path.read_bytes())
    path.write_bytes(content)
    return content


def files(path: Path) -> dict[str, bytes]:
    """Returns all that is beside a file, and itself."""
    return {file.name: file.read_bytes() for file in path.parent.iterdir()}


def execute(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Executes SQL in a file, as another program would."""
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        return connection.execute(statement).fetchall()


async def opened_and_closed(path: Path, migrations: tuple[str, ...] = MIGRATIONS) -> None:
    """Opens a store, and closes it."""
    async with SqliteJobStore(path, migrations=migrations):
        pass


async def test_a_store_that_is_opened_again_has_it_all(path: Path) -> None:
    """Jobs, their order and places, what runs, requests, ends and reservations."""
    taken = reservation(principal="a", request_id="taken")
    async with SqliteJobStore(path) as store:
        over = await finished(store, 3)
        one = job(principal="a", request_id="r")
        await store.add(one)
        running = await filled(store, 2)
        await store.replace(ended(one, 9))
        await store.reserve(taken)
        first, before = await store.page(2, None)
        secret = store.secret()
    async with SqliteJobStore(path) as store:
        assert store.secret() == secret
        assert (*first, *(await store.page(9, before))[0]) == (*running, ended(one, 9), *over[::-1])
        assert await store.running() == tuple(running[::-1])
        assert await store.find_request("a", "r") == ended(one, 9)
        assert await store.surplus(0, None) == (*over, ended(one, 9))
        assert await store.oldest_end() == over[0].end_time
        assert await store.reservations() == (taken,)
        with pytest.raises(ValueError, match="request"):
            await store.reserve(reservation(principal="a", request_id="taken"))
        assert "jobs=6 running=2" in repr(store)


async def test_a_store_may_be_entered_again(path: Path) -> None:
    """The same object reads what is in the file, and nothing that it had in memory."""
    store = SqliteJobStore(path)
    async with store:
        (one,) = await filled(store, 1)
        await store.reserve(reservation())
    async with SqliteJobStore(path) as other:
        await other.delete(one.id)
        await other.release((await other.reservations())[0].job_id)
    async with store:
        assert (await store.running(), await store.reservations()) == ((), ())


async def test_a_store_that_is_closed_refuses(path: Path) -> None:
    """As one does that was never opened."""
    store = SqliteJobStore(path)
    for _ in range(2):
        with pytest.raises(WorkerClosedError):
            await store.page(1, None)
        with pytest.raises(WorkerClosedError):
            await store.reserve(reservation())
        async with store:
            assert await store.page(1, None) == ((), None)


async def test_a_closed_store_leaves_one_file_and_nothing_else(path: Path) -> None:
    """Neither files beside it nor descriptors or tasks."""
    async with leaves_nothing():
        async with SqliteJobStore(path) as store:
            await filled(store, 3)
            await store.reserve(reservation())
        assert list(files(path)) == [path.name]
        assert execute(path, "SELECT count(*) FROM jobs") == [(3,)]


def test_a_store_that_is_not_closed_warns(path: Path) -> None:
    """It may hold what is not yet written."""
    store = SqliteJobStore(path)
    with closing(sqlite3.connect(path)) as connection:
        store._database._connection = connection
        with pytest.warns(ResourceWarning, match="never closed"):
            del store


async def test_any_name_is_a_files(path: Path) -> None:
    """Also one with characters that mean something in a URI."""
    odd = path.parent / "a b?mode=memory&ü#%41.sqlite"
    async with SqliteJobStore(odd) as store:
        (one,) = await filled(store, 1)
    async with SqliteJobStore(str(odd)) as store:
        assert await store.find(one.id) == one


RESERVE_AND_DIE = """
import asyncio, os, signal, sys
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.store import Reservation

async def main():
    async with SqliteJobStore(sys.argv[1]) as store:
        for index in range(100):
            await store.reserve(Reservation(f"id{index}", ("true",), "me", "we", f"r{index}"))
        os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


async def test_what_was_reserved_survives_a_kill(path: Path) -> None:
    """A process that is killed just after it has reserved has reserved it; nothing is closed or moved then."""
    command = [sys.executable, "-c", RESERVE_AND_DIE, str(path)]
    died = subprocess.run(command, env=library_environment(), check=False)  # noqa: ASYNC221 - nothing else is to be done
    assert died.returncode == -signal.SIGKILL
    assert {path.name, f"{path.name}-wal"} <= set(files(path))
    async with SqliteJobStore(path) as store:
        kept = [(one.job_id, one.request_id) for one in await store.reservations()]
    assert kept == [(f"id{index}", f"r{index}") for index in range(100)]


@pytest.mark.parametrize("count", [0, 50])
async def test_what_was_written_is_in_the_files_at_once(path: Path, count: int) -> None:
    """The files as they are while the store is open make a whole store elsewhere."""
    async with SqliteJobStore(path) as store:
        for one in (await filled(store, count))[:1]:
            await store.replace(ended(one))
        copy = path.parent.parent / "copy"
        shutil.copytree(path.parent, copy)
        async with SqliteJobStore(copy / path.name) as other:
            assert await pages(other, 7) == await pages(store, 7)


@pytest.mark.parametrize("umask", [0, 0o777])
async def test_the_files_are_for_this_user_alone(path: Path, umask: int) -> None:
    """Whatever the umask: commands may hold secrets."""
    old = os.umask(umask)
    try:
        async with SqliteJobStore(path) as store:
            await filled(store, 1)
            modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
    finally:
        os.umask(old)
    assert modes == {path.name + suffix: 0o600 for suffix in ("", "-wal", "-shm")}


async def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    """The error has the path and the reason."""
    with pytest.raises(JobStoreError, match=r"none/jobs\.sqlite: No such file or directory"):
        await opened_and_closed(tmp_path / "none" / "jobs.sqlite")


async def test_a_folder_is_no_file(tmp_path: Path) -> None:
    """The error is the store's."""
    with pytest.raises(JobStoreError, match="unable to open"):
        await opened_and_closed(tmp_path)


# Versions.


UPGRADE = "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'blue'; -- and a comment at the end"


async def test_an_upgrade_keeps_all_jobs(path: Path) -> None:
    """A later version's script runs once, and what was there is as it was."""
    async with SqliteJobStore(path) as store:
        jobs = await finished(store, 20)
    for _ in range(2):
        async with SqliteJobStore(path, migrations=(*MIGRATIONS, UPGRADE)) as store:
            assert (await store.page(99, None))[0] == tuple(jobs[::-1])
    assert execute(path, "PRAGMA user_version") == [(len(MIGRATIONS) + 1,)]
    assert execute(path, "SELECT DISTINCT colour FROM jobs") == [("blue",)]


@pytest.mark.parametrize("script", ["DROP TABLE jobs; INSERT INTO nowhere VALUES (1)", "DROP TABLE jobs; COMM"])
async def test_an_upgrade_that_fails_changes_nothing(path: Path, script: str) -> None:
    """The old version opens the file as if nothing had been; the error says which upgrade it was."""
    async with SqliteJobStore(path) as store:
        jobs = await finished(store, 3)
    version = len(MIGRATIONS)
    with pytest.raises(JobStoreError, match=f"upgraded to schema version {version + 2}.*stays at {version + 1}"):
        await opened_and_closed(path, (*MIGRATIONS, "CREATE TABLE more (x)", script))
    with pytest.raises(JobStoreError, match=f"upgraded to schema version {version + 2}"):
        await opened_and_closed(path, (*MIGRATIONS, "nonsense is not run again", script))
    execute(path, f"PRAGMA user_version = {version}")
    async with SqliteJobStore(path) as store:
        assert (await store.page(9, None))[0] == tuple(jobs[::-1])


async def test_a_newer_version_is_refused(path: Path) -> None:
    """The error says what to do; the file stays as it is."""
    await opened_and_closed(path, (*MIGRATIONS, UPGRADE))
    before = files(path)
    version = len(MIGRATIONS)
    with pytest.raises(JobStoreError, match=f"version {version + 1}.*knows {version}: upgrade jobworker"):
        await opened_and_closed(path)
    assert files(path) == before


# Files that are not ours, or not whole.


@pytest.mark.parametrize(
    "statement", ["CREATE TABLE theirs (x)", "PRAGMA application_id = 1", "PRAGMA user_version = 1"]
)
async def test_another_applications_database_is_left_alone(path: Path, statement: str) -> None:
    """Not a byte of it changes, and nothing is put beside it."""
    execute(path, statement)
    before = files(path)
    with pytest.raises(JobStoreError, match="another application"):
        await opened_and_closed(path)
    assert files(path) == before


async def test_a_file_that_was_only_just_made_is_taken(path: Path) -> None:
    """As a kill between the two steps leaves it."""
    os.close(os.open(path, os.O_CREAT))
    await opened_and_closed(path)
    assert execute(path, "PRAGMA application_id") == [(APPLICATION_ID,)]


def overwritten(content: bytes) -> bytes:
    """Returns something that is no database."""
    return b"no database " * (len(content) // 12)


def cut(content: bytes) -> bytes:
    """Returns the first half."""
    return content[: len(content) // 2 // PAGE * PAGE]


def scribbled(content: bytes) -> bytes:
    """Returns it with a page in its midst that is none."""
    middle = len(content) // 2 // PAGE * PAGE
    return content[:middle] + b"\xff" * PAGE + content[middle + PAGE :]


@pytest.mark.parametrize("damage", [overwritten, cut, scribbled])
async def test_a_damaged_file_is_kept_aside(path: Path, damage: Callable[[bytes], bytes]) -> None:
    """The error says what was found and where the file is now; the next start has an empty store."""
    async with SqliteJobStore(path) as store:
        await finished(store, 200)
    broken = damaged(path, damage)
    with pytest.raises(JobStoreError, match=r"was damaged.*the next start begins with an empty store") as caught:
        await opened_and_closed(path)
    kept = {name: content for name, content in files(path).items() if not name.endswith(("-wal", "-shm"))}
    assert list(kept.values()) == [broken]
    (name,) = kept
    assert name.startswith(f"{path.name}.broken-2")
    assert str(path.with_name(name)) in str(caught.value)
    async with SqliteJobStore(path) as store:
        assert await store.page(9, None) == ((), None)


async def test_what_belongs_to_a_damaged_file_goes_with_it(path: Path) -> None:
    """Else the new file would begin with the old one's last transactions."""
    async with SqliteJobStore(path) as store:
        await filled(store, 1)
        copy = path.parent.parent / "copy" / path.name
        shutil.copytree(path.parent, copy.parent)
    damaged(copy, overwritten)
    with pytest.raises(JobStoreError, match="was damaged"):
        await opened_and_closed(copy)
    (name,) = {file.removesuffix("-wal").removesuffix("-shm") for file in files(copy)}
    assert {name, f"{name}-wal"} <= set(files(copy))
    assert name != copy.name


async def test_a_job_that_makes_no_sense_is_said(path: Path) -> None:
    """Somebody edited the file: the error names the job."""
    async with SqliteJobStore(path) as store:
        (one,) = await finished(store, 1)
    execute(path, "UPDATE jobs SET command = 'rm -rf'")
    async with SqliteJobStore(path) as store:
        with pytest.raises(JobStoreError, match=f"{one.id}.*no sense"):
            await store.find(one.id)
    execute(path, "UPDATE jobs SET end_time = NULL")
    with pytest.raises(JobStoreError, match=f"{one.id}.*no sense"):
        await opened_and_closed(path)


# Rows.


# With Python's escapes for bytes that are not UTF-8.
texts = st.text(st.one_of(st.characters(codec="utf-8"), st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF)))
# Not those that a clock which was put forward has skipped: they equal no time in UTC (PEP 495).
times = st.datetimes(timezones=st.timezones(), allow_imaginary=False)
counts = st.integers(0, 2**63 - 1)
outcomes = st.one_of(
    st.builds(Exited, st.integers(0, 255), st.booleans()),
    st.builds(Signaled, st.integers(1, 64), st.booleans()),
    st.builds(Lost, texts),
)
commands = st.lists(texts).map(tuple)


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Any job: one that has ended has both an outcome and an end."""
    over = draw(st.booleans())
    return Job(
        id=str(draw(st.uuids())),
        command=draw(commands),
        start_time=draw(times),
        owner=draw(texts),
        principal=draw(texts),
        request_id=draw(st.none() | texts),
        end_time=draw(times) if over else None,
        stop_request_time=draw(st.none() | times),
        outcome=draw(outcomes) if over else None,
        killed_processes=draw(counts),
        stdout_bytes=draw(counts),
        stderr_bytes=draw(counts),
    )


@pytest.fixture(scope="module")
def database() -> sqlite3.Connection:
    """A database with the store's tables, without a file."""
    connection = sqlite3.connect(":memory:", isolation_level=None)
    connection.executescript("".join(MIGRATIONS))
    return connection


@given(jobs())
def test_any_job_comes_back_from_its_row(database: sqlite3.Connection, one: Job) -> None:
    """Equal in everything, found by its id and by its request."""
    row = job_row(one)
    database.execute(sql.ADD, row)
    try:
        (found,) = database.execute(sql.BY_ID, (one.id, one.id + "~")).fetchall()
        assert job_of(found) == one
        if one.request_id is not None:
            assert database.execute(sql.BY_REQUEST, (row[3], row[4])).fetchall() == [found]
    finally:
        database.execute(sql.DELETE, (one.id,))


@given(st.builds(Reservation, st.uuids().map(str), commands, texts, texts, st.none() | texts))
def test_any_reservation_comes_back_from_its_row(database: sqlite3.Connection, one: Reservation) -> None:
    """Equal in everything."""
    database.execute(sql.RESERVE, reservation_row(one))
    try:
        assert [reservation_of(row) for row in database.execute(sql.RESERVATIONS)] == [one]
    finally:
        database.execute(sql.RELEASE, (one.job_id,))
