"""The table from failed calls to one line and an exit code."""

from __future__ import annotations

import grpc
import pytest

from jobworker.cli.errors import RefusedError, UnreachableError, explain
from jobworker.cli.options import parse

OPTIONS = parse(["status", "5a2e", "--address=host:1", "--ca=CA", "--cert=CERT", "--key=KEY"], "")


@pytest.mark.parametrize("code", grpc.StatusCode)
def test_every_code_has_a_message(code: grpc.StatusCode) -> None:
    """No status of gRPC is without a rule, whatever its text."""
    for details in ("", "some {braces} and text", "failed to connect to all addresses; last error: UNKNOWN: x: y"):
        error = explain(code.name, details, OPTIONS)
        assert error.exit_code in {1, 3}
        assert str(error).isprintable()


@pytest.mark.parametrize(
    ("code", "details", "kind", "part"),
    [
        ("NOT_FOUND", "no job", RefusedError, "no job has the id 5a2e; see the jobs there are with worker-cli list"),
        ("INVALID_ARGUMENT", "2 jobs begin so", RefusedError, "2 jobs begin so"),
        ("FAILED_PRECONDITION", "job 5a2e1f4c has not ended; stop it first", RefusedError,
         "job 5a2e has not ended; stop it first with worker-cli stop 5a2e"),
        ("FAILED_PRECONDITION", "else", RefusedError, "the service said FAILED_PRECONDITION: else"),
        ("OUT_OF_RANGE", "offset 9 is past the end: the stream has 6 bytes so far", RefusedError,
         "offset 9 is past the end: the stream has 6 bytes so far; give a smaller one with --offset"),
        ("RESOURCE_EXHAUSTED", "too many", RefusedError, "reached a limit: too many; try again later"),
        ("INTERNAL", "bland", RefusedError, "the service failed: bland"),
        ("UNIMPLEMENTED", "what", RefusedError, "host:1 is of another version"),
        ("DATA_LOSS", "oh", RefusedError, "the service said DATA_LOSS: oh"),
        ("UNAUTHENTICATED", "who", UnreachableError, "host:1 does not accept the client certificate CERT: who"),
        ("DEADLINE_EXCEEDED", "", UnreachableError, "host:1 did not answer in time"),
        ("UNAVAILABLE", "the server is going away", UnreachableError, "lost the connection to host:1: the server is"),
        ("CANCELLED", "CANCELLED", UnreachableError, "host:1 is going away; try again"),
    ],
)  # fmt: skip
def test_what_the_service_says(code: str, details: str, kind: type[Exception], part: str) -> None:
    """Each code has the exit code of its kind, and a line that says what to do."""
    error = explain(code, details, OPTIONS)
    assert type(error) is kind
    assert part in str(error)


@pytest.mark.parametrize(
    ("words", "role"),
    [
        (["list"], "LOG or FULL"),
        (["status", "5a"], "LOG or FULL"),
        (["stop", "5a"], "FULL"),
        (["start", "--", "x"], "FULL"),
        (["logs", "stdout", "5a"], "FULL"),
        (["rm", "5a"], "FULL"),
    ],
)
def test_no_permission_says_which_role(words: list[str], role: str) -> None:
    """The user learns what to ask the operator for, and for which certificate."""
    message = str(explain("PERMISSION_DENIED", "permission denied", parse(words, ""), "abcd"))
    assert f"no permission: {words[0]} needs the role {role} (permission denied)" in message
    assert "certs/client-cert.pem" in message
    assert message.endswith("; its fingerprint is abcd")
