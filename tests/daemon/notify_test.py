"""sd_notify."""

from __future__ import annotations

import logging
import socket
import tempfile
import uuid
from pathlib import Path

import pytest

from jobworker.daemon.notify import notify


def _listen(name: str) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    listener.bind(name)
    return listener


def test_socket_in_the_file_system() -> None:
    """The state reaches the socket that NOTIFY_SOCKET names."""
    # Not pytest's directory: under Bazel its path is longer than a socket's name may be.
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        path = str(Path(folder, "notify"))
        with _listen(path) as listener:
            notify("READY=1", {"NOTIFY_SOCKET": path})
            assert listener.recv(100) == b"READY=1"


def test_abstract_socket() -> None:
    """A name that begins with @ is one in the abstract namespace."""
    name = f"jobworker-{uuid.uuid4()}"
    with _listen(f"\0{name}") as listener:
        notify("STOPPING=1", {"NOTIFY_SOCKET": f"@{name}"})
        assert listener.recv(100) == b"STOPPING=1"


@pytest.mark.parametrize("environment", [{}, {"NOTIFY_SOCKET": ""}])
def test_no_service_manager(environment: dict[str, str]) -> None:
    """Without a service manager nothing happens."""
    notify("READY=1", environment)


@pytest.mark.parametrize("path", ["/no/such/socket", "/" + "x" * 200, "@"])
def test_unreachable_service_manager(path: str, caplog: pytest.LogCaptureFixture) -> None:
    """A service manager that can't be reached is logged and doesn't end the daemon."""
    with caplog.at_level(logging.WARNING):
        notify("READY=1", {"NOTIFY_SOCKET": path})
    assert [record.getMessage() for record in caplog.records] == ["notify_failed"]
