"""Whoever bounds the jobs is asked before each new one, and told of all that run: nothing is missed, and none twice."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast, final

import pytest

from jobworker.worker import JobState, MemoryJobStore, ProgramNotFoundError, Worker
from worker_support import sh

if TYPE_CHECKING:
    from collections import Counter
    from collections.abc import Mapping
    from pathlib import Path
    from typing import Self

    from jobworker.worker import JobStore
    from worker_support import Gate

REQUEST = "0a1b2c3d-4e5f-4a6b-8c7d-8e9fa0b1c2d3"


class FullError(Exception):
    """There is no room for another job."""


@final
@dataclass
class Bound:
    """Lets so many jobs run at once.

    Attributes:
        most: How many.
        seen: What it was told, each time that it was asked.
    """

    most: int
    seen: list[list[str]] = field(default_factory=list)

    def __call__(self, under_way: Counter[str]) -> None:
        """Says no if there is no room."""
        self.seen.append(sorted(under_way.elements()))
        if under_way.total() >= self.most:
            raise FullError


async def test_starts_at_once(worker: Worker, gate: Gate) -> None:
    """Of many starts at the same time no more get through than there is room for."""
    bound, command = Bound(3), sh('read -r _ <"$1"', gate.path)
    starts = (worker.start(command, principal=f"p{number}", admit=bound) for number in range(20))
    answers = await asyncio.gather(*starts, return_exceptions=True)
    assert sum(isinstance(answer, FullError) for answer in answers) == 17
    assert len((await worker.list()).jobs) == 3
    assert max(map(len, bound.seen)) == 3


async def test_whose_jobs_run(worker: Worker, gate: Gate) -> None:
    """A job counts for its principal, without one for its owner, until it has ended."""
    bound, waiting = Bound(10), sh('read -r _ <"$1"', gate.path)
    await worker.start(waiting, owner="a", admit=bound)
    first = await worker.start(["true"], owner="b", principal="p", admit=bound)
    await worker.wait(first.id)
    await worker.start(waiting, owner="b", principal="p", admit=bound)
    await worker.start(waiting, owner="c", principal="p", admit=bound)
    assert bound.seen == [[], ["a"], ["a"], ["a", "p"]]


async def test_the_same_request_is_no_new_job(worker: Worker, gate: Gate) -> None:
    """A start that is repeated is the job that there is, under way or finished, and takes no room."""
    bound, command = Bound(1), sh('read -r _ <"$1"', gate.path)
    jobs = await asyncio.gather(*(worker.start(command, request_id=REQUEST, admit=bound) for _ in range(20)))
    assert len({job.id for job in jobs}) == 1
    gate.open()
    ended = await worker.wait(jobs[0].id)
    assert await worker.start(command, request_id=REQUEST, admit=Bound(0)) == ended
    assert bound.seen == [[]]


async def test_nothing_is_left_of_a_refused_start(worker: Worker) -> None:
    """No job, and its request id is free."""
    with pytest.raises(FullError):
        await worker.start(["true"], request_id=REQUEST, admit=Bound(0))
    assert (await worker.list()).jobs == ()
    job = await worker.start(["false"], request_id=REQUEST, admit=Bound(1))
    assert (await worker.wait(job.id)).state is JobState.FAILED


async def test_a_start_that_fails_takes_no_room(worker: Worker) -> None:
    """What never ran isn't counted."""
    bound = Bound(1)
    with pytest.raises(ProgramNotFoundError):
        await worker.start(["/no/such/program"], admit=bound)
    await worker.start(["true"], admit=bound)
    assert bound.seen == [[], []]


async def test_jobs_that_were_taken_back_count(state: Path, gate: Gate) -> None:
    """A worker that comes back to jobs which run counts those too."""
    command = sh('read -r _ <"$1"', gate.path)
    async with Worker(state_dir=state, keep_jobs=True) as first:
        for principal in ("a", "b", "a"):
            await first.start(command, principal=principal)
    bound = Bound(3)
    async with Worker(state_dir=state) as second:
        with pytest.raises(FullError):
            await second.start(command, principal="a", admit=bound)
    assert bound.seen == [["a", "a", "b"]]


@final
class SlowStore:
    """A store whose answer to what runs is old: it comes when the test lets it, and is how it was before."""

    def __init__(self) -> None:
        self._store = MemoryJobStore()
        self.is_slow = False
        self.asked, self.answer = asyncio.Event(), asyncio.Event()

    def __getattr__(self, name: str) -> object:
        return getattr(self._store, name)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def running_counts(self) -> Mapping[str, int]:
        """Returns how many jobs run."""
        found = dict(await self._store.running_counts())
        if self.is_slow:
            self.is_slow = False
            self.asked.set()
            await self.answer.wait()
        return found


async def test_a_store_that_takes_its_time(gate: Gate) -> None:
    """While one start waits to hear what runs, no other can slip in: of two there is room for one."""
    store, bound = SlowStore(), Bound(1)
    command = sh('read -r _ <"$1"', gate.path)
    async with Worker(store=cast("JobStore", store)) as worker:
        store.is_slow = True

        async def answer() -> None:
            await store.asked.wait()
            store.answer.set()

        starts = [worker.start(command, principal=name, admit=bound) for name in ("first", "second")]
        first, second, _ = await asyncio.gather(*starts, answer(), return_exceptions=True)
    assert (isinstance(first, FullError), isinstance(second, FullError)) == (False, True), (first, second)
    assert bound.seen == [[], ["first"]]


async def test_a_new_job_is_announced_before_anything_is_done_for_it(worker: Worker, tmp_path: Path) -> None:
    """With the id that it will have; it waits for that, and the same request is announced once."""
    witness, announced = tmp_path / "witness", list[str]()
    asked, heard = asyncio.Event(), asyncio.Event()

    async def announce(job_id: str) -> None:
        announced.append(job_id)
        asked.set()
        await heard.wait()
        assert not witness.exists()

    async with asyncio.TaskGroup() as tasks:
        command = sh('echo >"$1"', str(witness))
        starts = [tasks.create_task(worker.start(command, request_id=REQUEST, announce=announce)) for _ in range(2)]
        await asked.wait()
        assert (await worker.list()).jobs == ()
        heard.set()
    first, second = (start.result() for start in starts)
    assert announced == [first.id] == [second.id]
    assert (await worker.wait(first.id)).state is JobState.SUCCEEDED


async def test_a_job_that_can_not_be_announced_is_not_made(worker: Worker) -> None:
    """Whoever asked is told why, and may ask again."""

    async def refuse(_job_id: str) -> None:
        raise FullError

    with pytest.raises(FullError):
        await worker.start(["true"], request_id=REQUEST, announce=refuse)
    assert (await worker.list()).jobs == ()
    job = await worker.start(["true"], request_id=REQUEST)
    assert (await worker.wait(job.id)).state is JobState.SUCCEEDED
