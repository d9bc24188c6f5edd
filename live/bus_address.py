"""Redis by its address: `redis://`, `rediss://` and `unix://` as redis-py reads them, Sentinel and Cluster in one line each.

`redis+sentinel://[:password@]host:26379,host:26379/master/0` asks the sentinels for the master called `master`;
`redis+cluster://host:7000,host:7001` finds the nodes of a cluster.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.sentinel import Sentinel
from redis.exceptions import RedisClusterException, RedisError

Client = Any
"""redis-py's clients have no common type; `Redis` and `RedisCluster` share the methods used here."""

ERRORS = (RedisError, RedisClusterException, OSError)
"""What it means to have no Redis just now."""
SECONDS = 5.0
"""How long to wait for a connection or an answer: whoever needs Redis goes on without it then."""


def connect(url: str) -> Client:
    """A client that connects when it is first used. Raises ValueError for an address that is none."""
    parts = urlsplit(url)
    if parts.scheme == "redis+sentinel":
        name, _, database = parts.path.strip("/").partition("/")
        if not name:
            raise ValueError("a Sentinel address names its master: redis+sentinel://host:26379/master")
        sentinel = Sentinel(_hosts(parts.netloc, 26379), socket_connect_timeout=SECONDS)  # type: ignore[no-untyped-call]
        return sentinel.master_for(name, db=int(database or 0), password=parts.password, socket_connect_timeout=SECONDS)
    if parts.scheme == "redis+cluster":
        nodes = [ClusterNode(host, port) for host, port in _hosts(parts.netloc, 6379)]
        return RedisCluster(startup_nodes=nodes, password=parts.password, socket_connect_timeout=SECONDS)
    return Redis.from_url(url, socket_connect_timeout=SECONDS, health_check_interval=15)


def _hosts(netloc: str, port: int) -> list[tuple[str, int]]:
    hosts = netloc.rpartition("@")[2].split(",")
    return [(host.rpartition(":")[0] or host, int(host.rpartition(":")[2]) if ":" in host else port) for host in hosts]
