"""What the moderators tell small groups, all or some of them, and how many have seen it.

It is counted among those who had a seat there when it was sent, and those who came later and saw it. Guests do not count.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import msgspec

from rooms import text
from rooms.breakout import Number, running_round, self_of
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused

if TYPE_CHECKING:
    from rooms.event import Event

MIN_TEXT, MAX_TEXT = 3, 300
"""Graphemes: what is read in passing, at the top of a phone."""


class Announcement(msgspec.Struct):
    """One text to these rooms. `to`: participant → the room where they get it; `seen`: who has; `row`: the row of the log that
    holds the text."""

    number: int
    text: str
    rooms: tuple[str, ...]
    by: str
    at: int
    to: dict[str, str]
    row: int
    seen: set[str] = set()
    withdrawn: bool = False

    def readers(self) -> dict[str, tuple[int, int]]:
        """Room → how many have seen it there, of how many."""
        sent, seen = Counter(self.to.values()), Counter(self.to[person] for person in self.seen)
        return {room: (seen[room], sent[room]) for room in self.rooms}


class Announcements(msgspec.Struct):
    """All of them by number."""

    items: dict[int, Announcement] = {}

    def get(self, number: int) -> Announcement:
        """Refuses `unknown_announcement`."""
        found = self.items.get(number)
        if found is None or found.withdrawn:
            raise Refused("unknown_announcement", field="announcement")
        return found

    def live(self, room: str | None = None) -> list[Announcement]:
        """Those that nobody has taken back: all, or what this room was told."""
        return [one for one in self.items.values() if not one.withdrawn and (room is None or room in one.rooms)]


class Send(Command, frozen=True):
    """Tell these rooms; none means all that are open."""

    text: str
    rooms: Annotated[tuple[str, ...], msgspec.Meta(max_length=200)] = ()


class Withdraw(Command, frozen=True):
    """Take it back: it disappears from the rooms."""

    announcement: Number


class See(Command, frozen=True):
    """It was on my screen."""

    announcement: Number


class Sent(Change, frozen=True, tag="announcement_sent"):
    """These rooms are told this."""

    number: int
    text: str
    rooms: tuple[str, ...]
    person: str


class Withdrawn(Change, frozen=True, tag="announcement_withdrawn"):
    """Taken back."""

    number: int


class Seen(Change, frozen=True, tag="announcement_seen"):
    """This person has seen it, in this room."""

    number: int
    person: str
    room: str


# Deciding.


def send(event: Event, actor: Actor, command: Send, now: int) -> Outcome:
    """Refuses `text_too_short`, `text_too_long`, `no_open_room`, `unknown_room`, `round_closed`."""
    said = text.within(command.text, "text", MIN_TEXT, MAX_TEXT)
    round = running_round(event)
    for id in command.rooms:
        event.rounds.room(id)
    there = [room.id for room in event.rounds.of(round) if not room.closed] if round else []
    if not there:
        raise Refused("no_open_room")
    if not set(command.rooms) <= set(there):
        raise Refused("round_closed", field="rooms")
    rooms = tuple(id for id in there if not command.rooms or id in command.rooms)
    number = len(event.announcements.items) + 1
    change = Sent(number, said, rooms, self_of(event, actor.person))
    return Outcome([change], {"announcement": number, "rooms": len(rooms)})


def withdraw(event: Event, actor: Actor, command: Withdraw, now: int) -> Outcome:
    """Refuses `unknown_announcement`."""
    one = event.announcements.get(command.announcement)
    return Outcome([Withdrawn(one.number)], {"announcement": one.number}, forget=[one.row])


def see(event: Event, actor: Actor, command: See, now: int) -> Outcome:
    """Once for each participant, on however many devices; guests see it and are not counted. Refuses `unknown_announcement`,
    `not_your_room`."""
    one = event.announcements.get(command.announcement)
    person = self_of(event, actor.person)
    rooms = [event.rounds.rooms[id] for id in one.rooms]
    room = next((room.id for room in rooms if person in room.seats), one.to.get(person, ""))
    if not room and not any(person in room.guests or room.leads(person) for room in rooms):
        raise Refused("not_your_room", field="announcement", room="")
    fresh = room != "" and person not in one.seen
    return Outcome([Seen(one.number, person, room)] if fresh else [], {"announcement": one.number})


def forgotten(change: Change) -> Change:
    """The change without the text that was taken back."""
    return msgspec.structs.replace(change, text="") if isinstance(change, Sent) else change


# Applying.


def sent(event: Event, change: Sent, now: int, by: str) -> tuple[str, ...]:
    """To everybody who has a seat there."""
    to = {person: id for id in change.rooms for person in event.rounds.rooms[id].seats}
    event.announcements.items[change.number] = Announcement(
        change.number, change.text, change.rooms, change.person, now, to, event.seq
    )
    return (f"announcement/{change.number}",)


def withdrawn(event: Event, change: Withdrawn, now: int, by: str) -> tuple[str, ...]:
    """Nobody sees it any more, nor how many have."""
    one = event.announcements.items[change.number]
    one.withdrawn, one.text = True, ""
    one.to.clear()
    one.seen.clear()
    return (f"announcement/{change.number}",)


def seen(event: Event, change: Seen, now: int, by: str) -> tuple[str, ...]:
    """One more. Only the number travels: nobody is sent the text again."""
    one = event.announcements.items[change.number]
    one.to.setdefault(change.person, change.room)
    one.seen.add(change.person)
    return (f"seen/{change.number}",)


COMMANDS: Commands = {
    "announcement.send": (Send, send),
    "announcement.withdraw": (Withdraw, withdraw),
    "announcement.seen": (See, see),
}
CHANGES: Changes = {Sent: sent, Withdrawn: withdrawn, Seen: seen}
