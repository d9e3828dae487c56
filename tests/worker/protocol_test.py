"""What a worker and its supervisor say to each other arrives as it was sent."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobworker.supervisor.protocol import Event, Exited, Kill, Ready, Refused, Request, Start, Started, decode, encode

NUMBERS = st.integers(0, 2**63)
# All that a command may hold: any text, and Python's escapes for bytes that are no UTF-8.
WORDS = st.text(st.characters(exclude_categories=["Cs"]) | st.characters(min_codepoint=0xDC80, max_codepoint=0xDCFF))
MESSAGES: st.SearchStrategy[Request | Event] = st.one_of(
    st.builds(Start, WORDS, st.lists(WORDS), WORDS, WORDS),
    st.builds(Kill, WORDS),
    st.builds(Ready, NUMBERS),
    st.builds(Started, WORDS, NUMBERS, NUMBERS),
    st.builds(Refused, WORDS, WORDS, NUMBERS),
    st.builds(Exited, WORDS, st.none() | NUMBERS, st.none() | NUMBERS, st.booleans(), NUMBERS),
)


@given(MESSAGES)
def test_a_message_arrives_as_it_was_sent(message: Request | Event) -> None:
    """Every field of every message comes back, of the same type."""
    received = decode(encode(message))
    assert received == message
    assert type(received) is type(message)


@given(MESSAGES)
def test_a_message_is_one_line(message: Request | Event) -> None:
    """No newline inside can tear a message into two."""
    assert encode(message).count(b"\n") == 1
    assert encode(message).endswith(b"\n")


@pytest.mark.parametrize("line", [b'["Nonsense",1]', b'["object"]', b"[1]", b"[]", b"{", b""])
def test_what_is_no_message_is_refused(line: bytes) -> None:
    """A line of another version is a clear error, not a crash elsewhere."""
    with pytest.raises(ValueError, match=r".+"):
        decode(line)
