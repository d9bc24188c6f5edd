"""What the lot knows of people: their wishes, where they are, what they lead, and with whom the organisers want them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

import msgspec

from rooms.assignment import Slot, Wish
from rooms.breakout import Bond, Participant, Plan, Room, Round

if TYPE_CHECKING:
    from rooms.event import Event


class Ties(msgspec.Struct, frozen=True):
    """The bonds of one person. `earlier`: those who stand before them in the bond that keeps them together."""

    together: int = 0
    apart: tuple[int, ...] = ()
    earlier: tuple[str, ...] = ()


class Known:
    """Everybody as the lot sees them. `wishes` and `bonds`: as they are from now on, where that differs from the event."""

    def __init__(
        self, event: Event, round: Round, bonds: Mapping[int, Bond] | None = None, wishes: Mapping[str, Participant] | None = None
    ) -> None:
        self._event = event
        self._wishes = wishes or {}
        self._ties = ties(event.rounds.bonds if bonds is None else bonds)
        rooms = event.rounds.of(round)
        self._moderators = {person for room in rooms for person in room.moderators}
        self._leads: dict[str, str] = {}
        for room in rooms:
            for person in (*room.moderators, room.note_taker):
                self._leads.setdefault(person, room.id)

    def wish(self, person: str, by_hand: str = "") -> Wish:
        """What is known of this person, who keeps the room that was given by hand, or else the one they lead."""
        own, bound = self._of(person), self._ties.get(person, Ties())
        # Of people who are kept together one bears a word by which they would be apart: the organisers come first.
        borne = own.apart and any(self._of(one).apart == own.apart for one in bound.earlier)
        return Wish(
            person=person,
            place="hall" if in_hall(self._event, person) else "home",
            topics=own.topics,
            languages=own.languages,
            moderates=person in self._moderators,
            together=own.together,
            apart="" if borne else own.apart,
            bond=bound.together,
            parted=bound.apart,
            fixed=by_hand or self._leads.get(person, ""),
        )

    def _of(self, person: str) -> Participant:
        return self._wishes.get(person) or self._event.rounds.people.get(person) or _NO_WISHES


_NO_WISHES = Participant()


def ties(bonds: Mapping[int, Bond]) -> dict[str, Ties]:
    """Person → their bonds."""
    found: dict[str, Ties] = {}
    for number, bond in sorted(bonds.items()):
        for turn, person in enumerate(bond.people):
            known = found.get(person, Ties())
            if bond.how == "together":
                found[person] = msgspec.structs.replace(known, together=number, earlier=bond.people[:turn])
            else:
                found[person] = msgspec.structs.replace(known, apart=(*known.apart, number))
    return found


def slot_of(id: str, room: Room | Plan, taken: int) -> Slot:
    """The room for the lot, which puts nobody who is at home at a table."""
    return Slot(id, room.topic, room.capacity, taken, room.languages, "hall" if room.table else "")


def slots_of(event: Event, round: Round, but: Iterable[str] = ()) -> list[Slot]:
    """The open rooms, with the seats taken by everybody but these."""
    away = set(but)
    rooms = [room for room in event.rounds.of(round) if not room.closed]
    taken = {room.id: sum(seat.heads for person, seat in room.seats.items() if person not in away) for room in rooms}
    return [slot_of(room.id, room, taken[room.id]) for room in rooms]


def in_hall(event: Event, person: str) -> bool:
    """Whether they are in the hall, or are registered for it."""
    number = person.partition("/")[2]
    place = event.registrations.items[int(number)].place if person.startswith("registration/") else event.attendance.place(person)
    return place == "hall"
