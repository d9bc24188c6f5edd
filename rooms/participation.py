"""Who takes part in small groups and where they are: assigned, entering, leaving, moved, away and back.

Nobody is lost: who comes late is placed by the round's policy, who finds all rooms full waits for the next free seat.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from rooms import text
from rooms.assignment import Assignment, Conditions, Slot, Wish, assign, late
from rooms.breakout import (
    SECOND,
    STAFF,
    TABLE,
    Number,
    Participant,
    Plan,
    Room,
    Round,
    at_table,
    hold,
    named,
    own_self,
    participants,
    running_round,
    seats_of,
    self_of,
    shown_in,
    tag,
    tagged,
    unseat,
)
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.entrance import keyed
from rooms.help import call_documents, settle_call
from rooms.unmet import Unmet, unmet

if TYPE_CHECKING:
    from rooms.event import Event


MAX_WORD = 40
"""Graphemes of a word that people have agreed on, by which they stay together or apart."""


class Join(Command, frozen=True):
    """Take part in the small groups, with wishes. While a round is open this leads to a room, or to the waiting list."""

    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    together: str = ""
    apart: str = ""


Who = Literal["taking_part", "registered", "checked_in", "named"]
"""Who takes part or waits; who is registered; who has checked in; nobody but who is given a room by hand."""
ByHand = Annotated[dict[str, str], msgspec.Meta(max_length=5_000)]
"""Person → room."""


class Assign(Command, frozen=True):
    """Say who goes where. `people`: those to be assigned, instead of `who`, of whom `place` and `unassigned` choose some;
    `by_hand`: before everything else; `after`: the groups of that round go on to the next room each, their hosts stay; `moved`:
    after the lot, and nobody else moves for it; `preview`: only tell; `seen`: the digest of what was told, which must not be
    another one now."""

    round: Number
    conditions: Conditions = Conditions()
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    people: tuple[str, ...] = ()
    who: Who = "taking_part"
    place: Literal["", "hall", "home"] = ""
    unassigned: bool = False
    by_hand: ByHand = msgspec.field(default_factory=dict)
    after: Number | None = None
    moved: ByHand = msgspec.field(default_factory=dict)
    preview: bool = False
    seen: str = ""


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
    """Somebody has lost the connection, or is back. Sent by the system."""

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
    outcome.changes.append(Joined(person, command.topics, command.languages, together, apart))
    running = running_round(event)
    if running is None:
        return outcome
    room = event.rounds.seat_in(running, person)
    if room is None and running.policy != "chosen":
        wish = _wish(event, person, running, Participant(command.topics, command.languages, together, apart))
        slots = _slots(event, running)
        found = late(wish, slots, Conditions(topics=True, languages=True), {slot.id: slot.taken for slot in slots})
        if found is None:
            outcome.changes.append(Waits(running.number, person))
            outcome.result["waiting"] = True
            return outcome
        outcome.changes.append(Assigned(running.number, running.seed, {person: found}, ()))
        room = event.rounds.rooms[found]
    outcome.result["room"] = room.id if room else ""
    return outcome


def assign_people(event: Event, actor: Actor, command: Assign, now: int) -> Outcome:
    """The result says who goes where and which condition could not be met. Refuses `unknown_round`, `round_closed`, `unknown_room`,
    `unknown_person`, `table_stays`, `room_full`, and `assignment_changed` if it is another one than was seen."""
    round = event.rounds.get(command.round)
    if round.state == "closed":
        raise Refused("round_closed", field="round")
    known = tagged(event)
    by_hand = _rooms_by_hand(event, round, command.by_hand, known, "by_hand")
    moved = _rooms_by_hand(event, round, command.moved, known, "moved")
    _check_no_table((*by_hand, *moved), "people")
    onward, left_behind = _onward(event, round, event.rounds.get(command.after)) if command.after else ({}, [])
    wishes = _wishes(event, round, command, by_hand, onward, known)
    slots = _slots(event, round, but={wish.person for wish in wishes})
    made = assign(wishes, slots, command.conditions, command.seed)
    _check_by_hand(by_hand, made)
    made = _adjust(made, moved, wishes, slots, command.conditions)
    made = msgspec.structs.replace(
        made, unmet=(*made.unmet, *(Unmet("fixed", one, made.seats[one], "full") for one in left_behind if one in made.seats))
    )
    result = _told(event, round, made) | {"seed": command.seed}
    if command.preview:
        return Outcome([], result)
    if command.seen and command.seen != result["digest"]:
        raise Refused("assignment_changed", field="seen")
    if over := [one.room for one in made.unmet if one.condition == "capacity" and one.room]:
        raise Refused("room_full", field="moved", room=_emptiest(event, round), full=over[0])
    outcome = Outcome([Assigned(round.number, command.seed, made.seats, made.waiting, command.conditions)], result)
    fill(event, outcome, round)
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
        raise Refused("room_full", field="room", room=_emptiest(event, round))
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
    _check_no_table(people, "person")
    strange = [one for one in people if one not in rooms and one not in round.waiting and one not in event.rounds.people]
    if strange or not people:
        raise Refused("unknown_person", field="person")
    goes = [one for one in dict.fromkeys(people) if rooms.get(one) is not room]
    outcome = Outcome([], {"room": room.id, "moved": len(goes)})
    if not goes:
        return outcome
    if room.free < len(goes):
        raise Refused("room_full", field="to", room=_emptiest(event, round))
    outcome.changes.append(Assigned(round.number, round.seed, dict.fromkeys(goes, room.id), ()))
    fill(event, outcome, round)
    return outcome


def away(event: Event, actor: Actor, command: Away, now: int) -> Outcome:
    """Nothing if it is so already. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    seat = room.seats.get(command.person)
    is_open = event.rounds.items[room.round].state == "open" and not room.closed
    if seat is None or not is_open or (seat.away_since is not None) == command.away:
        return Outcome()
    return Outcome([WentAway(room.id, command.person, command.away)])


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


def _wish(event: Event, person: str, round: Round, wishes: Participant, by_hand: str = "") -> Wish:
    rooms = event.rounds.of(round)
    leads = next((room.id for room in rooms if room.leads(person)), "")
    moderates = any(person in room.moderators for room in rooms)
    return Wish(
        person=person,
        place="hall" if _in_hall(event, person) else "home",
        topics=wishes.topics,
        languages=wishes.languages,
        moderates=moderates,
        together=wishes.together,
        apart=wishes.apart,
        fixed=by_hand or leads,
    )


def _in_hall(event: Event, person: str) -> bool:
    number = person.partition("/")[2]
    place = event.registrations.items[int(number)].place if person.startswith("registration/") else event.attendance.place(person)
    return place == "hall"


def _slots(event: Event, round: Round, but: set[str] | None = None) -> list[Slot]:
    """The open rooms, with the seats taken by those who are not assigned now. The lot puts nobody who is at home at a table."""
    away = but or set()
    return [
        Slot(
            id=room.id,
            topic=room.topic,
            capacity=room.capacity,
            taken=sum(seat.heads for person, seat in room.seats.items() if person not in away),
            languages=room.languages,
            place="hall" if room.table else "",
        )
        for room in event.rounds.of(round)
        if not room.closed
    ]


def _check_no_table(people: Iterable[str], field: str) -> None:
    if any(person.startswith(TABLE) for person in people):
        raise Refused("table_stays", field=field)


def _rooms_by_hand(event: Event, round: Round, given: dict[str, str], known: dict[str, str], field: str) -> dict[str, str]:
    """Participant → room of the round."""
    for room in given.values():
        if room not in round.rooms or event.rounds.rooms[room].closed:
            raise Refused("unknown_room", field=field)
    return {named(event, known, one, field): room for one, room in given.items()}


def _wishes(
    event: Event, round: Round, command: Assign, by_hand: dict[str, str], onward: dict[str, str], known: dict[str, str]
) -> list[Wish]:
    """What is known of those who are to be assigned. Who leads a room, and who is given one by hand, is among them."""
    rooms = event.rounds.of(round)
    # Whoever speaks for a table has no seat besides.
    lent = {own_self(event, browser) for browser, id in event.rounds.tables.items() if id in round.rooms}
    people = dict.fromkeys(one for one in _chosen(event, round, command, known) if one not in lent)
    _check_no_table(people, "people")
    seated = {person for room in rooms for person in room.seats} if command.unassigned else set()
    leaders = [person for room in rooms for person in (*room.moderators, room.note_taker) if person and person not in seated]
    met = _met(event, round) if command.conditions.anew else {}
    wishes = []
    for person in dict.fromkeys((*people, *leaders, *by_hand)):
        fixed = by_hand.get(person) or onward.get(person, "")
        wish = _wish(event, person, round, event.rounds.people.get(person, Participant()), fixed)
        chosen = person in people and person not in seated and command.place in ("", wish.place)
        if chosen or person in leaders or person in by_hand:
            wishes.append(msgspec.structs.replace(wish, met=frozenset(met.get(person, ()))))
    return wishes


def _chosen(event: Event, round: Round, command: Assign, known: dict[str, str]) -> list[str]:
    if command.people:
        return [named(event, known, one, "people") for one in command.people]
    if command.who == "named":
        return []
    if command.who == "taking_part":
        return [*event.rounds.people, *round.waiting]
    items = event.registrations.items.values()
    here = [item for item in items if (item.here is not None if command.who == "checked_in" else item.status == "seated")]
    return [person for item in here for person in participants(event, item)]


def _onward(event: Event, round: Round, before: Round) -> tuple[dict[str, str], list[str]]:
    """Each group goes on to the next room; who led a room stays there, and so does who leads one now. Returns their rooms, and
    those for whom there is no seat beside their group."""
    rooms = event.rounds.of(round)
    hosts = {person for room in rooms for person in (*room.moderators, room.note_taker) if person}
    free = {room.id: 0 if room.closed else room.capacity - sum(room.leads(person) for person in hosts) for room in rooms}
    goes, left_behind = {}, []
    for turn, old in enumerate(event.rounds.of(before)):
        for person in [one for one in old.seats if one not in hosts and not one.startswith(TABLE)]:
            room = rooms[(turn + (not old.leads(person))) % len(rooms)]
            if free[room.id] > 0:
                goes[person] = room.id
                free[room.id] -= 1
            else:
                left_behind.append(person)
    return goes, left_behind


def _met(event: Event, round: Round) -> dict[str, set[str]]:
    """With whom everybody has been in a room, in the rounds that have begun before this one."""
    met: dict[str, set[str]] = {}
    for one in event.rounds.items.values():
        for room in event.rounds.of(one) if one.opened_at is not None and one is not round else ():
            for person in room.seats:
                met.setdefault(person, set()).update(room.seats.keys() - {person})
    return met


def _adjust(
    made: Assignment, moved: dict[str, str], wishes: Sequence[Wish], slots: Sequence[Slot], conditions: Conditions
) -> Assignment:
    """The lot with the moves that were made by hand afterwards; a room that has too many people by them is named."""
    known = {wish.person for wish in wishes}
    seats = made.seats | {person: room for person, room in moved.items() if person in known}
    sizes = Counter(seats.values())
    over = [Unmet("capacity", room=slot.id, why="full") for slot in slots if sizes[slot.id] + slot.taken > slot.capacity]
    waiting = tuple(person for person in made.waiting if person not in seats)
    return Assignment(seats, waiting, (*over, *sorted(unmet(wishes, slots, conditions, seats))))


def _told(event: Event, round: Round, made: Assignment) -> dict[str, Any]:
    """An assignment as it is told to who has asked for it: people by their tags."""
    seats = {tag(event, person): room for person, room in made.seats.items()}
    waiting = [tag(event, person) for person in made.waiting]
    sizes = Counter(seats.values())
    said = "\n".join((*sorted(f"{person} {room}" for person, room in seats.items()), *waiting))
    return {
        "seats": seats,
        "waiting": waiting,
        "unmet": [msgspec.structs.asdict(one) | {"person": tag(event, one.person) if one.person else ""} for one in made.unmet],
        "sizes": {room: sizes[room] for room in round.rooms},
        "digest": keyed(event.secret, f"assignment/{round.number}\n{said}", 16),
    }


def _check_by_hand(by_hand: dict[str, str], made: Assignment) -> None:
    for person, room in by_hand.items():
        if made.seats.get(person) != room:
            raise Refused("room_full", field="by_hand", room=room)


def _emptiest(event: Event, round: Round) -> str:
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
    heads: Mapping[str, int] = {}, plans: Mapping[str, Plan] = {}, begins: bool = False,
) -> None:  # fmt: skip
    """Seats that are free in a running round, after what the outcome says already, go to those who wait, in their order; those at a
    table to people in the hall. Nobody is put to those whom they must not meet: they wait on. `heads`: at the tables in these rooms
    from now on; `plans`: rooms as they are from now on."""
    if round.state != "open" and not begins:
        return
    seats = {room.id: {one: seat.heads for one, seat in room.seats.items()} for room in event.rounds.of(round) if not room.closed}
    seats |= {id: {} for id in plans if id not in seats}
    rooms: dict[str, Room | Plan] = {**event.rounds.rooms, **plans}
    waiting = dict.fromkeys(round.waiting)
    for change in outcome.changes:
        if isinstance(change, Left):
            seats.get(change.room, {}).pop(change.person, None)
        elif isinstance(change, Entered) and not change.guest:
            _put(seats, waiting, change.person, change.room)
        elif isinstance(change, Assigned):
            for person, id in change.seats.items():
                _put(seats, waiting, person, id)
    for id, number in heads.items():
        seats[id][at_table(event.rounds.rooms[id])] = number
    found: dict[str, str] = {}
    for person in list(waiting):
        free = {id: rooms[id].capacity - sum(there.values()) for id, there in seats.items()}
        may = [id for id in seats if free[id] > 0 and (not rooms[id].table or _in_hall(event, person))]
        best = max((id for id in may if _welcome(event, person, seats[id])), key=lambda one: free[one], default="")
        if best:
            found[person] = best
            _put(seats, waiting, person, best)
    if found:
        outcome.changes.append(Assigned(round.number, round.seed, found, ()))


def _put(seats: dict[str, dict[str, int]], waiting: dict[str, None], person: str, room: str) -> None:
    waiting.pop(person, None)
    for there in seats.values():
        there.pop(person, None)
    seats[room][person] = 1


def _welcome(event: Event, person: str, there: Iterable[str]) -> bool:
    """Whether nobody is there whom this person must not meet."""
    people = event.rounds.people
    apart = people[person].apart if person in people else ""
    return not apart or all(one not in people or people[one].apart != apart for one in there)


# Applying.


def joined(event: Event, change: Joined, now: int, by: str) -> tuple[str, ...]:
    """Who takes part, and with which wishes."""
    event.rounds.count(change.person)
    event.rounds.people[change.person] = Participant(change.topics, change.languages, change.together, change.apart)
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
        room.guests.append(change.person)
        return (f"room/{room.id}", *call_documents(event, (room.id,)))
    if change.person not in room.seats:
        event.rounds.count(change.person)
        room.sit(change.person, now, None)
    room.seats[change.person].away_since = None
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
    if change.person in room.guests:
        room.guests.remove(change.person)
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
    """Held since now, or sat on again."""
    room = event.rounds.rooms[change.room]
    room.seats[change.person].away_since = now if change.away else None
    hold(event, room, change.person, now if change.away else None)
    return tuple(shown_in(room, change.person))


COMMANDS: Commands = {
    "round.join": (Join, join),
    "round.assign": (Assign, assign_people),
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
