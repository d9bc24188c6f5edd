"""Notes in browsers under the product's policy: several write at once, one without a network for a while, and nothing is lost."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, Route, expect

from frontend.asked import policy
from tests.browser.cast import PHONE, WITHIN
from tests.browser.test_access import violations
from tests.conftest import OPEN_HANDED
from tests.flow.evening import Evening
from tests.flow.line import Line
from tests.live.notes_server import Editor, NotesServer

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

STYLES = "".join(f'<link rel="stylesheet" href="/static/any/{name}.css">' for name in ("vendor/kern", "css/plenum", "css/notes"))
PAGE = f"""<!doctype html><html lang="en"><title>Room 3</title><meta name="viewport" content="width=device-width">
<link rel="icon" href="data:,">{STYLES}
<script type="module" src="/notes-page.js"></script>
<main><h1>Room 3</h1><h2 id="heading">Our notes</h2>
<section class="notes" aria-labelledby="heading">
  <div class="notes__tools" role="toolbar" aria-label="Format">
    <button type="button" data-notes="strong" aria-pressed="false">Bold</button>
    <button type="button" data-notes="em" aria-pressed="false">Italic</button>
    <button type="button" data-notes="heading" aria-pressed="false">Heading</button>
    <button type="button" data-notes="bullet_list" aria-pressed="false">List</button>
    <button type="button" data-notes="ordered_list" aria-pressed="false">Numbered list</button>
    <button type="button" data-notes="undo">Undo</button>
    <button type="button" data-notes="redo">Redo</button>
  </div>
  <div data-notes-text data-label="Notes of room 3"></div>
  <p class="notes__state" data-notes-state data-saved="Saved" data-saving="Saving" data-offline="Offline" data-full="Full"
    data-reading="Reading" data-closed="Closed"></p>
  <ul data-notes-people data-somebody="Somebody" aria-label="Also here"></ul>
</section></main><div id="say" role="status"></div></html>"""
MODULE = """
import { edit } from "/static/any/js/notes.js";
const { slug, room, name } = Object.fromEntries(new URLSearchParams(location.search));
await edit(document.querySelector(".notes"), { slug, room, name });
"""


WORDS = """text => {
    const copy = text.cloneNode(true);
    copy.querySelectorAll(".notes__cursor").forEach((one) => one.remove());
    return [...copy.children].map((one) => one.textContent.replaceAll("\\u2060", "")).join("\\n");
}"""
"""What a text says, without the others' cursors."""


class Writer:
    """Somebody at the notes of a room."""

    def __init__(self, page: Page, context: BrowserContext) -> None:
        self.page, self.context = page, context
        self.text = page.get_by_role("textbox", name="Notes of room 3")

    async def types(self, words: str) -> None:
        """At the end."""
        await self.text.focus()
        await self.page.keyboard.press("Control+End")
        await self.page.keyboard.type(words)

    async def sees(self, *texts: str) -> None:
        """All of these."""
        for text in texts:
            await expect(self.text).to_contain_text(text)

    async def is_in(self, state: str) -> None:
        """How it stands with the notes, in the page's words."""
        await expect(self.page.locator(".notes__state")).to_have_text(state)

    def button(self, name: str) -> Locator:
        """One of the toolbar's."""
        return self.page.get_by_role("button", name=name, exact=True)

    async def words(self) -> str:
        """The text without the others' cursors."""
        words: str = await self.text.evaluate(WORDS)
        return words


Writes = Callable[..., Awaitable[Writer]]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotesServer]:
    """One server for these plays."""
    server = NotesServer(tmp_path_factory.mktemp("notes"), {**OPEN_HANDED, "notes_bytes": 8_000, "notes_burst": 10_000})
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def slug(server: NotesServer) -> str:
    """A new event."""
    return await server.event()


@pytest_asyncio.fixture(loop_scope="session")
async def writes(browser: Browser, server: NotesServer, slug: str) -> AsyncIterator[Writes]:
    """Opens a browser for somebody; nothing must appear on its console that is not about the network."""
    faults: list[str] = []

    def note(message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and "WebSocket connection to" not in message.text and "ERR_" not in message.text:
            faults.append(message.text)

    async def serve(route: Route) -> None:
        body, kind = (MODULE, "text/javascript") if route.request.url.endswith(".js") else (PAGE, "text/html")
        await route.fulfill(body=body, content_type=kind, headers={"Content-Security-Policy": policy({})})

    async with AsyncExitStack() as closing:

        async def opened(
            name: str = "", room: str = "open", context: BrowserContext | None = None, url: str = server.url
        ) -> Writer:
            if context is None:
                context = await browser.new_context(viewport={"width": PHONE[0], "height": PHONE[1]}, locale="en-GB")
                closing.push_async_callback(context.close)
                context.set_default_timeout(WITHIN)
                await context.grant_permissions(["local-network-access"])  # a page that is routed comes from no network
                await context.route(f"{url}/notes*", serve)
            page = await context.new_page()
            page.on("console", note)
            page.on("pageerror", lambda error: faults.append(str(error)))
            await page.goto(f"{url}/notes?slug={slug}&room={room}&name={name}")
            return Writer(page, context)

        yield opened
    assert not faults, "\n".join(faults)
    assert "Traceback" not in server.said(), server.said()


async def test_two_write_at_once_and_see_the_same(writes: Writes) -> None:
    anna, ben = await writes("Anna"), await writes("Ben")
    await asyncio.gather(anna.is_in("Saved"), ben.is_in("Saved"))
    await anna.types("Mehr Bänke 🪑 am Ring.\n")
    await ben.sees("Mehr Bänke 🪑 am Ring.")
    await asyncio.gather(anna.types("Anna schreibt einen Satz."), ben.types("Ben schreibt auch einen."))
    await asyncio.gather(anna.is_in("Saved"), ben.is_in("Saved"))
    written = sorted("Mehr Bänke 🪑 am Ring.Anna schreibt einen Satz.Ben schreibt auch einen.")
    for writer in (anna, ben):
        await writer.page.wait_for_function(
            f"([text, length]) => [...({WORDS})(text).replaceAll('\\n', '')].length === length",
            arg=[await writer.text.element_handle(), len(written)],
        )
    words = await anna.words()
    assert sorted(words.replace("\n", "")) == written, words
    assert await ben.words() == words


async def test_what_is_written_without_a_network_survives_a_reload_and_is_merged(writes: Writes, server: NotesServer) -> None:
    async with Line(server.url) as line:
        anna, ben = await writes("Anna", url=line.url), await writes("Ben")
        await anna.types("Anfang. ")
        await ben.sees("Anfang.")
        await anna.is_in("Saved")
        await line.cut()
        await anna.is_in("Offline")
        await anna.types("Anna im Zug. ")
        await ben.types("Ben im Saal. ")
        await ben.is_in("Saved")
        assert "Ben im Saal" not in await anna.words()
        await anna.page.close()
        await line.mend()
        again = await writes("Anna", context=anna.context, url=line.url)
        await again.sees("Anfang.", "Anna im Zug.", "Ben im Saal.")
        await ben.sees("Anna im Zug.")
        await again.is_in("Saved")


async def test_a_dead_line_is_found_and_what_was_said_over_it_is_said_again(writes: Writes, server: NotesServer) -> None:
    async with Line(server.url) as line:
        anna, ben = await writes("Anna", "open-8", url=line.url), await writes("Ben", "open-8")
        await anna.is_in("Saved")
        line.silence()
        await anna.types("Ins Leere. ")
        await anna.is_in("Offline")
        await line.cut()
        line.release()
        await line.mend()
        await ben.sees("Ins Leere.")
        await anna.is_in("Saved")
        await ben.types("Gehört.")
        await anna.sees("Gehört.")


async def test_a_server_that_is_away_for_a_moment_costs_nothing(writes: Writes, server: NotesServer, slug: str) -> None:
    anna = await writes("Anna", room="open-2")
    await anna.types("Vorher. ")
    await anna.is_in("Saved")
    server.kill()
    await anna.types("Währenddessen. ")
    await anna.is_in("Offline")
    await asyncio.to_thread(server.start)
    await anna.is_in("Saved")
    async with Editor(server.url, slug, "open-2") as later:
        await later.sees("Vorher. Währenddessen.")


async def test_the_keyboard_is_enough(writes: Writes, server: NotesServer, slug: str) -> None:
    anna = await writes("Anna", room="open-3")
    await anna.is_in("Saved")
    await anna.button("Bold").focus()
    await anna.page.keyboard.press("ArrowRight")
    await anna.page.keyboard.press("ArrowRight")
    await expect(anna.button("Heading")).to_be_focused()
    await anna.page.keyboard.press("Enter")
    await expect(anna.button("Heading")).to_have_attribute("aria-pressed", "true")
    await anna.page.keyboard.press("Tab")
    await expect(anna.text).to_be_focused()
    await anna.page.keyboard.type("Ergebnis\n- Bänke\nBäume\n\nSchluss")
    await anna.page.keyboard.press("Control+b")
    await expect(anna.button("Bold")).to_have_attribute("aria-pressed", "true")
    await anna.page.keyboard.type(" fett")
    await expect(anna.text.locator("h3")).to_have_text("Ergebnis")
    await expect(anna.text.locator("ul li")).to_have_text(["Bänke", "Bäume"])
    await expect(anna.text.locator("strong")).to_have_text(" fett")
    await anna.page.keyboard.press("Tab")
    await expect(anna.text).not_to_be_focused()
    async with Editor(server.url, slug, "open-3") as later:
        await later.sees("Schluss fett")
        assert later.text == "Ergebnis\n- Bänke\n- Bäume\nSchluss fett"


async def test_undoing_takes_back_ones_own_only(writes: Writes) -> None:
    anna, ben = await writes("Anna", room="open-4"), await writes("Ben", room="open-4")
    await asyncio.gather(anna.is_in("Saved"), ben.is_in("Saved"))
    await expect(anna.button("Undo")).to_have_attribute("aria-disabled", "true")
    await anna.types("Annas Satz.\n")
    await ben.sees("Annas Satz.")
    await ben.types("Bens Satz.")
    await anna.sees("Bens Satz.")
    await anna.button("Undo").click()
    await expect(ben.text).not_to_contain_text("Annas")
    await ben.sees("Bens Satz.")
    await anna.button("Redo").click()
    await ben.sees("Annas Satz.", "Bens Satz.")


async def test_the_others_cursors_bear_their_names(writes: Writes) -> None:
    anna, ben = await writes("Anna", room="open-5"), await writes("", room="open-5")
    await asyncio.gather(anna.is_in("Saved"), ben.is_in("Saved"))
    await anna.types("Satz")
    await ben.types(" mehr")
    await expect(anna.text.locator(".notes__name")).to_have_text("Somebody")
    await expect(ben.text.locator(".notes__name")).to_have_text("Anna")
    await expect(ben.page.get_by_role("list", name="Also here")).to_have_text("Anna")
    await anna.page.close()
    await expect(ben.text.locator(".notes__name")).to_have_count(0)
    await expect(ben.page.get_by_role("list", name="Also here").locator("li")).to_have_count(0)


async def test_who_may_only_read_sees_it_and_cannot_write(writes: Writes, server: NotesServer, slug: str) -> None:
    async with Editor(server.url, slug, "shown", await moderator(server, slug)) as table:
        reader = await writes("Ben", room="shown")
        await table.says("Vom Tisch")
        await reader.sees("Vom Tisch")
        await reader.is_in("Reading")
        await expect(reader.text).to_have_attribute("contenteditable", "false")
        await expect(reader.text).to_have_attribute("aria-readonly", "true")
        await expect(reader.button("Bold")).to_have_attribute("aria-disabled", "true")


async def test_who_has_no_right_is_told(writes: Writes) -> None:
    stranger = await writes("Ben", room="elsewhere")
    await stranger.is_in("Closed")


async def test_full_notes_are_told_and_a_shorter_text_is_saved(writes: Writes) -> None:
    anna, ben = await writes("Anna", room="open-6"), await writes("Ben", room="open-6")
    await anna.types("Kurz. ")
    await anna.is_in("Saved")
    await anna.page.keyboard.insert_text("x" * 9_000)
    await anna.is_in("Full")
    await ben.types("Ben schreibt weiter. ")
    await ben.is_in("Saved")
    await anna.sees("Ben schreibt weiter.")
    assert "xxx" not in await ben.words()
    await anna.page.keyboard.press("Control+z")
    await anna.is_in("Saved")
    await anna.types("Passt.")
    await ben.sees("Passt.")


@pytest.mark.parametrize("look", ["light", "dark"])
async def test_axe_finds_nothing(writes: Writes, look: str) -> None:
    anna, ben = await writes("Anna", room="open-7"), await writes("Ben", room="open-7")
    for writer in (anna, ben):
        await writer.page.emulate_media(color_scheme=look)  # type: ignore[arg-type]
        await writer.is_in("Saved")
    await anna.types("# Ergebnis\n- Bänke\n\nSchluss")
    await ben.sees("Schluss")
    await ben.types(" mehr")
    await expect(anna.text.locator(".notes__name")).to_have_text("Ben")
    assert await violations(anna.page) == []
    assert await anna.page.evaluate("() => document.querySelectorAll('[style]').length") == 0


async def moderator(server: NotesServer, slug: str) -> str:
    """A moderator's cookie."""
    async with Evening(server, slug) as evening:
        return await evening.cookie("moderator")
