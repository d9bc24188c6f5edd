"""Rounds of small groups and their time: prepared, begun, prolonged, called back to the plenary and closed.

Time is the server's: rooms end by timers, whoever has lost their network.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Annotated

import msgspec

from rooms import text
from rooms.breakout import (
    LEADERS,
    MINUTE,
    SECOND,
    Number,
    Plan,
    Policy,
    Room,
    Round,
    end_of,
    everybody,
    hold,
    named,
    running_round,
    seated,
    seats_of,
    self_of,
    tagged,
    while_open,
)
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.help import words_of
from rooms.participation import fill

if TYPE_CHECKING:
    from rooms.event import Event

MOST_ROOMS = 200
MAX_TITLE, MAX_QUESTION, MAX_MATERIALS = 80, 500, 1_000
"""Graphemes: one line of an overview; a paragraph."""
Minutes = Annotated[int, msgspec.Meta(ge=1, le=480)]


class Create(Command, frozen=True):
    """Prepare a round. `grace`: seconds to finish the sentence after the end; `hold`: seconds that a seat is held."""

    title: str
    rooms: tuple[Plan, ...]
    policy: Policy = "assigned"
    come_and_go: bool = False
    grace: Annotated[int, msgspec.Meta(ge=0, le=600)] = 60
    hold: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 300


class Open(Command, frozen=True):
    """Begin, for so many minutes; without them until somebody closes."""

    round: Number
    minutes: Minutes | None = None


class Close(Command, frozen=True):
    """End at once: a round, or one room of it. `at`: the end that a timer saw, which counts only if it has not been moved since."""

    round: Number
    room: str = ""
    at: int | None = None


class Recall(Command, frozen=True):
    """Call all back to the plenary, with so many seconds of countdown."""

    round: Number
    seconds: Annotated[int, msgspec.Meta(ge=0, le=600)] = 60


class Extend(Command, frozen=True):
    """More time: for a room, or for the whole round."""

    minutes: Minutes
    room: str = ""
    round: Number | None = None


class AskForTime(Command, frozen=True):
    """Ask for more time; the moderators see how many do."""

    room: str


class Created(Change, frozen=True, tag="round_created"):
    """There is a round with these rooms."""

    number: int
    title: str
    policy: Policy
    come_and_go: bool
    grace: int
    hold: int
    rooms: tuple[Plan, ...]


class Opened(Change, frozen=True, tag="round_opened"):
    """The round has begun."""

    round: int
    ends_at: int | None


class Closed(Change, frozen=True, tag="round_closed"):
    """The round, or this room of it, is over."""

    round: int
    room: str


class Timed(Change, frozen=True, tag="round_timed"):
    """The end is now this (ms): of a room, or of the round and all its rooms."""

    round: int
    room: str
    ends_at: int
    recalled: bool = False


class Asked(Change, frozen=True, tag="room_asked_for_time"):
    """They would like more time."""

    room: str
    person: str


# Deciding.


def create(event: Event, actor: Actor, command: Create, now: int) -> Outcome:
    """Refuses `rooms_missing`, `too_many_rooms`, `title_*`, `name_*`, `question_*`, `materials_*`, `unknown_topic`,
    `unknown_person`."""
    if not command.rooms:
        raise Refused("rooms_missing", field="rooms")
    if len(command.rooms) > MOST_ROOMS:
        raise Refused("too_many_rooms", field="rooms", most=MOST_ROOMS)
    title = text.within(command.title, "title", 1, MAX_TITLE, lines=False)
    known = tagged(event)
    plans = tuple(checked(event, plan, known) for plan in command.rooms)
    number = following(event)
    change = Created(number, title, command.policy, command.come_and_go, command.grace, command.hold, plans)
    return Outcome([change], {"round": number, "rooms": [id_of(number, turn) for turn in range(1, len(plans) + 1)]})


def checked(event: Event, plan: Plan, known: dict[str, str]) -> Plan:
    """The plan with clean texts and with people as they are known. Refuses `name_*`, `question_*`, `materials_*`,
    `unknown_topic`, `unknown_person`."""
    if plan.topic and event.programme.topic(plan.topic) is None:
        raise Refused("unknown_topic", field="rooms")
    return msgspec.structs.replace(
        plan,
        name=text.within(plan.name, "name", 1, MAX_TITLE, lines=False),
        question=text.within(plan.question, "question", 0, MAX_QUESTION),
        materials=text.within(plan.materials, "materials", 0, MAX_MATERIALS),
        moderators=tuple(dict.fromkeys(named(event, known, one, "moderators") for one in plan.moderators)),
        note_taker=named(event, known, plan.note_taker, "note_taker"),
    )


def following(event: Event) -> int:
    """The next round's number; one that was removed does not come again."""
    return max(event.rounds.made, len(event.rounds.items)) + 1


def open_round(event: Event, actor: Actor, command: Open, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_closed`, `round_running`: one at a time."""
    round = event.rounds.get(command.round)
    if round.state == "closed":
        raise Refused("round_closed", field="round")
    if round.state == "open":
        return Outcome(result={"round": round.number})
    if running_round(event) is not None:
        raise Refused("round_running", field="round")
    ends_at = now + command.minutes * MINUTE if command.minutes else None
    outcome = Outcome([Opened(round.number, ends_at)], {"round": round.number, "ends_at": ends_at})
    fill(event, outcome, round, begins=True)
    return outcome


def close(event: Event, actor: Actor, command: Close, now: int) -> Outcome:
    """Done already if it is closed. Refuses `unknown_round`, `unknown_room`."""
    round = event.rounds.get(command.round)
    outcome = Outcome([], {"round": round.number})
    if round.state == "closed":
        return outcome
    room = event.rounds.room(command.room) if command.room else None
    if command.at is not None and command.at != (end_of(event, room) if room else round.ends_at):
        return outcome  # it has been moved since
    if room is not None and not room.closed:
        outcome.changes.append(Closed(round.number, room.id))
    if room is None or all(one.closed or one is room for one in event.rounds.of(round)):
        outcome.changes.append(Closed(round.number, ""))
    outcome.forget += words_of(event, event.rounds.of(round) if room is None else (room,))
    return outcome


def recall(event: Event, actor: Actor, command: Recall, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_closed`."""
    round = while_open(event, command.round)
    ends_at = now + command.seconds * SECOND
    return Outcome([Timed(round.number, "", ends_at, recalled=True)], {"round": round.number, "ends_at": ends_at})


def extend(event: Event, actor: Actor, command: Extend, now: int) -> Outcome:
    """Of a room by whoever leads it, of the round by moderators. Refuses `unknown_round`, `unknown_room`, `round_closed`,
    `forbidden`, `no_end`."""
    room = event.rounds.room(command.room) if command.room else None
    number = room.round if room else command.round
    if number is None:
        raise Refused("unknown_round", field="round")
    round = while_open(event, number)
    if not actor.any_of(*LEADERS) and not (room is not None and room.leads(self_of(event, actor.person))):
        raise Refused("forbidden", field="room")
    if room is not None and room.closed:
        raise Refused("round_closed", field="room")
    end = end_of(event, room) if room else round.ends_at
    if end is None:
        raise Refused("no_end", field="minutes")
    ends_at = max(end, now) + command.minutes * MINUTE
    return Outcome([Timed(round.number, room.id if room else "", ends_at)], {"ends_at": ends_at})


def ask_for_time(event: Event, actor: Actor, command: AskForTime, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `round_closed`."""
    room = seated(event, actor, command.room)
    person = self_of(event, actor.person)
    changes: list[Change] = [] if person in room.asked else [Asked(room.id, person)]
    return Outcome(changes, {"asked": len(room.asked) + len(changes)})


def timers(event: Event) -> Iterator[Timer]:
    """Rooms whose time and grace are over, though nobody is there to say so."""
    round = running_round(event)
    if round is None:
        return
    grace = 0 if round.recalled_at is not None else round.grace * SECOND
    for room in event.rounds.of(round):
        end = end_of(event, room)
        if end is not None and not room.closed:
            yield Timer(end + grace, f"timer/room/{room.id}/{end}", "round.close", Close(round=round.number, room=room.id, at=end))


def id_of(round: int, turn: int) -> str:
    """`2-7`: the seventh room of the second round."""
    return f"{round}-{turn}"


# Applying.


def created(event: Event, change: Created, now: int, by: str) -> tuple[str, ...]:
    """The round and its rooms."""
    ids = [id_of(change.number, turn) for turn in range(1, len(change.rooms) + 1)]
    event.rounds.items[change.number] = Round(
        change.number, change.title, change.policy, change.come_and_go, change.grace, change.hold, ids, made=len(ids)
    )
    event.rounds.made = change.number
    for id, plan in zip(ids, change.rooms, strict=True):
        event.rounds.rooms[id] = Room(id=id, round=change.number, **msgspec.structs.asdict(plan))
    shown = [f"{kind}/{id}" for id in ids for kind in ("room", "hands", "summary", "help")]
    return ("rounds", "plan", *shown, *seats_of(event, everybody(event)))


def opened(event: Event, change: Opened, now: int, by: str) -> tuple[str, ...]:
    """Seats are held from now on for those who have not come yet."""
    round = event.rounds.items[change.round]
    round.state, round.opened_at, round.ends_at = "open", now, change.ends_at
    for room in event.rounds.of(round):
        for person, seat in room.seats.items() if not room.closed else ():
            seat.away_since = now
            hold(event, room, person, now)
    # Moderators who looked at a room that was prepared may not go on now without being announced.
    shown = [f"{kind}/{id}" for id in round.rooms for kind in ("room", "hands", "help")]
    return ("rounds", "plan", "rights", *shown, *seats_of(event, everybody(event)))


def closed(event: Event, change: Closed, now: int, by: str) -> tuple[str, ...]:
    """What was, stays to be read; nobody is waited for, and nobody speaks."""
    round = event.rounds.items[change.round]
    rooms = [event.rounds.rooms[change.room]] if change.room else event.rounds.of(round)
    calls = ["calls"] if any(room.id in event.help.calls for room in rooms) else []
    for room in rooms:
        room.closed = True
        room.hands.clear()
        room.speaker, room.speaking_since = "", None
        event.help.calls.pop(room.id, None)
        for person in room.seats:
            hold(event, room, person, None)
        room.guests = {person: visit for person, visit in room.guests.items() if visit.gone_since is None}
    if not change.room:
        round.state = "closed"
        round.waiting.clear()
    shown = [f"{kind}/{room.id}" for room in rooms for kind in ("room", "hands", "summary", "help")]
    return ("rounds", "plan", *calls, *shown, *seats_of(event, everybody(event)))


def timed(event: Event, change: Timed, now: int, by: str) -> tuple[str, ...]:
    """Another end."""
    round = event.rounds.items[change.round]
    if change.room:
        room = event.rounds.rooms[change.room]
        room.ends_at = change.ends_at
        room.asked.clear()
        return ("rounds", f"room/{room.id}")
    round.ends_at = change.ends_at
    round.recalled_at = now if change.recalled else None
    for room in event.rounds.of(round):
        room.ends_at = None
        room.asked.clear()
    return ("rounds", *(f"room/{id}" for id in round.rooms))


def asked(event: Event, change: Asked, now: int, by: str) -> tuple[str, ...]:
    """One more who would like more time."""
    event.rounds.rooms[change.room].asked.append(change.person)
    return (f"room/{change.room}",)


COMMANDS: Commands = {
    "round.create": (Create, create),
    "round.open": (Open, open_round),
    "round.close": (Close, close),
    "round.recall": (Recall, recall),
    "room.extend": (Extend, extend),
    "room.ask_for_time": (AskForTime, ask_for_time),
}
CHANGES: Changes = {
    Created: created,
    Opened: opened,
    Closed: closed,
    Timed: timed,
    Asked: asked,
}
