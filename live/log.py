"""The log: what every event's commands changed, in order, committed before anybody sees it. SQLAlchemy Core, synchronous;
all of it runs in the one writer thread (`live/desk.py`).

One transaction takes the event's row first, so that two processes never decide at the same time about the same event: the
database is the arbiter. SQLite: `BEGIN IMMEDIATE`.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, Engine, make_url
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

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
_ROW = (LOG.c.seq, LOG.c.at, LOG.c.actor, LOG.c.command, LOG.c.changes, LOG.c.result)
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
KEYS = sa.Table("keys", METADATA, sa.Column("name", sa.Text, primary_key=True), sa.Column("value", sa.Text, nullable=False))

_READ_HEAD = "SELECT head FROM events WHERE id = ?"
_TAKE_HEAD = "UPDATE events SET head = head WHERE id = ? RETURNING head"
_ADVANCE_HEAD = "UPDATE events SET head = ? WHERE id = ?"
_APPEND = "INSERT INTO log (event, seq, at, actor, command, changes, result) VALUES (?, ?, ?, ?, ?, ?, ?)"
_COLUMNS = "log.seq, log.at, actor, command, log.changes, log.result"
_CHUNKS = (512, 64, 8, 1)
# The hot statements are written out: compiling them anew costs more than running them.

Row = tuple[int, int, str, str, bytes, bytes]
"""seq, at (ms), actor, command id, changes, result."""


class Unavailable(Exception):
    """The database did not do it: locked, full, gone. Nothing of the transaction is stored."""


class Stored:
    """What the database knows of an event: identity, the last snapshot, the rows after it, and people's names."""

    def __init__(self, row: Any, snapshot: Any, rows: list[Row], names: dict[str, str]) -> None:
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
        sqlite = self.engine.dialect.name == "sqlite"
        # SQLite has locked with BEGIN IMMEDIATE; elsewhere it is the update of the row that makes the others wait.
        self._take = self._for_driver(_READ_HEAD if sqlite else _TAKE_HEAD)
        self._advance = self._for_driver(_ADVANCE_HEAD)
        self._append = self._for_driver(_APPEND)
        self._open: Connection | None = None

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
        self._end(keep=False)
        self.engine.dispose()

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
            return Stored(row, snapshot, self._rows(connection, row.id, since), dict(tuple(one) for one in people))

    def names(self, event: int, people: Iterable[str]) -> dict[str, str]:
        """The current names of these people."""
        with _translated(), self.engine.connect() as connection:
            where = (PEOPLE.c.event == event, PEOPLE.c.person.in_(list(people)))
            return dict(tuple(one) for one in connection.execute(sa.select(PEOPLE.c.person, PEOPLE.c.name).where(*where)))

    def rows(self, event: int, since: int) -> list[Row]:
        """The rows after `since`, in order."""
        with _translated(), self.engine.connect() as connection:
            return self._rows(connection, event, since)

    def head(self, event: int) -> int:
        """The seq of the last row."""
        with _translated(), self.engine.connect() as connection:
            return int(connection.scalar(sa.select(EVENTS.c.head).where(EVENTS.c.id == event)) or 0)

    def begin(self, event: int, since: int, commands: Sequence[tuple[str, str]]) -> tuple[list[Row], dict[tuple[str, str], Row]]:
        """Take the event's row; returns the rows that others have appended after `since`, and the rows of those (actor, command
        id) that were answered before. The transaction stays open until `commit` or `release`."""
        with _translated(self):
            self._open = connection = self._writing()
            head = connection.exec_driver_sql(self._take, (event,)).scalar_one()
            missed = [] if head == since else self._rows(connection, event, since)
            return missed, self._answered(connection, event, commands)

    def rows_at(self, event: int, seqs: Sequence[int]) -> list[Row]:
        """These rows, within the open transaction."""
        connection = self._open
        assert connection is not None, "outside a transaction"
        with _translated(self):
            query = sa.select(*_ROW).where(LOG.c.event == event, LOG.c.seq.in_(list(seqs))).order_by(LOG.c.seq)
            return [tuple(row) for row in connection.execute(query)]

    def commit(self, event: int, rows: Sequence[Row], names: dict[str, str], rewritten: Sequence[tuple[int, bytes]] = ()) -> None:
        """Append the rows, write the names (empty: delete), and replace the changes of the rows that are to forget a text, all or
        nothing. The snapshot goes with a forgotten text: it holds it too."""
        connection = self._open
        assert connection is not None, "commit outside a transaction"
        with _translated(self):
            connection.exec_driver_sql(self._append, [(event, *row) for row in rows])
            connection.exec_driver_sql(self._advance, (rows[-1][0], event))
            for person, name in names.items():
                connection.execute(PEOPLE.delete().where(PEOPLE.c.event == event, PEOPLE.c.person == person))
                if name:
                    connection.execute(PEOPLE.insert().values(event=event, person=person, name=name))
            for seq, changes in rewritten:
                connection.execute(LOG.update().where(LOG.c.event == event, LOG.c.seq == seq).values(changes=changes))
            if rewritten:
                connection.execute(SNAPSHOTS.delete().where(SNAPSHOTS.c.event == event))
            self._end(keep=True)

    def release(self) -> None:
        """End the transaction without a trace."""
        with _translated(self):
            self._end(keep=False)

    def save(self, event: int, seq: int, shape: str, state: bytes) -> None:
        """Replace the event's snapshot."""
        with _translated(), self._writing() as connection, connection.begin():
            connection.execute(SNAPSHOTS.delete().where(SNAPSHOTS.c.event == event))
            connection.execute(SNAPSHOTS.insert().values(event=event, seq=seq, shape=shape, state=state))

    def _for_driver(self, statement: str) -> str:
        return statement if self.engine.dialect.paramstyle == "qmark" else statement.replace("?", "%s")

    def _writing(self) -> Connection:
        return self.engine.connect().execution_options(writes=True)

    def _answered(self, connection: Connection, event: int, commands: Sequence[tuple[str, str]]) -> dict[tuple[str, str], Row]:
        found: dict[tuple[str, str], Row] = {}
        start = 0
        while start < len(commands):
            # A few fixed lengths keep the statements in the driver's cache.
            size = next(size for size in _CHUNKS if size <= len(commands) - start)
            chunk = commands[start : start + size]
            start += size
            wanted = "WITH wanted (actor, command) AS (VALUES " + ",".join(["(?, ?)"] * size) + ")"
            statement = f"{wanted} SELECT {_COLUMNS} FROM wanted JOIN log USING (actor, command) WHERE log.event = ?"
            for row in connection.exec_driver_sql(self._for_driver(statement), (*(part for pair in chunk for part in pair), event)):
                found[row[2], row[3]] = tuple(row)
        return found

    def _rows(self, connection: Connection, event: int, since: int) -> list[Row]:
        query = sa.select(*_ROW).where(LOG.c.event == event, LOG.c.seq > since).order_by(LOG.c.seq)
        return [tuple(row) for row in connection.execute(query)]

    def _end(self, *, keep: bool) -> None:
        connection, self._open = self._open, None
        if connection is not None:
            try:
                connection.commit() if keep else connection.rollback()
            finally:
                connection.close()


class _translated:
    """The database's errors as `Unavailable`; with a log, its open transaction is rolled back."""

    def __init__(self, log: Log | None = None) -> None:
        self.log = log

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: object) -> None:
        if error is None:
            return
        if self.log is not None and self.log._open is not None:
            try:
                self.log._end(keep=False)
            except DBAPIError:
                self.log.engine.dispose()
        if isinstance(error, DBAPIError | PoolTimeout):
            raise Unavailable(str(error)) from error


def _engine(url: URL, lock_seconds: float) -> Engine:
    if url.get_backend_name() == "postgresql":
        wait = f"-c lock_timeout={int(lock_seconds * 1000)} -c idle_in_transaction_session_timeout=60000"
        timeouts = {"connect_timeout": max(2, int(lock_seconds)), "options": wait}
        return sa.create_engine(url.set(drivername="postgresql+psycopg"), pool_size=2, connect_args=timeouts)
    engine = sa.create_engine(url, pool_size=2)

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
        # IMMEDIATE takes the write lock at once: a transaction that reads first and then writes could otherwise never upgrade.
        connection.exec_driver_sql("BEGIN IMMEDIATE" if connection.get_execution_options().get("writes") else "BEGIN")

    return engine
