"""Databases for the tests of what is stored in them."""

from __future__ import annotations

import uuid
from collections.abc import Callable
from pathlib import Path

import psycopg
import pytest

from tests.live.engines import Postgres
from tests.live.release import next_release_of

NewDatabase = Callable[[str], str]
"""sqlite or postgresql → the address of an empty database."""


@pytest.fixture
def new_database(request: pytest.FixtureRequest, tmp_path: Path) -> NewDatabase:
    """Makes databases with nothing in them."""

    def made(engine: str) -> str:
        name = f"d{uuid.uuid4().hex[:12]}"
        if engine == "sqlite":
            return f"sqlite:///{tmp_path / name}.sqlite3"
        postgres: Postgres = request.getfixturevalue("postgres")
        with psycopg.connect(postgres.url, autocommit=True) as connection:
            connection.execute(f"CREATE DATABASE {name}".encode())
        return postgres.url.replace("/postgres", f"/{name}")

    return made


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, new_database: NewDatabase) -> str:
    """The address of an empty database; once with each engine."""
    engine: str = request.param
    return new_database(engine)


@pytest.fixture
def release(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[], str]:
    """When it is called the program becomes of a release with one more revision, which adds a column; returns that revision."""
    return lambda: next_release_of(tmp_path, monkeypatch)


@pytest.fixture
def next_release(release: Callable[[], str]) -> str:
    """The program is of that release; its revision."""
    return release()
