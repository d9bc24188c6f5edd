"""Bad Wi-Fi, killed servers and hostile texts, as people see them: nothing typed is lost, nothing is sent twice, nothing moves."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Error, expect

from tests.browser.cast import LAPTOP, PHONE, PROJECTOR, WITHIN, Cast, Moderator, Participant, Person
from tests.flow.evening import Evening
from tests.flow.line import Line
from tests.flow.server import Server
from tests.live.engines import kept

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

HOSTILE = [
    "<img src=x onerror='seen.pwned = true'>",
    "<script>seen.pwned = true</script>",
    "</blockquote><style>*{display:none}</style>",
    "{{ 7 * 7 }} ${seen.pwned = true} javascript:seen.pwned=true",
    "gut \u202e thcin \u2066 und \u200b\u200b weg",
    "Z\u0351\u0350\u0352\u0351\u0350\u0352\u0351\u0350\u0352a\u0351\u0350\u0352\u0351\u0350\u0352lgo",
    "👨‍👩‍👧‍👦" * 1000,
    "x" * 600,
]


@pytest_asyncio.fixture(loop_scope="session")
async def alone(serve: Callable[..., Server]) -> AsyncIterator[Evening]:
    """An evening on a server that the test may kill."""
    server = serve()
    async with Evening(server, await server.event()) as evening:
        yield evening


async def count(evening: Evening, text: str) -> int:
    """How often a text has arrived."""
    moderator = await evening.staff("moderator", "moderation")
    shown = moderator.documents["moderation"]
    return sum(one["text"] == text for key, one in shown.items() if key.startswith("contribution/"))


async def test_what_is_written_without_a_connection_is_sent_once_when_it_is_back(cast: Cast, evening: Evening, line: Line) -> None:
    home = await cast.home(url=line.url)
    home.in_trouble = True
    await line.cut()
    await expect(home.page.locator("#offline")).to_be_visible()
    await home.writes("Aus dem Funkloch")
    await home.sends()
    await expect(home.page.locator(".mine--waiting")).to_contain_text("Aus dem Funkloch")

    await line.mend()
    await expect(home.own(1)).to_contain_text("Aus dem Funkloch")
    await expect(home.page.locator("#offline")).to_be_hidden()
    await expect(home.page.locator(".mine--waiting")).to_have_count(0)
    assert await count(evening, "Aus dem Funkloch") == 1


async def test_attempts_that_fail_do_not_delay_the_notice_of_a_lost_connection(cast: Cast, evening: Evening, line: Line) -> None:
    home = await cast.home(url=line.url)
    home.in_trouble = True
    await home.page.clock.install()
    await home.page.clock.pause_at((await home.page.evaluate("Date.now()")) / 1000 + 1)

    failed = asyncio.Queue[None]()
    home.page.on("websocket", lambda socket: socket.on("close", lambda _: failed.put_nowait(None)))
    await line.cut()
    await home.page.wait_for_function("() => !seen.linked")
    await home.page.clock.run_for(500)
    async with asyncio.timeout(WITHIN / 1000):
        await failed.get()
    await expect(home.page.locator("#offline")).to_be_hidden()
    await home.page.clock.run_for(2_050)
    await expect(home.page.locator("#offline")).to_be_visible(timeout=1)


async def test_a_page_that_was_closed_meanwhile_sends_it_when_it_is_opened_again(cast: Cast, evening: Evening, line: Line) -> None:
    home = await cast.home(url=line.url)
    home.in_trouble = True
    await line.cut()
    await home.writes("Vor dem Einschlafen")
    await home.sends()
    await expect(home.page.locator(".mine--waiting")).to_contain_text("Vor dem Einschlafen")
    await home.page.close()

    await line.mend()
    again = await cast.at(Participant, home.page.context, line.url)
    await again.opens()
    await expect(again.own(1)).to_contain_text("Vor dem Einschlafen")
    assert await count(evening, "Vor dem Einschlafen") == 1


async def test_an_answer_that_was_lost_does_not_double_what_was_sent(cast: Cast, evening: Evening, line: Line) -> None:
    """The server has it, the page does not know: it sends again, with the same id."""
    home, moderator = await cast.home(url=line.url), await cast.moderator()
    home.in_trouble = True
    line.hold()
    await home.writes("Nur einmal")
    await home.sends()
    await moderator.sees(1, "received")
    await line.cut()
    line.release()

    await line.mend()
    await expect(home.own(1)).to_contain_text("Nur einmal")
    await expect(home.page.locator(".mine--waiting")).to_have_count(0)
    assert await count(evening, "Nur einmal") == 1


async def test_every_page_comes_back_after_a_kill_and_the_overlay_does_not_move(browser: object, alone: Evening) -> None:
    async with Cast(browser, alone) as cast:  # type: ignore[arg-type]
        home, moderator = await cast.home(), await cast.moderator()
        stage, overlay = await cast.stage(), await cast.overlay()
        await home.says("Bleibt stehen")
        for key, state in {"a": "approved", "s": "shortlisted", "l": "on_air"}.items():
            await moderator.presses(key, 1)
            await moderator.sees(1, state)
        await expect(overlay.page.locator(".lower__text")).to_have_text("Bleibt stehen")
        await overlay.page.wait_for_function("() => seen.animations.length === 1")
        for person in cast.people:
            person.in_trouble = True

        alone.server.kill()
        await home.writes("Während der Server tot ist")
        await home.sends()
        await expect(overlay.page.locator(".lower__text")).to_have_text("Bleibt stehen")
        await asyncio.to_thread(alone.server.start)

        await expect(home.own(2)).to_contain_text("Während der Server tot ist")
        await moderator.sees(2, "received")
        await overlay.linked(2)
        await expect(overlay.page.locator(".lower__text")).to_have_text("Bleibt stehen")
        await expect(stage.page.locator("#on-air")).to_contain_text("Bleibt stehen")
        assert await overlay.seen("animations") == ["come"], "it has been animated a second time"
        assert await count(alone, "Während der Server tot ist") == 1

        await overlay.page.reload()
        await overlay.linked()
        await expect(overlay.page.locator(".lower__text")).to_have_text("Bleibt stehen")
        assert await overlay.seen("animations") == []

        await moderator.presses("a", 2)
        await moderator.sees(2, "approved")
        await moderator.presses("l", 2)
        await expect(overlay.page.locator(".lower__text").last).to_have_text("Während der Server tot ist")
        await overlay.page.wait_for_function("() => seen.animations.includes('come')")  # the control: what is new does move


async def test_what_is_half_written_survives_a_reload(cast: Cast, home: Participant) -> None:
    await home.writes("Ich war noch nicht fer", "Question")
    await home.page.wait_for_function("() => Object.keys(localStorage).length + Object.keys(sessionStorage).length > 0")
    await home.page.reload()
    await home.linked()
    await expect(home.page.get_by_label("What would you like to say?")).to_have_value("Ich war noch nicht fer")


async def test_updates_do_not_disturb_who_is_typing_or_reading(cast: Cast, evening: Evening, moderator: Moderator) -> None:
    for number in range(1, 25):
        await evening.said(f"Idee {number}")
    other = await evening.staff("moderator", "moderation")
    await moderator.sees(24, "received")
    await moderator.presses("e", 3)
    field = moderator.card(3).get_by_label("Wording; the original is kept")
    await field.fill("Halb geschrieben")
    before = await moderator.page.evaluate("[scrollY, document.querySelector('#queue-received').scrollTop]")
    await other.do("contribution.edit", contribution=3, text="Von jemand anderem")
    await other.do("contribution.approve", contribution=20)
    await moderator.sees(20, "approved")

    await expect(moderator.card(3).locator(".said__text")).to_have_text("Von jemand anderem")
    await expect(field).to_have_value("Halb geschrieben")
    await expect(field).to_be_focused()
    assert await moderator.page.evaluate("[scrollY, document.querySelector('#queue-received').scrollTop]") == before


async def test_a_list_does_not_move_under_its_reader(cast: Cast, evening: Evening) -> None:
    moderator = await evening.staff("moderator", "moderation")
    for number in range(1, 13):
        await evening.said(f"Idee {number}")
        await moderator.do("contribution.approve", contribution=number)
    home = await cast.home(PHONE)
    await home.voice(6).scroll_into_view_if_needed()
    before = await home.voice(6).bounding_box()
    await evening.said("Eine neue")
    await moderator.do("contribution.approve", contribution=13)
    await expect(home.page.get_by_role("button", name="1 new")).to_be_attached()
    after = await home.voice(6).bounding_box()
    assert before is not None
    assert after is not None
    assert abs(before["y"] - after["y"]) < 60, "at most the button itself has come"
    await expect(home.voice(13)).not_to_be_attached()


@pytest.mark.parametrize("text", HOSTILE, ids=range(len(HOSTILE)))
async def test_hostile_text_is_text_on_every_screen(cast: Cast, evening: Evening, text: str) -> None:
    moderator = await evening.staff("moderator", "moderation")
    await evening.said(text, name="<b onclick=alert(1)>Jule</b>")
    for step in ("approve", "air"):
        await moderator.do(f"contribution.{step}", contribution=1)
    screens: list[tuple[Person, str]] = [
        (await cast.home(PHONE), "#doc-contribution-1 .said__text"),
        (await cast.moderator(LAPTOP), "#doc-contribution-1 .said__text"),
        (await cast.stage(PROJECTOR), "#on-air"),
        (await cast.overlay((1920, 1080)), ".lower__text"),
    ]
    for person, where in screens:
        place = person.page.locator(where).first
        await expect(place).to_be_visible()
        assert await place.evaluate("e => e.querySelectorAll('img, script, style, b[onclick]').length") == 0
        assert not await person.seen("pwned")
        box = await place.bounding_box()
        size = person.page.viewport_size
        assert box is not None
        assert size is not None
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= size["width"] + 1, (person.page.url, where)
        assert await person.page.evaluate("document.documentElement.scrollWidth <= document.documentElement.clientWidth")
    overlay = screens[-1][0]
    card = await overlay.page.locator(".lower").bounding_box()
    assert card is not None
    assert card["y"] >= 1080 * 0.05 - 1, "the card leaves the safe area (EBU R 95)"
    assert card["y"] + card["height"] <= 1080 * 0.95 + 1


@pytest.mark.parametrize("size", [(800, 600), (1920, 1080), (3840, 2160), (1080, 1920)])
async def test_the_overlay_fits_every_canvas_and_is_transparent(cast: Cast, evening: Evening, size: tuple[int, int]) -> None:
    moderator = await evening.staff("moderator", "moderation")
    await evening.said("Ein langer Satz, der auch auf einem kleinen Bild noch ganz zu lesen sein soll. " * 5)
    for step in ("approve", "air"):
        await moderator.do(f"contribution.{step}", contribution=1)
    overlay = await cast.overlay(size)
    box = await overlay.page.locator(".lower").bounding_box()
    assert box is not None
    assert box["x"] >= size[0] * 0.05 - 1
    assert box["x"] + box["width"] <= size[0] * 0.95 + 1
    assert box["y"] + box["height"] <= size[1] * 0.95 + 1
    colours = await overlay.page.evaluate(
        "[document.body, document.body.parentElement].map((e) => getComputedStyle(e).backgroundColor)"
    )
    assert set(colours) == {"rgba(0, 0, 0, 0)"}


async def test_without_javascript_everything_works_by_forms(cast: Cast, evening: Evening) -> None:
    home = await cast.person(Participant, PHONE, java_script_enabled=False)
    await home.opens()
    await home.writes("Zu", "Question")
    await home.page.get_by_label("What would you like to say?").fill("Zu")
    await home.sends()
    home.faults.clear()
    await expect(home.page.get_by_text("at least 3 characters")).to_be_visible()
    await expect(home.page.get_by_label("What would you like to say?")).to_have_value("Zu")
    await home.page.get_by_label("What would you like to say?").fill("Zu kurz war es")
    await home.sends()
    await expect(home.page.get_by_text("Your contribution has arrived.")).to_be_visible()

    desk = await cast.person(Moderator, LAPTOP, java_script_enabled=False)
    await desk.page.goto(desk.url + await evening.server.link(evening.slug, "moderator"))
    await desk.page.get_by_role("button", name="Sign in on this device").click()
    await desk.card(1).get_by_role("button", name="Approve").click()
    await desk.sees(1, "approved")

    await home.opens()
    await home.support(1).click()
    await expect(home.supporters(1)).to_have_text("1")


async def test_obs_that_is_started_before_the_server_shows_the_overlay_all_the_same(
    browser: Browser, serve: Callable[..., Server], tmp_path: Path
) -> None:
    """By the loader's file. The control is the overlay's own address: that leads to an error page."""
    server, file = serve(), tmp_path / "plenum-overlay.html"
    async with Evening(server, await server.event()) as evening:
        number = await evening.said("Zuerst da")
        moderator = await evening.staff("moderator", "moderation")
        for step in ("approve", "air"):
            await moderator.do(f"contribution.{step}", contribution=number)
        path = await server.link(evening.slug, "overlay")
        file.write_bytes((await (await evening.browser()).get(f"{path}/loader.html")).content)
    server.kill()
    plain, obs = await browser.new_page(), await browser.new_page()
    try:
        with kept(server.port):
            with pytest.raises(Error, match="ERR_CONNECTION_REFUSED"):
                await plain.goto(server.url + path)
            await obs.goto(file.as_uri())
        await asyncio.to_thread(server.start)
        await expect(obs.get_by_text("Zuerst da")).to_be_visible(timeout=WITHIN)
    finally:
        await plain.close()
        await obs.close()
