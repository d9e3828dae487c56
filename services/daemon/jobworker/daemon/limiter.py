"""Holds calls to their limits: decides who is refused, and counts it; no I/O, and the clock is passed in."""

from __future__ import annotations

from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, final

from jobworker.daemon.errors import LimitReachedError
from jobworker.daemon.token_buckets import TokenBuckets

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence
    from typing import NoReturn

    from jobworker.daemon.counters import Counters
    from jobworker.daemon.limits import CallLimits

REFUSED = "jobworker_refused_total"
"""The counter of refused calls, by the limit's name."""

# What is too large stays so until an operator changes the limit.
_UNCHANGED_SECONDS = 3600.0


@final
class Limiter:
    """Knows how much is in use, as far as nobody else does: followers, and tokens for starts."""

    def __init__(self, limits: CallLimits, counters: Counters, clock: Callable[[], float]) -> None:
        """Begins with nothing in use.

        Args:
            limits: The limits.
            counters: What counts the refused, as `REFUSED`.
            clock: Returns the time, in seconds, and only goes forward.
        """
        self.limits = limits
        self._counters = counters
        self._clock = clock
        self._followers: Counter[str] = Counter()
        self._starts = TokenBuckets(limits.start_rate, limits.start_burst) if limits.start_rate else None

    def __repr__(self) -> str:
        return f"<Limiter followers={self._followers.total()}>"

    def check_message(self, size: int) -> None:
        """Returns if a request may have a size, in bytes.

        Raises:
            LimitReachedError: If it is too large; the caller's fault.
        """
        most = self.limits.message_bytes
        if most and size > most:
            self._refuse("message_bytes", most, f"the request has {size} bytes; make it smaller", _UNCHANGED_SECONDS)

    def check_command(self, command: Sequence[str]) -> None:
        """Returns if a command may be as long as it is.

        Raises:
            LimitReachedError: If it has too many words, or too many bytes; the caller's fault.
        """
        most = self.limits.arguments
        if most and len(command) > most:
            problem = f"the command has {len(command)} words; pass the arguments in a file"
            self._refuse("arguments", most, problem, _UNCHANGED_SECONDS)
        most = self.limits.argument_bytes
        if most and (size := sum(len(word.encode()) + 1 for word in command)) > most:
            problem = f"the command has {size} bytes; pass the arguments in a file"
            self._refuse("argument_bytes", most, problem, _UNCHANGED_SECONDS)

    def admit_start(self, principal: str, under_way: Counter[str], aliases: Collection[str] = ()) -> None:
        """Returns if a principal may start one more job, and takes a token for it.

        Args:
            principal: Who wants to start it.
            under_way: How many jobs run, or are being started, of each principal.
            aliases: The names that the principal had before, and that jobs of its may still have.

        Raises:
            LimitReachedError: If too many jobs run, or were started of late; jobs have to end first, or time to pass.
        """
        limits = self.limits
        if limits.jobs and under_way.total() >= limits.jobs:
            self._refuse("jobs", limits.jobs, f"{under_way.total()} jobs run; wait until some have ended")
        if limits.jobs_per_principal:
            own = sum(under_way[name] for name in {principal, *aliases})
            if own >= limits.jobs_per_principal:
                problem = f"{own} jobs of {principal} run; wait until some have ended, or stop some"
                self._refuse("jobs_per_principal", limits.jobs_per_principal, problem, principal=principal)
        # Last, so that whoever is refused anyway keeps the token.
        wait = self._starts.take(principal, self._clock()) if self._starts else 0.0
        if wait:
            problem = f"{principal} has started too many jobs of late; try again in {wait:.2f} s"
            self._refuse("start_rate", limits.start_rate, problem, wait, principal=principal)

    @contextmanager
    def following(self, principal: str) -> Iterator[None]:
        """Counts a stream that a principal has open, for as long as the context lasts.

        Raises:
            LimitReachedError: If too many are open; some have to end first.
        """
        limits = self.limits
        total, own = self._followers.total(), self._followers[principal]
        if limits.followers and total >= limits.followers:
            self._refuse("followers", limits.followers, f"{total} streams are open; wait until some have ended")
        if limits.followers_per_principal and own >= limits.followers_per_principal:
            problem = f"{own} streams of {principal} are open; end some"
            self._refuse("followers_per_principal", limits.followers_per_principal, problem, principal=principal)
        self._followers[principal] += 1
        try:
            yield
        finally:
            self._followers[principal] -= 1
            if not self._followers[principal]:
                del self._followers[principal]

    def _refuse(
        self, limit: str, maximum: float, problem: str, seconds: float = 1.0, *, principal: str | None = None
    ) -> NoReturn:
        self._counters.add(REFUSED, f"limit={limit}")
        raise LimitReachedError(limit, maximum, problem, retry_seconds=seconds, principal=principal)
