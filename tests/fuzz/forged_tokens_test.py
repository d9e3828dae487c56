"""A page token that the service did not give out is refused, whoever made it of whatever, and is all that is."""

from __future__ import annotations

import asyncio
import base64
from functools import partial
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon_world import Pki, World, new_world, reason_of
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import InvalidPageTokenError, MemoryJobStore, Worker

if TYPE_CHECKING:
    from collections.abc import Iterator

# As a token was, before they were sealed, and what somebody might take a token for.
GUESSES = ["cDE=", "cDEyMw==", "1", "0" * 32, "A" * 32, "../../jobs.sqlite", "' OR 1=1 --", "é", "\0", "x" * 10_000]


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A daemon with a page and a half of jobs."""
    with new_world(Pki.make(tmp_path_factory.mktemp("pki"))) as started:
        with started.stub() as stub:
            for _ in range(3):
                stub.StartJob(pb.StartJobRequest(command=["true"]))
        yield started


def forgeries(token: str) -> list[str]:
    """Returns what can be made of a token: each of its bits turned over, and its beginnings, ends and doubles."""
    sealed = base64.urlsafe_b64decode(token)
    turned = [
        sealed[:place] + bytes((sealed[place] ^ 1 << bit,)) + sealed[place + 1 :]
        for place in range(len(sealed))
        for bit in range(8)
    ]
    return [
        *(base64.urlsafe_b64encode(one).decode() for one in turned),
        *(f"{token}{more}" for more in ("=", "\n", " ", "A", token)),
        f" {token}",
        token[:-1],
        token[1:],
    ]


def test_a_forged_token_over_the_wire(world: World) -> None:
    """The daemon refuses each forgery as the caller's fault, and goes on with the token itself."""
    with world.stub("log") as stub:
        token = stub.ListJobs(pb.ListJobsRequest(page_size=2)).next_page_token
        for forged in [*forgeries(token), *GUESSES]:
            code, reason = reason_of(partial(stub.ListJobs, pb.ListJobsRequest(page_token=forged)))
            assert (code.name, reason) == ("INVALID_ARGUMENT", "INVALID_PAGE_TOKEN")
        assert len(stub.ListJobs(pb.ListJobsRequest(page_token=token)).jobs) == 1


async def test_a_made_up_token_at_a_worker() -> None:
    """A worker refuses any text but what it gave out itself, and gives the same page for that each time."""
    async with Worker(store=MemoryJobStore(), cgroup_root="off") as worker:
        for _ in range(3):
            await worker.start(["true"])
        token, loop = (await worker.list(page_size=1)).next_page_token, asyncio.get_running_loop()

        @settings(max_examples=200, deadline=None)
        @given(
            st.text(min_size=1)
            | st.from_regex(r"[0-9A-Za-z_-]{32}", fullmatch=True)
            | st.sampled_from(forgeries(token))
        )
        def check(forged: str) -> None:
            asked = asyncio.run_coroutine_threadsafe(worker.list(page_token=forged), loop)
            with pytest.raises(InvalidPageTokenError):
                asked.result()

        await asyncio.to_thread(check)
        pages = [await worker.list(page_size=1, page_token=token) for _ in range(2)]
        assert pages[0] == pages[1]


def test_a_token_carries_no_authority(world: World) -> None:
    """A good token lets nobody list who may not."""
    with world.stub("log") as stub, world.stub("stranger") as stranger:
        token = stub.ListJobs(pb.ListJobsRequest(page_size=2)).next_page_token
        code, _ = reason_of(lambda: stranger.ListJobs(pb.ListJobsRequest(page_token=token)))
        assert code.name == "PERMISSION_DENIED"
