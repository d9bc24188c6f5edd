"""The notes of rooms: texts that all in a room edit at once. This is what there is of them in one process: each room's document,
what is saved of it, and what other processes have saved; `live/notes_endpoint.py` is the way in, docs/protocol.md the contract.

An update is shown to the room at once and *saved* when the commit that has it is on the disk: of all rooms together, a quarter of a
second after the first at the latest. What was shown and is lost in a crash comes back from the browsers, which have it all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Mapping

import msgspec

from live import notes_protocol as protocol
from live import notes_store as store
from live.desk import Desk, Waiting
from live.desks import Desks
from live.hub import COME_BACK, RIGHTS
from live.limits import Limits
from live.log import Unavailable
from live.notes_document import Full, Gap
from live.notes_keeper import Keeper, Lost, Unready
from live.notes_sheet import Connection, Entry, Sheet
from moderation.event import Event
from moderation.roles import NotesRight
from rooms.command import Refused
from rooms.summaries import Draft, noted, wants_notes

LOGGER = logging.getLogger("plenum.notes")
GATHER_SECONDS = 0.25
"""From the first update that is not saved to the commit that saves it."""
COMPACT_ROWS, COMPACT_BYTES = 200, 200_000
"""A room's rows, and what they hold, from which on they become one."""
AGAIN_SECONDS = 2.0

Allowed = Callable[[Event, str, str], NotesRight]
"""(event, person, room) → what the person may do with the room's notes; asked of a settled state."""


class Notes:
    """All notes of this process. `run` it while it serves and `close` it afterwards, before the desks."""

    def __init__(self, desks: Desks, allowed: Allowed, limits: Limits) -> None:
        self.allowed, self.settings, self.growth = allowed, desks.settings, limits.notes_growth
        self.log, self.writer, self.bus = desks.log, desks.writer, desks.bus
        self.keeper = Keeper()
        self.sheets: dict[tuple[str, str], Sheet] = {}
        self._wake = asyncio.Event()
        self._waking = False
        self._looked = 0.0
        self._awaiting: list[asyncio.Future[None]] = []
        desks.on_opened = self._attach
        self.bus.listen("notes", self._hear)

    async def run(self) -> None:
        """Save what is said, and look at what other processes have saved; until cancelled."""
        async with asyncio.TaskGroup() as self._tasks:
            while True:
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(self.settings.tail_seconds):
                        await self._wake.wait()
                self._wake.clear()
                self._waking = False
                try:
                    await self._catch_up()
                    await self.save()
                except Unavailable as error:
                    LOGGER.warning("notes are not saved yet: %s", error)
                except Exception:
                    LOGGER.exception("bug in saving notes")

    async def close(self) -> None:
        """Save what is left, and end."""
        try:
            await self.save()
        except Unavailable as error:
            LOGGER.error("notes are lost unless a browser still has them: %s", error)
        await self.keeper.close()

    # What others need.

    async def text(self, desk: Desk, room: str) -> str:
        """The notes as plain text, with what is not saved yet. Raises Unavailable."""
        try:
            async with self.sheet(desk, room) as sheet:
                return await self.keeper.text_of(sheet.state)
        except (Gap, Lost, Unready) as error:
            raise Unavailable("the notes cannot be read") from error

    async def append(self, desk: Desk, person: str, room: str, lines: list[str]) -> None:
        """A paragraph more for each line, for whoever has no editor; returns when it is saved. Refuses `notes_full`, `too_many`.
        Raises Unavailable."""
        try:
            async with self.sheet(desk, room) as sheet:
                async with sheet.turn:
                    most = self.settings.notes_bytes
                    merged = await self.keeper.appended(sheet.state, lines, most)
                    self._charge({person: len(merged.state) - len(sheet.state)})
                    sheet.take(merged)
                await self._saving()
                if self.sheets.get(sheet.key) is not sheet:
                    raise Unavailable("the notes were replaced meanwhile")
        except Full:
            raise Refused("notes_full", field="text") from None
        except (Gap, Lost, Unready) as error:
            raise Unavailable("the notes cannot be written") from error

    async def enter(self, sheet: Sheet, update: bytes, sender: Connection) -> None:
        """Take an update into the document and show it. Refuses `too_many`. Raises Gap, Full, Lost, Unready."""
        entry = Entry(update, sender)
        sheet.entries.append(entry)
        async with sheet.turn:
            if entry in sheet.entries:
                entries, sheet.entries = sheet.entries, []
                await self._enter(sheet, entries)
        if entry.failed is not None:
            raise entry.failed

    async def _enter(self, sheet: Sheet, entries: list[Entry]) -> None:
        """All that wait at once: what an update costs is reading and writing the whole document. If they cannot be taken together,
        each gets its own answer."""
        most = self.settings.notes_bytes
        try:
            merged = await self.keeper.merged(sheet.state, [entry.update for entry in entries], most)
            self._charge(_shares(len(merged.state) - len(sheet.state), entries))
        except Exception as error:
            if len(entries) == 1:
                entries[0].failed = error
                return
            for entry in entries:
                await self._enter(sheet, [entry])
        else:
            sheet.take(merged, entries[0].sender if len(entries) == 1 else None)
            for entry in entries:
                entry.failed = None

    def _charge(self, grown: Mapping[str, float]) -> None:
        """By how many bytes each person has made notes longer: all of it or none. What makes them no longer is free, so that it can
        always be deleted. Refuses `too_many`. Raises Full if it is more than anybody ever may at once."""
        now = time.monotonic()
        costs = {person: cost for person, cost in grown.items() if cost > 0}
        for person, cost in costs.items():
            if cost > self.growth.burst:
                raise Full
            self.growth.check(person, now, cost)
        for person, cost in costs.items():
            self.growth.take(person, now, cost)

    @contextlib.asynccontextmanager
    async def sheet(self, desk: Desk, room: str) -> AsyncIterator[Sheet]:
        """The room's notes, read once. Raises Unavailable, Gap, Lost, Unready."""
        sheet = self.sheets.get((desk.slug, room))
        if sheet is None:
            sheet = self.sheets[desk.slug, room] = Sheet(desk, room)
        sheet.users += 1
        try:
            if not sheet.read:
                async with sheet.turn:
                    if not sheet.read:
                        await self._read(sheet)
            yield sheet
        finally:
            sheet.users -= 1
            self._forget(sheet)

    def wake_soon(self) -> None:
        """Something is to be saved."""
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake.set)

    def check_right(self, connection: Connection) -> None:
        """Who has another right than before comes back and is told. Called settled."""
        sheet = connection.sheet
        if self.allowed(sheet.desk.event, connection.person, sheet.room) != connection.right:
            connection.link.close(RIGHTS, "rights have changed")

    # The desks.

    def _attach(self, desk: Desk) -> None:
        desk.onlookers.append(lambda keys: desk.settled(lambda: self._check(desk, keys)))
        desk.supply = lambda waiting: self._supply(desk, waiting)

    def _check(self, desk: Desk, keys: Iterable[str]) -> None:
        """Rights that may have changed; of another epoch, everybody comes back. Called settled."""
        touched = set(keys)
        for sheet in [sheet for sheet in self.sheets.values() if sheet.desk is desk]:
            if sheet.epoch != desk.epoch:
                self._replaced(sheet)
            elif not touched.isdisjoint(("rights", "event", f"room/{sheet.room}")):
                for connection in list(sheet.connections):
                    self.check_right(connection)

    def _supply(self, desk: Desk, waiting: Waiting) -> bool:
        """Adds the notes to the command that makes a first draft of them."""
        command = waiting.command
        if not wants_notes(command) or not self.allowed(desk.event, waiting.person, command.room):
            return False
        self._tasks.create_task(self._add_notes(desk, waiting, command))
        return True

    async def _add_notes(self, desk: Desk, waiting: Waiting, command: Draft) -> None:
        try:
            text = await self.text(desk, command.room)
        except Unavailable:
            waiting.reply(waiting.id, Refused("storage_unavailable", retry_after=AGAIN_SECONDS))
        except Exception:
            LOGGER.exception("bug in reading notes")
            waiting.reply(waiting.id, Refused("bug"))
        else:
            desk.line_up(waiting._replace(command=noted(command, text)))

    # Rows.

    async def save(self) -> None:
        """Commit what waits, of all rooms at once, and tell whose it was. Raises Unavailable: then it still waits."""
        awaiting, self._awaiting = self._awaiting, []
        try:
            await self._save()
        except Exception:
            for one in awaiting:
                if not one.done():
                    one.set_exception(Unavailable("not saved yet"))
            raise
        for one in awaiting:
            if not one.done():
                one.set_result(None)

    async def _saving(self) -> None:
        """Return when all that was said before is saved. Raises Unavailable."""
        saved: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._awaiting.append(saved)
        self.wake_soon()
        await saved

    async def _save(self) -> None:
        sheets = [sheet for sheet in self.sheets.values() if sheet.waiting]
        saved = [(one, one.taken) for sheet in self.sheets.values() for one in sheet.connections if one.taken > one.saved]
        if sheets:
            batches = [store.Batch(one.desk.id, one.epoch, one.room, one.seq, list(one.waiting)) for one in sheets]
            async with self.writer.turn:
                appended = await self.writer.do(store.append, self.log, batches)
            for sheet, batch, row in zip(sheets, batches, appended, strict=True):
                await self._saved(sheet, batch, row)
        for connection, taken in saved:
            connection.saved = taken
            connection.say({"t": "saved", "count": taken})

    async def _saved(self, sheet: Sheet, batch: store.Batch, row: store.Appended | None) -> None:
        if row is None:
            self._replaced(sheet)
            return
        del sheet.waiting[: len(batch.updates)]
        data = store.packed(batch.updates)
        self.bus.announce("notes", _PACK.encode((*sheet.key, row.seq, data)))
        if await self._follow(sheet, row.missed):
            sheet.count([(row.seq, data)])
            if sheet.rows >= COMPACT_ROWS or sheet.held >= COMPACT_BYTES:
                await self._compact(sheet)
        self._forget(sheet)

    async def _compact(self, sheet: Sheet) -> None:
        state, seq = sheet.state, sheet.seq
        async with self.writer.turn:
            done = await self.writer.do(store.compact, self.log, sheet.desk.id, sheet.epoch, sheet.room, seq, state)
        if done:
            sheet.rows, sheet.held = 1, 0

    async def _catch_up(self) -> None:
        """Follow the bus where it has told everything, else the table. Raises Unavailable."""
        sheets = [sheet for sheet in self.sheets.values() if sheet.read]
        for sheet in sheets:
            heard, sheet.heard = sorted(row for row in sheet.heard if row[0] > sheet.seq), []
            if [seq for seq, _ in heard] == list(range(sheet.seq + 1, sheet.seq + 1 + len(heard))):
                await self._follow(sheet, heard)
        if time.monotonic() < self._looked + self.settings.tail_seconds or not sheets:
            return
        self._looked = time.monotonic()
        heads = await self.writer.do(store.heads, self.log, [(sheet.desk.id, sheet.room) for sheet in sheets])
        for sheet, head in zip(sheets, heads, strict=True):
            if head > sheet.seq:
                await self._follow(sheet, await self.writer.do(store.rows, self.log, sheet.desk.id, sheet.room, sheet.seq))

    async def _follow(self, sheet: Sheet, rows: list[store.Row]) -> bool:
        """Show what other processes have saved. What cannot be read sends everybody away, to a sheet that is read anew."""
        if not rows:
            return True
        if store.wiped(rows):
            self._replaced(sheet)
            return False
        try:
            async with sheet.turn:
                news = await self._merge(sheet, rows)
                if news != protocol.NOTHING:
                    sheet.show(protocol.updated(news))
        except (Lost, Unready, Gap):
            LOGGER.warning("notes: rows of another process cannot be read; reading them all anew")
            sheet.close(COME_BACK, "read anew")
            self.sheets.pop(sheet.key, None)
            return False
        return True

    async def _read(self, sheet: Sheet) -> None:
        rows = await self.writer.do(store.rows, self.log, sheet.desk.id, sheet.room)
        await self._merge(sheet, rows)
        sheet.wiped = store.wiped(rows)
        sheet.read = True

    async def _merge(self, sheet: Sheet, rows: list[store.Row]) -> bytes:
        """Take rows of others into the state, in the sheet's turn; returns what was new in them."""
        following = [row for row in rows if row[0] > sheet.seq]
        if not following:
            return protocol.NOTHING
        merged = await self.keeper.merged(sheet.state, store.unpacked(following))
        sheet.state, sheet.vector = merged.state, merged.vector
        sheet.count(following)
        return merged.news

    def _replaced(self, sheet: Sheet) -> None:
        """`plenum restore` or `plenum retain`: what processes and browsers have is of a past that counts no more."""
        sheet.waiting.clear()
        sheet.close(COME_BACK, "the notes were replaced")
        self.sheets.pop(sheet.key, None)

    def _forget(self, sheet: Sheet) -> None:
        if not sheet.users and not sheet.waiting and self.sheets.get(sheet.key) is sheet:
            del self.sheets[sheet.key]

    def _hear(self, data: bytes) -> None:
        try:
            slug, room, seq, batch = _HEARD.decode(data)
        except msgspec.DecodeError:
            return  # the table has it
        sheet = self.sheets.get((slug, room))
        if sheet is not None and sheet.read:
            sheet.heard.append((seq, batch))
            self._wake.set()


def _shares(grown: int, entries: list[Entry]) -> Mapping[str, float]:
    """Whose updates the document has grown by, in proportion to their length: of several at once only the sum is known."""
    said = Counter[str]()
    for entry in entries:
        said[entry.sender.person] += len(entry.update)
    return {person: grown * length / said.total() for person, length in said.items()}


_PACK = msgspec.msgpack.Encoder()
_HEARD = msgspec.msgpack.Decoder(tuple[str, str, int, bytes])
