"""The page of the door: checking in, by QR code or by name, also while the network is away."""

from __future__ import annotations

from typing import Any

from starlette.responses import Response

from frontend import render
from frontend.asked import Asked, status, told
from rooms.command import Refused


async def desk(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """Who comes, who is here, who may be filmed. Refuses `forbidden`."""
    if not asked.staff:
        await asked.evening.look()
    if not asked.staff:
        raise Refused("forbidden")

    def look() -> Response:
        response = asked.page(
            "desk.html",
            200 if refused is None else status(refused),
            documents=render.arrange(asked.documents("door"), asked.lang, asked.evening.slug),
            form=form or {},
            refusal=None if refused is None else told(asked, refused),
            channels=asked.channels("door"),
        )
        response.headers["Permissions-Policy"] = "camera=(self), microphone=(), geolocation=(), browsing-topics=()"
        return response

    return await asked.evening.read(look)
