"""Checks the key that the daemon serves with; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.types import PublicKeyTypes

_PROBE = b"a message to sign"


def public_key_of(pem: bytes) -> PublicKeyTypes:
    """Returns the public key that belongs to a private one.

    Args:
        pem: The private key, PEM.

    Raises:
        TypeError: If it is encrypted.
        ValueError: If it is no private key, or a damaged one.
        UnsupportedAlgorithm: If it is of an unknown kind.
    """
    # The library's own check of an RSA key has 64 rounds of a test of primality for each of the primes, which guards
    # who takes keys from strangers; for 4096 bits it takes 200 ms of each start, and as long in the event loop at each
    # change of the key. What guards against damage takes 3 ms.
    key = serialization.load_pem_private_key(pem, password=None, unsafe_skip_rsa_key_validation=True)
    if isinstance(key, rsa.RSAPrivateKey) and not (_consistent(key.private_numbers()) and _signs(key)):
        raise ValueError("the parts of the RSA key do not belong together")
    return key.public_key()


def _consistent(key: rsa.RSAPrivateNumbers) -> bool:
    """Tells whether all parts of a key follow from its primes, if they are primes."""
    modulus, exponent = key.public_numbers.n, key.public_numbers.e
    return (
        key.p > 1
        and key.q > 1
        and key.p * key.q == modulus
        and key.d * exponent % (key.p - 1) == 1
        and key.d * exponent % (key.q - 1) == 1
        and key.dmp1 == key.d % (key.p - 1)
        and key.dmq1 == key.d % (key.q - 1)
        and key.iqmp * key.q % key.p == 1
    )


def _signs(key: rsa.RSAPrivateKey) -> bool:
    """Tells whether what a key signs has its signature, for which its primes must be primes."""
    signature = key.sign(_PROBE, padding.PKCS1v15(), hashes.SHA256())
    try:
        key.public_key().verify(signature, _PROBE, padding.PKCS1v15(), hashes.SHA256())
    except InvalidSignature:
        return False
    return True
