"""Who is in their small group: seats are held for whoever drops out, and sat on again by whoever comes back; visits whose pages are
gone end.

Each process with somebody in a room looks every few seconds whose room is open on some screen, at any process, and says by
commands of the system who went and who came. The rules take each only once, whoever says it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Iterator, Set

import msgspec

from live.desk import Desk
from live.presence import Presence
from rooms.breakout import Room
from rooms.command import SYSTEM

LOGGER = logging.getLogger("plenum.attendance")
LOOK_SECONDS = 2.0
MISSED = 2
"""So many looks in a row somebody must be missing: a page that is loaded anew is gone for a moment."""


class Attendance:
    """One event's in this process. `here`: the participants who watch a room on a connection of this process, and `at` which rooms
    guests do: one may visit several, and go on with one of them."""

    def __init__(self, desk: Desk, presence: Presence, here: Callable[[], Set[str]]) -> None:
        self.desk, self.presence, self.here = desk, presence, here
        self._next: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._missing: dict[tuple[str, str], int] = {}

    def begin(self) -> None:
        """Look from now on, as long as there is a round that is open."""
        if self._next is None and self._looking is None:
            self._next = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._begin_to_look)

    def comes(self, room: str, person: str) -> None:
        """A room is on one more screen of theirs. The first is said at once: only who was seen can be missed. Without a script
        nobody ever is, and keeps the seat until the round ends."""
        one = self.desk.event.rounds.rooms[room]
        seat, visit = one.seats.get(person), one.guests.get(person)
        if seat is not None and (not seat.seen or seat.away_since is not None):
            self._say("room.away", room, person, away=False)
        if visit is not None and not visit.seen:
            self._say("room.guest_away", room, person, away=False)
        self.begin()

    def _begin_to_look(self) -> None:
        self._next = None
        self._looking = asyncio.get_running_loop().create_task(self._look())
        self._looking.add_done_callback(self._looked)

    async def _look(self) -> None:
        present = await self.presence.in_rooms(self.desk.slug, self.here(), self.desk.now())
        if present is not None:
            self.desk.settled(lambda: self._compare(present))

    def _compare(self, present: Set[str]) -> None:
        missing: dict[tuple[str, str], int] = {}
        for command, room, person, known, here in self._people(present):
            if here and not known:
                self._say(command, room, person, away=False)
            elif known and not here:
                looks = missing[room, person] = self._missing.get((room, person), 0) + 1
                if looks >= MISSED:
                    self._say(command, room, person, away=True)
        self._missing = missing

    def _people(self, present: Set[str]) -> Iterator[tuple[str, str, str, bool, bool]]:
        """How to say it of whom, in which room; whether they are known to be there, and whether they are."""
        for room in self._open_rooms():
            for person, seat in room.seats.items():
                yield "room.away", room.id, person, seat.seen and seat.away_since is None, person in present
            for person, visit in room.guests.items():
                known = visit.seen and visit.gone_since is None
                yield "room.guest_away", room.id, person, known, at(room.id, person) in present

    def _open_rooms(self) -> list[Room]:
        rounds = self.desk.event.rounds
        return [room for round in rounds.items.values() if round.state == "open" for room in rounds.of(round) if not room.closed]

    def _say(self, command: str, room: str, person: str, *, away: bool) -> None:
        arguments = msgspec.json.encode({"room": room, "person": person, "away": away})
        self.desk.submit(SYSTEM, str(uuid.uuid4()), command, arguments, lambda command, answer: None)

    def _looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if not looking.cancelled() and (error := looking.exception()) is not None:
            LOGGER.error("bug in looking who is in the rooms", exc_info=error)
        if self._open_rooms():
            self.begin()


def at(room: str, person: str) -> str:
    """What the processes tell each other of a guest with this room on a screen."""
    return f"{room}/{person}"
