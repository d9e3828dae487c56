"""A good client's calls while the daemon is attacked, and what the daemon spends meanwhile."""

from __future__ import annotations

import multiprocessing
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_bench.figures import Below, Figure, percentile
from jobworker_bench.units import Unit, shown
from jobworker_hostile import ATTACKS, Target
from jobworker_testing import connect, resident_bytes

if TYPE_CHECKING:
    from collections.abc import Callable
    from multiprocessing.synchronize import Event
    from pathlib import Path

_ALLOWED_SECONDS = 1.0
_CALLS_A_CONNECTION = 10
# Of an attack that goes on for ever, should it have met a daemon that doesn't answer.
_PATIENCE_SECONDS = 120


@final
@dataclass(slots=True)
class Watch:
    """What is looked at.

    Attributes:
        address: Where the daemon listens.
        certs: Folder of the certificates, with one that has a role, `client`, and one that has none, `stranger`.
        pid: The daemon's.
        log: Its log.
    """

    address: str
    certs: Path
    pid: int
    log: Path


@final
@dataclass(slots=True)
class _Seen:
    """What a good client has met."""

    seconds: list[float] = field(default_factory=list)
    resident: int = 0


def measure(watch: Watch, seconds: float) -> list[Figure]:
    """Measures calls, every tenth of them on a new connection, first without an attack, then under each.

    Args:
        watch: The daemon.
        seconds: How long each attack goes on at least; each is run to its end.
    """
    quiet_until = time.monotonic() + seconds
    quiet = _calls(watch, lambda: time.monotonic() < quiet_until)
    figures = [
        _figure("quiet: p99 of a call", Unit.SECONDS, (percentile(quiet.seconds, 99),)),
        _figure("quiet: RSS", Unit.BYTES, (quiet.resident,)),
    ]
    for name in ATTACKS:
        figures += _attacked(watch, name, seconds, percentile(quiet.seconds, 99))
    return figures


def _attacked(watch: Watch, name: str, seconds: float, quiet: float) -> list[Figure]:
    written, before = watch.log.stat().st_size, resident_bytes(watch.pid)
    # Not forked: this process has grpc's threads.
    context = multiprocessing.get_context("spawn")
    begun, over = context.Event(), context.Event()
    target = Target(watch.address, watch.certs)
    attacker = context.Process(target=_attack, args=(name, target, seconds, begun, over), daemon=True)
    attacker.start()
    begun.wait(_PATIENCE_SECONDS)
    seen = _calls(watch, lambda: not over.is_set() and attacker.is_alive())
    attacker.join(_PATIENCE_SECONDS)
    if attacker.exitcode:
        raise RuntimeError(f"the attack {name!r} ended with {attacker.exitcode}")
    p99 = percentile(seen.seconds, 99)
    lines = watch.log.stat().st_size - written - len(seen.seconds) * _line_bytes(watch)
    calls = f"{name}: p99 of {len(seen.seconds)} calls, largest {shown(max(seen.seconds), Unit.SECONDS)}"
    log = (max(0, lines),)
    return [
        _figure(calls, Unit.SECONDS, (p99,), (quiet,), Below(_ALLOWED_SECONDS)),
        _figure(f"{name}: RSS, at most", Unit.BYTES, (seen.resident,), (before,)),
        _figure(f"{name}: log beside the good client's", Unit.BYTES, log),
    ]


def _figure(
    name: str, unit: Unit, values: tuple[float, ...], quiet: tuple[float, ...] = (), target: Below | None = None
) -> Figure:
    return Figure(name, "hostile", name, unit, values, "quiet" if quiet else "", quiet, target)


def _attack(name: str, target: Target, seconds: float, begun: Event, over: Event) -> None:
    """Runs an attack again and again; a process of its own."""
    until = time.monotonic() + seconds
    begun.set()
    try:
        while True:
            ATTACKS[name](target)
            if time.monotonic() >= until:
                return
    finally:
        over.set()


def _calls(watch: Watch, goes_on: Callable[[], bool]) -> _Seen:
    seen = _Seen()
    # Two at least: a percentile needs them.
    while goes_on() or len(seen.seconds) < 2:  # noqa: PLR2004 - as said
        began = time.perf_counter()
        with connect(watch.address, watch.certs) as channel:
            stub = rpc.JobWorkerServiceStub(channel)
            for _ in range(_CALLS_A_CONNECTION):
                stub.ListJobs(pb.ListJobsRequest(page_size=1), timeout=_PATIENCE_SECONDS)
                ended = time.perf_counter()
                seen.seconds.append(ended - began)
                began = ended
        seen.resident = max(seen.resident, resident_bytes(watch.pid))
    return seen


def _line_bytes(watch: Watch) -> int:
    """Returns how long the good client's last line in the log is."""
    with watch.log.open("rb") as log:
        log.seek(max(0, watch.log.stat().st_size - (1 << 16)))
        lines = [line for line in log if b"/ListJobs" in line]
    return len(lines[-1]) if lines else 0
