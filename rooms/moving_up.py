"""Moving up: free seats go to those who wait, in order of arrival, and people are asked again when the event is moved."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Literal

from rooms import messages
from rooms.command import Actor, Command, Commands, Outcome, Timer
from rooms.places import Line, Place, PlaceName
from rooms.programme import ms
from rooms.register import AskedAgain, Left, Number, Registration, Seated, Told, out_of_line, to_be_told

if TYPE_CHECKING:
    from rooms.event import Event

HOUR = 3_600_000
RECONFIRM_WITHIN = 7 * 24 * HOUR
"""Least time to confirm after the event was moved: somebody may be on holiday."""


class Lapse(Command, frozen=True):
    """The time to confirm is over. Sent by the system."""

    registration: Number
    confirm_by: int


class Settle(Command, frozen=True):
    """Give free seats to those who wait, after the facts have changed. Sent by the system."""


class Postpone(Command, frozen=True):
    """Ask everybody who registered for another date, and tell those who registered for another time of the same day."""


# Deciding.


def lapse(event: Event, actor: Actor, command: Lapse, now: int) -> Outcome:
    """Nothing, if it was confirmed meanwhile."""
    item = event.registrations.items.get(command.registration)
    if item is None or item.status != "seated" or item.confirm_by != command.confirm_by or now < command.confirm_by or item.here:
        return Outcome()
    outcome = Outcome([])
    leave(event, outcome, item, "lapsed", now)
    messages.queue(event, outcome, item.number, "lapsed", now)
    return outcome


def settle(event: Event, actor: Actor, command: Settle, now: int) -> Outcome:
    """Nothing, if no seat can be given."""
    outcome = Outcome([])
    for name in event.registrations.lines:
        if name in event.programme.places:
            move_up(event, outcome, name, event.registrations.line(name), now)
    return outcome


def postpone(event: Event, actor: Actor, command: Postpone, now: int) -> Outcome:
    """Another day: everybody is asked to confirm. Another hour or none: everybody is told."""
    outcome = Outcome([], {"asked": 0, "told": 0})
    starts = event.programme.starts
    for item in event.registrations.items.values():
        if not to_be_told(event, item):
            continue
        another_day = item.starts[:10] != starts[:10]
        by = max(confirm_by(event, event.programme.places[item.place], now), min(now + RECONFIRM_WITHIN, ms(starts)))
        asked = another_day and item.status == "seated"
        outcome.changes.append(AskedAgain(item.number, starts, by if asked else None))
        outcome.result["asked" if asked else "told"] += 1
        messages.queue(event, outcome, item.number, "postponed" if asked else "changed", now, detail=starts)
    if outcome.changes:
        outcome.changes.append(Told())
    return outcome


def timers(event: Event) -> Iterator[Timer]:
    """Confirmations that run out; seats that a change of the facts has made free."""
    for number, by in event.registrations.to_confirm.items():
        yield Timer(by, f"timer/lapse/{number}/{by}", "registration.lapse", Lapse(registration=number, confirm_by=by))
    for name, line in event.registrations.lines.items():
        place = event.programme.places.get(name)
        if place is not None and next(iter(line.heads().settle(place, people(event))), None) is not None:
            yield Timer(0, f"timer/settle/{name}/{event.touched.get('event', 0)}", "registration.settle", Settle())


def leave(event: Event, outcome: Outcome, item: Registration, status: Literal["lapsed", "cancelled"], now: int) -> None:
    """Add to the outcome that the seats are free, and who moves up."""
    outcome.changes.append(Left(item.number, status))
    line = event.registrations.line(item.place)
    out_of_line(line, item)
    move_up(event, outcome, item.place, line, now)


def confirm_by(event: Event, place: Place, now: int) -> int:
    """Until when somebody who moves up now has to confirm: never after the event has begun."""
    return min(now + int(place.confirm_within * HOUR), ms(event.programme.starts))


def people(event: Event, but: dict[int, int] | None = None) -> Callable[[int], int]:
    """How many a registration is for; `but`: what the state does not say yet."""
    changed = but or {}
    return lambda number: changed.get(number) or event.registrations.items[number].party


def move_up(
    event: Event, outcome: Outcome, name: PlaceName, line: Line, now: int, *,
    parties: dict[int, int] | None = None, sure: int = 0, by: messages.Reach | None = None, unproven: bool = False,
) -> set[int]:  # fmt: skip
    """Give free seats to those who wait there; returns who got one. `sure` need not confirm: they have just said that they come.
    Nobody moves up when the event has begun: the door sees who is there. But who is entered late gets a seat that nobody
    waits for."""
    place = event.programme.places.get(name)
    if place is None:
        return set()
    begun = now >= ms(event.programme.starts)
    seated = dict((line.copy() if begun else line).settle(place, people(event, parties)))
    if begun and seated.keys() != {sure}:
        return set()
    for number, pool in seated.items():
        confirmed = number == sure and not unproven
        outcome.changes.append(Seated(number, pool, None if confirmed else confirm_by(event, place, now)))
        messages.queue(event, outcome, number, "seated" if number == sure else "moved_up", now, by=by)
    return set(seated)



COMMANDS: Commands = {
    "registration.lapse": (Lapse, lapse),
    "registration.settle": (Settle, settle),
    "registration.postpone": (Postpone, postpone),
}
