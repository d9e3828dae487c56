"""A TLS session outlives what its certificate was good for, so a resumed one is judged like any other, at each call."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING, final

import pytest

from daemon_world import follow, reason_of, shell
from devcerts import Validity
from identity_world import LivePki, serving, wait_for_event
from jobworker_hostile.frames import (
    ACK,
    PREFACE,
    SETTINGS,
    call,
    call_headers,
    frame,
    parsed,
)
from jobworker_hostile.peer import plain

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from daemon_world import World

_LIST = "jobworker.v1.JobWorkerService/ListJobs"
_OK, _PERMISSION_DENIED = "0", "7"


@final
class _Client:
    """A client that offers the session of its last connection for the next one."""

    def __init__(self, world: World, name: str) -> None:
        self._address = world.daemon.address
        self._context = ssl.create_default_context(cafile=world.pki.file("ca-cert.pem"))
        self._context.load_cert_chain(*world.pki.client(name))
        self._context.set_alpn_protocols(["h2"])
        self._session: ssl.SSLSession | None = None

    def list_jobs(self) -> tuple[bool, str]:
        """Makes one call on a connection of its own; returns whether the session was resumed, and the call's status."""
        with (
            plain(self._address) as connected,
            self._context.wrap_socket(connected, server_hostname="localhost", session=self._session) as secured,
        ):
            secured.sendall(PREFACE + frame(SETTINGS) + frame(SETTINGS, flags=ACK) + call(1, call_headers(_LIST)))
            resumed, status = bool(secured.session_reused), _status(secured)
            # The ticket comes after the handshake, and so is there once anything else was read.
            self._session = secured.session
            return resumed, status


def _status(connection: ssl.SSLSocket) -> str:
    """Reads to the end of a call, and returns its status."""
    received = bytearray()
    while True:
        data = connection.recv(1 << 16)
        assert data
        received += data
        for one in parsed(received):
            if one.ends_stream:
                # A value of one character, which grpc's library writes without Huffman's code.
                _, name, rest = one.body.partition(b"grpc-status\1")
                assert name, one
                return rest[:1].decode()


def _leave(live: LivePki) -> None:
    live.grant(full=["admin"])


def _revoke(live: LivePki) -> None:
    live.revoke("full")


@pytest.mark.parametrize(("lose", "changed"), [(_leave, "roles"), (_revoke, "crl")])
def test_a_certificate_that_lost_access(tmp_path: Path, lose: Callable[[LivePki], None], changed: str) -> None:
    """Its session ends with the files that it came from; a later one is resumed, and its calls are refused."""
    live = LivePki.make(tmp_path / "files", admin=Validity.long())
    with serving(live) as world:
        client = _Client(world, "full")
        assert [client.list_jobs() for _ in range(2)] == [(False, _OK), (True, _OK)]
        lose(live)
        wait_for_event(world, "reloaded", changed=changed)
        assert [client.list_jobs() for _ in range(2)] == [(False, _PERMISSION_DENIED), (True, _PERMISSION_DENIED)]


def test_a_certificate_that_expired(tmp_path: Path) -> None:
    """Its session, which no handshake asks the time of any more, is resumed, and its calls are refused."""
    live = LivePki.make(tmp_path / "files", brief=Validity.days(-1, 10 / 86_400))
    with serving(live) as world, world.stub("brief") as stub:
        client = _Client(world, "brief")
        assert [client.list_jobs() for _ in range(2)] == [(False, _OK), (True, _OK)]
        # It ends when the certificate does.
        assert reason_of(lambda: list(follow(stub, shell(stub, "exec sleep 1000"))))[1] == "ACCESS_DENIED"
        assert client.list_jobs() == (True, _PERMISSION_DENIED)
