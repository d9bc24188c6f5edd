"""Mixed anew: people change places so that as few as possible sit with somebody whom they have met in an earlier round."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from rooms.seating import company, lot, shunned

if TYPE_CHECKING:
    from rooms.assignment import Conditions, Slot, Wish

MOST_PASSES = 8
"""How often everybody who meets somebody again is looked at; few people gain by more."""


def mix_anew(
    wishes: Sequence[Wish], slots: Sequence[Slot], conditions: Conditions, seats: Mapping[str, str], seed: int
) -> dict[str, str]:
    """The seats after exchanges of two people who are alike in all that counts, so that every condition is met as before and no
    size changes. Groups, people who must not meet, moderators and who keeps a room stay where they are."""
    number = {id: turn for turn, id in enumerate(sorted(set(seats.values())))}
    room = {person: number[id] for person, id in seats.items()}
    met = {wish.person: wish.met & seats.keys() for wish in wishes if wish.person in seats}
    meets = {person: [0] * len(number) for person in met}
    for person, others in met.items():
        for other in others:
            meets[person][room[other]] += 1
    kinds = {wish.person: _kind(wish, slots, conditions) for wish in wishes if wish.person in met and not _stays(wish, conditions)}
    order = sorted(kinds, key=lambda person: lot(seed, "anew", person))
    alike: dict[tuple[int, tuple[object, ...]], list[str]] = {}
    for person in order:
        alike.setdefault((room[person], kinds[person]), []).append(person)

    def partner(person: str) -> str | None:
        """With whom it is best to change places, in the room with the fewest whom they have met where that helps at all."""
        here, mine, known = room[person], meets[person], met[person]
        best, found = 0, None
        for there in sorted((one for one in range(len(mine)) if mine[one] < mine[here]), key=mine.__getitem__):
            most = mine[here] - mine[there]
            for other in alike.get((there, kinds[person]), ()):
                theirs = meets[other]
                gain = most + theirs[there] - theirs[here] + 2 * (other in known)
                if gain > best:
                    best, found = gain, other
            if found is not None:
                break
        return found

    def go(person: str, there: int) -> None:
        here = room[person]
        alike[here, kinds[person]].remove(person)
        alike.setdefault((there, kinds[person]), []).append(person)
        room[person] = there
        for other in met[person]:
            meets[other][here] -= 1
            meets[other][there] += 1

    for _ in range(MOST_PASSES):
        changed = False
        for person in order:
            swap = partner(person) if meets[person][room[person]] else None
            if swap is not None:
                here, there = room[person], room[swap]
                go(person, there)
                go(swap, here)
                changed = True
        if not changed:
            break
    ids = list(number)
    return {person: ids[turn] for person, turn in room.items()}


def _kind(wish: Wish, slots: Sequence[Slot], conditions: Conditions) -> tuple[object, ...]:
    """What has to be the same of two who change places."""
    place = conditions.places != "any" or any(slot.place for slot in slots)
    return (
        wish.place if place else "",
        wish.topics if conditions.topics else (),
        tuple(sorted(wish.languages)) if conditions.languages else (),
    )


def _stays(wish: Wish, conditions: Conditions) -> bool:
    return bool(
        wish.fixed
        or (conditions.moderator and wish.moderates)
        or company(wish, conditions)
        or shunned(wish, conditions)
    )
