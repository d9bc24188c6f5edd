"""The notes of rooms: texts that all in a room edit at once. `/ws/<slug>/notes/<room>` speaks y-protocols (sync, awareness) in
binary messages, so that an ordinary Yjs client works; one that asks for the subprotocol `plenum.notes` also hears, in JSON texts,
what Yjs has no words for: its right, what is saved, why it was refused. docs/protocol.md describes it.

An update is shown to the room at once and *saved* when the commit that has it is on the disk: of all rooms together, a quarter of a
second after the first at the latest. What was shown and is lost in a crash comes back from the browsers, which have it all.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Callable, Iterable

import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from live import notes_protocol as protocol
from live import notes_store as store
from live.desk import Desk
from live.endpoint import OTHER_ORIGIN, UNKNOWN_EVENT, refuse, same_origin
from live.fanout import SCOPE_KEY, AsgiLink
from live.hub import COME_BACK, RIGHTS
from live.identity import valid_id
from live.log import Unavailable
from live.logs import REQUEST, request_id
from live.notes_document import Full, Gap
from live.notes_keeper import Keeper, Lost, Unready
from live.notes_protocol import Malformed, Message, Presence, Update
from live.notes_sheet import STATE_BYTES, Connection, Met, Right, Sheet, cleaned
from live.site import Site, cookie_header
from live.wire import MALFORMED, OVERLOADED
from moderation.event import Event
from moderation.limits import Rate
from rooms.command import Refused

LOGGER = logging.getLogger("plenum.notes")
SUBPROTOCOL = "plenum.notes"
FORBIDDEN = 4503
GATHER_SECONDS = 0.25
"""From the first update that is not saved to the commit that saves it."""
COMPACT_ROWS, COMPACT_BYTES = 200, 200_000
"""A room's rows, and what they hold, from which on they become one."""
BROKEN, FORGIVEN_SECONDS = 3, 300.0
"""So many messages that no editor makes are borne from one person, and one more after each of these periods."""

Allowed = Callable[[Event, str, str], Right]
"""(event, person, room) → what the person may do with the room's notes; asked of a settled state."""


def nobody(event: Event, person: str, room: str) -> Right:
    """Rights of a server that has no rooms."""
    return ""


class Notes:
    """All notes of this process. `run` it while it serves and `close` it afterwards, before the desks."""

    def __init__(self, site: Site, allowed: Allowed = nobody) -> None:
        self.site, self.allowed = site, allowed
        self.settings, self.log, self.writer, self.bus = site.settings, site.desks.log, site.desks.writer, site.desks.bus
        self.keeper = Keeper()
        self.sheets: dict[tuple[str, str], Sheet] = {}
        self._rate = Rate(self.settings.notes_burst, self.settings.notes_rate)
        self._broken = Rate(BROKEN, 1 / FORGIVEN_SECONDS)
        self._barred: dict[str, float] = {}
        self._wake = asyncio.Event()
        self._waking = False
        self._looked = 0.0
        self._watched: set[str] = set()
        self.bus.listen("notes", self._hear)
        self.bus.listen("notes presence", self._hear_presence)

    def routes(self) -> list[WebSocketRoute]:
        """The address of a room's notes."""
        return [WebSocketRoute("/ws/{slug}/notes/{room}", self.serve)]

    async def text(self, desk: Desk, room: str) -> str:
        """The notes as plain text, with what is not saved yet. Raises Unavailable."""
        try:
            async with self._sheet(desk, room) as sheet:
                return await self.keeper.text_of(sheet.state)
        except (Gap, Lost, Unready) as error:
            raise Unavailable("the notes cannot be read") from error

    async def run(self) -> None:
        """Save what is said, and look at what other processes have saved; until cancelled."""
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

    # One connection.

    async def serve(self, socket: WebSocket) -> None:
        """From the handshake to the end; a refusal to connect is a close code, as in `live/endpoint.py`."""
        REQUEST.set(request_id(socket.headers.get("x-request-id")))
        if not same_origin(socket):
            await refuse(socket, OTHER_ORIGIN, "other origin", _spoken(socket))
            return
        address = socket.client.host if socket.client else ""
        try:
            desk = await self.site.find(socket.path_params["slug"])
            self.site.limits.connect(address)
        except Refused as refused:
            code = UNKNOWN_EVENT if refused.code == "unknown_event" else OVERLOADED
            await refuse(socket, code, refused.code, _spoken(socket))
            return
        try:
            await self._admit(socket, desk, socket.path_params["room"])
        finally:
            self.site.limits.disconnect(address)

    async def _admit(self, socket: WebSocket, desk: Desk, room: str) -> None:
        known = self.site.known(socket)
        person = known or self.site.identity.new()
        if self._barred.get(person, 0.0) > time.monotonic():
            await refuse(socket, MALFORMED, "malformed", _spoken(socket))
            return
        right = await self._right(desk, person, room)
        if not right:
            await refuse(socket, FORBIDDEN, "forbidden", _spoken(socket))
            return
        await socket.accept(_spoken(socket), [] if known else [cookie_header(self.site.cookie(person))])
        try:
            async with self._sheet(desk, room) as sheet:
                link = socket.scope["extensions"].get(SCOPE_KEY) or AsgiLink(socket.send)
                await self._edit(socket, Connection(sheet, link, person, right, _spoken(socket) is not None))
        except (Unavailable, Gap, Lost, Unready):
            with contextlib.suppress(RuntimeError):
                await socket.close(OVERLOADED, "storage_unavailable")

    async def _right(self, desk: Desk, person: str, room: str) -> Right:
        """As the log says, at whichever process the right was got."""
        if not valid_id(room):
            return ""
        right = await desk.read(lambda: self.allowed(desk.event, person, room))
        if right:
            return right
        await desk.look()
        return await desk.read(lambda: self.allowed(desk.event, person, room))

    async def _edit(self, socket: WebSocket, connection: Connection) -> None:
        link, sheet = connection.link, connection.sheet
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(link.drain()) if isinstance(link, AsgiLink) else None
            self._begin(connection)
            try:
                await self._receive(socket, connection)
            finally:
                sheet.connections.discard(connection)
                self._leave(connection)
                if draining is not None:
                    draining.cancel()

    def _begin(self, connection: Connection) -> None:
        sheet = connection.sheet
        sheet.connections.add(connection)
        welcome = {"t": "welcome", "epoch": sheet.epoch, "right": connection.right}
        connection.say({**welcome, "bytes": self.settings.notes_bytes, "frame": self.settings.frame_bytes})
        if connection.right == "write":
            connection.write(protocol.step_1(sheet.vector))
        if present := sheet.present():
            connection.write(protocol.presence(present))
        sheet.desk.settled(lambda: self._check_right(connection))  # it may have gone while the sheet was read

    async def _receive(self, socket: WebSocket, connection: Connection) -> None:
        """Until it ends. One message at a time: who sends faster than it is worked off is read from no faster."""
        while (event := await socket.receive())["type"] == "websocket.receive":
            if not connection.link.is_open:
                continue  # sent away, and not gone yet
            try:
                self._rate.take(connection.person, time.monotonic())
                await self._take(connection, protocol.read(event.get("bytes") or b""))
            except Refused as refused:
                connection.link.close(OVERLOADED, refused.code)
            except (Malformed, Lost):
                self._suspect(connection)
            except Unready:
                connection.link.close(OVERLOADED, "storage_unavailable")

    def _suspect(self, connection: Connection) -> None:
        """What it has sent is made by no editor. A mishap on the way may happen; on purpose, it costs everybody time."""
        LOGGER.warning("notes: a malformed message")
        try:
            self._broken.take(connection.person, time.monotonic())
        except Refused as refused:
            self._barred[connection.person] = time.monotonic() + (refused.retry_after or 0)
            connection.link.close(MALFORMED, "malformed")
        else:
            connection.link.close(OVERLOADED, "malformed")

    async def _take(self, connection: Connection, message: Message) -> None:
        sheet = connection.sheet
        if isinstance(message, protocol.Step1):
            lacking = sheet.state if message.vector == b"\0" else await self.keeper.missing(sheet.state, message.vector)
            connection.write(protocol.step_2(lacking))
            if connection.deaf:
                connection.write(protocol.step_1(sheet.vector))
        elif isinstance(message, Update):
            await self._update(connection, message)
        elif isinstance(message, protocol.AskAwareness):
            connection.write(protocol.presence(sheet.present()))
        elif message is not None and connection.right == "write":
            self._present(connection, message)

    async def _update(self, connection: Connection, update: Update) -> None:
        """Take it into the document and show it, or refuse it; then only the whole of what is lacking is listened to."""
        connection.given += 1
        if connection.deaf and not update.whole:
            return
        if connection.right != "write":
            if update.data != protocol.NOTHING:
                connection.refuse("forbidden")
            return
        sheet = connection.sheet
        try:
            if update.data != protocol.NOTHING:
                await self._enter(sheet, update.data, connection)
            connection.taken, connection.deaf = connection.given, False
        except Gap:
            connection.deaf = True
            connection.write(protocol.step_1(sheet.vector))
        except Full:
            connection.deaf = True
            connection.refuse("notes_full", bytes=self.settings.notes_bytes)
        self._wake_soon()

    async def _enter(self, sheet: Sheet, update: bytes, sender: Connection) -> None:
        async with sheet.turn:
            merged = await self.keeper.merged(sheet.state, [update], self.settings.notes_bytes)
            sheet.state, sheet.vector = merged.state, merged.vector
            if merged.news != protocol.NOTHING:
                sheet.waiting.append(merged.news)
                sheet.show(protocol.updated(merged.news), sender)

    def _wake_soon(self) -> None:
        if not self._waking:
            self._waking = True
            asyncio.get_running_loop().call_later(GATHER_SECONDS, self._wake.set)

    # Who is there. Told, not stored.

    def _present(self, connection: Connection, entries: list[Presence]) -> None:
        """An editor speaks for itself only; what it repeats of others, as the ordinary library does, is theirs to say."""
        sheet = connection.sheet
        others = {one.presence.client for one in sheet.connections if one is not connection and one.presence} | {*sheet.elsewhere}
        known = sheet.desk.names.get(connection.person, "")
        for entry in entries:
            mine = connection.presence.client if connection.presence else None
            if entry.client in others or mine not in (None, entry.client) or len(entry.state) > STATE_BYTES:
                continue
            if entry.state == "null":
                self._leave(connection, entry.clock)
                continue
            connection.presence = Presence(entry.client, entry.clock, cleaned(entry.state, known))
            self._tell(sheet, connection.presence, connection)

    def _leave(self, connection: Connection, clock: int = 0) -> None:
        gone, connection.presence = connection.presence, None
        if gone is not None:
            self._tell(connection.sheet, Presence(gone.client, max(clock, gone.clock + 1), "null"), connection)

    def _tell(self, sheet: Sheet, presence: Presence, sender: Connection) -> None:
        sheet.show(protocol.presence([presence]), sender)
        self.bus.announce("notes presence", _PACK.encode((*sheet.key, presence)))

    def _hear_presence(self, data: bytes) -> None:
        try:
            slug, room, presence = _PRESENCE.decode(data)
        except msgspec.DecodeError:
            return  # another release's, while one is replaced by the other
        sheet = self.sheets.get((slug, room))
        if sheet is None:
            return
        if presence.state == "null":
            sheet.elsewhere.pop(presence.client, None)
        else:
            sheet.elsewhere[presence.client] = Met(presence, time.monotonic())
        sheet.show(protocol.presence([presence]))

    # Sheets.

    @contextlib.asynccontextmanager
    async def _sheet(self, desk: Desk, room: str) -> AsyncIterator[Sheet]:
        """The room's notes, read once. Raises Unavailable, Lost, Unready."""
        sheet = self.sheets.get((desk.slug, room))
        if sheet is None:
            sheet = self.sheets[desk.slug, room] = Sheet(desk, room)
        sheet.users += 1
        try:
            if not sheet.read:
                async with sheet.turn:
                    if not sheet.read:
                        await self._read(sheet)
            if desk.slug not in self._watched:
                self._watched.add(desk.slug)
                desk.onlookers.append(lambda keys: desk.settled(lambda: self._check(desk, keys)))
            yield sheet
        finally:
            sheet.users -= 1
            self._forget(sheet)

    async def _read(self, sheet: Sheet) -> None:
        rows = await self.writer.do(store.rows, self.log, sheet.desk.id, sheet.room)
        await self._merge(sheet, rows)
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

    def _forget(self, sheet: Sheet) -> None:
        if not sheet.users and not sheet.waiting and self.sheets.get(sheet.key) is sheet:
            del self.sheets[sheet.key]

    def _check(self, desk: Desk, keys: Iterable[str]) -> None:
        """Who has another right than before comes back and is told; of another epoch, everybody. Called settled."""
        touched = set(keys)
        for sheet in [sheet for sheet in self.sheets.values() if sheet.desk is desk]:
            if sheet.epoch != desk.epoch:
                self._replaced(sheet)
            elif "rights" in touched or f"room/{sheet.room}" in touched:
                for connection in list(sheet.connections):
                    self._check_right(connection)

    def _check_right(self, connection: Connection) -> None:
        sheet = connection.sheet
        if self.allowed(sheet.desk.event, connection.person, sheet.room) != connection.right:
            connection.link.close(RIGHTS, "rights have changed")

    def _replaced(self, sheet: Sheet) -> None:
        """`plenum restore`: what browsers have is of a past that did not happen."""
        sheet.waiting.clear()
        sheet.close(COME_BACK, "the log was replaced")
        self.sheets.pop(sheet.key, None)

    # Rows.

    async def save(self) -> None:
        """Commit what waits, of all rooms at once, and tell whose it was. Raises Unavailable: then it still waits."""
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

    async def _follow(self, sheet: Sheet, rows: list[store.Row]) -> bool:
        """Show what other processes have saved. What cannot be read sends everybody away, to a sheet that is read anew."""
        if not rows:
            return True
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

    def _hear(self, data: bytes) -> None:
        try:
            slug, room, seq, batch = _HEARD.decode(data)
        except msgspec.DecodeError:
            return  # the table has it
        sheet = self.sheets.get((slug, room))
        if sheet is not None and sheet.read:
            sheet.heard.append((seq, batch))
            self._wake.set()

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


def _spoken(socket: WebSocket) -> str | None:
    """The subprotocol; without the one that it has asked for, a browser fails the connection and reads no code."""
    return SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None


_PACK = msgspec.msgpack.Encoder()
_HEARD = msgspec.msgpack.Decoder(tuple[str, str, int, bytes])
_PRESENCE = msgspec.msgpack.Decoder(tuple[str, str, Presence])
