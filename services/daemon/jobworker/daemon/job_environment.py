"""The environment of jobs: who they run as and where programs are, and nothing of the daemon's own; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jobworker.daemon.accounts import Account

_OF_THE_HOST = ("PATH", "LANG")
_OF_A_USER = ("HOME", "USER", "LOGNAME", "SHELL")
_DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


def job_environment(environment: Mapping[str, str], own: Account | None, run_as: Account | None) -> dict[str, str]:
    """Returns the environment of jobs: PATH, LANG, HOME, USER, LOGNAME and SHELL, and no other variable.

    What else the daemon has is its own: GRPC_*, PYTHON* and RUNFILES* would change how a job's programs behave,
    NOTIFY_SOCKET and LISTEN_* would let a job speak for the daemon, TMPDIR may be closed to it, and JOBWORKER_* and the
    rest may be secret.

    Args:
        environment: The daemon's.
        own: The daemon's user, for what its environment doesn't say of it; None if the host doesn't know it.
        run_as: The user whom jobs run as, whose HOME, USER, LOGNAME and SHELL they get; None for the daemon's own.
    """
    made = {"PATH": _DEFAULT_PATH} | {name: environment[name] for name in _OF_THE_HOST if environment.get(name)}
    user = _variables(run_as or own)
    if run_as is None:
        user |= {name: environment[name] for name in _OF_A_USER if environment.get(name)}
    return made | user


def _variables(account: Account | None) -> dict[str, str]:
    if account is None:
        return {}
    values = (account.home, account.name, account.name, account.shell or "/bin/sh")
    return dict(zip(_OF_A_USER, values, strict=True))
