"""Children that have exited are found, all of them, however many others run."""

from __future__ import annotations

import asyncio
import os
import subprocess
import time
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor import zombies
from jobworker.supervisor.leader import Leader
from jobworker.supervisor.zombies import MANY, Zombies
from jobworker.worker import Exited, Worker
from process_support import alive, handles
from worker_support import leaves_nothing, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from worker_support import Gate

BOTH_MODES = True

LEADER = Leader("job", 1, 1, "", ("out", "err"))


class Clock:
    """A clock that only the test moves, in place of the system's."""

    def __init__(self) -> None:
        """Begins somewhere."""
        self.now = 1000.0

    def __call__(self) -> float:
        """Returns the time in seconds."""
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """Has two children be many, of whose first processes the newest alone is likely to have exited."""
    made = Clock()
    monkeypatch.setattr(time, "monotonic", made)
    monkeypatch.setattr(zombies, "MANY", 2)
    monkeypatch.setattr(zombies, "NEWEST", 1)
    return made


@pytest.fixture
def going_on() -> Iterator[int]:
    """A child that has not exited."""
    with subprocess.Popen(["sleep", "1000"]) as child:
        yield child.pid
        child.kill()


def exited() -> int:
    """Returns a child that has exited and has not been reaped."""
    pid = os.posix_spawn("/bin/true", ["true"], {})
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)
    return pid


def found(by: Zombies, running: Iterable[int], *orphans: int, is_first: bool = True) -> set[int]:
    """Reaps what is found, and returns it."""
    pids = set()
    for pid in by.found(dict.fromkeys(running, LEADER), lambda: orphans, is_first=is_first):
        os.waitpid(pid, 0)
        pids.add(pid)
    return pids


def test_all_are_found_if_few_run() -> None:
    """First processes and orphans, and there is nothing left to look for."""
    looked, pids = Zombies(), [exited() for _ in range(3)]
    assert found(looked, pids[:2], pids[2]) == set(pids)
    assert (looked.timeout(), looked.is_due()) == (None, False)


@pytest.mark.usefixtures("clock")
def test_all_are_found_if_none_is_likely(going_on: int) -> None:
    """What there was a signal for is then one of the others."""
    looked, old = Zombies(), [exited() for _ in range(3)]
    assert found(looked, [*old, going_on]) == set(old)
    assert looked.timeout() is None


def test_what_is_likely_is_found_and_the_others_soon(clock: Clock, going_on: int) -> None:
    """However often likely ones are found meanwhile: the time for the others does not move."""
    looked, old = Zombies(), exited()
    for _ in range(3):
        newest, orphan = exited(), exited()
        assert found(looked, [old, newest], going_on, orphan) == {newest, orphan}
        assert not looked.is_due()
        clock.now += 0.003
    assert 0 < (looked.timeout() or 0) <= 0.001
    assert found(looked, [old, going_on]) == set()
    clock.now += 0.002
    assert looked.is_due()
    assert found(looked, [old, going_on]) == {old}
    assert looked.timeout() is None


def test_one_that_was_found_before_counts(clock: Clock, going_on: int) -> None:
    """The signal was that one's, so there is no hurry either."""
    looked, old = Zombies(), exited()
    assert found(looked, [old, going_on], is_first=False) == set()
    clock.now += 1
    assert found(looked, [old, going_on]) == {old}


async def test_none_is_missed_among_many_jobs(cgroup_root: str, gate: Gate) -> None:
    """Jobs that end all at once beside more than a thousand others, and a tree of one that is stopped meanwhile."""
    async with leaves_nothing(), Worker(cgroup_root=cgroup_root) as worker:
        waiting = [await worker.start(sh(f"read -r _ < {gate.path}; exit 7")) for _ in range(50)]
        tree = await worker.start(sh("for i in $(seq 50); do sleep 1000 & echo $!; done; wait"))
        with handles(await read_lines(worker, tree.id, 50)) as family:
            await asyncio.gather(*(worker.start(["sleep", "1000"]) for _ in range(MANY)))
            for _ in waiting:
                gate.open()
            stopped = await worker.stop(tree.id)
            assert alive(family) == []
        assert stopped.killed_processes == 50
        ended = await asyncio.gather(*(worker.wait(job.id) for job in waiting))
        assert {job.outcome for job in ended} == {Exited(7)}
