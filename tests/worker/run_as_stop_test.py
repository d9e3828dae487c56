"""Jobs of another user end and are stopped as any: the tests of that, with workers whose jobs are nobody's.

Their signals cross users, their marks are read in another user's processes, and their cgroups are not theirs.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Inheritance, Worker
from killing_test import (
    test_a_stop_that_races_the_end_tells_the_truth,
    test_leftovers_end_with_the_first_process,
    test_stop_kills_children_and_grandchildren,
    test_stop_kills_suspended_processes,
    test_stop_kills_what_ignores_all_signals,
    test_stopping_a_finished_job_changes_nothing,
    test_stops_at_once_are_one,
)
from look_support import NOBODY, everybody_s_python, needs_root
from modes_test import (
    test_a_chain_of_processes_is_not_faster,
    test_a_clean_job_left_nothing,
    test_a_fork_bomb_is_stopped_while_it_forks,
    test_a_job_s_end_touches_no_other_job,
    test_a_job_s_own_end_ends_what_has_left,
    test_a_stop_ends_what_has_left,
    test_all_ways_at_once,
    test_grandchildren_outlive_their_parents_alone,
    test_processes_whose_first_thread_has_ended,
    test_suspended_processes_are_killed,
)
from worker_support import leaves_nothing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

__all__ = [
    "test_a_chain_of_processes_is_not_faster",
    "test_a_clean_job_left_nothing",
    "test_a_fork_bomb_is_stopped_while_it_forks",
    "test_a_job_s_end_touches_no_other_job",
    "test_a_job_s_own_end_ends_what_has_left",
    "test_a_stop_ends_what_has_left",
    "test_a_stop_that_races_the_end_tells_the_truth",
    "test_all_ways_at_once",
    "test_grandchildren_outlive_their_parents_alone",
    "test_leftovers_end_with_the_first_process",
    "test_processes_whose_first_thread_has_ended",
    "test_stop_kills_children_and_grandchildren",
    "test_stop_kills_suspended_processes",
    "test_stop_kills_what_ignores_all_signals",
    "test_stopping_a_finished_job_changes_nothing",
    "test_stops_at_once_are_one",
    "test_suspended_processes_are_killed",
]

BOTH_MODES = True


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A directory that everybody may enter, for gates that nobody's jobs wait at; pytest's own is root's alone."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
async def worker(cgroup_root: str, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Worker]:
    """An open worker whose jobs are nobody's."""
    needs_root()
    # What the jobs of these tests are run by.
    monkeypatch.setattr(sys, "executable", everybody_s_python())
    async with leaves_nothing(), Worker(cgroup_root=cgroup_root, inheritance=Inheritance("/", NOBODY)) as made:
        yield made
