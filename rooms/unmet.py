"""What an assignment could not meet: who, where, and why, in codes that a preview puts into words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec

from rooms.seating import Key, company, may_take, shared, shunned

if TYPE_CHECKING:
    from rooms.assignment import Conditions, Slot, Wish

Code = Literal["capacity", "fixed", "place", "moderator", "together", "apart", "language", "topic", "mixed", "met"]
"""What a preview can say; "fixed": they had a room and could not keep it; "place": hall or home, of a room or of all; "met": they
sit with somebody they have met before."""
Why = Literal["none", "full", "conflict"]
"""There is no such room (no such person); there is, but it is full; there is, and other conditions or people were in the way."""


class Unmet(msgspec.Struct, frozen=True, order=True):
    """A condition that does not hold for a person (and the room where they are), or for a room."""

    condition: Code
    person: str = ""
    room: str = ""
    why: Why = "conflict"


def unmet(wishes: Sequence[Wish], slots: Sequence[Slot], conditions: Conditions, seats: Mapping[str, str]) -> Iterator[Unmet]:
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
    yield from about_groups(wishes, slots, conditions, seats)
    if conditions.moderator:
        few = sum(one.moderates for here in people.values() for one in here) < sum(map(bool, people.values()))
        for room, here in people.items():
            if here and not any(one.moderates for one in here):
                yield Unmet("moderator", room=room, why="none" if few else "conflict")
    if conditions.anew:
        yield from about_company(people)
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
    strangers = msgspec.structs.replace(wish, apart="", parted=())
    alone = any(may_take(strangers, slot, people[slot.id], conditions) for slot in free)
    return Unmet("apart" if alone else "place", wish.person)


def about_room(slot: Slot, people: Sequence[Wish], conditions: Conditions) -> Iterator[Unmet]:
    """Who should not sit here, or not with others who do: because somebody has kept their room."""
    if conditions.places == "apart" and not slot.place and len({wish.place for wish in people}) > 1:
        yield Unmet("place", room=slot.id)
    keys = Counter(key for wish in people for key in shunned(wish, conditions))
    for wish in people:
        if slot.place not in ("", wish.place):
            yield Unmet("place", wish.person, slot.id)
        if any(keys[key] > 1 for key in shunned(wish, conditions)):
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
                why = reason(not topics.isdisjoint(wish.topics), not free_topics.isdisjoint(wish.topics))
                yield Unmet("topic", wish.person, slot.id, why)


def about_groups(
    wishes: Iterable[Wish], slots: Iterable[Slot], conditions: Conditions, seats: Mapping[str, str]
) -> Iterator[Unmet]:
    """Who is not where most of a group of theirs are, each of them once. A group that waits is together."""
    groups: dict[Key, list[Wish]] = {}
    for wish in wishes:
        for key in company(wish, conditions):
            groups.setdefault(key, []).append(wish)
    largest = max((slot.capacity - slot.taken for slot in slots), default=0)
    lost: dict[str, Why] = {}
    for group in groups.values():
        rooms = Counter(seats[wish.person] for wish in group if wish.person in seats)
        most = min(rooms, key=lambda room: (-rooms[room], room), default="")
        why: Why = "none" if len(group) > largest else "conflict"
        lost |= {one.person: why for one in group if seats.get(one.person, "") != most and lost.get(one.person) != "conflict"}
    yield from (Unmet("together", person, seats.get(person, ""), why) for person, why in lost.items())


def about_company(people: Mapping[str, Sequence[Wish]]) -> Iterator[Unmet]:
    """Who sits with somebody they have met."""
    for room, here in people.items():
        present = {wish.person for wish in here}
        yield from (Unmet("met", wish.person, room) for wish in here if not wish.met.isdisjoint(present))


def about_mixture(people: Mapping[str, Sequence[Wish]]) -> Iterator[Unmet]:
    """The rooms for all whose number of people in the hall is more than one from their share."""
    hall = {room: sum(wish.place == "hall" for wish in here) for room, here in people.items()}
    all, all_hall = sum(map(len, people.values())), sum(hall.values())
    for room, here in people.items():
        if abs(hall[room] * all - len(here) * all_hall) > all:
            yield Unmet("mixed", room=room)


def reason(exists: bool, free: bool) -> Why:
    return "conflict" if free else "full" if exists else "none"
