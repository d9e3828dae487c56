"""Looks at all there is when a campaign is over."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from jobworker_chaos.calls import Calls
from jobworker_chaos.comparison import StreamCheck, is_lost, run_problems
from jobworker_chaos.followers import Follower
from jobworker_chaos.world import leftovers
from jobworker_chaos.writer import STREAMS

if TYPE_CHECKING:
    from jobworker_chaos.figures import Figures
    from jobworker_chaos.life import Life
    from jobworker_chaos.world import ChaosDaemon, Setting

_AT_ONCE = 20


async def audit(setting: Setting, daemon: ChaosDaemon, lives: list[Life], figures: Figures) -> None:
    """Compares every job with its plan, deletes all jobs, ends the daemon, and notes what was lost or is left.

    Args:
        setting: What the daemon is.
        daemon: The daemon that has seen the last job end; it is killed once more, so that what is compared is on disk.
        lives: The jobs, all of which have ended.
        figures: Where all of it is noted.
    """
    problems = figures.problems
    figures.follows_resumed = sum(follower.resumes for life in lives for follower in life.followers)
    figures.bytes_followed = sum(follower.check.offset for life in lives for follower in life.followers)
    async with Calls(daemon.address, setting.certs) as calls:
        await calls.pass_by_the_supervisor()
        problems += daemon.strays()
        problems += leftovers([life.job_id for life in lives])
        await daemon.kill()
        await daemon.start()
        await _compare_jobs(calls, lives, problems)
        figures.bytes_read_again = await _read_again(calls, lives)
        await _ask_again(calls, lives, problems)
        await _delete_all(calls, lives, problems)
    problems += [problem for life in lives for problem in life.problems]
    problems += run_problems(lives[0].runs, [(life.plan, life.end) for life in lives if life.end is not None])
    problems += [f"{path.name} is left" for path in (daemon.state_dir / "logs").iterdir()]
    figures.jobs_compared = sum(life.end is not None for life in lives)
    figures.jobs_lost = sum(life.end is not None and is_lost(life.end) for life in lives)
    code = await daemon.stop()
    problems += [f"the daemon exited with {code}"] if code else []
    problems += daemon.problems()


async def _compare_jobs(calls: Calls, lives: list[Life], problems: list[str]) -> None:
    """Compares the list of all jobs with what was said of each when it ended."""
    listed = await calls.list()
    for life in lives:
        job = listed.pop(life.job_id, None)
        if job != life.end:
            problems.append(f"job {life.plan.number}: is said to be {job}, and had ended as {life.end}")
    problems += [f"nobody knows of {job}" for job in listed.values()]


async def _read_again(calls: Calls, lives: list[Life]) -> int:
    """Compares all streams from their first bytes, and returns how many bytes that were."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def read(life: Life) -> int:
        checks = [StreamCheck(life.plan, stream) for stream in STREAMS]
        async with places:
            for check in checks:
                await Follower(calls.stub(0), life.job_id, check).follow()
        life.judge(checks)
        return sum(check.offset for check in checks)

    return sum(await asyncio.gather(*map(read, lives)))


async def _ask_again(calls: Calls, lives: list[Life], problems: list[str]) -> None:
    """Asks for each start again: with the same request id it is the same job."""
    for life in lives:
        job = await calls.start(life.plan, life.runs)
        if job != life.end:
            problems.append(f"job {life.plan.number}: asked for again, it is {job}, and not {life.end}")


async def _delete_all(calls: Calls, lives: list[Life], problems: list[str]) -> None:
    for life in lives:
        await calls.delete(life.job_id)
    problems += [f"deleted, and still there: {job}" for job in (await calls.list()).values()]
