"""Certificates, role tables and revocation lists that change while a daemon serves, as operators change them."""

from __future__ import annotations

import datetime as dt
import os
import re
import socket
import ssl
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, final

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization

from daemon_world import Pki, World, program
from devcerts import Authority, Identity, KeyType, Usage, Validity
from jobworker_testing import DaemonProcess, daemon_options

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

_EC = KeyType.EC_P256
_NAMES = ["localhost", "127.0.0.1", "::1"]


def crl(
    authority: Authority,
    revoked: Sequence[Identity] = (),
    *,
    days: tuple[float, float] = (-1, 1),
    extensions: Sequence[tuple[x509.ExtensionType, bool]] = (),
    issuer: str | None = None,
) -> x509.CertificateRevocationList:
    """Returns a revocation list that an authority signs.

    Args:
        authority: Who signs it.
        revoked: Whose certificates it revokes.
        days: From when until when it holds, in days from now.
        extensions: Further extensions, each with whether it is critical.
        issuer: A common name to put in for the authority's own.
    """
    now = dt.datetime.now(dt.UTC)
    subject = authority.identity.certificate.subject
    if issuer is not None:
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, issuer)])
    builder = x509.CertificateRevocationListBuilder().issuer_name(subject)
    builder = builder.last_update(now + dt.timedelta(days=days[0])).next_update(now + dt.timedelta(days=days[1]))
    for one in revoked:
        serial = x509.RevokedCertificateBuilder().serial_number(one.certificate.serial_number)
        builder = builder.add_revoked_certificate(serial.revocation_date(now).build())
    for extension, critical in extensions:
        builder = builder.add_extension(extension, critical)
    return builder.sign(authority.identity.key, hashes.SHA256())


def pem(made: x509.CertificateRevocationList) -> bytes:
    """Returns a revocation list as PEM."""
    return made.public_bytes(serialization.Encoding.PEM)


def der(made: x509.CertificateRevocationList) -> bytes:
    """Returns a revocation list as DER."""
    return made.public_bytes(serialization.Encoding.DER)


@final
@dataclass(frozen=True, slots=True)
class LivePki:
    """A folder of the daemon's files, and the authority that can make more of them.

    Attributes:
        folder: Where the files are.
        authority: The CA.
        clients: The clients' identities, by name.
    """

    folder: Path
    authority: Authority
    clients: dict[str, Identity] = field(default_factory=dict)

    @classmethod
    def make(cls, folder: Path, **validities: Validity) -> LivePki:
        """Makes a server, the clients full, log and stranger, a role table and an empty revocation list.

        Args:
            folder: Where to write.
            **validities: When further clients, with the role FULL, are valid.
        """
        folder.mkdir()
        made = cls(folder, Authority("test CA", key_type=_EC))
        made.serve_as("server")
        made.replace("ca-cert.pem", made.authority.cert_pem)
        for name in ("full", "log", "stranger", *validities):
            made.issue(name, validities.get(name))
        made.grant(full=["full", *validities], log=["log"])
        made.revoke()
        return made

    @property
    def pki(self) -> Pki:
        """The same, for a `World`."""
        return Pki(self.folder, {name: one.fingerprint for name, one in self.clients.items()})

    def issue(self, name: str, validity: Validity | None = None) -> None:
        """Makes a client of the authority."""
        self.clients[name] = self.authority.issue(name, key_type=_EC, validity=validity)
        self.clients[name].write(self.folder, name)

    def serve_as(self, name: str, authority: Authority | None = None) -> Identity:
        """Gives the server a new certificate of that name and the key for it, one rename after the other."""
        server = (authority or self.authority).issue(
            name, alternative_names=_NAMES, usages=[Usage.SERVER], key_type=_EC
        )
        self.replace("server-key.pem", server.key_pem)
        self.replace("server-cert.pem", server.cert_pem)
        return server

    def grant(self, *, full: Sequence[str] = (), log: Sequence[str] = ()) -> None:
        """Writes the role table anew, by clients' names."""
        roles = {"FULL": full, "LOG": log}
        lines = [f"{role} = {[self.clients[name].fingerprint for name in names]}" for role, names in roles.items()]
        self.replace("roles.toml", "\n".join(lines).encode())

    def revoke(self, *names: str) -> None:
        """Writes the revocation list anew, by clients' names."""
        self.replace("crl.pem", pem(crl(self.authority, [self.clients[name] for name in names])))

    def replace(self, name: str, content: bytes) -> None:
        """Puts a file in the place of another one by a rename, readable for its owner alone."""
        fresh = self.folder / f".{name}.new"
        with open(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:  # noqa: PTH123
            file.write(content)
        fresh.rename(self.folder / name)


@contextmanager
def serving(live: LivePki, *options: str, **others: str) -> Iterator[World]:
    """Starts a daemon on files that may change.

    Args:
        live: The files.
        *options: Further options.
        **others: Options in place of those for these files, with _ for -.
    """
    files = {"crl": str(live.folder / "crl.pem"), **others}
    with DaemonProcess(program(), *daemon_options(live.folder, **files), *options) as daemon:
        yield World(daemon, live.pki)


def wait_for_event(world: World, event: str, **fields: str) -> str:
    """Returns the log's next line of an event with such fields, once it is there.

    Args:
        world: The daemon.
        event: The event's name.
        **fields: What the fields have to be, as regular expressions that match the quoted value as it stands.
    """
    looked_for = "".join(f"(?=.* {name}={value}(?: |$))" for name, value in fields.items())
    return world.daemon.wait_for_line(re.compile(rf"^{looked_for}.*event={event}\b.*$", re.MULTILINE))[0]


def shown_certificate(world: World, client: str = "full") -> bytes:
    """Returns the certificate that the server shows a new connection, DER."""
    context = ssl.create_default_context()
    # Any: which CA it is of is not what is asked.
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2"])
    context.load_cert_chain(*world.pki.client(client))
    host, _, port = world.daemon.address.rpartition(":")
    with (
        socket.create_connection((host, int(port))) as plain,
        context.wrap_socket(plain, server_hostname="localhost") as secured,
    ):
        return secured.getpeercert(binary_form=True) or b""
