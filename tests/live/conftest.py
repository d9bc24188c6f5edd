"""Engines for the tests of what runs on them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.live.engines import Postgres, RedisServer


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Postgres]:
    """One PostgreSQL for all tests."""
    engine = Postgres(tmp_path_factory.mktemp("postgres"))
    engine.start()
    yield engine
    engine.stop()


@pytest.fixture
def redis() -> Iterator[RedisServer]:
    """A Redis that the test may kill and start again."""
    engine = RedisServer()
    engine.start()
    yield engine
    engine.stop()
