"""The pages of tables in the hall: where the code on the card leads, and the cards to print."""

from __future__ import annotations

import re
import uuid
from typing import Any

from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from frontend.asked import Asked, Page, fields_of, status, told
from moderation import breakouts
from moderation.roles import MODERATOR, actor
from rooms.breakout import Room, at_table
from rooms.command import Refused
from rooms.tables import code

_BETWEEN = re.compile(r"[\n,;]")


def routes(page: Page) -> list[Route]:
    """The routes of these pages."""
    return [page("/e/{slug}/table/{number:int}", table, ("GET", "POST")), page("/e/{slug}/rooms/cards/{round:int}", cards)]


async def table(asked: Asked) -> Response:
    """How many share this device at the table, and who they are if they like. The code is looked at only when the form is sent,
    where tries are counted."""
    if _room(asked) is None:
        await asked.evening.look()  # the round may have been prepared a moment ago, at another process
    refused, fields = None, await fields_of(asked.request)
    if asked.request.method == "POST":
        try:
            return await _sit_down(asked, fields)
        except Refused as problem:
            refused = problem

    def look() -> Response:
        room = _room(asked)
        mine = room is not None and asked.evening.event.rounds.table_of(asked.person) is room
        response = asked.page(
            "table.html",
            200 if refused is None else status(refused),
            number=asked.request.path_params["number"],
            room=room,
            mine=mine,
            known=_known(asked, room),
            most=_seats(room),
            form=_kept(asked, room if mine else None) | fields,
            refusal=None if refused is None else told(asked, refused),
            command_id=str(uuid.uuid4()),
        )
        # The address has the code of the table.
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Robots-Tag"] = "noindex"
        return response

    return await asked.evening.read(look)


async def _sit_down(asked: Asked, fields: dict[str, Any]) -> Response:
    room = _room(asked)
    if room is None:
        raise Refused("unknown_room", field="room")
    heads, typed = fields.get("heads", ""), fields.get("names", "")
    given: dict[str, Any] = {"room": room.id, "code": fields.get("code", ""), "heads": int(heads) if heads.isdecimal() else heads}
    if typed.strip() or _known(asked, room):
        given["names"] = [name.strip() for name in _BETWEEN.split(typed) if name.strip()]
    id = fields.get("id") or str(uuid.uuid4())
    await asked.site.perform(asked.request, asked.evening.slug, id, "room.seat_table", given)
    home = f"/e/{asked.evening.slug}"
    begun = asked.evening.event.rounds.items[room.round].state == "open"
    return RedirectResponse(f"{home}/room/{room.id}" if begun else f"{home}?notice=table", 303)


async def cards(asked: Asked) -> Response:
    """A card for each table of a round, to print and lay there. Refuses `forbidden` to everybody but moderators and organisers."""
    if not _leads(asked):
        await asked.evening.look()
    if not _leads(asked):
        raise Refused("forbidden")

    def look() -> Response:
        event = asked.evening.event
        round = event.rounds.get(asked.request.path_params["round"])
        address = f"{asked.site.address(asked.request)}/e/{asked.evening.slug}/table"
        listed = [
            {"room": room, "code": code(event, room.number), "address": f"{address}/{room.number}"}
            for room in event.rounds.of(round)
            if room.table
        ]
        return asked.page("cards.html", cards=listed, round=round)

    return await asked.evening.read(look)


def _room(asked: Asked) -> Room | None:
    return breakouts.at_table(asked.evening.event, asked.request.path_params["number"])


def _seats(room: Room | None) -> int:
    """How many may share the device; at least one, so that the form can be sent and the refusal says what is wrong."""
    if room is None:
        return 0
    seat = room.seats.get(at_table(room))
    return max(1, room.free + (seat.heads if seat else 0))


def _known(asked: Asked, room: Room | None) -> bool:
    """Whether this device speaks for the table already, in this round or in one before."""
    table = asked.evening.event.rounds.table_of(asked.person)
    return room is not None and table is not None and table.number == room.number


def _kept(asked: Asked, room: Room | None) -> dict[str, Any]:
    """What the form begins with: what the table has said, or the code of the link."""
    if room is None:
        return {"heads": "", "names": "", "code": asked.request.query_params.get("c", "")}
    names = asked.evening.names.get(at_table(room), "")
    return {"heads": room.seats[at_table(room)].heads, "names": names.replace(", ", "\n"), "code": ""}


def _leads(asked: Asked) -> bool:
    return actor(asked.evening.event, asked.person).any_of(*MODERATOR)
