"""What an operator sees: health, readiness, metrics, and lines that say much and nothing about anybody."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import re
import signal
import sqlite3
from collections.abc import Callable
from pathlib import Path

import httpx
import msgspec
import pytest
from prometheus_client.parser import text_string_to_metric_families

from live.logs import Json, request_id
from tests.flow.evening import ANSWERED_WITHIN, Evening, refusal
from tests.flow.server import Server
from tests.flow.test_processes import children
from tests.live.engines import Postgres, RedisServer

FORWARDED = {"X-Forwarded-For": "203.0.113.7"}


async def measured(server: Server, **headers: str) -> dict[str, float]:
    """`/metrics`: sample with its labels → value."""
    async with httpx.AsyncClient() as client:
        answer = await client.get(f"{server.url}/metrics", headers=headers)
    assert answer.status_code == 200, answer.text
    samples = [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]
    return {
        " ".join([sample.name, *(f"{key}={value}" for key, value in sorted(sample.labels.items()))]): sample.value
        for sample in samples
    }


@pytest.mark.parametrize("workers", [1, 2])
async def test_what_happens_is_counted_over_all_processes(serve: Callable[..., Server], workers: int) -> None:
    server = serve("--workers", str(workers), log_format="json")
    async with Evening(server, await server.event()) as evening:
        home = [await evening.person(None, "public") for _ in range(5)]
        moderator = await evening.staff("moderator", "moderation")
        number = await evening.said()
        await moderator.do("contribution.approve", contribution=number)
        await refusal(home[0].do("contribution.submit", kind="idea", text=""))
        await refusal(home[0].do("no.such", kind="idea"))
        await home[0].sees(lambda shown: shown["public"][f"contribution/{number}"])

        shown = await measured(server)
        assert shown["plenum_connections role=home"] == 5
        assert shown["plenum_connections role=moderator"] == 1
        assert shown["plenum_commands_total name=contribution.submit result=done"] == 1
        assert shown["plenum_commands_total name=contribution.submit result=text_too_short"] == 1
        assert shown["plenum_commands_total name=unknown result=unknown_command"] == 1
        assert shown["plenum_commit_seconds_count"] >= 2
        assert shown["plenum_fanout_seconds_count"] >= 1

        await home[0].__aexit__()
        async with asyncio.timeout(ANSWERED_WITHIN):
            while (await measured(server))["plenum_connections role=home"] != 4:
                pass


async def test_a_process_that_was_killed_counts_no_more(serve: Callable[..., Server]) -> None:
    server = serve("--workers", "2")
    async with Evening(server, await server.event()) as evening:
        for _ in range(20):
            await evening.person(None, "public")
        assert (await measured(server))["plenum_connections role=home"] == 20
        assert server.process is not None
        os.kill(min(children(server.process.pid)), signal.SIGKILL)
        async with asyncio.timeout(ANSWERED_WITHIN):
            while (await counted(server)) == 20:
                pass


async def counted(server: Server) -> float:
    """People at home, from whichever process answers."""
    try:
        return (await measured(server)).get("plenum_connections role=home", 0)
    except httpx.TransportError:
        return 20


async def test_metrics_are_for_this_machine_and_for_who_has_the_token(serve: Callable[..., Server]) -> None:
    server = serve(metrics_token="geheim")
    async with httpx.AsyncClient(base_url=server.url) as client:
        assert (await client.get("/metrics")).status_code == 200
        assert (await client.get("/metrics", headers=FORWARDED)).status_code == 404
        assert (await client.get("/metrics", headers=FORWARDED | {"Authorization": "Bearer falsch"})).status_code == 404
        assert (await client.get("/metrics", headers=FORWARDED | {"Authorization": "Bearer geheim"})).status_code == 200


async def test_without_a_token_nobody_has_the_empty_one(serve: Callable[..., Server]) -> None:
    server = serve()
    async with httpx.AsyncClient(base_url=server.url) as client:
        for given in ("Bearer", ""):
            assert (await client.get("/metrics", headers=FORWARDED | {"Authorization": given})).status_code == 404


async def test_a_process_without_its_database_is_alive_and_not_ready(tmp_path: Path) -> None:
    postgres = Postgres(tmp_path / "postgres")
    await asyncio.to_thread(postgres.start)
    server = Server(tmp_path / "web", {"database_url": postgres.url})
    await asyncio.to_thread(server.start)
    try:
        async with httpx.AsyncClient(base_url=server.url, timeout=ANSWERED_WITHIN) as client:
            assert (await client.get("/readyz")).json() == {"status": "ready", "missing": []}
            await asyncio.to_thread(postgres.stop)
            answer = await client.get("/readyz")
            assert (answer.status_code, answer.json()) == (503, {"status": "not ready", "missing": ["database"]})
            assert (await client.get("/healthz")).status_code == 200
            await asyncio.to_thread(postgres.start)
            assert (await client.get("/readyz")).status_code == 200
    finally:
        server.kill()
        postgres.stop()


async def test_a_process_without_redis_is_ready_and_says_what_it_misses(serve: Callable[..., Server], redis: RedisServer) -> None:
    server = serve(redis_url=redis.url)
    async with httpx.AsyncClient(base_url=server.url, timeout=ANSWERED_WITHIN) as client:
        assert (await client.get("/readyz")).json() == {"status": "ready", "missing": []}
        redis.stop()
        answer = await client.get("/readyz")
        assert (answer.status_code, answer.json()) == (200, {"status": "ready", "missing": ["redis"]})


async def test_the_lines_say_what_happened_and_nothing_about_anybody(serve: Callable[..., Server]) -> None:
    server = serve(log_format="json", log_level="debug", lock_seconds=0.05)
    async with Evening(server, await server.event()) as evening:
        author = await evening.person(None, "public", "me")
        await author.do("person.join", name="Wilhelmine Vertraulich")
        answer = await author.do("contribution.submit", kind="idea", text="Unwiderruflich peinlich", name="Wilhelmine Vertraulich")
        path = await server.link(evening.slug, "moderator")
        browser = await evening.browser(**{"X-Request-ID": "von-unserem-proxy-1", **FORWARDED})
        assert (await browser.post(path)).status_code == 303
        page = await browser.get(f"{evening.page}?c=HALLCODE&q=Unwiderruflich")
        assert page.headers["x-request-id"] == "von-unserem-proxy-1"
        await browser.get(f"/o/{path.rpartition('/')[2]}")
        with sqlite3.connect(server.database, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            await refusal(author.do("contribution.submit", kind="idea", text="Unwiderruflich peinlich"))
            other.execute("ROLLBACK")
        other.close()
        assert author.cookie is not None
        secrets = ["Wilhelmine", "Unwiderruflich", "HALLCODE", "203.0.113.7", path.rpartition(".")[2], author.person, author.cookie]
        secrets.append(str(answer["receipt"]))
        lines = [msgspec.json.decode(line) for line in server.said().splitlines() if line.startswith("{")]
        written = server.said()
        assert [secret for secret in secrets if secret in written] == []
        routes = {(line["method"], line["route"], line["status"]) for line in lines if line["logger"] == "plenum.http"}
        assert {("POST", "/in/{token}", 303), ("GET", "/e/{slug}", 200)} <= routes
        assert any(line["level"] == "ERROR" and "locked" in line["message"] for line in lines)
        assert "von-unserem-proxy-1" in {line.get("request") for line in lines}


def test_the_control_an_ordinary_formatter_writes_what_the_error_quotes() -> None:
    error = ValueError("Wilhelmine Vertraulich")
    with contextlib.suppress(ValueError):
        raise error  # so that it has a place where it was raised
    given = {"msg": "bug", "exc_info": (type(error), error, error.__traceback__)}
    ours, ordinary = (formatter.format(logging.makeLogRecord(given)) for formatter in (Json(), logging.Formatter()))
    assert "Wilhelmine" not in ours
    assert "Wilhelmine" in ordinary
    assert '"error":"ValueError"' in ours
    assert re.search(r"test_operations\.py:\d+ test_the_control", ours)


@pytest.mark.parametrize("given", [None, "", "short", "x" * 65, "mit Leerzeichen 1", "zeile\n{", "ä" * 10])
def test_an_id_that_is_none_is_replaced(given: str | None) -> None:
    assert re.fullmatch("[0-9a-f]{16}", request_id(given))
