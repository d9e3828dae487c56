"""Who is refused at which limit, what the refusal says, and that each is counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import fields
from typing import TYPE_CHECKING, Any

import pytest

from jobworker.daemon.counters import Counters
from jobworker.daemon.errors import LimitReachedError
from jobworker.daemon.limiter import Limiter
from jobworker.daemon.limits import CallLimits

if TYPE_CHECKING:
    from collections.abc import Callable


class _World:
    """A limiter with its counters and a clock that tests set."""

    def __init__(self, **limits: float) -> None:
        kind: Any = CallLimits
        # Those that a test doesn't name are off, so that each is seen alone.
        off = {field.name: 0 for field in fields(CallLimits) if field.name != "start_burst"}
        self.counters = Counters()
        self.now = 0.0
        self.limiter = Limiter(kind(**{**off, **limits}), self.counters, lambda: self.now)

    def refused(self, call: Callable[[], object]) -> LimitReachedError:
        """Makes a call that is refused, and returns the error, which was counted."""
        with pytest.raises(LimitReachedError) as caught:
            call()
        assert self.counters.snapshot() == {f'jobworker_refused_total{{limit="{caught.value.limit}"}}': 1}
        assert caught.value.limit in {field.name for field in fields(CallLimits)}
        return caught.value


def test_jobs_of_all() -> None:
    """The number of jobs that run, whoever's, keeps further ones out."""
    world = _World(jobs=2)
    world.limiter.admit_start("a", Counter(["b"]))
    error = world.refused(lambda: world.limiter.admit_start("a", Counter(["b", "c"])))
    assert (error.limit, error.maximum, error.principal) == ("jobs", "2", None)
    assert str(error) == "the limit jobs is 2: 2 jobs run; wait until some have ended"


def test_jobs_of_one() -> None:
    """A principal's own jobs keep out its own alone."""
    world = _World(jobs_per_principal=2)
    world.limiter.admit_start("b", Counter(["a", "a", "a", "b"]))
    error = world.refused(lambda: world.limiter.admit_start("a", Counter(["a", "b", "a"])))
    assert (error.limit, error.maximum, error.principal) == ("jobs_per_principal", "2", "a")


def test_jobs_of_one_who_was_renamed() -> None:
    """What a principal started under another name is still its own."""
    world = _World(jobs_per_principal=2)
    world.limiter.admit_start("a", Counter(["b", "old"]), {"a", "old"})
    error = world.refused(lambda: world.limiter.admit_start("a", Counter(["a", "b", "old"]), {"a", "old"}))
    assert (error.limit, error.principal) == ("jobs_per_principal", "a")


def test_starts_in_time() -> None:
    """Who starts too many too fast is told when the next one may be; another principal isn't concerned."""
    world = _World(start_rate=0.5, start_burst=2)
    for _ in range(2):
        world.limiter.admit_start("a", Counter())
    error = world.refused(lambda: world.limiter.admit_start("a", Counter()))
    assert (error.limit, error.maximum, error.principal) == ("start_rate", "0.5", "a")
    assert error.retry_seconds == pytest.approx(2.0)
    world.limiter.admit_start("b", Counter())
    world.now += error.retry_seconds
    world.limiter.admit_start("a", Counter())


def test_refused_starts_take_no_token() -> None:
    """Whoever is refused for another reason can start a job as soon as that one is gone."""
    world = _World(jobs=1, start_rate=0.001, start_burst=1)
    world.refused(lambda: world.limiter.admit_start("a", Counter(["b"])))
    world.limiter.admit_start("a", Counter())


def test_followers() -> None:
    """Streams count while they are open: all of them, and each principal's."""
    world = _World(followers=3, followers_per_principal=2)
    with world.limiter.following("a"), world.limiter.following("a"):
        error = world.refused(lambda: world.limiter.following("a").__enter__())
        assert (error.limit, error.maximum, error.principal) == ("followers_per_principal", "2", "a")
        with world.limiter.following("b"), pytest.raises(LimitReachedError) as caught, world.limiter.following("c"):
            pass
        assert (caught.value.limit, caught.value.principal) == ("followers", None)
        with world.limiter.following("c"):
            pass
    assert repr(world.limiter) == "<Limiter followers=0>"


def test_a_follower_that_fails_is_one_less() -> None:
    """Its place is free again, however it ended."""
    world = _World(followers=1)
    for _ in range(3):
        with pytest.raises(KeyError), world.limiter.following("a"):
            raise KeyError


@pytest.mark.parametrize(
    ("limits", "command", "limit"),
    [
        ({"arguments": 2}, ["a", "b", "c"], "arguments"),
        ({"argument_bytes": 4}, ["a", "bc"], "argument_bytes"),
        ({"argument_bytes": 4}, ["", "", "", "", ""], "argument_bytes"),
        ({"argument_bytes": 2}, ["ü"], "argument_bytes"),
    ],
)
def test_long_commands(limits: dict[str, float], command: list[str], limit: str) -> None:
    """Words count, and bytes as the kernel has them, each with the zero byte at its end."""
    world = _World(**limits)
    error = world.refused(lambda: world.limiter.check_command(command))
    assert (error.limit, error.principal) == (limit, None)
    # Trying again is of no use until somebody has changed the limit.
    assert error.retry_seconds == 3600
    world.limiter.check_command(command[:1] if len(command) > 1 else ["u"])


def test_large_messages() -> None:
    """A request may be as large as the limit, and not a byte larger."""
    world = _World(message_bytes=10)
    world.limiter.check_message(10)
    assert world.refused(lambda: world.limiter.check_message(11)).limit == "message_bytes"


def test_no_limits() -> None:
    """0 is no limit."""
    world = _World()
    world.limiter.check_message(1 << 40)
    world.limiter.check_command(["x"] * 100_000)
    for _ in range(1000):
        world.limiter.admit_start("a", Counter(["a"] * 10_000))
    assert world.counters.snapshot() == {}
