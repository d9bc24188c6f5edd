"""Limits hold for whoever spreads over the processes, and each process keeps its own when nobody can be told."""

from __future__ import annotations

import asyncio
import time

import msgspec
import pytest

from live.bus import RedisBus
from live.limits import Limits, network
from live.settings import Settings
from moderation.event import Event
from rooms.command import Refused
from rooms.talk import MOST_MESSAGES
from tests.live.engines import RedisServer
from tests.live.test_bus import connected

SECONDS = 20
EVENT = Event("abend", "geheim")
SETTINGS = Settings(send_burst=5, send_rate=0.001)


def taken(limits: Limits, most: int = 20) -> int:
    """How many commands one person gets through before being refused."""
    for count in range(most):
        try:
            limits.command(EVENT, "anna", "127.0.0.1", "support.give", time.monotonic())
        except Refused:
            return count
    return most


def test_nobody_fills_a_room_before_somebody_has_noticed() -> None:
    """Alone, and without anything that people do being held up by it."""
    usual = Settings()
    assert (usual.notes_bytes - usual.notes_growth_burst) / usual.notes_growth_rate > 20 * 60
    assert usual.notes_growth_burst >= usual.frame_bytes, "whatever may be sent may be taken, after a while"
    assert (MOST_MESSAGES - usual.say_burst) / usual.say_rate > 60 * 60
    assert usual.say_burst + 60 * usual.say_rate > 30, "thoughts that somebody has in their best minute"


def test_the_control_who_spreads_over_processes_that_do_not_talk_gets_the_burst_of_each() -> None:
    assert sum(taken(Limits(SETTINGS)) for _ in range(2)) == 10


async def test_what_is_taken_in_one_process_is_missing_in_the_other(redis: RedisServer) -> None:
    told = asyncio.Event()

    class Told(Limits):
        def _charge(self, data: bytes) -> None:
            super()._charge(data)
            told.set()

    mine, yours = Limits(SETTINGS), Told(SETTINGS)
    async with asyncio.TaskGroup() as tasks:
        here, there = RedisBus(redis.url, "limits"), RedisBus(redis.url, "limits")
        running = [tasks.create_task(bus.run()) for bus in (here, there)]
        await connected(here, there)
        running += [tasks.create_task(mine.share(here)), tasks.create_task(yours.share(there))]
        await asyncio.sleep(0)
        assert taken(mine) == 5
        await asyncio.wait_for(told.wait(), SECONDS)
        assert taken(yours) == 0
        for task in running:
            task.cancel()


def test_what_a_newer_process_tells_of_a_rate_that_is_unknown_here_is_not_counted() -> None:
    """While an installation is replaced process by process, both releases are on the bus."""
    limits = Limits(SETTINGS)
    limits._charge(msgspec.msgpack.encode({"dance": {"anna": 5.0}, "send": {"anna": 4.0}}))
    assert taken(limits) == 1


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::7", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("fe80::1%eth0", "fe80::2", True),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("not:an:address", "not:an:address", True),
    ],
)
def test_a_network_of_one_customer_counts_as_one_address(one: str, other: str, same: bool) -> None:
    assert (network(one) == network(other)) is same
