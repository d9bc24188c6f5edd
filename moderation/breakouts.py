"""Small groups as each audience sees them: everybody the rooms, a person their seat, a room who is in it, moderators all of it."""

from __future__ import annotations

from typing import TypedDict

from moderation.event import Event
from moderation.shape import Names, iso, words
from rooms.breakout import Room, Round, Seat, browsers, end_of, self_of, tag
from rooms.results import Summary

MOST_UNSEATED = 60
"""So many people without a room are listed; before an assignment it is everybody, and each who joins sends the list again."""


class RoomLineData(TypedDict):
    """A room in the list of a round. `free`: seats that nobody has."""

    id: str
    name: str
    topic_title: str
    question: str
    capacity: int
    people: int
    free: int
    ends_at: str
    closed: bool


class TopicChoiceData(TypedDict):
    """A topic that can be wished for."""

    id: str
    title: str


class RoundData(TypedDict):
    """One round. `waiting`: how many found all rooms full; `recalled`: everybody is called back to the plenary; `topics` and
    `languages`: those of its rooms, to be wished for."""

    number: int
    title: str
    state: str
    policy: str
    come_and_go: bool
    ends_at: str
    recalled: bool
    waiting: int
    topics: list[TopicChoiceData]
    languages: list[str]
    rooms: list[RoomLineData]


class RoundsData(TypedDict):
    """`rounds`. `current`: the one that is open, or the next one; `people`: how many take part."""

    current: RoundData | None
    people: int


class RoundLineData(TypedDict):
    """A round in the moderators' list."""

    number: int
    title: str
    state: str
    rooms: int
    people: int


class UnseatedData(TypedDict):
    """Somebody without a room in the current round, by their tag; `number`: among those who take part."""

    id: str
    name: str
    number: int


class PlanData(TypedDict):
    """`plan`. `current`: the number of the round that `rounds` shows, or 0; `waiting`: who found all rooms full, in order;
    `others`: who takes part and has no room there, the first of them, and how many `more` there are; `free`: seats left."""

    rounds: list[RoundLineData]
    current: int
    state: str
    waiting: list[UnseatedData]
    others: list[UnseatedData]
    more: int
    free: int


class SeatData(TypedDict):
    """`seat`: where this person belongs now. `room`: the id, or empty; `open`: they can go in."""

    waiting: bool
    room: str
    name: str
    role: str
    open: bool


class PersonInRoomData(TypedDict):
    """Somebody in a room. `number`: among those who take part, the same in every room; `away_since`: the seat is held."""

    id: str
    name: str
    number: int
    role: str
    away_since: str


class RoomData(TypedDict):
    """`room/<id>` for those in it and for moderators. `asked`: how many would like more time; `grace`: seconds after the end to
    finish the sentence."""

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


class CardData(TypedDict):
    """`card/<n>`: one thought. `author` and `supporters` are participants, as in the room's `people`."""

    number: int
    room: str
    text: str
    name: str
    author: str
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
    return {"current": _round(event, found, lang) if found else None, "people": len(event.rounds.people)}


def plan(event: Event, names: Names) -> PlanData:
    """Every round, and who has no room in the current one."""
    round = current(event)
    numbers = {person: turn for turn, person in enumerate(event.rounds.people, 1)}
    rooms = event.rounds.of(round) if round and round.state != "closed" else []
    seated = {person for room in rooms for person in room.seats}
    waiting = round.waiting if round else []
    others = [person for person in numbers if person not in seated and person not in waiting] if rooms else []

    def line(person: str) -> UnseatedData:
        return {"id": tag(event, person), "name": _name(event, names, person), "number": numbers.get(person, 0)}

    return {
        "rounds": [_round_line(event, one) for one in event.rounds.items.values()],
        "current": round.number if round else 0,
        "state": round.state if round else "",
        "waiting": [line(person) for person in waiting],
        "others": [line(person) for person in others[:MOST_UNSEATED]],
        "more": len(others[MOST_UNSEATED:]),
        "free": sum(max(room.free, 0) for room in rooms if not room.closed),
    }


def _round_line(event: Event, round: Round) -> RoundLineData:
    return {
        "number": round.number,
        "title": round.title,
        "state": round.state,
        "rooms": len(round.rooms),
        "people": sum(len(room.seats) for room in event.rounds.of(round)),
    }


def seat(event: Event, person: str) -> SeatData | None:
    """Where this person belongs, if they take part."""
    round, me = current(event), self_of(event, person)
    room = event.rounds.room_of(round, me) if round else None
    if room is None and me not in event.rounds.people:
        return None
    return {
        "waiting": round is not None and me in round.waiting,
        "room": room.id if room else "",
        "name": room.name if room else "",
        "role": room.seats[me].role if room else "",
        "open": room is not None and round is not None and round.state == "open" and not room.closed,
    }


def room(event: Event, names: Names, id: str, lang: str) -> RoomData | None:
    """A room from inside, unless it was removed."""
    one = event.rounds.rooms.get(id)
    if one is None:
        return None
    round = event.rounds.items[one.round]
    end = end_of(event, one)
    numbers = {person: turn for turn, person in enumerate(event.rounds.people, 1)}
    return {
        "room": one.id,
        "round": one.round,
        "round_title": round.title,
        "name": one.name,
        "topic_title": _topic(event, one, lang),
        "question": one.question,
        "capacity": one.capacity,
        "state": "closed" if one.closed else round.state,
        "people": [_person(event, names, numbers.get(person, 0), person, held) for person, held in one.seats.items()],
        "guests": [_name(event, names, person) for person in one.guests],
        "ends_at": iso(end) if end is not None else "",
        "grace": 0 if round.recalled_at is not None else round.grace,
        "recalled": round.recalled_at is not None,
        "asked": len(one.asked),
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
        "name": _name(event, names, one.person),
        "author": tag(event, one.person),
        "group": one.group,
        "proposed": one.proposed,
        "support": len(one.supporters),
        "supporters": sorted(tag(event, person) for person in one.supporters),
    }


def summary(event: Event, id: str) -> SummaryData | None:
    """What has been written, or nothing yet; None if the room was removed."""
    if id not in event.rounds.rooms:
        return None
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
    topics = {room.topic: _topic(event, room, lang) for room in event.rounds.of(round) if room.topic}
    return {
        "number": round.number,
        "title": round.title,
        "state": round.state,
        "policy": round.policy,
        "come_and_go": round.come_and_go,
        "ends_at": iso(round.ends_at) if round.ends_at is not None else "",
        "recalled": round.recalled_at is not None,
        "waiting": len(round.waiting),
        "topics": [{"id": id, "title": title} for id, title in topics.items()],
        "languages": sorted({language for room in event.rounds.of(round) for language in room.languages}),
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
        "people": len(one.seats),
        "free": one.free,
        "ends_at": iso(end) if end is not None else "",
        "closed": one.closed,
    }


def _person(event: Event, names: Names, turn: int, person: str, held: Seat) -> PersonInRoomData:
    away = iso(held.away_since) if held.away_since is not None else ""
    return {"id": tag(event, person), "name": _name(event, names, person), "number": turn, "role": held.role, "away_since": away}


def _name(event: Event, names: Names, person: str) -> str:
    """What they call themselves in this event; the full name of a registration is for the organisers."""
    return next((name for one in browsers(event, person) if (name := names.get(one, ""))), "")


def _topic(event: Event, one: Room, lang: str) -> str:
    topic = event.programme.topic(one.topic) if one.topic else None
    return words(topic.title, lang) if topic else ""
