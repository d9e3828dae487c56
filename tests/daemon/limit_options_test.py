"""The options that limit what a client may have."""

from __future__ import annotations

import pytest

from jobworker.daemon import limit_options, options
from jobworker.daemon.channel_options import channel_options
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.limits import CallLimits, ConnectionLimits, Limits
from jobworker.daemon.values import variable_of


def _parse(*arguments: str, **environment: str) -> Limits:
    return options.parse(arguments, {"HOME": "/home/user", **environment}, 1000).limits


def test_defaults() -> None:
    """What the usage says is what holds, and what the dataclasses say too."""
    assert _parse() == Limits(CallLimits(), ConnectionLimits())
    for option, default in limit_options.DEFAULTS.items():
        said = " ".join(limit_options.USAGE[limit_options.USAGE.index(f"  {option}=") :].split())
        assert said.partition("(default: ")[2].startswith(f"{default})"), option


@pytest.mark.parametrize(
    ("option", "value", "expected"),
    [
        ("--max-jobs", "7", Limits(CallLimits(jobs=7))),
        ("--max-jobs-per-principal", "7", Limits(CallLimits(jobs_per_principal=7))),
        ("--start-rate", "0.5", Limits(CallLimits(start_rate=0.5))),
        ("--start-rate", "0", Limits(CallLimits(start_rate=0))),
        ("--start-burst", "7", Limits(CallLimits(start_burst=7))),
        ("--max-followers", "7", Limits(CallLimits(followers=7))),
        ("--max-followers-per-principal", "7", Limits(CallLimits(followers_per_principal=7))),
        ("--max-arguments", "7", Limits(CallLimits(arguments=7))),
        ("--max-argument-size", "7K", Limits(CallLimits(argument_bytes=7 << 10))),
        ("--max-message-size", "7K", Limits(CallLimits(message_bytes=7 << 10))),
        ("--max-message-size", "0", Limits(CallLimits(message_bytes=limit_options.MOST_MESSAGE_BYTES))),
        ("--request-timeout", "7s", Limits(CallLimits(request_seconds=7))),
        ("--max-connections", "7", Limits(connections=ConnectionLimits(connections=7))),
        ("--handshake-timeout", "7s", Limits(connections=ConnectionLimits(handshake_seconds=7))),
        ("--max-calls-per-connection", "7", Limits(connections=ConnectionLimits(calls=7))),
        ("--idle-timeout", "7m", Limits(connections=ConnectionLimits(idle_seconds=420))),
        ("--min-ping-interval", "7s", Limits(connections=ConnectionLimits(ping_seconds=7))),
    ],
)
def test_from_line_and_environment(option: str, value: str, expected: Limits) -> None:
    """Each can come from the command line or the environment, and the command line wins."""
    assert _parse(f"{option}={value}") == expected
    assert _parse(**{variable_of(option): value}) == expected
    assert _parse(f"{option}={value}", **{variable_of(option): "nonsense"}) == expected


@pytest.mark.parametrize("option", limit_options.DEFAULTS)
@pytest.mark.parametrize("value", ["-1", "many", "1e3", "9999999999999999999999", "٣"])
def test_impossible_values(option: str, value: str) -> None:
    """A value that can't be is named, with its option."""
    with pytest.raises(ConfigurationError, match=f"^{option}: "):
        _parse(f"{option}={value}")


@pytest.mark.parametrize(
    "given",
    ["--start-burst=0", "--start-rate=0.000", "--max-message-size=65M", "--idle-timeout=0s", "--idle-timeout=25d"],
)
def test_values_that_make_no_sense(given: str) -> None:
    """What would let nobody in, or has no meaning for grpc, is refused."""
    with pytest.raises(ConfigurationError, match=f"^{given.partition('=')[0]}: .*; give "):
        _parse(given)


def test_connections_leave_descriptors() -> None:
    """Connections never take all descriptors: the jobs' logs need some."""
    assert dict(channel_options(Limits(), 1000))["grpc.max_allowed_incoming_connections"] == 500
    assert dict(channel_options(Limits(), 100_000))["grpc.max_allowed_incoming_connections"] == 4096
    unlimited = Limits(connections=ConnectionLimits(connections=0, calls=0))
    assert dict(channel_options(unlimited, 1000))["grpc.max_allowed_incoming_connections"] == 500
    assert dict(channel_options(unlimited, 1000))["grpc.max_concurrent_streams"] == 2**31 - 1
