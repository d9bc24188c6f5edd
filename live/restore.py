"""`plenum restore`: a backup becomes the database's contents, all or nothing. In a database that nobody else has open; or, when
asked for, under running servers, which notice by the events' new epochs and read everything anew."""

from __future__ import annotations

import base64
import contextlib
import itertools
import secrets
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from live import migrations
from live.backup import Header, Impossible, Lines, reflected, translated, verified
from live.log import EVENTS, METADATA, Log, Unavailable

INSERTED = 1_000_000
"""Bytes of the file's lines in one insert."""
USE_SECONDS = 2.0
"""How long to wait for those who have the database open."""


def restore(log: Log, path: Path, *, replace: bool = False, running: bool = False) -> Header:
    """Put the file's contents into the database after the whole file was found undamaged. Every event gets a new epoch: a page that
    has seen more than is restored must reload, not resume. Raises Impossible, `Mismatch`, Unavailable, OSError."""
    with path.open("rb") as file:
        header = verified(file)
        with translated(), (_among_others if running else _alone)(log.engine) as connection:
            _clear(connection, replace)
            migrations.upgrade(connection, header.schema)
            _fill(connection, Lines(file))
            migrations.upgrade(connection, migrations.head())
            _renew_epochs(connection)
            _count_on(connection)
    return header


def _clear(connection: Connection, replace: bool) -> None:
    """No tables, whatever release they were of."""
    migrations.revision(connection)  # raises Mismatch about tables that we do not know
    held = {table.name: connection.scalar(sa.select(sa.func.count()).select_from(table)) for table in reflected(connection)}
    if any(held.values()) and not replace:
        rows = ", ".join(f"{count} in {name}" for name, count in held.items() if count)
        raise Impossible(f"the database is not empty (rows: {rows}); with --replace all of it is deleted first")
    METADATA.drop_all(connection)
    connection.exec_driver_sql(f"DROP TABLE IF EXISTS {migrations.VERSION_TABLE}")


def _fill(connection: Connection, lines: Lines) -> None:
    tables = {table.name: table for table in reflected(connection)}
    there = {name: sorted(table.columns.keys()) for name, table in tables.items()}
    if {table.name: sorted(table.columns) for table in lines.header.tables} != there:
        raise Impossible(f"the backup's tables are not those of schema {lines.header.schema}: it was not made by Plenum")
    for described, rows in itertools.groupby(lines.rows(), lambda line: line[0]):
        table = tables[described.name]
        binary = {column.name for column in table.columns if isinstance(column.type, sa.LargeBinary)}
        for values in _batches((row, size) for _, row, size in rows):
            connection.execute(table.insert(), [_bound(described.columns, row, binary) for row in values])


def _batches(rows: Iterable[tuple[list[Any], int]]) -> Iterator[list[list[Any]]]:
    batch: list[list[Any]] = []
    held = 0
    for row, size in rows:
        batch.append(row)
        held += size
        if held >= INSERTED:
            yield batch
            batch, held = [], 0
    if batch:
        yield batch


def _bound(columns: list[str], row: list[Any], binary: set[str]) -> dict[str, Any]:
    named = dict(zip(columns, row, strict=True))
    return {name: base64.b64decode(value) if name in binary and value is not None else value for name, value in named.items()}


def _renew_epochs(connection: Connection) -> None:
    for event in connection.scalars(sa.select(EVENTS.c.id)).all():
        connection.execute(EVENTS.update().where(EVENTS.c.id == event).values(epoch=secrets.token_hex(4)))


def _count_on(connection: Connection) -> None:
    """PostgreSQL counts ids apart from the rows; SQLite takes the next one after the largest."""
    if connection.dialect.name == "postgresql":
        largest = sa.select(sa.func.coalesce(sa.func.max(EVENTS.c.id), 0) + 1).scalar_subquery()
        connection.execute(sa.select(sa.func.setval(sa.func.pg_get_serial_sequence("events", "id"), largest, False)))


@contextlib.contextmanager
def _among_others(engine: Engine) -> Iterator[Connection]:
    """A transaction that waits for those of running servers, as theirs wait for it."""
    with engine.connect().execution_options(writes=True) as connection, connection.begin():
        if engine.dialect.name == "postgresql":
            migrations.take_time(connection)
            migrations.take_turns(connection)
        yield connection


@contextlib.contextmanager
def _alone(engine: Engine) -> Iterator[Connection]:
    """A transaction of the only one who has the database open, which is what somebody expects who did not say otherwise."""
    with engine.connect().execution_options(writes=True) as connection:
        try:
            if engine.dialect.name == "sqlite":
                _take_file(connection)
            with connection.begin():
                if engine.dialect.name == "postgresql":
                    _take_tables(connection)
                yield connection
        except DBAPIError as error:
            if migrations.is_locked(error):
                raise _in_use() from None
            raise
        finally:
            connection.invalidate()  # the lock on SQLite's file goes with the connection


def _take_file(connection: Connection) -> None:
    """Refused while anybody else has the file open. Without WAL, BEGIN locks readers out too."""
    driver: Any = connection.connection.driver_connection
    try:
        driver.execute("PRAGMA locking_mode=EXCLUSIVE")
        (mode,) = driver.execute("PRAGMA journal_mode=DELETE").fetchone()
    except driver.OperationalError as error:
        if not str(getattr(error, "sqlite_errorname", "")).startswith("SQLITE_BUSY"):
            raise Unavailable(str(error)) from None
        mode = "busy"
    if mode != "delete":
        raise _in_use()


def _take_tables(connection: Connection) -> None:
    """Whoever is connected now is seen; whoever comes later waits for these tables."""
    migrations.take_time(connection)
    migrations.take_turns(connection)
    tables = [table.name for table in reflected(connection)]
    if tables:
        connection.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN ACCESS EXCLUSIVE MODE")
    deadline = time.monotonic() + USE_SECONDS
    others = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND usename = current_user "
        "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
    )
    while connection.scalar(others):
        if time.monotonic() > deadline:
            raise _in_use()
        time.sleep(0.05)
        connection.exec_driver_sql("SELECT pg_stat_clear_snapshot()")


def _in_use() -> Impossible:
    return Impossible("the database is in use: stop whatever has it open and restore again, or restore under it with --running")
