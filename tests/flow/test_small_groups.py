"""Trouble in small groups: a room that ends in the middle of a sentence, a client that sends without end, somebody who is moved
while they are away. The notes' own troubles: test_notes.py; the last seat and a killed recall: test_rooms.py."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
from collections import Counter
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple

import pytest

from moderation import roles
from rooms.cards import MOST_OF_ONE
from rooms.command import Refused
from rooms.results import MOST_CARDS
from tests.flow.evening import Evening, Person, refusal
from tests.flow.server import Server
from tests.flow.small_groups import away, inside, prepared
from tests.flow.test_evening import ALL, MAY_WATCH, everything_stored
from tests.flow.test_notes import acknowledged, at, right, rights
from tests.live.notes_server import Editor

PEOPLE, EDITING, NEXT_DOOR = 40, 8, 5


class Writer:
    """Somebody who goes on writing cards and in the chat until they are refused. `said`: what was acknowledged, by kind."""

    def __init__(self, person: Person, name: str, room: str) -> None:
        self.person, self.name, self.room = person, name, room
        self.said: dict[str, list[str]] = {"card": [], "chat": []}
        self.refused: Refused | None = None

    @property
    def count(self) -> int:
        """How much was acknowledged."""
        return len(self.said["card"]) + len(self.said["chat"])

    async def writes(self, told: Callable[[], Awaitable[None]], over: asyncio.Event) -> None:
        """Three chat messages for each card, without a pause."""
        for turn in itertools.count():
            if over.is_set():
                return
            kind, command = ("card", "card.submit") if turn % 4 == 0 else ("chat", "chat.send")
            text = f"{self.name}, Satz {turn}"
            try:
                await self.person.do(command, room=self.room, text=text)
            except Refused as refused:
                self.refused = refused
                return
            self.said[kind].append(text)
            await told()


async def test_a_room_that_is_closed_while_forty_write_keeps_what_is_acknowledged_and_sends_nobody_away(evening: Evening) -> None:
    moderator = await prepared(evening)
    people = [await inside(evening) for _ in range(PEOPLE)]
    writers = [Writer(person, f"Person {number}", "1-1") for number, person in enumerate(people)]
    others = [Writer(await inside(evening, "1-2"), f"Nebenan {number}", "1-2") for number in range(NEXT_DOOR)]
    over, news = asyncio.Event(), asyncio.Condition()

    async def told() -> None:
        async with news:
            news.notify_all()

    async with contextlib.AsyncExitStack() as open_pages, asyncio.TaskGroup() as writing:
        editors = [await open_pages.enter_async_context(at(evening, person)) for person in people[:EDITING]]
        for writer in [*writers, *others]:
            writing.create_task(writer.writes(told, over))
        for number, editor in enumerate(editors):
            writing.create_task(edits(editor, f"Notiz {number}"))
        async with news:
            await news.wait_for(lambda: all(writer.said["card"] and writer.said["chat"] for writer in writers))
        for editor in editors:
            await editor.until(lambda editor=editor: acknowledged(editor) > 1)  # type: ignore[misc]
        await moderator.do("round.close", round=1, room="1-1")
        before = [other.count for other in others]
        async with news:  # next door they go on
            await news.wait_for(lambda: all(other.count > count for other, count in zip(others, before, strict=True)))
        over.set()

    assert {writer.refused.code for writer in writers if writer.refused} == {"round_closed"}
    assert all(writer.refused for writer in writers), "all were still writing"
    assert [writer.refused for writer in others] == [None] * NEXT_DOOR
    assert [writer.person.closed for writer in [*writers, *others]] == [None] * (PEOPLE + NEXT_DOOR)
    for room, those in (("1-1", writers), ("1-2", others)):
        fresh = await evening.person(those[0].person.cookie, f"room/{room}")
        expected = sorted(text for writer in those for text in writer.said["card"])
        assert await all_cards(fresh, room, len(expected)) == expected
    stored = everything_stored(evening.server)
    assert all(text.encode() in stored for writer in [*writers, *others] for text in writer.said["chat"])
    async with at(evening, people[0]) as later:
        assert await right(later) == "read"
        kept = [f"Notiz {number}, Satz {turn}" for number, one in enumerate(editors) for turn in range(acknowledged(one) - 1)]
        await later.sees(*kept)


async def edits(editor: Editor, name: str) -> None:
    """A line of the notes, and the next one when it is saved, until the notes are closed."""
    for turn in itertools.count():
        await editor.says(f"{name}, Satz {turn}")
        await editor.until(lambda turn=turn: editor.closed is not None or acknowledged(editor) >= turn + 2)  # type: ignore[misc]
        if editor.closed is not None:
            return


def cards(person: Person, room: str) -> list[str]:
    """The texts of all cards that this person is shown."""
    return sorted(data["text"] for key, data in person.documents[f"room/{room}"].items() if key.startswith("card/"))


async def all_cards(person: Person, room: str, number: int) -> list[str]:
    """The same, as soon as there are so many."""
    await person.sees(lambda shown: len(cards(person, room)) >= number)
    return cards(person, room)


class Flood(NamedTuple):
    """What a server has against one who sends without end, and what becomes of a room."""

    settings: dict[str, object]
    leads: bool
    refusal: str
    fills: bool


@pytest.mark.parametrize(
    "flood",
    [
        pytest.param(Flood({"say_burst": 10, "say_rate": 0.4}, leads=False, refusal="too_many", fills=False), id="the rate"),
        pytest.param(Flood({}, leads=False, refusal="too_many_own_cards", fills=False), id="without it, the cards of one person"),
        pytest.param(Flood({}, leads=True, refusal="too_many_cards", fills=True), id="control: whom neither holds"),
    ],
)
async def test_a_thousand_cards_of_one_client_fill_no_room_and_hold_nobody_up(serve: Callable[..., Server], flood: Flood) -> None:
    """A moderator, who is trusted, fills it to the last card that a room has."""
    server = serve(unanswered=2_000, **flood.settings)
    async with Evening(server, await server.event()) as evening:
        moderator = await prepared(evening)
        client, anna = await inside(evening, cookie=moderator.cookie if flood.leads else None), await inside(evening)
        sent = [asyncio.create_task(answer(client, number)) for number in range(1_000)]
        hers = await code_of(anna.do("card.submit", room="1-1", text="Annas Gedanke"))
        codes = Counter(await asyncio.gather(*sent))
        assert codes.keys() == {"done", flood.refusal}
        assert codes.total() == 1_000
        assert (client.closed, anna.closed) == (None, None)
        later = await code_of(anna.do("card.submit", room="1-1", text="Und noch einer"))
        expected = codes["done"] + [hers, later].count("done")
        if flood.fills:
            assert (later, expected) == ("too_many_cards", MOST_CARDS)
        else:
            assert (hers, later) == ("done", "done")
            assert codes["done"] <= MOST_OF_ONE
        fresh = await evening.person(anna.cookie, "room/1-1")
        assert len(await all_cards(fresh, "1-1", expected)) == expected


@pytest.mark.parametrize(("name", "field"), [("card.submit", "Gedanke"), ("chat.send", "Nachricht")])
async def test_without_a_script_what_is_too_much_stands_in_its_form_again(
    serve: Callable[..., Server], name: str, field: str
) -> None:
    server = serve(say_burst=1, say_rate=0.01)
    async with Evening(server, await server.event()) as evening:
        await prepared(evening)
        browser, page = await evening.browser((await inside(evening)).cookie), f"{evening.page}/room/1-1"

        async def says(text: str) -> Any:
            return await browser.post(f"{evening.page}/do", data={"name": name, "room": "1-1", "text": text, "back": page})

        assert (await says(f"Mein erster {field}")).status_code == 303
        refused = await says(f"Mein zweiter {field}")
        assert refused.status_code == 429
        assert "Das war viel in kurzer Zeit" in refused.text
        assert refused.text.count(f"Mein zweiter {field}") == 1, "in the form that it was written in, and in no other"
        assert f"Mein zweiter {field}" not in (await browser.get(page)).text


async def answer(flood: Person, number: int) -> str:
    """What became of a card of the flood."""
    return await code_of(flood.do("card.submit", room="1-1", text=f"Karte {number}"))


async def code_of(asked: Awaitable[Any]) -> str:
    """The code with which a command was refused, or `done`."""
    try:
        await asked
    except Refused as refused:
        return refused.code
    return "done"


async def test_who_is_moved_while_they_are_away_finds_the_new_room_when_they_return(evening: Evening) -> None:
    moderator = await prepared(evening)
    anna, bilal = await inside(evening), await inside(evening, "1-2")
    await anna.do("card.submit", room="1-1", text="Bleibt in der alten Gruppe")
    cookie = anna.cookie
    await anna.__aexit__()
    [person] = await moderator.sees(lambda shown: away(shown) == [True] and shown["rooms"]["room/1-1"]["people"])
    await moderator.do("room.move", person=person["id"], to="1-2")

    anna = await evening.person(cookie, "me")
    assert anna.documents["me"]["seat"]["room"] == "1-2"
    assert (await refusal(anna.watch("room/1-1"))).code == "forbidden"
    assert (await refusal(anna.do("chat.send", room="1-1", text="Bin wieder da"))).code == "not_your_room"
    browser = await evening.browser(cookie, **{"accept-language": "en"})
    old = await browser.get(f"{evening.page}/room/1-1")
    assert (old.status_code, "Bleibt in der alten" in old.text, "Something went wrong" in old.text) == (409, False, False)
    found = await browser.get(re.findall(rf'href="({evening.page})"', old.text)[0])
    assert f'name="back" value="{evening.page}/room/1-2"' in found.text, "the page that it leads to leads on"

    await bilal.sees(lambda shown: [one["away_since"] != "" for one in shown["room/1-2"]["room/1-2"]["people"]] == [False, True])
    anna = await inside(evening, "1-2", cookie)
    await bilal.sees(lambda shown: [one["away_since"] for one in shown["room/1-2"]["room/1-2"]["people"]] == ["", ""])
    await anna.do("chat.send", room="1-2", text="Bin wieder da")
    async with at(evening, anna, "1-2") as notes:
        assert await right(notes) == "write"


async def test_notes_are_not_read_by_who_prepared_the_room_as_soon_as_people_work_there(evening: Evening) -> None:
    """Each kind of person before the room begins and then. While it runs and afterwards: test_notes.py."""
    staff = {role: await evening.cookie(role) for role in ("helper", "operator", "moderator", "organiser")}
    moderator, leader, anna = await evening.person(staff["moderator"]), await evening.person(), await evening.person()
    for person in (leader, anna):
        await person.do("round.join")
    rooms = [{"name": "Verkehr", "note_taker": await leader.until(lambda client: client.person)}, {"name": "Schule"}]
    await moderator.do("round.create", title="Runde", rooms=rooms)
    await moderator.do("round.assign", round=1)
    [seat] = [(await evening.person(anna.cookie, "me")).documents["me"]["seat"]["room"]]
    [other] = {"1-1", "1-2"} - {seat}
    everyone: dict[str, str | None] = {**staff, "seated": anna.cookie, "leading": leader.cookie, "stranger": None}
    nothing = dict.fromkeys(everyone, "")

    staffed = {"moderator": "read", "organiser": "read"}
    assert await rights(evening, everyone, seat) == nothing | staffed | {"seated": "read"} | leads(seat, "read")
    assert await rights(evening, everyone, other) == nothing | staffed | leads(other, "read")
    await moderator.do("round.open", round=1)
    assert await rights(evening, everyone, seat) == nothing | {"seated": "write"} | leads(seat, "write")
    assert await rights(evening, everyone, other) == nothing | leads(other, "write")


def leads(room: str, right: str) -> dict[str, str]:
    """What the one who leads the first room may there."""
    return {"leading": right} if room == "1-1" else {}


def test_every_kind_of_channel_is_tried_with_every_role() -> None:
    """By TestRights of test_evening.py: a new kind would be tried by nobody."""
    tried = {channel.partition("/")[0] for channel in {*ALL, *MAY_WATCH["participant"]}}
    assert tried == {*roles.MAY_WATCH}
