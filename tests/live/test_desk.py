"""The desk: decided, committed, and only then answered and shown; a repeated command is answered once; the log is the truth."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import uuid
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest

from live.admin import configure
from live.desk import Answer, Desk, Done
from live.desks import Desks
from live.log import Log, Row, Unavailable
from live.settings import Settings
from moderation.roles import hashed
from rooms.command import SYSTEM, Refused
from rooms.programme import Programme

PROGRAMME = Programme("abend", {"de": "Abend"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00", premoderation=False)
SECONDS = 10


class GatedLog(Log):
    """A log whose commits wait until they may, or fail."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.broken = False

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        self.reached.set()
        assert self.open.wait(SECONDS)
        if self.broken:
            self.release()
            raise Unavailable("no space left")
        super().commit(event, rows, names, rewritten)


class Evening:
    """An open event on its own database."""

    def __init__(self, folder: Path) -> None:
        self.url = f"sqlite:///{folder / 'plenum.sqlite3'}"
        self.log = GatedLog(self.url)
        self.log.create_tables()
        self.desk: Desk

    async def send(self, person: str, command: str, /, *, id: str | None = None, **arguments: Any) -> Done:
        """One command."""
        return await self.desk.send(person, id or str(uuid.uuid4()), command, msgspec.json.encode(arguments))

    async def submit(self, person: str = "anna", **more: Any) -> Done:
        """One contribution."""
        return await self.send(person, "contribution.submit", kind="idea", text="Mehr Bänke", **more)

    def texts(self) -> list[str]:
        """What is on the disk."""
        with sqlite3.connect(self.url.removeprefix("sqlite:///")) as database:
            rows = database.execute("SELECT changes FROM log ORDER BY seq").fetchall()
        return [change["text"] for (changes,) in rows for change in msgspec.json.decode(changes) if change["c"] == "submitted"]


@pytest.fixture
async def evening(tmp_path: Path) -> AsyncIterator[Evening]:
    made = Evening(tmp_path)
    async with Desks(made.log, Settings(batch_limit=1000)) as desks:
        await configure(desks, PROGRAMME, "live")
        desk = await desks.get("abend")
        assert desk is not None
        made.desk = desk
        yield made
    made.log.close()


async def until(flag: threading.Event) -> None:
    """The other thread has come so far."""
    assert await asyncio.to_thread(flag.wait, SECONDS)


async def test_nothing_is_answered_or_shown_before_the_commit(evening: Evening) -> None:
    shown: list[str] = []
    evening.desk.on_touched = shown.extend
    evening.log.reached.clear()
    evening.log.open.clear()
    sending = asyncio.create_task(evening.submit())
    await until(evening.log.reached)

    seen: list[int] = []
    evening.desk.settled(lambda: seen.append(len(evening.desk.event.contributions.items)))
    assert len(evening.desk.event.contributions.items) == 1, "the control: the state itself is ahead of the log"
    assert (sending.done(), shown, seen) == (False, [], [])

    evening.log.open.set()
    assert (await sending).seq == 3
    assert shown == ["contribution/1", "queue"]
    assert await evening.desk.read(lambda: seen) == [1]


async def test_all_that_wait_are_committed_at_once(evening: Evening) -> None:
    before = evening.desk.commits
    await asyncio.gather(*(evening.submit(f"person-{n}") for n in range(100)))

    assert evening.desk.commits - before <= 2
    assert len(evening.texts()) == 100


async def test_the_control_without_group_commit_each_has_its_own(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    async with Desks(evening.log, Settings(batch_limit=1)) as desks:
        await configure(desks, PROGRAMME, "live")
        desk = await desks.get("abend")
        assert desk is not None
        evening.desk, before = desk, desk.commits
        await asyncio.gather(*(evening.submit(f"person-{n}") for n in range(20)))
        assert desk.commits - before == 20


async def test_a_repeated_id_gets_its_first_answer_at_once_later_and_after_a_restart(evening: Evening) -> None:
    first, again = await asyncio.gather(evening.submit(id="a"), evening.submit(id="a"))
    later = await evening.submit(id="a")
    other = await evening.submit("bilal", id="a")
    assert first == again == later
    assert other.seq == first.seq + 1, "an id is its sender's own"

    log = Log(evening.url)
    async with Desks(log, Settings()) as desks:
        desk = await desks.get("abend")
        assert desk is not None
        assert await desk.send("anna", "a", "contribution.submit", b'{"kind":"wish","text":"Etwas anderes"}') == first
    log.close()
    assert evening.texts() == ["Mehr Bänke"] * 2


async def test_a_commit_that_fails_is_refused_and_leaves_no_trace(evening: Evening) -> None:
    await evening.submit()
    evening.log.broken = True
    with pytest.raises(Refused, match="storage_unavailable") as refused:
        await evening.submit(id="b")
    assert refused.value.retry_after is not None
    assert await evening.desk.read(lambda: len(evening.desk.event.contributions.items)) == 1

    evening.log.broken = False
    assert (await evening.submit(id="b")).seq == 4
    assert len(evening.texts()) == 2


async def test_a_database_that_somebody_else_locks_is_refused_in_time_and_comes_back(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    log = Log(evening.url, lock_seconds=0.1)
    async with Desks(log, Settings()) as desks:
        await configure(desks, PROGRAMME, "live")
        desk = await desks.get("abend")
        assert desk is not None
        evening.desk = desk
        other = sqlite3.connect(evening.url.removeprefix("sqlite:///"), isolation_level=None)
        other.execute("BEGIN EXCLUSIVE")
        with pytest.raises(Refused, match="storage_unavailable"):
            await evening.submit()
        other.execute("ROLLBACK")
        other.close()
        assert (await evening.submit()).seq == 3
    log.close()


async def test_a_full_disk_is_refused_with_nothing_half_done(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    async with Desks(evening.log, Settings()) as desks:
        await configure(desks, PROGRAMME, "live")
        desk = await desks.get("abend")
        assert desk is not None
        evening.desk = desk
        pool = evening.log.engine
        with pool.connect() as connection:
            pages = int(connection.exec_driver_sql("PRAGMA page_count").scalar_one())
        await limit_pages(desks, evening.log, pages + 8)
        texts = ["x" * 990 + f"{n:03d}" for n in range(200)]
        answers = [await sent(evening, text) for text in texts]
        stored = [text for text, answer in zip(texts, answers, strict=True) if isinstance(answer, Done)]
        assert 0 < len(stored) < len(texts), "the disk has never been full, or always"
        assert evening.texts() == stored

        await limit_pages(desks, evening.log, 1_000_000)
        assert isinstance(await sent(evening, "Wieder Platz"), Done)
        assert evening.texts() == [*stored, "Wieder Platz"]
    evening.log.close()


async def limit_pages(desks: Desks, log: Log, pages: int) -> None:
    """SQLite's own way to have a small disk; the limit belongs to a connection, and the pool has one for the writer."""

    def limit() -> None:
        with log.engine.connect() as first, log.engine.connect() as second:
            for connection in (first, second):
                connection.exec_driver_sql(f"PRAGMA max_page_count={pages}")

    await desks.writer.do(limit)


async def sent(evening: Evening, text: str) -> Answer:
    """Done, or the refusal for want of storage."""
    try:
        return await evening.send("anna", "contribution.submit", kind="idea", text=text)
    except Refused as refused:
        if refused.code != "storage_unavailable":
            raise
        return refused


async def test_two_processes_take_turns_and_both_know_everything(tmp_path: Path) -> None:
    here, there = Evening(tmp_path), Evening(tmp_path)
    async with Desks(here.log, Settings()) as mine, Desks(there.log, Settings()) as yours:
        await configure(mine, PROGRAMME, "live")
        for evening, desks in ((here, mine), (there, yours)):
            desk = await desks.get("abend")
            assert desk is not None
            evening.desk = desk
        await asyncio.gather(*(one.submit(f"p{n}") for n in range(50) for one in (here, there)))
        for evening in (here, there):
            await caught_up(evening.desk, 102)
        assert msgspec.msgpack.encode(here.desk.event) == msgspec.msgpack.encode(there.desk.event)
    assert len(here.texts()) == 100


async def caught_up(desk: Desk, seq: int) -> None:
    """The desk looks at the log from time to time by itself."""
    async with asyncio.timeout(SECONDS):
        while desk.event.seq < seq:
            await asyncio.wait_for(noticed(desk), SECONDS)


async def noticed(desk: Desk) -> None:
    """Something was shown."""
    shown = asyncio.Event()
    desk.on_touched = lambda keys: shown.set()
    await shown.wait()


async def test_a_link_is_redeemed_once_however_many_processes_race_for_it(tmp_path: Path) -> None:
    here, there = Evening(tmp_path), Evening(tmp_path)
    async with Desks(here.log, Settings()) as mine, Desks(there.log, Settings()) as yours:
        await configure(mine, PROGRAMME, "live")
        for evening, desks in ((here, mine), (there, yours)):
            desk = await desks.get("abend")
            assert desk is not None
            evening.desk = desk
        for turn in range(50):
            await here.send(SYSTEM, "link.create", role="helper", token_hash=hashed(f"t{turn}"))
            winners = await race(f"t{turn}", [here.send, there.send])
            assert winners == 1


async def race(token: str, ways: list[Callable[..., Any]]) -> int:
    """How many of two people got in with the same link at the same moment."""
    answers = await asyncio.gather(
        *(send(f"person-{n}-{token}", "link.redeem", token=token) for n, send in enumerate(ways)), return_exceptions=True
    )
    return sum(isinstance(answer, Done) for answer in answers)


async def test_the_control_two_states_that_do_not_ask_the_database_both_let_somebody_in(tmp_path: Path) -> None:
    """What the transaction protects from: each state alone sees a link that nobody has used."""
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    one, other = Evening(tmp_path / "a"), Evening(tmp_path / "b")
    winners = 0
    for evening in (one, other):
        async with Desks(evening.log, Settings()) as desks:
            await configure(desks, PROGRAMME, "live")
            desk = await desks.get("abend")
            assert desk is not None
            evening.desk = desk
            await evening.send(SYSTEM, "link.create", role="helper", token_hash=hashed("t"))
            winners += await race("t", [evening.send])
    assert winners == 2


async def test_what_an_author_takes_back_is_gone_from_log_and_snapshot(evening: Evening) -> None:
    await evening.send("anna", "contribution.submit", kind="idea", text="Unwiderruflich peinlich", name="Wilhelmine")
    await evening.send("anna", "contribution.edit", contribution=1, text="Unwiderruflich peinlicher")
    await evening.desk.save()
    await evening.send("anna", "contribution.withdraw", contribution=1)

    with sqlite3.connect(evening.url.removeprefix("sqlite:///")) as database:
        dump = "\n".join(database.iterdump()) + str(database.execute("SELECT changes FROM log").fetchall())
        assert database.execute("SELECT count(*) FROM snapshots").fetchone() == (0,)
        assert database.execute("SELECT count(*) FROM people WHERE person = 'contribution/1'").fetchone() == (0,)
    assert "Unwiderruflich" not in dump


async def test_a_new_start_reads_snapshot_and_log_to_the_same_state(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    async with Desks(evening.log, Settings(snapshot_rows=7)) as desks:
        await configure(desks, PROGRAMME, "live")
        desk = await desks.get("abend")
        assert desk is not None
        evening.desk = desk
        for n in range(30):
            await evening.submit(f"p{n}", name=f"Name {n}")
        state, names = msgspec.msgpack.encode(desk.event), dict(desk.names)
    async with Desks(evening.log, Settings()) as desks:
        again = await desks.get("abend")
        assert again is not None
        assert msgspec.msgpack.encode(again.event) == state
        assert again.names == names
    evening.log.close()
