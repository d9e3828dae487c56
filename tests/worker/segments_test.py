"""Where a file system can't punch holes, jobs' logs are segments, as exact as ever."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import TYPE_CHECKING

from worker_support import granted, library_environment

if TYPE_CHECKING:
    from pathlib import Path

SCENARIO = """
import asyncio, os, sys
from pathlib import Path
from jobworker.worker import LogData, LogEnd, LogGap, Worker

LIMIT, LINES = 1 << 20, 400_000
DIRECTORY = Path(sys.argv[1])
WHOLE = b"".join(b"%015d\\n" % number for number in range(LINES))
JOB = ["seq", "-f", "%015.0f", "0", str(LINES - 1)]


async def read(worker, job_id, **options):
    # Checks that the frames tile the stream, and that every byte is the one that belongs there.
    at, missing = None, 0
    async for frame in worker.read_logs(job_id, "stdout", **options):
        match frame:
            case LogData(offset, data):
                assert at in (None, offset) and WHOLE[offset : offset + len(data)] == data
                at = offset + len(data)
            case LogGap(start, end):
                assert at in (None, start) and end > start
                at, missing = end, missing + end - start
            case LogEnd(offset, job):
                assert at in (None, offset)
                return missing, offset, job


async def main():
    async with Worker(state_dir=DIRECTORY, log_limit=LIMIT) as worker:
        job = await worker.start(JOB)
        _, end, job = await read(worker, job.id, follow=True)
        assert (end, job.stdout_bytes, job.exit_code) == (len(WHOLE), len(WHOLE), 0), (end, job)
        missing, _, _ = await read(worker, job.id)
        assert len(WHOLE) - LIMIT - LIMIT // 4 <= missing <= len(WHOLE) - LIMIT, missing
        kept = sum(file.stat().st_size for file in (DIRECTORY / "logs" / f"{job.id}.stdout").iterdir())
        assert kept == len(WHOLE) - missing
        assert await read(worker, job.id, offset=len(WHOLE) - 16) == (0, len(WHOLE), job)
        tail = [frame async for frame in worker.read_logs(job.id, "stdout", tail_lines=2)]
        assert tail[0] == LogData(len(WHOLE) - 32, WHOLE[-32:])
        await worker.delete(job.id)
        assert list((DIRECTORY / "logs").iterdir()) == []
        stuck = await worker.start(["sh", "-c", "seq 100000; exec sleep 1000"])
        assert (await worker.stop(stuck.id)).signal == 9


asyncio.run(main())
"""


def test_logs_of_segments_are_exact(tmp_path: Path) -> None:
    """Followed and read again, past the limit, from an offset, from the last lines; and they are deleted whole."""
    user = [] if os.geteuid() == 0 else ["--user", "--map-root-user"]
    mount = 'mount -t ramfs none "$1" && shift && exec "$@"'
    disk = tmp_path / "disk"
    disk.mkdir()
    under = granted("unshare", *user, "--mount", "sh", "-c", mount, "sh", str(disk))
    command = [*under, sys.executable, "-c", SCENARIO, str(disk)]
    done = subprocess.run(command, env=library_environment(), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
