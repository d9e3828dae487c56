"""Jobs lose nothing while their daemon is killed and whoever follows them is cut off: the short form of the soak.

JOBWORKER_CHAOS_SEED makes it another campaign.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker_chaos import campaign
from jobworker_chaos.campaign import Order, Victim
from jobworker_chaos.world import Setting

if TYPE_CHECKING:
    from jobworker_chaos.figures import Figures

_SEED = int(os.environ.get("JOBWORKER_CHAOS_SEED", "1"))
_DAEMON = Path(os.environ["WORKER_DAEMON"]).absolute()
_CERTS = Path("certs").absolute()
_LIMIT_SECONDS = 120.0
"""Against hanging for ever; a campaign takes some 20 s."""


async def _run(order: Order, cgroup_root: str, capsys: pytest.CaptureFixture[str]) -> Figures:
    setting = Setting(_DAEMON, _CERTS, cgroup_root)
    figures = await campaign.run(order, setting)
    with capsys.disabled():
        print(f"\n{figures.table()}\n{figures.line()}")
    assert figures.problems == []
    assert figures.jobs_compared == order.jobs
    return figures


async def test_nothing_is_lost(capsys: pytest.CaptureFixture[str]) -> None:
    """Every byte, outcome and run of 200 jobs is right though their daemon was killed 5 times, and nothing is left."""
    order = Order(seed=_SEED, jobs=200, kills=5, seconds=10, limit=_LIMIT_SECONDS)
    figures = await _run(order, "auto", capsys)
    assert figures.daemons_killed == 5
    assert figures.jobs_lost == 0
    assert figures.connections_cut > 0
    assert figures.bytes_followed == figures.bytes_read_again > 0


@pytest.mark.parametrize("cgroup_root", ["auto", "off"])
@pytest.mark.parametrize("victim", [Victim.SUPERVISOR, Victim.BOTH], ids=lambda victim: victim.value)
async def test_what_a_dead_supervisor_takes_along(
    victim: Victim, cgroup_root: str, capsys: pytest.CaptureFixture[str]
) -> None:
    """A job of one that was killed is lost and says so, or has its true end; what it wrote is what it should have."""
    order = Order(seed=_SEED, jobs=40, kills=2, seconds=3, limit=_LIMIT_SECONDS, victim=victim)
    figures = await _run(order, cgroup_root, capsys)
    assert figures.supervisors_killed > 0
    assert figures.jobs_lost > 0
