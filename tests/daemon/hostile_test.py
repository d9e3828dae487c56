"""Whatever is sent to the daemon's port, a good client is served throughout, within bounded memory and log."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon_world import new_world
from hostile_world import served_throughout, target_of
from jobworker_hostile import ATTACKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from daemon_world import Pki, World


@pytest.fixture(scope="module")
def attacked(pki: Pki) -> Iterator[World]:
    """A daemon that the attacks share, so that each meets what the others have left; it lets calls pile up."""
    with new_world(pki, "--handshake-timeout=3s", "--max-calls-per-connection=250") as made:
        yield made


@pytest.mark.parametrize("attack", ATTACKS)
def test_a_good_client_is_served(attacked: World, attack: str) -> None:
    """While an attack lasts each call is answered, a follow goes on, new connections are made, and nothing fills up."""
    with served_throughout(attacked):
        ATTACKS[attack](target_of(attacked))
