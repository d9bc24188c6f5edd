"""Takes a picture of every screen of the demo evening, to be looked at: `python -m tests.browser.pictures OUTDIR`."""

from __future__ import annotations

import asyncio
import re
import shutil
import sys
import tempfile
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, Page, async_playwright

from tests.browser.cast import LAPTOP, PHONE, PROJECTOR, WITHIN, Size
from tests.browser.conftest import OPTIONS
from tests.flow.server import Server
from tests.prerequisites import BROWSERS

SIZES = {"390": PHONE, "1366": LAPTOP, "1920": PROJECTOR}
SLUG = "digitalisierung-20-08"
FILLED = "() => document.querySelectorAll('#queue-answered > .card, #queue-on_air > .card').length > 1"
"""The demo has played its beginning: one contribution is on air, one has been taken up."""


def main() -> None:
    """The command."""
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as data:
        server = Server(Path(data), {}, "--demo")
        server.start()
        try:
            asyncio.run(take(server, target))
        finally:
            server.kill()


async def take(server: Server, target: Path) -> None:
    """Every screen at every size, in light and dark where it has both."""
    async with async_playwright() as playwright:
        program = next(filter(None, map(shutil.which, BROWSERS)))
        browser = await playwright.chromium.launch(executable_path=program, args=OPTIONS)
        addresses = dict(re.findall(r"^  (.+?)  +(http\S+)$", server.said(), re.MULTILINE))
        signed_in = {}
        for role in ("moderator", "stage"):
            page = await page_of(browser, addresses[f"sign in: {role}"], LAPTOP)
            await page.get_by_role("button").click()
            signed_in[role] = await page.context.storage_state()
            if role == "moderator":
                await page.wait_for_function(FILLED, timeout=2 * WITHIN)
            await page.context.close()
        for name, size in SIZES.items():
            shots = Shots(target, name)
            desk = await page_of(browser, addresses["moderation"], size, storage_state=signed_in["moderator"])
            stage = await page_of(browser, addresses["stage"], size, storage_state=signed_in["stage"])
            home = await page_of(browser, addresses["at home"], size)
            await shots.take(stage, "stage")
            await participant(home, addresses["at home"], shots)
            await console(desk, shots)
            await others(home, addresses, shots)
            for page in (desk, stage, home):
                await page.context.close()
        await browser.close()


async def page_of(browser: Browser, address: str, size: Size, **options: Any) -> Page:
    """A page in a browser of its own; a narrow one is a phone, with a finger instead of a mouse."""
    phone = size == PHONE
    viewport: Any = {"width": size[0], "height": size[1]}
    context = await browser.new_context(locale="de-DE", viewport=viewport, is_mobile=phone, has_touch=phone, **options)
    context.set_default_timeout(WITHIN)
    page = await context.new_page()
    await page.goto(address)
    return page


async def others(page: Page, addresses: dict[str, str], shots: Shots) -> None:
    """All pages that have one look, for somebody without a role."""
    base = addresses["at home"].rpartition("/e/")[0]
    for what, path in {
        "events": "/",
        "hall": f"/e/{SLUG}/hall",
        "hall-wrong": f"/e/{SLUG}/hall?c=XXXX",
        "not-found": "/e/nothing",
        "forbidden": f"/e/{SLUG}/moderation",
        "receipt-form": f"/e/{SLUG}/receipt",
        "receipt-wrong": f"/e/{SLUG}/receipt?code=1-WRONG",
        "sign-in": addresses["sign in: organiser"].removeprefix(base),
        "stage-public": f"/e/{SLUG}/stage",
        "overlay": addresses["overlay for OBS"].removeprefix(base) + "?bg=5f7f6f",
        "overlay-test": addresses["overlay for OBS"].removeprefix(base) + "?test=1&bg=5f7f6f",
    }.items():
        await page.goto(base + path)
        await shots.take(page, what)


class Shots:
    """Where the pictures of one size go."""

    def __init__(self, target: Path, name: str) -> None:
        self.target, self.name = target, name

    async def take(self, page: Page, what: str, *, full: bool = False) -> None:
        """One picture, when fonts are there and nothing moves any more."""
        await page.evaluate("() => document.fonts.ready")
        file = self.target / f"{what}-{self.name}.png"
        await page.screenshot(path=file, full_page=full, animations="disabled")


async def participant(home: Page, address: str, shots: Shots) -> None:
    """The participant page: as it opens, with a refusal, with something of one's own, in the dark; its receipt."""
    await shots.take(home, "participant")
    await shots.take(home, "participant-whole", full=True)
    text = home.get_by_label("Was möchten Sie sagen?")
    await text.fill("ab")
    await home.get_by_role("button", name="Senden").click()
    await home.locator(".problem").wait_for()
    await shots.take(home, "participant-refused")
    await text.fill(f"Mehr Bänke am Ring, Bild {shots.name}")
    await home.get_by_role("button", name="Senden").click()
    await home.locator("#own .mine").first.wait_for()
    await shots.take(home, "participant-own", full=True)
    await home.emulate_media(color_scheme="dark")
    await shots.take(home, "participant-dark", full=True)
    await home.emulate_media(color_scheme="light")
    await home.context.set_offline(True)
    await home.locator("#offline").wait_for()
    await shots.take(home, "participant-offline")
    await home.context.set_offline(False)
    receipt = await home.locator("a.receipt").first.get_attribute("href")
    await home.goto(address.partition("/e/")[0] + str(receipt))
    await shots.take(home, "receipt", full=True)


async def console(desk: Page, shots: Shots) -> None:
    """The console: as it is, in the dark, with the list of keys, with an edit, and with the form for cards of paper."""
    await shots.take(desk, "moderation")
    await desk.emulate_media(color_scheme="dark")
    await shots.take(desk, "moderation-dark")
    await desk.emulate_media(color_scheme="light")
    await desk.keyboard.press("?")
    await shots.take(desk, "moderation-keys")
    await desk.keyboard.press("Escape")
    for key, what in (("e", "edit"), ("r", "return"), ("n", "enter")):
        await desk.locator("#queue-received > .card").first.focus()
        await desk.keyboard.press(key)
        await shots.take(desk, f"moderation-{what}")
        await desk.keyboard.press("Escape")
    for column in ("approved", "aside") if shots.name == "390" else ("aside",):
        await desk.locator(f".tabs__tab[href='#{column}']").click()
        await shots.take(desk, f"moderation-{column}")


if __name__ == "__main__":
    main()
