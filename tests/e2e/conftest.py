"""Daemons for the tests: one that a module's tests share, and one that a test has to itself."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jobworker_testing.world import World, new_world

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jobworker.v1 import job_worker_pb2_grpc as rpc


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A daemon that the tests of a module share."""
    with new_world(tmp_path_factory.mktemp("state")) as made:
        yield made


@pytest.fixture
def own_world(tmp_path: Path) -> Iterator[World]:
    """A daemon for one test, which may do with it what it likes."""
    with new_world(tmp_path) as made:
        yield made


@pytest.fixture
def stub(world: World) -> Iterator[rpc.JobWorkerServiceStub]:
    """A connection with role FULL to the module's daemon."""
    with world.stub() as made:
        yield made
