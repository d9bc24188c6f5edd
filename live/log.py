"""The log: what every event's commands changed, in order, committed before anybody sees it. SQLAlchemy Core, synchronous;
all of it runs in the one writer thread (`live/desk.py`).

One transaction takes the event's row first, so that two processes never decide at the same time about the same event: the
database is the arbiter. SQLite: `BEGIN IMMEDIATE`.
"""

from __future__ import annotations

import contextlib
import functools
import secrets
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.pool import PoolProxiedConnection

from live import migrations

METADATA = sa.MetaData()
EVENTS = sa.Table(
    "events",
    METADATA,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("slug", sa.Text, nullable=False, unique=True),
    sa.Column("secret", sa.Text, nullable=False),
    sa.Column("epoch", sa.Text, nullable=False),
    sa.Column("head", sa.Integer, nullable=False),
    sa.Column("created_at", sa.BigInteger, nullable=False),
)
LOG = sa.Table(
    "log",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("actor", sa.Text, nullable=False),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("changes", sa.LargeBinary, nullable=False),
    sa.Column("result", sa.LargeBinary, nullable=False),
    sa.UniqueConstraint("event", "actor", "command"),
    sqlite_with_rowid=False,
)
SNAPSHOTS = sa.Table(
    "snapshots",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True),
    sa.Column("seq", sa.Integer, nullable=False),
    sa.Column("shape", sa.Text, nullable=False),
    sa.Column("state", sa.LargeBinary, nullable=False),
)
PEOPLE = sa.Table(
    "people",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True),
    sa.Column("person", sa.Text, primary_key=True),
    sa.Column("name", sa.Text, nullable=False),
)
NOTES = sa.Table(
    "notes",
    METADATA,
    sa.Column("event", sa.Integer, primary_key=True),
    sa.Column("room", sa.Text, primary_key=True),
    sa.Column("seq", sa.Integer, primary_key=True),
    sa.Column("data", sa.LargeBinary, nullable=False),
)
KEYS = sa.Table("keys", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))

_HEAD = "SELECT head, epoch FROM events WHERE id = ?"
_HEAD_AND_CLOCK = "SELECT head, epoch, CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint) FROM events WHERE id = ?"
_ADVANCE_HEAD = "UPDATE events SET head = ? WHERE id = ?"
_APPEND = "INSERT INTO log (event, seq, at, actor, command, changes, result) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "log.seq, log.at, actor, command, log.changes, log.result"
_ROWS_AFTER = f"SELECT {_COLUMNS} FROM log WHERE event = ? AND seq > ? ORDER BY seq"
_REWRITE = "UPDATE log SET changes = ? WHERE event = ? AND seq = ?"
_FORGET_NAME = "DELETE FROM people WHERE event = ? AND person = ?"
_ADD_NAME = "INSERT INTO people (event, person, name) VALUES (?, ?, ?)"
_WIPE_NOTES = (
    "INSERT INTO notes (event, room, seq, data) SELECT CAST(? AS integer), CAST(? AS text), COALESCE(MAX(seq), 0) + 1, ? "
    "FROM notes WHERE event = ? AND room = ?"
)
_FORGET_NOTES = (
    "DELETE FROM notes WHERE event = ? AND room = ? AND seq < (SELECT MAX(seq) FROM notes WHERE event = ? AND room = ?)"
)
_FORGET_SNAPSHOT = "DELETE FROM snapshots WHERE event = ?"
_SAVE = "INSERT INTO snapshots (event, seq, shape, state) VALUES (?, ?, ?, ?)"
_CHUNKS = (512, 64, 8, 1)
_APPEND_ARRAYS = (
    "INSERT INTO log (event, seq, at, actor, command, changes, result) SELECT %s, * FROM "
    "unnest(%s::int[], %s::bigint[], %s::text[], %s::text[], %s::bytea[], %s::bytea[])"
)
_ANSWERED_ARRAYS = (
    f"SELECT {_COLUMNS} FROM unnest(%s::text[], %s::text[]) AS wanted (actor, command) "
    "JOIN log USING (actor, command) WHERE log.event = %s"
)
_FORGET_NAMES_ARRAY = "DELETE FROM people WHERE event = %s AND person = ANY(%s::text[])"
_ADD_NAMES_ARRAYS = "INSERT INTO people (event, person, name) SELECT %s, * FROM unnest(%s::text[], %s::text[])"
# PostgreSQL takes a batch as arrays: one statement instead of a thousand.
# What a commit does is written out, for one driver connection that is kept: SQLAlchemy's own work on a statement and on a
# connection from its pool cost twice as much CPU as the whole transaction (measured on SQLite: 0.49 ms a commit instead of 0.2).

BEGIN_WRITING = "BEGIN IMMEDIATE"
"""SQLite: the write lock at once. A transaction that reads first and then writes could otherwise never upgrade."""

WIPED = msgspec.msgpack.encode([])
"""A row of notes without updates: what the room had is deleted. It comes after all of that, so that no process goes on with it."""

Row = tuple[int, int, str, str, bytes, bytes]
"""seq, at (ms), actor, command id, changes, result."""


class Unavailable(Exception):
    """The database did not do it: locked, full, gone. Nothing of the transaction is stored."""


class Head(NamedTuple):
    """Where an event's log stands: the seq of the last row, the epoch (another one means that the whole log was replaced), and the
    time in ms that all processes share: that of the database, where it has a clock of its own."""

    seq: int
    epoch: str
    now: int


class Begun(NamedTuple):
    """What a transaction finds: the rows that others appended, and the rows of commands answered before by (actor, command id)."""

    head: Head
    missed: list[Row]
    answered: dict[tuple[str, str], Row]


class Stored:
    """What the database knows of an event: identity, the shared time, the last snapshot, the rows after it, and people's names."""

    def __init__(self, row: Any, now: int, snapshot: Any, rows: list[Row], names: dict[str, str]) -> None:
        self.now = now
        self.id: int = row.id
        self.slug: str = row.slug
        self.secret: str = row.secret
        self.epoch: str = row.epoch
        self.snapshot: tuple[int, str, bytes] | None = tuple(snapshot) if snapshot else None
        self.rows = rows
        self.names = names


class Log:
    """One database. Every method may raise `Unavailable`; none is safe to call from two threads at once."""

    def __init__(self, url: str, *, lock_seconds: float = 2.0) -> None:
        self.engine = _engine(make_url(url), lock_seconds)
        self._sqlite = self.engine.dialect.name == "sqlite"
        self._mark = "?" if self.engine.dialect.paramstyle == "qmark" else "%s"
        self._head = _HEAD if self._sqlite else _HEAD_AND_CLOCK
        # SQLite is locked by BEGIN IMMEDIATE as a whole; elsewhere it is the event's row that makes the others wait.
        self._take = self._head if self._sqlite else self._head + " FOR UPDATE"
        self._writer: PoolProxiedConnection | None = None
        self._within = False

    def create_tables(self) -> None:
        """Make the tables in an empty database. Raises `live.migrations.Mismatch` if there are another release's."""
        with _translated():
            migrations.prepare(self.engine)

    def migrate(self) -> tuple[str | None, str]:
        """Bring the tables up to date; returns their revision before and after. Raises `live.migrations.Mismatch`."""
        with _translated():
            return migrations.migrate(self.engine)

    def close(self) -> None:
        """Give all connections back."""
        self._drop()
        self.engine.dispose()

    @contextlib.contextmanager
    def transaction(self, *, writes: bool = False) -> Iterator[Connection]:
        """For neighbours that keep something else here (`live/notes_store.py`). One that writes, only in the writer's turn."""
        with _translated(), (self._writing() if writes else self.engine.connect()) as connection, connection.begin():
            yield connection

    def key(self, name: str) -> str:
        """A secret of this installation, made on first use (256 bits)."""
        with _translated(), self._writing() as connection, connection.begin():
            found = connection.scalar(sa.select(KEYS.c.value).where(KEYS.c.name == name))
            if found is None:
                found = secrets.token_urlsafe(32)
                connection.execute(KEYS.insert().values(name=name, value=found))
            return str(found)

    def create_event(self, slug: str) -> bool:
        """Make room for an event; False if it is there already."""
        with _translated(), self._writing() as connection, connection.begin():
            if connection.scalar(sa.select(EVENTS.c.id).where(EVENTS.c.slug == slug)) is not None:
                return False
            values = {"slug": slug, "secret": secrets.token_urlsafe(32), "epoch": secrets.token_hex(4), "head": 0}
            connection.execute(EVENTS.insert().values(created_at=int(time.time() * 1000), **values))
            return True

    def slugs(self) -> list[str]:
        """All events, newest first."""
        with _translated(), self.engine.connect() as connection:
            return list(connection.scalars(sa.select(EVENTS.c.slug).order_by(EVENTS.c.id.desc())))

    def load(self, slug: str, shape: str) -> Stored | None:
        """The event from its latest snapshot of this shape and the rows after it; None if there is no such event."""
        with _translated(), self.engine.connect() as connection, connection.begin():
            row = connection.execute(sa.select(EVENTS).where(EVENTS.c.slug == slug)).one_or_none()
            if row is None:
                return None
            found = sa.select(SNAPSHOTS.c.seq, SNAPSHOTS.c.shape, SNAPSHOTS.c.state)
            snapshot = connection.execute(found.where(SNAPSHOTS.c.event == row.id, SNAPSHOTS.c.shape == shape)).one_or_none()
            since = snapshot.seq if snapshot else 0
            people = connection.execute(sa.select(PEOPLE.c.person, PEOPLE.c.name).where(PEOPLE.c.event == row.id))
            rows = [tuple(one) for one in connection.exec_driver_sql(self._sql(_ROWS_AFTER), (row.id, since))]
            now = _head(connection.exec_driver_sql(self._sql(self._head), (row.id,)).one()).now
            return Stored(row, now, snapshot, rows, dict(tuple(one) for one in people))

    def names(self, event: int, people: Iterable[str]) -> dict[str, str]:
        """The current names of these people."""
        with _translated(), self.engine.connect() as connection:
            where = (PEOPLE.c.event == event, PEOPLE.c.person.in_(list(people)))
            return dict(tuple(one) for one in connection.execute(sa.select(PEOPLE.c.person, PEOPLE.c.name).where(*where)))

    def rows(self, event: int, since: int) -> list[Row]:
        """The rows after `since`, in order."""
        with _translated(), self.engine.connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(self._sql(_ROWS_AFTER), (event, since))]

    def head(self, event: int) -> Head:
        """Where the event's log stands."""
        with _translated(), self.engine.connect() as connection:
            return _head(connection.exec_driver_sql(self._sql(self._head), (event,)).one_or_none())

    def begin(self, event: int, since: int, commands: Sequence[tuple[str, str]]) -> Begun:
        """Take the event's row. The transaction stays open until `commit`, `save` or `release`. A kept connection that turns out
        to be dead, as after a restart of the database, is replaced once: nothing has been done on it yet."""
        with _translated(self):
            kept = self._writer is not None
            try:
                head = self._begin(event)
            except self._driver_error:
                if not kept or not self._dead():
                    raise
                self._drop()
                head = self._begin(event)
            missed = [] if head.seq == since else self._fetch(_ROWS_AFTER, (event, since))
            return Begun(head, missed, self._answered(event, commands))

    def rows_at(self, event: int, seqs: Sequence[int]) -> list[Row]:
        """These rows, within the open transaction."""
        with _translated(self):
            marks = ",".join("?" * len(seqs))
            return self._fetch(f"SELECT {_COLUMNS} FROM log WHERE event = ? AND seq IN ({marks}) ORDER BY seq", (event, *seqs))

    def wipe_notes(self, event: int, rooms: Sequence[str]) -> None:
        """Delete the notes of these rooms, within the open transaction."""
        with _translated(self):
            cursor = self._cursor()
            for room in rooms:
                cursor.execute(self._sql(_WIPE_NOTES), (event, room, WIPED, event, room))
                cursor.execute(self._sql(_FORGET_NOTES), (event, room) * 2)

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        """Append the rows, write the names (empty: delete), and replace the changes of the rows that are to forget a text, all or
        nothing. The snapshot goes with a forgotten text: it holds it too."""
        with _translated(self):
            cursor = self._cursor()
            if self._sqlite:
                cursor.executemany(_APPEND, [(event, *row) for row in rows])
            elif len(rows) == 1:
                cursor.execute(self._sql(_APPEND), (event, *rows[0]))
            else:
                cursor.execute(_APPEND_ARRAYS, (event, *map(list, zip(*rows, strict=True))))
            cursor.execute(self._sql(_ADVANCE_HEAD), (rows[-1][0], event))
            if names:
                self._write_names(cursor, event, names)
            for seq, changes in rewritten:
                cursor.execute(self._sql(_REWRITE), (changes, event, seq))
            if rewritten:
                cursor.execute(self._sql(_FORGET_SNAPSHOT), (event,))
            self._end(keep=True)

    def saved(self, event: int) -> int:
        """The seq of the event's snapshot, within the open transaction; 0 without one."""
        with _translated(self):
            found = self._fetch("SELECT seq FROM snapshots WHERE event = ?", (event,))
            return int(found[0][0]) if found else 0

    def save(self, event: int, seq: int, shape: str, state: bytes) -> None:
        """Replace the event's snapshot and end the open transaction. Within one, so that the state is that of the last row: an
        older one could bring back a text that was forgotten since."""
        with _translated(self):
            cursor = self._cursor()
            cursor.execute(self._sql(_FORGET_SNAPSHOT), (event,))
            cursor.execute(self._sql(_SAVE), (event, seq, shape, state))
            self._end(keep=True)

    def release(self) -> None:
        """End the transaction, if one is open, without a trace."""
        with _translated(self):
            self._end(keep=False)

    def _sql(self, statement: str) -> str:
        return statement if self._mark == "?" else statement.replace("?", self._mark)

    def _writing(self) -> Connection:
        return self.engine.connect().execution_options(writes=True)

    def _begin(self, event: int) -> Head:
        if self._writer is None:
            self._writer = self.engine.raw_connection()
        self._within = True
        cursor = self._cursor()
        if self._sqlite:
            cursor.execute(BEGIN_WRITING)
        cursor.execute(self._sql(self._take), (event,))
        return _head(cursor.fetchone())

    def _cursor(self) -> Any:
        assert self._within, "outside a transaction"
        assert self._writer is not None
        return self._writer.cursor()

    def _write_names(self, cursor: Any, event: int, names: dict[str, str]) -> None:
        given = [(person, name) for person, name in names.items() if name]
        if self._sqlite:
            cursor.executemany(_FORGET_NAME, [(event, person) for person in names])
            cursor.executemany(_ADD_NAME, [(event, *one) for one in given])
            return
        cursor.execute(_FORGET_NAMES_ARRAY, (event, list(names)))
        if given:
            cursor.execute(_ADD_NAMES_ARRAYS, (event, *map(list, zip(*given, strict=True))))

    def _fetch(self, statement: str, parameters: Sequence[Any]) -> list[Any]:
        cursor = self._cursor()
        cursor.execute(self._sql(statement), parameters)
        return [tuple(row) for row in cursor.fetchall()]

    def _answered(self, event: int, commands: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        if not self._sqlite:
            columns = [actor for actor, _ in commands], [command for _, command in commands]
            return {(row[2], row[3]): row for row in self._fetch(_ANSWERED_ARRAYS, (*columns, event))} if commands else {}
        found: dict[tuple[str, str], Row] = {}
        start = 0
        while start < len(commands):
            # A few fixed lengths keep the statements in the driver's cache.
            size = next(size for size in _CHUNKS if size <= len(commands) - start)
            chunk = commands[start : start + size]
            start += size
            for row in self._fetch(_wanted(size), (*(part for pair in chunk for part in pair), event)):
                found[row[2], row[3]] = row
        return found

    def _end(self, *, keep: bool) -> None:
        if not self._within or self._writer is None:
            return
        self._writer.commit() if keep else self._writer.rollback()
        self._within = False

    def _abandon(self) -> None:
        """Roll back what is open; a connection that cannot even do that is given up."""
        try:
            self._end(keep=False)
        except self._driver_error:
            self._drop()
        if self._dead():
            self._drop()

    def _dead(self) -> bool:
        """Whether the kept connection is of no more use; SQLite's is a file."""
        return self._writer is not None and bool(getattr(self._writer.driver_connection, "closed", False))

    def _drop(self) -> None:
        """Give the kept connection up, with whatever it had begun."""
        writer, self._writer, self._within = self._writer, None, False
        if writer is not None:
            writer.invalidate()

    @property
    def _driver_error(self) -> type[Exception]:
        return self.engine.dialect.loaded_dbapi.Error


@functools.cache
def _wanted(size: int) -> str:
    wanted = "WITH wanted (actor, command) AS (VALUES " + ",".join(["(?, ?)"] * size) + ")"
    return f"{wanted} SELECT {_COLUMNS} FROM wanted JOIN log USING (actor, command) WHERE log.event = ?"


def _head(row: Any) -> Head:
    """SQLite has no clock but this machine's. Raises Unavailable if the event is not there: the database was replaced."""
    if row is None:
        raise Unavailable("the event is gone")
    return Head(int(row[0]), str(row[1]), int(row[2]) if len(row) > 2 else int(time.time() * 1000))


class _translated:
    """The database's errors as `Unavailable`; with a log, its open transaction is rolled back."""

    def __init__(self, log: Log | None = None) -> None:
        self.log = log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if self.log is not None:
            self.log._abandon()
        if isinstance(error, DBAPIError | PoolTimeout) or (self.log is not None and isinstance(error, self.log._driver_error)):
            raise Unavailable(str(error).partition("\n")[0]) from error  # the first line: what follows quotes the values


def _engine(url: URL, lock_seconds: float) -> Engine:
    if url.get_backend_name() == "postgresql":
        # A process that stops within a transaction, paused or cut off, loses it before those who wait for the row give up.
        wait = f"-c lock_timeout={int(lock_seconds * 1000)} -c idle_in_transaction_session_timeout={int(lock_seconds * 600)}"
        timeouts = {"connect_timeout": max(2, int(lock_seconds)), "options": wait}
        # Pre-ping: a connection that a restart of the database has cut is replaced before it is used.
        url = url.set(drivername="postgresql+psycopg")
        return sa.create_engine(url, pool_size=2, pool_pre_ping=True, hide_parameters=True, connect_args=timeouts)
    engine = sa.create_engine(url, pool_size=2, hide_parameters=True)

    @sa.event.listens_for(engine, "connect")
    def prepare(connection: Any, _: object) -> None:
        connection.isolation_level = None  # the driver must not begin by itself: `begin` below does, and says how
        # WAL: readers never wait for the writer. FULL: a commit is on the disk before it is answered, even when the power goes.
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("PRAGMA secure_delete=ON")  # what is forgotten is overwritten, not only unlinked
        connection.execute(f"PRAGMA busy_timeout={int(lock_seconds * 1000)}")
        connection.execute("PRAGMA wal_autocheckpoint=4000")

    @sa.event.listens_for(engine, "begin")
    def begin(connection: Connection) -> None:
        connection.exec_driver_sql(BEGIN_WRITING if connection.get_execution_options().get("writes") else "BEGIN")

    return engine
