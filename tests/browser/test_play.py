"""The evening as people see it: from a thought at home or in the hall to the overlay, on the screens of everybody."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Person, Size
from tests.flow.evening import Evening
from tests.flow.line import Line
from tests.flow.server import PROGRAMME, Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

FAMILY = "👨‍👩‍👧‍👦"


@pytest_asyncio.fixture(loop_scope="session")
async def evening(running: Server, tmp_path: Path) -> AsyncIterator[Evening]:
    """An evening that the organiser has made from a file."""
    file, slug = tmp_path / "evening.toml", f"spiel-{tmp_path.name.strip('_').lower()[-24:]}"
    file.write_text(PROGRAMME.format(slug=slug), "utf-8")
    running.plenum("event", "create", file, "--phase", "live")
    async with Evening(running, slug) as evening:
        yield evening


@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_nothing_moves_under_a_finger_when_the_numbers_come(cast: Cast, evening: Evening, size: Size) -> None:
    home = await cast.home(size)
    numbers = home.page.locator(".presence b")
    await expect(numbers.first).not_to_be_empty()
    top = "document.querySelector('.evening').getBoundingClientRect().top"
    with_numbers = await home.page.evaluate(top)
    await numbers.evaluate_all("all => all.forEach((one) => one.replaceChildren())")
    assert await home.page.evaluate(top) == with_numbers


async def test_signing_in_with_the_link_that_the_command_line_prints(cast: Cast, evening: Evening) -> None:
    printed = evening.server.plenum("link", evening.slug, "moderator", "--url", evening.server.url).strip()
    moderator = await cast.person(Moderator)
    await moderator.page.goto(evening.server.url + urlsplit(printed).path)
    await moderator.page.get_by_role("button", name="Sign in on this device").click()
    await expect(moderator.page).to_have_url(f"{evening.server.url}{evening.page}/moderation")


async def test_a_thought_from_home_reaches_hall_stage_and_overlay(
    home: Participant, moderator: Moderator, hall: Participant, stage: Person, overlay: Person
) -> None:
    await home.writes(FAMILY)
    await expect(home.page.locator("[data-slot=left]")).to_have_text("999")
    await home.writes(f"Benches for families {FAMILY}")
    await home.sends()
    await expect(home.own(1)).to_contain_text("Received. The moderators will read it in a moment.")
    await expect(home.page.get_by_label("What would you like to say?")).to_have_value("")

    await moderator.sees(1, "received")
    await hall.says("More light at the bus stop")
    await moderator.presses("a", 2)
    await expect(hall.voice(2)).to_be_visible()  # an empty list has nobody to disturb
    await moderator.presses("a", 1)
    await expect(home.own(1)).to_contain_text("Published.")
    await expect(hall.voice(1)).not_to_be_attached()
    await hall.page.get_by_role("button", name="1 new").click()
    await expect(hall.voice(1)).to_contain_text("at home")
    await expect(hall.voice(1)).to_be_focused()
    await hall.support(1).click()
    for count in (
        hall.supporters(1),
        home.own(1).locator("[data-count=support]"),
        moderator.card(1).locator("[data-count=support]"),
    ):
        await expect(count).to_have_text("1")

    await moderator.presses("s", 1)
    await expect(home.own(1)).to_contain_text("Chosen.")
    await moderator.presses("l", 1)
    await expect(overlay.page.locator(".lower__text")).to_have_text(f"Benches for families {FAMILY}")
    await expect(overlay.page.locator(".lower__who")).to_contain_text("Idea from home")
    assert await overlay.seen("animations") == ["come"]
    await expect(stage.page.locator(".spoken__text")).to_have_text(f"Benches for families {FAMILY}")
    height = await stage.page.locator(".spoken__text").evaluate("text => parseFloat(getComputedStyle(text).fontSize) / innerHeight")
    assert height > 0.05  # readable from 20 m: 1/20 of the picture's height
    await expect(home.own(1)).to_contain_text("It is your turn!")
    await expect(home.page.locator("#on-air")).to_contain_text("Being discussed now")

    await moderator.presses("e", 1)
    await moderator.card(1).get_by_label("Wording; the original is kept").fill("Benches for families")
    await moderator.card(1).get_by_role("button", name="Save").click()
    await expect(overlay.page.locator(".lower__text")).to_have_text("Benches for families")
    assert await overlay.seen("animations") == ["come"]  # other words, the same contribution
    await moderator.card(1).get_by_text("Original wording").click()
    await expect(moderator.card(1).locator(".card__original p")).to_have_text(f"Benches for families {FAMILY}")

    await moderator.presses("d", 1)
    await expect(overlay.page.locator(".lower")).to_have_count(0)
    assert await overlay.seen("animations") == ["come", "go"]
    await expect(home.own(1)).to_contain_text("Discussed.")
    await expect(stage.page.get_by_role("heading", name="What would you like to say?")).to_be_visible()
    await expect(hall.voice(1).get_by_role("button", name="I support this")).to_have_count(0)


async def test_a_contribution_given_back_with_a_reason_returns_better(home: Participant, moderator: Moderator) -> None:
    await home.says("Everything is bad here")
    await moderator.sees(1, "received")
    await moderator.presses("r", 1)
    await expect(moderator.card(1).get_by_label("Reason, as the author will read it")).to_be_focused()
    await moderator.page.keyboard.type("Please say what should be better.")
    await moderator.card(1).get_by_role("button", name="Give back to the author").click()
    await moderator.sees(1, "returned")

    await expect(home.own(1)).to_contain_text("Please take another look.")
    await expect(home.own(1)).to_contain_text("Please say what should be better.")
    await home.own(1).get_by_label("New text").fill("The pavement in the Ringstraße is broken")
    await home.own(1).get_by_role("button", name="Send the new text").click()
    await expect(home.own(1)).to_contain_text("Received.")
    await moderator.sees(1, "received")
    await expect(moderator.card(1)).to_contain_text("The pavement in the Ringstraße is broken")


async def test_two_moderators_see_what_the_other_does(cast: Cast, evening: Evening, moderator: Moderator) -> None:
    other = await cast.moderator()
    one, two = await evening.said("Free Wi-Fi"), await evening.said("A night bus")
    await moderator.sees(two, "received")
    await moderator.presses("a", one)
    await other.sees(one, "approved")
    await expect(other.page.locator("#received [data-shown]")).to_have_text("1")
    await other.presses("h", two)
    await moderator.sees(two, "hidden")


async def test_the_second_of_two_moderators_is_told_what_the_first_has_done(
    cast: Cast, evening: Evening, moderator: Moderator, line: Line
) -> None:
    slower = await cast.moderator(url=line.url)
    number = await evening.said("Free Wi-Fi")
    await slower.sees(number, "received")
    line.hold()
    await moderator.presses("a", number)
    await moderator.sees(number, "approved")
    await slower.presses("h", number)
    line.release()
    await expect(slower.page.locator("#toasts")).to_contain_text("Somebody was faster: the contribution is now “approved”.")
    await slower.sees(number, "approved")
    await moderator.sees(number, "approved")


async def test_a_moderator_undoes_the_last_step(evening: Evening, moderator: Moderator) -> None:
    one, two = await evening.said("Free Wi-Fi"), await evening.said("A night bus")
    await moderator.sees(two, "received")
    await moderator.presses("a", one)
    await moderator.sees(one, "approved")
    await expect(moderator.card(two)).to_be_focused()  # the next one of the list
    await moderator.page.keyboard.press("u")
    await moderator.sees(one, "received")
    await expect(moderator.card(one)).to_be_focused()


async def test_undo_takes_from_the_air_and_never_puts_on_it(evening: Evening, moderator: Moderator, overlay: Person) -> None:
    number = await evening.said("Free Wi-Fi")
    await moderator.sees(number, "received")
    for key, state in (("a", "approved"), ("l", "on_air"), ("u", "approved")):
        await moderator.presses(key, number)
        await moderator.sees(number, state)
    await expect(overlay.page.locator(".lower")).to_have_count(0)
    for key, state in (("l", "on_air"), ("d", "answered"), ("u", "shortlisted")):
        await moderator.presses(key, number)
        await moderator.sees(number, state)
    await expect(overlay.page.locator(".lower")).to_have_count(0)


async def test_a_helper_enters_what_stands_on_a_card(moderator: Moderator) -> None:
    await moderator.page.keyboard.press("n")
    entry = moderator.page.locator("#entry")
    await expect(entry.get_by_label("Text", exact=True)).to_be_focused()
    await moderator.page.keyboard.type("A tap for drinking water in the park")
    await entry.locator("label.chips__chip", has_text="paper").click()
    await entry.get_by_role("button", name="Enter").click()
    await moderator.sees(1, "received")
    await expect(moderator.card(1)).to_contain_text("on paper")
    await expect(entry.get_by_label("Text", exact=True)).to_have_value("")
    await expect(entry.get_by_label("Text", exact=True)).to_be_focused()  # for the next card of the pile


async def test_each_role_is_offered_what_it_may_do(cast: Cast, home: Participant, moderator: Moderator) -> None:
    await home.says("Benches at the lake")
    await moderator.sees(1, "received")
    operator = await cast.console("operator")
    await expect(operator.card(1)).to_be_visible()
    await expect(operator.card(1).get_by_role("button", name="Approve")).to_be_hidden()
    await operator.presses("a", 1)
    await operator.presses("e", 1)
    await expect(operator.card(1).locator("details[open]")).to_have_count(0)
    await expect(operator.card(1)).to_have_attribute("data-state", "received")

    await moderator.presses("a", 1)
    await expect(operator.card(1)).to_have_attribute("data-state", "approved")
    await operator.presses("l", 1)
    await expect(moderator.card(1)).to_have_attribute("data-state", "on_air")


async def test_two_moderators_see_who_is_at_work_on_what(cast: Cast, home: Participant, moderator: Moderator) -> None:
    await home.says("Benches at the lake")
    await moderator.sees(1, "received")
    other = await cast.console("moderator")
    await other.sees(1, "received")
    note = other.card(1).get_by_text("Somebody else is working on this")
    await expect(note).to_be_hidden()
    await moderator.presses("e", 1)
    await expect(note).to_be_visible()
    await expect(moderator.card(1).get_by_text("Somebody else is working on this")).to_be_hidden()
    await moderator.page.keyboard.press("Escape")
    await expect(note).to_be_hidden()
