"""What a campaign did, and what was lost."""

from __future__ import annotations

import dataclasses
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from jobworker_chaos.world import ChaosDaemon


@final
@dataclass(slots=True)
class Figures:
    """The figures of one campaign.

    Attributes:
        seed: What it was made of.
        victim: Who was killed.
        jobs: How many jobs there were.
        seconds: How long all of it took.
        daemons_killed: How many daemons were killed while jobs started, ran and ended.
        daemons_killed_while_starting: How many of them before they were ready.
        daemons_upgraded: How many daemons were ended in order, with jobs kept, for another one.
        supervisors_killed: How many supervisors were killed.
        connections_cut: How many connections the proxy has cut.
        follows_resumed: How many times a follower that was cut off, in either way, went on.
        calls_repeated: How many starts and stops had to be asked for again.
        jobs_compared: How many jobs' outcomes were compared.
        jobs_lost: How many of them were lost with their supervisor, and said so.
        bytes_followed: How many bytes of live streams were compared.
        bytes_read_again: How many bytes were compared when all was over.
        problems: Every loss: a byte, an outcome, a run too many or too few, something left behind.
    """

    seed: int
    victim: str
    jobs: int
    seconds: float = 0.0
    daemons_killed: int = 0
    daemons_killed_while_starting: int = 0
    daemons_upgraded: int = 0
    supervisors_killed: int = 0
    connections_cut: int = 0
    follows_resumed: int = 0
    calls_repeated: int = 0
    jobs_compared: int = 0
    jobs_lost: int = 0
    bytes_followed: int = 0
    bytes_read_again: int = 0
    problems: list[str] = field(default_factory=list)

    @property
    def losses(self) -> int:
        """How many things were lost."""
        return len(self.problems)

    def note_daemon(self, daemon: ChaosDaemon) -> None:
        """Takes over what has been done to a daemon so far."""
        self.daemons_killed = daemon.kills
        self.daemons_killed_while_starting = daemon.kills_while_starting
        self.daemons_upgraded = daemon.upgrades
        self.supervisors_killed = daemon.supervisors_killed

    def table(self) -> str:
        """Returns the figures for people, a line each, and then every loss."""
        rows = self._rows()
        width = max(map(len, rows))
        # A seed is a name rather than a number.
        values = {**{name: f"{value:,}" for name, value in rows.items() if name != "victim"}, "seed": str(self.seed)}
        lines = [f"{name.replace('_', ' '):{width}} {value:>15}" for name, value in values.items()]
        return "\n".join([f"{'killed':{width}} {self.victim:>15}", *lines, *self.problems])

    def line(self) -> str:
        """Returns the figures as one line of JSON."""
        return json.dumps(self._rows())

    def _rows(self) -> dict[str, int | float | str]:
        rows = dataclasses.asdict(self)
        del rows["problems"]
        return {**rows, "losses": self.losses}
