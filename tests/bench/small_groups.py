"""Measures twenty small groups of 75 people at once: how long an assignment with every condition takes, how long people wait who
all enter at the same moment, and after how long a card, and what somebody types into the notes, is with everybody in the room.

One server with the process that works on its notes on one core, its clients on another. A delivery is one card at one member of its
room, in HTML as on the page, or one update of the notes at one of the others; its time runs from sending it to the last byte there.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import random
import re
import statistics
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from live.client import Client, percentile
from live.identity import COOKIE
from live.settings import Settings
from rooms.programme import Programme, Topic
from tests.bench.cases import family
from tests.bench.evening import PROGRAMME, SLUG, Row, on_clients_core, prepare, serving, shown, target
from tests.bench.notes import Notes, Screen
from tests.bench.notes import connected as at_notes
from tests.bench.registrations import cpu
from tests.flow.server import Server

ROOMS, SEATS = 20, 75
CONDITIONS = {"topics": True, "places": "mixed", "together": True, "apart": True, "moderators": True, "languages": True}
WITHIN = 120.0
"""Seconds after which a server that has not answered everybody counts as broken."""
_COOKIE = re.compile(rf"{COOKIE}=([^;\s]+)".encode())
_CARD = re.compile(rb'"result":\{"card":(\d+)\}')


class Member(Screen):
    """One person in a room."""

    def __init__(self) -> None:
        super().__init__(f"/ws/{SLUG}")
        self.answer: asyncio.Future[bytes] = self.welcome.get_loop().create_future()
        self.docs: asyncio.Future[bytes] = self.welcome.get_loop().create_future()
        self.room = ""
        self.cards: list[int] = []

    def data_received(self, data: bytes) -> None:
        if not self.cookie and (given := _COOKIE.search(data)):
            self.cookie = given[1].decode()
        if (b'{"t":"done"' in data or b'{"t":"refused"' in data) and not self.answer.done():
            self.answer.set_result(data)
        self.cards += map(int, _CARD.findall(data))
        if b'{"t":"docs"' in data and not self.docs.done():
            self.docs.set_result(data)
        super().data_received(data)

    def send(self, frame: dict[str, object]) -> None:
        self.write(json.dumps(frame).encode())

    def do(self, id: str, name: str, **arguments: object) -> None:
        self.send({"t": "do", "id": id, "name": name, "args": arguments})

    async def watch(self, channel: str, form: str) -> bytes:
        """Open this channel alone; the beginning of its documents."""
        self.docs = asyncio.get_running_loop().create_future()
        self.send({"t": "open", "channels": {channel: {}}, "as": form})
        return await self.docs

    async def where(self) -> None:
        """Learn in which room one is."""
        found = re.search(rb'"room":"([0-9-]+)"', await self.watch("me", "json"))
        assert found is not None, "was not told of a room"
        self.room = found[1].decode()

    async def done(self, id: str, name: str, **arguments: object) -> float:
        """The command, and how long its answer took, in s. Raises SystemExit if it was refused."""
        self.answer, began = asyncio.get_running_loop().create_future(), time.perf_counter()
        self.do(id, name, **arguments)
        answer = await self.answer
        if b'"refused"' in answer:
            raise SystemExit(f"{name}: {answer.decode()}")
        return time.perf_counter() - began


class Pace(NamedTuple):
    """For so many `seconds`: cards and supports a second in all rooms together; how many `writers` of each room type into its
    notes, with so many `updates` a second of each."""

    seconds: float = 10.0
    cards: float = 40.0
    supports: float = 80.0
    writers: int = 3
    updates: float = 4.0


USUAL = Pace()


def groups(rooms: int = ROOMS, seats: int = SEATS, pace: Pace = USUAL) -> Row:
    """So many rooms, full."""
    with tempfile.TemporaryDirectory() as folder:
        topics = [Topic(f"t{number}", {"de": f"Thema {number}"}) for number in range(10)]
        asyncio.run(prepare(Settings(data=folder), 1, programme(topics)))
        with serving(Path(folder)) as server:
            path = asyncio.run(server.link(SLUG, "moderator"))

            async def play() -> Row:
                async with Client(server.url, SLUG) as moderator:
                    await moderator.do("link.redeem", token=path.rpartition("/")[2])
                    await moderator.open("rooms")
                    crowd = await connected(server, rooms * seats)
                    row = await seated(server, moderator, crowd, rooms, seats)
                    row |= await worked(server, crowd, pace)
                return row

            row: Row = on_clients_core(play)
            return {"people": rooms * seats, **row}


def programme(topics: list[Topic]) -> Programme:
    """The event has topics to wish for."""
    return msgspec.structs.replace(PROGRAMME, topics=topics)


async def connected(server: Server, people: int, at_once: int = 200) -> list[Member]:
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(at_once)

    async def one() -> Member:
        async with gate:
            _, member = await loop.create_connection(Member, "127.0.0.1", server.port)
            await member.welcome
            return member

    return list(await asyncio.gather(*(one() for _ in range(people))))


async def seated(server: Server, moderator: Client, crowd: list[Member], rooms: int, seats: int) -> Row:
    """Everybody takes part with wishes, is assigned, and enters: all at the same moment."""
    plans = [
        {"name": f"Gruppe {n}", "topic": f"t{n % 10}", "capacity": seats, "languages": ["de"] if n % 4 else ["de", "en", "tr"]}
        for n in range(rooms)
    ]
    await moderator.do("round.create", title="Runde", rooms=plans, policy="mixed", come_and_go=True)
    chance = random.Random(1)
    joins = []
    for number, member in enumerate(crowd):
        wishes = {
            "topics": chance.sample([f"t{n}" for n in range(10)], chance.randint(0, 3)),
            "languages": chance.choice((["de"], ["de"], ["de", "en"], ["tr"])),
            "together": f"g{number // 3}" if chance.random() < 0.3 else "",
            "apart": f"a{chance.randint(0, 50)}" if chance.random() < 0.1 else "",
        }
        joins.append(member.done(f"join-{number}", "round.join", **wishes))
    await asyncio.gather(*joins)
    before, began = cpu(server), time.perf_counter()
    made = await moderator.do("round.assign", round=1, conditions=CONDITIONS, seed=1)
    assigned, assigned_cpu = time.perf_counter() - began, cpu(server) - before
    if sum(made["sizes"].values()) != len(crowd) or max(made["sizes"].values()) > seats:
        raise SystemExit("somebody was not assigned, or a room has too many")
    await moderator.do("round.open", round=1, minutes=60)
    await asyncio.gather(*(member.where() for member in crowd))
    before, began = cpu(server), time.perf_counter()
    waits = await asyncio.gather(*(member.done(f"enter-{n}", "room.enter", room=member.room) for n, member in enumerate(crowd)))
    return {
        "assign_s": assigned,
        "assign_cpu_s": assigned_cpu,
        "unmet": len(made["unmet"]),
        "enter_p99_ms": percentile(list(waits), 0.99) * 1000,
        "enter_all_s": time.perf_counter() - began,
        "enter_cpu_ms": (cpu(server) - before) / len(crowd) * 1000,
    }


async def worked(server: Server, crowd: list[Member], pace: Pace) -> Row:
    """Cards, supports and notes at the same time, on the pages of everybody in the room."""
    await asyncio.gather(*(member.watch(f"room/{member.room}", "html") for member in crowd))
    rooms = sorted({member.room for member in crowd})
    of = {room: [member for member in crowd if member.room == room] for room in rooms}
    screens = {room: await at_notes(server.port, SLUG, room, [member.cookie for member in of[room]]) for room in rooms}
    notes = Notes(screens, pace.writers)
    await notes.fill()
    before, apart, began = cpu(server), others_cpu(server), time.perf_counter()
    async with asyncio.timeout(pace.seconds + WITHIN), asyncio.TaskGroup() as tasks:
        tasks.create_task(notes.type(pace.seconds, pace.updates))
        sent, supports = await pin_up(of, pace)
    async with asyncio.timeout(WITHIN):
        while any(mark not in member.seen for mark, (room, _) in sent.items() for member in of[room]):  # noqa: ASYNC110  (as they come)
            await asyncio.sleep(0.05)
        while (typed := notes.waits()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
    spent, apart, wall = cpu(server) - before, others_cpu(server) - apart, time.perf_counter() - began
    everybody = [*crowd, *itertools.chain(*screens.values())]
    if any(one.refused or one.lost for one in everybody):
        raise SystemExit(f"{sum(one.refused for one in everybody)} were refused, {sum(one.lost for one in everybody)} sent away")
    waits = [member.seen[mark] - at for mark, (room, at) in sent.items() for member in of[room]]
    return {
        **{"cards": len(sent), "supports": supports, **times("card", waits)},
        **{"updates": len(notes.sent), **times("note", typed)},
        "server_busy": spent / wall,
        "keeper_busy": apart / wall,
    }


async def pin_up(of: dict[str, list[Member]], pace: Pace) -> tuple[dict[int, tuple[str, float]], int]:
    """Somebody writes a card, somebody supports one of those that there are; mark → room, and when it was sent;
    and how many supports there were."""
    chance, rooms, began, given = random.Random(2), [*of], time.perf_counter(), 0
    sent: dict[int, tuple[str, float]] = {}
    for mark in range(int(pace.seconds * pace.cards)):
        wait = began + mark / pace.cards - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        room = chance.choice(rooms)
        sent[mark] = room, time.perf_counter()
        text = f"q{mark:06d}q Mehr Bänke am Ring und Schatten am Markt"
        chance.choice(of[room]).do(f"card-{mark}", "card.submit", room=room, text=text)
        authors = [member for members in of.values() for member in members if member.cards]
        while authors and given < (mark + 1) * pace.supports / pace.cards:
            given += 1
            author = chance.choice(authors)
            chance.choice(of[author.room]).do(f"support-{given}", "card.support", card=chance.choice(author.cards))
    return sent, given


def times(name: str, waits: list[float]) -> Row:
    """In ms."""
    shares = {"p50": 0.5, "p99": 0.99}
    return {f"{name}_{share}_ms": percentile(waits, shares[share]) * 1000 for share in shares} | {
        f"{name}_worst_ms": max(waits, default=0.0) * 1000
    }


def others_cpu(server: Server) -> float:
    """The same of the processes that the server has started: the notes'."""
    assert server.process is not None
    return sum(time.clock_gettime(~pid << 3 | 2) for pid in family(server.process.pid)[1:])


def measure(repeats: int = 3) -> tuple[list[Row], list[Row]]:
    """All of it; returns what was measured and what came of the targets."""
    rows: list[Row] = []
    for _ in range(repeats):
        rows.append({"case": "small groups", **groups()})
        print(shown(rows[-1]), flush=True)
    return rows, judge(rows)


def judge(rows: list[Row]) -> list[Row]:
    """The targets of the issue of small groups."""

    def median(name: str) -> float:
        return float(statistics.median(row[name] for row in rows))

    return [
        target("assignment of 1,500 people with every condition, s", median("assign_s"), 1, at_least=False),
        target("p99 of a card with everybody in its room, ms", median("card_p99_ms"), 250, at_least=False),
        target("p99 of what is typed into notes, with all others, ms", median("note_p99_ms"), 250, at_least=False),
    ]
