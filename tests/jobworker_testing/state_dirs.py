"""Daemons' state directories: a fresh one for each, and nothing that goes on when the directory is done with.

A supervisor outlives its daemon by design, and with it the jobs. So whoever kills a daemon has to end these.
"""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker_testing.processes import ProcessHandle, children_of, suspend

if TYPE_CHECKING:
    from collections.abc import Iterator


def supervisor_of(state_dir: Path) -> int | None:
    """Returns the process id of the supervisor that runs the jobs of a state directory; None if there is none."""
    try:
        pid = int((state_dir / "supervisor.lock").read_text() or "0")
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return None
    # The id may be another process's by now; a zombie has no command.
    return pid if b"jobworker/supervisor" in command else None


def kill_supervisor(state_dir: Path) -> None:
    """Kills the supervisor of a state directory, if there is one, and every process below it.

    It leaves what a supervisor would have cleared away, such as cgroups: better have a daemon end the jobs.
    """
    pid = supervisor_of(state_dir)
    if pid is None:
        return
    with suppress(ProcessLookupError), ProcessHandle(pid) as supervisor:
        # From here on it starts nothing, and reaps nothing, so that no id below it is recycled.
        suspend(pid)
        # Again, since the children of those that were killed are the supervisor's now.
        while any([_kill(child) for child in _below(pid)]):  # noqa: C419 - all of them, not up to the first
            pass
        os.kill(pid, signal.SIGKILL)
        supervisor.wait()


def _below(pid: int) -> Iterator[int]:
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in children_of(pid):
            yield from _below(child)
            yield child


def _kill(pid: int) -> bool:
    """Kills a process, waits for its end, and says whether it still lived."""
    with suppress(ProcessLookupError), ProcessHandle(pid) as process:
        if not process.has_exited():
            os.kill(pid, signal.SIGKILL)
            process.wait()
            return True
    return False
