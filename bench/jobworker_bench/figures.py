"""Figures: what was measured in each round, the limit measured beside it, and what was wanted; no I/O."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

from jobworker_bench.units import TIMES, Unit, shown

if TYPE_CHECKING:
    from collections.abc import Sequence

_FEWEST_FOR_QUARTILES = 5


@final
@dataclass(frozen=True, slots=True)
class AtLeast:
    """The value shall be at least so many times the limit."""

    times: float

    def text(self, unit: Unit) -> str:  # noqa: ARG002 - as the other targets
        """Returns the target for people."""
        return f"≥ {self.times:g} {TIMES}"

    def line(self, limit: float) -> float:
        """Returns the value that just meets it, beside a limit."""
        return self.times * limit


@final
@dataclass(frozen=True, slots=True)
class AtMost:
    """The value shall be at most so many times the limit, and so much more, in the figure's unit."""

    times: float
    plus: float = 0

    def text(self, unit: Unit) -> str:
        """Returns the target for people."""
        return f"≤ {self.times:g} {TIMES}" + (f" + {shown(self.plus, unit)}" if self.plus else "")

    def line(self, limit: float) -> float:
        """Returns the value that just meets it, beside a limit."""
        return self.times * limit + self.plus


@final
@dataclass(frozen=True, slots=True)
class Below:
    """The value shall be no greater than this one, in the figure's unit, whatever the limit."""

    value: float

    def text(self, unit: Unit) -> str:
        """Returns the target for people."""
        return f"≤ {shown(self.value, unit)}"

    def line(self, limit: float) -> float:  # noqa: ARG002 - as the other targets
        """Returns the value that just meets it."""
        return self.value


Target: TypeAlias = AtLeast | AtMost | Below


@final
@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the report.

    Attributes:
        key: Names it in the JSON, the same for ever: jobs_per_second_8.
        group: The load that measures it, whose figures share a plot.
        name: Names it for people.
        unit: What the values and limits are in.
        values: One a round.
        limit: What it stands beside; empty if it stands alone.
        limits: What came out for that, one a round, in the same rounds.
        target: What is wanted; None if nothing is.
    """

    key: str
    group: str
    name: str
    unit: Unit
    values: tuple[float, ...]
    limit: str = ""
    limits: tuple[float, ...] = ()
    target: Target | None = None

    def __post_init__(self) -> None:
        """Checks that it can be told.

        Raises:
            ValueError: If there is no value, not one limit for each, a limit without a name, or a target that needs
                limits without any: the load's fault.
        """
        if not self.values:
            raise ValueError(f"{self.key} has no values")
        if self.limits and len(self.limits) != len(self.values):
            raise ValueError(f"{self.key} has {len(self.values)} values beside {len(self.limits)} limits")
        if bool(self.limits) != bool(self.limit):
            raise ValueError(f"{self.key}: a limit needs a name and values")
        if isinstance(self.target, AtLeast | AtMost) and not self.limits:
            raise ValueError(f"{self.key} has no limit to compare with")

    @property
    def median(self) -> float:
        """The median of the rounds."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The quartiles of the rounds, or the lowest and the highest of fewer than five."""
        return spread(self.values)

    @property
    def limit_median(self) -> float | None:
        """The limit's median; None if there is none."""
        return statistics.median(self.limits) if self.limits else None

    @property
    def ratio(self) -> float | None:
        """The median of the rounds' values as multiples of their limits; None if there is no limit."""
        if not self.limits:
            return None
        return statistics.median(value / limit for value, limit in zip(self.values, self.limits, strict=True))

    @property
    def met(self) -> bool | None:
        """Whether the target was met in the median round; None if there is none."""
        pairs = list(zip(self.values, self.limits, strict=bool(self.limits)))
        match self.target:
            case None:
                return None
            case AtLeast(times):
                return statistics.median(value / limit for value, limit in pairs) >= times
            case AtMost(times, plus):
                return statistics.median((value - plus) / limit for value, limit in pairs) <= times
            case Below(value):
                return self.median <= value


@final
@dataclass(frozen=True, slots=True)
class NotRun:
    """What could not be measured here, such as a peer that is not installed.

    Attributes:
        key: As a figure's.
        group: As a figure's.
        name: As a figure's.
        why: What is missing.
    """

    key: str
    group: str
    name: str
    why: str


def spread(values: Sequence[float]) -> tuple[float, float]:
    """Returns the quartiles of some values, or the lowest and the highest of fewer than five."""
    if len(values) < _FEWEST_FOR_QUARTILES:
        return min(values), max(values)
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def percentile(values: Sequence[float], percent: int) -> float:
    """Returns a percentile, 1 to 99, of at least two values."""
    return statistics.quantiles(values, n=100, method="inclusive")[percent - 1]
