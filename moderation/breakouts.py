"""Small groups as each audience sees them: everybody the rooms, a person their seat, a room who is in it, moderators all of it."""

from __future__ import annotations

from typing import TypedDict

from moderation.event import Event
from moderation.shape import Names, iso, words
from rooms.breakout import TABLE, Room, Round, Seat, browsers, end_of, self_of, tag
from rooms.results import Summary


class RoomLineData(TypedDict):
    """A room in the list of a round. `free`: seats that nobody has; `table`: its number as a table in the hall, or 0."""

    id: str
    name: str
    topic_title: str
    question: str
    capacity: int
    people: int
    free: int
    ends_at: str
    closed: bool
    table: int


class RoundData(TypedDict):
    """One round. `waiting`: how many found all rooms full; `recalled`: everybody is called back to the plenary."""

    number: int
    title: str
    state: str
    policy: str
    come_and_go: bool
    ends_at: str
    recalled: bool
    waiting: int
    rooms: list[RoomLineData]


class RoundsData(TypedDict):
    """`rounds`. `current`: the one that is open, or the next one; `people`: how many take part."""

    current: RoundData | None
    people: int


class SeatData(TypedDict):
    """`seat`: where this person belongs now. `room`: the id, or empty; `open`: they can go in; `table`: the number of the table
    that this device speaks for; where `room` is empty, it did so in the last round and may go on in this one; or 0."""

    waiting: bool
    room: str
    name: str
    role: str
    open: bool
    table: int


class PersonInRoomData(TypedDict):
    """Somebody in a room, or all who share the device of a `table`: `heads` people, with the names of those who have said theirs.
    `away_since`: the seat is held."""

    id: str
    name: str
    number: int
    role: str
    away_since: str
    heads: int
    table: bool


class RoomData(TypedDict):
    """`room/<id>` for those in it and for moderators. `asked`: how many would like more time; `grace`: seconds after the end to
    finish the sentence; `heads`: how many people have a seat; `table`: its number as a table in the hall, or 0."""

    room: str
    round: int
    round_title: str
    name: str
    topic_title: str
    question: str
    capacity: int
    state: str
    people: list[PersonInRoomData]
    guests: list[str]
    ends_at: str
    grace: int
    recalled: bool
    asked: int
    heads: int
    table: int


class CardData(TypedDict):
    """`card/<n>`: one thought. `author` and `supporters` are participants, as in the room's `people`; `table`: its author is
    one."""

    number: int
    room: str
    text: str
    name: str
    author: str
    table: bool
    group: str
    proposed: bool
    support: int
    supporters: list[str]


class SummaryData(TypedDict):
    """`summary/<room>` for those who write it."""

    room: str
    discussed: str
    proposed: str
    open: str
    state: str
    closed: bool
    cards: int


class ProposalData(TypedDict):
    """A card that a room proposes."""

    number: int
    text: str
    support: int


class ResultData(TypedDict):
    """`result/<room>`: what a room brings to the plenary, and where it comes from."""

    room: str
    round_title: str
    name: str
    question: str
    discussed: str
    proposed: str
    open: str
    people: int
    confirmed_at: str
    cards: list[ProposalData]


def rounds(event: Event, lang: str) -> RoundsData:
    """What everybody may know: the rooms and their seats, not who is in them."""
    found = current(event)
    seats = [pair for room in event.rounds.of(found) for pair in room.seats.items()] if found else []
    at_tables = sum(seat.heads for person, seat in seats if _is_table(person))
    return {"current": _round(event, found, lang) if found else None, "people": len(event.rounds.people) + at_tables}


def all_rounds(event: Event, lang: str) -> list[RoundData]:
    """Every round, for the moderators' page."""
    return [_round(event, round, lang) for round in event.rounds.items.values()]


def seat(event: Event, person: str) -> SeatData | None:
    """Where this person belongs, if they take part."""
    round, me = current(event), self_of(event, person)
    room = event.rounds.room_of(round, me) if round else None
    table = _table_now(event, person)
    if room is None and me not in event.rounds.people and not table:
        return None
    return {
        "waiting": round is not None and me in round.waiting,
        "room": room.id if room else "",
        "name": room.name if room else "",
        "role": room.seats[me].role if room else "",
        "open": room is not None and round is not None and round.state == "open" and not room.closed,
        "table": table,
    }


def at_table(event: Event, number: int) -> Room | None:
    """What the table with this number is now: a room of the current round."""
    round = current(event)
    room = event.rounds.rooms.get(f"{round.number}-{number}") if round else None
    return room if room is not None and room.table else None


def _table_now(event: Event, person: str) -> int:
    table = event.rounds.table_of(person)
    room = at_table(event, table.number) if table is not None else None
    return room.number if room is not None and not room.closed else 0


def room(event: Event, names: Names, id: str, lang: str) -> RoomData:
    """A room from inside."""
    one = event.rounds.rooms[id]
    round = event.rounds.items[one.round]
    end = end_of(event, one)
    return {
        "room": one.id,
        "round": one.round,
        "round_title": round.title,
        "name": one.name,
        "topic_title": _topic(event, one, lang),
        "question": one.question,
        "capacity": one.capacity,
        "state": "closed" if one.closed else round.state,
        "people": [_person(event, names, turn, person, held) for turn, (person, held) in enumerate(one.seats.items(), 1)],
        "guests": [_name(event, names, person) for person in one.guests],
        "ends_at": iso(end) if end is not None else "",
        "grace": 0 if round.recalled_at is not None else round.grace,
        "recalled": round.recalled_at is not None,
        "asked": len(one.asked),
        "heads": one.people,
        "table": one.number if one.table else 0,
    }


def card(event: Event, names: Names, number: int) -> CardData | None:
    """A card, unless it was taken back."""
    one = event.results.cards[number]
    if one.withdrawn:
        return None
    return {
        "number": one.number,
        "room": one.room,
        "text": one.text,
        "name": names.get(f"card/{number}", "") if _is_table(one.person) else _name(event, names, one.person),
        "author": tag(event, one.person),
        "table": _is_table(one.person),
        "group": one.group,
        "proposed": one.proposed,
        "support": len(one.supporters),
        "supporters": sorted(tag(event, person) for person in one.supporters),
    }


def summary(event: Event, id: str) -> SummaryData:
    """What has been written, or nothing yet."""
    one = event.results.summaries.get(id) or Summary(id)
    return {
        "room": id,
        "discussed": one.discussed,
        "proposed": one.proposed,
        "open": one.open,
        "state": one.state if id in event.results.summaries else "",
        "closed": event.rounds.rooms[id].closed,
        "cards": sum(one.proposed for one in event.results.live(id)),
    }


def result(event: Event, id: str) -> ResultData | None:
    """What is on the board, if somebody has confirmed it."""
    one = event.results.summaries.get(id)
    if one is None or one.state != "confirmed":
        return None
    room = event.rounds.rooms[id]
    proposals = sorted((card for card in event.results.live(id) if card.proposed), key=lambda card: -len(card.supporters))
    return {
        "room": id,
        "round_title": event.rounds.items[room.round].title,
        "name": room.name,
        "question": room.question,
        "discussed": one.discussed,
        "proposed": one.proposed,
        "open": one.open,
        "people": one.people,
        "confirmed_at": iso(one.confirmed_at) if one.confirmed_at is not None else "",
        "cards": [{"number": card.number, "text": card.text, "support": len(card.supporters)} for card in proposals],
    }


def current(event: Event) -> Round | None:
    """The round that is open, else the next that is prepared, else the last one."""
    rounds = list(event.rounds.items.values())
    for state in ("open", "prepared"):
        found = next((round for round in rounds if round.state == state), None)
        if found is not None:
            return found
    return rounds[-1] if rounds else None


def _round(event: Event, round: Round, lang: str) -> RoundData:
    return {
        "number": round.number,
        "title": round.title,
        "state": round.state,
        "policy": round.policy,
        "come_and_go": round.come_and_go,
        "ends_at": iso(round.ends_at) if round.ends_at is not None else "",
        "recalled": round.recalled_at is not None,
        "waiting": len(round.waiting),
        "rooms": [_line(event, one, lang) for one in event.rounds.of(round)],
    }


def _line(event: Event, one: Room, lang: str) -> RoomLineData:
    end = end_of(event, one)
    return {
        "id": one.id,
        "name": one.name,
        "topic_title": _topic(event, one, lang),
        "question": one.question,
        "capacity": one.capacity,
        "people": one.people,
        "free": one.free,
        "ends_at": iso(end) if end is not None else "",
        "closed": one.closed,
        "table": one.number if one.table else 0,
    }


def _person(event: Event, names: Names, turn: int, person: str, held: Seat) -> PersonInRoomData:
    away = iso(held.away_since) if held.away_since is not None else ""
    return {
        "id": tag(event, person),
        "name": _name(event, names, person),
        "number": turn,
        "role": held.role,
        "away_since": away,
        "heads": held.heads,
        "table": _is_table(person),
    }


def _is_table(person: str) -> bool:
    return person.startswith(TABLE)


def _name(event: Event, names: Names, person: str) -> str:
    """What they call themselves in this event; the full name of a registration is for the organisers. Of a table: who has said
    that they sit there."""
    if _is_table(person):
        return names.get(person, "")
    return next((name for one in browsers(event, person) if (name := names.get(one, ""))), "")


def _topic(event: Event, one: Room, lang: str) -> str:
    topic = event.programme.topic(one.topic) if one.topic else None
    return words(topic.title, lang) if topic else ""
