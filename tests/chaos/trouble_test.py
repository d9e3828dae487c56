"""What the built daemon does when its supervisor is dead, its job store is damaged, or its disk is full."""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
from contextlib import ExitStack, closing
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_chaos.world import leftovers
from jobworker_testing import DaemonDiedError, DaemonProcess, ProcessHandle, connect, daemon_options, supervisor_of
from jobworker_testing.world import World, follow, new_world, output_of, shell

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

_JOBS = 30
_TREE = "echo $$; sleep 1000 & setsid sleep 1000 & trap '' TERM; wait"


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    """A state directory that is on this test's disk."""
    made = tmp_path / "state"
    made.mkdir()
    return made


def _jobs(stub: rpc.JobWorkerServiceStub) -> list[pb.Job]:
    return list(stub.ListJobs(pb.ListJobsRequest(page_size=1000)).jobs)


def _pid(stub: rpc.JobWorkerServiceStub, job_id: str) -> int:
    """Returns the number that a job prints first."""
    printed = b""
    for frame in follow(stub, job_id):
        printed += frame.data.data
        if b"\n" in printed:
            break
    return int(printed.split()[0])


def _kill_supervisor(world: World) -> None:
    pid = supervisor_of(world.state_dir)
    assert pid is not None
    with ProcessHandle(pid) as supervisor:
        os.kill(pid, signal.SIGKILL)
        supervisor.wait()


@pytest.mark.parametrize("cgroup_root", ["auto", "off"])
def test_nothing_is_said_to_run_that_does_not(state_dir: Path, cgroup_root: str) -> None:
    """When daemon and supervisor are killed, a new daemon that is ready has found all of the jobs, and ended them."""
    with new_world(state_dir, f"--cgroup-root={cgroup_root}") as world, ExitStack() as handles:
        with world.stub() as stub:
            ids = [shell(stub, _TREE) for _ in range(_JOBS)]
            processes = [handles.enter_context(ProcessHandle(_pid(stub, job_id))) for job_id in ids]
        world.daemon.stop(signal.SIGKILL)
        _kill_supervisor(world)
        assert not any(process.has_exited() for process in processes)
        world.daemon.start()
        assert all(process.has_exited() for process in processes)
        assert leftovers(ids) == []
        with world.stub() as stub:
            jobs = _jobs(stub)
            assert {job.id for job in jobs} == set(ids)
            assert {(job.state, job.WhichOneof("outcome")) for job in jobs} == {(pb.JOB_STATE_FAILED, "lost")}
            assert output_of(follow(stub, shell(stub, "echo well")))[0] == b"well\n"


def _spoil_header(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"no database at all" * 10)


def _spoil_pages(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(4096)
        file.write(b"\xff" * (path.stat().st_size - 4096))


def _cut_short(path: Path) -> None:
    os.truncate(path, path.stat().st_size - 4096)


@pytest.mark.parametrize("spoil", [_spoil_header, _spoil_pages, _cut_short])
def test_damaged_job_store(state_dir: Path, spoil: Callable[[Path], None]) -> None:
    """The daemon says so in one line and ends with 2; the file is kept as it is, and the next start does without it."""
    store = state_dir / "jobs.sqlite"
    with new_world(state_dir) as world:
        with world.stub() as stub:
            output_of(follow(stub, shell(stub, "exit 3")))
            job_id = shell(stub, _TREE)
            process = ProcessHandle(_pid(stub, job_id))
        world.daemon.stop(signal.SIGKILL)
        _checkpoint(store)
        spoil(store)
        broken = store.read_bytes()
        with pytest.raises(DaemonDiedError):
            world.daemon.start()
        assert world.daemon.process.returncode == 2
        (line,) = world.daemon.lines
        (aside,) = state_dir.glob("jobs.sqlite.broken-*Z")
        assert line.startswith("worker-daemon: ")
        assert "damaged" in line
        assert str(aside) in line
        assert aside.read_bytes() == broken
        world.daemon.start()
        with process, world.stub() as stub:
            # Nobody could ever find that job again, so it does not run on.
            process.wait()
            assert _jobs(stub) == []
            assert output_of(follow(stub, shell(stub, "echo well")))[0] == b"well\n"


def _checkpoint(store: Path) -> None:
    """Brings all that is in the store's WAL into its file."""
    with closing(sqlite3.connect(store)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@pytest.fixture
def small_disk(state_dir: Path) -> Iterator[rpc.JobWorkerServiceStub]:
    """A connection to a daemon whose state directory is a file system of 8 MiB."""
    mount = 'mount -t tmpfs -o size=8m,mode=700 tmpfs "$0" && exec "$@"'
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    under = ["unshare", *user, "--mount", "sh", "-c", mount, str(state_dir)]
    tried = subprocess.run([*under, "true"], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"no mounts here: {tried.stderr.strip()}")
    certs = Path("certs").absolute()
    program = str(Path(os.environ["WORKER_DAEMON"]).absolute())
    with (
        DaemonProcess([*under, program], *daemon_options(certs), state_dir=state_dir) as daemon,
        connect(daemon.address, certs) as channel,
    ):
        yield rpc.JobWorkerServiceStub(channel)


def _pipe(path: Path) -> Path:
    """Makes a named pipe: who reads it waits for who writes it, and the other way round."""
    os.mkfifo(path)
    return path


def test_full_disk(small_disk: rpc.JobWorkerServiceStub, tmp_path: Path) -> None:
    """A start is refused; what runs and what has ended is told and read as ever, and deleting jobs makes room."""
    full, end_waiting, end_filling = (_pipe(tmp_path / name) for name in ("full", "waiting", "filling"))
    waiting = shell(small_disk, f"echo before; read -r _ <{end_waiting}; exit 7")
    assert next(iter(follow(small_disk, waiting))).data.data == b"before\n"
    # Its end would make some room, that of its record.
    filling = shell(small_disk, f"cat /dev/zero; echo full >{full}; read -r _ <{end_filling}; exit 8")
    assert full.read_text() == "full\n"
    for _ in range(3):
        with pytest.raises(grpc.RpcError) as caught:
            shell(small_disk, "echo never")
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    end_waiting.write_text("end\n")
    output, ended = output_of(follow(small_disk, waiting))
    assert (output, ended.exit_code) == (b"before\n", 7)
    end_filling.write_text("end\n")
    output, ended = output_of(follow(small_disk, filling))
    assert (output, ended.exit_code) == (bytes(len(output)), 8)
    assert len(output) > 4 << 20
    assert {job.id for job in _jobs(small_disk)} == {waiting, filling}
    small_disk.DeleteJob(pb.DeleteJobRequest(job_id=filling))
    assert output_of(follow(small_disk, shell(small_disk, "echo again")))[0] == b"again\n"
