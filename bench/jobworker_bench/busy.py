"""What keeps a daemon busy for as long as it is looked at."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, TypeAlias

from jobworker_bench.cpu import quiet
from jobworker_bench.lines import LINE_BYTES
from jobworker_bench.readers import reading

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from contextlib import AbstractContextManager

    from jobworker_bench.world import Daemon, World

_CLIENTS = 8
_OUTPUT_BYTES = 256 << 20
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
        clients = [stack.enter_context(daemon.connect()) for _ in range(_CLIENTS)]
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
def _following(daemon: Daemon, command: Sequence[str], size: int) -> Iterator[None]:
    """A client follows one job after the other."""
    with daemon.connect() as client, reading(daemon.address, daemon.certs, "log", 1) as readers:

        def follow() -> None:
            job_id = client.start(command)
            readers.rate(job_id, size)
            client.delete(job_id)

        with _repeated([follow]):
            yield


@contextmanager
def _follow(_world: World, daemon: Daemon) -> Iterator[None]:
    """They write blocks of 64 KiB."""
    command = ["dd", "if=/dev/zero", "bs=64K", f"count={_OUTPUT_BYTES >> 16}", "status=none"]
    with _following(daemon, command, _OUTPUT_BYTES):
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
    "crowd": _crowd,
    "follow": _follow,
    "read": _read,
    "lines": _lines,
    "idle": _idle,
}
