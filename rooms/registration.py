"""Registration: who gets a seat in the hall or the conference. Seats go in order of arrival, whatever the way of registering.

The log knows numbers, times, seats and consents. Who it is - name, address, telephone, note - is in the people table only, under
`registration/<n>`; the log holds keyed fingerprints of address and telephone, so that nobody gets two seats, and forgets them
with the person.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms import contact, messages, text
from rooms.breakout import signed
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.consent import Consent, Way, given, version
from rooms.entrance import keyed
from rooms.joining import Renamed
from rooms.places import GENERAL, MOST_IN_PARTY, Line, Order, Place, PlaceName, Purpose, check_fits, folded, place_of
from rooms.programme import moment, ms

if TYPE_CHECKING:
    from rooms.event import Event

Status = Literal["seated", "waiting", "lapsed", "cancelled"]
"""`lapsed`: had a seat and did not confirm in time; confirming late leads back into the line, at the old place."""
LIVE = ("seated", "waiting", "lapsed")

MAX_NAME, MAX_NOTE = 120, 1_000
"""Graphemes: two people's full names; a paragraph."""
FIELDS = ("", "/email", "/phone", "/note")
"""Below `registration/<n>` in the people table: name, e-mail, telephone, note of the staff."""
STAFF = ("helper", "organiser")
HOUR = 3_600_000
RECONFIRM_WITHIN = 7 * 24 * HOUR
"""Least time to confirm after the event was moved: somebody may be on holiday."""

Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
People = Annotated[int, msgspec.Meta(ge=1, le=MOST_IN_PARTY)]
Contacts = dict[messages.Reach, str]
"""Way to reach somebody → its keyed fingerprint."""


class Step(msgspec.Struct, frozen=True):
    """What was done to a registration, when (ms), by whom (person id); `detail`: the fields corrected, the purpose withdrawn."""

    what: str
    at: int
    by: str
    detail: str = ""


class Registration(msgspec.Struct):
    """One registration. `arrived`: when the call, mail or form came (ms); `entered`: when we had it; `starts`: the beginning of the
    event that it is for; `asked_for`: the one that they were asked about last; `people`: ids of the browsers
    that it was opened in; `rows`: rows of the log that hold fingerprints."""

    number: int
    place: PlaceName
    party: int
    way: Way
    lang: str
    arrived: int
    entered: int
    starts: str
    contingent: str = GENERAL
    status: Status = "waiting"
    pool: str = GENERAL
    contacts: Contacts = {}
    consents: dict[Purpose, Consent] = {}
    confirm_by: int | None = None
    here: int | None = None
    asked_for: str = ""
    erased: bool = False
    people: list[str] = []
    rows: list[int] = []
    history: list[Step] = []

    @property
    def order(self) -> Order:
        """Where it stands in the order of arrival."""
        return self.arrived // 1000, self.number


class Registrations(msgspec.Struct):
    """All registrations by number; who sits and waits by place; fingerprints and people to numbers. `moves`: how often all were
    told of another date or venue, for calendars."""

    items: dict[int, Registration] = {}
    lines: dict[PlaceName, Line] = {}
    by_contact: dict[str, int] = {}
    of_person: dict[str, list[int]] = {}
    to_confirm: dict[int, int] = {}
    moves: int = 0

    def get(self, number: int) -> Registration:
        """Refuses `unknown_registration`."""
        item = self.items.get(number)
        if item is None or item.erased:
            raise Refused("unknown_registration", field="registration")
        return item

    def line(self, place: PlaceName) -> Line:
        """Who sits and waits there; a copy, to reckon with."""
        return self.lines.get(place, Line()).copy()


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


class Lapse(Command, frozen=True):
    """The time to confirm is over. Sent by the system."""

    registration: Number
    confirm_by: int


class Settle(Command, frozen=True):
    """Give free seats to those who wait, after the facts have changed. Sent by the system."""


class Postpone(Command, frozen=True):
    """Ask everybody who registered for another date, and tell those who registered for another time of the same day."""


class Registered(Change, frozen=True, tag="registered"):
    """There is a new registration, which waits."""

    number: int
    place: PlaceName
    party: int
    way: Way
    lang: str
    arrived: int
    starts: str
    contingent: str
    contacts: Contacts
    consents: tuple[Consent, ...]
    person: str


class Seated(Change, frozen=True, tag="seated"):
    """It has seats in this pool; `confirm_by` (ms) if they have to be confirmed."""

    number: int
    pool: str
    confirm_by: int | None = None


class Confirmed(Change, frozen=True, tag="confirmed"):
    """The seats are confirmed, for the event as it is now."""

    number: int
    starts: str


class Left(Change, frozen=True, tag="left"):
    """It has no seat any more and does not wait."""

    number: int
    status: Literal["lapsed", "cancelled"]


class Returned(Change, frozen=True, tag="back_in_line"):
    """It waits again, at its old place in the order."""

    number: int


class Corrected(Change, frozen=True, tag="corrected"):
    """These are the facts now; `fields`: which of them were changed, the personal ones included."""

    number: int
    fields: tuple[str, ...]
    party: int
    lang: str
    contingent: str
    arrived: int
    contacts: Contacts
    pool: str = GENERAL


class Relocated(Change, frozen=True, tag="relocated"):
    """It waits at the other place."""

    number: int
    place: PlaceName


class CheckedIn(Change, frozen=True, tag="checked_in"):
    """They are here, or not."""

    number: int
    here: bool


class Consented(Change, frozen=True, tag="consented"):
    """This consent is on record."""

    number: int
    consent: Consent


class Withdrawn(Change, frozen=True, tag="consent_withdrawn"):
    """This consent is withdrawn."""

    number: int
    purpose: Purpose


class Entered(Change, frozen=True, tag="entered"):
    """The registration is this person's."""

    number: int
    person: str


class AskedAgain(Change, frozen=True, tag="asked_again"):
    """The event has moved: the seats have to be confirmed by `confirm_by`; without it, it is only noted."""

    number: int
    starts: str
    confirm_by: int | None = None


class Told(Change, frozen=True, tag="move_told"):
    """All registrations were told of the event's new time."""


class Erased(Change, frozen=True, tag="erased"):
    """Nothing personal is known of it any more."""

    number: int


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
    if command.keyword and place.keyword and folded(command.keyword) != folded(place.keyword):
        raise Refused("wrong_keyword", field="keyword", keyword=place.keyword)
    if command.party > place.party and not staff:
        raise Refused("party_too_large", field="party", most=place.party)
    if command.contingent != GENERAL and command.contingent not in place.reserved:
        raise Refused("unknown_contingent", field="contingent")
    check_fits(place, command.contingent, command.party)
    name = text.within(command.name, "name", 2, MAX_NAME, lines=False)
    email, phone = contact.email(command.email or ""), contact.phone(command.phone or "")
    note = text.within(command.note or "", "note", 0, MAX_NOTE)
    personal = {"": name, "/email": email, "/phone": phone, "/note": note}
    if not email and not phone and not (staff and way == "desk"):
        raise Refused("contact_missing", field="email")
    lang = command.lang if command.lang in event.programme.languages else event.programme.languages[0]
    consents = given(event.programme, place, command.contingent, command.consents, lang, arrived, way)
    contacts = _contacts(event, email, phone)
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
    elif number not in _settle(
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
        seated = _settle(event, outcome, item.place, line, now, sure=item.number)
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
        seated = _settle(event, outcome, item.place, line, now, parties={item.number: party})
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
    if item.number not in _settle(event, outcome, command.to, line, now, sure=item.number):
        if not place.waiting_list:
            raise Refused("full", field="to")
        outcome.result["status"] = "waiting"
        messages.queue(event, outcome, item.number, "waiting", now)
    left = event.registrations.line(item.place)
    _out(left, item)
    _settle(event, outcome, item.place, left, now)
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


def lapse(event: Event, actor: Actor, command: Lapse, now: int) -> Outcome:
    """Nothing, if it was confirmed meanwhile."""
    item = event.registrations.items.get(command.registration)
    if item is None or item.status != "seated" or item.confirm_by != command.confirm_by or now < command.confirm_by or item.here:
        return Outcome()
    outcome = Outcome([])
    leave(event, outcome, item, "lapsed", now)
    messages.queue(event, outcome, item.number, "lapsed", now)
    return outcome


def settle(event: Event, actor: Actor, command: Settle, now: int) -> Outcome:
    """Nothing, if no seat can be given."""
    outcome = Outcome([])
    for name in event.registrations.lines:
        if name in event.programme.places:
            _settle(event, outcome, name, event.registrations.line(name), now)
    return outcome


def postpone(event: Event, actor: Actor, command: Postpone, now: int) -> Outcome:
    """Another day: everybody is asked to confirm. Another hour or none: everybody is told."""
    outcome = Outcome([], {"asked": 0, "told": 0})
    starts = event.programme.starts
    for item in event.registrations.items.values():
        if not to_be_told(event, item):
            continue
        another_day = item.starts[:10] != starts[:10]
        by = max(_confirm_by(event, event.programme.places[item.place], now), min(now + RECONFIRM_WITHIN, ms(starts)))
        asked = another_day and item.status == "seated"
        outcome.changes.append(AskedAgain(item.number, starts, by if asked else None))
        outcome.result["asked" if asked else "told"] += 1
        messages.queue(event, outcome, item.number, "postponed" if asked else "changed", now, detail=starts)
    if outcome.changes:
        outcome.changes.append(Told())
    return outcome


def token(event: Event, number: int) -> str:
    """The secret part of the link of a registration, e.g. `17.K7QF…` (100 bits)."""
    return f"{number}.{keyed(event.secret, f'registration/{number}', 20)}"


def of_token(event: Event, given: str) -> Registration | None:
    """The registration that this token belongs to, if the token is right and the person is not forgotten."""
    number = given.strip().partition(".")[0]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    item = event.registrations.items.get(int(number))
    right = item is not None and hmac.compare_digest(token(event, item.number).encode(), given.strip().upper().encode())
    return item if item is not None and right and not item.erased else None


def mine(event: Event, actor: Actor, number: int, given: str | None) -> Registration:
    """The registration, for staff and for whoever has its link. Refuses `unknown_registration` to everybody else: nobody learns
    which numbers there are."""
    item = of_token(event, given) if given else None
    if item is not None and item.number == number:
        return item
    if not actor.any_of(*STAFF):
        raise Refused("unknown_registration", field="registration")
    return event.registrations.get(number)


def timers(event: Event) -> Iterator[Timer]:
    """Confirmations that run out; seats that a change of the facts has made free."""
    for number, by in event.registrations.to_confirm.items():
        yield Timer(by, f"timer/lapse/{number}/{by}", "registration.lapse", Lapse(registration=number, confirm_by=by))
    for name, line in event.registrations.lines.items():
        place = event.programme.places.get(name)
        if place is not None and next(iter(line.heads().settle(place, _people(event))), None) is not None:
            yield Timer(0, f"timer/settle/{name}/{event.touched.get('event', 0)}", "registration.settle", Settle())


def leave(event: Event, outcome: Outcome, item: Registration, status: Literal["lapsed", "cancelled"], now: int) -> None:
    """Add to the outcome that the seats are free, and who moves up."""
    outcome.changes.append(Left(item.number, status))
    line = event.registrations.line(item.place)
    _out(line, item)
    _settle(event, outcome, item.place, line, now)


def forget(outcome: Outcome, item: Registration) -> None:
    """Add to the outcome that nothing personal is known of this registration any more."""
    outcome.changes.append(Erased(item.number))
    outcome.forget.extend(item.rows)
    _name(outcome, item.number, dict.fromkeys(FIELDS, ""))


def forgotten(change: Change) -> Change:
    """The change without the fingerprints of somebody who is forgotten."""
    return msgspec.structs.replace(change, contacts={}) if isinstance(change, Registered | Corrected) else change


def outdated(event: Event, item: Registration) -> bool:
    """Whether it is for another time than the event's."""
    return item.starts != event.programme.starts


def to_be_told(event: Event, item: Registration) -> bool:
    """Whether it has not been told of the event's time yet."""
    comes = item.status in ("seated", "waiting") and not item.erased
    return comes and outdated(event, item) and item.asked_for != event.programme.starts


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


def _confirm_by(event: Event, place: Place, now: int) -> int:
    """Until when somebody who moves up now has to confirm: never after the event has begun."""
    return min(now + int(place.confirm_within * HOUR), ms(event.programme.starts))


def _people(event: Event, but: dict[int, int] | None = None) -> Callable[[int], int]:
    """How many a registration is for; `but`: what the state does not say yet."""
    changed = but or {}
    return lambda number: changed.get(number) or event.registrations.items[number].party


def _settle(
    event: Event, outcome: Outcome, name: PlaceName, line: Line, now: int, *,
    parties: dict[int, int] | None = None, sure: int = 0, by: messages.Reach | None = None, unproven: bool = False,
) -> set[int]:  # fmt: skip
    """Give free seats to those who wait there; returns who got one. `sure` need not confirm: they have just said that they come.
    Nobody moves up when the event has begun: the door sees who is there. But who is entered late gets a seat that nobody
    waits for."""
    place = event.programme.places.get(name)
    if place is None:
        return set()
    begun = now >= ms(event.programme.starts)
    seated = dict((line.copy() if begun else line).settle(place, _people(event, parties)))
    if begun and seated.keys() != {sure}:
        return set()
    for number, pool in seated.items():
        confirmed = number == sure and not unproven
        outcome.changes.append(Seated(number, pool, None if confirmed else _confirm_by(event, place, now)))
        messages.queue(event, outcome, number, "seated" if number == sure else "moved_up", now, by=by)
    return set(seated)


def _at_door(line: Line, place: Place, number: int, contingent: str, party: int) -> Seated:
    """At the door who is there comes before who is not; the log shows who gave the seat. Refuses `full`."""
    pool = next((one for one in place.pools(contingent) if line.free(place, one) >= party), None)
    if pool is None:
        raise Refused("full", field="place")
    return Seated(number, pool)


def _out(line: Line, item: Registration) -> None:
    if item.status == "seated":
        line.take(item.pool, -item.party)
    elif item.status == "waiting":
        line.leave(item.contingent, item.order)


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


# Applying.


def registered(event: Event, change: Registered, now: int, by: str) -> tuple[str, ...]:
    """In line."""
    item = Registration(
        change.number, change.place, change.party, change.way, change.lang, change.arrived, now, change.starts,
        contingent=change.contingent, contacts=change.contacts, consents={one.purpose: one for one in change.consents},
    )  # fmt: skip
    all = event.registrations
    all.items[item.number] = item
    item.rows.append(event.seq)
    _fingerprint(event, item, change.contacts)
    all.lines.setdefault(item.place, Line()).enter(item.contingent, item.order)
    if change.person:
        _belongs(event, item, change.person)
    return (*_step(item, "registered", now, by, counted=True), *_shown(event, item))


def seated(event: Event, change: Seated, now: int, by: str) -> tuple[str, ...]:
    """Out of the line, or from nowhere at the door, into a pool."""
    item = event.registrations.items[change.number]
    line = event.registrations.lines[item.place]
    if item.status == "waiting":
        line.leave(item.contingent, item.order)
    line.take(change.pool, item.party)
    item.status, item.pool = "seated", change.pool
    _awaits(event, item, change.confirm_by)
    return _step(item, "seated", now, by, counted=True)


def confirmed(event: Event, change: Confirmed, now: int, by: str) -> tuple[str, ...]:
    """Nothing is waited for."""
    item = event.registrations.items[change.number]
    item.starts = change.starts
    _awaits(event, item, None)
    return _step(item, "confirmed", now, by, counted=True)


def left(event: Event, change: Left, now: int, by: str) -> tuple[str, ...]:
    """The seats are free; whoever cancelled may register again, who lapsed is still known."""
    item = event.registrations.items[change.number]
    _out(event.registrations.lines[item.place], item)
    item.status, item.pool = change.status, GENERAL
    _awaits(event, item, None)
    if change.status == "cancelled":
        _fingerprint(event, item, {})
    return _step(item, change.status, now, by, counted=True)


def returned(event: Event, change: Returned, now: int, by: str) -> tuple[str, ...]:
    """In line, at the old place."""
    item = event.registrations.items[change.number]
    item.status = "waiting"
    event.registrations.lines[item.place].enter(item.contingent, item.order)
    return _step(item, "back", now, by, counted=True)


def corrected(event: Event, change: Corrected, now: int, by: str) -> tuple[str, ...]:
    """The facts, and where they put the registration."""
    item = event.registrations.items[change.number]
    line = event.registrations.lines[item.place]
    _out(line, item)
    item.party, item.lang, item.contingent, item.arrived = change.party, change.lang, change.contingent, change.arrived
    if item.status != "cancelled":
        _fingerprint(event, item, change.contacts)  # the old ones lead nowhere
    item.contacts = change.contacts
    item.pool = change.pool
    if item.status == "seated":
        line.take(item.pool, item.party)
    elif item.status == "waiting":
        line.enter(item.contingent, item.order)
    item.rows.append(event.seq)
    return _step(item, "corrected", now, by, ", ".join(change.fields), counted=True)


def relocated(event: Event, change: Relocated, now: int, by: str) -> tuple[str, ...]:
    """In the other place's line."""
    item = event.registrations.items[change.number]
    _out(event.registrations.lines[item.place], item)
    place = event.programme.places[change.place]
    item.place, item.status, item.pool = change.place, "waiting", GENERAL
    item.contingent = item.contingent if item.contingent in place.reserved else GENERAL
    event.registrations.lines.setdefault(item.place, Line()).enter(item.contingent, item.order)
    _awaits(event, item, None)
    return (*_step(item, "moved", now, by, change.place, counted=True), *_shown(event, item))


def checked_in(event: Event, change: CheckedIn, now: int, by: str) -> tuple[str, ...]:
    """Here, or not."""
    item = event.registrations.items[change.number]
    item.here = now if change.here else None
    return _step(item, "here" if change.here else "not_here", now, by, counted=True)


def consented(event: Event, change: Consented, now: int, by: str) -> tuple[str, ...]:
    """On record; everything that shows the person may change."""
    item = event.registrations.items[change.number]
    item.consents[change.consent.purpose] = change.consent
    return (*_step(item, "consented", now, by, change.consent.purpose), *_shown(event, item))


def withdrawn(event: Event, change: Withdrawn, now: int, by: str) -> tuple[str, ...]:
    """Off every screen that shows the person by this consent."""
    item = event.registrations.items[change.number]
    item.consents[change.purpose] = msgspec.structs.replace(item.consents[change.purpose], withdrawn_at=now)
    return (*_step(item, "consent_withdrawn", now, by, change.purpose), *_shown(event, item))


def entered(event: Event, change: Entered, now: int, by: str) -> tuple[str, ...]:
    """The registration speaks for this person."""
    item = event.registrations.items[change.number]
    _belongs(event, item, change.person)
    return (f"seat/{change.person}", *signed(event, change.person), *_shown(event, item))


def asked_again(event: Event, change: AskedAgain, now: int, by: str) -> tuple[str, ...]:
    """To be confirmed; who waits, or registered for another hour of the day, only knows."""
    item = event.registrations.items[change.number]
    item.asked_for = change.starts
    if change.confirm_by is None:
        item.starts = change.starts
    else:
        _awaits(event, item, change.confirm_by)
    return _step(item, "asked" if change.confirm_by else "told", now, by, counted=True)


def told(event: Event, change: Told, now: int, by: str) -> tuple[str, ...]:
    """Calendars take the new time for a newer one."""
    event.registrations.moves += 1
    return ("registrations",)


def erased(event: Event, change: Erased, now: int, by: str) -> tuple[str, ...]:
    """Only the counts are left."""
    item = event.registrations.items[change.number]
    shown = _shown(event, item)
    _fingerprint(event, item, {})
    for person in item.people:
        numbers = event.registrations.of_person[person]
        numbers.remove(item.number)
        if not numbers:
            del event.registrations.of_person[person]
    _awaits(event, item, None)
    item.erased, item.contacts = True, {}
    touched = _step(item, "erased", now, by, counted=True)
    item.people.clear()
    item.rows.clear()
    return (*touched, *shown)


def _step(item: Registration, what: str, now: int, by: str, detail: str = "", *, counted: bool = False) -> tuple[str, ...]:
    item.history.append(Step(what, now, by, detail))
    # Who somebody is in the small groups hangs on their registration.
    keys = (f"registration/{item.number}", *(f"seat/{person}" for person in item.people))
    return (*keys, "registrations", "places") if counted else keys


def _fingerprint(event: Event, item: Registration, contacts: Contacts) -> None:
    """Only these lead to the registration from now on."""
    known = event.registrations.by_contact
    for one in item.contacts.values():
        if known.get(one) == item.number:
            del known[one]
    known.update(dict.fromkeys(contacts.values(), item.number))


def _belongs(event: Event, item: Registration, person: str) -> None:
    item.people.append(person)
    event.registrations.of_person.setdefault(person, []).append(item.number)


def _awaits(event: Event, item: Registration, confirm_by: int | None) -> None:
    item.confirm_by = confirm_by
    event.registrations.to_confirm.pop(item.number, None)
    if confirm_by is not None:
        event.registrations.to_confirm[item.number] = confirm_by


def _shown(event: Event, item: Registration) -> tuple[str, ...]:
    """What shows the name of this registration's people."""
    people = set(item.people)
    keys = [f"contribution/{one.number}" for one in event.contributions.items.values() if one.person in people]
    return (*keys, "on_air") if f"contribution/{event.contributions.on_air}" in keys else tuple(keys)


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
    "registration.lapse": (Lapse, lapse),
    "registration.settle": (Settle, settle),
    "registration.postpone": (Postpone, postpone),
}
CHANGES: Changes = {
    Registered: registered,
    Seated: seated,
    Confirmed: confirmed,
    Left: left,
    Returned: returned,
    Corrected: corrected,
    Relocated: relocated,
    CheckedIn: checked_in,
    Consented: consented,
    Withdrawn: withdrawn,
    Entered: entered,
    AskedAgain: asked_again,
    Told: told,
    Erased: erased,
}
