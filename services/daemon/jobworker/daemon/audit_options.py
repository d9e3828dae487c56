"""The options that say how calls are audited; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker.daemon.values import Values

USAGE = """\
  --audit-log=<path>  A file to which each call that changes something and each refused one is written before it is
                      answered, as lines of JSON that carry each other's hashes. If it can't be written, nothing is
                      changed. After it was renamed, SIGHUP opens it anew. (default: none)
  --audit-redact-arguments
                      Write the SHA-256 of each command to the audit log, instead of the command.
"""
"""What the daemon's usage says of these options."""


@final
@dataclass(frozen=True, slots=True)
class AuditOptions:
    """How calls are audited.

    Attributes:
        file: Where the audit log is; None for none.
        redact_arguments: Whether a command's hash stands for its arguments.
    """

    file: Path | None = None
    redact_arguments: bool = False


def parse_audit_options(values: Values) -> AuditOptions:
    """Returns what the command line and the environment say of the audit log.

    Args:
        values: The options' values.

    Raises:
        ConfigurationError: If a value can't be, or one is without the other; whoever started the daemon has to mend it.
    """
    given, redact = values.text("--audit-log"), values.flag("--audit-redact-arguments")
    if given is None and redact:
        raise ConfigurationError("--audit-redact-arguments is nothing without --audit-log; give that too")
    return AuditOptions(None if given is None else values.absolute(given), redact)
