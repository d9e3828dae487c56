"""Which of the daemon's environment variables jobs get: an allow-list, so that nothing of the daemon's own leaks."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

_NAMES = frozenset({"PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "TZ", "TMPDIR"})
_LOCALE = "LC_"


def job_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Returns the environment of jobs, given the daemon's own.

    What says who the user is and how the host is set up is inherited: PATH, HOME, USER, LOGNAME, SHELL, LANG, LC_*, TZ
    and TMPDIR. Everything else is not: GRPC_*, PYTHON* and RUNFILES* would change how a job's programs behave,
    NOTIFY_SOCKET and LISTEN_* would let a job speak for the daemon, and JOBWORKER_* and the rest may be secret.
    """
    return {name: value for name, value in environment.items() if name in _NAMES or name.startswith(_LOCALE)}
