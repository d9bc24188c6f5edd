"""The door of the hall: volunteers check guests in by code and by name, with and without a network, and the crew sees who may be
filmed."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Locator, expect
from playwright.async_api import Error as PlaywrightError

from tests.browser.camera import ALLOWED, DENIED, MISSING, fake_camera
from tests.browser.cast import PHONE, Cast, Person, Size
from tests.browser.conftest import launched
from tests.browser.test_access import violations
from tests.browser.test_camera import DETECTOR
from tests.flow.evening import Evening, refusal
from tests.flow.line import Line
from tests.flow.server import Server

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

SMALL, TABLET = (360, 740), (820, 1180)
FACTS: dict[str, Any] = {"starts": "2099-08-20T18:00:00+02:00", "ends": "2099-08-20T20:00:00+02:00"}
PLACES: dict[str, Any] = {
    "hall": {
        "seats": 9, "party": 4, "consents": ["picture"], "optional_consents": ["voice", "photos"], "reserved": {"off_camera": 1}
    },
    "conference": {"seats": 5},
}

Registers = Callable[..., Awaitable[dict[str, Any]]]


class Door(Person):
    """A volunteer's phone or tablet at the door."""

    def row(self, name: str) -> Locator:
        """The guest in the list."""
        return self.page.locator("#guests > .guest", has_text=name)

    @property
    def names(self) -> Locator:
        """Those who are in sight."""
        return self.page.locator("#guests > .guest:visible .guest__name")

    @property
    def result(self) -> Locator:
        """What became of the last code."""
        return self.page.locator("#result .result")

    async def seeks(self, words: str) -> None:
        """Types into the search."""
        await self.page.get_by_role("searchbox", name="Name or number").fill(words)

    async def filters(self, title: str) -> None:
        """Chooses what is shown."""
        await self.page.get_by_role("radio", name=title, exact=True).check()

    async def checks_in(self, name: str) -> None:
        """One tap."""
        await self.row(name).get_by_role("button", name="Check in").click()

    async def scans(self, code: str) -> None:
        """Holds a code before the camera, which reads nothing else from now on."""
        if await self.page.locator("#viewer").is_hidden():
            await self.page.get_by_role("button", name="Scan QR codes").click()
        await self.page.evaluate("(code) => { window.inSight = [code]; }", code)

    async def arrives(self) -> None:
        """Opens the page."""
        await self.opens("/desk")
        await self.linked()


@pytest_asyncio.fixture(loop_scope="session")
async def evening(running: Server) -> AsyncIterator[Evening]:
    """An event with seats; the server has logged no exception."""
    before = len(running.said())
    async with Evening(running, await running.event("live", **FACTS, places=PLACES)) as evening:
        yield evening
    assert "Traceback" not in running.said()[before:], running.said()[before:]


@pytest_asyncio.fixture(loop_scope="session")
async def registers(evening: Evening) -> Registers:
    """Somebody takes registrations by telephone; each returns number, status and token."""
    desk = await evening.staff("helper", "door")
    calls = iter(range(100_000, 999_999))

    async def register(name: str, **facts: Any) -> dict[str, Any]:
        given = {"place": "hall", "phone": f"02305 {next(calls)}", "way": "phone", "consents": ["picture", "voice"], **facts}
        return await desk.do("registration.submit", name=name, **given)

    return register


@pytest_asyncio.fixture(loop_scope="session")
async def eyes(browser: Browser) -> AsyncIterator[Callable[..., Awaitable[Browser]]]:
    """Browsers with another camera."""
    async with AsyncExitStack() as closing:

        async def opened(*options: str) -> Browser:
            chromium = await launched(browser.browser_type, *options)
            closing.push_async_callback(chromium.close)
            return chromium

        yield opened


async def at_door(cast: Cast, role: str = "helper", size: Size = SMALL, **options: Any) -> Door:
    """Somebody who has signed in and sees the list."""
    door = await cast.person(Door, size, **options)
    await door.page.add_init_script(DETECTOR)
    await door.page.goto(door.url + await cast.evening.server.link(cast.evening.slug, role))
    await door.page.get_by_role("button", name="Sign in on this device").click()
    await door.page.wait_for_url(re.compile("/e/"))
    await door.arrives()
    return door


def code(evening: Evening, registered: dict[str, Any]) -> str:
    """What is in the QR code of the confirmation."""
    return f"{evening.server.url}/r/{evening.slug}.{registered['token']}"


async def steps(evening: Evening, number: int) -> list[str]:
    """What was done to a registration, as the log says it."""
    organiser = await evening.staff("organiser", "registrations")
    shown = organiser.documents["registrations"][f"registration/{number}"]
    return [step["what"] for step in shown["history"]]


async def test_a_code_on_film_checks_its_guest_in_and_undo_takes_it_back(
    eyes: Callable[..., Awaitable[Browser]], cast: Cast, evening: Evening, registers: Registers, tmp_path: Path
) -> None:
    erika = await registers("Erika Mustermann", party=2)
    other = await at_door(cast, size=TABLET)
    async with Cast(await eyes(*fake_camera(tmp_path / "code.y4m", code(evening, erika))), evening) as watching:
        door = await watching.person(Door, SMALL)
        await door.page.goto(door.url + await evening.server.link(evening.slug, "helper"))
        await door.page.get_by_role("button", name="Sign in on this device").click()
        await door.linked()
        await door.arrives()
        await door.page.get_by_role("button", name="Scan QR codes").click()

        await expect(door.result).to_have_attribute("data-tone", "good")
        for words in ("Checked in", "Erika Mustermann", "2 people", "Hall", "picture and voice"):
            await expect(door.result).to_contain_text(words)
        await door.page.wait_for_function("() => seen.said.some((words) => /Checked in.*Erika Mustermann.*2 people/.test(words))")
        await expect(other.row("Erika")).to_contain_text("here since")
        await expect(other.page.locator(".sum[data-place=hall]")).to_contain_text(re.compile(r"here\s*2"))

        await door.result.get_by_role("button", name="Undo").click()
        await expect(door.result).to_contain_text("Check-in taken back")
        await expect(other.row("Erika")).not_to_contain_text("here since")
        await door.result.get_by_role("button", name="Check in 2 people").click()
        await expect(other.row("Erika")).to_contain_text("here since")
        await door.page.get_by_role("button", name="Switch off").click()
        assert await door.page.evaluate("document.querySelector('video').srcObject") is None
        watching.assert_no_faults()


async def test_every_code_gets_a_clear_answer(cast: Cast, evening: Evening, registers: Registers) -> None:
    guests = {name: await registers(name) for name in ("Anna", "Bernd", "Carla")}
    guests["Karla"] = await registers("Karla", place="conference", consents=[])
    guests["Party"] = await registers("Party", party=4)
    guests["Waltraud"] = await registers("Waltraud", party=3)
    desk = await evening.staff("helper", "door")
    await desk.do("registration.cancel", registration=guests["Bernd"]["number"])
    await desk.do("registration.check_in", registration=guests["Anna"]["number"])
    right = code(evening, guests["Carla"])
    answers = [
        ("https://example.org/menu", "bad", "This is not a code of a registration"),
        (right.replace(evening.slug, "anderer-abend"), "bad", "This code belongs to another event"),
        (f"{right[:-1]}{'A' if right[-1] != 'A' else 'B'}", "bad", "This code is not valid"),
        (re.sub(r"\.\d+\.", ".4711.", right), "bad", "Nobody is registered with this code"),
        (code(evening, guests["Bernd"]), "bad", "This registration is cancelled"),
        (code(evening, guests["Anna"]), "turn", r"Already here since \d\d:\d\d"),
        (code(evening, guests["Karla"]), "turn", "Registered for another place"),
        (code(evening, guests["Waltraud"]), "turn", "On the waiting list"),
        (right.lower().replace("/r/", "/r/"), "good", "Checked in"),
    ]
    door = await at_door(cast)
    for text, tone, words in answers:
        await door.scans(text)
        await expect(door.result).to_contain_text(re.compile(words))
        await expect(door.result).to_have_attribute("data-tone", tone)
        box = await door.result.bounding_box()
        assert box is not None
        assert 0 <= box["y"] < SMALL[1] - 100, "the answer is out of sight"

    # Two seats become free: she moves up and has not confirmed yet. Checking in confirms it.
    await desk.do("registration.cancel", registration=guests["Carla"]["number"])
    await desk.do("registration.correct", registration=guests["Waltraud"]["number"], party=2)
    await expect(door.row("Waltraud")).to_contain_text("not confirmed yet")
    await door.scans(code(evening, guests["Waltraud"]))
    await expect(door.result).to_contain_text("Not confirmed yet")
    await door.result.get_by_role("button", name="Check in 2 people").click()
    await expect(door.result).to_contain_text("Checked in")
    await expect(door.row("Waltraud")).to_contain_text("here since")
    await expect(door.row("Waltraud")).not_to_contain_text("not confirmed yet")


async def test_without_a_network_right_codes_are_told_from_forged_ones_and_sent_when_it_is_back(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    anna, bernd = await registers("Anna"), await registers("Bernd")
    door = await at_door(cast, url=line.url)
    door.in_trouble = True
    await line.cut()
    await expect(door.page.locator("#offline")).to_be_visible()

    await door.scans(code(evening, bernd)[:-3] + "AAA")
    await expect(door.result).to_contain_text("This code is not valid")
    await door.scans(re.sub(r"\.\d+\.", ".4711.", code(evening, anna)))
    await expect(door.result).to_contain_text("Not on the list of this device")
    await door.scans(code(evening, anna))
    await expect(door.result).to_contain_text("Checked in, will be sent")
    await expect(door.result).to_have_attribute("data-tone", "good")
    await expect(door.row("Anna")).to_contain_text("checked in, will be sent")
    await expect(door.page.locator("#waits")).to_contain_text("Waiting to be sent: 1")

    await line.mend()
    await expect(door.row("Anna")).to_contain_text("here since")
    await expect(door.page.locator("#waits")).to_be_hidden()
    await expect(door.result.locator(".result__title")).to_have_text("Checked in")
    assert (await steps(evening, anna["number"])).count("here") == 1
    assert "here" not in await steps(evening, bernd["number"])


async def test_what_was_done_without_a_network_survives_that_the_page_is_closed(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    numbers = [(await registers(f"Gast {letter}"))["number"] for letter in "ABC"]
    door = await at_door(cast, url=line.url)
    await door.loses(line)
    await expect(door.page.locator("#offline")).to_be_visible()
    for letter in "ABC":
        await door.checks_in(f"Gast {letter}")
        await expect(door.row(f"Gast {letter}")).to_contain_text("checked in, will be sent")
    await door.row("Gast B").get_by_role("button", name="Undo").click()
    await expect(door.row("Gast B")).to_contain_text("check-in taken back, will be sent")
    await expect(door.page.locator("#waits")).to_contain_text("Waiting to be sent: 4")
    await door.page.close()

    await door.finds(line)
    again = await cast.at(Door, door.page.context, line.url)
    await again.arrives()
    await expect(again.row("Gast A")).to_contain_text("here since")
    await expect(again.row("Gast C")).to_contain_text("here since")
    await expect(again.row("Gast B").get_by_role("button", name="Check in")).to_be_visible()
    await expect(again.page.locator("#waits")).to_be_hidden()
    done = [[step for step in await steps(evening, number) if "here" in step] for number in numbers]
    assert done == [["here"], ["here", "not_here"], ["here"]]


async def loads_anew(door: Door) -> None:
    """As a telephone does that has put the page to sleep."""
    await door.page.locator("html[data-kept]").wait_for(state="attached")
    await door.page.reload()


async def test_a_page_that_is_loaded_anew_without_a_network_has_its_list_and_goes_on(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    anna, number = await registers("Anna"), (await registers("Bernd"))["number"]
    door = await at_door(cast, url=line.url)
    await door.page.locator("html[data-kept]").wait_for(state="attached")
    await door.loses(line)
    await door.checks_in("Bernd")
    await expect(door.row("Bernd")).to_contain_text("checked in, will be sent")
    await loads_anew(door)
    await expect(door.names).to_have_text(["Anna", "Bernd"])
    await expect(door.row("Bernd")).to_contain_text("checked in, will be sent")
    await expect(door.page.locator("#offline")).to_be_visible()
    await expect(door.page.locator("#waits")).to_contain_text("Waiting to be sent: 1")
    await door.scans(code(evening, anna))
    await expect(door.result).to_contain_text("Checked in, will be sent")
    assert await violations(door.page) == []

    await registers("Carla")
    await door.finds(line)
    await expect(door.names).to_have_text(["Anna", "Bernd", "Carla"])
    await expect(door.page.locator("#waits")).to_be_hidden()
    for each in (anna["number"], number):
        assert (await steps(evening, each)).count("here") == 1
    # What has come by the connection is in the list that the tab keeps, too.
    await door.loses(line)
    await loads_anew(door)
    await expect(door.names).to_have_text(["Anna", "Bernd", "Carla"])


async def test_the_control_without_a_service_worker_the_list_is_gone(cast: Cast, registers: Registers, line: Line) -> None:
    await registers("Anna")
    door = await at_door(cast, url=line.url)
    await door.page.add_init_script("delete Navigator.prototype.serviceWorker")
    await door.page.evaluate("navigator.serviceWorker.ready.then((found) => found.unregister())")
    await door.page.reload()
    await door.loses(line)
    with pytest.raises(PlaywrightError, match="ERR_"):
        await door.page.reload()
    await expect(door.names).to_have_count(0)
    door.faults.clear()  # nobody has touched the page, so that the browser does not ask whether to leave it, and says so


async def test_what_a_device_keeps_about_people_ends_with_the_tab_and_with_the_right_to_see_it(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    await registers("Anna Datensatz")
    door = await at_door(cast, url=line.url)
    await door.page.locator("html[data-kept]").wait_for(state="attached")
    kept = await door.page.evaluate(
        """async () => {
            const found = [];
            for (const name of await caches.keys())
                for (const request of await (await caches.open(name)).keys())
                    found.push([request.url, await (await (await caches.open(name)).match(request)).text()]);
            return found;
        }"""
    )
    assert any("list=later" in address for address, _ in kept)
    assert any("door.js" in address for address, _ in kept)
    assert not [address for address, text in kept if "Datensatz" in text], "the page is kept without anybody on it"
    stored = "() => Object.values(sessionStorage).join().includes('Datensatz')"
    await door.page.wait_for_function(stored)

    door.in_trouble = True
    await line.cut()
    other = await cast.at(Door, door.page.context, line.url)  # another tab of the same device, without a list
    other.in_trouble = True
    await other.page.goto(f"{line.url}/e/{evening.slug}/desk")
    await expect(other.page.get_by_text("this device does not have the list of guests")).to_be_visible()
    assert not await other.page.evaluate(stored)
    await line.mend()
    await expect(other.names).to_have_text(["Anna Datensatz"])
    await expect(other.page.get_by_text("this device does not have the list of guests")).to_have_count(0)

    for each in (door, other):
        await each.page.wait_for_function(stored)
    await evening.server.command(evening.slug, "link.revoke", role="helper")
    for each in (door, other):
        await expect(each.page.get_by_text("You may not do this here.")).to_be_visible()
        assert not await each.page.evaluate(stored)


async def test_two_tablets_that_check_in_the_same_guest_make_one_check_in(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    number = (await registers("Anna"))["number"]
    first, second = await at_door(cast, url=line.url), await at_door(cast, size=TABLET)
    await first.loses(line)
    await expect(first.page.locator("#offline")).to_be_visible()
    await first.checks_in("Anna")
    await second.checks_in("Anna")
    await expect(second.row("Anna")).to_contain_text("here since")

    await first.finds(line)
    await expect(first.row("Anna")).to_contain_text("here since")
    await expect(first.page.locator("#waits")).to_be_hidden()
    await expect(first.page.locator("#troubles")).to_be_hidden()
    assert (await steps(evening, number)).count("here") == 1


async def test_a_slow_answer_shows_at_once_and_a_lost_one_does_not_double_it(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    number = (await registers("Anna"))["number"]
    door, other = await at_door(cast, url=line.url), await at_door(cast)
    door.in_trouble = True
    line.hold()
    await door.checks_in("Anna")
    await expect(door.row("Anna").locator(".guest__now")).to_be_visible()
    await expect(other.row("Anna")).to_contain_text("here since")
    await line.cut()
    line.release()
    await line.mend()

    await expect(door.row("Anna")).to_contain_text("here since")
    assert (await steps(evening, number)).count("here") == 1


async def test_what_is_refused_later_is_shown_at_the_guest_and_in_a_list(
    cast: Cast, evening: Evening, registers: Registers, line: Line
) -> None:
    number = (await registers("Anna"))["number"]
    await registers("Bernd")
    door = await at_door(cast, url=line.url)
    await door.loses(line)
    await expect(door.page.locator("#offline")).to_be_visible()
    await door.checks_in("Anna")
    await (await evening.staff("helper", "door")).do("registration.cancel", registration=number)

    await door.finds(line)
    troubles = door.page.locator("#troubles")
    await expect(troubles).to_contain_text("Please look at these")
    await expect(troubles).to_contain_text(re.compile("Anna.*the registration is “cancelled”"))
    await expect(door.row("Anna").locator(".problem")).to_contain_text("the registration is “cancelled”")
    await expect(door.row("Anna").locator(".guest__now")).to_be_hidden()
    await door.page.wait_for_function("() => seen.said.some((words) => words.startsWith('Anna:'))")

    await door.page.reload()
    await door.linked()
    await expect(door.row("Anna").locator(".problem")).to_be_visible()
    await door.seeks("Bernd")
    await troubles.get_by_role("button", name="Show in the list").click()
    await expect(door.row("Anna")).to_be_focused()
    await troubles.get_by_role("button", name="Settled").click()
    await expect(troubles).to_be_hidden()
    await expect(door.row("Anna").locator(".problem")).to_have_count(0)


async def test_names_are_found_as_they_are_spoken(cast: Cast, registers: Registers) -> None:
    for name in ("Jürgen Müller", "Şükran Öztürk-Yılmaz", "Zoë Groß", "Manuel Lange"):
        await registers(name)
    door = await at_door(cast)
    await expect(door.names).to_have_text(["Zoë Groß", "Manuel Lange", "Jürgen Müller", "Şükran Öztürk-Yılmaz"])
    for words, names in {
        "muller": ["Jürgen Müller"],
        "Mueller jur": ["Jürgen Müller"],
        "OZTURK": ["Şükran Öztürk-Yılmaz"],
        "oeztuerk yilmaz": ["Şükran Öztürk-Yılmaz"],
        "gross": ["Zoë Groß"],
        "zoe": ["Zoë Groß"],
        "manuel": ["Manuel Lange"],
        "2": ["Şükran Öztürk-Yılmaz"],
        "#4": ["Manuel Lange"],
    }.items():
        await door.seeks(words)
        await expect(door.names).to_have_text(names)
    await door.page.wait_for_function("() => seen.said.includes('Found: 1')")
    await door.seeks("nobody")
    await expect(door.page.get_by_text("Nobody found.")).to_be_visible()


async def test_one_tap_checks_in_and_one_takes_it_back(cast: Cast, registers: Registers) -> None:
    await registers("Anna", party=3)
    await registers("Bernd")
    door, other = await at_door(cast), await at_door(cast)
    await door.filters("Expected")
    await expect(door.names).to_have_text(["Anna", "Bernd"])
    await door.row("Anna").get_by_role("button", name="Check in 3 people").click()
    await expect(other.row("Anna")).to_contain_text("here since")
    await expect(door.names).to_have_text(["Anna", "Bernd"])  # in sight, so that a slip can be taken back
    await expect(door.row("Anna").get_by_role("button", name="Undo")).to_be_visible()

    await door.filters("Here")
    await expect(door.names).to_have_text(["Anna"])
    await door.row("Anna").get_by_role("button", name="Undo").press("Enter")
    await expect(door.row("Anna").get_by_role("button", name="Check in")).to_be_focused()
    await expect(other.row("Anna").get_by_role("button", name="Check in")).to_be_visible()
    await door.seeks("bernd")
    await expect(door.names).to_have_text(["Bernd"])
    await expect(door.page.get_by_role("radio", name="All", exact=True)).to_be_checked()
    await door.page.get_by_role("searchbox").press("Enter")
    await expect(door.row("Bernd").get_by_role("button", name="Check in")).to_be_focused()


async def test_walk_ins_get_seats_until_there_are_none(cast: Cast, evening: Evening, registers: Registers, line: Line) -> None:
    await registers("Party", party=4)
    door = await at_door(cast, url=line.url)
    form = door.page.locator("#walkin-form")

    async def comes(name: str, people: str, *, agrees: bool = True) -> None:
        if not await form.is_visible():
            await door.page.locator("#walkin > summary").click()
        await form.get_by_label("Name").fill(name)
        await form.get_by_label("People").select_option(people)
        if agrees:
            await form.get_by_label("My picture may be in the live broadcast.").check()
        await form.get_by_role("button", name="Give a seat and check in").click()

    await comes("Frau Spontan", "2", agrees=False)
    await expect(form.locator("[data-slot=free]")).to_have_text("4")
    assert await form.evaluate("form => !form.checkValidity()")
    await expect(form).to_be_visible()
    await comes("Frau Spontan", "2")
    await expect(door.row("Frau Spontan")).to_contain_text("here since")
    await expect(door.row("Frau Spontan")).to_contain_text("picture only, no voice")
    await expect(form).to_be_hidden()

    await comes("Familie Zuviel", "3")
    await expect(form.locator(".problem")).to_contain_text("There are not enough free seats")
    await expect(form.get_by_label("Name")).to_have_value("Familie Zuviel")
    await form.get_by_label("Reserved seat").select_option("off_camera")
    await expect(form.locator(".problem")).to_have_count(0)
    await form.get_by_label("My picture may be in the live broadcast.").uncheck()
    await comes("Herr Scheu", "1", agrees=False)
    await expect(door.row("Herr Scheu")).to_contain_text("not on camera")

    await door.loses(line)
    await expect(door.page.locator("#offline")).to_be_visible()
    await comes("Paar Pünktlich", "2")
    await expect(door.page.locator("#waits")).to_contain_text("Paar Pünktlich, 2 without a registration")
    await comes("Paar Später", "2")
    await expect(door.page.locator("#waits li")).to_have_count(2)
    await door.finds(line)
    await expect(door.row("Paar Pünktlich")).to_contain_text("here since")
    await expect(door.page.locator("#troubles")).to_contain_text(re.compile("Paar Später.*There are not enough free seats"))
    await expect(door.row("Paar Später")).to_have_count(0)


async def test_the_crew_sees_who_may_be_filmed_and_checks_nobody_in(cast: Cast, evening: Evening, registers: Registers) -> None:
    number = (await registers("Beides"))["number"]
    await registers("Nur Bild", consents=["picture"])
    await registers("Verborgen", contingent="off_camera", consents=[])
    waits = await registers("Wartet", party=8)
    assert waits["status"] == "waiting"
    crew = await at_door(cast, "operator", TABLET)
    await expect(crew.page.get_by_role("button", name="Check in")).to_have_count(0)
    await expect(crew.page.locator("#walkin")).to_have_count(0)

    await crew.filters("Camera")
    await expect(crew.names).to_have_text(["Beides", "Nur Bild", "Verborgen"])
    for name, words in (("Beides", "picture and voice"), ("Nur Bild", "picture only, no voice"), ("Verborgen", "not on camera")):
        await expect(crew.row(name).locator(".camera")).to_have_text(words)
    stripes = await crew.page.eval_on_selector_all(
        "#guests > .guest:not(.guest--filtered)", "rows => rows.map((row) => getComputedStyle(row).borderInlineStartColor)"
    )
    assert len(set(stripes)) == 3
    await crew.filters("not on camera")
    await expect(crew.names).to_have_text(["Verborgen"])

    helper = await evening.staff("helper", "door")
    await helper.do("registration.withdraw_consent", registration=number, purpose="picture")
    await helper.do("registration.withdraw_consent", registration=number, purpose="voice")
    await expect(crew.names).to_have_text(["Beides", "Verborgen"])
    refused = await refusal((await evening.staff("operator", "door")).do("registration.check_in", registration=number))
    assert refused.code == "forbidden"


INSECURE = "Object.defineProperty(navigator, 'mediaDevices', { value: undefined });"


@pytest.mark.parametrize(
    ("options", "script", "words"),
    [
        (DENIED, "", "The camera may not be used."),
        (MISSING, "", "This device has no camera."),
        (ALLOWED, INSECURE, "only on encrypted pages (https)"),
    ],
    ids=["denied", "missing", "insecure"],
)
async def test_without_a_camera_the_names_are_enough(
    eyes: Callable[..., Awaitable[Browser]], evening: Evening, registers: Registers, options: list[str], script: str, words: str
) -> None:
    await registers("Anna")
    async with Cast(await eyes(*options), evening) as watching:
        door = await at_door(watching)
        await door.page.evaluate(script)
        await door.page.get_by_role("button", name="Scan QR codes").click()
        await expect(door.page.locator("#scan-problem")).to_contain_text(words)
        await expect(door.page.get_by_role("button", name="Scan QR codes")).to_be_visible()
        await door.seeks("ann")
        await door.checks_in("Anna")
        await expect(door.row("Anna")).to_contain_text("here since")
        watching.assert_no_faults()


async def test_a_scanner_that_types_is_a_camera_too(cast: Cast, evening: Evening, registers: Registers) -> None:
    anna = await registers("Anna")
    door = await at_door(cast)
    await door.seeks(code(evening, anna))
    await door.page.get_by_role("searchbox").press("Enter")
    await expect(door.result).to_contain_text("Checked in")
    await expect(door.page.get_by_role("searchbox")).to_have_value("")


async def test_without_javascript_the_list_the_search_and_the_buttons_are_forms(
    cast: Cast, evening: Evening, registers: Registers
) -> None:
    await registers("Jürgen Müller", party=2)
    bernd = await registers("Bernd")
    door = await cast.person(Door, SMALL, java_script_enabled=False)
    await door.page.goto(door.url + await evening.server.link(evening.slug, "helper"))
    await door.page.get_by_role("button", name="Sign in on this device").click()
    await door.opens("/desk")
    await expect(door.page.get_by_role("button", name="Scan QR codes")).to_be_hidden()
    await door.seeks("mueller")
    await door.page.get_by_role("button", name="Search").click()
    await expect(door.names).to_have_text(["Jürgen Müller"])
    await door.checks_in("Jürgen Müller")
    await expect(door.row("Jürgen Müller")).to_contain_text("here since")
    await expect(door.names).to_have_count(2)
    await door.filters("Here")
    await door.page.get_by_role("button", name="Search").click()
    await expect(door.names).to_have_text(["Jürgen Müller"])
    await door.row("Jürgen Müller").get_by_role("button", name="Undo").click()
    await expect(door.row("Jürgen Müller").get_by_role("button", name="Check in")).to_be_visible()

    await (await evening.staff("helper", "door")).do("registration.cancel", registration=bernd["number"])
    await door.checks_in("Bernd")
    door.faults.clear()
    await expect(door.page.get_by_role("alert")).to_contain_text(re.compile("Bernd:.*the registration is “cancelled”"))

    await door.page.get_by_text("Somebody without a registration").click()
    form = door.page.locator("#walkin-form")
    await form.get_by_label("Name").fill("Familie Spontan")
    await form.get_by_label("People").select_option("8")
    await form.get_by_label("My picture may be in the live broadcast.").check()
    await form.get_by_role("button", name="Give a seat and check in").click()
    door.faults.clear()
    await expect(door.page.get_by_role("alert")).to_contain_text("There are not enough free seats")
    await expect(form.get_by_label("Name")).to_have_value("Familie Spontan")
    await form.get_by_label("People").select_option("5")
    await form.get_by_role("button", name="Give a seat and check in").click()
    await expect(door.row("Familie Spontan")).to_contain_text("here since")


@pytest.mark.parametrize("size", [SMALL, TABLET], ids=["phone", "tablet"])
async def test_axe_finds_nothing_at_the_door(cast: Cast, evening: Evening, registers: Registers, line: Line, size: Size) -> None:
    anna, bernd = await registers("Anna", consents=["picture"]), await registers("Bernd")
    waits = await registers("Wartet", party=8)
    await registers("Verborgen", contingent="off_camera", consents=[])
    door = await at_door(cast, size=size, url=line.url)
    found = await violations(door.page)
    for shown, tone in ((code(evening, anna), "good"), (code(evening, waits), "turn"), ("nonsense", "bad")):
        await door.scans(shown)
        await expect(door.result).to_have_attribute("data-tone", tone)
        found += await violations(door.page)
    await door.filters("Camera")
    await door.page.locator("#walkin > summary").click()
    found += await violations(door.page)
    await door.filters("All")
    await door.loses(line)
    await expect(door.page.locator("#offline")).to_be_visible()
    await door.checks_in("Bernd")
    await expect(door.page.locator("#waits")).to_be_visible()
    found += await violations(door.page)
    await (await evening.staff("helper", "door")).do("registration.cancel", registration=bernd["number"])
    await door.finds(line)
    await expect(door.page.locator("#troubles")).to_be_visible()
    found += await violations(door.page)
    assert found == []


async def test_thumbs_hit_everything_and_nothing_runs_out_of_a_small_screen(cast: Cast, registers: Registers) -> None:
    """44 by 44 CSS px (WCAG 2.2, 2.5.5), for people in a hurry; no scrolling in two directions at 320 px (1.4.10)."""
    await registers("Prof. Dr. Maximilian-Alexander von und zu Hohenstein-Schwarzenberg-Sonderburg", party=4)
    await registers("x" * 60)
    await registers("Wartet", party=8)
    door = await at_door(cast, size=(320, 640))
    await door.checks_in("xxx")
    await door.filters("Camera")
    await door.page.locator("#walkin > summary").click()
    for show in ("Camera", "All"):
        await door.filters(show)
        assert await door.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
        small = await door.page.evaluate(
            """() => [...document.querySelectorAll("button, select, summary, nav a, .input, label:has(> input)")]
                .filter((e) => e.checkVisibility() && !e.closest(".sr-only, .skip"))
                .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 120)])
                .filter(([box]) => box.width > 1 && (box.width < 44 || box.height < 44)).map(([, html]) => html)"""
        )
        assert small == []


async def test_nobody_else_sees_who_is_registered(cast: Cast, registers: Registers) -> None:
    await registers("Anna")
    home = await cast.person(Door, PHONE)
    await home.opens("/desk")
    home.faults.clear()
    await expect(home.page.get_by_text("You may not do this here.")).to_be_visible()
    assert "Anna" not in await home.page.content()
