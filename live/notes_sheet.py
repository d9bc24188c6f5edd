"""The notes of one room in one process: its state, who edits it over which connection, and who is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable
from typing import Any, NamedTuple

import msgspec

from live import notes_protocol as protocol
from live import notes_store as store
from live.desk import Desk
from live.fanout import Link
from live.frames import BINARY, Frame
from live.hub import TOO_SLOW
from live.notes_document import Merged
from live.notes_keeper import Unready
from live.notes_protocol import Malformed, Presence
from moderation.roles import NotesRight

PRESENT_SECONDS = 30.0
"""So long somebody at another process is believed to be there; y-protocols says it again after half of it."""
STATE_BYTES = 2_000

class Id(msgspec.Struct, forbid_unknown_fields=True):
    """Of a piece of text."""

    client: int
    clock: int


class Position(msgspec.Struct, forbid_unknown_fields=True, omit_defaults=True):
    """Yjs' relative position."""

    type: Id | None = None
    tname: str | None = None
    item: Id | None = None
    assoc: int = 0


class Cursor(msgspec.Struct, forbid_unknown_fields=True):
    """Where somebody writes."""

    anchor: Position
    head: Position


class User(msgspec.Struct):
    """Whom the others see."""

    name: str = ""


class State(msgspec.Struct):
    """What an editor says about itself; the rest of it is not passed on."""

    user: User = msgspec.field(default_factory=User)
    cursor: Cursor | None = None


class Met(NamedTuple):
    """Somebody at another process, and when they were heard of last."""

    presence: Presence
    at: float


class Connection:
    """One editor. `taken`: how many of its messages with content are in the document; `given`: how many there were."""

    def __init__(self, sheet: Sheet, link: Link, person: str, right: NotesRight, ours: bool) -> None:
        self.sheet, self.link, self.person, self.right, self.ours = sheet, link, person, right, ours
        self.given = self.taken = self.saved = 0
        self.deaf = False
        """After a refusal: what follows is not understood without what was refused, until all of it is sent."""
        self.stale = False
        self.presence: Presence | None = None
        link.on_drained = self._drained

    def say(self, frame: dict[str, Any]) -> None:
        """In our words, to whom they are known."""
        if self.ours:
            self.link.write(Frame(_JSON.encode(frame)))

    def write(self, message: bytes) -> None:
        """An answer, in y-protocols' words."""
        self.link.write(Frame(message, BINARY))

    def show(self, frame: Frame) -> None:
        """What others have said. Nothing is queued for a slow client: it gets the whole document when it has drained."""
        if not self.link.behind:
            self.link.write(frame)
        elif not self.stale:
            self.stale = True
            asyncio.get_running_loop().call_later(self.sheet.slow_seconds, self._too_slow)

    def refuse(self, code: str, **more: object) -> None:
        """Its last message has no effect."""
        if self.ours:
            self.say({"t": "refused", "code": code, **more})
        else:
            self.write(protocol.denied(code))

    def _drained(self) -> None:
        if self.stale:
            self.stale = False
            self.write(protocol.step_2(self.sheet.state))
            self.write(protocol.presence(self.sheet.present()))

    def _too_slow(self) -> None:
        if self.stale and self.link.behind:
            self.link.close(TOO_SLOW, "too slow")


def cleaned(state: str, known: str) -> str:
    """What may be passed on of an editor's state. Nobody chooses a name here: the one that is `known` counts. Raises Malformed."""
    try:
        said = _STATE.decode(state)
    except msgspec.DecodeError as error:
        raise Malformed("no state of an editor") from error
    said.user.name = known
    return _JSON.encode(said).decode()


class Entry:
    """An update on its way into the document. `failed`: why it is not in it."""

    def __init__(self, update: bytes, sender: Connection) -> None:
        self.update, self.sender = update, sender
        self.failed: Exception | None = Unready()


class Sheet:
    """The notes of one room in this process. `seq`: the row up to which `state` has all; `waiting`: what is in no row yet;
    `wiped`: the row that says that what was before it is deleted."""

    def __init__(self, desk: Desk, room: str) -> None:
        self.desk, self.room, self.epoch = desk, room, desk.epoch
        self.slow_seconds = desk.settings.slow_seconds
        self.turn = asyncio.Lock()
        self.state, self.vector = protocol.NOTHING, b"\0"
        self.seq = self.rows = self.held = self.wiped = 0
        self.users = 0
        self.read = False
        self.entries: list[Entry] = []
        self.waiting: list[bytes] = []
        self.heard: list[store.Row] = []
        self.connections: set[Connection] = set()
        self.elsewhere: dict[int, Met] = {}

    @property
    def key(self) -> tuple[str, str]:
        """Event and room."""
        return self.desk.slug, self.room

    def take(self, merged: Merged, sender: Connection | None = None) -> None:
        """The document is now this, in the sheet's turn; what is new goes to everybody but its sender, and waits to be saved."""
        self.state, self.vector = merged.state, merged.vector
        if merged.news != protocol.NOTHING:
            self.waiting.append(merged.news)
            self.show(protocol.updated(merged.news), sender)

    @property
    def past(self) -> str:
        """Of another one, what a browser has kept is of no use: the log was replaced, or the notes were deleted."""
        return f"{self.epoch}.{self.wiped}" if self.wiped else self.epoch

    def show(self, message: bytes, sender: Connection | None = None) -> None:
        """To everybody but the sender."""
        frame = Frame(message, BINARY)
        for connection in self.connections:
            if connection is not sender:
                connection.show(frame)

    def present(self) -> list[Presence]:
        """Who is there."""
        now = time.monotonic()
        self.elsewhere = {client: met for client, met in self.elsewhere.items() if now - met.at < PRESENT_SECONDS}
        here = [connection.presence for connection in self.connections if connection.presence is not None]
        return [*here, *(met.presence for met in self.elsewhere.values())]

    def count(self, rows: Iterable[store.Row]) -> None:
        """These rows are in the state."""
        for seq, data in rows:
            self.seq, self.rows, self.held = seq, self.rows + 1, self.held + len(data)

    def close(self, code: int, reason: str) -> None:
        """Send everybody away."""
        for connection in list(self.connections):
            connection.link.close(code, reason)


_JSON = msgspec.json.Encoder()
_STATE = msgspec.json.Decoder(State)
