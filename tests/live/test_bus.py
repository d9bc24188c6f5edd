"""The bus's contract, on every implementation; and that lost, doubled and reordered messages cost the desks no fact."""

from __future__ import annotations

import asyncio
import random
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path

import msgspec
import pytest

from live.admin import configure
from live.bus import Bus, InProcessBus, Receive, RedisBus
from live.desk import Desk
from live.desks import Desks
from live.log import Log, Row
from live.settings import Settings
from rooms.programme import Programme
from tests.live.engines import RedisServer

SECONDS = 20
ROWS: list[Row] = [(seq, 1000, "anna", f"c{seq}", b"[]", b"{}") for seq in range(1, 4)]
PROGRAMME = Programme("abend", {"de": "Abend"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00", premoderation=False)


class Ear:
    """Hears what the bus brings."""

    def __init__(self) -> None:
        self.heard: list[Row] = []
        self.alarms = 0
        self.changed = asyncio.Condition()

    def __call__(self, rows: Sequence[Row]) -> None:
        self.heard += [tuple(row) for row in rows]  # type: ignore[misc]
        self.alarms += not rows
        asyncio.get_running_loop().create_task(self._tell())

    async def _tell(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    async def until(self, condition: Callable[[], object]) -> None:
        async with asyncio.timeout(SECONDS), self.changed:
            await self.changed.wait_for(condition)


@pytest.fixture(params=["in-process", "redis"])
async def ends(request: pytest.FixtureRequest) -> AsyncIterator[tuple[Bus, Bus]]:
    """The bus as two processes have it; in one process it is the same."""
    if request.param == "in-process":
        bus = InProcessBus()
        yield bus, bus
        return
    redis: RedisServer = request.getfixturevalue("redis")
    async with asyncio.TaskGroup() as tasks:
        buses = RedisBus(redis.url, "test"), RedisBus(redis.url, "test")
        running = [tasks.create_task(bus.run()) for bus in buses]
        yield buses
        for task in running:
            task.cancel()


async def connected(here: Bus, there: Bus) -> tuple[Ear, Ear]:
    """An ear at each end that has heard the other once."""
    mine, yours = Ear(), Ear()
    here.subscribe("warm-up", mine)
    there.subscribe("warm-up", yours)
    if here is not there:
        await mine.until(lambda: mine.alarms)
        await yours.until(lambda: yours.alarms)
    return mine, yours


async def test_everybody_but_the_sender_is_told_in_order(ends: tuple[Bus, Bus]) -> None:
    here, there = ends
    await connected(here, there)
    sender, listener, elsewhere = Ear(), Ear(), Ear()
    here.subscribe("abend", sender)
    there.subscribe("abend", listener)
    there.subscribe("another", elsewhere)
    here.publish("abend", ROWS[:2], sender)
    here.publish("abend", ROWS[2:], sender)
    await listener.until(lambda: len(listener.heard) == 3)

    assert listener.heard == ROWS
    assert (sender.heard, elsewhere.heard) == ([], [])


async def test_who_has_left_is_told_nothing(ends: tuple[Bus, Bus]) -> None:
    here, there = ends
    await connected(here, there)
    gone, listener = Ear(), Ear()
    leave = there.subscribe("abend", gone)
    there.subscribe("abend", listener)
    leave()
    here.publish("abend", ROWS, Ear())
    await listener.until(lambda: listener.heard)

    assert gone.heard == []


async def test_a_redis_that_dies_and_comes_back_empty_rings_everybody_to_look(redis: RedisServer) -> None:
    async with asyncio.TaskGroup() as tasks:
        here, there = RedisBus(redis.url, "test"), RedisBus(redis.url, "test")
        running = [tasks.create_task(bus.run()) for bus in (here, there)]
        mine, yours = await connected(here, there)
        redis.stop()
        here.publish("warm-up", ROWS[:1], mine)  # is lost, or waits
        redis.start()
        await yours.until(lambda: yours.alarms > 1)
        await mine.until(lambda: mine.alarms > 1)
        here.publish("warm-up", ROWS[1:2], mine)
        await yours.until(lambda: ROWS[1] in yours.heard)
        for task in running:
            task.cancel()


async def test_two_installations_on_one_redis_do_not_hear_each_other(redis: RedisServer) -> None:
    async with asyncio.TaskGroup() as tasks:
        here, there, stranger = (RedisBus(redis.url, name) for name in ("a", "a", "b"))
        running = [tasks.create_task(bus.run()) for bus in (here, there, stranger)]
        theirs = Ear()
        stranger.subscribe("warm-up", theirs)
        mine, yours = await connected(here, there)
        await theirs.until(lambda: theirs.alarms)
        here.publish("warm-up", ROWS, mine)
        await yours.until(lambda: yours.heard)
        assert theirs.heard == []
        for task in running:
            task.cancel()


class BadLine(InProcessBus):
    """A bus that loses, doubles, holds back and shuffles."""

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.chance = random.Random(seed)
        self.held: list[tuple[str, list[Row], Receive]] = []

    def publish(self, slug: str, rows: Sequence[Row], sender: Receive) -> None:
        """Each message three times, never, later, or backwards."""
        self.held.append((slug, list(rows), sender))
        self.chance.shuffle(self.held)
        for _ in range(self.chance.randrange(4)):
            if self.held:
                slug, held, sender = self.chance.choice(self.held)
                super().publish(slug, held[:: self.chance.choice([1, -1])], sender)
        if len(self.held) > 5:
            self.held.pop()


@pytest.mark.parametrize("seed", range(5))
async def test_whatever_the_bus_does_both_desks_end_in_the_same_state(tmp_path: Path, seed: int) -> None:
    bus = BadLine(seed)
    logs = [Log(f"sqlite:///{tmp_path / 'plenum.sqlite3'}") for _ in range(2)]
    logs[0].create_tables()
    settings = Settings(tail_seconds=0.05)
    async with Desks(logs[0], settings, bus) as mine, Desks(logs[1], settings, bus) as yours:
        await configure(mine, PROGRAMME, "live")
        desks = [await mine.get("abend"), await yours.get("abend")]
        both = [desk for desk in desks if desk is not None]
        assert len(both) == 2
        for n in range(40):
            await submit(both[n % 3 == 0], f"Idee {n}", f"Name {n}")
        for desk in both:
            await shown_until(desk, 42)
        assert msgspec.msgpack.encode(both[0].event) == msgspec.msgpack.encode(both[1].event)
        assert both[0].names == both[1].names
    for log in logs:
        log.close()


async def submit(desk: Desk, text: str, name: str) -> None:
    arguments = {"kind": "idea", "text": text, "name": name}
    await desk.send(f"person-{name}", str(uuid.uuid4()), "contribution.submit", msgspec.json.encode(arguments))


async def shown_until(desk: Desk, seq: int) -> None:
    """The desk has caught up."""
    ear = Ear()
    desk.on_touched = lambda keys: ear([])
    await ear.until(lambda: desk.event.seq >= seq)


class Credulous(Desk):
    """For the control: applies whatever it hears, in the order in which it comes."""

    def _apply_heard(self) -> bool:
        heard, self._heard = self._heard, []
        for message in heard:
            self._apply(message)
        return True


@pytest.mark.parametrize("kind", [Desk, Credulous], ids=["", "control: believes every message"])
async def test_a_desk_believes_no_message_that_does_not_follow_on(
    tmp_path: Path, kind: type[Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("live.desks.Desk", kind)
    logs = [Log(f"sqlite:///{tmp_path / 'plenum.sqlite3'}") for _ in range(2)]
    logs[0].create_tables()
    here, there, settings = InProcessBus(), InProcessBus(), Settings(tail_seconds=1_000)
    async with Desks(logs[0], settings, here) as mine, Desks(logs[1], settings, there) as yours:
        await configure(mine, PROGRAMME, "live")
        desks = await mine.get("abend"), await yours.get("abend")
        assert desks[0] is not None
        assert desks[1] is not None
        for n in range(3):
            await submit(desks[0], f"Idee {n}", f"Name {n}")
        rows = logs[0].rows(desks[0].id, 2)
        for message in (rows[2:], rows[:2], rows[1:], rows[:1]):
            there.publish("abend", message, lambda rows: None)
        await desks[1].look()
        shown = [item.text for item in desks[1].event.contributions.items.values()]
        assert (shown == ["Idee 0", "Idee 1", "Idee 2"]) == (kind is Desk)
    for log in logs:
        log.close()
