"""start, stop, status and list against a service behind real mutual TLS."""

from __future__ import annotations

import uuid
from typing import TYPE_CHECKING

import grpc
import pytest

from cli_testing import Abort, run
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from cli_testing import Identities, ScriptedService

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


def test_a_start_is_retried_with_the_same_request_id(service: ScriptedService, client: list[str]) -> None:
    """A service that was away for a moment still starts one job only."""
    service.job.id = ID
    service.failures.append(Abort(grpc.StatusCode.UNAVAILABLE, "away"))
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
