"""All desks of this process: each event's is opened on first use and served until the process ends."""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor

from live.bus import Bus, InProcessBus
from live.desk import SHAPE, Desk
from live.log import Log
from live.settings import Settings


class Desks:
    """Use as `async with`. The log's one writer thread belongs to it."""

    def __init__(self, log: Log, settings: Settings, bus: Bus | None = None) -> None:
        self.log, self.settings = log, settings
        self.bus: Bus = bus or InProcessBus()
        self.writer = ThreadPoolExecutor(1, "writer")
        self.open: dict[str, Desk] = {}
        self._opening = asyncio.Lock()
        self._serving: list[asyncio.Task[None]] = []

    async def __aenter__(self) -> Desks:
        self._tasks = await asyncio.TaskGroup().__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._serving:
            task.cancel()
        await self._tasks.__aexit__(None, None, None)
        for desk in self.open.values():
            await desk.close()
        self.writer.shutdown()

    async def get(self, slug: str) -> Desk | None:
        """The event's desk; None if there is no such event. May raise `Unavailable`."""
        desk = self.open.get(slug)
        if desk is not None:
            return desk
        async with self._opening:
            if slug not in self.open:
                loop = asyncio.get_running_loop()
                stored = await loop.run_in_executor(self.writer, self.log.load, slug, SHAPE)
                if stored is None:
                    return None
                desk = Desk(stored, self.log, self.bus, self.writer, self.settings)
                self.open[slug] = desk
                self._serving.append(self._tasks.create_task(desk.run(), name=f"desk {slug}"))
            return self.open[slug]

    async def create(self, slug: str) -> bool:
        """Make a new event; False if it exists."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, self.log.create_event, slug)

    async def slugs(self) -> list[str]:
        """All events, newest first."""
        return await asyncio.get_running_loop().run_in_executor(self.writer, self.log.slugs)
