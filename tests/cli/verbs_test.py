"""start, stop, status, rm and list against a service behind real mutual TLS."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import grpc
import pytest
from google.protobuf.duration_pb2 import Duration

from cli_testing import Abort, Result, run
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from cli_testing import Host, Identities, ScriptedService

ID = "5a2e1f4c-0000-4000-8000-000000000000"


def test_start_prints_the_id_and_nothing_else(service: ScriptedService, client: list[str]) -> None:
    """The command goes to the service untouched, with a request id that is a random UUID."""
    service.job.id = ID
    result = run([*client, "start", "--", "ls", "--", "-l", ""])
    assert (result.code, result.out, result.err) == (0, f"{ID}\n".encode(), "")
    (request,) = service.requests
    assert isinstance(request, pb.StartJobRequest)
    assert list(request.command) == ["ls", "--", "-l", ""]
    assert uuid.UUID(request.request_id).version == 4


def test_each_start_has_a_request_id_of_its_own(service: ScriptedService, client: list[str]) -> None:
    """Two commands start two jobs."""
    for _ in range(2):
        run([*client, "start", "--", "true"])
    first, second = (request.request_id for request in service.requests if isinstance(request, pb.StartJobRequest))
    assert first != second


@pytest.mark.parametrize("code", [grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.CANCELLED])
def test_a_start_is_retried_with_the_same_request_id(
    service: ScriptedService, client: list[str], code: grpc.StatusCode
) -> None:
    """A service that was away for a moment, or was told to stop as the call came, still starts one job only."""
    service.job.id = ID
    service.failures.append(Abort(code, "away"))
    result = run([*client, "start", "--", "true"])
    assert (result.code, result.out) == (0, f"{ID}\n".encode())
    first, second = (request.request_id for request in service.requests if isinstance(request, pb.StartJobRequest))
    assert first == second


def test_retries_are_bounded(service: ScriptedService, client: list[str]) -> None:
    """A service that stays away is given up on, and the user is told."""
    service.failures.extend([Abort(grpc.StatusCode.UNAVAILABLE, "away")] * 9)
    result = run([*client, "list"])
    assert (result.code, result.out) == (3, b"")
    assert "away; try again" in result.err
    assert len(service.requests) == 4


@pytest.mark.parametrize("state", ["stopped", "succeeded", "failed"])
def test_stop_prints_the_final_status(service: ScriptedService, client: list[str], state: str) -> None:
    """One word, whatever the job's end was; none of them is an error."""
    service.job.state = pb.JobState.Value(f"JOB_STATE_{state.upper()}")
    result = run([*client, "stop", "5a2e"])
    assert (result.code, result.out, result.err) == (0, f"{state}\n".encode(), "")
    assert service.requests == [pb.StopJobRequest(job_id="5a2e")]


@pytest.mark.parametrize(
    ("words", "grace"),
    [
        (["--grace=10"], Duration(seconds=10)),
        (["--grace", "0.25"], Duration(nanos=250_000_000)),
        (["--grace=1.000000001"], Duration(seconds=1, nanos=1)),
        (["--grace=315576000000"], Duration(seconds=315_576_000_000)),
        (["--grace=0"], None),
        (["--grace=0.0000000001"], None),
    ],
)
def test_stop_gives_grace(
    service: ScriptedService, client: list[str], words: list[str], grace: Duration | None
) -> None:
    """The seconds go to the service to the nanosecond; none at all is no field."""
    service.job.state = pb.JOB_STATE_STOPPED
    assert run([*client, "stop", *words, "5a2e"]) == Result(0, b"stopped\n", "")
    assert service.requests == [pb.StopJobRequest(job_id="5a2e", grace_period=grace)]


def test_a_wrong_grace_calls_nothing(service: ScriptedService, client: list[str]) -> None:
    """A number that is none ends in exit code 2 and one line, and the job goes on."""
    result = run([*client, "stop", "--grace=-1", "5a2e"])
    assert (result.code, result.out, result.err.count("\n")) == (2, b"", 1)
    assert "--grace=-1 is not a number of seconds" in result.err
    assert service.requests == []


def test_rm_deletes_in_order_and_prints_nothing(service: ScriptedService, client: list[str]) -> None:
    """Each id goes to the service as it was typed, and silence is success."""
    assert run([*client, "rm", "7c", "5a", "6b"]) == Result(0, b"", "")
    assert service.requests == [pb.DeleteJobRequest(job_id=job_id) for job_id in ("7c", "5a", "6b")]


def test_rm_goes_on_after_a_job_that_is_refused(service: ScriptedService, client: list[str]) -> None:
    """Each failure is a line that names the id and says what to do; the others are deleted; the exit code is 1."""
    service.refusals["5a"] = Abort(grpc.StatusCode.NOT_FOUND, "no job")
    service.refusals["6b"] = Abort(grpc.StatusCode.FAILED_PRECONDITION, "job 6b1f has not ended; stop it first")
    service.refusals["x\n"] = Abort(grpc.StatusCode.INVALID_ARGUMENT, "that is no job id")
    result = run([*client, "rm", "5a", "1d", "6b", "x\n", "2e"])
    assert (result.code, result.out) == (1, b"")
    assert result.err.splitlines() == [
        "worker-cli: cannot delete 5a: no job has the id 5a; see the jobs there are with worker-cli list",
        "worker-cli: cannot delete 6b: job 6b has not ended; stop it first with worker-cli stop 6b",
        "worker-cli: cannot delete $'x\\n': that is no job id",
    ]
    asked = [request.job_id for request in service.requests if isinstance(request, pb.DeleteJobRequest)]
    assert asked == ["5a", "1d", "6b", "x\n", "2e"]


@pytest.mark.parametrize(
    ("code", "exit_code", "part"),
    [
        (grpc.StatusCode.UNAVAILABLE, 3, "lost the connection"),
        (grpc.StatusCode.UNAUTHENTICATED, 3, "does not accept the client certificate"),
        (grpc.StatusCode.PERMISSION_DENIED, 1, "no permission: rm needs the role FULL"),
        (grpc.StatusCode.UNIMPLEMENTED, 1, "is of another version"),
    ],
)
def test_rm_ends_at_what_every_job_would_meet(
    service: ScriptedService, client: list[str], code: grpc.StatusCode, exit_code: int, part: str
) -> None:
    """Without a connection or the permission nothing more is asked, and no delete is repeated by itself."""
    service.refusals["1d"] = Abort(grpc.StatusCode.NOT_FOUND, "no job")
    service.refusals["5a"] = Abort(code, "no")
    result = run([*client, "rm", "1d", "5a", "6b"])
    assert (result.code, result.out) == (exit_code, b"")
    told, last = result.err.splitlines()
    assert told.startswith("worker-cli: cannot delete 1d: no job has the id 1d")
    assert last.startswith("worker-cli: cannot delete 5a: ")
    assert part in last
    assert service.requests == [pb.DeleteJobRequest(job_id="1d"), pb.DeleteJobRequest(job_id="5a")]


def test_rm_without_a_server(host: Host, client: list[str]) -> None:
    """A server that is not there is told once, with the exit code of connections."""
    host.stop()
    result = run([*client, "rm", "5a", "6b"])
    host.start()
    assert (result.code, result.out, result.err.count("\n")) == (3, b"", 1)
    assert "cannot delete 5a" in result.err
    assert "is not reachable: connection refused" in result.err


def test_status_prints_the_facts(service: ScriptedService, client: list[str]) -> None:
    """The service is asked with what the user typed, and the facts are shown."""
    service.job.MergeFrom(pb.Job(id=ID, state=pb.JOB_STATE_RUNNING, command=["sleep", "9"]))
    result = run([*client, "status", "5a2e"])
    assert result.code == 0
    assert result.out.decode().startswith(f"id:             {ID}\nstatus:         running\ncommand:        sleep 9\n")
    assert service.requests == [pb.GetJobRequest(job_id="5a2e")]


def test_list_shows_all_pages_in_order(service: ScriptedService, client: list[str]) -> None:
    """One heading, then every page's jobs as the service orders them."""
    for number, token in enumerate(["one", "two", ""]):
        jobs = [pb.Job(id=f"job-{number}-{index}", command=["x"]) for index in range(2)]
        service.pages.append(pb.ListJobsResponse(jobs=jobs, next_page_token=token))
    result = run([*client, "list"])
    lines = result.out.decode().splitlines()
    assert result.code == 0
    assert [line.split()[0] for line in lines] == ["ID"] + [f"job-{n}-{i}" for n in range(3) for i in range(2)]
    tokens = [request.page_token for request in service.requests if isinstance(request, pb.ListJobsRequest)]
    assert tokens == ["", "one", "two"]


def test_list_without_jobs_is_a_heading(client: list[str]) -> None:
    """No job is no error."""
    result = run([*client, "list"])
    assert (result.code, result.out.count(b"\n"), result.err) == (0, 1, "")


def test_pages_shown_before_a_failure_stay(service: ScriptedService, client: list[str]) -> None:
    """What came is shown, and the failure is told with its exit code."""
    service.pages.append(pb.ListJobsResponse(jobs=[pb.Job(id="seen")], next_page_token="more"))  # noqa: S106 - no secret
    service.pages.append(Abort(grpc.StatusCode.INTERNAL, "oops"))
    result = run([*client, "list"])
    assert result.code == 1
    assert b"seen" in result.out
    assert "the service failed: oops" in result.err


@pytest.mark.parametrize(
    ("code", "details", "exit_code", "part"),
    [
        (grpc.StatusCode.NOT_FOUND, "no", 1, "no job has the id 5a2e"),
        (grpc.StatusCode.INVALID_ARGUMENT, "2 jobs have such an id", 1, "2 jobs have such an id"),
        (grpc.StatusCode.PERMISSION_DENIED, "permission denied", 1, "stop needs the role FULL"),
        (grpc.StatusCode.INTERNAL, "line\nbreak \x1b[31m", 1, "line break \\e[31m"),
    ],
)
def test_errors_are_one_line(  # noqa: PLR0913, PLR0917 - what there is to vary
    service: ScriptedService, client: list[str], code: grpc.StatusCode, details: str, exit_code: int, part: str
) -> None:
    """What the service says no to ends in one line on stderr and nothing on stdout."""
    service.failures.append(Abort(code, details))
    result = run([*client, "stop", "5a2e"])
    assert (result.code, result.out) == (exit_code, b"")
    assert part in result.err
    assert result.err.startswith("worker-cli: ")
    assert result.err.count("\n") == 1


def test_no_permission_names_the_fingerprint(
    service: ScriptedService, client: list[str], identities: Identities
) -> None:
    """The user can send the operator what the role table needs."""
    service.failures.append(Abort(grpc.StatusCode.PERMISSION_DENIED, "permission denied"))
    assert identities.client.fingerprint in run([*client, "list"]).err
