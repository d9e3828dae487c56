"""Who is calling: the identity that the TLS handshake proved."""

from __future__ import annotations

import functools
import hashlib
import ssl
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@final
@dataclass(frozen=True, slots=True)
class Peer:
    """The other end of a connection.

    Attributes:
        fingerprint: SHA-256 over its certificate's DER encoding, lower-case hex; empty if it showed none.
        common_name: The certificate's common name, which the peer chose and which proves nothing.
        tls_version: As grpc names it, such as b"TLSv1.3".
        certificate: Its certificate, PEM; empty if it showed none.
        sent: Further certificates that it sent, which say who issued its own, PEM.
    """

    fingerprint: str = ""
    common_name: str = ""
    tls_version: bytes = b""
    certificate: bytes = field(default=b"", repr=False)
    sent: bytes = field(default=b"", repr=False)


NOBODY = Peer()
"""Who calls as long as that is not known."""


def peer_of(auth_context: Mapping[str, Iterable[bytes]]) -> Peer:
    """Returns the peer that a call's auth context speaks of."""
    pem = _first(auth_context, "x509_pem_cert")
    return Peer(
        fingerprint=fingerprint_of(pem) if pem else "",
        common_name=_first(auth_context, "x509_common_name").decode(errors="replace"),
        tls_version=_first(auth_context, "ssl_tls_version"),
        certificate=pem,
        sent=_first(auth_context, "x509_pem_cert_chain"),
    )


# A certificate makes many calls; decoding its PEM anew costs more than the rest of a call's identification.
@functools.lru_cache(maxsize=512)
def fingerprint_of(pem: bytes) -> str:
    """Returns the fingerprint of a PEM certificate, lower-case hex."""
    return hashlib.sha256(ssl.PEM_cert_to_DER_cert(pem.decode("ascii"))).hexdigest()


def _first(auth_context: Mapping[str, Iterable[bytes]], name: str) -> bytes:
    return next(iter(auth_context.get(name, ())), b"")
