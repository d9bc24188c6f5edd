"""`plenum serve`: uvicorn with our fan-out, one process or several."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import socket
import tempfile
from typing import Any

import msgspec
import uvicorn
import uvloop
from starlette.applications import Starlette

from live import demo, logs
from live.admission import PacedProtocol
from live.app import create, open_log
from live.fanout_protocol import FanoutProtocol
from live.settings import Settings, export, load

LOGGER = logging.getLogger("plenum.server")
BACKLOG = 4096
"""Connections that may wait to be accepted: ten thousand come back within a few seconds after a restart."""


def serve(given: argparse.Namespace, settings: Settings) -> int:
    """The command. `--demo` plays along in this process, so it has one."""
    if given.workers > 1 and not given.demo:
        open_log(settings).close()  # what is wrong with the database is told here, once, instead of by every process
        with tempfile.TemporaryDirectory(prefix="plenum-metrics-") as directory:
            export(msgspec.structs.replace(settings, metrics_directory=directory))
            uvicorn.run("live.server:worker", factory=True, workers=given.workers, **options(settings, given.host, given.port))
        return 0
    logs.configure(settings)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_serve(given, settings))
    return 0


async def _serve(given: argparse.Namespace, settings: Settings) -> None:
    played = None
    url = settings.public_url.rstrip("/") or f"http://{given.host}:{given.port}"
    if given.demo:
        played, screens = await demo.prepare(settings, url)
        for what, address in screens:
            print(f"  {what:20s} {address}", flush=True)
    server = Server(uvicorn.Config(create(settings, alone=True), **options(settings, given.host, given.port)))
    tune_collector()
    async with asyncio.TaskGroup() as tasks:
        playing = tasks.create_task(_play_along(server, played, f"http://{given.host}:{given.port}"))
        await server.serve()
        playing.cancel()


class Server(uvicorn.Server):
    """uvicorn's server that says when it listens."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """See uvicorn."""
        await super().startup(sockets)
        self.listening.set()


async def _play_along(server: Server, played: demo.Demo | None, url: str) -> None:
    await server.listening.wait()
    print(f"Plenum serves at {url}", flush=True)
    if played is not None:
        try:
            await demo.play(played, url)
        except Exception:  # the play is over; the evening goes on
            LOGGER.exception("the demo has stopped playing")


def worker() -> Starlette:
    """The application of one of several processes, which hand settings down by the environment."""
    settings = load()
    logs.configure(settings)
    tune_collector()
    return create(settings)


def options(settings: Settings, host: str, port: int) -> dict[str, Any]:
    """uvicorn's options."""
    return {
        "host": host,
        "port": port,
        "ws": FanoutProtocol,
        "ws_max_size": settings.frame_bytes,
        "ws_ping_interval": settings.ping_seconds,
        "ws_ping_timeout": settings.ping_seconds,
        "http": PacedProtocol,
        "loop": "uvloop",
        "backlog": BACKLOG,
        "access_log": False,
        "log_config": None,
        "server_header": False,
        "proxy_headers": True,
        "forwarded_allow_ips": settings.trusted_proxies,
        "timeout_graceful_shutdown": int(settings.drain_seconds),
    }


def tune_collector() -> None:
    """Connections are long-lived and many; the default thresholds would walk all of them again and again (measured: a storm of
    10,000 reconnects takes 2.7-4.0 s instead of 4.8-5.6)."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(200_000, 50, 1000)
