"""`/ws/<slug>/notes/<room>`: y-protocols (sync, awareness) in binary messages, so that an ordinary Yjs client works; one that asks
for the subprotocol `plenum.notes` also hears, in JSON texts, what Yjs has no words for: its right, what is saved, why it was
refused. docs/protocol.md describes it.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import logging
import time

import msgspec
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket

from live import notes_protocol as protocol
from live.asgi_link import AsgiLink
from live.desk import Desk
from live.endpoint import OTHER_ORIGIN, UNKNOWN_EVENT, refuse, same_origin
from live.fanout_protocol import SCOPE_KEY
from live.identity import valid_id
from live.log import Unavailable
from live.logs import REQUEST, request_id
from live.notes import Notes
from live.notes_document import Full, Gap
from live.notes_keeper import Lost, Unready
from live.notes_protocol import Malformed, Message, Presence, Update
from live.notes_sheet import STATE_BYTES, Connection, Met, Sheet, cleaned
from live.site import Site, cookie_header
from live.wire import MALFORMED, OVERLOADED
from moderation.limits import Rate
from moderation.roles import NotesRight
from rooms.command import Refused

LOGGER = logging.getLogger("plenum.notes")
SUBPROTOCOL = "plenum.notes"
FORBIDDEN = 4503
BROKEN, FORGIVEN_SECONDS = 3, 300.0
"""So many messages that no editor makes are borne from one person, and one more after each of these periods."""


class NotesEndpoint:
    """For all rooms of this process."""

    def __init__(self, site: Site, notes: Notes) -> None:
        self.site, self.notes, self.keeper, self.settings = site, notes, notes.keeper, site.settings
        self._rate = Rate(self.settings.notes_burst, self.settings.notes_rate)
        self._broken = Rate(BROKEN, 1 / FORGIVEN_SECONDS)
        self._barred: dict[str, float] = {}
        notes.bus.listen("notes presence", self._hear_presence)

    def route(self) -> WebSocketRoute:
        """The address of a room's notes."""
        return WebSocketRoute("/ws/{slug}/notes/{room}", self.serve)

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
            async with self.notes.sheet(desk, room) as sheet:
                link = socket.scope["extensions"].get(SCOPE_KEY) or AsgiLink(socket.send)
                await self._edit(socket, Connection(sheet, link, person, right, _spoken(socket) is not None))
        except (Unavailable, Gap, Lost, Unready):
            with contextlib.suppress(RuntimeError):
                await socket.close(OVERLOADED, "storage_unavailable")

    async def _right(self, desk: Desk, person: str, room: str) -> NotesRight:
        """As the log says, at whichever process the right was got."""
        if not valid_id(room):
            return ""
        right = await desk.read(lambda: self.notes.allowed(desk.event, person, room))
        if right == "write":
            return right
        await desk.look()
        return await desk.read(lambda: self.notes.allowed(desk.event, person, room))

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
        has = base64.b64encode(sheet.vector).decode()
        welcome = {"t": "welcome", "epoch": sheet.past, "right": connection.right, "has": has}
        connection.say({**welcome, "bytes": self.settings.notes_bytes, "frame": self.settings.frame_bytes})
        if connection.right == "write":
            connection.write(protocol.step_1(sheet.vector))
        if present := sheet.present():
            connection.write(protocol.presence(present))
        sheet.desk.settled(lambda: self.notes.check_right(connection))  # it may have gone while the sheet was read

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
        now = time.monotonic()
        try:
            self._broken.take(connection.person, now)
        except Refused as refused:
            self._barred = {person: until for person, until in self._barred.items() if until > now}
            self._barred[connection.person] = now + (refused.retry_after or 0)
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
                await self.notes.enter(sheet, update.data, connection)
            connection.taken, connection.deaf = connection.given, False
        except Gap:
            connection.deaf = True
            connection.write(protocol.step_1(sheet.vector))
        except Full:
            connection.deaf = True
            connection.refuse("notes_full", bytes=self.settings.notes_bytes)
        except Refused as refused:
            connection.deaf = True
            connection.refuse(refused.code, retry_after=refused.retry_after)
        self.notes.wake_soon()

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
        self.notes.bus.announce("notes presence", _PACK.encode((*sheet.key, presence)))

    def _hear_presence(self, data: bytes) -> None:
        try:
            slug, room, presence = _PRESENCE.decode(data)
        except msgspec.DecodeError:
            return  # another release's, while one is replaced by the other
        sheet = self.notes.sheets.get((slug, room))
        if sheet is None:
            return
        if presence.state == "null":
            sheet.elsewhere.pop(presence.client, None)
        else:
            sheet.elsewhere[presence.client] = Met(presence, time.monotonic())
        sheet.show(protocol.presence([presence]))


def _spoken(socket: WebSocket) -> str | None:
    """The subprotocol; without the one that it has asked for, a browser fails the connection and reads no code."""
    return SUBPROTOCOL if SUBPROTOCOL in socket.scope.get("subprotocols", ()) else None


_PACK = msgspec.msgpack.Encoder()
_PRESENCE = msgspec.msgpack.Decoder(tuple[str, str, Presence])
