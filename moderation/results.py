"""What small groups work out, as each audience sees it: a room its cards and summary, moderators the tray, everybody the board."""

from __future__ import annotations

from typing import TypedDict

from moderation.breakouts import is_table, name_of
from moderation.event import Event
from moderation.shape import Names, iso
from rooms.breakout import tag
from rooms.plenary import headings, proposals
from rooms.results import Summary, in_tray

SPAN, LAST = 10**8, 10**7
"""Places under a heading, and the place of no heading: more than there are cards, and exact in a browser's numbers."""


class CardData(TypedDict):
    """`card/<n>`: one thought. `order`: the least stands first; `author` and `supporters` are participants, as in the room's
    `people`; `table`: its author is one; `aside`: it stands below the suggestions."""

    number: int
    room: str
    order: int
    text: str
    name: str
    author: str
    table: bool
    group: str
    proposed: bool
    aside: bool
    support: int
    supporters: list[str]


class SummaryData(TypedDict):
    """`summary/<room>` for those who write it. `cards`: how many are proposed; `version`: to be named by who writes on it."""

    room: str
    discussed: str
    proposed: str
    open: str
    state: str
    closed: bool
    cards: int
    version: int


class ThoughtData(TypedDict):
    """A card that is proposed but not confirmed."""

    number: int
    text: str


class TrayData(SummaryData):
    """`summary/<room>` in the moderators' tray: the room is over, and nobody has confirmed this. `others`: cards that are not
    proposed; `aside`: somebody has put it aside."""

    name: str
    round_title: str
    question: str
    proposals: list[ThoughtData]
    others: int
    aside: bool


class ProposalData(TypedDict):
    """`proposal/<n>`: a card on the plenary's board, and where it comes from. `support`: the plenary's; `room_support`: that of the
    room; `heading`: what it stands under, or 0."""

    number: int
    room: str
    name: str
    round_title: str
    text: str
    support: int
    room_support: int
    heading: int
    order: int
    on_air: bool


class HeadingData(TypedDict):
    """`heading/<n>`: what proposals are put together under. 0 has no title: it stands over those that are under none."""

    number: int
    title: str
    order: int


class AiredResultData(TypedDict):
    """What of a small group is on air: a proposal (`number`), or a `part` of its summary."""

    key: str
    room: str
    name: str
    round_title: str
    question: str
    part: str
    number: int
    text: str


class ResultData(TypedDict):
    """`result/<room>`: what a room brings to the plenary, and where it comes from. `on_air`: the part that is, or nothing."""

    room: str
    round_title: str
    name: str
    question: str
    discussed: str
    proposed: str
    open: str
    people: int
    confirmed_at: str
    on_air: str


def card(event: Event, names: Names, number: int) -> CardData | None:
    """A card, unless it was taken back."""
    one = event.results.cards[number]
    if one.withdrawn:
        return None
    return {
        "number": one.number,
        "room": one.room,
        "order": one.place,
        "text": one.text,
        "name": names.get(f"card/{number}", "") if is_table(one.person) else name_of(event, names, one.person),
        "author": tag(event, one.person),
        "table": is_table(one.person),
        "group": one.group,
        "proposed": one.proposed,
        "aside": one.aside,
        "support": len(one.supporters),
        "supporters": sorted(tag(event, person) for person in one.supporters),
    }


def summary(event: Event, id: str) -> SummaryData:
    """What has been written, or nothing yet."""
    one = event.results.summaries.get(id) or Summary(id)
    return {
        "room": id,
        "discussed": one.discussed,
        "proposed": one.proposed,
        "open": one.open,
        "state": one.state if id in event.results.summaries else "",
        "closed": event.rounds.rooms[id].closed,
        "cards": sum(one.proposed for one in event.results.live(id)),
        "version": max(one.versions.values(), default=0),
    }


def tray(event: Event, id: str) -> TrayData | None:
    """What a room has left unconfirmed, for those who can."""
    if not in_tray(event, id):
        return None
    room, cards = event.rounds.rooms[id], event.results.live(id)
    proposals = [card for card in cards if card.proposed]
    return {
        **summary(event, id),
        "name": room.name,
        "round_title": event.rounds.items[room.round].title,
        "question": room.question,
        "proposals": [{"number": card.number, "text": card.text} for card in proposals],
        "others": len(cards) - len(proposals),
        "aside": id in event.results.aside,
    }


def proposal(event: Event, number: int) -> ProposalData | None:
    """A card on the board."""
    card = event.results.cards[number]
    if not event.results.is_proposal(card):
        return None
    room, on_air = event.rounds.rooms[card.room], event.results.on_air
    return {
        "number": number,
        "room": room.id,
        "name": room.name,
        "round_title": event.rounds.items[room.round].title,
        "text": card.text,
        "support": len(card.plenary),
        "room_support": len(card.supporters),
        "heading": card.heading,
        "order": _turn(event, card.heading) + card.turn,
        "on_air": on_air is not None and on_air.card == number,
    }


def heading(event: Event, number: int) -> HeadingData | None:
    """A heading with something under it."""
    if number not in headings_shown(event):
        return None
    title = event.results.headings[number].title if number else ""
    return {"number": number, "title": title, "order": _turn(event, number)}


def headings_shown(event: Event) -> list[int]:
    """Those with something under them; and if there are any, 0 over what is under none."""
    shown = [one.number for one in headings(event)]
    rest = any(not card.heading for card in proposals(event))
    return [*shown, 0] if shown and rest else shown


def aired(event: Event) -> AiredResultData | None:
    """What of the small groups is on air."""
    on_air = event.results.on_air
    if on_air is None:
        return None
    room = event.rounds.rooms[on_air.room]
    said = event.results.cards[on_air.card].text if on_air.card else getattr(event.results.summaries[room.id], on_air.part)
    return {
        "key": f"proposal/{on_air.card}" if on_air.card else f"result/{room.id}/{on_air.part}",
        "room": room.id,
        "name": room.name,
        "round_title": event.rounds.items[room.round].title,
        "question": room.question,
        "part": on_air.part,
        "number": on_air.card,
        "text": said,
    }


def result(event: Event, id: str) -> ResultData | None:
    """What is on the board, if somebody has confirmed it."""
    if not event.results.confirmed(id):
        return None
    one, room, on_air = event.results.summaries[id], event.rounds.rooms[id], event.results.on_air
    return {
        "room": id,
        "round_title": event.rounds.items[room.round].title,
        "name": room.name,
        "question": room.question,
        "discussed": one.discussed,
        "proposed": one.proposed,
        "open": one.open,
        "people": one.people,
        "confirmed_at": iso(one.confirmed_at) if one.confirmed_at is not None else "",
        "on_air": on_air.part if on_air is not None and on_air.room == id else "",
    }


def _turn(event: Event, heading: int) -> int:
    """The place of a heading on the board; what is under it follows, and what is under none comes last."""
    return (event.results.headings[heading].turn if heading else LAST) * SPAN
