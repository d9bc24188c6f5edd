"""Small groups as each audience sees them: everybody the rooms, a person their seat, a room who is in it, moderators all of it."""

from __future__ import annotations

from typing import TypedDict

from moderation.event import Event
from moderation.shape import Names, iso, words
from rooms.bonds import Bonds
from rooms.breakout import TABLE, Room, Round, Seat, browsers, end_of, is_open, self_of, tag
from rooms.help import Call, unclaimed
from rooms.talk import following

MOST_UNSEATED = 60
"""So many people without a room are listed; before an assignment it is everybody, and each who joins sends the list again."""


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


class BondData(TypedDict):
    """That somebody is kept `together` or `apart` with all others who have the same number."""

    how: str
    number: int


class UnseatedData(TypedDict):
    """Somebody without a room in the current round, by their tag; `number`: among those who take part."""

    id: str
    name: str
    number: int
    bonds: list[BondData]


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
    `number`: among those who take part, the same in every room; `away_since`: the seat is held."""

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
    materials: str
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


class HandData(TypedDict):
    """Somebody on the speaker list, or speaking. `number`: how they are called if they have no name; 0: of the team."""

    id: str
    name: str
    number: int
    away: bool


class HandsData(TypedDict):
    """`hands/<room>`: the speaker list in its order. `since`: when the speaker has begun; `next`: whose turn it is then."""

    room: str
    open: bool
    speaker: HandData | None
    since: str
    next: str
    hands: list[HandData]


class ChatData(TypedDict):
    """`chat/<n>`: a message, or that there was one. `removed`: empty, or by whom it was (`author` `lead`)."""

    message: int
    room: str
    text: str
    name: str
    number: int
    author: str
    at: str
    removed: str


class WorkData(TypedDict):
    """How much there is: cards, those of them that are for the plenary, raised hands. `active`: the minute in which something was
    last said or written, in ms, or 0."""

    cards: int
    proposed: int
    hands: int
    active: int


class OverviewData(RoomData, WorkData):
    """`room/<id>` in `rooms`. `cards`, `proposed`, `hands` and `active` travel as counts; `away`: how many seats are held;
    `summary`: its state, or empty; `help`: `waiting`, `coming` or `here`, or empty; `bonds`: of its people, by their
    tags, until the round is over."""

    bonds: dict[str, list[BondData]]
    away: int
    summary: str
    help: str


class HelpData(TypedDict):
    """`help/<room>`: the call of a room; without one `since` is empty. `asked`: how many have called; `by`: who is coming, as in
    the room's `people`, with `by_name` and `by_role`; `here`: they are in the room."""

    room: str
    name: str
    open: bool
    since: str
    why: str
    asked: int
    by: str
    by_name: str
    by_role: str
    here: bool


class WaitingData(TypedDict):
    """A room that waits for help."""

    room: str
    name: str
    since: str


class CallsData(TypedDict):
    """`calls`: the rooms to which nobody comes yet, the longest waiting first. Why, only those are told who may come."""

    rooms: list[WaitingData]


class AnnouncementData(TypedDict):
    """`announcement/<n>`: what the moderators tell a room."""

    number: int
    text: str
    at: str


class ReadersData(TypedDict):
    """How many of a room's people have seen an announcement."""

    room: str
    name: str
    seen: int
    of: int


class SentData(AnnouncementData):
    """`announcement/<n>` in `rooms`. `seen` and `of` travel as counts, those of a room as `seen-<room>` and `of-<room>`."""

    seen: int
    of: int
    rooms: list[ReadersData]


def rounds(event: Event, lang: str) -> RoundsData:
    """What everybody may know: the rooms and their seats, not who is in them."""
    found = current(event)
    seats = [pair for room in event.rounds.of(found) for pair in room.seats.items()] if found else []
    at_tables = sum(seat.heads for person, seat in seats if is_table(person))
    return {"current": _round(event, found, lang) if found else None, "people": len(event.rounds.people) + at_tables}


def plan(event: Event, names: Names) -> PlanData:
    """Every round, and who has no room in the current one."""
    round = current(event)
    rooms = event.rounds.of(round) if round and round.state != "closed" else []
    seated = {person for room in rooms for person in room.seats}
    waiting = round.waiting if round else []
    others = [person for person in event.rounds.people if person not in seated and person not in waiting] if rooms else []

    def line(person: str) -> UnseatedData:
        return {
            "id": tag(event, person),
            "name": name_of(event, names, person),
            "number": event.rounds.numbers.get(person, 0),
            "bonds": bonds_of(event.rounds.bonds, person),
        }

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
        "materials": one.materials,
        "capacity": one.capacity,
        "state": "closed" if one.closed else round.state,
        "people": [_person(event, names, event.rounds.numbers.get(person, 0), person, held) for person, held in one.seats.items()],
        "guests": [name_of(event, names, person) for person in one.guests],
        "ends_at": iso(end) if end is not None else "",
        "grace": 0 if round.recalled_at is not None else round.grace,
        "recalled": round.recalled_at is not None,
        "asked": len(one.asked),
        "heads": one.people,
        "table": one.number if one.table else 0,
    }


def hands(event: Event, names: Names, id: str) -> HandsData:
    """The speaker list."""
    one = event.rounds.rooms[id]
    upcoming = following(one)
    return {
        "room": id,
        "open": is_open(event, id),
        "speaker": _hand(event, names, one, one.speaker) if one.speaker else None,
        "since": iso(one.speaking_since) if one.speaking_since is not None else "",
        "next": tag(event, upcoming) if upcoming else "",
        "hands": [_hand(event, names, one, person) for person in one.hands],
    }


def _hand(event: Event, names: Names, room: Room, person: str) -> HandData:
    seat = room.seats.get(person)
    return {
        "id": tag(event, person),
        "name": name_of(event, names, person),
        "number": event.rounds.numbers.get(person, 0),
        "away": seat is not None and seat.away_since is not None,
    }


def chat(event: Event, names: Names, number: int) -> ChatData | None:
    """A message, unless many newer ones have come. Of one that was removed nobody learns whose it was."""
    one = event.talk.messages[number]
    if not event.talk.is_shown(number):
        return None
    gone = one.removed is not None
    return {
        "message": one.number,
        "room": one.room,
        "text": one.text,
        "name": "" if gone else name_of(event, names, one.person),
        "number": 0 if gone else event.rounds.numbers.get(one.person, 0),
        "author": "" if gone else tag(event, one.person),
        "at": iso(one.at),
        "removed": one.removed or "",
    }


def overview(event: Event, names: Names, id: str, lang: str) -> OverviewData:
    """A room in the line of all rooms."""
    one, call = event.rounds.rooms[id], event.help.calls.get(id)
    summary = event.results.summaries.get(id)
    bonds = event.rounds.bonds if event.rounds.items[one.round].state != "closed" else {}
    return {
        **room(event, names, id, lang),
        **work(event, id),
        "bonds": {tag(event, person): found for person in one.seats if (found := bonds_of(bonds, person))},
        "away": sum(seat.away_since is not None for seat in one.seats.values()),
        "summary": summary.state if summary else "",
        "help": "" if call is None else "here" if _is_there(one, call) else "coming" if call.by else "waiting",
    }


def bonds_of(bonds: Bonds, person: str) -> list[BondData]:
    """With whom the organisers want this person."""
    return [{"how": bond.how, "number": number} for number, bond in sorted(bonds.items()) if person in bond.people]


def work(event: Event, id: str) -> WorkData:
    """What moves in a room."""
    one, cards = event.rounds.rooms[id], event.results.live(id)
    proposed = sum(card.proposed for card in cards)
    return {"cards": len(cards), "proposed": proposed, "hands": len(one.hands), "active": one.active_at or 0}


def help(event: Event, names: Names, id: str) -> HelpData:
    """The call of a room, or that it may call."""
    one, call = event.rounds.rooms[id], event.help.calls.get(id)
    return {
        "room": id,
        "name": one.name,
        "open": is_open(event, id),
        "since": iso(call.since) if call else "",
        "why": call.why if call else "",
        "asked": len(call.asked) if call else 0,
        "by": tag(event, call.by) if call and call.by else "",
        "by_name": name_of(event, names, call.by) if call and call.by else "",
        "by_role": call.role if call else "",
        "here": call is not None and _is_there(one, call),
    }


def calls(event: Event) -> CallsData:
    """Who waits for help."""
    rooms = event.rounds.rooms
    return {
        "rooms": [{"room": id, "name": rooms[id].name, "since": iso(call.since)} for id, call in unclaimed(event).items()]
    }


def announcement(event: Event, number: int) -> AnnouncementData:
    """What a room is told."""
    one = event.announcements.items[number]
    return {"number": number, "text": one.text, "at": iso(one.at)}


def sent(event: Event, number: int) -> SentData:
    """What was told, and how many have seen it."""
    readers = event.announcements.items[number].readers()
    return {
        **announcement(event, number),
        "seen": sum(seen for seen, _ in readers.values()),
        "of": sum(of for _, of in readers.values()),
        "rooms": [
            {"room": id, "name": event.rounds.rooms[id].name, "seen": seen, "of": of} for id, (seen, of) in readers.items()
        ],
    }


def seen(event: Event, number: int) -> dict[str, int]:
    """The numbers of an announcement, as its document names them."""
    shown = sent(event, number)
    rooms = {f"{name}-{one['room']}": one[name] for one in shown["rooms"] for name in ("seen", "of")}
    return {"seen": shown["seen"], "of": shown["of"], **rooms}


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
        "people": one.people,
        "free": one.free,
        "ends_at": iso(end) if end is not None else "",
        "closed": one.closed,
        "table": one.number if one.table else 0,
    }


def _person(event: Event, names: Names, number: int, person: str, held: Seat) -> PersonInRoomData:
    away = iso(held.away_since) if held.away_since is not None else ""
    return {
        "id": tag(event, person),
        "name": name_of(event, names, person),
        "number": number,
        "role": held.role,
        "away_since": away,
        "heads": held.heads,
        "table": is_table(person),
    }


def _is_there(one: Room, call: Call) -> bool:
    return call.by in one.guests or call.by in one.seats


def is_table(person: str) -> bool:
    return person.startswith(TABLE)


def name_of(event: Event, names: Names, person: str) -> str:
    """What they call themselves in this event; the full name of a registration is for the organisers. Of a table: who has said
    that they sit there."""
    if is_table(person):
        return names.get(person, "")
    return next((name for one in browsers(event, person) if (name := names.get(one, ""))), "")


def _topic(event: Event, one: Room, lang: str) -> str:
    topic = event.programme.topic(one.topic) if one.topic else None
    return words(topic.title, lang) if topic else ""
