"""What one process does for all events goes on whatever happens to a part of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from live import duties
from live.app import open_log
from live.desks import Desks
from live.reading import Reading
from live.settings import Settings


async def test_a_duty_that_meets_a_bug_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    begun, again = list[int](), asyncio.Event()

    async def run(reading: Reading) -> None:
        begun.append(1)
        if len(begun) == 1:
            raise KeyError
        again.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(Reading, "run", run)
    monkeypatch.setattr(duties, "AGAIN_SECONDS", 0)
    settings = Settings(data=str(tmp_path), imap_url="imap://somebody:secret@127.0.0.1/INBOX")
    async with Desks(open_log(settings), settings) as desks, asyncio.TaskGroup() as tasks:
        working = [tasks.create_task(job) for _, job in duties.duties(settings, desks)]
        await asyncio.wait_for(again.wait(), 20)
        assert not any(task.done() for task in working)
        for task in working:
            task.cancel()
