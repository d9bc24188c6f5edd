"""What one process at least has to do for all events: look after them, send mail, read the mailbox."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Iterator
from typing import Any

from live.desks import Desks
from live.mailing import Mailing
from live.reading import Reading
from live.settings import Settings

LOGGER = logging.getLogger("plenum.duties")
AGAIN_SECONDS = 5.0
"""After a bug."""


def duties(settings: Settings, desks: Desks) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name and task of each. Raises ValueError for mail settings that cannot work."""
    mailing = Mailing(settings, desks) if settings.smtp_url else None
    reading = Reading(settings, desks) if settings.imap_url else None
    yield "events", desks.watch_over()
    if mailing is not None:
        yield "mailing", _kept_up("mailing", mailing.run)
    if reading is not None:
        yield "reading", _kept_up("reading", reading.run)


async def _kept_up(name: str, run: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """A bug in one must end neither the others nor the evening."""
    while True:
        try:
            await run()
        except Exception:
            LOGGER.exception("bug in %s", name)
        await asyncio.sleep(AGAIN_SECONDS)
