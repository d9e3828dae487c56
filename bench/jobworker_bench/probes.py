"""What is measured of each of the daemons that are compared, in a moment each, so that they can take turns."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

from jobworker.v1 import job_worker_pb2 as pb
from jobworker_bench.cpu import MOST_CORES_IDLE, idling, unfollowed
from jobworker_bench.delay import delays
from jobworker_bench.figures import AtLeast, AtMost, Below, percentile
from jobworker_bench.jobs import rate
from jobworker_bench.latency import time_starts
from jobworker_bench.lines import LINE_BYTES, time_followed
from jobworker_bench.memory import MOST_BYTES, follower_bytes
from jobworker_bench.readers import Readers, reading
from jobworker_bench.stop import stop_seconds
from jobworker_bench.streams import CLIENTS, followed
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jobworker_bench.client import Client
    from jobworker_bench.figures import Target
    from jobworker_bench.sizes import ProbeSizes
    from jobworker_bench.world import Daemon, World

# Within 1.3 times, whichever way is the worse.
_LONGER, _SLOWER = AtMost(1.3), AtLeast(0.77)


@dataclass(frozen=True, slots=True)
class Kind:
    """What a probe's values are.

    Attributes:
        name: For people.
        unit: What they are in.
        target: What is wanted, beside the same of a daemon with few jobs.
    """

    name: str
    unit: Unit
    target: Target


KINDS = {
    "jobs": Kind(f"jobs/s, {CLIENTS} clients", Unit.PER_SECOND, _SLOWER),
    "start": Kind("start, p50", Unit.SECONDS, _LONGER),
    "start_p99": Kind("start, p99", Unit.SECONDS, _LONGER),
    "stop": Kind("stop, 1 process", Unit.SECONDS, _LONGER),
    "stop_200": Kind("stop, 200 processes", Unit.SECONDS, _LONGER),
    "page": Kind("first page of the list", Unit.SECONDS, _LONGER),
    "read": Kind("read when finished", Unit.BYTES_PER_SECOND, _SLOWER),
    "follow": Kind("follow while written", Unit.BYTES_PER_SECOND, _SLOWER),
    "follow_8": Kind(f"follow while written, {CLIENTS} clients, sum", Unit.BYTES_PER_SECOND, _SLOWER),
    "delay": Kind("write to receipt, p50", Unit.SECONDS, _LONGER),
    "delay_p99": Kind("write to receipt, p99", Unit.SECONDS, _LONGER),
    "lines": Kind("lines of 100 bytes, followed", Unit.SECONDS, _LONGER),
    "follower": Kind("RSS for each follower, waiting", Unit.BYTES, Below(MOST_BYTES["follower"])),
    "unfollowed": Kind("CPU time for each GiB that nobody follows", Unit.SECONDS, _LONGER),
    "idle": Kind("idle, of a core", Unit.CORES, Below(MOST_CORES_IDLE)),
}


@dataclass(frozen=True, slots=True)
class Probed:
    """A daemon that is looked at.

    Attributes:
        world: Gives folders and programs.
        daemon: The daemon.
        clients: As many as there are at once, each connected to it.
        readers: As many, each a process.
    """

    world: World
    daemon: Daemon
    clients: Sequence[Client]
    readers: Readers


Probe: TypeAlias = "Callable[[Probed, ProbeSizes], dict[str, float]]"


@contextmanager
def probed(world: World, daemon: Daemon) -> Iterator[Probed]:
    """Connects all that look at a daemon."""
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(CLIENTS)]
        readers = stack.enter_context(reading(daemon.address, world.certs, "log", CLIENTS))
        yield Probed(world, daemon, clients, readers)


def _jobs(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    return {"jobs": rate(of.clients, sizes.jobs // len(of.clients))}


def _starts(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    taken = time_starts(of.clients[0], sizes.latency_starts)
    return {"start": statistics.median(taken), "start_p99": percentile(taken, 99)}


def _stops(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    counts = {"stop": (1, sizes.stops), "stop_200": (200, sizes.stops_200)}
    return {
        key: statistics.median(stop_seconds(of.clients[0], processes) for _ in range(stops))
        for key, (processes, stops) in counts.items()
    }


def _page(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    taken = []
    for _ in range(sizes.pages):
        began = time.perf_counter()
        of.clients[0].stub.ListJobs(pb.ListJobsRequest())
        taken.append(time.perf_counter() - began)
    return {"page": statistics.median(taken)}


def _streams(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    client, size = of.clients[0], sizes.output_bytes
    alone, follow = followed(client, of.readers, 1, size)
    read = of.readers.rate(alone, size)
    client.delete(alone)
    shared, together = followed(client, of.readers, CLIENTS, size)
    client.delete(shared)
    return {"read": read, "follow": follow, "follow_8": together}


def _delays(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    taken = delays(of.clients[0], sizes.delay_lines)
    return {"delay": statistics.median(taken), "delay_p99": percentile(taken, 99)}


def _lines(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    command = [str(of.world.limit("write_lines")), str(sizes.small_lines)]
    return {"lines": time_followed(of.clients[0], command, sizes.small_lines * LINE_BYTES)}


def _memory(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    waiting, _ = follower_bytes(of.world, of.daemon, of.clients[0], sizes.followers)
    return {"follower": waiting}


def _cpu(of: Probed, sizes: ProbeSizes) -> dict[str, float]:
    spent = unfollowed(of.daemon, of.clients[0], sizes.unfollowed_bytes)
    return {"unfollowed": spent, "idle": idling(of.daemon, sizes.idle_seconds)}


PROBES: Sequence[Probe] = (_jobs, _starts, _stops, _page, _streams, _delays, _lines, _memory, _cpu)
"""What is measured, in this order; together they give a value of each kind."""
