"""What 100,000 finished jobs cost: the daemon's start, its memory, and a page of the list."""

from __future__ import annotations

import statistics
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import Exited, Job
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker_bench.client import connect
from jobworker_bench.figures import Figure, mebibytes, milliseconds
from jobworker_testing import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractContextManager
    from pathlib import Path

_LONGEST_START_SECONDS = 2.0
_LONGEST_PAGE_SECONDS = 0.02
_MOST_RESIDENT = 150 << 20
_PAGES = 50


async def fill(file: Path, count: int) -> None:
    """Puts finished jobs into a new job store.

    Args:
        file: The store's.
        count: How many jobs.
    """
    first = datetime.now(UTC) - timedelta(seconds=count)
    async with SqliteJobStore(file) as store:
        for number in range(count):
            start = first + timedelta(seconds=number)
            job = Job(str(uuid.uuid4()), ("sh", "-c", f"echo job {number} of many; exit 0"), start, "f" * 64)
            await store.add(job.ended(Exited(0), start))


def measure(daemon: Callable[[], AbstractContextManager[tuple[str, int]]], certs: Path, count: int) -> list[Figure]:
    """Measures a daemon that finds finished jobs in its state directory.

    Args:
        daemon: Starts it, and gives its address and process id.
        certs: Folder of the development certificates.
        count: How many jobs there are.
    """
    began = time.perf_counter()
    with daemon() as (address, pid), connect(address, certs) as client:
        start = time.perf_counter() - began
        pages = []
        for _ in range(_PAGES):
            asked = time.perf_counter()
            client.stub.ListJobs(pb.ListJobsRequest())
            pages.append(time.perf_counter() - asked)
        page, resident = statistics.median(pages), resident_bytes(pid)
    name = f"with {count:,} finished jobs"
    return [
        Figure(f"start {name}", milliseconds(start), target="< 2 s", met=start < _LONGEST_START_SECONDS),
        Figure(f"first page {name}", milliseconds(page), target="< 20 ms", met=page < _LONGEST_PAGE_SECONDS),
        Figure(f"RSS daemon {name}", mebibytes(resident), target="< 150 MiB", met=resident < _MOST_RESIDENT),
    ]
