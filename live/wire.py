"""The wire: frames of one connection, decoded and validated, handed to desk and hub, and answered. See docs/protocol.md."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection
from typing import Literal

import msgspec

from live import metrics
from live.desk import Answer, Done
from live.fanout import Link
from live.frames import Frame
from live.hub import Hub, Since, Watcher
from live.identity import valid_id
from live.limits import Limits
from moderation.capabilities import COMMANDS
from moderation.event import Event
from moderation.roles import STAFF, actor, check_channel
from rooms.command import Refused

MALFORMED, OVERLOADED = 4502, 4002
Wording = Callable[[str, str, dict[str, object]], str]
"""(code, language, params) → text."""


class SinceFrame(msgspec.Struct, forbid_unknown_fields=True):
    """What a client has seen; both or neither."""

    epoch: str | None = None
    seq: int | None = None


class Open(msgspec.Struct, tag_field="t", tag="open", forbid_unknown_fields=True):
    """Watch these channels."""

    channels: dict[str, SinceFrame]
    lang: str = "de"
    form: Literal["html", "json"] = msgspec.field(default="html", name="as")
    token: str | None = None


class Working(msgspec.Struct, tag_field="t", tag="working", forbid_unknown_fields=True):
    """This member of staff is at work on a contribution, or no more; to be said again while it lasts."""

    contribution: int
    on: bool = True


class Do(msgspec.Struct, tag_field="t", tag="do", forbid_unknown_fields=True):
    """One command."""

    id: str
    name: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


class Identified(msgspec.Struct):
    """What a malformed frame may still tell: which command it was."""

    id: str | None = None


_FRAMES = msgspec.json.Decoder(Open | Do | Working)
_JSON = msgspec.json.Encoder()
_IDENTIFIED = msgspec.json.Decoder(Identified)
NOISE = (msgspec.DecodeError, UnicodeEncodeError, RecursionError)
"""What decoding raises on a frame that is none: no JSON, no Unicode, nested without end."""


class Connection:
    """One client. `receive` takes its text messages; `closed` is called once at the end."""

    __slots__ = (
        "address",
        "gone",
        "hub",
        "lang",
        "languages",
        "limits",
        "link",
        "looking",
        "malformed",
        "person",
        "role",
        "unanswered",
        "watcher",
        "wording",
    )

    def __init__(
        self, link: Link, hub: Hub, person: str, address: str, limits: Limits, wording: Wording, languages: tuple[str, ...]
    ) -> None:
        self.link, self.hub, self.person, self.address = link, hub, person, address
        self.limits, self.wording, self.languages = limits, wording, languages
        self.watcher = Watcher(link, person)
        self.lang = languages[0]
        self.role = ""
        self.looking: asyncio.Task[None] | None = None
        self.gone = False
        self.unanswered = 0
        self.malformed = 0

    def welcome(self) -> None:
        """The first frame: who the server takes the client for, and where the log stands."""
        desk = self.hub.desk
        self._write({"t": "welcome", "person": self.person, "seq": desk.event.seq, "epoch": desk.epoch})

    def receive(self, text: str) -> None:
        """One text message."""
        try:
            frame = _FRAMES.decode(text)
        except NOISE:
            self._malformed(text)
            return
        if isinstance(frame, Do):
            self._do(frame)
        elif isinstance(frame, Working):
            self._working(frame)
        else:
            self.hub.desk.settled(lambda: self._open(frame, look=True))

    def closed(self) -> None:
        """The client is gone; what it sent is still decided."""
        self.gone = True
        self._count("")
        self.hub.leave(self.watcher)

    def _do(self, frame: Do) -> None:
        try:
            if not valid_id(frame.id):
                raise Refused("malformed", field="id")
            if self.unanswered >= self.hub.desk.settings.unanswered:
                raise Refused("too_many", retry_after=1.0)
            self.limits.command(self.hub.desk.event, self.person, self.address, frame.name, asyncio.get_running_loop().time())
        except Refused as refused:
            metrics.command(frame.name if frame.name in COMMANDS else "unknown", refused.code)
            self._write(refusal(frame.id, refused, self.lang, self.wording))
            return
        self.unanswered += 1
        self.hub.desk.submit(self.person, frame.id, frame.name, frame.args, self._reply)

    def _working(self, frame: Working) -> None:
        try:
            self.limits.opening(self.person, asyncio.get_running_loop().time())
            if "moderation" not in self.watcher.channels:
                raise Refused("forbidden")
        except Refused as refused:
            self._write(refusal(None, refused, self.lang, self.wording))
            return
        self.hub.working(self.person, frame.contribution, on=frame.on)

    def _reply(self, id: str, answer: Answer) -> None:
        self.unanswered -= 1
        if isinstance(answer, Done):
            self.link.write(Frame(done(id, answer)))
        else:
            self._write(refusal(id, answer, self.lang, self.wording))

    def _open(self, frame: Open, *, look: bool) -> None:
        if self.gone:
            return
        self.lang = frame.lang if frame.lang in self.languages else self.languages[0]
        event = self.hub.desk.event
        try:
            self.limits.opening(self.person, asyncio.get_running_loop().time())
            for name in frame.channels:
                check_channel(event, actor(event, self.person), name, frame.token)
        except Refused as refused:
            if look and refused.code == "forbidden":
                # Their role or token may be a moment old, and from another process.
                self.looking = asyncio.get_running_loop().create_task(self._look_and_open(frame))
                return
            self._write(refusal(None, refused, self.lang, self.wording))
            return
        wanted = {
            name: Since(since.epoch, since.seq) if since.epoch is not None and since.seq is not None else None
            for name, since in frame.channels.items()
        }
        self._count(counted_as(event, self.person, frame.channels))
        self.watcher.token = frame.token
        self.hub.watch(self.watcher, wanted, self.lang, frame.form)

    async def _look_and_open(self, frame: Open) -> None:
        await self.hub.desk.look()
        self.hub.desk.settled(lambda: self._open(frame, look=False))

    def _count(self, role: str) -> None:
        """This connection counts as one of this role from now on; none: as gone."""
        if self.role:
            metrics.CONNECTIONS.labels(self.role).dec()
        self.role = role
        if role:
            metrics.CONNECTIONS.labels(role).inc()

    def _malformed(self, text: str) -> None:
        self.malformed += 1
        if self.malformed > self.hub.desk.settings.malformed_frames:
            self.link.close(MALFORMED, "malformed frames")
            return
        try:
            id = _IDENTIFIED.decode(text).id
        except NOISE:
            id = None
        self._write(refusal(id, Refused("malformed"), self.lang, self.wording))

    def _write(self, frame: dict[str, object]) -> None:
        self.link.write(Frame(_JSON.encode(frame)))


def counted_as(event: Event, person: str, channels: Collection[str]) -> str:
    """What a connection is for: a screen, a member of staff by their first role, or somebody in the hall or at home."""
    if any(name.startswith("output/") for name in channels):
        return "output"
    if "stage" in channels:
        return "stage"
    who = actor(event, person)
    return next((role for role in STAFF if role in who.roles), event.attendance.place(person))


def done(id: str, answer: Done) -> bytes:
    """The `done` frame."""
    return b'{"t":"done","id":%b,"seq":%d,"result":%b}' % (_JSON.encode(id), answer.seq, answer.result)


def refusal(id: str | None, refused: Refused, lang: str, wording: Wording) -> dict[str, object]:
    """The `refused` frame, in the language of the reader."""
    return {
        "t": "refused",
        "id": id,
        "code": refused.code,
        "field": refused.field,
        "params": refused.params,
        "retry_after": refused.retry_after,
        "text": wording(refused.code, lang, {**refused.params, "retry_after": refused.retry_after}),
    }
