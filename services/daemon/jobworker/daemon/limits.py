"""What a client may have of the daemon at most: the numbers that an operator chooses; 0 stands for no limit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import final


@final
@dataclass(frozen=True, slots=True)
class CallLimits:
    """What calls may ask for; whoever asks for more is refused with a status that names the limit.

    Attributes:
        jobs: How many jobs may run at once.
        jobs_per_principal: How many of them may be one principal's.
        start_rate: How many jobs a principal may start, in the long run, per second.
        start_burst: How many it may start at once, after a pause; at least 1.
        followers: How many streams, as of those who read logs, may be open at once.
        followers_per_principal: How many of them may be one principal's.
        arguments: How many words a command may have.
        argument_bytes: How many bytes they may have together.
        message_bytes: How many bytes a request may have.
        request_seconds: How long a request may take to arrive.
    """

    jobs: int = 5000
    jobs_per_principal: int = 1000
    start_rate: float = 100.0
    start_burst: int = 1000
    followers: int = 4000
    followers_per_principal: int = 1000
    arguments: int = 65_536
    argument_bytes: int = 2 << 20
    message_bytes: int = 4 << 20
    request_seconds: float = 30.0


@final
@dataclass(frozen=True, slots=True)
class ConnectionLimits:
    """What connections may be; one that is more is closed, since nobody is there yet who could be told.

    Attributes:
        connections: How many there may be at once, those that have not finished their handshake included.
        handshake_seconds: How long a handshake may take, up to the client's HTTP/2 settings.
        calls: How many calls a connection may have at once.
        idle_seconds: How long it may be without a call.
        ping_seconds: How much time a client has to leave between its pings while no data is sent.
    """

    connections: int = 4096
    handshake_seconds: float = 10.0
    calls: int = 100
    idle_seconds: float = 600.0
    ping_seconds: float = 10.0


@final
@dataclass(frozen=True, slots=True)
class Limits:
    """All limits.

    Attributes:
        calls: What calls may ask for.
        connections: What connections may be.
    """

    calls: CallLimits = CallLimits()
    connections: ConnectionLimits = ConnectionLimits()
