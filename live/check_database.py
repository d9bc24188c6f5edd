"""Whether the database does what the log needs of it. Changes nothing."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator
from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from live import migrations
from live.findings import Finding, broken, masked, ok, scrubbed, warning
from live.log import KEYS, Log
from live.settings import Settings

CLOCK_SECONDS = 2.0
"""Times in the log are those of the machine that wrote them; people's names for the minute must agree."""
_DATABASE = "database"


def database(settings: Settings, now: Callable[[], float]) -> Iterator[Finding]:
    """Reachable, of this release, writable, safe when the power goes, of the same time as this machine (`now`: seconds)."""
    url = settings.database
    try:
        if missing(url):
            yield ok(_DATABASE, f"{masked(url)} is not there yet; the first command makes it")
            return
        log = Log(url, lock_seconds=settings.lock_seconds)
    except (NoSuchModuleError, ImportError, ValueError):
        mend = "Write postgresql://user:password@host:5432/name (an @ of the password as %40 and the like), or unset it"
        yield broken(_DATABASE, "DATABASE_URL is not the address of a database that Plenum knows", mend)
        return
    try:
        yield from _opened(log, url, now)
    finally:
        log.close()


def sqlite_file(url: str) -> Path | None:
    """Where SQLite keeps it; None for PostgreSQL. Raises ValueError for an address that is neither's."""
    try:
        read = make_url(url)
    except ArgumentError:
        raise ValueError("no address") from None
    if read.get_backend_name() == "postgresql" and not set(read.host or "") & set("@/?#"):  # a password that is not %-encoded
        return None
    if read.get_backend_name() != "sqlite" or not read.database or read.database.startswith(":"):
        raise ValueError("no file and no server")
    return Path(read.database.removeprefix("file:"))


def missing(url: str) -> bool:
    """Whether looking at it would make it."""
    file = sqlite_file(url)
    return file is not None and not os.path.lexists(file)


def _opened(log: Log, url: str, now: Callable[[], float]) -> Iterator[Finding]:
    try:
        with log.engine.connect() as connection:
            yield ok(_DATABASE, f"{_engine(connection)} answers at {masked(url)}")
            tables = yield from _schema(connection)
            yield from _DURABILITY[connection.dialect.name](connection)
            if connection.dialect.name == "postgresql":
                yield clock(_DATABASE, float(connection.scalar(_TIME) or 0) - now())
        yield _writable(log, url, tables)
    except DBAPIError as error:
        yield broken(
            _DATABASE,
            f"{masked(url)} cannot be opened: {_reason(error, url)}",
            "Start it, or correct DATABASE_URL and what the database allows its user; for a file, its owner and its disk",
        )


def clock(about: str, ahead: float) -> Finding:
    """How far the other machine's clock is ahead of this one's."""
    if abs(ahead) > CLOCK_SECONDS:
        way = "ahead of" if ahead > 0 else "behind"
        seen = f"its clock is {abs(ahead):.1f} s {way} this machine's"
        return warning(about, seen, "Let both take the time from a server (timedatectl set-ntp true)")
    return ok(about, f"its clock agrees with this machine's within {CLOCK_SECONDS:g} s")


def _engine(connection: Connection) -> str:
    version = ".".join(map(str, connection.dialect.server_version_info or ()))
    return f"{'SQLite' if connection.dialect.name == 'sqlite' else 'PostgreSQL'} {version}"


def _schema(connection: Connection) -> Generator[Finding, None, bool]:
    """Returns whether Plenum's tables are there."""
    try:
        found = migrations.fitting(connection)
    except migrations.Mismatch as problem:
        about, _, mend = str(problem).partition(". ")
        yield broken("schema", about, mend or "It must be empty, or Plenum's own")
        return False
    yield ok("schema", found or "the database is empty; the first command makes the tables")
    return found is not None


def _sqlite_durability(connection: Connection) -> Iterator[Finding]:
    mode, synchronous = (connection.exec_driver_sql(f"PRAGMA {name}").scalar() for name in ("journal_mode", "synchronous"))
    if mode != "wal":
        mend = "Put the file on a disk of this machine: network drives cannot do it"
        yield warning("durability", f"SQLite keeps no write-ahead log here (journal_mode {mode}): reading and writing wait", mend)
    else:
        yield ok("durability", f"a commit is on the disk before it is answered (synchronous {synchronous}, write-ahead log)")


def _postgresql_durability(connection: Connection) -> Iterator[Finding]:
    names = ("fsync", "full_page_writes", "synchronous_commit")
    off = [name for name in names if connection.exec_driver_sql(f"SHOW {name}").scalar() == "off"]
    mend = f"Set {' and '.join(f'{name} = on' for name in off)} in PostgreSQL's configuration"
    if off == ["synchronous_commit"]:
        yield warning("durability", "synchronous_commit is off: the last second's answers can be lost with the power", mend)
    elif off:
        yield broken("durability", f"{' and '.join(off)} off: the whole database can be lost with the power", mend)
    else:
        yield ok("durability", "a commit is on the disk before it is answered (fsync, synchronous_commit)")


_TIME = sa.text("SELECT extract(epoch FROM clock_timestamp())")
_DURABILITY = {"sqlite": _sqlite_durability, "postgresql": _postgresql_durability}


def _writable(log: Log, url: str, tables: bool) -> Finding:
    """Writes, and takes it back."""
    try:
        with log.engine.connect().execution_options(writes=True) as connection:
            if tables:
                connection.execute(KEYS.insert().values(name="plenum check", value=""))
            else:
                connection.exec_driver_sql("CREATE TABLE plenum_check (id INTEGER)")
            connection.rollback()
    except DBAPIError as error:
        if migrations.is_locked(error):
            return warning("writing", "somebody else has it locked for longer than a commit waits", "Look again; find out who does")
        mend = "Let Plenum's user write (owner of the file, GRANT), make room, or name the server that is no replica"
        return broken("writing", f"it takes nothing: {_reason(error, url)}", mend)
    return ok("writing", "it takes what is written")


def _reason(error: DBAPIError, url: str) -> str:
    lines = [line.strip() for line in str(error.orig).splitlines() if line.strip()]
    return scrubbed(lines[0] if lines else type(error.orig).__name__, url).rstrip(".")
