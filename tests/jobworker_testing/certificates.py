"""The files of a folder of certificates, as the programs' options and as a connection."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

import grpc

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

_SERVER = {"cert": "server-cert.pem", "key": "server-key.pem", "ca": "ca-cert.pem", "roles": "roles.toml"}


def daemon_options(folder: Path, **others: str) -> list[str]:
    """Returns worker-daemon's options for a folder's files.

    Args:
        folder: Where the files are.
        **others: Options in place of some or beside them, with _ for -.
    """
    options = {option: str(folder / file) for option, file in _SERVER.items()} | others
    return [f"--{option.replace('_', '-')}={value}" for option, value in options.items()]


def client_options(folder: Path, client: str = "client") -> list[str]:
    """Returns worker-cli's options for the files of one of a folder's clients."""
    files = {"cert": f"{client}-cert.pem", "key": f"{client}-key.pem", "ca": "ca-cert.pem"}
    return [f"--{option}={folder / file}" for option, file in files.items()]


def credentials(folder: Path, client: str = "client") -> grpc.ChannelCredentials:
    """Returns what one of a folder's clients proves itself with."""
    return grpc.ssl_channel_credentials(
        (folder / "ca-cert.pem").read_bytes(),
        (folder / f"{client}-key.pem").read_bytes(),
        (folder / f"{client}-cert.pem").read_bytes(),
    )


@contextmanager
def connect(address: str, folder: Path, client: str = "client") -> Iterator[grpc.Channel]:
    """Connects as one of a folder's clients, with a connection of its own."""
    # A subchannel of its own: channels of one process share connections otherwise.
    options = [("grpc.use_local_subchannel_pool", 1)]
    with grpc.secure_channel(address, credentials(folder, client), options) as channel:
        yield channel
