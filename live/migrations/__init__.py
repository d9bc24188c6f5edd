"""The schema of the database: which revision it has, and the way to today's. Alembic, one transaction, safe to call twice at once.

Revisions only add (see docs/operating.md), so that processes of the last release go on working while the new ones start.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import sqlalchemy as sa
from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import DBAPIError

FOLDER = Path(__file__).parent
FIRST = "0001"
FIRST_TABLES = frozenset({"events", "log", "snapshots", "people", "keys"})
"""What releases before Alembic have made: their databases do not name a revision."""
VERSION_TABLE = "alembic_version"
PATIENCE = 60.0
"""Seconds that a migration tries to get its locks. Each try waits only as long as a commit does (`lock_seconds`): in PostgreSQL
everybody else's commits queue up behind a change of a table that waits."""
PAUSE_SECONDS = 600
"""How long a migration, a backup or a restore may be silent before PostgreSQL takes it for dead."""
_ADVISORY = int.from_bytes(b"plenum")
T = TypeVar("T")


class Mismatch(Exception):
    """The tables are not those of this release; the message says what to do."""


def head() -> str:
    """The revision that this release works with."""
    newest = _scripts().get_current_head()
    assert newest is not None, "a release has revisions"
    return newest


def known() -> set[str]:
    """Every revision up to `head`."""
    return {script.revision for script in _scripts().walk_revisions()}


def revision(connection: Connection) -> str | None:
    """The database's revision; None if Plenum's tables are not there yet. Raises Mismatch if it is newer than this release, or
    somebody else's."""
    named = MigrationContext.configure(connection).get_current_heads()
    if not named:
        return _unnamed(connection)
    if len(named) > 1 or named[0] not in known():
        raise Mismatch(
            f"the database is newer than this program: its schema is {', '.join(named)}, this program knows those up to {head()}. "
            "Start the release that has migrated it, or a newer one"
        )
    return str(named[0])


def fitting(connection: Connection) -> str | None:
    """The database's revision if it is today's; None if it is empty. Raises Mismatch otherwise."""
    found = revision(connection)
    if found not in (None, head()):
        raise Mismatch(
            f"the database is older than this program: its schema is {found}, this program needs {head()}. "
            "Make a backup, then run `plenum migrate`; servers of the last release may go on meanwhile"
        )
    return found


def prepare(engine: Engine) -> None:
    """Make the tables in an empty database. Raises Mismatch if there are tables that are not today's."""
    with engine.connect() as connection:
        found = fitting(connection)
    if found is None:
        migrate(engine)


def migrate(engine: Engine) -> tuple[str | None, str]:
    """Bring the tables up to date, all or nothing; returns the revision before (None: empty) and after. Two at once take turns.
    Raises Mismatch if they are newer than this release."""

    def once() -> tuple[str | None, str]:
        with engine.connect().execution_options(writes=True) as connection, connection.begin():
            take_time(connection)
            take_turns(connection)
            before = revision(connection)
            upgrade(connection, head())
            return before, head()

    return _patiently(once)


def take_time(connection: Connection) -> None:
    """Do not lose the transaction over a pause, such as that of a slow disk: a commit does soon, for those who wait for it."""
    if connection.dialect.name == "postgresql":
        connection.exec_driver_sql(f"SET LOCAL idle_in_transaction_session_timeout = '{PAUSE_SECONDS}s'")


def take_turns(connection: Connection) -> None:
    """Be the only transaction that changes tables, until it ends. SQLite has locked with BEGIN IMMEDIATE."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY)))


def upgrade(connection: Connection, to: str) -> None:
    """Run what lies between the tables' revision and this one, within the connection's transaction."""
    config = _config()
    config.attributes["connection"] = connection
    if not MigrationContext.configure(connection).get_current_heads() and _unnamed(connection) is not None:
        command.stamp(config, FIRST)
    command.upgrade(config, to)


def is_locked(error: DBAPIError) -> bool:
    """SQLITE_BUSY; in PostgreSQL lock_not_available and deadlock_detected."""
    busy = str(getattr(error.orig, "sqlite_errorname", "")).startswith("SQLITE_BUSY")
    return busy or getattr(error.orig, "sqlstate", None) in ("55P03", "40P01")


def _unnamed(connection: Connection) -> str | None:
    there = FIRST_TABLES & set(sa.inspect(connection).get_table_names())
    if there and there != FIRST_TABLES:
        raise Mismatch(
            f"the database has tables that are not Plenum's ({', '.join(sorted(there))}): give Plenum a database of its own"
        )
    return FIRST if there else None


def _patiently(work: Callable[[], T]) -> T:
    deadline = time.monotonic() + PATIENCE
    while True:
        try:
            return work()
        except DBAPIError as error:
            if not is_locked(error) or time.monotonic() > deadline:
                raise
            time.sleep(0.05)  # some locks of SQLite are refused at once


def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    return config
