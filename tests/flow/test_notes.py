"""The notes of small groups on whole servers: who may write them and until when, and what becomes of them, whatever happens."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import sqlite3
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from tests.flow.evening import Evening, Person, refusal
from tests.flow.installation import Installation
from tests.flow.server import Server
from tests.flow.small_groups import RIGHTS, inside, prepared
from tests.live.notes_server import Editor

FORBIDDEN, TOO_LARGE = 4503, 1009


def at(evening: Evening, person: Person | str | None, room: str = "1-1") -> Editor:
    """This person's editor of a room."""
    return Editor(evening.server.url, evening.slug, room, person.cookie if isinstance(person, Person) else person)


async def right(editor: Editor) -> str:
    """What the server lets this person do; empty if nothing."""
    await editor.until(lambda: editor.frames or editor.closed)
    return str(editor.frames[0]["right"]) if editor.frames else {FORBIDDEN: ""}[await editor.is_closed()]


async def rights(evening: Evening, people: dict[str, str | None], room: str = "1-1") -> dict[str, str]:
    """The same of several people by their cookies."""
    found = {}
    for name, cookie in people.items():
        async with at(evening, cookie, room) as editor:
            found[name] = await right(editor)
    return found


async def everybody(evening: Evening) -> dict[str, str | None]:
    """One of each kind: who is in the room, in another one, takes part without a room, or has one of the roles."""
    people: dict[str, str | None] = {role: await evening.cookie(role) for role in ("helper", "operator", "moderator", "organiser")}
    people |= {"inside": (await inside(evening)).cookie, "elsewhere": (await inside(evening, "1-2")).cookie}
    people["visiting"] = (await inside(evening, cookie=await evening.cookie("helper"))).cookie
    people["stranger"] = None
    people["signed in elsewhere"] = (await evening.person()).cookie
    return people


NOBODY = ("helper", "operator", "elsewhere", "stranger", "signed in elsewhere")
LEADING = ("moderator", "organiser")


async def test_only_those_in_a_room_read_and_write_its_notes_and_moderators_read_them_afterwards(evening: Evening) -> None:
    moderator = await prepared(evening)
    people = await everybody(evening)
    nothing = dict.fromkeys(NOBODY, "")
    inside_now = {"inside": "write", "visiting": "write"}
    assert await rights(evening, people) == inside_now | dict.fromkeys(LEADING, "") | nothing, "nobody looks in unannounced"

    async with at(evening, people["inside"]) as anna:
        await anna.says("Mehr Bänke")
        await anna.is_saved()
    browser = await evening.browser(people["elsewhere"])
    answer = await browser.post(f"{evening.page}/room/1-1/notes", data={"text": "Aus dem Nebenraum"})
    assert (answer.status_code, "Mehr Bänke" in answer.text) == (422, False)

    await moderator.do("round.close", round=1)
    everybody_there = dict.fromkeys((*inside_now, *LEADING), "read")
    assert await rights(evening, people) == everybody_there | nothing
    async with at(evening, people["moderator"]) as reader:
        await reader.sees("Mehr Bänke")
        await reader.says("Hinein")
        await reader.is_refused("forbidden")
    async with at(evening, people["inside"]) as anna:
        await anna.sees("Mehr Bänke")
        assert anna.text == "Mehr Bänke"
    assert set((await rights(evening, people, "9-9")).values()) == {""}


async def test_who_is_moved_away_hears_and_writes_nothing_more(evening: Evening) -> None:
    moderator = await prepared(evening)
    anna, ben = await inside(evening), await inside(evening)
    async with at(evening, anna) as hers, at(evening, ben) as his:
        await hers.says("Vertraulich")
        await his.sees("Vertraulich")
        shown = await moderator.sees(lambda shown: shown["rooms"]["room/1-1"]["people"])
        await moderator.do("room.move", person=shown[0]["id"], to="1-2")
        assert await hers.is_closed() == RIGHTS
        await his.says("Danach")
        await his.is_saved()
    async with at(evening, anna) as hers:
        assert await right(hers) == ""
        assert "Danach" not in hers.text
    async with at(evening, anna, "1-2") as hers:
        assert await right(hers) == "write"


async def test_a_room_that_is_closed_while_forty_type_keeps_every_word_that_it_has_acknowledged(evening: Evening) -> None:
    moderator = await prepared(evening)
    people = [await inside(evening) for _ in range(40)]
    editors = [at(evening, person) for person in people]

    async def types(number: int, editor: Editor) -> None:
        """In one breath three sentences, and the next ones when these are saved."""
        for turn in itertools.count(step=3):
            if editor.closed is not None:
                return
            await editor.says(*(f"Person {number}, Satz {turn + more}." for more in range(3)))
            await editor.until(partial(saved_or_closed, editor, turn + 3))

    async with contextlib.AsyncExitStack() as room:
        for editor in editors:
            await room.enter_async_context(editor)
        async with asyncio.TaskGroup() as typing:
            for number, editor in enumerate(editors):
                typing.create_task(types(number, editor))
            for editor in editors:
                await editor.until(partial(enough, editor), 60)
            await moderator.do("round.close", round=1, room="1-1")
        assert [await editor.is_closed() for editor in editors] == [RIGHTS] * 40
        kept = {(number, turn) for number, editor in enumerate(editors) for turn in range(acknowledged(editor) - 1)}
        said = [editor.given for editor in editors]

    assert len(kept) >= 40 * 3
    assert sum(said) > len(kept), "the control: some were still on their way"
    for editor in editors:
        async with editor:
            assert await right(editor) == "read"
            await editor.says("Zu spät")
            await editor.is_refused("forbidden")
    async with at(evening, people[0]) as later:
        await later.sees(*(f"Person {number}, Satz {turn}." for number, turn in kept))
        assert "Zu spät" not in later.text


def enough(editor: Editor) -> bool:
    """Whether something was written, and saved."""
    return acknowledged(editor) > 3


def saved_or_closed(editor: Editor, count: int) -> bool:
    """Whether there is nothing more to wait for."""
    return editor.closed is not None or acknowledged(editor) >= count


def acknowledged(editor: Editor) -> int:
    """How many of its messages are saved, the answer to the server's first question among them."""
    return max((frame["count"] for frame in editor.frames if frame["t"] == "saved"), default=0)


async def test_a_megabyte_is_refused_and_the_others_go_on(evening: Evening) -> None:
    await prepared(evening)
    anna, flood = await inside(evening), await inside(evening)
    async with at(evening, anna) as hers, at(evening, flood) as his:
        await his.says("z" * 50_000)
        await hers.sees("zzz")  # the control: less than that is taken
        await his.says("y" * 1_000_000)
        assert await his.is_closed() == TOO_LARGE
        await hers.says("Weiter")
        await hers.is_saved()
    async with at(evening, flood) as his:
        for _ in range(20):
            await his.says("x" * 50_000)
        assert (await his.is_refused("notes_full"))["bytes"] == 200_000
        async with at(evening, anna) as hers:
            await hers.sees("Weiter")
            hers.deletes("zzz")
            await hers.says("Wieder Platz")
            await hers.is_saved()
            assert len(hers.text) < 200_000


@pytest.mark.parametrize("limited", [True, False], ids=["", "control: everybody may add as much as they like"])
async def test_without_a_script_one_does_not_fill_the_notes_either(serve: Callable[..., Server], limited: bool) -> None:
    growth = {"notes_growth_burst": 2_500, "notes_growth_rate": 1} if limited else {}
    server = serve(notes_bytes=10_000, **growth)
    async with Evening(server, await server.event()) as evening:
        await prepared(evening)
        flood, anna = [await evening.browser((await inside(evening)).cookie, **{"accept-language": "en"}) for _ in range(2)]
        form = f"{evening.page}/room/1-1/notes"
        answers = [await flood.post(form, data={"text": f"{turn} {'x' * 950}"}) for turn in range(10)]
        code, words = (429, "That was a lot in a short time") if limited else (422, "The notes are full")
        assert (answers[0].status_code, answers[-1].status_code, words in answers[-1].text) == (303, code, True)
        assert f"9 {'x' * 950}</textarea>" in answers[-1].text, "nothing is lost"
        hers = await anna.post(form, data={"text": "a" * 950})
        assert hers.status_code == (303 if limited else 422)


async def test_a_first_draft_of_the_summary_is_made_of_notes_and_cards(evening: Evening) -> None:
    await prepared(evening)
    anna = await inside(evening)
    await anna.do("card.submit", room="1-1", text="Bänke am Ring")
    async with at(evening, anna) as hers, at(evening, await inside(evening)) as other:
        await hers.says("Viele sitzen gern im Schatten.", "Und im Winter?")
        await other.sees("Und im Winter?")
        assert (await anna.do("summary.draft", room="1-1"))["state"] == "draft"  # with what is not saved yet
    shown = await anna.sees(lambda shown: shown["room/1-1"]["summary/1-1"]["discussed"] and shown["room/1-1"]["summary/1-1"])
    assert shown["discussed"] == "– Bänke am Ring\n\nViele sitzen gern im Schatten.\nUnd im Winter?"
    stranger = await evening.person()
    assert (await refusal(stranger.do("summary.draft", room="1-1"))).code == "not_your_room"
    assert (await refusal(anna.do("summary.draft", room="1-1", notes="Untergeschoben"))).code == "malformed"
    await anna.do("summary.draft", room="1-1", discussed="Wir haben über Schatten gesprochen.")
    await anna.do("summary.draft", room="1-1")
    await anna.sees(lambda shown: shown["room/1-1"]["summary/1-1"]["discussed"] == "Wir haben über Schatten gesprochen.")


async def test_without_a_script_notes_are_read_and_lines_are_added(evening: Evening) -> None:
    moderator = await prepared(evening)
    anna = await inside(evening)
    browser = await evening.browser(anna.cookie)
    page, form = f"{evening.page}/room/1-1", f"{evening.page}/room/1-1/notes"
    async with at(evening, anna) as hers:
        answer = await browser.post(form, data={"text": "Bänke <b>am</b> Ring\nund Schatten"})
        assert (answer.status_code, answer.headers["location"]) == (303, f"{page}#notes")
        await hers.sees("Bänke <b>am</b> Ring\nund Schatten")
        await hers.says("Aus dem Editor")
        await hers.is_saved()
        shown = (await browser.get(page)).text
    assert "Bänke &lt;b&gt;am&lt;/b&gt; Ring\nund Schatten\nAus dem Editor" in shown
    assert f'action="{form}"' in shown
    for text in (" ", "x" * 1_001):
        answer = await browser.post(form, data={"text": text})
        assert answer.status_code == 422
        assert "Aus dem Editor" in answer.text, "the page, with what was wrong"
    foreign = await browser.post(form, data={"text": "von einer anderen Seite"}, headers={"sec-fetch-site": "cross-site"})
    assert foreign.status_code == 403
    reader = await evening.browser(moderator.cookie)
    answer = await reader.get(page)
    assert (answer.status_code, "und Schatten" in answer.text) == (409, False), "moderators visit first"

    await moderator.do("round.close", round=1)
    for one in (browser, reader):
        shown = (await one.get(page)).text
        assert "und Schatten" in shown
        assert f'action="{form}"' not in shown
    assert (await browser.post(form, data={"text": "Zu spät"})).status_code == 422


async def test_notes_are_deleted_with_the_personal_data_and_browsers_do_not_bring_them_back(serve: Callable[..., Server]) -> None:
    server = serve()
    async with Evening(server, await server.event()) as evening:
        moderator = await prepared(evening)
        anna = await inside(evening)
        async with at(evening, anna) as hers:
            await hers.says("Frau X ist krank")
            await hers.is_saved()
            past = hers.frames[0]["epoch"]
            assert written(server) == {"1-1": True}, "the control"
            await asyncio.to_thread(server.plenum, "retain", evening.slug)
            assert await hers.is_closed() == 1012
        async with at(evening, anna) as again:
            assert await right(again) == "write"
            await again.says("Neu")
            await again.is_saved()
            assert again.text == "Neu"
            assert again.frames[0]["epoch"] != past, "a browser knows by it that its own copy is of no use"
        assert written(server) == {"1-1": False, "1-2": False}
        await moderator.do("round.close", round=1)


def written(server: Server) -> dict[str, bool]:
    """Whether the table of notes has anything of what was said first, by room."""
    found: dict[str, bool] = {}
    with contextlib.closing(sqlite3.connect(server.database)) as database:
        for room, data in database.execute("SELECT room, data FROM notes"):
            found[room] = found.get(room, False) or b"krank" in data
    return found


async def test_two_processes_share_notes_and_lose_nothing_when_redis_is_cut_off(tmp_path: Path) -> None:
    async with Installation(tmp_path) as installation, installation.evening() as evenings:
        await prepared(evenings[0])
        people = [await inside(evening) for evening in evenings]
        async with at(evenings[0], people[0]) as anna, at(evenings[1], people[1]) as ben:
            for turn in range(20):
                await asyncio.gather(anna.says(f"Anna {turn}"), ben.says(f"Ben {turn}"))
            everything = [f"{name} {turn}" for name in ("Anna", "Ben") for turn in range(20)]
            await asyncio.gather(anna.sees(*everything), ben.sees(*everything))
            await asyncio.gather(anna.is_saved(), ben.is_saved())
            assert anna.text == ben.text

            for cable in installation.to_redis:
                await cable.cut()
            await asyncio.gather(anna.says("Ohne Bus"), ben.says("Ohne Draht"))
            await asyncio.gather(anna.sees("Ohne Draht"), ben.sees("Ohne Bus"))
            for cable in installation.to_redis:
                await cable.mend()
            await anna.says("Wieder da")
            await ben.sees("Wieder da")
            await anna.is_saved()

            await asyncio.to_thread(evenings[0].server.kill)
        async with at(evenings[1], people[1]) as later:
            await later.sees("Ohne Bus", "Ohne Draht", "Wieder da", *everything)
            assert len(later.lines) == 43


async def test_each_of_several_processes_on_one_port_has_its_own_keeper(serve: Callable[..., Server]) -> None:
    server = serve("--workers", "2")
    async with Evening(server, await server.event()) as evening:
        await prepared(evening)
        anna = await inside(evening)
        async with contextlib.AsyncExitStack() as open_pages:
            editors = [await open_pages.enter_async_context(at(evening, anna)) for _ in range(8)]
            await editors[0].says("An alle")
            for editor in editors:
                await editor.sees("An alle")
