"""Certificates that all tests share, and daemons: one that a module's tests share, one that a test has to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from daemon_world import Pki, World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jobworker.v1 import job_worker_pb2_grpc as rpc


@pytest.fixture(scope="session")
def pki(tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """Certificates of every kind, made once."""
    return Pki.make(tmp_path_factory.mktemp("pki"))


@pytest.fixture(scope="module")
def world(pki: Pki) -> Iterator[World]:
    """A daemon that the tests of a module share."""
    with new_world(pki) as made:
        yield made


@pytest.fixture
def own_world(pki: Pki) -> Iterator[World]:
    """A daemon for one test, which may do with it what it likes."""
    with new_world(pki) as made:
        yield made


@pytest.fixture
def stub(world: World) -> Iterator[rpc.JobWorkerServiceStub]:
    """A connection with the role FULL to the module's daemon."""
    with world.stub() as made:
        yield made
