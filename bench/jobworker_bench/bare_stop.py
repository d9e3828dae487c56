"""How long the kernel takes to kill a tree of processes and let it be waited for, in a cgroup as a job's is.

Run as a program, `python bare_stop.py PROCESSES TIMES`, it makes the tree, kills it, and waits for all of it, again
and again, and prints the seconds each time. So it is the tree's reaper, as the supervisor is a job's.
"""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker.supervisor import cgroups

if TYPE_CHECKING:
    from collections.abc import Iterator

_PR_SET_CHILD_SUBREAPER = 36  # linux/prctl.h


def tree(processes: int) -> list[str]:
    """Returns the command that makes a tree of so many processes, writes a line once they are there, and waits."""
    script = f"for i in $(seq {processes - 1}); do sleep 600 & done; echo there; wait" if processes > 1 else ONE
    return ["sh", "-c", script]


ONE = "echo there; exec sleep 600"
"""The script whose process stays the only one."""


def manner() -> str:
    """Returns how a tree is killed here: as the daemon kills a job's."""
    root, _ = cgroups.usable_root("auto")
    return "cgroup.kill" if root else "killpg"


@contextmanager
def _cgroup() -> Iterator[str]:
    """Makes a cgroup where the daemon makes those of its jobs; gives "" where it would do without."""
    root, _ = cgroups.usable_root("auto")
    path = f"{root}/{cgroups.PREFIX}bench-{os.getpid()}" if root else ""
    if path:
        Path(path).mkdir()
    try:
        yield path
    finally:
        cgroups.remove(path)


def kill_seconds(processes: int) -> float:
    """Returns how long it takes from the kill until every process of a tree has been waited for."""
    with _cgroup() as path:
        # Through a shell that waits: not before it is in the cgroup may the tree begin.
        enter = f"echo $$ > {path}/cgroup.procs; " if path else ""
        command = ["sh", "-c", f'{enter}exec "$@"', "sh", *tree(processes)]
        leader = subprocess.Popen(command, stdout=subprocess.PIPE, start_new_session=True)
        if leader.stdout is None or not leader.stdout.readline():
            raise RuntimeError(f"{command} did not begin")
        leader.stdout.close()
        began = time.perf_counter()
        if path:
            cgroups.kill(path)
        else:
            os.killpg(leader.pid, signal.SIGKILL)
        leader.wait()
        with suppress(ChildProcessError):
            while True:
                os.waitpid(-1, 0)
        return time.perf_counter() - began


def bare_stop(processes: int, times: int) -> list[float]:
    """Returns what this program says, run as one of its own.

    Args:
        processes: In the tree.
        times: How often.
    """
    command = [sys.executable, "-P", str(Path(__file__).absolute()), str(processes), str(times)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, text=True)
    return [float(line) for line in done.stdout.split()]


if __name__ == "__main__":
    if ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0):
        raise OSError(ctypes.get_errno(), "PR_SET_CHILD_SUBREAPER")
    for _ in range(int(sys.argv[2])):
        print(kill_seconds(int(sys.argv[1])))
