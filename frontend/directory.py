"""Who can be named in the forms of small groups, how they are called there, and whom a text means that somebody has typed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

import msgspec

from frontend.words import N_, ROLES, text
from moderation.event import Event
from moderation.shape import Names
from rooms.breakout import browsers, nameable, tag
from rooms.command import Refused

GUEST, NUMBER = N_("Guest"), N_("No.")


class Entry(msgspec.Struct, frozen=True):
    """Somebody by their tag. `name`: what they call themselves, or the registration's; `registration`: its number, or 0."""

    id: str
    label: str
    name: str
    registration: int
    email: str
    place: str


class Directory:
    """Everybody of an event. `full`: for whoever may know who is registered; others are told what people call themselves."""

    def __init__(self, event: Event, names: Names, lang: str, *, full: bool) -> None:
        entries = [_entry(event, names, lang, person, turn, full) for turn, person in enumerate(nameable(event), 1)]
        often = Counter(one.label for one in entries)
        distinct = (
            msgspec.structs.replace(one, label=f"{one.label} · {one.id}") if often[one.label] > 1 else one for one in entries
        )
        self.entries = {one.id: one for one in distinct}
        self._meant: dict[str, set[str]] = {}
        for one in self.entries.values():
            number = str(one.registration) if one.registration else ""
            for known in filter(None, (one.id, one.label, one.name, number, one.email)):
                self._meant.setdefault(_plain(known), set()).add(one.id)

    def label(self, id: str) -> str:
        """How somebody is called."""
        entry = self.entries.get(id)
        return entry.label if entry else id

    def find(self, typed: str) -> str:
        """The tag of the only one who is meant: by label, name, number or address of the registration, or tag. Refuses
        `unknown_name`, `ambiguous_name`."""
        meant = self._meant.get(_plain(typed), set())
        if len(meant) != 1:
            raise Refused("ambiguous_name" if meant else "unknown_name", name=typed.strip()[:80])
        return next(iter(meant))

    def sorted(self, ids: Iterable[str]) -> list[Entry]:
        """Their entries by name; those without a name behind the others."""
        known = [self.entries[id] for id in ids if id in self.entries]
        return sorted(known, key=lambda one: (not one.name, _plain(one.name), len(one.label), one.label))


def _entry(event: Event, names: Names, lang: str, person: str, turn: int, full: bool) -> Entry:
    kind, _, rest = person.partition("/")
    number = int(rest) if kind == "registration" else 0
    item = event.registrations.items[number] if number else None
    called = next((name for one in browsers(event, person) if (name := names.get(one, ""))), "")
    name = (names.get(person, "") if full and number else "") or called
    id = tag(event, person)
    role = next((role for role in ROLES if role in event.roles.held.get(person, ())), "")
    if name:
        label = f"{name} ({text(lang, NUMBER)} {number})" if number else name
    elif number:
        label = f"{text(lang, NUMBER)} {number}"
    elif person in event.rounds.people:
        label = f"{text(lang, GUEST)} {turn}"
    else:
        label = f"{text(lang, ROLES[role] if role else GUEST)} {id}"
    return Entry(
        id=id,
        label=label,
        name=name,
        registration=number,
        email=names.get(f"{person}/email", "") if full and number else "",
        place="hall" if (item.place if item else event.attendance.place(person)) == "hall" else "home",
    )


def _plain(text: str) -> str:
    """As people compare names: without regard to case and spaces."""
    return " ".join(text.split()).casefold()
