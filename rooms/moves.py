"""The moves that make a plan of who sits where better: chains of people who move on, and exchanges of two.

In a chain somebody goes to a full room, from where somebody goes on, and the last one takes a free seat. Every move here leaves all
conditions met that were met, unless it is said.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from functools import reduce
from operator import or_
from typing import TYPE_CHECKING

from rooms.seating import ALL_SIT, ALL_UNDERSTAND, AT_HOME, EVEN_LEADERS, IN_HALL, NOBODY_LOSES, ONE_GAINS, Party, bits

if TYPE_CHECKING:
    from rooms.seating import Seating

MOST_TRIES = 12
"""With how many people one person is compared to get a better liked topic."""


def make_room(seating: Seating, party: Party) -> bool:
    """Seat one person where all rooms they may take are full, if others can move on; they lose as little as possible."""
    for level in (NOBODY_LOSES, ALL_UNDERSTAND, ALL_SIT, EVEN_LEADERS):
        path, _ = chain(seating, seating.allowed(party), seating.free, level)
        if path:
            shift(seating, path, level)
            seating.put(party, path[0])
            return True
    return False


def mend(seating: Seating) -> bool:
    """Find rooms with their language, then with a topic of theirs, for those who sit elsewhere."""
    moved = False
    steps = (("hears", NOBODY_LOSES), ("hears", ALL_UNDERSTAND), ("likes", NOBODY_LOSES))
    while any(mend_wishes(seating, what, level) for what, level in steps):
        moved = True
    return moved


def trade(seating: Seating) -> bool:
    """Meet the wish of somebody else instead, if more are met in all, or as many and the sizes are more equal. That can be where
    rooms are for hall or home only, because those whose wish is not met cannot then sit just anywhere."""
    moved = False
    while any(seating.go_on(room, ONE_GAINS) for room in seating.rooms) and any(
        path := cheapest(seating, size) for size in sorted(set(seating.size), reverse=True)
    ):
        for a, b, level in path:
            shift(seating, [a, b], level)
        moved = True
    return moved


def even(seating: Seating) -> bool:
    """Make the sizes as equal as they can be without anybody losing language, topic, company or their last moderator."""
    moved = False
    while even_people(seating) or even_groups(seating):
        moved = True
    return moved


def mix(seating: Seating) -> bool:
    """Let people of hall and home change places where a room has more of the hall than its share and another one fewer."""
    mixed = [room for room in seating.rooms if not seating.slots[room].place]
    people = sum(seating.size[room] - seating.slots[room].taken for room in mixed)
    hall = sum(seating.hall[room] for room in mixed)

    def surplus(room: int) -> int:
        return seating.hall[room] * people - (seating.size[room] - seating.slots[room].taken) * hall

    def better(room: int, other: int, hall: int) -> bool:
        """Is it better if so many of the hall go to the other room, and as many from home come back?"""
        return surplus(room) - surplus(other) > hall * people

    moved = False
    for room in sorted(mixed, key=surplus, reverse=True):
        while others := sum(1 << other for other in mixed if better(room, other, 1)):
            if not mix_people(seating, room, others) and not mix_groups(seating, room, others, better):
                break
            moved = True
    return moved


def prefer(seating: Seating) -> bool:
    """Exchange two people between rooms if together they like their topics better then. Sizes and mixture stay."""
    index = by_topic(seating)
    singles = [party for party in seating.seated() if party.size == 1 and not party.pinned]
    return sum(exchange_topics(seating, party, index) for party in singles) > 0


def chain(seating: Seating, start: int, goal: int, level: int) -> tuple[list[int], int]:
    """The shortest way from one of the rooms to one of the goal by single moves, and all rooms that were seen."""
    if start & goal:
        return [seating.emptiest(start & goal)], start
    before = dict.fromkeys(bits(start), -1)
    queue, seen = deque(before), start
    while queue:
        room = queue.popleft()
        new = seating.go_on(room, level) & ~seen
        if new & goal:
            path = [seating.emptiest(new & goal), room]
            while (room := before[room]) >= 0:
                path.append(room)
            return path[::-1], seen
        seen |= new
        for other in bits(new):
            before[other] = room
            queue.append(other)
    return [], seen


def cheapest(seating: Seating, size: int) -> list[tuple[int, int, int]]:
    """A chain by which more people get their wish than lose it: to a free seat, or back to where it began. Or by which as many do,
    from a room of at least this size to one of at least two people fewer. As steps (from, to, level), the last one first.

    This is the shortest path with negative lengths (Bellman-Ford): a wish that is met counts -1, one that no longer is 1."""
    levels = ((-1, ONE_GAINS), (0, NOBODY_LOSES), (1, ALL_UNDERSTAND if seating.conditions.topics else ALL_SIT))
    smaller = reduce(or_, seating.of_size[: max(size - 1, 0)], 0) & seating.free
    queue = deque(room for room in seating.rooms if seating.size[room] >= size)
    costs = dict.fromkeys(queue, 0)
    at = {0: sum(1 << room for room in queue)}
    before: dict[int, tuple[int, int]] = {}
    while queue:
        room = queue.popleft()
        for price, level in levels:
            cost = costs[room] + price
            as_cheap = reduce(or_, (rooms for other, rooms in at.items() if other <= cost), 0)
            for other in bits(seating.go_on(room, level) & ~as_cheap):
                path, a = [(room, other, level)], room
                while a in before and a != other:
                    b, (a, step) = a, before[a]
                    path.append((a, b, step))
                if a == other or (cost < 0 and seating.free >> other & 1) or (cost == 0 and smaller >> other & 1):
                    return path
                costs[other], before[other] = cost, (room, level)
                at[cost] = at.get(cost, 0) | 1 << other
                queue.append(other)
    return []


def shift(seating: Seating, path: list[int], level: int) -> list[tuple[Party, int]]:
    """One person goes from each room to the next, of several who likes it best; returns who has gone from where, in order."""
    gone = []
    for a, b in zip(path[-2::-1], path[:0:-1], strict=True):
        may = [one for one in seating.single(a, level) if seating.keep(one, level) >> b & 1]
        _, _, goes = min((seating.rank(one, b) - seating.rank(one, a), one.number, one) for one in may)
        seating.take(goes)
        seating.put(goes, b)
        gone.append((goes, a))
    return gone


def mend_wishes(seating: Seating, what: str, level: int) -> bool:
    """A search that fails tells which rooms lead nowhere; as long as nobody moves, no other search goes there."""
    moved, dead = False, 0
    for party in [party for party in seating.seated() if party.size == 1]:
        here, better = 1 << party.room, getattr(party, what)[0]
        start = better & seating.allowed(party) & (seating.keep(party, ALL_UNDERSTAND) if what == "likes" else -1)
        if better & here or not seating.movable(party) or not (start & ~dead or dead & here):
            continue
        path, seen = chain(seating, start, seating.free | here, level)
        dead = 0 if path else dead | seen
        if path:
            seating.take(party)
            shift(seating, path, level)
            seating.put(party, path[0])
            moved = True
    return moved


def even_people(seating: Seating) -> bool:
    moved, dead = False, 0
    for room in sorted(seating.rooms, key=lambda room: -seating.size[room]):
        while not dead >> room & 1:
            smaller = reduce(or_, seating.of_size[: max(seating.size[room] - 1, 0)], 0) & seating.free
            path, seen = chain(seating, 1 << room, smaller, NOBODY_LOSES) if smaller else ([], 0)
            if not path:
                dead |= seen
                break
            shift(seating, path, NOBODY_LOSES)
            moved, dead = True, 0
    return moved


def even_groups(seating: Seating) -> bool:
    """Move a group, or exchange it for a smaller party, if that makes the sizes more equal."""
    for a in sorted(seating.rooms, key=lambda room: -seating.size[room]):
        for group in [party for party in seating.here[a].values() if party.size > 1 and not party.pinned]:
            for b in bits(seating.keep(group, NOBODY_LOSES)):
                if seating.size[a] - seating.size[b] > 1 and give(seating, group, b):
                    return True
    return False


def give(seating: Seating, group: Party, b: int) -> bool:
    a, room = group.room, seating.slots[b].capacity - seating.size[b]
    gap = seating.size[a] - seating.size[b]
    if group.size < gap and group.size <= room and seating.movable(group):
        seating.take(group)
        seating.put(group, b)
        return True
    for other in seating.here[b].values():
        less = group.size - other.size
        if 0 < less < gap and less <= room and exchange(seating, group, other):
            return True
    return False


def exchange(seating: Seating, one: Party, other: Party) -> bool:
    """They change rooms if neither loses anything, and no room its last moderator."""
    a, b = one.room, other.room
    if one.pinned or other.pinned or not (seating.keep(one, NOBODY_LOSES) >> b & seating.keep(other, NOBODY_LOSES) >> a & 1):
        return False
    gain = other.moderators - one.moderators
    if seating.conditions.moderator and (seating.moderators[a] + gain < 1 <= -gain or seating.moderators[b] - gain < 1 <= gain):
        return False
    seating.take(one)
    seating.take(other)
    seating.put(one, b)
    seating.put(other, a)
    return True


def mix_people(seating: Seating, room: int, others: int) -> bool:
    """Somebody in the hall goes from the room to one of the others and somebody at home comes back: both directly, or in chains."""
    for one in [party for party in seating.here[room].values() if party.size == 1 and party.hall and not party.pinned]:
        for b in bits(seating.keep(one, NOBODY_LOSES) & others):
            home = [other for other in seating.here[b].values() if other.size == 1 and not other.hall]
            if any(exchange(seating, one, other) for other in home):
                return True
    while others:
        path, _ = chain(seating, 1 << room, others, IN_HALL)
        if not path:
            return False
        gone = shift(seating, path, IN_HALL)
        back, _ = chain(seating, 1 << path[-1], 1 << room, AT_HOME)
        if back:
            shift(seating, back, AT_HOME)
            return True
        for party, origin in reversed(gone):
            seating.take(party)
            seating.put(party, origin)
        others &= ~(1 << path[-1])
    return False


def mix_groups(seating: Seating, room: int, others: int, better: Callable[[int, int, int], bool]) -> bool:
    """A group changes places with a group of the same size that has fewer people in the hall."""
    for one in [party for party in seating.here[room].values() if party.size > 1 and party.hall and not party.pinned]:
        for b in bits(seating.keep(one, NOBODY_LOSES) & others):
            for other in [party for party in seating.here[b].values() if party.size == one.size and party.hall < one.hall]:
                if better(room, b, one.hall - other.hall) and exchange(seating, one, other):
                    return True
    return False


def by_topic(seating: Seating) -> dict[tuple[str, str], list[Party]]:
    """Who sits in a room of a topic and would go to another one, those first who would like to; to any, `""`, if they have
    no wish to lose."""
    index: dict[tuple[str, str], list[tuple[int, int, Party]]] = {}
    for room in seating.rooms:
        for party in seating.here[room].values():
            if party.size == 1 and not party.pinned:
                here, topics = seating.rank(party, room), party.people[0].topics
                for rank, topic in enumerate((*topics, "") if here == len(topics) else topics):
                    entry = (rank - here, party.number, party)
                    index.setdefault((seating.slots[room].topic, topic), []).append(entry)
    return {topics: [party for _, _, party in sorted(entries, key=lambda e: e[:2])] for topics, entries in index.items()}


def exchange_topics(seating: Seating, party: Party, index: dict[tuple[str, str], list[Party]]) -> bool:
    room, rank = party.room, seating.rank(party, party.room)
    topic = seating.slots[room].topic
    for better, wanted in enumerate(party.people[0].topics[:rank]):
        for other in [*index.get((wanted, topic), ())[:MOST_TRIES], *index.get((wanted, ""), ())[:MOST_TRIES]]:
            if seating.slots[other.room].topic != wanted or (seating.conditions.places == "mixed" and other.hall != party.hall):
                continue
            loss = seating.rank(other, room) - seating.rank(other, other.room)
            if loss < rank - better and exchange(seating, party, other):
                return True
    return False
