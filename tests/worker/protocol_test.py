"""What a worker and its supervisor say to each other arrives as it was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobworker.supervisor.protocol import (
    Acknowledge,
    Configure,
    End,
    Ended,
    Event,
    Exited,
    Ready,
    Refused,
    Request,
    Start,
    Started,
    Stop,
    Synced,
    decode_event,
    decode_request,
    encode,
)

NUMBERS = st.integers(0, 2**63 - 1)
# All that a command may hold: any text, and Python's escapes for bytes that are no UTF-8.
WORDS = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
REQUESTS: st.SearchStrategy[Request] = st.one_of(
    st.builds(
        Configure,
        *(st.dictionaries(WORDS, WORDS), WORDS, WORDS, NUMBERS),
        *(st.none() | NUMBERS, NUMBERS, st.lists(NUMBERS), st.booleans()),
    ),
    st.builds(Start, WORDS, st.lists(WORDS), WORDS, WORDS),
    st.builds(Stop, WORDS, st.floats(0, 1e12)),
    st.builds(Acknowledge, WORDS),
    st.builds(End),
)
EVENTS: st.SearchStrategy[Event] = st.one_of(
    st.builds(Ready, NUMBERS, NUMBERS, NUMBERS),
    st.builds(Synced, WORDS, WORDS, WORDS),
    st.builds(Started, WORDS, NUMBERS, NUMBERS, NUMBERS),
    st.builds(Refused, WORDS, WORDS, NUMBERS),
    st.builds(
        Exited, WORDS, st.none() | NUMBERS, st.none() | NUMBERS, st.booleans(), NUMBERS, NUMBERS, NUMBERS, NUMBERS
    ),
    st.builds(Ended),
)


@given(REQUESTS)
def test_a_request_arrives_as_it_was_sent(message: Request) -> None:
    """Every field of every request comes back, of the same type."""
    received = decode_request(encode(message))
    assert received == message
    assert type(received) is type(message)


@given(EVENTS)
def test_an_event_arrives_as_it_was_sent(message: Event) -> None:
    """Every field of every event comes back, of the same type."""
    received = decode_event(encode(message))
    assert received == message
    assert type(received) is type(message)


@given(REQUESTS | EVENTS)
def test_a_message_is_one_line(message: Request | Event) -> None:
    """No newline inside can tear a message into two."""
    assert encode(message).count(b"\n") == 1
    assert encode(message).endswith(b"\n")


@pytest.mark.parametrize("line", [b'["Nonsense",1]', b'["object"]', b"[1]", b"[]", b"{", b"", b'["Started",1]', b"7"])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    """A line of another version, or one cut short, is a clear error, not a crash elsewhere."""
    for decode in (decode_request, decode_event):
        with pytest.raises(ValueError, match=r".+"):
            decode(line)


@pytest.mark.parametrize(
    "line",
    [
        b"[" * 100_000,
        b'["Start",{},7,null,[]]',
        b'["Start","id",["ls",7],"out","err"]',
        b'["Configure",{"PATH":7},"/","auto",0]',
        b'["Configure",{},"/","auto",true]',
        b'["Stop","id",NaN]',
        b'["Stop","id",-1]',
        b'["Stop","id",true]',
        b'["Stop","id",1' + b"0" * 400 + b"]",
        b'["Ready",1,2,9223372036854775808]',
        b'["Ready",1,2,' + b"9" * 5000 + b"]",
        b'["Exited","id","0",null,false,0,0,0,0]',
        b'["Exited","id",0,null,0,0,0,0,0]',
    ],
)
def test_a_field_of_another_kind_is_refused(line: bytes) -> None:
    """What a supervisor could only stumble over in the middle of things, and take its jobs along, is no message."""
    for decode in (decode_request, decode_event):
        with pytest.raises(ValueError, match=r".+"):
            decode(line)


@given(REQUESTS | EVENTS, st.data())
def test_a_message_that_is_cut_short_is_refused(message: Request | Event, data: st.DataObject) -> None:
    """What a crash has left of a line is never taken for another message."""
    line = encode(message)[:-1]
    cut = line[: data.draw(st.integers(0, len(line) - 1))]
    for decode in (decode_request, decode_event):
        with pytest.raises(ValueError, match=r".+"):
            decode(cut)
