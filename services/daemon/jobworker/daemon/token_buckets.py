"""How often each of some may do something: a token bucket for each key; pure, with the clock passed in."""

from __future__ import annotations

from typing import final

MOST_FULL = 1000
"""How many buckets that are full again, and so worth nothing, are kept at most."""

# Below this a wait is what adding up fractions has left over.
_NO_TIME = 1e-6


@final
class TokenBuckets:
    """A bucket of tokens for each key, full at first, that gets a token at a steady rate.

    Each bucket is one number, the time at which it will be full (the generic cell rate algorithm); a bucket that is
    full is none at all.
    """

    def __init__(self, rate: float, burst: int) -> None:
        """Makes all buckets full.

        Args:
            rate: How many tokens a bucket gets per second, more than 0.
            burst: How many tokens it holds, at least 1.
        """
        self._interval = 1 / rate
        self._room = (burst - 1) * self._interval
        self._full_at: dict[str, float] = {}

    def __repr__(self) -> str:
        return f"<TokenBuckets {len(self._full_at)}>"

    def take(self, key: str, now: float) -> float:
        """Takes a token out of a key's bucket, if there is one.

        Args:
            key: Whose bucket.
            now: The time, in seconds on a clock that only goes forward.

        Returns:
            0 if there was a token; else how many seconds to wait for the next one, and nothing was taken.
        """
        full_at = max(self._full_at.get(key, now), now)
        wait = full_at - now - self._room
        if wait > _NO_TIME:
            return wait
        self._full_at[key] = full_at + self._interval
        if len(self._full_at) > MOST_FULL:
            self._full_at = {each: at for each, at in self._full_at.items() if at > now}
        return 0.0
