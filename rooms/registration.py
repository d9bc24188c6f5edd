"""Registration: how somebody gets a seat in the hall or the conference, changes it and gives it up. Seats go in order of arrival,
whatever the way of registering."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rooms import contact, messages, text
from rooms.command import Actor, Change, Command, Commands, Outcome, Refused
from rooms.consent import Consent, Way, given, version
from rooms.entrance import keyed
from rooms.joining import Renamed
from rooms.moving_up import leave, move_up
from rooms.places import GENERAL, Line, Order, Place, PlaceName, Purpose, check_fits, folded, place_of
from rooms.programme import moment, ms
from rooms.register import (
    STAFF,
    CheckedIn,
    Confirmed,
    Consented,
    Contacts,
    Corrected,
    Entered,
    Erased,
    Number,
    People,
    Registered,
    Registration,
    Relocated,
    Returned,
    Seated,
    Status,
    Withdrawn,
    mine,
    out_of_line,
    outdated,
    token,
)

if TYPE_CHECKING:
    from rooms.event import Event

MAX_NAME, MAX_NOTE = 120, 1_000
"""Graphemes: two people's full names; a paragraph."""
FIELDS = ("", "/email", "/phone", "/note")
"""Below `registration/<n>` in the people table: name, e-mail, telephone, note of the staff."""


class Submit(Command, frozen=True):
    """Register. Staff may say that it came by another way, and when ("18:42" or ISO 8601); `present`: a walk-in, who gets a free
    seat at once or none."""

    place: PlaceName
    name: str
    email: str | None = None
    phone: str | None = None
    party: People = 1
    keyword: str | None = None
    consents: tuple[Purpose, ...] = ()
    contingent: str = GENERAL
    lang: str = "de"
    way: Way | None = None
    arrived_at: str | None = None
    note: str | None = None
    present: bool = False


class Confirm(Command, frozen=True):
    """I shall come. `token`: that of the registration's link; staff need none."""

    registration: Number
    token: str | None = None


class Cancel(Command, frozen=True):
    """I shall not come; also the answer to a new date."""

    registration: Number
    token: str | None = None


class Correct(Command, frozen=True):
    """Change what is given; an empty text removes. Arrival, contingent and note are for staff."""

    registration: Number
    token: str | None = None
    name: str | None = None
    email: str | None = None
    phone: str | None = None
    party: People | None = None
    lang: str | None = None
    contingent: str | None = None
    arrived_at: str | None = None
    note: str | None = None


class Move(Command, frozen=True):
    """To the other place, in the order of the old arrival."""

    registration: Number
    to: PlaceName


class CheckIn(Command, frozen=True):
    """They are here; `here=false` takes a slip back. Somebody who waits is seated if seats are free."""

    registration: Number
    here: bool = True


class WithdrawConsent(Command, frozen=True):
    """Take one consent back, at any time."""

    registration: Number
    purpose: Purpose
    token: str | None = None


class GiveConsent(Command, frozen=True):
    """Agree to one more purpose, or again."""

    registration: Number
    purpose: Purpose
    token: str | None = None


class Enter(Command, frozen=True):
    """Open the registration in this browser: from now on it is this person's."""

    registration: Number
    token: str


# Deciding.


def submit(event: Event, actor: Actor, command: Submit, now: int) -> Outcome:
    """Refuses `unknown_place`, `not_open`, `not_open_yet`, `too_late`, `closed`, `wrong_keyword`, `party_too_large`,
    `unknown_contingent`, `name_*`, `wrong_email`, `wrong_phone`, `contact_missing`, `consent_missing`, `already_registered`,
    `full`, `wrong_time`, `forbidden`."""
    place = place_of(event, command.place)
    staff = actor.any_of(*STAFF)
    if not staff and (command.way or command.arrived_at or command.note or command.present):
        raise Refused("forbidden", field="way")
    way: Way = command.way or ("desk" if command.present else "web")
    arrived = moment(event, command.arrived_at, now, "arrived_at")
    if not command.present:
        _check_open(event, place, arrived)
    _check_wish(place, command, staff=staff)
    personal = {
        "": text.within(command.name, "name", 2, MAX_NAME, lines=False),
        "/email": contact.email(command.email or ""),
        "/phone": contact.phone(command.phone or ""),
        "/note": text.within(command.note or "", "note", 0, MAX_NOTE),
    }
    contacts = _contacts(event, personal["/email"], personal["/phone"])
    if not contacts and not (staff and way == "desk"):
        raise Refused("contact_missing", field="email")
    lang = command.lang if command.lang in event.programme.languages else event.programme.languages[0]
    consents = given(event.programme, place, command.contingent, command.consents, lang, arrived, way)
    _check_double(event, contacts, None)

    number = len(event.registrations.items) + 1
    # Somebody at the door or on the telephone is not the helper who types: they get an id of their own.
    person = actor.person if way == "web" else f"by-{way}-registration-{number}"
    starts, contingent = event.programme.starts, command.contingent
    change = Registered(number, command.place, command.party, way, lang, arrived, starts, contingent, contacts, consents, person)
    outcome = Outcome([change])
    line = event.registrations.line(command.place)
    order = (arrived // 1000, number)
    line.enter(contingent, order)
    by = messages.reach(contacts)
    unproven = place.confirm_web and way == "web" and not staff
    outcome.result = {"number": number, "status": "seated"}
    if not unproven:
        outcome.result["token"] = token(event, number)  # else it is in the message, which proves the address
    if command.present:
        outcome.changes += [_at_door(line, place, number, contingent, command.party), CheckedIn(number, True)]
        messages.queue(event, outcome, number, "seated", now, by=by)
    elif number not in move_up(
        event, outcome, command.place, line, now, parties={number: command.party}, sure=number, by=by, unproven=unproven
    ):
        if not place.waiting_list:
            raise Refused("full", field="place")
        outcome.result |= {"status": "waiting", "position": line.position(order)}
        messages.queue(event, outcome, number, "waiting", now, by=by)
    _name(outcome, number, {field: value for field, value in personal.items() if value})
    return outcome


def confirm(event: Event, actor: Actor, command: Confirm, now: int) -> Outcome:
    """Whoever confirms too late is in line again. Refuses `unknown_registration`, `wrong_registration_state`."""
    item = mine(event, actor, command.registration, command.token)
    if item.status == "cancelled" or (item.status == "waiting" and item.confirm_by is None and not outdated(event, item)):
        raise Refused("wrong_registration_state", field="registration", state=item.status)
    outcome = Outcome([])
    if item.status == "lapsed":
        outcome.changes.append(Returned(item.number))
        if outdated(event, item):
            outcome.changes.append(Confirmed(item.number, event.programme.starts))
        line = event.registrations.line(item.place)
        line.enter(item.contingent, item.order)
        seated = move_up(event, outcome, item.place, line, now, sure=item.number)
        status: Status = "seated" if item.number in seated else "waiting"
    else:
        status = item.status
        if item.confirm_by is not None or outdated(event, item):
            outcome.changes.append(Confirmed(item.number, event.programme.starts))
        if item.confirm_by is not None and _access_is_out(event, item, now) and not messages.has(event, item, "access"):
            messages.queue(event, outcome, item.number, "access", now, detail=event.programme.starts)
    outcome.result = {"number": item.number, "status": status}
    return outcome


def cancel(event: Event, actor: Actor, command: Cancel, now: int) -> Outcome:
    """Done already if it is cancelled. Refuses `unknown_registration`."""
    item = mine(event, actor, command.registration, command.token)
    outcome = Outcome([], {"number": item.number, "status": "cancelled"})
    if item.status != "cancelled":
        leave(event, outcome, item, "cancelled", now)
        messages.queue(event, outcome, item.number, "cancelled", now)
    return outcome


def correct(event: Event, actor: Actor, command: Correct, now: int) -> Outcome:
    """Refuses `unknown_registration`, `forbidden`, `full` (a larger party), `party_too_large`, and what `submit` does."""
    item = mine(event, actor, command.registration, command.token)
    place = place_of(event, item.place)
    staff = actor.any_of(*STAFF)
    if not staff and (command.note is not None or command.contingent is not None or command.arrived_at):
        raise Refused("forbidden", field="note")
    if item.status == "cancelled" and not staff:
        raise Refused("wrong_registration_state", field="registration", state=item.status)
    personal, contacts = _personal(event, item, command)
    party = command.party or item.party
    if party > place.party and party > item.party and not staff:
        raise Refused("party_too_large", field="party", most=place.party)
    contingent = item.contingent if command.contingent is None else command.contingent
    if contingent != GENERAL and contingent not in place.reserved:
        raise Refused("unknown_contingent", field="contingent")
    if (party, contingent) != (item.party, item.contingent):
        check_fits(place, contingent, party)
    arrived = moment(event, command.arrived_at, now, "arrived_at") if command.arrived_at else item.arrived
    lang = command.lang if command.lang in event.programme.languages else item.lang
    facts = {"party": party, "lang": lang, "contingent": contingent, "arrived": arrived}
    changed = [name for name, value in facts.items() if value != getattr(item, name)]
    fields = (*(name.removeprefix("/") or "name" for name in personal), *changed)
    outcome = Outcome([], {"number": item.number, "status": item.status})
    if fields:
        line = event.registrations.line(item.place)
        pool = _reordered(line, place, item, party, contingent, (arrived // 1000, item.number))
        outcome.changes.append(Corrected(item.number, fields, party, lang, contingent, arrived, contacts, pool))
        seated = move_up(event, outcome, item.place, line, now, parties={item.number: party})
        if item.number in seated:
            outcome.result["status"] = "seated"
    _name(outcome, item.number, personal)
    return outcome


def move(event: Event, actor: Actor, command: Move, now: int) -> Outcome:
    """Refuses `unknown_registration`, `unknown_place`, `full`, `party_too_large`, `wrong_registration_state`."""
    item = event.registrations.get(command.registration)
    place = place_of(event, command.to)
    if item.status not in ("seated", "waiting"):
        raise Refused("wrong_registration_state", field="registration", state=item.status)
    outcome = Outcome([], {"number": item.number, "status": item.status})
    if command.to == item.place:
        return outcome
    contingent = item.contingent if item.contingent in place.reserved else GENERAL
    check_fits(place, contingent, item.party)
    line = event.registrations.line(command.to)
    line.enter(contingent, item.order)
    outcome.changes.append(Relocated(item.number, command.to))
    outcome.result["status"] = "seated"
    if item.number not in move_up(event, outcome, command.to, line, now, sure=item.number):
        if not place.waiting_list:
            raise Refused("full", field="to")
        outcome.result["status"] = "waiting"
        messages.queue(event, outcome, item.number, "waiting", now)
    left = event.registrations.line(item.place)
    out_of_line(left, item)
    move_up(event, outcome, item.place, left, now)
    return outcome


def check_in(event: Event, actor: Actor, command: CheckIn, now: int) -> Outcome:
    """Done already if it is so. Refuses `unknown_registration`, `wrong_registration_state`, `full`."""
    item = event.registrations.get(command.registration)
    outcome = Outcome([], {"number": item.number, "status": item.status, "here": command.here})
    if command.here == (item.here is not None):
        return outcome
    if command.here and item.status == "cancelled":
        raise Refused("wrong_registration_state", field="registration", state=item.status)
    if command.here and item.status != "seated":
        place, line = place_of(event, item.place), event.registrations.line(item.place)
        outcome.changes.append(_at_door(line, place, item.number, item.contingent, item.party))
        outcome.result["status"] = "seated"
    elif command.here and (item.confirm_by is not None or outdated(event, item)):
        outcome.changes.append(Confirmed(item.number, event.programme.starts))
    outcome.changes.append(CheckedIn(item.number, command.here))
    return outcome


def withdraw_consent(event: Event, actor: Actor, command: WithdrawConsent, now: int) -> Outcome:
    """Done already if there is none. Refuses `unknown_registration`."""
    item = mine(event, actor, command.registration, command.token)
    consent = item.consents.get(command.purpose)
    changes: list[Change] = []
    if consent is not None and consent.withdrawn_at is None:
        changes.append(Withdrawn(item.number, command.purpose))
    return Outcome(changes, {"number": item.number, "purpose": command.purpose})


def give_consent(event: Event, actor: Actor, command: GiveConsent, now: int) -> Outcome:
    """Refuses `unknown_registration`, `unknown_purpose`: what this place does not ask for."""
    item = mine(event, actor, command.registration, command.token)
    place = place_of(event, item.place)
    if command.purpose not in place.asked:
        raise Refused("unknown_purpose", field="purpose")
    old = item.consents.get(command.purpose)
    changes: list[Change] = []
    if old is None or old.withdrawn_at is not None:
        way: Way = "web" if command.token else "desk"
        consent = Consent(command.purpose, version(event.programme, command.purpose), item.lang, now, way)
        changes.append(Consented(item.number, consent))
    return Outcome(changes, {"number": item.number, "purpose": command.purpose})


def enter(event: Event, actor: Actor, command: Enter, now: int) -> Outcome:
    """Refuses `unknown_registration`."""
    item = mine(event, Actor(actor.person), command.registration, command.token)
    changes: list[Change] = [] if actor.person in item.people else [Entered(item.number, actor.person)]
    return Outcome(changes, {"number": item.number, "place": item.place})


def forget(outcome: Outcome, item: Registration) -> None:
    """Add to the outcome that nothing personal is known of this registration any more."""
    outcome.changes.append(Erased(item.number))
    outcome.forget.extend(item.rows)
    _name(outcome, item.number, dict.fromkeys(FIELDS, ""))


def _check_wish(place: Place, command: Submit, *, staff: bool) -> None:
    """What the place offers; only staff may take a larger party."""
    if command.keyword and place.keyword and folded(command.keyword) != folded(place.keyword):
        raise Refused("wrong_keyword", field="keyword", keyword=place.keyword)
    if command.party > place.party and not staff:
        raise Refused("party_too_large", field="party", most=place.party)
    if command.contingent != GENERAL and command.contingent not in place.reserved:
        raise Refused("unknown_contingent", field="contingent")
    check_fits(place, command.contingent, command.party)


def _check_open(event: Event, place: Place, arrived: int) -> None:
    if event.phase == "draft":
        raise Refused("not_open")
    if event.phase in ("closed", "documented"):
        raise Refused("closed")
    if place.opens and arrived < ms(place.opens):
        raise Refused("not_open_yet", field="place", at=place.opens)
    if arrived >= ms(place.deadline or event.programme.starts):
        raise Refused("too_late", field="place", at=place.deadline or event.programme.starts)


def _contacts(event: Event, email: str, phone: str) -> Contacts:
    """Keyed fingerprints: whoever reads the log without the event's secret cannot try out addresses."""
    known: tuple[tuple[messages.Reach, str], ...] = (("email", email.casefold()), ("phone", phone))
    return {kind: keyed(event.secret, f"contact/{kind}/{value}", 20) for kind, value in known if value}


def _check_double(event: Event, contacts: Contacts, but: int | None) -> None:
    for kind, one in contacts.items():
        number = event.registrations.by_contact.get(one)
        if number is not None and number != but:
            raise Refused("already_registered", field=kind, number=number)


def _personal(event: Event, item: Registration, command: Correct) -> tuple[dict[str, str], Contacts]:
    """What is to be written to the people table, and the fingerprints then."""
    personal: dict[str, str] = {}
    if command.name is not None:
        personal[""] = text.within(command.name, "name", 2, MAX_NAME, lines=False)
    if command.note is not None:
        personal["/note"] = text.within(command.note, "note", 0, MAX_NOTE)
    contacts = dict(item.contacts)
    for kind, said, read in (("email", command.email, contact.email), ("phone", command.phone, contact.phone)):
        if said is not None:
            value = personal[f"/{kind}"] = read(said)
            contacts.pop(kind, None)  # type: ignore[call-overload]
            contacts |= _contacts(event, **{"email": "", "phone": "", kind: value})
    if not contacts and item.contacts:
        raise Refused("contact_missing", field="email")
    _check_double(event, contacts, item.number)
    return personal, contacts


def _access_is_out(event: Event, item: Registration, now: int) -> bool:
    """Whether the others there already have what they need to get in."""
    place = event.programme.places.get(item.place)
    return place is not None and bool(place.access_at) and now >= ms(place.access_at) and now < ms(event.programme.ends)


def _at_door(line: Line, place: Place, number: int, contingent: str, party: int) -> Seated:
    """At the door who is there comes before who is not; the log shows who gave the seat. Refuses `full`."""
    pool = next((one for one in place.pools(contingent) if line.free(place, one) >= party), None)
    if pool is None:
        raise Refused("full", field="place")
    return Seated(number, pool)


def _reordered(line: Line, place: Place, item: Registration, party: int, contingent: str, order: Order) -> str:
    """Put the registration where the corrected facts want it; returns its pool. Refuses `full`: there are no seats for the larger
    party, or others wait for them."""
    if item.status == "waiting":
        line.leave(item.contingent, item.order)
        line.enter(contingent, order)
    if item.status != "seated" or (party, contingent) == (item.party, item.contingent):
        return item.pool
    line.take(item.pool, -item.party)
    pools = sorted(place.pools(contingent), key=lambda pool: pool != item.pool)
    pool = next((one for one in pools if line.free(place, one) >= party), None)
    if pool is None or ((party > item.party or pool != item.pool) and line.count()):
        raise Refused("full", field="party")
    line.take(pool, party)
    return pool


def _name(outcome: Outcome, number: int, personal: dict[str, str]) -> None:
    """Write to the people table, and say in the log that it was done."""
    for field, value in personal.items():
        id = f"registration/{number}{field}"
        outcome.names[id] = value
        outcome.changes.append(Renamed(id))


COMMANDS: Commands = {
    "registration.submit": (Submit, submit),
    "registration.confirm": (Confirm, confirm),
    "registration.cancel": (Cancel, cancel),
    "registration.correct": (Correct, correct),
    "registration.move": (Move, move),
    "registration.check_in": (CheckIn, check_in),
    "registration.withdraw_consent": (WithdrawConsent, withdraw_consent),
    "registration.give_consent": (GiveConsent, give_consent),
    "registration.enter": (Enter, enter),
}
