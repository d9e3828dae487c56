"""A campaign: jobs start, are followed and end while their daemon is killed and their connections are cut."""

from __future__ import annotations

import asyncio
import enum
import random
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, final

from jobworker_chaos import plan, world
from jobworker_chaos.audit import audit
from jobworker_chaos.calls import Calls
from jobworker_chaos.figures import Figures
from jobworker_chaos.life import Life
from jobworker_chaos.proxy import ChaosProxy

if TYPE_CHECKING:
    from jobworker_chaos.world import ChaosDaemon, Setting

_CONNECTIONS = 12
_CUTS_PER_SECOND = 3.0
_UPGRADES_PER_KILL = 0.2


@final
class Victim(enum.Enum):
    """Who is killed."""

    DAEMON = "daemon"
    SUPERVISOR = "supervisor"
    BOTH = "both"


@final
@dataclass(frozen=True, slots=True)
class Order:
    """What a campaign is to be.

    Attributes:
        seed: Decides on all that is left to chance, but for when things happen to the very moment.
        jobs: How many jobs.
        kills: How many times to kill.
        seconds: How long the trouble lasts, at least.
        limit: How many seconds all of it may take.
        victim: Whom to kill.
    """

    seed: int
    jobs: int
    kills: int
    seconds: float
    limit: float
    victim: Victim = Victim.DAEMON


async def run(order: Order, setting: Setting) -> Figures:
    """Runs a campaign, and returns what it did and what was lost.

    Raises:
        TimeoutError: If it takes too long; the message says who still waits for what.
        DaemonDiedError: If the daemon ends by itself.
        grpc.aio.AioRpcError: If a call fails in another way than by an outage.
    """
    plans = plan.make(order.seed, order.jobs, order.seconds)
    begun = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="jobworker-chaos-") as scratch, world.running(setting) as daemon:
        lives = [Life(one, Path(scratch, "runs"), may_be_lost=order.victim is not Victim.DAEMON) for one in plans]
        deadline = asyncio.get_running_loop().time() + order.limit
        figures = await _live(order, setting, daemon, lives, deadline)
        async with asyncio.timeout_at(deadline):
            await audit(setting, daemon, lives, figures)
    figures.seconds = round(time.monotonic() - begun, 1)
    return figures


async def _live(order: Order, setting: Setting, daemon: ChaosDaemon, lives: list[Life], deadline: float) -> Figures:
    rng = random.Random(f"trouble {order.seed}")  # noqa: S311 - chance, not secrets
    async with ChaosProxy(daemon.address, rng) as proxy, Calls(proxy.address, setting.certs, _CONNECTIONS) as calls:
        connecting = asyncio.create_task(calls.keep_connecting())
        try:
            async with asyncio.timeout_at(deadline), asyncio.TaskGroup() as tasks:
                for life in lives:
                    tasks.create_task(life.live(calls))
                await _trouble(order, daemon, proxy, rng)
                proxy.calm()
        except TimeoutError:
            waiting = "\n".join(repr(life) for life in lives if life.end is None)
            raise TimeoutError(
                f"not over after {order.limit} s; {daemon!r} {proxy!r} {calls!r}; not ended:\n{waiting}"
            ) from None
        finally:
            connecting.cancel()
    figures = Figures(seed=order.seed, victim=order.victim.value, jobs=len(lives))
    figures.note_daemon(daemon)
    figures.connections_cut, figures.calls_repeated = proxy.cuts, calls.retries
    return figures


async def _trouble(order: Order, daemon: ChaosDaemon, proxy: ChaosProxy, rng: random.Random) -> None:
    cutting = asyncio.create_task(_cut(proxy, rng))
    try:
        for pause in world.moments(rng, order.kills, order.seconds):
            await asyncio.sleep(pause)
            if order.victim is not Victim.DAEMON:
                daemon.kill_supervisor()
            if order.victim is not Victim.SUPERVISOR:
                await _kill(daemon, rng, order.kills)
            if rng.random() < _UPGRADES_PER_KILL:
                await daemon.upgrade()
    finally:
        cutting.cancel()


async def _kill(daemon: ChaosDaemon, rng: random.Random, most: int) -> None:
    """Kills a daemon and has another one take over, which may be killed too before it comes to that."""
    if daemon.kills < most:
        await daemon.kill()
        while daemon.kills < most and (seconds := world.chance_of_start(rng)) is not None:
            await daemon.start_and_kill(seconds)
        await daemon.start()


async def _cut(proxy: ChaosProxy, rng: random.Random) -> None:
    while True:
        await asyncio.sleep(rng.expovariate(_CUTS_PER_SECOND))
        proxy.cut()
