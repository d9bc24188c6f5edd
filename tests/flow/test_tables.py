"""Tables in the hall with a running server: from the printed card to the board without a script, and who wants in from home."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from rooms.command import Refused
from tests.flow.evening import Evening, Person, refusal
from tests.flow.installation import Installation
from tests.flow.server import Server
from tests.moderation.evening import HOSTILE

TABLES: list[dict[str, Any]] = [{"name": name, "capacity": 8, "table": True} for name in ("Verkehr", "Schule")]
CODE = re.compile(r"table-card__code\">(\w{4})(?:&nbsp;|\xa0)(\w{4})<")


async def prepared(evening: Evening, *rooms: dict[str, Any], opened: bool = True, **more: Any) -> tuple[Person, list[str]]:
    """A moderator who has prepared tables, and the codes on their cards."""
    cookie = await evening.cookie("moderator")
    moderator = await evening.person(cookie, "rooms")
    await moderator.do("round.create", **{"title": "Runde", "rooms": list(rooms or TABLES), "policy": "assigned"} | more)
    if opened:
        await moderator.do("round.open", round=1, minutes=20)
    browser = await evening.browser(cookie)
    cards = await browser.get(f"{evening.page}/rooms/cards/1")
    return moderator, ["".join(one) for one in CODE.findall(cards.text)]


async def sits(evening: Evening, code: str, heads: int = 6, room: str = "1-1", **more: Any) -> Person:
    """A device that has read the card, with the room on its screen."""
    device = await evening.person()
    await device.do("room.seat_table", room=room, heads=heads, code=code, **more)
    await device.watch(f"room/{room}")
    return device


async def test_without_a_script_from_the_printed_card_to_the_board(evening: Evening) -> None:
    moderator = await evening.browser(await evening.cookie("moderator"), **{"accept-language": "en"})
    tablet = await evening.browser(**{"accept-language": "en"})

    async def does(browser: httpx.AsyncClient, name: str, back: str, **fields: str) -> str:
        answer = await browser.post(f"{evening.page}/do", data={"name": name, "back": f"{evening.page}{back}", **fields})
        assert answer.status_code == 303, answer.text
        return (await browser.get(answer.headers["location"])).text

    text = "Mobility: How do we get to work in 2030?\nSchools"
    fields = {"title": "First round", "policy": "assigned", "rooms_text": text, "capacity": "8", "tables": "true"}
    assert f"{evening.page}/rooms/cards/1" in await does(moderator, "round.create", "/rooms", **fields)
    cards = (await moderator.get(f"{evening.page}/rooms/cards/1")).text
    assert "How do we get to work in 2030?" in cards
    assert cards.count("<svg") >= 2
    code = "".join(CODE.findall(cards)[0])
    address = f"{evening.page}/table/1?c={code}"

    page = await tablet.get(address)
    assert (page.status_code, page.headers["referrer-policy"]) == (200, "no-referrer")
    assert "How many people share this device?" in page.text
    form = {"code": code, "heads": "9", "names": "Jule\nKai <b>Fett</b>"}
    full = await tablet.post(f"{evening.page}/table/1", data=form)
    assert full.status_code == 422
    assert "8 people can share this device" in full.text
    assert "Kai &lt;b&gt;Fett" in full.text, "what was typed is kept"
    early = await tablet.post(f"{evening.page}/table/1", data=form | {"heads": "6"})
    assert early.headers["location"] == f"{evening.page}?notice=table"
    assert "It begins soon" in (await tablet.get(early.headers["location"])).text

    await does(moderator, "round.open", "/rooms", round="1", minutes="20")
    page_ = await does(tablet, "room.enter", "/room/1-1", room="1-1")
    assert "Kai &lt;b&gt;Fett" in page_
    assert "6 people" in page_
    page_ = await does(tablet, "card.submit", "/room/1-1", room="1-1", text="Benches at the ring", **{"args.name": "Jule"})
    assert "Benches at the ring" in page_
    await does(tablet, "card.propose", "/room/1-1", card="1", on="true")
    await does(tablet, "summary.draft", "/room/1-1", room="1-1")
    assert "it is on the plenary" in await does(tablet, "summary.confirm", "/room/1-1", room="1-1")
    assert "Benches at the ring" in (await (await evening.browser()).get(f"{evening.page}/board")).text

    again = await tablet.get(f"{evening.page}/table/1")
    assert 'value="6"' in again.text
    fewer = await tablet.post(f"{evening.page}/table/1", data={"heads": "5", "names": "Jule"})
    assert fewer.headers["location"] == f"{evening.page}/room/1-1"
    page_ = (await tablet.get(f"{evening.page}/room/1-1")).text
    assert ("5 people" in page_, "Fett" in page_) == (True, False)
    assert "Jule" in page_
    assert "Jule" not in await does(tablet, "room.forget_names", "/room/1-1", room="1-1")
    await does(moderator, "round.close", "/rooms", round="1")
    assert "This small group is over." in (await tablet.get(f"{evening.page}/table/1")).text


async def test_the_cards_are_for_moderators_only_and_nobody_else_learns_a_code(evening: Evening) -> None:
    _, (code, _) = await prepared(evening)
    for role in ("helper", "operator", None):
        browser = await evening.browser(await evening.cookie(role) if role else None)
        assert (await browser.get(f"{evening.page}/rooms/cards/1")).status_code == 403
    organiser = await evening.browser(await evening.cookie("organiser"))
    assert code[:4] in (await organiser.get(f"{evening.page}/rooms/cards/1")).text
    assert (await organiser.get(f"{evening.page}/rooms/cards/9")).status_code == 422
    device = await sits(evening, code)
    assert code not in str(device.heard)


async def test_the_page_of_a_table_does_not_tell_whether_a_code_is_right(evening: Evening) -> None:
    """Tries are counted where the form is sent; looking at the page is free."""
    _, (code, other) = await prepared(evening)

    async def page(code: str) -> str:
        shown = (await (await evening.browser()).get(f"{evening.page}/table/1?c={code}")).text
        return re.sub(r'name="id" value="[^"]+"', "", shown.replace(code, "…"))

    assert await page(code) == await page(other) == await page("WRONGWRO")


async def test_a_table_that_is_not_there_is_told_so(evening: Evening) -> None:
    browser = await evening.browser(**{"accept-language": "en"})
    for number in (1, 99, 10**30):
        answer = await browser.get(f"{evening.page}/table/{number}")
        assert (answer.status_code, "Nothing has been prepared for this table yet." in answer.text) == (200, True)
        answer = await browser.post(f"{evening.page}/table/{number}", data={"heads": "3", "code": "AAAAAAAA"})
        assert answer.status_code == 422
    assert (await browser.get(f"{evening.page}/table/eins")).status_code == 404


@pytest.mark.parametrize("heads", ["", "0", "-1", "9", "1e9", "1000000000", "9" * 400, "six", "٣٣"])
async def test_a_number_that_cannot_be_is_refused_and_what_was_typed_is_kept(evening: Evening, heads: str) -> None:
    _, (code, _) = await prepared(evening)
    browser = await evening.browser()
    answer = await browser.post(f"{evening.page}/table/1", data={"heads": heads, "code": code, "names": "Jule"})
    assert answer.status_code == 422
    assert "Jule" in answer.text
    watcher = await evening.staff("moderator", "rooms")
    assert (await watcher.sees(lambda shown: shown["rooms"]["room/1-1"]))["people"] == []


async def test_names_with_markup_are_text_everywhere(evening: Evening) -> None:
    _, (code, _) = await prepared(evening)
    browser = await evening.browser()
    typed = f"<script>alert(1)</script>\n{HOSTILE['right-to-left override']}\n\"><img src=x>"
    assert (await browser.post(f"{evening.page}/table/1", data={"heads": "3", "code": code, "names": typed})).status_code == 303
    moderator = await evening.browser(await evening.cookie("moderator"))
    for page in (await browser.get(f"{evening.page}/room/1-1"), await browser.get(f"{evening.page}/table/1"),
                 await moderator.get(f"{evening.page}/rooms")):  # fmt: skip
        assert "&lt;script&gt;alert" in page.text
        assert "<script>alert" not in page.text
        assert "<img src=x" not in page.text
        assert "\u202e" not in page.text


async def test_who_guesses_codes_from_home_is_slowed_down_and_the_control_is_not(serve: Callable[..., Server]) -> None:
    server = serve(join_burst=5, join_rate=0.001)
    async with Evening(server, await server.event()) as evening:
        _, (code, _) = await prepared(evening)
        guessers = [await evening.person() for _ in range(8)]  # a new person each time helps nobody: the address counts
        tries = [
            (await refusal(guesser.do("room.seat_table", room="1-1", heads=1, code=f"AAAAAAA{number + 2}"))).code
            for number, guesser in enumerate(guessers)
        ]
        assert set(tries) == {"wrong_table_code", "too_many"}
        assert tries[-1] == "too_many"
        late = await refusal(guessers[0].do("room.seat_table", room="1-1", heads=1, code=code))
        assert late.code == "too_many", "not even the right one, and so nobody learns it"
        others = [(await refusal(guesser.do("room.enter", room="1-1"))).code for guesser in guessers]
        assert set(others) == {"not_your_room"}, "the control: other commands go on"


async def test_a_device_that_fails_is_away_and_another_one_goes_on(evening: Evening) -> None:
    moderator, (code, _) = await prepared(evening)
    first = await sits(evening, code, names=["Jule"])
    await first.do("card.submit", room="1-1", text="Mehr Bänke")

    def table(shown: dict[str, Any]) -> dict[str, Any]:
        people = shown["rooms"]["room/1-1"]["people"]
        return dict(people[0]) if people else {"heads": 0, "away_since": ""}

    await moderator.sees(lambda shown: table(shown)["heads"] == 6)
    await first.__aexit__()
    await moderator.sees(lambda shown: table(shown)["away_since"] != "")
    second = await sits(evening, code, 7)
    seat = await moderator.sees(lambda shown: table(shown)["away_since"] == "" and table(shown))
    assert (seat["heads"], seat["name"]) == (7, "Jule")
    await second.do("card.edit", card=1, text="Mehr Bänke am Ring")

    # Two devices, of which one leaves: nobody is away.
    third = await sits(evening, code, 7)
    heard = len(moderator.heard)
    await third.__aexit__()
    await second.do("room.seat_table", room="1-1", heads=8)
    await moderator.sees(lambda shown: table(shown)["heads"] == 8)
    puts = [put for frame in moderator.heard[heard:] if frame["t"] == "docs" for put in frame["put"] if put["key"] == "room/1-1"]
    assert all(put["data"]["people"][0]["away_since"] == "" for put in puts)


async def test_a_new_code_shuts_the_door_at_once(evening: Evening) -> None:
    moderator, (code, _) = await prepared(evening)
    stranger = await sits(evening, code)
    await moderator.do("room.renew_code", room="1-1")
    await stranger.until(lambda client: client.closed is not None)
    assert stranger.closed == 4003
    again = await evening.person(stranger.cookie)
    assert (await refusal(again.watch("room/1-1"))).code == "forbidden"
    assert (await refusal(again.do("room.seat_table", room="1-1", heads=1, code=code))).code == "wrong_table_code"


async def test_heads_and_people_of_two_processes_never_exceed_the_seats(tmp_path: Path) -> None:
    async with Installation(tmp_path, processes=2) as installation, installation.evening() as evenings:
        room = {"name": "A", "capacity": 10, "table": True}
        moderator, (code,) = await prepared(evenings[0], room, policy="chosen")
        people = [await evenings[number % 2].person() for number in range(12)]
        tablets = [await evenings[number % 2].person() for number in range(2)]

        async def tries(person: Person, command: str, **arguments: Any) -> str:
            try:
                await person.do(command, room="1-1", **arguments)
            except Refused as refused:
                return refused.code
            return "in"

        asked = [tries(one, "room.enter") for one in people]
        asked[3:3] = [tries(one, "room.seat_table", heads=5 + number, code=code) for number, one in enumerate(tablets)]
        answers = await asyncio.gather(*asked)
        assert set(answers) <= {"in", "room_full", "table_full"}
        assert "in" in answers
        shown = await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["heads"] > 0 and shown["rooms"]["room/1-1"])
        assert sum(one["heads"] for one in shown["people"]) == shown["heads"] <= 10
