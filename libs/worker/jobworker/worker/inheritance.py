"""What a worker's jobs inherit beside their environment: a working directory, a user, and how far its rights go."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.supervisor.inheritance import JobUser
from jobworker.supervisor.protocol import Configure

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["Inheritance", "JobUser"]


@final
@dataclass(frozen=True, slots=True)
class Inheritance:
    """What each job is given.

    Attributes:
        directory: The absolute path of its working directory; None is that of the process that opens the worker.
        run_as: Whom it runs as, with that user's groups; None is this process's own user. Another one takes root's
            rights.
        no_new_privileges: Whether set-user-ID programs, and their like, give it no rights (PR_SET_NO_NEW_PRIVS).
    """

    directory: str | None = None
    run_as: JobUser | None = None
    no_new_privileges: bool = False

    def configure(self, environment: Mapping[str, str], cgroup_root: str, log_limit: int) -> Configure:
        """Returns what the supervisor is to be told of all that jobs are given."""
        user = self.run_as
        return Configure(
            environment=dict(environment),
            directory=_here() if self.directory is None else self.directory,
            cgroup_root=cgroup_root,
            log_limit=log_limit,
            uid=user and user.uid,
            gid=user.gid if user else 0,
            groups=list(user.groups) if user else [],
            no_new_privileges=self.no_new_privileges,
        )


def _here() -> str:
    """Returns this process's working directory, or the root if that has gone or is not for this user to be in."""
    try:
        here = os.getcwd()
        return here if os.access(here, os.X_OK) else "/"
    except OSError:
        return "/"
