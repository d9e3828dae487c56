"""The parts depend on each other in the directions that the design allows, and in no other."""

import os
from pathlib import Path

import pytest


def packages(part: str) -> set[str]:
    """Returns the packages of what a part depends on, itself included, external ones by repository."""
    labels = Path(os.environ[part]).read_text().split()
    return {label.lstrip("@").partition("//")[0] or label.partition(":")[0] for label in labels}


def test_library_needs_nothing_but_the_standard_library() -> None:
    """No wheel, no generated code: anyone can embed it."""
    assert {name for name in packages("LIBRARY") if name.startswith("//") or "pypi" in name} == {"//libs/worker"}


@pytest.mark.parametrize("forbidden", ["//libs/worker", "//services/daemon"])
def test_cli_needs_the_api_and_its_client_alone(forbidden: str) -> None:
    """It talks to the daemon over the network, and shares no code with it."""
    found = packages("CLI")
    assert {"//clients/python", "//proto"} <= found
    assert forbidden not in found
