"""Who sits in which room while `rooms/assignment.py` makes its plan.

A set of rooms is an int with one bit per room, so that "where can anybody of this room go without losing anything" costs a few `|`
and `&`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import and_, or_
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from rooms.assignment import Conditions, Slot, Wish

Side = Literal["hall", "home"]
Key = str | int
"""What people have in common who belong together, or must not meet: a word of theirs, or a bond of the organisers."""

NOBODY_LOSES, IN_HALL, AT_HOME, ONE_GAINS, ALL_UNDERSTAND, ALL_SIT, EVEN_LEADERS = range(7)
"""What those who move may lose: nothing (all of them; only those in the hall; only those at home; only those who get their topic by
it, or their language if topics do not count), their topic, topic and language, and their room its last moderator."""


class Party(msgspec.Struct, eq=False):
    """People who move as one; mostly one person. hears, likes: by person, the rooms whose language they share and whose topic they
    named. pinned: they stay where they are."""

    people: tuple[Wish, ...]
    hears: tuple[int, ...]
    likes: tuple[int, ...]
    keys: tuple[Key, ...]
    number: int
    hall: int
    moderators: int
    size: int
    room: int = -1
    pinned: bool = False


class Seating:
    """Rooms and people are numbered as the lot has drawn them. A room's size counts the seats held by people who are not known."""

    def __init__(self, wishes: Iterable[Wish], slots: Iterable[Slot], conditions: Conditions, seed: int) -> None:
        self.wishes = sorted(wishes, key=lambda wish: lot(seed, "person", wish.person))
        self.slots = sorted(slots, key=lambda slot: lot(seed, "room", slot.id))
        self.conditions = conditions
        self.rooms = range(len(self.slots))
        self.number = {slot.id: room for room, slot in enumerate(self.slots)}
        self.size = [slot.taken for slot in self.slots]
        self.free = self.where(lambda slot: slot.taken < slot.capacity)
        self.open: dict[Side, int] = {
            "hall": self.where(lambda slot: slot.place in ("", "hall")),
            "home": self.where(lambda slot: slot.place in ("", "home")),
        }
        self.here: list[dict[int, Party]] = [{} for _ in self.rooms]
        self.hall = [0 for _ in self.rooms]
        self.moderators = [0 for _ in self.rooms]
        self.of_size = [0] * (2 + max((max(slot.capacity, slot.taken) for slot in self.slots), default=0))
        for room, size in enumerate(self.size):
            self.of_size[size] |= 1 << room
        self._parties = 0
        self._holders: dict[tuple[Key, int], int] = {}
        self._keys: dict[Key, int] = {}
        self.topics: dict[str, int] = {}
        for room, slot in enumerate(self.slots):
            self.topics[slot.topic] = self.topics.get(slot.topic, 0) | 1 << room
        self._sharing: dict[tuple[str, ...], int] = {}
        self._reach = [[-1 for _ in self.rooms] for _ in range(7)]

    def where(self, so: Callable[[Slot], bool]) -> int:
        """The rooms of which it is true."""
        return sum(1 << room for room, slot in enumerate(self.slots) if so(slot))

    def roomy(self, people: int) -> int:
        """The rooms with so many free seats."""
        if people == 1:
            return self.free
        return sum(1 << room for room in bits(self.free) if self.slots[room].capacity - self.size[room] >= people)

    def allowed(self, party: Party) -> int:
        """The rooms where all of them may sit, full or not: for their place, and without anybody they must not meet."""
        rooms = -1
        if party.hall:
            rooms &= self.open["hall"]
        if party.hall < party.size:
            rooms &= self.open["home"]
        for key in party.keys:
            rooms &= ~self._keys.get(key, 0)
        return rooms

    def seats(self, rooms: int) -> int:
        """How many are free there."""
        return sum(self.slots[room].capacity - self.size[room] for room in bits(rooms & self.free))

    def people(self, rooms: int) -> int:
        """How many there are, with the seats that are held."""
        return sum(self.size[room] for room in bits(rooms))

    def seated(self) -> Iterator[Party]:
        """Everybody who has a room."""
        for here in self.here:
            yield from here.values()

    def movable(self, party: Party, level: int = NOBODY_LOSES) -> bool:
        """Not pinned, and not their room's last moderator."""
        spare = not self.conditions.moderator or not party.moderators or self.moderators[party.room] > party.moderators
        return not party.pinned and (spare or level == EVEN_LEADERS)

    def single(self, room: int, level: int) -> Iterator[Party]:
        """Who sits here alone and may move at such a price."""
        for party in self.here[room].values():
            elsewhere = not party.hall if level == IN_HALL else bool(party.hall) if level == AT_HOME else False
            if party.size == 1 and not elsewhere and self.movable(party, level):
                yield party

    def party(self, people: Sequence[Wish], *, pinned: bool = False) -> Party:
        """People who from now on move as one."""
        self._parties += 1
        return Party(
            people=tuple(people),
            hears=tuple(map(self._heard, people)),
            likes=tuple(map(self._liked, people)),
            keys=tuple(key for wish in people for key in shunned(wish, self.conditions)),
            number=self._parties,
            hall=sum(wish.place == "hall" for wish in people),
            moderators=sum(wish.moderates for wish in people),
            size=len(people),
            pinned=pinned,
        )

    def put(self, party: Party, room: int) -> None:
        """They sit there now."""
        self.here[room][party.number] = party
        party.room = room
        self._count(party, room, 1)

    def take(self, party: Party) -> None:
        """They sit nowhere now."""
        del self.here[party.room][party.number]
        self._count(party, party.room, -1)
        party.room = -1

    def choice(self, party: Party, rooms: int) -> int:
        """Of these rooms, the best ones; of these, with the topic they like best; of these, the emptiest."""
        rooms = self.best(party, rooms)
        if self.conditions.topics and party.size == 1:
            rooms = next((hit for topic in party.people[0].topics if (hit := rooms & self.topics.get(topic, 0))), rooms)
        return self.emptiest(rooms)

    def best(self, party: Party, rooms: int) -> int:
        """Of these rooms, those where the fewest of them lack a language, then a topic."""
        hears, likes = reduce(and_, party.hears), reduce(and_, party.likes)
        if party.size == 1 or rooms & hears & likes or not rooms:
            return rooms & hears & likes or rooms & hears or rooms & likes or rooms
        losses = {room: (lacking(party.hears, room), lacking(party.likes, room)) for room in bits(rooms)}
        least = min(losses.values())
        return sum(1 << room for room, loss in losses.items() if loss == least)

    def emptiest(self, rooms: int) -> int:
        """The room with the fewest people; of several, the one drawn first."""
        hit = next(hit for those in self.of_size if (hit := rooms & those))
        return (hit & -hit).bit_length() - 1

    def go_on(self, room: int, level: int) -> int:
        """Where anybody of this room can go who sits here alone."""
        if self._reach[level][room] < 0:
            self._reach[level][room] = reduce(or_, (self.keep(party, level) for party in self.single(room, level)), 0)
        return self._reach[level][room]

    def keep(self, party: Party, level: int) -> int:
        """The other rooms where they lose nothing but what the level says."""
        here = 1 << party.room
        rooms = self.allowed(party) & ~here
        if level < ALL_SIT:
            for hears in party.hears:
                rooms &= hears if hears & here else -1
            if level < ALL_UNDERSTAND:
                for likes in party.likes:
                    rooms &= likes if likes & here else -1
        if level == ONE_GAINS:
            for wish in party.likes if self.conditions.topics else party.hears:
                rooms &= 0 if wish & here else wish
        return rooms

    def claim(self, party: Party) -> bool:
        """Seat one person in an empty room that was given to those of the other place."""
        place: Side = "hall" if party.hall else "home"
        for room in bits(self.free & ~self.open[place]):
            if not self.here[room] and not self.slots[room].place:
                self.dedicate(room, place)
                self.put(party, room)
                return True
        return False

    def dedicate(self, room: int, place: Side) -> None:
        """From now on the room is for people there only."""
        for other in self.open:
            self.open[other] = self.open[other] | 1 << room if other == place else self.open[other] & ~(1 << room)
        self.forget((1 << len(self.slots)) - 1)

    def rank(self, party: Party, room: int) -> int:
        """Which of their wishes the room's topic is, from 0."""
        if not self.conditions.topics:
            return 0
        topics, topic = party.people[0].topics, self.slots[room].topic
        return topics.index(topic) if topic in topics else len(topics)

    def _count(self, party: Party, room: int, sign: int) -> None:
        bit = 1 << room
        self.of_size[self.size[room]] &= ~bit
        self.size[room] += sign * party.size
        self.of_size[self.size[room]] |= bit
        self.free = self.free | bit if self.size[room] < self.slots[room].capacity else self.free & ~bit
        self.hall[room] += sign * party.hall
        self.moderators[room] += sign * party.moderators
        stale = bit
        for key in party.keys:
            self._holders[key, room] = self._holders.get((key, room), 0) + sign
            stale |= self._keys.get(key, 0)
            self._keys[key] = self._keys.get(key, 0) | bit if self._holders[key, room] else self._keys[key] & ~bit
        self.forget(stale)

    def forget(self, rooms: int) -> None:
        """What is remembered of where people of these rooms can go is no longer true."""
        for room in bits(rooms):
            for reach in self._reach:
                reach[room] = -1

    def _heard(self, wish: Wish) -> int:
        if not self.conditions.languages or not wish.languages:
            return -1
        if wish.languages not in self._sharing:
            self._sharing[wish.languages] = self.where(lambda slot: shared(wish.languages, slot.languages))
        return self._sharing[wish.languages]

    def _liked(self, wish: Wish) -> int:
        if not self.conditions.topics or not wish.topics:
            return -1
        return reduce(or_, (self.topics.get(topic, 0) for topic in wish.topics), 0)


def may_take(wish: Wish, slot: Slot, people: Iterable[Wish], conditions: Conditions) -> bool:
    """May they sit in this room with these people, if it has a free seat?"""
    people, keys = list(people), shunned(wish, conditions)
    return (
        slot.place in ("", wish.place)
        and not (conditions.places == "apart" and any(one.place != wish.place for one in people))
        and not (keys and any(key in shunned(one, conditions) for one in people for key in keys))
    )


def company(wish: Wish, conditions: Conditions) -> tuple[Key, ...]:
    """They belong together with people who have one of these keys: of the organisers, which counts always and first, and of their
    own, if that counts."""
    own = (wish.together,) if conditions.together and wish.together else ()
    return (wish.bond, *own) if wish.bond else own


def shunned(wish: Wish, conditions: Conditions) -> tuple[Key, ...]:
    """They must not meet people with one of these keys: of the organisers, which count always, and of their own, if that counts."""
    return (*wish.parted, wish.apart) if conditions.apart and wish.apart else wish.parted


def shared(some: Sequence[str], others: Sequence[str]) -> bool:
    """Have they a language in common? Who names none understands every one."""
    return not some or not others or any(language in others for language in some)


def lacking(sets: Iterable[int], room: int) -> int:
    """How many of the sets do not have the room."""
    return sum(not rooms >> room & 1 for rooms in sets)


def lot(seed: int, kind: str, name: str) -> bytes:
    """Sorts names as a lot would draw them: the same for a seed on every machine, and nobody's place follows from their name."""
    return hashlib.blake2b(f"{seed}/{kind}/{name}".encode("utf-8", "surrogatepass"), digest_size=16).digest()


def bits(rooms: int) -> Iterator[int]:
    """The rooms of a set, which must not be infinite."""
    while rooms:
        low = rooms & -rooms
        yield low.bit_length() - 1
        rooms ^= low
