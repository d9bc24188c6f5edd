"""The plenary's board as people see it, and the summaries on their way there: what is typed is not lost, whoever's browser dies."""

from __future__ import annotations

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Error, Locator, WebSocketRoute, expect

from tests.browser.cast import LAPTOP, PHONE, PROJECTOR, Cast, Participant, Person, Size
from tests.browser.test_access import violations
from tests.flow.evening import Evening

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

NARROW: Size = (360, 740)
LONG = "WLAN in allen Schulen, und jemand, der sich darum kümmert, wenn es nicht geht: eine Stelle für drei Schulen. " * 2


async def opened(evening: Evening, *rooms: str) -> Any:
    """The moderator who has opened a round in which people choose."""
    moderator = await evening.staff("moderator")
    plans = [{"name": name, "question": "What shall change?"} for name in rooms]
    await moderator.do("round.create", title="First round", policy="chosen", rooms=plans)
    await moderator.do("round.open", round=1, minutes=20)
    return moderator


async def confirmed(evening: Evening, room: str, *texts: str) -> None:
    """What this room proposes stands on the board."""
    person = await evening.person()
    await person.do("room.enter", room=room)
    for text in texts:
        card = (await person.do("card.submit", room=room, text=text))["card"]
        await person.do("card.propose", card=card)
    await person.do("summary.draft", room=room, proposed="\n".join(f"– {text}" for text in texts), open="Who pays?")
    await person.do("summary.confirm", room=room)


async def inside(cast: Cast, evening: Evening, room: str = "1-1") -> Participant:
    """Somebody with the page of this room."""
    person = await cast.home(LAPTOP)
    await person.page.get_by_role("button", name="Go in (Mobility)").click()
    await expect(person.page.get_by_role("heading", name="Our summary")).to_be_visible()
    await person.linked()
    return person


def part(person: Person, name: str = "What we propose") -> Locator:
    """The field of a part of the summary."""
    return person.page.get_by_label(name)


async def board(person: Person) -> list[str]:
    """The headings, and the texts of the proposals, from top to bottom."""
    return await person.page.locator(".heading__title, .proposal__text").all_inner_texts()


async def test_what_was_typed_into_a_browser_that_is_killed_is_there_for_the_note_taker(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna, bilal = await inside(cast, evening), await inside(cast, evening)
    await part(anna).press_sequentially("Benches at the ring, in the sh")
    await expect(anna.page.get_by_text("Everything is saved.")).to_be_visible()
    inspector = await anna.page.context.new_cdp_session(anna.page)
    async with anna.page.expect_event("crash"), asyncio.TaskGroup() as crash:
        dying = crash.create_task(inspector.send("Page.crash"))
        await anna.page.wait_for_event("crash")
        dying.cancel()
    await expect(part(bilal)).to_have_value("Benches at the ring, in the sh")
    await part(bilal).press("End")
    await part(bilal).press_sequentially("ade")
    await part(bilal).blur()
    await bilal.page.get_by_role("button", name="Confirm, and onto the board").click()
    await bilal.opens("/board")
    await expect(bilal.page.locator("#results > article")).to_contain_text("Benches at the ring, in the shade")


async def test_what_is_being_typed_stays_while_others_write_on_other_parts(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna, bilal = await inside(cast, evening), await inside(cast, evening)
    await part(anna).press_sequentially("Benches at ")
    await part(bilal, "What is still open").fill("Who pays?")
    await part(bilal, "What is still open").blur()
    await expect(part(anna, "What is still open")).to_have_value("Who pays?")
    await expect(part(anna)).to_be_focused()
    await part(anna).press_sequentially("the ring")
    await part(anna).blur()
    await expect(part(bilal)).to_have_value("Benches at the ring")
    await expect(part(anna)).to_have_value("Benches at the ring")


async def test_two_who_write_in_the_same_part_see_both_texts_and_choose(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna, bilal = await inside(cast, evening), await inside(cast, evening)
    await part(anna).focus()
    await part(bilal).focus()
    await anna.page.context.set_offline(True)
    anna.in_trouble = True
    await part(anna).press_sequentially("Anna's benches")
    await part(bilal).press_sequentially("Bilal's trees")
    await expect(bilal.page.get_by_text("Everything is saved.")).to_be_visible()
    await anna.page.context.set_offline(False)
    both = anna.page.locator(".conflict")
    await expect(both).to_contain_text("Somebody else has changed this part meanwhile.")
    await expect(both).to_contain_text("Bilal's trees")
    await expect(part(anna)).to_have_value("Anna's benches")
    assert await violations(anna.page) == []
    await anna.page.get_by_role("button", name="Keep mine").click()
    await expect(both).to_have_count(0)
    await part(bilal).blur()
    await expect(part(bilal)).to_have_value("Anna's benches")


async def test_what_was_typed_without_a_connection_is_sent_though_the_page_was_loaded_anew(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna, bilal = await inside(cast, evening), await inside(cast, evening)
    anna.in_trouble = True
    await anna.page.context.set_offline(True)
    await expect(anna.page.locator("#offline")).to_be_visible()
    await part(anna).press_sequentially("Benches")
    await part(anna).blur()
    await part(anna).press("End")
    await part(anna).press_sequentially(" at the ring")
    await part(anna).blur()
    await expect(anna.page.get_by_text("Is being saved")).to_be_visible()
    await anna.page.context.set_offline(False)
    await anna.page.reload()
    await expect(part(bilal)).to_have_value("Benches at the ring")
    await expect(part(anna)).to_have_value("Benches at the ring")


async def test_what_is_typed_while_the_answer_is_under_way_outlives_the_page(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna, bilal = await inside(cast, evening), await inside(cast, evening)
    lost = True

    def line(page: WebSocketRoute) -> None:
        server = page.connect_to_server()
        server.on_message(lambda frame: None if lost and json.loads(frame)["t"] == "done" else page.send(frame))

    await anna.page.route_web_socket("**/ws/*", line)
    await anna.page.reload()
    await anna.linked()
    await part(anna).press_sequentially("Benches")
    await part(anna).blur()
    await expect(part(bilal)).to_have_value("Benches")
    await part(anna).press("End")
    await part(anna).press_sequentially(" at the ring")
    lost = False
    await anna.page.reload()
    await expect(part(bilal)).to_have_value("Benches at the ring")
    await expect(part(anna)).to_have_value("Benches at the ring")
    await expect(anna.page.locator(".conflict")).to_have_count(0)
    await anna.page.reload()
    await expect(part(anna)).to_have_value("Benches at the ring")


async def test_what_was_typed_here_and_meanwhile_by_others_stands_side_by_side_after_a_reload(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna, bilal = await inside(cast, evening), await inside(cast, evening)
    anna.in_trouble = True
    await part(anna).press_sequentially("Anna's benches")
    path = urlsplit(anna.page.url)._replace(fragment="").geturl()
    await anna.page.context.set_offline(True)
    with pytest.raises(Error, match="ERR_INTERNET_DISCONNECTED"):
        await anna.page.reload()
    await part(bilal).fill("Bilal's trees")
    await part(bilal).blur()
    await expect(bilal.page.get_by_text("Everything is saved.")).to_be_visible()
    await anna.page.context.set_offline(False)
    await anna.page.goto(path)
    both = anna.page.locator(".conflict")
    await expect(both).to_contain_text("Bilal's trees")
    await expect(part(anna)).to_have_value("Anna's benches")


async def test_the_plenary_supports_and_the_moderator_puts_together_orders_and_shows(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility", "Schools")
    moderator = await cast.moderator()
    home, other = await cast.home(PHONE), await cast.home(PHONE)
    for person in (moderator, home, other):
        await person.opens("/board")
        await person.linked()
    await expect(home.page.get_by_text("Nothing here yet.").first).to_be_visible()
    await confirmed(evening, "1-1", "Benches", "Trees")
    await confirmed(evening, "1-2", "Chalk")
    await expect(home.page.locator(".proposal")).to_have_count(3)
    assert await board(home) == ["Benches", "Trees", "Chalk"]

    chalk = home.page.locator("#doc-proposal-3")
    await chalk.get_by_role("button", name="I support this").click()
    await expect(chalk.get_by_role("button", name="I support this")).to_have_attribute("aria-pressed", "true")
    await expect(other.page.locator("#doc-proposal-3 [data-count=support]")).to_have_text("1")
    await expect(other.page.locator("#doc-proposal-3 button.support")).to_have_attribute("aria-pressed", "false")
    await moderator.page.get_by_role("button", name="Order all by support").click()
    await expect(home.page.locator(".proposal").first).to_contain_text("Chalk")
    assert await board(home) == ["Chalk", "Benches", "Trees"]
    await chalk.get_by_role("button", name="I support this").click()
    await expect(other.page.locator("#doc-proposal-3 [data-count=support]")).to_have_text("0")

    for number in (2, 3):
        await moderator.page.get_by_label(f"Select (No. {number})").check()
    await moderator.page.get_by_label("Put what is selected under the heading").fill("Outside")
    await moderator.page.get_by_role("button", name="Put together").click()
    await expect(home.page.get_by_role("heading", name="Outside")).to_be_visible()
    assert await board(home) == ["Outside", "Chalk", "Trees", "Not put together yet", "Benches"]
    await expect(moderator.page.get_by_label("Select (No. 2)")).not_to_be_checked()
    down = moderator.page.get_by_role("button", name="Down (No. 3)")
    await down.focus()
    await moderator.page.keyboard.press("Enter")
    await expect(home.page.locator(".proposal").first).to_contain_text("Trees")
    await expect(down).to_be_focused()
    assert await board(moderator) == await board(home) == ["Outside", "Trees", "Chalk", "Not put together yet", "Benches"]


async def test_a_result_goes_to_stage_and_overlay_and_leaves_them_with_the_board(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    await confirmed(evening, "1-1", "Benches at the ring", LONG)
    moderator, desk = await cast.moderator(), await cast.console("operator")
    stage, overlay, home = await cast.stage(), await cast.overlay(), await cast.home()
    await moderator.opens("/board")
    await moderator.linked()
    await moderator.page.get_by_role("button", name="On stage (No. 1)").click()
    for person in (stage, overlay, home):
        await expect(person.page.locator("#on-air")).to_contain_text("Benches at the ring")
        await expect(person.page.locator("#on-air")).to_contain_text("Mobility")
    await moderator.page.get_by_role("button", name="On stage (Mobility, What we propose)").click()
    for person in (stage, overlay):
        text = person.page.locator("#on-air [data-fit]").last
        await expect(text).to_contain_text("WLAN in allen Schulen")
        await expect(person.page.locator("#on-air figure, #on-air section")).to_have_count(1)
        within = await text.evaluate("text => text.scrollHeight <= text.clientHeight + 1")
        assert within, "it fits"
    for person in (stage, overlay, home, desk):
        assert await violations(person.page) == []
    await desk.page.get_by_role("button", name="Off the stage").click()
    await expect(stage.page.get_by_role("heading", name="What would you like to say?")).to_be_visible()
    await moderator.page.get_by_role("button", name="On stage (Mobility, What is still open)").click()
    await expect(stage.page.locator("#on-air")).to_contain_text("Who pays?")
    await moderator.page.get_by_role("button", name="Off the board (Mobility)").click()
    await expect(stage.page.get_by_role("heading", name="What would you like to say?")).to_be_visible()
    await expect(overlay.page.locator(".lower")).to_have_count(0)


async def test_a_moderator_mends_and_confirms_what_a_group_has_left(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility")
    anna = await inside(cast, evening)
    await anna.page.get_by_label("A card: one thought").fill("Benches at the ring")
    await anna.page.get_by_role("button", name="Pin it up").click()
    await expect(anna.page.locator("#cards > li")).to_have_count(1)
    moderator = await cast.moderator()
    await moderator.opens("/rooms")
    await moderator.linked()
    await moderator.page.locator("summary", has_text="More (Mobility)").click()
    await moderator.page.get_by_role("button", name="Close (Mobility)").click()
    left = moderator.page.locator("#tray > details")
    await left.locator("summary").click()
    await left.get_by_role("button", name="Fill in from the cards").click()
    await expect(part(moderator, "What we have talked about")).to_have_value("– Benches at the ring")
    await part(moderator).fill("Benches, in the shade")
    assert await violations(moderator.page) == []
    await left.get_by_role("button", name="Confirm, and onto the board").click()
    await expect(left).to_have_count(0)
    await anna.opens("/board")
    await expect(anna.page.locator("#results > article")).to_contain_text("Benches, in the shade")


async def test_the_tray_is_emptied_by_keyboard_and_what_was_put_aside_brought_back(cast: Cast, evening: Evening) -> None:
    await opened(evening, "Mobility", "Schools")
    for room in ("1-1", "1-2"):
        person = await evening.person()
        await person.do("room.enter", room=room)
        await person.do("summary.draft", room=room, proposed=f"Only a try in {room}, " + LONG)
    moderator, other = await cast.moderator(NARROW), await cast.console("organiser")
    for one in (moderator, other):
        await one.opens("/rooms")
        await one.linked()
    await (await evening.staff("moderator")).do("round.close", round=1)
    left, folded = moderator.page.locator("#tray > details"), moderator.page.locator(".tray__aside")
    await expect(left).to_have_count(2)
    await expect(folded).to_be_hidden()

    await left.first.locator("summary").first.press("Enter")
    await moderator.page.get_by_role("button", name="Put it aside (Mobility)").press("Enter")
    await expect(left.locator("summary").first).to_be_focused()
    await expect(left).to_have_count(1)
    await expect(folded.locator("> summary")).to_have_text("Put aside (1)")
    await expect(other.page.locator("#tray > details")).to_have_count(1)
    await left.first.locator("summary").first.press("Enter")
    await moderator.page.get_by_role("button", name="Put it aside (Schools)").press("Enter")
    await expect(left).to_have_count(0)
    await expect(moderator.page.get_by_role("heading", name="Not confirmed yet")).to_be_focused()

    await folded.locator("> summary").press("Enter")
    await folded.get_by_text("Mobility", exact=True).click()
    await expect(folded).to_contain_text("Only a try in 1-1")
    assert await violations(moderator.page) == []
    assert await moderator.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    await moderator.page.get_by_role("button", name="Bring it back (Mobility)").click()
    await expect(left).to_have_count(1)
    await expect(folded.locator("> summary")).to_have_text("Put aside (1)")
    await expect(folded.locator("> div > details")).to_be_visible()
    await expect(other.page.locator("#tray > details")).to_contain_text(["Mobility"])


@pytest.mark.parametrize("size", [NARROW, LAPTOP, PROJECTOR], ids=["phone", "laptop", "projector"])
async def test_axe_finds_nothing_on_the_board(cast: Cast, evening: Evening, size: Size) -> None:
    moderator = await opened(evening, "Mobility", "Schools")
    await confirmed(evening, "1-1", "Benches", LONG, "Donaudampfschifffahrtsgesellschaft" * 3)
    await confirmed(evening, "1-2", "Chalk")
    await moderator.do("proposal.group", cards=[1, 4], title="Outside")
    await moderator.do("proposal.air", card=1)
    home = await cast.person(Participant, size)
    staff = await cast.moderator(size)
    found = []
    for person in (home, staff):
        await person.opens("/board")
        await person.linked()
        found += await violations(person.page)
        assert await person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
    assert found == []
