"""Who goes where, as moderators do it: a preview, by mouse and by keyboard, from a table, and while a round is running."""

from __future__ import annotations

import pytest
from playwright.async_api import CDPSession, Locator, expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Size
from tests.browser.test_access import violations
from tests.flow.evening import Evening, Person

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

ROOMS = [{"name": "Mobility", "capacity": 4}, {"name": "Schools", "capacity": 4}]
SMALL = (360, 740)


async def prepared(evening: Evening, *names: str) -> Person:
    """A round with people who take part; returns its moderator."""
    moderator = await evening.staff("moderator", "rooms")
    await moderator.do("round.create", title="First round", rooms=ROOMS)
    for name in names:
        person = await evening.person()
        await person.do("person.join", name=name)
        await person.do("round.join")
    return moderator


async def at(cast: Cast, path: str, size: Size = LAPTOP) -> Moderator:
    moderator = await cast.moderator(size)
    await moderator.opens(path)
    return moderator


def group(person: Moderator, name: str) -> Locator:
    """A small group on the page."""
    return person.page.locator("#groups > li", has_text=name)


async def names_in(person: Moderator, name: str) -> list[str]:
    return sorted(await group(person, name).locator(".mover__pick > span").all_inner_texts())


async def test_a_preview_is_changed_with_the_mouse_and_with_the_keyboard_and_then_done(cast: Cast, evening: Evening) -> None:
    watching = await prepared(evening, "Anna", "Bilal", "Cem", "Dana")
    moderator = await at(cast, "/rooms/1")
    await moderator.page.get_by_label("Seed of the lot").fill("7")
    await moderator.page.get_by_role("button", name="Preview", exact=True).click()
    await expect(moderator.page.get_by_text("All conditions are met.")).to_be_visible()
    first, second = await names_in(moderator, "Mobility"), await names_in(moderator, "Schools")
    assert (len(first), len(second)) == (2, 2)

    await group(moderator, "Mobility").locator("[data-person]", has_text=first[0]).drag_to(group(moderator, "Schools"))
    await expect(group(moderator, "Schools").locator("[data-person]")).to_have_count(3)
    assert await names_in(moderator, "Schools") == sorted([*second, first[0]])

    keys = moderator.page.keyboard
    await group(moderator, "Schools").get_by_label(second[0]).focus()
    await keys.press("Space")
    await expect(moderator.page.locator("[data-picked]")).to_have_text("1")
    await moderator.page.get_by_label("to", exact=True).focus()
    await keys.type("Mob")
    await keys.press("Tab")
    await keys.press("Enter")
    await expect(group(moderator, "Mobility").locator("[data-person]")).to_have_count(2)
    assert await names_in(moderator, "Mobility") == sorted([first[1], second[0]])
    await moderator.page.get_by_role("button", name="Do it like this").click()
    await expect(moderator.page.get_by_text("Done.")).to_be_visible()
    shown = await watching.sees(lambda shown: len(shown["rooms"]["room/1-1"]["people"]) == 2 and shown["rooms"]["room/1-1"])
    assert sorted(one["name"] for one in shown["people"]) == sorted([first[1], second[0]])


async def test_somebody_is_found_by_name_where_there_are_many(cast: Cast, evening: Evening) -> None:
    await prepared(evening, "Anna", "Bilal", "Cem")
    moderator = await at(cast, "/rooms/1/assign?seed=1")
    await moderator.page.get_by_label("Find somebody").fill("bil")
    await expect(moderator.page.locator("#groups [data-person]:visible")).to_have_count(1)
    await expect(moderator.page.locator("#groups [data-person]:visible")).to_contain_text("Bilal")


async def test_a_table_with_a_mistake_says_which_line_and_a_right_one_is_previewed(cast: Cast, evening: Evening) -> None:
    await prepared(evening, "Anna", "Bilal")
    moderator = await at(cast, "/rooms/1")
    await moderator.page.get_by_text("Who goes where, from a table").click()
    await moderator.page.get_by_role("textbox", name="Table").fill("Anna;Schools\nNobody;Mobility")
    await moderator.page.get_by_role("button", name="Check and preview").click()
    await expect(moderator.page.get_by_role("alert")).to_contain_text("Line 2: Nobody is known as “Nobody”.")
    await moderator.page.get_by_role("textbox", name="Table").fill("Anna;Schools\nBilal;Mobility")
    await moderator.page.get_by_role("button", name="Check the table again").click()
    await expect(group(moderator, "Schools").locator("[data-person]")).to_contain_text("Anna")
    await moderator.opens("/rooms/1")
    await moderator.page.get_by_text("Who goes where, from a table").click()
    table = {"name": "a.csv", "mimeType": "text/csv", "buffer": b"Name;Small group\r\nAnna;Mobility\r\n"}
    await moderator.page.get_by_label("CSV file").set_input_files(table)  # type: ignore[arg-type]
    await moderator.page.get_by_role("button", name="Check and preview").click()
    await expect(group(moderator, "Mobility").locator("[data-person]")).to_contain_text("Anna")


async def test_a_moderator_is_chosen_by_name_and_moderates(cast: Cast, evening: Evening) -> None:
    await prepared(evening, "Anna")
    moderator = await at(cast, "/rooms/1")
    await moderator.page.locator("#edit-1-1 > summary").click()
    form = moderator.page.locator("#edit-1-1")
    await form.get_by_label("Moderator", exact=True).fill("Anna")
    await form.get_by_label("Question to work on").fill("How do we get to work?")
    await form.get_by_label("Turkish").check()
    await form.get_by_role("button", name="Save (Mobility)").click()
    await expect(moderator.page.get_by_text("Done.")).to_be_visible()
    await expect(moderator.page.locator("#edit-1-1")).not_to_contain_text("no moderator")
    await expect(group(moderator, "Mobility")).to_contain_text("How do we get to work?")


async def inside(cast: Cast, evening: Evening, watching: Person) -> Participant:
    """Somebody who sits in the first small group, with its page open."""
    home = await cast.home()
    await home.page.get_by_role("button", name="I want to take part in a small group").click()
    (one,) = await watching.sees(lambda shown: shown["rooms"]["plan"]["others"])
    await watching.do("room.move", person=one["id"], to="1-1")
    await watching.do("round.open", round=1, minutes=20)
    await home.page.locator("#seat").get_by_role("button", name="Go in").click()
    await expect(home.page.get_by_role("heading", name="Mobility")).to_be_visible()
    await home.linked()
    return home


async def test_who_is_moved_while_it_runs_is_told_on_the_page_and_goes_on_there(cast: Cast, evening: Evening) -> None:
    watching = await prepared(evening)
    home = await inside(cast, evening, watching)
    await expect(home.page.locator("#seat")).to_be_hidden()
    await home.page.get_by_label("A card: one thought").fill("Half a thou")
    moderator = await at(cast, "/rooms/1")
    await moderator.linked()
    row = group(moderator, "Mobility").locator("[data-person]")
    await row.drag_to(group(moderator, "Schools"))
    await expect(group(moderator, "Schools").locator("[data-person]")).to_have_count(1)
    await expect(moderator.page.locator("[data-picked]")).to_have_text("0")

    seat = home.page.locator("#seat")
    await expect(seat).to_contain_text("Your small group has begun: Schools")
    await expect(home.page.get_by_label("A card: one thought")).to_have_value("Half a thou")
    await expect(home.page.locator("#say")).to_have_text("Your small group has begun: Schools")
    await seat.get_by_role("button", name="Go in").click()
    await expect(home.page.get_by_role("heading", name="Schools")).to_be_visible()
    await home.linked()
    await expect(home.page.locator("#seat")).to_be_hidden()

    await group(moderator, "Schools").get_by_role("checkbox").check()
    await moderator.page.get_by_label("to", exact=True).select_option("Mobility")
    await moderator.page.get_by_role("button", name="Move", exact=True).click()
    await expect(home.page.locator("#seat")).to_contain_text("Your small group has begun: Mobility")


async def test_who_is_ticked_stays_ticked_when_the_group_changes(cast: Cast, evening: Evening) -> None:
    watching = await prepared(evening, "Anna", "Bilal", "Cem")
    people = await watching.sees(lambda shown: len(shown["rooms"]["plan"]["others"]) == 3 and shown["rooms"]["plan"]["others"])
    await watching.do("room.move", people=[one["id"] for one in people[:2]], to="1-1")
    moderator = await at(cast, "/rooms/1")
    await moderator.linked()
    bilal = group(moderator, "Mobility").get_by_label("Bilal")
    await bilal.check()
    await watching.do("room.move", person=people[0]["id"], to="1-2")
    await watching.do("room.move", person=people[2]["id"], to="1-1")
    await expect(group(moderator, "Mobility").get_by_label("Cem")).to_be_visible()
    await expect(bilal).to_be_checked()
    await expect(moderator.page.locator("[data-picked]")).to_have_text("1")


async def test_who_comes_late_is_seen_and_gets_a_free_seat_by_a_button(cast: Cast, evening: Evening) -> None:
    watching = await prepared(evening, "Anna")
    await watching.do("round.open", round=1, minutes=20)
    moderator = await at(cast, "/rooms")
    await moderator.linked()
    late = moderator.page.get_by_role("region", name="Without a small group")
    await expect(late).to_contain_text("Anna")
    await late.get_by_role("button", name="Give them the free seats").click()
    await expect(late).to_have_count(0)
    await expect(moderator.page.locator("#groups [data-person]")).to_contain_text("Anna")


async def test_the_rooms_of_the_current_round_are_shown_and_others_when_it_is_their_turn(cast: Cast, evening: Evening) -> None:
    watching = await prepared(evening)
    await watching.do("round.copy", round=1, title="Second round")
    moderator = await at(cast, "/rooms")
    await moderator.linked()
    await expect(moderator.page.locator("#groups > li:visible")).to_have_count(2)
    await watching.do("round.open", round=1)
    await watching.do("round.close", round=1)
    await expect(moderator.page.locator("#groups > li:visible")).to_have_count(2)
    await expect(moderator.page.locator("#groups > li:visible").first).to_contain_text("Second round")
    await expect(moderator.page.get_by_label("to", exact=True).locator("option").first).to_have_attribute("value", "2-1")
    await moderator.page.get_by_role("link", name="First round").click()
    await moderator.linked()
    await expect(moderator.page.locator("#groups > li:visible").first).to_contain_text("First round")
    await expect(moderator.page.locator("#groups > li:visible")).to_have_count(2)


async def test_wishes_are_told_with_the_button(cast: Cast, evening: Evening) -> None:
    watching = await prepared(evening)
    await watching.do("room.edit", room="1-1", languages=["de"])
    await watching.do("room.edit", room="1-2", languages=["tr"])
    home = await cast.home()
    await home.page.get_by_text("Wishes").click()
    await home.page.get_by_label("Turkish").check()
    await home.page.get_by_role("button", name="I want to take part in a small group").click()
    await expect(home.page.get_by_text("You take part in the small groups.")).to_be_visible()
    result = await watching.do("round.assign", round=1, conditions={"languages": True}, preview=True)
    assert list(result["seats"].values()) == ["1-2"]


@pytest.mark.parametrize("size", [SMALL, PHONE, LAPTOP], ids=["small", "phone", "laptop"])
async def test_axe_finds_nothing_on_the_pages_of_rounds(cast: Cast, evening: Evening, size: Size) -> None:
    watching = await prepared(evening, "Anna", "Bilal", "Ein sehr langer Name ohne Leerzeichen".replace(" ", ""))
    moderator = await cast.moderator(size)
    found = []

    async def looks() -> None:
        found.extend(await violations(moderator.page))
        overflow = await moderator.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, moderator.page.url
        small = await moderator.page.evaluate(
            """() => [...document.querySelectorAll("main :is(button, select, summary, .mover__pick, .choice)")]
                .filter(one => one.checkVisibility() && one.getBoundingClientRect().height < 40).map(one => one.outerHTML)"""
        )
        assert small == []

    await moderator.opens("/rooms/1")
    await moderator.linked()
    await moderator.page.evaluate("document.querySelectorAll('main details').forEach(one => one.open = true)")
    await looks()
    await moderator.opens("/rooms/1/assign?seed=1&moderator=on")
    await moderator.page.locator("#groups input").first.check()
    await looks()
    await moderator.page.locator("details:not([open]) > summary").first.click()
    await looks()
    await watching.do("round.open", round=1, minutes=20)
    await moderator.opens("/rooms")
    await looks()
    await watching.do("round.close", round=1)
    await moderator.opens("/rooms/1")
    await looks()
    assert found == []


class Finger:
    """One finger on the screen, as the device tells it."""

    def __init__(self, moderator: Moderator, session: CDPSession) -> None:
        self.moderator, self.session = moderator, session

    async def does(self, kind: str, *points: tuple[float, float]) -> None:
        """touchStart, touchMove, touchEnd or touchCancel."""
        await self.session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": [{"x": x, "y": y} for x, y in points]})

    async def rests_on(self, name: str) -> tuple[float, float]:
        """Puts the finger on somebody until they are taken; returns where."""
        row = self.moderator.page.locator("#groups [data-person]", has_text=name)
        await row.evaluate("one => one.scrollIntoView({block: 'center', behavior: 'instant'})")
        point = await middle(row)
        await self.does("touchStart", point)
        await expect(self.moderator.page.locator(".dragged")).to_contain_text(name)
        return point


async def middle(place: Locator) -> tuple[float, float]:
    box = await place.bounding_box()
    assert box
    return box["x"] + box["width"] / 2, box["y"] + box["height"] / 2


async def with_finger(cast: Cast, path: str) -> Finger:
    moderator = await cast.moderator(SMALL, has_touch=True, is_mobile=True)
    await moderator.opens(path)
    await moderator.linked()
    return Finger(moderator, await moderator.page.context.new_cdp_session(moderator.page))


async def seated(evening: Evening, *names: str, rooms: int = 2) -> Person:
    """Everybody in the first of the small groups."""
    watching = await prepared(evening, *names)
    if rooms > 2:
        await watching.do("room.add", round=1, rooms=[{"name": f"Group {number}"} for number in range(3, rooms + 1)])
    people = await watching.sees(
        lambda shown: len(shown["rooms"]["plan"]["others"]) == len(names) and shown["rooms"]["plan"]["others"]
    )
    await watching.do("room.move", people=[one["id"] for one in people], to="1-1")
    return watching


async def test_a_finger_drags_after_it_has_rested_and_scrolls_otherwise(cast: Cast, evening: Evening) -> None:
    await seated(evening, "Anna", "Bilal")
    finger = await with_finger(cast, "/rooms/1")
    page = finger.moderator.page
    row = group(finger.moderator, "Mobility").locator("[data-person]", has_text="Anna")
    await row.evaluate("one => one.scrollIntoView({block: 'center', behavior: 'instant'})")
    x, y = await middle(row)
    before = await page.evaluate("scrollY")
    await finger.does("touchStart", (x, y))
    for step in range(1, 9):
        await finger.does("touchMove", (x, y - 25 * step))
    await finger.does("touchEnd")
    await page.wait_for_function("before => scrollY > before + 50", arg=before)
    # What still glides takes the finger for itself.
    await page.wait_for_function("() => window.was === (window.was = scrollY)", polling=200)
    assert await names_in(finger.moderator, "Mobility") == ["Anna", "Bilal"]

    x, y = await finger.rests_on("Anna")
    before = await page.evaluate("scrollY")
    to = await middle(group(finger.moderator, "Schools").locator(".group__name"))
    for part in (0.3, 0.6, 1.0):
        await finger.does("touchMove", (x + (to[0] - x) * part, y + (to[1] - y) * part))
    await expect(group(finger.moderator, "Schools")).to_have_attribute("data-over", "")
    assert await page.evaluate("scrollY") == before
    await finger.does("touchEnd")
    await expect(group(finger.moderator, "Schools").locator("[data-person]")).to_contain_text("Anna")
    await expect(page.locator(".dragged")).to_have_count(0)
    await expect(page.locator("[data-picked]")).to_have_text("0")


async def test_a_dragging_finger_at_the_edge_scrolls_to_groups_further_down(cast: Cast, evening: Evening) -> None:
    await seated(evening, "Anna", rooms=8)
    finger = await with_finger(cast, "/rooms/1")
    page = finger.moderator.page
    x, _ = await finger.rests_on("Anna")
    before = await page.evaluate("scrollY")
    await finger.does("touchMove", (x, SMALL[1] - 20))
    await page.wait_for_function("before => scrollY > before + 600", arg=before)
    await finger.does("touchMove", (x, SMALL[1] / 2))
    over = page.locator("#groups > [data-over]")
    await expect(over).to_have_count(1)
    name = await over.get_attribute("data-name")
    assert name not in (None, "Mobility")
    await finger.does("touchEnd")
    await expect(group(finger.moderator, str(name)).locator("[data-person]")).to_contain_text("Anna")


async def test_who_is_let_go_stays_and_so_do_the_ticks(cast: Cast, evening: Evening) -> None:
    await seated(evening, "Anna", "Bilal", "Cem")
    finger = await with_finger(cast, "/rooms/1")
    page, room = finger.moderator.page, group(finger.moderator, "Mobility")
    await room.get_by_label("Bilal").check()
    await finger.rests_on("Anna")
    await expect(page.locator("[data-picked]")).to_have_text("1")
    await finger.does("touchCancel")
    await expect(page.locator(".dragged")).to_have_count(0)
    await expect(room.get_by_label("Bilal")).to_be_checked()
    await expect(room.get_by_label("Anna")).not_to_be_checked()

    await finger.rests_on("Bilal")
    await finger.does("touchEnd")
    await expect(page.locator(".dragged")).to_have_count(0)
    await expect(room.get_by_label("Bilal")).to_be_checked()

    moderator = await at(cast, "/rooms/1")
    await moderator.linked()
    await group(moderator, "Mobility").get_by_label("Cem").check()
    await group(moderator, "Mobility").locator("[data-person]", has_text="Anna").hover()
    await moderator.page.mouse.down()
    await moderator.page.mouse.move(*await middle(group(moderator, "Schools")), steps=4)
    await expect(moderator.page.locator(".dragged")).to_have_text("Anna")
    await moderator.page.keyboard.press("Escape")
    await expect(moderator.page.locator(".dragged")).to_have_count(0)
    await moderator.page.mouse.up()
    await expect(group(moderator, "Mobility").get_by_label("Cem")).to_be_checked()
    await expect(group(moderator, "Mobility").get_by_label("Anna")).not_to_be_checked()
    assert await names_in(moderator, "Mobility") == ["Anna", "Bilal", "Cem"]


async def test_all_who_are_ticked_are_dragged_together(cast: Cast, evening: Evening) -> None:
    await seated(evening, "Anna", "Bilal", "Cem")
    moderator = await at(cast, "/rooms/1")
    await moderator.linked()
    for name in ("Anna", "Cem"):
        await group(moderator, "Mobility").get_by_label(name).check()
    row = group(moderator, "Mobility").locator("[data-person]", has_text="Cem")
    await row.hover()
    await moderator.page.mouse.down()
    await moderator.page.mouse.move(*await middle(group(moderator, "Schools")), steps=4)
    await expect(moderator.page.locator(".dragged")).to_have_text("Cem + 1")
    await moderator.page.mouse.up()
    await expect(group(moderator, "Schools").locator("[data-person]")).to_have_count(2)
    assert await names_in(moderator, "Mobility") == ["Bilal"]


@pytest.mark.parametrize("size", [SMALL, LAPTOP], ids=["small", "laptop"])
async def test_people_are_kept_together_and_apart_by_keyboard_and_found_by_the_number(
    cast: Cast, evening: Evening, size: Size
) -> None:
    watching = await seated(evening, "Anna", "Bilal", "Cem")
    moderator = await at(cast, "/rooms/1", size)
    await moderator.linked()
    apart = moderator.page.get_by_role("button", name="Keep apart")
    for name in ("Anna", "Cem"):
        await group(moderator, "Mobility").get_by_label(name).focus()
        await moderator.page.keyboard.press("Space")
        await apart.focus()
        await moderator.page.keyboard.press("Enter")
        if name == "Anna":
            await expect(moderator.page.get_by_text("at least two who are to be kept together or apart")).to_be_visible()
            await expect(group(moderator, "Mobility").get_by_label("Anna")).to_be_checked()
    await expect(apart).to_be_focused()
    await expect(moderator.page.get_by_text("Done.")).to_be_visible()
    await expect(group(moderator, "Mobility").get_by_label("Anna")).not_to_be_checked()
    await expect(group(moderator, "Mobility").get_by_text("apart 1")).to_have_count(2)
    await moderator.page.get_by_label("Find somebody").fill("apart 1")
    await expect(moderator.page.locator("#groups [data-person]:visible")).to_have_count(2)
    assert await violations(moderator.page) == []
    overflow = await moderator.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0
    (anna, *_) = (await watching.sees(lambda shown: shown["rooms"]["room/1-1"]["people"]))
    await watching.do("round.bind", people=[anna["id"]], how="free")
    await expect(group(moderator, "Mobility").get_by_text("apart 1")).to_have_count(0)
