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
from tests.flow.server import Server


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
        working = [tasks.create_task(duty()) for duty in duties.duties(settings, desks).values()]
        await asyncio.wait_for(again.wait(), 20)
        assert not any(task.done() for task in working)
        for task in working:
            task.cancel()


@pytest.mark.parametrize("command", ["serve", "worker"])
@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"smtp_url": "smtp://127.0.0.1:1"}, "PLENUM_SMTP_URL needs PLENUM_MAIL_FROM"),
        ({"smtp_url": "smtp://127.0.0.1:1", "mail_from": "geh31m", "public_url": "http://localhost"}, "PLENUM_MAIL_FROM"),
        ({"imap_url": "imap://anna:geh31m@mail.example"}, "not encrypted: expected imaps://"),
    ],
)
def test_mail_settings_that_cannot_work_are_told_at_the_start(
    tmp_path: Path, command: str, settings: dict[str, object], said: str
) -> None:
    printed = Server(tmp_path, settings).plenum(command, status=1)
    assert said in printed
    assert "geh31m" not in printed
    assert "Traceback" not in printed
