"""Each job has a cgroup where that can be had: found, tried, joined before the program runs, and removed after it."""

# ruff: noqa: ASYNC220, PT012 - a process without a wait; what must fail is a whole `async with`

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.cgroups import directory_of, own_cgroup, remove_if_empty, unified_path, usable_root
from jobworker.worker import (
    CgroupError,
    JobState,
    ProgramNotFoundError,
    ResourceExhaustedError,
    SupervisorError,
    Worker,
)
from jobworker_testing import ProcessHandle, children_of
from process_support import FOREVER, alive, cgroup_for_tests, cgroups_in, handles, leaver, own_root, run_source
from worker_support import granted, leaves_nothing, library_environment, read_all, read_lines, sh

if TYPE_CHECKING:
    from collections.abc import Iterator

V2 = "41 31 0:38 / /sys/fs/cgroup rw,relatime shared:9 - cgroup2 cgroup2 rw,nsdelegate"
V1 = "37 31 0:34 / /sys/fs/cgroup/freezer rw,relatime shared:8 - cgroup cgroup rw,freezer"
UNIFIED = "41 31 0:38 / /sys/fs/cgroup/unified rw,relatime shared:9 - cgroup2 cgroup2 rw"
DISK = "22 1 254:0 / / rw - ext4 /dev/cgroup2 rw"
CONTAINER = "41 31 0:38 /docker/abc /sys/fs/cgroup ro - cgroup2 cgroup rw"


@pytest.fixture
def root() -> Iterator[Path]:
    """A cgroup to make those of jobs in."""
    with cgroup_for_tests() as path:
        yield Path(path)


@pytest.mark.parametrize(
    ("lines", "path"),
    [
        (["0::/user.slice/a b\n"], "/user.slice/a b"),
        (["4:memory:/x\n", "1:name=systemd:/y\n", "0::/\n"], "/"),
        (["4:memory:/x::y\n", "0::/a::b\n"], "/a::b"),
        (["4:memory:/x\n"], ""),
        ([], ""),
    ],
)
def test_a_process_s_place_is_found(lines: list[str], path: str) -> None:
    """In the one line of the v2 tree, whatever v1 trees there are."""
    assert unified_path(lines) == path


@pytest.mark.parametrize(
    ("cgroup", "lines", "directory"),
    [
        ("/", [V2], "/sys/fs/cgroup"),
        ("/a/b c", [DISK, V2], "/sys/fs/cgroup/a/b c"),
        ("/a", [V1, UNIFIED], "/sys/fs/cgroup/unified/a"),
        ("/a", ["41 31 0:38 / /cg rw - cgroup2 none rw"], "/cg/a"),
        ("/a", ["41 31 0:38 / /cg rw shared:1 master:2 propagate_from:3 unbindable - cgroup2 none rw"], "/cg/a"),
        ("/a", [r"41 31 0:38 / /with\040space\011\134x\012é rw - cgroup2 none rw"], "/with space\t\\x\né/a"),
        ("/a\\b", [r"41 31 0:38 /a\134b /cg rw - cgroup2 none rw"], "/cg"),
        ("/docker/abc", [CONTAINER], "/sys/fs/cgroup"),
        ("/docker/abc/x", [CONTAINER], "/sys/fs/cgroup/x"),
        ("/docker/abc/x", [CONTAINER, UNIFIED], "/sys/fs/cgroup/x"),
        ("/docker/abcd", [CONTAINER], ""),
        ("/docker/other", [CONTAINER, UNIFIED], "/sys/fs/cgroup/unified/docker/other"),
        ("/docker", [CONTAINER], ""),
        ("/", [CONTAINER], ""),
        ("/../other", [V2], ""),
        ("/../other", ["41 31 0:38 /.. /cg rw - cgroup2 none rw"], "/cg/other"),
        ("/a", [DISK, V1], ""),
        ("/a", [], ""),
        ("", [V2], ""),
    ],
)
def test_a_cgroup_s_directory_is_found(cgroup: str, lines: list[str], directory: str) -> None:
    """Below the mount that shows it, if one does."""
    assert directory_of(cgroup, [f"{line}\n" for line in lines]) == directory


def test_the_directory_of_this_process_lists_it(root: Path) -> None:
    """What is found on this host is the right one."""
    assert own_cgroup() == str(root.parent)
    assert str(os.getpid()) in (root.parent / "cgroup.procs").read_text().split()


def test_none_is_wanted() -> None:
    """That is no problem."""
    assert usable_root("off") == ("", "")


def test_a_cgroup_is_tried(root: Path) -> None:
    """By making one in it, with a process in it, of which nothing is left."""
    run_source(
        """
import sys
from jobworker.supervisor.cgroups import usable_root
assert usable_root(sys.argv[1]) == (sys.argv[1], "")
        """,
        str(root),
    )
    assert cgroups_in(root) == []


def test_only_an_empty_cgroup_is_removed(root: Path) -> None:
    """Neither one with a process nor one with cgroups in it; what has exited and is not reaped does not count."""
    (root / "one/below").mkdir(parents=True)
    below = str(root / "one/below")
    with subprocess.Popen(["sleep", "100"]) as process:
        (root / "one/below/cgroup.procs").write_text(str(process.pid))
        assert not remove_if_empty(below)
        process.send_signal(signal.SIGKILL)
        os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
        assert not remove_if_empty(str(root / "one"))
        assert remove_if_empty(below)
    assert remove_if_empty(str(root / "one"))
    assert not remove_if_empty(str(root / "one"))
    assert not remove_if_empty("")


@pytest.mark.parametrize(
    ("name", "problem"),
    [("missing", "No such file or directory"), ("file", "Not a directory"), ("directory", "is no cgroup v2 directory")],
)
def test_what_is_no_cgroup_is_refused(tmp_path: Path, name: str, problem: str) -> None:
    """The problem names it, says what is wrong, and leaves nothing there."""
    (tmp_path / "file").touch()
    (tmp_path / "directory").mkdir()
    path, said = usable_root(str(tmp_path / name))
    assert path == ""
    assert str(tmp_path / name) in said
    assert problem in said
    assert list((tmp_path / "directory").iterdir()) == []


def test_a_relative_path_is_refused() -> None:
    """It would mean another place to the supervisor than to whoever wrote it."""
    assert usable_root("jobs") == ("", "'jobs' is no absolute path")


def test_a_v1_tree_is_refused() -> None:
    """It has no cgroup.kill; nothing is left there."""
    trees = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines() if " - cgroup " in line]
    if not trees or os.geteuid() != 0:
        pytest.skip("there is no cgroup v1 tree to write to here")
    before = cgroups_in(Path(trees[0]))
    assert "there is no cgroup.kill" in usable_root(trees[0])[1]
    assert cgroups_in(Path(trees[0])) == before


def test_a_read_only_tree_is_refused(root: Path) -> None:
    """As a container's often is."""
    script = 'mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && shift && exec "$@"'
    under = granted("unshare", "--mount", "sh", "-c", script, "sh", str(root))
    run_source(
        """
import sys
from jobworker.supervisor.cgroups import usable_root
problem = f"no cgroup can be made in {sys.argv[1]}: Read-only file system"
assert usable_root(sys.argv[1]) == ("", problem), usable_root(sys.argv[1])
        """,
        str(root),
        under=under,
    )


def test_a_threaded_cgroup_is_refused(root: Path) -> None:
    """A process can't be in one alone."""
    threaded = root / "threaded"
    threaded.mkdir()
    try:
        (threaded / "cgroup.type").write_text("threaded")
        assert "no process can be made in a cgroup of" in usable_root(str(threaded))[1]
    finally:
        threaded.rmdir()


@pytest.mark.parametrize("name", ["missing", "directory"])
async def test_a_worker_does_not_open_with_a_bad_one(tmp_path: Path, name: str) -> None:
    """What was asked for in so many words is not silently done without."""
    (tmp_path / "directory").mkdir()
    async with leaves_nothing():
        with pytest.raises(CgroupError, match=str(tmp_path / name)):
            async with Worker(cgroup_root=str(tmp_path / name)):
                pass


async def test_a_worker_does_without_where_nobody_asked_for_it() -> None:
    """By itself it takes what there is, this process's own or none; and none if so told."""
    async with leaves_nothing():
        async with Worker() as worker:
            assert worker.cgroup_root == own_root()[0]
        async with Worker(cgroup_root="off") as worker:
            assert worker.cgroup_root == ""
            job = await worker.start(["cat", "/proc/self/cgroup"])
            assert "jobworker-" not in (await read_all(worker, job.id)).decode()


async def test_a_job_is_born_in_its_cgroup(root: Path) -> None:
    """The program and all that it makes never were anywhere else; and the name says whose it is."""
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        assert worker.cgroup_root == str(root)
        place = "sed -n s/^0:://p /proc/self/cgroup"
        job = await worker.start(sh(f"{place}; (setsid {place} &); sleep 1000"))
        places = await read_lines(worker, job.id, 2)
        assert cgroups_in(root) == [f"jobworker-{job.id}"]
        assert [Path(line).name for line in places] == [f"jobworker-{job.id}"] * 2
        await worker.stop(job.id)
        assert cgroups_in(root) == []


async def test_an_ended_job_s_cgroup_is_gone(root: Path) -> None:
    """When its end is known, however it ended."""
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        for script in ("exit 0", "kill -9 $$", "setsid sleep 1000 & exit 1"):
            await worker.wait((await worker.start(sh(script))).id)
            assert cgroups_in(root) == []


async def test_a_refused_start_leaves_no_cgroup(root: Path, tmp_path: Path) -> None:
    """Whether the program is missing, or no executable."""
    program = tmp_path / "program"
    program.write_text("#!/no/such/interpreter\n")
    program.chmod(0o700)
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        for command in ("no-such-program", "/no/such/program", str(program)):
            with pytest.raises(ProgramNotFoundError):
                await worker.start([command])
            assert cgroups_in(root) == []


async def test_a_start_is_refused_where_no_more_can_be_made(root: Path) -> None:
    """The cgroup's own limit is one of the host's; it binds as long as it is full."""
    (root / "cgroup.max.descendants").write_text("1")
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        job = await worker.start(["sleep", "1000"])
        with pytest.raises(ResourceExhaustedError):
            await worker.start(["true"])
        await worker.stop(job.id)
        await worker.wait((await worker.start(["true"])).id)
    (root / "cgroup.max.descendants").write_text("max")


async def test_a_closed_worker_leaves_no_cgroup(root: Path) -> None:
    """The jobs that it kills have none any more."""
    async with leaves_nothing():
        async with Worker(cgroup_root=str(root)) as worker:
            for _ in range(3):
                await worker.start(sh("setsid sleep 1000 & sleep 1000"))
            assert len(cgroups_in(root)) == 3
        assert cgroups_in(root) == []


async def test_cgroups_that_a_job_makes_end_with_it(root: Path) -> None:
    """It may sort its processes into cgroups of its own: they die there, and all of that is removed."""
    script = """
cgroup=$1/jobworker-$JOBWORKER_JOB_ID
for name in a a/b a/b/c d; do mkdir "$cgroup/$name"; done
for name in a/b/c d; do (echo 0 > "$cgroup/$name/cgroup.procs"; echo $name; exec setsid sleep 1000) & done
wait
"""
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        job = await worker.start(sh(script, str(root)))
        assert sorted(await read_lines(worker, job.id, 2)) == ["a/b/c", "d"]
        stopped = await worker.stop(job.id)
        assert (stopped.state, stopped.killed_processes) == (JobState.STOPPED, 2)
        assert cgroups_in(root) == []


async def test_a_frozen_job_is_stopped(root: Path) -> None:
    """What a cgroup suspends is killed all the same, and a grace period is over for it too."""
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        for grace_period in (0.0, 0.05):
            job = await worker.start(sh("trap '' TERM; setsid sleep 1000 & sleep 1000 & echo ready; wait"))
            await read_lines(worker, job.id)
            (root / f"jobworker-{job.id}" / "cgroup.freeze").write_text("1")
            assert (await worker.stop(job.id, grace_period=grace_period)).killed_processes == 2


async def test_what_was_put_into_it_is_killed_too(root: Path) -> None:
    """Though it is no descendant of the job's, and carries nothing: it is root who did so."""
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        job = await worker.start(["sleep", "1000"])
        with subprocess.Popen(["sleep", "1000"]) as guest:
            (root / f"jobworker-{job.id}" / "cgroup.procs").write_text(str(guest.pid))
            assert (await worker.stop(job.id)).killed_processes == 1
            assert guest.wait() == -signal.SIGKILL


@pytest.mark.parametrize("what", ["all", "daemon"])
async def test_a_process_that_moves_elsewhere_is_found(root: Path, what: str) -> None:
    """Root can leave the cgroup, for one that is not the job's: by what it carries it is found all the same."""
    move = f"echo 0 > {root.parent}/cgroup.procs"
    daemon = 'setsid sh -c "echo \\$\\$; exec sleep 1000" &'
    script = f"{move}; {daemon} wait" if what == "all" else f"({move}; {daemon}) & exec sleep 1000"
    async with leaves_nothing(), Worker(cgroup_root=str(root)) as worker:
        job = await worker.start(sh(script))
        with handles(await read_lines(worker, job.id)) as left:
            assert (await worker.stop(job.id)).state is JobState.STOPPED
            assert alive(left) == []
        assert cgroups_in(root) == []


async def test_a_killed_worker_leaves_no_cgroup(root: Path) -> None:
    """Its supervisor kills the jobs and removes what it made for them."""
    source = """
import asyncio, os, sys
from jobworker.worker import Worker
from jobworker_testing import children_of

async def main():
    async with Worker(cgroup_root=sys.argv[1]) as worker:
        for _ in range(3):
            await worker.start(["sh", "-c", "setsid sleep 1000 & sleep 1000"])
        print(*children_of(os.getpid()), flush=True)
        await asyncio.get_running_loop().create_future()

asyncio.run(main())
"""
    async with leaves_nothing():
        command = [sys.executable, "-c", source, str(root)]
        with subprocess.Popen(command, env=library_environment(), stdout=subprocess.PIPE) as process:
            assert process.stdout
            with ProcessHandle(int(process.stdout.readline())) as supervisor:
                assert len(cgroups_in(root)) == 3
                process.kill()
                supervisor.wait()
        assert cgroups_in(root) == []


@pytest.mark.parametrize("cgroups", [True, False])
async def test_a_killed_supervisor_leaves_no_process_and_no_cgroup(tmp_path: Path, *, cgroups: bool) -> None:
    """The worker finds all that it ran, however it left, and removes the cgroups."""
    del tmp_path
    if cgroups:
        with cgroup_for_tests() as path:
            await kill_supervisor(path)
    else:
        await kill_supervisor("off")


async def kill_supervisor(cgroup_root: str) -> None:
    """Kills the supervisor of jobs that have left in every way; none may be left when the worker has closed."""
    ways = ["child", "setsid", "daemon", "deaf", "silent", "nameless", "ghost"]
    async with leaves_nothing():
        with pytest.raises(SupervisorError, match=f" {2 * len(ways) + 2} processes of its 2 jobs"):
            async with Worker(cgroup_root=cgroup_root) as worker:
                supervisor = next(iter(children_of(os.getpid())))
                jobs = [await worker.start(leaver(ways, FOREVER)) for _ in range(2)]
                pids = [pid for job in jobs for pid in await read_lines(worker, job.id, len(ways))]
                with handles(pids) as left:
                    os.kill(supervisor, signal.SIGKILL)
                    await asyncio.gather(*(worker.wait(job.id) for job in jobs), return_exceptions=True)
                    assert alive(left) == []
                await asyncio.get_running_loop().create_future()
