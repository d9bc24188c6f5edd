"""Measures an installation of several processes on PostgreSQL and Redis: what a commit costs, whether two processes get in each
other's way, how long a change takes to the other process, what the bus costs, and what a well-known framework does instead.

All of it runs on the same machine: engines, processes and clients share its cores in every one of the measurements compared.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import statistics
import subprocess
import tempfile
import time
import uuid
import venv
from collections.abc import Iterator
from operator import truediv
from pathlib import Path
from typing import Any

import uvloop

from live.client import Client, percentile
from live.settings import Settings
from tests.bench.cases import CACHE, HERE, Case, Served, command, product
from tests.bench.evening import OPEN_HANDED, SLUG, Row, Voice, cpu_seconds, prepare, shown, supports, target
from tests.bench.load import DELIVERIES, Load
from tests.flow.server import Server
from tests.live.engines import Postgres, RedisServer

CHANNELS = ("channels==4.3.2", "channels_redis==4.3.0", "redis==5.2.1", "uvicorn==0.54.0", "uvloop", "httptools", "websockets")
PEOPLE = 1000


class Town:
    """PostgreSQL, Redis and web processes on them; `with Town(...) as town`."""

    def __init__(self, processes: int, *, bus: bool = True, **settings: object) -> None:
        self.processes, self.bus, self.settings = processes, bus, settings
        self._open = contextlib.ExitStack()
        self.servers: list[Server] = []

    def __enter__(self) -> Town:
        folder = Path(self._open.enter_context(tempfile.TemporaryDirectory(ignore_cleanup_errors=True)))
        postgres, redis = Postgres(folder / "postgres"), RedisServer()
        for engine in (postgres, redis):
            engine.start()
            self._open.callback(engine.stop)
        settings = {**OPEN_HANDED, "database_url": postgres.url, "log_level": "warning", **self.settings}
        if self.bus:
            settings["redis_url"] = redis.url
        asyncio.run(prepare(Settings(database_url=postgres.url)))
        for number in range(self.processes):
            server = Server(folder / str(number), settings)
            server.start()
            self._open.callback(server.kill)
            self.servers.append(server)
        return self

    def __exit__(self, *_: object) -> None:
        self._open.close()


def play(run: Any) -> Any:
    """Run a coroutine function as the clients do."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(run())


async def crowd(servers: list[Server], people: int) -> list[Voice]:
    """So many people spread over the processes, each with the documents."""
    loop, gate = asyncio.get_running_loop(), asyncio.Semaphore(200)

    async def one(person: int, server: Server) -> Voice:
        async with gate:
            _, voice = await loop.create_connection(lambda: Voice(supports(person, 50), ""), "127.0.0.1", server.port)
            await voice.ready
            return voice

    return list(await asyncio.gather(*(one(number, servers[number % len(servers)]) for number in range(people))))


def support(processes: int, seconds: float = 4.0) -> Row:
    """Everybody supports, one command at a time each, and watches; spread over so many processes on PostgreSQL."""
    with Town(processes) as town:

        async def run() -> Row:
            voices = await crowd(town.servers, PEOPLE)
            for voice in voices:
                voice.go()
            await asyncio.sleep(1)
            before, began = sum(voice.acknowledged for voice in voices), time.perf_counter()
            cpu = sum(map(cpu_seconds, town.servers))
            await asyncio.sleep(seconds)
            spent, wall = sum(map(cpu_seconds, town.servers)) - cpu, time.perf_counter() - began
            done = sum(voice.acknowledged for voice in voices) - before
            refused = sum(voice.refused for voice in voices)
            return {"processes": processes, "per_second": done / wall, "per_cpu_second": done / spent, "refused": refused}

        row: Row = play(run)
        return row


def across(turns: int = 150, every: float = 0.125) -> Row:
    """Somebody writes at A, a moment between two: when it is on the sockets of A and of B, in ms since it was sent."""
    with Town(2) as town:

        async def run() -> Row:
            at: list[dict[str, float]] = [{}, {}]
            async with contextlib.AsyncExitStack() as stack:
                viewers = [await stack.enter_async_context(Client(server.url, SLUG)) for server in town.servers]
                for viewer, arrived in zip(viewers, at, strict=True):
                    await viewer.open("public")
                    await viewer.until(lambda client: client.documents.get("public"))
                    viewer.on_put = noting(arrived)
                author = await stack.enter_async_context(Client(town.servers[0].url, SLUG))
                sent: dict[str, float] = {}
                for _ in range(turns):
                    text = str(uuid.uuid4())
                    sent[text] = time.perf_counter()
                    await author.do("contribution.submit", kind="idea", text=text)
                    await asyncio.sleep(every)
                waits = [[(arrived[text] - when) * 1000 for text, when in sent.items()] for arrived in at]
            named = zip(("a", "b"), waits, strict=True)
            return {f"{name}_p{share}_ms": percentile(w, share / 100) for name, w in named for share in (50, 99)}

        row: Row = play(run)
        return row


def noting(arrived: dict[str, float]) -> Any:
    """Notes when a text is put."""

    def put(channel: str, key: str, data: Any) -> None:
        if isinstance(data, dict) and "text" in data:
            arrived.setdefault(data["text"], time.perf_counter())

    return put


def steady(*, bus: bool, rate: int = 200, seconds: float = 5.0, people: int = 200) -> Row:
    """One process, so many commands and ten flushes a second: its CPU with and without the bus."""
    with Town(1, bus=bus) as town:

        async def run() -> Row:
            voices = await crowd(town.servers, people)
            loop = asyncio.get_running_loop()
            ended = loop.time() + 1 + seconds
            began, cpu = 0.0, 0.0
            for turn in itertools.count():
                at = ended - 1 - seconds + turn / rate
                if at > ended:
                    break
                if not began and at > ended - seconds:
                    began, cpu = loop.time(), cpu_seconds(town.servers[0])
                await asyncio.sleep(max(0, at - loop.time()))
                voice = voices[turn % len(voices)]
                voice.transport.write(next(voice.commands))
            return {"bus": bus, "cpu_share": (cpu_seconds(town.servers[0]) - cpu) / (loop.time() - began)}

        row: Row = play(run)
        return row


@contextlib.contextmanager
def django_channels() -> Iterator[Served]:
    """Django Channels with channels_redis on uvicorn, in a virtual environment of its own."""
    place = CACHE / "channels"
    if not (place / "installed").exists():
        venv.create(place, with_pip=True, clear=True)
        subprocess.run([place / "bin" / "pip", "install", "-q", "--disable-pip-version-check", *CHANNELS], check=True)
        (place / "installed").touch()
    redis = RedisServer()
    redis.start()
    try:
        with command([str(place / "bin" / "python"), str(HERE / "peers" / "django_channels.py"), "PORT", redis.url]) as served:
            yield served
    finally:
        redis.stop()


def against_channels(people: int = PEOPLE, turns: int = 3) -> list[Row]:
    """CPU of the server per delivery of one message to everybody: ours through a commit, theirs by `group_send`."""
    rows: list[Row] = []
    chosen = [Case("product-c", lambda: product(native=True)), Case("django-channels", django_channels)]
    with contextlib.ExitStack() as running:
        loads = {}
        for case in chosen:
            served = running.enter_context(case.serve())
            rounds = max(20, DELIVERIES // people) if case.name == "product-c" else 20
            loads[case.name] = running.enter_context(Load(served, people, rounds, turns))
        for _ in range(turns):
            row = {name: load.block()["cpu_us"] for name, load in loads.items()}
            rows.append({"case": "channels", **row, "times": row["django-channels"] / row["product-c"]})
            print(shown(rows[-1]), flush=True)
    return rows


def measure(repeats: int = 3) -> tuple[list[Row], list[Row]]:
    """All of it; returns what was measured and what came of the targets."""
    rows: list[Row] = []

    def add(case: str, row: Row) -> Row:
        rows.append({"case": case, **row})
        print(shown(rows[-1]), flush=True)
        return row

    for _ in range(repeats):
        for processes in (1, 2):
            add("support on PostgreSQL", support(processes))
        for bus in (False, True):
            add("bus", steady(bus=bus))
    latency = [add("across", across()) for _ in range(repeats)]
    channels = against_channels()
    one, two = ([row for row in rows if row.get("processes") == number] for number in (1, 2))
    without, with_bus = ([row["cpu_share"] for row in rows if row.get("bus") is bus] for bus in (False, True))
    median = statistics.median
    alone = median(row["per_cpu_second"] for row in one)
    further, within = ([row[f"{place}_p99_ms"] for row in latency] for place in "ba")
    together = median(b["per_second"] / a["per_second"] for a, b in zip(one, two, strict=True))
    cost = median((b - a) / b for a, b in zip(without, with_bus, strict=True)) * 100
    return rows + channels, [
        target("support per CPU second of the process, PostgreSQL", alone, 5_000, at_least=True),
        target("two processes together, times one alone", together, 0.8, at_least=True),
        target("p99 to the other process, times p99 within", median(map(truediv, further, within)), 3, at_least=False),
        target("p99 to the other process, ms", median(further), 50, at_least=False),
        target("the bus, % of the process's CPU", cost, 10, at_least=False),
        target("times Django Channels", median(row["times"] for row in channels), 40, at_least=True),
    ]

