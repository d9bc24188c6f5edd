"""Several processes of one installation: who looks after events, how one of them leaves, and how all are replaced."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
import uuid
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tests.flow.evening import ANSWERED_WITHIN, Evening, Person
from tests.flow.server import Server
from tests.flow.test_crash import logged
from tests.live.engines import Postgres

SCHEDULED_IN = timedelta(seconds=2)
VIEWERS = 300


def phases(server: Server, slug: str) -> list[str]:
    """The phases that the log has taken the event to."""
    return [change["phase"] for row in logged(server, slug) for change in row[3] if change["c"] == "advanced"]


async def opened_by_itself(server: Server, slug: str) -> bool:
    """Whether the log says so a moment after the time."""
    deadline = time.monotonic() + SCHEDULED_IN.total_seconds() + 6
    while phases(server, slug) != ["live"] and time.monotonic() < deadline:  # noqa: ASYNC110  (another process's file)
        await asyncio.sleep(0.05)
    return phases(server, slug) == ["live"]


@pytest.mark.parametrize(
    ("workers", "beside", "fires"),
    [(1, False, True), (2, True, True), (2, False, False)],
    ids=["one process alone", "two and a worker", "control: two without a worker"],
)
async def test_an_event_that_nobody_watches_opens_by_itself(
    serve: Callable[..., Server], workers: int, beside: bool, fires: bool
) -> None:
    server = serve("--workers", str(workers))
    at = (datetime.now(UTC) + SCHEDULED_IN).isoformat()
    slug = await server.event(None, schedule=[{"at": at, "phase": "live"}])
    worker = server.beside("worker") if beside else None
    try:
        assert await opened_by_itself(server, slug) == fires
    finally:
        if worker is not None:
            worker.terminate()
            assert worker.wait(ANSWERED_WITHIN) == 0


async def test_who_is_sent_away_is_told_to_come_back(serve: Callable[..., Server]) -> None:
    server = serve()
    async with Evening(server, await server.event(premoderation=False)) as evening:
        viewers = [await evening.person(None, "public") for _ in range(VIEWERS)]
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        for viewer in viewers:
            await viewer.until(lambda client: client.closed is not None, ANSWERED_WITHIN)
        assert {viewer.closed for viewer in viewers} == {1012}
        assert await asyncio.to_thread(server.process.wait, ANSWERED_WITHIN) in (0, -signal.SIGTERM)


async def test_all_processes_are_replaced_one_by_one_and_nobody_finds_the_door_closed(serve: Callable[..., Server]) -> None:
    """SIGHUP, as for an upgrade without downtime."""
    server = serve("--workers", "2")
    async with Evening(server, await server.event(premoderation=False)) as evening:
        assert server.process is not None
        before = children(server.process.pid)
        server.process.send_signal(signal.SIGHUP)
        async with asyncio.timeout(60):
            count = 0
            while children(server.process.pid) & before:
                count += 1
                person = await arrived(evening)
                await said(evening, person, f"Idee {count}")
                await person.__aexit__()
        assert count > 1
        fresh = await arrived(evening)
        await fresh.sees(lambda shown: len([key for key in shown["public"] if key.startswith("contribution/")]) == count)


async def arrived(evening: Evening) -> Person:
    """Somebody new. Who is let in by a process that is just leaving is told to come back (1012), as pages do."""
    while True:
        with contextlib.suppress(ConnectionError):
            return await evening.person(None, "public")


async def said(evening: Evening, person: object, text: str) -> None:
    """Sent again with its id, by whoever was sent away in between, to the process that is there now."""
    id = str(uuid.uuid4())
    while True:
        try:
            await person.do("contribution.submit", id=id, kind="idea", text=text)  # type: ignore[attr-defined]
            return
        except ConnectionError:
            person = await evening.person(person.cookie)  # type: ignore[attr-defined]


def children(pid: int) -> set[int]:
    """The worker processes, as they stand in /proc."""
    found = {int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()}
    return {child for child in found if is_serving(child)}


def is_serving(pid: int) -> bool:
    """Python's resource tracker is a child too."""
    try:
        return b"resource_tracker" not in Path(f"/proc/{pid}/cmdline").read_bytes() and os.getpgid(pid) > 0
    except (FileNotFoundError, ProcessLookupError):
        return False


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
async def test_a_backup_is_restored_under_running_servers_and_every_page_shows_it(
    serve: Callable[..., Server], engine: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    own: dict[str, object] = {}
    if engine == "postgresql":
        postgres = Postgres(tmp_path / "postgres")
        await asyncio.to_thread(postgres.start)
        request.addfinalizer(postgres.stop)
        own = {"database_url": postgres.url}
    server = serve(**own)
    slug = await server.event(premoderation=False)
    backup = tmp_path / "abend.backup"
    async with Evening(server, slug) as evening:
        author, viewer = await evening.person(None, "me"), await evening.person(None, "public")
        await author.do("contribution.submit", kind="idea", text="Vor der Sicherung")
        await asyncio.to_thread(server.plenum, "backup", backup)
        for turn in range(5):
            await author.do("contribution.submit", kind="idea", text=f"Danach {turn}")
        await viewer.sees(lambda shown: shown["public"]["contribution/6"])

        await asyncio.to_thread(server.plenum, "restore", backup, "--replace", "--running")
        await viewer.until(lambda client: client.closed is not None, ANSWERED_WITHIN)
        assert viewer.closed == 1012, "come back"
        again = await evening.person(viewer.cookie)
        again.seen = viewer.seen
        await again.watch("public", since=True)
        assert [key for key in again.documents["public"] if key.startswith("contribution/")] == ["contribution/1"]
        author = await evening.person(author.cookie)
        answer = await author.do("contribution.submit", kind="idea", text="Nach der Wiederherstellung")
        assert answer["contribution"] == 2
        assert "Traceback" not in server.said()


async def test_who_signs_in_at_one_process_is_known_at_all_of_them(serve: Callable[..., Server]) -> None:
    """The page that follows may be asked for at another process, which has heard nothing yet: it looks before it refuses."""
    server = serve("--workers", "2", tail_seconds=1_000)
    slug = await server.event()
    async with Evening(server, slug) as evening:
        for _ in range(6):
            cookie = await evening.cookie("moderator")
            for _ in range(3):
                browser = await evening.browser(cookie)  # a connection of its own, to whichever process takes it
                assert (await browser.get(f"{evening.page}/moderation")).status_code == 200
                assert (await browser.get(f"{evening.api}/channels/moderation")).status_code == 200
                await (await evening.person(cookie)).watch("moderation")
