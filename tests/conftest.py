"""Shared by all tests: real servers in processes of their own, and an event on one of them."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.flow.evening import Evening
from tests.flow.server import Server
from tests.live.engines import Postgres, RedisServer

_ANY_PACE = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""How long an example takes is the machine's affair; a test says what is right, not how fast."""
settings.register_profile("gate", _ANY_PACE, derandomize=True)
settings.register_profile("search", _ANY_PACE)
settings.load_profile("gate")
"""Whether a change is right is not a matter of luck: the examples are the same for everybody. `make search` looks for new ones."""

_BURSTS = ("send_burst", "submit_burst", "say_burst", "address_burst", "join_burst", "register_burst", "notes_growth_burst")
_MUCH = (*_BURSTS, "address_rate", "submit_rate")
OPEN_HANDED: dict[str, object] = {"form_seconds": 0, **dict.fromkeys(_MUCH, 1000000)}
"""All tests come from one address and act for a whole hall within a second; limits have tests of their own."""


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Files in a folder of this run's own. From the one that runs share, pytest takes all others' rights when a run begins: then
    PostgreSQL and Dovecot, which refuse to be root, lose sight of their data in all runs that go on beside it."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="plenum-tests-")


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """What has failed can be looked at; the rest goes."""
    if exitstatus == 0:
        shutil.rmtree(session.config.option.basetemp, ignore_errors=True)


@pytest.fixture(autouse=True)
def same_logging() -> Iterator[None]:
    """A command that a test calls in this process says how the process logs; the next test finds it as it was."""
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)


@pytest.fixture(scope="session")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """One server for all tests that do it no harm."""
    server = Server(tmp_path_factory.mktemp("running"), OPEN_HANDED)
    server.start()
    yield server
    server.kill()


@pytest.fixture
def serve(tmp_path: Path) -> Iterator[Callable[..., Server]]:
    """Starts a server of one's own, with these settings and options; it is gone after the test."""
    servers: list[Server] = []

    def start(*options: str, **settings: object) -> Server:
        servers.append(Server(tmp_path / f"server-{len(servers)}", {**OPEN_HANDED, **settings}, *options))
        servers[-1].start()
        return servers[-1]

    yield start
    for server in servers:
        server.kill()


@pytest.fixture
async def evening(running: Server) -> AsyncIterator[Evening]:
    """A new event, live, on the common server; whatever the test did, the server has logged no exception."""
    before = len(running.said())
    async with Evening(running, await running.event()) as evening:
        yield evening
    assert "Traceback" not in running.said()[before:], running.said()[before:]


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
