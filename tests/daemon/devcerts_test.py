"""The published certificates are known, and kept off the network."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography import x509

from devcerts import fingerprint
from jobworker.daemon.devcerts import PUBLISHED, refuse_published
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.role_table import parse_principals

_CERTS = Path("certs")


def test_list_is_that_of_the_folder() -> None:
    """A certificate that is added to certs/, or made anew, must be added to the list too."""
    files = sorted(_CERTS.glob("*-cert.pem"))
    assert files
    assert {fingerprint(x509.load_pem_x509_certificate(file.read_bytes())): file.name for file in files} == PUBLISHED


def test_default_role_table_is_refused() -> None:
    """The committed role table lets in clients whose keys everyone has."""
    clients = parse_principals((_CERTS / "roles.toml").read_text(), "roles.toml").by_fingerprint.keys()
    with pytest.raises(ConfigurationError, match=r"client-cert\.pem, viewer-cert\.pem are public"):
        refuse_published(frozenset(), clients)


@pytest.mark.parametrize("published", sorted(PUBLISHED))
def test_each_is_refused_wherever_it_stands(published: str) -> None:
    """Each published certificate is refused, as the daemon's own, as its CA and as a client."""
    other = "0" * 64
    for identity, clients in (({published, other}, {other}), ({other}, {published, other})):
        with pytest.raises(ConfigurationError, match=PUBLISHED[published]):
            refuse_published(identity, clients)


def test_own_certificates_pass() -> None:
    """Certificates that were not published may serve anywhere."""
    refuse_published({"0" * 64}, {"1" * 64})
