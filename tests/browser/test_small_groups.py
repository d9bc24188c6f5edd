"""Small groups, played whole: a moderator and four participants in two rooms, each at a browser of their own, two of them on
phones, from the beginning of a round to the way back to the plenary. The parts have tests of their own; here they work together."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
from playwright.async_api import Browser, Locator, expect

from tests.browser.cast import LAPTOP, PHONE, WITHIN, Cast, Moderator, Participant, Person, Size
from tests.browser.test_access import violations
from tests.flow.evening import Evening
from tests.flow.line import Line
from tests.flow.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NARROW: Size = (360, 740)
CITY, OFFICE = "Digital city", "City administration"
WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


class Round(NamedTuple):
    """Who plays. Anna takes notes and so leads her room; nobody was named to lead the other one, so that both there do."""

    moderator: Moderator
    anna: Participant
    bilal: Participant
    cem: Participant
    dora: Participant

    @property
    def people(self) -> tuple[Participant, ...]:
        """All but the moderator."""
        return self.anna, self.bilal, self.cem, self.dora


async def test_an_evening_in_two_small_groups(cast: Cast, evening: Evening, line: Line) -> None:
    round = await begun(cast, evening, line)
    await two_write_at_once(round)
    await one_writes_without_a_network(round, line)
    await hands_are_raised(round)
    await help_is_called_and_announced(round)
    await all_are_told_something(round)
    await there_is_more_time_for_all(round)
    await cards_are_written_and_proposed(round)
    board = await the_board_fills(cast, round)
    assert await unusable(*round.people, round.moderator, board) == []
    await a_proposal_is_shown(cast, board)
    await all_are_called_back(round, evening)
    assert await unusable(*round.people, round.moderator, board) == []


async def test_cards_that_are_written_without_a_network_come_and_disturb_nobody_who_writes_on(
    cast: Cast, evening: Evening, line: Line
) -> None:
    await opened(evening, CITY, OFFICE)
    anna, bilal = await inside(cast, CITY, PHONE, line.url), await inside(cast, CITY, LAPTOP)
    await anna.loses(line)
    for text in ("Benches at the ring", "Trees at the market"):
        await field(anna).fill(text)
        await anna.page.get_by_role("button", name="Pin it up").click()
        await expect(anna.page.get_by_text("Kept. It is sent as soon as there is a connection.").last).to_be_visible()
        await expect(field(anna)).to_be_empty()
    await field(anna).press_sequentially("Half a th")
    await anna.finds(line)
    await expect(cards(bilal)).to_have_count(2)
    await expect(cards(anna)).to_have_count(2)
    await expect(field(anna)).to_have_value("Half a th")
    await anna.page.reload()
    await expect(field(anna)).to_have_value("Half a th")


async def test_who_is_moved_while_they_are_away_finds_the_new_room_and_what_they_wrote(
    cast: Cast, evening: Evening, line: Line
) -> None:
    staff = await opened(evening, CITY, OFFICE)
    anna, bilal = await inside(cast, CITY, PHONE, line.url), await inside(cast, OFFICE, LAPTOP)
    await anna.loses(line)
    await expect(anna.page.locator("#offline")).to_be_visible()
    await field(anna).fill("Register a move from home")
    await anna.page.get_by_role("button", name="Pin it up").click()
    await expect(field(anna)).to_be_empty()
    await anna.page.get_by_label("Your message").fill("Are you there?")
    await anna.page.keyboard.press("Enter")
    await expect(anna.page.get_by_label("Your message")).to_be_empty()
    [person] = await staff.sees(lambda shown: shown["rooms"]["room/1-1"]["people"])
    await staff.do("room.move", person=person["id"], to="1-2")
    await expect(bilal.page.locator(".inside__people > li")).to_have_count(2)
    await anna.finds(line)
    await expect(anna.page.locator("#seat")).to_contain_text(OFFICE)
    await expect(field(anna)).to_have_value("Register a move from home")
    await expect(anna.page.get_by_label("Your message")).to_have_value("Are you there?")
    assert await unusable(anna) == []
    await anna.page.locator("#seat").get_by_role("button", name="Go in").click()
    await expect(anna.page.get_by_role("heading", name=OFFICE)).to_be_visible()
    await anna.linked()
    await expect(field(anna)).to_have_value("Register a move from home")
    await anna.page.get_by_role("button", name="Pin it up").click()
    await expect(cards(bilal)).to_contain_text("Register a move from home")
    await expect(field(anna)).to_be_empty()


async def test_what_is_half_typed_stands_in_its_own_form_and_in_no_other(cast: Cast, evening: Evening) -> None:
    await opened(evening, CITY, OFFICE)
    anna = await inside(cast, CITY, PHONE)
    await field(anna).press_sequentially("Half a th")
    await anna.page.get_by_label("Your message").press_sequentially("Between us")
    await anna.opens()
    await anna.linked()
    await expect(anna.page.get_by_label("What would you like to say?")).to_have_value("")
    await anna.opens("/room/1-1")
    await expect(field(anna)).to_have_value("Half a th")
    await expect(anna.page.get_by_label("Your message")).to_have_value("Between us")


async def test_a_card_that_is_refused_on_another_page_stands_in_its_form_again(cast: Cast, evening: Evening, line: Line) -> None:
    staff = await opened(evening, CITY, OFFICE)
    anna = await inside(cast, CITY, PHONE, line.url)
    await anna.loses(line)
    await field(anna).fill("Register a move from home")
    await anna.page.get_by_role("button", name="Pin it up").click()
    await expect(field(anna)).to_be_empty()
    [person] = await staff.sees(lambda shown: shown["rooms"]["room/1-1"]["people"])
    await staff.do("room.move", person=person["id"], to="1-2")
    await anna.page.goto("about:blank")
    await anna.finds(line)
    await anna.opens()
    await expect(anna.page.get_by_text("This is not your small group.")).to_be_visible()
    await anna.page.locator("#seat").get_by_role("button", name="Go in").click()
    await expect(anna.page.get_by_role("heading", name=OFFICE)).to_be_visible()
    await expect(field(anna)).to_have_value("Register a move from home")


async def test_more_than_may_be_said_at_once_is_kept_and_comes_by_itself_in_its_order(
    browser: Browser, serve: Callable[..., Server]
) -> None:
    server, refused = serve(say_burst=3, say_rate=2), list[str]()
    said = [f"Message {number}" for number in range(10)]

    def heard(frame: str | bytes) -> None:
        refused.extend(re.findall("too_many", str(frame)))

    async with Evening(server, await server.event()) as evening, Line(server.url) as line, Cast(browser, evening) as cast:
        await opened(evening, CITY)
        anna, bilal = await inside(cast, CITY, PHONE, line.url), await inside(cast, CITY, LAPTOP)
        anna.page.on("websocket", lambda socket: socket.on("framereceived", heard))
        await anna.loses(line)
        for text in said:
            await anna.page.get_by_label("Your message").fill(text)
            await anna.page.keyboard.press("Enter")
            await expect(anna.page.get_by_label("Your message")).to_be_empty()
        for text in ("Benches", "Trees"):
            await field(anna).fill(text)
            await anna.page.get_by_role("button", name="Pin it up").click()
            await expect(field(anna)).to_be_empty()
        await anna.finds(line)
        await expect(cards(bilal)).to_have_count(2)
        await expect(bilal.page.locator("#chat > *")).to_have_count(len(said))
        for place, text in enumerate(said):
            await expect(bilal.page.locator("#chat > *").nth(place)).to_contain_text(text)
        assert len(refused) >= 5, "the control: not all were taken at once"
        cast.assert_no_faults()


async def test_what_is_too_soon_stays_in_its_form(browser: Browser, serve: Callable[..., Server]) -> None:
    server = serve(say_burst=1, say_rate=0.01)
    async with Evening(server, await server.event()) as evening, Cast(browser, evening) as cast:
        await opened(evening, CITY)
        anna = await inside(cast, CITY, NARROW)
        for text in ("Benches", "Trees"):
            await field(anna).fill(text)
            await anna.page.get_by_role("button", name="Pin it up").click()
        await expect(anna.page.get_by_text("That was a lot in a short time.").first).to_be_visible()
        await expect(field(anna)).to_have_value("Trees")
        await expect(cards(anna)).to_have_count(1)
        cast.assert_no_faults()


async def opened(evening: Evening, *rooms: str) -> Any:
    """A moderator who has opened a round in which people choose."""
    staff = await evening.staff("moderator", "rooms")
    await staff.do("round.create", title="First round", policy="chosen", rooms=[{"name": name} for name in rooms])
    await staff.do("round.open", round=1, minutes=20)
    return staff


async def inside(cast: Cast, room: str, size: Size, url: str = "") -> Participant:
    """Somebody in this room."""
    person = await cast.home(size, url=url)
    await person.page.get_by_role("button", name=f"Go in ({room})").click()
    await expect(person.page.get_by_role("heading", name=room)).to_be_visible()
    await person.linked()
    return person


def field(person: Participant) -> Locator:
    """Where cards are written."""
    return person.page.get_by_label("A card: one thought")


async def begun(cast: Cast, evening: Evening, line: Line) -> Round:
    """All are in, and see one another."""
    anna, bilal = await somebody(cast, "Anna", PHONE), await somebody(cast, "Bilal", LAPTOP, line.url)
    cem, dora = await somebody(cast, "Cem", NARROW), await somebody(cast, "Dora", LAPTOP)
    staff = await evening.staff("moderator")
    rooms = [
        {"name": CITY, "question": "What shall be easier in town?", "note_taker": await person_of(evening, anna)},
        {"name": OFFICE, "question": "Which errand shall need no visit?"},
    ]
    await staff.do("round.create", title="First round", policy="chosen", rooms=rooms)
    moderator = await cast.console("moderator")
    await moderator.opens("/rooms")
    await moderator.linked()
    await moderator.page.get_by_role("button", name="Begin").click()
    for person, room in ((anna, CITY), (bilal, CITY), (cem, OFFICE), (dora, OFFICE)):
        await person.page.get_by_role("button", name=f"Go in ({room})").click()
        await expect(person.page.get_by_role("heading", name=room)).to_be_visible()
        await person.linked()
    for people, names in (((anna, bilal), ["Anna takes notes", "Bilal"]), ((cem, dora), ["Cem", "Dora"])):
        for person in people:
            await expect(person.page.locator(".inside__people > li")).to_have_text(names)
    for room in (CITY, OFFICE):
        await expect(group(moderator, room)).to_contain_text("2 here")
    return Round(moderator, anna, bilal, cem, dora)


async def two_write_at_once(round: Round) -> None:
    """Each on a line of their own; nobody in the other room reads it."""
    for person in round.people:
        await person.page.locator("#notes").scroll_into_view_if_needed()
        await is_in(person, "saved")
    await types(round.anna, "Anna: \nBilal: ")
    await expect(notes(round.bilal)).to_contain_text("Bilal:")
    await round.anna.page.keyboard.press("ArrowUp")
    await asyncio.gather(types(round.anna, "shade at the market", at="End"), types(round.bilal, "benches at the ring"))
    for person in (round.anna, round.bilal):
        await expect(notes(person)).to_contain_text("Anna: shade at the market")
        await expect(notes(person)).to_contain_text("Bilal: benches at the ring")
        await is_in(person, "saved")
    for person in (round.cem, round.dora):
        assert await notes(person).inner_text() == "\n"


async def one_writes_without_a_network(round: Round, line: Line) -> None:
    """Both write on; neither sees the other's words until the network is back, and then both see both."""
    await round.bilal.loses(line)
    await is_in(round.bilal, "offline")
    await expect(round.bilal.page.locator("#offline")).to_be_visible()
    await expect(round.anna.page.locator(".inside__people > li", has_text="Bilal")).to_contain_text("away since")
    await asyncio.gather(
        types(round.anna, ", and trees", at="End"), types(round.bilal, ", and somebody who mends them", at="Control+End")
    )
    await is_in(round.anna, "saved")
    assert "mends them" not in await notes(round.anna).inner_text()
    assert "trees" not in await notes(round.bilal).inner_text()
    await round.bilal.finds(line)
    for person in (round.anna, round.bilal):
        await expect(notes(person)).to_contain_text("Anna: shade at the market, and trees")
        await expect(notes(person)).to_contain_text("Bilal: benches at the ring, and somebody who mends them")
        await is_in(person, "saved")
    await expect(round.anna.page.locator(".inside__people > li", has_text="Bilal")).not_to_contain_text("away since")
    await round.bilal.linked(2)


async def hands_are_raised(round: Round) -> None:
    """In one room, and seen there and as a number on the moderators' page only."""
    for person in (round.dora, round.cem):
        await person.page.get_by_role("button", name="Raise hand").click()
        await expect(person.page.get_by_role("button", name="Lower hand", exact=True)).to_be_visible()
    await expect(round.cem.page.locator("#hand-state")).to_have_text("Your hand is raised. Before you: 1")
    await expect(group(round.moderator, OFFICE)).to_contain_text("Hands: 2")
    await round.cem.page.get_by_role("button", name="Give the floor (Dora)").click()
    await expect(round.dora.page.locator("#say")).to_have_text("It is your turn to speak.")
    await expect(round.cem.page.locator("#hand-state")).to_have_text("You are the next to speak.")
    await round.dora.page.get_by_role("button", name="I have finished").click()
    await round.cem.page.get_by_role("button", name="Lower hand", exact=True).click()
    for person in (round.cem, round.dora):
        await expect(person.page.get_by_text("Nobody has raised a hand.")).to_be_visible()
    assert await round.anna.seen("said") == [], "another room's hands are not told"


async def help_is_called_and_announced(round: Round) -> None:
    """Who comes is announced before they are there, and seen as long as they are."""
    moderator, guest = round.moderator.page, "[data-guest]"
    await round.cem.page.get_by_text("We need help", exact=True).click()
    await round.cem.page.get_by_label("What is it about?").fill("We do not agree")
    await round.cem.page.get_by_role("button", name="Call the moderators").click()
    await expect(moderator.locator("#help > li")).to_contain_text(f"{OFFICE}: We do not agree")
    await expect(moderator.locator("#say")).to_have_text(f"{OFFICE} calls for help.")
    await expect(group(round.moderator, OFFICE)).to_have_attribute("data-attention", "help")
    await moderator.get_by_role("button", name=f"I am coming ({OFFICE})").click()
    for person in (round.cem, round.dora):
        await expect(person.page.locator("#help")).to_contain_text("A moderator is coming to help you.")
        await expect(person.page.locator("#say")).to_have_text("A moderator is coming to help you.")
        await expect(person.page.locator(guest)).to_have_count(0)
    await moderator.get_by_role("button", name=f"Go in, announced ({OFFICE})").click()
    await expect(moderator.get_by_role("heading", name=OFFICE)).to_be_visible()
    for person in (round.cem, round.dora):
        await expect(person.page.locator(guest)).to_have_count(1)
        await expect(person.page.locator("#help")).to_contain_text("A moderator is here to help you.")
    await expect(round.anna.page.locator(guest)).to_have_count(0)
    await moderator.get_by_role("button", name="End the visit").click()
    await round.moderator.linked()
    await expect(moderator.locator("#help > li")).to_have_count(0)
    for person in (round.cem, round.dora):
        await expect(person.page.locator(guest)).to_have_count(0)


async def all_are_told_something(round: Round) -> None:
    """And the moderator sees how many have seen it."""
    page = round.moderator.page
    await page.get_by_text("Tell the small groups something").click()
    await page.get_by_label("Announcement", exact=True).fill("Please agree on one proposal")
    await page.get_by_role("button", name="Show it in the small groups").click()
    for person in round.people:
        await expect(person.page.locator(".announcement")).to_contain_text("Please agree on one proposal")
    sent = page.locator("#announcements > li")
    await expect(sent).to_contain_text("seen by 4 of 4")
    await sent.locator("summary").click()
    await expect(sent.get_by_role("listitem")).to_have_text([f"{CITY} 2 / 2", f"{OFFICE} 2 / 2"])


async def there_is_more_time_for_all(round: Round) -> None:
    """One room asks; all rooms get it, and everybody sees the new end."""
    before = await end(round.anna)
    await round.anna.page.get_by_role("button", name="We need more time").click()
    await expect(group(round.moderator, CITY)).to_contain_text("Asked for more time: 1")
    await round.moderator.page.get_by_role("button", name="5 minutes more for all").click()
    for person in round.people:
        await expect(person.page.locator("#room time").first).not_to_have_attribute("datetime", before)
    assert len({await end(person) for person in round.people}) == 1
    await expect(group(round.moderator, CITY)).not_to_contain_text("Asked for more time")
    [ends] = {await group(round.moderator, room).get_attribute("data-ends") for room in (CITY, OFFICE)}
    assert ends == await end(round.anna)


async def cards_are_written_and_proposed(round: Round) -> None:
    """Where somebody leads, they choose what is proposed; else anybody may."""
    await pins_up(round.bilal, "Benches at the ring")
    await pins_up(round.anna, "A map of the shade")
    await expect(cards(round.bilal)).to_have_count(2)
    await cards(round.bilal).nth(1).get_by_role("button", name="I think so too").click()
    await expect(cards(round.anna).nth(1).get_by_role("button", name="I think so too")).to_contain_text("1")
    await expect(round.bilal.page.get_by_role("button", name="Propose to the plenary")).to_have_count(0)
    await cards(round.anna).nth(1).get_by_role("button", name="Propose to the plenary").click()
    await expect(cards(round.bilal).nth(1)).to_contain_text("for the plenary")
    await pins_up(round.dora, "Register a move from home")
    await cards(round.cem).get_by_role("button", name="Propose to the plenary").click()
    await expect(cards(round.dora)).to_contain_text("for the plenary")
    await expect(group(round.moderator, CITY)).to_contain_text("Cards: 2proposed: 1")


async def the_board_fills(cast: Cast, round: Round) -> Moderator:
    """Each summary is drafted by one click, confirmed, and then on the board, which is returned: the moderator's."""
    board, public = await cast.at(Moderator, round.moderator.page.context), await cast.at(Person, round.dora.page.context)
    for person in (board, public):
        await person.opens("/board")
        await person.linked()
    await round.anna.page.get_by_role("button", name="Fill in from our notes and cards").click()
    said = round.bilal.page.get_by_label("What we have talked about")
    await expect(said).to_have_value(
        "– Benches at the ring\n\n"
        "Anna: shade at the market, and trees\nBilal: benches at the ring, and somebody who mends them"
    )
    await expect(round.bilal.page.get_by_label("What we propose")).to_have_value("– A map of the shade")
    await round.bilal.page.get_by_label("What is still open").fill("Who draws it?")
    await round.bilal.page.get_by_label("What is still open").blur()
    await expect(round.anna.page.get_by_label("What is still open")).to_have_value("Who draws it?")
    await expect(round.bilal.page.get_by_role("button", name="Confirm, and onto the board")).to_have_count(0)
    await expect(public.page.locator("#results > article")).to_have_count(0)
    await round.anna.page.get_by_role("button", name="Confirm, and onto the board").click()
    for person in (board, public):
        await expect(person.page.locator("#results > article")).to_contain_text("Who draws it?")
        await expect(person.page.locator("#proposals > article")).to_contain_text(f"{CITY} · First round · No. 2")
    await round.cem.page.get_by_role("button", name="Fill in from our notes and cards").click()
    await round.dora.page.get_by_role("button", name="Confirm, and onto the board").click()
    for person in (board, public):
        await expect(person.page.locator(".proposal__text")).to_have_text(["A map of the shade", "Register a move from home"])
    for room in (CITY, OFFICE):
        await expect(group(round.moderator, room)).to_contain_text("summary on the board")
    return board


async def a_proposal_is_shown(cast: Cast, board: Moderator) -> None:
    """With its origin, in the hall and in the broadcast."""
    stage, overlay = await cast.stage(), await cast.overlay()
    await board.page.get_by_role("button", name="On stage (No. 2)").click()
    for person in (stage, overlay):
        await expect(person.page.locator("#on-air")).to_contain_text("A map of the shade")
        await expect(person.page.locator("#on-air")).to_contain_text(CITY)
    await board.page.get_by_role("button", name=f"On stage ({OFFICE}, What we propose)").click()
    for person in (stage, overlay):
        await expect(person.page.locator("#on-air")).to_contain_text("Register a move from home")
        await expect(person.page.locator("#on-air")).not_to_contain_text("A map of the shade")


async def all_are_called_back(round: Round, evening: Evening) -> None:
    """All see the countdown; at its end the rooms close by themselves, and what was written stays to be read."""
    await round.moderator.page.get_by_role("button", name="Call all back in a minute").click()
    for person in round.people:
        await expect(person.page.get_by_text("All are called back to the plenary at")).to_be_visible()
        await expect(person.page.locator("[data-left]")).to_contain_text("0:")
    await (await evening.staff("moderator")).do("round.recall", round=1, seconds=1)  # nobody waits for a minute here
    for person in round.people:
        await expect(person.page.get_by_text("This small group is over.")).to_be_visible()
        await expect(field(person)).to_be_hidden()
        await is_in(person, "reading")
    await expect(notes(round.bilal)).to_contain_text("Anna: shade at the market, and trees")
    await round.cem.page.get_by_role("link", name="To the plenary").click()
    await expect(round.cem.page).to_have_url(f"{evening.server.url}{evening.page}")
    await round.cem.linked()


async def somebody(cast: Cast, name: str, size: Size, url: str = "") -> Participant:
    """At home, with a name, on the event's page."""
    person = await cast.home(size, url=url)
    await person.page.evaluate(
        "([path, name]) => fetch(path, {method: 'POST', body: new URLSearchParams({name: 'person.join', 'args.name': name})})",
        [f"{cast.evening.page}/do", name],
    )
    return person


async def person_of(evening: Evening, one: Person) -> str:
    """The id of somebody at a browser, by which they are named to lead a room."""
    [cookie] = [cookie.get("value") for cookie in await one.page.context.cookies() if cookie.get("name") == "plenum_person"]
    person = await evening.person(cookie)
    return str(await person.until(lambda client: client.person))


def group(moderator: Moderator, room: str) -> Locator:
    """A room on the moderators' page."""
    return moderator.page.locator("#groups > li", has_text=room)


def notes(person: Participant) -> Locator:
    """The text of the notes."""
    return person.page.get_by_role("textbox", name="Notes of this small group")


def cards(person: Participant) -> Locator:
    """The cards of one's room."""
    return person.page.locator("#cards > li")


async def types(person: Participant, text: str, at: str = "Control+End") -> None:
    """Into the notes, letter by letter, from where this key leads to."""
    await notes(person).focus()
    await person.page.keyboard.press(at)
    await person.page.keyboard.type(text)


async def is_in(person: Participant, state: str) -> None:
    """How it stands with the notes."""
    await expect(person.page.locator("#notes")).to_have_attribute("data-state", state, timeout=2 * WITHIN)


async def pins_up(person: Participant, text: str) -> None:
    """A card, which is there at once and leaves the field empty for the next."""
    await field(person).fill(text)
    await person.page.get_by_role("button", name="Pin it up").click()
    await expect(cards(person).filter(has_text=text)).to_have_count(1)
    await expect(field(person)).to_be_empty()


async def end(person: Participant) -> str:
    """The end of one's room, as its page says."""
    return str(await person.page.locator("#room time").first.get_attribute("datetime"))


async def unusable(*people: Person) -> list[str]:
    """What axe-core objects to on the pages that they see, and which of them run out of their screens."""
    found = [one for person in people for one in await violations(person.page)]
    return found + [f"too wide: {person.page.url}" for person in people if await person.page.evaluate(WIDE) > 0]
