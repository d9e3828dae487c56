"""One request id is one job, however often and however concurrently it is asked for."""

# ruff: noqa: ASYNC240 - small files on a local disk

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import JobState, RequestIdReusedError, Worker
from worker_support import read_lines, sh

if TYPE_CHECKING:
    from pathlib import Path

REQUEST = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"


@pytest.fixture
def count(tmp_path: Path) -> Path:
    """A file to which each job appends a line."""
    return tmp_path / "count"


def counting(count: Path) -> list[str]:
    """Returns a command that leaves a line for each time that it runs."""
    return sh('echo run >> "$1"', str(count))


async def test_a_hundred_starts_at_once_are_one_job(worker: Worker, count: Path) -> None:
    """All callers get the same job, and one process ran."""
    jobs = await asyncio.gather(*(worker.start(counting(count), request_id=REQUEST) for _ in range(100)))
    assert len({job.id for job in jobs}) == 1
    assert (await worker.wait(jobs[0].id)).state is JobState.SUCCEEDED
    assert count.read_text() == "run\n"
    assert len((await worker.list()).jobs) == 1


async def test_a_later_start_finds_the_job(worker: Worker, count: Path) -> None:
    """Also when it has finished, and when the id is written in capitals."""
    job = await worker.start(counting(count), request_id=REQUEST)
    ended = await worker.wait(job.id)
    assert await worker.start(counting(count), request_id=REQUEST.upper()) == ended
    assert count.read_text() == "run\n"


async def test_a_found_job_shows_what_it_has_written(worker: Worker) -> None:
    """The answer is the job as it is now, as get gives it."""
    command = sh("echo hello; exec sleep 1000")
    job = await worker.start(command, request_id=REQUEST)
    await read_lines(worker, job.id)
    assert (await worker.start(command, request_id=REQUEST)).stdout_bytes == 6


async def test_starts_without_a_request_id_are_each_a_job(worker: Worker, count: Path) -> None:
    """None and an empty one alike."""
    jobs = [await worker.start(counting(count), request_id=none) for none in (None, None, "", "")]
    assert len({(await worker.wait(job.id)).id for job in jobs}) == 4
    assert count.read_text() == "run\n" * 4


async def test_a_request_id_with_another_command_is_refused(worker: Worker, count: Path) -> None:
    """While the first start is under way, while its job runs, and after."""
    first = asyncio.ensure_future(worker.start(counting(count), request_id=REQUEST))
    await asyncio.sleep(0)
    for _ in range(2):
        with pytest.raises(RequestIdReusedError, match=REQUEST):
            await worker.start(["true"], request_id=REQUEST)
        await worker.wait((await first).id)
    assert len((await worker.list()).jobs) == 1


async def test_request_ids_are_each_owner_s_own(worker: Worker, count: Path) -> None:
    """Two owners who chose the same one get two jobs; neither learns of the other's."""
    starts = [worker.start(counting(count), owner=owner, request_id=REQUEST) for owner in ("a", "b") * 10]
    jobs = await asyncio.gather(*starts)
    assert {(job.id, job.owner) for job in jobs} == {(jobs[0].id, "a"), (jobs[1].id, "b")}
    assert jobs[0].id != jobs[1].id
    for job in jobs[:2]:
        await worker.wait(job.id)
    assert count.read_text() == "run\n" * 2


async def test_a_request_id_outlives_a_certificate(worker: Worker, count: Path) -> None:
    """A retry with the principal's next certificate gives the same job, which keeps the one it was started with."""
    starts = [
        worker.start(counting(count), owner=owner, principal="ci", request_id=REQUEST) for owner in ("old", "new")
    ]
    first, second = await asyncio.gather(*starts)
    third = await worker.start(counting(count), owner="newest", principal="ci", request_id=REQUEST)
    assert first.id == second.id == third.id
    assert (third.owner, third.principal) == ("old", "ci")
    await worker.wait(first.id)
    assert count.read_text() == "run\n"


async def test_a_request_id_outlives_a_name(worker: Worker, count: Path) -> None:
    """A retry gives the same job if its principal was given a name meanwhile: while it is started, and later."""
    first = asyncio.ensure_future(worker.start(counting(count), owner="certificate", request_id=REQUEST))
    await asyncio.sleep(0)
    for _ in range(2):
        again = await worker.start(
            counting(count), owner="next", principal="ci", aliases={"next", "certificate"}, request_id=REQUEST
        )
        assert again.id == (await first).id
        with pytest.raises(RequestIdReusedError):
            await worker.start(["true"], principal="ci", aliases={"certificate"}, request_id=REQUEST)
        await worker.wait(again.id)
    assert count.read_text() == "run\n"


async def test_another_principal_learns_nothing_of_a_request_id(worker: Worker, count: Path) -> None:
    """With its own command it gets a job of its own, and no error: also with the certificate that was the other's."""
    mine = await worker.start(counting(count), owner="certificate", principal="ci", request_id=REQUEST)
    yours = await worker.start(["true"], owner="certificate", principal="people", request_id=REQUEST)
    assert (yours.id != mine.id, yours.command) == (True, ("true",))


@pytest.mark.parametrize("rounds", range(4))
async def test_a_cancelled_start_happens_once(worker: Worker, count: Path, rounds: int) -> None:
    """Whenever the caller went away, asking again gives the one job."""
    start = asyncio.ensure_future(worker.start(counting(count), request_id=REQUEST))
    for _ in range(rounds):
        await asyncio.sleep(0)
    start.cancel()
    await asyncio.gather(start, return_exceptions=True)
    job = await worker.start(counting(count), request_id=REQUEST)
    await worker.wait(job.id)
    assert count.read_text() == "run\n"
    assert len((await worker.list()).jobs) == 1


async def test_a_cancelled_caller_takes_nothing_from_the_others(worker: Worker, count: Path) -> None:
    """Half of those that wait for one start go away; the rest get the job."""
    starts = [asyncio.ensure_future(worker.start(counting(count), request_id=REQUEST)) for _ in range(10)]
    await asyncio.sleep(0)
    for start in starts[::2]:
        start.cancel()
    results = await asyncio.gather(*starts, return_exceptions=True)
    assert all(isinstance(result, asyncio.CancelledError) for result in results[::2])
    assert len(set(results[1::2])) == 1
