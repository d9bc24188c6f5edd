"""The pages: what a browser gets when it asks for an address, and what happens to a form that it sends without JavaScript."""

from __future__ import annotations

import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from frontend import render
from frontend.assets import Assets
from moderation import documents
from moderation.capabilities import denied
from moderation.documents import Data
from moderation.event import Event
from moderation.roles import STAFF, actor, hashed, output_of
from moderation.shape import words
from rooms.command import Refused
from rooms.contributions import PUBLIC, Contribution, of_receipt

T = TypeVar("T")
PAGE = 60
"""Contributions on one page; older ones are one click away, so that the first load stays small."""
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

    async def find(self, slug: str) -> Evening:
        """Refuses `unknown_event`, `storage_unavailable`."""

    async def listed(self) -> Sequence[Evening]:
        """The events that are open to the public."""

    async def perform(self, request: Request, slug: str, id: str, name: str, arguments: dict[str, Any]) -> dict[str, Any]:
        """The command's result. Raises Refused."""

    def person(self, request: Request) -> str:
        """Who asks; a new person if nobody has met them."""

    def reached_by_staff(self, request: Request) -> None:
        """Remember the address for what is rendered without a request."""

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


def routes(site: Site) -> list[Route]:
    """The routes of all pages."""

    def page(path: str, show: Callable[[Asked], Awaitable[Response]], methods: tuple[str, ...] = ("GET",)) -> Route:
        async def endpoint(request: Request) -> Response:
            evening = None
            try:
                if "slug" in request.path_params:
                    evening = await site.find(request.path_params["slug"])
                return await show(Asked(site, request, evening))
            except Refused as refused:
                return _refused(Asked(site, request, evening), refused)

        return Route(path, endpoint, methods=list(methods))

    return [
        page("/", events),
        page("/e/{slug}", participant),
        page("/e/{slug}/hall", hall, ("GET", "POST")),
        page("/e/{slug}/moderation", moderation),
        page("/e/{slug}/stage", stage),
        page("/e/{slug}/receipt", receipt),
        page("/e/{slug}/do", do, ("POST",)),
        page("/o/{token}", overlay),
        page("/o/{token}/loader.html", loader),
        page("/in/{token}", sign_in, ("GET", "POST")),
        Route("/static/{version}/{name:path}", site.assets.serve),
    ]


async def events(asked: Asked) -> Response:
    """The list of events."""
    listed = [documents.facts(one.event, asked.lang) for one in await asked.site.listed()]
    return asked.page("events.html", events=listed)


async def participant(asked: Asked, refused: Refused | None = None, form: dict[str, str] | None = None) -> Response:
    """The page of everybody, at home and in the hall."""
    query = asked.request.query_params
    sort = "support" if query.get("sort") == "support" else "newest"

    def look() -> Response:
        event = asked.evening.event
        shown, older = _chosen(asked, sort, query.get("before"))
        fixed = [("event", "public"), ("agenda", "public"), ("on_air", "public")]
        content = [one for key, channel in fixed for one in asked.documents(channel, [key])]
        content += asked.documents("public", [f"contribution/{item.number}" for item in shown]) + asked.documents("me")
        stream, csp = _stream(event, query.get("stream") == "on")
        return asked.page(
            "participant.html",
            200 if refused is None else _status(refused),
            csp=csp,
            documents=render.arrange(content, asked.lang, event.slug, sort),
            topics=_topics(event, asked.lang),
            form=form or {},
            refusal=None if refused is None else _told(asked, refused),
            notice=query.get("notice"),
            stream=stream,
            sort=sort,
            older=older,
            command_id=str(uuid.uuid4()),
            supports=event.supports.of(asked.person),
            channels=asked.channels("public", "me"),
        )

    return await asked.evening.read(look)


async def hall(asked: Asked) -> Response:
    """The way into the hall: by the QR code of the stage view, or by typing its code."""
    request, slug = asked.request, asked.evening.slug
    code = request.query_params.get("c") or (await _fields(request)).get("code")
    if asked.evening.event.attendance.place(asked.person) == "hall" and not code:
        return RedirectResponse(f"/e/{slug}", 303)
    refusal = None
    if code:
        try:
            await asked.site.perform(request, slug, str(uuid.uuid4()), "person.join", {"place": "hall", "code": code})
            return RedirectResponse(f"/e/{slug}?notice=hall", 303)
        except Refused as refused:
            refusal = _told(asked, refused)
    return asked.page("hall.html", 200 if refusal is None else 409, refusal=refusal)


async def moderation(asked: Asked, refused: Refused | None = None, form: dict[str, str] | None = None) -> Response:
    """The console. Refuses `forbidden` to everybody but staff."""
    if not asked.staff:
        await asked.evening.look()  # they may have signed in a moment ago, at another process
    if not asked.staff:
        raise Refused("forbidden")

    filters = {key: value for key, value in asked.request.query_params.items() if value}

    def look() -> Response:
        shown = [one for one in asked.documents("moderation") if _passes(filters, one)]
        return asked.page(
            "moderation.html",
            200 if refused is None else _status(refused),
            documents=render.arrange(shown, asked.lang, asked.evening.slug),
            topics=_topics(asked.evening.event, asked.lang),
            form=form or {},
            refusal=None if refused is None else _told(asked, refused),
            notice=asked.request.query_params.get("notice"),
            filters=filters,
            roles=sorted(roles := actor(asked.evening.event, asked.person).roles),
            denied=" ".join(sorted(denied(roles))),
            command_id=str(uuid.uuid4()),
            # A script filters by itself and needs what was left out; without one the address does it.
            channels={"moderation": {}} if len(shown) < len(asked.documents("moderation")) else asked.channels("moderation"),
        )

    return await asked.evening.read(look)


async def stage(asked: Asked) -> Response:
    """The projector's view. Only staff's shows the code of the hall: a viewer at home must not find it."""

    def look() -> Response:
        content = asked.documents("stage")
        address = f"{asked.site.address(asked.request)}/e/{asked.evening.slug}"
        if asked.staff:
            asked.site.reached_by_staff(asked.request)
            content.append(("entrance", "hall", asked.site.entrance(asked.evening)))
        return asked.page(
            "stage.html",
            documents=render.arrange(content, asked.lang, asked.evening.slug),
            hall=asked.staff,
            qr=render.qr(address),
            address=address.partition("://")[2],
            channels=asked.channels("stage", "hall") if asked.staff else asked.channels("stage"),
        )

    return await asked.evening.read(look)


async def overlay(asked: Asked) -> Response:
    """The transparent page for OBS and vMix. The token names event and output: `<slug>.<random>`."""
    token = asked.request.path_params["token"]
    evening, output = await _output(asked, token)
    asked = Asked(asked.site, asked.request, evening)

    def look() -> Response:
        response = asked.page(
            "overlay.html",
            documents=render.arrange(asked.documents(f"output/{output}"), asked.lang, evening.slug),
            name=output,
            token=token,
            slug=evening.slug,
            channels=asked.channels(f"output/{output}"),
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        return response

    return await evening.read(look)


async def loader(asked: Asked) -> Response:
    """A file for the disk of whoever runs OBS: it waits until the server answers, and then shows the overlay."""
    token = asked.request.path_params["token"]
    await _output(asked, token)
    server = asked.site.address(asked.request)
    html = render.page("loader.html", asked.lang, server=server, overlay=f"{server}/o/{token}")
    headers = {"Content-Disposition": 'attachment; filename="plenum-overlay.html"', "Cache-Control": "no-store"}
    return HTMLResponse(html, headers={**headers, "Content-Security-Policy": policy({})})


async def _output(asked: Asked, token: str) -> tuple[Evening, str]:
    """The event and the name of the output whose token this is. Refuses `link_unknown`."""
    evening = await asked.site.find(token.rpartition(".")[0])
    if output_of(evening.event, token) is None:
        await evening.look()  # it may have been made a moment ago, by another process
    output = output_of(evening.event, token)
    if output is None:
        raise Refused("link_unknown")
    return evening, output


async def sign_in(asked: Asked) -> Response:
    """A button first: whoever previews or scans a link must not use it up."""
    request, token = asked.request, asked.request.path_params["token"]
    evening = await asked.site.find(token.rpartition(".")[0])
    if request.method == "POST":
        result = await asked.site.perform(request, evening.slug, str(uuid.uuid4()), "link.redeem", {"token": token})
        target = "stage" if result["role"] == "operator" else "moderation"
        return RedirectResponse(f"/e/{evening.slug}/{request.query_params.get('to', target)}", 303)
    asked = Asked(asked.site, request, evening)
    if hashed(token) not in evening.event.roles.links:
        await evening.look()
    link = evening.event.roles.links.get(hashed(token))
    title = words(evening.event.programme.title, asked.lang)
    response = asked.page("signin.html", token=token, role=link.role if link else "", title=title)
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


async def receipt(asked: Asked) -> Response:
    """What became of one contribution, for whoever has its receipt."""
    code = asked.request.query_params.get("code", "")

    def look() -> Response:
        event = asked.evening.event
        item = of_receipt(event, code)
        refusal = {"code": "unknown_contribution", "field": "code", "text": _wording(asked, "unknown_contribution")}
        data = documents.own(event, asked.evening.names, item, asked.lang) if item else None
        content = [(f"contribution/{item.number}", "me", data)] if item and data else []
        return asked.page(
            "receipt.html",
            200 if item or not code else 404,
            documents=render.arrange(content, asked.lang, event.slug),
            code=code,
            refusal=refusal if code and item is None else None,
        )

    return await asked.evening.read(look)


async def do(asked: Asked) -> Response:
    """A command from a plain form. Goes back to the page it came from; a refusal shows that page with what was typed."""
    fields = await _fields(asked.request)
    id, name, back = fields.pop("id", "") or str(uuid.uuid4()), fields.pop("name", ""), fields.pop("back", "")
    # `name` is the command's; an argument of that name comes as `args.name`. An empty field is one that was left out.
    given = {key.removeprefix("args."): _typed(key, value) for key, value in fields.items() if value or key in ("text", "reason")}
    try:
        result = await asked.site.perform(asked.request, asked.evening.slug, id, name, given)
    except Refused as refused:
        # The page that was left is shown again, at the form's address: its own links and forms must lead to the page.
        asked.path = urlsplit(_back(asked.evening.slug, back, "", {})).path
        at_desk = asked.path.endswith("/moderation")
        return await (moderation if at_desk and asked.staff else participant)(asked, refused, fields)
    return RedirectResponse(_back(asked.evening.slug, back, name, result), 303)


def _back(slug: str, back: str, name: str, result: dict[str, Any]) -> str:
    """Where to go after a form: a page of the same event only (no open redirect)."""
    home = f"/e/{slug}"
    parts = urlsplit(back)
    if parts.scheme or parts.netloc or not (parts.path == home or parts.path.startswith(home + "/")):
        parts = urlsplit(home)
    query = [(key, value) for key, value in parse_qsl(parts.query) if key != "notice"]
    if name == "contribution.submit":
        query.append(("notice", result["state"]))
    return parts._replace(query=urlencode(query)).geturl()


def _typed(key: str, value: str) -> Any:
    return int(value) if key == "contribution" and value.isascii() and value.isdigit() and len(value) < 10 else value


async def _fields(request: Request) -> dict[str, str]:
    if request.method != "POST":
        return {}
    form = await request.form(max_files=0)
    return {key: value for key, value in form.items() if isinstance(value, str)}


def _chosen(asked: Asked, sort: str, before: str | None) -> tuple[list[Contribution], str | None]:
    """The public contributions of one page, and the address of the next."""
    event = asked.evening.event
    items = [item for item in event.contributions.items.values() if item.state in PUBLIC]
    start = int(before) if before and before.isascii() and before.isdigit() and len(before) < 10 else 0
    if sort == "support":
        items.sort(key=lambda item: (-event.supports.count(item.number), -item.number))
        items = items[start:]
        following = start + PAGE
    else:
        items = [item for item in reversed(items) if not start or item.number < start]
        following = items[PAGE - 1].number if len(items) >= PAGE else 0
    older = f"/e/{event.slug}?{urlencode({'sort': sort, 'before': following})}" if len(items) > PAGE else None
    return items[:PAGE], older


def _passes(filters: dict[str, str], document: tuple[str, str, Data]) -> bool:
    """Whether a document of the console passes the filters of the address."""
    key, _, data = document
    if not key.startswith("contribution/"):
        return True
    fields: dict[str, Any] = {**data}
    wanted = {name: filters[name] for name in ("topic", "kind", "origin") if name in filters}
    return filters.get("q", "").lower() in fields["text"].lower() and all(fields[name] == wanted[name] for name in wanted)


def _topics(event: Event, lang: str) -> list[dict[str, str]]:
    return [{"id": one.id, "title": words(one.title, lang), "group": words(one.group, lang)} for one in event.programme.topics]


def _stream(event: Event, shown: bool) -> tuple[dict[str, Any], dict[str, str]]:
    """The stream for the template, and what the policy must open for it: a third party only after the click."""
    stream = event.programme.stream
    parts = urlsplit(stream.address)
    origin = f"{parts.scheme}://{parts.netloc}"
    data = {"kind": stream.kind, "address": stream.address, "provider": stream.provider, "shown": shown, "host": parts.netloc}
    if stream.kind == "embed" and shown:
        return data, {"frame-src": origin}
    if stream.kind == "hls":
        return data, {"media-src": f"blob: {origin}", "connect-src": origin} if parts.netloc else {"media-src": "blob:"}
    return data, {}


def _wording(asked: Asked, code: str, **params: Any) -> str:
    return render.wording(code, asked.lang, params)


def _told(asked: Asked, refused: Refused) -> dict[str, Any]:
    text = _wording(asked, refused.code, **refused.params, retry_after=refused.retry_after)
    return {"code": refused.code, "field": refused.field, "text": text}


def _status(refused: Refused) -> int:
    return _STATUS.get(refused.code, 422 if refused.field else 409)


def _refused(asked: Asked, refused: Refused) -> Response:
    status = 404 if refused.code == "link_unknown" else _status(refused)
    return asked.page("message.html", status, code=status, text=_told(asked, refused)["text"])
