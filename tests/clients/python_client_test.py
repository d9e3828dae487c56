"""Both faces of the Python client, against a scripted service behind real mutual TLS."""

from __future__ import annotations

import inspect
import uuid
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
import pytest

from cli_testing import JOB_ID, Abort, Hang, data, end, from_byte, gap, last, reads
from jobworker.client import (
    STDOUT,
    AsyncClient,
    CallError,
    Client,
    ContractError,
    Data,
    End,
    Gap,
    GaveUpError,
    Interruption,
    JobDeletedError,
)
from jobworker.v1 import job_worker_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterable

    from cli_testing import Folder, Host, ScriptedService

    Face: TypeAlias = Client | AsyncClient

AWAY = Abort(grpc.StatusCode.UNAVAILABLE, "the server is going away")
ENDED = pb.Job()
NEXT = "next"


@pytest.fixture(params=[Client, AsyncClient])
async def client(request: pytest.FixtureRequest, host: Host, folder: Folder) -> AsyncIterator[Face]:
    """A client of the service, of each face."""
    made: Face = request.param.connect(host.address, ca=folder.ca, cert=folder.cert, key=folder.key)
    yield made
    if isinstance(made, AsyncClient):
        await made.close()
    else:
        made.close()


async def done(call: object) -> Any:  # noqa: ANN401 - whatever the call returns
    """Returns what a method of either face does."""
    return await call if inspect.isawaitable(call) else call


async def all_of(items: Iterable[object] | AsyncIterator[object]) -> list[object]:
    """Returns all that an iterator of either face gives."""
    return [item async for item in items] if isinstance(items, AsyncIterator) else list(items)


def starts(service: ScriptedService) -> list[pb.StartJobRequest]:
    """Returns what was asked of StartJob."""
    return [request for request in service.requests if isinstance(request, pb.StartJobRequest)]


async def test_a_start_has_a_request_id_and_is_repeated(service: ScriptedService, client: Face) -> None:
    """A start that broke is made again with the same id, so there is one job."""
    service.failures.append(AWAY)
    assert (await done(client.start(["echo", "hi"]))).id == JOB_ID
    first, second = starts(service)
    assert first == second == pb.StartJobRequest(command=["echo", "hi"], request_id=first.request_id)
    assert uuid.UUID(first.request_id).version == 4


async def test_each_start_is_another(service: ScriptedService, client: Face) -> None:
    """Two starts of one command are two jobs; whoever brings an id of its own decides."""
    for request_id in (None, None, "mine"):
        await done(client.start(["true"], request_id=request_id))
    first, second, third = [request.request_id for request in starts(service)]
    assert first != second
    assert third == "mine"


async def test_a_start_without_an_id_is_made_once(service: ScriptedService, client: Face) -> None:
    """If it broke, nobody knows whether there is a job."""
    service.failures.append(AWAY)
    with pytest.raises(CallError) as error:
        await done(client.start(["true"], request_id=""))
    assert (error.value.code, error.value.message) == (grpc.StatusCode.UNAVAILABLE, "the server is going away")
    assert service.requests == [pb.StartJobRequest(command=["true"])]
    assert (await done(client.start(["true"], request_id=""))).id == JOB_ID


async def test_what_is_idempotent_is_repeated(service: ScriptedService, client: Face) -> None:
    """As the published service config says."""
    service.failures.extend([AWAY, AWAY])
    await done(client.get("5a2e"))
    service.failures.append(AWAY)
    await done(client.stop("5a2e", grace=1.5))
    stop = pb.StopJobRequest(job_id="5a2e")
    stop.grace_period.FromMilliseconds(1500)
    assert service.requests == [pb.GetJobRequest(job_id="5a2e")] * 3 + [stop] * 2


async def test_a_delete_is_made_once(service: ScriptedService, client: Face) -> None:
    """After one that got through, the next would find no such job."""
    service.failures.append(AWAY)
    with pytest.raises(CallError, match="UNAVAILABLE: the server is going away"):
        await done(client.delete("5a2e"))
    assert service.requests == [pb.DeleteJobRequest(job_id="5a2e")]


async def test_a_stop_without_grace_says_nothing_of_it(service: ScriptedService, client: Face) -> None:
    """The job is killed at once."""
    await done(client.stop("5a2e"))
    assert service.requests == [pb.StopJobRequest(job_id="5a2e")]


async def test_a_call_has_a_deadline(service: ScriptedService, client: Face) -> None:
    """A read that takes too long ends, and says why."""
    service.reads.append([Hang()])
    with pytest.raises(CallError) as error:
        await all_of(client.read(JOB_ID, STDOUT, follow=True, timeout=0.2))
    assert error.value.code is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_all_jobs_are_walked(service: ScriptedService, client: Face) -> None:
    """Page by page, also over an empty one, to the last."""
    pages = [(["a", "b"], "1"), ([], "2"), (["c"], "")]
    service.pages.extend(
        pb.ListJobsResponse(jobs=[pb.Job(id=one) for one in ids], next_page_token=token) for ids, token in pages
    )
    assert await all_of(client.jobs(2)) == [pb.Job(id="a"), pb.Job(id="b"), pb.Job(id="c")]
    assert service.requests == [pb.ListJobsRequest(page_size=2, page_token=token) for token in ("", "1", "2")]


async def test_a_page(service: ScriptedService, client: Face) -> None:
    """Who walks by hand gets the token of the next page."""
    service.pages.append(pb.ListJobsResponse(jobs=[pb.Job(id="a")], next_page_token=NEXT))
    jobs, token = await done(client.page(1, "here"))
    assert (list(jobs), token) == ([pb.Job(id="a")], NEXT)


async def test_a_read_gives_frames(service: ScriptedService, client: Face) -> None:
    """Output, what is gone of it, and the end."""
    service.reads.append([gap(0, 5), data(5, b"hello"), end(10)])
    frames = await all_of(client.read("5a2e", STDOUT, limit=9, tail_lines=3))
    assert frames == [Gap(0, 5), Data(5, b"hello"), End(10, ENDED)]
    assert reads(service) == [pb.ReadLogsRequest(job_id="5a2e", stream=STDOUT, limit=9, tail_lines=3)]


async def test_a_read_without_its_end_mark_is_broken(service: ScriptedService, client: Face) -> None:
    """It is never taken for complete."""
    service.reads.append([data(0, b"hello")])
    with pytest.raises(CallError, match="without its end mark"):
        await all_of(client.read("5a2e", STDOUT))


async def test_a_frame_of_an_unknown_kind_is_told(service: ScriptedService, client: Face) -> None:
    """What a client does not know it can't leave out."""
    service.reads.append([pb.ReadLogsResponse(), end(0)])
    with pytest.raises(ContractError, match="does not know"):
        await all_of(client.read("5a2e", STDOUT))


async def test_a_follow_goes_on_at_its_byte(service: ScriptedService, client: Face) -> None:
    """After a break, and after an end without its mark; no byte is lost or repeated, and each break is told."""
    service.reads.extend([[data(0, b"one"), AWAY], [data(3, b"two")], [AWAY], [gap(6, 9), end(9)]])
    frames = await all_of(client.follow("5a2e", STDOUT))
    breaks = [frame for frame in frames if isinstance(frame, Interruption)]
    assert [frame for frame in frames if frame not in breaks] == [
        *(Data(0, b"one"), Data(3, b"two"), Gap(6, 9), End(9, ENDED)),
    ]
    assert [(one.reached, one.first) for one in breaks] == [
        *(("at byte 3", True), ("at byte 6", True), ("at byte 6", False)),
    ]
    assert reads(service) == [from_byte(0), from_byte(3), from_byte(6), from_byte(6)]


async def test_the_last_lines_go_on_by_offset(service: ScriptedService, client: Face) -> None:
    """Once it is known where they begin."""
    service.reads.extend([[AWAY], [data(70, b"one"), AWAY], [end(73)]])
    await all_of(client.follow("5a2e", STDOUT, tail_lines=2))
    assert reads(service) == [last(2), last(2), from_byte(73)]


async def test_reads_go_over_the_connection_that_repeats_nothing(service: ScriptedService, client: Face) -> None:
    """A read that gRPC begins again out of sight, as its connection ends, may never end."""
    service.reads.extend([[data(0, b"one"), AWAY], [data(3, b"two"), end(6)], [end(0)]])
    await done(client.start(["true"], request_id=""))
    await all_of(client.follow("5a2e", STDOUT))
    await all_of(client.read("5a2e", STDOUT))
    once, repeating = service.peers[:2]
    assert once != repeating
    assert service.peers == [once, repeating, once, once, once]


async def test_a_follow_survives_its_server(service: ScriptedService, host: Host, client: Face) -> None:
    """The connection itself breaks, and the server comes back."""
    service.reads.extend([[data(0, b"one"), AWAY], [data(3, b"two"), end(6)]])
    frames = []
    follow = client.follow("5a2e", STDOUT)
    if isinstance(follow, AsyncIterator):
        async for frame in follow:
            frames.append(frame)
            restart_after(frame, host)
    else:
        for frame in follow:
            frames.append(frame)
            restart_after(frame, host)
    assert [frame.content for frame in frames if isinstance(frame, Data)] == [b"one", b"two"]


def restart_after(frame: object, host: Host) -> None:
    """Breaks all connections at an interruption."""
    if isinstance(frame, Interruption):
        host.stop()
        host.start()


async def test_output_out_of_order_is_refused(service: ScriptedService, client: Face) -> None:
    """A byte that was not due is never given."""
    service.reads.append([data(0, b"one"), data(4, b"two")])
    with pytest.raises(ContractError, match="from byte 4 on where byte 3 was due; please report this"):
        await all_of(client.follow("5a2e", STDOUT))


async def test_a_deleted_job_ends_its_follow(service: ScriptedService, client: Face) -> None:
    """There is nothing to go on with, and how far it came is told."""
    service.reads.append([data(0, b"one"), Abort(grpc.StatusCode.NOT_FOUND, "it was deleted")])
    with pytest.raises(JobDeletedError, match="it was deleted") as error:
        await all_of(client.follow("5a2e", STDOUT))
    assert (error.value.job_id, error.value.position.offset) == (JOB_ID, 3)


async def test_a_refusal_ends_a_follow(service: ScriptedService, client: Face) -> None:
    """What another call would not mend is not tried again."""
    service.reads.append([Abort(grpc.StatusCode.OUT_OF_RANGE, "too far")])
    with pytest.raises(CallError, match="too far"):
        await all_of(client.follow("5a2e", STDOUT, 7))
    assert reads(service) == [from_byte(7)]


@pytest.mark.parametrize("face", [Client, AsyncClient])
async def test_patience_ends(service: ScriptedService, host: Host, folder: Folder, face: type[Face]) -> None:
    """A follow that makes no progress gives up, and says how far it came."""
    service.reads.extend([[data(0, b"one"), AWAY]])
    client = face.connect(host.address, ca=folder.ca, cert=folder.cert, key=folder.key, patience=0)
    with pytest.raises(GaveUpError, match="gave up at byte 3 after 0 s without progress: the server is") as error:
        await all_of(client.follow("5a2e", STDOUT))
    assert (error.value.position.offset, error.value.cause.message) == (3, AWAY.details)
    await done(client.close())


async def test_who_leaves_ends_the_call(service: ScriptedService, client: Face) -> None:
    """The daemon is told that nobody reads on."""
    service.reads.append([data(0, b"one"), Hang()])
    frames = client.follow("5a2e", STDOUT)
    if isinstance(frames, AsyncGenerator):
        assert await anext(frames) == Data(0, b"one")
        assert service.hanging.wait(10)
        await frames.aclose()
    else:
        assert next(frames) == Data(0, b"one")
        assert service.hanging.wait(10)
        frames.close()
    assert service.cancelled.wait(10)


@pytest.mark.parametrize("face", [Client, AsyncClient])
async def test_nobody_listens(host: Host, folder: Folder, face: type[Face]) -> None:
    """A follow that never reached the daemon is not waited for."""
    host.stop()
    client = face.connect(host.address, ca=folder.ca, cert=folder.cert, key=folder.key)
    with pytest.raises(CallError, match="failed to connect") as error:
        await all_of(client.follow("5a2e", STDOUT))
    assert error.value.code is grpc.StatusCode.UNAVAILABLE
    host.start()
    await done(client.close())
