"""Bonds: whom the organisers keep together, or apart, in all rounds of the event, whatever people wish themselves.

Who is kept together with several people is so with all of them: it is one group. Who is kept apart from several people is in
several groups, as those may meet each other. Whom somebody must not meet is nobody else's business: only moderators and organisers
see it, and the log holds no bond that is not true any more.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from itertools import count
from typing import TYPE_CHECKING, Literal

import msgspec

from rooms.breakout import Bond, How, named, running_round, tagged
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.participation import check_no_table, fill

if TYPE_CHECKING:
    from rooms.event import Event

Bonds = Mapping[int, Bond]


class Bind(Command, frozen=True):
    """Keep these people together, or each of them apart from the others; free: as they wish themselves, without any bond."""

    how: Literal["together", "apart", "free"]
    people: tuple[str, ...] = ()


class Bound(Change, frozen=True, tag="round_bound"):
    """These people are kept together, or apart; without people there is no such bond any more."""

    number: int
    how: How
    people: tuple[str, ...] = ()


# Deciding.


def bind(event: Event, actor: Actor, command: Bind, now: int) -> Outcome:
    """Done already if it is so. Refuses `too_few_people`, `unknown_person`, `table_stays`, `bonds_contradict`."""
    if not command.people:
        raise Refused("too_few_people", field="people")
    known = tagged(event)
    people = [named(event, known, one, "people") for one in command.people]
    check_no_table(people, "people")
    if not {*people} <= {*known.values()}:
        raise Refused("unknown_person", field="people")
    bonds = freed(event.rounds.bonds, people) if command.how == "free" else tied(event.rounds.bonds, command.how, people)
    outcome = Outcome([], {"people": len({*people})})
    log(event, outcome, bonds)
    running = running_round(event)
    if outcome.changes and running is not None:
        fill(event, outcome, running, bonds=bonds)
    return outcome


def tied(bonds: Bonds, how: How, people: Iterable[str]) -> Bonds:
    """The bonds with one more, or the same if it is so. Refuses `too_few_people`, `bonds_contradict`: two people would be both
    together and apart."""
    wanted = tuple(dict.fromkeys(people))
    if len(wanted) < 2:
        raise Refused("too_few_people", field="people")
    same = {number: one for number, one in bonds.items() if one.how == how}
    if any({*wanted} <= {*one.people} for one in same.values()):
        return bonds
    if how == "together":
        gone = [number for number, one in same.items() if not {*wanted}.isdisjoint(one.people)]
        wanted = tuple(dict.fromkeys((*(person for number in gone for person in same[number].people), *wanted)))
    else:
        gone = [number for number, one in same.items() if {*one.people} <= {*wanted}]
    number = min(gone) if gone else next(number for number in count(1) if number not in bonds)
    others = [one for one in bonds.values() if one.how != how]
    if any(len({*wanted} & {*one.people}) > 1 for one in others):
        raise Refused("bonds_contradict", field="people")
    return {key: one for key, one in bonds.items() if key not in gone} | {number: Bond(how, wanted)}


def freed(bonds: Bonds, people: Iterable[str]) -> Bonds:
    """The bonds without these people."""
    gone = {*people}
    left = {
        number: bond if gone.isdisjoint(bond.people) else Bond(bond.how, tuple(one for one in bond.people if one not in gone))
        for number, bond in bonds.items()
    }
    return {number: bond for number, bond in left.items() if len(bond.people) > 1}


def log(event: Event, outcome: Outcome, bonds: Bonds) -> None:
    """Say what is another bond now. A row of the log that has said what is true no more forgets it, and what else stood in that row
    is said again."""
    before = event.rounds.bonds
    other = {number for number in (*before, *bonds) if before.get(number) != bonds.get(number)}
    rows = {before[number].row for number in other if number in before}
    again = other | {number for number, bond in before.items() if bond.row in rows}
    outcome.forget += sorted(rows)
    for number in sorted(again):
        bond = bonds.get(number)
        outcome.changes.append(Bound(number, bond.how, bond.people) if bond else Bound(number, before[number].how))


def forgotten(change: Change) -> Change:
    """The change without the people."""
    return msgspec.structs.replace(change, people=()) if isinstance(change, Bound) else change


# Applying.


def bound(event: Event, change: Bound, now: int, by: str) -> tuple[str, ...]:
    """Every list of people shows it, whoever was in it before: that may be forgotten."""
    event.rounds.bonds.pop(change.number, None)
    if change.people:
        event.rounds.bonds[change.number] = Bond(change.how, change.people, event.seq)
    rooms = (f"room/{id}" for round in event.rounds.items.values() if round.state != "closed" for id in round.rooms)
    return ("plan", *rooms)


COMMANDS: Commands = {"round.bind": (Bind, bind)}
CHANGES: Changes = {Bound: bound}
