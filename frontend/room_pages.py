"""The pages of small groups: a room from inside, and the moderators' page of all rooms."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from frontend import render
from frontend.asked import Asked, Page, fields_of, status, told
from moderation import documents
from moderation.breakouts import current
from moderation.breakouts import seat as seat_of
from moderation.roles import MODERATOR, actor, notes_right
from moderation.shape import words
from rooms.breakout import at_table, may_lead, may_watch, running_round, self_of, tag
from rooms.command import Refused
from rooms.help import unclaimed
from rooms.plenary import headings


def routes(page: Page) -> list[Route]:
    """The routes of these pages."""
    return [
        page("/e/{slug}/rooms", rooms),
        page("/e/{slug}/room/{room}", room),
        page("/e/{slug}/room/{room}/notes", append_notes, ("POST",)),
        page("/e/{slug}/board", board),
    ]


async def room(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """A room, for who has a seat there or visits it. Refuses `not_your_room` to everybody else."""
    id = asked.path.rpartition("/")[2]
    if not _may(asked, id):
        await asked.evening.look()  # they may have got the seat a moment ago, at another process
    if not _may(asked, id):
        raise refused or Refused("visit_first" if _leads(asked) and id in asked.evening.event.rounds.rooms else "not_your_room")

    notes = await _notes(asked, id)

    def look() -> Response:
        channel, event = f"room/{id}", asked.evening.event
        one, me = event.rounds.rooms[id], self_of(event, asked.person)
        table = me == at_table(one)
        elsewhere = (seat := seat_of(event, asked.person)) is not None and seat["open"] and seat["room"] != id
        listed = asked.documents(channel) + (asked.documents("me", ["seat"]) if elsewhere else [])
        return asked.page(
            "room.html",
            200 if refused is None else status(refused),
            documents=render.arrange(listed, asked.lang, asked.evening.slug),
            room=id,
            notes=notes,
            writes=notes_right(event, asked.person, id) == "write",
            form=form or {},
            me=tag(event, me),
            here=me in one.seats or me in one.guests,
            leads=may_lead(event, actor(event, asked.person), one),
            hand="speaking" if me == one.speaker else "up" if me in one.hands else "down",
            guest=me in one.guests,
            unseen=[each.number for each in event.announcements.live(id) if me in one.seats and me not in each.seen],
            table=one.number if table else 0,
            signers=asked.evening.names.get(me, "").split(", ") if table and asked.evening.names.get(me) else [],
            open=not one.closed,
            idle=one.closed or event.rounds.items[one.round].state != "open",
            command_id=str(uuid.uuid4()),
            chat_id=str(uuid.uuid4()),
            now=asked.site.now(asked.evening),
            refusal=None if refused is None else told(asked, refused),
            channels=asked.channels(channel, "me"),
        )

    return await asked.evening.read(look)


async def append_notes(asked: Asked) -> Response:
    """Lines for the notes, from a browser without the editor. A refusal shows the room with what was typed."""
    fields, id = await fields_of(asked.request), str(asked.request.path_params["room"])
    asked.path = f"/e/{asked.evening.slug}/room/{id}"
    try:
        await asked.site.append_notes(asked.request, asked.evening, id, fields.get("text", ""))
    except Refused as refused:
        return await room(asked, refused, {"notes": fields.get("text", "")})
    return RedirectResponse(f"{asked.path}#notes", 303)


async def board(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """What the small groups have confirmed, for everybody; moderators put it together, in order, and on stage."""

    def look() -> Response:
        event, staff = asked.evening.event, _leads(asked)
        # The same documents, with buttons.
        channel = "rooms" if staff else "board"
        shown = asked.documents(channel, documents.keys(event, "board", asked.person)) + asked.documents("me", ["supports"])
        return asked.page(
            "board.html",
            200 if refused is None else status(refused),
            documents=render.arrange(shown, asked.lang, asked.evening.slug),
            staff=staff,
            headings=[one.title for one in headings(event)],
            form=form or {},
            refusal=None if refused is None else told(asked, refused),
            channels=asked.channels(channel, "me"),
        )

    return await asked.evening.read(look)


async def rooms(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """All rooms at a glance. Refuses `forbidden` to everybody but moderators and organisers."""
    if not _leads(asked):
        await asked.evening.look()
    if not _leads(asked):
        raise Refused("forbidden")

    def look() -> Response:
        event = asked.evening.event
        running, found = running_round(event), current(event)
        hidden = {id for one in event.rounds.items.values() if one is not found for id in one.rooms}
        listed = [one for one in asked.documents("rooms") if one[0].removeprefix("room/") not in hidden]
        movable = [room for room in event.rounds.of(found) if not room.closed] if found else []
        return asked.page(
            "rooms.html",
            200 if refused is None else status(refused),
            documents=render.arrange(listed, asked.lang, asked.evening.slug),
            topics=[{"id": one.id, "title": words(one.title, asked.lang)} for one in event.programme.topics],
            me=tag(event, self_of(event, asked.person)),
            waiting=len(unclaimed(event)),
            to=[{"id": one.id, "name": one.name} for one in event.rounds.of(running) if not one.closed] if running else [],
            movable=movable,
            form=form or {},
            now=asked.site.now(asked.evening),
            refusal=None if refused is None else told(asked, refused),
            command_id=str(uuid.uuid4()),
            # The rooms of other rounds are left out; a script needs them, in case another round becomes the current one.
            channels={"rooms": {}} if hidden else asked.channels("rooms"),
        )

    return await asked.evening.read(look)


def _may(asked: Asked, id: str) -> bool:
    return may_watch(asked.evening.event, actor(asked.evening.event, asked.person), id)


async def _notes(asked: Asked, id: str) -> str | None:
    """None while they cannot be read: the room is shown all the same."""
    try:
        return await asked.site.notes(asked.evening, id)
    except Refused:
        return None


def _leads(asked: Asked) -> bool:
    return actor(asked.evening.event, asked.person).any_of(*MODERATOR)
