"""What the supervisor knows of one job: its first process, and how far its end has come; no I/O."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING, final

from jobworker.supervisor.protocol import Exited

if TYPE_CHECKING:
    from typing import Literal


@final
class Leader:
    """A job's first process, which leads its session and process group, as long as the job's end is not reported.

    Attributes:
        job_id: The job.
        pid: The process id, which is the session's and the group's too.
        start_ticks: When it was started, in clock ticks since the host's start.
        cgroup: The path of the job's cgroup; empty if it has none, or none any more.
        logs: The paths of its output logs.
        asked: What a stop has sent so far: nothing, SIGTERM, or SIGKILL.
        deadline: When a stop's grace period is over, by the monotonic clock; None if there is none.
        status: What waitpid(2) said of the first process; None before it was reaped.
        killed: Whether all of the job was sent SIGKILL.
        left: The processes, beside the first, that were left then.
    """

    __slots__ = (
        "asked",
        "cgroup",
        "deadline",
        "job_id",
        "killed",
        "left",
        "logs",
        "pid",
        "start_ticks",
        "status",
    )

    def __init__(self, job_id: str, pid: int, start_ticks: int, cgroup: str, logs: tuple[str, str]) -> None:
        self.job_id = job_id
        self.pid = pid
        self.start_ticks = start_ticks
        self.cgroup = cgroup
        self.logs = logs
        self.asked: Literal[0, signal.Signals.SIGTERM, signal.Signals.SIGKILL] = 0
        self.deadline: float | None = None
        self.status: int | None = None
        self.killed = False
        # A set of its own only for those that leave something behind.
        self.left: frozenset[int] = frozenset()

    def __repr__(self) -> str:
        return f"<Leader {self.job_id} pid={self.pid} status={self.status} killed={self.killed}>"

    def exited(self, log_bytes: tuple[int, int], time_ns: int) -> Exited:
        """Returns how the job ended, whose first process was reaped.

        Args:
            log_bytes: How much it wrote to stdout and to stderr.
            time_ns: When nothing was left of it, on the host's clock.
        """
        code = os.waitstatus_to_exitcode(self.status or 0)
        return Exited(
            job_id=self.job_id,
            code=code if code >= 0 else None,
            signal=None if code >= 0 else -code,
            by_stop=self.ended_by_stop(code),
            killed=len(self.left),
            stdout_bytes=log_bytes[0],
            stderr_bytes=log_bytes[1],
            time_ns=time_ns,
        )

    def ended_by_stop(self, code: int) -> bool:
        """Returns whether a stop ended the first process.

        Args:
            code: Its exit code, or the negative number of the signal that ended it.
        """
        # After SIGTERM every end is an answer to it; SIGKILL asks for no answer, so an exit came before it.
        return self.asked == signal.SIGTERM or (self.asked == signal.SIGKILL and code == -signal.SIGKILL)
