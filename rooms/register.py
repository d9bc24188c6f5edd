"""The register: who has a seat in the hall or the conference, who waits, and what was done to each registration.

The log knows numbers, times, seats and consents. Who it is - name, address, telephone, note - is in the people table only, under
`registration/<n>`; the log holds keyed fingerprints of address and telephone, so that nobody gets two seats, and forgets them
with the person.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms import messages
from rooms.breakout import signed
from rooms.command import Actor, Change, Changes, Refused
from rooms.consent import Consent, Way
from rooms.entrance import keyed
from rooms.places import GENERAL, MOST_IN_PARTY, Line, Order, PlaceName, Purpose

if TYPE_CHECKING:
    from rooms.event import Event

Status = Literal["seated", "waiting", "lapsed", "cancelled"]
"""`lapsed`: had a seat and did not confirm in time; confirming late leads back into the line, at the old place."""
LIVE = ("seated", "waiting", "lapsed")
STAFF = ("helper", "organiser")
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


# Reading.


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


def out_of_line(line: Line, item: Registration) -> None:
    """The line no longer counts this registration, neither its seats nor its wait."""
    if item.status == "seated":
        line.take(item.pool, -item.party)
    elif item.status == "waiting":
        line.leave(item.contingent, item.order)


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
    out_of_line(event.registrations.lines[item.place], item)
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
    out_of_line(line, item)
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
    out_of_line(event.registrations.lines[item.place], item)
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
