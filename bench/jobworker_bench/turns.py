"""In which order things that are compared are measured; no I/O."""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_T = TypeVar("_T")


def turns(items: Sequence[_T], rounds: int) -> Iterator[_T]:
    """Yields each item once a round, and another one first in each round.

    So none profits, or suffers, always from what was measured just before it.

    Args:
        items: What is measured.
        rounds: How often.
    """
    for first in range(rounds):
        for number in range(len(items)):
            yield items[(first + number) % len(items)]
