"""The plenary's board on a real server: without a script, on stage and overlay, and what nobody had confirmed."""

from __future__ import annotations

import re
from typing import Any

import httpx
import pytest

from tests.flow.evening import Evening, Person
from tests.flow.server import Server
from tests.flow.small_groups import prepared


@pytest.fixture
async def evening(evening: Evening) -> Evening:
    """A round in which people choose, that is open."""
    await prepared(evening, {"name": "Verkehr", "question": "Wie kommen wir hin?"}, {"name": "Schule"})
    return evening


async def proposes(evening: Evening, room: str, *texts: str) -> tuple[Person, list[int]]:
    """Somebody in this room whose summary is confirmed, and the numbers of its proposals."""
    person = await evening.person()
    await person.do("room.enter", room=room)
    cards = []
    for text in texts:
        cards.append(int((await person.do("card.submit", room=room, text=text))["card"]))
        await person.do("card.propose", card=cards[-1])
    await person.do("summary.draft", room=room, proposed="; ".join(texts), open="Wer bezahlt es?")
    await person.do("summary.confirm", room=room)
    return person, cards


class Plain:
    """A browser without JavaScript."""

    def __init__(self, evening: Evening, browser: httpx.AsyncClient) -> None:
        self.evening, self.browser = evening, browser

    async def page(self, path: str = "/board") -> str:
        """What it shows."""
        return (await self.browser.get(f"{self.evening.page}{path}")).text

    async def sends(self, name: str, back: str = "/board", **fields: Any) -> str:
        """The page to which the form leads."""
        data = {"name": name, "back": f"{self.evening.page}{back}", **fields}
        answer = await self.browser.post(f"{self.evening.page}/do", data=data)
        assert answer.status_code == 303, answer.text
        return (await self.browser.get(answer.headers["location"])).text

    async def refused(self, status: int, name: str, back: str = "/board", **fields: Any) -> str:
        """The page that says why not."""
        data = {"name": name, "back": f"{self.evening.page}{back}", **fields}
        answer = await self.browser.post(f"{self.evening.page}/do", data=data)
        assert answer.status_code == status, answer.text
        return answer.text


async def plain(evening: Evening, role: str = "", cookie: str | None = None) -> Plain:
    """Somebody who reads German."""
    cookie = await evening.cookie(role) if role else cookie
    return Plain(evening, await evening.browser(cookie, **{"accept-language": "de"}))


def order(page: str) -> list[str]:
    """The headings and the numbers of the proposals on the board, from top to bottom."""
    return [title or number for title, number in re.findall(r'class="heading__title"[^>]*>([^<]+)<|id="doc-proposal-(\d+)"', page)]


async def test_everybody_supports_a_proposal_and_takes_it_back_without_a_script(evening: Evening) -> None:
    await proposes(evening, "1-1", "Mehr Bänke am Ring")
    home = await plain(evening)
    page = await home.page()
    assert "Mehr Bänke am Ring" in page
    assert re.search(r"Verkehr</bdi> · <bdi>Erste Runde</bdi> · Nr. 1", page), "where it comes from"
    assert "proposal.air" not in page
    assert '<b data-count="support">1</b>' in await home.sends("proposal.support", card="1", on="true")
    assert '<b data-count="support">1</b>' in await home.sends("proposal.support", card="1", on="true"), "once each"
    assert 'data-proposals="1"' in await home.page()
    assert '<b data-count="support">0</b>' in await home.sends("proposal.support", card="1", on="false")
    await home.refused(422, "proposal.support", card="9", on="true")
    await home.refused(403, "proposal.group", **{"cards[]": "1", "set.title": "Meins"})


async def test_moderators_put_together_order_and_rename_without_a_script(evening: Evening) -> None:
    await proposes(evening, "1-1", "Mehr Bänke", "Mehr Bäume")
    await proposes(evening, "1-2", "WLAN", "Kreide")
    moderator, home = await plain(evening, "moderator"), await plain(evening)
    assert order(await moderator.page()) == ["1", "2", "3", "4"]
    chosen: dict[str, Any] = {"cards[]": ["2", "3"], "set.title": "Im Freien"}
    page = await moderator.sends("proposal.group", **chosen)
    assert order(page) == ["Im Freien", "2", "3", "Noch nicht zusammengestellt", "1", "4"]
    assert order(await moderator.sends("proposal.order", card="3", steps="-1"))[:3] == ["Im Freien", "3", "2"]
    page = await moderator.sends("proposal.group", heading="1", **{"set.title": "Draußen"})
    assert order(page)[0] == "Draußen"
    await home.sends("proposal.support", card="4", on="true")
    assert order(await moderator.sends("proposal.order"))[-2:] == ["4", "1"]
    assert order(await home.page()) == order(await moderator.page())
    page = await moderator.sends("proposal.group", heading="1", **{"set.title": ""})
    assert order(page) == ["4", "1", "3", "2"]
    page = await moderator.refused(422, "proposal.group", **{"set.title": "Nichts"})
    assert "Es ist noch nichts ausgewählt." in page
    assert 'value="Nichts"' in page, "what was typed is still there"


async def test_a_result_is_on_every_screen_until_it_leaves_the_board(evening: Evening) -> None:
    author, (first, _) = await proposes(evening, "1-1", "Mehr Bänke", "Mehr Bäume")
    number = await evening.said("Ein Beitrag")
    moderator = await evening.staff("moderator", "moderation")
    token = await evening.overlay()
    overlay = await evening.person()
    await overlay.watch("output/main", token=token)
    stage = await evening.person(None, "stage")
    screens = ((overlay, "output/main"), (stage, "stage"), (moderator, "moderation"))

    async def shows(text: str | None) -> None:
        for screen, channel in screens:
            await screen.sees(lambda shown, on=channel: (shown[on]["on_air"]["result"] or {"text": None})["text"] == text)  # type: ignore[misc]

    await moderator.do("contribution.approve", contribution=number)
    await moderator.do("contribution.air", contribution=number)
    await moderator.do("proposal.air", card=first)
    await shows("Mehr Bänke")
    await moderator.sees(lambda shown: shown["moderation"][f"contribution/{number}"]["state"] == "answered")
    await author.do("card.withdraw", card=first)
    await shows(None)
    await moderator.do("summary.air", room="1-1", part="open")
    await shows("Wer bezahlt es?")
    await author.do("summary.draft", room="1-1", open="Wer bezahlt es wirklich?")
    await shows(None)
    await author.do("summary.confirm", room="1-1")
    await shows(None)


async def test_who_does_not_lead_the_room_takes_nothing_off_the_board(running: Server) -> None:
    async with Evening(running, await running.event()) as evening:
        moderator = await evening.staff("moderator", "board")
        leader, other = await evening.person(), await evening.person()
        for person in (leader, other):
            await person.do("round.join")
        await moderator.do("round.create", title="Runde", policy="chosen", rooms=[{"name": "Verkehr", "note_taker": "x"}])
        await moderator.do("round.open", round=1)
        await other.do("room.enter", room="1-1")
        await other.do("summary.draft", room="1-1", open="Wo?")
        await moderator.do("summary.confirm", room="1-1")
        page = await (await plain(evening, cookie=other.cookie)).refused(
            403, "summary.draft", "/room/1-1", room="1-1", **{"set.open": "Ich war hier"}
        )
        assert "Ich war hier" in page, "what was typed is shown"
        await moderator.sees(lambda shown: shown["board"]["result/1-1"]["open"] == "Wo?")


async def test_what_nobody_has_confirmed_is_mended_and_confirmed_by_a_moderator_without_a_script(evening: Evening) -> None:
    person = await evening.person()
    await person.do("room.enter", room="1-2")
    card = (await person.do("card.submit", room="1-2", text="Mehr Kreide"))["card"]
    await person.do("card.propose", card=card)
    await person.do("summary.draft", room="1-2", open="Wer bezahl es?")
    moderator = await plain(evening, "moderator")
    assert "doc-summary-1-2" not in await moderator.page("/rooms")
    page = await moderator.sends("round.close", "/rooms", round="1")
    assert "Mehr Kreide" in page
    version = page.partition('name="seen" value="')[2].partition('"')[0]
    other = await plain(evening, "organiser")
    fields = {"room": "1-2", "seen": version, "set.discussed": "", "set.proposed": ""}
    page = await moderator.sends("summary.draft", "/rooms", **fields, **{"set.open": "Wer bezahlt es?"})
    assert "Wer bezahlt es?" in page
    page = await other.refused(422, "summary.draft", "/rooms", **fields, **{"set.open": "Wer zahlt?"})
    assert "Wer zahlt?" in page, "somebody was faster, and nothing is lost"
    page = await other.sends("summary.confirm", "/rooms", room="1-2")
    assert "doc-summary-1-2" not in page
    board = await (await plain(evening)).page()
    assert "Wer bezahlt es?" in board
    assert "Mehr Kreide" in board


async def test_what_is_not_for_the_board_is_put_aside_and_brought_back_without_a_script(evening: Evening) -> None:
    person = await evening.person()
    for room in ("1-1", "1-2"):
        await person.do("room.enter", room=room)
        await person.do("card.submit", room=room, text=f"Nur ein Test in {room}")
        await person.do("room.leave", room=room)
    moderator, other = await plain(evening, "moderator"), await plain(evening, "organiser")
    assert tray(await moderator.sends("round.close", "/rooms", round="1")) == (["1-1", "1-2"], [], "0")
    assert tray(await moderator.sends("summary.set_aside", "/rooms", room="1-1")) == (["1-2"], ["1-1"], "1")
    assert tray(await other.sends("summary.set_aside", "/rooms", room="1-1")) == (["1-2"], ["1-1"], "1"), "it is done already"
    page = await other.sends("summary.set_aside", "/rooms", room="1-2")
    assert tray(page) == ([], ["1-1", "1-2"], "2")
    assert tray(await other.sends("summary.set_aside", "/rooms", room="1-2", on="false")) == (["1-2"], ["1-1"], "1")
    for somebody in (await plain(evening, cookie=person.cookie), await plain(evening, "helper")):
        await somebody.refused(403, "summary.set_aside", "/rooms", room="1-2")
    page = await moderator.refused(422, "summary.set_aside", "/rooms", room="9-9")
    assert tray(page) == (["1-2"], ["1-1"], "1")


def tray(page: str) -> tuple[list[str], list[str], str]:
    """The rooms in the tray, those that are put aside there, and how many it says that these are."""
    _, _, found = page.partition('<section class="tray"')
    shown, _, aside = found.partition('<details class="tray__aside"')
    count = aside.partition("data-shown>")[2].partition("<")[0]
    lists = [re.findall(r'id="doc-summary-([\d-]+)"', part) for part in (shown, aside)]
    return lists[0], lists[1], count


async def test_a_vote_sends_a_number_and_a_move_only_what_has_moved(evening: Evening) -> None:
    home = await evening.person(None, "board")
    await proposes(evening, "1-1", "Mehr Bänke", "Mehr Bäume", "Mehr Bienen")
    # Else what is new might travel with what was new before.
    await home.sees(lambda shown: shown["board"]["proposal/3"])
    moderator = await evening.staff("moderator")
    heard = len(home.heard)
    await (await evening.person()).do("proposal.support", card=2)
    await home.sees(lambda shown: shown["board"]["proposal/2"]["support"] == 1)
    assert [frame["t"] for frame in home.heard[heard:]] == ["count"]
    late = await evening.person(None, "board")
    assert late.documents["board"]["proposal/2"]["support"] == 1
    seen = ":".join(map(str, late.seen["board"]))
    await (await evening.person()).do("proposal.support", card=3)
    answer = await (await evening.browser()).get(f"{evening.api}/channels/board", params={"since": seen})
    assert [(put["key"], put["data"]["support"]) for put in answer.json()["put"]] == [("proposal/3", 1)]

    heard = len(home.heard)
    await moderator.do("proposal.order", card=3, steps=-1)
    await home.sees(lambda shown: shown["board"]["proposal/3"]["order"] < shown["board"]["proposal/2"]["order"])
    put = [put["key"] for frame in home.heard[heard:] if frame["t"] == "docs" for put in frame["put"]]
    assert sorted(put) == ["proposal/2", "proposal/3"]
