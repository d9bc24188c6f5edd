"""What the command line and the demo do to an event: create, change, export it, make links. Works on the log directly, whether or
not a server runs: the database is the arbiter."""

from __future__ import annotations

import secrets
import time
import uuid
from collections.abc import Iterator
from typing import Any

import msgspec

from live.desk import Desk
from live.desks import Desks
from moderation.documents import public
from moderation.roles import hashed
from moderation.shape import iso
from rooms.command import SYSTEM, Refused
from rooms.programme import Programme, check


async def configure(desks: Desks, programme: Programme, phase: str | None = None) -> bool:
    """Create the event or change its facts; True if it is new. Raises Refused."""
    check(programme)  # first: facts that are refused must not leave an event without any
    created = await desks.create(programme.slug)
    await send(desks, programme.slug, "event.configure", {"programme": msgspec.to_builtins(programme)})
    if phase is not None:
        await send(desks, programme.slug, "event.advance", {"phase": phase})
    return created


async def link(desks: Desks, slug: str, role: str, name: str = "main", hours: float = 24.0) -> str:
    """The path of a new link: `/in/<token>`, used once, or `/o/<token>`, an overlay's. Raises Refused."""
    token = f"{slug}.{secrets.token_urlsafe(16)}"
    overlay = role == "overlay"
    expires = None if overlay else int((time.time() + hours * 3600) * 1000)
    fields = {"role": role, "token_hash": hashed(token), "expires_at": expires, "name": name if overlay else ""}
    await send(desks, slug, "link.create", fields)
    return f"/{'o' if overlay else 'in'}/{token}"


async def send(desks: Desks, slug: str, name: str, arguments: dict[str, Any]) -> None:
    """One command of the system. Raises Refused."""
    desk = await desks.get(slug)
    if desk is None:
        raise Refused("unknown_event")
    await desk.send(SYSTEM, str(uuid.uuid4()), name, msgspec.json.encode(arguments))


def exported(desk: Desk) -> Iterator[str]:
    """Every contribution with its state, reason and history, one JSON object each; nothing that only its author may see."""
    for item in desk.event.contributions.items.values():
        steps = [{"state": step.state, "at": iso(step.at)} for step in item.history]
        data = {**public(desk.event, desk.names, item, "de"), "reason": item.reason, "original": item.original, "history": steps}
        yield msgspec.json.encode(data).decode()
