"""Retention: personal data go when the person wants it, and all of them at the event's deletion date, with the notes of small
groups, which may say anything of anybody; the counts stay (GDPR Art. 17, Art. 5 (1) e)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rooms import bonds, inbox, messages, talk
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.consent import SIGNED, may
from rooms.joining import Renamed, rename
from rooms.moving_up import leave
from rooms.participation import forget_keys, keyed
from rooms.programme import ms
from rooms.register import Number, Registration, mine
from rooms.registration import forget

if TYPE_CHECKING:
    from rooms.event import Event

DAY = 24 * 3600 * 1000


class Erase(Command, frozen=True):
    """Cancel, and delete all that is known of the person (GDPR Art. 17): letters, names that sign contributions, what they said in
    the chat of small groups, and what they cancelled before. `token`: that of the registration's link; staff need none."""

    registration: Number
    token: str | None = None


class Retain(Command, frozen=True):
    """Delete what is known of people; `people`: ids in the people table that are not a registration's or a letter's. Names that
    sign a contribution stay: they are part of what was said in public, until it is withdrawn. What was said in the chat of a
    small group was not."""

    people: tuple[str, ...] = ()
    early: bool = False


class Retained(Change, frozen=True, tag="retained"):
    """The personal data are deleted, and the notes of these rooms."""

    rooms: tuple[str, ...] = ()


def due(event: Event) -> int:
    """The deletion date, in ms."""
    return ms(event.programme.ends) + event.programme.retain_days * DAY


def noted(event: Event, now: int, *, early: bool = False) -> list[str]:
    """The rooms whose notes are to be deleted: those that are over, or have been open for a day; all of them, if it is `early`."""
    found = []
    for room in event.rounds.rooms.values():
        opened_at = event.rounds.items[room.round].opened_at
        if opened_at is None or room.id in event.results.wiped:
            continue
        if early or room.closed or now >= opened_at + DAY:
            found.append(room.id)
    return found


def erase(event: Event, actor: Actor, command: Erase, now: int) -> Outcome:
    """Refuses `unknown_registration`."""
    item = mine(event, actor, command.registration, command.token)
    outcome = Outcome([], {"number": item.number, "status": "cancelled"})
    if item.status != "cancelled":
        leave(event, outcome, item, "cancelled", now)
    known = set(item.contacts.values())
    numbers = {item.number}
    for one in event.registrations.items.values():
        if one.status == "cancelled" and not one.erased and not known.isdisjoint(one.contacts.values()):
            numbers.add(one.number)
    for number in sorted(numbers):
        _forget(event, outcome, event.registrations.items[number])
        _unsign(event, outcome, event.registrations.items[number], all=True)
    browsers = {person for number in numbers for person in event.registrations.items[number].people}
    known_as = (*(f"registration/{number}" for number in sorted(numbers)), *sorted(browsers))
    talk.forget(event, outcome, known_as)
    bonds.log(event, outcome, bonds.freed(event.rounds.bonds, known_as))
    forget_keys(event, outcome, known_as)
    for mail in event.inbox.items.values():
        theirs = mail.registration in numbers or (mail.registration is None and mail.sender in known)
        if theirs and not mail.erased:
            _forget_mail(event, outcome, mail)
    return outcome


def retain(event: Event, actor: Actor, command: Retain, now: int) -> Outcome:
    """Refuses `too_early` before the date, unless `early` says that it is meant."""
    if not command.early and now < due(event):
        raise Refused("too_early", field="early")
    rooms = noted(event, now, early=command.early)
    outcome = Outcome([Retained(tuple(rooms))], notes=rooms)
    registrations = [item for item in event.registrations.items.values() if not item.erased]
    for item in registrations:
        _forget(event, outcome, item)
        _unsign(event, outcome, item, all=False)
    mails = [mail for mail in event.inbox.items.values() if not mail.erased]
    for mail in mails:
        _forget_mail(event, outcome, mail)
    others = [one for one in command.people if not one.startswith("contribution/") and one not in outcome.names]
    for one in others:
        outcome.names[one] = ""
        outcome.changes.append(Renamed(one))
    said, bound = talk.empty(event, outcome), len(event.rounds.bonds)
    bonds.log(event, outcome, {})
    bound += forget_keys(event, outcome, keyed(event))
    outcome.result = {"registrations": len(registrations), "mails": len(mails), "others": len(others)}
    outcome.result |= {"messages": said, "bonds": bound, "rooms": len(rooms)}
    if not any(outcome.result.values()):
        outcome.changes.clear()
    return outcome


def _forget(event: Event, outcome: Outcome, item: Registration) -> None:
    forget(outcome, item)
    messages.drop(event, outcome, f"registration/{item.number}")


def _forget_mail(event: Event, outcome: Outcome, mail: inbox.Mail) -> None:
    inbox.forget(outcome, mail)
    messages.drop(event, outcome, f"mail/{mail.number}")


def _unsign(event: Event, outcome: Outcome, item: Registration, *, all: bool) -> None:
    """Delete the names that sign these people's contributions, and at least those that they did not want to be shown: when the
    registration is forgotten, so is that."""
    ids = [
        f"contribution/{one.number}"
        for one in event.contributions.items.values()
        if one.person in item.people and (all or not may(event, one.person, SIGNED))
    ]
    for id in (*ids, *(item.people if all else ())):
        if id not in outcome.names:
            rename(outcome, id, "")


def retained(event: Event, change: Retained, now: int, by: str) -> tuple[str, ...]:
    """The registrations and letters tell of themselves; rooms that are over get no more notes."""
    event.results.wiped.update(id for id in change.rooms if event.rounds.rooms[id].closed)
    return ()


COMMANDS: Commands = {"registration.erase": (Erase, erase), "event.retain": (Retain, retain)}
CHANGES: Changes = {Retained: retained}
