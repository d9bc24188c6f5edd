"""Visits of the team to a small group: one whose pages are all gone ends by itself, as nobody else can end it.

Only who was seen on a screen can be gone from it: who visits without a script ends the visit by a button.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from rooms.breakout import SECOND, Round, running_round
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Timer
from rooms.help import Claimed
from rooms.participation import Left

if TYPE_CHECKING:
    from rooms.event import Event

LONGEST = 60
"""Seconds that a visit outlives its last page: enough to load it anew or to change the network, and no longer than the round holds
a seat. A guest has none to lose, and as long as the visit lasts a room believes that it is heard and its call answered."""


class GuestAway(Command, frozen=True):
    """A visitor's last page is gone, or one is open. Sent by the system."""

    room: str
    person: str
    away: bool


class EndVisit(Command, frozen=True):
    """The visitor has not come back. Sent by the system."""

    room: str
    person: str
    gone_since: int


class WentAway(Change, frozen=True, tag="guest_away"):
    """The room is on no screen of the visitor any more, or on one."""

    room: str
    person: str
    away: bool


def guest_away(event: Event, actor: Actor, command: GuestAway, now: int) -> Outcome:
    """Nothing if it is so already. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    visit = room.guests.get(command.person)
    if visit is None or room.closed:
        return Outcome()
    changes = (visit.gone_since is None) == command.away if visit.seen else not command.away
    return Outcome([WentAway(room.id, command.person, command.away)] if changes else [])


def end_visit(event: Event, actor: Actor, command: EndVisit, now: int) -> Outcome:
    """Nothing if they came back meanwhile. A call for help that they came for goes back to the queue: nobody has settled it.
    Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    visit = room.guests.get(command.person)
    gone = visit is not None and not room.closed and visit.gone_since == command.gone_since
    if not gone or now < _until(event.rounds.items[room.round], command.gone_since):
        return Outcome()
    outcome = Outcome([Left(room.id, command.person)])
    call = event.help.calls.get(room.id)
    if call is not None and call.by == command.person:
        outcome.changes.append(Claimed(room.id, "", ""))
    return outcome


def timers(event: Event) -> Iterator[Timer]:
    """Visits that nobody goes on with."""
    round = running_round(event)
    if round is None:
        return
    for room in event.rounds.of(round):
        for person, visit in room.guests.items() if not room.closed else ():
            if (since := visit.gone_since) is not None:
                command = EndVisit(room=room.id, person=person, gone_since=since)
                yield Timer(_until(round, since), f"timer/visit/{room.id}/{person}/{since}", "room.end_visit", command)


def _until(round: Round, since: int) -> int:
    return since + min(LONGEST, round.hold) * SECOND


def went_away(event: Event, change: WentAway, now: int, by: str) -> tuple[str, ...]:
    """Nothing that anybody is shown: the visit lasts."""
    visit = event.rounds.rooms[change.room].guests[change.person]
    visit.seen, visit.gone_since = True, now if change.away else None
    return ()


COMMANDS: Commands = {"room.guest_away": (GuestAway, guest_away), "room.end_visit": (EndVisit, end_visit)}
CHANGES: Changes = {WentAway: went_away}
