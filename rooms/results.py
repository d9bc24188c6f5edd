"""What small groups work out and what of it is on the plenary's board: the state. Cards: rooms/cards.py; summaries:
rooms/summaries.py; what the plenary does with both on the board: rooms/plenary.py.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms.breakout import LEADERS, Room, self_of
from rooms.command import Actor, Refused

if TYPE_CHECKING:
    from rooms.event import Event

MAX_GROUP = 60
"""Graphemes: the name of a group of cards, and the heading of a group of proposals."""
MOST_CARDS = 500
"""In one room. What is taken back does not count: it leaves as little as a support that is taken back, and how often anybody may do
that is limited (`live/limits.py`)."""
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]
Steps = Annotated[int, msgspec.Meta(ge=-100_000, le=100_000)]
SummaryState = Literal["draft", "submitted", "confirmed"]
Part = Literal["discussed", "proposed", "open"]


class Card(msgspec.Struct):
    """One thought. `place`: where it stands in its room; `group`: the name of what it belongs to; `proposed`: the room wants it
    to go to the plenary; `aside`: it is none of the room's suggestions, but stays below them; `rows`: rows of the log that hold its
    text. On the plenary's board: `heading` it stands under, `turn`
    there (0: it has never been there), `plenary`: who supports it there."""

    number: int
    room: str
    text: str
    person: str
    at: int
    place: int
    group: str = ""
    proposed: bool = False
    withdrawn: bool = False
    aside: bool = False
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
        """The suggestions of a room: its cards that nobody has taken back or put aside, in their order."""
        return [card for card in self.standing(room) if not card.aside]

    def standing(self, room: str) -> list[Card]:
        """Those that were put aside too."""
        cards = (self.cards[number] for number in self.of_room.get(room, ()))
        return sorted((card for card in cards if not card.withdrawn), key=lambda card: card.place)

    def confirmed(self, room: str) -> bool:
        """Whether what the room says is on the board."""
        summary = self.summaries.get(room)
        return summary is not None and summary.state == "confirmed"

    def is_proposal(self, card: Card) -> bool:
        """Whether the card is on the board: proposed by its room, whose results are confirmed."""
        return card.proposed and not card.withdrawn and self.confirmed(card.room)


def in_tray(event: Event, id: str) -> bool:
    """Whether the room is over and leaves something that nobody has confirmed."""
    summary = event.results.summaries.get(id) or Summary(id)
    over = event.rounds.rooms[id].closed and summary.state != "confirmed"
    return over and (not summary.empty or bool(event.results.live(id)))


def confirmed_rooms(event: Event) -> list[str]:
    """The rooms whose results are on the board, in the order of confirmation."""
    done = [summary for summary in event.results.summaries.values() if summary.state == "confirmed"]
    return [summary.room for summary in sorted(done, key=lambda one: one.confirmed_at or 0)]


def had(event: Event, actor: Actor, id: str) -> Room:
    """The room, for those who are or were in it, whether it is over or not, and for moderators of the plenary."""
    room = event.rounds.room(id)
    person = self_of(event, actor.person)
    if not (person in room.seats or room.leads(person) or actor.any_of(*LEADERS)):
        raise Refused("not_your_room", field="room", room="")
    return room


def board(event: Event, cards: Iterable[Card]) -> tuple[str, ...]:
    """These come to the board, at its end if they are new, or leave it: their documents, and the headings, which stand only over
    something."""
    for card in cards:
        if not card.turn and event.results.is_proposal(card):
            event.results.turns += 1
            card.turn = event.results.turns
    headings = sorted({0, *(card.heading for card in cards)})
    return (*(f"proposal/{card.number}" for card in cards), *(f"heading/{number}" for number in headings))


def off_air(event: Event, room: str, card: Card | None = None) -> tuple[str, ...]:
    """What leaves the board, or says something else now, leaves stage and overlay with it."""
    on_air = event.results.on_air
    if on_air is None or on_air.room != room or (card is not None and on_air.card != card.number):
        return ()
    event.results.on_air = None
    return ("on_air",)
