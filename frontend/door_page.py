"""The page of the door: checking in, by QR code or by name, also while the network is away."""

from __future__ import annotations

import uuid
from typing import Any

from starlette.responses import Response

from frontend import render
from frontend.alphabet import folded
from frontend.asked import Asked, status, told
from moderation import registrations as shown
from moderation.registrations import DoorData
from rooms.command import Refused
from rooms.places import OFF_CAMERA, PlaceName

FILTERS = ("q", "show", "place", "camera")
LATER = "later"
"""`?list=later`: the page without the list, which a service worker keeps for when the network is away."""
MOST_WALK_IN = 10
"""People that the form for walk-ins offers at once."""


async def desk(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """Who comes, who is here, who may be filmed. Refuses `forbidden`."""
    if not asked.staff:
        await asked.evening.look()  # they may have signed in a moment ago, at another process
    if not asked.staff:
        raise Refused("forbidden")
    later = asked.request.query_params.get("list") == LATER
    filters = {key: value for key, value in asked.request.query_params.items() if value and key in FILTERS}

    def look() -> Response:
        all = [] if later else asked.documents("door")
        listed = [one for one in all if _passes(filters, one)]
        response = asked.page(
            "desk.html",
            200 if refused is None else status(refused),
            documents=render.arrange(listed, asked.lang, asked.evening.slug),
            places=[_place(asked, name) for name in asked.evening.event.programme.places],
            filters=filters,
            may_check_in=asked.door,
            form=form or {},
            agreed=(form or {}).get("consents[]", []),
            whose=_name(asked, form or {}),
            most=MOST_WALK_IN,
            refusal=None if refused is None else told(asked, refused),
            notice=asked.request.query_params.get("notice"),
            command_id=str(uuid.uuid4()),
            # A script filters by itself and needs whom the address has left out.
            channels={"door": {}} if later or len(listed) < len(all) else asked.channels("door"),
            later=later,
        )
        response.headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=(), browsing-topics=()"
        return response

    return await asked.evening.read(look)


def _place(asked: Asked, name: PlaceName) -> dict[str, Any]:
    """A place as the form for walk-ins needs it."""
    place = asked.evening.event.programme.places[name]
    return {
        "place": name,
        "consents": [
            {"purpose": one, "required": one in place.consents, "text": shown.text_of(asked.evening.event, one, asked.lang)}
            for one in place.asked
        ],
        "contingents": [one for one in place.reserved if one != OFF_CAMERA],
        "off_camera": OFF_CAMERA in place.reserved,
    }


def _name(asked: Asked, form: dict[str, Any]) -> str:
    """Whose form was refused."""
    number = form.get("registration", "")
    return asked.evening.names.get(f"registration/{number}", "") or form.get("args.name", "")


def _passes(filters: dict[str, str], document: tuple[str, str, Any]) -> bool:
    """Whether a document of the list passes the filters of the address; `matches` in `static/js/guests.js` does the same."""
    key, _, data = document
    if not key.startswith("registration/"):
        return True
    if filters.get("place", data["place"]) != data["place"]:
        return False
    return _is_meant(filters.get("q", ""), data) and _is_shown(filters, data)


def _is_meant(query: str, data: DoorData) -> bool:
    """Every word is in the name, or begins the number."""
    name = folded(data["name"])
    return all(word in name or str(data["number"]).startswith(word.lstrip("#")) for word in folded(query).split())


def _is_shown(filters: dict[str, str], data: DoorData) -> bool:
    show, seated = filters.get("show"), data["status"] == "seated"
    if show == "expected":
        return seated and not data["here"]
    if show == "here":
        return bool(data["here"])
    if show == "camera":
        return seated and filters.get("camera", data["camera"]) == data["camera"]
    return True
