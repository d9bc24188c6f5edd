"""What the plenary does with the results of small groups: everybody supports proposals; moderators put them under headings, order
them, and put one, or a part of a room's summary, on stage and overlay."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, TypeVar

import msgspec

from rooms import text
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.contributions import Moved, accepting
from rooms.results import MAX_GROUP, MOST_CARDS, Card, Heading, Number, OnAir, Part, Steps

if TYPE_CHECKING:
    from rooms.event import Event

T = TypeVar("T", Card, Heading)


class Support(Command, frozen=True):
    """I, too, want this; `on=false` takes it back."""

    card: Number
    on: bool = True


class Group(Command, frozen=True):
    """Put proposals together under a heading, a new one or one that there is; an empty title takes them out. With `heading`
    instead: all that is under it, which is how it gets another title."""

    cards: Annotated[tuple[Number, ...], msgspec.Meta(max_length=MOST_CARDS)] = ()
    heading: Number | None = None
    title: str = ""


class Order(Command, frozen=True):
    """Move a proposal under its heading, or a heading, so many steps down (up if negative). With neither: everything by support."""

    card: Number | None = None
    heading: Number | None = None
    steps: Steps = 0


class Air(Command, frozen=True):
    """Put a proposal on stage and overlay, or take it off."""

    card: Number
    on: bool = True


class AirSummary(Command, frozen=True):
    """Put a part of a room's summary on stage and overlay, or take it off."""

    room: str
    part: Part = "proposed"
    on: bool = True


class Supported(Change, frozen=True, tag="proposal_supported"):
    """This person supports the proposal, or no more."""

    number: int
    person: str
    on: bool


class Placed(Change, frozen=True, tag="proposals_placed"):
    """These stand under this heading (0: none), which is called so."""

    numbers: tuple[int, ...]
    heading: int
    title: str


class Ordered(Change, frozen=True, tag="proposals_ordered"):
    """These proposals and these headings stand in this order, on the places that they have had together."""

    cards: tuple[int, ...] = ()
    headings: tuple[int, ...] = ()


class Aired(Change, frozen=True, tag="result_aired"):
    """This is on stage and overlay: a card, or a part of the summary; without a room nothing of the small groups is."""

    room: str = ""
    part: str = ""
    card: int = 0


def support(event: Event, actor: Actor, command: Support, now: int) -> Outcome:
    """Once for each person; taking back is possible in every phase. Refuses `not_open`, `closed`, `not_on_board`."""
    card = event.results.cards.get(command.card)
    given = card is not None and actor.person in card.plenary
    if card is None or not (given or event.results.is_proposal(card)):
        raise Refused("not_on_board", field="card")
    if command.on:
        accepting(event)
    changed = command.on != given
    count = len(card.plenary) + (1 if command.on else -1) * changed
    return Outcome([Supported(card.number, actor.person, command.on)] if changed else [], {"support": count})


def group(event: Event, actor: Actor, command: Group, now: int) -> Outcome:
    """Refuses `nothing_chosen`, `not_on_board`, `unknown_heading`, `title_too_long`."""
    title = text.within(command.title, "title", 0, MAX_GROUP, lines=False)
    same = next((one for one in event.results.headings.values() if one.title == title), None)
    if command.heading is not None:
        old = _heading(event, command.heading)
        # What has left the board for a while is under it too.
        cards = [card for card in event.results.cards.values() if card.heading == old.number]
        target = 0 if not title else same.number if same else old.number
    else:
        cards = [_proposal(event, number) for number in dict.fromkeys(command.cards)]
        target = 0 if not title else same.number if same else len(event.results.headings) + 1
    if not cards:
        raise Refused("nothing_chosen", field="title")
    renamed = command.heading == target and event.results.headings[target].title != title
    moved = tuple(card.number for card in cards if card.heading != target)
    return Outcome([Placed(moved, target, title)] if moved or renamed else [], {"heading": target, "cards": len(cards)})


def order(event: Event, actor: Actor, command: Order, now: int) -> Outcome:
    """Refuses `not_on_board`, `unknown_heading`."""
    cards: list[Card] = []
    topics: list[Heading] = []
    if command.card is not None:
        card = _proposal(event, command.card)
        cards = moved([one for one in proposals(event) if one.heading == card.heading], card, command.steps)
    elif command.heading is not None:
        topics = moved(headings(event), _heading(event, command.heading), command.steps)
    else:
        cards = sorted(proposals(event), key=lambda card: (-len(card.plenary), -len(card.supporters), card.turn))
        topics = sorted(headings(event), key=lambda one: (-len(_supporters(event, one)), one.turn))
    change = Ordered(tuple(one.number for one in cards), tuple(one.number for one in topics))
    return Outcome([] if _in_order(cards) and _in_order(topics) else [change])


def air(event: Event, actor: Actor, command: Air, now: int) -> Outcome:
    """What was on air before is not any more. Refuses `not_on_board`."""
    if not command.on:
        on_air = event.results.on_air
        return Outcome([Aired()] if on_air is not None and on_air.card == command.card else [])
    card = _proposal(event, command.card)
    return _on_air(event, Aired(card.room, "", card.number))


def air_summary(event: Event, actor: Actor, command: AirSummary, now: int) -> Outcome:
    """What was on air before is not any more. Refuses `unknown_room`, `not_on_board`: not confirmed, or nothing is written
    there."""
    room = event.rounds.room(command.room)
    change = Aired(room.id, command.part)
    if not command.on:
        return Outcome([Aired()] if _is_on_air(event, change) else [])
    if not event.results.confirmed(room.id) or not getattr(event.results.summaries[room.id], command.part):
        raise Refused("not_on_board", field="room")
    return _on_air(event, change)


def proposals(event: Event) -> list[Card]:
    """What is on the board, in its order, without the headings."""
    rooms = (summary.room for summary in event.results.summaries.values() if summary.state == "confirmed")
    return sorted((card for room in rooms for card in event.results.live(room) if card.proposed), key=_turn)


def headings(event: Event) -> list[Heading]:
    """Those with something under them, in their order."""
    used = {card.heading for card in proposals(event)}
    return sorted((one for one in event.results.headings.values() if one.number in used), key=_turn)


def supported_by(event: Event, person: str) -> list[int]:
    """The proposals that this person supports."""
    return [card.number for card in event.results.cards.values() if person in card.plenary]


def moved(line: list[T], one: T, steps: int) -> list[T]:
    """Those between where it stood and where it stands now, in their new order; it does not go beyond the ends."""
    if one not in line:
        return []
    start = line.index(one)
    end = min(max(start + steps, 0), len(line) - 1)
    between = line[min(start, end) : max(start, end) + 1]
    between.remove(one)
    between.insert(0 if end < start else len(between), one)
    return between


def _on_air(event: Event, change: Aired) -> Outcome:
    if _is_on_air(event, change):
        return Outcome()
    before = event.contributions.on_air
    return Outcome([change] if before is None else [Moved(before, "answered"), change])


def _is_on_air(event: Event, change: Aired) -> bool:
    on_air = event.results.on_air
    return on_air is not None and (on_air.room, on_air.part, on_air.card) == (change.room, change.part, change.card)


def _proposal(event: Event, number: int) -> Card:
    card = event.results.cards.get(number)
    if card is None or not event.results.is_proposal(card):
        raise Refused("not_on_board", field="card")
    return card


def _heading(event: Event, number: int) -> Heading:
    heading = event.results.headings.get(number)
    if heading is None:
        raise Refused("unknown_heading", field="heading")
    return heading


def _supporters(event: Event, heading: Heading) -> set[str]:
    """Each once, however many proposals under it they support."""
    return set().union(*(card.plenary for card in proposals(event) if card.heading == heading.number))


def _turn(one: Card | Heading) -> int:
    return one.turn


def _in_order(line: list[T]) -> bool:
    return all(one.turn < next.turn for one, next in pairwise(line))


def supported(event: Event, change: Supported, now: int, by: str) -> tuple[str, ...]:
    """The count, and the person's own list."""
    people = event.results.cards[change.number].plenary
    (people.add if change.on else people.discard)(change.person)
    return (f"backing/{change.number}", f"supports/{change.person}")


def placed(event: Event, change: Placed, now: int, by: str) -> tuple[str, ...]:
    """Under their heading, which stands after the others if it is new."""
    results = event.results
    if change.heading and change.heading not in results.headings:
        results.headings[change.heading] = Heading(change.heading, change.title, change.heading)
    elif change.heading:
        results.headings[change.heading].title = change.title
    touched = {0, change.heading}
    for number in change.numbers:
        touched.add(results.cards[number].heading)
        results.cards[number].heading = change.heading
    return (*(f"proposal/{number}" for number in change.numbers), *(f"heading/{number}" for number in sorted(touched)))


def ordered(event: Event, change: Ordered, now: int, by: str) -> tuple[str, ...]:
    """Only what has another place now is sent again: with a heading goes what is under it."""
    cards = _settled([event.results.cards[number] for number in change.cards])
    topics = _settled([event.results.headings[number] for number in change.headings])
    under = [card.number for card in proposals(event) if card.heading in topics]
    shown = dict.fromkeys(f"proposal/{number}" for number in (*cards, *under))
    return (*shown, *(f"heading/{number}" for number in topics))


def aired(event: Event, change: Aired, now: int, by: str) -> tuple[str, ...]:
    """On every screen, and said so on the board."""
    before = event.results.on_air
    event.results.on_air = OnAir(change.room, change.part, change.card, now) if change.room else None
    shown = (_document(one) for one in (before, event.results.on_air) if one is not None)
    return tuple(dict.fromkeys(("on_air", *shown)))


def _settled(line: list[T]) -> list[int]:
    """Gives them their turns in the order in which they come; those that had another one."""
    turns = sorted(one.turn for one in line)
    changed = []
    for one, turn in zip(line, turns, strict=True):
        if one.turn != turn:
            one.turn = turn
            changed.append(one.number)
    return changed


def _document(on_air: OnAir) -> str:
    return f"proposal/{on_air.card}" if on_air.card else f"result/{on_air.room}"


COMMANDS: Commands = {
    "proposal.support": (Support, support),
    "proposal.group": (Group, group),
    "proposal.order": (Order, order),
    "proposal.air": (Air, air),
    "summary.air": (AirSummary, air_summary),
}
CHANGES: Changes = {Supported: supported, Placed: placed, Ordered: ordered, Aired: aired}
