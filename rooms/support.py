"""Support: one per person and contribution, can be taken back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec

from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.contributions import PUBLIC, accepting

if TYPE_CHECKING:
    from rooms.event import Event


class Supports(msgspec.Struct):
    """Who supports what: contribution number → person ids. A set makes "one per person" a matter of course."""

    given: dict[int, set[str]] = {}

    def count(self, number: int) -> int:
        """How many people support this contribution."""
        return len(self.given.get(number, ()))

    def of(self, person: str) -> list[int]:
        """The contributions that this person supports."""
        return sorted(number for number, people in self.given.items() if person in people)


class Give(Command, frozen=True):
    """Support a contribution."""

    contribution: int


class TakeBack(Command, frozen=True):
    """Support a contribution no longer."""

    contribution: int


class Given(Change, frozen=True, tag="given"):
    """This person supports this contribution."""

    number: int
    person: str


class TakenBack(Change, frozen=True, tag="taken_back"):
    """This person does not support this contribution any more."""

    number: int
    person: str


def give(event: Event, actor: Actor, command: Give, now: int) -> Outcome:
    """Giving twice counts once. Refuses `not_open`, `closed`, `unknown_contribution`, `wrong_state` (answered)."""
    accepting(event)
    item = event.contributions.items.get(command.contribution)
    if item is None or item.state not in PUBLIC:
        raise Refused("unknown_contribution", field="contribution")
    if item.state == "answered":
        raise Refused("wrong_state", field="contribution", state=item.state)
    supporters = event.supports.given.get(item.number, ())
    if actor.person in supporters:
        return Outcome([], {"support": len(supporters)})
    return Outcome([Given(item.number, actor.person)], {"support": len(supporters) + 1})


def take_back(event: Event, actor: Actor, command: TakeBack, now: int) -> Outcome:
    """Possible in every phase and state. Refuses `unknown_contribution`."""
    supporters = event.supports.given.get(command.contribution, ())
    if actor.person not in supporters:
        item = event.contributions.items.get(command.contribution)
        if item is None or item.state not in PUBLIC:
            raise Refused("unknown_contribution", field="contribution")
        return Outcome([], {"support": len(supporters)})
    return Outcome([TakenBack(command.contribution, actor.person)], {"support": len(supporters) - 1})


def given(event: Event, change: Given, now: int, by: str) -> tuple[str, ...]:
    """The count, and the person's own list."""
    event.supports.given.setdefault(change.number, set()).add(change.person)
    return (f"support/{change.number}", f"supports/{change.person}")


def taken_back(event: Event, change: TakenBack, now: int, by: str) -> tuple[str, ...]:
    """The count, and the person's own list."""
    event.supports.given[change.number].discard(change.person)
    return (f"support/{change.number}", f"supports/{change.person}")


COMMANDS: Commands = {"support.give": (Give, give), "support.withdraw": (TakeBack, take_back)}
CHANGES: Changes = {Given: given, TakenBack: taken_back}
