"""Help and announcements as people see them: a call, who is coming, and what everybody is told."""

from __future__ import annotations

import asyncio

import pytest
from playwright.async_api import expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Person, Size
from tests.browser.test_access import violations
from tests.browser.test_rooms import prepares
from tests.flow.evening import Evening

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

VISIT_ENDS = 45_000
"""Milliseconds. The round below holds a seat for ten seconds, and a visit no longer."""
HIDE = """hidden => {
    Object.defineProperty(document, "visibilityState", {value: hidden ? "hidden" : "visible", configurable: true});
    document.dispatchEvent(new Event("visibilitychange"));
}"""


async def begins(cast: Cast, size: Size = LAPTOP) -> Moderator:
    """A moderator at all rooms of a round that is open."""
    moderator = await prepares(cast, size, policy="people choose")
    await moderator.page.get_by_role("button", name="Begin").click()
    return moderator


async def inside(cast: Cast, room: str = "Mobility", size: Size = PHONE) -> Participant:
    """Somebody in a room."""
    person = await cast.home(size)
    await person.page.get_by_role("button", name=f"Go in ({room})").click()
    await expect(person.page.get_by_role("heading", name=room)).to_be_visible()
    await person.linked()
    return person


async def calls(person: Participant, why: str = "The sound is gone") -> None:
    """Calls for help."""
    await person.page.get_by_text("We need help", exact=True).click()
    await person.page.get_by_label("What is it about?").fill(why)
    await person.page.get_by_role("button", name="Call the moderators").click()
    await expect(person.page.get_by_text("You have called for help; somebody will come.")).to_be_visible()


async def tells(moderator: Moderator, text: str, *rooms: str) -> None:
    """Tells all rooms something, or some."""
    await moderator.page.get_by_text("Tell the small groups something").click()
    await moderator.page.get_by_label("Announcement", exact=True).fill(text)
    if rooms:
        await moderator.page.get_by_text("Only to some of them").click()
    for room in rooms:
        await moderator.page.get_by_label(room, exact=True).check()
    await moderator.page.get_by_role("button", name="Show it in the small groups").click()
    await expect(moderator.page.locator("#announcements > li").first).to_contain_text(text)


async def overflow(*people: Person) -> list[int]:
    """How far each page runs out of its screen, in CSS pixels."""
    width = "document.documentElement.scrollWidth - document.documentElement.clientWidth"
    return [int(await person.page.evaluate(width)) for person in people]


async def test_help_is_called_claimed_announced_and_there(cast: Cast) -> None:
    moderator = await begins(cast)
    other = await cast.console("organiser")
    await other.opens("/rooms")
    await other.linked()
    anna = await inside(cast)
    await calls(anna)
    line = moderator.page.locator("#help > li")
    await expect(line).to_contain_text("The sound is gone")
    await expect(line).to_contain_text("(0 min)")
    await expect(moderator.page.locator("#say")).to_have_text("Mobility calls for help.")
    await expect(moderator.page).to_have_title("(1) Small groups: Digitalisation in Castrop-Rauxel – Plenum")
    card = moderator.page.locator("#groups > li", has_text="Mobility")
    await expect(card).to_have_attribute("data-attention", "help")
    await moderator.page.get_by_label("Only those that need attention").check()
    # Nobody is in the other one, which needs attention too.
    await expect(moderator.page.locator("#groups > li").filter(visible=True)).to_have_count(2)

    await moderator.page.get_by_role("button", name="I am coming (Mobility)").click()
    await expect(anna.page.locator("#help")).to_contain_text("A moderator is coming to help you.")
    await expect(anna.page.locator("#say")).to_have_text("A moderator is coming to help you.")
    await expect(anna.page.locator("[data-guest]")).to_have_count(0)
    await expect(line).to_contain_text("this is you")
    await expect(other.page.locator("#help > li")).to_contain_text("A moderator is coming")
    await expect(other.page.get_by_text("this is you")).to_be_hidden()
    await expect(moderator.page).to_have_title("Small groups: Digitalisation in Castrop-Rauxel – Plenum")

    await moderator.page.get_by_role("button", name="Go in, announced (Mobility)").click()
    await expect(moderator.page.get_by_role("heading", name="Our suggestions")).to_be_visible()
    await expect(anna.page.locator("[data-guest]")).to_have_count(1)
    await expect(anna.page.locator("#say")).to_have_text("somebody of the team visits you now.")
    await expect(anna.page.locator("#help")).to_contain_text("A moderator is here to help you.")
    await moderator.page.get_by_role("button", name="End the visit").click()
    await expect(moderator.page.get_by_role("heading", name="All small groups")).to_be_visible()
    await expect(moderator.page.get_by_role("heading", name="They call for help")).to_be_hidden()
    await expect(anna.page.get_by_text("We need help", exact=True)).to_be_visible()
    await expect(anna.page.locator("[data-guest]")).to_have_count(0)


@pytest.mark.parametrize("size", [(360, 740), LAPTOP], ids=["phone", "laptop"])
async def test_who_is_at_the_console_notices_a_call_and_goes_to_the_queue(cast: Cast, size: Size) -> None:
    moderator = await begins(cast, size)
    console, helper = await cast.console("moderator", size), await cast.console("helper", size)
    line, title = console.page.locator("#calls"), "Moderation: Digitalisation in Castrop-Rauxel – Plenum"
    await expect(line).to_be_hidden()
    anna, bilal = await inside(cast), await inside(cast, "Schools")
    await calls(anna)
    await expect(line).to_contain_text("A small group calls for help: Mobility waiting since")
    await expect(line).to_contain_text("(0 min)")
    await expect(console.page.locator("#say")).to_have_text("Mobility calls for help.")
    await expect(console.page).to_have_title(f"(1) {title}")
    await calls(bilal)
    await expect(line).to_contain_text("2 small groups call for help: Mobility, Schools the longest since")
    await expect(console.page.locator("#say")).to_have_text("Schools calls for help.")
    await expect(console.page).to_have_title(f"(2) {title}")
    assert await violations(console.page) == []
    assert await overflow(console) == [0]
    await expect(helper.page.locator("#calls")).to_have_count(0)
    await expect(helper.page).to_have_title(title)
    await expect(helper.page.locator("#say")).to_be_empty()

    await line.get_by_role("link").focus()
    await moderator.page.get_by_role("button", name="I am coming (Mobility)").click()
    await expect(line).to_contain_text("A small group calls for help: Schools")
    await expect(line.get_by_role("link")).to_be_focused()
    await moderator.page.get_by_role("button", name="Back into the queue (Mobility)").click()
    await expect(console.page.locator("#say")).to_have_text("Mobility calls for help.")
    for room in ("Mobility", "Schools"):
        await moderator.page.get_by_role("button", name=f"I am coming ({room})").click()
    await expect(line).to_be_hidden()
    await expect(console.page).to_have_title(title)
    await expect(console.page.locator("#main")).to_be_focused()

    await moderator.page.get_by_role("button", name="Back into the queue (Mobility)").click()
    await line.get_by_role("link").click()
    await expect(console.page.get_by_role("heading", name="They call for help")).to_be_in_viewport()


async def test_what_is_typed_stays_while_the_call_changes_and_the_room_takes_it_back(cast: Cast) -> None:
    moderator = await begins(cast)
    anna, bilal = await inside(cast), await inside(cast)
    await calls(anna, "")
    await bilal.page.get_by_text("Say more").click()
    field = bilal.page.get_by_label("What is it about?")
    await field.fill("We do not agree")
    await moderator.page.get_by_role("button", name="I am coming (Mobility)").click()
    await expect(bilal.page.locator("#help")).to_contain_text("is coming to help you.")
    await expect(field).to_have_value("We do not agree")
    await bilal.page.get_by_role("button", name="Call the moderators").click()
    await expect(moderator.page.locator("#help > li")).to_contain_text("We do not agree")
    await expect(moderator.page.locator("#help > li")).to_contain_text("called by 2")
    await anna.page.get_by_role("button", name="We do not need help any more").click()
    await expect(moderator.page.locator("#help > li")).to_have_count(0)


async def test_a_visitor_whose_browser_dies_is_gone_and_the_room_waits_for_help_again(cast: Cast, evening: Evening) -> None:
    organiser = await evening.staff("organiser")
    rooms = [{"name": "Mobility"}, {"name": "Schools"}]
    await organiser.do("round.create", title="First round", policy="chosen", rooms=rooms, hold=10)
    await organiser.do("round.open", round=1, minutes=20)
    anna, console, moderator = await inside(cast, size=(360, 740)), await cast.console("organiser"), await cast.moderator()
    await calls(anna)
    await moderator.opens("/rooms")
    await moderator.linked()
    await moderator.page.get_by_role("button", name="I am coming (Mobility)").click()
    await moderator.page.get_by_role("button", name="Go in, announced (Mobility)").click()
    await expect(anna.page.locator("#help")).to_contain_text("A moderator is here to help you.")
    await moderator.linked()
    await expect(console.page.locator("#calls")).to_be_hidden()

    inspector = await moderator.page.context.new_cdp_session(moderator.page)
    async with moderator.page.expect_event("crash"), asyncio.TaskGroup() as crash:
        dying = crash.create_task(inspector.send("Page.crash"))
        await moderator.page.wait_for_event("crash")
        dying.cancel()
    await expect(anna.page.locator("[data-guest]")).to_have_count(0, timeout=VISIT_ENDS)
    await expect(anna.page.get_by_text("You have called for help; somebody will come.")).to_be_visible()
    assert await violations(anna.page) == []
    await expect(console.page.locator("#say")).to_have_text("Mobility calls for help.")

    again = await cast.at(Moderator, moderator.page.context)
    await again.opens("/room/1-1")
    await expect(again.page.get_by_text("Nobody comes unannounced")).to_be_visible()


async def test_an_announcement_counts_when_it_was_really_on_a_screen(cast: Cast) -> None:
    moderator = await begins(cast)
    anna, bilal = await inside(cast), await inside(cast, "Schools")
    await bilal.page.evaluate(HIDE, True)
    await tells(moderator, "Ten minutes are left")
    await expect(anna.page.locator(".announcement")).to_contain_text("Ten minutes are left")
    await expect(anna.page.locator("#say")).to_have_text("Ten minutes are left")
    sent = moderator.page.locator("#announcements > li").first
    await expect(sent).to_contain_text("seen by 1 of 2")
    await expect(bilal.page.locator(".announcement")).to_contain_text("Ten minutes are left")
    await expect(bilal.page.locator("#say")).to_be_empty()

    await bilal.page.evaluate("scrollTo(0, document.body.scrollHeight)")
    await bilal.page.evaluate(HIDE, False)
    await expect(bilal.page.locator(".toast")).to_contain_text("Ten minutes are left")
    await expect(sent).to_contain_text("seen by 2 of 2")
    await sent.locator("summary").click()
    await expect(sent.get_by_role("listitem")).to_have_text(["Mobility 1 / 1", "Schools 1 / 1"])
    await expect(anna.page.get_by_role("button", name="I have seen it")).to_be_hidden()

    await moderator.page.get_by_role("button", name="Take it back from all screens").click()
    await expect(anna.page.locator(".announcement")).to_have_count(0)
    await expect(anna.page.locator(".announcements")).to_be_hidden()
    await expect(sent).to_have_count(0)


async def test_some_rooms_are_told_and_others_are_not(cast: Cast) -> None:
    moderator = await begins(cast)
    anna, bilal = await inside(cast), await inside(cast, "Schools")
    await tells(moderator, "Your question is the one of last year", "Schools")
    await expect(bilal.page.locator(".announcement")).to_have_count(1)
    await expect(moderator.page.locator("#announcements > li")).to_contain_text("seen by 1 of 1")
    await tells(moderator, "Ten minutes are left")
    await expect(bilal.page.locator(".announcement")).to_have_count(2)
    await expect(bilal.page.locator(".announcement").first).to_contain_text("Ten minutes are left")
    await expect(anna.page.locator(".announcement [data-said]")).to_have_text(["Ten minutes are left"])


@pytest.mark.parametrize("size", [(360, 740), LAPTOP], ids=["phone", "laptop"])
async def test_axe_finds_nothing_where_help_is_called_and_something_is_told(cast: Cast, size: Size) -> None:
    moderator = await begins(cast, size)
    anna, bilal = await inside(cast, size=size), await inside(cast, "Schools", size)
    await calls(anna)
    await calls(bilal, "Long" * 30)
    await tells(moderator, "Ten minutes are left " + "and " * 20, "Mobility")
    await tells(moderator, "Please choose who speaks")
    await moderator.page.get_by_role("button", name="I am coming (Mobility)").click()
    for summary in (".tell__form", ".sent__more >> nth=0", ".group__more >> nth=0"):
        await moderator.page.locator(f"{summary} >> summary >> nth=0").click()
    await anna.page.get_by_text("Say more").click()
    await expect(anna.page.locator("#help")).to_contain_text("is coming to help you.")
    found = await violations(moderator.page) + await violations(anna.page) + await violations(bilal.page)
    assert found == []
    assert max(await overflow(moderator, anna, bilal)) <= 0
