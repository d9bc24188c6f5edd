"""Assigning: by lot under conditions, by hand, and onward from round to round; told first, and made as it was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from rooms.assignment import Assignment, Conditions, Slot, Wish, assign
from rooms.bonds import Bonds, log, tied
from rooms.breakout import (
    TABLE,
    How,
    Number,
    Round,
    named,
    own_self,
    participants,
    tag,
    tagged,
)
from rooms.command import Actor, Command, Commands, Outcome, Refused
from rooms.entrance import keyed
from rooms.known import Known, slots_of
from rooms.participation import Assigned, check_no_table, emptiest, fill
from rooms.unmet import Unmet, unmet

if TYPE_CHECKING:
    from rooms.event import Event


Who = Literal["taking_part", "registered", "checked_in", "named"]
"""Who takes part or waits; who is registered; who has checked in; nobody but who is given a room by hand."""
ByHand = Annotated[dict[str, str], msgspec.Meta(max_length=5_000)]
"""Person → room."""
Groups = Annotated[tuple[tuple[str, ...], ...], msgspec.Meta(max_length=5_000)]
"""People, group by group."""


class Assign(Command, frozen=True):
    """Say who goes where. `people`: those to be assigned, instead of `who`, of whom `place` and `unassigned` choose some;
    `by_hand`: before everything else; `after`: the groups of that round go on to the next room each, their hosts stay; `moved`:
    after the lot, and nobody else moves for it; `keep_together`, `keep_apart`: more bonds; `preview`: only tell; `seen`: the digest
    of what was told, which must not be another one now. Without `conditions` those of the round's last lot count."""

    round: Number
    conditions: Conditions | None = None
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    people: tuple[str, ...] = ()
    who: Who = "taking_part"
    place: Literal["", "hall", "home"] = ""
    unassigned: bool = False
    by_hand: ByHand = msgspec.field(default_factory=dict)
    after: Number | None = None
    moved: ByHand = msgspec.field(default_factory=dict)
    keep_together: Groups = ()
    keep_apart: Groups = ()
    preview: bool = False
    seen: str = ""


# Deciding.


def assign_people(event: Event, actor: Actor, command: Assign, now: int) -> Outcome:
    """The result says who goes where and which condition could not be met. Refuses `unknown_round`, `round_closed`, `unknown_room`,
    `unknown_person`, `table_stays`, `room_full`, `too_few_people`, `bonds_contradict`, and `assignment_changed` if it is another
    one than was seen."""
    round = event.rounds.get(command.round)
    if round.state == "closed":
        raise Refused("round_closed", field="round")
    known = tagged(event)
    by_hand = _rooms_by_hand(event, round, command.by_hand, known, "by_hand")
    moved = _rooms_by_hand(event, round, command.moved, known, "moved")
    check_no_table((*by_hand, *moved), "people")
    onward, left_behind = _onward(event, round, event.rounds.get(command.after)) if command.after else ({}, [])
    conditions = command.conditions or round.drawn or Conditions()
    bonds = with_bonds(event, known, command)
    lot = Known(event, round, bonds)
    wishes = _wishes(event, round, command, by_hand, onward, known, lot)
    if conditions.anew:
        met = _met(event, round)
        wishes = [msgspec.structs.replace(wish, met=frozenset(met.get(wish.person, ()))) for wish in wishes]
    stay = _staying(event, round, wishes)
    wishes += [msgspec.structs.replace(lot.wish(person, room), held=True) for person, room in stay.items()]
    slots = slots_of(event, round, but=[wish.person for wish in wishes])
    made = assign(wishes, slots, conditions, command.seed)
    _check_by_hand(by_hand, made)
    made = _without(_adjust(made, moved, wishes, slots, conditions), stay)
    made = msgspec.structs.replace(
        made, unmet=(*made.unmet, *(Unmet("fixed", one, made.seats[one], "full") for one in left_behind if one in made.seats))
    )
    result = _told(event, round, made) | {"seed": command.seed}
    if command.preview:
        return Outcome([], result)
    if command.seen and command.seen != result["digest"]:
        raise Refused("assignment_changed", field="seen")
    if over := [one.room for one in made.unmet if one.condition == "capacity" and one.room]:
        raise Refused("room_full", field="moved", room=emptiest(event, round), full=over[0])
    drawn = None if command.who == "named" else conditions
    outcome = Outcome([Assigned(round.number, command.seed, made.seats, made.waiting, drawn)], result)
    log(event, outcome, bonds)
    fill(event, outcome, round, bonds=bonds)
    return outcome


def with_bonds(event: Event, known: dict[str, str], command: Assign) -> Bonds:
    """The event's bonds, and those that the command brings. Refuses `unknown_person`, `too_few_people`, `bonds_contradict`."""
    bonds: Bonds = event.rounds.bonds
    kinds: tuple[tuple[How, Groups], ...] = (("together", command.keep_together), ("apart", command.keep_apart))
    for how, groups in kinds:
        for group in groups:
            people = [named(event, known, one, f"keep_{how}") for one in group]
            check_no_table(people, f"keep_{how}")
            bonds = tied(bonds, how, people)
    return bonds


def _rooms_by_hand(event: Event, round: Round, given: dict[str, str], known: dict[str, str], field: str) -> dict[str, str]:
    """Participant → room of the round."""
    for room in given.values():
        if room not in round.rooms or event.rounds.rooms[room].closed:
            raise Refused("unknown_room", field=field)
    return {named(event, known, one, field): room for one, room in given.items()}


def _wishes(
    event: Event, round: Round, command: Assign, by_hand: dict[str, str], onward: dict[str, str], known: dict[str, str], lot: Known
) -> list[Wish]:
    """What is known of those who are to be assigned. Who leads a room, and who is given one by hand, is among them."""
    rooms = event.rounds.of(round)
    # Whoever speaks for a table has no seat besides.
    lent = {own_self(event, browser) for browser, id in event.rounds.tables.items() if id in round.rooms}
    people = dict.fromkeys(one for one in _chosen(event, round, command, known) if one not in lent)
    check_no_table(people, "people")
    seated = {person for room in rooms for person in room.seats} if command.unassigned else set()
    leaders = [person for room in rooms for person in (*room.moderators, room.note_taker) if person and person not in seated]
    wishes = []
    for person in dict.fromkeys((*people, *leaders, *by_hand)):
        wish = lot.wish(person, by_hand.get(person) or onward.get(person, ""))
        chosen = person in people and person not in seated and command.place in ("", wish.place)
        if chosen or person in leaders or person in by_hand:
            wishes.append(wish)
    return wishes


def _staying(event: Event, round: Round, wishes: Iterable[Wish]) -> dict[str, str]:
    """Who has a seat and is not assigned now, and where: others may belong to them, or must not meet them."""
    assigned = {wish.person for wish in wishes}
    rooms = [room for room in event.rounds.of(round) if not room.closed]
    return {one: room.id for room in rooms for one in room.seats if one not in assigned and not one.startswith(TABLE)}


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


def _without(made: Assignment, stay: dict[str, str]) -> Assignment:
    """The lot without those who stay where they are, but for what others have to do with it."""
    still = {person for person, room in stay.items() if made.seats[person] == room}
    seats = {person: room for person, room in made.seats.items() if person not in still}
    told = (one for one in made.unmet if one.person not in still or one.condition in ("together", "apart"))
    return Assignment(seats, made.waiting, tuple(told))


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


COMMANDS: Commands = {"round.assign": (Assign, assign_people)}
