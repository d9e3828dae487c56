"""Where the daemon keeps its state unless told otherwise."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.state_home import default_state_dir

_USER = 1000


@pytest.mark.parametrize("environment", [{}, {"HOME": "/root", "XDG_STATE_HOME": "/root/state"}])
def test_root(environment: dict[str, str]) -> None:
    """Root's daemon is the system's, and its state is where a system's belongs, whatever root's own home."""
    assert default_state_dir(environment, 0) == Path("/var/lib/jobworker")


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({"XDG_STATE_HOME": "/state"}, "/state/jobworker"),
        ({"XDG_STATE_HOME": "/state", "HOME": "/home/user"}, "/state/jobworker"),
        ({"HOME": "/home/user"}, "/home/user/.local/state/jobworker"),
        ({"XDG_STATE_HOME": "", "HOME": "/home/user"}, "/home/user/.local/state/jobworker"),
        ({"XDG_STATE_HOME": "state", "HOME": "/home/user"}, "/home/user/.local/state/jobworker"),
    ],
)
def test_user(environment: dict[str, str], expected: str) -> None:
    """A user's is where XDG says, which has a relative path count as none."""
    assert default_state_dir(environment, _USER) == Path(expected)


@pytest.mark.parametrize("environment", [{}, {"HOME": ""}, {"HOME": "here"}, {"XDG_STATE_HOME": "state"}])
def test_nowhere(environment: dict[str, str]) -> None:
    """Without a home nothing is guessed."""
    with pytest.raises(ConfigurationError, match="neither XDG_STATE_HOME nor HOME is set; give --state-dir"):
        default_state_dir(environment, _USER)
