"""An installation of several web processes on PostgreSQL and Redis, each behind a cable of its own, and citizens who write without
end: what a test of trouble needs."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec
import psycopg
from websockets.exceptions import InvalidHandshake

from live.client import Client
from rooms.command import Refused
from tests.conftest import OPEN_HANDED
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person
from tests.flow.line import Line
from tests.flow.server import Server
from tests.live.engines import Postgres, RedisServer


class Installation:
    """`async with Installation(folder, processes=2)`: `servers` answer on ports of their own, as on machines of their own;
    `to_redis` are their cables to Redis."""

    def __init__(self, folder: Path, processes: int = 2, **settings: object) -> None:
        self.folder, self.processes, self.settings = folder, processes, settings
        self.postgres, self.redis = Postgres(folder / "postgres"), RedisServer()
        self.servers: list[Server] = []
        self.to_redis: list[Line] = []
        self._open = contextlib.AsyncExitStack()

    async def __aenter__(self) -> Self:
        self._open.callback(self.postgres.stop)
        self._open.callback(self.redis.stop)
        await asyncio.gather(asyncio.to_thread(self.postgres.start), asyncio.to_thread(self.redis.start))
        for number in range(self.processes):
            cable = await self._open.enter_async_context(Line(self.redis.url.replace("redis://", "http://")))
            self.to_redis.append(cable)
            settings = {**OPEN_HANDED, "database_url": self.postgres.url, "redis_url": cable.url.replace("http://", "redis://")}
            server = Server(self.folder / f"web-{number}", {**settings, **self.settings})
            self._open.callback(server.kill)
            self.servers.append(server)
        # One after the other: the first makes the tables.
        for server in self.servers:
            await asyncio.to_thread(server.start)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @contextlib.asynccontextmanager
    async def evening(self, **facts: object) -> AsyncIterator[list[Evening]]:
        """A new event, live, as each process shows it."""
        slug = await self.servers[0].event("live", **{"premoderation": False, **facts})
        async with contextlib.AsyncExitStack() as stack:
            yield [await stack.enter_async_context(Evening(server, slug)) for server in self.servers]

    def logged(self, slug: str) -> list[tuple[int, str, str, dict[str, Any]]]:
        """seq, actor, command id and result of every row."""
        query = "SELECT seq, actor, command, result FROM log JOIN events ON id = event WHERE slug = %s ORDER BY seq"
        with psycopg.connect(self.postgres.url) as connection:
            rows = connection.execute(query, [slug]).fetchall()
        return [(seq, actor, command, msgspec.json.decode(result)) for seq, actor, command, result in rows]


class Citizen:
    """Writes one thing after the other until told to stop, with an outbox as a page has it: what was not answered is sent again,
    with the same id, to the next of the servers that answers."""

    def __init__(self, evenings: Sequence[Evening], number: int) -> None:
        self.evenings = itertools.cycle([*evenings[number % len(evenings) :], *evenings[: number % len(evenings)]])
        self.number = number
        self.person = self._at_next(None)
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.came_back = 0
        self.stopped = False

    async def write(self, most: int = 1_000_000) -> None:
        """One thing after the other."""
        if not self._is_here:
            await self._arrive()
        for turn in range(most):
            if self.stopped:
                return
            await self._say(id := str(uuid.uuid4()), f"Bürgerin {self.number}, Gedanke {turn} ({id})")

    async def _say(self, id: str, text: str) -> None:
        while id not in self.acknowledged:
            try:
                self.acknowledged[id] = await self.person.do("contribution.submit", id=id, kind="idea", text=text)
            except Refused as refused:
                assert refused.retry_after is not None, refused
                await asyncio.sleep(0.1)  # sooner than it says: a page would wait
            except (ConnectionError, TimeoutError):
                self.came_back += 1
                await self._arrive(again=True)

    async def _arrive(self, *, again: bool = False) -> None:
        while True:
            try:
                if again:
                    await self.leave()
                    self.person = self._at_next(self.person.cookie)
                await self.person.__aenter__()
                await self.person.watch("public")
                return
            except (OSError, InvalidHandshake, EOFError):
                again = True
                await asyncio.sleep(0.05)

    async def come_back(self) -> None:
        """As a page does it by itself when its line was cut, though nothing waits in its outbox."""
        if self.person.closed is not None:
            await self._arrive(again=True)

    async def leave(self) -> None:
        """Close the page."""
        if self._is_here:
            await self.person.__aexit__()

    @property
    def _is_here(self) -> bool:
        return hasattr(self.person, "_reader")

    def _at_next(self, cookie: str | None) -> Person:
        evening = next(self.evenings)
        return Person(evening.server.url, evening.slug, cookie)


async def agree(installation: Installation, evenings: Sequence[Evening], citizens: Sequence[Citizen]) -> None:
    """Every acknowledged command is in the log exactly once with the answer that was given, the log has no gap, no thought is
    doubled, and everybody at every process is shown the same."""
    rows = installation.logged(evenings[0].slug)
    assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "the log has a gap"
    results = {(actor, command): result for _, actor, command, result in rows}
    for citizen in citizens:
        for id, answer in citizen.acknowledged.items():
            assert results.get((citizen.person.person, id)) == answer
    for citizen in citizens:
        await citizen.come_back()
    screens = [await evening.person(None, "public") for evening in evenings]
    count = sum("receipt" in result for *_, result in rows)
    for screen in screens:
        await screen.until(lambda client: len(spoken(client)) == count, ANSWERED_WITHIN)
    first = spoken(screens[0])
    texts = Counter(data["text"] for data in first.values())
    assert set(texts.values()) <= {1}, "a thought is doubled"
    for other in [*screens[1:], *(citizen.person for citizen in citizens)]:
        try:
            await other.until(lambda client: spoken(client) == first, ANSWERED_WITHIN)
        except TimeoutError:
            shown = spoken(other)
            wrong = sorted(key for key in shown.keys() | first.keys() if shown.get(key) != first.get(key))
            raise AssertionError(f"at {other.address}: {len(wrong)} differ, such as {wrong[:3]}") from None


def spoken(client: Client) -> dict[str, Any]:
    """The contributions on a screen."""
    return {key: data for key, data in client.documents["public"].items() if key.startswith("contribution/")}


@contextlib.asynccontextmanager
async def writing(evenings: Sequence[Evening], people: int) -> AsyncIterator[list[Citizen]]:
    """So many citizens, spread over the processes, write while the body runs; afterwards each finishes the sentence."""
    citizens = [Citizen(evenings, number) for number in range(people)]
    async with asyncio.TaskGroup() as tasks:
        for citizen in citizens:
            tasks.create_task(citizen.write())
        await progress(citizens, 1)
        yield citizens
        for citizen in citizens:
            citizen.stopped = True


async def progress(citizens: Sequence[Citizen], each: int, seconds: float = 2 * ANSWERED_WITHIN) -> None:
    """Until each of them has had so many more answers."""
    wanted = {citizen: len(citizen.acknowledged) + each for citizen in citizens}
    async with asyncio.timeout(seconds):
        while any(len(citizen.acknowledged) < count for citizen, count in wanted.items()):  # noqa: ASYNC110  (nothing announces it)
            await asyncio.sleep(0.02)
