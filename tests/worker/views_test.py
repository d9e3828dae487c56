"""What a worker does for one principal: others' jobs are as if they did not exist."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import AmbiguousJobIdError, InvalidPageTokenError, Job, JobNotFoundError, Worker
from worker_support import read_all, sh

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from collections.abc import Set as AbstractSet


async def read(worker: Worker, job_id: str, view: AbstractSet[str] | None) -> bool:
    """Reads a job's stdout, and returns whether it ended as it should."""
    async with aclosing(worker.read_logs(job_id, "stdout", visible_to=view)) as frames:
        return [type(frame).__name__ async for frame in frames] == ["LogData", "LogEnd"]


# Whatever names a job.
CALLS: dict[str, Callable[[Worker, str, AbstractSet[str] | None], Awaitable[object]]] = {
    "get": lambda worker, job_id, view: worker.get(job_id, visible_to=view),
    "wait": lambda worker, job_id, view: worker.wait(job_id, visible_to=view),
    "read": read,
    "stop": lambda worker, job_id, view: worker.stop(job_id, visible_to=view),
    "delete": lambda worker, job_id, view: worker.delete(job_id, visible_to=view),
}


async def finished(worker: Worker, principal: str) -> Job:
    """Runs a job to its end."""
    job = await worker.start(["echo", principal], owner="certificate", principal=principal)
    return await worker.wait(job.id)


@pytest.mark.parametrize("call", CALLS)
async def test_a_foreign_job_is_not_there(worker: Worker, call: str) -> None:
    """Nothing is done to it, and the error is that of a job that never was."""
    job = await finished(worker, "ci")
    for job_id in (job.id, job.id[:4]):
        with pytest.raises(JobNotFoundError) as error:
            await CALLS[call](worker, job_id, {"people"})
        assert str(error.value) == str(JobNotFoundError(job_id))
    assert await worker.get(job.id) == job


@pytest.mark.parametrize("view", [{"ci"}, {"ci", "f" * 64}, None])
@pytest.mark.parametrize("call", CALLS)
async def test_an_own_job_is_there(worker: Worker, call: str, view: AbstractSet[str] | None) -> None:
    """As every job is for who sees all."""
    job = await finished(worker, "ci")
    assert await CALLS[call](worker, job.id, view) in {job, True}


async def test_a_foreign_job_is_not_stopped(worker: Worker) -> None:
    """It runs on, and nobody has asked it to stop."""
    job = await worker.start(sh("echo ready; exec sleep 1000"), principal="ci")
    with pytest.raises(JobNotFoundError):
        await worker.stop(job.id, visible_to={"people"})
    found = await worker.get(job.id, visible_to={"ci"})
    assert (found.end_time, found.stop_request_time) == (None, None)


async def test_a_beginning_means_the_own_job(worker: Worker) -> None:
    """However many foreign ones it fits."""
    jobs = [await worker.start(["true"], principal=str(index % 20)) for index in range(40)]
    for job in jobs[:20]:
        twin = next(one for one in jobs[20:] if one.principal == job.principal)
        own = [one for one in (job, twin) if one.id[0] == job.id[0]]
        if len(own) == 1:
            assert (await worker.get(job.id[0], visible_to={job.principal})).id == job.id
        else:
            with pytest.raises(AmbiguousJobIdError, match="2 jobs"):
                await worker.get(job.id[0], visible_to={job.principal})


async def test_a_list_has_the_own_jobs_alone(worker: Worker) -> None:
    """Newest first, page by page; who sees all sees all."""
    jobs = [await finished(worker, principal) for principal in ("ci", "people", "ci", "people", "ci")][::-1]
    for view in ({"ci"}, {"people"}, {"ci", "people"}, {"nobody"}, None):
        own = [job for job in jobs if view is None or job.principal in view]
        listed: list[Job] = []
        token = ""
        while True:
            page = await worker.list(page_size=2, page_token=token, visible_to=view)
            listed += page.jobs
            token = page.next_page_token
            if not token:
                break
        assert listed == own


async def test_a_page_token_is_its_views(worker: Worker) -> None:
    """Who has another's gets no page with it, neither of the other's jobs nor of its own."""
    for principal in ("ci", "people") * 3:
        await finished(worker, principal)
    views = (frozenset({"ci"}), frozenset({"people"}), None)
    tokens = {view: (await worker.list(page_size=1, visible_to=view)).next_page_token for view in views}
    for view in views:
        for other in {*views} - {view}:
            with pytest.raises(InvalidPageTokenError):
                await worker.list(page_token=tokens[other], visible_to=view)
        assert len((await worker.list(page_token=tokens[view], visible_to=view)).jobs) == (5 if view is None else 2)


async def test_a_job_is_its_owners_unless_told_otherwise(worker: Worker) -> None:
    """As from Python, where there need be no principals."""
    job = await worker.start(["echo"], owner="me")
    assert job.principal == "me"
    assert await read_all(worker, job.id) == b"\n"
