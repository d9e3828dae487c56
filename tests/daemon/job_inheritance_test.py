"""What the jobs of a daemon inherit, whoever started the daemon and however, and whoever they run as."""

from __future__ import annotations

import os
import pwd
import shutil
import stat
import sys
import tempfile
from typing import TYPE_CHECKING

import pytest

from daemon_world import finish, follow, new_world, read_until, run_to_its_end, shell
from jobworker.v1 import job_worker_pb2 as pb
from jobworker_testing import DaemonDiedError

if TYPE_CHECKING:
    from pathlib import Path

    from daemon_world import Pki, World

# Becomes the daemon in a process as nobody would want it: stdin closed, descriptors open that are none of its
# business, signals ignored as by nohup and others blocked, and files made for everybody to write to.
ODD = """
import os, signal, sys
os.umask(0)
for number in (signal.SIGHUP, signal.SIGPIPE, signal.SIGCHLD, signal.SIGINT, signal.SIGUSR1):
    signal.signal(number, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD, signal.SIGTERM, signal.SIGUSR2})
for number in (9, 33):
    os.dup2(os.open("/etc/passwd", os.O_RDONLY), number)
os.close(0)
os.execvp(sys.argv[1], sys.argv[1:])
"""
SEEN = 'grep -E "^(SigBlk|SigIgn|Umask|CapInh|CapAmb)" /proc/self/status; pwd; ls /proc/$$/fd; readlink /proc/self/fd/0'


def warnings(world: World) -> list[str]:
    """Returns the lines in which a daemon has warned of anything."""
    return [line for line in world.daemon.lines if "level=warning" in line]


@pytest.fixture
def root() -> None:
    """Skips the test for a user who can't become another one."""
    if os.geteuid() != 0:
        pytest.skip("only root runs jobs as another user")


@pytest.mark.parametrize("cgroups", ["auto", "off"])
def test_jobs_of_an_odd_daemon(pki: Pki, cgroups: str) -> None:
    """They have three descriptors, default signals and the umask 022, in the root directory; and SIGTERM ends it."""
    prefix = [sys.executable, "-ISc", ODD]
    with new_world(pki, f"--cgroup-root={cgroups}", prefix=prefix) as world:
        with world.stub() as stub:
            output, job = finish(stub, shell(stub, SEEN))
        fields = dict(line.split(":") for line in output.decode().splitlines() if ":" in line)
        # 32 and 33 belong to glibc, whose posix_spawn leaves them ignored.
        assert int(fields.pop("SigIgn"), 16) & ~(1 << 31 | 1 << 32) == 0
        assert {int(value, 16) for name, value in fields.items() if name != "Umask"} == {0}
        assert fields["Umask"].strip() == "0022"
        assert output.decode().splitlines()[-5:] == ["/", "0", "1", "2", "/dev/null"]
        assert job.exit_code == 0
        loose = [path for path in (world.state_dir, *world.state_dir.rglob("*")) if path.lstat().st_mode & 0o077]
        assert loose == []
        assert world.daemon.stop() == 0


def test_jobs_of_another_user(pki: Pki, root: None) -> None:  # noqa: ARG001 - needed first
    """They are that user's in all ways, may open their output anew, and are stopped as any; nobody is warned."""
    script = "id -u; id -g; id -G; echo $HOME $USER $LOGNAME; echo more >> /dev/stdout; cat /etc/shadow"
    entry = pwd.getpwnam("nobody")
    with new_world(pki, "--run-jobs-as=nobody", "--no-new-privileges") as world, world.stub() as stub:
        output, job = finish(stub, shell(stub, script))
        groups = " ".join(map(str, os.getgrouplist("nobody", entry.pw_gid)))
        names = f"{entry.pw_dir} nobody nobody"
        assert output.decode().split("\n") == [str(entry.pw_uid), str(entry.pw_gid), groups, names, "more", ""]
        assert job.exit_code == 1
        log = (world.state_dir / "logs" / f"{job.id}.stdout").stat()
        assert (log.st_uid, stat.S_IMODE(log.st_mode)) == (entry.pw_uid, 0o600)
        escaping = "setsid sh -c 'echo escaped; exec sleep 1000' & exec sleep 1000"
        running = shell(stub, f"grep NoNewPrivs /proc/self/status; {escaping}")
        assert read_until(follow(stub, running), b"escaped\n").split() == [b"NoNewPrivs:", b"1", b"escaped"]
        stopped = stub.StopJob(pb.StopJobRequest(job_id=running)).job
        assert (stopped.state, stopped.termination.killed_processes) == (pb.JOB_STATE_STOPPED, 1)
        assert warnings(world) == []


def test_root_is_warned_once(pki: Pki, root: None) -> None:  # noqa: ARG001 - needed first
    """That jobs may do anything is said where nobody has said that it is meant."""
    with new_world(pki) as world:
        (line,) = warnings(world)
        assert "event=jobs_run_as_root" in line
        assert "--run-jobs-as=<user>" in line
    with new_world(pki, "--run-jobs-as=root") as world, world.stub() as stub:
        assert warnings(world) == []
        assert finish(stub, shell(stub, "id -u"))[0] == b"0\n"


def test_jobs_work_where_they_are_told_to(pki: Pki, tmp_path: Path) -> None:
    """A program may be named from there, too."""
    (tmp_path / "hello").write_text("#!/bin/sh\npwd -P\n")
    (tmp_path / "hello").chmod(0o700)
    with new_world(pki, f"--job-directory={tmp_path}") as world, world.stub() as stub:
        job = stub.StartJob(pb.StartJobRequest(command=["./hello"])).job
        assert finish(stub, job.id)[0] == f"{tmp_path}\n".encode()


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--run-jobs-as=no-such-user"], "no user 'no-such-user' on this host; give another (--run-jobs-as)"),
        (["--job-directory=/no/such"], "jobs can't work in /no/such: No such file or directory; give another"),
    ],
)
def test_what_jobs_can_not_inherit(pki: Pki, options: list[str], problem: str) -> None:
    """It is told at the start, in a line, and nothing is served."""
    done = run_to_its_end(*pki.options(address="127.0.0.1:0"), *options)
    assert (done.returncode, done.stderr.count("READY")) == (2, 0)
    assert problem in done.stderr.splitlines()[-1]


def test_a_daemon_that_may_not_become_another_user(pki: Pki, root: None) -> None:  # noqa: ARG001 - needed first
    """As in a container without the rights to: it doesn't start, rather than give jobs too many."""
    if shutil.which("setpriv") is None:
        pytest.skip("no setpriv on this machine")
    prefix = ["setpriv", "--bounding-set=-setuid"]
    with (
        pytest.raises(DaemonDiedError, match="jobs can't run as user 65534: Operation not permitted"),
        new_world(pki, "--run-jobs-as=65534", prefix=prefix),
    ):
        pass


def test_a_directory_that_the_user_may_not_be_in(pki: Pki, root: None) -> None:  # noqa: ARG001 - needed first
    """Root might be there, its jobs' user not: who configured it is told."""
    with tempfile.TemporaryDirectory() as private:
        done = run_to_its_end(*pki.options(address="127.0.0.1:0"), "--run-jobs-as=nobody", f"--job-directory={private}")
    assert done.returncode == 2
    assert f"jobs can't work in {private}: Permission denied" in done.stderr
