"""Every way in which a connection fails, with real servers and real TLS: what the user is told, and the exit code."""

from __future__ import annotations

import socket
import ssl
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import pytest
from cryptography.hazmat.primitives import serialization

from cli_testing import Folder, Host, Identities, ScriptedService, run
from cli_testing.identities import SERVER_NAMES
from devcerts import Authority, Identity, KeyType, Usage, Validity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

EC = KeyType.EC_P256


def check(words: list[str], code: int, *parts: str) -> None:
    """Checks that a command ends with an exit code and one line that holds these parts."""
    result = run(words)
    assert result.code == code, result
    assert result.out == b""
    assert result.err.count("\n") == 1, result.err
    for part in parts:
        assert part in result.err


@contextmanager
def bare_server(talk: Callable[[socket.socket], None]) -> Iterator[str]:
    """Gives the address of a server that does with its one connection what the function does."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            connection, _ = listener.accept()
            # The client may be gone before the server is done; what it says of it is what is tested.
            with connection, suppress(OSError):
                talk(connection)

        thread = threading.Thread(target=serve)
        thread.start()
        yield f"127.0.0.1:{listener.getsockname()[1]}"
        thread.join()


def tls_context(folder: Path, identity: Identity) -> ssl.SSLContext:
    """Returns the server's side of TLS, without a demand for client certificates."""
    cert, key = identity.write(folder, "server")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert, key)
    return context


def test_nobody_listens(folder: Folder) -> None:
    """A refused connection says where, and what to start."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{bound.getsockname()[1]}"
        check(
            ["list", f"--address={address}", *folder.options()],
            3,
            f"{address} is not reachable: connection refused; start worker-daemon",
        )


def test_an_unknown_host_name(folder: Folder) -> None:
    """A name that cannot be looked up is told apart from a host that does not answer."""
    check(["list", "--address=nowhere.invalid:1", *folder.options()], 3, "is not reachable: its host name is not known")


def test_a_wrong_address(folder: Folder) -> None:
    """An address that is none is wrong usage."""
    check(["list", "--address=nowhere", *folder.options()], 2, "--address=nowhere is not an address")


def test_the_server_is_of_another_authority(host: Host, identities: Identities, tmp_path: Path) -> None:
    """A server that the CA did not vouch for is not talked to."""
    strange = Folder.write(tmp_path, identities.stranger, identities.client)
    check(["list", f"--address={host.address}", *strange.options()], 3, "not to be trusted", str(strange.ca), "--ca")


@pytest.mark.parametrize(
    ("names", "validity", "usage", "part"),
    [
        (["elsewhere.example"], Validity.long(), Usage.SERVER, "made out to other names"),
        (SERVER_NAMES, Validity.days(-2, -1), Usage.SERVER, "certificate has expired"),
        (SERVER_NAMES, Validity.days(1, 2), Usage.SERVER, "certificate is not yet valid"),
        (SERVER_NAMES, Validity.long(), Usage.CLIENT, "unsupported certificate purpose"),
    ],
)
def test_the_servers_certificate_is_not_right(  # noqa: PLR0913, PLR0917 - what there is to vary
    folder: Folder, identities: Identities, names: list[str], validity: Validity, usage: Usage, part: str
) -> None:
    """The user learns what is wrong with it."""
    identity = identities.authority.issue(
        "server", alternative_names=names, usages=[usage], key_type=EC, validity=validity
    )
    with Host(ScriptedService(), identity, identities.authority) as host:
        check(["list", f"--address={host.address}", *folder.options()], 3, "not to be trusted", part)


STRANGE: dict[str, Callable[[Authority, Authority], Identity]] = {
    "other authority": lambda _, stranger: stranger.issue("client", key_type=EC),
    "expired": lambda good, _: good.issue("client", key_type=EC, validity=Validity.days(-2, -1)),
    "not yet valid": lambda good, _: good.issue("client", key_type=EC, validity=Validity.days(1, 2)),
    "a server's": lambda good, _: good.issue("client", key_type=EC, usages=[Usage.SERVER]),
}


@pytest.mark.parametrize("bad", STRANGE.values(), ids=STRANGE.keys())
def test_the_clients_certificate_is_refused(
    host: Host, identities: Identities, tmp_path: Path, bad: Callable[[Authority, Authority], Identity]
) -> None:
    """With TLS 1.3 the refusal comes after the client's handshake, and is still told as what it is."""
    files = Folder.write(tmp_path, identities.authority, bad(identities.authority, identities.stranger))
    check(
        ["list", f"--address={host.address}", *files.options()],
        3,
        "refused the client certificate",
        str(files.cert),
        "--cert and --key",
    )


def test_a_server_that_speaks_no_tls(folder: Folder) -> None:
    """A web server, say, is told apart from a daemon with a bad certificate."""

    def talk(connection: socket.socket) -> None:
        connection.recv(10_000)
        connection.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with bare_server(talk) as address:
        check(["list", f"--address={address}", *folder.options()], 3, f"{address} does not speak TLS")


def test_a_server_that_speaks_no_grpc(folder: Folder, identities: Identities, tmp_path: Path) -> None:
    """TLS without HTTP/2 is no daemon."""
    context = tls_context(tmp_path, identities.server)

    def talk(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(1)

    with bare_server(talk) as address:
        check(["list", f"--address={address}", *folder.options()], 3, f"{address} does not speak gRPC")


def test_a_server_that_hangs_up(folder: Folder) -> None:
    """A connection that is closed before any handshake."""
    with bare_server(lambda connection: connection.close()) as address:
        check(["list", f"--address={address}", *folder.options()], 3, f"{address} is not reachable: it broke")


@pytest.mark.parametrize(
    ("option", "what"), [("--ca", "CA certificate"), ("--cert", "client certificate"), ("--key", "client key")]
)
def test_a_missing_file(folder: Folder, tmp_path: Path, option: str, what: str) -> None:
    """A file that is not there is wrong usage, named in full with its option."""
    gone = tmp_path / "gone.pem"
    words = [word for word in folder.options() if not word.startswith(option)]
    check(["list", *words, f"{option}={gone}"], 2, f"the {what} {gone} does not exist", option)


def test_a_file_that_cannot_be_read(folder: Folder, tmp_path: Path) -> None:
    """So is one that is no file."""
    check(
        ["list", *folder.options()[1:], f"--ca={tmp_path}"], 2, f"cannot read the CA certificate {tmp_path}: Is a dir"
    )


def test_a_file_that_is_not_pem(folder: Folder, tmp_path: Path) -> None:
    """So is one that holds something else, or nothing: gRPC would then trust the system's authorities."""
    empty = tmp_path / "empty.pem"
    empty.touch()
    check(["list", *folder.options()[1:], f"--ca={empty}"], 2, f"the CA certificate {empty} is not PEM")


def test_a_key_of_another_certificate(host: Host, folder: Folder, identities: Identities, tmp_path: Path) -> None:
    """A key that does not fit is found out before the server is blamed."""
    other = tmp_path / "other.pem"
    other.write_bytes(identities.server.key_pem)
    words = ["list", f"--address={host.address}", f"--ca={folder.ca}", f"--cert={folder.cert}", f"--key={other}"]
    check(words, 2, f"the client key {other} does not belong to the certificate {folder.cert}")


def test_an_encrypted_key(host: Host, folder: Folder, identities: Identities, tmp_path: Path) -> None:
    """An encrypted key is refused with words of its own, and no password is asked for."""
    secret = tmp_path / "secret.pem"
    secret.write_bytes(
        identities.client.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.BestAvailableEncryption(b"password"),
        )
    )
    words = ["list", f"--address={host.address}", f"--ca={folder.ca}", f"--cert={folder.cert}", f"--key={secret}"]
    check(words, 2, f"its key {secret} cannot be used", "encrypted")


def test_a_damaged_ca(host: Host, folder: Folder, tmp_path: Path) -> None:
    """A file that only looks like PEM is named as the culprit."""
    damaged = tmp_path / "damaged.pem"
    damaged.write_text("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n")
    words = ["list", f"--address={host.address}", *folder.options()[1:], f"--ca={damaged}"]
    check(words, 2, f"the CA certificate {damaged} cannot be used")
