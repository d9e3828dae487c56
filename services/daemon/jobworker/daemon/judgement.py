"""The one decision on a client's certificate: whose is it, and from when until when may it call; no I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.exceptions import InvalidSignature

from jobworker.daemon.certificates import MALFORMED, fingerprint_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from jobworker.daemon.principals import Caller
    from jobworker.daemon.snapshot import Snapshot

# A client chooses how many certificates it sends along, and each costs the check of a signature.
_MAX_DEPTH = 8
_MAX_SENT = 16
_MAX_STEPS = 64


@final
@dataclass(frozen=True, slots=True)
class Verdict:
    """What a snapshot says of a certificate.

    Attributes:
        caller: Who calls with it; None if nobody may.
        since: From when on, in seconds of the Unix clock.
        until: Until when.
        reason: Why nobody may, for the log; empty if somebody may.
    """

    caller: Caller | None
    since: float = -math.inf
    until: float = math.inf
    reason: str = ""

    def caller_at(self, now: float) -> Caller | None:
        """Returns who calls with the certificate at a time; None if nobody may then."""
        return self.caller if self.since <= now <= self.until else None

    def reason_at(self, now: float) -> str:
        """Returns why nobody may call with the certificate at a time; empty if somebody may."""
        return self.reason or ("" if self.since <= now <= self.until else "expired")


def judge(certificate: bytes, sent: bytes, snapshot: Snapshot) -> Verdict:
    """Returns what a snapshot says of a client's certificate.

    The handshake has checked it already, but with the files of its time, and connections live long; so what they say
    now is asked again. grpc's Python server takes no revocation list for the handshake, so revocation is decided here
    alone, at each call.

    Args:
        certificate: The client's certificate, PEM.
        sent: Further certificates that it sent, PEM, from which the way to a CA may lead.
        snapshot: What is known of whom to let in.
    """
    try:
        leaf = x509.load_pem_x509_certificate(certificate)
        others = x509.load_pem_x509_certificates(sent)[:_MAX_SENT] if sent else []
        return _judge(leaf, others, snapshot)
    except MALFORMED:
        # Its parts are read when they are first asked for.
        return Verdict(None, reason="unreadable certificate")


def _judge(leaf: x509.Certificate, others: Sequence[x509.Certificate], snapshot: Snapshot) -> Verdict:
    caller = snapshot.principals.caller(fingerprint_of(leaf))
    if caller is None:
        return Verdict(None, reason="not in the role table")
    verdict = Verdict(None, reason="no CA vouches for it")
    for path in _paths(leaf, others, snapshot.server.authorities):
        if any(map(snapshot.revocations.revoke, path)):
            if verdict.caller is None:
                verdict = Verdict(None, reason="revoked")
            continue
        since = max(one.not_valid_before_utc.timestamp() for one in path)
        until = min(one.not_valid_after_utc.timestamp() for one in path)
        if verdict.caller is None or until > verdict.until:
            verdict = Verdict(caller, since, until)
    return verdict


def _paths(
    leaf: x509.Certificate, sent: Sequence[x509.Certificate], authorities: Sequence[x509.Certificate]
) -> Iterator[tuple[x509.Certificate, ...]]:
    """Yields the ways from a certificate to a self-signed one of the CAs', as the handshake's library wants them."""
    pool = (*authorities, *sent)
    unfinished: list[tuple[x509.Certificate, ...]] = [(leaf,)]
    # Each step is one certificate of the pool; none is twice on a way.
    for _ in range(_MAX_STEPS):
        if not unfinished:
            return
        path = unfinished.pop()
        last = path[-1]
        if last.subject == last.issuer:
            if last in authorities:
                yield path
            continue
        if len(path) < _MAX_DEPTH:
            unfinished.extend((*path, one) for one in pool if one not in path and _issued(last, one))


def _issued(certificate: x509.Certificate, issuer: x509.Certificate) -> bool:
    try:
        if certificate.issuer != issuer.subject:
            return False
        certificate.verify_directly_issued_by(issuer)
    except (InvalidSignature, *MALFORMED):
        return False
    return True
