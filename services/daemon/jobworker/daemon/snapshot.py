"""All that is known at one time of who the daemon is and whom it lets in, as one value that never changes; no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from jobworker.daemon import devcerts
from jobworker.daemon.certificates import check_identity
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.problems import Problems
from jobworker.daemon.revocation import Revocations, parse_revocations
from jobworker.daemon.role_table import parse_principals

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from cryptography import x509

    from jobworker.daemon.certificates import ServerIdentity
    from jobworker.daemon.identity_files import Contents, IdentityFiles
    from jobworker.daemon.principals import PrincipalTable


@final
@dataclass(frozen=True, slots=True)
class Snapshot:
    """What the five files said together; a call is decided by one of these, never by parts of two.

    Attributes:
        generation: Which one it is of this daemon's, from 1.
        server: What the daemon proves itself with, and the CAs that vouch for clients.
        principals: Who may call what.
        revocations: Whose certificates are revoked.
        contents: What the files held.
    """

    generation: int
    server: ServerIdentity
    principals: PrincipalTable
    revocations: Revocations
    contents: Contents

    def __repr__(self) -> str:
        return f"<Snapshot {self.generation} {self.principals!r}>"


def make_snapshot(
    files: IdentityFiles, contents: Contents, now: datetime, *, before: Snapshot | None, published_allowed: bool
) -> Snapshot:
    """Returns what the files say.

    Args:
        files: Where they are, for messages.
        contents: What they hold.
        now: The time that all of it has to be valid at, but for what is in force unchanged and has expired since: else
            an expired revocation list, say, would keep new role tables out.
        before: The snapshot in force; None for the first one.
        published_allowed: Whether the certificates whose keys everyone has may serve.

    Raises:
        ConfigurationError: If anything is wrong; whoever configures the daemon has to mend it.
    """
    problems = Problems()
    server = problems.of(check_identity, files, contents, now, before and before.contents)
    principals = problems.of(_principals, files, contents)
    # Without the CAs there is nothing to check a list against.
    valid_at = now if "crl" in contents.changes(before and before.contents) else None
    revocations = problems.of(_revocations, files, contents, server.authorities, valid_at) if server else None
    if problems or server is None or principals is None or revocations is None:
        raise problems.error()
    if not published_allowed:
        devcerts.refuse_published(server.fingerprints, principals.by_fingerprint.keys())
    return Snapshot(before.generation + 1 if before else 1, server, principals, revocations, contents)


def _principals(files: IdentityFiles, contents: Contents) -> PrincipalTable:
    content = contents.files["roles"]
    try:
        text = content.decode()
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigurationError(
            f"{files.roles}:{line}: not UTF-8 (byte {error.start}); mend it or give another --roles"
        ) from None
    return parse_principals(text, str(files.roles))


def _revocations(
    files: IdentityFiles, contents: Contents, authorities: Sequence[x509.Certificate], now: datetime | None
) -> Revocations:
    return parse_revocations(contents.files["crl"], files.crl, authorities, now) if files.crl else Revocations()
