"""Certificates for the CLI's tests, made once and quick to make."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

from devcerts import Authority, Identity, KeyType, Usage

if TYPE_CHECKING:
    from pathlib import Path

SERVER_NAMES = ("localhost", "127.0.0.1")


@final
@dataclass(frozen=True, slots=True)
class Identities:
    """An authority with a server and a client, and another authority that nobody trusts.

    Attributes:
        authority: who issued the server's and the client's certificates.
        stranger: another authority of the same name.
        server: a server's, for the loopback.
        client: a client's.
    """

    authority: Authority
    stranger: Authority
    server: Identity
    client: Identity

    @classmethod
    def make(cls) -> Self:
        """Makes a fresh set."""
        authority = Authority("CA", key_type=KeyType.EC_P256)
        return cls(
            authority=authority,
            stranger=Authority("CA", key_type=KeyType.EC_P256),
            server=issue_server(authority, *SERVER_NAMES),
            client=authority.issue("client", key_type=KeyType.EC_P256),
        )


def issue_server(authority: Authority, *names: str) -> Identity:
    """Issues a certificate for a server with these names."""
    return authority.issue(names[0], alternative_names=names, usages=[Usage.SERVER], key_type=KeyType.EC_P256)


@final
@dataclass(frozen=True, slots=True)
class Folder:
    """The files that the CLI's options name.

    Attributes:
        ca: the path of the CA certificate.
        cert: the path of the client's certificate.
        key: the path of its key.
    """

    ca: Path
    cert: Path
    key: Path

    @classmethod
    def write(cls, folder: Path, authority: Authority, client: Identity) -> Self:
        """Writes the files into a folder in which they are not yet."""
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca-cert.pem").write_bytes(authority.cert_pem)
        cert, key = client.write(folder, "client")
        return cls(folder / "ca-cert.pem", cert, key)

    def options(self) -> list[str]:
        """Returns the options that name the files."""
        return [f"--ca={self.ca}", f"--cert={self.cert}", f"--key={self.key}"]
