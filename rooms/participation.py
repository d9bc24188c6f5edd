"""Who takes part in small groups and where they are: assigned, entering, leaving, moved, away and back.

Nobody is lost: who comes late is placed by the round's policy, who finds all rooms full waits for the next free seat.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec

from rooms import text
from rooms.assignment import Conditions, late
from rooms.breakout import (
    SECOND,
    STAFF,
    TABLE,
    Bond,
    Participant,
    Plan,
    Room,
    Round,
    Visit,
    at_table,
    hold,
    named,
    own_self,
    running_round,
    seats_of,
    self_of,
    shown_in,
    tagged,
    unseat,
)
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.help import call_documents, settle_call
from rooms.known import Known, slot_of

if TYPE_CHECKING:
    from rooms.event import Event


MAX_WORD = 40
"""Graphemes of a word that people have agreed on, by which they stay together or apart."""
UNTOLD = Conditions(topics=True, languages=True)
"""What counts for those who come late to a round that no lot was drawn for."""


class Join(Command, frozen=True):
    """Take part in the small groups, with wishes. While a round is open this leads to a room, or to the waiting list."""

    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    together: str = ""
    apart: str = ""


class Enter(Command, frozen=True):
    """Take one's seat, or choose one. Staff without a seat visit as guests."""

    room: str


class Leave(Command, frozen=True):
    """Give the seat up, or end a visit."""

    room: str


class Move(Command, frozen=True):
    """Put somebody, or several people at once, into another room of the round."""

    to: str
    person: str = ""
    people: tuple[str, ...] = ()


class Away(Command, frozen=True):
    """Somebody has lost the connection, or has one (again). Sent by the system."""

    room: str
    person: str
    away: bool


class Release(Command, frozen=True):
    """The time for which a seat was held is over. Sent by the system."""

    room: str
    person: str
    away_since: int


class Joined(Change, frozen=True, tag="round_joined"):
    """This person takes part, with these wishes."""

    person: str
    topics: tuple[str, ...]
    languages: tuple[str, ...]
    together: str
    apart: str


class Assigned(Change, frozen=True, tag="round_assigned"):
    """These people have these rooms (person → room) and these wait; who had another room in the round has left it. `drawn`: by lot,
    under these conditions."""

    round: int
    seed: int
    seats: dict[str, str]
    waiting: tuple[str, ...]
    drawn: Conditions | None = None


class Entered(Change, frozen=True, tag="room_entered"):
    """They are in the room, on a seat or as a guest."""

    room: str
    person: str
    guest: bool = False


class Left(Change, frozen=True, tag="room_left"):
    """They are not in the room any more, and have no seat there."""

    room: str
    person: str


class Waits(Change, frozen=True, tag="round_waits"):
    """All rooms are full: they wait for the next free seat."""

    round: int
    person: str


class AtTable(Change, frozen=True, tag="table_device"):
    """This browser speaks for the table that is this room, or (empty) for none any more."""

    person: str
    room: str


class WentAway(Change, frozen=True, tag="room_away"):
    """Their seat is held, or they are back on it."""

    room: str
    person: str
    away: bool


# Deciding.


def join(event: Event, actor: Actor, command: Join, now: int) -> Outcome:
    """Refuses `unknown_topic`."""
    if any(event.programme.topic(topic) is None for topic in command.topics):
        raise Refused("unknown_topic", field="topics")
    outcome = Outcome([], {"room": "", "waiting": False})
    table = event.rounds.table_of(actor.person)
    if table is not None and not table.closed:
        outcome.result["room"] = table.id
        return outcome
    leave_table(event, outcome, actor.person)
    person = own_self(event, actor.person)
    together, apart = (text.clipped(word, MAX_WORD, lines=False).casefold() for word in (command.together, command.apart))
    if (before := event.rounds.people.get(person)) is not None:
        outcome.forget += before.rows
    outcome.changes.append(Joined(person, command.topics, command.languages, together, apart))
    running = running_round(event)
    if running is None:
        return outcome
    room = event.rounds.seat_in(running, person)
    comes = person if room is None and running.policy != "chosen" else ""
    found = fill(event, outcome, running, comes=comes)
    if comes and comes not in found:
        outcome.changes.append(Waits(running.number, person))
        outcome.result["waiting"] = True
    outcome.result["room"] = room.id if room else found.get(person, "")
    return outcome


def enter(event: Event, actor: Actor, command: Enter, now: int) -> Outcome:
    """Refuses `unknown_room`, `round_closed`, `not_your_room` (`params.room`: theirs), `room_full` (`params.room`: one with
    seats)."""
    room = event.rounds.room(command.room)
    round = event.rounds.items[room.round]
    if round.state != "open" or room.closed:
        raise Refused("round_closed", field="room")
    outcome = Outcome([], {"room": room.id})
    table = event.rounds.table_of(actor.person)
    if table is not None and table is not room:
        if not table.closed:
            raise Refused("not_your_room", field="room", room=table.id)
        leave_table(event, outcome, actor.person)
    person = self_of(event, actor.person) if table is room else own_self(event, actor.person)
    outcome.result["role"] = room.role(person)
    seat = room.seats.get(person)
    if seat is not None:
        if seat.away_since is not None:
            outcome.changes.append(Entered(room.id, person))
        return outcome
    if actor.any_of(*STAFF) and not room.leads(person):
        outcome.result["role"] = "guest"
        if person not in room.guests:
            outcome.changes.append(Entered(room.id, person, guest=True))
        return outcome
    mine = event.rounds.seat_in(round, person)
    if not room.leads(person) and (round.policy == "assigned" or (mine is not None and not round.come_and_go)):
        raise Refused("not_your_room", field="room", room=mine.id if mine else "")
    if room.free < 1:
        raise Refused("room_full", field="room", room=emptiest(event, round))
    if mine is not None:
        outcome.changes.append(Left(mine.id, person))
    outcome.changes.append(Entered(room.id, person))
    if mine is not None:
        fill(event, outcome, round)
    return outcome


def leave(event: Event, actor: Actor, command: Leave, now: int) -> Outcome:
    """Done already if they are not there, or if it is over: who was in a room stays to be read. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    round = event.rounds.items[room.round]
    person = self_of(event, actor.person)
    outcome = Outcome([], {"room": room.id})
    if person == at_table(room):
        leave_table(event, outcome, actor.person)
    elif person in room.guests or (person in room.seats and not room.closed):
        outcome.changes.append(Left(room.id, person))
        settle_call(event, outcome, room, person)
    if outcome.changes:
        fill(event, outcome, round)
    return outcome


def move(event: Event, actor: Actor, command: Move, now: int) -> Outcome:
    """All of them or nobody. Refuses `unknown_room`, `round_closed`, `room_full`, `unknown_person`,
    `table_stays`."""
    room = event.rounds.room(command.to)
    round = event.rounds.items[room.round]
    if round.state == "closed" or room.closed:
        raise Refused("round_closed", field="to")
    known, rooms = tagged(event), {person: one for one in event.rounds.of(round) if not one.closed for person in one.seats}
    people = [named(event, known, one, "person") for one in (*((command.person,) if command.person else ()), *command.people)]
    check_no_table(people, "person")
    strange = [one for one in people if one not in rooms and one not in round.waiting and one not in event.rounds.people]
    if strange or not people:
        raise Refused("unknown_person", field="person")
    goes = [one for one in dict.fromkeys(people) if rooms.get(one) is not room]
    outcome = Outcome([], {"room": room.id, "moved": len(goes)})
    if not goes:
        return outcome
    if room.free < len(goes):
        raise Refused("room_full", field="to", room=emptiest(event, round))
    outcome.changes.append(Assigned(round.number, round.seed, dict.fromkeys(goes, room.id), ()))
    fill(event, outcome, round)
    return outcome


def away(event: Event, actor: Actor, command: Away, now: int) -> Outcome:
    """Nothing if it is so already. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    seat = room.seats.get(command.person)
    is_open = event.rounds.items[room.round].state == "open" and not room.closed
    if seat is None or not is_open:
        return Outcome()
    changes = seat.away_since is None if command.away else seat.away_since is not None or not seat.seen
    return Outcome([WentAway(room.id, command.person, command.away)] if changes else [])


def release(event: Event, actor: Actor, command: Release, now: int) -> Outcome:
    """Nothing if they came back meanwhile, and for a table: its people sit there, whatever its device does. Refuses
    `unknown_room`."""
    room = event.rounds.room(command.room)
    round = event.rounds.items[room.round]
    seat = None if command.person == at_table(room) else room.seats.get(command.person)
    if seat is None or seat.away_since != command.away_since or now < command.away_since + round.hold * SECOND:
        return Outcome()
    outcome = Outcome([Left(room.id, command.person)])
    fill(event, outcome, round)
    return outcome


def timers(event: Event) -> Iterator[Timer]:
    """Seats that are held no longer."""
    round = running_round(event)
    if round is None:
        return
    for key, since in event.rounds.away.items():
        id, _, person = key.partition("/")
        if id in round.rooms and not person.startswith(TABLE):
            command = Release(room=id, person=person, away_since=since)
            yield Timer(since + round.hold * SECOND, f"timer/seat/{key}/{since}", "room.release", command)


def check_no_table(people: Iterable[str], field: str) -> None:
    if any(person.startswith(TABLE) for person in people):
        raise Refused("table_stays", field=field)


def emptiest(event: Event, round: Round) -> str:
    """A room to offer to whoever found theirs full; empty if there is none."""
    rooms = [room for room in event.rounds.of(round) if room.free > 0 and not room.closed]
    return max(rooms, key=lambda room: room.free).id if rooms else ""


def leave_table(event: Event, outcome: Outcome, browser: str) -> None:
    """The browser speaks for no table any more. With its last device a table gives up its seats, unless all is over."""
    table = event.rounds.table_of(browser)
    if table is None:
        return
    outcome.changes.append(AtTable(browser, ""))
    if table.devices == [browser] and not table.closed:
        outcome.changes.append(Left(table.id, at_table(table)))


def fill(
    event: Event, outcome: Outcome, round: Round, *,
    comes: str = "", heads: Mapping[str, int] = {}, plans: Mapping[str, Plan] = {}, bonds: Mapping[int, Bond] | None = None,
    begins: bool = False,
) -> dict[str, str]:  # fmt: skip
    """Seats that are free in a running round, after what the outcome says already, go to those who wait, in their order: to each
    the one that suits them best, by what the lot was asked for. Nobody is put to those whom they must not meet, to the other place
    where hall and home are apart, or at a table from home: they wait on. Returns who has which room by it. `comes`: waits as the
    last; `heads`: at the tables in these rooms from now on; `plans`: rooms, and `bonds`, as they are from now on."""
    if round.state != "open" and not begins:
        return {}
    seats = {room.id: {one: seat.heads for one, seat in room.seats.items()} for room in event.rounds.of(round) if not room.closed}
    seats |= {id: {} for id in plans if id not in seats}
    rooms: dict[str, Room | Plan] = {**event.rounds.rooms, **plans}
    waiting = dict.fromkeys((*round.waiting, *((comes,) if comes else ())))
    wishes, drawn = {}, round.drawn
    for change in outcome.changes:
        if isinstance(change, Left):
            seats.get(change.room, {}).pop(change.person, None)
        elif isinstance(change, Entered) and not change.guest:
            _put(seats, waiting, change.person, change.room)
        elif isinstance(change, Joined):
            wishes[change.person] = Participant(change.topics, change.languages, change.together, change.apart)
        elif isinstance(change, Assigned):
            drawn = change.drawn or drawn
            for person, id in change.seats.items():
                _put(seats, waiting, person, id)
    for id, number in heads.items():
        seats[id][at_table(event.rounds.rooms[id])] = number
    open_rooms = (slot_of(id, rooms[id], sum(there.values())) for id, there in seats.items())
    slots = [slot for slot in open_rooms if slot.taken < slot.capacity]
    if not waiting or not slots:
        return {}
    sizes, conditions = {slot.id: slot.taken for slot in slots}, msgspec.structs.replace(drawn or UNTOLD, apart=True)
    known = Known(event, round, bonds, wishes)
    here = {id: [known.wish(one) for one in seats[id] if not one.startswith(TABLE)] for id in sizes}
    found: dict[str, str] = {}
    for person in waiting:
        wish = known.wish(person)
        best = late(wish, slots, conditions, sizes, here)
        if best is not None:
            found[person] = best
            here[best].append(wish)
            sizes[best] += 1
    if found:
        outcome.changes.append(Assigned(round.number, round.seed, found, ()))
    return found


def _put(seats: dict[str, dict[str, int]], waiting: dict[str, None], person: str, room: str) -> None:
    waiting.pop(person, None)
    for there in seats.values():
        there.pop(person, None)
    seats[room][person] = 1


def keyed(event: Event) -> list[str]:
    """Who wishes to be with somebody, or not to be."""
    return [person for person, one in event.rounds.people.items() if one.keyed]


def forget_keys(event: Event, outcome: Outcome, people: Iterable[str]) -> int:
    """Nobody knows any more with whom these people wished to be. Returns how many had said so."""
    said = [(person, one) for person in people if (one := event.rounds.people.get(person)) is not None and one.keyed]
    for person, one in said:
        outcome.forget += one.rows
        outcome.changes.append(Joined(person, one.topics, one.languages, "", ""))
    return len(said)


def forgotten(change: Change) -> Change:
    """The change without these words."""
    return msgspec.structs.replace(change, together="", apart="") if isinstance(change, Joined) else change


# Applying.


def joined(event: Event, change: Joined, now: int, by: str) -> tuple[str, ...]:
    """Who takes part, and with which wishes."""
    event.rounds.count(change.person)
    event.rounds.people[change.person] = one = Participant(change.topics, change.languages, change.together, change.apart)
    if one.keyed:
        one.rows.append(event.seq)
    return ("rounds", "plan", *seats_of(event, (change.person,)))


def assigned(event: Event, change: Assigned, now: int, by: str) -> tuple[str, ...]:
    """Seats that are held until their people come; who sits there already stays."""
    round = event.rounds.items[change.round]
    round.seed, round.drawn = change.seed, change.drawn or round.drawn
    touched: dict[str, None] = {}
    for person, id in change.seats.items():
        old, room = event.rounds.seat_in(round, person), event.rounds.rooms[id]
        if old is room:
            continue
        if old is not None:
            touched |= dict.fromkeys((*shown_in(old, person), *call_documents(event, (old.id,))))
            unseat(event, old, person)
        # Before the round begins nobody can be late.
        event.rounds.count(person)
        room.sit(person, now, now if round.state == "open" else None)
        hold(event, room, person, room.seats[person].away_since)
        if person in round.waiting:
            round.waiting.remove(person)
        touched |= dict.fromkeys((f"room/{id}", *call_documents(event, (id,))))
    for person in change.waiting:
        old = event.rounds.seat_in(round, person)
        if old is not None:
            touched |= dict.fromkeys((*shown_in(old, person), *call_documents(event, (old.id,))))
            unseat(event, old, person)
        if person not in round.waiting:
            round.waiting.append(person)
    return ("rounds", "plan", "rights", *touched, *seats_of(event, (*change.seats, *change.waiting)))


def entered(event: Event, change: Entered, now: int, by: str) -> tuple[str, ...]:
    """On their seat, with the place on the speaker list that they had."""
    room = event.rounds.rooms[change.room]
    if change.guest:
        room.guests[change.person] = Visit()
        return (f"room/{room.id}", *call_documents(event, (room.id,)))
    if change.person not in room.seats:
        event.rounds.count(change.person)
        room.sit(change.person, now, None)
    room.seats[change.person].away_since = None
    room.seats[change.person].seen = False
    hold(event, room, change.person, None)
    round = event.rounds.items[room.round]
    if change.person in round.waiting:
        round.waiting.remove(change.person)
    if not change.person.startswith(TABLE):
        event.rounds.people.setdefault(change.person, Participant())
    shown = (*shown_in(room, change.person), *call_documents(event, (room.id,)))
    return ("rounds", "plan", *shown, *seats_of(event, (change.person,)))


def left(event: Event, change: Left, now: int, by: str) -> tuple[str, ...]:
    """The seat is free."""
    room = event.rounds.rooms[change.room]
    room.guests.pop(change.person, None)
    shown = (*shown_in(room, change.person), *call_documents(event, (room.id,)))
    unseat(event, room, change.person)
    return ("rounds", "plan", "rights", *shown, *seats_of(event, (change.person,)))


def waits(event: Event, change: Waits, now: int, by: str) -> tuple[str, ...]:
    """For the next free seat."""
    waiting = event.rounds.items[change.round].waiting
    if change.person not in waiting:
        waiting.append(change.person)
    return ("rounds", "plan", *seats_of(event, (change.person,)))


def device(event: Event, change: AtTable, now: int, by: str) -> tuple[str, ...]:
    """One more device of the table, or one less."""
    old = event.rounds.table_of(change.person)
    if old is not None:
        old.devices.remove(change.person)
        del event.rounds.tables[change.person]
    if change.room:
        room = event.rounds.rooms[change.room]
        event.rounds.tables[change.person] = room.id
        room.devices.append(change.person)
        waiting, me = event.rounds.items[room.round].waiting, own_self(event, change.person)
        if me in waiting:
            waiting.remove(me)
    return ("rounds", "plan", "rights", f"seat/{change.person}")


def went_away(event: Event, change: WentAway, now: int, by: str) -> tuple[str, ...]:
    """Held since now, or sat on again; that somebody was seen is shown to nobody."""
    room = event.rounds.rooms[change.room]
    seat = room.seats[change.person]
    news = change.away or seat.away_since is not None
    seat.seen, seat.away_since = True, now if change.away else None
    hold(event, room, change.person, seat.away_since)
    return tuple(shown_in(room, change.person)) if news else ()


COMMANDS: Commands = {
    "round.join": (Join, join),
    "room.enter": (Enter, enter),
    "room.leave": (Leave, leave),
    "room.move": (Move, move),
    "room.away": (Away, away),
    "room.release": (Release, release),
}
CHANGES: Changes = {
    Joined: joined,
    Assigned: assigned,
    Entered: entered,
    Left: left,
    Waits: waits,
    WentAway: went_away,
    AtTable: device,
}
