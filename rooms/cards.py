"""Suggestion cards of a small group: one thought each, with support, groups, an order, and the mark of what the room proposes.

Proposals reach the plenary's board when the room's summary is confirmed (rooms/summaries.py). Who leads the room puts aside what
hurts somebody or stands there for the fifth time: it is none of the suggestions any more, and stays where everybody in the room
can look at it, so that nothing is removed in silence.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import msgspec

from rooms import text
from rooms.breakout import LEADERS, Room, at_table, may_lead, seated, self_of, stir
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.joining import rename
from rooms.results import MAX_GROUP, MOST_CARDS, Card, Number, Steps, board, had, off_air

if TYPE_CHECKING:
    from rooms.event import Event

MIN_CARD, MAX_CARD = 2, 300
"""Graphemes: one thought."""
MOST_OF_ONE = 50
"""Cards of one person in one room. What is taken back does not count, see MOST_CARDS; what was put aside does, or whoever floods a
room could go on."""
BETWEEN = 2**20
"""Between the places of two cards: one that is moved gets a place there, and is all that the others have to be sent again."""


class Submit(Command, frozen=True):
    """Write a card. `name`: who of a table says so; it signs this card only."""

    room: str
    text: str
    name: str | None = None


class Edit(Command, frozen=True):
    """Change the wording: the author, or who leads the room."""

    card: Number
    text: str


class Withdraw(Command, frozen=True):
    """Take one's own card back, for good."""

    card: Number


class Group(Command, frozen=True):
    """Put cards together under a name, behind those that are there already; an empty one takes them out."""

    cards: Annotated[tuple[Number, ...], msgspec.Meta(max_length=MOST_CARDS)]
    name: str = ""


class Order(Command, frozen=True):
    """Move a card so many steps down in its room (up if negative)."""

    card: Number
    steps: Steps


class Support(Command, frozen=True):
    """I think so too; `on=false` takes it back."""

    card: Number
    on: bool = True


class Propose(Command, frozen=True):
    """This is what the room proposes to the plenary."""

    card: Number
    on: bool = True


class SetAside(Command, frozen=True):
    """Not one of the room's suggestions; `on=false` brings it back. `all`: with all that its author has written in this room."""

    card: Number
    on: bool = True
    all: bool = False


class Submitted(Change, frozen=True, tag="card_submitted"):
    """There is a new card."""

    number: int
    room: str
    text: str
    person: str


class Edited(Change, frozen=True, tag="card_edited"):
    """The wording is now this."""

    number: int
    text: str


class Withdrawn(Change, frozen=True, tag="card_withdrawn"):
    """The card is gone, and its text with it."""

    number: int


class PutAside(Change, frozen=True, tag="card_aside"):
    """They are none of their room's suggestions, or are again."""

    numbers: tuple[int, ...]
    on: bool


class Grouped(Change, frozen=True, tag="card_grouped"):
    """These cards belong to this group."""

    numbers: tuple[int, ...]
    group: str


class Ordered(Change, frozen=True, tag="cards_ordered"):
    """These cards have these places in their room."""

    places: dict[int, int]


class Supported(Change, frozen=True, tag="card_supported"):
    """This person supports the card, or no more."""

    number: int
    person: str
    on: bool


class Proposed(Change, frozen=True, tag="card_proposed"):
    """The room proposes it, or no more."""

    number: int
    on: bool


def submit(event: Event, actor: Actor, command: Submit, now: int) -> Outcome:
    """Who leads the room and who writes for a table write for others, as many as the room takes. Refuses `unknown_room`,
    `not_your_room`, `round_closed`, `card_*`, `too_many_cards`, `too_many_own_cards`, `name_too_long`, and `forbidden` a name to
    whoever has one of their own."""
    room = seated(event, actor, command.room)
    person = self_of(event, actor.person)
    if command.name and person != at_table(room):
        raise Refused("forbidden", field="name")
    cards = event.results.standing(room.id)
    if sum(not card.aside for card in cards) >= MOST_CARDS:
        raise Refused("too_many_cards", field="text", most=MOST_CARDS)
    for_others = room.leads(person) or actor.any_of(*LEADERS) or person == at_table(room)
    if not for_others and sum(card.person == person for card in cards) >= MOST_OF_ONE:
        raise Refused("too_many_own_cards", field="text", most=MOST_OF_ONE)
    words = text.within(command.text, "card", MIN_CARD, MAX_CARD)
    number = len(event.results.cards) + 1
    outcome = Outcome([Submitted(number, room.id, words, person)], {"card": number})
    rename(outcome, f"card/{number}", command.name or None)
    return outcome


def edit(event: Event, actor: Actor, command: Edit, now: int) -> Outcome:
    """What somebody who does not lead the room makes of a proposal is one no more, until it is proposed again: it may be on the
    board. Refuses `unknown_card`, `not_your_room`, `round_closed`, `forbidden`, `card_*`."""
    card, room = _card(event, actor, command.card)
    leads = may_lead(event, actor, room)
    if card.person != self_of(event, actor.person) and not leads:
        raise Refused("forbidden", field="card")
    words = text.within(command.text, "card", MIN_CARD, MAX_CARD)
    outcome = Outcome([], {"card": card.number})
    if words != card.text:
        outcome.changes.append(Edited(card.number, words))
        if card.proposed and not leads:
            outcome.changes.insert(0, Proposed(card.number, on=False))
    return outcome


def withdraw(event: Event, actor: Actor, command: Withdraw, now: int) -> Outcome:
    """The author's right at any time (GDPR Art. 7 (3), 17). Refuses `unknown_card`, `forbidden`."""
    card = event.results.card(command.card)
    if card.person != self_of(event, actor.person):
        raise Refused("forbidden", field="card")
    outcome = Outcome([Withdrawn(card.number)], {"card": card.number}, forget=list(card.rows))
    rename(outcome, f"card/{card.number}", "")
    return outcome


def group(event: Event, actor: Actor, command: Group, now: int) -> Outcome:
    """Refuses `unknown_card`, `card_aside`, `not_your_room`, `round_closed`, `group_too_long`, `wrong_cards`: of several rooms."""
    name = text.within(command.name, "group", 0, MAX_GROUP, lines=False)
    cards = [_suggestion(_card(event, actor, number)[0]) for number in dict.fromkeys(command.cards)]
    if not cards or len({card.room for card in cards}) > 1:
        raise Refused("wrong_cards", field="cards")
    changed = tuple(card.number for card in cards if card.group != name)
    outcome = Outcome([Grouped(changed, name)] if changed else [], {"cards": len(cards)})
    line = event.results.live(cards[0].room)
    goes = [card for card in line if card.number in changed]
    if name and goes:
        rest = [card for card in line if card not in goes]
        there = [at for at, card in enumerate(rest, 1) if card.group == name]
        at = there[-1] if there else line.index(goes[0])
        outcome.changes += _put(line, [*rest[:at], *goes, *rest[at:]], goes)
    return outcome


def order(event: Event, actor: Actor, command: Order, now: int) -> Outcome:
    """It does not go beyond the ends. Refuses `unknown_card`, `card_aside`, `not_your_room`, `forbidden`."""
    card, room = _led(event, actor, command.card)
    _suggestion(card)
    line = event.results.live(room.id)
    rest = [one for one in line if one is not card]
    at = min(max(line.index(card) + command.steps, 0), len(rest))
    return Outcome(_put(line, [*rest[:at], card, *rest[at:]], [card]), {"card": card.number})


def _put(before: list[Card], line: list[Card], goes: list[Card]) -> list[Change]:
    """The cards of a room stand like this now; those that go there are next to each other. Where there is no place left between the
    others, all get new ones."""
    if line == before:
        return []
    start = line.index(goes[0])
    behind = line[start + len(goes) :]
    above = line[start - 1].place if start else behind[0].place - BETWEEN * (len(goes) + 1)
    step = (behind[0].place - above) // (len(goes) + 1) if behind else BETWEEN
    if step:
        return [Ordered({card.number: above + step * turn for turn, card in enumerate(goes, 1)})]
    return [Ordered({card.number: BETWEEN * turn for turn, card in enumerate(line, 1)})]


def support(event: Event, actor: Actor, command: Support, now: int) -> Outcome:
    """Refuses `unknown_card`, `card_aside`, `not_your_room`, `round_closed`."""
    card = _suggestion(_card(event, actor, command.card)[0])
    person = self_of(event, actor.person)
    changed = command.on != (person in card.supporters)
    support = len(card.supporters) + (1 if command.on else -1) * changed
    return Outcome([Supported(card.number, person, command.on)] if changed else [], {"support": support})


def propose(event: Event, actor: Actor, command: Propose, now: int) -> Outcome:
    """Refuses `unknown_card`, `card_aside`, `not_your_room`, `forbidden`."""
    card = _suggestion(_led(event, actor, command.card)[0])
    return Outcome([Proposed(card.number, command.on)] if command.on != card.proposed else [], {"card": card.number})


def set_aside(event: Event, actor: Actor, command: SetAside, now: int) -> Outcome:
    """What is put aside is no proposal either, and comes off the board. Refuses `unknown_card`, `not_your_room`, `forbidden`, and
    `too_many_cards` to bring it back into a room that is full."""
    chosen, room = _led(event, actor, command.card)
    cards = [card for card in event.results.standing(room.id) if card is chosen or (command.all and card.person == chosen.person)]
    moving = [card for card in cards if card.aside != command.on]
    if not command.on and len(event.results.live(room.id)) + len(moving) > MOST_CARDS:
        raise Refused("too_many_cards", field="card", most=MOST_CARDS)
    outcome = Outcome([Proposed(card.number, on=False) for card in moving if card.proposed], {"cards": len(moving)})
    if moving:
        outcome.changes.append(PutAside(tuple(card.number for card in moving), command.on))
    return outcome


def forgotten(change: Change) -> Change:
    """The change without the text that somebody has taken back."""
    return msgspec.structs.replace(change, text="") if isinstance(change, Submitted | Edited) else change


def _card(event: Event, actor: Actor, number: int) -> tuple[Card, Room]:
    card = event.results.card(number)
    return card, seated(event, actor, card.room)


def _led(event: Event, actor: Actor, number: int) -> tuple[Card, Room]:
    """For who leads the room, also after its end; where nobody is to lead it, for anybody in it."""
    card = event.results.card(number)
    room = had(event, actor, card.room)
    if not may_lead(event, actor, room):
        raise Refused("forbidden", field="card")
    return card, room


def _suggestion(card: Card) -> Card:
    if card.aside:
        raise Refused("card_aside", field="card")
    return card


def submitted(event: Event, change: Submitted, now: int, by: str) -> tuple[str, ...]:
    """The new card."""
    numbers = event.results.of_room.setdefault(change.room, [])
    place = max((event.results.cards[number].place for number in numbers), default=0) + BETWEEN
    event.results.cards[change.number] = Card(change.number, change.room, change.text, change.person, now, place, rows=[event.seq])
    numbers.append(change.number)
    stir(event.rounds.rooms[change.room], now)
    return (f"card/{change.number}", f"work/{change.room}")


def edited(event: Event, change: Edited, now: int, by: str) -> tuple[str, ...]:
    """The wording."""
    card = event.results.cards[change.number]
    card.text = change.text
    card.rows.append(event.seq)
    return (*_shown(card), *off_air(event, card.room, card))


def withdrawn(event: Event, change: Withdrawn, now: int, by: str) -> tuple[str, ...]:
    """Gone from the room and from the board."""
    card = event.results.cards[change.number]
    card.withdrawn, card.text = True, ""
    card.rows.clear()
    shown = (f"summary/{card.room}", f"card/{card.number}", f"work/{card.room}")
    return (*shown, *off_air(event, card.room, card), *board(event, [card]))


def put_aside(event: Event, change: PutAside, now: int, by: str) -> tuple[str, ...]:
    """Below the suggestions, or among them again, where it stood."""
    for number in change.numbers:
        event.results.cards[number].aside = change.on
    room = event.results.cards[change.numbers[0]].room
    return (*(f"card/{number}" for number in change.numbers), f"summary/{room}", f"work/{room}")


def grouped(event: Event, change: Grouped, now: int, by: str) -> tuple[str, ...]:
    """Together under a name."""
    for number in change.numbers:
        event.results.cards[number].group = change.group
    return tuple(f"card/{number}" for number in change.numbers)


def ordered(event: Event, change: Ordered, now: int, by: str) -> tuple[str, ...]:
    """Where they stand in the room; the plenary's board has an order of its own."""
    for number, place in change.places.items():
        event.results.cards[number].place = place
    return tuple(f"card/{number}" for number in change.places)


def supported(event: Event, change: Supported, now: int, by: str) -> tuple[str, ...]:
    """One supporter more or less."""
    card = event.results.cards[change.number]
    (card.supporters.add if change.on else card.supporters.discard)(change.person)
    return _shown(card)


def proposed(event: Event, change: Proposed, now: int, by: str) -> tuple[str, ...]:
    """For the plenary, or not."""
    card = event.results.cards[change.number]
    card.proposed = change.on
    event.results.aside.discard(card.room)
    gone = () if card.proposed else off_air(event, card.room, card)
    return (f"card/{card.number}", f"summary/{card.room}", f"work/{card.room}", *gone, *board(event, [card]))


def _shown(card: Card) -> tuple[str, ...]:
    return (f"card/{card.number}", f"proposal/{card.number}") if card.proposed else (f"card/{card.number}",)


COMMANDS: Commands = {
    "card.submit": (Submit, submit),
    "card.edit": (Edit, edit),
    "card.withdraw": (Withdraw, withdraw),
    "card.group": (Group, group),
    "card.order": (Order, order),
    "card.support": (Support, support),
    "card.propose": (Propose, propose),
    "card.set_aside": (SetAside, set_aside),
}
CHANGES: Changes = {
    Submitted: submitted,
    Edited: edited,
    Withdrawn: withdrawn,
    PutAside: put_aside,
    Grouped: grouped,
    Ordered: ordered,
    Supported: supported,
    Proposed: proposed,
}
