"""What each audience is shown: which documents a channel has, and their data. Nothing that is not here ever leaves the server.

A document's data are plain JSON values; `frontend/render.py` makes HTML of them. Names come from outside the event's state.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypedDict

from moderation import breakouts, registrations, results
from moderation.breakouts import (
    AnnouncementData,
    CallsData,
    ChatData,
    HandsData,
    HelpData,
    OverviewData,
    PlanData,
    RoomData,
    RoundsData,
    SeatData,
    SentData,
)
from moderation.event import Event
from moderation.queue import allowed
from moderation.registrations import CountsData, DoorData, MailData, PlacesData, RegistrationData
from moderation.results import (
    AiredResultData,
    CardData,
    HeadingData,
    ProposalData,
    ResultData,
    SummaryData,
    TrayData,
)
from moderation.shape import Names, iso, words
from rooms.consent import may
from rooms.contributions import EDITABLE, PUBLIC, Contribution, receipt
from rooms.help import unclaimed
from rooms.plenary import proposals, supported_by
from rooms.results import confirmed_rooms, in_tray


class Place(TypedDict):
    """The venue."""

    name: str
    address: str


class EventData(TypedDict):
    """`event`. `accepting`: contributions are taken now; `premoderated`: they are read before others see them."""

    slug: str
    phase: str
    title: str
    venue: Place
    starts: str
    ends: str
    languages: list[str]
    accepting: bool
    premoderated: bool


class AgendaEntry(TypedDict):
    """One point of the evening."""

    at: str
    title: str
    speaker: str
    note: str


class AgendaData(TypedDict):
    """`agenda`."""

    items: list[AgendaEntry]


class ContributionData(TypedDict):
    """`contribution/<n>` as everybody may see it. `at`: when it was said or sent; `edited`: by a moderator."""

    number: int
    kind: str
    text: str
    topic: str | None
    topic_title: str | None
    name: str
    origin: str
    at: str
    state: str
    edited: bool
    support: int


class OwnData(ContributionData):
    """`contribution/<n>` as its author sees it. `reason`: why it was returned."""

    reason: str | None
    receipt: str
    may_edit: bool
    may_withdraw: bool


class StepData(TypedDict):
    """A state that a contribution has entered."""

    state: str
    at: str
    by: str


class ModeratedData(ContributionData):
    """`contribution/<n>` in the queue. `original`: the wording before a moderator's edit; `may`: the commands possible now."""

    reason: str | None
    original: str | None
    may: list[str]
    history: list[StepData]
    in_state_since: str


class OnAirData(TypedDict):
    """`on_air`: one of the two, or nothing."""

    contribution: ContributionData | None
    result: AiredResultData | None
    since: str | None


class AiredData(TypedDict):
    """How many voices were taken up, by where they came from."""

    hall: int
    home: int
    other: int


class QueueData(TypedDict):
    """`queue`. `counts`: contributions by state."""

    counts: dict[str, int]
    aired: AiredData


class EntranceData(TypedDict):
    """`entrance`. `short`: the address as people type it."""

    address: str
    code: str
    valid_until: str
    short: str


class PersonData(TypedDict):
    """`person`."""

    name: str
    place: str


class SupportsData(TypedDict):
    """`supports`: the numbers of the contributions and of the small groups' proposals that this person supports."""

    contributions: list[int]
    proposals: list[int]


Data = (
    EventData
    | AgendaData
    | ContributionData
    | OwnData
    | ModeratedData
    | OnAirData
    | QueueData
    | EntranceData
    | PersonData
    | SupportsData
    | PlacesData
    | RegistrationData
    | DoorData
    | CountsData
    | MailData
    | RoundsData
    | PlanData
    | SeatData
    | RoomData
    | HandsData
    | ChatData
    | OverviewData
    | HelpData
    | CallsData
    | AnnouncementData
    | SentData
    | CardData
    | SummaryData
    | TrayData
    | ResultData
    | ProposalData
    | HeadingData
)
SHAPES: dict[str, Any] = {
    "event": EventData,
    "agenda": AgendaData,
    "on_air": OnAirData,
    "contribution": ContributionData,
    "contribution in me": OwnData,
    "contribution in moderation": ModeratedData,
    "queue": QueueData,
    "entrance": EntranceData,
    "person": PersonData,
    "supports": SupportsData,
    "places": PlacesData,
    "registration": RegistrationData,
    "registration in door": DoorData,
    "registrations": CountsData,
    "mail": MailData,
    "rounds": RoundsData,
    "plan": PlanData,
    "seat": SeatData,
    "room": RoomData,
    "hands": HandsData,
    "chat": ChatData,
    "room in rooms": OverviewData,
    "help": HelpData,
    "calls": CallsData,
    "announcement": AnnouncementData,
    "announcement in rooms": SentData,
    "card": CardData,
    "summary": SummaryData,
    "summary in rooms": TrayData,
    "result": ResultData,
    "proposal": ProposalData,
    "heading": HeadingData,
}
"""Kind of document → the shape of its data."""
NUMBERS = {"support": "contribution", "backing": "proposal", "work": "room", "seen": "announcement"}
"""Kind of key under which numbers travel alone → the kind of document that shows them: they change often, and documents do not."""
_COUNTED = {shown: name for name, shown in NUMBERS.items()}


def kind(channel: str) -> str:
    """`output/main` → `output`; of keys too."""
    return channel.partition("/")[0]


def channels_of(event: Event, key: str) -> list[str]:
    """The channels that a touched key concerns; `output` stands for all outputs, `me/<person>` for one person's channel."""
    name, _, rest = key.partition("/")
    if name == "contribution":
        return ["moderation", "public", f"me/{event.contributions.items[int(rest)].person}"]
    if name in ("supports", "person", "seat"):
        return [f"me/{rest}"]
    if name in ("room", "help"):
        return ["rooms", f"room/{rest}"]
    if name == "announcement":
        return ["rooms", *(f"room/{id}" for id in event.announcements.items[int(rest)].rooms)]
    if name == "card":
        return [f"room/{event.results.cards[int(rest)].room}"]
    if name == "summary":
        return [f"room/{rest}", "rooms"]
    if name == "chat":
        return [f"room/{event.talk.messages[int(rest)].room}"]
    if name == "hands":
        return [f"room/{rest}"]
    return _CHANNELS.get(name, [])


_CHANNELS = {
    "on_air": ["output", "stage", "moderation", "public"],
    "event": ["moderation", "stage", "public"],
    "agenda": ["public"],
    "queue": ["moderation"],
    "support": ["moderation", "public"],
    "entrance": ["hall"],
    "places": ["public"],
    "registration": ["registrations", "door"],
    "registrations": ["registrations", "door"],
    "mail": ["registrations"],
    "rounds": ["rooms", "public"],
    "work": ["rooms"],
    "seen": ["rooms"],
    "calls": ["moderation"],
    "plan": ["rooms"],
    "result": ["board", "rooms"],
    "proposal": ["board", "rooms"],
    "backing": ["board", "rooms"],
    "heading": ["board", "rooms"],
}


def keys(event: Event, channel: str, person: str) -> Iterator[str]:
    """The keys of all documents that the channel has now, in the order of a page."""
    which = kind(channel)
    yield from _FIXED[which]
    if event.rounds.items or event.rounds.made:
        yield from _ROUNDS.get(which, ())
    if which == "me" and breakouts.seat(event, person) is not None:
        yield "seat"
    items = event.contributions.items.values()
    if which == "moderation":
        if unclaimed(event):
            yield "calls"
        yield from (f"contribution/{item.number}" for item in items)
    elif which == "public":
        yield from (f"contribution/{item.number}" for item in items if item.state in PUBLIC)
    elif which == "me":
        yield from (f"contribution/{item.number}" for item in items if item.person == person)
    elif which in ("registrations", "door"):
        yield from (f"registration/{item.number}" for item in event.registrations.items.values() if not item.erased)
        if which == "registrations":
            yield from (f"mail/{item.number}" for item in event.inbox.items.values() if not item.erased)
    elif which == "rooms":
        yield from (f"help/{id}" for id in event.help.calls)
        yield from (f"announcement/{one.number}" for one in event.announcements.live())
        yield from (f"room/{id}" for id in event.rounds.rooms)
        yield from (f"summary/{id}" for id in event.rounds.rooms if in_tray(event, id))
        yield from _board(event)
    elif which == "board":
        yield from _board(event)
    elif which == "room" and channel.partition("/")[2] in event.rounds.rooms:
        id = channel.partition("/")[2]
        yield from (channel, f"help/{id}", f"hands/{id}", f"summary/{id}")
        yield from (f"announcement/{one.number}" for one in event.announcements.live(id))
        yield from (f"card/{card.number}" for card in event.results.standing(id))
        yield from (f"chat/{number}" for number in event.talk.shown(id))


def _board(event: Event) -> Iterator[str]:
    yield from (f"heading/{number}" for number in results.headings_shown(event))
    yield from (f"proposal/{card.number}" for card in proposals(event))
    yield from (f"result/{id}" for id in confirmed_rooms(event))


_ROUNDS = {"public": ("rounds",), "rooms": ("rounds", "plan")}
"""What channels have besides as soon as there are small groups."""
_FIXED = {
    "public": ("event", "agenda", "places", "on_air"),
    "stage": ("event", "on_air"),
    "hall": ("entrance",),
    "moderation": ("event", "on_air", "queue"),
    "output": ("on_air",),
    "me": ("person", "supports"),
    "door": ("registrations",),
    "registrations": ("registrations",),
    "rooms": (),
    "room": (),
    "board": (),
}


def data(event: Event, names: Names, channel: str, key: str, lang: str, person: str = "") -> Data | None:
    """The document's data for this channel, or None if this audience does not see it (any more)."""
    name, _, rest = key.partition("/")
    which = kind(channel)
    if name == "contribution":
        if not visible(event, channel, key, person):
            return None
        item = event.contributions.items[int(rest)]
        if which == "moderation":
            return _moderated(event, names, item, lang)
        return own(event, names, item, lang) if which == "me" else public(event, names, item, lang)
    if name in ("registration", "mail"):
        return _of_person(event, names, which, name, int(rest))
    if not visible(event, channel, key, person):
        return None
    if name == "room":
        return breakouts.overview(event, names, rest, lang) if which == "rooms" else breakouts.room(event, names, rest, lang)
    if name == "help":
        return breakouts.help(event, names, rest)
    if name == "calls":
        return breakouts.calls(event)
    if name == "announcement":
        number = int(rest)
        return breakouts.sent(event, number) if which == "rooms" else breakouts.announcement(event, number)
    if name == "card":
        return results.card(event, names, int(rest))
    if name == "hands":
        return breakouts.hands(event, names, rest)
    if name == "chat":
        return breakouts.chat(event, names, int(rest))
    if name == "summary":
        return results.tray(event, rest) if which == "rooms" else results.summary(event, rest)
    if name == "proposal":
        return results.proposal(event, int(rest))
    if name == "heading":
        return results.heading(event, int(rest))
    if name == "result":
        return results.result(event, rest)
    if name == "rounds":
        return breakouts.rounds(event, lang)
    if name == "plan":
        return breakouts.plan(event, names)
    if name == "seat":
        return breakouts.seat(event, person)
    if name == "registrations":
        return registrations.counts(event)
    if name == "places":
        return registrations.places(event)
    if name == "on_air":
        return _on_air(event, names, lang)
    if name == "event":
        return facts(event, lang)
    if name == "agenda":
        return _agenda(event, lang)
    if name == "queue":
        return _queue(event)
    if name == "person":
        return {"name": names.get(person, ""), "place": event.attendance.place(person)}
    if name == "supports":
        return {"contributions": event.supports.of(person), "proposals": supported_by(event, person)}
    return None


def visible(event: Event, channel: str, key: str, person: str = "") -> bool:
    """Whether the channel's audience sees this document now."""
    name, _, rest = key.partition("/")
    if name == "registration":
        return not event.registrations.items[int(rest)].erased
    if name == "mail":
        return not event.inbox.items[int(rest)].erased
    if name == "card":
        return not event.results.cards[int(rest)].withdrawn
    if name in ("room", "hands", "help", "summary") and rest not in event.rounds.rooms:
        return False  # it was removed
    if name == "summary" and kind(channel) == "rooms":
        return in_tray(event, rest)
    if name == "chat":
        return event.talk.is_shown(int(rest))
    if name == "result":
        return event.results.confirmed(rest)
    if name == "proposal":
        return event.results.is_proposal(event.results.cards[int(rest)])
    if name == "heading":
        return int(rest) in results.headings_shown(event)
    if name == "calls":
        return bool(unclaimed(event))
    if name == "help":
        return kind(channel) != "rooms" or rest in event.help.calls
    if name == "announcement":
        return not event.announcements.items[int(rest)].withdrawn
    if name != "contribution":
        return True
    item, which = event.contributions.items[int(rest)], kind(channel)
    if which == "me":
        return item.person == person
    return which == "moderation" or item.state in PUBLIC


def counted(key: str) -> str:
    """The key of the numbers in this document, if there are any."""
    name, _, rest = key.partition("/")
    return f"{_COUNTED[name]}/{rest}" if name in _COUNTED else ""


def shown_by(key: str) -> str:
    """The document that shows what has this key: itself, unless it is a key of numbers."""
    name, _, rest = key.partition("/")
    return f"{NUMBERS[name]}/{rest}" if name in NUMBERS else key


def numbers(event: Event, key: str) -> dict[str, int]:
    """What a `count` frame says for a key of numbers."""
    name, _, rest = key.partition("/")
    if name == "support":
        return {"support": event.supports.count(int(rest))}
    if name == "backing":
        return {"support": len(event.results.cards[int(rest)].plenary)}
    if name == "seen":
        return breakouts.seen(event, int(rest))
    work = breakouts.work(event, rest)
    return {"cards": work["cards"], "proposed": work["proposed"], "hands": work["hands"], "active": work["active"]}


def public(event: Event, names: Names, item: Contribution, lang: str) -> ContributionData:
    """A contribution as everybody may see it."""
    topic = event.programme.topic(item.topic) if item.topic else None
    return {
        "number": item.number,
        "kind": item.kind,
        "text": item.text,
        "topic": item.topic,
        "topic_title": words(topic.title, lang) if topic else None,
        "name": names.get(f"contribution/{item.number}", "") if may(event, item.person, "name") else "",
        "origin": item.origin,
        "at": iso(item.at),
        "state": item.state,
        "edited": item.original is not None,
        "support": event.supports.count(item.number),
    }


def own(event: Event, names: Names, item: Contribution, lang: str) -> OwnData:
    """A contribution as its author sees it."""
    return {
        **public(event, names, item, lang),
        "reason": item.reason,
        "receipt": receipt(event, item.number),
        "may_edit": item.state in EDITABLE and event.phase in ("registration", "live"),
        "may_withdraw": item.state != "withdrawn",
    }


def _of_person(event: Event, names: Names, which: str, name: str, number: int) -> Data | None:
    if name == "mail":
        letter = event.inbox.items[number]
        return None if letter.erased else registrations.mail(names, letter)
    item = event.registrations.items[number]
    if item.erased:
        return None
    return registrations.door(event, names, item) if which == "door" else registrations.full(event, names, item)


def _moderated(event: Event, names: Names, item: Contribution, lang: str) -> ModeratedData:
    return {
        **public(event, names, item, lang),
        "reason": item.reason,
        "original": item.original,
        "may": allowed(event, item),
        "history": [
            # Who has not signed is not named by the steps they took either.
            {"state": step.state, "at": iso(step.at), "by": "" if step.by == item.person else names.get(step.by, "")}
            for step in item.history
        ],
        "in_state_since": iso(item.history[-1].at),
    }


def _on_air(event: Event, names: Names, lang: str) -> OnAirData:
    number, result = event.contributions.on_air, event.results.on_air
    if number is not None:
        item = event.contributions.items[number]
        return {"contribution": public(event, names, item, lang), "result": None, "since": iso(item.history[-1].at)}
    since = iso(result.since) if result is not None else None
    return {"contribution": None, "result": results.aired(event), "since": since}


def facts(event: Event, lang: str) -> EventData:
    programme = event.programme
    return {
        "slug": event.slug,
        "phase": event.phase,
        "title": words(programme.title, lang),
        "venue": {"name": programme.venue.name, "address": programme.venue.address},
        "starts": programme.starts,
        "ends": programme.ends,
        "languages": list(programme.languages),
        "accepting": event.phase in ("registration", "live"),
        "premoderated": programme.premoderation,
    }


def _agenda(event: Event, lang: str) -> AgendaData:
    items = event.programme.agenda
    return {
        "items": [
            {"at": item.at, "title": words(item.title, lang), "speaker": item.speaker, "note": words(item.note, lang)}
            for item in items
        ]
    }


def _queue(event: Event) -> QueueData:
    aired: AiredData = {"hall": 0, "home": 0, "other": 0}
    for item in event.contributions.items.values():
        if any(step.state in ("on_air", "answered") for step in item.history):
            aired[item.origin if item.origin == "hall" or item.origin == "home" else "other"] += 1
    return {"counts": {state: count for state, count in event.contributions.by_state.items() if count}, "aired": aired}
