"""Where the daemon keeps its state unless told otherwise, by the XDG Base Directory Specification; no I/O."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from collections.abc import Mapping

OF_ROOT = Path("/var/lib/jobworker")
"""The system's own daemon has the system's own place."""


def default_state_dir(environment: Mapping[str, str], uid: int) -> Path:
    """Returns the state directory of a user's daemon.

    Args:
        environment: The process's environment.
        uid: The id of the user that it runs as.

    Raises:
        ConfigurationError: If the environment does not say where the user's files are; whoever started the daemon has
            to.
    """
    if uid == 0:
        return OF_ROOT
    # "If an implementation encounters a relative path in any of these variables it should consider the path invalid
    # and ignore it": https://specifications.freedesktop.org/basedir-spec/latest/
    state_home = Path(environment.get("XDG_STATE_HOME", ""))
    if not state_home.is_absolute():
        home = Path(environment.get("HOME", ""))
        if not home.is_absolute():
            raise ConfigurationError("no place for the state: neither XDG_STATE_HOME nor HOME is set; give --state-dir")
        state_home = home / ".local/state"
    return state_home / "jobworker"
