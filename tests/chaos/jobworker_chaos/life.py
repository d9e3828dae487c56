"""One job's life in a campaign: it is started, both its streams are followed, it is stopped if its plan says so."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, final

from jobworker_chaos.comparison import StreamCheck, is_lost, outcome_problems
from jobworker_chaos.followers import Follower
from jobworker_chaos.writer import STREAMS

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker.v1 import job_worker_pb2 as pb
    from jobworker_chaos.calls import Calls
    from jobworker_chaos.plan import JobPlan


@final
class Life:
    """One job.

    Attributes:
        plan: What it is to do.
        runs: The file that each run of it adds its number to.
        may_be_lost: Whether its supervisor may be killed.
        job_id: Its id; empty until its start was answered.
        end: The job as it was told to have ended; None until then.
        followers: Of its streams, since it was started.
        problems: What was wrong.
    """

    def __init__(self, plan: JobPlan, runs: Path, *, may_be_lost: bool) -> None:
        self.plan = plan
        self.runs = runs
        self.may_be_lost = may_be_lost
        self.job_id = ""
        self.end: pb.Job | None = None
        self.followers: list[Follower] = []
        self.problems: list[str] = []

    def __repr__(self) -> str:
        return f"<Life of job {self.plan.number} {self.job_id or 'not started'} {self.followers} {self.plan.outcome}>"

    async def live(self, calls: Calls) -> None:
        """Starts the job at its time, and returns when it has ended and all of its output has come.

        Raises:
            grpc.aio.AioRpcError: If a call fails in another way than by an outage.
        """
        await asyncio.sleep(self.plan.start_at)
        self.job_id = (await calls.start(self.plan, self.runs)).id
        number = self.plan.number * len(STREAMS)
        self.followers = [
            Follower(calls.stub(number + n), self.job_id, StreamCheck(self.plan, stream))
            for n, stream in enumerate(STREAMS)
        ]
        async with asyncio.TaskGroup() as tasks:
            following = [tasks.create_task(follower.follow()) for follower in self.followers]
            stopping = None if self.plan.grace_seconds is None else tasks.create_task(self._stop(calls))
        ends = [task.result() for task in following] + ([stopping.result()] if stopping else [])
        self._conclude(ends)

    async def _stop(self, calls: Calls) -> pb.Job:
        for follower in self.followers:
            await follower.wait_for(sum(map(len, self.plan.output(follower.check.stream))))
        return await calls.stop(self.plan, self.job_id)

    def _conclude(self, ends: list[pb.Job]) -> None:
        self.end = ends[0]
        if any(end != self.end for end in ends):
            self.problems.append(f"job {self.plan.number}: is told to have ended in several ways: {ends}")
        self.problems += outcome_problems(self.plan, self.end, may_be_lost=self.may_be_lost)
        self.judge([follower.check for follower in self.followers])

    def judge(self, checks: list[StreamCheck]) -> None:
        """Notes what is wrong with readings of the job's streams, in their order, that have come to their ends."""
        end = self.end
        if end is not None:
            for check, size in zip(checks, (end.stdout_bytes, end.stderr_bytes), strict=True):
                check.end(size, is_whole=not is_lost(end))
                self.problems += [check.problem] if check.problem else []
