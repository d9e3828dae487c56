"""The contract of a job store: what every implementation of it keeps."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import AmbiguousJobIdError, Exited, Job, JobNotFoundError, JobStore, MemoryJobStore

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

NOW = datetime(2030, 1, 2, tzinfo=UTC)


# Another implementation is one more parameter.
@pytest.fixture(params=[MemoryJobStore])
def store(request: pytest.FixtureRequest) -> JobStore:
    """An empty store."""
    make: Callable[[], JobStore] = request.param
    return make()


def job(job_id: str = "", *, owner: str = "", request_id: str | None = None) -> Job:
    """Returns a running job, with an id of its own unless one is given."""
    return Job(id=job_id or str(uuid.uuid4()), command=("true",), start_time=NOW, owner=owner, request_id=request_id)


async def filled(store: JobStore, count: int) -> list[Job]:
    """Adds jobs and returns them, newest first."""
    jobs = [job() for _ in range(count)]
    for one in jobs:
        await store.add(one)
    return jobs[::-1]


async def pages(store: JobStore, size: int) -> list[Sequence[Job]]:
    """Returns all pages from the newest to the last."""
    jobs, before = await store.page(size, None)
    found: list[Sequence[Job]] = [jobs]
    while before is not None:
        jobs, before = await store.page(size, before)
        found.append(jobs)
    return found


async def test_an_empty_store_has_one_empty_page(store: JobStore) -> None:
    """There is nothing, and nothing follows."""
    assert await store.page(1, None) == ((), None)
    assert await store.running() == ()


async def test_a_job_is_found_by_its_id(store: JobStore) -> None:
    """And among others it is the right one."""
    for one in await filled(store, 20):
        assert await store.find(one.id) == one


async def test_a_job_is_found_by_the_beginning_of_its_id(store: JobStore) -> None:
    """As long as no other job's id begins so."""
    ids = ["0a000000-0000-4000-8000-000000000000", "0b000000-0000-4000-8000-000000000000"]
    for job_id in reversed(ids):
        await store.add(job(job_id))
    assert [(await store.find(job_id[:length])).id for length in (2, 9, 35) for job_id in ids] == ids * 3


async def test_a_beginning_that_several_ids_share_is_ambiguous(store: JobStore) -> None:
    """The error says how many, so that nothing is ever done to a job that was not meant."""
    for digit in "012f":
        await store.add(job(f"ab{digit}00000-0000-4000-8000-000000000000"))
    with pytest.raises(AmbiguousJobIdError, match="4 jobs"):
        await store.find("ab")


@pytest.mark.parametrize("prefix", ["0", "aa", "abce", "b", "ffffffff", "abcd0000-0000-4000-8000-000000000001"])
async def test_an_unknown_id_is_not_found(store: JobStore, prefix: str) -> None:
    """Whether it sorts before, between or after those there are."""
    await store.add(job("abcd0000-0000-4000-8000-000000000000"))
    await store.add(job("abcf0000-0000-4000-8000-000000000000"))
    with pytest.raises(JobNotFoundError, match=prefix):
        await store.find(prefix)


async def test_an_id_is_added_once(store: JobStore) -> None:
    """A second job of the same id changes nothing."""
    first = job()
    await store.add(first)
    with pytest.raises(ValueError, match=first.id):
        await store.add(replace(first, command=("false",)))
    assert await store.page(9, None) == ((first,), None)


async def test_a_request_id_is_added_once_an_owner(store: JobStore) -> None:
    """A second job of the same owner's same request is not kept; another owner's is."""
    first, second = job(owner="a", request_id="r"), job(owner="b", request_id="r")
    await store.add(first)
    await store.add(second)
    with pytest.raises(ValueError, match="request"):
        await store.add(job(owner="a", request_id="r"))
    assert await store.page(9, None) == ((second, first), None)


async def test_a_request_finds_its_owners_job(store: JobStore) -> None:
    """The same request id of another owner is another request."""
    await store.add(job())
    mine, yours = job(owner="a", request_id="r"), job(owner="b", request_id="r")
    await store.add(mine)
    await store.add(yours)
    assert [await store.find_request(owner, "r") for owner in ("a", "b", "c")] == [mine, yours, None]
    assert await store.find_request("a", "other") is None


async def test_a_request_finds_the_job_as_it_is_now(store: JobStore) -> None:
    """Also after the job has ended."""
    one = job(request_id="r")
    await store.add(one)
    ended = one.ended(Exited(0), NOW)
    await store.replace(ended)
    assert await store.find_request("", "r") == ended


async def test_a_replaced_job_keeps_its_position(store: JobStore) -> None:
    """A job that ends does not move in the list."""
    newest, middle, oldest = await filled(store, 3)
    ended = middle.ended(Exited(0), NOW)
    await store.replace(ended)
    assert await store.find(middle.id) == ended
    assert await store.page(9, None) == ((newest, ended, oldest), None)


async def test_an_unknown_job_is_not_replaced(store: JobStore) -> None:
    """And not added either."""
    with pytest.raises(JobNotFoundError):
        await store.replace(job())
    assert await store.page(9, None) == ((), None)


@pytest.mark.parametrize("size", [1, 2, 3, 6, 7, 8, 1000])
async def test_pages_hold_all_jobs_newest_first(store: JobStore, size: int) -> None:
    """Each job once, every page full but the last, and no empty page after it."""
    jobs = await filled(store, 7)
    found = await pages(store, size)
    assert [one for page in found for one in page] == jobs
    assert [len(page) for page in found] == [size] * (7 // size) + [7 % size] * bool(7 % size)


async def test_jobs_added_while_paging_shift_no_page(store: JobStore) -> None:
    """Who pages sees each of the older jobs once, however many are added meanwhile."""
    jobs = await filled(store, 5)
    found, before = await store.page(2, None)
    seen = list(found)
    while before is not None:
        await filled(store, 3)
        found, before = await store.page(2, before)
        seen += found
    assert seen == jobs


@pytest.mark.parametrize(("before", "count"), [(0, 0), (1, 1), (3, 3), (10**17, 3)])
async def test_any_position_is_a_place_to_page_from(store: JobStore, before: int, count: int) -> None:
    """A position that there never was gives what is older than it."""
    jobs = await filled(store, 3)
    assert await store.page(9, before) == (tuple(jobs[3 - count :]), None)


async def test_running_jobs_are_listed_oldest_first(store: JobStore) -> None:
    """Those that ended are not among them."""
    newest, middle, oldest = await filled(store, 3)
    await store.replace(middle.ended(Exited(1), NOW))
    assert await store.running() == (oldest, newest)


async def test_a_running_job_stays_running_when_replaced(store: JobStore) -> None:
    """A stop request, for one, ends nothing by itself."""
    (one,) = await filled(store, 1)
    asked = one.with_stop_request(NOW)
    await store.replace(asked)
    assert await store.running() == (asked,)


async def test_a_store_may_be_given_finished_jobs(store: JobStore) -> None:
    """As when a durable one is filled from another."""
    ended = job().ended(Exited(0), NOW)
    await store.add(ended)
    assert await store.running() == ()
    assert await store.find(ended.id) == ended


def test_a_store_shows_what_it_holds(store: JobStore) -> None:
    """For logs and debuggers."""
    assert "jobs=0" in repr(store)
