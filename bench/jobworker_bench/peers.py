"""Other programs that run commands for clients, under the same load, beside us: those that are installed here."""

from __future__ import annotations

import subprocess
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from jobworker_bench import peer_queues, peer_ssh, peer_supervisord
from jobworker_bench.figures import AtMost, Figure, NotRun
from jobworker_bench.jobs import PROGRAM, finish_newest, rate
from jobworker_bench.peer import Peer, UnavailableError, at_once
from jobworker_bench.units import Unit
from jobworker_testing import client_options

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker_bench.client import Client
    from jobworker_bench.peer import Crowd
    from jobworker_bench.sizes import Sizes
    from jobworker_bench.world import Daemon, World

_CLIENTS = 8
# Of a process that imports much, or a handshake, for each job.
_SLOW = 0.1
_SSH = ("sshd", "ssh", "ssh-keygen")
_PEERS = (
    Peer("ssh", "ssh, a connection for each job", _SSH, peer_ssh.connection_each, _SLOW),
    Peer("ssh_multiplexed", "ssh, one connection for all", _SSH, peer_ssh.multiplexed),
    Peer("supervisord", "supervisord, XML-RPC", ("supervisord",), peer_supervisord.api),
    Peer("task_spooler", "task-spooler", ("tsp",), peer_queues.task_spooler),
    Peer("pueue", "pueue", ("pueued", "pueue"), peer_queues.pueue),
)


@dataclass(slots=True)
class _Contender:
    """Who runs the load.

    Attributes:
        key: Names it in the figure's key.
        name: Names it for people.
        each: Jobs that each client starts in a round.
        crowd: Runs the load.
        rates: Jobs a second, one a round.
    """

    key: str
    name: str
    each: int
    crowd: Crowd
    rates: list[float] = field(default_factory=list)

    def measure(self) -> None:
        began = time.perf_counter()
        self.crowd(_CLIENTS, self.each)
        self.rates.append(_CLIENTS * self.each / (time.perf_counter() - began))


def measure(world: World, sizes: Sizes) -> Iterator[Figure | NotRun]:
    """Measures peers and us in turns: how many jobs a second 8 clients get started and finished.

    Its targets are met by peers that are no faster than we are. Our worker-cli, a process for each job as most peers'
    clients are, stands among them without a target.

    Raises:
        RuntimeError: If one of our jobs did not succeed.
        subprocess.CalledProcessError: If our worker-cli failed.
    """
    each = sizes.peer_jobs // _CLIENTS
    own: list[float] = []
    with ExitStack() as stack:
        daemon = stack.enter_context(world.daemon())
        clients = [stack.enter_context(daemon.connect()) for _ in range(_CLIENTS)]
        cli = _cli(world, daemon, clients[0])
        others = [_Contender("worker_cli", "our worker-cli, a process for each job", _few(each), cli)]
        for peer in _PEERS:
            try:
                others.append(_contender(world, peer, each, stack))
            except UnavailableError as error:
                yield _not_run(peer.key, peer.name, error)
        for _ in range(sizes.rounds):
            own.append(rate(clients, each))
            for other in list(others):
                try:
                    other.measure()
                except UnavailableError as error:
                    others.remove(other)
                    yield _not_run(other.key, other.name, error)
    for other in others:
        target = None if other.key == "worker_cli" else AtMost(1)
        yield Figure(
            f"peer_{other.key}",
            "peers",
            f"jobs/s, {other.name}",
            Unit.PER_SECOND,
            tuple(other.rates),
            "we, Python client",
            tuple(own),
            target,
        )


def _not_run(key: str, name: str, error: UnavailableError) -> NotRun:
    return NotRun(f"peer_{key}", "peers", f"jobs/s, {name}", str(error))


def _few(each: int) -> int:
    return max(1, round(each * _SLOW))


def _contender(world: World, peer: Peer, each: int, stack: ExitStack) -> _Contender:
    """Runs a peer until the stack is unwound.

    Raises:
        UnavailableError: If it is not installed, or doesn't work here.
    """
    if program := peer.missing():
        raise UnavailableError(f"{program} is not installed")
    crowd = stack.enter_context(peer.run(world.folder("peer"), _CLIENTS * each))
    # That it works, before anything is measured.
    crowd(1, 1)
    return _Contender(peer.key, peer.name, each if peer.share == 1 else _few(each), crowd)


def _cli(world: World, daemon: Daemon, client: Client) -> Crowd:
    """Returns a crowd of worker-cli's processes."""
    reach = [f"--address={daemon.address}", *client_options(daemon.certs)]
    command = [*world.cli_command, *reach, "start", "--", PROGRAM]

    def start(each: int) -> None:
        for _ in range(each):
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)

    def crowd(clients: int, each: int) -> None:
        at_once(clients, lambda: start(each))
        finish_newest(client, clients * each)

    return crowd
