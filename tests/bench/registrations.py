"""Measures the hour in which registration opens: a thousand register within ten seconds, each from a page that shows how many seats
are left, while an organiser watches the list. They come when they come: whoever waits for an answer holds nobody up, and a wait
counts from the moment when somebody came. The same page's `support.give`, at the same rate on the same server, is the measure.

One server process on one core, its clients on another.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import msgspec

from live.client import Client, percentile
from live.settings import Settings
from rooms.places import Place
from tests.bench.evening import (
    PROGRAMME,
    SLUG,
    Row,
    Voice,
    masked,
    on_clients_core,
    prepare,
    serving,
    shown,
    target,
    voices,
)
from tests.flow.server import Server

OPENS = msgspec.structs.replace(
    PROGRAMME,
    starts="2099-08-20T18:00:00+02:00",
    ends="2099-08-20T20:00:00+02:00",
    places={"hall": Place(seats=100, deadline="2099-08-19T12:00:00+02:00")},
)
WITHIN = 60.0
"""Seconds after which a server that has not answered everybody counts as broken."""


def register(people: int = 1_000, rate: float = 100.0, **settings: object) -> Row:
    """So many a second support, and then as many a second register; `rate` 0: all at once."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(prepare(Settings(data=folder, **settings), 50, OPENS))  # type: ignore[arg-type]
        with serving(Path(folder), **settings) as server:
            path = asyncio.run(server.link(SLUG, "organiser"))

            async def play() -> Row:
                crowd = await voices(server, people, form="json")
                async with Client(server.url, SLUG) as organiser:
                    await organiser.do("link.redeem", token=path.rpartition("/")[2])
                    await organiser.open("registrations")
                    await organiser.until(lambda client: "registrations" in client.documents)
                    row = {"rate": rate, **await arrive(server, crowd, rate, supporting, "support")}
                    row |= await arrive(server, crowd, rate, registering, "registration")
                    await organiser.until(lambda client: len(client.documents["registrations"]) == people + 1, WITHIN)
                row["times_cpu"] = row["registration_cpu_ms"] / row["support_cpu_ms"]
                row["times_p99"] = row["registration_p99_ms"] / row["support_p99_ms"]
                return row

            row: Row = on_clients_core(play)
            return row


async def arrive(server: Server, crowd: list[Voice], rate: float, command: Callable[[int], bytes], name: str) -> Row:
    """Each sends one command at their time. Raises SystemExit if somebody was refused."""
    for voice in crowd:
        voice.waits.clear()
        voice.acknowledged = voice.refused = 0
    before, began = cpu(server), time.perf_counter()
    for number, voice in enumerate(crowd):
        voice.sent_at = began + (number / rate if rate else 0.0)
        wait = voice.sent_at - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        voice.transport.write(command(number))
    async with asyncio.timeout(WITHIN):
        while sum(voice.acknowledged + voice.refused for voice in crowd) < len(crowd):  # noqa: ASYNC110  (as they come)
            await asyncio.sleep(0.005)
    took, spent = time.perf_counter() - began, cpu(server) - before
    if any(voice.refused for voice in crowd):
        raise SystemExit(f"{sum(voice.refused for voice in crowd)} were refused")
    waits = [wait for voice in crowd for wait in voice.waits]
    return {
        f"{name}_p50_ms": percentile(waits, 0.5) * 1000,
        f"{name}_p99_ms": percentile(waits, 0.99) * 1000,
        f"{name}_all_s": took,
        f"{name}_cpu_ms": spent / len(crowd) * 1000,
    }


def cpu(server: Server) -> float:
    """Seconds of the server's process, as clock_getcpuclockid(3) has them; /proc has hundredths, too coarse for a burst."""
    assert server.process is not None
    return time.clock_gettime(~server.process.pid << 3 | 2)


def supporting(number: int) -> bytes:
    """Each supports something."""
    return framed(number, "support.give", {"contribution": number % 50 + 1})


def registering(number: int) -> bytes:
    """Every fourth comes with somebody."""
    person = {"name": f"Person {number}", "email": f"person-{number}@example.org", "phone": f"+49 2305 {100_000 + number}"}
    return framed(number, "registration.submit", {"place": "hall", **person, "party": 2 if number % 4 == 0 else 1})


def framed(number: int, name: str, arguments: dict[str, object]) -> bytes:
    """The command with an id of its own."""
    return masked(json.dumps({"t": "do", "id": f"{name}-{number}", "name": name, "args": arguments}).encode())


def measure(repeats: int = 3) -> tuple[list[Row], list[Row]]:
    """All of it; returns what was measured and what came of the targets."""
    rows: list[Row] = []
    for _ in range(repeats):
        for rate in (100.0, 0.0):
            rows.append({"case": "registrations", **register(rate=rate)})
            print(shown(rows[-1]), flush=True)
    return rows, judge(rows)


def judge(rows: list[Row]) -> list[Row]:
    """The targets of the issue, and what does not depend on the machine. At 100 a second most of it is showing 1,000
    pages what has changed; at once it is deciding."""
    spread, at_once = [row for row in rows if row["rate"]], [row for row in rows if not row["rate"]]
    p99 = statistics.median(row["registration_p99_ms"] for row in spread)
    took = statistics.median(row["registration_all_s"] for row in at_once)
    while_watched, alone = (statistics.median(row["times_cpu"] for row in some) for some in (spread, at_once))
    return [
        target("p99 of a registration at 100 a second, ms", p99, 1_000, at_least=False),
        target("1,000 registrations at once, s", took, 10, at_least=False),
        target("CPU of a registration at 100 a second, times a support", while_watched, 2, at_least=False),
        target("CPU of a registration at once, times a support", alone, 8, at_least=False),
    ]
