"""`plenum backup`: everything that is in the database as one file, which any engine takes (`live/restore.py`).

The file is gzipped lines of JSON: a header, the rows of each table in the header's order (bytes as base64), and a checksum. It
holds personal data and the installation's secrets, so nobody but its owner may read it.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import itertools
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Any, TypeVar

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

from live import migrations
from live.log import METADATA, Log, Unavailable

FORMAT = 1
FETCHED = 20
"""Rows in memory while they are written; a snapshot of a large event has megabytes."""
T = TypeVar("T")


class Impossible(Exception):
    """Nothing was changed; the message says why, and what to do."""


class Table(msgspec.Struct, frozen=True):
    """What the file holds of a table."""

    name: str
    columns: list[str]
    rows: int


class Header(msgspec.Struct, frozen=True, tag_field="plenum", tag="backup"):
    """The first line."""

    format: int
    schema: str
    made_at: str
    tables: list[Table]

    def rows(self, name: str) -> int:
        """How many rows of this table are in the file."""
        return next((table.rows for table in self.tables if table.name == name), 0)


class Footer(msgspec.Struct, frozen=True):
    """The last line: SHA-256 of all lines before it, as they are without gzip."""

    sha256: str


def backup(log: Log, path: Path) -> Header:
    """Write what one moment's transaction sees. The file appears under its name when it is complete and on the disk. Raises
    Impossible, `Mismatch`, Unavailable, OSError."""
    with translated(), _reading(log.engine) as connection:
        schema = migrations.revision(connection)
        if schema is None:
            raise Impossible("there is nothing to back up: the database is empty. Is it the right one (--data, DATABASE_URL)?")
        tables = reflected(connection)
        now = datetime.now(UTC).isoformat(timespec="seconds")
        header = Header(FORMAT, schema, now, [_described(connection, table) for table in tables])
        with _appearing(path) as file:
            _write(file, header, connection, tables)
        return header


def _described(connection: Connection, table: sa.Table) -> Table:
    rows = connection.scalar(sa.select(sa.func.count()).select_from(table))
    return Table(str(table.name), [str(column.name) for column in table.columns], rows or 0)


def _write(file: IO[bytes], header: Header, connection: Connection, tables: list[sa.Table]) -> None:
    encoder, digest = msgspec.json.Encoder(), hashlib.sha256()
    with gzip.GzipFile(fileobj=file, mode="wb", filename="", compresslevel=6) as lines:
        rows = (tuple(row) for table in tables for row in _streamed(connection, table))
        for line in itertools.chain([header], rows):
            written = encoder.encode(line) + b"\n"
            digest.update(written)
            lines.write(written)
        lines.write(encoder.encode(Footer(digest.hexdigest())) + b"\n")


def _streamed(connection: Connection, table: sa.Table) -> Iterable[sa.Row[Any]]:
    query = sa.select(table).order_by(*table.primary_key.columns)
    return connection.execute(query, execution_options={"yield_per": FETCHED})


@contextlib.contextmanager
def _reading(engine: Engine) -> Iterator[Connection]:
    """A transaction that sees one moment, while others go on writing."""
    if engine.dialect.name == "sqlite":
        with engine.connect() as connection, connection.begin():
            yield connection
        return
    with engine.connect() as connection:
        tables = [table for table in (*METADATA.tables, migrations.VERSION_TABLE) if sa.inspect(connection).has_table(table)]
    with engine.connect() as connection:
        connection.execution_options(isolation_level="REPEATABLE READ", postgresql_readonly=True)
        with connection.begin():
            migrations.take_time(connection)
            if tables:  # before the first query, which fixes the moment: no migration may come between
                connection.exec_driver_sql(f"LOCK TABLE {', '.join(tables)} IN ACCESS SHARE MODE")
            yield connection


@contextlib.contextmanager
def _appearing(path: Path) -> Iterator[IO[bytes]]:
    """A file that has its name only when it is complete and on the disk. mkstemp lets nobody else read it."""
    handle, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".part", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        Path(name).replace(path)
    except BaseException:
        Path(name).unlink(missing_ok=True)
        raise
    directory = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(directory)
    finally:
        os.close(directory)


def verified(file: IO[bytes]) -> Header:
    """The header of a whole, undamaged backup that this release can read. Raises Impossible."""
    lines = Lines(file)
    if lines.header.format > FORMAT or lines.header.schema not in migrations.known():
        raise Impossible(
            f"the backup is newer than this program: its schema is {lines.header.schema}, this program knows those up to "
            f"{migrations.head()}. Restore it with the release that has made it, or a newer one"
        )
    for _ in lines.rows():
        pass
    return lines.header


class Lines:
    """The file from its beginning. Every method raises Impossible if it is damaged."""

    def __init__(self, file: IO[bytes]) -> None:
        file.seek(0)
        self._file = gzip.GzipFile(fileobj=file, mode="rb")
        self._digest = hashlib.sha256()
        self.header = self._decoded(self._line(), Header)

    def rows(self) -> Iterator[tuple[Table, list[Any], int]]:
        """Table, values and length of each row; after the last one, the checksum and the end were right."""
        for table in self.header.tables:
            for _ in range(table.rows):
                line = self._line()
                row = self._decoded(line, list[Any])
                if len(row) != len(table.columns):
                    raise _damaged("a row has another shape than its table")
                yield table, row, len(line)
        found = self._digest.hexdigest()
        if self._decoded(self._line(), Footer).sha256 != found:
            raise _damaged("the checksum does not fit")
        if self._read() != b"":
            raise _damaged("it goes on after its end")

    def _line(self) -> bytes:
        line = self._read()
        if not line.endswith(b"\n"):
            raise _damaged("its end is missing")
        self._digest.update(line)
        return line

    def _read(self) -> bytes:
        try:
            return self._file.readline()
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            raise _damaged(str(error)) from None

    def _decoded(self, line: bytes, type: type[T]) -> T:
        try:
            return msgspec.json.decode(line, type=type)
        except (msgspec.DecodeError, UnicodeDecodeError):
            raise _damaged("a line is not what a backup holds") from None


def _damaged(why: str) -> Impossible:
    return Impossible(f"the file is damaged or no backup of Plenum: {why}. Nothing was changed; take another backup")


def reflected(connection: Connection) -> list[sa.Table]:
    """Our tables as they are there, which may be those of an earlier release."""
    there = set(sa.inspect(connection).get_table_names())
    found = sa.MetaData()
    return [sa.Table(name, found, autoload_with=connection) for name in METADATA.tables if name in there]


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """The database's errors as `Unavailable`, without the statement's values, which are people's."""
    try:
        yield
    except DBAPIError as error:
        raise Unavailable(str(error.orig)) from error
