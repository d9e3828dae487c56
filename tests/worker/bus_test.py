"""The contract of the message bus: order, bounds, ends, and subscribers that never touch each other."""

from __future__ import annotations

import asyncio

import pytest

from jobworker.worker import Closed, Grew, Lagged, MessageBus, News, Subscription
from jobworker.worker.bus import QUEUE_LENGTH, output_channel, stream_channel


# Another implementation is one more parameter.
@pytest.fixture(params=[MessageBus])
def bus(request: pytest.FixtureRequest) -> MessageBus:
    """A bus without subscribers."""
    made: MessageBus = request.param()
    return made


async def take(subscription: Subscription, count: int) -> list[News | Lagged]:
    """Returns a subscriber's next messages."""
    return [await anext(subscription) for _ in range(count)]


async def rest(subscription: Subscription) -> list[News | Lagged]:
    """Returns a subscriber's messages up to the end."""
    return [message async for message in subscription]


def grew(*sizes: int) -> list[News | Lagged]:
    """Returns news of growth, in order."""
    return [Grew(size) for size in sizes]


async def test_each_subscriber_gets_all_messages_in_order(bus: MessageBus) -> None:
    """Whether it reads at once or later."""
    async with bus.subscribe("a") as first, bus.subscribe("a") as second:
        bus.publish("a", Grew(1))
        bus.publish("a", Grew(2))
        assert await take(first, 2) == grew(1, 2)
        bus.publish("a", Closed(2))
        assert await take(second, 3) == [*grew(1, 2), Closed(2)]
        assert await take(first, 1) == [Closed(2)]


async def test_a_waiting_subscriber_is_woken(bus: MessageBus) -> None:
    """One that was there before the message gets it as soon as it comes."""
    async with bus.subscribe("a") as subscription, asyncio.TaskGroup() as tasks:
        waiting = tasks.create_task(take(subscription, 3))
        for size in range(3):
            await asyncio.sleep(0)
            bus.publish("a", Grew(size))
    assert waiting.result() == grew(0, 1, 2)


async def test_a_subscriber_gets_its_channel_alone(bus: MessageBus) -> None:
    """Channels have nothing in common but the bus."""
    async with bus.subscribe("a") as subscription:
        bus.publish("b", Grew(1))
        bus.publish("a", Grew(2))
        bus.close()
        assert await rest(subscription) == grew(2)


async def test_a_subscriber_gets_what_comes_after_it(bus: MessageBus) -> None:
    """The bus remembers nothing; and a subscription counts from its entering."""
    bus.publish("a", Grew(1))
    subscription = bus.subscribe("a")
    bus.publish("a", Grew(2))
    async with subscription:
        bus.publish("a", Grew(3))
        bus.close()
        assert await rest(subscription) == grew(3)


@pytest.mark.parametrize("excess", [1, 2, 100])
async def test_a_slow_subscriber_loses_the_oldest_and_is_told(bus: MessageBus, excess: int) -> None:
    """It learns how many it missed, then gets the newest in order; its queue never grows beyond its length."""
    async with bus.subscribe("a", queue_length=3) as slow:
        for size in range(3 + excess):
            bus.publish("a", Grew(size))
        assert f"queued=3 missed={excess}" in repr(slow)
        assert await take(slow, 4) == [Lagged(excess), *grew(excess, excess + 1, excess + 2)]
        bus.publish("a", Closed(9))
        assert await take(slow, 1) == [Closed(9)]


async def test_a_full_queue_loses_nothing(bus: MessageBus) -> None:
    """The bound is exact: it takes one message more to lag."""
    async with bus.subscribe("a") as subscription:
        for size in range(QUEUE_LENGTH):
            bus.publish("a", Grew(size))
        assert await take(subscription, QUEUE_LENGTH) == grew(*range(QUEUE_LENGTH))


async def test_a_lag_is_told_each_time(bus: MessageBus) -> None:
    """The count begins anew once it was told."""
    async with bus.subscribe("a", queue_length=1) as slow:
        for told in (2, 3):
            for size in range(told + 1):
                bus.publish("a", Grew(size))
            assert await take(slow, 2) == [Lagged(told), *grew(told)]


async def test_a_slow_subscriber_touches_no_other(bus: MessageBus) -> None:
    """Beside one that never reads, another gets everything."""
    async with bus.subscribe("a", queue_length=1), bus.subscribe("a") as quick:
        for size in range(3 * QUEUE_LENGTH):
            bus.publish("a", Grew(size))
            assert await take(quick, 1) == grew(size)


async def test_a_failing_subscriber_touches_no_other(bus: MessageBus) -> None:
    """One that raises over a message is gone; the others and the publisher notice nothing."""

    async def fail() -> None:
        async with bus.subscribe("a") as failing:
            async for _ in failing:
                raise RuntimeError("a subscriber's own bug")

    async with bus.subscribe("a") as other:
        failing = asyncio.ensure_future(fail())
        await asyncio.sleep(0)
        bus.publish("a", Grew(1))
        with pytest.raises(RuntimeError, match="own bug"):
            await failing
        bus.publish("a", Grew(2))
        assert await take(other, 2) == grew(1, 2)
        assert "subscribers=1" in repr(bus)


async def test_a_cancelled_subscriber_loses_nothing(bus: MessageBus) -> None:
    """A wait that was cancelled, by a timeout say, takes no message with it."""
    async with bus.subscribe("a") as subscription:
        waiting = asyncio.ensure_future(anext(subscription))
        await asyncio.sleep(0)
        waiting.cancel()
        bus.publish("a", Grew(1))
        with pytest.raises(asyncio.CancelledError):
            await waiting
        bus.publish("a", Grew(2))
        assert await take(subscription, 2) == grew(1, 2)


async def test_leaving_unsubscribes(bus: MessageBus) -> None:
    """Channels without subscribers leave nothing behind."""
    async with bus.subscribe("a"), bus.subscribe("a"), bus.subscribe("b"):
        assert repr(bus) == "<MessageBus channels=2 subscribers=3>"
    assert repr(bus) == "<MessageBus channels=0 subscribers=0>"


async def test_closing_ends_every_subscription_after_its_queue(bus: MessageBus) -> None:
    """Nothing that was published is lost to it, and nobody waits for ever."""
    async with bus.subscribe("a") as behind, bus.subscribe("b") as waiting, asyncio.TaskGroup() as tasks:
        ended = tasks.create_task(rest(waiting))
        await asyncio.sleep(0)
        bus.publish("a", Grew(1))
        bus.close()
        bus.close()
        assert bus.is_closed
        assert await rest(behind) == grew(1)
        assert await ended == []


async def test_a_subscription_to_a_closed_bus_ends_at_once(bus: MessageBus) -> None:
    """Who comes late does not wait for ever either."""
    bus.close()
    async with bus.subscribe("a") as subscription:
        assert await rest(subscription) == []


async def test_ending_one_subscription_leaves_the_others(bus: MessageBus) -> None:
    """It ends after its queue; the rest go on."""
    async with bus.subscribe("a") as ended, bus.subscribe("a") as other:
        bus.publish("a", Grew(1))
        ended.end()
        assert await rest(ended) == grew(1)
        bus.publish("a", Grew(2))
        assert await take(other, 2) == grew(1, 2)


def test_publishing_needs_no_subscriber(bus: MessageBus) -> None:
    """Nor does it keep anything then."""
    bus.publish("a", Grew(1))
    assert repr(bus) == "<MessageBus channels=0 subscribers=0>"


def test_channels_are_named_by_job_and_stream() -> None:
    """The names that the design gives them."""
    assert (output_channel("5a2e"), stream_channel("5a2e", "stdout"), stream_channel("5a2e", "stderr")) == (
        "5a2e:output",
        "5a2e:stdout",
        "5a2e:stderr",
    )
