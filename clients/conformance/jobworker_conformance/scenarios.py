"""The scenarios as their file has them, checked; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, final

import yaml

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

IDENTITIES = ("full", "log", "unknown", "expired", "foreign", "none")
DAEMONS = ("main", "many", "tight")
OPERATIONS = ("start", "stop", "get", "delete", "list", "list_all", "read", "follow", "health", "reflection")
_KEYS = {"name", "about", "identity", "daemon", "cut", "steps", "expect"}


class ScenarioError(ValueError):
    """The file of scenarios is wrong; whoever changed it has to mend it."""


@final
@dataclass(frozen=True, slots=True)
class Scenario:
    """What a client does, and what has to come of it.

    Attributes:
        name: What it is called.
        about: What it shows, in a sentence.
        identity: Whose certificate the client has, one of `IDENTITIES`.
        daemon: Which daemon it calls, one of `DAEMONS`.
        cut: After how many bytes from the daemon each of the client's connections in turn is cut.
        steps: What the driver is told to do.
        expect: What has to be in each step's result.
    """

    name: str
    about: str
    identity: str
    daemon: str
    cut: tuple[int, ...]
    steps: Sequence[Mapping[str, object]]
    expect: Sequence[Mapping[str, object]]


def parse_scenarios(text: str) -> list[Scenario]:
    """Returns the scenarios that a YAML text holds.

    Raises:
        ScenarioError: If it isn't such a list; whoever changed it has to mend it.
    """
    document = yaml.safe_load(text)
    if not isinstance(document, list):
        raise ScenarioError("no list of scenarios")
    scenarios = [_scenario(one) for one in document]
    names = [one.name for one in scenarios]
    if len(set(names)) != len(names):
        raise ScenarioError("two scenarios have the same name")
    return scenarios


def _scenario(fields: Mapping[str, Any]) -> Scenario:
    name = fields.get("name", "?")
    if unknown := fields.keys() - _KEYS:
        raise ScenarioError(f"{name}: unknown keys {sorted(unknown)}")
    scenario = Scenario(
        name=name,
        about=fields["about"],
        identity=fields.get("identity", "full"),
        daemon=fields.get("daemon", "main"),
        cut=tuple(fields.get("cut", ())),
        steps=fields["steps"],
        expect=fields["expect"],
    )
    if scenario.identity not in IDENTITIES or scenario.daemon not in DAEMONS:
        raise ScenarioError(f"{name}: no such identity or daemon")
    if len(scenario.steps) != len(scenario.expect):
        raise ScenarioError(f"{name}: {len(scenario.steps)} steps and {len(scenario.expect)} expectations")
    for step in scenario.steps:
        if step.get("op") not in OPERATIONS:
            raise ScenarioError(f"{name}: no operation {step.get('op')!r}")
    return scenario
