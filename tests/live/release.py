"""Databases of other releases: what the first one has left behind, and a next one, which adds a column."""

from __future__ import annotations

import io
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.migration import MigrationContext
from alembic.operations import Operations

from live import migrations
from live.log import METADATA, Log
from live.migrations import FIRST

END = ";\n\n"
RELEASES = Path(__file__).parent / "releases"
ADDED = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "9001", "0001"


def upgrade():
    op.add_column("people", sa.Column("pronoun", sa.Text, nullable=False, server_default="?"))
"""
ROWS: dict[str, list[tuple[Any, ...]]] = {
    "events": [(3, "abend", "geheim", "a1b2c3d4", 2, 1_597_939_200_000)],
    "log": [
        (3, 1, 1_597_939_200_001, "system", "c-1", b'[{"c":"configured"}]', b"{}"),
        (3, 2, 1_597_939_200_002, "anna", "c-2", '[{"c":"submitted","text":"Bänke & \'Bäume\'"}]'.encode(), b'{"contribution":1}'),
    ],
    "snapshots": [(3, 1, "shape", bytes(range(256)))],
    "people": [(3, "anna", "Anna Şahin")],
    "keys": [("person", "schlüssel")],
}
"""What the first release left behind."""


def next_release_of(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """From now on the program is of a release with one more revision; returns that revision."""
    folder = tmp_path / "migrations"
    shutil.copytree(migrations.FOLDER, folder, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(migrations, "FOLDER", folder)
    revised(ADDED)
    return "9001"


def revised(source: str) -> None:
    """This is what the next release's revision does, after the last one of this release."""
    (migrations.FOLDER / "versions" / "9001_added.py").write_text(source.replace('"0001"', f'"{this_release()}"'))


def this_release() -> str:
    """The revision before the next release's."""
    return max(file.name[:4] for file in (migrations.FOLDER / "versions").glob("0*.py"))


def contents(log: Log, names: Iterable[str] = METADATA.tables) -> dict[str, list[tuple[Any, ...]]]:
    """All rows of these tables."""
    with log.engine.connect() as connection:
        return {name: sorted(tuple(row) for row in connection.execute(sa.select(METADATA.tables[name]))) for name in names}


def as_at_first(log: Log) -> dict[str, list[tuple[Any, ...]]]:
    """All rows, with the columns that the first release had."""
    return {name: [row[: len(ROWS[name][0])] for row in rows] for name, rows in contents(log, ROWS).items()}


def leave_behind(log: Log, *, named: bool) -> None:
    """What the first release left, from the checked-in file; without its revision, as releases before Alembic did."""
    statements = (RELEASES / f"{FIRST}.{log.engine.dialect.name}.sql").read_text("utf-8").split(END)
    with log.engine.begin() as connection:
        for statement in statements:
            if statement.strip() and (named or migrations.VERSION_TABLE not in statement):
                connection.exec_driver_sql(statement)


def first_release(engine: str) -> str:
    """SQL of a database as the first release has left it: what the first revision does, its name, and rows."""
    written = io.StringIO()
    context = MigrationContext.configure(dialect_name=engine, opts={"as_sql": True, "output_buffer": written})
    with Operations.context(context):
        migrations._scripts().get_revision(FIRST).module.upgrade()
        context.impl.create_table(context._version)
    rows = [("alembic_version", (FIRST,)), *((name, row) for name, rows in ROWS.items() for row in rows)]
    for table, row in rows:
        written.write(f"INSERT INTO {table} VALUES ({', '.join(literal(value, engine) for value in row)}){END}")
    return written.getvalue()


def literal(value: int | str | bytes, engine: str) -> str:
    """As the engine writes it."""
    if isinstance(value, bytes):
        return f"X'{value.hex()}'" if engine == "sqlite" else f"'\\x{value.hex()}'"
    return str(value) if isinstance(value, int) else "'" + value.replace("'", "''") + "'"
