"""The options that say how calls are audited; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import ConfigurationError

if TYPE_CHECKING:
    from pathlib import Path

    from jobworker.daemon.values import Values


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
