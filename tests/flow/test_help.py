"""Help and announcements with real connections: nobody comes unannounced, a call outlives the server, and many who see something
at once cost nobody else a frame."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from rooms.command import Refused
from tests.flow.evening import Evening, Person, refusal
from tests.flow.installation import Installation
from tests.flow.server import Server
from tests.flow.small_groups import RIGHTS, inside, prepared

ENGLISH = {"accept-language": "en"}


@pytest.fixture
async def evening(evening: Evening) -> Evening:
    """A round in which people choose, that is open."""
    await prepared(evening)
    return evening


async def test_a_moderator_hears_a_room_only_as_a_guest_whom_everybody_sees(evening: Evening) -> None:
    anna = await inside(evening)
    moderator = await evening.staff("moderator")
    assert (await refusal(moderator.watch("room/1-1"))).code == "forbidden"
    browser = await evening.browser(moderator.cookie, **ENGLISH)
    answer = await browser.get(f"{evening.api}/channels/room/1-1")
    assert answer.status_code == 403
    page = await browser.get(f"{evening.page}/room/1-1")
    assert page.status_code == 409
    assert "Nobody comes unannounced" in page.text

    await moderator.do("room.enter", room="1-1")
    await moderator.watch("room/1-1")
    await anna.sees(lambda shown: len(shown["room/1-1"]["room/1-1"]["guests"]) == 1)
    await browser.post(f"{evening.page}/do", data={"name": "room.leave", "room": "1-1"})
    await moderator.until(lambda client: client.closed is not None)
    assert moderator.closed == RIGHTS
    await anna.sees(lambda shown: shown["room/1-1"]["room/1-1"]["guests"] == [])


async def test_who_looks_at_a_prepared_room_is_sent_away_when_it_opens(running: Server) -> None:
    async with Evening(running, await running.event()) as evening:
        moderator = await evening.staff("moderator")
        await moderator.do("round.create", title="Erste Runde", policy="chosen", rooms=[{"name": "Verkehr"}])
        await moderator.watch("room/1-1")
        organiser = await evening.staff("organiser")
        await organiser.do("round.open", round=1)
        await moderator.until(lambda client: client.closed is not None)
        assert moderator.closed == RIGHTS


async def test_without_a_script_a_group_is_helped(evening: Evening) -> None:
    anna = await evening.browser((await inside(evening)).cookie, **ENGLISH)
    moderator = await evening.staff("moderator")
    await moderator.do("person.join", name="Mona M.")
    mona = await evening.browser(moderator.cookie, **ENGLISH)
    olga = await evening.browser(await evening.cookie("organiser"), **ENGLISH)
    room = f"{evening.page}/room/1-1"

    async def does(browser: Any, name: str, back: str, status: int = 303, **fields: str) -> str:
        answer = await browser.post(f"{evening.page}/do", data={"name": name, "back": back, "room": "1-1", **fields})
        assert answer.status_code == status, answer.text
        return str((await browser.get(answer.headers["location"])).text if status == 303 else answer.text)

    assert "You have called for help" in await does(anna, "room.ask_for_help", room, why="The sound is gone")
    queue = (await olga.get(f"{evening.page}/rooms")).text
    assert "<title>(1) " in queue
    assert "The sound is gone" in queue
    assert "Mona M.</span> is coming" in await does(mona, "room.claim_help", f"{evening.page}/rooms")
    page = (await anna.get(room)).text
    assert "Mona M.</span> is coming to help you." in page
    assert "visits</span>" not in page, "nobody is there yet"
    assert "Somebody was faster" in await does(olga, "room.claim_help", f"{evening.page}/rooms", status=422)
    assert "End the visit" in await does(mona, "room.enter", room)
    page = (await anna.get(room)).text
    assert "Mona M.</span> is here to help you." in page
    assert "visits</span>" in page
    queue = await does(mona, "room.leave", f"{evening.page}/rooms")
    assert "The sound is gone" not in queue
    assert "You have called for help" not in (await anna.get(room)).text


async def test_the_console_says_without_a_script_who_waits_to_those_who_may_come(evening: Evening) -> None:
    anna, bilal = await inside(evening), await inside(evening, "1-2")
    roles = ("moderator", "organiser", "helper", "operator")
    staff = {role: await evening.browser(await evening.cookie(role), **ENGLISH) for role in roles}

    async def line(role: str) -> str:
        page = (await staff[role].get(f"{evening.page}/moderation")).text
        assert ("<title>(" in page) == ('id="doc-calls"' in page)
        return page.partition('id="doc-calls"')[2].partition("</p>")[0]

    assert await line("moderator") == ""
    await anna.do("room.ask_for_help", room="1-1", why="Ein Geheimnis")
    await bilal.do("room.ask_for_help", room="1-2")
    for role in ("moderator", "organiser"):
        shown = await line(role)
        assert f'href="{evening.page}/rooms#help"' in shown
        assert "<b>2</b> small groups call for help:" in shown
        assert shown.index("Verkehr") < shown.index("Schule")
        assert "Geheimnis" not in shown
    for role in ("helper", "operator"):
        assert await line(role) == ""
    moderator = await evening.staff("moderator", "moderation")
    await moderator.do("room.claim_help", room="1-1")
    await moderator.sees(lambda shown: len(shown["moderation"]["calls"]["rooms"]) == 1)
    assert "A small group calls for help:" in await line("organiser")
    await bilal.do("room.end_help", room="1-2")
    await moderator.sees(lambda shown: "calls" not in shown["moderation"])
    assert await line("moderator") == ""


async def test_without_a_script_an_announcement_is_read_and_counted(evening: Evening) -> None:
    anna = await evening.browser((await inside(evening)).cookie, **ENGLISH)
    mona = await evening.browser(await evening.cookie("moderator"), **ENGLISH)
    back = {"back": f"{evening.page}/rooms"}
    fields = {"name": "announcement.send", "text": "Ten minutes are left", "rooms[]": ["1-1"], **back}
    assert (await mona.post(f"{evening.page}/do", data=fields)).status_code == 303
    page = (await anna.get(f"{evening.page}/room/1-1")).text
    assert "Ten minutes are left" in page
    assert "Ten minutes are left" not in (await (await evening.browser((await inside(evening, "1-2")).cookie)).get(
        f"{evening.page}/room/1-2")).text  # fmt: skip
    form = page.partition('id="seen"')[2].partition("</form>")[0]
    assert " hidden" not in form.partition(">")[0]
    assert 'value="1"' in form
    seen = {"name": "announcement.seen", "announcement": "1", "back": f"{evening.page}/room/1-1"}
    assert (await anna.post(f"{evening.page}/do", data=seen)).headers["location"].endswith("/room/1-1")
    page = (await anna.get(f"{evening.page}/room/1-1")).text
    assert " hidden" in page.partition('id="seen"')[2].partition(">")[0], "there is nothing to press any more"
    overview = (await mona.get(f"{evening.page}/rooms")).text
    assert 'data-count="seen">1<' in overview
    assert 'data-count="of">1<' in overview


async def test_many_who_see_an_announcement_at_once_send_nobody_the_text_again(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "rooms")
    people = [await inside(evening, f"1-{1 + number % 2}") for number in range(40)]
    for person in people:
        await person.sees(lambda shown: any(len(one.get("people", ())) == 20 for room in shown.values() for one in room.values()))
    await moderator.do("announcement.send", text="Noch zehn Minuten")
    for person in people:
        await person.sees(lambda shown: any("announcement/1" in documents for documents in shown.values()))
    heard = [len(person.heard) for person in people]
    await asyncio.gather(*(person.do("announcement.seen", announcement=1) for person in people))
    await moderator.sees(lambda shown: shown["rooms"]["announcement/1"]["seen"] == shown["rooms"]["announcement/1"]["of"] == 40)
    assert moderator.documents["rooms"]["announcement/1"]["seen-1-1"] == 20
    texts = [put for frame in moderator.heard if frame["t"] == "docs" for put in frame["put"] if put["key"] == "announcement/1"]
    assert len(texts) == 1, "then only numbers travel"
    for person, before in zip(people, heard, strict=True):
        later = [put["key"] for frame in person.heard[before:] if frame["t"] == "docs" for put in frame["put"]]
        assert "announcement/1" not in later
        assert all(frame["t"] != "count" for frame in person.heard[before:])


async def test_numbers_reach_who_was_away_and_who_comes_anew(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "rooms")
    anna = await inside(evening)
    await moderator.do("announcement.send", text="Noch zehn Minuten")
    await moderator.sees(lambda shown: "announcement/1" in shown["rooms"])
    for name, arguments in (("announcement.seen", {"announcement": 1}), ("card.submit", {"room": "1-1", "text": "Mehr Bänke"})):
        await anna.do(name, **arguments)
    await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["cards"] == 1)
    fresh = await evening.staff("moderator", "rooms")
    assert fresh.documents["rooms"]["room/1-1"]["cards"] == 1
    assert fresh.documents["rooms"]["announcement/1"]["seen"] == 1
    await fresh.watch("public")
    await anna.do("card.submit", room="1-1", text="Noch mehr Bänke")
    await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["cards"] == 2)
    await fresh.watch("rooms", since=True)
    await fresh.sees(lambda shown: shown["rooms"]["room/1-1"]["cards"] == 2)


async def test_a_call_outlives_the_server_and_all_moderators(serve: Callable[..., Server]) -> None:
    server = serve()
    async with Evening(server, await server.event()) as evening:
        await prepared(evening)
        anna = await inside(evening)
        await anna.do("room.ask_for_help", room="1-1", why="Streit")
        server.kill()
    server.start()
    async with Evening(server, evening.slug) as evening:
        moderator = await evening.staff("moderator", "rooms")
        await moderator.sees(lambda shown: shown["rooms"]["help/1-1"]["why"] == "Streit")


async def test_of_two_moderators_at_two_processes_one_goes(tmp_path: Path) -> None:
    async with Installation(tmp_path, processes=2) as installation, installation.evening() as evenings:
        await prepared(evenings[0])
        anna = await inside(evenings[0])
        await anna.do("room.ask_for_help", room="1-1")
        moderators = [await one.staff("moderator", "rooms") for one in evenings]

        async def claims(moderator: Person) -> str:
            try:
                await moderator.do("room.claim_help", room="1-1")
            except Refused as refused:
                return refused.code
            return "mine"

        assert sorted(await asyncio.gather(*map(claims, moderators))) == ["already_claimed", "mine"]
        await anna.sees(lambda shown: shown["room/1-1"]["help/1-1"]["by_role"] == "moderator")
