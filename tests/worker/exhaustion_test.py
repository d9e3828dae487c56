"""When the host or a limit has no more of something, a clear error says what, and the worker recovers.

What binds a whole process, user or file system is tried in a process of its own, and skipped where that is not granted.
"""

from __future__ import annotations

import asyncio
import os
import resource
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from textwrap import indent
from typing import TYPE_CHECKING

import pytest

from jobworker.worker import Job, JobState, ResourceExhaustedError, Worker
from jobworker_testing import children_of, supervisor_of
from process_support import LEAVING, alive, cgroups_in, handles, leaver, waiting_at
from restart_support import records_of
from worker_support import footprint, granted, leaves_nothing, library_environment, read_lines

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from worker_support import Gate

BOTH_MODES = True

UNPRIVILEGED = 65534
PROLOGUE = """
import asyncio, os, resource, sys
from textwrap import dedent
from jobworker.worker import *
from jobworker_testing import children_of
from worker_support import contents, leaves_nothing, python, read_all, read_lines, read_now, sh

async def exhausts(awaitable):
    try:
        await awaitable
    except ResourceExhaustedError as error:
        return error.resource
    raise AssertionError("nothing ran out")

def limit(kind, soft, pid=0):
    resource.prlimit(pid, kind, (soft, resource.prlimit(pid, kind)[1]))

async def lives(worker):
    assert (await worker.wait((await worker.start(["true"])).id)).exit_code == 0
"""


def run(source: str, *arguments: str, under: Sequence[str] = ()) -> None:
    """Runs the body of an async function in a process of its own, which must end well and say nothing.

    Args:
        source: The body.
        arguments: What it finds in `sys.argv[1:]`.
        under: A command that runs the process in an environment of its own.
    """
    program = f"{PROLOGUE}\nasync def main():\n{indent(source, '    ')}\n\nasyncio.run(main())"
    command = [*under, sys.executable, "-c", program, *arguments]
    ended = subprocess.run(command, env=library_environment(), capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout + ended.stderr == ""


def as_another_user() -> tuple[str, ...]:
    """Returns a command that runs others as a user whom limits bind, who may read what this one may."""
    if os.geteuid() != 0:
        return ()
    user = f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"
    capabilities = "--inh-caps=-all,+dac_override", "--ambient-caps=-all,+dac_override"
    return granted("setpriv", *user, *capabilities)


# No more than a supervisor has open, and no fewer than it has to poll, which poll(2) refuses.
NONE_LEFT = 8


@contextmanager
def out_of_descriptors(pid: int, limit: int = NONE_LEFT) -> Iterator[None]:
    """Lets a process have no more descriptors than so many."""
    old = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (limit, old[1]))
    try:
        yield
    finally:
        resource.prlimit(pid, resource.RLIMIT_NOFILE, old)


async def test_a_supervisor_out_of_descriptors_refuses_and_recovers(tmp_path: Path, cgroup_root: str) -> None:
    """Whichever of a start's descriptors is the one too many, nothing is left of the attempt."""
    state = tmp_path / "state"
    async with leaves_nothing(), Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
        supervisor = supervisor_of(state)
        assert supervisor is not None
        before, refusals = footprint(), list[str]()
        for limit in range(NONE_LEFT, 64):
            with out_of_descriptors(supervisor, limit):
                (result,) = await asyncio.gather(worker.start(["true"]), return_exceptions=True)
                if not isinstance(result, ResourceExhaustedError):
                    assert isinstance(result, Job)
                    assert (await worker.wait(result.id)).exit_code == 0
                    break
            refusals.append(result.resource)
            assert list((state / "logs").iterdir()) == []
            assert records_of(state) == []
            assert cgroup_root == "off" or cgroups_in(Path(cgroup_root)) == []
            assert footprint() == before
        assert refusals == ["file descriptors"] * max(2, len(refusals))


@pytest.mark.parametrize("end", ["by itself", "stop", "grace"])
async def test_a_job_that_ends_when_the_supervisor_is_out_of_descriptors(
    worker: Worker, gate: Gate, end: str, cgroup_root: str
) -> None:
    """It is not said to have ended before it could be looked what is left of it: that is killed then, as ever."""
    del cgroup_root
    (supervisor,) = children_of(os.getpid())
    job = await worker.start(leaver(LEAVING, f"print(os.getpid(), flush=True)\n{waiting_at(gate.path)}"))
    pids = await read_lines(worker, job.id, len(LEAVING) + 1)
    with handles(pids) as left:
        with out_of_descriptors(supervisor):
            if end == "by itself":
                gate.open()
                waiting = asyncio.ensure_future(worker.wait(job.id))
            else:
                waiting = asyncio.ensure_future(worker.stop(job.id, grace_period=10_000 if end == "grace" else 0))
            await asyncio.to_thread(left[-1].wait)
            # The second answer comes after what followed the first one.
            for _ in range(2):
                with pytest.raises(ResourceExhaustedError):
                    await worker.start(["true"])
            assert not waiting.done()
        ended = await waiting
        assert alive(left) == []
    assert ended.state is (JobState.SUCCEEDED if end == "by itself" else JobState.STOPPED)


def test_a_worker_out_of_descriptors_recovers() -> None:
    """Readers get a clear error; jobs start and end all the same, since their descriptors are the supervisor's."""
    run(
        """
async with leaves_nothing(), Worker() as worker:
    old = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, job.id)
    follower = contents(worker.read_logs(job.id, "stdout", follow=True))
    assert await anext(follower) == b"ready\\n"
    limit(resource.RLIMIT_NOFILE, 3)
    assert await exhausts(read_now(worker, job.id, "stderr")) == "file descriptors"
    assert await exhausts(read_all(worker, job.id, "stderr")) == "file descriptors"
    await lives(worker)
    assert (await worker.stop(job.id)).state is JobState.STOPPED
    assert [chunk async for chunk in follower] == []
    limit(resource.RLIMIT_NOFILE, old)
    assert await read_all(worker, job.id) == b"ready\\n"
"""
    )


def test_an_opening_out_of_descriptors_leaves_nothing() -> None:
    """At whichever step of it they run out; one more step gets one further, up to a worker that works."""
    run(
        """
async def opens(number):
    limit(resource.RLIMIT_NOFILE, number)
    try:
        async with Worker() as worker:
            limit(resource.RLIMIT_NOFILE, old)
            await lives(worker)
    except ResourceExhaustedError as error:
        assert "file descriptors" in error.resource, error
        return False
    finally:
        limit(resource.RLIMIT_NOFILE, old)
    return True

old = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
async with leaves_nothing():
    opened = [await opens(number) for number in range(6, 32)]
    assert opened == sorted(opened)
    assert opened[-1] and opened.count(False) > 4, opened
"""
    )


def test_a_worker_closes_though_it_is_out_of_descriptors() -> None:
    """Its end needs none that it hasn't got."""
    run(
        """
old = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
async with leaves_nothing():
    async with Worker() as worker:
        await worker.start(["sleep", "1000"])
        limit(resource.RLIMIT_NOFILE, 3)
    limit(resource.RLIMIT_NOFILE, old)
"""
    )


def test_out_of_processes_a_start_is_refused_and_the_worker_recovers() -> None:
    """The limit binds the supervisor's user, but for root."""
    run(
        """
async with leaves_nothing():
    async with Worker() as worker:
        (supervisor,) = children_of(os.getpid())
        old = resource.prlimit(supervisor, resource.RLIMIT_NPROC)[0]
        await lives(worker)
        limit(resource.RLIMIT_NPROC, 1, supervisor)
        assert await exhausts(worker.start(["true"])) == "processes"
        assert len((await worker.list()).jobs) == 1
        limit(resource.RLIMIT_NPROC, old, supervisor)
        await lives(worker)
    limit(resource.RLIMIT_NPROC, 1)
    assert await exhausts(Worker().__aenter__()) == "processes"
    limit(resource.RLIMIT_NPROC, old)
""",
        under=as_another_user(),
    )


def as_root_of_a_user_namespace() -> tuple[str, ...]:
    """Returns a command that runs others where they may lower limits that bind a user."""
    user_namespace = "unshare", "--user", "--map-root-user"
    granted(*user_namespace, "sh", "-c", "echo 8 > /proc/sys/user/max_inotify_watches")
    return user_namespace


def test_out_of_inotify_watches_a_follow_is_refused() -> None:
    """The error names the limit; all that needs no watch goes on, and follows do once it is raised."""
    run(
        """
def allow(what, count):
    with open(f"/proc/sys/user/max_inotify_{what}", "w") as file:
        file.write(str(count))

allow("instances", 0)
assert "inotify instances" in await exhausts(Worker().__aenter__())
allow("instances", 8)
async with leaves_nothing(), Worker() as worker:
    job = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, job.id)
    allow("watches", 0)
    assert await exhausts(read_all(worker, job.id)) == "inotify watches"
    assert await read_now(worker, job.id) == b"ready\\n"
    ended = await worker.stop(job.id)
    assert await read_all(worker, job.id) == b"ready\\n"
    allow("watches", 8)
    job = await worker.start(["echo", "again"])
    assert await read_all(worker, job.id) == b"again\\n"
""",
        under=as_root_of_a_user_namespace(),
    )


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    """Where a small file system is mounted."""
    directory = tmp_path / "disk"
    directory.mkdir()
    return directory


def on_a_small_disk(directory: Path, options: str) -> tuple[str, ...]:
    """Returns a command that runs others where a directory is a file system of its own."""
    mount = 'mount -t tmpfs -o "mode=700,$1" none "$2" && shift 2 && exec "$@"'
    user = () if os.geteuid() == 0 else ("--user", "--map-root-user")
    return granted("unshare", *user, "--mount", "sh", "-c", mount, "sh", options, str(directory))


def test_a_full_disk_is_the_writing_jobs_affair(disk: Path) -> None:
    """The job sees ENOSPC; other jobs, readers and starts go on, and writing does once there is room."""
    run(
        """
write = '''
import sys
try:
    while True:
        sys.stdout.buffer.raw.write(bytes(65536))
except OSError as error:
    sys.exit(error.errno)
'''
async with leaves_nothing(), Worker(state_dir=sys.argv[1], store=MemoryJobStore()) as worker:
    other = await worker.start(sh("echo ready; exec sleep 1000"))
    await read_lines(worker, other.id)
    full = await worker.wait((await worker.start(python(dedent(write)))).id)
    assert full.exit_code == 28, full
    assert 0 < full.stdout_bytes <= 1 << 20
    assert len(await read_all(worker, full.id)) == full.stdout_bytes
    assert await read_now(worker, other.id) == b"ready\\n"
    assert (await worker.get(other.id)).state is JobState.RUNNING
    await lives(worker)
    job = await worker.start(["echo", "hi"])
    assert (await worker.wait(job.id)).exit_code != 0
    os.truncate(f"{sys.argv[1]}/logs/{full.id}.stdout", 0)
    job = await worker.start(["echo", "hi"])
    assert await read_all(worker, job.id) == b"hi\\n"
""",
        str(disk),
        under=on_a_small_disk(disk, "size=1m"),
    )


def test_a_disk_without_room_for_a_log_refuses_starts(disk: Path) -> None:
    """Whether it is the first or the second log, nothing is left of the attempt; and the worker recovers."""
    run(
        """
async with leaves_nothing(), Worker(state_dir=sys.argv[1], store=MemoryJobStore()) as worker:
    logs = sys.argv[1] + "/logs"
    while True:
        before = sorted(os.listdir(logs))
        try:
            await lives(worker)
        except ResourceExhaustedError as error:
            assert error.resource == "disk space"
            assert sorted(os.listdir(logs)) == before
            break
    os.unlink(f"{logs}/{before[0]}")
    assert await exhausts(worker.start(["true"])) == "disk space"
    assert sorted(os.listdir(logs)) == before[1:]
    os.unlink(f"{logs}/{before[1]}")
    await lives(worker)
""",
        str(disk),
        under=on_a_small_disk(disk, "nr_inodes=16"),
    )


def test_a_disk_without_room_for_the_state_directory_is_said(disk: Path) -> None:
    """Before anything is started."""
    run(
        'assert await exhausts(Worker(state_dir=sys.argv[1] + "/a/b").__aenter__()) == "disk space"',
        str(disk),
        under=on_a_small_disk(disk, "nr_inodes=2"),
    )
