"""Every error of the daemon itself, sorted by who has to act; the library's own errors are in `jobworker.worker`."""

from __future__ import annotations


class DaemonError(Exception):
    """The daemon can't start or go on; the message is one line that says what and how to mend it."""


class ConfigurationError(DaemonError):
    """An option, a variable or a file is wrong; whoever configures the daemon has to mend it.

    Attributes:
        problems: All that is wrong, one line each; the message has the first, and how many more there are.
    """

    def __init__(self, *problems: str) -> None:
        more = f" ({len(problems) - 1} more; worker-daemon check-config tells all)" if len(problems) > 1 else ""
        super().__init__(f"{problems[0]}{more}")
        self.problems = problems


class BindError(DaemonError):
    """The address can't be listened on; something else has it, or the host doesn't allow it."""


class CipherSuitesError(DaemonError):
    """grpc was used before the TLS floor was in place; a bug of ours, and no reason to serve without the floor."""


class PermissionTableError(DaemonError):
    """The permission table and the registered methods differ; a bug of ours."""


class CallError(Exception):
    """A call that is answered with an error of its own; the message goes to the client."""


class ConnectionTooWeakError(CallError):
    """The connection is not TLS 1.3, in spite of the floor under the handshake."""

    def __init__(self) -> None:
        super().__init__("the connection is not TLS 1.3")


class AccessDeniedError(CallError):
    """The caller is not known; it is told nothing beyond that."""

    def __init__(self) -> None:
        super().__init__("permission denied")


class RoleTooLowError(CallError):
    """The caller's role does not allow the method; the caller's fault, or the operator's.

    Attributes:
        role: The caller's role.
        required: The least role that may call the method.
    """

    def __init__(self, role: str, required: str) -> None:
        super().__init__(f"your role, {role}, may not call this method; it needs {required}")
        self.role = role
        self.required = required


class AuditUnwritableError(CallError):
    """The audit log can't be written, and without it nothing may be changed; the host's fault."""

    def __init__(self) -> None:
        super().__init__("the daemon can't write its audit log, so nothing was changed")


class AuditOutcomeError(CallError):
    """The call was carried out, but the audit log does not say so yet; the host's fault.

    Attributes:
        job_id: The job that was started, stopped or deleted.
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(f"done (job {job_id}), but the daemon can't write that to its audit log; don't repeat it")
        self.job_id = job_id


class UnknownMethodError(CallError):
    """The daemon has no such method; the caller's fault, or its proto is of another version."""

    def __init__(self) -> None:
        super().__init__("the daemon has no such method")


class UnknownServiceError(CallError):
    """The health of a service that the daemon does not have was asked for; the caller's fault."""

    def __init__(self) -> None:
        super().__init__("the daemon has no such service")


class MalformedRequestError(CallError):
    """The request's bytes are not the message that the method takes; a bug of the caller's."""

    def __init__(self) -> None:
        super().__init__("the request is not a message of the type that the method takes")


class LimitReachedError(CallError):
    """The call asks for more than the daemon's limits allow; the caller's fault, or that of the operator who set them.

    Attributes:
        limit: The limit's name, a field of `CallLimits`.
        maximum: What it is set to, as text.
        principal: Whose limit it is; None for what all share, and for the size of one request.
        retry_seconds: After how many seconds it makes sense to try again.
    """

    def __init__(
        self, limit: str, maximum: float, problem: str, *, retry_seconds: float = 1.0, principal: str | None = None
    ) -> None:
        self.limit = limit
        self.maximum = str(maximum) if isinstance(maximum, int) else f"{maximum:g}"
        super().__init__(f"the limit {limit} is {self.maximum}: {problem}")
        self.principal = principal
        self.retry_seconds = retry_seconds


class RequestTooSlowError(CallError):
    """The request did not arrive in time; the caller's fault, or the network's."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"the request did not arrive within {seconds:g} s; send it at once")


class ServerStoppingError(CallError):
    """The daemon is going away and ended a stream.

    Attributes:
        offset: Where a reader of logs can read on once the daemon is back; None for other streams, and for a reader of
            the last lines that got none yet.
    """

    def __init__(self, offset: int | None = None) -> None:
        tail = "" if offset is None else f"; the output was sent up to offset {offset}"
        super().__init__(f"the server is going away{tail}")
        self.offset = offset
