"""What small groups work out: suggestion cards with support and groups, and the summary that goes to the plenary.

A card is one thought. The room marks those that it proposes; its summary has three parts. Both reach the plenary's board when the
room's moderator confirms them; what nobody has confirmed at the end waits in a tray, and stays: it may be put aside there, and
comes back when somebody goes on with it. What the plenary does with them on the board: rooms/plenary.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal, TypeGuard, get_args

import msgspec

from rooms import text
from rooms.breakout import LEADERS, Room, at_table, may_lead, seated, self_of, stir
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.joining import rename

if TYPE_CHECKING:
    from rooms.event import Event

MIN_CARD, MAX_CARD, MAX_GROUP = 2, 300, 60
"""Graphemes: one thought; the name of a group."""
MAX_PART = 2_000
"""Graphemes of each part of a summary: a page on the board."""
MOST_CARDS, MOST_OF_ONE = 500, 50
"""In one room; of one person there. What is taken back does not count: it leaves as little as a support that is taken back, and how
often anybody may do that is limited (`live/limits.py`)."""
BETWEEN = 2**20
"""Between the places of two cards: one that is moved gets a place there, and is all that the others have to be sent again."""
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Steps = Annotated[int, msgspec.Meta(ge=-100_000, le=100_000)]
SummaryState = Literal["draft", "submitted", "confirmed"]
Part = Literal["discussed", "proposed", "open"]


class Card(msgspec.Struct):
    """One thought. `place`: where it stands in its room; `group`: the name of what it belongs to; `proposed`: the room wants it
    to go
    to the plenary; `rows`: rows of the log that hold its text. On the plenary's board: `heading` it stands under, `turn` there
    (0: it has never been there), `plenary`: who supports it there."""

    number: int
    room: str
    text: str
    person: str
    at: int
    place: int
    group: str = ""
    proposed: bool = False
    withdrawn: bool = False
    supporters: set[str] = set()
    rows: list[int] = []
    heading: int = 0
    turn: int = 0
    plenary: set[str] = set()


class Summary(msgspec.Struct):
    """What a room says to the plenary. `by`: who wrote last; `confirmed_at` in ms, and how many `people` were in the
    room then; `versions`: part → row of the log that has changed it last."""

    room: str
    discussed: str = ""
    proposed: str = ""
    open: str = ""
    state: SummaryState = "draft"
    by: str = ""
    confirmed_at: int | None = None
    people: int = 0
    versions: dict[str, int] = {}

    @property
    def empty(self) -> bool:
        """Whether nothing is written."""
        return not (self.discussed or self.proposed or self.open)


class Heading(msgspec.Struct):
    """What the plenary puts proposals of several rooms together under."""

    number: int
    title: str
    turn: int


class OnAir(msgspec.Struct):
    """What of a room is on stage and overlay, since when (ms): a card, or a part of its summary."""

    room: str
    part: str
    card: int
    since: int


class Results(msgspec.Struct):
    """All cards by number, by room, and the summaries by room; rooms whose notes are `wiped` for good, and those whose results were
    put `aside` in the tray; headings of the board, its last turn given, and what of it is on air."""

    cards: dict[int, Card] = {}
    of_room: dict[str, list[int]] = {}
    summaries: dict[str, Summary] = {}
    wiped: set[str] = set()
    aside: set[str] = set()
    headings: dict[int, Heading] = {}
    turns: int = 0
    on_air: OnAir | None = None

    def card(self, number: int) -> Card:
        """Refuses `unknown_card`."""
        card = self.cards.get(number)
        if card is None or card.withdrawn:
            raise Refused("unknown_card", field="card")
        return card

    def live(self, room: str) -> list[Card]:
        """The cards of a room that nobody has taken back, in their order."""
        cards = (self.cards[number] for number in self.of_room.get(room, ()))
        return sorted((card for card in cards if not card.withdrawn), key=lambda card: card.place)

    def confirmed(self, room: str) -> bool:
        """Whether what the room says is on the board."""
        summary = self.summaries.get(room)
        return summary is not None and summary.state == "confirmed"

    def is_proposal(self, card: Card) -> bool:
        """Whether the card is on the board: proposed by its room, whose results are confirmed."""
        return card.proposed and not card.withdrawn and self.confirmed(card.room)


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


class Draft(Command, frozen=True):
    """Write the summary, or one of its parts. With none of them, make a first draft of cards and notes. `seen`: the version that
    was written on."""

    room: str
    discussed: str | None = None
    proposed: str | None = None
    open: str | None = None
    seen: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] | None = None


class Noted(Draft, frozen=True):
    """A first draft with the text of the room's notes, which the server adds: no client can say what they are."""

    notes: str = ""


class SubmitSummary(Command, frozen=True):
    """The summary is ready to be confirmed."""

    room: str


class Confirm(Command, frozen=True):
    """It goes to the plenary. `on=false` takes it back from the board."""

    room: str
    on: bool = True


class SetAside(Command, frozen=True):
    """What a room has left in the tray is not for the board. `on=false` brings it back."""

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


class PutAside(Change, frozen=True, tag="summary_aside"):
    """What the room has left is put aside, or no more."""

    room: str
    on: bool


def submit(event: Event, actor: Actor, command: Submit, now: int) -> Outcome:
    """Who leads the room and who writes for a table write for others, as many as the room takes. Refuses `unknown_room`,
    `not_your_room`, `round_closed`, `card_*`, `too_many_cards`, `too_many_own_cards`, `name_too_long`, and `forbidden` a name to
    whoever has one of their own."""
    room = seated(event, actor, command.room)
    person = self_of(event, actor.person)
    if command.name and person != at_table(room):
        raise Refused("forbidden", field="name")
    cards = event.results.live(room.id)
    if len(cards) >= MOST_CARDS:
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
    """Refuses `unknown_card`, `not_your_room`, `round_closed`, `group_too_long`, `wrong_cards`: of several rooms."""
    name = text.within(command.name, "group", 0, MAX_GROUP, lines=False)
    cards = [_card(event, actor, number)[0] for number in dict.fromkeys(command.cards)]
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
    """By who leads the room, also after its end; where nobody is to lead it, by anybody in it. It does not go beyond the ends.
    Refuses `unknown_card`, `not_your_room`, `forbidden`."""
    card = event.results.card(command.card)
    room = _had(event, actor, card.room)
    if not may_lead(event, actor, room):
        raise Refused("forbidden", field="card")
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
    """Refuses `unknown_card`, `not_your_room`, `round_closed`."""
    card, _ = _card(event, actor, command.card)
    person = self_of(event, actor.person)
    changed = command.on != (person in card.supporters)
    support = len(card.supporters) + (1 if command.on else -1) * changed
    return Outcome([Supported(card.number, person, command.on)] if changed else [], {"support": support})


def propose(event: Event, actor: Actor, command: Propose, now: int) -> Outcome:
    """By who leads the room, also after its end; where nobody is to lead it, by anybody in it. Refuses `unknown_card`,
    `not_your_room`, `forbidden`."""
    card = event.results.card(command.card)
    room = _had(event, actor, card.room)
    if not may_lead(event, actor, room):
        raise Refused("forbidden", field="card")
    return Outcome([Proposed(card.number, command.on)] if command.on != card.proposed else [], {"card": card.number})


def draft(event: Event, actor: Actor, command: Draft, now: int) -> Outcome:
    """What is confirmed is written on by whoever may confirm it. Refuses `unknown_room`, `not_your_room`, `forbidden`,
    `summary_too_long`, `summary_changed`: somebody else has, since it was `seen`."""
    room = _had(event, actor, command.room)
    old = event.results.summaries.get(room.id, Summary(room.id))
    if old.state == "confirmed" and not may_lead(event, actor, room):
        raise Refused("forbidden", field="room")
    parts = {"discussed": command.discussed, "proposed": command.proposed, "open": command.open}
    if all(part is None for part in parts.values()):
        parts = _first(event, room, old, command.notes if isinstance(command, Noted) else "")
    said = {
        name: getattr(old, name) if part is None else text.within(part, "summary", 0, MAX_PART) for name, part in parts.items()
    }
    changed = [name for name in said if said[name] != getattr(old, name)]
    for name in changed:
        if command.seen is not None and old.versions.get(name, 0) > command.seen:
            raise Refused("summary_changed", field=name)
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
    if not may_lead(event, actor, room):
        raise Refused("forbidden", field="room")
    summary = _written(event, room)
    state: SummaryState = "confirmed" if command.on else "submitted"
    changed = (summary.state == "confirmed") != command.on
    return Outcome([Stated(room.id, state)] if changed else [], {"room": room.id, "state": state})


def set_aside(event: Event, actor: Actor, command: SetAside, now: int) -> Outcome:
    """Nothing is deleted, and who leads the room may go on. Refuses `unknown_room`, `not_in_tray`."""
    room = event.rounds.room(command.room)
    if command.on and not in_tray(event, room.id):
        raise Refused("not_in_tray", field="room")
    changed = command.on != (room.id in event.results.aside)
    return Outcome([PutAside(room.id, command.on)] if changed else [], {"room": room.id})


def in_tray(event: Event, id: str) -> bool:
    """Whether the room is over and leaves something that nobody has confirmed."""
    summary = event.results.summaries.get(id) or Summary(id)
    over = event.rounds.rooms[id].closed and summary.state != "confirmed"
    return over and (not summary.empty or bool(event.results.live(id)))


def wants_notes(command: Command) -> TypeGuard[Draft]:
    """Whether this makes a first draft, so that the notes have to be added by `noted`."""
    return isinstance(command, Draft) and command.discussed is None and command.proposed is None and command.open is None


def noted(command: Draft, notes: str) -> Noted:
    """The same with the text of the room's notes."""
    return Noted(**msgspec.structs.asdict(command), notes=notes)


def forgotten(change: Change) -> Change:
    """The change without the text that somebody has taken back."""
    return msgspec.structs.replace(change, text="") if isinstance(change, Submitted | Edited) else change


def confirmed_rooms(event: Event) -> list[str]:
    """The rooms whose results are on the board, in the order of confirmation."""
    done = [summary for summary in event.results.summaries.values() if summary.state == "confirmed"]
    return [summary.room for summary in sorted(done, key=lambda one: one.confirmed_at or 0)]


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


def _written(event: Event, room: Room) -> Summary:
    summary = event.results.summaries.get(room.id)
    if summary is None or summary.empty:
        raise Refused("summary_missing", field="room")
    return summary


def _first(event: Event, room: Room, old: Summary, notes: str) -> dict[str, str | None]:
    """A first draft; what somebody has written already stays."""
    cards = sorted(event.results.live(room.id), key=lambda card: (-len(card.supporters), card.place))
    groups = dict.fromkeys(card.group for card in cards if card.group)
    talked = [f"{name}: {', '.join(card.text for card in cards if card.group == name)}" for name in groups]
    talked += [card.text for card in cards if not card.group and not card.proposed]
    wanted = [card.text for card in cards if card.proposed]
    collected = "\n".join(f"– {one}" for one in talked)
    return {
        "discussed": old.discussed or text.clipped(f"{collected}\n\n{notes}", MAX_PART),
        "proposed": old.proposed or text.clipped("\n".join(f"– {one}" for one in wanted), MAX_PART),
        "open": old.open,
    }


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
    return (*_shown(card), *_off_air(event, card.room, card))


def withdrawn(event: Event, change: Withdrawn, now: int, by: str) -> tuple[str, ...]:
    """Gone from the room and from the board."""
    card = event.results.cards[change.number]
    card.withdrawn, card.text = True, ""
    card.rows.clear()
    shown = (f"summary/{card.room}", f"card/{card.number}", f"work/{card.room}")
    return (*shown, *_off_air(event, card.room, card), *_board(event, [card]))


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
    gone = () if card.proposed else _off_air(event, card.room, card)
    return (f"card/{card.number}", f"summary/{card.room}", f"work/{card.room}", *gone, *_board(event, [card]))


def drafted(event: Event, change: Drafted, now: int, by: str) -> tuple[str, ...]:
    """A confirmed summary that is written on comes off the board until it is confirmed again: nobody confirms what they have not
    read."""
    known = change.room in event.results.summaries
    old = event.results.summaries.get(change.room) or Summary(change.room)
    event.results.summaries[change.room] = new = Summary(
        change.room, change.discussed, change.proposed, change.open, "draft", change.person, versions=old.versions
    )
    event.results.aside.discard(change.room)
    new.versions |= {name: event.seq for name in get_args(Part) if getattr(new, name) != getattr(old, name)}
    board = _of_board(event, change.room) if old.state == "confirmed" else ()
    begun = (f"room/{change.room}",) if old.state != "draft" or not known else ()
    return (f"summary/{change.room}", *begun, *board, *stir(event.rounds.rooms[change.room], now))


def stated(event: Event, change: Stated, now: int, by: str) -> tuple[str, ...]:
    """On the board, or on the way there."""
    summary = event.results.summaries[change.room]
    summary.state = change.state
    event.results.aside.discard(change.room)
    summary.confirmed_at = now if change.state == "confirmed" else None
    summary.people = event.rounds.rooms[change.room].people
    return (f"summary/{change.room}", f"room/{change.room}", *_of_board(event, change.room))


def put_aside(event: Event, change: PutAside, now: int, by: str) -> tuple[str, ...]:
    """To the other part of the tray."""
    (event.results.aside.add if change.on else event.results.aside.discard)(change.room)
    return (f"summary/{change.room}",)


def _shown(card: Card) -> tuple[str, ...]:
    return (f"card/{card.number}", f"proposal/{card.number}") if card.proposed else (f"card/{card.number}",)


def _of_board(event: Event, room: str) -> tuple[str, ...]:
    """What a room has there comes or goes."""
    gone = () if event.results.confirmed(room) else _off_air(event, room)
    proposals = [card for card in event.results.live(room) if card.proposed]
    return (f"result/{room}", *gone, *(_board(event, proposals) if proposals else ()))


def _board(event: Event, cards: Iterable[Card]) -> tuple[str, ...]:
    """These come to the board, at its end if they are new, or leave it: their documents, and the headings, which stand only over
    something."""
    for card in cards:
        if not card.turn and event.results.is_proposal(card):
            event.results.turns += 1
            card.turn = event.results.turns
    headings = sorted({0, *(card.heading for card in cards)})
    return (*(f"proposal/{card.number}" for card in cards), *(f"heading/{number}" for number in headings))


def _off_air(event: Event, room: str, card: Card | None = None) -> tuple[str, ...]:
    """What leaves the board, or says something else now, leaves stage and overlay with it."""
    on_air = event.results.on_air
    if on_air is None or on_air.room != room or (card is not None and on_air.card != card.number):
        return ()
    event.results.on_air = None
    return ("on_air",)


COMMANDS: Commands = {
    "card.submit": (Submit, submit),
    "card.edit": (Edit, edit),
    "card.withdraw": (Withdraw, withdraw),
    "card.group": (Group, group),
    "card.order": (Order, order),
    "card.support": (Support, support),
    "card.propose": (Propose, propose),
    "summary.draft": (Draft, draft),
    "summary.submit": (SubmitSummary, submit_summary),
    "summary.confirm": (Confirm, confirm),
    "summary.set_aside": (SetAside, set_aside),
}
CHANGES: Changes = {
    Submitted: submitted,
    Edited: edited,
    Withdrawn: withdrawn,
    Grouped: grouped,
    Ordered: ordered,
    Supported: supported,
    Proposed: proposed,
    Drafted: drafted,
    Stated: stated,
    PutAside: put_aside,
}
