"""A round of small groups on a running server, as tests speak of it."""

from __future__ import annotations

from typing import Any

from tests.flow.evening import Evening, Person

ROOMS = [{"name": "Verkehr"}, {"name": "Schule"}]
RIGHTS = 4003
"""Close code: your rights have changed."""


async def prepared(evening: Evening, *rooms: dict[str, Any], minutes: int = 20, **more: Any) -> Person:
    """The moderator, who has opened a round."""
    moderator = await evening.staff("moderator", "rooms")
    given = {"title": "Erste Runde", "policy": "chosen", "rooms": list(rooms or ROOMS)}
    await moderator.do("round.create", **given | more)
    await moderator.do("round.open", round=1, minutes=minutes)
    return moderator


async def inside(evening: Evening, room: str = "1-1", cookie: str | None = None) -> Person:
    """Somebody in this room, with its page open."""
    person = await evening.person(cookie)
    await person.do("room.enter", room=room)
    await person.watch(f"room/{room}")
    return person


def away(shown: dict[str, Any], room: str = "1-1") -> list[bool]:
    """Who of the room's people is away, in the order of their seats."""
    return [one["away_since"] != "" for one in shown["rooms"][f"room/{room}"]["people"]]
