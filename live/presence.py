"""Presence: how many people are in the hall and at home, in all processes together. Counted, never logged."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping, Set
from typing import Protocol

from live.bus_address import ERRORS, SECONDS, Client

LOGGER = logging.getLogger("plenum.presence")
PLACES = ("hall", "home")
REFRESHED_MS, KEPT_MS = 5_000, 12_000
"""How often each process says again who is there, and how long that counts: two sayings may get lost."""

Counts = dict[str, int]


class Presence(Protocol):
    """What the hubs ask."""

    shared: bool
    """Whether the counts may change without a change here."""

    async def reachable(self) -> bool:
        """Whether the other processes can be reached."""

    async def count(self, slug: str, here: Mapping[str, str], now: int) -> Counts:
        """How many people each place has, given who is connected to this process (person → place) at the shared time `now` in
        ms. Never raises: who cannot reach the others counts what is here."""


    async def in_rooms(self, slug: str, here: Set[str], now: int) -> Set[str] | None:
        """The participants whose room is open on some screen, given those at this process. Never raises: None if the others cannot
        be asked, as nobody must lose a seat because of that."""


class LocalPresence:
    """One process: who is here is all there are."""

    shared = False

    async def reachable(self) -> bool:
        """See `Presence`: there are none."""
        return True

    async def count(self, slug: str, here: Mapping[str, str], now: int) -> Counts:
        """See `Presence`."""
        return counted(here)

    async def in_rooms(self, slug: str, here: Set[str], now: int) -> Set[str] | None:
        """See `Presence`."""
        return here


class RedisPresence:
    """Several processes: one sorted set per event and place with each person's time of expiry. A person who is connected to two
    processes is one, and whoever a killed process has left behind expires."""

    shared = True

    def __init__(self, client: Client, installation: str) -> None:
        self._client, self._prefix = client, f"plenum:{installation}:present"
        self._told: dict[str, dict[str, str]] = {}
        self._refreshed: dict[str, int] = {}

    async def reachable(self) -> bool:
        """See `Presence`."""
        try:
            async with asyncio.timeout(SECONDS):
                await self._client.ping()
        except ERRORS:
            return False
        return True

    async def count(self, slug: str, here: Mapping[str, str], now: int) -> Counts:
        """See `Presence`."""
        told = self._told.get(slug, {})
        moved = {person for person, place in here.items() if told.get(person, place) != place}
        if now - self._refreshed.get(slug, 0) >= REFRESHED_MS:
            told, self._refreshed[slug] = {}, now
        news = {person: place for person, place in here.items() if told.get(person) != place}
        try:
            async with asyncio.timeout(SECONDS):
                counts = await self._exchange(slug, news, moved, now)
        except ERRORS as error:
            LOGGER.warning("presence: %s; counting this process only", type(error).__name__)
            self._refreshed.pop(slug, None)
            return counted(here)
        self._told[slug] = dict(here)
        return counts

    async def in_rooms(self, slug: str, here: Set[str], now: int) -> Set[str] | None:
        """See `Presence`."""
        key = f"{self._prefix}:{{{slug}}}:rooms"
        pipeline = self._client.pipeline(transaction=False)
        if here:
            pipeline.zadd(key, dict.fromkeys(here, now + KEPT_MS))
        pipeline.zremrangebyscore(key, "-inf", now)
        pipeline.pexpire(key, KEPT_MS)
        pipeline.zrange(key, 0, -1)
        try:
            async with asyncio.timeout(SECONDS):
                *_, people = await pipeline.execute()
        except ERRORS as error:
            LOGGER.warning("presence in rooms: %s", type(error).__name__)
            return None
        return {person.decode() if isinstance(person, bytes) else str(person) for person in people}

    async def _exchange(self, slug: str, news: Mapping[str, str], moved: Set[str], now: int) -> Counts:
        keys = {place: f"{self._prefix}:{{{slug}}}:{place}" for place in PLACES}
        pipeline = self._client.pipeline(transaction=False)
        for place, key in keys.items():
            coming = [person for person, at in news.items() if at == place]
            if coming:
                pipeline.zadd(key, dict.fromkeys(coming, now + KEPT_MS))
            gone = [person for person in moved if news[person] != place]
            if gone:
                pipeline.zrem(key, *gone)
            pipeline.zremrangebyscore(key, "-inf", now)
            pipeline.pexpire(key, KEPT_MS)
        for key in keys.values():
            pipeline.zcard(key)
        answers = await pipeline.execute()
        return {place: int(count) for place, count in zip(PLACES, answers[-len(PLACES) :], strict=True)}


def counted(here: Mapping[str, str]) -> Counts:
    """How many are at each place."""
    hall = sum(1 for place in here.values() if place == "hall")
    return {"hall": hall, "home": len(here) - hall}
