"""The people of the plays, each at a browser of their own, and what they do there."""

from __future__ import annotations

import re
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Request, expect

from tests.flow.evening import Evening
from tests.flow.line import Line

PHONE, LAPTOP, PROJECTOR = (390, 844), (1366, 768), (1920, 1080)
WITHIN = 20_000
"""Milliseconds. Generous, because what is tested is that something comes at all; a busy machine is not a defect."""
WATCH = Path(__file__).with_name("watch.js")

_NETWORK = re.compile(r"net::ERR_|WebSocket connection to")
_STATUS = "Failed to load resource: the server responded with a status of"
Size = tuple[int, int]


class Person:
    """Somebody at a page. `faults` is what must never happen: errors on the console, requests to another host, dialogs."""

    def __init__(self, page: Page, evening: Evening, url: str) -> None:
        self.page, self.evening, self.url = page, evening, url
        self.faults: list[str] = []
        self.asked: list[str] = []
        self.in_trouble = False
        page.on("console", self._console)
        page.on("pageerror", lambda error: self.faults.append(f"exception: {error}"))
        page.on("request", self._request)

    async def opens(self, path: str = "") -> None:
        """Goes to a page of the event, and waits until it is connected if it has a script."""
        await self.page.goto(f"{self.url}{self.evening.page}{path}")

    async def linked(self, times: int = 1) -> None:
        """Waits until the page is connected for the n-th time since it was loaded, and shows what the server has said."""
        await self.page.wait_for_function("n => seen.linked && seen.links >= n && seen.applied >= n", arg=times, timeout=2 * WITHIN)

    async def loses(self, line: Line) -> None:
        """The network, and the device tells its pages so. Where it does not notice, `line.cut()` alone is what happens."""
        self.in_trouble = True
        await line.cut()
        await self.page.context.set_offline(True)

    async def finds(self, line: Line) -> None:
        """The network again, and the device tells its pages so."""
        await line.mend()
        await self.page.context.set_offline(False)

    async def seen(self, what: str) -> Any:
        """What the page remembers of its past, after all that has been begun is painted."""
        await self.page.evaluate("() => new Promise((done) => requestAnimationFrame(() => requestAnimationFrame(done)))")
        return await self.page.evaluate(f"() => seen.{what}")

    async def size(self, size: Size) -> None:
        """The window gets this size."""
        await self.page.set_viewport_size({"width": size[0], "height": size[1]})

    def _console(self, message: ConsoleMessage) -> None:
        if message.type not in ("error", "warning"):
            return
        # Chromium writes an error for every page with a status of 4xx; its wording is the page itself.
        own = message.text.startswith(_STATUS) and message.location["url"] == self.page.url
        if not own and not (self.in_trouble and _NETWORK.search(message.text)):
            self.faults.append(f"{message.type}: {message.text} ({self.page.url})")

    def _request(self, request: Request) -> None:
        self.asked.append(request.url)
        parts = urlsplit(request.url)
        if parts.scheme not in ("data", "blob") and parts.netloc != urlsplit(self.url).netloc:
            self.faults.append(f"asks another host: {request.url}")


class Participant(Person):
    """Somebody who takes part, at home or in the hall."""

    async def writes(self, text: str, kind: str = "Idea") -> None:
        """Fills in the form."""
        await self.page.locator("label.kinds__kind", has_text=kind).click()
        await self.page.get_by_label("What would you like to say?").fill(text)

    async def sends(self) -> None:
        """Presses the button of the form."""
        await self.page.get_by_role("button", name="Send", exact=True).click()

    async def says(self, text: str, kind: str = "Idea") -> None:
        """Writes, sends, and sees that it has arrived."""
        await self.writes(text, kind)
        await self.sends()
        await expect(self.page.locator("#own > .mine", has_text=text)).to_contain_text("Received.")

    def own(self, number: int) -> Locator:
        """One's own contribution."""
        return self.page.locator(f"#doc-me-contribution-{number}")

    def voice(self, number: int) -> Locator:
        """A contribution in the list of everybody's."""
        return self.page.locator(f"#doc-contribution-{number}")

    def support(self, number: int) -> Locator:
        """The button with which one supports a contribution."""
        return self.voice(number).get_by_role("button", name="I support this")

    def supporters(self, number: int) -> Locator:
        """How many support it."""
        return self.voice(number).locator("[data-count=support]")


class Moderator(Person):
    """Somebody at the console."""

    def card(self, number: int) -> Locator:
        """The contribution on the desk."""
        return self.page.locator(f"#doc-contribution-{number}")

    def column(self, state: str) -> Locator:
        """The list of all contributions in a state."""
        return self.page.locator(f"#queue-{state} > .card")

    async def sees(self, number: int, state: str) -> None:
        """Waits until the card lies in the column of this state."""
        await expect(self.page.locator(f"#queue-{state} > #doc-contribution-{number}")).to_be_attached()

    async def presses(self, key: str, number: int) -> None:
        """A key on a card."""
        await self.card(number).focus()
        await self.page.keyboard.press(key)


P = TypeVar("P", bound=Person)


class Cast:
    """Opens browsers for the people of one evening; when the play is over they leave, and nothing must have gone wrong."""

    def __init__(self, browser: Browser, evening: Evening) -> None:
        self.browser, self.evening = browser, evening
        self.people: list[Person] = []
        self._leaving = AsyncExitStack()

    async def __aenter__(self) -> Cast:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leaving.aclose()

    def assert_no_faults(self) -> None:
        """Asserts that nobody has met with what must never happen."""
        faults = [fault for person in self.people for fault in person.faults]
        assert not faults, "\n".join(faults)

    async def person(self, role: type[P], size: Size = LAPTOP, *, url: str = "", locale: str = "en-GB", **options: Any) -> P:
        """Somebody new at a screen of this size. `url`: a line to the server instead of the server."""
        viewport = {"width": size[0], "height": size[1]}
        context = await self.browser.new_context(viewport=viewport, locale=locale, **options)  # type: ignore[arg-type]
        self._leaving.push_async_callback(context.close)
        context.set_default_timeout(WITHIN)
        await context.add_init_script(path=WATCH)
        return await self.at(role, context, url)

    async def at(self, role: type[P], context: BrowserContext, url: str = "") -> P:
        """Another page in the browser of somebody who is there already."""
        person = role(await context.new_page(), self.evening, url or self.evening.server.url)
        self.people.append(person)
        return person

    async def home(self, size: Size = PHONE, **options: Any) -> Participant:
        """Somebody at home, on a phone."""
        person = await self.person(Participant, size, **options)
        await person.opens()
        await person.linked()
        return person

    async def hall(self, code: str, size: Size = PHONE, **options: Any) -> Participant:
        """Somebody in the hall, who types the code that they see."""
        person = await self.person(Participant, size, **options)
        await person.opens("/hall")
        await person.page.get_by_label("Code from the screen").fill(code)
        await person.page.get_by_role("button", name="I am in the hall").click()
        await person.linked()
        return person

    async def moderator(self, size: Size = LAPTOP, **options: Any) -> Moderator:
        """Somebody who has signed in as moderator."""
        return await self._signed_in(Moderator, "moderator", size, **options)

    async def console(self, role: str, size: Size = LAPTOP) -> Moderator:
        """Somebody at the console with this role."""
        person = await self._signed_in(Moderator, role, size)
        await person.opens("/moderation")
        await person.linked()
        return person

    async def stage(self, size: Size = PROJECTOR, **options: Any) -> Person:
        """The projector, signed in as operator."""
        return await self._signed_in(Person, "operator", size, **options)

    async def overlay(self, size: Size = PROJECTOR, query: str = "", **options: Any) -> Person:
        """The browser source of OBS."""
        person = await self.person(Person, size, **options)
        await person.page.goto(person.url + await self.evening.server.link(self.evening.slug, "overlay") + query)
        await person.linked()
        return person

    async def _signed_in(self, kind: type[P], role: str, size: Size, **options: Any) -> P:
        person = await self.person(kind, size, **options)
        await person.page.goto(person.url + await self.evening.server.link(self.evening.slug, role))
        await person.page.get_by_role("button", name="Sign in on this device").click()
        await person.linked()
        return person
