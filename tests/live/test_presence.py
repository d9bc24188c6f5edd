"""Presence: each person counts once however many processes see them, and who is gone expires."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from live.bus_address import Client, connect
from live.presence import KEPT_MS, REFRESHED_MS, LocalPresence, RedisPresence
from tests.live.engines import RedisServer

NOW = 1_600_000_000_000
HALL, HOME = {"anna": "hall"}, {"bilal": "home", "cem": "home"}


@pytest.fixture
async def client(redis: RedisServer) -> AsyncIterator[Client]:
    client = connect(redis.url)
    await client.flushall()
    yield client
    await client.aclose()


def processes(client: Client, number: int = 2) -> list[RedisPresence]:
    return [RedisPresence(client, "test") for _ in range(number)]


async def test_one_process_counts_who_is_here() -> None:
    assert await LocalPresence().count("abend", HALL | HOME, NOW) == {"hall": 1, "home": 2}
    assert await LocalPresence().count("abend", {}, NOW) == {"hall": 0, "home": 0}


async def test_all_processes_count_everybody_once(client: Client) -> None:
    mine, yours = processes(client)
    assert await mine.count("abend", HALL | HOME, NOW) == {"hall": 1, "home": 2}
    assert await yours.count("abend", {"bilal": "home", "dora": "home"}, NOW) == {"hall": 1, "home": 3}
    assert await mine.count("abend", HALL | HOME, NOW) == {"hall": 1, "home": 3}


async def test_events_and_installations_do_not_mix(client: Client) -> None:
    mine, _ = processes(client)
    await mine.count("abend", HALL, NOW)
    assert await mine.count("another", HOME, NOW) == {"hall": 0, "home": 2}
    assert await RedisPresence(client, "elsewhere").count("abend", {}, NOW) == {"hall": 0, "home": 0}


async def test_who_comes_into_the_hall_is_at_home_no_more(client: Client) -> None:
    mine, yours = processes(client)
    await mine.count("abend", {"bilal": "home"}, NOW)
    assert await mine.count("abend", {"bilal": "hall"}, NOW + 1) == {"hall": 1, "home": 0}
    assert await yours.count("abend", {}, NOW + 1) == {"hall": 1, "home": 0}


async def test_who_is_gone_expires_and_who_stays_does_not(client: Client) -> None:
    """A process that was killed says nothing: its people count no longer than that."""
    mine, killed = processes(client)
    await killed.count("abend", HOME, NOW)
    counts = {}
    for elapsed in range(0, KEPT_MS, REFRESHED_MS // 5):
        counts = await mine.count("abend", HALL, NOW + elapsed)
    assert counts == {"hall": 1, "home": 2}
    assert await mine.count("abend", HALL, NOW + KEPT_MS + REFRESHED_MS) == {"hall": 1, "home": 0}


async def test_a_redis_that_lost_everything_knows_again_within_a_refresh(client: Client) -> None:
    mine, yours = processes(client)
    for one, people in ((mine, HALL), (yours, HOME)):
        await one.count("abend", people, NOW)
    await client.flushall()
    await yours.count("abend", HOME, NOW + REFRESHED_MS)
    assert await mine.count("abend", HALL, NOW + REFRESHED_MS) == {"hall": 1, "home": 2}


async def test_without_redis_each_process_counts_its_own(redis: RedisServer, client: Client) -> None:
    mine, yours = processes(client)
    await yours.count("abend", HOME, NOW)
    redis.stop()
    try:
        assert await mine.count("abend", HALL, NOW) == {"hall": 1, "home": 0}
    finally:
        redis.start()
    await yours.count("abend", HOME, NOW + REFRESHED_MS)
    assert await mine.count("abend", HALL, NOW + 1) == {"hall": 1, "home": 2}


async def test_nothing_is_left_in_redis_when_nobody_asks(client: Client) -> None:
    mine, _ = processes(client)
    await mine.count("abend", HALL | HOME, NOW)
    for key in await client.keys("plenum:*"):
        assert 0 < await client.pttl(key) <= KEPT_MS
