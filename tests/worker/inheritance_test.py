"""What a job's first process inherits: what the design says, and nothing more."""

from __future__ import annotations

import os
import resource
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.spawn import MARK_DIGITS, MARK_LIMIT
from jobworker.worker import Inheritance, InheritanceError, ProgramNotFoundError, SupervisorError, Worker
from look_support import check_ordinary, look, seen_in
from worker_support import leaves_nothing, python, read_all, sh

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

BOTH_MODES = True

CAT = "/bin/cat"


@pytest.fixture
def unusual_process(tmp_path: Path) -> Iterator[None]:
    """Makes this process one that ignores signals, blocks others, and has a umask and a descriptor of its own."""
    descriptor = os.open(tmp_path, os.O_RDONLY)
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - positional alone
    old = {number: signal.signal(number, signal.SIG_IGN) for number in (signal.SIGUSR1, signal.SIGHUP, 40)}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2, signal.SIGTERM})
    umask = os.umask(0o077)
    yield
    os.umask(umask)
    signal.pthread_sigmask(signal.SIG_SETMASK, mask)
    for number, handler in old.items():
        signal.signal(number, handler)
    os.close(descriptor)


@pytest.fixture
async def worker(unusual_process: None, cgroup_root: str) -> AsyncIterator[Worker]:  # noqa: ARG001 - needed first
    """An open worker of an unusual process."""
    async with leaves_nothing(), Worker(cgroup_root=cgroup_root) as made:
        yield made


async def output_of(worker: Worker, command: list[str]) -> str:
    """Returns what a job writes to stdout."""
    return os.fsdecode(await read_all(worker, (await worker.start(command)).id))


async def test_three_descriptors_are_inherited(worker: Worker) -> None:
    """/dev/null to read from and the two logs to append to: no socket, no other job's log."""
    for _ in range(3):
        await worker.start(["sleep", "1000"])
    listing = await output_of(
        worker,
        python(
            "import os\n"
            "for fd in sorted(os.listdir('/proc/self/fd'), key=int):\n"
            " try: print(fd, os.readlink('/proc/self/fd/' + fd))\n"
            " except FileNotFoundError: pass"
        ),
    )
    job_id = (await worker.list()).jobs[0].id
    fds = [line.split() for line in listing.splitlines()]
    assert [(fd, Path(target).name) for fd, target in fds] == [
        ("0", "null"),
        ("1", f"{job_id}.stdout"),
        ("2", f"{job_id}.stderr"),
    ]


async def test_stdin_is_empty(worker: Worker) -> None:
    """Who reads it gets its end at once."""
    assert await output_of(worker, [CAT]) == ""


@pytest.mark.parametrize("stream", ["1", "2"])
async def test_logs_are_opened_for_appending_alone(worker: Worker, stream: str) -> None:
    """So a job can neither read nor overwrite what its readers have seen."""
    info = await output_of(worker, [CAT, f"/proc/self/fdinfo/{stream}"])
    flags = int(dict(line.split(":\t") for line in info.splitlines() if "flags" in line)["flags"], 8)
    assert flags & os.O_APPEND
    assert flags & os.O_ACCMODE == os.O_WRONLY


async def test_signals_have_their_defaults(worker: Worker) -> None:
    """None is ignored, caught or blocked, whatever the process that runs the worker does."""
    status = await output_of(worker, [CAT, "/proc/self/status"])
    fields = dict(line.split(":\t", 1) for line in status.splitlines())
    # 32 and 33 belong to glibc: its posix_spawn leaves them ignored, and its programs see to them by themselves.
    own = ~(1 << 31 | 1 << 32)
    assert {name: int(fields[name], 16) & own for name in ("SigBlk", "SigIgn", "SigCgt")} == {
        "SigBlk": 0,
        "SigIgn": 0,
        "SigCgt": 0,
    }


async def test_a_broken_pipe_ends_a_writer(worker: Worker) -> None:
    """SIGPIPE, which Python ignores, does its work in jobs: `yes | head` ends."""
    assert await output_of(worker, sh("yes | head -1; exit 0")) == "y\n"


async def test_a_job_leads_a_session_and_a_group_of_its_own(worker: Worker) -> None:
    """And has no terminal."""
    stat = await output_of(worker, [CAT, "/proc/self/stat"])
    pid = stat.split()[0]
    _state, _parent, group, session, terminal = stat.rsplit(")", 1)[1].split()[:5]
    assert (group, session, terminal) == (pid, pid, "0")


async def test_limits_are_the_worker_s(worker: Worker) -> None:
    """But for the one of file locks, which limits nothing, and says whose the process is."""
    limits = {name: number for name, number in vars(resource).items() if name.startswith("RLIMIT_")}
    source = "import resource, sys\nfor number in sys.argv[1:]: print(*resource.getrlimit(int(number)))"
    numbers = sorted({*limits.values(), MARK_LIMIT})
    output = await output_of(worker, python(source, *map(str, numbers)))
    found = dict(zip(numbers, [tuple(map(int, line.split())) for line in output.splitlines()], strict=True))
    (job,) = (await worker.list()).jobs
    assert found.pop(MARK_LIMIT) == (int(job.id.replace("-", "")[:MARK_DIGITS], 16), resource.RLIM_INFINITY)
    assert found == {number: resource.getrlimit(number) for number in found}


async def test_priorities_are_the_worker_s(worker: Worker) -> None:
    """What a job inherits by being made in a cgroup is no different from what it does by a plain spawn."""
    status = await output_of(worker, [CAT, "/proc/self/status", f"/proc/{os.getpid()}/status"])
    both = [line.split(":\t", 1) for line in status.splitlines()]
    for name in ("Uid", "Gid", "Groups", "CapEff", "CapBnd", "CapInh", "NoNewPrivs", "Cpus_allowed"):
        job, own = [value for field, value in both if field == name]
        assert job == own, name


async def test_files_are_made_for_everybody_to_read(worker: Worker) -> None:
    """The umask is 022, whatever the worker's."""
    assert await output_of(worker, sh("umask")) == "0022\n"


async def test_a_job_runs_where_the_worker_does(worker: Worker) -> None:
    """Its working directory is the worker's."""
    assert await output_of(worker, ["pwd", "-P"]) == str(Path.cwd()) + "\n"


async def test_a_job_runs_where_it_is_told_to(tmp_path: Path, cgroup_root: str) -> None:
    """And looks for its program from there."""
    (tmp_path / "hello").write_text("#!/bin/sh\npwd -P\n")
    (tmp_path / "hello").chmod(0o700)
    async with leaves_nothing(), Worker(inheritance=Inheritance(str(tmp_path)), cgroup_root=cgroup_root) as worker:
        assert await output_of(worker, ["./hello"]) == f"{tmp_path}\n"


async def test_a_directory_that_has_gone(tmp_path: Path, cgroup_root: str) -> None:
    """No job is started elsewhere than where it is to be; once the directory is back, all is well."""
    work = tmp_path / "work"
    work.mkdir()
    async with leaves_nothing(), Worker(inheritance=Inheritance(str(work)), cgroup_root=cgroup_root) as worker:
        work.rmdir()
        with pytest.raises(SupervisorError, match="can't enter the directory that jobs work in: No such file"):
            await worker.start(["true"])
        assert (await worker.list()).jobs == ()
        work.mkdir()
        assert await output_of(worker, ["pwd", "-P"]) == f"{work}\n"


async def test_a_directory_that_is_none(tmp_path: Path, cgroup_root: str) -> None:
    """It is said when the worker is opened, not when the first job is started."""
    (tmp_path / "file").write_text("")
    for path, reason in ((tmp_path / "none", "No such file or directory"), (tmp_path / "file", "Not a directory")):
        async with leaves_nothing():
            with pytest.raises(InheritanceError, match=f"jobs can't work in {path}: {reason}; give another directory"):
                await Worker(inheritance=Inheritance(str(path)), cgroup_root=cgroup_root).__aenter__()


@pytest.mark.parametrize("kept", [False, True])
async def test_new_privileges(tmp_path: Path, cgroup_root: str, *, kept: bool) -> None:
    """Set-user-ID programs give a job no rights if it was told so; all else is as it was."""
    inheritance = Inheritance(str(tmp_path), no_new_privileges=kept)
    async with leaves_nothing(), Worker(inheritance=inheritance, cgroup_root=cgroup_root) as worker:
        job = await worker.start(look())
        seen = seen_in(await read_all(worker, job.id))
        check_ordinary(seen, job.id)
        assert (seen["no_new_privileges"], seen["directory"]) == (int(kept), str(tmp_path))
        with pytest.raises(ProgramNotFoundError):
            await worker.start(["no-such-program"])


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"LC_ALL": "C"},
        {"LANG": "C", "LC_CTYPE": "POSIX"},
        {"PATH": "/nowhere", "PYTHONPATH": "/x", "PYTHONUTF8": "0", "PYTHONHOME": "/y"},
        {"EMPTY": "", "BYTES": "\udcff\udc80", "LINES": "a\nb", "É": "é", "LC_ALL": "C.UTF-8"},
        {"JOBWORKER_JOB_ID": "of an outer worker"},
    ],
)
async def test_the_environment_is_the_one_given(environment: dict[str, str], cgroup_root: str) -> None:
    """To the byte, with the job's id in addition; nothing of Python's own start is seen in it."""
    async with leaves_nothing(), Worker(environment=environment, cgroup_root=cgroup_root) as worker:
        job = await worker.start([CAT, "/proc/self/environ"])
        output = os.fsdecode(await read_all(worker, job.id))
    found = dict(variable.split("=", 1) for variable in output.split("\0")[:-1])
    assert found == {**environment, "JOBWORKER_JOB_ID": job.id}


async def test_the_environment_is_this_process_s_by_default(worker: Worker, monkeypatch: pytest.MonkeyPatch) -> None:
    """As it is when the worker is opened."""
    monkeypatch.setenv("TOO_LATE", "1")
    found = set((await output_of(worker, [CAT, "/proc/self/environ"])).split("\0")[:-1])
    expected = {f"{name}={value}" for name, value in os.environ.items() if name != "TOO_LATE"}
    # Which test runs, and in which phase, is told there too.
    assert {variable for variable in found ^ expected if not variable.startswith(("JOBWORKER_", "PYTEST_"))} == set()


async def test_a_program_is_looked_up_along_the_given_path(tmp_path: Path, cgroup_root: str) -> None:
    """The PATH of the jobs' environment counts, not this process's."""
    program = tmp_path / "hello"
    program.write_text("#!/bin/sh\necho hello\n")
    program.chmod(0o700)
    async with (
        leaves_nothing(),
        Worker(environment={"PATH": f"/nowhere:{tmp_path}"}, cgroup_root=cgroup_root) as worker,
    ):
        assert await output_of(worker, ["hello"]) == "hello\n"
