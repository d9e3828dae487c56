"""The supervisor has the processor soon, and no job has any of that from it."""

from __future__ import annotations

import ctypes
import os
import platform
import struct
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker.supervisor import latency
from jobworker_testing import children_of
from process_support import run_source
from worker_support import library_environment, read_lines, sh

if TYPE_CHECKING:
    from jobworker.worker import Worker

ATTRIBUTES = struct.Struct("=IIQiIQQQ")
KERNEL = tuple(map(int, platform.release().split(".")[:2]))


def attributes_of(pid: int) -> tuple[int, int, int, int]:
    """Returns a process's policy, flags and nice value, and its slice in nanoseconds, 0 before Linux 6.12."""
    buffer = ctypes.create_string_buffer(ATTRIBUTES.size)
    number = latency._SYS_SCHED_GETATTR[platform.machine()]
    assert latency._libc.syscall(number, pid, buffer, ATTRIBUTES.size, 0) == 0
    _, policy, flags, nice, _, runtime, _, _ = ATTRIBUTES.unpack(buffer)
    return policy, flags, nice, runtime


@pytest.mark.skipif(KERNEL < (6, 12), reason="this kernel gives all processes the same slices")
async def test_a_supervisor_has_short_slices(worker: Worker) -> None:
    """As many nanoseconds as were asked for; the process that has started it has its own."""
    del worker
    (supervisor,) = children_of(os.getpid())
    threads = Path(f"/proc/{supervisor}/task").iterdir()  # noqa: ASYNC240 - procfs does not block
    (working,) = {int(thread.name) for thread in threads} - {supervisor}
    assert attributes_of(working)[-1] == latency.SLICE_NS
    assert attributes_of(0)[-1] != latency.SLICE_NS


async def test_a_job_is_scheduled_as_any_process(worker: Worker) -> None:
    """Neither its first process nor one that it makes has the supervisor's slices, nor gives anything up by a fork."""
    job = await worker.start(sh("sleep 1000 & echo $$ $!; wait"))
    (line,) = await read_lines(worker, job.id)
    for pid in map(int, line.split()):
        assert attributes_of(pid) == attributes_of(0)
    await worker.stop(job.id)


def test_what_was_set_for_the_process_stays() -> None:
    """With a nice value below 0, or another policy, nothing is asked for: jobs have the one and the other as before."""
    run_source(
        """
import os
from jobworker.supervisor.latency import ask_for_short_slices
os.sched_setscheduler(0, os.SCHED_BATCH, os.sched_param(0))
assert not ask_for_short_slices()
assert os.sched_getscheduler(0) == os.SCHED_BATCH
        """
    )


@pytest.mark.skipif(os.geteuid() != 0, reason="a nice value below 0 takes root")
def test_a_priority_is_inherited() -> None:
    """It was given to the service and all that it runs."""
    source = """
import os
from jobworker.supervisor.latency import ask_for_short_slices
os.nice(-5)
assert not ask_for_short_slices()
os.execvp("nice", ["nice"])
    """
    command = [sys.executable, "-c", source]
    done = subprocess.run(command, check=True, capture_output=True, text=True, env=library_environment())
    assert done.stdout == "-5\n"
