"""The jobs of a store that run, and how many of them each principal has; no I/O and no event loop."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobworker.worker.job import Job


@final
class RunningJobs:
    """Jobs that run, oldest first; to count them takes no longer the more there are."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}
        self._counts: Counter[str] = Counter()

    def __repr__(self) -> str:
        return f"<RunningJobs {len(self._jobs)}>"

    def __len__(self) -> int:
        return len(self._jobs)

    @property
    def counts(self) -> Mapping[str, int]:
        """How many each principal has that has any."""
        return self._counts

    def note(self, job: Job) -> None:
        """Notes what a job is from now on; one that runs already keeps its place."""
        if job.state.is_final:
            self.forget(job.id)
            return
        if job.id not in self._jobs:
            self._counts[job.principal] += 1
        self._jobs[job.id] = job

    def forget(self, job_id: str) -> None:
        """Takes a job away, if it is there."""
        job = self._jobs.pop(job_id, None)
        if job is not None:
            self._counts[job.principal] -= 1
            if not self._counts[job.principal]:
                del self._counts[job.principal]

    def find(self, job_id: str) -> Job | None:
        """Returns the job of an id, if it runs."""
        return self._jobs.get(job_id)

    def all(self) -> tuple[Job, ...]:
        """Returns all of them."""
        return tuple(self._jobs.values())
