"""Joining: whether somebody takes part in the hall or at home, and under which name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from rooms import text
from rooms.breakout import signed
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
    """Take part in the hall (with the rotating code) or at home. The name is what this person is asked to sign with next time; an
    empty one removes it."""

    place: Place | None = None
    code: str | None = None
    name: str | None = None


class Joined(Change, frozen=True, tag="joined"):
    """This person takes part at this place."""

    person: str
    place: Place


class Renamed(Change, frozen=True, tag="renamed"):
    """What the people table has under this id has changed: a person's id, `contribution/<n>` and `card/<n>` for who signed it,
    `table/<room>` for who sits there, `registration/<n>` and `mail/<n>` with their `/email`, `/phone` and so on. It itself is in
    that table only."""

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


def rename(outcome: Outcome, id: str, name: str | None) -> None:
    """Add to the outcome that this id bears the name from now on; None changes nothing. Refuses `name_too_long`."""
    if name is None:
        return
    outcome.names[id] = text.within(name, "name", 0, MAX_NAME, lines=False)
    outcome.changes.append(Renamed(id))


def joined(event: Event, change: Joined, now: int, by: str) -> tuple[str, ...]:
    """The place; only the person's own documents show it."""
    event.attendance.places[change.person] = change.place
    return (f"person/{change.person}",)


def renamed(event: Event, change: Renamed, now: int, by: str) -> tuple[str, ...]:
    """Everything that shows the name."""
    kind, _, rest = change.person.partition("/")
    if kind in ("registration", "mail"):
        return (f"{kind}/{rest.partition('/')[0]}",)
    if kind == "card":
        return (change.person,)
    if kind == "table":
        return tuple(signed(event, change.person))
    if kind != "contribution":
        return (f"person/{change.person}", *signed(event, change.person))
    on_air = f"contribution/{event.contributions.on_air}"
    return (change.person, "on_air") if change.person == on_air else (change.person,)


COMMANDS: Commands = {"person.join": (Join, join)}
CHANGES: Changes = {Joined: joined, Renamed: renamed}
