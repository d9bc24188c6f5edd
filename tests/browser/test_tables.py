"""A table in the hall as its people see it: the card, the question how many they are, and their small group on one device."""

from __future__ import annotations

from typing import Any

import pytest
from playwright.async_api import expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Size
from tests.browser.test_access import violations
from tests.flow.evening import Evening

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]
TABLET: Size = (820, 1180)
NAMES = "Jule\nKai"


async def prepares(cast: Cast, size: Size = LAPTOP) -> Moderator:
    """A moderator who has prepared two tables."""
    moderator = await cast.console("moderator", size)
    await moderator.opens("/rooms")
    await moderator.page.get_by_text("Prepare a round").click()
    await moderator.page.get_by_label("Title").fill("At the tables")
    await moderator.page.get_by_label("Small groups, one on each line").fill("Mobility: How do we get to work in 2030?\nSchools")
    await moderator.page.get_by_label("Tables in the hall: one device each").check()
    await moderator.page.get_by_role("button", name="Prepare", exact=True).click()
    await expect(moderator.page.locator("#groups > li")).to_have_count(2)
    await moderator.linked()
    return moderator


async def cards(cast: Cast, moderator: Moderator) -> str:
    """The code on the card of the first table, as somebody reads it."""
    paper = await cast.at(Moderator, moderator.page.context)
    await paper.opens("/rooms/cards/1")
    card = paper.page.get_by_role("article", name="Table 1")
    await expect(card).to_contain_text("How do we get to work in 2030?")
    await expect(card.get_by_role("img", name="QR code: Table 1")).to_be_visible()
    return (await card.locator(".table-card__code").inner_text()).replace("\xa0", " ")


async def sits(cast: Cast, code: str, size: Size = TABLET, heads: int = 6, names: str = NAMES) -> Participant:
    """A device that has scanned the card; its people have said how many they are."""
    tablet = await cast.person(Participant, size)
    await tablet.opens(f"/table/1?c={code.replace(' ', '')}")
    await tablet.page.get_by_label("How many people share this device?").fill(str(heads))
    await tablet.page.get_by_label("Your names").fill(names)
    await tablet.page.get_by_role("button", name="Begin together at this table").click()
    return tablet


async def test_from_the_card_on_the_table_to_the_plenary_s_board(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast)
    code = await cards(cast, moderator)
    tablet = await sits(cast, code)
    await expect(tablet.page.get_by_text("It begins soon; this page tells you.")).to_be_visible()
    await expect(tablet.page.get_by_role("link", name="Change how many we are, or our names")).to_be_visible()
    await tablet.linked()
    everybody = await cast.home()
    await everybody.opens("/board")
    await everybody.linked()

    await moderator.page.get_by_role("button", name="Begin").click()
    await tablet.page.locator("#seat").get_by_role("button", name="Go in").click()
    await expect(tablet.page.get_by_role("heading", name="Who is here 6")).to_be_visible()
    await expect(tablet.page.get_by_text("Jule, Kai")).to_be_visible()
    await tablet.linked()
    await expect(moderator.page.locator("#groups > li").first).to_contain_text("6 here")

    await tablet.page.get_by_label("A card: one thought").fill("Benches at the ring")
    await tablet.page.get_by_label("Whose thought is it?").select_option("Kai")
    await tablet.page.get_by_role("button", name="Pin it up").click()
    card = tablet.page.locator("#cards > li")
    await expect(card).to_contain_text("Benches at the ring")
    await expect(card).to_contain_text("Kai")
    await tablet.page.get_by_label("A card: one thought").fill("Fewer cars")
    await tablet.page.get_by_role("button", name="Pin it up").click()
    await expect(card.nth(1)).to_contain_text("from the table")

    # Somebody brings a phone: the same table, and the number is right again at once.
    phone = await sits(cast, code, PHONE, heads=7, names="")
    await expect(phone.page.get_by_role("heading", name="Who is here 7")).to_be_visible()
    await phone.linked()
    await expect(tablet.page.get_by_role("heading", name="Who is here 7")).to_be_visible()
    support = phone.page.locator("#cards > li").first.get_by_role("button", name="I think so too")
    await support.click()
    shown = tablet.page.locator("#cards > li").first.get_by_role("button", name="I think so too")
    await expect(shown).to_have_attribute("aria-pressed", "true")
    await expect(shown).to_contain_text("1")

    await tablet.page.locator("#cards > li").first.get_by_role("button", name="Propose to the plenary").click()
    await expect(phone.page.get_by_text("for the plenary", exact=True)).to_be_visible()
    await tablet.page.get_by_role("button", name="Fill in from our notes and cards").click()
    await expect(tablet.page.get_by_label("What we propose")).to_have_value("– Benches at the ring")
    await tablet.page.get_by_role("button", name="Confirm, and onto the board").click()
    result = everybody.page.locator("#results > article")
    await expect(result).to_contain_text("Benches at the ring")
    await expect(result).to_contain_text("7 people")
    await expect(result).not_to_contain_text("Kai")


async def test_the_number_and_the_names_are_changed_on_the_way(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast)
    code = await cards(cast, moderator)
    await moderator.page.get_by_role("button", name="Begin").click()
    tablet = await sits(cast, code)
    await tablet.page.get_by_role("link", name="Change how many we are, or our names").click()
    heads = tablet.page.get_by_label("How many people share this device?")
    await expect(heads).to_have_value("6")
    await expect(tablet.page.get_by_label("Your names")).to_have_value(NAMES)
    await heads.fill("13")
    await tablet.page.get_by_role("button", name="Save").click()
    assert not await heads.evaluate("field => field.validity.valid"), "the browser says that it is too many"
    await heads.fill("5")
    await tablet.page.get_by_label("Your names").fill("Jule")
    await tablet.page.get_by_role("button", name="Save").click()
    await expect(tablet.page.get_by_role("heading", name="Who is here 5")).to_be_visible()
    await expect(tablet.page.get_by_label("Whose thought is it?").locator("option")).to_have_text(["of us all", "Jule"])
    await tablet.page.get_by_role("link", name="Change how many we are, or our names").click()
    await tablet.page.get_by_text("Delete our names").click()
    await tablet.page.get_by_role("button", name="Delete for good").click()
    await expect(tablet.page.get_by_label("Your names")).to_have_value("")


async def test_a_wrong_code_is_typed_again_and_a_new_one_puts_the_device_out(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast)
    code = await cards(cast, moderator)
    await moderator.page.get_by_role("button", name="Begin").click()
    tablet = await cast.person(Participant, TABLET)
    await tablet.opens("/table/1")
    await tablet.page.get_by_label("How many people share this device?").fill("4")
    await tablet.page.get_by_label("Code on the card that lies on the table").fill("AAAA AAAA")
    await tablet.page.get_by_role("button", name="Begin together at this table").click()
    await expect(tablet.page.get_by_role("alert")).to_contain_text("This code does not belong to this table.")
    await expect(tablet.page.get_by_label("How many people share this device?")).to_have_value("4")
    await tablet.page.get_by_label("Code on the card that lies on the table").fill(code.lower())
    await tablet.page.get_by_role("button", name="Begin together at this table").click()
    await expect(tablet.page.get_by_role("heading", name="Who is here 4")).to_be_visible()
    await tablet.linked()

    group = moderator.page.locator("#groups > li").first
    await group.locator("summary").click()
    await group.get_by_role("button", name="New code for this table").click()
    await expect(group).to_contain_text("12 free")
    await expect(tablet.page.get_by_text("This is not your small group.").first).to_be_visible()
    tablet.faults.clear()  # the browser says that the page may not be seen any more
    assert await cards(cast, moderator) != code


async def test_the_next_round_asks_the_device_how_many_there_are_now(cast: Cast, evening: Evening) -> None:
    moderator = await prepares(cast)
    code = await cards(cast, moderator)
    await moderator.page.get_by_role("button", name="Begin").click()
    tablet = await sits(cast, code)
    await tablet.linked()
    staff = await evening.staff("moderator")
    await staff.do("round.close", round=1)
    await tablet.page.get_by_role("link", name="To the plenary").click()
    await tablet.linked()
    again: dict[str, Any] = {"title": "Second", "rooms": [{"name": "Energy", "capacity": 9, "table": True}], "policy": "assigned"}
    await staff.do("round.create", **again)
    await staff.do("round.open", round=2, minutes=10)
    await expect(tablet.page.get_by_text("How many are you now?")).to_be_visible()
    await tablet.page.get_by_role("link", name="On with this table").click()
    await expect(tablet.page.get_by_role("heading", name="Energy")).to_be_visible()
    await expect(tablet.page.get_by_label("Code on the card")).to_have_count(0)
    await expect(tablet.page.get_by_label("Your names")).to_have_value("")
    await tablet.page.get_by_label("How many people share this device?").fill("8")
    await tablet.page.get_by_role("button", name="Begin together at this table").click()
    await expect(tablet.page.get_by_role("heading", name="Who is here 8")).to_be_visible()


async def test_the_cards_are_two_on_a_sheet_and_each_is_whole(cast: Cast, evening: Evening) -> None:
    staff = await evening.staff("moderator")
    rooms = [{"name": "x" * 80, "question": "Warum? " * 70, "table": True}, *({"name": f"T {n}", "table": True} for n in range(3))]
    await staff.do("round.create", title="Runde", rooms=rooms)
    moderator = await cast.moderator()
    await moderator.opens("/rooms/cards/1")
    await moderator.page.emulate_media(media="print")
    await expect(moderator.page.get_by_role("link", name="Back to the small groups")).to_be_hidden()
    margins: Any = dict.fromkeys(("top", "bottom", "left", "right"), "1cm")  # as browsers print by default
    pages = (await moderator.page.pdf(format="A4", margin=margins)).count(b"/Type /Page\n")
    assert pages == 2, "four cards, the longest that there can be among them"


@pytest.mark.parametrize("size", [PHONE, TABLET], ids=["phone", "tablet"])
async def test_axe_finds_nothing_at_a_table(cast: Cast, evening: Evening, size: Size) -> None:
    moderator = await prepares(cast, size)
    code = await cards(cast, moderator)
    paper = cast.people[-1]
    found = await violations(moderator.page) + await violations(paper.page)
    nobody = await cast.person(Participant, size)
    for path in ("/table/1", "/table/9", f"/table/1?c={code.replace(' ', '')}"):
        await nobody.opens(path)
        found += await violations(nobody.page)
    await moderator.page.get_by_role("button", name="Begin").click()
    tablet = await sits(cast, code, size)
    await expect(tablet.page.get_by_role("heading", name="Who is here 6")).to_be_visible()
    found += await violations(tablet.page)
    group = moderator.page.locator("#groups > li").first
    await expect(group).to_contain_text("6 here")
    await expect(group).to_contain_text("6 free")
    await group.locator("summary").click()
    found += await violations(moderator.page)
    await tablet.page.get_by_role("link", name="Change how many we are, or our names").click()
    found += await violations(tablet.page)
    for person in (nobody, tablet, moderator, paper):
        overflow = await person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, person.page.url
    assert found == []
