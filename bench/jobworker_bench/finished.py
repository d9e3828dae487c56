"""What 100,000 finished jobs cost: the daemon's start, its memory, and a page of the list."""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import Exited, Job
from jobworker.worker.sqlite_store import SqliteJobStore
from jobworker.worker.state_dir import StateDirectory
from jobworker_bench.figures import Figure
from jobworker_bench.units import Unit
from jobworker_testing import resident_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import World

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


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures a daemon that finds finished jobs in its state directory."""
    state_dir, count = world.folder("finished"), sizes.finished_jobs
    asyncio.run(fill(StateDirectory(state_dir).store, count))
    began = time.perf_counter()
    with world.daemon("--keep-finished=all", state_dir=state_dir) as daemon, daemon.connect() as client:
        start = time.perf_counter() - began
        pages = []
        for _ in range(_PAGES):
            asked = time.perf_counter()
            client.stub.ListJobs(pb.ListJobsRequest())
            pages.append(time.perf_counter() - asked)
        resident = resident_bytes(daemon.pid)
    name = f"with {count:,} finished jobs"
    yield Figure("start_finished", "growth", f"start {name}", Unit.SECONDS, (start,))
    yield Figure("page_finished", "growth", f"first page {name}", Unit.SECONDS, tuple(pages))
    yield Figure("memory_finished", "growth", f"RSS daemon {name}", Unit.BYTES, (resident,))
