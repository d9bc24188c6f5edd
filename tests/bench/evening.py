"""Measures the evening itself: support acknowledged after its commit, ten thousand who come back at once, and a start.

One server process on one core, its clients on another; the two ways of committing take turns. Targets are those of the first
release; what counts is CPU time of the server's process, but where people wait.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import multiprocessing
import os
import resource
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvloop

from live.admin import configure, send
from live.app import open_log
from live.client import Client, percentile
from live.desks import Desks
from live.settings import Settings
from rooms.programme import Programme
from tests.bench.cases import CLIENT_CORE, SERVER_CORE, pinned
from tests.flow.server import Server

Row = dict[str, Any]
SLUG = "bench"
PROGRAMME = Programme(SLUG, {"de": "Messung"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00", premoderation=False)
OPEN_HANDED: dict[str, object] = {
    **dict.fromkeys(("send_burst", "submit_burst", "address_burst", "join_burst", "register_burst", "say_burst"), 1000000000000.0),
    "connections_per_address": 1_000_000,
    "ping_seconds": 3600,
}
TEXT = "Mehr Bänke am Ring, Schatten am Markt und eine Ampel, die auch für langsame Leute lange genug grün ist. " * 2


class Voice(asyncio.Protocol):
    """One person on a raw socket: as little work per message as can be, so that the clients' core is not the limit."""

    def __init__(self, commands: Iterator[bytes], channel: str, form: str = "html") -> None:
        self.commands, self.channel, self.form = commands, channel, form
        self.transport: asyncio.Transport
        self.ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.acknowledged = self.refused = self.pushed = 0
        self.waits: list[float] = []
        self.sent_at = 0.0
        self.running = False

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        host = "Host: bench\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
        deflate = "Sec-WebSocket-Extensions: permessage-deflate; client_max_window_bits\r\n"
        key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
        self.transport.write(f"GET /ws/{SLUG} HTTP/1.1\r\n{host}{key}{deflate if self.channel == 'snapshot' else ''}\r\n".encode())

    def data_received(self, data: bytes) -> None:
        if data.startswith(b"HTTP/1.1 101"):
            opened = {"t": "open", "channels": {"public": {}}, "as": self.form}
            self.transport.write(masked(json.dumps(opened).encode()))
        elif not self.ready.done():
            if b"docs" in data or (self.channel == "snapshot" and len(data) > 1000):
                self.ready.set_result(None)
        else:
            self._count(data)

    def _count(self, data: bytes) -> None:
        done = data.count(b'{"t":"done"')
        self.refused += data.count(b'{"t":"refused"')
        self.pushed += data.count(b'"channel":"public"')
        if done:
            self.acknowledged += done
            self.waits.append(time.perf_counter() - self.sent_at)
            if self.running:
                self.go()

    def go(self) -> None:
        """The next command."""
        self.running = True
        self.sent_at = time.perf_counter()
        self.transport.write(next(self.commands))

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.ready.done():
            self.ready.set_exception(exc or ConnectionError("closed"))


def masked(payload: bytes) -> bytes:
    """A client's text frame with the mask 0, which RFC 6455 allows and which costs nothing to apply."""
    size = len(payload)
    head = bytes((0x81, 0x80 | size)) if size < 126 else bytes((0x81, 0xFE)) + size.to_bytes(2, "big")
    return head + b"\0\0\0\0" + payload


def supports(person: int, contributions: int) -> Iterator[bytes]:
    """Give and take back, each with an id of its own."""
    for turn in itertools.count():
        verb, number = ("give", "withdraw")[turn % 2], (turn // 2 + person) % contributions + 1
        command = {"t": "do", "id": f"{person:08x}-{turn:08x}", "name": f"support.{verb}", "args": {"contribution": number}}
        yield masked(json.dumps(command, separators=(",", ":")).encode())


@contextmanager
def serving(folder: Path, **settings: object) -> Iterator[Server]:
    """A server of its own on its core."""
    server = Server(folder, {**OPEN_HANDED, **settings})
    with pinned(SERVER_CORE):
        server.start()
    try:
        yield server
    finally:
        server.kill()


async def prepare(settings: Settings, contributions: int = 50, programme: Programme = PROGRAMME) -> None:
    """An event with so many public contributions."""
    log = open_log(settings)
    async with Desks(log, settings) as desks:
        await configure(desks, programme, "live")
        texts = [{"kind": "idea", "text": f"{number}: {TEXT}"} for number in range(contributions)]
        await asyncio.gather(*(send(desks, SLUG, "contribution.submit", text) for text in texts))
    log.close()


def on_clients_core(play: Callable[[], Any]) -> Any:
    """Run a coroutine function on the clients' core, with uvloop."""
    with pinned(CLIENT_CORE), asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(play())


async def voices(server: Server, count: int, channel: str = "", at_once: int = 200, form: str = "html") -> list[Voice]:
    """Connect so many; returns when each has its documents."""
    loop = asyncio.get_running_loop()
    gate = asyncio.Semaphore(at_once)

    async def one(person: int) -> Voice:
        async with gate:
            _, voice = await loop.create_connection(lambda: Voice(supports(person, 50), channel, form), "127.0.0.1", server.port)
            await voice.ready
            return voice

    return list(await asyncio.gather(*(one(person) for person in range(count))))


def support(people: int = 1000, seconds: float = 4.0, batch_limit: int = 1000) -> Row:
    """Everybody supports, one command at a time each, and watches."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(prepare(Settings(data=folder), 50))
        with serving(Path(folder), batch_limit=batch_limit) as server:

            async def play() -> Row:
                crowd = await voices(server, people)
                for voice in crowd:
                    voice.go()
                await asyncio.sleep(1)
                before, cpu, wall = [(v.acknowledged, v.pushed) for v in crowd], cpu_seconds(server), time.perf_counter()
                await asyncio.sleep(seconds)
                spent, wall = cpu_seconds(server) - cpu, time.perf_counter() - wall
                acknowledged = sum(v.acknowledged - a for v, (a, _) in zip(crowd, before, strict=True))
                frames = max((v.pushed - p) / wall for v, (_, p) in zip(crowd, before, strict=True))
                waits = [wait for voice in crowd for wait in voice.waits]
                return {
                    "batch_limit": batch_limit,
                    "refused": sum(voice.refused for voice in crowd),
                    "per_second": acknowledged / wall,
                    "per_cpu_second": acknowledged / spent,
                    "frames_per_viewer": frames,
                    "p99_ms": percentile(waits, 0.99) * 1000,
                }

            row: Row = on_clients_core(play)
            return row


def comeback(people: int, contributions: int = 500) -> Row:
    """So many connect at the same time and take a whole snapshot, while a moderator works on."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(prepare(Settings(data=folder), contributions))
        with serving(Path(folder)) as server:
            path = asyncio.run(server.link(SLUG, "moderator"))
            idle = resident_kb(server)

            async def play() -> Row:
                began = time.perf_counter()
                crowd = await voices(server, people, "snapshot", people)
                return {"people": len(crowd), "seconds": time.perf_counter() - began}

            with moderating(server.url, path.rpartition("/")[2]) as waits:
                row: Row = on_clients_core(play)
                memory = (resident_kb(server) - idle) / people
            return {
                **row,
                "moderator_p99_ms": percentile(waits, 0.99) * 1000,
                "moderator_commands": len(waits),
                "kb_per_connection": memory,
            }


@contextmanager
def moderating(url: str, token: str) -> Iterator[list[float]]:
    """A moderator at work in a process of its own, whom the crowd's clients do not hold up; the list is filled at the end."""
    waits: list[float] = []
    spawned = multiprocessing.get_context("spawn")
    ready, stop, answers = spawned.Event(), spawned.Event(), spawned.Queue()
    with pinned(CLIENT_CORE):
        process = spawned.Process(target=moderate, args=(url, token, ready, stop, answers))
        process.start()
    ready.wait(60)
    try:
        yield waits
    finally:
        stop.set()
        waits += answers.get()
        process.join()


def moderate(url: str, token: str, ready: Any, stop: Any, answers: Any) -> None:
    """Shortlist and take back, one after the other, as somebody does who does not wait for the crowd."""

    async def play() -> list[float]:
        waits: list[float] = []
        async with Client(url, SLUG) as moderator:
            await moderator.do("link.redeem", token=token)
            await moderator.open("moderation")
            await moderator.until(lambda client: client.documents.get("moderation"))
            ready.set()
            for turn in itertools.count():
                if stop.is_set():
                    return waits
                name = ("contribution.shortlist", "contribution.approve")[turn % 2]
                began = time.perf_counter()
                await moderator.do(name, id=str(uuid.uuid4()), contribution=turn // 2 % 50 + 1)
                waits.append(time.perf_counter() - began)
                await asyncio.sleep(0.02)
        return waits

    answers.put(asyncio.run(play()))


def start(rows: int = 100_000) -> Row:
    """The time from the command to the first page of an event with so many log rows; once without its snapshot."""
    with tempfile.TemporaryDirectory() as folder:
        asyncio.run(prepare(Settings(data=folder), 50))

        async def fill() -> None:
            settings = Settings(data=folder)
            log = open_log(settings)
            async with Desks(log, settings) as desks:
                desk = await desks.get(SLUG)
                assert desk is not None
                for person in range(rows // 50):
                    gives = [(str(uuid.uuid4()), b'{"contribution":%d}' % n) for n in range(1, 51)]
                    await asyncio.gather(*(desk.send(f"p{person}", id, "support.give", body) for id, body in gives))
            log.close()

        asyncio.run(fill())
        with_snapshot = started(Path(folder))
        forget_snapshot(Path(folder))
        return {"rows": rows, "seconds": with_snapshot, "without_snapshot": started(Path(folder))}


def started(folder: Path) -> float:
    """Seconds from starting the process until the event's page is there."""
    import httpx

    server = Server(folder, dict(OPEN_HANDED))
    began = time.perf_counter()
    server.start()
    assert httpx.get(f"{server.url}/e/{SLUG}", timeout=60).status_code == 200
    took = time.perf_counter() - began
    server.kill()
    return took


def forget_snapshot(folder: Path) -> None:
    """As after an upgrade that changes the state's shape: the log alone must do."""
    import sqlite3

    with sqlite3.connect(folder / "plenum.sqlite3") as database:
        database.execute("DELETE FROM snapshots")


def cpu_seconds(server: Server) -> float:
    """CPU time of the server's process and its threads."""
    assert server.process is not None
    fields = Path(f"/proc/{server.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_kb(server: Server) -> int:
    """Memory of the server's process."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


def measure(repeats: int = 3, people: int = 10_000) -> tuple[list[Row], list[Row]]:
    """All of it; returns what was measured and what came of the targets."""
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, limit))
    people = min(people, limit - 500)
    rows: list[Row] = []
    for _ in range(repeats):
        for batch_limit in (1000, 1):
            rows.append({"case": "support", **support(batch_limit=batch_limit)})
            print(shown(rows[-1]), flush=True)
    rows.append({"case": "comeback", **comeback(people)})
    print(shown(rows[-1]), flush=True)
    rows.append({"case": "start", **start()})
    print(shown(rows[-1]), flush=True)
    return rows, judge(rows)


def judge(rows: list[Row]) -> list[Row]:
    """The targets of the issue of the first release."""
    grouped = [row for row in rows if row.get("batch_limit", 0) > 1]
    single = [row for row in rows if row.get("batch_limit") == 1]
    [back] = [row for row in rows if row["case"] == "comeback"]
    [begin] = [row for row in rows if row["case"] == "start"]
    per_cpu = statistics.median(row["per_cpu_second"] for row in grouped)
    times = statistics.median(a["per_second"] / b["per_second"] for a, b in zip(grouped, single, strict=True))
    return [
        target("support commands per CPU second", per_cpu, 15_000, at_least=True),
        target("times one transaction per command", times, 4, at_least=True),
        target("frames a second per viewer", max(row["frames_per_viewer"] for row in grouped), 10.5, at_least=False),
        target(f"p99 of the moderator while {back['people']} come back, ms", back["moderator_p99_ms"], 500, at_least=False),
        target("kB per connection", back["kb_per_connection"], 30, at_least=False),
        target("start with 100,000 rows, s", begin["seconds"], 2, at_least=False),
    ]


def target(name: str, value: float, bound: float, *, at_least: bool) -> Row:
    """One line of the verdict."""
    return {"name": name, "value": value, "target": bound, "met": value >= bound if at_least else value <= bound}


def shown(row: Row) -> str:
    """A measurement in one line."""
    return "  ".join(f"{key} {value:,.1f}" if isinstance(value, float) else f"{key} {value}" for key, value in row.items())
