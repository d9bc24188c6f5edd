"""Small groups with real connections: who drops out is waited for, the last seat is one person's, and rooms end by themselves."""

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
from tests.flow.small_groups import RIGHTS, away, inside, prepared


@pytest.fixture
async def evening(evening: Evening) -> Evening:
    """A round in which people choose, that is open."""
    await prepared(evening)
    return evening


async def test_who_drops_out_is_waited_for_and_comes_back_to_the_same_seat(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "rooms")
    anna, _ = await inside(evening), await inside(evening)
    await moderator.sees(lambda shown: away(shown) == [False, False])
    cookie = anna.cookie
    await anna.__aexit__()
    await moderator.sees(lambda shown: away(shown) == [True, False])
    await inside(evening, cookie=cookie)
    await moderator.sees(lambda shown: away(shown) == [False, False])


async def test_who_is_there_without_a_script_is_not_missed(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "rooms")
    plain = await evening.browser()
    form = {"name": "room.enter", "room": "1-1", "back": f"{evening.page}/room/1-1"}
    assert (await plain.post(f"{evening.page}/do", data=form)).status_code == 303
    anna = await inside(evening)
    await anna.__aexit__()
    # The control: of whom more is seen, and who came later, is missed.
    await moderator.sees(lambda shown: away(shown) == [False, True])
    assert (await plain.get(f"{evening.page}/room/1-1")).status_code == 200


async def test_who_loads_the_page_anew_has_not_been_away(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "rooms")
    anna, bilal = await inside(evening), await inside(evening)
    heard = len(moderator.heard)
    for _ in range(3):
        cookie = anna.cookie
        await anna.__aexit__()
        anna = await inside(evening, cookie=cookie)
    await bilal.__aexit__()
    await moderator.sees(lambda shown: away(shown) == [False, True])
    puts = [put for frame in moderator.heard[heard:] if frame["t"] == "docs" for put in frame["put"]]
    seen = [put["data"] for put in puts if put["key"] == "room/1-1"]
    assert all(one["people"][0]["away_since"] == "" for one in seen)


async def test_nobody_else_hears_what_is_in_a_room_and_who_is_moved_hears_no_more(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "rooms")
    anna = await inside(evening)
    stranger = await evening.person()
    for channel in ("room/1-1", "room/1-2", "room/9-9", "rooms"):
        assert (await refusal(stranger.watch(channel))).code == "forbidden"
    assert (await refusal(anna.watch("room/1-2"))).code == "forbidden"
    answer = await (await evening.browser()).get(f"{evening.api}/channels/room/1-1")
    assert answer.status_code in (403, 404)

    anna = await inside(evening, cookie=anna.cookie)
    (person,) = [one["id"] for one in await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["people"])]
    await moderator.do("room.move", person=person, to="1-2")
    await anna.until(lambda client: client.closed is not None)
    assert anna.closed == RIGHTS


async def test_the_page_of_a_room_is_for_those_in_it(evening: Evening) -> None:
    anna = await inside(evening)
    mine, other = await evening.browser(anna.cookie), await evening.browser()
    assert (await mine.get(f"{evening.page}/room/1-1")).status_code == 200
    assert (await mine.get(f"{evening.page}/room/1-2")).status_code == 409
    assert (await other.get(f"{evening.page}/room/1-1")).status_code == 409
    assert (await other.get(f"{evening.page}/rooms")).status_code == 403


async def test_many_people_are_folded_and_who_visits_is_seen_all_the_same(evening: Evening) -> None:
    await (await evening.staff("moderator")).do("room.enter", room="1-1")
    people = [await inside(evening) for _ in range(12)]
    browser, page = await evening.browser(people[0].cookie), f"{evening.page}/room/1-1"
    summary = '<summary class="inside__who">'
    assert summary not in (await browser.get(page)).text
    await inside(evening)
    _, found, shown = (await browser.get(page)).text.partition(summary)
    folded, _, rest = shown.partition("</details>")
    assert found
    assert (folded.count("<li"), "data-guest" in folded, "data-guest" in rest) == (13, False, True)


async def test_without_a_script_people_join_go_in_ask_for_time_and_leave(running: Server) -> None:
    async with Evening(running, await running.event()) as evening:
        moderator = await evening.browser(await evening.cookie("moderator"), **{"accept-language": "de"})
        anna = await evening.browser(**{"accept-language": "de"})

        async def does(browser: Any, name: str, back: str = "", **fields: str) -> str:
            answer = await browser.post(f"{evening.page}/do", data={"name": name, "back": f"{evening.page}{back}", **fields})
            assert answer.status_code == 303, answer.text
            return str((await browser.get(answer.headers["location"])).text)

        text = "Mobilität: Wie kommen wir 2030 zur Arbeit?\n\nSchule"
        given = {"title": "Erste Runde", "policy": "assigned", "rooms_text": text, "capacity": "12"}
        page = await does(moderator, "round.create", "/rooms", **given)
        assert "Mobilität" in page
        assert "Wie kommen wir 2030 zur Arbeit?" in page
        assert "Sie machen in den Kleingruppen mit." in await does(anna, "round.join")
        await does(moderator, "round.assign", "/rooms", round="1")
        await does(moderator, "round.open", "/rooms", round="1", minutes="20")
        page = (await anna.get(evening.page)).text
        assert "Ihre Kleingruppe hat begonnen:" in page
        room = page.partition('name="room" value="')[2].partition('"')[0]
        assert "Wer ist da" in await does(anna, "room.enter", f"/room/{room}", room=room)
        assert "Bitten um mehr Zeit: 1" in await does(anna, "room.ask_for_time", f"/room/{room}", room=room)
        for words in ("Mehr Bänke", "Mehr Bäume"):
            await does(anna, "card.submit", f"/room/{room}", room=room, text=words)
        page = await does(anna, "card.order", f"/room/{room}", card="2", steps="-1")
        assert page.index("Mehr Bäume") < page.index("Mehr Bänke")
        page = await does(anna, "card.set_aside", f"/room/{room}", card="1")
        assert page.index("Beiseite (<span data-shown>1</span>)") < page.index("Mehr Bänke")
        page = await does(anna, "card.set_aside", f"/room/{room}", card="1", on="false")
        assert page.index("Mehr Bänke") < page.index("Beiseite (<span data-shown>0</span>)")
        await does(moderator, "room.extend", "/rooms", room=room, minutes="5")
        await does(anna, "room.leave", room=room)
        assert (await anna.get(f"{evening.page}/room/{room}")).status_code == 409


async def test_the_last_seats_are_given_once_though_two_processes_are_asked(tmp_path: Path) -> None:
    async with Installation(tmp_path, processes=2) as installation, installation.evening() as evenings:
        await prepared(evenings[0], {"name": "A", "capacity": 5}, {"name": "B", "capacity": 2})
        people = [await evenings[number % 2].person() for number in range(40)]

        async def enters(person: Person) -> str:
            try:
                await person.do("room.enter", room="1-1")
            except Refused as refused:
                return refused.code
            return "in"

        answers = await asyncio.gather(*map(enters, people))
        assert sorted(answers) == ["in"] * 5 + ["room_full"] * 35


async def test_who_is_at_another_process_is_not_away_and_who_a_killed_process_had_is(tmp_path: Path) -> None:
    async with Installation(tmp_path, processes=2) as installation, installation.evening() as evenings:
        await prepared(evenings[0])
        moderator = await evenings[1].staff("moderator", "rooms")
        anna, _ = await inside(evenings[0]), await inside(evenings[0])
        await moderator.sees(lambda shown: away(shown) == [False, False])
        await anna.__aexit__()
        await inside(evenings[1], cookie=anna.cookie)
        installation.servers[0].kill()
        await moderator.sees(lambda shown: away(shown) == [False, True])


async def test_a_recall_ends_the_round_though_the_server_is_killed_and_no_moderator_is_there(serve: Callable[..., Server]) -> None:
    server = serve()
    async with Evening(server, await server.event()) as evening:
        moderator = await prepared(evening)
        anna = await inside(evening)
        await moderator.do("round.recall", round=1, seconds=3)
        server.kill()
    server.start()
    async with Evening(server, evening.slug) as evening:
        anna = await evening.person(anna.cookie, "room/1-1")
        await anna.sees(lambda shown: shown["room/1-1"]["room/1-1"]["state"] == "closed")
