"""Joining: whether somebody takes part in the hall or at home, and under which name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from rooms import text
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.entrance import admits

if TYPE_CHECKING:
    from rooms.event import Event

MAX_NAME = 60
"""Graphemes of a name or pseudonym: one line on a phone, one lower third."""

Place = Literal["hall", "home"]


class Attendance(msgspec.Struct):
    """Who said where they are; everybody else is at home. Person id → place."""

    places: dict[str, Place] = {}

    def place(self, person: str) -> Place:
        """Where this person takes part."""
        return self.places.get(person, "home")


class Join(Command, frozen=True):
    """Take part in the hall (with the rotating code) or at home, optionally under a name; an empty name removes it."""

    place: Place | None = None
    code: str | None = None
    name: str | None = None


class Joined(Change, frozen=True, tag="joined"):
    """This person takes part at this place."""

    person: str
    place: Place


class Renamed(Change, frozen=True, tag="renamed"):
    """This person's name has changed; the name itself is in the people table."""

    person: str


def join(event: Event, actor: Actor, command: Join, now: int) -> Outcome:
    """Refuses `not_open`, `wrong_code`, `name_too_long`."""
    if event.phase == "draft":
        raise Refused("not_open")
    outcome = Outcome([])
    place = command.place or event.attendance.place(actor.person)
    if place != event.attendance.place(actor.person):
        if place == "hall" and not admits(event.secret, command.code or "", now, event.programme.code_period):
            raise Refused("wrong_code", field="code")
        outcome.changes.append(Joined(actor.person, place))
    rename(outcome, actor.person, command.name)
    outcome.result = {"place": place}
    return outcome


def rename(outcome: Outcome, person: str, name: str | None) -> None:
    """Add to the outcome that the person is called so from now on; None changes nothing."""
    if name is None:
        return
    outcome.names = {person: text.within(name, "name", 0, MAX_NAME, lines=False)}
    outcome.changes.append(Renamed(person))


def joined(event: Event, change: Joined, now: int, by: str) -> tuple[str, ...]:
    """The place; only the person's own documents show it."""
    event.attendance.places[change.person] = change.place
    return (f"person/{change.person}",)


def renamed(event: Event, change: Renamed, now: int, by: str) -> tuple[str, ...]:
    """Everything that shows the name."""
    mine = (item.number for item in event.contributions.items.values() if item.person == change.person)
    touched = [f"contribution/{number}" for number in mine]
    if event.contributions.on_air is not None and f"contribution/{event.contributions.on_air}" in touched:
        touched.append("on_air")
    return (f"person/{change.person}", *touched)


COMMANDS: Commands = {"person.join": (Join, join)}
CHANGES: Changes = {Joined: joined, Renamed: renamed}
