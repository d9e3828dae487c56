"""Drives a worker-daemon: starts commands as jobs on its host, stops them, tells their state, and reads their output.

`Client` is the synchronous face and `AsyncClient` that for asyncio; both have the same methods. Wherever a job is
named, an unambiguous beginning of its id is enough. Whatever a name here needs is imported with its first use, so that
whoever needs no asyncio does not wait for it.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jobworker.client.aio import AsyncClient
    from jobworker.client.errors import CallError, ContractError, GaveUpError, JobDeletedError, SettingsError
    from jobworker.client.frames import STDERR, STDOUT, Data, End, Frame, Gap, Interruption, Stream
    from jobworker.client.sync import Client, Page
    from jobworker.client.tls import require_tls_1_3
    from jobworker.v1.job_worker_pb2 import Job

__all__ = [
    "STDERR",
    "STDOUT",
    "AsyncClient",
    "CallError",
    "Client",
    "ContractError",
    "Data",
    "End",
    "Frame",
    "Gap",
    "GaveUpError",
    "Interruption",
    "Job",
    "JobDeletedError",
    "Page",
    "SettingsError",
    "Stream",
    "require_tls_1_3",
]

_FRAMES = ("STDERR", "STDOUT", "Data", "End", "Frame", "Gap", "Interruption", "Stream")
_ERRORS = ("CallError", "ContractError", "GaveUpError", "JobDeletedError", "SettingsError")
_HOMES = {
    "AsyncClient": "jobworker.client.aio",
    "Client": "jobworker.client.sync",
    "Job": "jobworker.v1.job_worker_pb2",
    "Page": "jobworker.client.sync",
    "require_tls_1_3": "jobworker.client.tls",
    **dict.fromkeys(_FRAMES, "jobworker.client.frames"),
    **dict.fromkeys(_ERRORS, "jobworker.client.errors"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
