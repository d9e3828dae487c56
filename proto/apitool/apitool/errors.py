"""What the daemon does, held against what the proto's comments say: roles, and errors; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from apitool import comments

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from apitool.comments import DocumentedError, MethodComment
    from apitool.model import Api, Method


@final
@dataclass(frozen=True, slots=True)
class Rule:
    """How the daemon tells of a kind of error.

    Attributes:
        reason: The reason in ErrorInfo.
        code: The gRPC status code's name.
        field: The field of the request that is to blame; empty if none is.
        metadata: The names of ErrorInfo's metadata.
    """

    reason: str
    code: str
    field: str = ""
    metadata: tuple[str, ...] = ()


@final
@dataclass(frozen=True, slots=True)
class Daemon:
    """What the daemon's own tables say.

    Attributes:
        roles: The roles that may call each method, by the method's path, the least one first.
        rules: How it tells of each kind of error that a client may meet.
    """

    roles: Mapping[str, tuple[str, ...]]
    rules: tuple[Rule, ...]


@final
class Reference:
    """What the comments and the daemon say together.

    Attributes:
        api: The API.
        daemon: The daemon's tables.
        methods: The comment of each method, by its name.
        before: The service's comment up to the errors of every method.
        common: The errors of every method.
        after: The service's comment after them.
    """

    def __init__(self, api: Api, daemon: Daemon) -> None:
        """Takes the comments apart.

        Raises:
            CommentError: If one does not keep to the form.
        """
        self.api = api
        self.daemon = daemon
        self.methods: dict[str, MethodComment] = {each.name: comments.of_method(each.comment) for each in api.methods}
        self.before, self.common, self.after = comments.of_service(api.comment)
        told = [*self.common, *(error for method in self.methods.values() for error in method.errors)]
        self._apart = {error.reason for error in told if error.reason}

    def reasons(self, error: DocumentedError, method: Method | None = None) -> tuple[str, ...]:
        """Returns the reasons that the daemon gives for an error of a method; of every method, if there is none."""
        if error.reason:
            return (error.reason,)
        of_code = [rule for rule in self.daemon.rules if rule.code == error.code and rule.reason not in self._apart]
        if method is not None and any(rule.field for rule in of_code):
            fields = self.api.fields(method.request)
            return tuple(rule.reason for rule in of_code if rule.field in fields)
        return tuple(rule.reason for rule in of_code if not rule.field)

    def where(self, reason: str) -> tuple[str, ...]:
        """Returns the names of the methods whose errors have a reason; all methods, if it is one of every method."""
        if any(reason in self.reasons(error) for error in self.common):
            return tuple(self.methods)
        return tuple(
            method.name
            for method in self.api.methods
            if any(reason in self.reasons(error, method) for error in self.methods[method.name].errors)
        )

    def problems(self) -> Iterator[str]:
        """Yields what the comments and the daemon's tables disagree in, one line each."""
        for method in self.api.methods:
            may, said = self.daemon.roles.get(method.path, ()), self.methods[method.name].roles
            if said != frozenset(may):
                yield f"{method.name}: the comment says role {sorted(said)}, the permission table {sorted(may)}"
        yield from self._errors_without_rule()
        listed = set(comments.names(self.after))
        for rule in self.daemon.rules:
            if rule.reason not in listed:
                yield f"{rule.reason}: the service's comment does not list it"
            if not self.where(rule.reason):
                yield f"{rule.reason}: no method's comment has an error {rule.code} for it"

    def _errors_without_rule(self) -> Iterator[str]:
        rules = {rule.reason: rule for rule in self.daemon.rules}
        told = [("every method", error, self.reasons(error)) for error in self.common]
        for method in self.api.methods:
            told += [(method.name, each, self.reasons(each, method)) for each in self.methods[method.name].errors]
        for name, error, reasons in told:
            codes = {rules[reason].code for reason in reasons if reason in rules}
            if codes != {error.code}:
                of = f" with the reason {error.reason}" if error.reason else ""
                yield f"{name}: the comment has an error {error.code}{of}, which the daemon has no rule for"
