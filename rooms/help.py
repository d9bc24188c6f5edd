"""A small group calls for help: one call for each room, in the queue of the organisers until it is settled.

Nobody comes unannounced: who goes there claims the call, which the room is told, and is a guest whom everybody sees. A call stays
whatever happens to those who made it or go there; it ends with the room.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from rooms import text
from rooms.breakout import LEADERS, Room, seated, self_of, tag
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused

if TYPE_CHECKING:
    from rooms.event import Event

MAX_WHY = 140
"""Graphemes: a word why, on one line of the queue."""


class Call(msgspec.Struct):
    """A room needs help since this time (ms). `asked`: who has said so; `by`: who is coming, in which `role`; `rows`: rows of the
    log that hold the word why."""

    since: int
    why: str = ""
    asked: list[str] = []
    by: str = ""
    role: str = ""
    rows: list[int] = []


class Help(msgspec.Struct):
    """The call of each room that has one."""

    calls: dict[str, Call] = {}


class Ask(Command, frozen=True):
    """We need help, with a word why. Asked again, another word takes the place of the first."""

    room: str
    why: str = ""


class Claim(Command, frozen=True):
    """I am coming; `on=false` gives it back to the queue."""

    room: str
    on: bool = True


class End(Command, frozen=True):
    """It is settled, or no longer needed."""

    room: str


class Asked(Change, frozen=True, tag="help_asked"):
    """They need help there. An empty `why` leaves what was said."""

    room: str
    person: str
    why: str


class Claimed(Change, frozen=True, tag="help_claimed"):
    """This person is coming; an empty one: nobody any more."""

    room: str
    person: str
    role: str


class Ended(Change, frozen=True, tag="help_ended"):
    """The call is over."""

    room: str


# Deciding.


def ask(event: Event, actor: Actor, command: Ask, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `round_closed`, `why_too_long`."""
    room = seated(event, actor, command.room)
    why = text.within(command.why, "why", 0, MAX_WHY, lines=False)
    person = self_of(event, actor.person)
    call = event.help.calls.get(room.id, Call(now))
    another = why if why != call.why else ""
    changes: list[Change] = [Asked(room.id, person, another)] if another or person not in call.asked else []
    return Outcome(changes, {"asked": len(call.asked) + (person not in call.asked)})


def claim(event: Event, actor: Actor, command: Claim, now: int) -> Outcome:
    """Any moderator may give it back, also for somebody whose laptop has died. Refuses `unknown_room`, `no_call`,
    `already_claimed` (`params.by`, `params.role`: who is coming)."""
    room = event.rounds.room(command.room)
    call = event.help.calls.get(room.id)
    if call is None:
        raise Refused("no_call", field="room")
    person = self_of(event, actor.person) if command.on else ""
    if command.on and call.by not in ("", person):
        raise Refused("already_claimed", field="room", by=tag(event, call.by), role=call.role)
    role = ("organiser" if actor.any_of("organiser") else "moderator") if command.on else ""
    return Outcome([Claimed(room.id, person, role)] if person != call.by else [], {"room": room.id})


def end(event: Event, actor: Actor, command: End, now: int) -> Outcome:
    """By those in the room, and by moderators. Done already if there is no call. Refuses `unknown_room`, `not_your_room`,
    `round_closed`."""
    room = event.rounds.room(command.room)
    if not actor.any_of(*LEADERS):
        seated(event, actor, room.id)
    outcome = Outcome([], {"room": room.id})
    if room.id in event.help.calls:
        outcome.changes.append(Ended(room.id))
        outcome.forget += words_of(event, (room,))
    return outcome


def settle_call(event: Event, outcome: Outcome, room: Room, person: str) -> None:
    """Who came to help leaves: that settles it."""
    call = event.help.calls.get(room.id)
    if call is not None and call.by == person:
        outcome.changes.append(Ended(room.id))
        outcome.forget += words_of(event, (room,))


def unclaimed(event: Event) -> dict[str, Call]:
    """The calls by room to which nobody comes yet, the longest waiting first."""
    return {room: call for room, call in event.help.calls.items() if not call.by}


def words_of(event: Event, rooms: Iterable[Room]) -> list[int]:
    """The rows of the log that say why these rooms need help: it is nobody's business afterwards."""
    return [row for room in rooms if room.id in event.help.calls for row in event.help.calls[room.id].rows]


def forgotten(change: Change) -> Change:
    """The change without the word why."""
    return msgspec.structs.replace(change, why="") if isinstance(change, Asked) else change


def call_documents(event: Event, rooms: Iterable[str]) -> list[str]:
    """The documents of the calls of these rooms: they show whether the helper is there."""
    return [f"help/{id}" for id in rooms if id in event.help.calls]


# Applying.


def asked(event: Event, change: Asked, now: int, by: str) -> tuple[str, ...]:
    """A call, or one more who calls."""
    call = event.help.calls.setdefault(change.room, Call(now))
    if change.person not in call.asked:
        call.asked.append(change.person)
    if change.why:
        call.why = change.why
        call.rows.append(event.seq)
    return _keys(change.room)


def claimed(event: Event, change: Claimed, now: int, by: str) -> tuple[str, ...]:
    """Somebody is coming."""
    call = event.help.calls[change.room]
    call.by, call.role = change.person, change.role
    return _keys(change.room)


def ended(event: Event, change: Ended, now: int, by: str) -> tuple[str, ...]:
    """Out of the queue."""
    del event.help.calls[change.room]
    return _keys(change.room)


def _keys(room: str) -> tuple[str, ...]:
    # The moderators' line of the room is marked, and their console says who waits.
    return (f"help/{room}", f"room/{room}", "calls")


COMMANDS: Commands = {
    "room.ask_for_help": (Ask, ask),
    "room.claim_help": (Claim, claim),
    "room.end_help": (End, end),
}
CHANGES: Changes = {Asked: asked, Claimed: claimed, Ended: ended}
