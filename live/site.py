"""What every request is handed: desks and hubs, who asks, limits, addresses. Made once by `live/app.py`."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import msgspec
from starlette.requests import HTTPConnection, Request

from frontend.assets import Assets
from frontend.render import document
from live.desk import Desk
from live.desks import NEWEST, Desks
from live.hub import Hub
from live.identity import AGE, COOKIE, Identity, valid_id
from live.limits import Limits
from live.log import Unavailable
from live.notes import Notes
from live.presence import Presence
from live.settings import Settings
from moderation.documents import Data
from moderation.roles import actor, check_channel, notes_right
from moderation.shape import iso
from rooms.breakout import seated
from rooms.command import Refused
from rooms.contributions import MAX_TEXT, MIN_TEXT
from rooms.entrance import code_at
from rooms.text import within

if TYPE_CHECKING:
    from live.wire import Connection


class Site:
    """See the module."""

    def __init__(
        self, settings: Settings, desks: Desks, identity: Identity, assets: Assets, presence: Presence, notes: Notes, limits: Limits
    ) -> None:
        self.settings, self.desks, self.identity, self.assets, self.presence = settings, desks, identity, assets, presence
        self._notes, self.limits = notes, limits
        self.legal = settings.imprint_url, settings.privacy_url, settings.accessibility_url
        self.form_seconds = settings.form_seconds
        self.hubs: dict[str, Hub] = {}
        self._reached = settings.public_url.rstrip("/")
        self.connections: set[Connection] = set()

    async def hub(self, slug: str) -> Hub:
        """The event's hub. Refuses `unknown_event`, `storage_unavailable`."""
        hub = self.hubs.get(slug)
        if hub is None:
            desk = await self.find(slug)
            hub = self.hubs.get(slug)  # somebody else may have come meanwhile
            if hub is None:
                hub = self.hubs[slug] = Hub(desk, self._render(slug), lambda lang: self.entrance(desk), self.presence)
        return hub

    async def missing(self) -> list[str]:
        """The engines that do not answer: "database", "redis"."""
        wrong = []
        try:
            await self.desks.slugs()
        except Unavailable:
            wrong.append("database")
        if not await self.presence.reachable():
            wrong.append("redis")
        return wrong

    async def find(self, slug: str) -> Desk:
        """The event's desk. Refuses `unknown_event`, `storage_unavailable`."""
        try:
            desk = await self.desks.get(slug)
        except Unavailable:
            raise Refused("storage_unavailable", retry_after=2.0) from None
        if desk is None:
            raise Refused("unknown_event")
        return desk

    async def check_channel(self, desk: Desk, person: str, name: str, token: str | None) -> None:
        """Refuses `unknown_channel`, and `forbidden` to whom the log gives no right, at whichever process it was got."""
        try:
            check_channel(desk.event, actor(desk.event, person), name, token)
        except Refused as refused:
            if refused.code != "forbidden":
                raise
            await desk.look()
            check_channel(desk.event, actor(desk.event, person), name, token)

    async def listed(self) -> list[Desk]:
        """The newest events that are open to the public; a year of events must not be loaded for a list."""
        try:
            found = [await self.desks.get(slug) for slug in (await self.desks.slugs())[:NEWEST]]
        except Unavailable:
            raise Refused("storage_unavailable", retry_after=2.0) from None
        return [desk for desk in found if desk is not None and desk.event.phase != "draft"]

    async def perform(self, request: Request, slug: str, id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """A page's command. Raises Refused."""
        self.same_origin(request)
        done = await self.send(request, slug, id, name, msgspec.json.encode(arguments))
        result: dict[str, Any] = msgspec.json.decode(done[1])
        return result

    async def send(self, request: Request, slug: str, id: str, name: str, arguments: bytes) -> tuple[int, bytes]:
        """(seq, result as JSON) of a command over HTTP. Raises Refused."""
        await self.hub(slug)
        desk = await self.find(slug)
        if not valid_id(id):
            raise Refused("malformed", field="id")
        person, address = self.person(request), request.client.host if request.client else ""
        self.limits.command(desk.event, person, address, name, time.monotonic())
        return await desk.send(person, id, name, arguments)

    async def notes(self, desk: Desk, room: str) -> str:
        """The room's notes as plain text. Refuses `storage_unavailable`."""
        try:
            return await self._notes.text(desk, room)
        except Unavailable:
            raise Refused("storage_unavailable", retry_after=2.0) from None

    async def append_notes(self, request: Request, desk: Desk, room: str, text: str) -> None:
        """Write lines at the end of the room's notes. Refuses as a card is refused, and `notes_full`."""
        self.same_origin(request)
        person, address = self.person(request), request.client.host if request.client else ""
        self.limits.command(desk.event, person, address, "notes.append", time.monotonic())
        await desk.look()  # they may have got the seat a moment ago, at another process
        await desk.read(lambda: seated(desk.event, actor(desk.event, person), room))
        if await desk.read(lambda: notes_right(desk.event, person, room)) != "write":
            raise Refused("closed")
        words = within(text, "text", MIN_TEXT, MAX_TEXT)
        try:
            await self._notes.append(desk, person, room, words.split("\n"))
        except Unavailable:
            raise Refused("storage_unavailable", retry_after=2.0) from None

    def person(self, request: Request) -> str:
        """Who asks. Somebody new gets an id, which the response then sets as a cookie (`live/app.py`)."""
        person: str | None = getattr(request.state, "person", None) or self.known(request)
        if person is None:
            person = self.identity.new()
            request.state.new = True
        request.state.person = person
        return person

    def known(self, request: HTTPConnection) -> str | None:
        """The person of the cookie or bearer token, if we signed it."""
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        return self.identity.read(token if scheme.lower() == "bearer" else request.cookies.get(COOKIE))

    def cookie(self, person: str) -> str:
        """The `Set-Cookie` value."""
        secure = "; Secure" if self.settings.secure_cookies else ""
        return f"{COOKIE}={self.identity.sign(person)}; Max-Age={AGE}; Path=/; HttpOnly; SameSite=Lax{secure}"

    def address(self, request: HTTPConnection) -> str:
        """The server's address as this browser reaches it, or as configured."""
        return self.settings.public_url.rstrip("/") or f"{request.url.scheme}://{request.headers.get('host', '')}"

    def reached_by_staff(self, request: HTTPConnection) -> None:
        """The stage's own browser tells how people reach us. Staff only: anybody else could put another address on the screen."""
        self._reached = self.address(request)

    def now(self, desk: Desk) -> int:
        """The time in ms that all processes share."""
        return desk.now()

    def entrance(self, desk: Desk) -> Data:
        """The data of `entrance`: the hall's address with the code of this moment."""
        now, period = desk.now(), desk.event.programme.code_period
        code = code_at(desk.event.secret, now, period)
        address = f"{self._reached}/e/{desk.slug}/hall"
        until = iso((now // (period * 1000) + 1) * period * 1000)
        return {"address": f"{address}?c={code}", "code": code, "valid_until": until, "short": address.partition("://")[2]}

    def _render(self, slug: str) -> Any:
        return lambda key, channel, lang, data: document(key, channel, lang, data, slug)

    def same_origin(self, request: Request) -> None:
        """A form of another site must not act for our visitor; cookies are SameSite=Lax, this is the second lock."""
        if request.method == "POST" and request.headers.get("sec-fetch-site", "same-origin") not in ("same-origin", "none"):
            raise Refused("forbidden")


def cookie_header(value: str) -> tuple[bytes, bytes]:
    """As ASGI wants it."""
    return b"set-cookie", value.encode()
