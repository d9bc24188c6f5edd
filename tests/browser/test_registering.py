"""Registering as people see it: the form on a phone, one's own page, the organisers' list that fills by itself."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Person, Size
from tests.browser.test_access import violations
from tests.flow.evening import Evening
from tests.flow.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HALL: dict[str, Any] = {
    "seats": 3, "consents": ["picture"], "optional_consents": ["name"], "reserved": {"wheelchair": 1, "off_camera": 1},
    "access": {"en": "Entrance at the yard"},
}  # fmt: skip
FACTS: dict[str, Any] = {
    "starts": "2099-08-20T18:00:00+02:00", "ends": "2099-08-20T20:00:00+02:00", "contact": "02305 1060",
    "places": {"hall": HALL, "conference": {"seats": 75}},
}  # fmt: skip


@pytest_asyncio.fixture(loop_scope="session")
async def evening(running: Server) -> AsyncIterator[Evening]:
    """An event that people register for."""
    async with Evening(running, await running.event("registration", **FACTS)) as evening:
        yield evening


async def registers(person: Person, name: str, email: str) -> None:
    """Fills in the form and sends it; ends on their own page."""
    await person.opens("/register")
    await person.page.get_by_label("Your name").fill(name)
    await person.page.get_by_label("E-mail").fill(email)
    await person.page.get_by_label("My picture may be in the live broadcast.").check()
    await person.page.get_by_role("button", name="Register").click()


async def calls(organiser: Person, name: str, phone: str, at: str = "") -> None:
    """Types a call in."""
    page = organiser.page
    entry = page.locator("#entry")
    if not await entry.is_visible():
        await page.get_by_text("Enter a registration").click()
    await entry.get_by_label("Name", exact=True).fill(name)
    await entry.get_by_label("Telephone", exact=True).fill(phone)
    await entry.get_by_label("Time of the call").fill(at)
    await entry.get_by_label("My picture may be in the live broadcast.").check()
    await entry.get_by_role("button", name="Register").click()


async def test_a_seat_by_form_a_call_and_moving_up_while_the_organiser_looks_on(cast: Cast, evening: Evening) -> None:
    organiser = await cast.console("organiser")
    await organiser.opens("/registrations")
    await organiser.linked()
    anna = await cast.person(Person, PHONE)
    await registers(anna, "Anna Aal", "anna@example.org")
    await expect(anna.page.get_by_role("status")).to_contain_text("You have a seat.")
    await expect(anna.page.locator(".ticket svg")).to_be_visible()
    await expect(anna.page.get_by_text("Entrance at the yard")).to_be_visible()
    seated, waiting = organiser.page.locator("#list-seated > li"), organiser.page.locator("#list-waiting > li")
    await expect(seated).to_have_count(1)
    await expect(seated.first).to_contain_text("Anna Aal")

    await calls(organiser, "Bilal Bär", "02305 1060")
    await expect(waiting).to_have_count(1)
    await expect(organiser.page.locator("#entry").get_by_label("Name", exact=True)).to_be_focused()
    await calls(organiser, "Cem Çelik", "02305 1061", "00:00:01")
    await expect(waiting).to_have_count(2)
    await expect(waiting.first).to_contain_text("Cem Çelik")  # the call came first
    await expect(waiting.first).to_contain_text("entered late")
    await expect(waiting.first).to_contain_text("to be told by telephone")

    await anna.page.get_by_text("I cannot come").click()
    await anna.page.get_by_role("button", name="Cancel my registration").click()
    await expect(anna.page.get_by_text("Your registration is cancelled.")).to_be_visible()
    await expect(seated).to_have_count(1)
    await expect(seated.first).to_contain_text("Cem Çelik")
    await seated.first.get_by_role("button", name="Confirm").click()
    await expect(seated.first.get_by_text("to confirm by")).to_have_count(0)


async def test_what_is_refused_stands_at_its_field_and_nothing_typed_is_lost(cast: Cast, evening: Evening) -> None:
    anna = await cast.person(Person, PHONE)
    await anna.opens("/register")
    await anna.page.get_by_label("Your name").fill("Anna Aal")
    await anna.page.get_by_label("Telephone").fill("ruf mich an")
    await anna.page.get_by_label("My picture may be in the live broadcast.").check()
    await anna.page.get_by_role("button", name="Register").click()
    phone = anna.page.get_by_label("Telephone")
    words = "This telephone number is not understood. Please write it with its area code, like 02305 1060."
    await expect(phone).to_have_accessible_description(words)
    await expect(phone).to_have_value("ruf mich an")
    await expect(anna.page.get_by_label("Your name")).to_have_value("Anna Aal")
    await expect(anna.page.get_by_role("alert")).to_contain_text("This telephone number is not understood.")
    await phone.fill("02305 1060")
    await anna.page.get_by_role("button", name="Register").click()
    await expect(anna.page.get_by_role("status")).to_contain_text("You have a seat.")


async def test_a_withdrawn_name_goes_from_every_screen(cast: Cast, evening: Evening) -> None:
    """The person's own browser writes; the name was agreed to, and is withdrawn while it is on air."""
    anna = await cast.person(Person, PHONE)
    await anna.opens("/register")
    await anna.page.get_by_label("Your name").fill("Anna Aal")
    await anna.page.get_by_label("E-mail").fill("anna@example.org")
    for consent in ("My picture may be in the live broadcast.", "My name may be shown on the screen."):
        await anna.page.get_by_label(consent).check()
    await anna.page.get_by_role("button", name="Register").click()
    await expect(anna.page.get_by_role("status")).to_contain_text("You have a seat.")
    own = anna.page.url.partition("?")[0]
    await anna.opens()
    await anna.linked()
    await anna.page.get_by_label("What would you like to say?").fill("Benches at the ring")
    await anna.page.get_by_label("Name or pseudonym").fill("Anna Aal")
    await anna.page.get_by_role("button", name="Send", exact=True).click()
    moderator = await evening.staff("moderator", "moderation")
    await expect(anna.page.locator("#own > li")).to_have_count(1)
    for step in ("approve", "shortlist", "air"):
        await moderator.do(f"contribution.{step}", contribution=1)
    home, stage, overlay = await cast.home(), await cast.stage(), await cast.overlay()
    for screen in (home, stage, overlay):
        await expect(screen.page.get_by_text("Anna Aal").first).to_be_visible()

    await anna.page.goto(own)
    await anna.page.get_by_role("button", name="Withdraw (My name may be shown on the screen.)").click()
    await expect(anna.page.get_by_role("status").first).to_contain_text("Your consent is withdrawn.")
    for screen in (home, stage, overlay):
        await expect(screen.page.get_by_text("Benches at the ring").first).to_be_visible()
        await expect(screen.page.get_by_text("Anna Aal")).to_have_count(0)


async def played(evening: Evening) -> list[str]:
    """People in every state; the paths of their own pages."""
    helper = await evening.staff("helper")
    given: dict[str, Any] = {"place": "hall", "consents": ["picture"]}
    paths = []
    for number in range(5):
        more = {"email": f"{number}@example.org"} if number % 2 else {"phone": f"02305 106{number}", "way": "phone"}
        done = await helper.do("registration.submit", **given, name=f"Gast mit einem langen Namen {number}", **more)
        paths.append(f"/r/{evening.slug}.{done['token']}")
    await helper.do("registration.cancel", registration=1)
    await helper.do("registration.correct", registration=3, note="kommt etwas später, " * 8)
    await helper.do("registration.withdraw_consent", registration=4, purpose="picture")
    return paths


@pytest.mark.parametrize("size", [PHONE, LAPTOP], ids=["phone", "laptop"])
async def test_axe_finds_nothing_where_people_register(cast: Cast, evening: Evening, size: Size) -> None:
    paths = await played(evening)
    anna = await cast.person(Person, size)
    found = []
    await anna.opens("/register")
    found += await violations(anna.page)
    await anna.page.get_by_label("Your name").fill("A")
    await anna.page.get_by_role("button", name="Register").click()
    await expect(anna.page.get_by_role("alert")).to_be_visible()
    found += await violations(anna.page)
    anna.faults.clear()  # a page with status 422
    for path in paths:
        await anna.page.goto(anna.url + path)
        for details in await anna.page.locator("details").all():
            await details.locator("summary").click()
        found += await violations(anna.page)
    organiser = await cast.console("organiser", size)
    for path in ("/registrations", "/registrations/print", "/registrations/message?kind=seated"):
        await organiser.opens(path)
        for details in await organiser.page.locator("details:visible").all():
            await details.locator("summary").first.click()
        found += await violations(organiser.page)
    assert found == []


@pytest.mark.parametrize("width", [320, 390, 1366])
async def test_nothing_runs_out_of_the_screen(cast: Cast, evening: Evening, width: int) -> None:
    paths = await played(evening)
    organiser = await cast.console("organiser", (width, 800))
    own = [f"{evening.page}/{path}" for path in ("register", "registrations", "registrations/message?kind=seated")]
    for path in (*own, *paths):
        await organiser.page.goto(organiser.url + path)
        overflow = await organiser.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, path
