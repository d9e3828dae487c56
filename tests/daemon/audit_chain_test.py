"""The chain of the audit log: whatever is done to a line is found, and what a crash cut off is not hidden."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobworker.daemon.audit_chain import (
    GENESIS,
    Head,
    MalformedLineError,
    Tail,
    completes,
    digest_of,
    parse_line,
    recovery_fields,
    tail_of,
)
from jobworker.daemon.audit_verifier import BrokenChainError, Report, Verifier

TIME = "2026-11-25T22:31:36.123456Z"


def chain(count: int, head: Head | None = None) -> list[bytes]:
    """Returns so many lines that go on from a head."""
    lines, head = [], head or Head()
    for number in range(count):
        raw, head = head.next_line(TIME, "call", {"argv": ["echo", f"{number}\n\x7fé"], "outcome": "OK"})
        lines.append(raw)
    return lines


def verify(*parts: bytes, expected: tuple[str, ...] = ()) -> Report:
    """Verifies files with these contents."""
    verifier = Verifier(expected)
    for part, data in enumerate(parts, 1):
        for number, raw in enumerate(BytesIO(data), 1):
            verifier.add(f"{part}:{number}", raw)
    return verifier.report()


CHAIN = chain(6)
WHOLE = b"".join(CHAIN)
LAST = digest_of(CHAIN[-1])


def found(data: bytes) -> bool:
    """Whether a log that was made of the chain is known not to be it: by itself, or by a last hash that was kept."""
    try:
        report = verify(data)
    except BrokenChainError:
        return True
    return (report.first, report.head.digest) != (1, LAST)


def test_a_line_is_ascii_that_json_reads() -> None:
    """Nothing that a client sent can forge a line, or do anything to a terminal."""
    (raw,) = chain(1)
    assert raw.isascii()
    assert raw.rstrip(b"\n").decode().isprintable()
    assert json.loads(raw) == {
        "prev": GENESIS,
        "seq": 1,
        "time": TIME,
        "event": "call",
        "argv": ["echo", "0\n\x7fé"],
        "outcome": "OK",
    }


def test_a_line_carries_what_sha256sum_says_of_the_one_before() -> None:
    """The line feed counts, so that `tail -n 1 | sha256sum` gives it."""
    first, second = chain(2)
    assert parse_line(second).prev == hashlib.sha256(first).hexdigest()


def test_a_whole_chain_is_reported() -> None:
    """How many lines, from where on, and the last hash, which is what to keep elsewhere."""
    report = verify(WHOLE)
    assert (report.lines, report.first, report.after, report.head) == (6, 1, GENESIS, Head(6, LAST))
    assert (report.torn, report.unfinished) == ([], {})


def test_parts_are_one_chain() -> None:
    """Rotated parts hold together in their order, and one alone from its beginning on."""
    assert verify(b"".join(CHAIN[:2]), b"".join(CHAIN[2:5]), CHAIN[5]).head.digest == LAST
    rest = verify(b"".join(CHAIN[2:]))
    assert (rest.first, rest.after, rest.lines) == (3, digest_of(CHAIN[1]), 4)
    with pytest.raises(BrokenChainError, match=r"^2:1: number 6 \(1:4\) is followed by number 1: out of order$"):
        verify(b"".join(CHAIN[2:]), b"".join(CHAIN[:2]))


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 255))
def test_any_changed_byte_is_found(place: int, change: int) -> None:
    """Wherever it is: before the last line from the log alone, in it by the hash that was kept."""
    data = bytearray(WHOLE)
    data[place] ^= change
    assert found(bytes(data))
    if place < len(WHOLE) - len(CHAIN[-1]):
        with pytest.raises(BrokenChainError):
            verify(bytes(data))


@given(st.integers(0, len(WHOLE) - 1), st.binary(min_size=1, max_size=3))
def test_any_inserted_bytes_are_found(place: int, inserted: bytes) -> None:
    """Blank lines, spaces and whatever else."""
    assert found(WHOLE[:place] + inserted + WHOLE[place:])


@given(st.integers(0, len(WHOLE) - 1), st.integers(1, 400))
def test_any_removed_bytes_are_found(place: int, count: int) -> None:
    """The cut end too, by the hash that was kept."""
    assert found(WHOLE[:place] + WHOLE[place + count :])


def test_nothing_is_no_chain() -> None:
    """A log that was emptied does not pass for one in which nothing happened."""
    with pytest.raises(BrokenChainError, match=r"^there is no line in it$"):
        verify(b"", b"")


@given(st.lists(st.sampled_from(CHAIN), max_size=9))
def test_any_other_lines_are_found(lines: list[bytes]) -> None:
    """Lines removed, swapped, doubled, or several of these: only the chain itself is the chain."""
    assert found(b"".join(lines)) == (lines != CHAIN)


@given(st.integers(1, 5), st.integers(1, 6))
def test_a_removed_line_is_found_without_any_hash(first: int, count: int) -> None:
    """If one is left after it."""
    if first + count < 6:
        with pytest.raises(BrokenChainError, match="lines are missing"):
            verify(b"".join(CHAIN[:first] + CHAIN[first + count :]))


def test_what_is_wrong_is_said_with_its_place() -> None:
    """Who looks for the change need not count lines."""
    changed = [*CHAIN]
    changed[2] = changed[2].replace(b'"OK"', b'"NO"')
    with pytest.raises(BrokenChainError, match=r"^1:4: it carries the hash \w+, but the line before it \(1:3\)"):
        verify(b"".join(changed))
    with pytest.raises(BrokenChainError, match=r"^1:3: it does not begin as"):
        verify(b"".join([*CHAIN[:2], b"\n", *CHAIN[2:]]))
    with pytest.raises(BrokenChainError, match=r"^1:6: it was cut off"):
        verify(WHOLE[:-1])
    with pytest.raises(
        BrokenChainError, match=r"^1:1: it has the number 2 and carries 0{64}, which no first line does"
    ):
        verify(Head(1, GENESIS).next_line(TIME, "call", {})[0])


@pytest.mark.parametrize(
    ("raw", "why"),
    [
        (CHAIN[0].replace(b'"OK"', b'"OK","seq":1'), "twice"),
        (CHAIN[0].replace(b'["echo"', b"[" * 20_000 + b'"echo"'), "nested too deeply|no JSON"),
        (CHAIN[0].replace(b"}", b""), "no JSON"),
        (b"{}\n", "does not begin"),
    ],
)
def test_what_readers_could_differ_about_is_no_line(raw: bytes, why: str) -> None:
    """Nor does it end the verification in any other way."""
    with pytest.raises(MalformedLineError, match=why):
        parse_line(raw)


@given(st.one_of(st.binary(), st.binary().map(lambda junk: CHAIN[1][:100] + junk + b"\n")))
def test_whatever_the_bytes_are_they_are_a_line_or_not(junk: bytes) -> None:
    """There is no third way for the verification to end."""
    with suppress(MalformedLineError):
        assert parse_line(junk).fields["event"]
    with suppress(BrokenChainError):
        assert verify(junk).lines


def recovered(torn: bytes, head: Head) -> bytes:
    """Returns the line that tells of torn bytes."""
    return head.next_line(TIME, "recovered", recovery_fields(torn))[0]


@given(st.integers(0, 5), st.binary(min_size=1, max_size=60), st.sampled_from([1, 2]))
def test_what_was_cut_off_is_told_and_not_hidden(before: int, torn: bytes, files: int) -> None:
    """Any bytes, even some that look like lines, at any place; and the chain goes on."""
    lines = chain(before)
    head = Head(before, digest_of(lines[-1])) if lines else Head()
    again = recovered(torn, head)
    after = chain(2, Head(before + 1, digest_of(again)))
    parts = [b"".join(lines) + torn, b"".join([again, *after])]
    if files == 1:
        parts = [(b"" if torn.endswith(b"\n") else b"\n").join(parts)]
    report = verify(*parts)
    assert report.lines == before + 3
    assert [count for _, count in report.torn] == [len(torn.removesuffix(b"\n"))]


def test_a_told_cut_can_not_be_changed() -> None:
    """Neither its bytes, nor that there were any."""
    torn = CHAIN[2][:50]
    again = recovered(torn, Head(2, digest_of(CHAIN[1])))
    lines = b"".join(CHAIN[:2])
    assert verify(lines + torn + b"\n" + again).torn == [("1:3", 50)]
    with pytest.raises(BrokenChainError, match=r"^1:3: it does not begin"):
        verify(lines + torn[:-1] + b"\n" + again)
    with pytest.raises(BrokenChainError, match=r"^1:3: it tells of bytes before it that are not there$"):
        verify(lines + again)
    with pytest.raises(BrokenChainError, match=r"^1:3: it does not begin"):
        verify(lines + torn + b"\n" + CHAIN[2])


def test_kept_hashes_are_looked_for() -> None:
    """That of any line, so that one that was kept a while ago shows that nothing before it was changed."""
    assert verify(WHOLE, expected=(digest_of(CHAIN[3]), LAST)).missing == set()
    assert verify(b"".join(CHAIN[:4]), expected=(digest_of(CHAIN[3]), LAST)).missing == {LAST}


def test_calls_without_an_outcome_are_reported() -> None:
    """A daemon that died in the middle of a call leaves its beginning."""
    first, head = Head().next_line(TIME, "begin", {})
    second, head = head.next_line(TIME, "begin", {})
    third, head = head.next_line(TIME, "call", {"begin": 1})
    assert verify(first + second + third).unfinished == {2: "1:2"}


@given(st.integers(0, len(WHOLE)))
def test_the_end_of_a_log_is_found_wherever_it_was_cut(end: int) -> None:
    """The last whole line, and what is left of the next; a line that lacks its line feed alone is whole."""
    whole = WHOLE[:end].count(b"\n")
    torn = WHOLE[sum(map(len, CHAIN[:whole])) : end]
    head = Head(whole, digest_of(CHAIN[whole - 1])) if whole else Head()
    assert tail_of(WHOLE[:end]) == (Tail(head, torn) if whole else None)
    is_whole = whole < 6 and torn == CHAIN[whole][:-1]
    assert completes(Tail(head, torn)) == (Head(whole + 1, digest_of(CHAIN[whole])) if is_whole else None)


def test_bytes_that_are_no_lines_are_passed_over() -> None:
    """After a power cut a log may end with zeros, in lines or not."""
    assert tail_of(WHOLE + b"\0\n\0\n\0") == Tail(Head(6, LAST), b"\0\n\0\n\0")
    assert tail_of(b"\0" * 100) is None
