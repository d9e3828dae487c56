"""Where a reading of an output stream goes on."""

from __future__ import annotations

import pytest

from jobworker.client import ContractError
from jobworker.client.position import Position


def test_a_reading_goes_on_where_it_was() -> None:
    """Each piece begins where the one before ended, the first at the given offset."""
    position = Position(offset=7)
    position.take(7, 10)
    position.take(10, 10)
    position.take(10, 1 << 40)
    assert position == Position(offset=1 << 40)


@pytest.mark.parametrize("start", [0, 6, 8, 1 << 40])
def test_nothing_is_skipped_or_repeated(start: int) -> None:
    """A piece from anywhere else is refused, and the reading stays where it was."""
    position = Position(offset=7)
    with pytest.raises(ContractError, match=f"from byte {start} on where byte 7 was due"):
        position.take(start, start + 1)
    assert position == Position(offset=7)


@pytest.mark.parametrize("tail_lines", [None, 3])
def test_nothing_goes_backwards(tail_lines: int | None) -> None:
    """A piece that ends before it begins is refused."""
    with pytest.raises(ContractError, match="from byte 0 to byte -1"):
        Position(tail_lines=tail_lines).take(0, -1)


def test_the_first_piece_tells_where_the_last_lines_begin() -> None:
    """From then on the offset counts, and the lines no longer."""
    position = Position(tail_lines=0)
    assert position.reached() == "before its first byte"
    position.take(100, 103)
    assert position == Position(offset=103, tail_lines=None)
    assert position.reached() == "at byte 103"
    with pytest.raises(ContractError):
        position.take(100, 103)
