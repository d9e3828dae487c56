"""The conformance suite's own judgement: what it takes for right, and that it can say no."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobworker_conformance.cutter import cutting
from jobworker_conformance.languages import DriverError, drive
from jobworker_conformance.matching import mismatches
from jobworker_conformance.scenarios import ScenarioError, parse_scenarios

if TYPE_CHECKING:
    from asyncio import StreamReader, StreamWriter

SCENARIOS = Path("clients/conformance/scenarios.yaml")
UUID = "5a2e1f4c-0000-4000-8000-000000000000"
STEP = "- {name: a, about: b, steps: [{op: get}], expect: [{ok: {}}]}\n"


def test_the_scenarios_can_be_read() -> None:
    """Each operation, identity and daemon that there is comes in some scenario."""
    scenarios = parse_scenarios(SCENARIOS.read_text(encoding="utf-8"))
    assert {one.identity for one in scenarios} == {"full", "log", "unknown", "expired", "foreign", "none"}
    assert {one.daemon for one in scenarios} == {"main", "many", "tight"}
    operations = {step["op"] for one in scenarios for step in one.steps}
    assert operations == {
        *("start", "stop", "get", "delete", "list", "list_all", "read", "follow", "health", "reflection"),
    }


@pytest.mark.parametrize(
    "text",
    [
        "a: b",
        STEP + STEP,
        STEP.replace("op: get", "op: fly"),
        STEP.replace("about: b", "about: b, typo: 1"),
        STEP.replace("expect: [{ok: {}}]", "expect: []"),
        STEP.replace("about: b", "about: b, identity: root"),
    ],
)
def test_a_scenario_that_cannot_be_is_refused(text: str) -> None:
    """A mistake in the file does not make a scenario pass."""
    with pytest.raises(ScenarioError):
        parse_scenarios(text)


@pytest.mark.parametrize(
    ("result", "wanted"),
    [
        ({"ok": {"bytes": 3, "more": 1}}, {"ok": {"bytes": 3}}),
        ({"ok": {"job": {"id": UUID}}}, {"ok": {"job": {"id": "<uuid>"}}}),
        ({"ok": {"job": {"id": UUID}}}, {"ok": {"job": {"id": "$0"}}}),
        ({"ok": {"n": 2}}, {"ok": {"n": {"min": 1}}}),
        ({"ok": {"state": "RUNNING"}}, {"ok": {"state": {"in": ["RUNNING"]}}}),
        ({"ok": {"sum": "abc"}}, {"ok": {"sum": "<sha256 of x>"}}),
        ({"ok": {"token": "t"}}, {"ok": {"token": "<any text>"}}),
        ({"ok": {"none": None, "list": [1, [2]]}}, {"ok": {"none": None, "list": [1, [2]]}}),
    ],
)
def test_what_is_expected_fits(result: object, wanted: dict[str, object]) -> None:
    """What is not named may be anything, and each way to name a value works."""
    assert mismatches([result], [wanted], {"<sha256 of x>": "abc"}) == []


@pytest.mark.parametrize(
    ("result", "wanted", "problem"),
    [
        ({"ok": {"bytes": 2}}, {"ok": {"bytes": 3}}, "step 0.ok.bytes is 2, not 3"),
        ({"ok": {}}, {"ok": {"bytes": 3}}, "step 0.ok.bytes is missing in {}"),
        ({"error": {}}, {"ok": {}}, "step 0.ok is missing in {'error': {}}"),
        ({"ok": {"exit": False}}, {"ok": {"exit": 0}}, "step 0.ok.exit is False, not 0"),
        ({"ok": {"exit": 0}}, {"ok": {"exit": None}}, "step 0.ok.exit is 0, not None"),
        ({"ok": {"id": "x"}}, {"ok": {"id": "<uuid>"}}, "step 0.ok.id is 'x', not <uuid>"),
        ({"ok": {"n": 0}}, {"ok": {"n": {"min": 1}}}, "step 0.ok.n is 0, not {'min': 1}"),
        ({"ok": {"n": "2"}}, {"ok": {"n": {"min": 1}}}, "step 0.ok.n is '2', not {'min': 1}"),
        ({"ok": {"s": "A"}}, {"ok": {"s": {"in": ["B"]}}}, "step 0.ok.s is 'A', not {'in': ['B']}"),
        ({"ok": {"t": ""}}, {"ok": {"t": "<any text>"}}, "step 0.ok.t is '', not <any text>"),
        ({"ok": 1}, {"ok": {}}, "step 0.ok is 1, not {}"),
    ],
)
def test_what_is_not_expected_is_told(result: object, wanted: dict[str, object], problem: str) -> None:
    """A result that differs in what is named never passes."""
    assert mismatches([result], [wanted], {}) == [problem]


def test_a_result_too_few_is_told() -> None:
    """A driver that leaves out a step has failed."""
    assert mismatches([], [{}], {}) == ["0 results for 1 steps: []"]


@pytest.mark.parametrize("script", ["exit 1", "echo no", "echo '{}'", """echo '{"results": 1}'"""])
async def test_a_driver_that_fails_is_told(tmp_path: Path, script: str) -> None:
    """What a driver prints is not taken for results unless it is."""
    driver = tmp_path / "driver"
    driver.write_text(f"#!/bin/sh\ncat >/dev/null\n{script}\n")
    driver.chmod(0o755)
    with pytest.raises(DriverError):
        await drive(tmp_path, {})


async def test_a_driver_gets_its_order(tmp_path: Path) -> None:
    """It is told what to do on its standard input."""
    driver = tmp_path / "driver"
    driver.write_text("""#!/bin/sh\nprintf '{"results": [%s]}' "$(cat)"\n""")
    driver.chmod(0o755)
    assert await drive(tmp_path, {"steps": []}) == [{"steps": []}]


async def test_a_connection_is_cut_where_it_should_be() -> None:
    """A client gets exactly so many bytes of the first connection, and all of the next."""

    async def serve(_: StreamReader, writer: StreamWriter) -> None:
        writer.write(b"0123456789")
        await writer.drain()
        writer.close()

    async def read(address: str) -> bytes:
        host, _, port = address.rpartition(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        got = b""
        try:
            while block := await reader.read(100):
                got += block
        except ConnectionError:
            pass
        writer.close()
        return got

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server, cutting(f"127.0.0.1:{server.sockets[0].getsockname()[1]}", [4]) as address:
        assert len(await read(address)) <= 4
        assert await read(address) == b"0123456789"
