"""Whatever the process that opens a worker has inherited itself, its jobs have nothing of it, whoever started what."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor.startup import give_up_oom_protection
from look_support import AMBIENT, odd
from process_support import run_source
from worker_support import granted

if TYPE_CHECKING:
    from pathlib import Path

BOTH_MODES = True

# What a worker's jobs see: of the first supervisor, of the one that replaces it, and of the one that the next worker
# finds. The descriptors are looked at beside a job that runs, and has logs of its own.
SCENARIO = """
import asyncio, ctypes, os, platform, resource, signal, sys
from jobworker.worker import Worker
from jobworker_testing import supervisor_of
from jobworker.supervisor.startup import give_up_oom_protection
import look_support
from look_support import check_ordinary, seen_in
from worker_support import read_all
from pathlib import Path

state, root, piped = Path(sys.argv[1]), sys.argv[2], sys.argv[3] == "piped"
keyring = ctypes.CDLL(None).syscall({"x86_64": 250}.get(platform.machine(), 219), 0, -3, 0)

async def look(worker):
    other = await worker.start(["sleep", "1000"])
    job = await worker.start(look_support.look())
    seen = seen_in(await read_all(worker, job.id))
    check_ordinary(seen, job.id, piped=piped)
    assert seen["files"] == 700, seen
    assert seen["keyring"] == -1 or seen["keyring"] != keyring, seen
    await worker.stop(other.id)

def raise_file_limit():
    # As the daemon does once its supervisor is there.
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))

async def main():
    async with Worker(state_dir=state, cgroup_root=root, keep_jobs=True) as worker:
        raise_file_limit()
        await look(worker)
        lost = await worker.start(["sleep", "1000"])
        os.kill(supervisor_of(state), signal.SIGKILL)
        await worker.wait(lost.id)
        await look(worker)
        kept = await worker.start(["sleep", "1000"])
    async with Worker(state_dir=state, cgroup_root=root) as worker:
        assert (await worker.get(kept.id)).state.name == "RUNNING"
        await look(worker)

asyncio.run(main())
"""


def test_jobs_of_an_odd_process(tmp_path: Path, cgroup_root: str) -> None:
    """Descriptors, signals, mask, umask, protection from the OOM killer, a limit that was raised since, the keyring."""
    run_source(SCENARIO, str(tmp_path / "state"), cgroup_root, "", under=odd())


def test_capabilities_are_not_handed_on(tmp_path: Path, cgroup_root: str) -> None:
    """A right that the worker has for itself, such as to listen on a low port, is not its jobs'."""
    granted(*AMBIENT)
    run_source(SCENARIO, str(tmp_path / "state"), cgroup_root, "", under=odd(*AMBIENT))


def test_jobs_whose_output_goes_through_pipes(tmp_path: Path, cgroup_root: str) -> None:
    """The pipes' other ends, and the segments, stay with the supervisor."""
    if os.geteuid() != 0:
        pytest.skip("only root mounts file systems where cgroups are writable too")
    mount = 'mount -t ramfs none "$1" && chmod 700 "$1" && shift && exec "$@"'
    disk = tmp_path / "disk"
    disk.mkdir()
    under = granted("unshare", "--mount", "sh", "-c", mount, "sh", str(disk))
    run_source(SCENARIO, str(disk), cgroup_root, "piped", under=[*odd(), *under])


@pytest.mark.parametrize(("before", "after"), [("-1000\n", "0"), ("-1\n", "0"), ("0\n", "0\n"), ("300\n", "300\n")])
def test_protection_from_the_oom_killer(tmp_path: Path, before: str, after: str) -> None:
    """A protected daemon's jobs are as any process; one that is to be killed first has jobs that are, too."""
    file = tmp_path / "oom_score_adj"
    file.write_text(before)
    give_up_oom_protection(str(file))
    assert file.read_text() == after
    give_up_oom_protection(str(tmp_path / "none"))
