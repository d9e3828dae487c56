"""The driver of clients/conformance for this language.

It takes the steps of a scenario from stdin, does them over one client, and writes their results to stdout, in JSON.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
import sys
from typing import TYPE_CHECKING, TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2

from jobworker.client import (
    STDERR,
    STDOUT,
    AsyncClient,
    CallError,
    Data,
    End,
    Frame,
    Gap,
    Interruption,
    Job,
    Stream,
    require_tls_1_3,
)
from jobworker.v1.job_worker_pb2 import LOG_STREAM_UNSPECIFIED, JobState

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence
    from typing import Any

    # What JSON holds.
    Step: TypeAlias = dict[str, Any]
    Result: TypeAlias = dict[str, Any]

_STREAMS: dict[str, Stream] = {"stdout": STDOUT, "stderr": STDERR, "unspecified": LOG_STREAM_UNSPECIFIED}
# The installed types are those of v1alpha, which are the same but for their names.
_REFLECTION = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo"


def main() -> None:
    """Does a whole scenario."""
    require_tls_1_3()
    json.dump({"results": asyncio.run(_run(json.load(sys.stdin)))}, sys.stdout)


async def _run(order: dict[str, Any]) -> list[Result]:
    results: list[Result] = []
    async with AsyncClient.connect(order["address"], ca=order["ca"], cert=order["cert"], key=order["key"]) as client:
        for step in order["steps"]:
            meant = {name: _resolve(value, results) for name, value in step.items()}
            try:
                results.append({"ok": await _do(client, meant)})
            except CallError as error:
                results.append({"error": _failure(error)})
    return results


def _failure(error: CallError) -> Result:
    return {
        "code": error.code.name,
        "reason": error.reason,
        "field": error.field,
        "metadata": dict(error.metadata),
    }


def _resolve(value: object, results: Sequence[Result]) -> object:
    """Puts what came of earlier steps in the place of "$3", "$3:8" and "$page3"."""
    if not isinstance(value, str):
        return value
    if match := re.fullmatch(r"\$page(\d+)", value):
        return results[int(match[1])]["ok"]["next_page_token"]
    if match := re.fullmatch(r"\$(\d+)(?::(\d+))?", value):
        job_id = str(results[int(match[1])]["ok"]["job"]["id"])
        return job_id[: int(match[2])] if match[2] else job_id
    return value


async def _do(client: AsyncClient, step: Step) -> Result:
    timeout = step["deadline_ms"] / 1000 if "deadline_ms" in step else None
    match step["op"]:
        case "start" | "stop" | "get" | "delete":
            return {"job": _facts(await _job(client, step, timeout))}
        case "list" | "list_all":
            return await _list(client, step, timeout)
        case "read":
            return await _read(client, step, timeout)
        case "follow":
            async with asyncio.timeout(timeout):
                return await _follow(client, step)
        case "health" | "reflection":
            return await _other(client, step, timeout)
        case unknown:
            raise ValueError(f"there is no op {unknown}")


async def _job(client: AsyncClient, step: Step, timeout: float | None) -> Job:  # noqa: ASYNC109 - gRPC's
    match step["op"]:
        case "start":
            return await client.start(step["command"], request_id=step.get("request_id"), timeout=timeout)
        case "stop":
            return await client.stop(step["job"], grace=step.get("grace_ms", 0) / 1000, timeout=timeout)
        case "delete":
            return await client.delete(step["job"], timeout=timeout)
        case _:
            return await client.get(step["job"], timeout=timeout)


async def _list(client: AsyncClient, step: Step, timeout: float | None) -> Result:  # noqa: ASYNC109 - gRPC's
    if step["op"] == "list":
        page = await client.page(step.get("page_size", 0), step.get("page_token", ""), timeout=timeout)
        return {"count": len(page.jobs), "ids": [job.id for job in page.jobs], "next_page_token": page.next_page_token}
    ids = [job.id async for job in client.jobs(step["page_size"])]
    return {
        "count": len(ids),
        "unique": len(set(ids)),
        "ids_sha256": hashlib.sha256("\n".join(ids).encode()).hexdigest(),
    }


async def _read(client: AsyncClient, step: Step, timeout: float | None) -> Result:  # noqa: ASYNC109 - gRPC's
    frames = client.read(
        step["job"],
        _STREAMS[step["stream"]],
        step.get("offset", 0),
        follow=step.get("follow", False),
        tail_lines=step.get("tail_lines"),
        limit=step.get("limit", 0),
        timeout=timeout,
    )
    taking = _Taking()
    async with contextlib.aclosing(frames):
        await taking.take(frames, step.get("cancel_after_bytes"))
    return taking.result()


async def _follow(client: AsyncClient, step: Step) -> Result:
    frames = client.follow(step["job"], _STREAMS[step["stream"]], step.get("offset", 0))
    taking = _Taking()
    async with contextlib.aclosing(frames):
        await taking.take(frames, step.get("cancel_after_bytes"))
    return {**taking.result(), "resumes": taking.resumes}


class _Taking:
    """What a read comes to."""

    def __init__(self) -> None:
        self._sha256 = hashlib.sha256()
        self._taken: Result = {
            "bytes": 0,
            "first_offset": None,
            "end_offset": None,
            "gaps": [],
            "job": None,
            "cancelled": False,
            "ordered": True,
        }
        self._due: int | None = None
        self._broken = False
        self.resumes = 0

    async def take(
        self, frames: AsyncGenerator[Frame, None] | AsyncGenerator[Frame | Interruption, None], cancel_at: int | None
    ) -> None:
        async for frame in frames:
            if isinstance(frame, Interruption):
                self._broken = True
                continue
            self._note(frame)
            if cancel_at is not None and self._taken["bytes"] >= cancel_at:
                self._taken["cancelled"] = True
                return

    def _note(self, frame: Frame) -> None:
        self.resumes += self._broken
        self._broken = False
        taken = self._taken
        taken["ordered"] = taken["ordered"] and self._due in {None, frame.start}
        self._due = frame.end
        match frame:
            case Data():
                taken["first_offset"] = frame.start if taken["first_offset"] is None else taken["first_offset"]
                taken["bytes"] += len(frame.content)
                self._sha256.update(frame.content)
            case Gap():
                taken["gaps"].append([frame.start, frame.end])
            case End():
                taken["end_offset"], taken["job"] = frame.end, _facts(frame.job)

    def result(self) -> Result:
        return {**self._taken, "sha256": self._sha256.hexdigest()}


async def _other(client: AsyncClient, step: Step, timeout: float | None) -> Result:  # noqa: ASYNC109 - gRPC's
    """Calls gRPC's own services over the client's connection."""
    try:
        if step["op"] == "health":
            request = health_pb2.HealthCheckRequest(service=step["service"])
            answer = await health_pb2_grpc.HealthStub(client.channel).Check(request, timeout=timeout)
            return {"status": health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)}
        method = client.channel.stream_stream(
            _REFLECTION,
            request_serializer=reflection_pb2.ServerReflectionRequest.SerializeToString,
            response_deserializer=reflection_pb2.ServerReflectionResponse.FromString,
        )
        call = method(timeout=timeout)
        await call.write(reflection_pb2.ServerReflectionRequest(list_services=""))
        await call.done_writing()
        services = [service.name async for answer in call for service in answer.list_services_response.service]
        return {"services": sorted(services)}
    except grpc.RpcError as error:
        raise CallError.of(error) from error


def _facts(job: Job) -> Result:
    outcome = job.WhichOneof("outcome")
    return {
        "id": job.id,
        "command": list(job.command),
        "state": JobState.Name(job.state).removeprefix("JOB_STATE_"),
        "exit_code": job.exit_code if outcome == "exit_code" else None,
        "signal": job.signal if outcome == "signal" else None,
        "stdout_bytes": job.stdout_bytes,
        "stderr_bytes": job.stderr_bytes,
        "owner": job.owner,
        "principal": job.principal,
        "killed_processes": job.termination.killed_processes if job.HasField("termination") else None,
        "lost": outcome == "lost",
        "started": job.HasField("start_time"),
        "ended": job.HasField("end_time"),
        "stop_requested": job.HasField("stop_request_time"),
    }


if __name__ == "__main__":
    main()
