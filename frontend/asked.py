"""What every page needs: who asks for which event in which language, how a page is answered, and how a refusal is told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar

import msgspec
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from frontend import render
from frontend.assets import Assets
from moderation import documents
from moderation.capabilities import COMMANDS
from moderation.documents import Data
from moderation.event import Event
from moderation.roles import DOOR, STAFF, actor
from rooms.command import Refused

T = TypeVar("T")
LANG_COOKIE = "plenum_lang"
_STATUS = {"forbidden": 403, "unknown_event": 404, "too_many": 429, "storage_unavailable": 503, "bug": 500}


class Evening(Protocol):
    """What a page sees of an event's desk."""

    slug: str
    epoch: str
    event: Event
    names: dict[str, str]

    async def read(self, look: Callable[[], T]) -> T:
        """What `look` returns when the state is what the log says."""

    async def look(self) -> None:
        """Return when the state holds what other processes had written before."""


class Site(Protocol):
    """What the pages need of the server; `live/app.py` is it."""

    legal: tuple[str, str, str]
    """Addresses of imprint, privacy notice and accessibility statement, as far as they are set."""
    assets: Assets
    form_seconds: float
    """Least time between showing the registration form and taking it."""

    async def find(self, slug: str) -> Evening:
        """Refuses `unknown_event`, `storage_unavailable`."""

    async def listed(self) -> Sequence[Evening]:
        """The events that are open to the public."""

    async def perform(self, request: Request, slug: str, id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The command's result. Raises Refused."""

    async def notes(self, evening: Any, room: str) -> str:
        """The room's notes as plain text. Refuses `storage_unavailable`."""

    async def append_notes(self, request: Request, evening: Any, room: str, text: str) -> None:
        """Write lines at the end of the room's notes. Refuses as a card is refused, and `notes_full`."""

    def person(self, request: Request) -> str:
        """Who asks; a new person if nobody has met them."""

    def reached_by_staff(self, request: Request) -> None:
        """Remember the address for what is rendered without a request."""

    def now(self, evening: Any) -> int:
        """The time in ms that all processes share."""

    def entrance(self, desk: Any) -> Data:
        """The data of the `entrance` document."""

    def address(self, request: Request) -> str:
        """The server's address as people type it, e.g. `https://dialog.example`."""


class Asked:
    """One request for a page of an event: who asks, in which language."""

    def __init__(self, site: Site, request: Request, evening: Evening | None) -> None:
        self.site, self.request = site, request
        self.person = site.person(request)
        self.path = request.url.path
        offered = evening.event.programme.languages if evening else render.LANGUAGES
        query, cookie = request.query_params.get("lang"), request.cookies.get(LANG_COOKIE)
        self.lang = render.choose(request.headers.get("accept-language"), cookie, query, offered)
        self._evening = evening

    @property
    def evening(self) -> Evening:
        """The event; only for pages of one."""
        assert self._evening is not None
        return self._evening

    @property
    def door(self) -> bool:
        """Whether a role is held in this event that sees who is registered."""
        return actor(self.evening.event, self.person).any_of(*DOOR)

    @property
    def organiser(self) -> bool:
        """Whether this is an organiser."""
        return actor(self.evening.event, self.person).any_of("organiser")

    @property
    def staff(self) -> bool:
        """Whether a role is held in this event."""
        return actor(self.evening.event, self.person).any_of(*STAFF)

    def documents(self, channel: str, keys: Iterable[str] | None = None) -> list[tuple[str, str, Data]]:
        """(key, channel, data) of the channel's documents."""
        event, names = self.evening.event, self.evening.names
        wanted = documents.keys(event, channel, self.person) if keys is None else keys
        found = ((key, documents.data(event, names, channel, key, self.lang, self.person)) for key in wanted)
        return [(key, channel, data) for key, data in found if data is not None]

    def page(self, template: str, status: int = 200, *, csp: dict[str, str] | None = None, **context: Any) -> Response:
        """The rendered page with its headers."""
        if self._evening is not None:
            context.setdefault("event", documents.facts(self.evening.event, self.lang))
            context.setdefault("person", self._person())
        html = render.page(template, self.lang, legal=self.site.legal, static=self.site.assets.url, path=self.path, **context)
        response = HTMLResponse(html, status, headers={"Content-Security-Policy": policy(csp or {}), "Cache-Control": "no-store"})
        if "lang" in self.request.query_params:
            response.set_cookie(LANG_COOKIE, self.lang, max_age=365 * 24 * 3600, samesite="lax", httponly=True)
        return response

    def channels(self, *names: str) -> dict[str, dict[str, Any]]:
        """What the page has already seen, for `open`."""
        return {name: {"epoch": self.evening.epoch, "seq": self.evening.event.seq} for name in names}

    def _person(self) -> Data | None:
        return documents.data(self.evening.event, self.evening.names, "me", "person", self.lang, self.person)


def policy(more: dict[str, str]) -> str:
    """The Content-Security-Policy: everything from here, nothing inline; `more` opens single directives for a stream."""
    rules = {
        "default-src": "'none'",
        "script-src": "'self'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "font-src": "'self'",
        "connect-src": "'self'",
        "media-src": "'self'",
        "form-action": "'self'",
        "base-uri": "'none'",
        "frame-ancestors": "'none'",
    }
    for name, sources in more.items():
        rules[name] = sources if name not in rules or rules[name] == "'none'" else f"{rules[name]} {sources}"
    return "; ".join(f"{name} {sources}" for name, sources in rules.items())


Page = Callable[..., Route]


def pages_of(site: Site) -> Page:
    """Makes routes of functions that take what is asked; a refusal becomes a page that tells it."""

    def page(path: str, show: Callable[[Asked], Awaitable[Response]], methods: tuple[str, ...] = ("GET",)) -> Route:
        async def endpoint(request: Request) -> Response:
            evening = None
            try:
                if "slug" in request.path_params:
                    evening = await site.find(request.path_params["slug"])
                return await show(Asked(site, request, evening))
            except Refused as refused:
                return refusal_page(Asked(site, request, evening), refused)

        return Route(path, endpoint, methods=list(methods))

    return page


async def fields_of(request: Request) -> dict[str, Any]:
    """What a form has sent; a field whose name ends in `[]` is a list of all its values."""
    if request.method != "POST":
        return {}
    fields: dict[str, Any] = {}
    form = await request.form(max_files=0)
    for key, value in form.multi_items():
        if not isinstance(value, str):
            continue
        if key.endswith("[]"):
            fields.setdefault(key, []).append(value)
        else:
            fields[key] = value
    return fields


def arguments(name: str, fields: dict[str, Any]) -> dict[str, Any]:
    """The command's arguments out of a form's fields. `name` is the command's; an argument of that name comes as `args.name`. An
    empty field is one that was left out, unless it is called `set.…`: then emptying it is meant."""
    given = {
        key.removeprefix("args.").removeprefix("set.").removesuffix("[]"): value
        for key, value in fields.items()
        if value or key in ("text", "reason") or key.startswith("set.")
    }
    if name not in COMMANDS:
        return given
    if "rooms_text" in given:
        given["rooms"] = _rooms(given.pop("rooms_text"), given.pop("capacity", ""), tables="tables" in given)
        given.pop("tables", None)
    try:
        # A form knows only text: "7" is a number where the command wants one.
        typed: dict[str, Any] = msgspec.to_builtins(msgspec.convert(given, COMMANDS[name][0], strict=False))
    except msgspec.ValidationError:
        return given  # the command is refused, with the field
    return {key: value for key, value in typed.items() if key in given}


def _rooms(lines: str, capacity: str, *, tables: bool) -> list[dict[str, Any]]:
    """Rooms as they are typed: one on each line, with the question after a colon."""
    plans = []
    more: dict[str, Any] = ({"capacity": capacity} if capacity else {}) | ({"table": True} if tables else {})
    for line in lines.splitlines():
        name, _, question = line.partition(":")
        if name.strip():
            plans.append({"name": name.strip(), "question": question.strip(), **more})
    return plans


def wording(asked: Asked, code: str, **params: Any) -> str:
    """What the person reads whose command was refused with this code."""
    return render.wording(code, asked.lang, params)


def told(asked: Asked, refused: Refused) -> dict[str, Any]:
    """The refusal for a template: code, field, text."""
    text = wording(asked, refused.code, **refused.params, retry_after=refused.retry_after)
    return {"code": refused.code, "field": refused.field, "text": text}


def status(refused: Refused) -> int:
    """The refusal as an HTTP status."""
    return _STATUS.get(refused.code, 422 if refused.field else 409)


def refusal_page(asked: Asked, refused: Refused) -> Response:
    """A page of its own, where there is no form to show it at."""
    number = 404 if refused.code == "link_unknown" else status(refused)
    said = 403 if refused.code in ("not_your_room", "visit_first") else number
    return asked.page("message.html", number, code=said, reason=refused.code, text=told(asked, refused)["text"])
