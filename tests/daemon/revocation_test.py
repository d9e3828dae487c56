"""Certificate revocation lists: what is read, and what is not believed."""

from __future__ import annotations

import datetime as dt
import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes

from devcerts import Authority, KeyType
from identity_world import crl, der, pem
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.revocation import Revocations, parse_revocations

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    Encode = Callable[[x509.CertificateRevocationList], bytes]

_EC = KeyType.EC_P256
_CA, _OTHER = Authority("ca", key_type=_EC), Authority("other", key_type=_EC)
_GOOD, _BAD, _FOREIGN = _CA.issue("good", key_type=_EC), _CA.issue("bad", key_type=_EC), _OTHER.issue("x", key_type=_EC)


def _parse(content: bytes, authorities: Sequence[Authority] = (_CA, _OTHER)) -> Revocations:
    known = [one.identity.certificate for one in authorities]
    return parse_revocations(content, Path("crl.pem"), known, dt.datetime.now(dt.UTC))


def _revoked(revocations: Revocations) -> list[bool]:
    return [revocations.revoke(one.certificate) for one in (_GOOD, _BAD, _FOREIGN)]


@pytest.mark.parametrize("encode", [pem, der])
def test_one_list(encode: Encode) -> None:
    """It may be PEM or DER; what it doesn't name is not revoked."""
    made = crl(_CA, [_BAD])
    revocations = _parse(encode(made))
    assert _revoked(revocations) == [False, True, False]
    assert revocations.stale_at() == made.next_update_utc
    assert repr(revocations.lists[0]) == "<RevocationList CN=ca revoked=1>"


def test_lists_of_several_cas() -> None:
    """A file may have one a CA, with whatever stands between them; the first that expires says when."""
    first, second = crl(_CA, [_BAD]), crl(_OTHER, [_FOREIGN], days=(-1, 0.5))
    revocations = _parse(b"# of ca\n" + pem(first) + b"\n# of other\n" + pem(second))
    assert _revoked(revocations) == [False, True, True]
    assert revocations.stale_at() == second.next_update_utc


def test_a_number_counts_for_its_issuer_alone() -> None:
    """CAs give numbers without asking each other."""
    assert _revoked(_parse(pem(crl(_OTHER, [_BAD])))) == [False, False, False]


def test_no_list() -> None:
    """Without any nothing is revoked, and nothing expires."""
    assert _revoked(Revocations()) == [False, False, False]
    assert Revocations().stale_at() is None


@pytest.mark.parametrize("content", [b"", b"hello", b"\0\xff", _CA.cert_pem, pem(crl(_CA))[:-60], der(crl(_CA))[:-1]])
def test_garbage(content: bytes) -> None:
    """What is no list is refused, and its file named."""
    with pytest.raises(ConfigurationError, match=r"^crl\.pem: no certificate revocation list, PEM or DER; .*--crl$"):
        _parse(content)


def test_garbage_in_pem_has_its_line() -> None:
    """In a file of several lists the broken one is named by its line."""
    broken = b"-----BEGIN X509 CRL-----\nAAAA\n-----END X509 CRL-----\n"
    with pytest.raises(ConfigurationError) as caught:
        _parse(broken + pem(crl(_CA, days=(-2, -1))) + broken)
    lines = [int(problem.split(":")[1]) for problem in caught.value.problems]
    assert sorted(lines) == [1, 4, 4 + pem(crl(_CA)).count(b"\n")]


_UNKNOWN = x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00")


def _distribution(*, indirect: bool, only_users: bool = False) -> x509.IssuingDistributionPoint:
    return x509.IssuingDistributionPoint(
        full_name=[x509.UniformResourceIdentifier("http://ca.test/crl")],
        relative_name=None,
        only_contains_user_certs=only_users,
        only_contains_ca_certs=False,
        only_some_reasons=None,
        indirect_crl=indirect,
        only_contains_attribute_certs=False,
    )


@pytest.mark.parametrize(
    ("made", "problem"),
    [
        (crl(Authority("stranger", key_type=_EC)), "not signed by a CA of --ca (its issuer is 'CN=stranger')"),
        (crl(Authority("ca", key_type=_EC)), "not signed by a CA of --ca (its issuer is 'CN=ca')"),
        (crl(_OTHER, issuer="ca"), "not signed by a CA of --ca (its issuer is 'CN=ca')"),
        (crl(_CA, days=(1, 2)), "not valid before "),
        (crl(_CA, days=(-2, -1)), "expired at "),
        (crl(_CA, extensions=[(x509.DeltaCRLIndicator(1), True)]), "a delta"),
        (crl(_CA, extensions=[(_distribution(indirect=True), True)]), "is about certificates of several CAs"),
        (crl(_CA, extensions=[(_UNKNOWN, True)]), "has the unknown critical extension 1.2.3.4"),
    ],
)
def test_lists_that_are_not_believed(made: x509.CertificateRevocationList, problem: str) -> None:
    """One of another CA, of another time, or of a kind that says more than is understood here, is refused."""
    with pytest.raises(ConfigurationError, match=re.escape(f"crl.pem:1: {problem}")):
        _parse(pem(made))


@pytest.mark.parametrize(
    "extension",
    [(x509.CRLNumber(7), False), (_UNKNOWN, False), (_distribution(indirect=False, only_users=True), True)],
)
def test_extensions_that_change_nothing(extension: tuple[x509.ExtensionType, bool]) -> None:
    """What is not critical, or understood, is no reason to refuse a list."""
    assert _revoked(_parse(pem(crl(_CA, [_BAD], extensions=[extension])))) == [False, True, False]


def test_a_changed_list_is_not_believed() -> None:
    """One whose signature does not fit what it says any more."""
    changed = bytearray(der(crl(_CA, [_BAD])))
    changed[-1] ^= 1
    with pytest.raises(ConfigurationError, match="not signed by a CA"):
        _parse(bytes(changed))


def test_a_ca_that_may_not_sign_lists() -> None:
    """A key that its certificate gives other uses to signs no list, even if it did."""
    leaf = _CA.issue("leaf", key_type=_EC)
    made = crl(_CA, issuer="leaf")
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(made.issuer)
    signed = builder.last_update(now).next_update(now + dt.timedelta(days=1)).sign(leaf.key, hashes.SHA256())
    with pytest.raises(ConfigurationError, match="not signed by a CA"):
        parse_revocations(pem(signed), Path("crl.pem"), [leaf.certificate], now + dt.timedelta(seconds=1))
