"""Owns the set of certificates that a development host needs, with its role table."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import TYPE_CHECKING, Self, final

from devcerts.authority import Authority, Usage, Validity
from devcerts.files import write_new
from devcerts.identity import KeyType

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from devcerts.identity import Identity

SERVER_NAMES = ("localhost", "127.0.0.1", "::1", "0.0.0.0")  # noqa: S104 - the CLI's default address, bound by nothing here
FILE_NAMES = (
    *(f"{who}-{what}.pem" for who in ("ca", "server", "client", "viewer") for what in ("cert", "key")),
    "roles.toml",
)
_YEARS = 25

_ROLES_TOML = """\
# Which client certificate has which role, by its SHA-256 fingerprint:
#   openssl x509 -in client-cert.pem -noout -fingerprint -sha256

# FULL may do everything: start and stop jobs, query and list them, read logs.
FULL = [
{full}]

# LOG may list jobs and query their status. It may NOT read logs, whatever its
# name suggests; nor may it start or stop jobs.
LOG = [
{log}]
"""


def roles_toml(*, full: Mapping[str, str], log: Mapping[str, str]) -> str:
    """Returns a role table in TOML.

    Args:
        full: the fingerprint of each client with the role FULL, by a name for the comment.
        log: likewise for the role LOG.
    """
    return _ROLES_TOML.format(full=_entries(full), log=_entries(log))


def _generous(year: int) -> Validity:
    """From the start of the year before, since the clock of a host that just woke may be slow."""
    return Validity(dt.datetime(year - 1, 1, 1, tzinfo=dt.UTC), dt.datetime(year + _YEARS, 1, 1, tzinfo=dt.UTC))


def _entries(clients: Mapping[str, str]) -> str:
    return "".join(f'    "{fingerprint}", # {name}\n' for name, fingerprint in clients.items())


@final
@dataclass(frozen=True, slots=True)
class DevelopmentSet:
    """An authority, a server on this host, and one client for each role.

    Attributes:
        ca: the authority's own certificate.
        server: a server's, for localhost and the loopback and unspecified addresses.
        client: a client's, meant for the role FULL.
        viewer: a client's, meant for the role LOG.
    """

    ca: Identity
    server: Identity
    client: Identity
    viewer: Identity

    @classmethod
    def make(cls, *, key_type: KeyType = KeyType.RSA_4096, validity: Validity | None = None) -> Self:
        """Makes a fresh set with new keys, valid for 25 years by default."""
        validity = validity or _generous(dt.datetime.now(dt.UTC).year)
        authority = Authority("jobworker development CA", key_type=key_type, validity=validity)

        def issue(name: str, usage: Usage, names: tuple[str, ...] = ()) -> Identity:
            return authority.issue(name, usages=[usage], alternative_names=names, key_type=key_type, validity=validity)

        return cls(
            ca=authority.identity,
            server=issue("localhost", Usage.SERVER, SERVER_NAMES),
            client=issue("client", Usage.CLIENT),
            viewer=issue("viewer", Usage.CLIENT),
        )

    def roles_toml(self) -> str:
        """Returns the role table of this set."""
        return roles_toml(full={"client": self.client.fingerprint}, log={"viewer": self.viewer.fingerprint})

    def files(self) -> dict[str, bytes]:
        """Returns the content of every file of the set by its name."""
        return {
            **self.ca.files("ca"),
            **self.server.files("server"),
            **self.client.files("client"),
            **self.viewer.files("viewer"),
            "roles.toml": self.roles_toml().encode(),
        }

    def write(self, directory: Path) -> list[Path]:
        """Writes the whole set, or nothing, and returns the paths.

        Raises:
            AlreadyThereError: one of the files exists. Nothing was written.
            OSError: a file could not be written. Nothing is left behind.
        """
        return write_new(directory, self.files())
