"""The supervisor finds what jobs leave behind in a list of its own, however many jobs there are."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker_testing import children_of
from process_support import run_source
from worker_support import read_lines, sh

if TYPE_CHECKING:
    from jobworker.worker import Worker


async def test_the_main_thread_s_children_are_orphans_alone(worker: Worker) -> None:
    """The job's first process is another thread's, and what it has not left to itself is its own."""
    job = await worker.start(sh("sleep 1000 & (setsid sleep 1000 & echo $!); echo $$; wait"))
    orphan, first = map(int, await read_lines(worker, job.id, 2))
    (supervisor,) = children_of(os.getpid())
    listed = Path(f"/proc/{supervisor}/task/{supervisor}/children").read_text()  # noqa: ASYNC240 - procfs does not block
    assert listed.split() == [str(orphan)]
    assert sorted(children_of(supervisor)) == sorted([orphan, first])
    assert (await worker.stop(job.id)).killed_processes == 2


@pytest.mark.parametrize("error", ["ValueError", "SystemExit"])
def test_what_the_thread_raises_is_raised(error: str) -> None:
    """As if there were no other thread: a supervisor that fails says why, and its status tells it."""
    run_source(
        f"""
from jobworker.supervisor.second_thread import run_in_second_thread

def fail():
    raise {error}("why")

try:
    run_in_second_thread(fail)
except {error} as error:
    assert str(error) == "why"
else:
    raise AssertionError
        """
    )
