"""What the tests of killing share: both ways to keep a job together, and jobs whose processes try to get away."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

from jobworker.supervisor.spawn import MARK_LIMIT
from jobworker_testing import ProcessHandle
from worker_support import library_environment, python

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

# Goes on in a child once its parent has exited, so that only the child is there to be counted.
_LEAVE_PARENT = "parent = os.pidfd_open(os.getpid())\nif os.fork(): os._exit(0)\nselect.select([parent], [], [])"

LEAVING = {
    "child": "",
    "setsid": "os.setsid()",
    "setpgid": "os.setpgid(0, 0)",
    "daemon": f"os.setsid()\n{_LEAVE_PARENT}\nos.chdir('/')",
    "orphan": _LEAVE_PARENT,
    "deaf": "os.setsid()\nfor number in (*range(1, 9), *range(10, 17)): signal.signal(number, signal.SIG_IGN)",
    "silent": "os.setsid()\nos.closerange(0, 3)",
    "nameless": "os.setsid()\nenvironment = {}",
    "ghost": f"os.setsid()\n{_LEAVE_PARENT}\nos.chdir('/')\nos.closerange(0, 3)\nenvironment = {{}}",
}
"""How a job's process leaves, by name: what it does before it becomes `sleep`. A ghost takes along all that it can."""

_UNMARK = f"import resource\nresource.setrlimit({MARK_LIMIT}, (-1, -1))\nenvironment = {{}}\n"
HIDING = {"renegade": _UNMARK + LEAVING["ghost"], "renegade child": _UNMARK + LEAVING["silent"]}
"""How it leaves that takes the trouble to remove the last mark, too."""

# Makes a process that leaves in each of the given ways, and says their ids once they all have left.
_LEAVER = """
import os, select, signal, sys
for way in sys.argv[1:]:
    environment = dict(os.environ)
    reading, writing = os.pipe()
    if os.fork() == 0:
        os.close(reading)
        exec(way)
        os.write(writing, b"%d" % os.getpid())
        # Closes the pipe, so that what the parent reads then ends.
        os.execve("/bin/sleep", ["sleep", "1000"], environment)
    os.close(writing)
    with open(reading, "rb") as left:
        os.write(1, left.read() + b"\\n")
"""


def leaver(ways: Iterable[str], then: str) -> list[str]:
    """Returns a job that makes a process for each of some ways to leave, and says their ids, a line each.

    Args:
        ways: Of `LEAVING` and `HIDING`.
        then: What it does after that.
    """
    return python(f"{_LEAVER}\n{then}", *((LEAVING | HIDING)[way] for way in ways))


def waiting_at(path: str) -> str:
    """Returns source that waits at a gate."""
    return f"open({path!r}).readline()"


FOREVER = "signal.pause()"
"""Source that waits for a signal."""


@contextmanager
def handles(pids: Iterable[int | str]) -> Iterator[list[ProcessHandle]]:
    """Holds on to processes that live, so that their end is seen whoever gets their ids next."""
    with ExitStack() as stack:
        yield [stack.enter_context(ProcessHandle(int(pid))) for pid in pids]


def alive(processes: Iterable[ProcessHandle]) -> list[int]:
    """Returns which of some processes have not exited."""
    return [process.pid for process in processes if not process.has_exited()]


@cache
def own_root() -> tuple[str, str]:
    """Returns the cgroup in which those of jobs can be made here; or "" and why there is none."""
    source = "import json; from jobworker.supervisor.cgroups import usable_root; print(json.dumps(usable_root('auto')))"
    # In a process of its own, which has but one thread.
    done = subprocess.run(
        [sys.executable, "-c", source], env=library_environment(), capture_output=True, text=True, check=True
    )
    path, problem = json.loads(done.stdout)
    return path, problem


@contextmanager
def cgroup_for_tests() -> Iterator[str]:
    """Makes a cgroup to make others in, and removes it: which fails if any is left in it.

    Skips the test where the host does not grant it.
    """
    import pytest  # noqa: PLC0415 - what is run in a process of its own imports this file too, without pytest

    root, problem = own_root()
    if not root:
        pytest.skip(f"no cgroup for each job: {problem}")
    path = Path(root, f"tests-{os.getpid()}")
    path.mkdir()
    try:
        yield str(path)
    finally:
        path.rmdir()


# A supervisor that the source after it is the worker of, step by step, in one process. Every signal that it sends is
# checked: it goes to an unreaped child, or to a group that an unreaped child of it pins.
_WATCHED = """
import atexit, os, signal, socket, sys, uuid
from jobworker.supervisor.main import Supervisor, _become_subreaper
from jobworker.supervisor.proc import children
from jobworker.supervisor.protocol import *

sent = []

def pins(child, group):
    if os.getpgid(child) != group:
        return False
    return child == group or os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None

def watch(event, arguments):
    if event == "os.kill" and arguments[1] != 0:
        target, mine = arguments[0], children(os.getpid())
        assert target in mine if target > 0 else any(pins(child, -target) for child in mine), arguments
        sent.append(arguments)

sys.addaudithook(watch)
_become_subreaper()
ours, theirs = socket.socketpair()
ours.settimeout(0)
supervisor = Supervisor(theirs, None, None)
told, unread = [], b""
atexit.register(supervisor._jobs.kill_strays)  # of a test that fails

def ask(*requests):
    ours.sendall(b"".join(map(encode, requests)))

def turn():
    global unread
    supervisor._turn()
    try:
        unread += ours.recv(1 << 20)
    except BlockingIOError:
        pass
    *lines, unread = unread.split(b"\\n")
    told.extend(map(decode_event, lines))

def until(kind, job_id):
    while not (found := [event for event in told if isinstance(event, kind) and event.job_id == job_id]):
        turn()
    return found[0]

def start(*command, job_id=None):
    job_id = job_id or str(uuid.uuid4())
    log = f"{sys.argv[1]}/{job_id}"
    ask(Start(job_id, list(command), log + ".stdout", log + ".stderr"))
    return until(Started, job_id)

def lines(job_id, count):
    "Returns a job's first lines, however long it takes: the job's processes go on by themselves."
    with open(f"{sys.argv[1]}/{job_id}.stdout") as log:
        text = ""
        while text.count("\\n") < count:
            text += log.read()
    return text.split("\\n")[:count]

def exits(pid):
    "Returns when a child has exited; it stays a zombie."
    os.waitid(os.P_PID, pid, os.WEXITED | os.WNOWAIT)

def claim(pid):
    "Has the next process get an id that is free: as the kernel does by itself once it has given out all others."
    with open("/proc/sys/kernel/ns_last_pid", "w") as last:
        last.write(str(pid - 1))

ask(Configure(dict(os.environ), os.getcwd(), sys.argv[2], 0))
"""


def run_watched(directory: Path, source: str, *, cgroup_root: str = "off", under: Sequence[str] = ()) -> None:
    """Runs source with a supervisor of its own, whose every signal is checked, in a process of its own.

    Raises:
        AssertionError: If it does not end well, or says anything.
    """
    run_source(_WATCHED + textwrap.dedent(source), str(directory), cgroup_root, under=under)


def cgroups_in(cgroup: Path) -> list[str]:
    """Returns the names of the cgroups in a cgroup."""
    return sorted(path.name for path in cgroup.iterdir() if path.is_dir())


def run_source(source: str, *arguments: str, under: Sequence[str] = ()) -> None:
    """Runs Python source with the library in a process of its own, which must end well and say nothing.

    Raises:
        AssertionError: If it doesn't.
    """
    command = [*under, sys.executable, "-c", textwrap.dedent(source), *arguments]
    done = subprocess.run(
        command, env=library_environment(), capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    assert (done.stdout + done.stderr, done.returncode) == ("", 0)
