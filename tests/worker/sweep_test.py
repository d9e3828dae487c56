"""What a dead supervisor left behind is found and killed, and nothing else is: seen from who is not its parent."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import uuid
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import pytest

from jobworker.supervisor.proc import status
from jobworker.supervisor.spawn import JOB_ID_VARIABLE, MARK_DIGITS, MARK_LIMIT
from jobworker.supervisor.sweep import Leftover, kill_leftovers
from jobworker_testing import ProcessHandle
from process_support import alive, cgroup_for_tests, run_source
from worker_support import python

if TYPE_CHECKING:
    from collections.abc import Iterator

# Makes a process that outlives it, says its id, and ends. The process runs the source given first.
DETACHED = """
import os, resource, sys
if os.fork():
    os._exit(0)
exec(sys.argv[2])
os.execve(sys.executable, [sys.executable, "-ISc", "import os, sys\\n" + sys.argv[1], *sys.argv[3:]], environment)
"""
SLEEP = "os.write(1, b'%d\\n' % os.getpid())\nimport signal\nsignal.pause()"
PLAIN = "environment = {}"


def job_id() -> str:
    """Returns the id of a new job."""
    return str(uuid.uuid4())


def by_environment(job: str) -> str:
    """Returns source that marks a process as a job's by its environment."""
    return f"environment = {{{JOB_ID_VARIABLE!r}: {job!r}}}"


def by_limit(job: str) -> str:
    """Returns source that marks a process as a job's by its limit."""
    number = int(job.replace("-", "")[:MARK_DIGITS], 16)
    return f"environment = {{}}\nresource.setrlimit({MARK_LIMIT}, ({number}, -1))"


MARKS = {"environment": by_environment, "limit": by_limit}


@pytest.fixture
def stack() -> Iterator[ExitStack]:
    """What ends with the test: the processes that it has made."""
    with ExitStack() as made:
        yield made


def said_by_detached(stack: ExitStack, mark: str, source: str, *arguments: str) -> IO[bytes]:
    """Makes a process that is not this one's child, and returns its stdout."""
    command = python(DETACHED, source, mark, *arguments)
    made = stack.enter_context(subprocess.Popen(command, stdout=subprocess.PIPE))
    assert made.stdout
    return made.stdout


def detached(stack: ExitStack, mark: str, source: str = SLEEP, *arguments: str, count: int = 1) -> list[ProcessHandle]:
    """Makes a process that is not this one's child, and returns the processes whose ids it says."""
    with said_by_detached(stack, mark, source, *arguments) as said:
        found = [stack.enter_context(ProcessHandle(int(said.readline()))) for _ in range(count)]
    for process in found:
        stack.callback(end, process)
    return found


def end(process: ProcessHandle) -> None:
    """Kills a process that is left after its test."""
    if not process.has_exited():
        os.kill(process.pid, signal.SIGKILL)
        process.wait()


@pytest.mark.parametrize("mark", MARKS)
def test_what_carries_a_job_s_mark_is_killed(stack: ExitStack, mark: str) -> None:
    """And nothing that carries another's, or none."""
    ours, other = job_id(), job_id()
    left = detached(stack, MARKS[mark](ours)) + detached(stack, MARKS[mark](ours))
    kept = detached(stack, MARKS[mark](other)) + detached(stack, PLAIN)
    assert kill_leftovers([Leftover(ours)]) == {ours: 2}
    assert alive(left) == []
    assert len(alive(kept)) == 2
    assert kill_leftovers([Leftover(ours), Leftover(other)]) == {other: 1}


def test_what_writes_a_job_s_output_is_killed(stack: ExitStack, tmp_path: Path) -> None:
    """Though it carries no other mark; who merely reads it is not the job's."""
    ours = job_id()
    log = tmp_path / f"{ours}.stdout"
    source = "os.dup2(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT), 2)\n" + SLEEP
    (left,) = detached(stack, PLAIN, source, str(log))
    with log.open() as reading, subprocess.Popen(["sleep", "1000"], stdin=reading) as reader:
        assert kill_leftovers([Leftover(ours)]) == {ours: 1}
        assert reader.poll() is None
        reader.kill()
    assert left.has_exited()


def test_a_job_s_first_process_is_killed_and_not_counted(stack: ExitStack) -> None:
    """By its id and the time of its start, with its session and with all that descends from either."""
    ours = job_id()
    family = """
import signal
os.setsid()
os.write(1, b"%d\\n" % os.getpid())
for leave in (os.getpid, os.setsid):
    if os.fork() == 0:
        leave()
        if os.fork() == 0:
            os.write(1, b"%d\\n" % os.getpid())
        signal.pause()
signal.pause()
"""
    first, *others = detached(stack, PLAIN, family, count=3)
    seen = status(first.pid)
    assert seen is not None
    # The other two, which say nothing, are found all the same.
    assert kill_leftovers([Leftover(ours, first.pid, seen.start_ticks)]) == {ours: 4}
    assert alive([first, *others]) == []


@pytest.mark.parametrize("shift", [-1, 1, 100])
def test_a_recycled_id_is_nobody_s(stack: ExitStack, shift: int) -> None:
    """A process of the first one's id that was started at another time is another one, and lives on."""
    ours = job_id()
    (innocent,) = detached(stack, PLAIN, "os.setsid()\n" + SLEEP)
    seen = status(innocent.pid)
    assert seen is not None
    assert kill_leftovers([Leftover(ours, innocent.pid, seen.start_ticks + shift)]) == {}
    assert alive([innocent]) == [innocent.pid]


def test_jobs_of_which_nothing_is_known_or_left() -> None:
    """There is nothing to kill, and nothing is."""
    assert kill_leftovers([]) == {}
    assert kill_leftovers([Leftover(job_id()), Leftover(job_id(), 0, 0), Leftover(job_id(), cgroup="/no/such")]) == {}


def test_zombies_are_not_waited_for(stack: ExitStack) -> None:
    """Somebody else has to reap them; they were not killed here."""
    ours = job_id()
    environment = {JOB_ID_VARIABLE: ours, "PATH": os.defpath}
    with subprocess.Popen(["sleep", "1000"], env=environment) as killed, subprocess.Popen(["true"]) as ended:
        os.waitid(os.P_PID, ended.pid, os.WEXITED | os.WNOWAIT)
        seen = status(ended.pid)
        assert seen is not None
        assert not seen.is_alive
        assert kill_leftovers([Leftover(ours, ended.pid, seen.start_ticks)]) == {ours: 1}
        assert killed.wait() == -signal.SIGKILL
    del stack


@pytest.mark.parametrize("leave", ["os.getpid", "os.setsid"])
def test_what_is_made_meanwhile_is_killed_too(stack: ExitStack, leave: str) -> None:
    """A process that makes others as fast as it can, until it is killed: when that is over, none of them is left."""
    ours = job_id()
    source = (
        "import signal\n"
        "for count in range(3_000):\n"
        f" if os.fork() == 0: {leave}(); signal.pause()\n"
        " if count == 10: os.write(1, b'go on\\n')\n"
        "signal.pause()"
    )
    with said_by_detached(stack, by_limit(ours), source) as said:
        said.readline()
        assert kill_leftovers([Leftover(ours)])[ours] >= 10
        assert kill_leftovers([Leftover(ours)]) == {}
        # Whoever is left would hold this open.
        assert said.read() == b""


def test_a_first_thread_that_has_ended_hides_nothing(stack: ExitStack) -> None:
    """In a cgroup too, whose cgroup.kill passes it by."""
    number = 60 if os.uname().machine == "x86_64" else 93
    source = f"""
import ctypes, threading
if sys.argv[1:]:
    open(sys.argv[1] + "/cgroup.procs", "w").write("0")
threading.Thread(target=ctypes.CDLL(None).pause).start()
os.write(1, b"%d\\n" % os.getpid())
ctypes.CDLL(None).syscall({number}, 0)
"""
    ours = job_id()
    (left,) = detached(stack, by_limit(ours), source)
    assert kill_leftovers([Leftover(ours)]) == {ours: 1}
    assert left.has_exited()
    with job_cgroup(ours) as cgroup:
        (left,) = detached(stack, PLAIN, source, cgroup)
        assert kill_leftovers([Leftover(ours, cgroup=cgroup)]) == {ours: 1}
        assert left.has_exited()


@contextmanager
def job_cgroup(job: str) -> Iterator[str]:
    """Makes a job's cgroup, which the sweep is to remove."""
    with cgroup_for_tests() as root:
        path = Path(root, f"jobworker-{job}")
        path.mkdir()
        yield str(path)


def test_a_cgroup_is_emptied_and_removed(stack: ExitStack) -> None:
    """With those below it; what is in there need carry nothing, and each is counted once."""
    ours = job_id()
    with job_cgroup(ours) as cgroup:
        inner = Path(cgroup, "inner")
        inner.mkdir()
        enter = "open(sys.argv[1] + '/cgroup.procs', 'w').write('0')\nos.setsid()\n" + SLEEP
        left = detached(stack, PLAIN, enter, cgroup) + detached(stack, by_environment(ours), enter, str(inner))
        left += detached(stack, by_environment(ours))
        seen = status(left[0].pid)
        assert seen is not None
        assert kill_leftovers([Leftover(ours, left[0].pid, seen.start_ticks, cgroup)]) == {ours: 2}
        assert alive(left) == []
        assert not Path(cgroup).exists()


def test_many_descriptors_are_no_hindrance() -> None:
    """Those of a busy daemon have numbers that select(2) can't take."""
    if resource.getrlimit(resource.RLIMIT_NOFILE)[1] < 1200:
        pytest.skip("no more than a thousand descriptors here")
    run_source(
        """
import os, resource, subprocess, uuid
from jobworker.supervisor.sweep import Leftover, kill_leftovers
resource.setrlimit(resource.RLIMIT_NOFILE, (1200, resource.getrlimit(resource.RLIMIT_NOFILE)[1]))
for _ in range(1100):
    os.dup(0)
ours = str(uuid.uuid4())
with subprocess.Popen(["sleep", "1000"], env={**os.environ, "JOBWORKER_JOB_ID": ours}) as left:
    assert kill_leftovers([Leftover(ours)]) == {ours: 1}
        """
    )


def test_out_of_descriptors_it_does_not_take_anything_for_gone() -> None:
    """That it could not look is an error; once it can, it finds what is there."""
    run_source(
        """
import errno, os, resource, subprocess, uuid
from jobworker.supervisor.sweep import Leftover, kill_leftovers
ours = str(uuid.uuid4())
old = resource.getrlimit(resource.RLIMIT_NOFILE)
with subprocess.Popen(["sleep", "1000"], env={**os.environ, "JOBWORKER_JOB_ID": ours}) as left:
    for limit in (3, 4):
        resource.setrlimit(resource.RLIMIT_NOFILE, (limit, old[1]))
        try:
            raise AssertionError(kill_leftovers([Leftover(ours)]))
        except OSError as error:
            assert error.errno == errno.EMFILE, error
    resource.setrlimit(resource.RLIMIT_NOFILE, old)
    assert kill_leftovers([Leftover(ours)]) == {ours: 1}
        """
    )
