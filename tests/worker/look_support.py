"""What a job can see of what it inherits, said by the job itself; and processes that begin in odd ways."""

from __future__ import annotations

import json
import os
import shutil
import sys
from typing import TYPE_CHECKING, Any

from jobworker.worker import JobUser
from worker_support import sh

if TYPE_CHECKING:
    from collections.abc import Mapping

NOBODY = JobUser(65534, 65534, (65534,))
"""A user that every host has and that may do nothing, with a group."""

_LOOK = """
import ctypes, json, os, platform, resource, sys
seen = {"descriptors": {}}
for number in os.listdir("/proc/self/fd"):
    try:
        seen["descriptors"][number] = os.readlink("/proc/self/fd/" + number)
    except FileNotFoundError:
        pass  # that of this very listing
status = dict(line.split(":", 1) for line in sys.argv[1].splitlines())
# 32 and 33 belong to glibc: its posix_spawn leaves them ignored, and its programs see to them by themselves.
own = ~(1 << 31 | 1 << 32)
seen["signals"] = [int(status[name], 16) & own for name in ("SigBlk", "SigIgn")]
seen["capabilities"] = [int(status[name], 16) for name in ("CapInh", "CapAmb")]
seen["effective"] = int(status["CapEff"], 16)
seen["no_new_privileges"] = int(status["NoNewPrivs"])
seen["umask"] = int(status["Umask"], 8)
seen["ids"] = [os.getresuid(), os.getresgid(), sorted(os.getgroups())]
seen["oom"] = int(open("/proc/self/oom_score_adj").read())
seen["files"] = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
seen["directory"] = os.getcwd()
seen["leads"] = os.getpid() == os.getsid(0) == os.getpgid(0)
seen["terminal"] = open("/proc/self/stat").read().rpartition(")")[2].split()[4]
signal = ctypes.c_int()
ctypes.CDLL(None).prctl(2, ctypes.byref(signal), 0, 0, 0)
seen["death signal"] = signal.value
number = {"x86_64": 250}.get(platform.machine(), 219)
seen["keyring"] = ctypes.CDLL(None).syscall(number, 0, -3, 0)
seen["environment"] = dict(os.environ)
print(json.dumps(seen))
"""


def look(interpreter: str = sys.executable) -> list[str]:
    """Returns a job that says what it has inherited, as JSON."""
    # The status is that of a program which, unlike Python, leaves its signals as they are.
    return sh('exec "$@" "$(cat /proc/self/status)"', interpreter, "-ISc", _LOOK)


ORDINARY = {
    "signals": [0, 0],
    "capabilities": [0, 0],
    "umask": 0o022,
    "oom": 0,
    "leads": True,
    "terminal": "0",
    "death signal": 0,
}
"""What of it is the same in every job."""

ODD = """
import os, resource, signal, sys
os.umask(0)
for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGINT, signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR1, 40):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR2, 41})
for number, path in ((7, "/etc/passwd"), (11, "/"), (200, "/dev/zero")):
    os.dup2(os.open(path, os.O_RDONLY), number)
resource.setrlimit(resource.RLIMIT_NOFILE, (700, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
try:
    with open("/proc/self/oom_score_adj", "w") as file:
        file.write("-500")
except PermissionError:
    pass  # that takes a right that even root may not have
eval(sys.argv[1])
os.execvp(sys.argv[2], sys.argv[2:])
"""
"""Source that becomes another program in a process that has all that a job should not have; it runs source first."""

AMBIENT = ("setpriv", "--inh-caps=+net_bind_service", "--ambient-caps=+net_bind_service")
"""A command that runs others with a right that they would hand on to all that they execute."""


def odd(*under: str, before: str = "None") -> list[str]:
    """Returns a command that runs others as `ODD` says, and then under other commands."""
    return [sys.executable, "-ISc", ODD, before, *under]


def seen_in(output: str | bytes) -> dict[str, Any]:
    """Returns what a job that runs `look` has said."""
    found: dict[str, Any] = json.loads(output)
    return found


def check_ordinary(seen: Mapping[str, object], job_id: str, *, piped: bool = False) -> None:
    """Checks that a job has exactly the descriptors that it should have, and nothing of an odd process's.

    Args:
        seen: What it has said.
        job_id: The job.
        piped: Whether its output goes through pipes, since the file system can't punch holes.

    Raises:
        AssertionError: If it isn't so.
    """
    # In full: not all of these tests run under pytest, which would show the difference.
    assert {name: seen[name] for name in ORDINARY} == ORDINARY, seen
    descriptors = seen["descriptors"]
    assert isinstance(descriptors, dict)
    names = {number: target.rpartition("/")[2] for number, target in descriptors.items()}
    if piped:
        names = {number: name.partition(":")[0] for number, name in names.items()}
    logs = ("pipe", "pipe") if piped else (f"{job_id}.stdout", f"{job_id}.stderr")
    assert names == {"0": "null", "1": logs[0], "2": logs[1]}, seen


def everybody_s_python() -> str:
    """Returns a Python that any user may execute; skips the test where there is none."""
    found = shutil.which("python3", path="/usr/bin:/bin:/usr/local/bin")
    if found is None:
        import pytest  # noqa: PLC0415 - what is run in a process of its own imports this file too, without pytest

        pytest.skip("no Python here that is not this user's own")
    return found


def needs_root() -> None:
    """Skips the test for a user who can't become another one."""
    if os.geteuid() != 0:
        import pytest  # noqa: PLC0415 - see above

        pytest.skip("only root runs jobs as another user")
