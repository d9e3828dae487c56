"""The options that limit what a client may have of the daemon; no I/O."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from jobworker.daemon.amounts import parse_age, parse_size
from jobworker.daemon.errors import ConfigurationError
from jobworker.daemon.limits import CallLimits, ConnectionLimits, Limits

if TYPE_CHECKING:
    from jobworker.daemon.values import Values

USAGE = """\
  --max-jobs=<count>  How many jobs may run at once. This and each limit below that is a count, a rate or a size takes 0
                      for no limit. (default: 5000)
  --max-jobs-per-principal=<count>
                      How many of them may be one principal's. (default: 1000)
  --start-rate=<rate>
                      How many jobs a principal may start per second in the long run, such as 20 or 0.5. (default: 100)
  --start-burst=<count>
                      How many jobs a principal may start at once after a pause; at least 1. (default: 1000)
  --max-followers=<count>
                      How many streams, as of those who read logs, may be open at once. (default: 4000)
  --max-followers-per-principal=<count>
                      How many of them may be one principal's. (default: 1000)
  --max-arguments=<count>
                      How many words a job's command may have. (default: 65536)
  --max-argument-size=<size>
                      How much they may be together; the kernel has a limit too. (default: 2M)
  --max-message-size=<size>
                      How large a request may be; at most 64M. (default: 4M)
  --request-timeout=<time>
                      How long a request may take to arrive, such as 30s or 2m. (default: 30s)
  --max-connections=<count>
                      How many connections there may be, those in their handshake included; never more than half of the
                      descriptors that the host allows the daemon. (default: 4096)
  --handshake-timeout=<time>
                      How long a handshake may take. (default: 10s)
  --max-calls-per-connection=<count>
                      How many calls a connection may have at once; clients let further ones wait. (default: 100)
  --idle-timeout=<time>
                      How long a connection may be without a call. (default: 10m)
  --min-ping-interval=<time>
                      How much time clients have to leave between pings; who goes on without is cut off. (default: 10s)
"""
"""What the usage says of these options."""

DEFAULTS = {
    "--max-jobs": "5000",
    "--max-jobs-per-principal": "1000",
    "--start-rate": "100",
    "--start-burst": "1000",
    "--max-followers": "4000",
    "--max-followers-per-principal": "1000",
    "--max-arguments": "65536",
    "--max-argument-size": "2M",
    "--max-message-size": "4M",
    "--request-timeout": "30s",
    "--max-connections": "4096",
    "--handshake-timeout": "10s",
    "--max-calls-per-connection": "100",
    "--idle-timeout": "10m",
    "--min-ping-interval": "10s",
}
"""What holds where nothing was given."""

MOST_MESSAGE_BYTES = 64 << 20
"""Requests are in memory, whole, several times; also where an operator wants no limit."""

_COUNT = re.compile("[0-9]{1,9}")
_RATE = re.compile("[0-9]{1,6}(?:[.][0-9]{1,3})?")


def parse_limits(values: Values) -> Limits:
    """Returns what the command line and the environment say of limits.

    Raises:
        ConfigurationError: If a value can't be; whoever started the daemon has to mend it.
    """
    return Limits(_call_limits(values), _connection_limits(values))


def _call_limits(values: Values) -> CallLimits:
    return CallLimits(
        jobs=_count(values, "--max-jobs"),
        jobs_per_principal=_count(values, "--max-jobs-per-principal"),
        start_rate=_rate(values, "--start-rate"),
        start_burst=_count(values, "--start-burst", least=1),
        followers=_count(values, "--max-followers"),
        followers_per_principal=_count(values, "--max-followers-per-principal"),
        arguments=_count(values, "--max-arguments"),
        argument_bytes=_size(values, "--max-argument-size"),
        message_bytes=_message_bytes(values),
        request_seconds=_seconds(values, "--request-timeout"),
    )


def _connection_limits(values: Values) -> ConnectionLimits:
    return ConnectionLimits(
        connections=_count(values, "--max-connections"),
        handshake_seconds=_seconds(values, "--handshake-timeout"),
        calls=_count(values, "--max-calls-per-connection"),
        idle_seconds=_seconds(values, "--idle-timeout"),
        ping_seconds=_seconds(values, "--min-ping-interval"),
    )


def _count(values: Values, option: str, *, least: int = 0) -> int:
    text = values.required(option)
    if not _COUNT.fullmatch(text) or int(text) < least:
        raise ConfigurationError(f"{option}: {text!r} is no count such as 500; give {_least(least)}")
    return int(text)


def _least(least: int) -> str:
    return f"at least {least}" if least else "a number, or 0 for no limit"


def _rate(values: Values, option: str) -> float:
    text = values.required(option)
    # Not 0.000, which a reader would take for very few.
    if not _RATE.fullmatch(text) or (not float(text) and text != "0"):
        raise ConfigurationError(f"{option}: {text!r} is no rate such as 20 or 0.5; give a number, or 0 for no limit")
    return float(text)


def _size(values: Values, option: str) -> int:
    try:
        return parse_size(values.required(option))
    except ValueError as error:
        raise ConfigurationError(f"{option}: {error}; give a size, or 0 for no limit") from None


def _message_bytes(values: Values) -> int:
    size = _size(values, "--max-message-size") or MOST_MESSAGE_BYTES
    if size > MOST_MESSAGE_BYTES:
        raise ConfigurationError("--max-message-size: a request is held in memory; give at most 64M")
    return size


def _seconds(values: Values, option: str) -> float:
    text = values.required(option)
    try:
        seconds = parse_age(text).total_seconds()
    except ValueError:
        seconds = 0.0
    # grpc takes milliseconds in 31 bits.
    if not 0 < seconds <= _MOST_SECONDS:
        raise ConfigurationError(f"{option}: {text!r} is no time such as 10s or 5m; give 1s to 24d")
    return seconds


_MOST_SECONDS = 24 * 60 * 60 * 24
