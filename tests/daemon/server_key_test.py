"""The check of the server's key."""

from __future__ import annotations

import math

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

from jobworker.daemon.server_key import public_key_of

# Of the size that takes the least time to make.
_KEY = rsa.generate_private_key(65537, 2048)
_NUMBERS = _KEY.private_numbers()


def _pem(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _of_parts(**changed: int) -> bytes:
    """The key with some of its parts changed, as nothing but damage or malice would."""
    parts = {name: getattr(_NUMBERS, name) for name in ("p", "q", "d", "dmp1", "dmq1", "iqmp")} | changed
    public = rsa.RSAPublicNumbers(_NUMBERS.public_numbers.e, parts["p"] * parts["q"])
    numbers = rsa.RSAPrivateNumbers(**parts, public_numbers=public)
    return _pem(numbers.private_key(unsafe_skip_rsa_key_validation=True))


def _of_no_prime() -> bytes:
    """A key all of whose parts follow from p and q, of which p is no prime; it signs nothing."""
    q, exponent = _NUMBERS.q, _NUMBERS.public_numbers.e
    first = _NUMBERS.p - _NUMBERS.p % 6 + 3  # odd, and divided by 3
    p = next(p for p in range(first, first + 600, 6) if math.gcd(exponent, p - 1) == 1)
    d = pow(exponent, -1, math.lcm(p - 1, q - 1))
    return _of_parts(p=p, d=d, dmp1=d % (p - 1), dmq1=d % (q - 1), iqmp=pow(q, -1, p))


@pytest.mark.parametrize(
    "key", [_KEY, ec.generate_private_key(ec.SECP256R1()), ed25519.Ed25519PrivateKey.generate()], ids=type
)
def test_good_keys(key: rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey) -> None:
    """A good key of any kind is taken."""
    assert public_key_of(_pem(key)) == key.public_key()


@pytest.mark.parametrize("part", ["d", "dmp1", "dmq1", "iqmp"])
def test_damaged_rsa_keys(part: str) -> None:
    """Each part that a handshake would use has to fit the others."""
    with pytest.raises(ValueError, match="do not belong together"):
        public_key_of(_of_parts(**{part: getattr(_NUMBERS, part) ^ 4}))


def test_wrong_primes() -> None:
    """An RSA key whose factors are others than its modulus has, or are none of primes, is refused before it is used."""
    pem = _of_parts(p=_NUMBERS.q, q=_NUMBERS.p)
    with pytest.raises(ValueError, match="do not belong together"):
        public_key_of(pem)
    with pytest.raises(ValueError, match="do not belong together"):
        public_key_of(_of_no_prime())
