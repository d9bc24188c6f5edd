"""Registrations as each audience sees them: everybody the free seats, staff the list with the people, the door who is here and who
may be filmed, and the person their own."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, TypedDict

from moderation.event import Event
from moderation.shape import Names, iso, words
from rooms.consent import may
from rooms.inbox import Mail
from rooms.messages import Message
from rooms.places import GENERAL, OFF_CAMERA, Line, Place
from rooms.programme import ms
from rooms.register import Registration, outdated, to_be_told, token
from rooms.retention import due


class FreeData(TypedDict):
    """One place's seats. `seats` and `free` are those for everybody (none is free while somebody waits), `reserved` the free ones
    of the contingents. `opens`, `deadline`: ISO 8601."""

    place: str
    seats: int
    free: int
    reserved: int
    waiting: int
    waiting_list: bool
    opens: str
    deadline: str
    keyword: str
    party: int


class PlacesData(TypedDict):
    """`places`. `open`: the event is in the phase in which people register."""

    items: list[FreeData]
    open: bool
    contact: str


class ConsentData(TypedDict):
    """One purpose that the place asks for. `state`: given, withdrawn or missing."""

    purpose: str
    state: str
    required: bool
    version: str
    at: str
    way: str


class MessageData(TypedDict):
    """One message to this person."""

    number: int
    kind: str
    state: str
    at: str
    reason: str
    detail: str


class StepData(TypedDict):
    """What was done to the registration."""

    what: str
    at: str
    by: str
    detail: str


class DoorData(TypedDict):
    """`registration/<n>` at the door. `camera`: "both", "one" or "none" of picture and voice are agreed to; `proof`: SHA-256 of the
    token in the person's QR code, so that the door can tell a right one while the network is away."""

    number: int
    name: str
    place: str
    status: str
    party: int
    contingent: str
    here: str
    camera: str
    consents: list[ConsentData]
    to_confirm: bool
    proof: str


class RegistrationData(DoorData):
    """`registration/<n>` for the organisers. `late`: it was entered more than a minute after it had arrived."""

    email: str
    phone: str
    note: str
    way: str
    lang: str
    arrived: str
    entered: str
    late: bool
    corrected: bool
    outdated: bool
    confirm_by: str
    off_camera: bool
    messages: list[MessageData]
    history: list[StepData]


class CountData(TypedDict):
    """One place in numbers of people; `waiting` in registrations. `pools`: contingent → taken and seats."""

    place: str
    seats: int
    taken: int
    waiting: int
    here: int
    to_confirm: int
    pools: list[tuple[str, int, int]]


class CountsData(TypedDict):
    """`registrations`. `outdated`: registered for another time; `calls`: to be told by telephone; `trouble`: messages that failed
    or may not have arrived; `mails`: open in the tray; `retain_at`: the deletion date."""

    places: list[CountData]
    outdated: int
    queued: int
    sent: int
    calls: int
    trouble: int
    mails: int
    retain_at: str


class MailData(TypedDict):
    """`mail/<n>`. `verdict`: what the rule made of it."""

    number: int
    arrived: str
    verdict: str
    detail: str
    name: str
    email: str
    subject: str
    text: str
    registration: int | None
    open: bool
    answered: bool


def places(event: Event) -> PlacesData:
    """How many seats there are."""
    programme = event.programme
    return {
        "items": [
            {
                "place": name,
                "seats": place.size(GENERAL),
                "free": _free(event, name, place),
                "reserved": sum(_line(event, name).free(place, pool) for pool in place.reserved),
                "waiting": _line(event, name).count(),
                "waiting_list": place.waiting_list,
                "opens": place.opens,
                "deadline": place.deadline or programme.starts,
                "keyword": place.keyword,
                "party": place.party,
            }
            for name, place in programme.places.items()
        ],
        "open": event.phase == "registration",
        "contact": programme.contact,
    }


def counts(event: Event) -> CountsData:
    """Everything in numbers."""
    items = event.registrations.items.values()
    seated = [item for item in items if item.status == "seated"]
    states = event.messages.counts
    return {
        "places": [
            {
                "place": name,
                "seats": place.seats,
                "taken": sum(_line(event, name).taken.values()),
                "waiting": _line(event, name).count(),
                "here": sum(item.party for item in seated if item.place == name and item.here is not None),
                "to_confirm": sum(item.place == name and item.confirm_by is not None for item in seated),
                "pools": [(pool, _line(event, name).taken.get(pool, 0), size) for pool, size in place.reserved.items()],
            }
            for name, place in event.programme.places.items()
        ],
        "outdated": sum(to_be_told(event, item) for item in items),
        "queued": states.get("queued", 0) + states.get("sending", 0),
        "sent": states.get("sent", 0) + states.get("told", 0),
        "calls": states.get("call", 0),
        "trouble": states.get("failed", 0) + states.get("uncertain", 0),
        "mails": event.inbox.open,
        "retain_at": iso(due(event)) if event.programme.ends else "",
    }


def door(event: Event, names: Names, item: Registration) -> DoorData:
    """Who it is, without how to reach them."""
    return {
        "number": item.number,
        "name": names.get(f"registration/{item.number}", ""),
        "place": item.place,
        "status": item.status,
        "party": item.party,
        "contingent": item.contingent,
        "here": iso(item.here) if item.here is not None else "",
        "camera": camera(event, item),
        "consents": consents(event, item),
        "to_confirm": item.confirm_by is not None,
        "proof": hashlib.sha256(token(event, item.number).encode()).hexdigest(),
    }


def full(event: Event, names: Names, item: Registration) -> RegistrationData:
    """All that is known, for those who take registrations; and for the person."""
    known = f"registration/{item.number}"
    told = [event.messages.items[number] for number in event.messages.of.get(known, ())]
    return {
        **door(event, names, item),
        "email": names.get(f"{known}/email", ""),
        "phone": names.get(f"{known}/phone", ""),
        "note": names.get(f"{known}/note", ""),
        "way": item.way,
        "lang": item.lang,
        "arrived": iso(item.arrived),
        "entered": iso(item.entered),
        "late": item.entered - item.arrived > 60_000,
        "corrected": any(step.what in ("corrected", "moved") for step in item.history),
        "outdated": outdated(event, item),
        "confirm_by": iso(item.confirm_by) if item.confirm_by is not None else "",
        "off_camera": item.pool == OFF_CAMERA,
        "messages": [_message(one) for one in told],
        "history": [
            {"what": step.what, "at": iso(step.at), "by": _by(names, item, step.by), "detail": step.detail}
            for step in item.history
        ],
    }


def mail(names: Names, item: Mail) -> MailData:
    """A letter in the tray."""
    known = f"mail/{item.number}"
    return {
        "number": item.number,
        "arrived": iso(item.arrived),
        "verdict": item.verdict,
        "detail": item.detail,
        "name": names.get(known, ""),
        "email": names.get(f"{known}/email", ""),
        "subject": names.get(f"{known}/subject", ""),
        "text": names.get(f"{known}/text", ""),
        "registration": item.registration,
        "open": item.open,
        "answered": item.answered,
    }


def consents(event: Event, item: Registration) -> list[ConsentData]:
    """What the place asks for, and what this person has said."""
    place = event.programme.places.get(item.place)
    required = place.required(item.contingent) if place else ()
    asked = list(dict.fromkeys((*(place.asked if place else ()), *item.consents)))
    return [
        {
            "purpose": purpose,
            "state": "missing" if one is None else "given" if one.withdrawn_at is None else "withdrawn",
            "required": purpose in required,
            "version": one.version if one else "",
            "at": iso(one.withdrawn_at or one.at) if one else "",
            "way": one.way if one else "",
        }
        for purpose in asked
        for one in (item.consents.get(purpose),)
    ]


def camera(event: Event, item: Registration) -> str:
    """How the camera crew may treat this seat. Off camera nobody is filmed, whatever they agreed to."""
    agreed = sum(may(event, f"registration/{item.number}", purpose) for purpose in ("picture", "voice"))
    return "none" if item.pool == OFF_CAMERA or agreed == 0 else "one" if agreed == 1 else "both"


def shut(event: Event, place: Mapping[str, Any], now: int) -> str:
    """Why nobody can register there now, as the refusal's code; empty if they can."""
    if event.phase == "draft":
        return "not_open"
    if event.phase in ("closed", "documented"):
        return "closed"
    if place["opens"] and now < ms(place["opens"]):
        return "not_open_yet"
    if now >= ms(place["deadline"]):
        return "too_late"
    return "full" if place["free"] + place["reserved"] == 0 and not place["waiting_list"] else ""


def text_of(event: Event, purpose: str, lang: str) -> str:
    """The organiser's own words for a consent; empty: those of the catalogs."""
    own = event.programme.consent_texts.get(purpose)  # type: ignore[call-overload]
    return words(own.text, lang) if own else ""


def _message(message: Message) -> MessageData:
    return {
        "number": message.number,
        "kind": message.kind,
        "state": message.state,
        "at": iso(message.changed_at),
        "reason": message.reason,
        "detail": message.detail,
    }


def _by(names: Names, item: Registration, person: str) -> str:
    return "" if person in item.people else names.get(person, "") or ("system" if person == "system" else "staff")


def _free(event: Event, name: Any, place: Place) -> int:
    """Seats that whoever comes now can have: none while somebody waits for them."""
    line = _line(event, name)
    waiting = any(orders for contingent, orders in line.waiting.items() if GENERAL in place.pools(contingent))
    return 0 if waiting else max(0, line.free(place, GENERAL))


def _line(event: Event, name: Any) -> Line:
    return event.registrations.lines.get(name) or Line()
