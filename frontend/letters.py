"""Letters: what a message says, in the person's language, as text and as HTML made of it, with the event for their calendar."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, NamedTuple

from markupsafe import Markup, escape

from frontend import render
from frontend.invitation import Method, invitation
from frontend.words import N_, text
from moderation import registrations as shown
from moderation.event import Event
from moderation.shape import Names, iso, words
from rooms.messages import Message
from rooms.places import Line
from rooms.programme import ms
from rooms.register import Registration, token

SUBJECTS = {
    "seated": N_("You have a seat: {title}"),
    "waiting": N_("You are on the waiting list, no. {position}: {title}"),
    "moved_up": N_("A seat is free for you, please confirm: {title}"),
    "cancelled": N_("Your registration is cancelled: {title}"),
    "lapsed": N_("Your seat was not confirmed: {title}"),
    "postponed": N_("New date, please confirm: {title}"),
    "changed": N_("New time or place: {title}"),
    "access": N_("How to get in: {title}"),
    "reminder": N_("See you soon: {title}"),
    "thanks": N_("Thank you for taking part: {title}"),
    "link": N_("The link to your registration: {title}"),
    "refused": N_("We could not register you: {title}"),
}
KINDS = tuple(SUBJECTS)
"""All kinds of messages, in the order of an event."""
INVITING = ("seated", "moved_up", "postponed", "changed", "access", "reminder")
"""These bring the event for the calendar; `cancelled` and `lapsed` take it out again."""
_ADDRESS = re.compile(r"https?://[^\s<>\"]+[^\s<>\".,;:!?)]")


class Letter(NamedTuple):
    """A message as it is sent. `calendar`: an iCalendar object with its method, or empty."""

    lang: str
    subject: str
    text: str
    html: str
    calendar: bytes
    method: Method


def letter(event: Event, names: Names, message: Message, site: str, organiser: str, now: int) -> Letter:
    """The letter of this message. `site`: the server's address; `organiser`: the sender's e-mail address."""
    kind, _, number = message.to.partition("/")
    if kind == "test":
        return example(event, names, message.kind, message.detail, site, now)
    if kind == "mail":
        return _answer(event, names, event.inbox.items[int(number)].number, message, site)
    item = event.registrations.items[int(number)]
    return of(event, names, item, message.kind, site, organiser, now)


def of(event: Event, names: Names, item: Registration, kind: str, site: str, organiser: str, now: int) -> Letter:
    """What this registration's person is told."""
    line = event.registrations.lines.get(item.place) or Line()
    position = line.position(item.order)
    method: Method = "CANCEL" if kind in ("cancelled", "lapsed") else "REQUEST"
    attached = kind in INVITING or method == "CANCEL"
    context = {
        "name": names.get(f"registration/{item.number}", ""),
        "number": item.number,
        "place": item.place,
        "party": item.party,
        "position": position,
        "confirm_by": iso(item.confirm_by) if item.confirm_by is not None else "",
        "address": f"{site}/r/{event.slug}.{token(event, item.number)}",
        "access": access_of(event, item, item.lang, now) if kind in ("access", "seated", "moved_up", "reminder") else "",
        "consents": [one for one in item.consents.values() if one.withdrawn_at is None],
        "texts": {purpose: shown.text_of(event, purpose, item.lang) for purpose in item.consents},
        "way": item.way,
        "documentation": event.programme.messages.documentation,
    }
    made = calendar(event, names, item, site, organiser, now, method) if attached else b""
    return _written(event, kind, item.lang, site, context, made, method)


def example(event: Event, names: Names, kind: str, lang: str, site: str, now: int) -> Letter:
    """What a message would say to somebody, before anybody gets it."""
    place = next(iter(event.programme.places), "hall")
    confirm_by = now + 48 * 3_600_000 if kind in ("moved_up", "postponed") else None
    item = Registration(0, place, 2, "web", lang, now, now, event.programme.starts, confirm_by=confirm_by)  # type: ignore[arg-type]
    if kind == "refused":
        context = {"name": text(lang, N_("Maria Muster")), "why": render.wording("already_registered", lang, {}), "address": ""}
        return _written(event, kind, lang, site, context, b"", "REQUEST")
    named = {"registration/0": text(lang, N_("Maria Muster"))}
    return of(event, named, item, kind, site, "", now)


def calendar(
    event: Event, names: Names, item: Registration, site: str, organiser: str, now: int, method: Method = "REQUEST"
) -> bytes:
    """The event for the person's calendar; its sequence goes up when everybody is told of a new time."""
    programme, known = event.programme, f"registration/{item.number}"
    host = site.partition("://")[2].partition("/")[0].partition(":")[0] or "plenum"
    return invitation(
        uid=f"{event.slug}-{item.number}@{host}",
        sequence=event.registrations.moves * 2 + (method == "CANCEL"),
        method=method,
        starts=programme.starts,
        ends=programme.ends,
        now=now,
        title=words(programme.title, item.lang),
        place=", ".join(part for part in (programme.venue.name, programme.venue.address) if part) if item.place == "hall" else "",
        text=text(item.lang, N_("Your registration, to see, change or cancel it:")),
        address=f"{site}/r/{event.slug}.{token(event, item.number)}",
        organiser=organiser,
        attendee=(names.get(known, ""), names.get(f"{known}/email", "")),
    )


def access_of(event: Event, item: Registration, lang: str, now: int) -> str:
    """What this person needs to get in, if they have a seat and it is time to say it."""
    place = event.programme.places.get(item.place)
    if place is None or item.status != "seated" or item.confirm_by is not None or not place.access:
        return ""
    return words(place.access, lang) if not place.access_at or now >= ms(place.access_at) else ""


def _answer(event: Event, names: Names, mail: int, message: Message, site: str) -> Letter:
    """Why a letter did not become a registration."""
    lang = event.programme.languages[0]
    places = event.programme.places.values()
    times = {"not_open_yet": [one.opens for one in places], "too_late": [one.deadline for one in places]}
    at = next((time for time in times.get(message.detail, []) if time), event.programme.starts)
    most = max((one.party for one in places), default=1)
    context = {
        "name": names.get(f"mail/{mail}", ""),
        "why": render.wording(message.detail, lang, {"at": at, "most": most}),
        "address": "",
    }
    return _written(event, "refused", lang, site, context, b"", "REQUEST")


def _written(
    event: Event, kind: str, lang: str, site: str, context: Mapping[str, Any], calendar: bytes, method: Method
) -> Letter:
    programme = event.programme
    title = words(programme.title, lang)
    filled = {
        "title": title,
        "starts": programme.starts,
        "ends": programme.ends,
        "venue": programme.venue,
        "contact": programme.contact,
        "site": site,
        "event_address": f"{site}/e/{event.slug}",
        **context,
    }
    body = render.page(f"letters/{kind}.txt", lang, **filled)
    body = re.sub(r"\n{3,}", "\n\n", body).strip() + "\n"
    subject = text(lang, SUBJECTS[kind]).format_map({"position": 1, **filled})
    paragraphs = [Markup("<br>").join(_linked(line) for line in one.split("\n")) for one in body.strip().split("\n\n")]
    html = render.page("letters/letter.html", lang, subject=subject, paragraphs=paragraphs)
    return Letter(lang, " ".join(subject.split()), body, html, calendar, method)


def _linked(line: str) -> Markup:
    """The line with its addresses as links; everything else only text."""
    made, since = Markup(""), 0
    for found in _ADDRESS.finditer(line):
        address = escape(found[0])
        made += escape(line[since : found.start()]) + Markup(f'<a href="{address}">{address}</a>')
        since = found.end()
    return made + escape(line[since:])
