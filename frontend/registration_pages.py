"""The pages of registering: the form, a person's own registration, and the organisers' list with its exports."""

from __future__ import annotations

import hmac
import uuid
from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.routing import Route

from frontend import letters, render, tables
from frontend.asked import Asked, Page, arguments, fields_of, policy, status, told
from frontend.door_page import desk
from moderation import registrations as shown
from rooms.command import Refused
from rooms.entrance import keyed
from rooms.places import OFF_CAMERA
from rooms.register import Registration, of_token

__all__ = ["desk", "registrations", "routes"]

MOST_SECONDS = 24 * 3600
"""A form that has lain open for longer is made anew, with what was typed."""
TRAP = "website"
"""A field that people do not see and robots fill in."""
OWN = frozenset(
    f"registration.{name}" for name in ("confirm", "cancel", "erase", "correct", "withdraw_consent", "give_consent", "enter")
)
"""What the link of a registration lets its person do."""
FILTERS = ("q", "place", "status", "way", "contingent", "trouble")


def routes(page: Page) -> list[Route]:
    """The routes of these pages."""
    return [
        page("/e/{slug}/register", register, ("GET", "POST")),
        page("/e/{slug}/desk", desk),
        page("/e/{slug}/registrations", registrations),
        page("/e/{slug}/registrations.csv", csv),
        page("/e/{slug}/registrations.xlsx", xlsx),
        page("/e/{slug}/registrations/print", print_list),
        page("/e/{slug}/registrations/message", message),
        page("/e/{slug}/registrations/{number:int}.json", data),
        page("/r/{token}", own, ("GET", "POST")),
        page("/r/{token}/data.json", own_data),
        page("/r/{token}/calendar.ics", own_calendar),
    ]


# The form.


async def register(asked: Asked) -> Response:
    """The form, and what becomes of it."""
    if asked.request.method != "POST":
        return await _form(asked, {}, None)
    fields = await fields_of(asked.request)
    id = fields.pop("id", "") or str(uuid.uuid4())
    try:
        _check_human(asked, fields)
        given = arguments("registration.submit", {key: value for key, value in fields.items() if key not in (TRAP, "made")})
        given["lang"] = asked.lang
        result = await asked.site.perform(asked.request, asked.evening.slug, id, "registration.submit", given)
    except Refused as refused:
        return await _form(asked, fields, refused)
    if "token" not in result:
        return RedirectResponse(f"/e/{asked.evening.slug}/register?notice={result['status']}", 303)
    return RedirectResponse(f"/r/{asked.evening.slug}.{result['token']}?notice={result['status']}", 303)


async def _form(asked: Asked, fields: dict[str, Any], refused: Refused | None) -> Response:
    def look() -> Response:
        event, now = asked.evening.event, asked.site.now(asked.evening)
        places = [_place(asked, one, now) for one in shown.places(event)["items"]]
        wanted = fields.get("place") or asked.request.query_params.get("place")
        return asked.page(
            "register.html",
            200 if refused is None else status(refused),
            places=places,
            place=wanted if any(one["place"] == wanted for one in places) else (places[0]["place"] if places else ""),
            form=fields,
            agreed=fields.get("consents[]", []),
            contact=event.programme.contact,
            refusal=None if refused is None else told(asked, refused),
            command_id=str(uuid.uuid4()),
            made=_made(asked, now // 1000) if refused is None or refused.code == "form_expired" else fields.get("made", ""),
            notice=asked.request.query_params.get("notice"),
            trapped=refused is not None and refused.code == "looks_automatic",
        )

    return await asked.evening.read(look)


def _place(asked: Asked, data: Any, now: int) -> dict[str, Any]:
    """A place as the form shows it: what is free, why it is shut, what has to be agreed to."""
    event = asked.evening.event
    place = event.programme.places[data["place"]]
    consents = [
        {"purpose": one, "required": one in place.consents, "text": shown.text_of(event, one, asked.lang)} for one in place.asked
    ]
    reason = shown.shut(event, data, now)
    at = {"not_open_yet": data["opens"], "too_late": data["deadline"]}.get(reason, "")
    return {
        **data,
        "shut": reason,
        "why": render.wording(reason, asked.lang, {"at": at}) if reason else "",
        "consents": consents,
        "contingents": [one for one in place.reserved if one != OFF_CAMERA],
        "off_camera": OFF_CAMERA in place.reserved,
    }


def _made(asked: Asked, second: int) -> str:
    """When a form was made, so that nobody else can say it."""
    return f"{second}.{keyed(asked.evening.event.secret, f'form/{second}', 12)}"


def _check_human(asked: Asked, fields: dict[str, Any]) -> None:
    """Refuses `looks_automatic`, `too_fast`, `form_expired`: without a puzzle for people."""
    if fields.get(TRAP):
        raise Refused("looks_automatic", field=TRAP)
    second = fields.get("made", "").partition(".")[0]
    if not (second.isascii() and second.isdigit() and len(second) < 12):
        raise Refused("form_expired")
    if not hmac.compare_digest(_made(asked, int(second)).encode(), fields["made"].encode()):
        raise Refused("form_expired")
    age = asked.site.now(asked.evening) / 1000 - int(second)
    if age > MOST_SECONDS:
        raise Refused("form_expired")
    if age < asked.site.form_seconds:
        raise Refused("too_fast")  # whose browser has filled it in only sends it again


# A person's own registration.


async def own(asked: Asked) -> Response:
    """What is known of a registration, and what its person may do with it. Whoever has the link is the person."""
    asked, given = await _opened(asked)
    refused: Refused | None = None
    if asked.request.method == "POST":
        fields = await fields_of(asked.request)
        name, id = fields.pop("name", ""), fields.pop("id", "") or str(uuid.uuid4())
        try:
            return await _act(asked, given, name, id, fields)
        except Refused as problem:
            refused = problem

    def look() -> Response:
        item = _found(asked, given)
        event, now = asked.evening.event, asked.site.now(asked.evening)
        place = event.programme.places.get(item.place)
        address = f"{asked.site.address(asked.request)}/r/{asked.evening.slug}.{given}"
        data = shown.full(event, asked.evening.names, item)
        line = event.registrations.lines[item.place]
        response = asked.page(
            "own.html",
            200 if refused is None else status(refused),
            item=data,
            position=line.position(item.order) if item.status == "waiting" else 0,
            address=address,
            texts={one["purpose"]: shown.text_of(event, one["purpose"], asked.lang) for one in data["consents"]},
            access=letters.access_of(event, item, asked.lang, now),
            most=place.party if place else 1,
            contact=event.programme.contact,
            notice=asked.request.query_params.get("notice"),
            refusal=None if refused is None else told(asked, refused),
            command_id=str(uuid.uuid4()),
        )
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return await asked.evening.read(look)


async def _act(asked: Asked, given: str, name: str, id: str, fields: dict[str, Any]) -> Response:
    if name not in OWN:
        raise Refused("forbidden")
    sent = {key: value for key, value in fields.items() if key != "back"}
    more = {"registration": _found(asked, given).number, "token": given}
    await asked.site.perform(asked.request, asked.evening.slug, id, name, arguments(name, sent) | more)
    if name == "registration.enter":
        return RedirectResponse(f"/e/{asked.evening.slug}", 303)
    if name == "registration.erase":
        return RedirectResponse(f"/e/{asked.evening.slug}/register?notice=erased", 303)
    return RedirectResponse(f"/r/{asked.evening.slug}.{given}?{urlencode({'notice': name})}", 303)


async def own_data(asked: Asked) -> Response:
    """Everything that is stored about this person (GDPR Art. 15, 20), as JSON."""
    asked, given = await _opened(asked)
    return await _stored(asked, lambda: _found(asked, given))


async def data(asked: Asked) -> Response:
    """The same for somebody who has asked for it by telephone or letter. Refuses `forbidden`, `unknown_registration`."""
    await _check_door(asked)
    return await _stored(asked, lambda: asked.evening.event.registrations.get(asked.request.path_params["number"]))


async def _stored(asked: Asked, find: Callable[[], Registration]) -> Response:
    def look() -> Response:
        item = find()
        data = shown.full(asked.evening.event, asked.evening.names, item)
        mails = [
            shown.mail(asked.evening.names, one)
            for one in asked.evening.event.inbox.items.values()
            if one.registration == item.number and not one.erased
        ]
        stored = {"event": asked.evening.slug, "registration": data, "letters": mails}
        name = f"{asked.evening.slug}-{item.number}.json"
        return _file(msgspec.json.format(msgspec.json.encode(stored)), "application/json", name)

    return await asked.evening.read(look)


async def own_calendar(asked: Asked) -> Response:
    """The event for the person's calendar (RFC 5545)."""
    asked, given = await _opened(asked)

    def look() -> Response:
        item = _found(asked, given)
        site = asked.site.address(asked.request)
        calendar = letters.calendar(asked.evening.event, asked.evening.names, item, site, "", asked.site.now(asked.evening))
        return _file(calendar, "text/calendar; charset=utf-8", "plenum.ics")

    return await asked.evening.read(look)


async def _opened(asked: Asked) -> tuple[Asked, str]:
    """The event of the link, and the rest of its token. Refuses `unknown_event`, `unknown_registration`."""
    slug, _, given = asked.request.path_params["token"].partition(".")
    evening = await asked.site.find(slug)
    if of_token(evening.event, given) is None:
        await evening.look()  # it may have been made a moment ago, at another process
    asked = Asked(asked.site, asked.request, evening)
    _found(asked, given)
    return asked, given


def _found(asked: Asked, given: str) -> Registration:
    item = of_token(asked.evening.event, given)
    if item is None:
        raise Refused("unknown_registration")
    return item


# The organisers' list.


async def registrations(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """All registrations with filters, the tray of letters, and the messages. Refuses `forbidden`."""
    await _check_door(asked)
    filters = {key: value for key, value in asked.request.query_params.items() if value and key in FILTERS}

    def look() -> Response:
        event = asked.evening.event
        all = asked.documents("registrations")
        listed = [one for one in all if _passes(filters, one)]
        return asked.page(
            "registrations.html",
            200 if refused is None else status(refused),
            documents=render.arrange(listed, asked.lang, asked.evening.slug),
            places=[_place(asked, one, asked.site.now(asked.evening)) for one in shown.places(event)["items"]],
            form=form or {},
            agreed=(form or {}).get("consents[]", []),
            refusal=None if refused is None else told(asked, refused),
            notice=asked.request.query_params.get("notice"),
            filters=filters,
            query=urlencode(filters),
            kinds=letters.KINDS,
            organiser=asked.organiser,
            command_id=str(uuid.uuid4()),
            channels={"registrations": {}} if len(listed) < len(all) else asked.channels("registrations"),
        )

    return await asked.evening.read(look)


async def print_list(asked: Asked) -> Response:
    """The list on paper, for the door and for the camera crew. Refuses `forbidden`."""
    back = f"/e/{asked.evening.slug}/registrations"
    return await _list(asked, lambda items: asked.page("print.html", items=items, path_back=back))


async def csv(asked: Asked) -> Response:
    """The list for a spreadsheet, that proves the order. Refuses `forbidden`."""
    name = f"{asked.evening.slug}.csv"
    return await _list(asked, lambda items: _file(tables.csv(items, asked.lang), "text/csv; charset=utf-8", name))


async def xlsx(asked: Asked) -> Response:
    """As CSV. Refuses `forbidden`."""
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    return await _list(asked, lambda items: _file(tables.xlsx(items, asked.lang), kind, f"{asked.evening.slug}.xlsx"))


async def message(asked: Asked) -> Response:
    """What a message says, before it is sent: of one registration, or of an example. `part`: text, html or page. Refuses
    `forbidden`."""
    await _check_door(asked)
    query = asked.request.query_params
    kind = query.get("kind", "")
    if kind not in letters.KINDS:
        raise Refused("unknown_message", field="kind")
    lang = query.get("lang", "") if query.get("lang") in render.LANGUAGES else asked.lang

    def look() -> Response:
        site = asked.site.address(asked.request)
        letter = letters.example(asked.evening.event, asked.evening.names, kind, lang, site, asked.site.now(asked.evening))
        if query.get("part") == "html":
            return HTMLResponse(letter.html, headers={"Content-Security-Policy": policy({}), "Cache-Control": "no-store"})
        return asked.page("letter.html", letter=letter, kind=kind, letter_lang=lang, organiser=asked.organiser)

    return await asked.evening.read(look)


async def _list(asked: Asked, answer: Callable[[list[shown.RegistrationData]], Response]) -> Response:
    await _check_door(asked)
    filters = {key: value for key, value in asked.request.query_params.items() if value and key in FILTERS}

    def look() -> Response:
        event, names = asked.evening.event, asked.evening.names
        items = [item for item in event.registrations.items.values() if not item.erased]
        items.sort(key=lambda item: (item.place, item.order))
        all = [shown.full(event, names, item) for item in items]
        return answer([one for one in all if _passes(filters, (f"registration/{one['number']}", "registrations", one))])

    return await asked.evening.read(look)


async def _check_door(asked: Asked) -> None:
    if not asked.door:
        await asked.evening.look()  # they may have signed in a moment ago, at another process
    if not asked.door:
        raise Refused("forbidden")


def _passes(filters: dict[str, str], document: tuple[str, str, Any]) -> bool:
    """Whether a document of the list passes the filters of the address."""
    key, _, data = document
    if not key.startswith("registration/"):
        return True
    found = " ".join((data["name"], data["email"], data["phone"], data["note"], str(data["number"]))).casefold()
    if filters.get("q", "").casefold() not in found:
        return False
    wanted = filters.get("trouble")
    states = {one["state"] for one in data["messages"]}
    trouble = {
        "calls": "call" in states,
        "messages": bool(states & {"failed", "uncertain"}),
        "confirm": data["to_confirm"],
        "consent": any(one["required"] and one["state"] != "given" for one in data["consents"]),
        "late": data["late"] or data["corrected"],
    }
    if wanted and not trouble.get(wanted, False):
        return False
    names = {name: filters[name] for name in ("place", "status", "way", "contingent") if name in filters}
    return all(data[name] == ("" if value == "none" else value) for name, value in names.items())


def _file(content: bytes, kind: str, name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
    return Response(content, media_type=kind, headers=headers)


