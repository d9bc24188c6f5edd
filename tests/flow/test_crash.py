"""`kill -9` of the server while people write: what was acknowledged is there, once, and every screen comes back."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import random
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake

from live.identity import COOKIE
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person
from tests.flow.installation import spoken
from tests.flow.server import Server

WRITERS, EACH, AT_ONCE, KILLS = 50, 12, 3, 5


class Town:
    """What the writers have done, and whether the server is up."""

    def __init__(self) -> None:
        self.up = asyncio.Event()
        self.up.set()
        self.given = 0
        self.changed = asyncio.Condition()

    async def note(self) -> None:
        """One more command was sent."""
        self.given += 1
        async with self.changed:
            self.changed.notify_all()


class Writer:
    """A person with an outbox, as a page has one: what is not answered is sent again, with the same id, when the line is back."""

    def __init__(self, evening: Evening, town: Town, number: int) -> None:
        self.town = town
        self.person = Person(evening.server.url, evening.slug)
        self.outbox: dict[str, tuple[str, dict[str, Any]]] = {}
        for turn in range(EACH):
            text = {"kind": "idea", "text": f"Beitrag {number}-{turn}"}
            support = {"contribution": 1 + (number + turn) % 3}
            self.outbox[str(uuid.uuid4())] = ("support.give", support) if turn % 3 == 2 else ("contribution.submit", text)
        self.acknowledged: dict[str, dict[str, Any]] = {}
        self.again = 0

    async def write(self) -> None:
        """Until everything is acknowledged, however often the line breaks."""
        while True:
            await self.town.up.wait()
            try:
                await self.person.__aenter__()
                await self.person.watch("public", "me", since=True)
                await self._send_what_waits()
                return
            except (OSError, InvalidHandshake, EOFError):
                self.again += 1
                await self._left()
                await asyncio.sleep(0)

    async def _send_what_waits(self) -> None:
        waiting = list(self.outbox.items())
        for start in range(0, len(waiting), AT_ONCE):
            async with asyncio.TaskGroup() as sent:
                for id, (name, arguments) in waiting[start : start + AT_ONCE]:
                    sent.create_task(self._send(id, name, arguments))
            if waiting[start][0] in self.outbox:
                raise ConnectionError("not answered")

    async def _send(self, id: str, name: str, arguments: dict[str, Any]) -> None:
        await self.town.note()
        try:
            self.acknowledged[id] = await self.person.do(name, id=id, **arguments)
        except ConnectionError:
            return
        del self.outbox[id]

    async def _left(self) -> None:
        if hasattr(self.person, "_reader"):
            await self.person.__aexit__()


async def crash(server: Server, town: Town, moments: list[int]) -> None:
    """Kill the server each time that so many commands have been given, and start it again."""
    for moment in moments:
        async with town.changed:
            await town.changed.wait_for(lambda moment=moment: town.given >= moment)  # type: ignore[misc]
        town.up.clear()
        server.kill()
        await asyncio.to_thread(server.start)
        town.up.set()


@pytest.mark.slow
@pytest.mark.parametrize("seed", [1, 2])
async def test_nothing_acknowledged_is_lost_or_doubled_and_every_screen_comes_back(serve: Callable[..., Server], seed: int) -> None:
    server = serve(snapshot_rows=97)
    chance, town = random.Random(seed), Town()
    async with Evening(server, await server.event(premoderation=False)) as evening:
        for number in range(3):
            await evening.said(f"Schon da {number}")
        writers = [Writer(evening, town, number) for number in range(WRITERS)]
        moments = sorted(chance.sample(range(WRITERS, WRITERS * EACH), KILLS))
        async with asyncio.timeout(120), asyncio.TaskGroup() as tasks:
            tasks.create_task(crash(server, town, moments))
            for writer in writers:
                tasks.create_task(writer.write())

        rows = logged(server, evening.slug)
        assert [row[0] for row in rows] == list(range(1, len(rows) + 1)), "the log has a gap"
        texts = Counter(change["text"] for row in rows for change in row[3] if change["c"] == "submitted")
        assert texts == Counter([f"Schon da {n}" for n in range(3)] + expected_texts())
        stored = {(actor, id): result for _, actor, id, _, result in rows}
        submitted = [(writer, id) for writer in writers for id, answer in writer.acknowledged.items() if "receipt" in answer]
        assert [stored[writer.person.person, id] for writer, id in submitted] == [w.acknowledged[id] for w, id in submitted]
        assert len(submitted) == len(expected_texts())

        fresh = await evening.person(None, "public")
        supporters = Counter(1 + (number + turn) % 3 for number in range(WRITERS) for turn in (2, 5, 8, 11))
        once = {n: len({w for w in range(WRITERS) if any(1 + (w + turn) % 3 == n for turn in (2, 5, 8, 11))}) for n in supporters}
        assert {n: fresh.documents["public"][f"contribution/{n}"]["support"] for n in once} == once
        for writer in writers:
            if writer.person.closed is not None:  # had said everything before the last crash; a page comes back all the same
                await writer.write()
            # Not the numbers of those present: they reach the two one after the other, and the first would wait for ever.
            await writer.person.until(lambda client: spoken(client) == spoken(fresh), ANSWERED_WITHIN)
            own = await evening.person(writer.person.cookie, "me")
            await writer.person.sees(lambda shown, own=own: shown["me"] == own.documents["me"])  # type: ignore[misc]
            await writer.person.__aexit__()
        assert sum(writer.again for writer in writers) > WRITERS, "nobody was interrupted: the test has shown nothing"


@pytest.mark.parametrize(("again_with", "expected"), [("the same id", 1), ("a new id", 2)])
async def test_a_command_whose_answer_was_lost_is_sent_again_without_harm_because_its_id_is_the_same(
    serve: Callable[..., Server], again_with: str, expected: int
) -> None:
    """The second case is the control: without the id, the contribution is doubled."""
    server, first = serve(), str(uuid.uuid4())
    second = first if again_with == "the same id" else str(uuid.uuid4())
    async with Evening(server, await server.event(premoderation=False)) as evening:
        viewer = await evening.person(None, "public")
        cookie = (await evening.person()).cookie
        address, headers = viewer.address, {"Cookie": f"{COOKIE}={cookie}"}
        frame = {"t": "do", "id": first, "name": "contribution.submit", "args": {"kind": "idea", "text": "Nur einmal"}}
        async with connect(address, additional_headers=headers) as line:
            await line.send(msgspec.json.encode(frame).decode())
            await viewer.sees(lambda shown: "contribution/1" in shown["public"])  # committed, and the answer is never read
            server.kill()
        await asyncio.to_thread(server.start)

        author = await evening.person(cookie)
        answer = await author.do("contribution.submit", id=second, kind="idea", text="Nur einmal")

        assert answer["contribution"] == expected
        fresh = await evening.person(None, "public")
        assert len([key for key in fresh.documents["public"] if key.startswith("contribution/")]) == expected


async def test_an_answer_is_the_first_one_even_much_later_and_from_another_connection(evening: Evening) -> None:
    author, id = await evening.person(), str(uuid.uuid4())
    first = await author.do("contribution.submit", id=id, kind="idea", text="Eine Idee")
    again = await evening.person(author.cookie)

    assert await again.do("contribution.submit", id=id, kind="wish", text="Etwas ganz anderes") == first
    somebody = await evening.person()
    assert (await somebody.do("contribution.submit", id=id, kind="idea", text="Mein Id gleicht"))["contribution"] == 2


async def test_a_server_that_is_killed_while_it_starts_starts_the_next_time(serve: Callable[..., Server]) -> None:
    server = serve()
    slug = await server.event()
    async with Evening(server, slug) as evening:
        await evening.said()
    server.kill()
    server.launch()
    server.kill()
    server.launch()
    while str(server.database) not in opened(server):  # noqa: ASYNC110  (nothing announces it)
        await asyncio.sleep(0.001)
    server.kill()
    server.start()

    async with Evening(server, slug) as evening:
        assert await evening.said() == 2


def opened(server: Server) -> set[str]:
    """The files that the process has open (proc_pid_fd(5))."""
    assert server.process is not None
    assert server.process.poll() is None, server.said()
    found, place = set(), f"/proc/{server.process.pid}/fd"
    for one in os.listdir(place):
        with contextlib.suppress(FileNotFoundError):  # closed meanwhile
            found.add(os.readlink(f"{place}/{one}"))
    return found


def expected_texts() -> list[str]:
    """What all writers together have to say."""
    return [f"Beitrag {number}-{turn}" for number, turn in itertools.product(range(WRITERS), range(EACH)) if turn % 3 != 2]


def logged(server: Server, slug: str) -> list[tuple[int, str, str, list[dict[str, Any]], dict[str, Any]]]:
    """seq, actor, command id, changes and result of every row."""
    query = "SELECT seq, actor, command, changes, result FROM log JOIN events ON id = event WHERE slug = ? ORDER BY seq"
    with sqlite3.connect(server.database) as database:
        rows = database.execute(query, [slug]).fetchall()
    decode = msgspec.json.decode
    return [(seq, actor, command, decode(changes), decode(result)) for seq, actor, command, changes, result in rows]
