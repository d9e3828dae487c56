"""`--isolate-owners`: a client sees and stops the jobs of its own principal; to it there are no others."""

from __future__ import annotations

import asyncio
import shutil
import uuid
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import grpc
import pytest

from daemon_world import Pki, follow, new_world, read_until, reason_of, refusal_of, shell
from jobworker.v1 import job_worker_pb2 as pb
from jobworker.worker import Exited, Job
from jobworker.worker.sqlite_store import SqliteJobStore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from daemon_world import World
    from jobworker.v1 import job_worker_pb2_grpc as rpc

_NO_JOB = "00000000-0000-4000-8000-000000000000"
# Two that start alike.
_OF_CI = "abcd0000-0000-4000-8000-000000000000"
_OF_PEOPLE = "abce0000-0000-4000-8000-000000000000"
# As the certificates of the fixture pki are given out here: ci has two of them.
_CI, _CI_NEXT, _PEOPLE, _WATCHER = "full", "stranger", "both", "log"

_CALLS: dict[str, Callable[[rpc.JobWorkerServiceStub, str], object]] = {
    "get": lambda stub, job_id: stub.GetJob(pb.GetJobRequest(job_id=job_id)),
    "stop": lambda stub, job_id: stub.StopJob(pb.StopJobRequest(job_id=job_id)),
    "delete": lambda stub, job_id: stub.DeleteJob(pb.DeleteJobRequest(job_id=job_id)),
    "read": lambda stub, job_id: next(
        iter(stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDOUT)))
    ),
}


@pytest.fixture(scope="module")
def named(pki: Pki, tmp_path_factory: pytest.TempPathFactory) -> Pki:
    """The certificates, with a role table that has names."""
    folder = tmp_path_factory.mktemp("named") / "pki"
    shutil.copytree(pki.folder, folder)
    people = {"ci": ("FULL", [_CI, _CI_NEXT]), "people": ("FULL", [_PEOPLE]), "watcher": ("LOG", [_WATCHER])}
    with (folder / "roles.toml").open("w") as table:
        for name, (role, clients) in people.items():
            fingerprints = [pki.fingerprints[client] for client in clients]
            table.write(f'[[principal]]\nname = "{name}"\nrole = "{role}"\nfingerprints = {fingerprints}\n')
    return Pki(folder, pki.fingerprints)


async def _fill(file: Path) -> None:
    """Puts a finished job of each of two principals into a job store."""
    async with SqliteJobStore(file) as store:
        for job_id, principal in ((_OF_CI, "ci"), (_OF_PEOPLE, "people")):
            start = datetime.now(UTC)
            await store.add(Job(job_id, ("true",), start, "f" * 64, principal).ended(Exited(0), start))


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A state directory with jobs in it."""
    made = tmp_path_factory.mktemp("state")
    asyncio.run(_fill(made / "jobs.sqlite"))
    return made


@pytest.fixture(scope="module")
def world(named: Pki, state_dir: Path) -> Iterator[World]:
    """A daemon that isolates owners."""
    with new_world(named, "--isolate-owners", state_dir=state_dir) as made:
        yield made


@pytest.fixture
def ci(world: World) -> Iterator[rpc.JobWorkerServiceStub]:
    """A connection as ci."""
    with world.stub(_CI) as made:
        yield made


@pytest.fixture
def people(world: World) -> Iterator[rpc.JobWorkerServiceStub]:
    """A connection as people."""
    with world.stub(_PEOPLE) as made:
        yield made


def _listed(stub: rpc.JobWorkerServiceStub) -> dict[str, str]:
    """Lists all jobs that there are, in pages of two; returns their principals by their ids."""
    found: dict[str, str] = {}
    request = pb.ListJobsRequest(page_size=2)
    while True:
        page = stub.ListJobs(request)
        found.update({job.id: job.principal for job in page.jobs})
        if not page.next_page_token:
            return found
        request.page_token = page.next_page_token


def test_each_lists_its_own(world: World, ci: rpc.JobWorkerServiceStub, people: rpc.JobWorkerServiceStub) -> None:
    """Of two that start jobs in turn each sees what it started; who only watches, and starts none, sees none."""
    started: dict[rpc.JobWorkerServiceStub, set[str]] = {ci: set(), people: set()}
    for stub in (ci, people) * 3:
        started[stub].add(shell(stub, "true"))
    for stub, principal in ((ci, "ci"), (people, "people")):
        listed = _listed(stub)
        assert started[stub] < listed.keys()
        assert set(listed.values()) == {principal}
    with world.stub(_WATCHER) as watcher:
        assert _listed(watcher) == {}
        assert reason_of(lambda: _CALLS["get"](watcher, _OF_CI))[1] == "JOB_NOT_FOUND"
        assert reason_of(lambda: _CALLS["stop"](watcher, _OF_CI))[1] == "ROLE_TOO_LOW"


@pytest.mark.parametrize("call", _CALLS)
def test_a_foreign_job_does_not_exist(
    ci: rpc.JobWorkerServiceStub, people: rpc.JobWorkerServiceStub, call: str
) -> None:
    """The error is to the letter that of a job that never was, and nothing happens to the job."""
    running = shell(ci, "echo ready; exec sleep 1000")
    read_until(follow(ci, running), b"ready")
    for job_id in (running, _OF_CI):
        before = _CALLS["get"](ci, job_id)
        assert reason_of(partial(_CALLS[call], people, job_id)) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
        foreign = refusal_of(partial(_CALLS[call], people, job_id))
        missing = refusal_of(partial(_CALLS[call], people, _NO_JOB))
        assert str(foreign.details()).replace(job_id, _NO_JOB) == missing.details()
        # The details that programs read.
        told, of_none = (dict(one.trailing_metadata() or ())["grpc-status-details-bin"] for one in (foreign, missing))
        assert isinstance(told, bytes)
        assert told.replace(job_id.encode(), _NO_JOB.encode()) == of_none
        assert _CALLS["get"](ci, job_id) == before
    _CALLS["stop"](ci, running)


def _read_whole(stub: rpc.JobWorkerServiceStub, job_id: str) -> pb.Job:
    """Reads a job's stderr, and returns the job that its end tells of."""
    *_, last = stub.ReadLogs(pb.ReadLogsRequest(job_id=job_id, stream=pb.LOG_STREAM_STDERR))
    return last.end.job


def test_a_beginning_is_the_own_jobs(ci: rpc.JobWorkerServiceStub, people: rpc.JobWorkerServiceStub) -> None:
    """One that fits a foreign job too is not ambiguous, and means another job to each."""
    found = [stub.GetJob(pb.GetJobRequest(job_id="abc")).job for stub in (ci, people)]
    assert [(job.id, job.principal) for job in found] == [(_OF_CI, "ci"), (_OF_PEOPLE, "people")]
    assert [stub.StopJob(pb.StopJobRequest(job_id="abc")).job.id for stub in (ci, people)] == [_OF_CI, _OF_PEOPLE]
    assert [_read_whole(stub, "abc").id for stub in (ci, people)] == [_OF_CI, _OF_PEOPLE]
    assert reason_of(lambda: _CALLS["get"](people, "abcd"))[1] == "JOB_NOT_FOUND"


def test_a_page_token_of_another_is_refused(ci: rpc.JobWorkerServiceStub, people: rpc.JobWorkerServiceStub) -> None:
    """It is as good as one that somebody made up."""
    shell(ci, "true")
    token = ci.ListJobs(pb.ListJobsRequest(page_size=1)).next_page_token
    request = pb.ListJobsRequest(page_token=token)
    assert ci.ListJobs(request).jobs
    assert reason_of(lambda: people.ListJobs(request))[1] == "INVALID_PAGE_TOKEN"


def test_a_request_id_is_each_principals_own(
    world: World, ci: rpc.JobWorkerServiceStub, people: rpc.JobWorkerServiceStub
) -> None:
    """Another principal's same one starts a job, whatever the command; the same principal's next certificate's none."""
    request = pb.StartJobRequest(command=["true"], request_id=str(uuid.uuid4()))
    first = ci.StartJob(request).job
    assert people.StartJob(request).job.id != first.id
    with world.stub(_CI_NEXT) as stub:
        again = stub.StartJob(request).job
    assert (again.id, again.owner) == (first.id, world.pki.fingerprints[_CI])
    other = pb.StartJobRequest(command=["false"], request_id=request.request_id)
    assert reason_of(lambda: ci.StartJob(other))[1] == "REQUEST_ID_REUSED"
    assert people.GetJob(pb.GetJobRequest(job_id=people.StartJob(request).job.id)).job.principal == "people"


def test_a_rotated_certificate_keeps_its_principals_jobs(named: Pki, tmp_path: Path) -> None:
    """The next certificate stops what the last one started, also of a later daemon, and when the last one has gone."""
    folder = tmp_path / "pki"
    shutil.copytree(named.folder, folder)
    pki = Pki(folder, named.fingerprints)
    with new_world(pki, "--isolate-owners", "--keep-jobs", state_dir=tmp_path / "state") as world:
        with world.stub(_CI) as stub:
            job_id = shell(stub, "exec sleep 1000")
        assert world.daemon.stop() == 0
        table = folder / "roles.toml"
        table.write_text(table.read_text().replace(f"'{pki.fingerprints[_CI]}', ", ""))
        world.daemon.start()
        with world.stub(_CI) as stub:
            assert reason_of(lambda: _CALLS["get"](stub, job_id))[1] == "ACCESS_DENIED"
        with world.stub(_CI_NEXT) as stub:
            stopped = stub.StopJob(pb.StopJobRequest(job_id=job_id)).job
    assert (stopped.state, stopped.owner) == (pb.JOB_STATE_STOPPED, pki.fingerprints[_CI])
    assert stopped.principal == "ci"


def test_a_name_takes_its_certificates_jobs_along(named: Pki, pki: Pki, tmp_path: Path) -> None:
    """Who is given a name, to rotate a certificate say, keeps the jobs from before, also with the next certificate."""
    folder = tmp_path / "pki"
    shutil.copytree(pki.folder, folder)
    request = pb.StartJobRequest(command=["sleep", "1000"], request_id=str(uuid.uuid4()))
    options = ("--isolate-owners", "--keep-jobs")
    with new_world(Pki(folder, pki.fingerprints), *options, state_dir=tmp_path / "state") as world:
        with world.stub(_CI) as stub:
            before = stub.StartJob(request).job
        assert before.principal == pki.fingerprints[_CI]
        assert world.daemon.stop() == 0
        shutil.copy(named.folder / "roles.toml", folder)
        world.daemon.start()
        with world.stub(_PEOPLE) as stub:
            assert _listed(stub) == {}
            assert reason_of(lambda: _CALLS["stop"](stub, before.id))[1] == "JOB_NOT_FOUND"
        with world.stub(_CI_NEXT) as stub:
            assert stub.StartJob(request).job.id == before.id
            named_one = shell(stub, "true")
            assert _listed(stub) == {named_one: "ci", before.id: pki.fingerprints[_CI]}
            stopped = stub.StopJob(pb.StopJobRequest(job_id=before.id[:13])).job
    assert stopped.state == pb.JOB_STATE_STOPPED


def test_off_by_default(named: Pki, pki: Pki) -> None:
    """Everyone sees all jobs, and may do what the role says; whose they are is told all the same."""
    with new_world(named) as world, world.stub(_CI) as ci, world.stub(_PEOPLE) as people:
        of_ci, of_people = shell(ci, "exec sleep 1000"), shell(people, "true")
        with world.stub(_WATCHER) as watcher:
            assert _listed(watcher) == _listed(ci) == {of_people: "people", of_ci: "ci"}
        assert people.StopJob(pb.StopJobRequest(job_id=of_ci)).job.state == pb.JOB_STATE_STOPPED
    # Without names each certificate is a principal.
    isolating = new_world(pki, environment={"JOBWORKER_ISOLATE_OWNERS": "1"})
    with isolating as world, world.stub(_CI) as ci, world.stub(_PEOPLE) as people:
        job_id = shell(ci, "true")
        assert (_listed(ci), _listed(people)) == ({job_id: pki.fingerprints[_CI]}, {})
