"""Calls on the wire: their results, their errors, their lines in the log, and clients that go away."""

from __future__ import annotations

import functools
import json
import re
import uuid
from typing import TYPE_CHECKING

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from daemon_world import follow, new_world, raw_call, read_until, reason_of, refusal_of, shell
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from daemon_world import Pki, World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_NO_JOB = "00000000-0000-4000-8000-000000000000"


def _fields(line: str) -> dict[str, str]:
    """Returns the fields of a log line."""
    pairs = re.findall(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)', line)
    return {name: json.loads(value) if value.startswith('"') else value for name, value in pairs}


def test_life_of_a_job(stub: rpc.JobWorkerServiceStub, world: World) -> None:
    """A job is started, found by a prefix, listed, read to its end frame, and stopping it then changes nothing."""
    started = stub.StartJob(pb.StartJobRequest(command=["sh", "-c", "echo out; echo err >&2; exit 3"])).job
    assert started.owner == world.pki.fingerprints["full"]
    *data, last = follow(stub, started.id[:13])
    assert b"".join(frame.data.data for frame in data) == b"out\n"
    assert (last.end.offset, last.end.job.exit_code, last.end.job.state) == (4, 3, pb.JOB_STATE_FAILED)
    assert stub.GetJob(pb.GetJobRequest(job_id=started.id)).job == last.end.job
    assert stub.StopJob(pb.StopJobRequest(job_id=started.id)).job == last.end.job
    assert started.id in {job.id for job in stub.ListJobs(pb.ListJobsRequest(page_size=1000)).jobs}


def test_read_without_follow(stub: rpc.JobWorkerServiceStub) -> None:
    """A read that doesn't follow ends where the output ends now, from any offset, and says so."""
    job_id = shell(stub, "printf 0123456789; exec sleep 1000")
    read_until(follow(stub, job_id), b"9")
    request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, offset=4)
    *data, last = stub.ReadLogs(request)
    assert [(frame.data.offset, frame.data.data) for frame in data] == [(4, b"456789")]
    assert (last.end.offset, last.end.job.state) == (10, pb.JOB_STATE_RUNNING)
    stopped = stub.StopJob(pb.StopJobRequest(job_id=job_id)).job
    assert (stopped.state, stopped.signal) == (pb.JOB_STATE_STOPPED, 9)


def test_request_id(stub: rpc.JobWorkerServiceStub) -> None:
    """A start that is repeated with its request id is one job."""
    request = pb.StartJobRequest(command=["true"], request_id=str(uuid.uuid4()))
    assert stub.StartJob(request).job.id == stub.StartJob(request).job.id


@pytest.mark.parametrize(
    ("request_", "code", "reason"),
    [
        (pb.StartJobRequest(), "INVALID_ARGUMENT", "INVALID_COMMAND"),
        (pb.StartJobRequest(command=["a\0b"]), "INVALID_ARGUMENT", "INVALID_COMMAND"),
        (pb.StartJobRequest(command=["/no/such/program"]), "INVALID_ARGUMENT", "PROGRAM_NOT_FOUND"),
        (pb.StartJobRequest(command=["/"]), "INVALID_ARGUMENT", "PROGRAM_NOT_EXECUTABLE"),
        (pb.StartJobRequest(command=["true", "x" * 200_000]), "INVALID_ARGUMENT", "COMMAND_TOO_LONG"),
        (pb.StartJobRequest(command=["true"], request_id="x"), "INVALID_ARGUMENT", "INVALID_REQUEST_ID"),
        (pb.StopJobRequest(job_id=_NO_JOB), "NOT_FOUND", "JOB_NOT_FOUND"),
        (pb.GetJobRequest(job_id=_NO_JOB), "NOT_FOUND", "JOB_NOT_FOUND"),
        (pb.GetJobRequest(), "INVALID_ARGUMENT", "INVALID_JOB_ID"),
        (pb.GetJobRequest(job_id="x" * 1_000_000), "INVALID_ARGUMENT", "INVALID_JOB_ID"),
        (pb.ListJobsRequest(page_size=-1), "INVALID_ARGUMENT", "INVALID_PAGE_SIZE"),
        (pb.ListJobsRequest(page_token="x"), "INVALID_ARGUMENT", "INVALID_PAGE_TOKEN"),  # noqa: S106 - no password
        (pb.ReadLogsRequest(job_id=_NO_JOB), "INVALID_ARGUMENT", "INVALID_STREAM"),
        (pb.ReadLogsRequest(job_id=_NO_JOB, stream=pb.LOG_STREAM_STDERR), "NOT_FOUND", "JOB_NOT_FOUND"),
    ],
    ids=lambda value: str(value)[:60],
)
def test_errors(stub: rpc.JobWorkerServiceStub, request_: Message, code: str, reason: str) -> None:
    """Each kind of bad request has its code and a reason that a program can rely on."""
    method = getattr(stub, type(request_).__name__.removesuffix("Request"))
    streams = isinstance(request_, pb.ReadLogsRequest)
    assert reason_of(lambda: list(method(request_)) if streams else method(request_)) == (grpc.StatusCode[code], reason)


def test_offsets_out_of_range(stub: rpc.JobWorkerServiceStub) -> None:
    """An offset past the end is OUT_OF_RANGE, a negative one INVALID_ARGUMENT."""
    job_id = shell(stub, "true")

    def read(offset: int) -> list[pb.ReadLogsResponse]:
        return list(stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, offset=offset)))

    assert reason_of(lambda: read(1)) == (grpc.StatusCode.OUT_OF_RANGE, "OFFSET_OUT_OF_RANGE")
    assert reason_of(lambda: read(-1)) == (grpc.StatusCode.INVALID_ARGUMENT, "INVALID_OFFSET")
    assert [frame.WhichOneof("frame") for frame in read(0)] == ["end"]


def test_message_size_is_limited(world: World) -> None:
    """A request of more than 4 MiB is refused by grpc, before it is parsed."""
    with world.channel() as channel:
        error = refusal_of(lambda: raw_call(channel, "jobworker.v1.JobWorkerService/GetJob", b"x" * (5 << 20)))
    assert error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED


def test_page_of_long_commands_fits_a_message(own_world: World) -> None:
    """A page whose jobs have long commands gets shorter rather than too large for a client, and no job is lost."""
    arguments = ["x" * 100_000] * 10
    with own_world.stub() as stub:
        started = [stub.StartJob(pb.StartJobRequest(command=["true", *arguments])).job.id for _ in range(9)]
        listed: list[str] = []
        token = ""
        while True:
            page = stub.ListJobs(pb.ListJobsRequest(page_size=1000, page_token=token))
            listed += [job.id for job in page.jobs]
            token = page.next_page_token
            if not token:
                break
    assert listed == started[::-1]


def test_client_that_cancels(own_world: World) -> None:
    """A follower that cancels, or whose connection goes, leaves the job alone."""
    with own_world.stub() as stub:
        job_id = shell(stub, "echo ready; exec sleep 1000")
        frames = follow(stub, job_id)
        read_until(frames, b"ready")
        frames.cancel()
        assert _fields(own_world.call_line("ReadLogs"))["code"] == "CANCELLED"
        read_until(follow(stub, job_id), b"ready")
    assert _fields(own_world.call_line("ReadLogs"))["code"] == "CANCELLED"
    with own_world.stub() as stub:
        assert stub.GetJob(pb.GetJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_RUNNING
        stub.StopJob(pb.StopJobRequest(job_id=job_id))


def test_clients_leave_nothing_behind(own_world: World) -> None:
    """Followers that cancel, vanish, fail or read to the end leave no open file in the daemon."""

    def use() -> None:
        with own_world.stub() as stub:
            job_id = shell(stub, "echo ready; exec sleep 1000")
            for end_of in ("cancel", "stop", "vanish"):
                frames = follow(stub, job_id)
                read_until(frames, b"ready")
                if end_of == "cancel":
                    frames.cancel()
                elif end_of == "stop":
                    stub.StopJob(pb.StopJobRequest(job_id=job_id))
                    job_id = shell(stub, "echo ready; exec sleep 1000")
                else:
                    break
                own_world.call_line("ReadLogs")
            refusal_of(lambda: list(follow(stub, _NO_JOB)))
            own_world.call_line("ReadLogs")
        own_world.call_line("ReadLogs")
        with own_world.stub() as stub:
            stub.StopJob(pb.StopJobRequest(job_id=job_id))
            # A line that is logged after the vanished connection is gone too.
            own_world.call_line("StopJob")

    use()
    before = own_world.descriptors()
    for _ in range(5):
        use()
    # The last connection may not have been noticed to be gone.
    assert own_world.descriptors() <= before + 1


def test_client_whose_deadline_passes(own_world: World) -> None:
    """A deadline ends the call, not the job."""
    with own_world.stub() as stub:
        job_id = shell(stub, "exec sleep 1000")
        request = pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT, follow=True)
        refusal_of(lambda: list(stub.ReadLogs(request, timeout=0.2)))
        # The server's clock says when, and its client may be the first to tell.
        assert _fields(own_world.call_line("ReadLogs"))["code"] in {"DEADLINE_EXCEEDED", "CANCELLED"}
        assert stub.StopJob(pb.StopJobRequest(job_id=job_id)).job.state == pb.JOB_STATE_STOPPED


def test_call_line(own_world: World) -> None:
    """A call is one line with time, peer, name, method, job, code and duration."""
    with own_world.stub() as stub:
        job_id = shell(stub, "true")
        fields = _fields(own_world.call_line("StartJob"))
        stub.GetJob(pb.GetJobRequest(job_id=job_id[:13]))
        by_prefix = _fields(own_world.call_line("GetJob"))
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", fields.pop("time"))
    assert float(fields.pop("duration_ms")) > 0
    assert fields.pop("address").startswith("ipv4:127.0.0.1:")
    assert fields == {
        "level": "info",
        "event": "call",
        "method": "/jobworker.v1.JobWorkerService/StartJob",
        "code": "OK",
        "principal": own_world.pki.fingerprints["full"],
        "peer": own_world.pki.fingerprints["full"],
        "name": "full",
        "job": job_id,
    }
    assert by_prefix["job"] == job_id


def test_refused_calls_are_logged(own_world: World) -> None:
    """A refused call is a line too, at a higher level, with who it was."""
    with own_world.channel("stranger") as channel:
        refusal_of(lambda: raw_call(channel, "no.such/x y\nevent=call", b""))
        refusal_of(lambda: raw_call(channel, "jobworker.v1.JobWorkerService/GetJob", b""))
    fields = _fields(own_world.call_line("GetJob"))
    assert (fields["code"], fields["level"]) == ("PERMISSION_DENIED", "warning")
    assert (fields["name"], fields["peer"]) == ("stranger", own_world.pki.fingerprints["stranger"])


def test_job_id_cannot_forge_a_line(own_world: World) -> None:
    """What a client sends as an id stays one short field."""
    with own_world.stub() as stub:
        for forged in ('x" code=OK event="call', "a\nevent=call method=/x/Forged", "x" * 100_000):
            request = pb.GetJobRequest(job_id=forged)
            assert reason_of(functools.partial(stub.GetJob, request))[1] == "INVALID_JOB_ID"
            line = own_world.call_line("GetJob")
            assert _fields(line)["job"] == forged[:200]
            assert _fields(line)["code"] == "INVALID_ARGUMENT"
    assert not any(line.startswith("event=") for line in own_world.daemon.lines)


def test_arguments_are_for_debug_alone(pki: Pki) -> None:
    """Jobs' arguments, which may be secrets, are logged at debug level and nowhere else."""
    argument = "s3cr3t-argument"
    for level, expected in (("info", False), ("debug", True)):
        with new_world(pki, f"--log-level={level}") as world:
            with world.stub() as stub:
                stub.StartJob(pb.StartJobRequest(command=["true", argument]))
                reason_of(lambda: stub.StartJob(pb.StartJobRequest(command=["/no/such/program", argument])))
            world.daemon.stop()
            assert any(argument in line for line in world.daemon.lines) is expected


def test_level_error_is_quiet(pki: Pki) -> None:
    """At level error calls are not logged, and READY still is announced."""
    with new_world(pki, "--log-level=error") as world:
        with world.stub() as stub:
            stub.ListJobs(pb.ListJobsRequest())
        world.daemon.stop()
        assert world.daemon.lines == [f"READY address={world.daemon.address}\n"]


def test_health(world: World) -> None:
    """Health is told for the daemon and for its service; another service is NOT_FOUND."""
    with world.channel("log") as channel:
        health = health_pb2_grpc.HealthStub(channel)
        for service in ("", "jobworker.v1.JobWorkerService"):
            request = health_pb2.HealthCheckRequest(service=service)
            assert health.Check(request).status == health_pb2.HealthCheckResponse.SERVING
        assert set(health.List(health_pb2.HealthListRequest()).statuses) == {"", "jobworker.v1.JobWorkerService"}
        missing = health_pb2.HealthCheckRequest(service="no.such.Service")
        assert reason_of(lambda: health.Check(missing)) == (grpc.StatusCode.NOT_FOUND, "SERVICE_NOT_FOUND")


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
@pytest.mark.parametrize(
    "symbol",
    [
        "jobworker.v1.JobWorkerService",
        "jobworker.v1.JobWorkerService.GetJob",
        "jobworker.v1.Job.outcome",
        "grpc.reflection.v1.ServerReflection",
        "grpc.health.v1.Health",
    ],
)
def test_reflection(world: World, version: str, symbol: str) -> None:
    """Both versions of reflection describe every service, each other included, and what is in them."""
    answer = _reflected(world, version, reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
    assert answer.file_descriptor_response.file_descriptor_proto


@pytest.mark.parametrize("version", ["v1", "v1alpha"])
def test_reflection_of_what_is_not_there(world: World, version: str) -> None:
    """Whoever asks for a service or a method that there is not is told so, and may go on asking."""
    for symbol in ("jobworker.v1.Nothing", "jobworker.v1.JobWorkerService.Nothing"):
        answer = _reflected(world, version, reflection_pb2.ServerReflectionRequest(file_containing_symbol=symbol))
        assert answer.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]
    file = reflection_pb2.ServerReflectionRequest(file_by_filename="jobworker/v1/job_worker.proto")
    assert _reflected(world, version, file).file_descriptor_response.file_descriptor_proto
    extensions = reflection_pb2.ServerReflectionRequest(all_extension_numbers_of_type="jobworker.v1.Job")
    assert _reflected(world, version, extensions).all_extension_numbers_response.base_type_name == "jobworker.v1.Job"
    extension = reflection_pb2.ExtensionRequest(containing_type="jobworker.v1.Job", extension_number=1)
    none = _reflected(world, version, reflection_pb2.ServerReflectionRequest(file_containing_extension=extension))
    assert none.error_response.error_code == grpc.StatusCode.NOT_FOUND.value[0]


def _reflected(
    world: World, version: str, request: reflection_pb2.ServerReflectionRequest
) -> reflection_pb2.ServerReflectionResponse:
    """Returns the answer to one question."""
    with world.channel("log") as channel:
        ask = channel.stream_stream(
            f"/grpc.reflection.{version}.ServerReflection/ServerReflectionInfo",
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        (answer,) = ask(iter([request]))
    return answer
