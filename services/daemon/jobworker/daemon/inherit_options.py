"""The options that say what jobs inherit; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from jobworker.daemon.values import Values

USAGE = """\
  --run-jobs-as=<user>
                      The user whom jobs run as, with that user's groups, by name or number. It takes a daemon that is
                      root; root says that jobs are to be root's, too. (default: the daemon's own user)
  --job-directory=<path>
                      The directory that jobs work in. (default: /)
  --no-new-privileges
                      Have set-user-ID programs, such as sudo, give jobs no rights beyond their user's.
"""
"""What the usage says of these options."""

DEFAULTS = {"--job-directory": "/"}
"""What holds where nothing was given."""


@final
@dataclass(frozen=True, slots=True)
class InheritOptions:
    """What jobs inherit.

    Attributes:
        run_as: The user whom they run as, as it was typed; None for the daemon's own.
        directory: The absolute path of the directory that they work in.
        no_new_privileges: Whether set-user-ID programs give them no rights.
    """

    run_as: str | None
    directory: str
    no_new_privileges: bool


def parse_inherit_options(values: Values) -> InheritOptions:
    """Returns what the command line and the environment say of what jobs inherit.

    Raises:
        ConfigurationError: If a value can't be; whoever started the daemon has to mend it.
    """
    return InheritOptions(
        run_as=values.text("--run-jobs-as"),
        directory=str(values.path("--job-directory")),
        no_new_privileges=values.flag("--no-new-privileges"),
    )
