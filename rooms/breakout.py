"""What small groups are: rounds, their rooms, seats that are held, and who takes part.

A seat is held: whoever drops out finds room, role and place on the speaker list again, also from another device, as long as the
round's `hold` says. Held seats count; a room never has more people than its capacity, and none has more than 75.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms.assignment import Conditions
from rooms.command import Actor, Refused
from rooms.entrance import keyed

if TYPE_CHECKING:
    from rooms.event import Event
    from rooms.register import Registration

LEAST, MOST = 2, 75
"""People in a room, held seats included (BRIEF.md)."""
SECOND, MINUTE = 1_000, 60_000
STAFF = ("helper", "moderator", "organiser")
LEADERS = ("moderator", "organiser")
TABLE = "table/"
"""How the ids of participants begin who are a table; no browser has such an id."""
Policy = Literal["assigned", "chosen", "mixed"]
"""People are told where, choose, or are told and may change."""
Role = Literal["participant", "moderator", "note_taker"]
How = Literal["together", "apart"]
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]

Capacity = Annotated[int, msgspec.Meta(ge=LEAST, le=MOST)]


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A room to be prepared. People are named by their tag, `registration/<n>` or a person's id. `materials`: what helps to work on
    the question, with links in the text; `table`: it is a table in the hall, whose people may share a device."""

    name: str
    topic: str = ""
    question: str = ""
    materials: str = ""
    capacity: Capacity = MOST
    languages: tuple[str, ...] = ()
    moderators: tuple[str, ...] = ()
    note_taker: str = ""
    table: bool = False


class Seat(msgspec.Struct):
    """One participant's place in a room. `away_since` (ms): held, as they are not there (yet); `seen`: on a screen with a
    connection, since they came in; `heads`: how many people it is for, more than one only at a table."""

    role: Role
    since: int
    away_since: int | None = None
    seen: bool = False
    heads: int = 1


class Visit(msgspec.Struct):
    """Somebody's visit. `seen`: the room was on a screen of theirs; `gone_since` (ms): it is on none any more."""

    seen: bool = False
    gone_since: int | None = None


class Room(msgspec.Struct):
    """One room. `guests`: who is visiting, announced, without a seat; `ends_at` (ms): its own end, if it differs from the round's;
    `asked`: who has asked for more time; `hands`: the speaker list, `speaker`: whose turn it is; `active_at` (ms, a whole
    minute): when something was last said or written; `table`: a table in the hall, with the browsers that speak for it."""

    id: str
    round: int
    name: str
    topic: str
    question: str
    capacity: int
    languages: tuple[str, ...]
    moderators: tuple[str, ...]
    note_taker: str
    materials: str = ""
    seats: dict[str, Seat] = {}
    guests: dict[str, Visit] = {}
    ends_at: int | None = None
    closed: bool = False
    asked: list[str] = []
    hands: list[str] = []
    speaker: str = ""
    speaking_since: int | None = None
    active_at: int | None = None
    table: bool = False
    devices: list[str] = []

    @property
    def number(self) -> int:
        """Its place in the round; what a table is called on the card that lies on it, all evening."""
        return int(self.id.partition("-")[2])

    @property
    def people(self) -> int:
        """How many have a seat, those included who are waited for."""
        return sum(seat.heads for seat in self.seats.values())

    def role(self, person: str) -> Role:
        """What this person is here."""
        return "moderator" if person in self.moderators else "note_taker" if person == self.note_taker else "participant"

    def leads(self, person: str) -> bool:
        """Whether this person may act for the room."""
        return person in self.moderators or person == self.note_taker

    def sit(self, person: str, now: int, away_since: int | None) -> None:
        """Give them a seat. They visit no more."""
        self.guests.pop(person, None)
        self.seats[person] = Seat(self.role(person), now, away_since)

    @property
    def free(self) -> int:
        """Seats that nobody has and nobody is waited for."""
        return self.capacity - self.people


class Round(msgspec.Struct):
    """One round. `grace` and `hold` are in seconds; `ends_at`, `recalled_at` in ms; `waiting`: who found all rooms full, in
    order; `drawn`: the conditions of the lot that `seed` repeats; `made`: how many rooms it ever had."""

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
    drawn: Conditions | None = None
    made: int = 0


class Participant(msgspec.Struct):
    """What somebody wishes: topics in order, the languages they understand, keys of those to be together with and apart from.
    `rows`: of the log, that hold these keys, which may be names."""

    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    together: str = ""
    apart: str = ""
    rows: list[int] = []

    @property
    def keyed(self) -> bool:
        """Whether they wish to be with somebody, or not to be."""
        return bool(self.together or self.apart)


class Bond(msgspec.Struct, frozen=True):
    """People whom the organisers keep together, or apart, in all rounds. `row`: of the log, where it stands."""

    how: How
    people: tuple[str, ...]
    row: int = 0


class Rounds(msgspec.Struct):
    """All rounds by number, all rooms by id (`<round>-<n>`), who takes part, whose seats are held since when (ms), which browser
    speaks for which table (a room's id), and how often a table's code was renewed, by the table's number. `made`: how many rounds
    there ever were; `numbers`: how people without a name are called, for good; `bonds`: by the number that moderators see."""

    items: dict[int, Round] = {}
    rooms: dict[str, Room] = {}
    people: dict[str, Participant] = {}
    away: dict[str, int] = {}
    tables: dict[str, str] = {}
    renewed: dict[int, int] = {}
    made: int = 0
    numbers: dict[str, int] = {}
    bonds: dict[int, Bond] = {}

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

    def count(self, person: str) -> None:
        """Give them a number that stays theirs."""
        self.numbers.setdefault(person, len(self.numbers) + 1)

    def of(self, round: Round) -> list[Room]:
        """The rooms of a round."""
        return [self.rooms[id] for id in round.rooms]

    def room_of(self, round: Round, person: str) -> Room | None:
        """Where this person has a seat in the round, or had the last one, as a room that is closed keeps its people."""
        mine = [room for room in self.of(round) if person in room.seats]
        return next((room for room in mine if not room.closed), mine[-1] if mine else None)

    def seat_in(self, round: Round, person: str) -> Room | None:
        """The room in which this person has a seat now."""
        room = self.room_of(round, person)
        return None if room is None or room.closed else room

    def table_of(self, browser: str) -> Room | None:
        """The room of the table that this browser speaks for."""
        return self.rooms.get(self.tables.get(browser, ""))


def self_of(event: Event, person: str) -> str:
    """How this person takes part: as the table whose device this is, else as themselves."""
    table = event.rounds.table_of(person)
    return own_self(event, person) if table is None else at_table(table)


def at_table(room: Room) -> str:
    """Everybody at the table who has no device of their own, as one participant: whichever device speaks for them."""
    return f"{TABLE}{room.id}"


def own_self(event: Event, person: str) -> str:
    """How this person takes part apart from any table: by their registration if they have just one for one person, so that every
    device of theirs is the same participant; else as the browser that it is. Whoever has begun as a browser stays it."""
    if person in event.rounds.people:
        return person
    numbers = event.registrations.of_person.get(person, ())
    live = [item for number in numbers if (item := event.registrations.items[number]).status != "cancelled"]
    return f"registration/{live[0].number}" if len(live) == 1 and live[0].party == 1 else person


def tag(event: Event, participant: str) -> str:
    """How a participant is called where others see it: nobody learns the id of a browser."""
    return keyed(event.secret, f"participant/{participant}", 8)


def nameable(event: Event) -> list[str]:
    """Everybody who can be put into a room or made its moderator: who takes part, has a seat, waits, leads, is registered or on the
    staff; in an order in which those who take part keep their place."""
    rounds = event.rounds
    seats = (person for room in rounds.rooms.values() for person in (*room.seats, *room.moderators, room.note_taker))
    waiting = (person for round in rounds.items.values() for person in round.waiting)
    registered = (one for item in event.registrations.items.values() for one in participants(event, item))
    staff = (self_of(event, person) for person in event.staff())
    return [one for one in dict.fromkeys((*rounds.people, *seats, *waiting, *registered, *staff)) if one]


def participants(event: Event, item: Registration) -> list[str]:
    """Who takes part by a registration: those who have opened it, or nobody yet, who is known if it is for one person."""
    if item.status == "cancelled" or item.erased:
        return []
    opened = list(dict.fromkeys(self_of(event, person) for person in item.people))
    return opened or ([f"registration/{item.number}"] if item.party == 1 else [])


def tagged(event: Event) -> dict[str, str]:
    """Tag → participant, of everybody who can be named; made once for a command, however many it names."""
    return {tag(event, one): one for one in nameable(event)}


def named(event: Event, known: dict[str, str], one: str, field: str) -> str:
    """The participant whom a tag means, or `registration/<n>`, or a person's id. Refuses `unknown_person`."""
    kind, _, number = one.partition("/")
    if one in known or kind != "registration":
        return known.get(one, one)
    item = event.registrations.items.get(int(number)) if number.isascii() and number.isdigit() and len(number) < 10 else None
    if item is None or item.status == "cancelled" or item.erased:
        raise Refused("unknown_person", field=field)
    return one


def seated(event: Event, actor: Actor, id: str) -> Room:
    """The room, for whoever has a seat in it or leads it, while it is open. Refuses `unknown_room`, `round_closed`,
    `not_your_room`."""
    room = event.rounds.room(id)
    person = self_of(event, actor.person)
    if person not in room.seats and person not in room.guests and not room.leads(person):
        raise Refused("not_your_room", field="room", room="")
    if not is_open(event, id):
        raise Refused("round_closed", field="room")
    return room


def may_write_notes(event: Event, actor: Actor, id: str) -> bool:
    """Whether this person may write in the room's notes: whoever may write its cards."""
    try:
        seated(event, actor, id)
    except Refused:
        return False
    return True


def may_lead(event: Event, actor: Actor, room: Room) -> bool:
    """Whether this person may act for the room: who was named to, moderators of the plenary, and where nobody was named, everybody
    in it."""
    person = self_of(event, actor.person)
    named = room.moderators or room.note_taker
    return room.leads(person) or actor.any_of(*LEADERS) or (not named and (person in room.seats or person in room.guests))


def may_watch(event: Event, actor: Actor, id: str) -> bool:
    """Whether this person may see what is said in the room: who has a seat there, leads it, or visits it. Moderators and organisers
    too, but not while people talk there: nobody listens unannounced, so they visit first."""
    room = event.rounds.rooms.get(id)
    if room is None:
        return False
    person = self_of(event, actor.person)
    inside = person in room.seats or person in room.guests or room.leads(person)
    return inside or (actor.any_of(*LEADERS) and not is_open(event, room.id))


def is_open(event: Event, id: str) -> bool:
    """Whether people work in this room now."""
    room = event.rounds.rooms[id]
    return event.rounds.items[room.round].state == "open" and not room.closed


def end_of(event: Event, room: Room) -> int | None:
    """When the room ends (ms), before its grace."""
    return room.ends_at if room.ends_at is not None else event.rounds.items[room.round].ends_at


def running_round(event: Event) -> Round | None:
    """The round that is open: at most one is."""
    return next((round for round in event.rounds.items.values() if round.state == "open"), None)


def while_open(event: Event, number: int) -> Round:
    """The round, while it is open. Refuses `unknown_round`, `round_closed`."""
    round = event.rounds.get(number)
    if round.state != "open":
        raise Refused("round_closed", field="round")
    return round


def browsers(event: Event, participant: str) -> list[str]:
    """The ids of the browsers of a participant."""
    kind, _, rest = participant.partition("/")
    if kind == "registration":
        return list(event.registrations.items[int(rest)].people)
    return list(event.rounds.rooms[rest].devices) if participant.startswith(TABLE) else [participant]


def everybody(event: Event) -> set[str]:
    """Whom another round may concern: where somebody belongs is told of the current one."""
    return {*event.rounds.people, *(person for room in event.rounds.rooms.values() for person in room.seats)}


def rooms_with(event: Event, person: str) -> list[str]:
    """The documents of the rooms that show this person's (or table's) name."""
    me = own_self(event, person)
    return [key for room in event.rounds.rooms.values() if me in room.seats or me in room.guests for key in shown_in(room, me)]


def shown_in(room: Room, person: str) -> list[str]:
    """The documents of a room that show this person and whether they are there."""
    listed = person in room.hands or person == room.speaker
    return [f"room/{room.id}", *((f"hands/{room.id}", f"work/{room.id}") if listed else ())]


def stir(room: Room, now: int) -> list[str]:
    """Something is said in the room. The moderators' page is told once a minute, whatever the number of rooms and messages."""
    minute = now - now % MINUTE
    if room.active_at == minute:
        return []
    room.active_at = minute
    return [f"work/{room.id}"]


def signed(event: Event, person: str) -> list[str]:
    """The documents in small groups that show this person's (or table's) name."""
    me = own_self(event, person)
    cards = [f"card/{card.number}" for card in event.results.cards.values() if card.person == me and not card.withdrawn]
    coming = [f"help/{id}" for id, call in event.help.calls.items() if call.by == me]
    said = [f"chat/{number}" for number in event.talk.by(me)]
    listed = me in event.rounds.people or any(me in round.waiting for round in event.rounds.items.values())
    return [*rooms_with(event, person), *coming, *cards, *said, *(("plan",) if listed else ())]


def seats_of(event: Event, participants: Iterable[str]) -> Iterator[str]:
    """The documents that tell these people where they belong."""
    return (f"seat/{person}" for participant in participants for person in browsers(event, participant))


def unseat(event: Event, room: Room, person: str) -> None:
    """Their seat is free, and they are on no list of the room."""
    room.seats.pop(person, None)
    for people in (room.hands, room.asked):
        if person in people:
            people.remove(person)
    if person == room.speaker:
        room.speaker, room.speaking_since = "", None
    hold(event, room, person, None)


def hold(event: Event, room: Room, person: str, since: int | None) -> None:
    """Their seat is held since this time (ms), or no longer."""
    event.rounds.away.pop(f"{room.id}/{person}", None)
    if since is not None:
        event.rounds.away[f"{room.id}/{person}"] = since
