"""Tables in the hall: one device for all who sit there and have none of their own, let in by the code on the card that lies there.

A table is a room with one participant more, the table itself: several devices may speak for it, and another one goes on where one
has failed. Its seat counts as many heads as share the device. It is held until the round is over, because its people sit there,
whatever becomes of the device.
"""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Annotated

import msgspec

from rooms import text
from rooms.breakout import LEADERS, MOST, Number, Room, Seat, at_table, hold, own_self, running_round, seats_of
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.entrance import keyed
from rooms.joining import MAX_NAME, Joined, Renamed
from rooms.participation import AtTable, Left, fill, leave_table

if TYPE_CHECKING:
    from rooms.event import Event

LENGTH = 8
"""32^8 = 10^12 codes: it is valid all evening, so it is longer than the hall's. Guessing is bounded by the rate limit."""


class SeatTable(Command, frozen=True):
    """So many people share this device at the table; to be sent again when there are more or fewer. The code is for a device that
    does not speak for this table yet. `names`: None leaves them as they are."""

    room: str
    heads: Number
    code: str = ""
    names: Annotated[tuple[str, ...], msgspec.Meta(max_length=MOST)] | None = None


class RenewCode(Command, frozen=True):
    """Another code: the old card is worth nothing, and the devices that have used it speak for the table no more."""

    room: str


class ForgetNames(Command, frozen=True):
    """Delete the names that were typed in at this table, those that sign its cards too (GDPR Art. 17)."""

    room: str


class Seated(Change, frozen=True, tag="table_seated"):
    """So many people sit at the table and share a device."""

    room: str
    heads: int


class Renewed(Change, frozen=True, tag="table_renewed"):
    """The table with this number has another code."""

    table: int


def code(event: Event, table: int) -> str:
    """What is printed on the card of the table with this number: the same in all rounds, and nowhere stored."""
    return keyed(event.secret, f"table/{table}/{event.rounds.renewed.get(table, 0)}", LENGTH)


# Deciding.


def seat_table(event: Event, actor: Actor, command: SeatTable, now: int) -> Outcome:
    """Refuses `unknown_room`, `round_closed`, `wrong_table_code`, `table_full` (`params.most`: for how many there are seats),
    `name_too_long`."""
    room = _table(event, command.room)
    if room.closed:
        raise Refused("round_closed", field="room")
    outcome = Outcome([], {"room": room.id, "heads": command.heads})
    before = event.rounds.table_of(actor.person)
    if before is None or before.number != room.number:
        _check_code(event, room, command.code)
    most = _seats_for(event, actor, room)
    if command.heads > most:
        raise Refused("table_full", field="heads", most=most)
    if before is not room:
        _sit_down(event, actor, outcome, room)
    seat = room.seats.get(at_table(room))
    if seat is None or seat.heads != command.heads or seat.away_since is not None:
        outcome.changes.append(Seated(room.id, command.heads))
    if outcome.changes:
        fill(event, outcome, event.rounds.items[room.round], heads={room.id: command.heads})
    if command.names is not None:
        names = (text.within(name, "name", 0, MAX_NAME, lines=False) for name in command.names)
        _name(outcome, at_table(room), ", ".join(filter(None, names)))
    return outcome


def renew_code(event: Event, actor: Actor, command: RenewCode, now: int) -> Outcome:
    """The table's seats are free until a device has the new code. Refuses `unknown_room`."""
    table = _table(event, command.room)
    outcome = Outcome([Renewed(table.number)], {"room": table.id})
    for room in event.rounds.rooms.values():
        if not room.table or room.number != table.number:
            continue
        outcome.changes.extend(AtTable(browser, "") for browser in room.devices)
        seat = room.seats.get(at_table(room))
        if seat is not None and not room.closed:
            outcome.changes.append(Left(room.id, at_table(room)))
    running = running_round(event)
    if running is not None:
        fill(event, outcome, running)
    return outcome


def forget_names(event: Event, actor: Actor, command: ForgetNames, now: int) -> Outcome:
    """By the table itself, also after the end; by moderators and organisers for those who ask. Refuses `unknown_room`,
    `not_your_room`."""
    room = _table(event, command.room)
    if event.rounds.table_of(actor.person) is not room and not actor.any_of(*LEADERS):
        raise Refused("not_your_room", field="room", room="")
    outcome = Outcome([], {"room": room.id})
    signed = (number for number in event.results.of_room.get(room.id, ()) if event.results.cards[number].person == at_table(room))
    for id in (at_table(room), *(f"card/{number}" for number in signed)):
        _name(outcome, id, "")
    return outcome


def _table(event: Event, id: str) -> Room:
    room = event.rounds.room(id)
    if not room.table:
        raise Refused("unknown_room", field="room")
    return room


def _check_code(event: Event, room: Room, given: str) -> None:
    typed = given.strip().upper().replace("-", "").replace(" ", "")
    if not hmac.compare_digest(typed.encode(), code(event, room.number).encode()):
        raise Refused("wrong_table_code", field="code")


def _seats_for(event: Event, actor: Actor, room: Room) -> int:
    """How many may share the device: whoever has a seat here and lends the table their phone has one seat, not two."""
    theirs = (room.seats.get(at_table(room)), room.seats.get(own_self(event, actor.person)))
    return room.free + sum(seat.heads for seat in theirs if seat is not None)


def _sit_down(event: Event, actor: Actor, outcome: Outcome, room: Room) -> None:
    """The device speaks for this table, in the hall, and for nobody else in this round."""
    leave_table(event, outcome, actor.person)
    me = own_self(event, actor.person)
    for one in event.rounds.of(event.rounds.items[room.round]):
        if me in one.seats or me in one.guests:
            outcome.changes.append(Left(one.id, me))
    outcome.changes.append(AtTable(actor.person, room.id))
    if event.attendance.place(actor.person) != "hall":
        outcome.changes.append(Joined(actor.person, "hall"))


def _name(outcome: Outcome, id: str, name: str) -> None:
    outcome.names[id] = name
    outcome.changes.append(Renamed(id))


# Applying.


def seated(event: Event, change: Seated, now: int, by: str) -> tuple[str, ...]:
    """On their seat, as many as they are."""
    room = event.rounds.rooms[change.room]
    table = at_table(room)
    seat = room.seats.setdefault(table, Seat("participant", now))
    seat.heads, seat.away_since = change.heads, None
    hold(event, room, table, None)
    return ("rounds", "plan", f"room/{room.id}", *seats_of(event, (table,)))


def renewed(event: Event, change: Renewed, now: int, by: str) -> tuple[str, ...]:
    """Another code; only paper shows it."""
    event.rounds.renewed[change.table] = event.rounds.renewed.get(change.table, 0) + 1
    return ()


COMMANDS: Commands = {
    "room.seat_table": (SeatTable, seat_table),
    "room.renew_code": (RenewCode, renew_code),
    "room.forget_names": (ForgetNames, forget_names),
}
CHANGES: Changes = {Seated: seated, Renewed: renewed}
