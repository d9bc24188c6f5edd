"""Who is in their small group: seats are held for whoever drops out, and sat on again by whoever comes back.

Each process with somebody in a room looks every few seconds whose room is open on some screen, at any process, and says by
commands of the system who went and who came. The rules take each only once, whoever says it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from collections.abc import Callable, Set

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
    """One event's in this process. `here`: the participants whose room is watched on a connection of this process."""

    def __init__(self, desk: Desk, presence: Presence, here: Callable[[], Set[str]]) -> None:
        self.desk, self.presence, self.here = desk, presence, here
        self._next: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None
        self._missing: dict[tuple[str, str], int] = {}

    def begin(self) -> None:
        """Look from now on, as long as there is a round that is open."""
        if self._next is None and self._looking is None:
            self._next = asyncio.get_running_loop().call_later(LOOK_SECONDS, self._begin_to_look)

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
        for room in self._open_rooms():
            for person, seat in room.seats.items():
                if person in present:
                    if seat.away_since is not None:
                        self._say(room.id, person, away=False)
                elif seat.away_since is None:
                    looks = missing[room.id, person] = self._missing.get((room.id, person), 0) + 1
                    if looks >= MISSED:
                        self._say(room.id, person, away=True)
        self._missing = missing

    def _open_rooms(self) -> list[Room]:
        rounds = self.desk.event.rounds
        return [room for round in rounds.items.values() if round.state == "open" for room in rounds.of(round) if not room.closed]

    def _say(self, room: str, person: str, *, away: bool) -> None:
        arguments = msgspec.json.encode({"room": room, "person": person, "away": away})
        self.desk.submit(SYSTEM, str(uuid.uuid4()), "room.away", arguments, lambda command, answer: None)

    def _looked(self, looking: asyncio.Task[None]) -> None:
        self._looking = None
        if not looking.cancelled() and (error := looking.exception()) is not None:
            LOGGER.error("bug in looking who is in the rooms", exc_info=error)
        if self._open_rooms():
            self.begin()
