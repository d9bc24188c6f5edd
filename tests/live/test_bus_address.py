"""Every kind of address that cities use, on real servers: TLS, Sentinel, Cluster."""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from live.bus import RedisBus
from live.bus_address import connect
from live.check_redis import redis
from live.presence import RedisPresence
from live.settings import Settings
from tests.live.engines import RedisServer, free_port
from tests.live.test_bus import ROWS, SECONDS, Ear, connected


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path


@pytest.fixture(params=["with a password", "tls", "sentinel", "cluster"])
def address(request: pytest.FixtureRequest, folder: Path) -> Iterator[str]:
    """The address of a running Redis of this kind."""
    kind = {"with a password": password, "tls": tls, "sentinel": sentinel, "cluster": cluster}[request.param]
    yield from kind(folder)


def password(folder: Path) -> Iterator[str]:
    server = RedisServer("--requirepass", "geheim")
    server.start()
    yield server.url.replace("redis://", "redis://:geheim@")
    server.stop()


def tls(folder: Path) -> Iterator[str]:
    files = ["-keyout", f"{folder}/redis.key", "-out", f"{folder}/redis.pem"]
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
    made = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *files, *subject]
    subprocess.run(made, check=True, stderr=subprocess.DEVNULL)
    port = free_port()
    options = ["--tls-port", str(port), "--tls-cert-file", f"{folder}/redis.pem", "--tls-key-file", f"{folder}/redis.key"]
    server = RedisServer(*options, "--tls-auth-clients", "no")
    server.start()
    yield f"rediss://localhost:{port}/0?ssl_ca_certs={folder}/redis.pem"
    server.stop()


def sentinel(folder: Path) -> Iterator[str]:
    master = RedisServer()
    master.start()
    port = free_port()
    settings = folder / "sentinel.conf"
    settings.write_text(f"port {port}\nbind 127.0.0.1\nsentinel monitor stadt 127.0.0.1 {master.port} 1\n")
    watching = subprocess.Popen(["redis-server", settings, "--sentinel"], stdout=subprocess.DEVNULL, cwd=folder)
    yield f"redis+sentinel://127.0.0.1:{port}/stadt/0"
    watching.terminate()
    watching.wait(SECONDS)
    master.stop()


def cluster_node(folder: Path) -> RedisServer:
    """Running, and not yet responsible for anything. The nodes' own port would be 10,000 higher, where somebody's outgoing
    connection may be."""
    node = RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()), "--dir", str(folder))
    node.start()
    return node


def cluster(folder: Path) -> Iterator[str]:
    node = cluster_node(folder)
    ask = ["redis-cli", "-p", str(node.port)]
    subprocess.run([*ask, "cluster", "addslotsrange", "0", "16383"], check=True, stdout=subprocess.DEVNULL)
    while b"cluster_state:ok" not in subprocess.run([*ask, "cluster", "info"], check=True, capture_output=True).stdout:
        pass
    yield f"redis+cluster://127.0.0.1:{node.port}"
    node.stop()


async def test_bus_and_presence_work_there(address: str) -> None:
    async with asyncio.TaskGroup() as tasks:
        buses = RedisBus(address, "test"), RedisBus(address, "test")
        running = [tasks.create_task(bus.run()) for bus in buses]
        await connected(*buses)
        sender, listener = Ear(), Ear()
        buses[1].subscribe("abend", listener)
        buses[0].publish("abend", ROWS, sender)
        await listener.until(lambda: listener.heard == ROWS)
        for task in running:
            task.cancel()
    clients = connect(address), connect(address)
    here, there = (RedisPresence(client, "test") for client in clients)
    assert await here.reachable()
    await here.count("abend", {"anna": "hall"}, 1_000)
    assert await there.count("abend", {"bilal": "home"}, 1_000) == {"hall": 1, "home": 1}
    for client in clients:
        await client.aclose()


def test_the_check_finds_it_well(address: str) -> None:
    found = list(redis(Settings(redis_url=address), time.time))
    assert [one.level for one in found] == ["OK", "OK"], found
    assert "geheim" not in str(found)


def test_the_check_finds_a_cluster_broken_that_serves_nobody(folder: Path) -> None:
    node = cluster_node(folder)
    (found,) = redis(Settings(redis_url=f"redis+cluster://127.0.0.1:{node.port}"), time.time)
    assert found.level == "BROKEN"
    node.stop()


@pytest.mark.parametrize("address", ["redis+sentinel://127.0.0.1:1", "http://127.0.0.1", "redis//127.0.0.1"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)redis|scheme"):
        connect(address)
