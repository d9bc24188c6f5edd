"""The desk: decided, committed, and only then answered and shown; a repeated command is answered once; the log is the truth."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
import time
import uuid
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa

from live import admin
from live.admin import configure
from live.desk import SHAPE, Answer, Desk, Done, restored
from live.desks import Desks
from live.log import Begun, Log, Row, Unavailable
from live.settings import Settings
from moderation.capabilities import COMMANDS
from moderation.event import Event
from moderation.roles import hashed
from rooms.command import SYSTEM, Refused, Timer
from rooms.contributions import Submit
from rooms.entrance import code_at
from rooms.programme import Programme, Scheduled
from tests.live.engines import Postgres

PROGRAMME = Programme("abend", {"de": "Abend"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00", premoderation=False)
SECONDS = 10


class GatedLog(Log):
    """A log whose commits and looks for names wait until they may, or fail."""

    def __init__(self, url: str, **options: float) -> None:
        super().__init__(url, **options)
        self.open, self.names_open = threading.Event(), threading.Event()
        self.open.set()
        self.names_open.set()
        self.reached, self.names_reached = threading.Event(), threading.Event()
        self.broken: Exception | None = None
        self.names_broken: Exception | None = None

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        self.reached.set()
        assert self.open.wait(SECONDS)
        if self.broken is not None:
            self.release()
            raise self.broken
        super().commit(event, rows, names, rewritten)

    def names(self, event: int, people: Iterable[str]) -> dict[str, str]:
        self.names_reached.set()
        assert self.names_open.wait(SECONDS)
        if self.names_broken is not None:
            raise self.names_broken
        return super().names(event, people)


class TrustingLog(Log):
    """For controls: asks nobody before it writes, as if the database did not arbitrate. It finds a free place for its rows."""

    def begin(self, event: int, since: int, commands: Sequence[tuple[str, str]]) -> Begun:
        return super().begin(event, since, commands)._replace(missed=[])

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        head = int(self._fetch("SELECT head FROM events WHERE id = ?", (event,))[0][0])
        super().commit(event, [(head + n, *row[1:]) for n, row in enumerate(rows, 1)], names, rewritten)


class Evening:
    """An open event on its own database."""

    def __init__(self, folder: Path, kind: type[Log] = GatedLog, **options: float) -> None:
        self.url = f"sqlite:///{folder / 'plenum.sqlite3'}"
        self.log: Any = kind(self.url, **options)
        self.log.create_tables()
        self.desk: Desk
        self.first: asyncio.Task[Done]

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


@asynccontextmanager
async def opened(*evenings: Evening, **options: Any) -> AsyncIterator[None]:
    """The same event on desks of their own, as in processes of their own, which hear of each other by the log only."""
    settings = Settings(**{"tail_seconds": 0.05, **options})
    async with AsyncExitStack() as stack:
        for evening in evenings:
            desks = await stack.enter_async_context(Desks(evening.log, settings))
            if evening is evenings[0]:
                await configure(desks, PROGRAMME, "live")
            desk = await desks.get("abend")
            assert desk is not None
            evening.desk = desk
        yield
    for evening in evenings:
        evening.log.close()


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


async def test_an_old_answer_is_found_in_memory_and_later_in_the_log(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("live.desk.RECENT", 5)
    answers = [await evening.submit(id=f"id-{n}") for n in range(20)]
    kept = [n for n in range(20) if evening.desk._remembered("anna", f"id-{n}")]
    assert 6 <= len(kept) < 20, "memory has an end"
    for n, first in enumerate(answers):
        assert await evening.submit(id=f"id-{n}") == first
    assert len(evening.texts()) == 20


async def test_a_repeated_command_that_changed_nothing_gets_its_first_answer_too(evening: Evening) -> None:
    """Anna's second click changed nothing; sent again after she took it back, it must not give her support once more."""
    await evening.submit()
    await evening.send("anna", "support.give", contribution=1, id="first")
    second = await evening.send("anna", "support.give", contribution=1, id="second")
    await evening.send("anna", "support.withdraw", contribution=1, id="third")

    assert (await evening.send("anna", "support.give", contribution=1, id="second")).result == second.result
    assert evening.desk.event.supports.count(1) == 0


async def test_what_was_refused_may_be_sent_again_under_its_id(evening: Evening) -> None:
    with pytest.raises(Refused, match="text_too_short"):
        await evening.send("anna", "contribution.submit", id="a", kind="idea", text="")
    await evening.submit(id="a")
    assert len(evening.texts()) == 1


async def test_one_refusal_in_a_batch_is_nobody_elses(evening: Evening) -> None:
    await hold(evening)
    sending = [
        asyncio.create_task(evening.send(f"p{n}", "contribution.submit", kind="idea", text=text))
        for n, text in enumerate(["Mehr Grün", "", "Mehr Bänke"])
    ]
    answers = await released(evening, sending)
    assert [isinstance(answer, Done) for answer in answers] == [True, False, True]
    assert evening.texts() == ["Mehr Bänke", "Mehr Grün", "Mehr Bänke"]


async def test_what_is_sent_together_is_decided_in_its_order(evening: Evening) -> None:
    """Each sees what the ones before have changed, though nothing is committed yet."""
    await hold(evening)
    commands = ["contribution.hide", "contribution.restore", "contribution.shortlist", "contribution.air", "contribution.air"]
    sending = [asyncio.create_task(evening.send(SYSTEM, name, contribution=1)) for name in commands]
    answers = await released(evening, sending)
    assert [msgspec.json.decode(answer.result)["state"] for answer in answers[:4]] == [
        "hidden",
        "approved",
        "shortlisted",
        "on_air",
    ]
    assert isinstance(answers[4], Refused)


async def hold(evening: Evening) -> None:
    """A first commit is under way and waits, so that all that follow become one batch."""
    evening.log.reached.clear()
    evening.log.open.clear()
    evening.first = asyncio.create_task(evening.submit("first"))
    await until(evening.log.reached)


async def released(evening: Evening, sending: Sequence[asyncio.Task[Done]]) -> list[Any]:
    """The answers of these commands, which were one batch."""
    before = evening.desk.commits
    await asyncio.sleep(0)  # all of them stand in line
    evening.log.open.set()
    answers = await asyncio.gather(*sending, return_exceptions=True)
    assert evening.desk.commits - before == 2, "the first one, and one for all the others"
    return answers


async def test_a_commit_that_fails_is_refused_and_leaves_no_trace(evening: Evening) -> None:
    await evening.submit()
    evening.log.broken = Unavailable("no space left")
    with pytest.raises(Refused, match="storage_unavailable") as refused:
        await evening.submit(id="b")
    assert refused.value.retry_after is not None
    assert await evening.desk.read(lambda: len(evening.desk.event.contributions.items)) == 1

    evening.log.broken = None
    assert (await evening.submit(id="b")).seq == 4
    assert len(evening.texts()) == 2


async def test_after_a_failed_commit_the_state_is_what_the_log_says(evening: Evening) -> None:
    await evening.submit(name="Anna")
    resets: list[int] = []
    evening.desk.on_reset = lambda: resets.append(evening.desk.event.seq)
    evening.log.broken = Unavailable("no space left")
    answers = await asyncio.gather(
        evening.submit("bilal", name="Bilal"),
        evening.send("anna", "contribution.withdraw", contribution=1),
        evening.send(SYSTEM, "contribution.air", contribution=1),
        return_exceptions=True,
    )
    assert {answer.code for answer in answers if isinstance(answer, Refused)} == {"storage_unavailable"}
    await evening.desk.read(lambda: None)
    assert resets == [3] * len(resets)
    assert resets

    stored = evening.log.load("abend", SHAPE)
    event, names = restored(stored)
    assert evening.desk.event == event
    assert evening.desk.names == names == {"anna": "Anna", "contribution/1": "Anna"}
    assert event.contributions.items[1].text == "Mehr Bänke"


async def test_what_others_wrote_meanwhile_is_shown_after_a_failed_commit(tmp_path: Path) -> None:
    """Reading the log anew brings their rows into the state: they count as touched, or nobody here would ever see them."""
    here, there = Evening(tmp_path), Evening(tmp_path)
    async with opened(here, there, tail_seconds=1_000):
        await here.submit()
        touched: list[str] = []
        here.desk.on_touched = touched.extend
        written = asyncio.Event()

        class Meanwhile(Unavailable):
            """The database comes back, and somebody else was first."""

        async def read_again() -> Any:
            if not written.is_set():
                await there.submit("bilal")
                written.set()
            return await read()

        read, here.desk._read_again = here.desk._read_again, read_again  # type: ignore[method-assign]
        here.log.broken = Meanwhile("gone")
        with pytest.raises(Refused, match="storage_unavailable"):
            await here.submit("cem")
        here.log.broken = None
        await here.submit("dora")
        assert here.texts() == ["Mehr Bänke"] * 3
        assert {"contribution/2", "contribution/3"} <= set(touched)


async def test_a_bug_in_a_rule_is_refused_and_the_others_go_on(evening: Evening, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setitem(COMMANDS, "person.join", (COMMANDS["person.join"][0], broken))
    answers = await asyncio.gather(
        evening.submit(), evening.send("anna", "person.join"), evening.submit("bilal"), return_exceptions=True
    )
    assert [answer.code if isinstance(answer, Refused) else "done" for answer in answers] == ["done", "bug", "done"]


async def test_a_bug_under_the_rules_is_answered_and_the_desk_goes_on(evening: Evening) -> None:
    """Otherwise everybody waits for ever, and who sends the same again after a restart brings it down again."""
    await evening.submit()
    evening.log.broken = ZeroDivisionError("a bug")
    with pytest.raises(Refused, match="bug"):
        await asyncio.wait_for(evening.submit("bilal", id="a"), SECONDS)
    assert await evening.desk.read(lambda: len(evening.desk.event.contributions.items)) == 1
    evening.log.broken = None
    assert (await asyncio.wait_for(evening.submit("bilal", id="a"), SECONDS)).seq == 4


@pytest.mark.parametrize("who", ["reader", "reply", "watcher"])
async def test_who_fails_on_being_told_takes_nobody_with_them(evening: Evening, who: str) -> None:
    """One connection's error must not end the evening for all."""

    def fail(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    await hold(evening)
    if who == "reader":
        evening.desk.settled(fail)
    elif who == "reply":
        evening.desk.submit("anna", "a", "contribution.submit", b'{"kind":"idea","text":"Mehr Gr\xc3\xbcn"}', fail)
    else:
        evening.desk.on_touched = fail
    evening.log.open.set()
    assert (await asyncio.wait_for(evening.submit("bilal"), SECONDS)).seq >= 4
    await evening.first


async def test_what_a_reader_raises_is_the_readers(evening: Evening) -> None:
    with pytest.raises(ZeroDivisionError):
        await evening.desk.read(lambda: 1 // 0)
    await evening.submit()


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
        with evening.log.engine.connect() as connection:
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
    """SQLite's own way to have a small disk; the limit belongs to a connection, so that all are made anew."""
    sa.event.listen(log.engine, "connect", lambda connection, _: connection.execute(f"PRAGMA max_page_count={pages}"))
    await desks.writer.do(log.close)


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
    async with opened(here, there):
        await asyncio.gather(*(one.submit(f"p{n}", name=f"Name {n}") for n in range(50) for one in (here, there)))
        for evening in (here, there):
            await caught_up(evening.desk, 102)
        assert here.desk.event == there.desk.event
        assert list(here.desk.event.touched) == list(there.desk.event.touched)
        assert here.desk.names == there.desk.names
        assert len(here.texts()) == 100


async def caught_up(desk: Desk, seq: int) -> None:
    """The desk looks at the log from time to time by itself."""
    shown = asyncio.Event()
    desk.on_touched = lambda keys: shown.set()
    async with asyncio.timeout(SECONDS):
        while desk.event.seq < seq:
            await shown.wait()
            shown.clear()


async def race(turns: int, here: Evening, there: Evening) -> list[int]:
    """How many of two people got in with the same link at the same moment, turn by turn."""
    winners = []
    for turn in range(turns):
        token = f"token-{turn}"
        await here.send(SYSTEM, "link.create", role="helper", token_hash=hashed(token))
        await there.desk.look()
        sending = [one.send(f"{name}-{turn}", "link.redeem", token=token) for name, one in (("anna", here), ("bilal", there))]
        answers = await asyncio.gather(*sending, return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, BaseException)]
        assert all(isinstance(one, Refused) and one.code == "link_used" for one in refused), refused
        winners.append(len(answers) - len(refused))
    return winners


async def test_a_link_is_redeemed_once_however_many_processes_race_for_it(tmp_path: Path) -> None:
    here, there = Evening(tmp_path), Evening(tmp_path)
    async with opened(here, there, tail_seconds=1_000):
        assert await race(50, here, there) == [1] * 50


async def test_the_control_who_decides_on_an_old_state_lets_both_in(tmp_path: Path) -> None:
    """What the transaction protects from: a process that has not read what another one has just written."""
    here, there = Evening(tmp_path, TrustingLog), Evening(tmp_path, TrustingLog)
    async with opened(here, there, tail_seconds=1_000):
        assert await race(1, here, there) == [2]


async def test_what_the_command_line_writes_is_noticed(tmp_path: Path) -> None:
    here, command_line = Evening(tmp_path), Evening(tmp_path)
    async with opened(here):
        async with Desks(command_line.log, Settings()) as desks:
            noticing = asyncio.create_task(caught_up(here.desk, 3))
            await admin.link(desks, "abend", "moderator")
        await noticing
        assert [link.role for link in here.desk.event.roles.links.values()] == ["moderator"]


async def test_who_looks_sees_what_was_written_before_and_who_does_not_look_does_not(tmp_path: Path) -> None:
    here, there = Evening(tmp_path), Evening(tmp_path)
    async with opened(here, there, tail_seconds=1_000):
        await here.submit()
        assert there.desk.event.seq == 2, "the control: nothing rings, and nobody has looked"
        await there.desk.look()
        assert there.desk.event.seq == 3


async def test_a_contribution_of_another_process_is_shown_with_its_name_or_not_at_all(tmp_path: Path) -> None:
    """The name is fetched from another table. Whoever reads between state and name would render, and keep, a voice without one."""
    here, there = Evening(tmp_path), Evening(tmp_path)
    async with opened(here, there, tail_seconds=1_000):
        await here.submit(name="Anna")
        there.log.names_open.clear()
        looking = asyncio.create_task(there.desk.look())
        await until(there.log.names_reached)
        seen: list[tuple[int, str]] = []

        def read() -> None:
            seen.append((len(there.desk.event.contributions.items), there.desk.names.get("contribution/1", "")))

        there.desk.settled(read)
        there.log.names_open.set()
        await looking
        there.desk.settled(read)
        assert seen in ([(0, ""), (1, "Anna")], [(1, "Anna"), (1, "Anna")])


async def test_a_failed_look_for_names_leaves_the_database_to_the_others(tmp_path: Path) -> None:
    here, there = Evening(tmp_path, lock_seconds=0.2), Evening(tmp_path, lock_seconds=0.2)
    async with opened(here, there, tail_seconds=1_000):
        await here.submit(name="Anna")
        there.log.names_broken = Unavailable("gone")
        with pytest.raises(Refused, match="storage_unavailable"):
            await there.submit("bilal")
        there.log.names_broken = None
        await here.submit("cem")
        await there.submit("bilal")
        assert there.desk.names["contribution/1"] == "Anna"
        assert len(there.texts()) == 3


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


async def test_a_process_that_is_behind_does_not_bring_a_forgotten_text_back(tmp_path: Path) -> None:
    """Its state still has the text; its snapshot must not."""
    here, behind = Evening(tmp_path), Evening(tmp_path)
    async with opened(here, behind, tail_seconds=1_000):
        await here.send("anna", "contribution.submit", kind="idea", text="Unwiderruflich peinlich")
        await behind.desk.look()
        await here.send("anna", "contribution.withdraw", contribution=1)
        assert behind.desk.event.contributions.items[1].text == "Unwiderruflich peinlich", "the control: it has not heard of it"
        await behind.desk.save()
        with sqlite3.connect(here.url.removeprefix("sqlite:///")) as database:
            states = [state for (state,) in database.execute("SELECT state FROM snapshots")]
        assert not any(b"peinlich" in state for state in states)


async def test_what_is_sent_and_taken_back_in_one_batch_never_reaches_the_disk(evening: Evening) -> None:
    await hold(evening)
    sending = [
        asyncio.create_task(
            evening.send("anna", "contribution.submit", kind="idea", text="Unwiderruflich peinlich", name="Wilhelmine")
        ),
        asyncio.create_task(evening.send("anna", "contribution.withdraw", contribution=2)),
    ]
    assert all(isinstance(answer, Done) for answer in await released(evening, sending))
    folder = Path(evening.url.removeprefix("sqlite:///")).parent
    assert not any(b"peinlich" in file.read_bytes() for file in folder.iterdir())


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


@pytest.mark.parametrize("notice", ["look", "commit"])
async def test_a_log_that_was_replaced_is_read_anew(tmp_path: Path, notice: str) -> None:
    """As `plenum restore --replace` does, while the server runs: the epoch tells."""
    here, operator = Evening(tmp_path), Evening(tmp_path)
    async with opened(here, tail_seconds=1_000):
        await here.submit()
        await here.submit("bilal")
        with operator.log.engine.begin() as connection:
            connection.exec_driver_sql("DELETE FROM log WHERE seq > 3")
            connection.exec_driver_sql("DELETE FROM snapshots")
            connection.exec_driver_sql("UPDATE events SET head = 3, epoch = 'restored'")
        resets: list[str] = []
        here.desk.on_reset = lambda: resets.append(here.desk.epoch)
        if notice == "look":
            await here.desk.look()
        else:
            with pytest.raises(Refused, match="storage_unavailable"):
                await here.submit("cem", id="c")
            await here.desk.look()
        assert resets == ["restored"]
        assert (await here.submit("cem", id="c")).seq == 4
        assert len(here.texts()) == 2
    operator.log.close()


def soon(milliseconds: int = 150) -> str:
    """So many milliseconds from now."""
    return (datetime.now(UTC) + timedelta(milliseconds=milliseconds)).isoformat()


@pytest.mark.parametrize("shared", [True, False], ids=["the id is the same", "control: an id of each process"])
async def test_a_timer_fires_once_however_many_processes_fire_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    moment = int(time.time() * 1000) + 150

    def timers(event: Event) -> list[Timer]:
        id = "timer/gong" if shared else str(uuid.uuid4())
        return [] if gongs(event) else [Timer(moment, id, "contribution.submit", Submit(kind="idea", text="Ein Gong"))]

    monkeypatch.setattr("live.desk.timers", timers)
    evenings = [Evening(tmp_path) for _ in range(3)]
    async with opened(*evenings, tail_seconds=0.05):
        for evening in evenings:
            await caught_up(evening.desk, 3)
            await evening.submit("anna")
        assert (len(gongs(evenings[-1].desk.event)) == 1) == shared


def gongs(event: Event) -> list[str]:
    return [item.text for item in event.contributions.items.values() if item.text == "Ein Gong"]


async def test_an_event_goes_to_its_scheduled_phase_by_itself_and_only_forwards(tmp_path: Path) -> None:
    evening = Evening(tmp_path)
    async with Desks(evening.log, Settings(tail_seconds=0.05)) as desks:
        schedule = (Scheduled(soon(), "live"), Scheduled(soon(-1_000), "registration"), Scheduled(soon(3_600_000), "closed"))
        await configure(desks, msgspec.structs.replace(PROGRAMME, schedule=schedule))
        desk = await desks.get("abend")
        assert desk is not None
        evening.desk = desk
        await caught_up(desk, 3)
        assert desk.event.phase == "live"
        await evening.send(SYSTEM, "event.advance", phase="registration")
        await desk.look()
        assert await desk.read(lambda: desk.event.phase) == "registration", "what somebody decided since is not undone"
    evening.log.close()


async def test_a_timer_that_met_a_locked_database_fires_when_it_is_free(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    evening = Evening(tmp_path, lock_seconds=0.05)
    async with opened(evening, tail_seconds=0.05):
        other = sqlite3.connect(evening.url.removeprefix("sqlite:///"), isolation_level=None)
        facts = msgspec.structs.replace(PROGRAMME, schedule=(Scheduled(soon(), "closed"),))
        await evening.send(SYSTEM, "event.configure", programme=msgspec.to_builtins(facts))
        other.execute("BEGIN EXCLUSIVE")
        answers: asyncio.Queue[Answer] = asyncio.Queue()
        answered = evening.desk._fired_timer

        def listen(command: str, answer: Answer) -> None:
            answered(command, answer)
            answers.put_nowait(answer)

        monkeypatch.setattr(evening.desk, "_fired_timer", listen)
        assert isinstance(await asyncio.wait_for(answers.get(), SECONDS), Refused)
        other.execute("ROLLBACK")
        other.close()
        await caught_up(evening.desk, 4)
        assert evening.desk.event.phase == "closed"


@pytest.mark.parametrize("shared", [True, False], ids=["PostgreSQL's clock", "control: each its own"])
async def test_a_process_whose_clock_is_wrong_writes_and_reads_the_right_time(
    postgres: Postgres, monkeypatch: pytest.MonkeyPatch, shared: bool
) -> None:
    """Its log lines aside: what it writes has the others' time, and the hall's code that it shows opens the hall at the others."""
    slug = f"uhr-{uuid.uuid4().hex[:8]}"
    programme = msgspec.structs.replace(PROGRAMME, slug=slug)
    logs = [Log(postgres.url) for _ in range(2)]
    logs[0].create_tables()
    if not shared:
        monkeypatch.setattr("live.desk._clock", lambda: 0)
        monkeypatch.setattr(Desk, "now", lambda self: int(time.time() * 1000) + (300_000 if self.log is logs[1] else 0))
    settings = Settings(tail_seconds=1_000)
    async with Desks(logs[0], settings) as right, Desks(logs[1], settings) as wrong:
        await configure(right, programme, "live")
        here = await right.get(slug)
        if shared:
            monkeypatch.setattr("live.desk._clock", lambda: int(time.time() * 1000) + 300_000)  # from now on, five minutes fast
        there = await wrong.get(slug)
        assert here is not None
        assert there is not None
        code = code_at(there.event.secret, there.now(), there.event.programme.code_period)
        arguments = msgspec.json.encode({"place": "hall", "code": code})
        if shared:
            monkeypatch.undo()
        entered = True
        try:
            await here.send("anna", "a", "person.join", arguments)
        except Refused as refused:
            entered = refused.code != "wrong_code"
        await there.send("bilal", "b", "contribution.submit", b'{"kind":"idea","text":"Mehr Gr\xc3\xbcn"}')
        written = logs[0].rows(here.id, 0)[-1][1]
        assert (abs(written - time.time() * 1000) < 60_000) == shared
        assert entered == shared
    for log in logs:
        log.close()
