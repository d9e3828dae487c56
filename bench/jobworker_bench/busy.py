"""What keeps a daemon busy for as long as it is looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeAlias

from jobworker_bench.client import writer
from jobworker_bench.cpu import quiet, unfollowed
from jobworker_bench.delay import delays
from jobworker_bench.latency import time_starts
from jobworker_bench.lines import LINE_BYTES
from jobworker_bench.readers import reading
from jobworker_bench.stop import stop_seconds
from jobworker_bench.streams import CLIENTS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from jobworker_bench.world import Daemon, World

_OUTPUT_BYTES = 256 << 20
_PROCESSES = 200
_TICKS = 50
_LINES = 500_000
_CROWD = 10_000

Load: TypeAlias = "Callable[[World, Daemon], AbstractContextManager[None]]"
"""Goes on from entering the context to leaving it."""


@contextmanager
def _repeated(turns: Sequence[Callable[[], object]]) -> Iterator[None]:
    """Takes turns again and again, each in a thread of its own."""
    over = False

    def repeat(turn: Callable[[], object]) -> None:
        while not over:
            turn()

    with ThreadPoolExecutor(len(turns)) as pool:
        repeating = [pool.submit(repeat, turn) for turn in turns]
        try:
            yield
        finally:
            over = True
        for one in repeating:
            one.result()


@contextmanager
def _jobs(_world: World, daemon: Daemon) -> Iterator[None]:
    """Eight clients start one job after the other."""
    with ExitStack() as stack:
        clients = [stack.enter_context(daemon.connect()) for _ in range(CLIENTS)]
        with _repeated([_starting(client.start) for client in clients]):
            yield


def _starting(start: Callable[[Sequence[str]], str]) -> Callable[[], str]:
    return lambda: start(["/bin/true"])


@contextmanager
def _crowd(_world: World, daemon: Daemon) -> Iterator[None]:
    """While very many jobs run, one client starts and stops one after the other."""
    with daemon.connect() as client:
        client.start_many(["sleep", "infinity"], _CROWD)
        with _repeated([lambda: client.stop(client.start(["sleep", "infinity"]))]):
            yield


@contextmanager
def _following(daemon: Daemon, command: Sequence[str], size: int, count: int = 1) -> Iterator[None]:
    """Some clients follow one job after the other, each of them."""
    with daemon.connect() as client, reading(daemon.address, daemon.certs, "log", count) as readers:

        def follow() -> None:
            job_id = client.start(command)
            readers.rate(job_id, size, count)
            client.delete(job_id)

        with _repeated([follow]):
            yield


@contextmanager
def _start(_world: World, daemon: Daemon) -> Iterator[None]:
    """One client starts one job after the other, each when the one before has ended."""
    with daemon.connect() as client, _repeated([lambda: time_starts(client, 1)]):
        yield


@contextmanager
def _stop(_world: World, daemon: Daemon) -> Iterator[None]:
    """One client stops one job of 200 processes after the other."""
    with daemon.connect() as client, _repeated([lambda: stop_seconds(client, _PROCESSES)]):
        yield


@contextmanager
def _delay(_world: World, daemon: Daemon) -> Iterator[None]:
    """A client follows a job that writes a line each 20 ms."""
    with daemon.connect() as client, _repeated([lambda: delays(client, _TICKS)]):
        yield


@contextmanager
def _unfollowed(_world: World, daemon: Daemon) -> Iterator[None]:
    """One job after the other writes blocks of 64 KiB that nobody follows."""
    with daemon.connect() as client, _repeated([lambda: unfollowed(daemon, client, _OUTPUT_BYTES)]):
        yield


@contextmanager
def _follow(_world: World, daemon: Daemon) -> Iterator[None]:
    """They write blocks of 64 KiB."""
    with _following(daemon, writer(_OUTPUT_BYTES), _OUTPUT_BYTES):
        yield


@contextmanager
def _follow_8(_world: World, daemon: Daemon) -> Iterator[None]:
    """They write blocks of 64 KiB, and eight clients follow each."""
    with _following(daemon, writer(_OUTPUT_BYTES), _OUTPUT_BYTES, CLIENTS):
        yield


@contextmanager
def _lines(world: World, daemon: Daemon) -> Iterator[None]:
    """They write lines of 100 bytes."""
    with _following(daemon, [str(world.limit("write_lines")), str(_LINES)], _LINES * LINE_BYTES):
        yield


@contextmanager
def _read(_world: World, daemon: Daemon) -> Iterator[None]:
    """A client reads the log of a finished job again and again."""
    with daemon.connect() as client, reading(daemon.address, daemon.certs, "log", 1) as readers:
        job_id = client.start(["head", "-c", str(_OUTPUT_BYTES), "/dev/zero"])
        client.wait(job_id)
        with _repeated([lambda: readers.rate(job_id, _OUTPUT_BYTES)]):
            yield


@contextmanager
def _idle(world: World, daemon: Daemon) -> Iterator[None]:
    """Jobs run and are followed, and nothing happens."""
    with quiet(world, daemon):
        yield


LOADS: Mapping[str, Load] = {
    "jobs": _jobs,
    "start": _start,
    "stop": _stop,
    "crowd": _crowd,
    "delay": _delay,
    "follow": _follow,
    "follow-8": _follow_8,
    "unfollowed": _unfollowed,
    "read": _read,
    "lines": _lines,
    "idle": _idle,
}
