"""Owns every error that a user may see: its wording and its exit code; no I/O and no gRPC.

Exit codes: 0 fine, 1 the service said no, 2 wrong usage, 3 cannot connect or authenticate, 130 ended by Ctrl-C.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, NamedTuple

from jobworker.client.unreached import NOT_CONNECTED, UNKNOWN_HOST

if TYPE_CHECKING:
    from jobworker.cli.options import Options


class CliError(Exception):
    """An error that ends the command; the message is one line that says what happened and what to do next.

    Attributes:
        exit_code: what the program exits with.
    """

    exit_code: ClassVar[int]


class RefusedError(CliError):
    """The service said no."""

    exit_code = 1


class ToldError(RefusedError):
    """The service said no to a part of what was asked, and each time the user was told at once; it has no message."""


class OutputError(CliError):
    """The output could not be written where the user wants it."""

    exit_code = 1


class WrongUsageError(CliError):
    """The command line, or a file that it names, is wrong."""

    exit_code = 2


class UnreachableError(CliError):
    """No connection to the service, or none that both sides trust."""

    exit_code = 3


class _Rule(NamedTuple):
    """How one kind of failed call is told.

    Attributes:
        code: the gRPC status code's name; "" for any.
        sign: what the status's text holds; "" for anything.
        kind: the error class, and with it the exit code.
        text: the wording, with fields of the options and what `explain` adds.
    """

    code: str
    sign: str
    kind: type[CliError]
    text: str


UNUSABLE_FILES = "Failed to create security handshaker"
"""What gRPC says of certificates, keys and CAs that it cannot use together."""

_NAMED = "{address} is not reachable: "
_UNTRUSTED = "the certificate of {address} is not to be trusted: "

# The texts are those of grpcio 1.85, which has no finer codes; the first rule that fits holds. With TLS 1.3 a client's
# handshake is over before the server has looked at the client's certificate, so a refusal shows as a closed connection.
_RULES = (
    _Rule("UNAVAILABLE", "unable to get local issuer certificate", UnreachableError,
          _UNTRUSTED + "another authority than that of {ca} issued it; name the right one with --ca"),
    _Rule("UNAVAILABLE", "self signed certificate", UnreachableError,
          _UNTRUSTED + "another authority than that of {ca} issued it; name the right one with --ca"),
    _Rule("UNAVAILABLE", "Hostname Verification Check failed", UnreachableError,
          _UNTRUSTED + "it is made out to other names; call the server by one of those with --address"),
    _Rule("UNAVAILABLE", "CERTIFICATE_VERIFY_FAILED", UnreachableError,
          _UNTRUSTED + "{reason}; the server needs a valid one"),
    _Rule("UNAVAILABLE", "HANDSHAKE_FAILURE", UnreachableError,
          "{address} does not speak TLS 1.3; check --address, or bring that server up to date"),
    _Rule("UNAVAILABLE", "WRONG_VERSION_NUMBER", UnreachableError,
          "{address} does not speak TLS, so it is no worker-daemon; check --address"),
    _Rule("UNAVAILABLE", "missing selected ALPN", UnreachableError,
          "{address} does not speak gRPC, so it is no worker-daemon; check --address"),
    _Rule("UNAVAILABLE", "Handshake read failed (Endpoint closing)", UnreachableError,
          _NAMED + "it accepts connections and does not answer; check that it is a worker-daemon"),
    _Rule("UNAVAILABLE", "Handshake read failed", UnreachableError,
          _NAMED + "it broke the connection off; check that it is a worker-daemon"),
    _Rule("UNAVAILABLE", "Connection refused", UnreachableError,
          _NAMED + "connection refused; start worker-daemon there, or name another address with --address"),
    _Rule("UNAVAILABLE", NOT_CONNECTED + "; last error: UNAVAILABLE", UnreachableError,
          "{address} closed the connection after the handshake: most likely it refused the client certificate {cert} "
          "(of another authority, expired or not for clients); name a good one with --cert and --key"),
    _Rule("UNAVAILABLE", UNKNOWN_HOST, UnreachableError,
          _NAMED + "its host name is not known; check --address"),
    _Rule("UNAVAILABLE", NOT_CONNECTED, UnreachableError,
          _NAMED + "{reason}; check --address and the network"),
    _Rule("UNAVAILABLE", "", UnreachableError,
          "lost the connection to {address}: {details}; try again"),
    _Rule("CANCELLED", "", UnreachableError,
          "{address} is going away; try again"),
    _Rule("UNAUTHENTICATED", "", UnreachableError,
          "{address} does not accept the client certificate {cert}: {details}; name another with --cert and --key"),
    _Rule("DEADLINE_EXCEEDED", "", UnreachableError,
          "{address} did not answer in time; try again, and look at the daemon's log"),
    _Rule("PERMISSION_DENIED", "", RefusedError,
          "no permission: {verb} needs the role {role} ({details}); ask the daemon's operator to give it to the "
          "certificate {cert} in the role table{fingerprint}"),
    _Rule("NOT_FOUND", "", RefusedError,
          "no job has the id {job_id}; see the jobs there are with worker-cli list"),
    _Rule("FAILED_PRECONDITION", "has not ended", RefusedError,
          "job {job_id} has not ended; stop it first with worker-cli stop {job_id}"),
    _Rule("OUT_OF_RANGE", "", RefusedError,
          "{details}; give a smaller one with --offset"),
    _Rule("RESOURCE_EXHAUSTED", "", RefusedError,
          "the service has reached a limit: {details}; try again later"),
    _Rule("INTERNAL", "", RefusedError,
          "the service failed: {details}; look at the daemon's log"),
    _Rule("UNIMPLEMENTED", "", RefusedError,
          "{address} is of another version: {details}; use a worker-cli that fits it"),
    _Rule("INVALID_ARGUMENT", "", RefusedError, "{details}"),
    _Rule("", "", RefusedError, "the service said {code}: {details}"),
)  # fmt: skip

_ROLES = {"list": "LOG or FULL", "status": "LOG or FULL"}


def explain(code: str, details: str, options: Options, fingerprint: str = "") -> CliError:
    """Returns the error to show for a call that failed.

    Args:
        code: the name of the gRPC status code.
        details: the text that came with it, from the service or from gRPC itself.
        options: what the user asked for.
        fingerprint: that of the client's certificate, if known.
    """
    rule = next(rule for rule in _RULES if rule.code in {code, ""} and rule.sign in details)
    text = rule.text.format(
        code=code,
        details=details,
        reason=_reason(details),
        address=options.address,
        ca=options.ca,
        cert=options.cert,
        verb=options.verb,
        job_id=options.job_id,
        role=_ROLES.get(options.verb, "FULL"),
        fingerprint=f"; its fingerprint is {fingerprint}" if fingerprint else "",
    )
    return rule.kind(text)


def _reason(details: str) -> str:
    """The part of gRPC's chain of texts that says why: the last that says anything."""
    parts = [part for part in details.removesuffix(": OK").split(": ") if part]
    return parts[-1] if parts else "no reason given"
