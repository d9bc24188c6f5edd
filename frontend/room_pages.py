"""The pages of small groups: a room from inside, and the moderators' page of all rooms."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from frontend import render
from frontend.asked import Asked, Page, status, told
from moderation.breakouts import current
from moderation.breakouts import seat as seat_of
from moderation.roles import MODERATOR, actor
from moderation.shape import words
from rooms.breakout import may_watch, self_of, tag
from rooms.command import Refused


def routes(page: Page) -> list[Route]:
    """The routes of these pages."""
    return [page("/e/{slug}/rooms", rooms), page("/e/{slug}/room/{room}", room), page("/e/{slug}/board", board)]


async def room(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """A room, for who has a seat there or visits it. Refuses `not_your_room` to everybody else."""
    id = asked.path.rpartition("/")[2]
    if not _may(asked, id):
        await asked.evening.look()  # they may have got the seat a moment ago, at another process
    if not _may(asked, id):
        raise refused or Refused("not_your_room")

    def look() -> Response:
        channel = f"room/{id}"
        event = asked.evening.event
        elsewhere = (seat := seat_of(event, asked.person)) is not None and seat["open"] and seat["room"] != id
        listed = asked.documents(channel) + (asked.documents("me", ["seat"]) if elsewhere else [])
        return asked.page(
            "room.html",
            200 if refused is None else status(refused),
            documents=render.arrange(listed, asked.lang, asked.evening.slug),
            room=id,
            me=tag(asked.evening.event, self_of(asked.evening.event, asked.person)),
            open=not asked.evening.event.rounds.rooms[id].closed,
            command_id=str(uuid.uuid4()),
            now=asked.site.now(asked.evening),
            refusal=None if refused is None else told(asked, refused),
            channels=asked.channels(channel, "me"),
        )

    return await asked.evening.read(look)


async def board(asked: Asked) -> Response:
    """What the small groups have confirmed, for everybody."""

    def look() -> Response:
        shown = render.arrange(asked.documents("board"), asked.lang, asked.evening.slug)
        return asked.page("board.html", documents=shown, channels=asked.channels("board"))

    return await asked.evening.read(look)


async def rooms(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """All rooms at a glance. Refuses `forbidden` to everybody but moderators and organisers."""
    if not _leads(asked):
        await asked.evening.look()
    if not _leads(asked):
        raise Refused("forbidden")

    def look() -> Response:
        event = asked.evening.event
        topics, found = event.programme.topics, current(event)
        rooms = found.rooms if found else []
        all = asked.documents("rooms")
        listed = [one for one in all if not one[0].startswith("room/") or one[0].removeprefix("room/") in rooms]
        return asked.page(
            "rooms.html",
            200 if refused is None else status(refused),
            documents=render.arrange(listed, asked.lang, asked.evening.slug),
            movable=[event.rounds.rooms[id] for id in rooms if not event.rounds.rooms[id].closed],
            topics=[{"id": one.id, "title": words(one.title, asked.lang)} for one in topics],
            form=form or {},
            now=asked.site.now(asked.evening),
            refusal=None if refused is None else told(asked, refused),
            command_id=str(uuid.uuid4()),
            # The rooms of other rounds are left out; a script needs them, in case another round becomes the current one.
            channels={"rooms": {}} if len(listed) < len(all) else asked.channels("rooms"),
        )

    return await asked.evening.read(look)


def _may(asked: Asked, id: str) -> bool:
    return may_watch(asked.evening.event, actor(asked.evening.event, asked.person), id)


def _leads(asked: Asked) -> bool:
    return actor(asked.evening.event, asked.person).any_of(*MODERATOR)
