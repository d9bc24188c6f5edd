"""The notes of a room, over real sockets: they converge, what is said to be saved is, and nobody spoils them for the others."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any, cast

import msgspec
import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from pycrdt import Awareness, Doc, XmlElement, XmlFragment, XmlText, create_awareness_message
from websockets.asyncio.client import connect

from live import notes_keeper
from live import notes_protocol as protocol
from live import notes_store as store
from live.backup import backup
from live.log import NOTES, WIPED, Log
from live.notes import COMPACT_BYTES
from live.notes_document import DEEPEST, Full, Gap, merged, text_of
from live.notes_keeper import Keeper, Lost
from live.notes_protocol import NOTHING, Malformed
from live.restore import restore
from tests.conftest import OPEN_HANDED
from tests.flow.evening import Evening
from tests.live.notes_server import AWARENESS, Editor, NotesServer

MOST = 20_000
"""Bytes of the notes on the server of these tests."""


@pytest.fixture(scope="session")
def open_notes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NotesServer]:
    """One server for all tests that do it no harm."""
    server = NotesServer(tmp_path_factory.mktemp("notes"), {**OPEN_HANDED, "notes_bytes": MOST, "notes_burst": 100_000})
    server.start()
    yield server
    server.kill()


@pytest.fixture
async def evening(open_notes: NotesServer) -> AsyncIterator[Evening]:
    """A new event; whatever the test did, the server has logged no exception."""
    before = len(open_notes.said())
    async with Evening(open_notes, await open_notes.event()) as evening:
        yield evening
    assert "Traceback" not in open_notes.said()[before:], open_notes.said()[before:]


@pytest.fixture
def serve_notes(tmp_path: Path) -> Iterator[Callable[..., NotesServer]]:
    """Starts a server of one's own; it is gone after the test."""
    servers: list[NotesServer] = []

    def start(**settings: object) -> NotesServer:
        servers.append(NotesServer(tmp_path / f"server-{len(servers)}", {**OPEN_HANDED, **settings}))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


def editor(evening: Evening, room: str = "open", cookie: str | None = None, *, ours: bool = True) -> Editor:
    """Somebody's editor."""
    return Editor(evening.server.url, evening.slug, room, cookie, ours=ours)


def rows(server: NotesServer) -> list[tuple[str, int, int]]:
    """(room, seq, bytes) of all rows."""
    log = Log(f"sqlite:///{server.database}")
    with log.transaction() as connection:
        found = [(row.room, row.seq, len(row.data)) for row in connection.execute(sa.select(NOTES).order_by(NOTES.c.seq))]
    log.close()
    return found


# Together.


async def test_what_one_writes_the_other_sees_and_it_is_saved(evening: Evening) -> None:
    async with editor(evening) as anna, editor(evening) as ben:
        await anna.says("Mehr Bänke 🪑 am Ring")
        await ben.sees("Mehr Bänke 🪑 am Ring")
        await anna.is_saved()
    async with editor(evening) as later:
        await later.sees("Mehr Bänke 🪑 am Ring")


async def test_two_who_write_at_once_end_up_with_the_same(evening: Evening) -> None:
    async with editor(evening) as anna, editor(evening) as ben:
        await anna.says("Anfang")
        await ben.sees("Anfang")
        for turn in range(20):
            anna.writes(f"Anna {turn}")
            ben.writes(f"Ben {turn}")
            await asyncio.gather(anna.sends(), ben.sends())
        everything = [f"{name} {turn}" for name in ("Anna", "Ben") for turn in range(20)]
        await asyncio.gather(anna.sees(*everything), ben.sees(*everything))
        assert anna.text == ben.text
        assert len(anna.lines) == 41


async def test_what_was_written_without_a_network_is_merged(evening: Evening) -> None:
    anna, ben = editor(evening), editor(evening)
    async with anna, ben:
        await anna.says("Anfang")
        await ben.sees("Anfang")
    anna.writes("Anna im Zug")
    async with ben:
        await ben.says("Ben im Saal")
        async with anna:
            await asyncio.gather(anna.sees("Ben im Saal"), ben.sees("Anna im Zug"))
            await anna.is_saved()
            assert anna.text == ben.text


async def test_rooms_have_notes_of_their_own(evening: Evening) -> None:
    async with editor(evening, "open-1") as anna, editor(evening, "open-2") as ben:
        await anna.says("Eins")
        await ben.says("Zwei")
        await asyncio.gather(anna.is_saved(), ben.is_saved())
    async with editor(evening, "open-1") as later:
        await later.sees("Eins")
        assert later.text == "Eins"


async def test_an_ordinary_client_that_knows_nothing_of_our_words(evening: Evening) -> None:
    async with editor(evening, ours=False) as plain, editor(evening) as anna:
        await plain.says("Schlicht")
        await anna.sees("Schlicht")
        await anna.says("Unseres")
        await plain.sees("Unseres")
        assert plain.frames == []


# Rights.


async def test_who_has_no_right_is_told_and_sees_nothing(evening: Evening) -> None:
    async with editor(evening, "closed") as stranger:
        assert await stranger.is_closed() == 4503
        assert stranger.frames == []
        assert stranger.text == ""


async def test_who_may_read_sees_everything_and_changes_nothing(evening: Evening) -> None:
    async with editor(evening, "shown", await evening.cookie("moderator")) as moderator, editor(evening, "shown") as reader:
        assert (await reader.until(lambda: reader.frames))[0]["right"] == "read"
        await moderator.says("Vom Tisch")
        await reader.sees("Vom Tisch")
        assert reader.asked == 0, "nothing is wanted of a reader"
        await reader.says("Hinein")
        await reader.is_refused("forbidden")
        await moderator.says("Danach")
        await reader.sees("Danach")
        assert "Hinein" not in moderator.text


async def test_a_right_that_is_lost_meanwhile_is_lost_at_once(evening: Evening) -> None:
    cookie = await evening.cookie("moderator")
    async with editor(evening, "closed", cookie) as moderator, editor(evening, "open") as anybody:
        await moderator.says("Vertraulich")
        await moderator.is_saved()
        await evening.server.command(evening.slug, "link.revoke", role="moderator")
        assert await moderator.is_closed() == 4003
        await anybody.says("Bleibt")
        await anybody.is_saved()
    async with editor(evening, "closed", cookie) as moderator:
        assert await moderator.is_closed() == 4503


async def test_other_sites_and_other_events_are_refused(evening: Evening) -> None:
    address = f"{evening.server.url.replace('http', 'ws', 1)}/ws/{{}}/notes/open"
    for slug, origin, code in ((evening.slug, "https://evil.example", 4501), ("no-such-event", None, 4500)):
        headers = {"Origin": origin} if origin else {}
        async with connect(address.format(slug), additional_headers=headers) as socket:
            await socket.wait_closed()
            assert socket.close_code == code


async def test_a_room_with_an_impossible_name_is_refused(evening: Evening) -> None:
    async with editor(evening, "open%20%3B") as stranger:
        assert await stranger.is_closed() == 4503


# Limits.


async def test_what_is_too_much_is_refused_and_what_was_there_stays(evening: Evening) -> None:
    async with editor(evening) as anna, editor(evening) as ben:
        await anna.says("Vorher")
        await ben.sees("Vorher")
        await anna.says("x" * MOST)
        assert (await anna.is_refused("notes_full"))["bytes"] == MOST
        await anna.says("nach der Ablehnung")  # cannot be understood without what was refused
        await ben.says("Ben schreibt weiter")
        await ben.is_saved()
        assert "Ben schreibt weiter" in ben.text
        assert "xxx" not in ben.text
        assert "nach der Ablehnung" not in ben.text
        anna.deletes("xxx")
        await anna.send(protocol.step_1(anna.doc.get_state()))  # asks, and is asked
        await ben.sees("nach der Ablehnung")
        await anna.is_saved()
    async with editor(evening) as later:
        await later.sees("Vorher", "Ben schreibt weiter", "nach der Ablehnung")
        assert "xxx" not in later.text


async def test_what_waits_is_taken_together_and_only_what_cannot_be_taken_is_refused(
    serve_notes: Callable[..., NotesServer],
) -> None:
    server = serve_notes(notes_bytes=MOST)
    async with Evening(server, await server.event()) as evening, contextlib.AsyncExitStack() as room:
        anna, ben, cem, flood, late = [await room.enter_async_context(editor(evening)) for _ in range(5)]
        await anna.says("Vorher")
        for one in (ben, cem, flood, late):
            await one.sees("Vorher")
        late.writes("Fehlt")
        late._waiting.clear()
        os.kill(server.keeper, signal.SIGSTOP)
        await anna.says("Anna")
        for one, text in ((ben, "Ben"), (flood, "x" * MOST), (late, "Folgt auf Fehlendes"), (cem, "Cem")):
            await one.says(text)
        os.kill(server.keeper, signal.SIGCONT)
        await flood.is_refused("notes_full")
        for one in (anna, ben, cem):
            await one.sees("Anna", "Ben", "Cem", "Fehlt", "Folgt auf Fehlendes")
            await one.is_saved()
            assert "xxx" not in one.text


async def test_full_notes_can_be_shortened(evening: Evening) -> None:
    async with editor(evening) as anna, editor(evening) as ben:
        await anna.says("a" * (MOST - 500))
        await ben.sees("aaa")
        await ben.says("b" * 600)
        await ben.is_refused("notes_full")
        anna.deletes("aaa")
        await anna.says("Platz")
        await anna.is_saved()
        await ben.send(protocol.step_1(ben.doc.get_state()))
        await anna.sees("bbb")


@pytest.mark.parametrize("limited", [True, False], ids=["", "control: everybody may add as much as they like"])
async def test_one_person_does_not_fill_the_notes(serve_notes: Callable[..., NotesServer], limited: bool) -> None:
    growth = {"notes_growth_burst": 5_000, "notes_growth_rate": 1} if limited else {}
    server = serve_notes(notes_bytes=MOST, notes_burst=10_000, **growth)
    async with Evening(server, await server.event()) as evening, contextlib.AsyncExitStack() as room:
        flood = await room.enter_async_context(editor(evening, cookie=await evening.cookie("helper")))
        anna = await room.enter_async_context(editor(evening))
        await flood.says(*(f"{turn} {'x' * 1_000}" for turn in range(30)))
        refused = await flood.is_refused("too_many" if limited else "notes_full")
        assert bool(refused.get("retry_after")) == limited
        again = await room.enter_async_context(editor(evening, cookie=flood.cookie))
        await again.says("y" * 1_000)
        await again.is_refused("too_many" if limited else "notes_full")  # over another connection
        await anna.says("a" * 1_500)
        if limited:
            await anna.is_saved()
            assert len(anna.text) < 6_600, "what one may add, and what Anna has"
        else:
            await anna.is_refused("notes_full")


async def test_what_was_too_much_at_once_is_taken_later_as_a_whole_and_once(serve_notes: Callable[..., NotesServer]) -> None:
    server = serve_notes(notes_burst=1e6, notes_growth_burst=5_000, notes_growth_rate=2_500)
    async with Evening(server, await server.event()) as evening, editor(evening) as anna, editor(evening) as ben:
        await anna.says("Vorher " * 650)
        await anna.is_saved()
        await anna.says("Viel " * 900)
        await anna.is_refused("too_many")
        await anna.says("Danach")  # cannot be understood without what was refused
        await ben.says("Ben schreibt weiter")
        await ben.is_saved()
        assert "Viel" not in ben.text
        assert "Danach" not in ben.text
        while anna.frames[-1]["t"] == "refused":
            heard = len(anna.frames)
            await anna.send(protocol.step_1(anna.doc.get_state()))  # asks, and is asked
            await anna.until(lambda heard=heard: len(anna.frames) > heard)  # type: ignore[misc]
        await anna.is_saved()
        await ben.sees("Danach")
    async with editor(evening) as later:
        await later.sees("Vorher", "Viel", "Danach", "Ben schreibt weiter")
        assert (later.text.count("Viel"), later.text.count("Danach")) == (900, 1)


async def test_what_makes_notes_longer_by_deleting_is_limited_and_deleting_is_not(serve_notes: Callable[..., NotesServer]) -> None:
    """Every second letter of a text: an update of three bytes each, of which the document keeps twenty-six."""
    server = serve_notes(notes_bytes=MOST, notes_growth_burst=5_000, notes_growth_rate=1)
    async with Evening(server, await server.event()) as evening, editor(evening) as flood, editor(evening) as anna:
        await flood.says("x" * 4_500)
        await anna.sees("xxx")
        text = cast("XmlText", cast("XmlElement", flood.notes.children[0]).children[0])
        with flood.doc.transaction():
            for index in range(100):
                del text[index]
        await flood.sends()
        await flood.is_refused("too_many")
        anna.deletes("xxx")
        await anna.says("Weiter")
        await anna.is_saved()
        assert anna.text == "Weiter"


async def test_what_waits_together_is_charged_to_who_has_said_it(serve_notes: Callable[..., NotesServer]) -> None:
    server = serve_notes(notes_bytes=MOST, notes_growth_burst=5_000, notes_growth_rate=1)
    async with Evening(server, await server.event()) as evening, contextlib.AsyncExitStack() as room:
        anna, ben, flood = [await room.enter_async_context(editor(evening)) for _ in range(3)]
        await anna.says("Vorher")
        await asyncio.gather(*(one.sees("Vorher") for one in (ben, flood)))
        os.kill(server.keeper, signal.SIGSTOP)
        for one, text in ((anna, "Anna"), (ben, "b" * 4_000), (flood, "x" * 4_900), (flood, "x" * 4_900)):
            await one.says(text)
        os.kill(server.keeper, signal.SIGCONT)
        await flood.is_refused("too_many")
        await asyncio.gather(*(one.is_saved() for one in (anna, ben)))
        await anna.sees("Anna", "bbb")
        await ben.says("b" * 4_000)
        await ben.is_refused("too_many")
        await anna.says("a" * 4_000)
        await anna.is_saved()


async def test_an_ordinary_client_is_refused_in_words_that_it_knows(evening: Evening) -> None:
    async with editor(evening, ours=False) as plain:
        await plain.says("x" * (MOST + 1))
        assert set(await plain.until(lambda: plain.denied)) == {protocol.denied("notes_full")}


async def test_a_frame_without_end_costs_its_sender_the_connection_and_nobody_else(evening: Evening) -> None:
    async with editor(evening) as anna, editor(evening) as flood:
        await flood.says("y" * 1_000_000)
        assert await flood.is_closed() == 1009
        await anna.says("Weiter")
        await anna.is_saved()
        assert anna.text == "Weiter"


async def test_who_sends_without_end_is_sent_away_for_a_while(serve_notes: Callable[..., NotesServer]) -> None:
    server = serve_notes(notes_burst=20, notes_rate=0.01)
    async with Evening(server, await server.event()) as evening, editor(evening) as anna, editor(evening) as flood:
        await flood.says(*(str(turn) for turn in range(40)))
        assert await flood.is_closed() == 4002
        await anna.says("Weiter")
        await anna.is_saved()


# Garbage.


GARBAGE = [
    b"", b"\0", b"\0\0", b"\0\3\0", b"\0\2\xff\xff\xff\xff\x0f", b"\1\1\1", b"\0\2\2\1\1", b"\xff" * 20,
    b"\0\0\6\xe5\xb9\xbc\x20\xbc\x1e", protocol.updated(b"\xe5\xb9\xbc\x20\xbc\x1e"), protocol.updated(bytes(range(200))),
    b"\1" + protocol._block(b"\1\1\1" + protocol._block(b"{")),
    b"\1" + protocol._block(b"\1\1\1" + protocol._block(b'{"cursor":1}')),
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE, ids=range(len(GARBAGE)))
async def test_garbage_ends_the_connection_that_it_came_over_and_nothing_else(evening: Evening, garbage: bytes) -> None:
    async with editor(evening) as anna, editor(evening) as vandal:
        await vandal.send(garbage)
        assert await vandal.is_closed() == 4002, "come back: a mishap may happen"
        await anna.says("Weiter")
        await anna.is_saved()


async def test_who_goes_on_with_garbage_is_sent_away_for_good(evening: Evening) -> None:
    cookie = await evening.cookie("helper")
    codes = []
    for _ in range(5):
        async with editor(evening, "open", cookie) as vandal:
            await vandal.send(b"\0\2\2\1\1")
            codes.append(await vandal.is_closed())
    assert codes == [4002, 4002, 4002, 4502, 4502]


CRASHES = [
    [
        b"\x01\x04\x02\x00\x07\x01\x05notes\x03\tpa\x14agraph(\x00\x02\x00\x05level\x01|@\x00\x00\x00\x07\x00\x02\x00\x06\x04\x00\x02\x02"
        b"\x10hyllo w\xc3\xbclt \xf0\x9f\x98\x80\x00",
        b"\x01\x01\x02\x00\x01\x00\x03-\x00\x00",
    ],
]  # fmt: skip


async def test_what_crashes_the_library_costs_its_sender_the_connection_and_nobody_a_word(evening: Evening) -> None:
    """Updates found by chance, at which it panics or hangs."""
    async with editor(evening) as anna:
        await anna.says("Vorher")
        for number, updates in enumerate(CRASHES):
            async with editor(evening) as vandal:
                await vandal.sees("Vorher")
                for update in updates:
                    await vandal.send(protocol.updated(update))
                assert await vandal.is_closed() == 4002
            await anna.says(f"Weiter {number}")
            await anna.is_saved()
        assert {"Vorher", *(f"Weiter {number}" for number in range(len(CRASHES)))} < set(anna.lines)
    assert evening.server.said().count("the work on notes has failed") >= len(CRASHES), "the control: it has crashed"


async def test_elements_within_elements_without_end_are_refused(evening: Evening) -> None:
    async with editor(evening) as vandal, editor(evening) as anna:
        within: Any = vandal.notes
        for _ in range(DEEPEST + 2):
            within.children.append(XmlElement("list_item"))
            within = within.children[0]
        await vandal.sends()
        assert await vandal.is_closed() == 4002
        await anna.says("Weiter")
        await anna.is_saved()


@given(st.binary(max_size=80))
def test_reading_a_message_raises_nothing_else(data: bytes) -> None:
    for before in (b"", b"\0\0", b"\0\2", b"\1"):
        try:
            protocol.read(before + (protocol._block(data) if before else data))
        except Malformed:
            continue


# Who is there.


async def test_the_others_see_who_is_there_and_who_has_left(evening: Evening) -> None:
    person = await evening.person()
    await person.do("person.join", name="Ben")
    async with editor(evening) as anna:
        async with editor(evening, cookie=person.cookie) as ben:
            await ben.send(aware(ben, {"user": {"name": "Bens Chef", "color": "red"}, "evil": 1}))
            await anna.until(lambda: anna.present)
            assert state_in(anna.present[-1]) == {"user": {"name": "Ben"}, "cursor": None}
            async with editor(evening) as later:
                await later.until(lambda: later.present)
                assert state_in(later.present[0])["user"] == {"name": "Ben"}
        await anna.until(lambda: state_in(anna.present[-1]) is None)


async def test_nobody_speaks_for_somebody_else(evening: Evening) -> None:
    moderator = await evening.staff("moderator", "moderation")
    await moderator.do("person.join", name="Jule Schmidt")
    async with editor(evening) as anna, editor(evening) as ben, editor(evening, "open", moderator.cookie) as jule:
        await jule.send(aware(jule, {"user": {"name": "Jemand"}}))
        await anna.until(lambda: anna.present)
        assert state_in(anna.present[-1])["user"] == {"name": "Jule Schmidt"}, "the name that the evening knows"
        await ben.send(aware(ben, {"user": {"name": "Jule Schmidt"}}))
        await anna.until(lambda: len(anna.present) == 2)
        assert state_in(anna.present[-1])["user"] == {"name": ""}, "nobody has heard of a name"
        forged = protocol.presence([protocol.Presence(jule.doc.client_id, 99, '{"user":{"name":"Vandale"}}')])
        await ben.send(forged)
        await ben.says("danach")
        await anna.sees("danach")
        assert len(anna.present) == 2


def aware(editor: Editor, state: dict[str, object]) -> bytes:
    """What the ordinary library says about its editor."""
    awareness = Awareness(editor.doc)
    awareness.set_local_state(state)
    return create_awareness_message(awareness.encode_awareness_update([awareness.client_id]))


def state_in(message: bytes) -> dict[str, object]:
    """The state of the one whom the message is about."""
    assert message[:1] == AWARENESS
    found = protocol.read(message)
    assert isinstance(found, list)
    state: dict[str, object] = msgspec.json.decode(found[-1].state)
    return state


# Storage.


async def test_what_is_saved_survives_a_power_cut(serve_notes: Callable[..., NotesServer]) -> None:
    server = serve_notes()
    async with Evening(server, await server.event()) as evening:
        anna = editor(evening)
        async with anna:
            await anna.says(*(f"Satz {turn}" for turn in range(30)))
            await anna.is_saved()
            server.kill()
            await anna.is_closed()
        server.start()
        async with editor(evening) as later:
            await later.sees(*(f"Satz {turn}" for turn in range(30)))
            assert later.text == anna.text


async def test_what_was_not_saved_comes_back_from_the_browsers(serve_notes: Callable[..., NotesServer]) -> None:
    """With the control: another browser, which has not seen it, does not have it."""
    server = serve_notes()
    async with Evening(server, await server.event()) as evening:
        anna, ben = editor(evening), editor(evening)
        async with anna, ben:
            await anna.says("Gesichert")
            await anna.is_saved()
            await ben.sees("Gesichert")
            await anna.says("Gesehen")
            await ben.sees("Gesehen")
            server.kill()
        server.start()
        async with editor(evening) as control:
            await control.sees("Gesichert")
            assert "Gesehen" not in control.text or {"t": "saved", "count": anna.given} in anna.frames
        async with ben, editor(evening) as control:
            await control.sees("Gesehen")


async def test_a_server_that_stops_in_order_saves_everything(serve_notes: Callable[..., NotesServer]) -> None:
    server = serve_notes()
    async with Evening(server, await server.event()) as evening:
        async with editor(evening) as anna, editor(evening) as ben:
            await anna.says("Letztes Wort")
            await ben.sees("Letztes Wort")
            await asyncio.to_thread(server.stop)
            assert await ben.is_closed() == 1012, "come back"
        server.start()
        async with editor(evening) as later:
            await later.sees("Letztes Wort")


async def test_key_strokes_are_committed_in_batches(evening: Evening) -> None:
    server = evening.server
    assert isinstance(server, NotesServer)
    room = f"open-{evening.slug}"
    async with editor(evening, room) as anna:
        for turn in range(100):
            await anna.says(str(turn))
        await anna.is_saved()
    assert 1 <= len([row for row in rows(server) if row[0] == room]) < 50


def test_compacted_rows_hold_the_same_and_the_deleted_is_gone(database: str) -> None:
    log = Log(database)
    log.create_tables()
    log.create_event("abend")
    stored = log.load("abend", "")
    assert stored is not None
    updates: list[bytes] = []
    document = Doc[XmlFragment]()
    document.observe(lambda event: updates.append(event.update))
    notes = document.get("notes", type=XmlFragment)
    for turn in range(10):
        notes.children.append(XmlElement("paragraph", {}, [XmlText(f"Satz {turn}")]))
    notes.children.append(XmlElement("paragraph", {}, [XmlText("Geheimnis")]))
    del notes.children[10]
    for seq, update in enumerate(updates):
        batch = store.Batch(stored.id, stored.epoch, "1", seq, [update])
        assert store.append(log, [batch]) == [store.Appended(seq + 1, [])]
    before = merged(NOTHING, store.unpacked(store.rows(log, stored.id, "1")))
    late = store.append(log, [store.Batch(stored.id, stored.epoch, "1", 2, [NOTHING])])[0]
    assert late is not None
    assert [seq for seq, _ in late.missed] == list(range(3, 13))

    assert store.compact(log, stored.id, stored.epoch, "1", 12, before.state)
    assert not store.compact(log, stored.id, stored.epoch, "1", 11, before.state), "another process was quicker"
    assert not store.compact(log, stored.id, "another", "1", 13, before.state), "the log was replaced"
    assert store.append(log, [store.Batch(stored.id, "another", "1", 13, [NOTHING])]) == [None]

    found = store.rows(log, stored.id, "1")
    assert [seq for seq, _ in found] == [12, 13]
    assert store.heads(log, [(stored.id, "1"), (stored.id, "2")]) == [13, 0]
    assert text_of(merged(NOTHING, store.unpacked(found)).state) == "\n".join(f"Satz {turn}" for turn in range(10))
    assert not any(b"Geheimnis" in data for _, data in found)
    log.close()


def test_who_has_not_heard_that_notes_are_deleted_brings_nothing_back(database: str) -> None:
    log = Log(database)
    log.create_tables()
    log.create_event("abend")
    stored = log.load("abend", "")
    assert stored is not None

    def batch(room: str, since: int) -> store.Batch:
        return store.Batch(stored.id, stored.epoch, room, since, [b"\0\0", b"Geheimnis"])

    store.append(log, [batch("1", 0), batch("2", 0)])
    log.begin(stored.id, 0, ())
    log.wipe_notes(stored.id, ["1", "3"])
    log.release()
    assert [len(store.rows(log, stored.id, room)) for room in "123"] == [1, 1, 0], "together with the command, or not at all"
    log.begin(stored.id, 0, ())
    log.wipe_notes(stored.id, ["1", "3"])
    log.commit(stored.id, [(1, 0, "system", "c1", b"[]", b"{}")], {})
    assert store.rows(log, stored.id, "1") == [(2, WIPED)]
    assert store.rows(log, stored.id, "3") == [(1, WIPED)], "somebody may be about to write there"
    assert b"Geheimnis" in store.rows(log, stored.id, "2")[0][1], "another room's stay"

    late = store.append(log, [batch("1", 1), batch("3", 0), batch("2", 1)])
    assert [one and one.seq for one in late] == [None, None, 2]
    assert not store.compact(log, stored.id, stored.epoch, "1", 1, b"Geheimnis")
    assert store.append(log, [batch("1", 2)]) == [store.Appended(3, [])], "who has heard of it goes on"
    assert store.compact(log, stored.id, stored.epoch, "1", 3, b"Neues")
    found = store.rows(log, stored.id, "1")
    assert [seq for seq, _ in found] == [2, 3]
    assert store.wiped(found) == 2, "the mark stays, so that browsers know their copies are of the past"
    log.close()


async def test_much_that_was_written_and_deleted_leaves_little(serve_notes: Callable[..., NotesServer]) -> None:
    server = serve_notes()
    async with Evening(server, await server.event()) as evening:
        async with editor(evening) as anna:
            for turn in range(6):
                await anna.says("x" * 40_000, f"Bleibt {turn}")
                await anna.is_saved()
                anna.deletes("xxx")
            await anna.sends()
            await anna.is_saved()
        assert sum(row[2] for row in rows(server)) < COMPACT_BYTES / 2
        async with editor(evening) as later:
            await later.sees(*(f"Bleibt {turn}" for turn in range(6)))


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_takes_notes_along(new_database: Callable[[str], str], engine: str, tmp_path: Path) -> None:
    log, other = Log(new_database("sqlite")), Log(new_database(engine))
    log.create_tables()
    log.create_event("abend")
    stored = log.load("abend", "")
    assert stored is not None
    store.append(log, [store.Batch(stored.id, stored.epoch, "1", 0, [NOTHING, b"\0\0"])])
    backup(log, tmp_path / "backup")
    restore(other, tmp_path / "backup")
    assert store.rows(other, stored.id, "1") == store.rows(log, stored.id, "1") != []
    log.close()
    other.close()


async def test_restoring_under_a_running_server_takes_back_what_was_written_since(
    serve_notes: Callable[..., NotesServer], tmp_path: Path
) -> None:
    server = serve_notes()
    async with Evening(server, await server.event()) as evening:
        async with editor(evening) as anna:
            await anna.says("Vor der Sicherung")
            await anna.is_saved()
            await asyncio.to_thread(server.plenum, "backup", tmp_path / "backup")
            await anna.says("Danach")
            await anna.is_saved()
            epoch = anna.frames[0]["epoch"]
            await asyncio.to_thread(server.plenum, "restore", tmp_path / "backup", "--replace", "--running")
            assert await anna.is_closed() == 1012
        async with editor(evening) as later:
            await later.sees("Vor der Sicherung")
            assert later.text == "Vor der Sicherung"
            assert later.frames[0]["epoch"] != epoch, "a browser knows by it that its own copy is of no use"


# The document.


def document(*blocks: XmlElement) -> bytes:
    """The state of a document of these blocks."""
    doc = Doc[XmlFragment]()
    for block in blocks:
        doc.get("notes", type=XmlFragment).children.append(block)
    return doc.get_update()


def test_notes_as_plain_text() -> None:
    bold = XmlText("Mehr Grün")
    items = [XmlElement("list_item", {}, [XmlElement("paragraph", {}, [XmlText(text)])]) for text in ("Bänke", "Bäume")]
    within = XmlElement("list_item", {}, [
        XmlElement("paragraph", {}, [XmlText("Straßen")]),
        XmlElement("bullet_list", {}, [XmlElement("list_item", {}, [XmlElement("paragraph", {}, [XmlText("Ring")])])]),
    ])  # fmt: skip
    state = document(
        XmlElement("heading", {"level": "3"}, [XmlText("Ergebnis")]),
        XmlElement("paragraph", {}, [bold, XmlElement("hard_break"), XmlText("und Wasser")]),
        XmlElement("heading", {"level": "3"}, [XmlText("Wünsche")]),
        XmlElement("bullet_list", {}, items),
        XmlElement("ordered_list", {}, [within]),
    )
    assert text_of(state) == ("Ergebnis\nMehr Grün\nund Wasser\n\nWünsche\n- Bänke\n- Bäume\n1. Straßen\n   - Ring")
    assert text_of(NOTHING) == ""


def test_formatted_text_is_text() -> None:
    doc = Doc[XmlFragment]()
    text = XmlText("fett und mager")
    doc.get("notes", type=XmlFragment).children.append(XmlElement("paragraph", {}, [text]))
    text.format(0, 4, {"strong": {}})
    assert text_of(doc.get_update()) == "fett und mager"


def test_an_update_that_follows_on_something_missing_is_a_gap() -> None:
    updates: list[bytes] = []
    doc = Doc[XmlFragment]()
    doc.observe(lambda event: updates.append(event.update))
    for turn in range(3):
        doc.get("notes", type=XmlFragment).children.append(XmlElement("paragraph", {}, [XmlText(str(turn))]))
    first = merged(NOTHING, updates[:1])
    with pytest.raises(Gap):
        merged(first.state, updates[2:])
    assert text_of(merged(first.state, updates[1:]).state) == "0\n1\n2"


def test_what_is_known_is_no_news() -> None:
    state = document(XmlElement("paragraph", {}, [XmlText("Bänke")]))
    assert merged(NOTHING, [state]).news != NOTHING
    assert merged(state, [state]).news == NOTHING


def test_a_document_that_is_too_large_may_shrink_but_not_grow() -> None:
    doc = Doc[XmlFragment]()
    notes = doc.get("notes", type=XmlFragment)
    for text in ("x" * 500, "y" * 500):
        notes.children.append(XmlElement("paragraph", {}, [XmlText(text)]))
    large = doc.get_update()
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    notes.children.append(XmlElement("paragraph", {}, [XmlText("z")]))
    with pytest.raises(Full):
        merged(large, updates, 100)
    del notes.children[0]
    assert len(merged(large, updates, 100).state) < len(large)


def test_of_full_notes_a_single_letter_is_deleted_although_that_takes_some_bytes() -> None:
    doc = Doc[XmlFragment]()
    notes = doc.get("notes", type=XmlFragment)
    notes.children.append(XmlElement("paragraph", {}, [XmlText("x" * 500)]))
    full = doc.get_update()
    updates: list[bytes] = []
    doc.observe(lambda event: updates.append(event.update))
    text = cast("XmlText", cast("XmlElement", notes.children[0]).children[0])
    del text[250]
    assert len(merged(full, updates, len(full)).state) > len(full)
    with doc.transaction():
        for index in range(50):
            del text[index]
    with pytest.raises(Full):
        merged(full, updates, len(full))  # the control: on purpose one would make much of it
    text.insert(100, "y")
    with pytest.raises(Full):
        merged(full, [updates[0], updates[-1]], len(full))  # nor does anything come along with it


# The process that does the work.


async def test_the_work_goes_on_after_a_crash_and_after_a_hang(monkeypatch: pytest.MonkeyPatch) -> None:
    keeper = Keeper()
    state = document(XmlElement("paragraph", {}, [XmlText("Bänke")]))
    try:
        assert await keeper.text_of(state) == "Bänke"
        first = keeper._process
        assert first is not None
        first.kill()
        with pytest.raises(Lost):
            await keeper.text_of(state)
        assert await keeper.text_of(state) == "Bänke"
        second = keeper._process
        assert second is not None
        assert second is not first
        assert second.pid is not None
        os.kill(second.pid, signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr(notes_keeper, "SECONDS", 0.2)
            with pytest.raises(Lost):
                await keeper.text_of(state)
        assert await keeper.text_of(state) == "Bänke"
        with pytest.raises(Lost):
            await keeper.text_of(b"\1\1\1")
        assert await keeper.text_of(state) == "Bänke"
    finally:
        await keeper.close()
