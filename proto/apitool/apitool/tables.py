"""The daemon's own tables of roles and of errors, as the reference needs them."""

from __future__ import annotations

from google.rpc import code_pb2

from apitool.errors import Daemon, Rule
from jobworker import worker
from jobworker.daemon import errors, permissions, principals, status

NOT_MET = frozenset(
    {
        # Kinds of errors that only their subclasses are raised of.
        worker.InvalidArgumentError,
        worker.ProgramError,
        # Of the health service.
        errors.UnknownServiceError,
    }
)
"""The errors that no client of the API meets."""


def of_daemon() -> Daemon:
    """Returns what the daemon does."""
    roles = sorted(principals.Role)
    rules = {
        rule.reason: Rule(rule.reason, code_pb2.Code.Name(rule.code), rule.field, rule.metadata)
        # What has a reason of its own comes before what shares it, and has the most to say.
        for kind, rule in sorted(status.RULES.items(), key=lambda row: len(row[1].metadata))
        if kind not in NOT_MET
    }
    return Daemon(
        {path: tuple(role.name for role in roles if role >= least) for path, least in permissions.LEAST_ROLE.items()},
        tuple(rules.values()),
    )
