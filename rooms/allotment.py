"""What is settled before anybody sits: which rooms are for the hall and which for home, and which moderator has which room."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import and_
from typing import TYPE_CHECKING

from rooms.seating import Party, Seating, bits

if TYPE_CHECKING:
    from rooms.assignment import Wish

MOST_KINDS = 12
"""Of so many sizes of rooms at most the best division between hall and home is sought."""


def divide(seating: Seating, wishes: Sequence[Wish]) -> None:
    """Give each room to the hall or to home, so that as few as possible wait and then sizes are alike. Rooms of a topic are divided
    evenly. A room where somebody sits already is for those who are more there."""
    for room in seating.rooms:
        if seating.here[room] and not seating.slots[room].place:
            more = 2 * seating.hall[room] >= sum(party.size for party in seating.here[room].values())
            seating.dedicate(room, "hall" if more else "home")
    both = seating.open["hall"] & seating.open["home"]
    hall = sum(wish.place == "hall" for wish in wishes)
    sides = (hall, seating.open["hall"] & ~both), (len(wishes) - hall, seating.open["home"] & ~both)

    def cost(given: int) -> tuple[int, float]:
        """Who waits, and the squares of the sizes, if these rooms are the hall's."""
        waiting, squares = 0, 0.0
        for (wanting, own), more in zip(sides, (given, both & ~given), strict=True):
            seats, rooms = seating.seats(own | more), (own | more).bit_count()
            waiting += max(wanting - seats, 0)
            squares += (min(wanting, seats) + seating.people(own | more)) ** 2 / max(rooms, 1)
        return waiting, squares

    slots = seating.slots
    rooms = sorted(bits(both), key=lambda room: (slots[room].topic, slots[room].languages, slots[room].capacity))
    given = descend(min((spread(rooms, count) for count in range(len(rooms) + 1)), key=cost), rooms, seating, cost)
    for room in rooms:
        seating.dedicate(room, "hall" if given >> room & 1 else "home")


def spread(rooms: Sequence[int], count: int) -> int:
    """So many of the rooms, at even distances."""
    return sum(1 << room for n, room in enumerate(rooms) if (n + 1) * count // len(rooms) > n * count // len(rooms))


def descend(given: int, rooms: Sequence[int], seating: Seating, cost: Callable[[int], tuple[int, float]]) -> int:
    """Give or take back a room, or change one for another, as long as that is better; one of each kind is tried."""
    for _ in rooms:
        kinds = {(seating.slots[room].capacity, seating.size[room], given >> room & 1): 1 << room for room in rooms}
        chosen = list(kinds.values())[:MOST_KINDS]
        pairs = [one | other for one in chosen for other in chosen if (given & one == 0) != (given & other == 0)]
        best = min((given ^ change for change in (*chosen, *pairs)), key=cost, default=given)
        if cost(best) >= cost(given):
            break
        given = best
    return given


def lead(seating: Seating, parties: Sequence[Party]) -> list[Party]:
    """Give a moderator to as many rooms as can have one: a maximum matching by augmenting paths, first with language and topic,
    then with language only, then as it comes. Returns the parties that have no room yet."""
    wanted = seating.where(lambda slot: not seating.moderators[seating.number[slot.id]]) & seating.free
    parties = relieve(seating, parties, wanted.bit_count())
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
                dead |= augment(seating, party, asked, owner, dead)
    for room, party in owner.items():
        seating.put(party, room)
    return [party for party in parties if party.room < 0]


def relieve(seating: Seating, parties: Sequence[Party], rooms: int) -> list[Party]:
    """As long as there are fewer parties with a moderator than rooms, a second moderator leaves their group."""
    missing = min(rooms, sum(party.size for party in parties)) - sum(party.moderators > 0 for party in parties)
    relieved = []
    for party in parties:
        spare = [wish for wish in party.people if wish.moderates][1 : 1 + max(missing, 0)]
        missing -= len(spare)
        relieved += [seating.party([wish]) for wish in spare]
        relieved.append(seating.party([wish for wish in party.people if wish not in spare]) if spare else party)
    return relieved


def augment(seating: Seating, party: Party, asked: Mapping[int, int], owner: dict[int, Party], dead: int) -> int:
    """Find a room for the party, if need be by giving other rooms to others; otherwise, the rooms that lead nowhere."""
    led = sum(1 << room for room in owner)
    seen, queue = dead, [-1]
    before: dict[int, int] = {}
    for last in queue:  # grows
        new = asked[owner[last].number if last >= 0 else party.number] & ~seen
        if new & ~led:
            room = seating.emptiest(new & ~led)
            while last >= 0:
                owner[room] = owner[last]
                room, last = last, before[last]
            owner[room] = party
            return 0
        seen |= new
        before |= dict.fromkeys(bits(new), last)
        queue += bits(new)
    return seen
