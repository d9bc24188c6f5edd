"""The pages: what a browser gets when it asks for an address, and what happens to a form that it sends without JavaScript."""

from __future__ import annotations

import uuid
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from frontend import registration_pages, render, room_pages, round_pages, table_pages
from frontend.asked import Asked, Evening, Site, arguments, fields_of, pages_of, policy, status, told, wording
from moderation import documents
from moderation.capabilities import denied
from moderation.documents import Data
from moderation.event import Event
from moderation.roles import MODERATOR, actor, hashed, output_of
from moderation.shape import words
from rooms.command import Refused
from rooms.contributions import PUBLIC, Contribution, of_receipt
from rooms.help import unclaimed

PAGE = 60
"""Contributions on one page; older ones are one click away, so that the first load stays small."""


def routes(site: Site) -> list[Route]:
    """The routes of all pages."""
    page = pages_of(site)
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
        *registration_pages.routes(page),
        *room_pages.routes(page),
        *table_pages.routes(page),
        *round_pages.routes(page),
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
        fixed = [("event", "public"), ("agenda", "public"), ("places", "public"), ("rounds", "public"), ("on_air", "public")]
        content = [one for key, channel in fixed for one in asked.documents(channel, [key])]
        content += asked.documents("public", [f"contribution/{item.number}" for item in shown]) + asked.documents("me")
        stream, csp = _stream(event, query.get("stream") == "on")
        return asked.page(
            "participant.html",
            200 if refused is None else status(refused),
            csp=csp,
            documents=render.arrange(content, asked.lang, event.slug, sort),
            topics=_topics(event, asked.lang),
            form=form or {},
            refusal=None if refused is None else told(asked, refused),
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
    code = request.query_params.get("c") or (await fields_of(request)).get("code")
    if asked.evening.event.attendance.place(asked.person) == "hall" and not code:
        return RedirectResponse(f"/e/{slug}", 303)
    refusal = None
    if code:
        try:
            await asked.site.perform(request, slug, str(uuid.uuid4()), "person.join", {"place": "hall", "code": code})
            return RedirectResponse(f"/e/{slug}?notice=hall", 303)
        except Refused as refused:
            refusal = told(asked, refused)
    return asked.page("hall.html", 200 if refusal is None else 409, refusal=refusal)


async def moderation(asked: Asked, refused: Refused | None = None, form: dict[str, str] | None = None) -> Response:
    """The console. Refuses `forbidden` to everybody but staff."""
    if not asked.staff:
        await asked.evening.look()  # they may have signed in a moment ago, at another process
    if not asked.staff:
        raise Refused("forbidden")

    filters = {key: value for key, value in asked.request.query_params.items() if value}

    def look() -> Response:
        event = asked.evening.event
        who = actor(event, asked.person)
        shown = [one for one in asked.documents("moderation") if _passes(filters, one)]
        return asked.page(
            "moderation.html",
            200 if refused is None else status(refused),
            documents=render.arrange(shown, asked.lang, asked.evening.slug),
            topics=_topics(event, asked.lang),
            form=form or {},
            refusal=None if refused is None else told(asked, refused),
            notice=asked.request.query_params.get("notice"),
            filters=filters,
            roles=sorted(who.roles),
            denied=" ".join(sorted(denied(who.roles))),
            leads=who.any_of(*MODERATOR),
            waiting=len(unclaimed(event)),
            now=asked.site.now(asked.evening),
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
        refusal = {"code": "unknown_contribution", "field": "code", "text": wording(asked, "unknown_contribution")}
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
    fields = await fields_of(asked.request)
    id, name, back = fields.pop("id", "") or str(uuid.uuid4()), fields.pop("name", ""), fields.pop("back", "")
    given = arguments(name, fields)
    try:
        result = await asked.site.perform(asked.request, asked.evening.slug, id, name, given)
    except Refused as refused:
        # The page that was left is shown again, at the form's address: its own links and forms must lead to the page.
        asked.path = urlsplit(_back(asked.evening.slug, back, "", {})).path
        left = asked.path.rpartition("/")[2]
        page = _STAFF_PAGES.get(left, participant) if asked.staff else participant
        if left == "board":
            page = room_pages.board
        elif "/room/" in asked.path:
            page = room_pages.room
        elif asked.staff and "/rooms/" in asked.path:
            page = round_pages.round
        return await page(asked, refused, {**fields, "command": name})
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
    elif name.startswith(("registration.", "message.", "mail.")):
        query.append(("notice", name))
    return parts._replace(query=urlencode(query)).geturl()


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


_STAFF_PAGES = {
    "moderation": moderation, "registrations": registration_pages.registrations, "desk": registration_pages.desk,
    "rooms": room_pages.rooms,
}
"""The last part of an address → the page that shows a refusal of one of its forms."""
