"""Each principal's view of a job store is that of a store which has no jobs but its own."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobworker.worker import AmbiguousJobIdError, Job, JobNotFoundError, JobStore, MemoryJobStore
from jobworker.worker import sqlite_statements as sql
from jobworker.worker.sqlite_schema import MIGRATIONS, prepare
from jobworker.worker.sqlite_store import SqliteJobStore
from store_support import ended, job, pages, reservation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

PRINCIPALS = ("ci", "people", "f" * 64)
# Everyone's; each principal's; those of one with a name and a certificate from before; and those of one who has none.
VIEWS: tuple[frozenset[str] | None, ...] = (
    None,
    *(frozenset({name}) for name in PRINCIPALS),
    frozenset({"ci", "f" * 64, "e" * 64}),
    frozenset({"nobody"}),
    frozenset(),
)


@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JobStore]:
    """An empty store, open."""
    made = MemoryJobStore() if request.param == "memory" else SqliteJobStore(tmp_path / "jobs.sqlite")
    async with made as opened:
        yield opened


async def test_a_foreign_job_is_not_found(store: JobStore) -> None:
    """Neither by its id nor by its beginning, running or ended; the error is that of a job that never was."""
    one = job("abcd0000-0000-4000-8000-000000000000", principal="ci")
    await store.add(one)
    for state in (one, ended(one)):
        await store.replace(state)
        assert await store.find("abcd", visible_to={"ci"}) == state
        for prefix in (one.id, "abcd", "a"):
            with pytest.raises(JobNotFoundError) as foreign:
                await store.find(prefix, visible_to={"people"})
            assert str(foreign.value) == str(JobNotFoundError(prefix))


async def test_a_foreign_job_makes_no_beginning_ambiguous(store: JobStore) -> None:
    """A beginning that fits one own job means that; the number of an ambiguous one's jobs is that of the own ones."""
    for index, principal in enumerate(("ci", "people", "people", "people", "ci")):
        await store.add(job(f"ab{index}00000-0000-4000-8000-000000000000", principal=principal))
    await store.delete("ab400000-0000-4000-8000-000000000000")
    assert (await store.find("ab", visible_to={"ci"})).id.startswith("ab0")
    with pytest.raises(AmbiguousJobIdError, match=r"^3 jobs"):
        await store.find("ab", visible_to={"people"})
    with pytest.raises(AmbiguousJobIdError, match=r"^4 jobs"):
        await store.find("ab")


async def test_a_page_that_ends_with_the_last_own_job_is_the_last(store: JobStore) -> None:
    """That others' jobs are older is not told."""
    await store.add(job(principal="people"))
    one = job(principal="ci")
    await store.add(one)
    await store.add(job(principal="people"))
    assert await store.page(1, None, visible_to={"ci"}) == ((one,), None)
    assert await store.page(1, None, visible_to={"nobody"}) == ((), None)


async def test_a_request_id_is_the_principals(store: JobStore) -> None:
    """Another certificate of the same principal finds the job; another principal finds nothing, and may take the id."""
    one = job(owner="old certificate", principal="ci", request_id="r")
    await store.add(one)
    assert await store.find_request("ci", "r") == one
    assert await store.find_request("old certificate", "r") is None
    with pytest.raises(ValueError, match="request"):
        await store.reserve(reservation(owner="new certificate", principal="ci", request_id="r"))
    await store.reserve(reservation(owner="old certificate", principal="people", request_id="r"))


def open_memory(_folder: Path) -> JobStore:
    """Returns a store in memory."""
    return MemoryJobStore()


def open_sqlite(folder: Path) -> JobStore:
    """Returns a store in a file."""
    return SqliteJobStore(folder / "jobs.sqlite")


Life: TypeAlias = tuple[str, str, str]
"""A job's principal, the first characters of its id, which others may have too, and what comes of it."""

lives = st.lists(
    st.tuples(
        st.sampled_from(PRINCIPALS),
        st.text("ab", min_size=3, max_size=3),
        st.sampled_from(["running", "ended", "gone"]),
    ),
    max_size=16,
)


async def live(store: JobStore, plan: list[Life]) -> list[Job]:
    """Has all of that happen, and returns the jobs that are left, newest first."""
    left: list[Job] = []
    for index, (principal, beginning, end) in enumerate(plan):
        one = job(f"{beginning}{index:05x}-0000-4000-8000-000000000000", principal=principal, request_id=f"r{index}")
        await store.add(one)
        if end == "ended":
            await store.replace(ended(one, index))
        if end == "gone":
            await store.delete(one.id)
        else:
            left.insert(0, await store.find(one.id))
    return left


async def found(store: JobStore, prefix: str, view: frozenset[str] | None) -> Job | int:
    """Returns the job that a prefix stands for, or of how many it is the beginning if that is not one."""
    try:
        return await store.find(prefix, visible_to=view)
    except JobNotFoundError:
        return 0
    except AmbiguousJobIdError as error:
        return int(str(error).split()[0])


async def check_view(store: JobStore, left: list[Job], view: frozenset[str] | None, size: int) -> None:
    """Checks that a view shows those of all jobs that are its own, however they are asked for."""
    own = [one for one in left if view is None or one.principal in view]
    assert [one for page in await pages(store, size, visible_to=view) for one in page] == own
    for prefix in {one.id[:length] for one in left for length in (1, 2, 3, 36)}:
        fitting = [one for one in own if one.id.startswith(prefix)]
        assert await found(store, prefix, view) == (fitting[0] if len(fitting) == 1 else len(fitting))
    # Also at positions of others' jobs, and of none.
    for before in range(18):
        older = [one for one in own if int(one.id[3:8], 16) + 1 < before]
        jobs, rest = await store.page(size, before, visible_to=view)
        assert (list(jobs), rest is None) == (older[:size], len(older) <= size)
    for principal in view or ():
        for one in left:
            expected = one if one.principal == principal else None
            assert await store.find_request(principal, one.request_id or "") == expected


@pytest.mark.parametrize("make", [open_memory, open_sqlite])
@settings(max_examples=60, deadline=None)
@given(plan=lives, size=st.integers(1, 5))
def test_every_view_shows_exactly_its_own(make: Callable[[Path], JobStore], plan: list[Life], size: int) -> None:
    """Pages from any position, ids, beginnings of ids, and requests: as in a store with these jobs alone."""

    async def check(folder: Path) -> None:
        async with make(folder) as store:
            left = await live(store, plan)
            for view in VIEWS:
                await check_view(store, left, view, size)

    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(check(Path(folder)))


# The file.


@pytest.mark.parametrize(
    ("statement", "values"),
    [
        (sql.BY_ID_OF, ("ci", "a", "a~")),
        (sql.COUNT_BY_ID_OF, ("ci", "a", "a~")),
        (sql.BY_REQUEST, ("ci", "r")),
        (sql.PAGE_OF, ("ci", 9, 50)),
    ],
)
def test_an_index_serves_each_look_up_of_a_view(statement: str, values: tuple[object, ...]) -> None:
    """Others' jobs cost nothing: nothing is read and left out afterwards, and nothing is sorted."""
    with closing(sqlite3.connect(":memory:")) as database:
        database.executescript("".join(MIGRATIONS))
        (plan,) = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {statement}", values)]
    constraint = {sql.BY_REQUEST: "request_id=?", sql.PAGE_OF: "rowid<?"}.get(statement, "id>? AND id<?")
    assert plan.startswith("SEARCH jobs USING")
    assert plan.endswith(f"(principal=? AND {constraint})")


OLD_JOB = """
INSERT INTO jobs (id, command, owner, request_id, start_time, by_stop, killed_processes, stdout_bytes, stderr_bytes)
VALUES ('0a000000-0000-4000-8000-000000000000', '["true"]', 'abc', 'r', 1893542400000000, 0, 0, 0, 0);
INSERT INTO reservations (id, command, owner, request_id)
VALUES ('0b000000-0000-4000-8000-000000000000', '["true"]', 'abc', 'reserved');
"""


async def test_jobs_from_before_are_their_certificates(tmp_path: Path) -> None:
    """An upgrade gives the jobs and reservations of schema version 1 the fingerprint of their owner as principal."""
    path = tmp_path / "jobs.sqlite"
    prepare(path, MIGRATIONS[:1])
    with closing(sqlite3.connect(path)) as database:
        database.executescript(OLD_JOB)
    async with SqliteJobStore(path) as store:
        one, waiting = await store.find("0a"), (await store.reservations())[0]
        assert [(old.owner, old.principal, old.request_id) for old in (one, waiting)] == [
            ("abc", "abc", "r"),
            ("abc", "abc", "reserved"),
        ]
        assert await store.page(9, None, visible_to={"abc"}) == ((one,), None)
        assert await store.page(9, None, visible_to={""}) == ((), None)
        assert await store.find_request("abc", "r") == one
