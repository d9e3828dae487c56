"""The options that say how calls are audited."""

from __future__ import annotations

from pathlib import Path

import pytest

from jobworker.daemon.audit_options import AuditOptions
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.options import parse


def test_nothing_is_audited_unless_asked_for() -> None:
    """There is no path that suits everyone."""
    assert parse([], {}, 0).audit == AuditOptions(None, redact_arguments=False)


def test_a_path_starts_where_the_command_was_typed() -> None:
    """As all paths do."""
    assert parse(["--audit-log=/var/log/audit.log"], {}, 0).audit.file == Path("/var/log/audit.log")
    assert parse(["--audit-log=audit.log"], {"BUILD_WORKING_DIRECTORY": "/home"}, 0).audit.file == Path(
        "/home/audit.log"
    )


def test_the_environment_counts_too() -> None:
    """In a unit file it is easier to write."""
    environment = {"JOBWORKER_AUDIT_LOG": "/a", "JOBWORKER_AUDIT_REDACT_ARGUMENTS": "1"}
    assert parse([], environment, 0).audit == AuditOptions(Path("/a"), redact_arguments=True)


def test_redaction_without_a_log_is_a_mistake() -> None:
    """Whoever asks for it believes that there is one."""
    with pytest.raises(ConfigurationError, match="nothing without --audit-log"):
        parse(["--audit-redact-arguments"], {}, 0)


def test_serving_knows_nothing_of_verifying() -> None:
    """Its options belong to its command alone."""
    with pytest.raises(ConfigurationError, match="can't make sense"):
        parse(["--expect-last=aa"], {}, 0)
