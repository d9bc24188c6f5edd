"""Rounds of small groups while they are prepared, and what can still be changed when they run: the same again for the next round,
other settings, rooms more, fewer or different."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from rooms import text
from rooms.breakout import Capacity, Number, Plan, Policy, Room, Round, everybody, seats_of, tagged
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.participation import fill
from rooms.rounds import MAX_TITLE, MOST_ROOMS, Created, checked, following, id_of

if TYPE_CHECKING:
    from rooms.event import Event

T = TypeVar("T")


class Copy(Command, frozen=True):
    """Prepare a round with the rooms of another one, and with their moderators and note-takers."""

    round: Number
    title: str


class Edit(Command, frozen=True):
    """Other settings; what is left out stays."""

    round: Number
    title: str | None = None
    policy: Policy | None = None
    come_and_go: bool | None = None
    grace: Annotated[int, msgspec.Meta(ge=0, le=600)] | None = None
    hold: Annotated[int, msgspec.Meta(ge=10, le=3600)] | None = None


class Remove(Command, frozen=True):
    """Remove a round that has not begun."""

    round: Number


class AddRooms(Command, frozen=True):
    """More rooms, also while the round runs: who waits gets their seats."""

    round: Number
    rooms: tuple[Plan, ...]


class EditRoom(Command, frozen=True):
    """Another name, question, capacity and so on; what is left out stays."""

    room: str
    name: str | None = None
    topic: str | None = None
    question: str | None = None
    materials: str | None = None
    capacity: Capacity | None = None
    languages: tuple[str, ...] | None = None
    moderators: tuple[str, ...] | None = None
    note_taker: str | None = None


class RemoveRoom(Command, frozen=True):
    """Remove a room of a round that has not begun; its people have none then."""

    room: str


class Edited(Change, frozen=True, tag="round_edited"):
    """These are the round's settings."""

    round: int
    title: str
    policy: Policy
    come_and_go: bool
    grace: int
    hold: int


class Removed(Change, frozen=True, tag="round_removed"):
    """There is no such round."""

    round: int


class RoomsAdded(Change, frozen=True, tag="rooms_added"):
    """The round has these rooms besides."""

    round: int
    rooms: tuple[Plan, ...]


class RoomEdited(Change, frozen=True, tag="room_edited"):
    """The room is like this."""

    room: str
    plan: Plan


class RoomRemoved(Change, frozen=True, tag="room_removed"):
    """There is no such room."""

    room: str


# Deciding.


def copy(event: Event, actor: Actor, command: Copy, now: int) -> Outcome:
    """Refuses `unknown_round`, `title_*`."""
    round = event.rounds.get(command.round)
    title = text.within(command.title, "title", 1, MAX_TITLE, lines=False)
    number = following(event)
    plans = tuple(_plan(room) for room in event.rounds.of(round))
    change = Created(number, title, round.policy, round.come_and_go, round.grace, round.hold, plans)
    return Outcome([change], {"round": number, "rooms": [id_of(number, turn) for turn in range(1, len(plans) + 1)]})


def edit(event: Event, actor: Actor, command: Edit, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_closed`, `title_*`."""
    round = _not_closed(event, command.round)

    title = text.within(_given(command.title, round.title), "title", 1, MAX_TITLE, lines=False)
    change = Edited(
        round.number,
        title,
        _given(command.policy, round.policy),
        _given(command.come_and_go, round.come_and_go),
        _given(command.grace, round.grace),
        _given(command.hold, round.hold),
    )
    return Outcome([change], {"round": round.number})


def remove(event: Event, actor: Actor, command: Remove, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_begun`."""
    round = event.rounds.get(command.round)
    if round.state != "prepared":
        raise Refused("round_begun", field="round")
    return Outcome([Removed(round.number)], {"round": round.number})


def add_rooms(event: Event, actor: Actor, command: AddRooms, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_closed`, `rooms_missing`, `too_many_rooms`, `name_*`, `question_*`, `materials_*`,
    `unknown_topic`, `unknown_person`."""
    round = _not_closed(event, command.round)
    if not command.rooms:
        raise Refused("rooms_missing", field="rooms")
    if len(round.rooms) + len(command.rooms) > MOST_ROOMS:
        raise Refused("too_many_rooms", field="rooms", most=MOST_ROOMS)
    known = tagged(event)
    plans = tuple(checked(event, plan, known) for plan in command.rooms)
    ids = [id_of(round.number, round.made + turn) for turn in range(1, len(plans) + 1)]
    outcome = Outcome([RoomsAdded(round.number, plans)], {"round": round.number, "rooms": ids})
    fill(event, outcome, round, plans=dict(zip(ids, plans, strict=True)))
    return outcome


def edit_room(event: Event, actor: Actor, command: EditRoom, now: int) -> Outcome:
    """Refuses `unknown_room`, `round_closed`, `room_too_small`, `name_*`, `question_*`, `materials_*`, `unknown_topic`,
    `unknown_person`."""
    room = event.rounds.room(command.room)
    round = _not_closed(event, room.round)
    if room.closed:
        raise Refused("round_closed", field="room")
    given = {name: value for name in Plan.__struct_fields__ if (value := getattr(command, name, None)) is not None}
    plan = checked(event, msgspec.structs.replace(_plan(room), **given), tagged(event))
    if plan.capacity < room.people:
        raise Refused("room_too_small", field="capacity", people=room.people)
    outcome = Outcome([RoomEdited(room.id, plan)], {"room": room.id})
    fill(event, outcome, round, plans={room.id: plan})
    return outcome


def remove_room(event: Event, actor: Actor, command: RemoveRoom, now: int) -> Outcome:
    """Refuses `unknown_room`, `round_begun`, `rooms_missing`: the last one goes with its round."""
    room = event.rounds.room(command.room)
    round = event.rounds.items[room.round]
    if round.state != "prepared":
        raise Refused("round_begun", field="room")
    if round.rooms == [room.id]:
        raise Refused("rooms_missing", field="room")
    return Outcome([RoomRemoved(room.id)], {"round": round.number})


def _given(value: T | None, before: T) -> T:
    return before if value is None else value


def _not_closed(event: Event, number: int) -> Round:
    round = event.rounds.get(number)
    if round.state == "closed":
        raise Refused("round_closed", field="round")
    return round


def _plan(room: Room) -> Plan:
    """The room as it would be prepared."""
    return Plan(**{name: getattr(room, name) for name in Plan.__struct_fields__})


# Applying.


def edited(event: Event, change: Edited, now: int, by: str) -> tuple[str, ...]:
    """Other settings."""
    round = event.rounds.items[change.round]
    round.title, round.policy, round.come_and_go = change.title, change.policy, change.come_and_go
    round.grace, round.hold = change.grace, change.hold
    return ("rounds", "plan", *(key for id in round.rooms for key in _named(event, id)))


def removed(event: Event, change: Removed, now: int, by: str) -> tuple[str, ...]:
    """As if it had never been prepared."""
    round = event.rounds.items.pop(change.round)
    touched = [key for id in round.rooms for key in _forget(event, id)]
    return ("rounds", "plan", "rights", *touched, *seats_of(event, everybody(event)))


def rooms_added(event: Event, change: RoomsAdded, now: int, by: str) -> tuple[str, ...]:
    """More rooms, behind the others."""
    round = event.rounds.items[change.round]
    ids = [id_of(round.number, round.made + turn) for turn in range(1, len(change.rooms) + 1)]
    for id, plan in zip(ids, change.rooms, strict=True):
        event.rounds.rooms[id] = Room(id=id, round=round.number, **msgspec.structs.asdict(plan))
    round.rooms += ids
    round.made += len(ids)
    return ("rounds", "plan", *(f"{kind}/{id}" for id in ids for kind in ("room", "hands", "summary", "help")))


def room_edited(event: Event, change: RoomEdited, now: int, by: str) -> tuple[str, ...]:
    """Who sits there has the role that they have now."""
    room = event.rounds.rooms[change.room]
    for name in Plan.__struct_fields__:
        setattr(room, name, getattr(change.plan, name))
    for person, seat in room.seats.items():
        seat.role = room.role(person)
    return ("rounds", "plan", "rights", *_named(event, room.id), *seats_of(event, room.seats))


def room_removed(event: Event, change: RoomRemoved, now: int, by: str) -> tuple[str, ...]:
    """As if it had never been prepared."""
    room = event.rounds.rooms[change.room]
    event.rounds.items[room.round].rooms.remove(room.id)
    people = list(room.seats)
    return ("rounds", "plan", "rights", *_forget(event, room.id), *seats_of(event, people))


def _named(event: Event, id: str) -> list[str]:
    """The documents that show the room's name, or that of its round."""
    proposals = [f"proposal/{card.number}" for card in event.results.live(id) if card.proposed]
    told = [f"announcement/{one.number}" for one in event.announcements.live(id)]
    on_air = ["on_air"] if event.results.on_air is not None and event.results.on_air.room == id else []
    calls = ["calls"] if id in event.help.calls else []
    return [*(f"{kind}/{id}" for kind in ("room", "summary", "help", "result")), *proposals, *told, *on_air, *calls]


def _forget(event: Event, id: str) -> tuple[str, ...]:
    """Nothing is left of the room; whoever leads it may have begun its summary."""
    for browser in event.rounds.rooms.pop(id).devices:
        del event.rounds.tables[browser]
    event.results.summaries.pop(id, None)
    return tuple(f"{kind}/{id}" for kind in ("room", "hands", "summary", "help", "result"))


COMMANDS: Commands = {
    "round.copy": (Copy, copy),
    "round.edit": (Edit, edit),
    "round.remove": (Remove, remove),
    "room.add": (AddRooms, add_rooms),
    "room.edit": (EditRoom, edit_room),
    "room.remove": (RemoveRoom, remove_room),
}
CHANGES: Changes = {
    Edited: edited,
    Removed: removed,
    RoomsAdded: rooms_added,
    RoomEdited: room_edited,
    RoomRemoved: room_removed,
}
