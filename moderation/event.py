"""The whole state of an event: what happens (rooms) and who may (moderation)."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

import rooms.event


class Link(msgspec.Struct):
    """A link by which somebody gets a role, known by its token's hash. `expires_at` in ms."""

    role: str
    expires_at: int | None = None
    name: str = ""
    redeemed_by: str | None = None


class Roles(msgspec.Struct):
    """Links by token hash, and the roles that people hold."""

    links: dict[str, Link] = {}
    held: dict[str, set[str]] = {}


class Event(rooms.event.Event):
    """See `rooms.event.Event`."""

    roles: Roles = msgspec.field(default_factory=Roles)

    def staff(self) -> Iterable[str]:
        """See `rooms.event.Event.staff`."""
        return [person for person, roles in self.roles.held.items() if roles]
