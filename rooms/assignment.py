"""Assignment: who goes to which breakout room, drawn by lot under conditions, and what could not be met.

How `assign` works. Rooms and people are drawn in an order that only the seed and their ids decide. Who has a room keeps it. If there
are more people than seats, the lot says who gets one; moderators come first where each room needs one. Each room gets a moderator
(a maximum matching). Then groups sit down, the largest first, then everybody else, those with the fewest rooms to choose from first.
Last, people move in chains and change places in pairs, as long as that gives somebody their language or topic, makes sizes or the
mixture of hall and home more equal, or gives better liked topics, and nobody loses anything by it.

What always holds: no room is above its capacity. Nobody at home sits in a room of the hall, nor the other way round. Who must not
meet does not meet: they rather wait, and so do people of hall and home where these are to be apart. Only a room that somebody already
has can break these three. Nobody waits who could take a free seat. Whatever is not met is in `unmet`. No single person could move to
a room with at least two people fewer without losing anything.

What gives way to what, the first the last to give way: a seat, a moderator, company (`together`), a language, a topic (any of those
named), equal sizes, mixture, a better liked topic. So a full evening seats people where they do not understand, and says so.

What is exact: with a single condition of moderator, languages, topics or mixed, without groups and people who must not meet, nothing
could be met more often. What is not: with several conditions at once, or with groups (packing them is a hard problem), something
better may exist. Who names one topic gets it more probably than who names three, because more wishes can be met that way.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import Literal

import msgspec

from rooms.seating import Party, Seating, bits, lot, shared

Code = Literal["capacity", "fixed", "place", "moderator", "together", "apart", "language", "topic", "mixed"]
"""What a preview can say; "fixed": they had a room and could not keep it; "place": hall or home, of a room or of all."""
Why = Literal["none", "full", "conflict"]
"""There is no such room (no such person); there is, but it is full; there is, and other conditions or people were in the way."""


class Wish(msgspec.Struct, frozen=True):
    """What is known of a person. topics: the dearest first, none means all the same; languages: none means all; together, apart: people
    with the same key stay together, must not meet; fixed: the id of the room they have and keep."""

    person: str
    place: Literal["hall", "home"] = "home"
    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    moderates: bool = False
    together: str = ""
    apart: str = ""
    fixed: str = ""


class Slot(msgspec.Struct, frozen=True):
    """A room to fill. capacity: 2 to 75. taken: seats held by people who are not among the wishes and of whom nothing is known.
    languages: none means all. place: for people there only; empty for all."""

    id: str
    topic: str = ""
    capacity: int = 75
    taken: int = 0
    languages: tuple[str, ...] = ()
    place: Literal["", "hall", "home"] = ""


class Conditions(msgspec.Struct, frozen=True):
    """What counts. places: rooms for hall and home as it comes, each in proportion, or each for one of them only."""

    topics: bool = False
    places: Literal["any", "mixed", "apart"] = "any"
    moderator: bool = False
    languages: bool = False
    together: bool = False
    apart: bool = False


class Unmet(msgspec.Struct, frozen=True, order=True):
    """A condition that does not hold for a person (and the room where they are), or for a room."""

    condition: Code
    person: str = ""
    room: str = ""
    why: Why = "conflict"


class Assignment(msgspec.Struct, frozen=True):
    """seats: person → id of the room. waiting: in the order in which the lot has drawn them."""

    seats: dict[str, str]
    waiting: tuple[str, ...]
    unmet: tuple[Unmet, ...]


def assign(wishes: Sequence[Wish], slots: Sequence[Slot], conditions: Conditions, seed: int) -> Assignment:
    """Everybody's room. Ids of people and of rooms are unique; their order does not matter."""
    seating = Seating(wishes, slots, conditions, seed)
    others = keep_fixed(seating)
    if conditions.places == "apart":
        divide(seating, others)
    parties, waiting = draw(seating, group(seating, others))
    parties = follow(seating, parties)
    if conditions.moderator:
        parties = lead(seating, parties)
    for party in sorted(parties, key=lambda party: urgency(seating, party)):
        waiting += sit(seating, party)
    improve(seating)
    while people(still := [one for party in waiting for one in sit(seating, party)]) < people(waiting):
        waiting = still
        improve(seating)

    seats = {wish.person: seating.slots[party.room].id for party in seating.seated() for wish in party.people}
    wait = tuple(wish.person for wish in seating.wishes if wish.person not in seats)
    return Assignment(seats, wait, tuple(sorted(unmet(wishes, slots, conditions, seats))))


def late(
    wish: Wish, rooms: Sequence[Slot], conditions: Conditions, sizes: Mapping[str, int], known: Mapping[str, Sequence[Wish]] | None = None
) -> str | None:
    """The room for somebody who comes later, or None if there is none that they may take. sizes: people by room, with the seats that
    are held; without an entry, `taken`. known: what is known of the people by room.

    Among the rooms with a free seat that they may take: their group's, one without a moderator if they are one, with their language,
    with a topic of theirs; of these the emptiest, then the one with the fewest from the same place, then with the better liked topic."""
    known = known or {}

    def size(slot: Slot) -> int:
        return sizes.get(slot.id, slot.taken)

    def losses(slot: Slot) -> tuple[bool, bool, bool, bool, int, int, int, bytes]:
        people = known.get(slot.id, ())
        return (
            conditions.together and bool(wish.together) and all(one.together != wish.together for one in people),
            conditions.moderator and wish.moderates and any(one.moderates for one in people),
            conditions.languages and not shared(wish.languages, slot.languages),
            conditions.topics and bool(wish.topics) and slot.topic not in wish.topics,
            size(slot),
            sum(one.place == wish.place for one in people) if conditions.places == "mixed" else 0,
            wish.topics.index(slot.topic) if conditions.topics and slot.topic in wish.topics else 0,
            lot(0, wish.person, slot.id),
        )

    may = [slot for slot in rooms if size(slot) < slot.capacity and may_take(wish, slot, known.get(slot.id, ()), conditions)]
    kept = [slot for slot in rooms if slot.id == wish.fixed and size(slot) < slot.capacity]
    return min(kept or may, key=losses).id if kept or may else None


def may_take(wish: Wish, slot: Slot, people: Iterable[Wish], conditions: Conditions) -> bool:
    """May they sit in this room with these people, if it has a free seat?"""
    return (
        slot.place in ("", wish.place)
        and not (conditions.places == "apart" and any(one.place != wish.place for one in people))
        and not (conditions.apart and wish.apart and any(one.apart == wish.apart for one in people))
    )


# The steps of `assign`


def keep_fixed(seating: Seating) -> list[Wish]:
    """Who has a room keeps it, if it exists and has a seat; returns the others."""
    others = []
    for wish in seating.wishes:
        room = seating.number.get(wish.fixed, -1)
        if room >= 0 and seating.free >> room & 1:
            seating.put(seating.party([wish], pinned=True), room)
        else:
            others.append(wish)
    return others


def divide(seating: Seating, wishes: Sequence[Wish]) -> None:
    """Give each room to the hall or to home, so that as few as possible wait and then sizes are alike. Rooms of a topic are divided
    evenly. A room where somebody sits already is for those who are more there."""
    for room in seating.rooms:
        if seating.here[room] and not seating.slots[room].place:
            hall = 2 * seating.hall[room] >= sum(party.size for party in seating.here[room].values())
            seating.dedicate(room, "hall" if hall else "home")
    both = seating.open["hall"] & seating.open["home"]
    rooms = sorted(bits(both), key=lambda room: (seating.slots[room].topic, seating.slots[room].languages, seating.slots[room].capacity))
    hall = sum(wish.place == "hall" for wish in wishes)

    def every(count: int) -> int:
        """So many of the rooms, evenly spread."""
        return sum(1 << room for n, room in enumerate(rooms) if (n + 1) * count // len(rooms) > n * count // len(rooms))

    def cost(count: int) -> tuple[int, float]:
        given = every(count)
        sides = ((hall, seating.open["hall"] & ~both | given), (len(wishes) - hall, seating.open["home"] & ~given))
        seats = [min(people, seating.seats(side)) for people, side in sides]
        crowds = [(sit + seating.people(side)) ** 2 / max(side.bit_count(), 1) for sit, (_, side) in zip(seats, sides, strict=True)]
        return len(wishes) - sum(seats), sum(crowds)

    given = every(min(range(len(rooms) + 1), key=cost))
    for room in rooms:
        seating.dedicate(room, "hall" if given >> room & 1 else "home")


def group(seating: Seating, wishes: Iterable[Wish]) -> list[Party]:
    """Who wants to stay together is one party; not those who must not meet, nor hall and home if no room is for both."""
    groups: dict[tuple[str, ...], list[Wish]] = {}
    separate = not seating.open["hall"] & seating.open["home"]
    for wish in wishes:
        key = (wish.together, wish.place if separate else "") if seating.conditions.together and wish.together else (wish.person,)
        if seating.conditions.apart and wish.apart and any(one.apart == wish.apart for one in groups.get(key, ())):
            key = (wish.person,)
        groups.setdefault(key, []).append(wish)
    return [seating.party(people) for people in groups.values()]


def draw(seating: Seating, parties: Sequence[Party]) -> tuple[list[Party], list[Party]]:
    """Who gets a seat, in the order of the lot, moderators first if each room needs one; and who waits. A group that does not fit as
    a whole is passed over; seats that are left go to its people one by one. It fits exactly if hall, home and all of them do."""
    hall, home = seating.open["hall"], seating.open["home"]
    left = [seating.seats(hall), seating.seats(home), seating.seats(hall | home)]

    def admitted(party: Party) -> bool:
        asked = (party.hall, party.size - party.hall, party.size)
        if any(want > have for want, have in zip(asked, left, strict=True)):
            return False
        left[:] = (have - want for want, have in zip(asked, left, strict=True))
        return True

    first = sorted(parties, key=lambda party: not (seating.conditions.moderator and party.moderators))
    drawn, passed = split(first, admitted)
    some, waiting = split([seating.party([wish]) for party in passed for wish in party.people], admitted)
    return drawn + some, waiting


def follow(seating: Seating, parties: Iterable[Party]) -> list[Party]:
    """Groups of which somebody has a room go there, as many as fit; returns the others."""
    if not seating.conditions.together:
        return list(parties)
    mates: dict[str, Counter[int]] = {}
    for party in seating.seated():
        if party.people[0].together:
            mates.setdefault(party.people[0].together, Counter())[party.room] += 1
    others = []
    for party in parties:
        rooms = mates.get(party.people[0].together)
        if not rooms:
            others.append(party)
            continue
        room = min(rooms, key=lambda room: (-rooms[room], room))
        apart = []
        for one in [seating.party([wish], pinned=True) for wish in party.people]:
            if seating.allowed(one) & seating.free & 1 << room:
                seating.put(one, room)
            else:
                apart += one.people
        if apart:
            others.append(seating.party(apart))
    return others


def lead(seating: Seating, parties: Sequence[Party]) -> list[Party]:
    """Give a moderator to as many rooms as can have one: a maximum matching by augmenting paths, first with language and topic, then
    with language only, then as it comes. Returns the parties that have no room yet."""
    wanted = seating.where(lambda slot: not seating.moderators[seating.number[slot.id]]) & seating.free
    leaders = [party for party in parties if party.moderators]
    owner: dict[int, Party] = {}
    for tier in range(3):
        asked = {
            party.number: seating.allowed(party)
            & wanted
            & seating.roomy(party.size)
            & (reduce(and_, party.hears) if tier < 2 else -1)
            & (reduce(and_, party.likes) if tier < 1 else -1)
            for party in leaders
        }
        dead = 0
        has = {party.number for party in owner.values()}
        for party in leaders:
            if party.number not in has and len(owner) < wanted.bit_count():
                dead |= augment(party, asked, owner, dead)
    for room, party in owner.items():
        seating.put(party, room)
    return [party for party in parties if party.room < 0]


def augment(party: Party, asked: Mapping[int, int], owner: dict[int, Party], dead: int) -> int:
    """Find a room for the party, if need be by giving other rooms to others; otherwise, the rooms that lead nowhere."""
    before: dict[int, int] = dict.fromkeys(bits(asked[party.number] & ~dead), -1)
    seen = asked[party.number]
    queue = list(before)
    for room in queue:  # grows
        if room not in owner:
            while before[room] >= 0:
                owner[room] = owner[before[room]]
                room = before[room]
            owner[room] = party
            return 0
        new = asked[owner[room].number] & ~seen & ~dead
        seen |= new
        before |= dict.fromkeys(bits(new), room)
        queue += bits(new)
    return seen


def urgency(seating: Seating, party: Party) -> tuple[int, bool, int, int]:
    """The order of sitting down: large parties, people who must not meet others, those with the fewest good rooms, and by lot."""
    return -party.size, not party.keys, seating.best(party, seating.allowed(party)).bit_count(), party.number


def sit(seating: Seating, party: Party) -> list[Party]:
    """A room for the party, else for as many of them as possible; returns those for whom there is none."""
    rooms = seating.allowed(party)
    if fitting := rooms & seating.roomy(party.size):
        seating.put(party, seating.choice(party, fitting))
        return []
    if party.size == 1:
        return [] if seating.make_room(party) or seating.claim(party) else [party]
    if not rooms & seating.free:
        return [one for wish in party.people for one in sit(seating, seating.party([wish]))]
    most = max(seating.slots[room].capacity - seating.size[room] for room in bits(rooms & seating.free))
    return [one for people in (party.people[:most], party.people[most:]) for one in sit(seating, seating.party(people))]


def improve(seating: Seating) -> None:
    """All that can be better without anybody losing anything; sizes last, because moving somebody can make room for that."""
    seating.mend()
    seating.even()
    if seating.conditions.places == "mixed":
        seating.mix()
    if seating.conditions.topics:
        seating.prefer()
    seating.even()


def people(parties: Iterable[Party]) -> int:
    """How many they are."""
    return sum(party.size for party in parties)


def split(parties: Iterable[Party], so: Callable[[Party], bool]) -> tuple[list[Party], list[Party]]:
    """Those of whom it is true, and the others; asked once each, in order."""
    answers: tuple[list[Party], list[Party]] = ([], [])
    for party in parties:
        answers[not so(party)].append(party)
    return answers


# What could not be met


def unmet(wishes: Iterable[Wish], slots: Sequence[Slot], conditions: Conditions, seats: Mapping[str, str]) -> Iterator[Unmet]:
    """Every condition that does not hold in these seats; nothing of how they came about is used."""
    people: dict[str, list[Wish]] = {slot.id: [] for slot in slots}
    for wish in wishes:
        if wish.person in seats:
            people[seats[wish.person]].append(wish)
    free = [slot for slot in slots if slot.taken + len(people[slot.id]) < slot.capacity]
    waiting = [wish for wish in wishes if wish.person not in seats]
    yield from (about_waiting(wish, slots, free, people, conditions) for wish in waiting)
    for wish in wishes:
        if wish.fixed and seats.get(wish.person) != wish.fixed:
            yield Unmet("fixed", wish.person, seats.get(wish.person, ""), "full" if wish.fixed in people else "none")
    for slot in slots:
        yield from about_room(slot, people[slot.id], conditions)
    if conditions.languages or conditions.topics:
        yield from about_wishes(slots, free, people, conditions)
    if conditions.together:
        yield from about_groups(wishes, slots, seats)
    if conditions.moderator:
        few = sum(one.moderates for here in people.values() for one in here) < sum(map(bool, people.values()))
        for room, here in people.items():
            if here and not any(one.moderates for one in here):
                yield Unmet("moderator", room=room, why="none" if few else "conflict")
    if conditions.places == "mixed":
        yield from about_mixture({slot.id: people[slot.id] for slot in slots if not slot.place})


def about_waiting(
    wish: Wish, slots: Iterable[Slot], free: Sequence[Slot], people: Mapping[str, Sequence[Wish]], conditions: Conditions
) -> Unmet:
    """Why somebody has no seat."""
    if not free:
        return Unmet("capacity", wish.person, why="full")
    if not any(slot.place in ("", wish.place) for slot in free):
        return Unmet("place", wish.person, why="full" if any(slot.place in ("", wish.place) for slot in slots) else "none")
    strangers = msgspec.structs.replace(wish, apart="")
    alone = any(may_take(strangers, slot, people[slot.id], conditions) for slot in free)
    return Unmet("apart" if alone else "place", wish.person)


def about_room(slot: Slot, people: Sequence[Wish], conditions: Conditions) -> Iterator[Unmet]:
    """Who should not sit here, or not with others who do: because somebody has kept their room."""
    if conditions.places == "apart" and not slot.place and len({wish.place for wish in people}) > 1:
        yield Unmet("place", room=slot.id)
    keys = Counter(wish.apart for wish in people if wish.apart) if conditions.apart else Counter()
    for wish in people:
        if slot.place not in ("", wish.place):
            yield Unmet("place", wish.person, slot.id)
        if keys[wish.apart] > 1:
            yield Unmet("apart", wish.person, slot.id)


def about_wishes(
    slots: Iterable[Slot], free: Iterable[Slot], people: Mapping[str, Sequence[Wish]], conditions: Conditions
) -> Iterator[Unmet]:
    """Who does not understand, and who has none of the topics they named."""
    languages, topics = {one for slot in slots for one in slot.languages}, {slot.topic for slot in slots}
    free_languages, free_topics = {one for slot in free for one in slot.languages}, {slot.topic for slot in free}
    any_free = any(not slot.languages for slot in free)
    any_language = any(not slot.languages for slot in slots)
    for slot in slots:
        for wish in people[slot.id]:
            if conditions.languages and not shared(wish.languages, slot.languages):
                exists = any_language or not languages.isdisjoint(wish.languages)
                is_free = any_free or not free_languages.isdisjoint(wish.languages)
                yield Unmet("language", wish.person, slot.id, reason(exists, is_free))
            if conditions.topics and wish.topics and slot.topic not in wish.topics:
                yield Unmet("topic", wish.person, slot.id, reason(not topics.isdisjoint(wish.topics), not free_topics.isdisjoint(wish.topics)))


def about_groups(wishes: Iterable[Wish], slots: Iterable[Slot], seats: Mapping[str, str]) -> Iterator[Unmet]:
    """Who is not where most of their group are. A group that waits is together."""
    groups: dict[str, list[Wish]] = {}
    for wish in wishes:
        if wish.together:
            groups.setdefault(wish.together, []).append(wish)
    largest = max((slot.capacity - slot.taken for slot in slots), default=0)
    for group in groups.values():
        rooms = Counter(seats[wish.person] for wish in group if wish.person in seats)
        most = min(rooms, key=lambda room: (-rooms[room], room), default="")
        for wish in group:
            if seats.get(wish.person, "") != most:
                yield Unmet("together", wish.person, seats.get(wish.person, ""), "none" if len(group) > largest else "conflict")


def about_mixture(people: Mapping[str, Sequence[Wish]]) -> Iterator[Unmet]:
    """The rooms for all whose number of people in the hall is more than one from their share."""
    hall = {room: sum(wish.place == "hall" for wish in here) for room, here in people.items()}
    all, all_hall = sum(map(len, people.values())), sum(hall.values())
    for room, here in people.items():
        if abs(hall[room] * all - len(here) * all_hall) > all:
            yield Unmet("mixed", room=room)


def reason(exists: bool, free: bool) -> Why:
    return "conflict" if free else "full" if exists else "none"
