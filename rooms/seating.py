"""Who sits in which room while `rooms/assignment.py` makes its plan, and the moves that make the plan better.

A set of rooms is an int with one bit per room, so that "where can anybody of this room go without losing anything" costs a few `|` and
`&`. People move in chains: somebody goes to a full room, from where somebody goes on, and the last one takes a free seat.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING, Literal

import msgspec

if TYPE_CHECKING:
    from rooms.assignment import Conditions, Slot, Wish

PlaceOf = Literal["hall", "home"]

NOBODY_LOSES, ALL_UNDERSTAND, ALL_SIT, IN_HALL, AT_HOME = range(5)
"""What those who move may lose: nothing; their topic; topic and language. The last two: nothing, and only people from there."""
MOST_PASSES = 8
"""How often the exchanges for mixture and better liked topics go through all rooms; two are nearly always enough."""
MOST_TRIES = 12
"""With how many people one person is compared to get a better liked topic."""


class Party(msgspec.Struct, eq=False):
    """People who move as one; mostly one person. hears, likes: by person, the rooms whose language they share, whose topic they named.
    pinned: they stay where they are."""

    people: tuple[Wish, ...]
    hears: tuple[int, ...]
    likes: tuple[int, ...]
    keys: tuple[str, ...]
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
        self.open: dict[PlaceOf, int] = {
            "hall": self.where(lambda slot: slot.place in ("", "hall")),
            "home": self.where(lambda slot: slot.place in ("", "home")),
        }
        self.here: list[dict[int, Party]] = [{} for _ in self.rooms]
        self.hall = [0 for _ in self.rooms]
        self.moderators = [0 for _ in self.rooms]
        self.of_size = [0] * (1 + max((max(slot.capacity, slot.taken) for slot in self.slots), default=0))
        for room, size in enumerate(self.size):
            self.of_size[size] |= 1 << room
        self._parties = 0
        self._holders: dict[tuple[str, int], int] = {}
        self._keys: dict[str, int] = {}
        self._topics: dict[str, int] = {}
        for room, slot in enumerate(self.slots):
            self._topics[slot.topic] = self._topics.get(slot.topic, 0) | 1 << room
        self._sharing: dict[tuple[str, ...], int] = {}
        self._reach = [[-1 for _ in self.rooms] for _ in range(5)]

    # What there is

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

    def movable(self, party: Party) -> bool:
        """Not pinned, and not their room's last moderator."""
        return not party.pinned and (
            not party.moderators or not self.conditions.moderator or self.moderators[party.room] > party.moderators
        )

    def party(self, people: Sequence[Wish], *, pinned: bool = False) -> Party:
        """People who from now on move as one."""
        self._parties += 1
        return Party(
            people=tuple(people),
            hears=tuple(map(self._heard, people)),
            likes=tuple(map(self._liked, people)),
            keys=tuple(wish.apart for wish in people if wish.apart) if self.conditions.apart else (),
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
        """Of these rooms the one where the fewest of them lose language, then topic; then what they like best; then the emptiest."""
        rooms = self.best(party, rooms)
        if self.conditions.topics and party.size == 1:
            rooms = next((hit for topic in party.people[0].topics if (hit := rooms & self._topics.get(topic, 0))), rooms)
        return self.emptiest(rooms)

    def best(self, party: Party, rooms: int) -> int:
        """Of these rooms those where the fewest of them lose language, then topic."""
        hears, likes = reduce(and_, party.hears), reduce(and_, party.likes)
        if party.size == 1 or rooms & hears & likes:
            return rooms & hears & likes or rooms & hears or rooms & likes or rooms
        losses = {room: (lacking(party.hears, room), lacking(party.likes, room)) for room in bits(rooms)}
        least = min(losses.values())
        return sum(1 << room for room, loss in losses.items() if loss == least)

    def emptiest(self, rooms: int) -> int:
        """The room with the fewest people; of several, the one drawn first."""
        hit = next(hit for those in self.of_size if (hit := rooms & those))
        return (hit & -hit).bit_length() - 1

    # Better

    def make_room(self, party: Party) -> bool:
        """Seat one person where all rooms they may take are full, if others can move on; they lose as little as possible."""
        for level in (NOBODY_LOSES, ALL_UNDERSTAND, ALL_SIT):
            path, _ = self._chain(self.allowed(party), self.free, level)
            if path:
                self._shift(path, level)
                self.put(party, path[0])
                return True
        return False

    def claim(self, party: Party) -> bool:
        """Seat one person in an empty room that was given to those of the other place."""
        place: PlaceOf = "hall" if party.hall else "home"
        for room in bits(self.free & ~self.open[place]):
            if not self.here[room] and not self.slots[room].place:
                self.dedicate(room, place)
                self.put(party, room)
                return True
        return False

    def dedicate(self, room: int, place: PlaceOf) -> None:
        """From now on the room is for people there only."""
        for other in self.open:
            self.open[other] = self.open[other] | 1 << room if other == place else self.open[other] & ~(1 << room)
        self.forget((1 << len(self.slots)) - 1)

    def mend(self) -> None:
        """Find rooms with their language, then with a topic of theirs, for those who sit elsewhere."""
        while self._mend("hears", NOBODY_LOSES) or self._mend("hears", ALL_UNDERSTAND) or self._mend("likes", NOBODY_LOSES):
            pass

    def even(self) -> None:
        """Make the sizes as equal as they can be without anybody losing language, topic, company or their last moderator."""
        while self._even_people() or self._even_groups():
            pass

    def mix(self) -> None:
        """Exchange people of hall and home between rooms that have more and fewer of the hall than their share."""
        mixed = [room for room in self.rooms if not self.slots[room].place]
        people = sum(self.size[room] - self.slots[room].taken for room in mixed)
        hall = sum(self.hall[room] for room in mixed)

        def surplus(room: int) -> int:
            return self.hall[room] * people - (self.size[room] - self.slots[room].taken) * hall

        for _ in range(MOST_PASSES):
            exchanged = False
            for a in sorted(mixed, key=surplus, reverse=True):
                for b in sorted(mixed, key=surplus):
                    while surplus(a) - surplus(b) > people and self._exchange_places(a, b):
                        exchanged = True
            if not exchanged:
                return

    def prefer(self) -> None:
        """Exchange two people between rooms if together they like their topics better then. Sizes and mixture stay."""
        for _ in range(MOST_PASSES):
            index = self._by_topic()
            singles = [party for party in self.seated() if party.size == 1 and not party.pinned]
            if not any([self._exchange_topics(party, index) for party in singles]):
                return

    # Chains

    def _chain(self, start: int, goal: int, level: int) -> tuple[list[int], int]:
        """The shortest way from one of the rooms to one of the goal by single moves, and all rooms that were seen."""
        if start & goal:
            return [self.emptiest(start & goal)], start
        before = dict.fromkeys(bits(start), -1)
        queue, seen = deque(before), start
        while queue:
            room = queue.popleft()
            new = self._go_on(room, level) & ~seen
            if new & goal:
                path = [self.emptiest(new & goal), room]
                while (room := before[room]) >= 0:
                    path.append(room)
                return path[::-1], seen
            seen |= new
            for other in bits(new):
                before[other] = room
                queue.append(other)
        return [], seen

    def _shift(self, path: list[int], level: int) -> None:
        """One person goes from each room to the next; the last one has a free seat. Of several, who likes it best."""
        for a, b in zip(path[-2::-1], path[:0:-1], strict=True):
            goes = min(
                (one for one in self.here[a].values() if one.size == 1 and self.movable(one) and self._keep(one, level) >> b & 1),
                key=lambda one: (self._rank(one, b) - self._rank(one, a), one.number),  # noqa: B023
            )
            self.take(goes)
            self.put(goes, b)

    def _go_on(self, room: int, level: int) -> int:
        """Where anybody of this room can go who is alone."""
        if self._reach[level][room] < 0:
            self._reach[level][room] = 0
            for party in self.here[room].values():
                if party.size == 1 and not party.pinned and (
                    self.movable(party) if level <= ALL_SIT else (level == IN_HALL) == bool(party.hall)
                ):  # fmt: skip
                    self._reach[level][room] |= self._keep(party, level)
        return self._reach[level][room]

    def _keep(self, party: Party, level: int) -> int:
        """The other rooms where they lose nothing but what the level says."""
        here = 1 << party.room
        rooms = self.allowed(party) & ~here
        if level != ALL_SIT:
            for hears in party.hears:
                rooms &= hears if hears & here else -1
            if level != ALL_UNDERSTAND:
                for likes in party.likes:
                    rooms &= likes if likes & here else -1
        return rooms

    def _mend(self, what: str, level: int) -> bool:
        """A search that fails tells which rooms lead nowhere; as long as nobody moves, no other search goes there."""
        moved, dead = False, 0
        for party in [party for party in self.seated() if party.size == 1]:
            here, better = 1 << party.room, getattr(party, what)[0]
            start = better & self.allowed(party) & (self._keep(party, ALL_UNDERSTAND) if what == "likes" else -1)
            if better & here or not self.movable(party) or not (start & ~dead or dead & here):
                continue
            path, seen = self._chain(start, self.free | here, level)
            dead = 0 if path else dead | seen
            if path:
                self.take(party)
                self._shift(path, level)
                self.put(party, path[0])
                moved = True
        return moved

    def _even_people(self) -> bool:
        moved, dead = False, 0
        for room in sorted(self.rooms, key=lambda room: -self.size[room]):
            while not dead >> room & 1:
                smaller = reduce(int.__or__, self.of_size[: max(self.size[room] - 1, 0)], 0) & self.free
                path, seen = self._chain(1 << room, smaller, NOBODY_LOSES) if smaller else ([], 0)
                if not path:
                    dead |= seen
                    break
                self._shift(path, NOBODY_LOSES)
                moved, dead = True, 0
        return moved

    def _even_groups(self) -> bool:
        """Move a group, or exchange it for a smaller party, if that makes the sizes more equal."""
        for a in sorted(self.rooms, key=lambda room: -self.size[room]):
            for group in [party for party in self.here[a].values() if party.size > 1 and not party.pinned]:
                for b in bits(self._keep(group, NOBODY_LOSES)):
                    if self.size[a] - self.size[b] > 1 and self._give(group, b):
                        return True
        return False

    def _give(self, group: Party, b: int) -> bool:
        a, room = group.room, self.slots[b].capacity - self.size[b]
        gap = self.size[a] - self.size[b]
        if group.size < gap and group.size <= room and self.movable(group):
            self.take(group)
            self.put(group, b)
            return True
        for other in self.here[b].values():
            less = group.size - other.size
            if 0 < less < gap and less <= room and self._exchange(group, other):
                return True
        return False

    # Exchanges

    def _exchange(self, one: Party, other: Party) -> bool:
        """They change rooms if neither loses anything, and no room its last moderator."""
        a, b = one.room, other.room
        if one.pinned or other.pinned or not (self._keep(one, NOBODY_LOSES) >> b & self._keep(other, NOBODY_LOSES) >> a & 1):
            return False
        gain = other.moderators - one.moderators
        if self.conditions.moderator and (self.moderators[a] + gain < 1 <= -gain or self.moderators[b] - gain < 1 <= gain):
            return False
        self.take(one)
        self.take(other)
        self.put(one, b)
        self.put(other, a)
        return True

    def _exchange_places(self, a: int, b: int) -> bool:
        """Somebody in the hall goes from a to b, somebody at home from b to a."""
        if not (self._go_on(a, IN_HALL) >> b & self._go_on(b, AT_HOME) >> a & 1):
            return False
        hall = [one for one in self.here[a].values() if one.size == 1 and one.hall and self._keep(one, NOBODY_LOSES) >> b & 1]
        home = [one for one in self.here[b].values() if one.size == 1 and not one.hall and self._keep(one, NOBODY_LOSES) >> a & 1]
        return any(self._exchange(one, other) for one in hall for other in home)

    def _by_topic(self) -> dict[tuple[str, str], list[Party]]:
        """Who sits in a room of a topic and would go to another one, those first who would like to. Without wishes: to any, `""`."""
        index: dict[tuple[str, str], list[tuple[int, int, Party]]] = {}
        for room in self.rooms:
            for party in self.here[room].values():
                if party.size == 1 and not party.pinned:
                    for rank, topic in enumerate(party.people[0].topics or ("",)):
                        entry = (rank - self._rank(party, room), party.number, party)
                        index.setdefault((self.slots[room].topic, topic), []).append(entry)
        return {topics: [party for _, _, party in sorted(entries, key=lambda e: e[:2])] for topics, entries in index.items()}

    def _exchange_topics(self, party: Party, index: dict[tuple[str, str], list[Party]]) -> bool:
        room, rank = party.room, self._rank(party, party.room)
        topic = self.slots[room].topic
        for better, wanted in enumerate(party.people[0].topics[:rank]):
            for other in [*index.get((wanted, topic), ())[:MOST_TRIES], *index.get((wanted, ""), ())[:MOST_TRIES]]:
                if self.slots[other.room].topic != wanted or (self.conditions.places == "mixed" and other.hall != party.hall):
                    continue
                loss = self._rank(other, room) - self._rank(other, other.room)
                if loss < rank - better and self._exchange(party, other):
                    return True
        return False

    # Counting

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
        return reduce(int.__or__, (self._topics.get(topic, 0) for topic in wish.topics), 0)

    def _rank(self, party: Party, room: int) -> int:
        """Which of their wishes the room's topic is, from 0."""
        topics, topic = party.people[0].topics, self.slots[room].topic
        return topics.index(topic) if topic in topics else len(topics)


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
