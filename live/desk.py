"""The desk of one event: takes commands, lets the rules decide, commits, and only then answers and publishes.

All commands that wait are decided one after the other and committed at once (group commit). The state changes only here. Between a
decision and its commit the state is ahead of the log; nobody may look at it then: `settled` runs a reader at the next moment at
which state and log agree.
"""

from __future__ import annotations

import asyncio
import hashlib
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeVar

import msgspec

from live import metrics
from live.bus import Bus
from live.log import Begun, Log, Row, Stored, Unavailable
from live.settings import Settings
from live.writer import Writer
from moderation.capabilities import COMMANDS, AnyChange, apply, decide, forgotten, parse, timers
from moderation.event import Event
from moderation.roles import actor
from rooms.command import SYSTEM, Actor, Command, Outcome, Refused
from rooms.joining import Renamed

LOGGER = logging.getLogger("plenum.desk")
T = TypeVar("T")
RELOAD_SECONDS = 0.5
SHAPE = hashlib.sha256(msgspec.json.encode(msgspec.json.schema(Event))).hexdigest()[:16]
"""Tells snapshots of another release's state apart: those are not used, the log is."""
_CHANGES = msgspec.json.Decoder(list[AnyChange])
_JSON = msgspec.json.Encoder()
RECENT = 20_000
"""Answers kept in memory (up to twice as many) for clients that ask again at once; older ones are found in the log."""


class Done(NamedTuple):
    """The command is committed as row `seq`; `result` is JSON."""

    seq: int
    result: bytes


Answer = Done | Refused
Reply = Callable[[str, Answer], None]
"""Called once, with the command's id, on the loop's thread."""


class Waiting(NamedTuple):
    """A command that waits for its turn."""

    person: str
    id: str
    name: str
    command: Command
    reply: Reply


class Decided:
    """What a batch leads to: rows and names to store, rows that are to forget a text, rooms that are to forget their notes, keys
    touched, an answer for each command."""

    def __init__(self) -> None:
        self.rows: list[Row] = []
        self.names: dict[str, str] = {}
        self.forget: set[int] = set()
        self.notes: set[str] = set()
        self.touched: list[str] = []
        self.answers: list[Answer] = []
        self.unchanged: dict[tuple[str, str], Done] = {}


class Desk:
    """One event in this process. Made by `Desks.get`; everything but `run` is for the loop's thread."""

    def __init__(self, stored: Stored, log: Log, bus: Bus, writer: Writer, settings: Settings) -> None:
        self.id, self.slug, self.epoch = stored.id, stored.slug, stored.epoch
        self.log, self.bus, self.writer, self.settings = log, bus, writer, settings
        self.event, self.names = restored(stored)
        self.commits = 0
        self.clock = stored.now - _clock()
        self.on_touched: Callable[[Iterable[str]], None] = lambda keys: None
        self.on_reset: Callable[[], None] = lambda: None
        self.onlookers: list[Callable[[Sequence[str]], None]] = []
        self.supply: Callable[[Waiting], bool] = lambda waiting: False
        """Takes a command that needs what is not in the log, and puts it in line when it has that."""
        self._saved_at = stored.snapshot[0] if stored.snapshot else 0
        self._waiting: list[Waiting] = []
        self._wake = asyncio.Event()
        self._ahead = False
        self._stopped = False
        self._fired: set[str] = set()
        self._readers: list[Callable[[], None]] = []
        self._heard: list[Sequence[Row]] = []
        self._lookers: list[asyncio.Future[None]] = []
        self._recent: dict[tuple[str, str], Done] = {}
        self._older: dict[tuple[str, str], Done] = {}
        self._unsubscribe = bus.subscribe(self.slug, self._hear)

    def submit(self, person: str, id: str, name: str, arguments: bytes | msgspec.Raw, reply: Reply) -> None:
        """Put a command in line; `reply` is called when it is committed or refused. Refuses at once what cannot be parsed."""
        try:
            command = parse(name, arguments)
        except Refused as refused:
            metrics.command(name if name in COMMANDS else "unknown", refused.code)
            reply(id, refused)
            return
        waiting = Waiting(person, id, name, command, reply)
        if not self.supply(waiting):
            self.line_up(waiting)

    def line_up(self, waiting: Waiting) -> None:
        """Put a command in line that has all it needs."""
        self._waiting.append(waiting)
        self._wake.set()

    async def send(self, person: str, id: str, name: str, arguments: bytes) -> Done:
        """One command and its answer. Raises Refused."""
        answered: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()

        def reply(_: str, answer: Answer) -> None:
            if not answered.done():
                answered.set_result(answer)

        self.submit(person, id, name, arguments, reply)
        answer = await answered
        if isinstance(answer, Refused):
            raise answer
        return answer

    def settled(self, read: Callable[[], None]) -> None:
        """Call `read` now or after the commit that is under way: when the state is what the log says."""
        if self._ahead:
            self._readers.append(read)
        else:
            _tell(read)

    async def read(self, look: Callable[[], T]) -> T:
        """What `look` returns when it is called settled."""
        seen: asyncio.Future[T] = asyncio.get_running_loop().create_future()

        def settled() -> None:
            if not seen.done():
                try:
                    seen.set_result(look())
                except Exception as error:
                    seen.set_exception(error)

        self.settled(settled)
        return await seen

    async def run(self) -> None:
        """Serve until `stop`: commands as they come, and from time to time a look at what other processes wrote."""
        while not self._stopped:
            tail = asyncio.get_running_loop().call_later(self._fire_timers(), self._hear, ())
            await self._wake.wait()
            tail.cancel()
            self._wake.clear()
            complete = True
            if self._heard:
                complete = self._apply_heard()
            if self._lookers or not complete:
                lookers, self._lookers = self._lookers, []
                await self._look()
                for looker in lookers:
                    looker.set_result(None)
            limit = self.settings.batch_limit
            while self._waiting:
                batch, self._waiting = self._waiting[:limit], self._waiting[limit:]
                async with self.writer.turn:
                    await self._serve(batch)
            if self.event.seq - self._saved_at >= self.settings.snapshot_rows:
                await self.save(self.settings.snapshot_rows)

    async def look(self) -> None:
        """Return when the state holds what other processes had written before this call."""
        looked: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._lookers.append(looked)
        self._wake.set()
        await asyncio.shield(looked)

    def stop(self) -> None:
        """Let `run` end when everybody who waits has an answer."""
        self._stopped = True
        self._wake.set()

    async def close(self) -> None:
        """Leave a snapshot, so that the next start is quick."""
        self._unsubscribe()
        if self.event.seq > self._saved_at:
            await self.save()

    def _fire_timers(self) -> float:
        """Put what is due in line; returns the seconds until there is more to do. Every process fires, and the log takes one."""
        wait, now = self.settings.tail_seconds, self.now()
        for timer in timers(self.event):
            if timer.id in self._fired:
                continue
            if timer.at > now:
                wait = min(wait, (timer.at - now) / 1000)
                continue
            self._fired.add(timer.id)
            self._waiting.append(Waiting(SYSTEM, timer.id, timer.name, timer.command, self._fired_timer))
            self._wake.set()
        return wait

    def _fired_timer(self, id: str, answer: Answer) -> None:
        if isinstance(answer, Refused):
            LOGGER.warning("timer refused: %s", answer.code)
            if answer.retry_after is not None:
                self._fired.discard(id)

    def now(self) -> int:
        """The time in ms that all processes share: that of the database, whatever this machine's clock says."""
        return _clock() + self.clock

    async def _serve(self, batch: list[Waiting]) -> None:
        """One transaction for all of them. Whatever fails in it, everybody gets an answer and the state is the log's again."""
        fresh = [(one.person, one.id) for one in batch if self._remembered(one.person, one.id) is None]
        try:
            began = time.perf_counter()
            begun = await self._begin(fresh)
        except Exception as error:
            self._refuse(batch, error)
            await self._release()
            return
        settled = self.event.seq
        try:
            decided = self._decide(batch, {key: Done(row[0], row[5]) for key, row in begun.answered.items()})
            await self._commit(decided)
        except Exception as error:
            self._ahead = True
            self._refuse(batch, error)
            await self._release()
            await self._reload(settled)
            return
        metrics.COMMIT.observe(time.perf_counter() - began)
        self._publish(decided)
        for one, answer in zip(batch, decided.answers, strict=True):
            _answer(one, answer)
        self._settle()

    async def _begin(self, commands: Sequence[tuple[str, str]]) -> Begun:
        """Open a transaction and apply what others have written. Raises Unavailable."""
        begun: Begun = await self.writer.do(self.log.begin, self.id, self.event.seq, commands)
        self.clock = begun.head.now - _clock()
        if begun.head.epoch != self.epoch:
            self._hear(())  # look at the log: it was replaced
            raise Unavailable("the log was replaced")
        if begun.missed:
            await self._apply_rows(begun.missed)
        return begun

    async def _release(self) -> None:
        try:
            await self.writer.do(self.log.release)
        except Unavailable as error:
            LOGGER.warning("cannot end the transaction: %s", error)

    def _decide(self, batch: list[Waiting], known: dict[tuple[str, str], Done]) -> Decided:
        """Decide and apply one after the other; `known` are the answers that the log has given before."""
        decided = Decided()
        now = self.now()
        for one in batch:
            key = (one.person, one.id)
            done = known.get(key) or self._remembered(one.person, one.id)
            if done is None:
                try:
                    outcome = decide(self.event, who(self.event, one.person), one.name, one.command, now)
                except Refused as refused:
                    decided.answers.append(refused)
                    continue
                except Exception:
                    LOGGER.exception("bug in the rule of %s", one.name)
                    decided.answers.append(Refused("bug"))
                    continue
                known[key] = done = self._enter(one, outcome, now, decided)
            decided.answers.append(done)
        return decided

    def _enter(self, one: Waiting, outcome: Outcome, now: int, decided: Decided) -> Done:
        result = _JSON.encode(outcome.result)
        if not outcome.changes:
            # Not logged, but remembered: sent again after other commands of the same person it must still change nothing.
            done = decided.unchanged[one.person, one.id] = Done(self.event.seq, result)
            return done
        seq = self.event.seq + 1
        decided.touched += apply(self.event, seq, now, one.person, outcome.changes)
        decided.rows.append((seq, now, one.person, one.id, _JSON.encode(outcome.changes), result))
        decided.names.update(outcome.names)
        decided.forget.update(outcome.forget)
        decided.notes.update(outcome.notes)
        return Done(seq, result)

    async def _commit(self, decided: Decided) -> None:
        """Store it all, or nothing. What is to be forgotten is taken out of the rows that hold it."""
        self._ahead = bool(decided.rows)
        if not decided.rows:
            await self.writer.do(self.log.release)
            return
        rewritten: list[tuple[int, bytes]] = []
        if decided.forget:
            decided.rows = [_without_text(row) if row[0] in decided.forget else row for row in decided.rows]
            old = await self.writer.do(self.log.rows_at, self.id, sorted(decided.forget))
            rewritten = [(row[0], _without_text(row)[4]) for row in old]
            self._saved_at = 0
        if decided.notes:
            await self.writer.do(self.log.wipe_notes, self.id, sorted(decided.notes))
        await self.writer.do(self.log.commit, self.id, decided.rows, decided.names, rewritten)

    def _remembered(self, person: str, id: str) -> Done | None:
        return self._recent.get((person, id)) or self._older.get((person, id))

    def _publish(self, decided: Decided) -> None:
        self._ahead = False
        self.names.update(decided.names)
        rows = decided.rows
        recent = self._recent
        recent.update(decided.unchanged)
        if rows:
            self.commits += 1
            for seq, _, person, id, _, result in rows:
                recent[person, id] = Done(seq, result)
            self.bus.publish(self.slug, rows, self._hear)
        if len(recent) > RECENT:
            self._older, self._recent = recent, {}
        if decided.touched:
            self._touched(decided.touched)

    def _touched(self, keys: Sequence[str]) -> None:
        _tell(self.on_touched, keys)
        for onlooker in self.onlookers:
            _tell(onlooker, keys)

    def _settle(self) -> None:
        readers, self._readers = self._readers, []
        for read in readers:
            _tell(read)

    def _refuse(self, batch: list[Waiting], error: Exception) -> None:
        LOGGER.error("commit failed: %s", error, exc_info=None if isinstance(error, Unavailable) else error)
        for one in batch:
            refused = Refused("storage_unavailable", retry_after=2.0) if isinstance(error, Unavailable) else Refused("bug")
            _answer(one, refused)

    async def _reload(self, settled: int) -> None:
        """The log is the truth: forget the state and read it again, however long that takes. Who comes meanwhile is refused; what
        the log has after row `settled` is shown."""
        self._ahead = True
        while (stored := await self._read_again()) is None:  # noqa: ASYNC110  (a database announces nothing)
            await asyncio.sleep(RELOAD_SECONDS)
        self.id, self.epoch = stored.id, stored.epoch
        self.event, self.names = restored(stored)
        self.clock = stored.now - _clock()
        self._saved_at = stored.snapshot[0] if stored.snapshot else 0
        self._ahead = False
        _tell(self.on_reset)
        self._touched([key for key, seq in self.event.touched.items() if seq > settled])
        self._settle()

    async def _read_again(self) -> Stored | None:
        error = Unavailable("the event is gone")
        try:
            stored = await self.writer.do(self.log.load, self.slug, SHAPE)
            if stored is not None:
                return stored
        except Unavailable as failed:
            error = failed
        waiting, self._waiting = self._waiting, []
        self._refuse(waiting, error)
        return None

    def _hear(self, rows: Sequence[Row]) -> None:
        self._heard.append(rows)
        self._wake.set()

    def _apply_heard(self) -> bool:
        """Apply what the bus brought if it follows on; False if something is missing, which only the log can tell."""
        heard, self._heard = self._heard, []
        rows = sorted({row[0]: row for message in heard for row in message}.values())
        following = [row for row in rows if row[0] > self.event.seq]
        expected = range(self.event.seq + 1, self.event.seq + 1 + len(following))
        if not all(heard) or [row[0] for row in following] != list(expected) or _renames(following):
            return False
        if following:
            metrics.BUS.observe(max(0, self.now() - following[-1][1]) / 1000)
            self._touched(self._apply(following))
        return True

    async def _look(self) -> None:
        """Fetch what other processes have written."""
        try:
            head = await self.writer.do(self.log.head, self.id)
            self.clock = head.now - _clock()
            if head.epoch != self.epoch:  # `plenum restore`
                await self._reload(0)
            elif head.seq > self.event.seq:
                await self._apply_rows(await self.writer.do(self.log.rows, self.id, self.event.seq))
        except Unavailable as error:
            LOGGER.warning("cannot look at the log: %s", error)

    async def _apply_rows(self, rows: list[Row]) -> None:
        """Apply them and show them; with the names first, so that nobody sees a contribution without the name that signs it."""
        renamed = _renames(rows)
        if renamed:
            names = await self.writer.do(self.log.names, self.id, renamed)
            self.names.update({person: names.get(person, "") for person in renamed})
        metrics.GAPS.inc(len(rows))
        self._touched(self._apply(rows))

    def _apply(self, rows: Sequence[Row]) -> list[str]:
        touched: list[str] = []
        for seq, at, by, _, changes, _ in rows:
            touched += apply(self.event, seq, at, by, _CHANGES.decode(changes))
        return touched

    async def save(self, least: int = 1) -> None:
        """Write a snapshot, unless another process has written one less than `least` rows ago; without one the next start reads
        more of the log."""
        try:
            async with self.writer.turn:
                await self._begin(())
                self._saved_at = self.event.seq
                if self.event.seq - await self.writer.do(self.log.saved, self.id) >= least:
                    state = msgspec.msgpack.encode(self.event)
                    await self.writer.do(self.log.save, self.id, self.event.seq, SHAPE, state)
                else:
                    await self.writer.do(self.log.release)
        except Unavailable as error:
            LOGGER.warning("no snapshot: %s", error)


def _clock() -> int:
    return int(time.time() * 1000)


def _answer(one: Waiting, answer: Answer) -> None:
    metrics.command(one.name, answer.code if isinstance(answer, Refused) else "done")
    _tell(one.reply, one.id, answer)


def _tell(listener: Callable[..., None], *said: object) -> None:
    """Call somebody who wants to know. Their error is theirs alone: the evening goes on for everybody else."""
    try:
        listener(*said)
    except Exception:
        LOGGER.exception("bug in a listener")


def who(event: Event, person: str) -> Actor:
    """The actor that a person is in this event; the system's commands come from the command line only."""
    return Actor(SYSTEM, frozenset({SYSTEM})) if person == SYSTEM else actor(event, person)


def restored(stored: Stored) -> tuple[Event, dict[str, str]]:
    """State and names as the database has them."""
    event = Event(stored.slug, stored.secret)
    if stored.snapshot is not None:
        event = msgspec.msgpack.decode(stored.snapshot[2], type=Event)
    for seq, at, by, _, changes, _ in stored.rows:
        apply(event, seq, at, by, _CHANGES.decode(changes))
    return event, stored.names


def _without_text(row: Row) -> Row:
    changes = [forgotten(change) for change in _CHANGES.decode(row[4])]
    return (*row[:4], _JSON.encode(changes), row[5])


def _renames(rows: Iterable[Row]) -> list[str]:
    """The people whose name these rows say has changed; the name itself is in the people table."""
    return [
        change.person for row in rows if b'"renamed"' in row[4] for change in _CHANGES.decode(row[4]) if isinstance(change, Renamed)
    ]
