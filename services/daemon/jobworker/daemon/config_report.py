"""Says who may do what with a configuration, as whom, and where that is written down, for people; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.daemon.certificates import fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from cryptography import x509

    from jobworker.daemon.accounts import Account
    from jobworker.daemon.audit_options import AuditOptions
    from jobworker.daemon.configuration import Configuration
    from jobworker.daemon.snapshot import Snapshot


def description(configuration: Configuration) -> str:
    """Returns who may do what, and the rest, line by line."""
    return "\n".join(_lines(configuration))


def _lines(configuration: Configuration) -> Iterator[str]:
    snapshot = configuration.snapshot
    yield f"listens on: {', '.join(map(str, configuration.endpoints))}"
    yield f"server certificate: {_certificate(snapshot.server.chain[0])}"
    yield from (f"CA: {_certificate(one)}" for one in snapshot.server.authorities)
    yield from _revocations(snapshot)
    yield "principals:"
    for one in snapshot.principals.principals:
        # A name that is a fingerprint says it already.
        name = one.name if one.fingerprints != (one.name,) else "(no name)"
        yield f"  {name}: {one.role.name}"
        yield from (f"    {fingerprint}" for fingerprint in one.fingerprints)
    if configuration.jobs.isolate_owners:
        yield "each of them is shown its own jobs alone (--isolate-owners)"
    yield f"jobs run as: {_account(configuration.run_as)}"
    yield f"audit log: {_audit(configuration.audit)}"


def _account(account: Account | None) -> str:
    if account is None:
        return "the daemon's own user"
    user = account.user
    return f"{account.name}, user {user.uid}, group {user.gid}, groups {', '.join(map(str, user.groups)) or 'none'}"


def _audit(audit: AuditOptions) -> str:
    return f"{audit.file or 'none'}{', without the arguments of commands' if audit.redact_arguments else ''}"


def _certificate(certificate: x509.Certificate) -> str:
    expires = f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC"
    return f"{certificate.subject.rfc4514_string()!r}, expires {expires}, SHA-256 {fingerprint_of(certificate)}"


def _revocations(snapshot: Snapshot) -> Iterator[str]:
    if not snapshot.revocations.lists:
        yield "CRL: none"
    for one in snapshot.revocations.lists:
        expires = f"{one.next_update:%Y-%m-%d %H:%M} UTC"
        yield f"CRL: of {one.issuer.rfc4514_string()!r}, {len(one.serials)} revoked, expires {expires}"
