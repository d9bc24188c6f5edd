"""Rounds of breakout rooms: who sits where and how long, how they come back, and how all return to the plenary.

A seat is held: whoever drops out finds room, role and place on the speaker list again, also from another device, as long as the
round's
`hold` says. Held seats count; a room never has more people than its capacity, and none has more than 75. Time is the server's:
rooms end by timers, whoever has lost their network.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms import text
from rooms.assignment import Assignment, Conditions, Slot, Wish, assign, late
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.entrance import keyed

if TYPE_CHECKING:
    from rooms.event import Event

LEAST, MOST = 2, 75
"""People in a room, held seats included (BRIEF.md)."""
MOST_ROOMS = 200
MAX_TITLE, MAX_QUESTION = 80, 500
"""Graphemes: one line of an overview; a paragraph."""
SECOND, MINUTE = 1_000, 60_000
STAFF = ("helper", "moderator", "organiser")
LEADERS = ("moderator", "organiser")

Policy = Literal["assigned", "chosen", "mixed"]
"""People are told where, choose, or are told and may change."""
Role = Literal["participant", "moderator", "note_taker"]
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Minutes = Annotated[int, msgspec.Meta(ge=1, le=480)]
Capacity = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]


class Seat(msgspec.Struct):
    """One person's place in a room. `away_since` (ms): held, as they are not there (yet)."""

    role: Role
    since: int
    away_since: int | None = None


class Room(msgspec.Struct):
    """One room. `guests`: who is visiting, announced, without a seat; `ends_at` (ms): its own end, if it differs from the round's;
    `asked`: who has asked for more time; `hands`: the speaker list; `away`: seats that are held."""

    id: str
    round: int
    name: str
    topic: str
    question: str
    capacity: int
    languages: tuple[str, ...]
    moderators: tuple[str, ...]
    note_taker: str
    seats: dict[str, Seat] = {}
    guests: list[str] = []
    ends_at: int | None = None
    closed: bool = False
    asked: list[str] = []
    hands: list[str] = []

    def role(self, person: str) -> Role:
        """What this person is here."""
        return "moderator" if person in self.moderators else "note_taker" if person == self.note_taker else "participant"

    def leads(self, person: str) -> bool:
        """Whether this person may act for the room."""
        return person in self.moderators or person == self.note_taker

    @property
    def free(self) -> int:
        """Seats that nobody has and nobody is waited for."""
        return self.capacity - len(self.seats)


class Round(msgspec.Struct):
    """One round. `grace` and `hold` are in seconds; `ends_at`, `recalled_at` in ms; `waiting`: who found all rooms full, in
    order."""

    number: int
    title: str
    policy: Policy
    come_and_go: bool
    grace: int
    hold: int
    rooms: list[str]
    state: Literal["prepared", "open", "closed"] = "prepared"
    opened_at: int | None = None
    ends_at: int | None = None
    recalled_at: int | None = None
    seed: int = 0
    waiting: list[str] = []


class Participant(msgspec.Struct):
    """What somebody wishes: topics in order, the languages they understand, keys of those to be together with and apart from."""

    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    together: str = ""
    apart: str = ""


class Rounds(msgspec.Struct):
    """All rounds by number, all rooms by id (`<round>-<n>`), who takes part, and whose seats are held since when (ms)."""

    items: dict[int, Round] = {}
    rooms: dict[str, Room] = {}
    people: dict[str, Participant] = {}
    away: dict[str, int] = {}

    def get(self, number: int) -> Round:
        """Refuses `unknown_round`."""
        found = self.items.get(number)
        if found is None:
            raise Refused("unknown_round", field="round")
        return found

    def room(self, id: str) -> Room:
        """Refuses `unknown_room`."""
        found = self.rooms.get(id)
        if found is None:
            raise Refused("unknown_room", field="room")
        return found

    def of(self, round: Round) -> list[Room]:
        """The rooms of a round."""
        return [self.rooms[id] for id in round.rooms]

    def room_of(self, round: Round, person: str) -> Room | None:
        """Where this person has a seat in the round."""
        return next((room for room in self.of(round) if person in room.seats), None)


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A room to be prepared. People are named by their tag, `registration/<n>` or a person's id."""

    name: str
    topic: str = ""
    question: str = ""
    capacity: Capacity = MOST
    languages: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    note_taker: str = ""


class Create(Command, frozen=True):
    """Prepare a round. `grace`: seconds to finish the sentence after the end; `hold`: seconds that a seat is held."""

    title: str
    rooms: tuple[Plan, ...]
    policy: Policy = "assigned"
    come_and_go: bool = False
    grace: Annotated[int, msgspec.Meta(ge=0, le=600)] = 60
    hold: Annotated[int, msgspec.Meta(ge=10, le=3600)] = 300


class Join(Command, frozen=True):
    """Take part in the small groups, with wishes. While a round is open this leads to a room, or to the waiting list."""

    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    together: str = ""
    apart: str = ""


class Assign(Command, frozen=True):
    """Say who goes where. `people`: those to be assigned (empty: all who take part); `preview`: only tell; `by_hand`: person →
    room, which goes before everything else, and alone if nothing else is asked for."""

    round: Number
    conditions: Conditions = Conditions()
    seed: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] = 0
    people: tuple[str, ...] = ()
    by_hand: Annotated[dict[str, str], msgspec.Meta(max_length=5_000)] = msgspec.field(default_factory=dict)
    preview: bool = False


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


class Enter(Command, frozen=True):
    """Take one's seat, or choose one. Staff without a seat visit as guests."""

    room: str


class Leave(Command, frozen=True):
    """Give the seat up, or end a visit."""

    room: str


class Move(Command, frozen=True):
    """Put somebody into another room of the round."""

    person: str
    to: str


class Extend(Command, frozen=True):
    """More time: for a room, or for the whole round."""

    minutes: Minutes
    room: str = ""
    round: Number | None = None


class AskForTime(Command, frozen=True):
    """Ask for more time; the moderators see how many do."""

    room: str


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


class Created(Change, frozen=True, tag="round_created"):
    """There is a round with these rooms."""

    number: int
    title: str
    policy: Policy
    come_and_go: bool
    grace: int
    hold: int
    rooms: tuple[Plan, ...]


class Joined(Change, frozen=True, tag="round_joined"):
    """This person takes part, with these wishes."""

    person: str
    topics: tuple[str, ...]
    languages: tuple[str, ...]
    together: str
    apart: str


class Assigned(Change, frozen=True, tag="round_assigned"):
    """These people have these rooms (person → room) and these wait; who had another room in the round has left it."""

    round: int
    seed: int
    seats: dict[str, str]
    waiting: tuple[str, ...]


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


class Asked(Change, frozen=True, tag="room_asked_for_time"):
    """They would like more time."""

    room: str
    person: str


class WentAway(Change, frozen=True, tag="room_away"):
    """Their seat is held, or they are back on it."""

    room: str
    person: str
    away: bool


# Deciding.


def self_of(event: Event, person: str) -> str:
    """How this person takes part: by their registration if they have just one for one person, so that every device of theirs is the
    same participant; else as the browser that it is. Whoever has begun as a browser stays it."""
    if person in event.rounds.people:
        return person
    numbers = event.registrations.of_person.get(person, ())
    live = [item for number in numbers if (item := event.registrations.items[number]).status != "cancelled"]
    return f"registration/{live[0].number}" if len(live) == 1 and live[0].party == 1 else person


def tag(event: Event, participant: str) -> str:
    """How a participant is called where others see it: nobody learns the id of a browser."""
    return keyed(event.secret, f"participant/{participant}", 8)


def tagged(event: Event) -> dict[str, str]:
    """Tag → participant, of everybody; made once for a command, however many it names. Who is not in it is named by a
    registration or a person's id."""
    known = _everybody(event) | {person for round in event.rounds.items.values() for person in round.waiting}
    return {tag(event, one): one for one in known}


def create(event: Event, actor: Actor, command: Create, now: int) -> Outcome:
    """Refuses `rooms_missing`, `too_many_rooms`, `name_*`, `question_*`, `unknown_topic`."""
    if not command.rooms:
        raise Refused("rooms_missing", field="rooms")
    if len(command.rooms) > MOST_ROOMS:
        raise Refused("too_many_rooms", field="rooms", most=MOST_ROOMS)
    title = text.within(command.title, "title", 1, MAX_TITLE, lines=False)
    plans, known = [], tagged(event)
    for plan in command.rooms:
        if plan.topic and event.programme.topic(plan.topic) is None:
            raise Refused("unknown_topic", field="rooms")
        name = text.within(plan.name, "name", 1, MAX_TITLE, lines=False)
        question = text.within(plan.question, "question", 0, MAX_QUESTION)
        moderators = tuple(known.get(one, one) for one in plan.moderators)
        note_taker = known.get(plan.note_taker, plan.note_taker)
        plans.append(msgspec.structs.replace(plan, name=name, question=question, moderators=moderators, note_taker=note_taker))
    number = len(event.rounds.items) + 1
    change = Created(number, title, command.policy, command.come_and_go, command.grace, command.hold, tuple(plans))
    return Outcome([change], {"round": number, "rooms": [_id(number, turn) for turn in range(1, len(plans) + 1)]})


def join(event: Event, actor: Actor, command: Join, now: int) -> Outcome:
    """Refuses `unknown_topic`."""
    if any(event.programme.topic(topic) is None for topic in command.topics):
        raise Refused("unknown_topic", field="topics")
    person = self_of(event, actor.person)
    outcome = Outcome([Joined(person, command.topics, command.languages, command.together[:40], command.apart[:40])])
    outcome.result = {"room": "", "waiting": False}
    running = _running(event)
    if running is None:
        return outcome
    room = event.rounds.room_of(running, person)
    if room is None and running.policy != "chosen":
        wish = _wish(event, person, running, Participant(command.topics, command.languages, command.together, command.apart))
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
    `room_full`."""
    round = event.rounds.get(command.round)
    if round.state == "closed":
        raise Refused("round_closed", field="round")
    known = tagged(event)
    by_hand = {known.get(one, one): room for one, room in command.by_hand.items()}
    for room in by_hand.values():
        if room not in round.rooms:
            raise Refused("unknown_room", field="by_hand")
    people = list(dict.fromkeys((known.get(one, one) for one in command.people) if command.people else event.rounds.people))
    leaders = {person for room in event.rounds.of(round) for person in (*room.moderators, room.note_taker) if person}
    wishes = [
        _wish(event, person, round, event.rounds.people.get(person, Participant()), by_hand.get(person, ""))
        for person in dict.fromkeys((*people, *leaders, *by_hand))
    ]
    made = assign(wishes, _slots(event, round, but={wish.person for wish in wishes}), command.conditions, command.seed)
    _check_by_hand(by_hand, made)
    result = {
        "seats": {tag(event, person): room for person, room in made.seats.items()},
        "waiting": [tag(event, person) for person in made.waiting],
        "unmet": [
            msgspec.structs.asdict(one) | {"person": tag(event, one.person) if one.person else ""} for one in made.unmet
        ],
        "sizes": {room: sum(one == room for one in made.seats.values()) for room in round.rooms},
        "seed": command.seed,
    }
    if command.preview:
        return Outcome([], result)
    return Outcome([Assigned(round.number, command.seed, made.seats, made.waiting)], result)


def open_round(event: Event, actor: Actor, command: Open, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_closed`, `round_running`: one at a time."""
    round = event.rounds.get(command.round)
    if round.state == "closed":
        raise Refused("round_closed", field="round")
    if round.state == "open":
        return Outcome(result={"round": round.number})
    if _running(event) is not None:
        raise Refused("round_running", field="round")
    ends_at = now + command.minutes * MINUTE if command.minutes else None
    return Outcome([Opened(round.number, ends_at)], {"round": round.number, "ends_at": ends_at})


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
    return outcome


def recall(event: Event, actor: Actor, command: Recall, now: int) -> Outcome:
    """Refuses `unknown_round`, `round_closed`."""
    round = _open(event, command.round)
    ends_at = now + command.seconds * SECOND
    return Outcome([Timed(round.number, "", ends_at, recalled=True)], {"round": round.number, "ends_at": ends_at})


def enter(event: Event, actor: Actor, command: Enter, now: int) -> Outcome:
    """Refuses `unknown_room`, `round_closed`, `not_your_room` (`params.room`: theirs), `room_full` (`params.room`: one with
    seats)."""
    room = event.rounds.room(command.room)
    round = event.rounds.items[room.round]
    if round.state != "open" or room.closed:
        raise Refused("round_closed", field="room")
    person = self_of(event, actor.person)
    outcome = Outcome([], {"room": room.id, "role": room.role(person)})
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
    mine = event.rounds.room_of(round, person)
    if not room.leads(person) and (round.policy == "assigned" or (mine is not None and not round.come_and_go)):
        raise Refused("not_your_room", field="room", room=mine.id if mine else "")
    if room.free < 1:
        raise Refused("room_full", field="room", room=_emptiest(event, round))
    if mine is not None:
        outcome.changes.append(Left(mine.id, person))
    outcome.changes.append(Entered(room.id, person))
    if mine is not None:
        _fill(event, outcome, round, mine)
    return outcome


def leave(event: Event, actor: Actor, command: Leave, now: int) -> Outcome:
    """Done already if they are not there. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    person = self_of(event, actor.person)
    outcome = Outcome([], {"room": room.id})
    if person in room.seats or person in room.guests:
        outcome.changes.append(Left(room.id, person))
        if person in room.seats:
            _fill(event, outcome, event.rounds.items[room.round], room)
    return outcome


def move(event: Event, actor: Actor, command: Move, now: int) -> Outcome:
    """Refuses `unknown_room`, `round_closed`, `room_full`, `unknown_person`."""
    room = event.rounds.room(command.to)
    round = event.rounds.items[room.round]
    if round.state == "closed" or room.closed:
        raise Refused("round_closed", field="to")
    person = tagged(event).get(command.person, command.person)
    mine = event.rounds.room_of(round, person)
    if mine is None and person not in round.waiting and person not in event.rounds.people:
        raise Refused("unknown_person", field="person")
    outcome = Outcome([], {"room": room.id})
    if mine is room:
        return outcome
    if room.free < 1:
        raise Refused("room_full", field="to", room=_emptiest(event, round))
    outcome.changes.append(Assigned(round.number, round.seed, {person: room.id}, ()))
    if mine is not None:
        _fill(event, outcome, round, mine)
    return outcome


def extend(event: Event, actor: Actor, command: Extend, now: int) -> Outcome:
    """Of a room by whoever leads it, of the round by moderators. Refuses `unknown_round`, `unknown_room`, `round_closed`,
    `forbidden`, `no_end`."""
    room = event.rounds.room(command.room) if command.room else None
    number = room.round if room else command.round
    if number is None:
        raise Refused("unknown_round", field="round")
    round = _open(event, number)
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


def away(event: Event, actor: Actor, command: Away, now: int) -> Outcome:
    """Nothing if it is so already. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    seat = room.seats.get(command.person)
    if seat is None or room.closed or (seat.away_since is not None) == command.away:
        return Outcome()
    return Outcome([WentAway(room.id, command.person, command.away)])


def release(event: Event, actor: Actor, command: Release, now: int) -> Outcome:
    """Nothing if they came back meanwhile. Refuses `unknown_room`."""
    room = event.rounds.room(command.room)
    round = event.rounds.items[room.round]
    seat = room.seats.get(command.person)
    if seat is None or seat.away_since != command.away_since or now < command.away_since + round.hold * SECOND:
        return Outcome()
    outcome = Outcome([Left(room.id, command.person)])
    _fill(event, outcome, round, room)
    return outcome


def seated(event: Event, actor: Actor, id: str) -> Room:
    """The room, for whoever has a seat in it or leads it, while it is open. Refuses `unknown_room`, `round_closed`,
    `not_your_room`."""
    room = event.rounds.room(id)
    person = self_of(event, actor.person)
    if person not in room.seats and person not in room.guests and not room.leads(person):
        raise Refused("not_your_room", field="room", room="")
    if event.rounds.items[room.round].state != "open" or room.closed:
        raise Refused("round_closed", field="room")
    return room


def may_watch(event: Event, actor: Actor, id: str) -> bool:
    """Whether this person may see what is said in the room: who has a seat there, leads it, visits it, or is staff."""
    room = event.rounds.rooms.get(id)
    if room is None:
        return False
    person = self_of(event, actor.person)
    return person in room.seats or person in room.guests or room.leads(person) or actor.any_of(*LEADERS)


def end_of(event: Event, room: Room) -> int | None:
    """When the room ends (ms), before its grace."""
    return room.ends_at if room.ends_at is not None else event.rounds.items[room.round].ends_at


def timers(event: Event) -> Iterator[Timer]:
    """Rooms whose time and grace are over, though nobody is there to say so; seats that are held no longer."""
    round = _running(event)
    if round is None:
        return
    grace = 0 if round.recalled_at is not None else round.grace * SECOND
    for room in event.rounds.of(round):
        end = end_of(event, room)
        if end is not None and not room.closed:
            yield Timer(end + grace, f"timer/room/{room.id}/{end}", "round.close", Close(round=round.number, room=room.id, at=end))
    for key, since in event.rounds.away.items():
        id, _, person = key.partition("/")
        if id in round.rooms:
            command = Release(room=id, person=person, away_since=since)
            yield Timer(since + round.hold * SECOND, f"timer/seat/{key}/{since}", "room.release", command)


def _id(round: int, turn: int) -> str:
    return f"{round}-{turn}"


def _running(event: Event) -> Round | None:
    return next((round for round in event.rounds.items.values() if round.state == "open"), None)


def _open(event: Event, number: int) -> Round:
    round = event.rounds.get(number)
    if round.state != "open":
        raise Refused("round_closed", field="round")
    return round


def _wish(event: Event, person: str, round: Round, wishes: Participant, by_hand: str = "") -> Wish:
    rooms = event.rounds.of(round)
    leads = next((room.id for room in rooms if room.leads(person)), "")
    moderates = any(person in room.moderators for room in rooms)
    number = person.partition("/")[2]
    place = event.registrations.items[int(number)].place if person.startswith("registration/") else event.attendance.place(person)
    return Wish(
        person=person,
        place="hall" if place == "hall" else "home",
        topics=wishes.topics,
        languages=wishes.languages,
        moderates=moderates,
        together=wishes.together,
        apart=wishes.apart,
        fixed=by_hand or leads,
    )


def _slots(event: Event, round: Round, but: set[str] | None = None) -> list[Slot]:
    """The open rooms, with the seats taken by those who are not assigned now."""
    away = but or set()
    return [
        Slot(
            id=room.id,
            topic=room.topic,
            capacity=room.capacity,
            taken=sum(person not in away for person in room.seats),
            languages=room.languages,
            place="",
        )
        for room in event.rounds.of(round)
        if not room.closed
    ]


def _check_by_hand(by_hand: dict[str, str], made: Assignment) -> None:
    for person, room in by_hand.items():
        if made.seats.get(person) != room:
            raise Refused("room_full", field="by_hand", room=room)


def _emptiest(event: Event, round: Round) -> str:
    """A room to offer to whoever found theirs full; empty if there is none."""
    rooms = [room for room in event.rounds.of(round) if room.free > 0 and not room.closed]
    return max(rooms, key=lambda room: room.free).id if rooms else ""


def _fill(event: Event, outcome: Outcome, round: Round, room: Room) -> None:
    """The seat that becomes free goes to the first who waits."""
    if round.waiting and round.state == "open" and not room.closed:
        outcome.changes.append(Assigned(round.number, round.seed, {round.waiting[0]: room.id}, ()))


# Applying.


def created(event: Event, change: Created, now: int, by: str) -> tuple[str, ...]:
    """The round and its rooms."""
    ids = [_id(change.number, turn) for turn in range(1, len(change.rooms) + 1)]
    event.rounds.items[change.number] = Round(
        change.number, change.title, change.policy, change.come_and_go, change.grace, change.hold, ids
    )
    for id, plan in zip(ids, change.rooms, strict=True):
        event.rounds.rooms[id] = Room(
            id, change.number, plan.name, plan.topic, plan.question, plan.capacity, plan.languages, plan.moderators, plan.note_taker
        )
    shown = [f"{kind}/{id}" for id in ids for kind in ("room", "summary")]
    return ("rounds", *shown, *_seats(event, _everybody(event)))


def joined(event: Event, change: Joined, now: int, by: str) -> tuple[str, ...]:
    """Who takes part, and with which wishes."""
    event.rounds.people[change.person] = Participant(change.topics, change.languages, change.together, change.apart)
    return ("rounds", *_seats(event, (change.person,)))


def assigned(event: Event, change: Assigned, now: int, by: str) -> tuple[str, ...]:
    """Seats that are held until their people come; who sits there already stays."""
    round = event.rounds.items[change.round]
    round.seed = change.seed
    touched: dict[str, None] = {}
    for person, id in change.seats.items():
        old, room = event.rounds.room_of(round, person), event.rounds.rooms[id]
        if old is room:
            continue
        if old is not None:
            _unseat(event, old, person)
            touched[f"room/{old.id}"] = None
        # Before the round begins nobody can be late.
        room.seats[person] = Seat(room.role(person), now, now if round.state == "open" else None)
        _hold(event, room, person, room.seats[person].away_since)
        if person in round.waiting:
            round.waiting.remove(person)
        touched[f"room/{id}"] = None
    for person in change.waiting:
        if person not in round.waiting:
            round.waiting.append(person)
    return ("rounds", "rights", *touched, *_seats(event, (*change.seats, *change.waiting)))


def opened(event: Event, change: Opened, now: int, by: str) -> tuple[str, ...]:
    """Seats are held from now on for those who have not come yet."""
    round = event.rounds.items[change.round]
    round.state, round.opened_at, round.ends_at = "open", now, change.ends_at
    for room in event.rounds.of(round):
        for person, seat in room.seats.items():
            seat.away_since = now
            _hold(event, room, person, now)
    return ("rounds", *(f"room/{id}" for id in round.rooms), *_seats(event, _everybody(event)))


def closed(event: Event, change: Closed, now: int, by: str) -> tuple[str, ...]:
    """What was, stays to be read; nobody is waited for."""
    round = event.rounds.items[change.round]
    rooms = [event.rounds.rooms[change.room]] if change.room else event.rounds.of(round)
    for room in rooms:
        room.closed = True
        for person in room.seats:
            _hold(event, room, person, None)
    if not change.room:
        round.state = "closed"
        round.waiting.clear()
    shown = [f"{kind}/{room.id}" for room in rooms for kind in ("room", "summary")]
    return ("rounds", *shown, *_seats(event, _everybody(event)))


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


def entered(event: Event, change: Entered, now: int, by: str) -> tuple[str, ...]:
    """On their seat, with the place on the speaker list that they had."""
    room = event.rounds.rooms[change.room]
    if change.guest:
        room.guests.append(change.person)
        return (f"room/{room.id}",)
    seat = room.seats.setdefault(change.person, Seat(room.role(change.person), now))
    seat.away_since = None
    _hold(event, room, change.person, None)
    round = event.rounds.items[room.round]
    if change.person in round.waiting:
        round.waiting.remove(change.person)
    event.rounds.people.setdefault(change.person, Participant())
    return ("rounds", f"room/{room.id}", *_seats(event, (change.person,)))


def left(event: Event, change: Left, now: int, by: str) -> tuple[str, ...]:
    """The seat is free."""
    room = event.rounds.rooms[change.room]
    if change.person in room.guests:
        room.guests.remove(change.person)
    _unseat(event, room, change.person)
    return ("rounds", "rights", f"room/{room.id}", *_seats(event, (change.person,)))


def waits(event: Event, change: Waits, now: int, by: str) -> tuple[str, ...]:
    """For the next free seat."""
    waiting = event.rounds.items[change.round].waiting
    if change.person not in waiting:
        waiting.append(change.person)
    return ("rounds", *_seats(event, (change.person,)))


def asked(event: Event, change: Asked, now: int, by: str) -> tuple[str, ...]:
    """One more who would like more time."""
    event.rounds.rooms[change.room].asked.append(change.person)
    return (f"room/{change.room}",)


def went_away(event: Event, change: WentAway, now: int, by: str) -> tuple[str, ...]:
    """Held since now, or sat on again."""
    room = event.rounds.rooms[change.room]
    room.seats[change.person].away_since = now if change.away else None
    _hold(event, room, change.person, now if change.away else None)
    return (f"room/{room.id}",)


def browsers(event: Event, participant: str) -> list[str]:
    """The ids of the browsers of a participant."""
    kind, _, number = participant.partition("/")
    return list(event.registrations.items[int(number)].people) if kind == "registration" else [participant]


def _everybody(event: Event) -> set[str]:
    """Whom another round may concern: where somebody belongs is told of the current one."""
    return {*event.rounds.people, *(person for room in event.rounds.rooms.values() for person in room.seats)}


def rooms_with(event: Event, person: str) -> list[str]:
    """The documents of the rooms that show this person's name."""
    me = self_of(event, person)
    return [f"room/{room.id}" for room in event.rounds.rooms.values() if me in room.seats or me in room.guests]


def _seats(event: Event, participants: Iterable[str]) -> Iterator[str]:
    """The documents that tell these people where they belong."""
    return (f"seat/{person}" for participant in participants for person in browsers(event, participant))


def _unseat(event: Event, room: Room, person: str) -> None:
    room.seats.pop(person, None)
    for people in (room.hands, room.asked):
        if person in people:
            people.remove(person)
    _hold(event, room, person, None)


def _hold(event: Event, room: Room, person: str, since: int | None) -> None:
    event.rounds.away.pop(f"{room.id}/{person}", None)
    if since is not None:
        event.rounds.away[f"{room.id}/{person}"] = since


COMMANDS: Commands = {
    "round.create": (Create, create),
    "round.join": (Join, join),
    "round.assign": (Assign, assign_people),
    "round.open": (Open, open_round),
    "round.close": (Close, close),
    "round.recall": (Recall, recall),
    "room.enter": (Enter, enter),
    "room.leave": (Leave, leave),
    "room.move": (Move, move),
    "room.extend": (Extend, extend),
    "room.ask_for_time": (AskForTime, ask_for_time),
    "room.away": (Away, away),
    "room.release": (Release, release),
}
CHANGES: Changes = {
    Created: created,
    Joined: joined,
    Assigned: assigned,
    Opened: opened,
    Closed: closed,
    Timed: timed,
    Entered: entered,
    Left: left,
    Waits: waits,
    Asked: asked,
    WentAway: went_away,
}
