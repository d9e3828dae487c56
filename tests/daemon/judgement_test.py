"""Whose a client's certificate is, and from when until when it lets its owner call."""

from __future__ import annotations

import datetime as dt
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from devcerts import Authority, Identity, KeyType
from identity_world import crl, pem
from jobworker.daemon.certificates import ServerIdentity
from jobworker.daemon.identity_files import Contents
from jobworker.daemon.judgement import Verdict, judge
from jobworker.daemon.live_identity import LiveIdentity
from jobworker.daemon.principals import Caller, Principal, PrincipalTable, Role
from jobworker.daemon.revocation import Revocations, parse_revocations
from jobworker.daemon.snapshot import Snapshot

if TYPE_CHECKING:
    from collections.abc import Sequence


_EC = KeyType.EC_P256
_CA = Authority("ca", key_type=_EC)
_CLIENT = _CA.issue("client", key_type=_EC)


def _snapshot(
    *clients: Identity, authorities: Sequence[x509.Certificate] = (), revocations: Revocations | None = None
) -> Snapshot:
    authorities = tuple(authorities) or (_CA.identity.certificate,)
    principals = PrincipalTable.of([Principal("ci", Role.LOG, tuple(one.fingerprint for one in clients))])
    server = ServerIdentity(b"", b"", b"", (), authorities)
    return Snapshot(1, server, principals, revocations or Revocations(), Contents({}, ""))


def _ca_named(name: str, issuer: Identity | None = None, days: float = 2, same: Identity | None = None) -> Identity:
    """Makes a CA that another one vouches for; itself if there is none. It may have the key of the same one before."""
    key, now = same.key if same else _EC.generate(), dt.datetime.now(dt.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    builder = x509.CertificateBuilder().subject_name(subject).public_key(key.public_key())
    builder = builder.issuer_name(issuer.certificate.subject if issuer else subject)
    builder = builder.serial_number(x509.random_serial_number()).not_valid_before(now - dt.timedelta(days=1))
    builder = builder.not_valid_after(now + dt.timedelta(days=days))
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
    return Identity(builder.sign(issuer.key if issuer else key, hashes.SHA256()), key)


def test_a_known_certificate() -> None:
    """It lets its principal call for as long as it and its CA hold."""
    verdict = judge(_CLIENT.cert_pem, b"", _snapshot(_CLIENT))
    caller = Caller("ci", Role.LOG, _CLIENT.fingerprint)
    assert verdict.caller == verdict.caller_at(time.time()) == caller
    assert verdict.reason == verdict.reason_at(time.time()) == ""
    assert verdict.until == _CLIENT.certificate.not_valid_after_utc.timestamp()
    assert verdict.caller_at(verdict.until) == caller
    assert verdict.caller_at(verdict.until + 0.001) is verdict.caller_at(verdict.since - 1) is None
    assert verdict.reason_at(verdict.until + 0.001) == "expired"


def test_the_first_of_a_chain_to_expire_counts() -> None:
    """A CA that is over vouches for nobody."""
    root = _ca_named("root", days=1)
    client = _ca_named("client", root, days=2)
    verdict = judge(client.cert_pem, b"", _snapshot(client, authorities=[root.certificate]))
    assert verdict.until == root.certificate.not_valid_after_utc.timestamp()


@pytest.mark.parametrize(
    ("certificate", "reason"),
    [
        (_CA.issue("stranger", key_type=_EC).cert_pem, "not in the role table"),
        (b"", "unreadable certificate"),
        (b"-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "unreadable certificate"),
    ],
)
def test_an_unknown_certificate(certificate: bytes, reason: str) -> None:
    """It lets nobody call, at any time."""
    assert judge(certificate, b"", _snapshot(_CLIENT)) == Verdict(None, -math.inf, math.inf, reason)


def test_a_ca_of_the_same_name_vouches_for_nothing() -> None:
    """It is the key that counts."""
    other = Authority("ca", key_type=_EC).identity.certificate
    assert judge(_CLIENT.cert_pem, b"", _snapshot(_CLIENT, authorities=[other])).reason == "no CA vouches for it"
    both = _snapshot(_CLIENT, authorities=[other, _CA.identity.certificate])
    assert judge(_CLIENT.cert_pem, b"", both).caller


def test_a_chain_that_the_client_sent() -> None:
    """The way to a CA may lead through what the client sent along, and ends at a CA's own certificate."""
    root = _ca_named("root")
    middle = _ca_named("middle", root)
    client = _ca_named("client", middle)
    snapshot = _snapshot(client, authorities=[root.certificate])
    assert judge(client.cert_pem, middle.cert_pem, snapshot).caller
    assert judge(client.cert_pem, b"", snapshot).reason == "no CA vouches for it"
    assert judge(client.cert_pem, middle.cert_pem + root.cert_pem, _snapshot(client)).reason == "no CA vouches for it"
    # As the handshake's own library has it.
    assert not judge(client.cert_pem, b"", _snapshot(client, authorities=[middle.certificate])).caller
    assert judge(client.cert_pem, b"", _snapshot(client, authorities=[middle.certificate, root.certificate])).caller
    assert judge(client.cert_pem, b"junk", snapshot).reason == "unreadable certificate"


def test_a_self_signed_certificate_in_the_ca_file() -> None:
    """It vouches for itself."""
    alone = _ca_named("alone")
    assert judge(alone.cert_pem, b"", _snapshot(alone, authorities=[alone.certificate])).caller
    assert not judge(alone.cert_pem, alone.cert_pem, _snapshot(alone)).caller


def test_many_certificates_sent_along() -> None:
    """However they lead to each other, to judge them is little work."""
    rings = [_ca_named("ring", _ca_named("ring")) for _ in range(40)]
    client = _ca_named("client", _ca_named("ring"))
    sent = b"".join(one.cert_pem for one in rings)
    began = time.process_time()
    assert not judge(client.cert_pem, sent, _snapshot(client)).caller
    assert time.process_time() - began < 1


def _revoking(authority: Identity, *revoked: Identity) -> Revocations:
    made = Authority("unused", key_type=_EC)
    made.identity = authority
    now = dt.datetime.now(dt.UTC)
    return parse_revocations(pem(crl(made, revoked)), Path("crl"), [authority.certificate], now)


def test_revoked() -> None:
    """A revoked certificate lets nobody call, nor does one whose way to a CA leads through a revoked one."""
    root = _ca_named("root")
    middle = _ca_named("middle", root)
    client, direct = _ca_named("client", middle), _ca_named("direct", root)
    for revoked, sent in ((direct, b""), (middle, middle.cert_pem)):
        one = direct if revoked is direct else client
        snapshot = _snapshot(one, authorities=[root.certificate], revocations=_revoking(root, revoked))
        assert judge(one.cert_pem, sent, snapshot) == Verdict(None, reason="revoked")


def test_a_revoked_way_beside_a_good_one() -> None:
    """One good way to a CA is enough, whichever is found first; so it is in the handshake's own library."""
    roots = [_ca_named("root"), _ca_named("other root")]
    revoked = _ca_named("middle", roots[0])
    good = _ca_named("middle", roots[1], same=revoked)
    client = _ca_named("client", good)
    snapshot = _snapshot(
        client, authorities=[one.certificate for one in roots], revocations=_revoking(roots[0], revoked)
    )
    assert judge(client.cert_pem, revoked.cert_pem, snapshot).reason == "revoked"
    for sent in ([good, revoked], [revoked, good]):
        assert judge(client.cert_pem, b"".join(one.cert_pem for one in sent), snapshot).caller


def test_verdicts_are_kept_for_a_snapshot() -> None:
    """A certificate is judged once for each snapshot, and anew for the next one; followers are told of that one."""
    identity = LiveIdentity(_snapshot(_CLIENT))
    told: list[int] = []
    identity.follow(lambda: told.append(identity.snapshot.generation))
    first = identity.verdict(_CLIENT.cert_pem, b"")
    assert identity.verdict(_CLIENT.cert_pem, b"") is first
    identity.replace(_snapshot())
    assert told == [1]
    assert identity.verdict(_CLIENT.cert_pem, b"").reason == "not in the role table"


def test_verdicts_kept_are_bounded() -> None:
    """A client with any number of certificates, or chains, can't fill the memory."""
    identity = LiveIdentity(_snapshot(_CLIENT))
    for number in range(3000):
        identity.verdict(b"%d" % number, b"")
    assert len(vars(identity)["_verdicts"]) <= 1024
