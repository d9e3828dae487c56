"""The worker's message bus: publish and subscribe inside one event loop.

It carries news ("stdout grew to 8192", "closed"), never output bytes: what a reader wants to know it reads from the
output log. Publishing never waits and never fails because of a subscriber.
"""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias, final

if TYPE_CHECKING:
    from types import TracebackType
    from typing import Self

    from jobworker.worker.job import Job, StreamName

QUEUE_LENGTH = 64
"""How many messages wait for a subscriber before the oldest give way; news is small and soon out of date."""


@final
@dataclass(frozen=True, slots=True)
class StateChanged:
    """Signals on `<jobId>:output` that a job is in another state, and with which outcome."""

    job: Job


@final
@dataclass(frozen=True, slots=True)
class Grew:
    """Signals on `<jobId>:stdout` or `<jobId>:stderr` that the stream has at least `size` bytes.

    Told only while somebody reads the stream with `follow`: the kernel is asked to watch it just then.
    """

    size: int


@final
@dataclass(frozen=True, slots=True)
class Closed:
    """Signals on `<jobId>:stdout` or `<jobId>:stderr` that the stream ended at `size` bytes for good."""

    size: int


@final
@dataclass(frozen=True, slots=True)
class Deleted:
    """Signals on all of a job's channels that the job was deleted, and its output with it."""


@final
@dataclass(frozen=True, slots=True)
class Lagged:
    """Tells one subscriber that it was slow and lost the oldest `missed` messages; what comes next is in order."""

    missed: int


News: TypeAlias = StateChanged | Grew | Closed | Deleted
"""What is published."""


def output_channel(job_id: str) -> str:
    """Returns the channel of a job's state changes and exit code."""
    return f"{job_id}:output"


def stream_channel(job_id: str, stream: StreamName) -> str:
    """Returns the channel of the growth and the end of one of a job's streams."""
    return f"{job_id}:{stream}"


@final
class Subscription:
    """One subscriber's queue on one channel: an async context manager, and an async iterator of news.

    Messages come in the order in which they were published. It ends when the bus is closed.
    """

    def __init__(self, bus: MessageBus, channel: str, queue_length: int) -> None:
        self.channel = channel
        self._bus = bus
        self._queue: deque[News] = deque(maxlen=queue_length)
        self._missed = 0
        self._ended = False
        self._wake: asyncio.Future[None] | None = None

    def __repr__(self) -> str:
        return f"<Subscription {self.channel} queued={len(self._queue)} missed={self._missed}>"

    async def __aenter__(self) -> Self:
        self._bus._add(self)  # noqa: SLF001 - the two classes are one mechanism
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bus._remove(self)  # noqa: SLF001

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> News | Lagged:
        while not self._queue:
            if self._ended or self._bus.is_closed:
                raise StopAsyncIteration
            self._wake = asyncio.get_running_loop().create_future()
            try:
                await self._wake
            finally:
                self._wake = None
        if self._missed:
            lagged, self._missed = Lagged(self._missed), 0
            return lagged
        return self._queue.popleft()

    def end(self) -> None:
        """Ends the iteration once it has given out what is queued."""
        self._ended = True
        self._rouse()

    def _put(self, message: News) -> None:
        if len(self._queue) == self._queue.maxlen:
            self._missed += 1
        self._queue.append(message)
        self._rouse()

    def _rouse(self) -> None:
        if self._wake is not None and not self._wake.done():
            self._wake.set_result(None)


@final
class MessageBus:
    """Channels by name; who subscribes to one gets what is published on it from then on.

    It belongs to one event loop and is not thread-safe.
    """

    def __init__(self) -> None:
        self._channels: dict[str, set[Subscription]] = {}
        self._closed = False

    def __repr__(self) -> str:
        subscribers = sum(map(len, self._channels.values()))
        return f"<MessageBus channels={len(self._channels)} subscribers={subscribers}>"

    @property
    def is_closed(self) -> bool:
        """Whether the bus was closed; subscriptions then end after what they have queued."""
        return self._closed

    def subscribe(self, channel: str, *, queue_length: int = QUEUE_LENGTH) -> Subscription:
        """Returns a subscription, which takes effect when it is entered with `async with`.

        Args:
            channel: The channel's name; it needs no publisher yet.
            queue_length: How many messages may wait, at least 1; beyond that the oldest give way and the subscriber
                gets a `Lagged`.
        """
        return Subscription(self, channel, queue_length)

    def publish(self, channel: str, message: News) -> None:
        """Hands a message to whoever is subscribed to the channel now; with nobody there it is forgotten."""
        for subscription in self._channels.get(channel, ()):
            subscription._put(message)  # noqa: SLF001

    def close(self) -> None:
        """Ends every subscription once it has given out what it has queued; closing again does nothing."""
        self._closed = True
        for subscriptions in self._channels.values():
            for subscription in subscriptions:
                subscription.end()

    def _add(self, subscription: Subscription) -> None:
        self._channels.setdefault(subscription.channel, set()).add(subscription)

    def _remove(self, subscription: Subscription) -> None:
        subscriptions = self._channels.get(subscription.channel, set())
        subscriptions.discard(subscription)
        if not subscriptions:
            self._channels.pop(subscription.channel, None)
