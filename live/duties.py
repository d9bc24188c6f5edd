"""What one process at least has to do for all events: look after them, delete personal data in time,
send mail, read the mailbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from functools import partial
from typing import Any

from live.desks import Desks
from live.mailing import Mailing
from live.reading import Reading
from live.retain import watch
from live.settings import Settings

LOGGER = logging.getLogger("plenum.duties")
AGAIN_SECONDS = 5.0
"""After a bug."""


Duty = Callable[[], Coroutine[Any, Any, None]]


def duties(settings: Settings, desks: Desks) -> dict[str, Duty]:
    """Each by its name; they begin when they are called. Raises ValueError for mail settings that cannot work."""
    found: dict[str, Duty] = {"events": desks.watch_over, "retention": partial(_kept_up, "retention", partial(watch, desks))}
    if settings.smtp_url:
        found["mailing"] = partial(_kept_up, "mailing", Mailing(settings, desks).run)
    if settings.imap_url:
        found["reading"] = partial(_kept_up, "reading", Reading(settings, desks).run)
    return found


async def _kept_up(name: str, run: Duty) -> None:
    """A bug in one must end neither the others nor the evening."""
    while True:
        try:
            await run()
        except Exception:
            LOGGER.exception("bug in %s", name)
        await asyncio.sleep(AGAIN_SECONDS)
