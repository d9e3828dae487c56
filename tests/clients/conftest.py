"""For the tests of the Python client: a scripted service behind real mutual TLS, and the files to call it with."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from cli_testing import Folder, Host, Identities, ScriptedService

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="session")
def identities() -> Identities:
    """The certificates, made once."""
    return Identities.make()


@pytest.fixture(scope="session")
def folder(identities: Identities, tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """The files of the client that the service trusts."""
    return Folder.write(tmp_path_factory.mktemp("certs"), identities.authority, identities.client)


@pytest.fixture
def service() -> ScriptedService:
    """A service with an empty script."""
    return ScriptedService()


@pytest.fixture
def host(service: ScriptedService, identities: Identities) -> Iterator[Host]:
    """The server of the service."""
    with Host(service, identities.server, identities.authority) as running:
        yield running
