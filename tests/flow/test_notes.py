"""The notes of a room whose people are at different processes: they see the same, whatever happens to the line between these."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.flow.installation import Installation
from tests.live.notes_server import Editor, NotesServer


async def test_two_processes_share_notes_and_lose_nothing_when_redis_is_cut_off(tmp_path: Path) -> None:
    async with Installation(tmp_path, kind=NotesServer) as installation, installation.evening() as evenings:
        slug = evenings[0].slug
        async with Editor(evenings[0].server.url, slug) as anna, Editor(evenings[1].server.url, slug) as ben:
            for turn in range(20):
                await asyncio.gather(anna.says(f"Anna {turn}"), ben.says(f"Ben {turn}"))
            everything = [f"{name} {turn}" for name in ("Anna", "Ben") for turn in range(20)]
            await asyncio.gather(anna.sees(*everything), ben.sees(*everything))
            await asyncio.gather(anna.is_saved(), ben.is_saved())
            assert anna.text == ben.text

            for cable in installation.to_redis:
                await cable.cut()
            await asyncio.gather(anna.says("Ohne Bus"), ben.says("Ohne Draht"))
            await asyncio.gather(anna.sees("Ohne Draht"), ben.sees("Ohne Bus"))
            for cable in installation.to_redis:
                await cable.mend()
            await anna.says("Wieder da")
            await ben.sees("Wieder da")
            await anna.is_saved()

            await asyncio.to_thread(evenings[0].server.kill)
        async with Editor(evenings[1].server.url, slug) as later:
            await later.sees("Ohne Bus", "Ohne Draht", "Wieder da", *everything)
            assert len(later.lines) == 43
