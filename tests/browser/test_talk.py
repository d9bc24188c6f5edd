"""Hands and chat of a small group, at two and more browsers."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Size
from tests.browser.test_access import violations
from tests.browser.test_rooms import prepares
from tests.flow.evening import Evening

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
NARROW: Size = (360, 740)
FOCUSED = """() => {
    const one = document.activeElement;
    if (one === document.body) return ["", "", true];
    const { left, top, width, height } = one.getBoundingClientRect();
    const over = document.elementFromPoint(left + width / 2, top + Math.min(height / 2, 20));
    const name = one.getAttribute("aria-label") || one.innerText || one.id;
    const part = one.closest("#room, #help, section")?.id ?? "";
    return [name || one.tagName, part, Boolean(over && (one.contains(over) || over.contains(one)))];
}"""
"""What has the focus, in which part, and whether nothing lies over it."""


async def begins(cast: Cast, size: Size = LAPTOP) -> Moderator:
    """A moderator who has begun a round in which people choose."""
    moderator = await prepares(cast, size, policy="people choose")
    await moderator.page.get_by_role("button", name="Begin").click()
    return moderator


async def inside(cast: Cast, name: str = "", size: Size = PHONE, **options: Any) -> Participant:
    """Somebody in the first small group."""
    person = await cast.home(size, **options)
    if name:
        await person.page.evaluate(
            "([path, name]) => fetch(path, {method: 'POST', body: new URLSearchParams({name: 'person.join', 'args.name': name})})",
            [f"{cast.evening.page}/do", name],
        )
    await person.page.get_by_role("button", name="Go in (Mobility)").click()
    await expect(person.page.get_by_role("heading", name="Who is here")).to_be_visible()
    await person.linked()
    return person


async def raises(person: Participant) -> None:
    """Presses the button, which is always in reach."""
    await person.page.get_by_role("button", name="Raise hand").click()
    await expect(person.page.get_by_role("button", name="Lower hand", exact=True)).to_be_visible()


async def writes(person: Participant, text: str) -> None:
    """Sends a message with the keyboard alone."""
    await person.page.get_by_label("Your message").fill(text)
    await person.page.keyboard.press("Enter")
    await expect(person.page.get_by_label("Your message")).to_be_empty()


async def test_hands_are_seen_by_all_and_each_is_told_when_it_is_their_turn(cast: Cast, evening: Evening) -> None:
    await begins(cast)
    anna, bilal, cem = [await inside(cast, name) for name in ("Anna", "Bilal", "Cem")]
    await raises(bilal)
    await raises(cem)
    hands = anna.page.locator(".hands__list > li")
    await expect(hands).to_have_count(2)
    await expect(hands.first).to_contain_text("Bilal")
    await expect(bilal.page.locator("#hand-state")).to_have_text("You are the next to speak.")
    await expect(cem.page.locator("#hand-state")).to_have_text("Your hand is raised. Before you: 1")

    # Nobody was named to lead, so that everybody does.
    await anna.page.get_by_role("button", name="Give the floor (Bilal)").click()
    await expect(bilal.page.locator("#hand-state")).to_have_text("It is your turn to speak.")
    await expect(bilal.page.locator("#say")).to_have_text("It is your turn to speak.")
    await expect(cem.page.locator("#say")).to_have_text("You are the next to speak.")
    await expect(anna.page.locator(".hands__now")).to_contain_text("Bilal has the floor")
    assert await anna.page.evaluate("document.activeElement.id") == "hands-title", "the button has gone with the hand"

    await bilal.page.get_by_role("button", name="I have finished").click()
    await expect(anna.page.locator(".hands__now")).to_have_count(0)
    await expect(bilal.page.get_by_role("button", name="Raise hand")).to_be_visible()
    await cem.page.get_by_role("button", name="Lower hand", exact=True).click()
    await expect(anna.page.get_by_text("Nobody has raised a hand.")).to_be_visible()


async def test_who_drops_out_and_comes_back_has_the_same_place(cast: Cast, evening: Evening) -> None:
    await begins(cast)
    anna, bilal, cem = [await inside(cast, name) for name in ("Anna", "Bilal", "Cem")]
    await raises(bilal)
    await raises(cem)
    address = bilal.page.url
    await bilal.page.goto("about:blank")
    hands = anna.page.locator(".hands__list > li")
    await expect(hands.first).to_contain_text("away just now")
    await expect(cem.page.locator("#hand-state")).to_have_text("You are the next to speak.")
    await bilal.page.goto(address)
    await bilal.linked()
    await expect(hands.first).not_to_contain_text("away just now")
    await expect(bilal.page.get_by_role("button", name="Lower hand", exact=True)).to_be_visible()
    await expect(bilal.page.locator("#hand-state")).to_have_text("You are the next to speak.")


async def test_what_is_written_comes_to_the_others_and_goes_when_it_is_taken_back(cast: Cast, evening: Evening) -> None:
    moderator = await begins(cast)
    anna, bilal = await inside(cast, "Anna"), await inside(cast)
    await writes(anna, "<b>Hello</b> everybody")
    said = bilal.page.locator("#chat > .message")
    await expect(said).to_contain_text("<b>Hello</b> everybody")
    await expect(said).to_contain_text("Anna")
    await expect(bilal.page.locator("[data-unread]")).to_have_text("1")
    await bilal.page.get_by_role("link", name="Chat").click()
    await expect(bilal.page.locator("[data-unread]")).to_be_hidden()
    await writes(bilal, "Hello Anna")
    await expect(anna.page.locator("#chat > .message").last).to_contain_text("Guest 2")

    # Moderators read and remove what everybody sees them read: only when they visit.
    await moderator.opens("/room/1-1")
    await expect(moderator.page.locator("#chat")).to_have_count(0)
    await moderator.opens("/rooms")
    await moderator.page.get_by_role("button", name="Visit (Mobility)").click()
    await expect(anna.page.get_by_text("visits", exact=True)).to_be_visible()
    await expect(moderator.page.locator("#chat > .message")).to_have_count(2)
    await moderator.linked()
    await moderator.page.locator("#chat > .message").last.get_by_role("button", name="Remove this message").click()
    await expect(anna.page.get_by_text("A message was removed by who leads the group.")).to_be_visible()

    await anna.page.get_by_role("button", name="Remove this message").first.click()
    await expect(bilal.page.get_by_text("A message was taken back.")).to_be_visible()
    await expect(bilal.page.get_by_text("everybody")).to_have_count(0)


async def test_what_is_typed_outlives_a_reload_and_a_lost_network(cast: Cast, evening: Evening) -> None:
    await begins(cast)
    anna, bilal = await inside(cast), await inside(cast)
    await anna.page.get_by_label("Your message").fill("Half a thought")
    await anna.page.reload()
    await anna.linked()
    await expect(anna.page.get_by_label("Your message")).to_have_value("Half a thought")
    anna.in_trouble = True
    await anna.page.context.set_offline(True)
    await expect(anna.page.locator("#offline")).to_be_visible()
    await writes(anna, "Are you there?")
    await expect(anna.page.get_by_text("Your message is sent when it is back.").first).to_be_visible()
    await anna.page.context.set_offline(False)
    await expect(bilal.page.locator("#chat > .message")).to_have_count(1)
    await expect(bilal.page.locator("#chat > .message")).to_contain_text("Are you there?")


async def test_who_reads_back_in_the_chat_is_left_there(cast: Cast, evening: Evening) -> None:
    await begins(cast)
    anna, bilal = await inside(cast), await inside(cast)
    for number in range(20):
        await writes(anna, f"Message {number}")
    await expect(bilal.page.locator("#chat > .message")).to_have_count(20)
    await bilal.page.get_by_role("link", name="Chat").click()
    log = bilal.page.locator("#chat")
    assert await log.evaluate("log => log.scrollHeight - log.scrollTop - log.clientHeight < 40"), "the newest is seen first"
    await log.evaluate("log => log.scrollTo(0, 0)")
    await writes(anna, "The newest")
    await expect(bilal.page.get_by_role("button", name="To the new messages")).to_be_visible()
    assert await log.evaluate("log => log.scrollTop") == 0
    await bilal.page.get_by_role("button", name="To the new messages").click()
    await expect(bilal.page.get_by_role("button", name="To the new messages")).to_be_hidden()
    await expect(log.get_by_text("The newest")).to_be_in_viewport()


async def test_moderators_see_where_something_moves(cast: Cast, evening: Evening) -> None:
    moderator = await begins(cast)
    anna = await inside(cast)
    group = moderator.page.locator("#groups > li", has_text="Mobility")
    await expect(group.locator("[data-count=active]")).to_have_text("0")
    await writes(anna, "Hello?")
    await raises(anna)
    await expect(group).to_contain_text("Hands: 1")
    await expect(group.locator("[data-count=active]")).not_to_have_text("0")


async def test_when_it_is_over_nobody_can_write_or_raise_a_hand(cast: Cast, evening: Evening) -> None:
    moderator = await begins(cast)
    anna, bilal = await inside(cast), await inside(cast)
    await raises(anna)
    await anna.page.get_by_label("A card: one thought").fill("Benches at the ring")
    await anna.page.get_by_role("button", name="Pin it up").click()
    support, change = bilal.page.get_by_role("button", name="I think so too"), anna.page.locator("#cards > li summary")
    await support.click()
    await moderator.page.locator("summary", has_text="More (Mobility)").click()
    await moderator.page.get_by_role("button", name="Close (Mobility)").click()
    await expect(anna.page.get_by_text("This small group is over.")).to_be_visible()
    await expect(anna.page.get_by_label("Your message")).to_be_hidden()
    await expect(anna.page.locator("[data-hand]")).to_be_hidden()
    await expect(anna.page.get_by_role("heading", name="Speaker list")).to_be_hidden()
    await expect(bilal.page.get_by_role("heading", name="Who was here")).to_be_visible()
    await expect(support).to_be_disabled()
    await expect(support).to_contain_text("1")
    # Who leads may still put a card aside, and where nobody was named everybody leads; but its words are its author's.
    await bilal.page.locator("#cards > li summary").click()
    await expect(bilal.page.get_by_role("button", name="Put it aside")).to_be_visible()
    for control in (bilal.page.get_by_label("New text"), bilal.page.get_by_role("button", name="Take it back for good")):
        await expect(control).to_be_hidden()
    await change.click()
    await expect(anna.page.get_by_label("New text")).to_be_hidden()
    await anna.page.get_by_role("button", name="Take it back for good").click()
    await expect(bilal.page.locator("#cards > li")).to_have_count(0)


@pytest.mark.parametrize("size", [NARROW, LAPTOP], ids=["narrow", "laptop"])
async def test_axe_finds_nothing_and_the_hand_is_always_in_reach(cast: Cast, evening: Evening, size: Size) -> None:
    moderator = await begins(cast, size)
    anna, bilal = await inside(cast, "Anna", size), await inside(cast, size=size)
    for person in (bilal, anna):
        await raises(person)
    await writes(bilal, "Hello everybody, I think we should begin with the benches at the ring")
    await writes(anna, "Gladly")
    await anna.page.get_by_role("button", name="Give the floor (Guest 2)").click()
    await expect(anna.page.locator(".hands__now")).to_contain_text("Guest 2")
    found = await violations(anna.page) + await violations(moderator.page)
    assert found == []
    hand = anna.page.locator("[data-hand]")
    for place in (0, 10_000):
        await anna.page.evaluate("y => scrollTo(0, y)", place)
        await expect(hand).to_be_in_viewport(ratio=1)
    for button in await anna.page.locator("#part-hands button, #part-chat button, .dock :is(a, button)").all():
        if await button.is_visible():
            box = await button.bounding_box()
            assert box is not None
            assert box["height"] >= 44, await button.inner_text()
    for page in (anna.page, moderator.page):
        overflow = await page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0


async def test_on_a_phone_the_parts_are_in_their_order_and_the_dock_hides_nothing_that_has_the_focus(cast: Cast) -> None:
    """WCAG 2.2, 1.3.2, 2.4.3 and 2.4.11."""
    await begins(cast)
    await (await cast.evening.staff("organiser")).do("announcement.send", text="Ten minutes are left")
    anna, bilal = await inside(cast, "Anna", NARROW, reduced_motion="reduce"), await inside(cast)
    await raises(bilal)
    await anna.page.get_by_label("A card: one thought").fill("Benches at the ring")
    await anna.page.get_by_role("button", name="Pin it up").click()
    await expect(anna.page.locator("#cards > li")).to_have_count(1)
    parts = (".announcement", "#room", "#help", "#part-hands", "#part-cards", "#notes", "#summary", "#part-chat")
    tops = [await anna.page.locator(part).first.evaluate("part => part.getBoundingClientRect().top") for part in parts]
    assert tops == sorted(tops)
    await expect(anna.page.get_by_role("link", name="Chat")).to_be_in_viewport(ratio=1)

    await anna.page.evaluate("scrollTo(0, 0)")
    await anna.page.locator(".skip").focus()
    met, hidden = set(), []
    for _ in range(80):
        await anna.page.keyboard.press("Tab")
        name, part, seen = await anna.page.evaluate(FOCUSED)
        if not name:
            break
        met.add(part)
        if not seen:
            hidden.append(name)
    assert hidden == []
    assert {"room", "help", "part-hands", "part-cards", "notes", "part-chat"} <= met
