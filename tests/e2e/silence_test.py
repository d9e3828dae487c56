"""A daemon, or a network, that says nothing any more, though the connection stands."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import TYPE_CHECKING

import grpc
import pytest

from jobworker.client import connection
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.v1 import job_worker_pb2_grpc as rpc
from jobworker_testing import credentials
from jobworker_testing.world import shell

if TYPE_CHECKING:
    from jobworker_testing.world import World


def test_a_connection_that_stands_still_is_given_up(own_world: World) -> None:
    """The Python client, and so worker-cli, asks after 30 s whether anybody is there, and waits 10 s for an answer."""
    certs = Path("certs").absolute()
    with grpc.secure_channel(own_world.daemon.address, credentials(certs), connection.options()) as channel:
        stub = rpc.JobWorkerServiceStub(channel)
        job_id = shell(stub, "echo ready; exec sleep 1000")
        request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True)
        # grpc's own patience with an answer, a minute, would outlast the deadline.
        frames = stub.ReadLogs(request, timeout=50)
        assert next(frames).data.data == b"ready\n"
        own_world.daemon.signal(signal.SIGSTOP)
        try:
            with pytest.raises(grpc.RpcError) as caught:
                next(frames)
        finally:
            own_world.daemon.signal(signal.SIGCONT)
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
