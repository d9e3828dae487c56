"""The contract of a job store: what every implementation of it keeps."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import AmbiguousJobIdError, Exited, JobNotFoundError, JobStore, Lost, MemoryJobStore, Signaled
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.store import MAX_SURPLUS
from store_support import NOW, ended, filled, finished, job, pages, reservation

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from jobworker.worker import Outcome


# Another implementation is one more parameter.
@pytest.fixture(params=["memory", "sqlite"])
async def store(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[JobStore]:
    """An empty store, open."""
    made = MemoryJobStore() if request.param == "memory" else SqliteJobStore(tmp_path / "jobs.sqlite")
    async with made as opened:
        yield opened


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


async def test_a_request_id_is_added_once_a_principal(store: JobStore) -> None:
    """A second job of the same principal's same request is not kept; another principal's is."""
    first, second = job(principal="a", request_id="r"), job(principal="b", request_id="r")
    await store.add(first)
    await store.add(second)
    with pytest.raises(ValueError, match="request"):
        await store.add(job(principal="a", request_id="r"))
    assert await store.page(9, None) == ((second, first), None)


async def test_a_request_finds_its_principals_job(store: JobStore) -> None:
    """The same request id of another principal is another request."""
    await store.add(job())
    mine, yours = job(principal="a", request_id="r"), job(principal="b", request_id="r")
    await store.add(mine)
    await store.add(yours)
    assert [await store.find_request(principal, "r") for principal in ("a", "b", "c")] == [mine, yours, None]
    assert await store.find_request("a", "other") is None


async def test_a_request_finds_the_job_as_it_is_now(store: JobStore) -> None:
    """Also after the job has ended."""
    one = job(request_id="r")
    await store.add(one)
    await store.replace(ended(one))
    assert await store.find_request("", "r") == ended(one)


async def test_a_replaced_job_keeps_its_position(store: JobStore) -> None:
    """A job that ends does not move in the list."""
    newest, middle, oldest = await filled(store, 3)
    await store.replace(ended(middle))
    assert await store.find(middle.id) == ended(middle)
    assert await store.page(9, None) == ((newest, ended(middle), oldest), None)


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


@pytest.mark.parametrize(("before", "count"), [(0, 0), (1, 0), (2, 1), (4, 3), (10**18, 3)])
async def test_any_position_is_a_place_to_page_from(store: JobStore, before: int, count: int) -> None:
    """A position that there never was gives what is older than it."""
    jobs = await filled(store, 3)
    assert await store.page(9, before) == (tuple(jobs[3 - count :]), None)


async def test_running_jobs_are_listed_oldest_first(store: JobStore) -> None:
    """Those that ended are not among them."""
    newest, middle, oldest = await filled(store, 3)
    await store.replace(ended(middle))
    assert await store.running() == (oldest, newest)


async def test_running_jobs_are_counted_by_principal(store: JobStore) -> None:
    """Each as long as it runs, however it changes meanwhile, whoever else has some."""
    first, second, other = (replace(job(), principal=name) for name in ("a", "a", "b"))
    for one in (first, second, other):
        await store.add(one)
    await store.replace(first.with_stop_request(NOW))
    assert await store.running_counts() == {"a": 2, "b": 1}
    await store.replace(ended(first))
    assert await store.running_counts() == {"a": 1, "b": 1}
    await store.delete(first.id)
    await store.delete(other.id)
    assert await store.running_counts() == {"a": 1}
    await store.replace(ended(second))
    assert await store.running_counts() == {}


async def test_a_running_job_stays_running_when_replaced(store: JobStore) -> None:
    """A stop request, for one, ends nothing by itself."""
    (one,) = await filled(store, 1)
    asked = one.with_stop_request(NOW)
    await store.replace(asked)
    assert await store.running() == (asked,)


async def test_a_store_may_be_given_finished_jobs(store: JobStore) -> None:
    """As when a durable one is filled from another."""
    one = ended(job())
    await store.add(one)
    assert await store.running() == ()
    assert await store.find(one.id) == one


@pytest.mark.parametrize(
    "outcome",
    [Exited(0), Exited(255), Exited(143, by_stop=True), Signaled(9), Signaled(15, by_stop=True), Lost("a power cut")],
)
async def test_every_outcome_is_kept(store: JobStore, outcome: Outcome) -> None:
    """With the time of its end, and what was killed then."""
    one = job()
    await store.add(one)
    over = one.with_sizes(2**40, 1).ended(outcome, NOW + timedelta(microseconds=1), killed_processes=3)
    await store.replace(over)
    assert await store.find(one.id) == over


async def test_any_text_is_kept(store: JobStore) -> None:
    """Arguments that are not UTF-8, which Python writes as halves of surrogate pairs, are among them."""
    words = ("\udcff\udc00", "ü €", '"\\n"', "\n\t\x7f", "\U0001f600", "", "\\u0041", "a" * 100_000)
    one = replace(job(owner=words[0], principal=words[0] + words[2], request_id="\0'é"), command=words)
    await store.add(one)
    lost = one.ended(Lost("\udcff: who knows"), NOW)
    await store.replace(lost)
    assert await store.find(one.id) == lost
    assert await store.find_request(one.principal, "\0'é") == lost


async def test_a_reservation_is_no_job(store: JobStore) -> None:
    """Nothing shows it but the list of reservations, oldest first."""
    first, second = reservation(principal="a", request_id="r"), reservation()
    await store.reserve(first)
    await store.reserve(second)
    assert await store.reservations() == (first, second)
    assert await store.page(9, None) == ((), None)
    assert await store.running() == ()
    assert await store.find_request("a", "r") is None
    with pytest.raises(JobNotFoundError):
        await store.find(first.job_id)


async def test_a_job_ends_its_reservation(store: JobStore) -> None:
    """It is the job from then on; other reservations stay."""
    first, second = reservation(request_id="r"), reservation()
    await store.reserve(first)
    await store.reserve(second)
    one = job(first.job_id, request_id="r")
    await store.add(one)
    assert await store.reservations() == (second,)
    assert await store.find_request("", "r") == one


async def test_a_released_reservation_frees_its_ids(store: JobStore) -> None:
    """Its request may be tried again; to release what is not reserved does nothing."""
    taken = reservation(request_id="r")
    for _ in range(2):
        await store.reserve(taken)
        await store.release(taken.job_id)
        await store.release(taken.job_id)
        assert await store.reservations() == ()
    await store.add(job(request_id="r"))


async def test_what_a_job_has_is_not_reserved(store: JobStore) -> None:
    """Neither its id nor its principal's request id, also when it has ended; another principal's same request is."""
    one = job(principal="a", request_id="r")
    await store.add(one)
    await store.replace(ended(one))
    with pytest.raises(ValueError, match=one.id):
        await store.reserve(reservation(one.id))
    with pytest.raises(ValueError, match="request"):
        await store.reserve(reservation(principal="a", request_id="r"))
    assert await store.reservations() == ()
    await store.reserve(reservation(principal="b", request_id="r"))


async def test_what_is_reserved_is_not_reserved_again(store: JobStore) -> None:
    """Neither the id nor the principal's request id; another principal's same request is."""
    first, other = reservation(principal="a", request_id="r"), reservation(principal="b", request_id="r")
    await store.reserve(first)
    with pytest.raises(ValueError, match=first.job_id):
        await store.reserve(reservation(first.job_id))
    with pytest.raises(ValueError, match="request"):
        await store.reserve(reservation(principal="a", request_id="r"))
    await store.reserve(other)
    assert await store.reservations() == (first, other)


async def test_a_job_does_not_take_anothers_reserved_request(store: JobStore) -> None:
    """Nothing is added, and the reservation stays."""
    first = reservation(principal="a", request_id="r")
    await store.reserve(first)
    with pytest.raises(ValueError, match="request"):
        await store.add(job(principal="a", request_id="r"))
    assert await store.reservations() == (first,)
    assert await store.page(9, None) == ((), None)


async def test_a_job_that_is_not_added_keeps_its_reservation(store: JobStore) -> None:
    """Both happen, or neither."""
    await store.add(job(request_id="r"))
    taken = reservation()
    await store.reserve(taken)
    with pytest.raises(ValueError, match="request"):
        await store.add(job(taken.job_id, request_id="r"))
    assert await store.reservations() == (taken,)


async def test_a_deleted_job_is_nowhere(store: JobStore) -> None:
    """It is not found by id, beginning, request or page; whether it ran or had ended."""
    kept, over, ran = [job(request_id=digit) for digit in "012"]
    for one in (kept, over, ran):
        await store.add(one)
    await store.replace(ended(over))
    for one in (over, ran):
        await store.delete(one.id)
        assert await store.find_request("", one.request_id or "") is None
        for prefix in (one.id, one.id[:35]):
            with pytest.raises(JobNotFoundError):
                await store.find(prefix)
    assert await store.page(9, None) == ((kept,), None)
    assert await store.running() == (kept,)
    assert await store.surplus(0, None) == ()
    assert await store.oldest_end() is None


async def test_an_unknown_job_is_not_deleted(store: JobStore) -> None:
    """The beginning of an id is no id here, and a job is deleted once."""
    one = job()
    await store.add(one)
    with pytest.raises(JobNotFoundError):
        await store.delete(one.id[:35])
    await store.delete(one.id)
    with pytest.raises(JobNotFoundError):
        await store.delete(one.id)


async def test_a_deleted_job_frees_its_request(store: JobStore) -> None:
    """The same request is a new one then."""
    first, second = job(request_id="r"), job(request_id="r")
    await store.add(first)
    await store.delete(first.id)
    await store.reserve(reservation(second.id, request_id="r"))
    await store.add(second)
    assert await store.find_request("", "r") == second


async def test_a_deleted_job_shifts_no_page(store: JobStore) -> None:
    """Who pages meanwhile sees each of the others once, though the one that the page ended with is gone."""
    jobs = await filled(store, 6)
    seen, before = await store.page(2, None)
    for gone in (jobs[1], jobs[3]):
        await store.delete(gone.id)
    rest, end = await store.page(9, before)
    assert [*seen, *rest] == [*jobs[:3], *jobs[4:]]
    assert end is None


async def test_a_deleted_jobs_position_is_not_given_again(store: JobStore) -> None:
    """Positions grow whatever was deleted, the newest job or an old one."""
    newest, middle, oldest = await filled(store, 3)
    _, last = await store.page(1, None)
    await store.delete(newest.id)
    await store.delete(oldest.id)
    added = await filled(store, 2)
    jobs, first = await store.page(2, None)
    assert jobs == tuple(added)
    assert (first or 0) > (last or 0) > 0
    assert await store.page(9, first) == await store.page(9, last) == ((middle,), None)


@pytest.mark.parametrize(("keep", "surplus"), [(0, 5), (2, 3), (4, 1), (5, 0), (9, 0), (None, 0)])
async def test_jobs_beyond_a_number_are_surplus(store: JobStore, keep: int | None, surplus: int) -> None:
    """Those that ended first, in that order; running ones don't count."""
    await filled(store, 3)
    jobs = await finished(store, 5)
    await filled(store, 3)
    assert await store.surplus(keep, None) == tuple(jobs[:surplus])


@pytest.mark.parametrize(("seconds", "surplus"), [(0, 0), (1, 0), (1.5, 1), (3, 2), (9, 5)])
async def test_jobs_that_ended_before_a_time_are_surplus(store: JobStore, seconds: float, surplus: int) -> None:
    """A job that ended just then is not."""
    await filled(store, 2)
    jobs = await finished(store, 5)
    assert await store.surplus(None, NOW + timedelta(seconds=seconds)) == tuple(jobs[:surplus])


@pytest.mark.parametrize(("keep", "seconds", "surplus"), [(4, 3.5, 3), (1, 2.5, 4), (5, 0, 0), (3, 2.5, 2)])
async def test_a_job_beyond_either_limit_is_surplus(store: JobStore, keep: int, seconds: float, surplus: int) -> None:
    """It need not be beyond both."""
    jobs = await finished(store, 5)
    assert await store.surplus(keep, NOW + timedelta(seconds=seconds)) == tuple(jobs[:surplus])


async def test_the_order_of_the_ends_counts(store: JobStore) -> None:
    """The order of the starts does not."""
    newest, middle, oldest = await filled(store, 3)
    for second, one in enumerate((middle, newest, oldest), 1):
        await store.replace(ended(one, second))
    assert [one.id for one in await store.surplus(0, None)] == [middle.id, newest.id, oldest.id]
    assert [one.id for one in await store.surplus(2, None)] == [middle.id]
    assert await store.oldest_end() == NOW + timedelta(seconds=1)


async def test_surplus_comes_in_parts(store: JobStore) -> None:
    """Whatever both limits say; once they are deleted, the next ones come."""
    jobs = await finished(store, MAX_SURPLUS + 2)
    for keep, before in ((0, None), (None, NOW + timedelta(days=1)), (0, NOW + timedelta(days=1))):
        assert await store.surplus(keep, before) == tuple(jobs[:MAX_SURPLUS])
    for one in jobs[:MAX_SURPLUS]:
        await store.delete(one.id)
    assert await store.surplus(0, None) == tuple(jobs[MAX_SURPLUS:])


async def test_the_oldest_end_is_the_first(store: JobStore) -> None:
    """None while nothing has ended."""
    await filled(store, 1)
    assert await store.oldest_end() is None
    first, second = await finished(store, 2)
    assert await store.oldest_end() == first.end_time
    await store.delete(first.id)
    assert await store.oldest_end() == second.end_time


async def test_all_is_saved(store: JobStore) -> None:
    """As long as nothing goes wrong."""
    (one,) = await filled(store, 1)
    await store.replace(ended(one))
    assert store.unsaved() == frozenset()


async def test_each_store_has_a_secret_of_its_own(store: JobStore) -> None:
    """Enough of it that nobody guesses it, and always the same."""
    async with MemoryJobStore() as other:
        assert store.secret() == store.secret() != other.secret()
    assert len(store.secret()) == 32


def test_a_store_says_whether_it_lasts(tmp_path: Path) -> None:
    """What can be promised of a worker's jobs rests on it."""
    stores: list[JobStore] = [MemoryJobStore(), SqliteJobStore(tmp_path / "jobs.sqlite")]
    assert [store.is_durable for store in stores] == [False, True]


async def test_a_store_shows_what_it_holds(store: JobStore) -> None:
    """For logs and debuggers."""
    assert "jobs=0" in repr(store)
    await finished(store, 2)
    await store.delete((await filled(store, 2))[0].id)
    assert "jobs=3 running=1" in repr(store)
