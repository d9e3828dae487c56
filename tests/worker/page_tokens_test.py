"""Page tokens: understood as they were given out, for the view that they were given out for, and in no other way."""

from __future__ import annotations

import base64

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st

from jobworker.worker import InvalidPageTokenError
from jobworker.worker.page_tokens import PageTokens

TOKENS = PageTokens(b"k" * 32)

positions = st.integers(1, 2**63 - 1)
views = st.none() | st.frozensets(st.sampled_from(["ci", "f" * 64, ""]) | st.text(max_size=8), max_size=3)
few = settings(max_examples=40, deadline=None)


@few
@given(positions, views)
def test_a_token_stands_for_its_position(position: int, view: frozenset[str] | None) -> None:
    """What a list call gives out, the next one understands; it fits a command line."""
    token = TOKENS.encode(position, view)
    assert TOKENS.decode(token, view) == position
    assert len(token) == 32
    assert token.isascii()


def test_an_empty_token_is_the_beginning() -> None:
    """The last page's token and the first call's are the same: none."""
    assert TOKENS.encode(None, frozenset({"ci"})) == ""
    assert TOKENS.decode("", frozenset({"ci"})) is None


@few
@given(positions, views, views)
@example(1, None, frozenset())
@example(1, frozenset({"ci"}), None)
@example(1, frozenset({"a", "b"}), frozenset({"a,b"}))
@example(1, frozenset({'a", "b'}), frozenset({"a", "b"}))
def test_a_token_of_another_view_is_refused(
    position: int, view: frozenset[str] | None, other: frozenset[str] | None
) -> None:
    """It would say where others' jobs are."""
    assume(view != other)
    with pytest.raises(InvalidPageTokenError):
        TOKENS.decode(TOKENS.encode(position, view), other)


@few
@given(positions, views)
def test_a_token_of_another_store_is_refused(position: int, view: frozenset[str] | None) -> None:
    """The positions of one are not those of another."""
    with pytest.raises(InvalidPageTokenError):
        TOKENS.decode(PageTokens(b"l" * 32).encode(position, view), view)


@few
@given(positions, views, st.integers(0, 191))
def test_a_token_with_another_bit_is_refused(position: int, view: frozenset[str] | None, bit: int) -> None:
    """Whichever it is."""
    sealed = bytearray(base64.urlsafe_b64decode(TOKENS.encode(position, view)))
    sealed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(InvalidPageTokenError):
        TOKENS.decode(base64.urlsafe_b64encode(sealed).decode(), view)


@few
@given(st.one_of(st.text(min_size=1), st.text("Ab0_-=+/\n", min_size=30, max_size=34)))
@example("cDE=")
@example("A" * 32)
@example("A" * 31 + "\n")
@example(TOKENS.encode(1, None) + "\n")
@example(TOKENS.encode(1, None) + "=")
@example("é" * 32)
def test_any_other_text_is_refused(text: str) -> None:
    """With its own error."""
    with pytest.raises(InvalidPageTokenError):
        TOKENS.decode(text, None)


def test_a_token_tells_nothing_of_its_position() -> None:
    """Neighbours have nothing in common, and each view has another for the same position."""
    sealed = [TOKENS.encode(position, view) for position in range(1, 200) for view in (None, {"ci"}, {"people"})]
    assert len({token[:8] for token in sealed}) == len({token[-8:] for token in sealed}) == len(sealed)
    assert "k" not in repr(TOKENS).removeprefix("<PageTokens")
