"""`plenum worker`: the process beside the web processes that keeps every event open, so that timers fire and snapshots are written
although nobody watches, sends mail, and reads the mailbox. One is enough; more of them, or none for a while, do no harm: the log
takes each timer and letter once and gives each message to one, and web processes write snapshots of the events that they serve.
"""

from __future__ import annotations

import argparse
import asyncio
import signal

import msgspec

from live import logs
from live.app import open_bus, open_log
from live.desks import Desks
from live.duties import duties
from live.settings import Settings


def run(given: argparse.Namespace, settings: Settings) -> int:
    """The command; until SIGTERM or SIGINT."""
    logs.configure(settings)
    asyncio.run(work(settings))
    return 0


async def work(settings: Settings) -> None:
    """Look after all events."""
    stopped = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopped.set)
    # Twice as often as the web processes, which then find nothing to do.
    settings = msgspec.structs.replace(settings, snapshot_rows=max(1, settings.snapshot_rows // 2))
    log = open_log(settings)
    try:
        desks = Desks(log, settings, open_bus(settings, log))
        own = duties(settings, desks)
        async with desks, asyncio.TaskGroup() as tasks:
            working = [tasks.create_task(duty(), name=name) for name, duty in own.items()]
            print("Plenum works", flush=True)
            await stopped.wait()
            for task in working:
                task.cancel()
    finally:
        log.close()
