"""The published service config repeats what may be repeated, and nothing else."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import grpc
import pytest
from apitool import docs

from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc


@pytest.fixture
def config() -> dict[str, Any]:
    """The service config."""
    return dict(json.loads(Path("proto/jobworker/v1/service_config.json").read_text()))


def repeated(config: dict[str, Any]) -> set[str]:
    """Returns the paths of the methods that have a retry policy."""
    policies = [each for each in config["methodConfig"] if "retryPolicy" in each]
    return {f"/{name['service']}/{name['method']}" for each in policies for name in each["name"]}


def test_what_is_idempotent_is_repeated(config: dict[str, Any]) -> None:
    """The proto's comments say which these are; a stream, once begun, can't be repeated by gRPC."""
    reference = docs.reference(Path(os.environ["DESCRIPTOR_SET"]).read_bytes())
    idempotent = {
        method.path
        for method in reference.api.methods
        if reference.methods[method.name].idempotent.startswith("Idempotent") and not method.streams
    }
    assert repeated(config) == idempotent
    assert idempotent == {
        f"/jobworker.v1.JobWorkerService/{name}" for name in ("StartJob", "StopJob", "GetJob", "ListJobs")
    }


def test_only_what_passes_is_repeated(config: dict[str, Any]) -> None:
    """The codes of a daemon that goes away or is not there, and no error that a second attempt would get too."""
    policies = [each["retryPolicy"] for each in config["methodConfig"] if "retryPolicy" in each]
    assert all(policy["retryableStatusCodes"] == ["UNAVAILABLE", "CANCELLED"] for policy in policies)
    # gRPC makes no more than 5 attempts, whatever it is told.
    assert all(1 < policy["maxAttempts"] <= 5 for policy in policies)


def test_grpc_takes_it(config: dict[str, Any]) -> None:
    """The library finds no fault with it: a call fails for want of a server, and not for the config."""
    options = (("grpc.service_config", json.dumps(config)),)
    with grpc.insecure_channel("unix:/nonexistent", options) as channel, pytest.raises(grpc.RpcError) as failed:
        rpc.JobWorkerServiceStub(channel).DeleteJob(pb.DeleteJobRequest(), timeout=10)
    assert "addr: unix:/nonexistent error: No such file" in str(failed.value)
