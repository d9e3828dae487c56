"""How long a broken connection is borne."""

from __future__ import annotations

import pytest

from jobworker.client.outage import LONGEST_PAUSE, STANDING, Outage
from jobworker.client.settings import PATIENCE


def test_pauses_grow_up_to_the_longest() -> None:
    """Each pause is twice the one before, until it is long enough."""
    outage = Outage()
    pauses = [outage.pause(now=0, chance=1) for _ in range(8)]
    assert pauses == pytest.approx([0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0])


def test_chance_spreads_the_pauses() -> None:
    """Clients of one daemon do not come back at one moment, and none at once."""
    assert Outage().pause(now=0, chance=0) == pytest.approx(0.05)
    assert Outage().pause(now=0, chance=0.5) == pytest.approx(0.075)


def test_patience_ends() -> None:
    """A time without progress is borne for so long and no longer."""
    outage = Outage()
    assert outage.pause(now=100, chance=0) is not None
    assert outage.pause(now=100 + PATIENCE - 1, chance=0) is not None
    assert outage.pause(now=100 + PATIENCE, chance=0) is None


def test_progress_begins_anew() -> None:
    """After progress, patience and pauses are as at the start."""
    outage = Outage()
    for _ in range(9):
        outage.pause(now=0, chance=1)
    outage.over()
    assert outage.pause(now=PATIENCE * 2, chance=1) == pytest.approx(0.1)
    assert outage.since == PATIENCE * 2


def test_a_call_that_stood_is_progress() -> None:
    """A job that writes nothing for hours may outlive any number of broken connections."""
    outage = Outage(since=0, pauses=5)
    outage.stood(STANDING)
    assert outage == Outage()


def test_a_call_that_broke_at_once_is_no_progress() -> None:
    """A server that takes calls only to drop them is not borne forever."""
    outage = Outage(since=0, pauses=5)
    outage.stood(STANDING / 2)
    assert outage == Outage(since=0, pauses=5)


def test_no_pause_is_longer_than_the_longest() -> None:
    """However long an outage lasts, its end is noticed soon."""
    outage = Outage(since=0, pauses=500)
    assert outage.pause(now=1, chance=1) == LONGEST_PAUSE


def test_patience_is_the_callers() -> None:
    """Who wants to wait for longer, or not at all, can say so."""
    outage = Outage(patience=600)
    assert outage.pause(now=0, chance=0) is not None
    assert outage.pause(now=599, chance=0) is not None
    assert outage.pause(now=600, chance=0) is None
    assert Outage(patience=0).pause(now=0, chance=0) is None
