"""Reads the certificate files, and finds out what is wrong with those that gRPC refuses."""

# ruff: noqa: PLC0415 - only an error takes OpenSSL, which costs 7 ms with sockets and all

from __future__ import annotations

from typing import TYPE_CHECKING

from jobworker.cli.errors import WrongUsageError
from jobworker.client.settings import Certificates, SettingsError, read_pem

if TYPE_CHECKING:
    from jobworker.cli.options import Options


def read(options: Options) -> Certificates:
    """Returns the content of the three files that the options name.

    Raises:
        WrongUsageError: one is missing, unreadable or not PEM.
    """
    return Certificates(
        ca=_read("CA certificate", "--ca", options.ca),
        key=_read("client key", "--key", options.key),
        cert=_read("client certificate", "--cert", options.cert),
    )


def _read(what: str, option: str, path: str) -> bytes:
    try:
        return read_pem(what, path)
    except SettingsError as error:
        where = " (paths start where the command is typed)" if isinstance(error.__cause__, FileNotFoundError) else ""
        raise WrongUsageError(f"{error}; name one with {option}{where}") from error


def fingerprint(cert: bytes | None) -> str:
    """Returns the SHA-256 of a certificate in PEM, as a role table names it; "" if it cannot be read."""
    import hashlib
    import ssl

    cert = cert or b""
    try:
        text = cert[cert.index(b"-----BEGIN CERTIFICATE-----") :].decode("ascii", "replace")
        end = text.index("-----END CERTIFICATE-----") + len("-----END CERTIFICATE-----")
        return hashlib.sha256(ssl.PEM_cert_to_DER_cert(text[:end])).hexdigest()
    except ValueError:
        return ""


def unusable(options: Options) -> WrongUsageError:
    """Returns the error that says which of the files cannot be used, once gRPC has refused them together."""
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    try:
        context.load_verify_locations(options.ca)
    except (ssl.SSLError, OSError):
        return WrongUsageError(f"the CA certificate {options.ca} cannot be used; name another with --ca")
    try:
        # A password would be asked for on the terminal; gRPC takes no encrypted keys.
        context.load_cert_chain(options.cert, options.key, password="")
    except (ssl.SSLError, OSError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            return WrongUsageError(
                f"the client key {options.key} does not belong to the certificate {options.cert}; "
                "name the right one with --key"
            )
    return WrongUsageError(
        f"the client certificate {options.cert} or its key {options.key} cannot be used (damaged, or an encrypted "
        "key); name others with --cert and --key"
    )
