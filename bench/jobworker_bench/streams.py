"""How fast clients get a large output, finished and while it is written, beside a bare TLS socket and bare gRPC."""

from __future__ import annotations

import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobworker_bench import bare_grpc, bare_tls
from jobworker_bench.client import writer
from jobworker_bench.figures import AtLeast, Figure
from jobworker_bench.readers import Readers, reading
from jobworker_bench.units import Unit

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.figures import Target
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import Daemon, World

CLIENTS = 8
_LIMIT = "a bare TLS 1.3 socket, same file"


@dataclass(slots=True)
class _Rates:
    """Bytes a second, one value a round."""

    tls: list[float] = field(default_factory=list)
    grpc: list[float] = field(default_factory=list)
    read: list[float] = field(default_factory=list)
    follow: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    grpc_together: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Parties:
    """Who takes part in a round."""

    daemon: Daemon
    client: Client
    logs: Readers
    bare: Readers

    def round(self, rates: _Rates, size: int) -> None:
        """Measures everything once."""
        job_id, rate = followed(self.client, self.logs, 1, size)
        rates.follow.append(rate)
        file = self.daemon.state_dir / "logs" / f"{job_id}.stdout"
        rates.tls.append(bare_tls.receive_rate(self.daemon.certs, file))
        rates.read.append(self.logs.rate(job_id, size))
        rates.grpc.append(self.bare.rate(str(file), size))
        rates.grpc_together.append(self.bare.rate(str(file), size, CLIENTS))
        # Else the next would pay for writing this output back to the disk.
        self.client.delete(job_id)
        job_id, rate = followed(self.client, self.logs, CLIENTS, size)
        rates.together.append(rate)
        self.client.delete(job_id)


def followed(client: Client, readers: Readers, count: int, size: int) -> tuple[str, float]:
    """Starts a job that writes, has clients follow it, and returns its id and the sum of their rates, in bytes/s.

    Args:
        client: Starts it.
        readers: They follow it.
        count: How many of them.
        size: Of the output, in bytes; a multiple of 64 KiB.

    Raises:
        RuntimeError: If not every byte came.
    """
    begin = time.monotonic()
    job_id = client.start(writer(size))
    readers.begin(job_id, count)
    return job_id, count * size / (readers.finish(count, size) - begin)


def measure(world: World, sizes: Sizes) -> Iterator[Figure]:
    """Measures in interleaved rounds, the limit in each of them.

    Args:
        world: Gives the daemon.
        sizes: How much, and how often.

    Raises:
        RuntimeError: If not every byte came.
    """
    rates = _Rates()
    with ExitStack() as stack:
        daemon = stack.enter_context(world.daemon("--log-limit=0"))
        parties = _Parties(
            daemon,
            stack.enter_context(daemon.connect()),
            stack.enter_context(reading(daemon.address, world.certs, "log", CLIENTS)),
            stack.enter_context(
                reading(stack.enter_context(bare_grpc.serving(world.certs)), world.certs, "file", CLIENTS)
            ),
        )
        for _ in range(sizes.rounds):
            parties.round(rates, sizes.output_bytes)
    yield from _figures(rates, sizes.output_bytes)


def _figures(rates: _Rates, size: int) -> Iterator[Figure]:
    what = f"{size >> 20} MiB"
    rows: list[tuple[str, str, list[float], Target | None]] = [
        ("read_finished", f"read {what} when finished", rates.read, AtLeast(times=0.9)),
        ("follow_written", f"follow {what} while written", rates.follow, AtLeast(times=0.7)),
        ("follow_8_clients", f"follow {what} while written, {CLIENTS} clients, sum", rates.together, AtLeast(times=1)),
        ("bare_grpc_stream", f"{what} from a bare grpc.aio server, same frames", rates.grpc, None),
        (
            "bare_grpc_8_clients",
            f"{what} from a bare grpc.aio server, same frames, {CLIENTS} clients, sum",
            rates.grpc_together,
            None,
        ),
    ]
    for key, name, values, target in rows:
        yield Figure(key, "streams", name, Unit.BYTES_PER_SECOND, tuple(values), _LIMIT, tuple(rates.tls), target)
