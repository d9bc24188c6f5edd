"""What Prometheus is told: counted in this process, and with several processes on one port summed over them by `prometheus_client`
(a directory of its own, `plenum serve` sets it). No label says who somebody is; the counting costs nothing per delivery.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from prometheus_client import CONTENT_TYPE_LATEST, REGISTRY, CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead

TYPE = CONTENT_TYPE_LATEST
_BUCKETS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

CONNECTIONS = Gauge("plenum_connections", "Open WebSockets by what they are for", ["role"], multiprocess_mode="livesum")
COMMANDS = Counter("plenum_commands", "Commands by name and how they ended: done, or the refusal's code", ["name", "result"])
COMMIT = Histogram("plenum_commit_seconds", "From the begin of a transaction to its commit, whatever it holds", buckets=_BUCKETS)
FANOUT = Histogram("plenum_fanout_seconds", "From a committed change to its last byte handed to the sockets", buckets=_BUCKETS)
BEHIND = Gauge("plenum_watchers_behind", "Watchers that miss something because they read too slowly", multiprocess_mode="livesum")
STALE = Histogram("plenum_stale_seconds", "How long a watcher had missed something", buckets=(*_BUCKETS, 30.0, 60.0))
BUS = Histogram("plenum_bus_seconds", "Age of rows when the bus brings them", buckets=_BUCKETS)
BUS_LOST = Counter("plenum_bus_reconnects", "How often the connection to Redis was lost")
GAPS = Counter("plenum_log_gaps_filled", "Rows fetched from the log because the bus had not brought them")

_count: dict[tuple[str, str], Callable[[], None]] = {}


def command(name: str, result: str) -> None:
    """One more command of this name, which is a command's, has ended so."""
    count = _count.get((name, result))
    if count is None:
        count = _count[name, result] = COMMANDS.labels(name, result).inc
    count()


def text(directory: str) -> bytes:
    """Everything, in the format of Prometheus; summed over the processes that share `directory`, if that is not empty."""
    if not directory:
        return generate_latest(REGISTRY)
    _forget_the_dead(directory)
    registry = CollectorRegistry()
    MultiProcessCollector(registry, directory)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def _forget_the_dead(directory: str) -> None:
    """Connections of processes that have ended, however they did, count no more."""
    for pid in {int(file.stem.rpartition("_")[2]) for file in Path(directory).glob("gauge_live*_*.db")}:
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            mark_process_dead(pid, directory)  # type: ignore[no-untyped-call]
