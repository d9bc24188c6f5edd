"""What small groups work out: suggestion cards with support and groups, and the summary that goes to the plenary.

A card is one thought. The room marks those that it proposes; its summary has three parts. Both reach the plenary's board when the
room's moderator confirms them; what nobody has confirmed at the end waits in a tray, and stays.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms import text
from rooms.breakout import LEADERS, Room, rooms_with, seated, self_of
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused

if TYPE_CHECKING:
    from rooms.event import Event

MIN_CARD, MAX_CARD, MAX_GROUP = 2, 300, 60
"""Graphemes: one thought; the name of a group."""
MAX_PART = 2_000
"""Graphemes of each part of a summary: a page on the board."""
MOST_CARDS = 500
"""In one room."""
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
SummaryState = Literal["draft", "submitted", "confirmed"]


class Card(msgspec.Struct):
    """One thought. `group`: the name of what it belongs to; `proposed`: the room wants it to go to the plenary; `rows`: rows of the
    log that hold its text."""

    number: int
    room: str
    text: str
    person: str
    at: int
    group: str = ""
    proposed: bool = False
    withdrawn: bool = False
    supporters: set[str] = set()
    rows: list[int] = []


class Summary(msgspec.Struct):
    """What a room says to the plenary. `by`: who wrote last; `confirmed_at` in ms, and how many `people` were in the
    room then."""

    room: str
    discussed: str = ""
    proposed: str = ""
    open: str = ""
    state: SummaryState = "draft"
    by: str = ""
    confirmed_at: int | None = None
    people: int = 0


class Results(msgspec.Struct):
    """All cards by number, by room, and the summaries by room."""

    cards: dict[int, Card] = {}
    of_room: dict[str, list[int]] = {}
    summaries: dict[str, Summary] = {}

    def card(self, number: int) -> Card:
        """Refuses `unknown_card`."""
        card = self.cards.get(number)
        if card is None or card.withdrawn:
            raise Refused("unknown_card", field="card")
        return card

    def live(self, room: str) -> list[Card]:
        """The cards of a room that nobody has taken back."""
        return [card for number in self.of_room.get(room, ()) if not (card := self.cards[number]).withdrawn]


class Submit(Command, frozen=True):
    """Write a card."""

    room: str
    text: str


class Edit(Command, frozen=True):
    """Change the wording: the author, or who leads the room."""

    card: Number
    text: str


class Withdraw(Command, frozen=True):
    """Take one's own card back, for good."""

    card: Number


class Group(Command, frozen=True):
    """Put cards together under a name; an empty one takes them out."""

    cards: Annotated[tuple[Number, ...], msgspec.Meta(max_length=MOST_CARDS)]
    name: str = ""


class Support(Command, frozen=True):
    """I think so too; `on=false` takes it back."""

    card: Number
    on: bool = True


class Propose(Command, frozen=True):
    """This is what the room proposes to the plenary."""

    card: Number
    on: bool = True


class Draft(Command, frozen=True):
    """Write the summary, or one of its parts. With none of them, make a first draft of the cards."""

    room: str
    discussed: str | None = None
    proposed: str | None = None
    open: str | None = None


class SubmitSummary(Command, frozen=True):
    """The summary is ready to be confirmed."""

    room: str


class Confirm(Command, frozen=True):
    """It goes to the plenary. `on=false` takes it back from the board."""

    room: str
    on: bool = True


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


class Grouped(Change, frozen=True, tag="card_grouped"):
    """These cards belong to this group."""

    numbers: tuple[int, ...]
    group: str


class Supported(Change, frozen=True, tag="card_supported"):
    """This person supports the card, or no more."""

    number: int
    person: str
    on: bool


class Proposed(Change, frozen=True, tag="card_proposed"):
    """The room proposes it, or no more."""

    number: int
    on: bool


class Drafted(Change, frozen=True, tag="summary_drafted"):
    """The summary says this now, and has to be confirmed (again)."""

    room: str
    discussed: str
    proposed: str
    open: str
    person: str


class Stated(Change, frozen=True, tag="summary_stated"):
    """The summary is in this state."""

    room: str
    state: SummaryState


def submit(event: Event, actor: Actor, command: Submit, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `round_closed`, `card_*`, `too_many_cards`."""
    room = seated(event, actor, command.room)
    if len(event.results.of_room.get(room.id, ())) >= MOST_CARDS:
        raise Refused("too_many_cards", field="text", most=MOST_CARDS)
    words = text.within(command.text, "card", MIN_CARD, MAX_CARD)
    number = len(event.results.cards) + 1
    return Outcome([Submitted(number, room.id, words, self_of(event, actor.person))], {"card": number})


def edit(event: Event, actor: Actor, command: Edit, now: int) -> Outcome:
    """Refuses `unknown_card`, `not_your_room`, `round_closed`, `forbidden`, `card_*`."""
    card, room = _card(event, actor, command.card)
    if card.person != self_of(event, actor.person) and not _leads(event, actor, room):
        raise Refused("forbidden", field="card")
    words = text.within(command.text, "card", MIN_CARD, MAX_CARD)
    return Outcome([Edited(card.number, words)] if words != card.text else [], {"card": card.number})


def withdraw(event: Event, actor: Actor, command: Withdraw, now: int) -> Outcome:
    """The author's right at any time (GDPR Art. 7 (3), 17). Refuses `unknown_card`, `forbidden`."""
    card = event.results.card(command.card)
    if card.person != self_of(event, actor.person):
        raise Refused("forbidden", field="card")
    return Outcome([Withdrawn(card.number)], {"card": card.number}, forget=list(card.rows))


def group(event: Event, actor: Actor, command: Group, now: int) -> Outcome:
    """Refuses `unknown_card`, `not_your_room`, `round_closed`, `group_too_long`, `wrong_cards`: of several rooms."""
    name = text.within(command.name, "group", 0, MAX_GROUP, lines=False)
    cards = [_card(event, actor, number)[0] for number in dict.fromkeys(command.cards)]
    if not cards or len({card.room for card in cards}) > 1:
        raise Refused("wrong_cards", field="cards")
    changed = tuple(card.number for card in cards if card.group != name)
    return Outcome([Grouped(changed, name)] if changed else [], {"cards": len(cards)})


def support(event: Event, actor: Actor, command: Support, now: int) -> Outcome:
    """Refuses `unknown_card`, `not_your_room`, `round_closed`."""
    card, _ = _card(event, actor, command.card)
    person = self_of(event, actor.person)
    changed = command.on != (person in card.supporters)
    support = len(card.supporters) + (1 if command.on else -1) * changed
    return Outcome([Supported(card.number, person, command.on)] if changed else [], {"support": support})


def propose(event: Event, actor: Actor, command: Propose, now: int) -> Outcome:
    """By who leads the room; where nobody is to lead it, by anybody in it. Refuses `unknown_card`, `not_your_room`, `round_closed`,
    `forbidden`."""
    card, room = _card(event, actor, command.card)
    if not _leads(event, actor, room):
        raise Refused("forbidden", field="card")
    return Outcome([Proposed(card.number, command.on)] if command.on != card.proposed else [], {"card": card.number})


def draft(event: Event, actor: Actor, command: Draft, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `summary_too_long`."""
    room = _had(event, actor, command.room)
    old = event.results.summaries.get(room.id, Summary(room.id))
    parts = {"discussed": command.discussed, "proposed": command.proposed, "open": command.open}
    if all(part is None for part in parts.values()):
        parts = _of_cards(event, room, old)
    said = {
        name: getattr(old, name) if part is None else text.within(part, "summary", 0, MAX_PART) for name, part in parts.items()
    }
    changed = any(said[name] != getattr(old, name) for name in said)
    changes: list[Change] = [Drafted(room.id, **said, person=self_of(event, actor.person))] if changed else []
    return Outcome(changes, {"room": room.id, "state": "draft" if changed else old.state})


def submit_summary(event: Event, actor: Actor, command: SubmitSummary, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `summary_missing`."""
    room = _had(event, actor, command.room)
    summary = _written(event, room)
    changes: list[Change] = [Stated(room.id, "submitted")] if summary.state == "draft" else []
    return Outcome(changes, {"room": room.id, "state": "submitted" if changes else summary.state})


def confirm(event: Event, actor: Actor, command: Confirm, now: int) -> Outcome:
    """By the room's moderator; if there is none, by its note-taker; by moderators of the plenary and organisers always. Refuses
    `unknown_room`, `not_your_room`, `forbidden`, `summary_missing`."""
    room = _had(event, actor, command.room)
    if not _leads(event, actor, room):
        raise Refused("forbidden", field="room")
    summary = _written(event, room)
    state: SummaryState = "confirmed" if command.on else "submitted"
    changed = (summary.state == "confirmed") != command.on
    return Outcome([Stated(room.id, state)] if changed else [], {"room": room.id, "state": state})


def forgotten(change: Change) -> Change:
    """The change without the text that somebody has taken back."""
    return msgspec.structs.replace(change, text="") if isinstance(change, Submitted | Edited) else change


def confirmed_rooms(event: Event) -> list[str]:
    """The rooms whose results are on the board, in the order of confirmation."""
    done = [summary for summary in event.results.summaries.values() if summary.state == "confirmed"]
    return [summary.room for summary in sorted(done, key=lambda one: one.confirmed_at or 0)]


def signed(event: Event, person: str) -> list[str]:
    """The documents in small groups that show this person's name."""
    me = self_of(event, person)
    cards = [f"card/{card.number}" for card in event.results.cards.values() if card.person == me and not card.withdrawn]
    listed = me in event.rounds.people or any(me in round.waiting for round in event.rounds.items.values())
    return [*rooms_with(event, person), *cards, *(("plan",) if listed else ())]


def _card(event: Event, actor: Actor, number: int) -> tuple[Card, Room]:
    card = event.results.card(number)
    return card, seated(event, actor, card.room)


def _had(event: Event, actor: Actor, id: str) -> Room:
    """The room, for those who are or were in it, whether it is over or not, and for moderators of the plenary."""
    room = event.rounds.room(id)
    person = self_of(event, actor.person)
    if not (person in room.seats or room.leads(person) or actor.any_of(*LEADERS)):
        raise Refused("not_your_room", field="room", room="")
    return room


def _leads(event: Event, actor: Actor, room: Room) -> bool:
    person = self_of(event, actor.person)
    # Where nobody was named to lead, everybody in the room does.
    return room.leads(person) or actor.any_of(*LEADERS) or not (room.moderators or room.note_taker)


def _written(event: Event, room: Room) -> Summary:
    summary = event.results.summaries.get(room.id)
    if summary is None or not (summary.discussed or summary.proposed or summary.open):
        raise Refused("summary_missing", field="room")
    return summary


def _of_cards(event: Event, room: Room, old: Summary) -> dict[str, str | None]:
    """A first draft; what somebody has written already stays."""
    cards = sorted(event.results.live(room.id), key=lambda card: (-len(card.supporters), card.number))
    groups = dict.fromkeys(card.group for card in cards if card.group)
    talked = [f"{name}: {', '.join(card.text for card in cards if card.group == name)}" for name in groups]
    talked += [card.text for card in cards if not card.group and not card.proposed]
    wanted = [card.text for card in cards if card.proposed]
    return {
        "discussed": old.discussed or text.clipped("\n".join(f"– {one}" for one in talked), MAX_PART),
        "proposed": old.proposed or text.clipped("\n".join(f"– {one}" for one in wanted), MAX_PART),
        "open": old.open,
    }


def submitted(event: Event, change: Submitted, now: int, by: str) -> tuple[str, ...]:
    """The new card."""
    event.results.cards[change.number] = Card(change.number, change.room, change.text, change.person, now, rows=[event.seq])
    event.results.of_room.setdefault(change.room, []).append(change.number)
    return (f"card/{change.number}",)


def edited(event: Event, change: Edited, now: int, by: str) -> tuple[str, ...]:
    """The wording."""
    card = event.results.cards[change.number]
    card.text = change.text
    card.rows.append(event.seq)
    return _shown(card)


def withdrawn(event: Event, change: Withdrawn, now: int, by: str) -> tuple[str, ...]:
    """Gone from the room and from the board."""
    card = event.results.cards[change.number]
    card.withdrawn, card.text = True, ""
    card.rows.clear()
    return (f"summary/{card.room}", *_shown(card))


def grouped(event: Event, change: Grouped, now: int, by: str) -> tuple[str, ...]:
    """Together under a name."""
    for number in change.numbers:
        event.results.cards[number].group = change.group
    return tuple(f"card/{number}" for number in change.numbers)


def supported(event: Event, change: Supported, now: int, by: str) -> tuple[str, ...]:
    """One supporter more or less."""
    card = event.results.cards[change.number]
    (card.supporters.add if change.on else card.supporters.discard)(change.person)
    return _shown(card)


def proposed(event: Event, change: Proposed, now: int, by: str) -> tuple[str, ...]:
    """For the plenary, or not."""
    card = event.results.cards[change.number]
    card.proposed = change.on
    return (f"card/{card.number}", f"summary/{card.room}", f"result/{card.room}")


def drafted(event: Event, change: Drafted, now: int, by: str) -> tuple[str, ...]:
    """A confirmed summary that is written on comes off the board until it is confirmed again: nobody confirms what they have not
    read."""
    event.results.summaries[change.room] = Summary(
        change.room, change.discussed, change.proposed, change.open, "draft", change.person
    )
    return (f"summary/{change.room}", f"result/{change.room}", f"room/{change.room}")


def stated(event: Event, change: Stated, now: int, by: str) -> tuple[str, ...]:
    """On the board, or on the way there."""
    summary = event.results.summaries[change.room]
    summary.state = change.state
    summary.confirmed_at = now if change.state == "confirmed" else None
    summary.people = len(event.rounds.rooms[change.room].seats)
    return (f"summary/{change.room}", f"result/{change.room}", f"room/{change.room}")


def _shown(card: Card) -> tuple[str, ...]:
    return (f"card/{card.number}", f"result/{card.room}") if card.proposed else (f"card/{card.number}",)


COMMANDS: Commands = {
    "card.submit": (Submit, submit),
    "card.edit": (Edit, edit),
    "card.withdraw": (Withdraw, withdraw),
    "card.group": (Group, group),
    "card.support": (Support, support),
    "card.propose": (Propose, propose),
    "summary.draft": (Draft, draft),
    "summary.submit": (SubmitSummary, submit_summary),
    "summary.confirm": (Confirm, confirm),
}
CHANGES: Changes = {
    Submitted: submitted,
    Edited: edited,
    Withdrawn: withdrawn,
    Grouped: grouped,
    Supported: supported,
    Proposed: proposed,
    Drafted: drafted,
    Stated: stated,
}
