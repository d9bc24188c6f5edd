"""Everybody can use it: axe-core finds nothing, the keyboard is enough, nothing runs out of a small screen."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest
from playwright.async_api import Page, expect

from tests.browser.cast import LAPTOP, PHONE, Cast, Moderator, Participant, Person, Size
from tests.flow.evening import Evening

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

AXE = Path(__file__).parents[2] / "frontend" / "node_modules" / "axe-core" / "axe.min.js"
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
SIZES = [PHONE, LAPTOP]

SETTLED = """() => Promise.allSettled(document.getAnimations()
    .filter(animation => animation.effect.getComputedTiming().endTime < Infinity).map(animation => animation.finished))"""


FOUND = """async (rules) => {
    const { violations } = await axe.run(document, { runOnly: { type: "tag", values: rules }, resultTypes: ["violations"] });
    return violations.flatMap(({ id, nodes }) =>
        nodes.map(({ target, failureSummary }) => `${id}: ${target} ${failureSummary} (${location.href})`));
}"""
"""Only what is wrong comes back: to carry all that is right out of the browser takes ten times as long as to find it."""


async def violations(page: Page) -> list[str]:
    """What axe-core objects to in the dark and in the light, when what fades in has faded in; run beside the page's strict CSP, as
    an extension would."""
    if not await page.evaluate("'axe' in window"):
        await page.evaluate(AXE.read_text("utf-8"))
    found: list[str] = []
    for look in ("dark", "light"):
        await page.emulate_media(color_scheme=look)
        await page.evaluate(SETTLED)
        found += [f"{look}: {one}" for one in await page.evaluate(FOUND, RULES)]
    return found


async def filled(evening: Evening) -> None:
    """Contributions in every state."""
    moderator = await evening.staff("moderator", "moderation")
    for text in ("Neu", "Frei", "Vorgemerkt", "Auf Sendung", "Beantwortet", "Zurück", "Verborgen"):
        await evening.said(f"{text}: mehr Bänke am Ring", name="Jule")
    for number in range(2, 6):
        await moderator.do("contribution.approve", contribution=number)
    for number, steps in {3: ["shortlist"], 4: ["shortlist", "air"], 5: ["answer"], 7: ["hide"]}.items():
        for step in steps:
            await moderator.do(f"contribution.{step}", contribution=number)
    await moderator.do("contribution.return", contribution=6, reason="Bitte ohne Namen Dritter")
    await moderator.do("contribution.edit", contribution=3, text="Vorgemerkt und gekürzt")


@pytest.mark.parametrize("size", SIZES, ids=["phone", "laptop"])
async def test_axe_finds_nothing_on_any_page(cast: Cast, evening: Evening, size: Size) -> None:
    await filled(evening)
    home = await cast.home(size)
    await home.says("Etwas Eigenes")
    found = await violations(home.page)
    for path in ("/hall", "/receipt", "/receipt?code=1-WRONG", "?sort=support", "?stream=on"):
        await home.opens(path)
        home.faults.clear()  # a page with status 404, and the third party's player that was asked for
        found += await violations(home.page)
    for path in ("/", "/e/no-such-event", f"{evening.page}/moderation", f"{evening.page}/stage"):
        await home.page.goto(home.url + path)
        found += await violations(home.page)
    moderator = await cast.moderator(size)
    found += await violations(moderator.page)
    await moderator.page.keyboard.press("?")
    found += await violations(moderator.page)
    await moderator.page.keyboard.press("Escape")
    await moderator.presses("e", 1)
    found += await violations(moderator.page)
    stage, overlay = await cast.stage(size), await cast.overlay(size)
    found += await violations(stage.page) + await violations(overlay.page)
    await home.page.goto(home.url + await evening.server.link(evening.slug, "helper"))
    found += await violations(home.page)
    home.faults.clear()
    assert found == []


async def test_the_control_axe_finds_what_is_wrong(cast: Cast) -> None:
    home = await cast.home()
    await home.page.evaluate("document.querySelector('main').append(document.createElement('button'))")
    found = await violations(home.page)
    assert any(one.startswith("light: button-name") for one in found)
    assert any(one.startswith("dark: button-name") for one in found)


@pytest.mark.parametrize(("look", "colour"), [("dark", "#333"), ("light", "#ddd")])
async def test_the_control_axe_sees_the_page_in_both_looks(cast: Cast, look: str, colour: str) -> None:
    """In one of them this text can hardly be read."""
    home = await cast.home()
    await home.page.evaluate(
        """(colour) => {
            const text = document.createElement("p");
            text.textContent = "Ein Satz";
            text.style.setProperty("color", colour);
            document.querySelector("main").append(text);
        }""",
        colour,
    )
    assert [one.partition(": color-contrast")[0] for one in await violations(home.page)] == [look]


@pytest.mark.parametrize("width", [320, 390, 1366, 3840])
async def test_nothing_runs_out_of_the_screen(cast: Cast, evening: Evening, width: int) -> None:
    """WCAG 2.2, 1.4.10: no scrolling in two directions at 320 px, which is 1280 px at 400 %."""
    await filled(evening)
    await evening.said("https://beispiel.example/" + "sehr-lang" * 60, name="x" * 60)
    for person in (await cast.home((width, 800)), await cast.moderator((width, 800)), await cast.stage((width, 800))):
        overflow = await person.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, person.page.url


async def test_targets_are_large_enough_for_a_finger(cast: Cast, evening: Evening) -> None:
    """WCAG 2.2, 2.5.8: 24 by 24 CSS px, but for links within a sentence."""
    await filled(evening)
    for person in (await cast.home(), await cast.moderator(PHONE)):
        small = await person.page.evaluate(
            """() => [...document.querySelectorAll("button, select, summary, nav a, input, textarea, label:has(> input)")]
                .filter((e) => e.checkVisibility() && !e.closest(".sr-only, .skip"))
                .map((e) => [e.getBoundingClientRect(), e.outerHTML.slice(0, 120)])
                .filter(([box]) => box.width > 1 && (box.width < 24 || box.height < 24)).map(([, html]) => html)"""
        )
        assert small == []


async def test_the_keyboard_is_enough_to_take_part(cast: Cast, evening: Evening) -> None:
    await evening.said("Mehr Licht")
    moderator = await evening.staff("moderator", "moderation")
    await moderator.do("contribution.approve", contribution=1)
    home = await cast.home(LAPTOP)
    keys = home.page.keyboard
    await keys.press("Tab")
    await expect(home.page.locator(".skip")).to_be_focused()
    await keys.press("Enter")
    for _ in range(40):
        await keys.press("Tab")
        if await home.page.evaluate("document.activeElement.id") == "text":
            break
    await keys.type("Ganz ohne Maus")
    for _ in range(10):
        await keys.press("Tab")
        if await home.page.evaluate("document.activeElement.matches('#contribution button')"):
            break
    outline = await home.page.evaluate(
        "() => { const s = getComputedStyle(document.activeElement); return s.outlineStyle + s.boxShadow !== 'nonenone'; }"
    )
    assert outline, "the focus is not visible"
    await keys.press("Enter")
    await expect(home.own(2)).to_contain_text("Received.")
    await home.support(1).focus()
    await keys.press("Space")
    await expect(home.supporters(1)).to_have_text("1")
    await expect(home.support(1)).to_have_attribute("aria-pressed", "true")


async def test_new_contributions_are_announced_once_and_politely(cast: Cast, evening: Evening, home: Participant) -> None:
    moderator = await evening.staff("moderator", "moderation")
    numbers = [await evening.said(f"Idee {number}") for number in range(1, 21)]
    await asyncio.gather(*(moderator.do("contribution.approve", contribution=number) for number in numbers))
    await expect(home.page.locator("#contributions > li").first).to_be_visible()
    await home.page.wait_for_function("() => seen.said.length > 0")
    assert await home.page.locator("[aria-live]:not([aria-live=off])").count() <= 1
    assert len(await home.seen("said")) < 10, "one announcement for several, not one for each"


async def test_who_wants_no_movement_sees_none(cast: Cast, evening: Evening) -> None:
    overlay = await cast.overlay(reduced_motion="reduce")
    moderator = await evening.staff("moderator", "moderation")
    await evening.said("Ruhe, bitte")
    for step in ("approve", "air"):
        await moderator.do(f"contribution.{step}", contribution=1)
    await expect(overlay.page.locator(".lower__text")).to_have_text("Ruhe, bitte")
    longest = "Math.max(0, ...document.getAnimations().map((one) => Number(one.effect.getTiming().duration)))"
    moving = await overlay.page.evaluate(longest) > 1  # ms: what is over within a frame is not seen
    assert not moving


async def test_the_page_speaks_the_language_of_its_reader(cast: Cast) -> None:
    german, english = await cast.home(locale="de-DE"), await cast.home(locale="en-GB")
    assert await german.page.locator("html").get_attribute("lang") == "de"
    await expect(english.page.get_by_role("heading", level=2).first).to_be_visible()
    await german.page.get_by_role("link", name="English").click()
    await german.linked()
    assert await german.page.locator("html").get_attribute("lang") == "en"


async def test_no_third_party_is_asked_before_the_click(
    cast: Cast, home: Participant, moderator: Moderator, overlay: Person, stage: Person
) -> None:
    """`Person` notes every request to another host as a fault; the control is the click."""
    cast.assert_no_faults()
    await home.page.get_by_role("button", name="Load the video").click()
    await home.page.wait_for_function("() => document.querySelector('iframe')")
    assert any("video.example" in address for address in home.asked)
    home.faults.clear()
