"""What one process at least has to do for all events: look after them, delete personal data in time,
send mail, read the mailbox."""

from __future__ import annotations

from collections.abc import Coroutine, Iterator
from typing import Any

from live.desks import Desks
from live.mailing import Mailing
from live.reading import Reading
from live.retain import watch
from live.settings import Settings


def duties(settings: Settings, desks: Desks) -> Iterator[tuple[str, Coroutine[Any, Any, None]]]:
    """Name and task of each. Raises ValueError for mail settings that cannot work."""
    mailing = Mailing(settings, desks) if settings.smtp_url else None
    reading = Reading(settings, desks) if settings.imap_url else None
    yield "events", desks.watch_over()
    yield "retention", watch(desks)
    if mailing is not None:
        yield "mailing", mailing.run()
    if reading is not None:
        yield "reading", reading.run()
