"""Hands and chat over the wire and by forms: who hears what, what is kept, and what is deleted."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rooms.command import Refused
from tests.flow.evening import Evening, refusal
from tests.flow.installation import Installation
from tests.flow.server import Server
from tests.flow.small_groups import inside, prepared
from tests.flow.test_evening import everything_stored


@pytest.fixture
async def evening(evening: Evening) -> Evening:
    """A round in which people choose, that is open."""
    await prepared(evening)
    return evening


async def test_what_is_said_in_a_room_is_heard_there_and_nowhere_else(evening: Evening) -> None:
    anna, bilal, other = await inside(evening), await inside(evening), await inside(evening, "1-2")
    crowd = await evening.person(None, "public", "me", "board", "stage")
    desk = await evening.staff("moderator", "rooms", "moderation")
    await anna.do("chat.send", room="1-1", text="Unter uns gesagt")
    await anna.do("room.raise_hand", room="1-1")
    await bilal.sees(lambda shown: shown["room/1-1"]["chat/1"]["text"] == "Unter uns gesagt")
    await bilal.sees(lambda shown: shown["room/1-1"]["hands/1-1"]["hands"])
    moving = await desk.sees(lambda shown: shown["rooms"]["room/1-1"]["hands"] and shown["rooms"]["room/1-1"])
    assert moving["active"]
    await other.do("chat.send", room="1-2", text="Und wir hier")
    await other.sees(lambda shown: shown["room/1-2"]["chat/2"])
    for person in (crowd, desk, other):
        assert "Unter uns" not in json.dumps(person.heard), "whatever has come by now has come"


async def test_what_is_taken_back_is_not_in_the_database(evening: Evening) -> None:
    anna, bilal = await inside(evening), await inside(evening)
    number = (await anna.do("chat.send", room="1-1", text="Meine Nummer ist 4711-0815"))["message"]
    await bilal.sees(lambda shown: shown["room/1-1"][f"chat/{number}"])
    assert b"4711-0815" in everything_stored(evening.server)
    assert (await refusal(bilal.do("chat.send", room="1-1", text=" "))).code == "message_missing"
    await anna.do("chat.remove", message=number)
    gone = await bilal.sees(lambda shown: shown["room/1-1"][f"chat/{number}"]["removed"] and shown["room/1-1"][f"chat/{number}"])
    assert (gone["text"], gone["removed"]) == ("", "author")
    assert b"4711-0815" not in everything_stored(evening.server)


@pytest.mark.parametrize("limited", [True, False], ids=["", "control: everybody may say as much as they like"])
async def test_who_floods_the_chat_is_slowed_down_and_the_others_are_not(serve: Callable[..., Server], limited: bool) -> None:
    server = serve(**{"say_burst": 10, "say_rate": 0.4} if limited else {})
    async with Evening(server, await server.event()) as evening:
        await prepared(evening)
        anna, bilal = await inside(evening), await inside(evening)
        answers = await asyncio.gather(
            *(anna.do("chat.send", room="1-1", text=f"Werbung {number}") for number in range(30)), return_exceptions=True
        )
        refused = [answer for answer in answers if isinstance(answer, Refused)]
        assert len(refused) > 15 if limited else not refused
        assert {one.code for one in refused} <= {"too_many"}
        assert all(one.retry_after for one in refused)
        await anna.do("room.raise_hand", room="1-1")
        await bilal.do("chat.send", room="1-1", text="Bitte lass das")


async def test_the_speaker_list_is_the_same_at_another_process_and_after_a_restart(tmp_path: Path) -> None:
    async with Installation(tmp_path, processes=2) as installation, installation.evening() as evenings:
        await prepared(evenings[0])
        anna, bilal = await inside(evenings[0]), await inside(evenings[0])
        for person in (anna, bilal):
            await person.do("room.raise_hand", room="1-1")
        cem = await inside(evenings[1])
        before = await cem.sees(lambda shown: len(shown["room/1-1"]["hands/1-1"]["hands"]) == 2 and shown["room/1-1"]["hands/1-1"])
        await anna.__aexit__()
        installation.servers[0].kill()
        await cem.sees(lambda shown: shown["room/1-1"]["hands/1-1"]["hands"][0]["away"])
        await inside(evenings[1], cookie=anna.cookie)
        await cem.sees(lambda shown: not shown["room/1-1"]["hands/1-1"]["hands"][0]["away"])
        after = cem.documents["room/1-1"]["hands/1-1"]
        assert [one["id"] for one in after["hands"]] == [one["id"] for one in before["hands"]]


async def test_without_a_script_people_raise_hands_speak_and_write(evening: Evening) -> None:
    german = {"accept-language": "de"}
    anna, bilal = [await evening.browser((await inside(evening)).cookie, **german) for _ in range(2)]
    page = f"{evening.page}/room/1-1"

    async def does(browser: Any, name: str, **fields: str) -> str:
        answer = await browser.post(f"{evening.page}/do", data={"name": name, "back": page, **fields})
        assert answer.status_code == 303, answer.text
        return str((await browser.get(answer.headers["location"])).text)

    assert 'data-hand="down"' in (await anna.get(page)).text
    assert 'data-hand="up"' in await does(anna, "room.raise_hand", room="1-1")
    shown = (await bilal.get(page)).text
    tag = shown.partition('form="give-floor" name="person" value="')[2].partition('"')[0]
    assert tag
    await does(bilal, "room.give_floor", room="1-1", person=tag)
    assert 'data-hand="speaking"' in (await anna.get(page)).text
    assert 'data-hand="down"' in await does(anna, "room.lower_hand", room="1-1")

    assert "Wir fangen &lt;b&gt;an&lt;/b&gt;" in await does(bilal, "chat.send", room="1-1", text="Wir fangen <b>an</b>")
    refused = await anna.post(f"{evening.page}/do", data={"name": "chat.send", "room": "1-1", "text": "x" * 501, "back": page})
    assert refused.status_code == 422
    assert "auf 500 Zeichen" in refused.text
    assert "Wir fangen" not in await does(bilal, "chat.remove", message="1")
