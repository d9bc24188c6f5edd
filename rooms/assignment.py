"""Assignment: who goes to which breakout room, drawn by lot under conditions, and what could not be met.

How `assign` works: rooms and people are put into an order that only the seed and their ids decide. Who has a room keeps it. If
there are more people than seats, that order says who gets one, moderators first if each room needs one. Each room gets a
moderator (a maximum matching). Then groups sit down, the largest first, then everybody else, those with the fewest good rooms
first. Last, people move in chains and change places in pairs, as long as somebody gets their language or topic by it, or sizes or
the mixture of hall and home become more equal, or topics better liked, and nobody loses anything. Only a topic (or a language, if
topics do not count) may go to somebody else instead, if more people have theirs then, or as many and sizes are more equal.

What always holds: no room is above its capacity. Nobody at home sits in a room of the hall, nor the other way round. Who must not
meet does not meet, they rather wait; so do people of hall and home where these are to be apart. Only people who keep a room can
break these two. Nobody waits while there is a free seat that they may take. Whatever is not met is in `unmet`. No single person
could move to a room with at least two people fewer without losing anything. The order of the input does not matter.

What gives way to what, the first being the last to give way: a seat, a moderator, company (`bond`, then `together`), a language, a
topic (any of those that were named), equal sizes, mixture, a better liked topic, new company (`anew`). So if need be people sit
where they do not understand; it is said.

What is best: with one condition only, of `moderator`, `languages`, `topics` and `places="mixed"`, and nobody who keeps a room, it
cannot be met more often among those who have a seat, and sizes cannot be more equal then (for moderators and mixture: if no room
is for hall or home only). With several conditions, with groups (packing them is hard), with people who must not meet, and always
for better liked topics and new company, something better may exist. Who names one topic gets it more probably than who names
three, because more wishes can be met that way. A group has a slightly smaller chance of a seat than one person, because it waits
for a place for all. Which rooms are for hall and which for home, where these are apart, is decided without a look at topics,
languages and moderators.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Literal

import msgspec

from rooms.allotment import divide, lead
from rooms.anew import mix_anew
from rooms.moves import even, make_room, mend, mix, prefer, trade
from rooms.seating import Key, Party, Seating, bits, company, lot, may_take, shared, shunned
from rooms.unmet import Unmet, unmet


class Wish(msgspec.Struct, frozen=True):
    """What is known of a person. topics: the dearest first, none means all the same; languages: none means all; together, apart:
    people with the same key stay together, must not meet; bond, parted: the same, as the organisers want it; fixed: the id of the
    room they have and keep; held: they sit there already, and nobody else gets that seat; met: with whom they have been in a room
    before."""

    person: str
    place: Literal["hall", "home"] = "home"
    topics: tuple[str, ...] = ()
    languages: tuple[str, ...] = ()
    moderates: bool = False
    together: str = ""
    apart: str = ""
    bond: int = 0
    parted: tuple[int, ...] = ()
    fixed: str = ""
    held: bool = False
    met: frozenset[str] = frozenset()


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
    """What counts. places: rooms for hall and home as it comes, each in proportion, or each for one of them only; together, apart:
    people's own keys, those of the organisers count always; anew: as few as possible with somebody they have met."""

    topics: bool = False
    places: Literal["any", "mixed", "apart"] = "any"
    moderator: bool = False
    languages: bool = False
    together: bool = False
    apart: bool = False
    anew: bool = False


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
    while people(still := [one for party in waiting for one in sit(seating, party) if not seating.claim(one)]) < people(waiting):
        waiting = still
        improve(seating)

    seats = {wish.person: seating.slots[party.room].id for party in seating.seated() for wish in party.people}
    if conditions.anew:
        seats = mix_anew(seating.wishes, slots, conditions, seats, seed)
    wait = tuple(wish.person for wish in seating.wishes if wish.person not in seats)
    return Assignment(seats, wait, tuple(sorted(unmet(wishes, slots, conditions, seats))))


def late(
    wish: Wish,
    rooms: Sequence[Slot],
    conditions: Conditions,
    sizes: Mapping[str, int],
    known: Mapping[str, Sequence[Wish]] | None = None,
) -> str | None:
    """The room for somebody who comes later, or None if there is none that they may take: the waiting list. Nobody else moves.

    sizes: people by room, with the seats that are held; `taken` for a room without an entry. known: what is known of people, by
    room; without it nobody can be kept together, apart or mixed. Of the rooms with a free seat that they may take, it is one
    without a moderator if they are one, then that of their company, with their language, with a topic of theirs, the emptiest, the
    one with the fewest from the same place (if mixed), with the topic they like best."""
    known = known or {}

    def size(slot: Slot) -> int:
        return sizes.get(slot.id, slot.taken)

    def losses(slot: Slot) -> tuple[bool, list[bool], bool, bool, int, int, int, bytes]:
        people = known.get(slot.id, ())
        return (
            conditions.moderator and wish.moderates and any(one.moderates for one in people),
            [all(key not in company(one, conditions) for one in people) for key in company(wish, conditions)],
            conditions.languages and not shared(wish.languages, slot.languages),
            conditions.topics and bool(wish.topics) and slot.topic not in wish.topics,
            size(slot),
            sum(one.place == wish.place for one in people) if conditions.places == "mixed" else 0,
            wish.topics.index(slot.topic) if conditions.topics and slot.topic in wish.topics else 0,
            lot(0, wish.person, slot.id),
        )

    may = [slot for slot in rooms if size(slot) < slot.capacity and may_take(wish, slot, known.get(slot.id, ()), conditions)]
    kept = [slot for slot in may if slot.id == wish.fixed]
    return min(kept or may, key=losses).id if may else None


# The steps of `assign`


def keep_fixed(seating: Seating) -> list[Wish]:
    """Who has a room keeps it, if it exists and has a seat; returns the others."""
    others = []
    for wish in sorted(seating.wishes, key=lambda wish: not wish.held):
        room = seating.number.get(wish.fixed, -1)
        if room >= 0 and seating.free >> room & 1:
            seating.put(seating.party([wish], pinned=True), room)
        else:
            others.append(wish)
    return others


def group(seating: Seating, wishes: Iterable[Wish]) -> list[Party]:
    """Who belongs together is one party: by the organisers' bonds first, then by people's own words, where a word of one of a bond
    brings all of it along. The lot of a group is that of the first by name: with the best lot of all of them, groups would have
    better chances."""
    bonded = unite(seating, [[wish] for wish in wishes], lambda wish: wish.bond)
    groups = unite(seating, bonded, lambda wish: wish.together) if seating.conditions.together else bonded
    drawn = {wish.person: number for number, wish in enumerate(seating.wishes)}
    lots = sorted(groups, key=lambda people: drawn[min(wish.person for wish in people)])
    return [seating.party(people) for people in lots]


def unite(seating: Seating, groups: Iterable[list[Wish]], key: Callable[[Wish], Key]) -> list[list[Wish]]:
    """Groups whose people share a key are one. Not those with people who must not meet, nor hall and home if no room is for both;
    nor does a group join another one if no room is large enough for both: somebody would be cut off from it."""
    separate = not seating.open["hall"] & seating.open["home"]
    largest = max((seating.slots[room].capacity - seating.size[room] for room in seating.rooms), default=0)
    of_key: dict[tuple[Key, str], int] = {}
    united: list[list[Wish]] = []
    shuns: list[set[Key]] = []
    for people in sorted(groups, key=len, reverse=True):
        mine = len(united)
        united.append(people)
        shuns.append({shun for wish in people for shun in shunned(wish, seating.conditions)})
        keys = dict.fromkeys((key(wish), wish.place if separate else "") for wish in people if key(wish))
        for known in keys:
            other = of_key.setdefault(known, mine)
            fits = len(people) == 1 or len(united[mine]) + len(united[other]) <= largest
            if other != mine and fits and shuns[mine].isdisjoint(shuns[other]):
                united[other] += united[mine]
                shuns[other] |= shuns[mine]
                united[mine] = []
                if len(keys) > 1:
                    of_key |= {known: other for known, number in of_key.items() if number == mine}
                mine = other
    return [people for people in united if people]


def draw(seating: Seating, parties: Sequence[Party]) -> tuple[list[Party], list[Party]]:
    """Who gets a seat, in the order of the lot, moderators first if each room needs one; and who waits. A group that does not fit
    as a whole is passed over; seats that are left go to its people one by one. There is a way to seat them if there are seats
    enough for those in the hall, for those at home, and for all of them."""
    hall, home = seating.open["hall"], seating.open["home"]
    left = [seating.seats(hall), seating.seats(home), seating.seats(hall | home)]

    def admitted(party: Party) -> bool:
        asked = (party.hall, party.size - party.hall, party.size)
        if any(want > have for want, have in zip(asked, left, strict=True)):
            return False
        left[:] = (have - want for want, have in zip(asked, left, strict=True))
        return True

    drawn: list[Party] = []
    passed: list[Party] = []
    waiting: list[Party] = []
    for party in sorted(parties, key=lambda party: not (seating.conditions.moderator and party.moderators)):
        (drawn if admitted(party) else passed).append(party)
    for party in passed:
        luck = [(one, admitted(one)) for one in (seating.party([wish]) for wish in party.people)]
        waiting += [one for one, lucky in luck if not lucky]
        if some := [wish for one, lucky in luck if lucky for wish in one.people]:
            drawn.append(seating.party(some))
    return drawn, waiting


def follow(seating: Seating, parties: Iterable[Party]) -> list[Party]:
    """Groups of which somebody has a room go there, as many as fit; returns the others."""
    mates: dict[Key, Counter[int]] = {}
    for party in seating.seated():
        for key in company(party.people[0], seating.conditions):
            mates.setdefault(key, Counter())[party.room] += 1
    others = []
    for party in parties if mates else ():
        keys = {key for wish in party.people for key in company(wish, seating.conditions)}
        bonds = [mates[key] for key in keys if key in mates and isinstance(key, int)]
        rooms = sum(bonds or [mates[key] for key in keys if key in mates], Counter[int]())
        if not rooms:
            others.append(party)
            continue
        room = min(rooms, key=lambda room: (-rooms[room], room))
        still = follow_to(seating, room, party.people, {key for key, where in mates.items() if where[room]})
        if still:
            others.append(seating.party(still))
    return others if mates else list(parties)


def follow_to(seating: Seating, room: int, people: Sequence[Wish], there: set[Key]) -> list[Wish]:
    """Seat those whose company is there, one after the other, and then theirs; returns the others. `there`: keys of those."""
    still = list(people)

    def next_one() -> Party | None:
        for wish in still:
            one = seating.party([wish], pinned=True)
            if not there.isdisjoint(company(wish, seating.conditions)) and seating.allowed(one) & seating.free & 1 << room:
                return one
        return None

    while one := next_one():
        seating.put(one, room)
        still.remove(one.people[0])
        there.update(company(one.people[0], seating.conditions))
    return still


def urgency(seating: Seating, party: Party) -> tuple[int, int, int, int]:
    """The order of sitting down: large parties; people who must not meet others; those with the fewest good rooms; by lot."""
    choice = seating.best(party, seating.allowed(party)).bit_count() if party.size == 1 else 0
    return -party.size, -len(party.keys), choice, party.number


def sit(seating: Seating, party: Party) -> list[Party]:
    """A room for the party, else for as many of them as possible; returns those for whom there is none."""
    rooms = seating.allowed(party)
    if fitting := rooms & seating.roomy(party.size):
        seating.put(party, seating.choice(party, fitting))
        return []
    if party.size == 1:
        return [] if make_room(seating, party) else [party]
    if not rooms & seating.free:
        return [one for wish in party.people for one in sit(seating, seating.party([wish]))]
    most = max(seating.slots[room].capacity - seating.size[room] for room in bits(rooms & seating.free))
    return [one for people in (party.people[:most], party.people[most:]) for one in sit(seating, seating.party(people))]


def improve(seating: Seating) -> None:
    """All that can be better, again and again, because a move can make way for another. It ends, because no step makes worse what
    counts for more: languages, topics, sizes, mixture, better liked topics."""
    steps = [mend, even, trade]
    if seating.conditions.places == "mixed":
        steps.append(mix)
    if seating.conditions.topics:
        steps.append(prefer)
    while sum(step(seating) for step in steps):
        pass


def people(parties: Iterable[Party]) -> int:
    """How many they are."""
    return sum(party.size for party in parties)
