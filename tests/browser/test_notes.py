"""Notes in browsers, on the page of their room: several write at once, one without a network for a while, and nothing is lost."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Locator, Page, expect

from live.identity import COOKIE
from tests.browser.cast import LAPTOP, PHONE, WITHIN, Size
from tests.browser.test_access import SIZES, violations
from tests.conftest import OPEN_HANDED
from tests.flow.evening import Evening, Person
from tests.flow.line import Line
from tests.flow.server import Server
from tests.flow.small_groups import prepared
from tests.live.notes_server import Editor

pytestmark = [pytest.mark.browser, pytest.mark.asyncio(loop_scope="session")]

WORDS = """text => {
    const copy = text.cloneNode(true);
    copy.querySelectorAll(".notes__cursor").forEach((one) => one.remove());
    return [...copy.children].map((one) => one.textContent.replaceAll("\\u2060", "")).join("\\n");
}"""
"""What a text says, without the others' cursors."""
STORED = """least => new Promise((done) => {
    const request = indexedDB.open("plenum-notes", 1);
    request.onsuccess = () => {
        const found = request.result.transaction("updates").objectStore("updates").count();
        found.onsuccess = () => done(least ? found.result >= least : found.result === 0);
    };
})"""
"""Whether the device keeps notes."""


class Writer:
    """Somebody at the page of the room."""

    def __init__(self, page: Page, context: BrowserContext, cookie: str) -> None:
        self.page, self.context, self.cookie = page, context, cookie
        self.notes = page.locator("#notes")
        self.text = page.get_by_role("textbox", name="Notes of this small group")
        self.people = page.get_by_role("list", name="Who has the notes open too")

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
        """How it stands with the notes, which the page says in words too."""
        await expect(self.notes).to_have_attribute("data-state", state)
        await expect(self.page.locator(".notes__state")).not_to_be_empty()

    def button(self, name: str) -> Locator:
        """One of the toolbar's."""
        return self.notes.get_by_role("button", name=name, exact=True)

    async def words(self) -> str:
        """The text without the others' cursors."""
        words: str = await self.text.evaluate(WORDS)
        return words


class Writes:
    """Opens browsers for people in the room: `await writes("Anna")`. What must not appear on a console is in `faults`."""

    def __init__(self, browser: Browser, group: Evening) -> None:
        self.browser, self.group = browser, group
        self.faults: list[str] = []
        self.leaving = AsyncExitStack()

    async def __call__(self, name: str = "", url: str = "", size: Size = PHONE, **options: Any) -> Writer:
        viewport = {"width": size[0], "height": size[1]}
        context = await self.browser.new_context(viewport=viewport, **{"locale": "en-GB", **options})  # type: ignore[arg-type]
        self.leaving.push_async_callback(context.close)
        context.set_default_timeout(WITHIN)
        url = url or self.group.server.url
        for command, args in (("person.join", {"name": name}), ("room.enter", {"room": "1-1"})):
            body = {"id": str(uuid.uuid4()), "name": command, "args": args}
            answer = await context.request.post(f"{url}{self.group.api}/commands", data=body)
            assert answer.ok, await answer.text()
        return await self.at(context, url)

    async def at(self, context: BrowserContext, url: str = "") -> Writer:
        """Another page of somebody who has been here."""
        page = await context.new_page()
        page.on("console", self._note)
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        await page.goto(f"{url or self.group.server.url}{self.group.page}/room/1-1")
        await page.locator("#notes").scroll_into_view_if_needed()
        cookie = next(one.get("value", "") for one in await context.cookies() if one.get("name") == COOKIE)
        return Writer(page, context, cookie)

    def _note(self, message: ConsoleMessage) -> None:
        network = ("WebSocket connection to", "ERR_")
        if message.type in ("error", "warning") and not any(words in message.text for words in network):
            self.faults.append(message.text)


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for these plays."""
    server = Server(tmp_path_factory.mktemp("notes"), {**OPEN_HANDED, "notes_bytes": 8_000, "notes_burst": 10_000})
    server.start()
    yield server
    server.kill()


@pytest_asyncio.fixture(loop_scope="session")
async def group(server: Server) -> AsyncIterator[Evening]:
    """An event with a small group that is open, and another one."""
    async with Evening(server, await server.event()) as evening:
        yield evening


@pytest_asyncio.fixture(loop_scope="session")
async def moderator(group: Evening) -> Person:
    """Who has opened it."""
    return await prepared(group)


@pytest_asyncio.fixture(loop_scope="session")
async def writes(browser: Browser, group: Evening, moderator: Person) -> AsyncIterator[Writes]:
    """Nothing must have gone wrong that is not about the network."""
    writes = Writes(browser, group)
    async with writes.leaving:
        yield writes
    assert not writes.faults, "\n".join(writes.faults)
    assert "Traceback" not in group.server.said(), group.server.said()


def at(group: Evening, writer: Writer | Person) -> Editor:
    """The same person's editor of another making."""
    return Editor(group.server.url, group.slug, "1-1", writer.cookie)


@asynccontextmanager
async def in_a_tunnel(writes: Writes, words: str) -> AsyncIterator[tuple[Writer, Writer, Line]]:
    """Anna, who has lost the network and has written these words since, Ben, who has not seen them, and the line."""
    async with Line(writes.group.server.url) as line:
        anna, ben = await writes("Anna", url=line.url), await writes("Ben")
        await anna.types("Anfang. ")
        await ben.sees("Anfang.")
        await anna.is_in("saved")
        await line.cut()
        await anna.is_in("offline")
        await anna.types(words)
        yield anna, ben, line


async def test_two_write_at_once_and_see_the_same(writes: Writes) -> None:
    anna, ben = await writes("Anna"), await writes("Ben")
    await asyncio.gather(anna.is_in("saved"), ben.is_in("saved"))
    await anna.types("Mehr Bänke 🪑 am Ring.\n")
    await ben.sees("Mehr Bänke 🪑 am Ring.")
    await asyncio.gather(anna.types("Anna schreibt einen Satz."), ben.types("Ben schreibt auch einen."))
    await asyncio.gather(anna.is_in("saved"), ben.is_in("saved"))
    written = sorted("Mehr Bänke 🪑 am Ring.Anna schreibt einen Satz.Ben schreibt auch einen.")
    for writer in (anna, ben):
        await writer.page.wait_for_function(
            f"([text, length]) => [...({WORDS})(text).replaceAll('\\n', '')].length === length",
            arg=[await writer.text.element_handle(), len(written)],
        )
    words = await anna.words()
    assert sorted(words.replace("\n", "")) == written, words
    assert await ben.words() == words


async def test_who_begin_a_paragraph_without_hearing_of_each_other_see_each_word_once(writes: Writes, group: Evening) -> None:
    """Once with one as the first to hear of it, once with the other: which text is the first one is decided by lot."""
    async with Line(group.server.url) as first_line, Line(group.server.url) as second_line:
        anna, ben, table = await writes("Anna", first_line.url), await writes("Ben", second_line.url), await writes()
        pairs = (anna, first_line, ben, second_line), (ben, second_line, anna, first_line)
        for turn, (late, late_line, early, early_line) in enumerate(pairs):
            await table.types(f"Absatz {turn}\n")
            for writer in (anna, ben):
                await expect(writer.text.locator("p")).to_have_count(turn + 2)
            late_line.hold()
            early_line.hold()
            await late.types(f"Spät {turn}. ")
            await early.types(f"Früh {turn}. ")
            await table.sees(f"Spät {turn}.", f"Früh {turn}.")
            early_line.release()
            await early.sees(f"Spät {turn}.")
            await early.types(f"Mehr {turn}. ")
            await table.sees(f"Mehr {turn}.")
            late_line.release()
            for writer in (anna, ben, table):
                await writer.sees(f"Spät {turn}.", f"Früh {turn}.", f"Mehr {turn}.")
                await writer.is_in("saved")
        words = await table.words()
        said = [f"{when} {turn}." for when in ("Spät", "Früh", "Mehr") for turn in range(2)]
        assert [words.count(one) for one in said] == [1] * 6, words
        assert await anna.words() == await ben.words() == words


async def test_what_is_written_without_a_network_survives_a_reload_and_is_merged(writes: Writes) -> None:
    async with in_a_tunnel(writes, "Anna im Zug. ") as (anna, ben, line):
        await ben.types("Ben im Saal. ")
        await ben.is_in("saved")
        assert "Ben im Saal" not in await anna.words()
        await anna.page.close()
        await line.mend()
        again = await writes.at(anna.context, line.url)
        await again.sees("Anfang.", "Anna im Zug.", "Ben im Saal.")
        await ben.sees("Anna im Zug.")
        await again.is_in("saved")


async def test_a_dead_line_is_found_and_what_was_said_over_it_is_said_again(writes: Writes, server: Server) -> None:
    async with Line(server.url) as line:
        anna, ben = await writes("Anna", url=line.url), await writes("Ben")
        await anna.is_in("saved")
        line.silence()
        await anna.types("Ins Leere. ")
        await anna.is_in("offline")
        await line.cut()
        line.release()
        await line.mend()
        await ben.sees("Ins Leere.")
        await anna.is_in("saved")
        await ben.types("Gehört.")
        await anna.sees("Gehört.")


async def test_a_server_that_is_away_for_a_moment_costs_nothing(writes: Writes, group: Evening, server: Server) -> None:
    anna = await writes("Anna")
    await anna.types("Vorher. ")
    await anna.is_in("saved")
    server.kill()
    await anna.types("Währenddessen. ")
    await anna.is_in("offline")
    await asyncio.to_thread(server.start)
    await anna.is_in("saved")
    async with at(group, anna) as later:
        await later.sees("Vorher. Währenddessen.")


async def test_the_keyboard_is_enough(writes: Writes, group: Evening) -> None:
    anna = await writes("Anna")
    await anna.is_in("saved")
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
    async with at(group, anna) as later:
        await later.sees("Schluss fett")
        assert later.text == "Ergebnis\n- Bänke\n- Bäume\nSchluss fett"


async def test_undoing_takes_back_ones_own_only(writes: Writes) -> None:
    anna, ben = await writes("Anna"), await writes("Ben")
    await asyncio.gather(anna.is_in("saved"), ben.is_in("saved"))
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
    anna, ben = await writes("Anna"), await writes("")
    await asyncio.gather(anna.is_in("saved"), ben.is_in("saved"))
    await anna.types("Satz")
    await ben.types(" mehr")
    await expect(anna.text.locator(".notes__name")).to_have_text("somebody")
    await expect(ben.text.locator(".notes__name")).to_have_text("Anna")
    await expect(ben.people).to_have_text("Anna")
    await expect(anna.people).to_have_text("+ 1 more")
    await anna.page.close()
    await expect(ben.text.locator(".notes__name")).to_have_count(0)
    await expect(ben.people.locator("li")).to_have_count(0)


async def test_only_who_visits_reads_and_writes_until_the_visit_is_over(writes: Writes, group: Evening, moderator: Person) -> None:
    anna = await writes("Anna")
    await anna.types("Aus der Gruppe.")
    organiser = await group.staff("organiser")
    context = await writes.browser.new_context(locale="en-GB")
    writes.leaving.push_async_callback(context.close)
    await context.add_cookies([{"name": COOKIE, "value": str(organiser.cookie), "url": group.server.url}])
    page = await context.new_page()
    await page.goto(f"{group.server.url}{group.page}/room/1-1")
    await expect(page.get_by_text("Nobody comes unannounced")).to_be_visible()
    await expect(page.get_by_text("Aus der Gruppe.")).to_have_count(0)
    await page.get_by_role("link", name="Back to the small groups").click()
    await expect(page.get_by_role("heading", name="All small groups")).to_be_visible()
    await organiser.do("room.enter", room="1-1")
    guest = await writes.at(context)
    await guest.sees("Aus der Gruppe.")
    await guest.is_in("saved")
    await guest.types(" Vom Besuch.")
    await anna.sees("Aus der Gruppe. Vom Besuch.")
    await guest.is_in("saved")
    await organiser.do("room.leave", room="1-1")
    await expect(guest.page.get_by_role("heading", name="All small groups")).to_be_visible()
    await anna.types(" Unter uns.")
    await anna.is_in("saved")
    await expect(guest.page.get_by_text("Aus der Gruppe")).to_have_count(0)


async def test_who_is_moved_away_is_told_and_keeps_nothing(writes: Writes, group: Evening, moderator: Person) -> None:
    anna = await writes("Anna")
    await anna.types("Vertraulich")
    await anna.is_in("saved")
    await anna.page.wait_for_function(STORED, arg=1)
    shown = await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["people"])
    await moderator.do("room.move", person=shown[0]["id"], to="1-2")
    await anna.is_in("closed")
    await expect(anna.text).to_have_attribute("contenteditable", "false")
    await anna.page.wait_for_function(STORED, arg=0)


async def test_who_is_moved_while_offline_is_told_what_did_not_arrive(writes: Writes, moderator: Person) -> None:
    async with in_a_tunnel(writes, "Im Tunnel.") as (anna, ben, line):
        shown = await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["people"])
        tag = next(one["id"] for one in shown if one["name"] == "Anna")
        await moderator.do("room.move", person=tag, to="1-2")
        await line.mend()
        await anna.is_in("late")
        await anna.sees("Anfang. Im Tunnel.")
        await expect(anna.text).to_have_attribute("contenteditable", "false")
        await expect(anna.page.get_by_role("button", name="Go in")).to_be_visible()
        await anna.page.wait_for_function(STORED, arg=0)
        assert "Tunnel" not in await ben.words()


async def test_when_the_room_is_over_its_notes_stay_to_be_read(writes: Writes, group: Evening, moderator: Person) -> None:
    anna, ben = await writes("Anna"), await writes("Ben")
    await anna.types("Bis zuletzt.")
    await ben.sees("Bis zuletzt.")
    await anna.page.wait_for_function(STORED, arg=1)  # the control: while it is open a device keeps them
    await moderator.do("round.close", round=1)
    for writer in (anna, ben):
        await writer.is_in("reading")
        await writer.sees("Bis zuletzt.")
        await expect(writer.text).to_have_attribute("contenteditable", "false")
        await expect(writer.text).to_have_attribute("aria-readonly", "true")
        await expect(writer.page.get_by_role("toolbar")).to_have_count(0)
        await writer.page.wait_for_function(STORED, arg=0)
    asked: list[str] = []
    anna.page.on("request", lambda request: asked.append(request.url))
    await anna.page.reload()
    await expect(anna.notes).to_contain_text("Bis zuletzt.")
    await expect(anna.notes.get_by_role("textbox")).to_have_count(0)
    assert not any("editor" in url for url in asked), "nobody needs an editor to read"


async def test_what_came_too_late_is_told_to_whom_it_is_lost(writes: Writes, moderator: Person) -> None:
    async with in_a_tunnel(writes, "Im Tunnel.") as (anna, ben, line):
        await moderator.do("round.close", round=1)
        await ben.is_in("reading")
        await line.mend()
        await anna.is_in("late")
        await anna.sees("Anfang. Im Tunnel.")
        assert "Tunnel" not in await ben.words()


async def test_the_editor_comes_when_somebody_comes_near_and_the_text_is_there_before(writes: Writes, group: Evening) -> None:
    anna = await writes("Anna")
    await anna.types("Schon da.")
    await anna.is_in("saved")
    page = await anna.context.new_page()
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.set_viewport_size({"width": 360, "height": 300})
    await page.goto(f"{group.server.url}{group.page}/room/1-1")
    await expect(page.locator(".notes__plain")).to_have_text("Schon da.")
    await page.wait_for_load_state("networkidle")
    assert not any("editor" in url for url in asked)
    await page.locator("#notes").scroll_into_view_if_needed()
    await expect(page.get_by_role("textbox", name="Notes of this small group")).to_contain_text("Schon da.")
    await expect(page.locator(".notes__plain")).to_have_count(0)
    await expect(page.get_by_label("Add to the notes")).to_be_hidden()
    assert any("editor" in url for url in asked)


async def test_without_a_script_one_reads_and_adds_lines(writes: Writes, group: Evening) -> None:
    ben = await writes("Ben")
    anna = await writes("Anna", java_script_enabled=False)
    await expect(anna.notes).to_contain_text("Nothing has been written yet.")
    await anna.page.get_by_label("Add to the notes").fill("Ohne Skript, <b>mit</b> Inhalt")
    await anna.page.get_by_role("button", name="Add", exact=True).click()
    await expect(anna.page.locator(".notes__plain")).to_have_text("Ohne Skript, <b>mit</b> Inhalt")
    await ben.sees("Ohne Skript, <b>mit</b> Inhalt")
    await expect(anna.page.get_by_role("toolbar")).to_have_count(0)


async def test_full_notes_are_told_and_a_shorter_text_is_saved(writes: Writes) -> None:
    anna, ben = await writes("Anna"), await writes("Ben")
    await anna.types("Kurz. ")
    await anna.is_in("saved")
    await anna.page.keyboard.insert_text("x" * 9_000)
    await anna.is_in("full")
    await ben.types("Ben schreibt weiter. ")
    await ben.is_in("saved")
    await anna.sees("Ben schreibt weiter.")
    assert "xxx" not in await ben.words()
    await anna.page.keyboard.press("Control+z")
    await anna.is_in("saved")
    await anna.types("Passt.")
    await ben.sees("Passt.")


async def test_somebody_else_s_text_is_deleted_from_full_notes_to_make_room(writes: Writes, group: Evening) -> None:
    anna, ben = await writes("Anna"), await writes("Ben")
    async with at(group, anna) as editor:
        await editor.says("Alt " * 250, "Wort " * 1_310)
        await editor.is_saved()
    await ben.sees("Alt", "Wort")
    await ben.types("b" * 20)
    await ben.is_in("saved")
    await ben.page.keyboard.insert_text("B" * 500)
    await ben.is_in("full")
    await expect(ben.page.locator(".notes__state")).to_contain_text("whoever wrote it")
    await ben.text.locator("p").first.click(click_count=3)
    await ben.page.keyboard.press("Delete")
    await ben.is_in("saved")
    await anna.sees("B" * 500)
    words = await ben.words()
    assert (await anna.words(), words.count("Alt"), words.count("Wort")) == (words, 0, 1_310)


async def test_a_lot_of_text_at_once_waits_survives_a_reload_and_comes_once(browser: Browser, serve: Callable[..., Server]) -> None:
    server = serve(notes_growth_burst=3_000, notes_growth_rate=150)
    async with Evening(server, await server.event()) as group:
        await prepared(group)
        writes = Writes(browser, group)
        async with writes.leaving:
            anna, ben = await writes("Anna", size=(360, 740)), await writes("Ben")
            await anna.types("Zwei Seiten: ")
            await anna.page.keyboard.insert_text("x" * 2_500)
            await anna.is_in("saved")
            await ben.sees("xxx")
            await anna.page.keyboard.insert_text("Noch zwei: " + "y" * 2_500)
            await anna.is_in("slow")
            await anna.types("Und weiter getippt.")
            await ben.types("Ben schreibt weiter. ")
            await ben.is_in("saved")
            assert "yyy" not in await ben.words()
            await anna.page.reload()
            await anna.notes.scroll_into_view_if_needed()
            await anna.sees("Noch zwei", "Und weiter getippt.")
            await anna.is_in("slow")
            await anna.is_in("saved")
            await ben.sees("Noch zwei", "Und weiter getippt.")
            await anna.sees("Ben schreibt weiter.")
            words = await ben.words()
            assert (await anna.words(), words.count("y"), words.count("getippt")) == (words, 2_500, 1)
        assert not writes.faults, "\n".join(writes.faults)


async def test_who_takes_out_again_what_was_too_much_does_not_wait(browser: Browser, serve: Callable[..., Server]) -> None:
    server = serve(notes_growth_burst=3_000, notes_growth_rate=0.1)
    async with Evening(server, await server.event()) as group:
        await prepared(group)
        writes = Writes(browser, group)
        async with writes.leaving:
            anna, ben = await writes("Anna"), await writes("Ben")
            await anna.types("Kurz.")
            await anna.is_in("saved")
            await anna.page.keyboard.insert_text("x" * 2_000)
            await anna.is_in("saved")
            await anna.page.keyboard.insert_text("y" * 2_000)
            await anna.is_in("slow")
            for _ in range(40):
                await anna.page.keyboard.press("Shift+ArrowUp")
            await anna.page.keyboard.press("Delete")
            await anna.is_in("saved")
            await anna.types("Passt.")
            await ben.sees("Passt.")
        assert not writes.faults, "\n".join(writes.faults)


async def test_what_is_too_much_to_be_pasted_is_not_and_the_page_says_so(writes: Writes) -> None:
    anna = await writes("Anna", permissions=["clipboard-read", "clipboard-write"])
    await anna.types("Kurz. ")
    await anna.is_in("saved")
    await anna.page.evaluate("text => navigator.clipboard.writeText(text)", "x" * 20_000)
    await anna.page.keyboard.press("Control+v")
    await expect(anna.page.locator("#toasts")).to_contain_text("too much to be pasted at once")
    await anna.is_in("saved")
    assert "x" not in await anna.words()


@pytest.mark.parametrize("size", SIZES, ids=["phone", "laptop"])
async def test_axe_finds_nothing(writes: Writes, size: Size) -> None:
    anna, ben = await writes("Anna", size=size), await writes("Ben", size=LAPTOP)
    for writer in (anna, ben):
        await writer.is_in("saved")
    await anna.types("# Ergebnis\n- Bänke\n\nSchluss")
    await ben.sees("Schluss")
    await ben.types(" mehr")
    await expect(anna.text.locator(".notes__name")).to_have_text("Ben")
    assert await violations(anna.page) == []
    assert await anna.page.evaluate("() => document.querySelectorAll('[style]').length") == 0
    assert await anna.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0
