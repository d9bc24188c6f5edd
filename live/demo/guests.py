"""The demo's registrations: a full hall for the door, and a conference that has a waiting list."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import product
from pathlib import Path
from typing import Any

import msgspec

from frontend.words import ZONE
from live.admin import send
from live.desks import Desks
from rooms.command import Refused
from rooms.programme import Programme

FILE = Path(__file__).with_name("conference.toml")
GIVEN = ("Anna", "Bilal", "Cem", "Dana", "Emil", "Frida", "Gül", "Hans", "Ida", "Jonas", "Käthe", "Lena", "Mehmet", "Nora", "Olga")
FAMILY = ("Aal", "Bär", "Çelik", "Dachs", "Elster", "Fuchs", "Gans", "Hase", "Igel", "Jansen", "Krähe", "Luchs", "Meise", "Nerz")
SPECIAL = {3: "wheelchair", 7: "press", 11: "off_camera", 17: "off_camera"}
WAYS = ("email", "phone", "web", "web", "phone")
AGAIN = frozenset({"already_registered", "seats_taken"})


def conference(now: datetime) -> Programme:
    """The conference, some weeks from now, so that a visitor can register: every moment is moved by the same number of weeks."""
    facts = tomllib.loads(FILE.read_text())
    weeks = (now - datetime.fromisoformat(facts["starts"])) // timedelta(weeks=1) + 3

    def moved(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: moved(one) for key, one in value.items()}
        if isinstance(value, str) and value.startswith("2020-"):
            return (datetime.fromisoformat(value).astimezone(ZONE) + timedelta(weeks=weeks)).isoformat()  # at the same hour
        return value

    return msgspec.convert(moved(facts), Programme)


async def register(desks: Desks, programme: Programme, place: str, count: int, first: str) -> None:
    """So many people, one every few hours since `first` (ISO 8601), by every way; nobody if there is somebody already."""
    desk = await desks.get(programme.slug)
    assert desk is not None, "it has just been configured"
    if desk.event.registrations.items:
        return
    for number, guest in enumerate(guests(count), 1):
        arrived = datetime.fromisoformat(first) + timedelta(minutes=137 * number, seconds=11 * number)
        try:
            await send(desks, programme.slug, "registration.submit", guest | {"place": place, "arrived_at": arrived.isoformat()})
        except Refused as refused:
            if refused.code not in AGAIN:
                raise


def guests(count: int) -> Iterator[dict[str, Any]]:
    """Arguments of `registration.submit` of people whom nobody can know: the numbers are kept free for films and books
    (Bundesnetzagentur), the addresses for examples (RFC 2606)."""
    names = [f"{given} {family}" for family, given in product(FAMILY, GIVEN)]
    for number in range(count):
        way = WAYS[number % len(WAYS)]
        contact = {"phone": f"030 23125{number:03}"} if way == "phone" else {"email": f"gast{number}@example.org"}
        contingent = SPECIAL.get(number, "") if count < 50 else ""
        consents = [] if contingent == "off_camera" else ["picture", "voice", *(["name"] if number % 3 else [])]
        yield {
            "name": names[number * 16 % len(names)],
            "way": way,
            "party": 2 if number % 9 == 4 else 1,
            "contingent": contingent,
            "consents": consents,
            **contact,
        }
