"""What the audit log says of a call: who made it, what was asked, and what came of it; no I/O."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from google.rpc import code_pb2

from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jobworker.daemon.call import Call

_SERVICE = "/jobworker.v1.JobWorkerService/"

CHANGES = frozenset(_SERVICE + name for name in ("DeleteJob", "StartJob", "StopJob"))
"""The methods that change something, each call of which is in the audit log."""

REFUSALS = frozenset({code_pb2.PERMISSION_DENIED, code_pb2.RESOURCE_EXHAUSTED, code_pb2.UNAUTHENTICATED})
"""The codes of refused calls, which are in the audit log whatever their method."""

# What a caller chose is cut to this length, unless it was let in.
_MAX_FIELD = 200
_MAX_REFUSED_ARGUMENTS = 4096


@final
@dataclass(frozen=True, slots=True)
class RefusedKind:
    """Refused calls that are told apart: too many of one kind are counted instead of told.

    Attributes:
        principal: Who called; None for someone whom the role table does not know.
        fingerprint: That of the caller's certificate.
        method: The method; empty for one that does not exist, since a caller can make up any number of them.
        outcome: The code.
        reason: The reason that the caller was told.
    """

    principal: str | None
    fingerprint: str
    method: str
    outcome: str
    reason: str

    def fields(self) -> dict[str, object]:
        """Returns it as fields of a line."""
        return {
            "principal": self.principal,
            "fingerprint": self.fingerprint,
            "method": self.method,
            "outcome": self.outcome,
            "reason": self.reason,
        }


def call_fields(call: Call, peer: str) -> dict[str, object]:
    """Returns who calls what, and why its certificate lets it in no more, if so.

    Args:
        call: The call.
        peer: The caller's address.
    """
    return {
        "principal": call.caller.principal if call.caller else None,
        "fingerprint": call.peer.fingerprint,
        "peer": peer,
        "method": call.method[:_MAX_FIELD],
        **({"certificate": call.reason} if call.reason else {}),
    }


def request_fields(request: object, *, redact: bool, is_refused: bool = False) -> dict[str, object]:
    """Returns what was asked: the job as the caller named it, and the command, where there are such.

    Args:
        request: The request; None if none was received.
        redact: Whether to give a command's hash alone.
        is_refused: Whether the call was refused, so that whoever made it may not fill the disk.
    """
    fields: dict[str, object] = {"job": getattr(request, "job_id", "")[:_MAX_FIELD] or None}
    if isinstance(request, pb.StartJobRequest):
        fields |= _arguments(list(request.command), redact=redact, is_cut=is_refused)
    return fields


def arguments_hash(command: Sequence[str]) -> str:
    """Returns the SHA-256 of a command, each argument ended by a zero byte, as /proc/<pid>/cmdline has it."""
    return hashlib.sha256(b"".join(argument.encode() + b"\0" for argument in command)).hexdigest()


def _arguments(command: list[str], *, redact: bool, is_cut: bool) -> dict[str, object]:
    if redact:
        return {"argv_sha256": arguments_hash(command)}
    if not is_cut or sum(len(argument) + 1 for argument in command) <= _MAX_REFUSED_ARGUMENTS:
        return {"argv": command}
    kept, room = [], _MAX_REFUSED_ARGUMENTS
    for argument in command:
        kept.append(argument[:room])
        room -= len(argument) + 1
        if room <= 0:
            break
    return {"argv": kept, "argv_is_cut": True, "argv_sha256": arguments_hash(command)}
