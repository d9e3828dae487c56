"""A read may begin at the last lines: exactly there, however long they are, and in bounded memory."""

from __future__ import annotations

import random
import tracemalloc
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from jobworker.supervisor.log_limits import LogLimits
from jobworker.supervisor.released import note_released
from jobworker.worker import LogData, LogEnd, LogGap
from jobworker.worker.tail import TailSearch
from log_support import LogBench, log_bench
from worker_support import leaves_nothing

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

MEBIBYTE = 1 << 20


def begin_of_tail(output: bytes, lines: int) -> int:
    """Returns where the last lines begin, found in the plainest way."""
    every = [line + b"\n" for line in output.split(b"\n")]
    every[-1] = every[-1][:-1]
    if not every[-1]:
        del every[-1]
    return sum(map(len, every[: max(0, len(every) - lines)]))


@pytest.mark.parametrize(
    ("output", "lines", "tail"),
    [
        (b"", 3, b""),
        (b"a\nb\nc\n", 0, b""),
        (b"a\nb\nc\n", 1, b"c\n"),
        (b"a\nb\nc\n", 2, b"b\nc\n"),
        (b"a\nb\nc\n", 3, b"a\nb\nc\n"),
        (b"a\nb\nc\n", 4, b"a\nb\nc\n"),
        (b"a\nb\nc", 1, b"c"),
        (b"a\nb\nc", 2, b"b\nc"),
        (b"\n", 1, b"\n"),
        (b"\n\n", 1, b"\n"),
        (b"a\n\n", 1, b"\n"),
        (b"a\n\n", 2, b"a\n\n"),
        (b"no newline", 1, b"no newline"),
        (b"a\r\nb\rc\r\n", 1, b"b\rc\r\n"),
        (b"\0\xff\n\xfe\0", 1, b"\xfe\0"),
    ],
)
def test_a_line_ends_with_its_newline(output: bytes, lines: int, tail: bytes) -> None:
    """But for the last, which may lack it; nothing else ends a line."""
    assert output[begin_of_tail(output, lines) :] == tail


@given(st.lists(st.sampled_from([b"\n", b"\n\n", b"a", b"\r", b"bc\0"])).map(b"".join), st.integers(1, 9), st.data())
@example(b"\n" * 9, 9, None)
def test_the_search_finds_what_plain_counting_does(output: bytes, lines: int, data: st.DataObject | None) -> None:
    """In whatever pieces it is given the output, from the end on."""
    search, end = TailSearch(lines), len(output)
    found = None
    while end and found is None:
        begin = data.draw(st.integers(0, end - 1)) if data else end - 1
        index = search.feed(output[begin:end])
        found = None if index is None else begin + index
        end = begin
    assert (found or 0) == begin_of_tail(output, lines)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[LogBench]:
    """A running job and its readers, which leave nothing behind."""
    async with leaves_nothing(), log_bench(tmp_path) as made:
        yield made


async def tail(bench: LogBench, lines: int) -> bytes:
    """Returns the last lines of what the job has written, read in the way that is tested."""
    frames = [frame async for frame in bench.read(tail_lines=lines)]
    *data, end = frames
    assert isinstance(end, LogEnd)
    assert all(isinstance(frame, LogData) for frame in data)
    return b"".join(frame.data for frame in data if isinstance(frame, LogData))


@pytest.mark.parametrize("line_bytes", [1, 80, 8191, 8192, 100_000, 3 * MEBIBYTE])
@pytest.mark.parametrize("end", [b"", b"\n", b"x"])
async def test_tails_are_exact_across_pieces(bench: LogBench, line_bytes: int, end: bytes) -> None:
    """Lines shorter and longer than what is read at once, of random bytes, with any end."""
    generator = random.Random(line_bytes)  # noqa: S311 - any bytes will do
    lines = [
        generator.randbytes(generator.randrange(line_bytes)).replace(b"\n", b"\0")
        for _ in range(min(2000, 8 * MEBIBYTE // line_bytes))
    ]
    output = b"\n".join(lines) + end
    bench.log.write_bytes(output)
    for count in [0, 1, 2, len(lines) // 2, len(lines) - 1, len(lines), len(lines) + 1, 1 << 62]:
        assert (await tail(bench, count)) == output[begin_of_tail(output, count) :], count


@pytest.mark.parametrize("count", [1, 2, 1_000_000])
async def test_newlines_alone_are_lines(bench: LogBench, count: int) -> None:
    """A million of them too."""
    bench.log.write_bytes(b"\n" * 1_000_001)
    assert await tail(bench, count) == b"\n" * count


async def test_the_tail_of_a_line_of_100_mebibytes_takes_little_memory(bench: LogBench) -> None:
    """It is found, and given out, in pieces."""
    with bench.log.open("wb") as file:
        file.write(b"first\n")
        file.truncate(100 * MEBIBYTE)
        file.seek(0, 2)
        file.write(b"last")
    tracemalloc.start()
    count = 0
    async for frame in bench.read(tail_lines=1):
        if isinstance(frame, LogData):
            assert frame.offset == 6 + count
            count += len(frame.data)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 100 * MEBIBYTE + 4 - 6
    assert peak < 4 * MEBIBYTE


async def test_a_follower_begins_with_the_tail(bench: LogBench) -> None:
    """Of what is there at the call; then it gets what comes."""
    bench.log.write_bytes(b"one\ntwo\nthr")
    following = bench.read(tail_lines=2, follow=True)
    assert await anext(following) == LogData(4, b"two\nthr")
    with bench.log.open("ab") as file:
        file.write(b"ee\nfour")
    assert await anext(following) == LogData(11, b"ee\nfour")
    ended = await bench.end()
    assert [frame async for frame in following] == [LogEnd(18, ended)]


async def test_no_lines_begin_at_the_end(bench: LogBench) -> None:
    """A follower then gets only what is new."""
    bench.log.write_bytes(b"old\n")
    following = bench.read(tail_lines=0, follow=True, limit=3)
    assert [frame async for frame in bench.read(tail_lines=0)] == [LogEnd(4, bench.logs.measured(bench.job))]
    with bench.log.open("ab") as file:
        file.write(b"old\n")
    ended = await bench.end()
    assert [frame async for frame in following] == [LogEnd(8, ended)]


async def test_a_limit_holds_for_a_tail(bench: LogBench) -> None:
    """The first bytes of the last lines."""
    bench.log.write_bytes(b"one\ntwo\nthree\n")
    read = [frame async for frame in bench.read(tail_lines=2, limit=6)]
    assert read == [LogData(4, b"two\nth"), LogEnd(10, bench.logs.measured(bench.job))]


@pytest.mark.parametrize("line_bytes", [64, 4096, 300_000])
async def test_a_tail_does_not_reach_behind_what_was_released(bench: LogBench, line_bytes: int) -> None:
    """With enough lines kept there is no gap; else the read begins at 0, and says what is gone."""
    line = b"x" * (line_bytes - 1) + b"\n"
    count = 16 * 300_000 // line_bytes
    bench.log.write_bytes(line * count)
    size = count * line_bytes
    limits = LogLimits()
    limits.limit = size // 2
    limits.watch(str(bench.log))
    limits.forget(str(bench.log))
    limits.close()
    first = size // 2 // 4096 * 4096
    kept = (size - first) // line_bytes
    whole = [frame async for frame in bench.read(tail_lines=kept - 1)]
    assert whole[0] == LogData(size - (kept - 1) * line_bytes, (line * kept)[: len(whole[0].data)])  # type: ignore[union-attr]
    for lines in (kept + 1, count, count + 1):
        frames = [frame async for frame in bench.read(tail_lines=lines)]
        assert frames[0] == LogGap(0, first)
        assert sum(len(frame.data) for frame in frames if isinstance(frame, LogData)) == size - first


async def test_all_may_be_released_while_the_tail_is_looked_for(bench: LogBench) -> None:
    """The zeros that are there then are no lines."""
    bench.log.write_bytes(b"x\n" * MEBIBYTE)
    note_released(str(bench.log), 2 * MEBIBYTE)
    read = [frame async for frame in bench.read(tail_lines=1)]
    assert read == [LogGap(0, 2 * MEBIBYTE), LogEnd(2 * MEBIBYTE, bench.logs.measured(bench.job))]
