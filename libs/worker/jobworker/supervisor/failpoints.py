"""Named steps at which a crash would hurt most; the tests crash through each of them.

A step costs a comparison of strings as long as no failpoint is armed, and nothing can arm one but this process's
starter.
"""

from __future__ import annotations

import os
import signal

VARIABLE = "JOBWORKER_FAILPOINT"
"""Names the one step to crash at, to the worker and, by it, to its supervisor."""

# The worker's steps, in the order in which a job comes to them.
STORED = "start-stored"
"""The start is in the job store; the supervisor has not been asked."""
ASKED = "start-asked"
"""The supervisor has been asked for the start, and may not know it yet."""
TOLD_STARTED = "started-received"
"""The supervisor has said that the job runs; the job store does not know."""
TOLD_EXITED = "exit-received"
"""The supervisor has said that the job has ended; the job store does not know."""
KEPT = "exit-stored"
"""The job store knows the end; the supervisor has not been told so."""
BURIED = "buried"
"""The job store knows the end of a dead supervisor's job; its record is there still."""

# The supervisor's.
RECORDED = "spawn-recorded"
"""The record of the job is begun, its cgroup is there; the process is not."""
SPAWNED = "spawned"
"""The process is there; the record does not name it."""
REPORTED = "spawn-reported"
"""The record names the process; the worker has not been told."""
EXITED = "exited"
"""All processes of the job are gone; the record does not say so."""
EXIT_RECORDED = "exit-recorded"
"""The record says how the job ended; the worker has not been told."""

WORKER_STEPS = (STORED, ASKED, TOLD_STARTED, TOLD_EXITED, KEPT, BURIED)
SUPERVISOR_STEPS = (RECORDED, SPAWNED, REPORTED, EXITED, EXIT_RECORDED)

_armed = ""


def arm(step: str) -> None:
    """Lets this process crash at a step: it kills itself with SIGKILL when it reaches it."""
    global _armed  # noqa: PLW0603 - one a process, as its name says
    _armed = step


def reach(step: str) -> None:
    """Says that a step is reached."""
    if step == _armed:
        os.kill(os.getpid(), signal.SIGKILL)
