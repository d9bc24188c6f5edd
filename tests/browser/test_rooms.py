"""Small groups as people see them: where they belong, who is in the room, how much time is left, and the way back."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from playwright.async_api import expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Size
from tests.browser.test_access import violations
from tests.flow.evening import Evening

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]


async def prepares(cast: Cast, size: Size = LAPTOP, policy: str = "we assign people") -> Moderator:
    """A moderator who has prepared a round of two small groups."""
    moderator = await cast.console("moderator", size)
    await moderator.opens("/rooms")
    await moderator.page.get_by_text("Prepare a round").click()
    await moderator.page.get_by_label("Title").fill("First round")
    await moderator.page.get_by_label("Who goes where?").select_option(policy)
    await moderator.page.get_by_label("Small groups, one on each line").fill("Mobility: How do we get to work?\nSchools")
    await moderator.page.get_by_role("button", name="Prepare", exact=True).click()
    await expect(moderator.page.locator("#groups > li")).to_have_count(2)
    await moderator.linked()
    return moderator


async def takes_part(cast: Cast) -> Participant:
    """Somebody at home who wants to be in a small group."""
    person = await cast.home()
    await person.page.get_by_role("button", name="I want to take part in a small group").click()
    await expect(person.page.get_by_text("You take part in the small groups.")).to_be_visible()
    await expect(person.page.get_by_role("button", name="I want to take part in a small group")).to_be_hidden()
    return person


async def goes_in(person: Participant) -> None:
    """Follows the call."""
    await person.page.locator("#seat").get_by_role("button", name="Go in").click()
    await expect(person.page.get_by_role("heading", name="Who is here")).to_be_visible()
    await person.linked()


async def test_a_round_from_the_call_to_the_way_back(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast)
    people = [await takes_part(cast) for _ in range(2)]
    await moderator.page.get_by_role("button", name="Assign everybody who takes part").click()
    await expect(people[0].page.get_by_text("It begins soon; this page tells you.")).to_be_visible()
    await moderator.page.get_by_role("button", name="Begin").click()
    for person in people:
        await expect(person.page.get_by_text("Your small group has begun:")).to_be_visible()
        await goes_in(person)
    here = people[0].page.locator(".inside__people > li")
    await expect(here).to_have_count(1)  # balanced: each has one
    await expect(people[0].page.locator("[data-left]")).to_contain_text(":")

    await people[0].page.get_by_role("button", name="We need more time").click()
    asks = moderator.page.locator("#groups > li", has_text="Asked for more time: 1")
    await expect(asks).to_have_count(1)
    before = await people[0].page.locator("time").first.get_attribute("datetime")
    await asks.get_by_role("button", name="5 minutes more").click()
    await expect(people[0].page.locator("time").first).not_to_have_attribute("datetime", str(before))

    await moderator.page.get_by_role("button", name="Call all back in a minute").click()
    for person in people:
        await expect(person.page.get_by_text("All are called back to the plenary at")).to_be_visible()
    for close in ("Mobility", "Schools"):
        await moderator.page.locator("summary", has_text=f"More ({close})").click()
        await moderator.page.get_by_role("button", name=f"Close ({close})").click()
    for person in people:
        await expect(person.page.get_by_text("This small group is over.")).to_be_visible()
    await people[0].page.get_by_role("link", name="To the plenary").click()
    await expect(people[0].page).to_have_url(f"{evening.server.url}{evening.page}")


async def test_who_may_choose_sees_the_seats_and_a_visitor_is_announced(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast, policy="people choose")
    await moderator.page.get_by_role("button", name="Begin").click()
    home = await cast.home()
    await home.page.get_by_role("button", name="Go in (Mobility)").click()
    await expect(home.page.get_by_role("heading", name="Mobility")).to_be_visible()
    await expect(home.page.get_by_text("How do we get to work?")).to_be_visible()
    await home.linked()
    organiser = await evening.staff("organiser")
    await organiser.do("room.enter", room="1-1")
    await expect(home.page.get_by_text("visits", exact=True)).to_be_visible()
    await expect(home.page.locator("#say")).to_have_text("somebody of the team visits you now.")
    await organiser.do("room.leave", room="1-1")
    await expect(home.page.get_by_text("visits", exact=True)).to_have_count(0)
    await home.page.get_by_role("button", name="Leave this small group").click()
    await expect(home.page.get_by_role("button", name="Go in (Schools)")).to_be_visible()


async def test_the_time_left_is_told_once_and_calmly(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast, policy="people choose")
    await moderator.page.get_by_label("Minutes").fill("6")
    await moderator.page.get_by_role("button", name="Begin").click()
    home = await cast.home()
    await home.page.get_by_role("button", name="Go in (Mobility)").click()
    await expect(home.page.get_by_role("heading", name="Mobility")).to_be_visible()
    await home.linked()  # who comes when four minutes are left is not told of the fifth
    say = home.page.locator("#say")
    begun = int(await home.page.evaluate("Date.now()"))
    # The clock jumps; the timers of the page go on as they are.
    for passed, words in ((62_000, "Five minutes are left."), (244_000, "Two minutes are left.")):
        await home.page.clock.set_system_time(datetime.fromtimestamp((begun + passed) / 1000, UTC))
        await expect(say).to_have_text(words)


@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_axe_finds_nothing_in_the_small_groups(cast: Cast, evening: Evening, size: Size) -> None:
    moderator = await prepares(cast, size, policy="people choose")
    found = await violations(moderator.page)
    home = await cast.home(size)
    found += await violations(home.page)
    await moderator.page.get_by_role("button", name="Begin").click()
    await home.page.get_by_role("button", name="Go in (Mobility)").click()
    await expect(home.page.get_by_role("heading", name="Mobility")).to_be_visible()
    found += await violations(home.page) + await violations(moderator.page)
    for person in (home, moderator):
        overflow = await person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0
    assert found == []


async def test_materials_are_read_and_cards_put_in_order(cast: Cast, evening: Evening) -> None:
    moderator = await evening.staff("moderator")
    materials = "The plan: https://example.org/plan.\nNot <b>this</b>: javascript:alert(1)"
    await moderator.do("round.create", title="Round", policy="chosen", rooms=[{"name": "Mobility", "materials": materials}])
    await moderator.do("round.open", round=1, minutes=20)
    anna, bilal = await cast.home(PHONE), await cast.home(LAPTOP)
    for person in (anna, bilal):
        await person.page.get_by_role("button", name="Go in (Mobility)").click()
        await person.linked()
    text = anna.page.locator(".inside__materials")
    await expect(text).to_have_text(materials)
    links = text.get_by_role("link")
    await expect(links).to_have_count(1)
    await expect(links).to_have_attribute("href", "https://example.org/plan")
    assert "noopener" in (await links.get_attribute("rel") or "")
    assert not any("example.org" in url for url in anna.asked), "nothing is asked of others before somebody wants it"

    cards = bilal.page.locator("#cards .idea-card__text")
    for words in ("First thought", "Second thought", "Third thought"):
        await anna.page.get_by_label("A card: one thought").fill(words)
        await anna.page.get_by_role("button", name="Pin it up").click()
        await expect(cards.last).to_have_text(words)
    up = anna.page.get_by_role("button", name="Up (No. 3)")
    await up.focus()
    await anna.page.keyboard.press("Enter")
    await expect(cards).to_have_text(["First thought", "Third thought", "Second thought"])
    await expect(anna.page.locator("#cards .idea-card__text")).to_have_text(["First thought", "Third thought", "Second thought"])
    await expect(up).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await expect(cards).to_have_text(["Third thought", "First thought", "Second thought"])
    assert await violations(anna.page) == []


async def test_what_is_put_aside_lies_below_for_everybody_and_is_brought_back(cast: Cast, evening: Evening) -> None:
    moderator = await evening.staff("moderator")
    await moderator.do("round.create", title="Round", policy="chosen", rooms=[{"name": "Mobility"}])
    await moderator.do("round.open", round=1, minutes=20)
    anna, bilal = await cast.home(PHONE), await cast.home(LAPTOP)
    for person in (anna, bilal):
        await person.page.get_by_role("button", name="Go in (Mobility)").click()
        await person.linked()
    cards = bilal.page.locator("#cards .idea-card__text")
    for words in ("First thought", "Nonsense", "Third thought"):
        await anna.page.get_by_label("A card: one thought").fill(words)
        await anna.page.get_by_role("button", name="Pin it up").click()
        await expect(cards.last).to_have_text(words)
    folded = bilal.page.locator("#part-cards > .tray__aside")
    await expect(folded).to_be_hidden()
    await anna.page.set_viewport_size({"width": 320, "height": 640})
    await anna.page.locator("#cards > li").nth(1).locator("summary").click()
    beyond = "[...document.querySelectorAll('.idea-card')].filter((card) => card.scrollWidth > card.clientWidth).length"
    assert await anna.page.evaluate(beyond) == 0, "what does not fit into a card is cut off there"
    await anna.page.get_by_role("button", name="Put it aside (No. 2)").click()
    for person in (anna, bilal):
        await expect(person.page.locator("#cards .idea-card__text")).to_have_text(["First thought", "Third thought"])
        await expect(person.page.get_by_text("Put aside (1)")).to_be_visible()
    await expect(anna.page.locator("#cards > li").last).to_be_focused()
    assert await violations(anna.page) == []
    await folded.locator("summary").first.click()
    await expect(folded.get_by_text("Nonsense").first).to_be_visible()
    assert await violations(bilal.page) == []
    await folded.get_by_role("button", name="Bring it back (No. 2)").click()
    await expect(cards).to_have_text(["First thought", "Nonsense", "Third thought"])
    await expect(folded).to_be_hidden()
    first = bilal.page.locator(".idea-card", has_text="First thought")
    await first.locator("summary").click()
    await first.get_by_role("button", name="Put all cards of this person aside").click()
    await expect(cards).to_have_count(0)
    await expect(anna.page.get_by_text("Put aside (3)")).to_be_visible()
    await first.locator("summary").click()
    await first.get_by_role("button", name="Bring all cards of this person back").click()
    await expect(cards).to_have_text(["First thought", "Nonsense", "Third thought"])


async def test_what_its_author_is_typing_goes_with_a_card_that_is_put_aside(cast: Cast, evening: Evening) -> None:
    moderator = await evening.staff("moderator")
    await moderator.do("round.create", title="Round", policy="chosen", rooms=[{"name": "Mobility"}])
    await moderator.do("round.open", round=1, minutes=20)
    anna = await cast.home()
    await anna.page.get_by_role("button", name="Go in (Mobility)").click()
    await anna.linked()
    await anna.page.get_by_label("A card: one thought").fill("Too harsh")
    await anna.page.get_by_role("button", name="Pin it up").click()
    await anna.page.locator("#cards summary").click()
    await anna.page.get_by_label("New text").fill("Kinder words")
    await moderator.do("card.set_aside", card=1)
    await anna.page.locator("#part-cards > .tray__aside > summary").click()
    await expect(anna.page.locator("#cards-aside").get_by_label("New text")).to_have_value("Kinder words")
    await anna.page.locator("#cards-aside").get_by_role("button", name="Save").click()
    await expect(anna.page.locator("#cards-aside .idea-card__text")).to_have_text("Kinder words")


async def test_a_thought_on_a_card_reaches_the_plenary_s_board(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast, policy="people choose")
    await moderator.page.get_by_role("button", name="Begin").click()
    anna, bilal, everybody = await cast.home(), await cast.home(), await cast.home()
    await everybody.opens("/board")
    await everybody.linked()
    for person in (anna, bilal):
        await person.page.get_by_role("button", name="Go in (Mobility)").click()
        await expect(person.page.get_by_role("heading", name="Our suggestions")).to_be_visible()
        await person.linked()
    await anna.page.get_by_label("A card: one thought").fill("Benches at the ring")
    await anna.page.get_by_role("button", name="Pin it up").click()
    card = bilal.page.locator("#cards > li")
    await expect(card).to_contain_text("Benches at the ring")
    await expect(anna.page.get_by_label("A card: one thought")).to_be_empty()
    support = card.get_by_role("button", name="I think so too")
    await support.click()
    await expect(support).to_have_attribute("aria-pressed", "true")
    await expect(anna.page.locator("#cards > li").get_by_role("button", name="I think so too")).to_contain_text("1")
    await support.click()
    await expect(support).to_have_attribute("aria-pressed", "false")

    await card.get_by_role("button", name="Propose to the plenary").click()
    await expect(anna.page.get_by_text("for the plenary", exact=True)).to_be_visible()
    await anna.page.get_by_role("button", name="Fill in from our notes and cards").click()
    await expect(bilal.page.get_by_label("What we propose")).to_have_value("– Benches at the ring")
    await bilal.page.get_by_role("button", name="Confirm, and onto the board").click()
    result, proposal = everybody.page.locator("#results > article"), everybody.page.locator("#proposals > article")
    await expect(result).to_contain_text("Benches at the ring")
    await expect(proposal).to_contain_text("Mobility · First round · No. 1")
    assert await violations(anna.page) + await violations(everybody.page) == []

    # Who takes the thought back takes it from the board as well; the summary's words are the room's.
    await anna.page.locator("#cards > li summary").click()
    await anna.page.get_by_role("button", name="Take it back for good").click()
    await expect(card).to_have_count(0)
    await expect(proposal).to_have_count(0)
    await expect(result).to_contain_text("Benches at the ring")
