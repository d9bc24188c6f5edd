"""All desks of this process: each event's is opened on first use and served until the process ends."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from live.bus import Bus, InProcessBus
from live.desk import SHAPE, Desk
from live.log import Log, Unavailable
from live.settings import Settings
from live.writer import Writer

LOGGER = logging.getLogger("plenum.desks")
NEWEST = 20
"""Events that are looked after and listed; a year of them must not be kept in memory."""
WATCH_SECONDS = 2.0
"""How often somebody looks whether there are new ones."""


class Desks:
    """Use as `async with`. The log's one writer thread belongs to it."""

    def __init__(self, log: Log, settings: Settings, bus: Bus | None = None) -> None:
        self.log, self.settings = log, settings
        self.bus: Bus = bus or InProcessBus()
        self.writer = Writer()
        self.open: dict[str, Desk] = {}
        self.on_opened: Callable[[Desk], None] = lambda desk: None
        self._opening = asyncio.Lock()

    async def __aenter__(self) -> Desks:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        self._carrying = self._tasks.create_task(self.bus.run(), name="bus")
        return self

    async def __aexit__(self, *_: object) -> None:
        for desk in self.open.values():
            desk.stop()
        self._carrying.cancel()
        await self._tasks.__aexit__(None, None, None)
        for desk in self.open.values():
            await desk.close()
        await self.writer.close()

    async def get(self, slug: str) -> Desk | None:
        """The event's desk; None if there is no such event. May raise `Unavailable`."""
        desk = self.open.get(slug)
        if desk is not None:
            return desk
        async with self._opening:
            if slug not in self.open:
                stored = await self.writer.do(self.log.load, slug, SHAPE)
                if stored is None:
                    return None
                desk = Desk(stored, self.log, self.bus, self.writer, self.settings)
                self.open[slug] = desk
                self.on_opened(desk)
                self._tasks.create_task(desk.run(), name=f"desk {slug}")
            return self.open[slug]

    async def watch_over(self) -> None:
        """Keep the newest events open, so that their timers fire although nobody watches them; until cancelled."""
        while True:
            try:
                await self.open_newest()
            except Unavailable as error:
                LOGGER.warning("cannot look after the events: %s", error)
            await asyncio.sleep(WATCH_SECONDS)

    async def open_newest(self) -> None:
        """Open the newest events. May raise `Unavailable`."""
        for slug in (await self.slugs())[:NEWEST]:
            await self.get(slug)

    async def create(self, slug: str) -> bool:
        """Make a new event; False if it exists."""
        async with self.writer.turn:
            return await self.writer.do(self.log.create_event, slug)

    async def slugs(self) -> list[str]:
        """All events, newest first."""
        return await self.writer.do(self.log.slugs)
