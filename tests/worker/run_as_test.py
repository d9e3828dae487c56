"""Jobs that run as another user than their worker: with all of that user's rights, and none of the worker's."""

# ruff: noqa: ASYNC240 - small files on a local disk

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.inheritance import inheritance_of
from jobworker.supervisor.protocol import Configure
from jobworker.worker import (
    Inheritance,
    JobState,
    JobUser,
    LogData,
    ProgramNotExecutableError,
    ProgramNotFoundError,
    SupervisorError,
    Worker,
)
from look_support import NOBODY, check_ordinary, everybody_s_python, look, needs_root, seen_in
from process_support import run_source
from restart_support import WorkerProcess, kill, supervisor_handle
from worker_support import granted, leaves_nothing, read_all, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BOTH_MODES = True


@pytest.fixture
def folder() -> Iterator[Path]:
    """A directory that everybody may look into, unlike pytest's own."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
async def worker(cgroup_root: str, folder: Path) -> AsyncIterator[Worker]:
    """An open worker whose jobs run as nobody, in a directory of theirs."""
    needs_root()
    os.chown(folder, NOBODY.uid, NOBODY.gid)
    async with (
        leaves_nothing(),
        Worker(cgroup_root=cgroup_root, inheritance=Inheritance(str(folder), NOBODY)) as made,
    ):
        yield made


async def output_of(worker: Worker, command: list[str]) -> str:
    """Returns what a job writes to stdout."""
    return (await read_all(worker, (await worker.start(command)).id)).decode()


@pytest.mark.parametrize("groups", [(), (65534,), (1, 7, 65534)])
@pytest.mark.parametrize("kept", [False, True])
async def test_a_job_is_its_user(cgroup_root: str, folder: Path, groups: tuple[int, ...], *, kept: bool) -> None:
    """Real, effective and saved ids, the groups, no capability; and all else that every job inherits."""
    needs_root()
    user = JobUser(65534, 100, groups)
    inheritance = Inheritance(str(folder), user, no_new_privileges=kept)
    async with leaves_nothing(), Worker(cgroup_root=cgroup_root, inheritance=inheritance) as worker:
        job = await worker.start(look(everybody_s_python()))
        seen = seen_in(await read_all(worker, job.id))
    check_ordinary(seen, job.id)
    assert seen["ids"] == [[65534] * 3, [100] * 3, sorted(groups)]
    assert (seen["effective"], seen["no_new_privileges"], seen["directory"]) == (0, int(kept), str(folder))


async def test_there_is_no_way_back(worker: Worker) -> None:
    """A job can't become root again, nor signal its supervisor, nor read what its worker keeps."""
    source = (
        "import os, sys\n"
        "for attempt in (lambda: os.setuid(0), lambda: os.setgid(0), lambda: os.setgroups([0]),\n"
        "                lambda: os.kill(os.getppid(), 9), lambda: os.listdir(sys.argv[1]),\n"
        "                lambda: open('/etc/shadow'), lambda: open(f'/proc/{os.getppid()}/environ')):\n"
        " try: attempt()\n"
        " except PermissionError: print('no')\n"
        " else: print('yes')"
    )
    job = await worker.start([everybody_s_python(), "-ISc", source, tempfile.gettempdir()])
    assert (await read_all(worker, job.id)).decode().split() == ["no"] * 7


async def test_a_job_writes_where_its_output_goes(worker: Worker) -> None:
    """It may open its stdout and stderr anew, as many a program does, and nobody else's."""
    script = "echo 1; echo 2 >> /dev/stdout; echo 3 >> /proc/self/fd/1; echo 4 >> /dev/fd/1; echo 5 >> /dev/stderr"
    job = await worker.start(sh(script))
    assert (await read_all(worker, job.id), await read_all(worker, job.id, "stderr")) == (b"1\n2\n3\n4\n", b"5\n")
    (logs,) = Path(tempfile.gettempdir()).glob("*/logs")
    for path in (logs / f"{job.id}.stdout", logs / f"{job.id}.stderr"):
        found = path.stat()
        assert (found.st_uid, found.st_gid, found.st_mode & 0o777) == (NOBODY.uid, NOBODY.gid, 0o600)
    assert (logs.stat().st_uid, logs.stat().st_mode & 0o777) == (0, 0o700)


async def test_old_output_is_released(cgroup_root: str, folder: Path) -> None:
    """The limit holds for a log that is another user's, too."""
    needs_root()
    async with Worker(
        cgroup_root=cgroup_root, log_limit=1 << 16, inheritance=Inheritance(str(folder), NOBODY)
    ) as worker:
        job = await worker.wait((await worker.start(["seq", "200000"])).id)
        frames = [frame async for frame in worker.read_logs(job.id, "stdout")]
        kept = sum(len(frame.data) for frame in frames if isinstance(frame, LogData))
        assert kept < job.stdout_bytes // 2


def programs(folder: Path) -> None:
    """Makes programs called p: in a folder that only root may enter, one that only root may execute, and a good one."""
    for name, mode, program_mode in (("secret", 0o700, 0o755), ("closed", 0o755, 0o700), ("open", 0o755, 0o755)):
        (folder / name).mkdir()
        program = folder / name / "p"
        program.write_text(f"#!/bin/sh\necho {name}\n")
        program.chmod(program_mode)
        (folder / name).chmod(mode)


async def test_a_program_is_looked_up_as_the_user(cgroup_root: str, folder: Path) -> None:
    """What that user may not execute is passed over, and refused if there is nothing else, as a shell does it."""
    needs_root()
    programs(folder)
    inheritance = Inheritance("/", NOBODY)
    path = ":".join(str(folder / name) for name in ("none", "secret", "closed"))
    async with (
        leaves_nothing(),
        Worker(environment={"PATH": path}, cgroup_root=cgroup_root, inheritance=inheritance) as worker,
    ):
        for program in ("p", str(folder / "secret/p"), str(folder / "closed/p"), str(folder / "secret/none")):
            with pytest.raises(ProgramNotExecutableError):
                await worker.start([program])
        with pytest.raises(ProgramNotFoundError):
            await worker.start([str(folder / "open/none")])
        assert (await worker.list()).jobs == ()
    async with Worker(
        environment={"PATH": f"{path}:{folder}/open"}, cgroup_root=cgroup_root, inheritance=inheritance
    ) as worker:
        assert await output_of(worker, ["p"]) == "open\n"


async def test_a_directory_that_is_closed_to_the_user(worker: Worker, folder: Path) -> None:
    """The job is not started, though root might be there."""
    os.chown(folder, 0, 0)
    folder.chmod(0o700)
    with pytest.raises(SupervisorError, match="can't enter the directory that jobs work in: Permission denied"):
        await worker.start(["true"])
    assert (await worker.list()).jobs == ()


async def test_jobs_of_another_user_are_lost_with_their_supervisor(state: Path, folder: Path, cgroup_root: str) -> None:
    """A killed supervisor's jobs are found by the worker and killed, whoever they run as; what has left them too."""
    needs_root()
    inheritance = Inheritance(str(folder), NOBODY)
    async with Worker(state_dir=state, cgroup_root=cgroup_root, inheritance=inheritance) as worker:
        script = "setsid sleep 1000 & (setsid setsid sleep 1000 &); echo; exec sleep 1000"
        job = await worker.start(sh(script))
        async for _ in worker.read_logs(job.id, "stdout", follow=True, limit=1):
            pass
        with supervisor_handle(state) as supervisor:
            kill(supervisor)
        lost = await worker.wait(job.id)
        assert (lost.state, lost.killed_processes) == (JobState.FAILED, 2)
        again = await worker.start(["id", "-u"])
        assert await read_all(worker, again.id) == b"65534\n"


async def test_a_worker_takes_another_user_s_jobs_back(state: Path, folder: Path, cgroup_root: str) -> None:
    """And starts its own as it was told to, whatever the worker before it was."""
    needs_root()
    with WorkerProcess(state, cgroup_root=cgroup_root) as held:
        old, owner = held.start_line("id -u; exec sleep 1000")
        assert owner == "0"
    inheritance = Inheritance(str(folder), NOBODY)
    async with Worker(state_dir=state, cgroup_root=cgroup_root, inheritance=inheritance, keep_jobs=True) as worker:
        assert (await worker.stop(old)).state is JobState.STOPPED
        job = await worker.start(sh("id -u; exec sleep 1000"))
    async with Worker(state_dir=state, cgroup_root=cgroup_root) as worker:
        assert (await worker.stop(job.id)).state is JobState.STOPPED
        assert await read_all(worker, job.id) == b"65534\n"
        assert await output_of(worker, ["id", "-u"]) == "0\n"


REFUSED = """
import asyncio, sys
from jobworker.worker import Inheritance, InheritanceError, JobUser, Worker

async def main():
    user = JobUser(int(sys.argv[2]), 65534, (65534,))
    try:
        await Worker(cgroup_root=sys.argv[1], inheritance=Inheritance("/", user)).__aenter__()
    except InheritanceError as error:
        assert str(error).startswith(sys.argv[3] + ";"), str(error)
    else:
        raise AssertionError("not refused")

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("without", "problem"),
    [
        ("setuid", "jobs can't run as user 65534: Operation not permitted"),
        ("setgid", "jobs can't run as user 65534: Operation not permitted"),
        ("chown", "the supervisor lacks CAP_CHOWN, which it needs for another user's jobs"),
        ("kill", "the supervisor lacks CAP_KILL, which it needs for another user's jobs"),
        ("dac_override", "the supervisor lacks CAP_DAC_OVERRIDE, which it needs for another user's jobs"),
    ],
)
def test_root_without_the_right(without: str, problem: str, cgroup_root: str) -> None:
    """A container's root may lack what it takes: it is said when the worker is opened, and no job runs half dropped."""
    needs_root()
    under = granted("setpriv", f"--bounding-set=-{without}")
    run_source(REFUSED, cgroup_root, "65534", problem, under=under)


def test_who_is_not_root(cgroup_root: str) -> None:
    """Another user can't give its jobs away, not even to itself: groups are not its to set."""
    needs_root()
    # Keeps what lets it read this interpreter, whose folder may be root's own.
    keep = ("--inh-caps=+dac_read_search,+dac_override", "--ambient-caps=+dac_read_search,+dac_override")
    under = granted("setpriv", "--reuid=1", "--regid=1", "--clear-groups", *keep)
    for user in ("65534", "1"):
        run_source(REFUSED, cgroup_root, user, f"jobs can't run as user {user}: Operation not permitted", under=under)


@pytest.mark.parametrize("number", [-1, 2**32 - 1, 2**32, "0", 1.0, True, None, [0]])
def test_ids_that_mean_something_else_to_the_kernel(number: object) -> None:
    """-1 is "leave it as it is", so that a job would go on as root: no such thing gets to the kernel."""
    for given in ({"uid": 1, "gid": number}, {"uid": 1, "groups": [number]}, {"uid": number} if number else {}):
        if given:
            request = Configure({}, "/", "off", 0)._replace(**given)  # type: ignore[arg-type]
            with pytest.raises(ValueError, match="no user or group id"):
                inheritance_of(request)


@pytest.mark.parametrize("mistake", [{"environment": 5}, {"environment": {"a": 1}}, {"directory": None}, {"groups": 3}])
def test_a_configuration_that_makes_no_sense(mistake: dict[str, object]) -> None:
    """Whoever sends it is no worker, and ends the conversation, not the supervisor."""
    with pytest.raises(ValueError, match="no Configure"):
        inheritance_of(Configure({}, "/", "off", 0)._replace(**mistake))  # type: ignore[arg-type]
