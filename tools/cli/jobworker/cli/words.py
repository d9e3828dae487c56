"""Says facts of a job in words: its status, times, durations and signals; no I/O."""

from __future__ import annotations

import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from google.protobuf.timestamp_pb2 import Timestamp

    from jobworker.v1.job_worker_pb2 import Job

# By number, so that this module loads no generated code.
_STATUSES = {1: "running", 2: "succeeded", 3: "failed", 4: "stopped"}
_MINUTE, _HOUR, _DAY = 60, 3600, 86400


def status_word(job: Job) -> str:
    """Returns the job's status: running, succeeded, failed or stopped."""
    return _STATUSES.get(job.state, f"unknown({job.state})")


def seconds_of(moment: Timestamp) -> float:
    """Returns a moment in seconds since 1970."""
    return moment.seconds + moment.nanos / 1e9


def local_time(moment: Timestamp) -> str:
    """Returns a moment in the user's time zone, to the second."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(moment.seconds))


def local_time_with_zone(moment: Timestamp) -> str:
    """Returns a moment in the user's time zone, to the second, with the zone's offset."""
    return time.strftime("%Y-%m-%d %H:%M:%S %z", time.localtime(moment.seconds))


def duration(job: Job, now: float) -> str:
    """Returns how long the job ran, or has been running by now."""
    end = seconds_of(job.end_time) if job.HasField("end_time") else now
    # The daemon's clock may be ahead of the user's.
    return _span(max(0.0, end - seconds_of(job.start_time)))


def _span(seconds: float) -> str:
    whole = int(seconds)
    if whole < _MINUTE:
        return f"{int(seconds * 10) / 10:.1f}s"
    if whole < _HOUR:
        return f"{whole // _MINUTE}m{whole % _MINUTE:02d}s"
    if whole < _DAY:
        return f"{whole // _HOUR}h{whole % _HOUR // _MINUTE:02d}m"
    return f"{whole // _DAY}d{whole % _DAY // _HOUR:02d}h"


def signal_text(number: int) -> str:
    """Returns a signal's number with its name, such as 9 (SIGKILL)."""
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return str(number)
