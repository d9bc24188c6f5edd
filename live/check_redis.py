"""Whether Redis does what the bus needs of it: a message published on one connection arrives on another."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import Callable, Iterator

from live.bus_address import ERRORS, Client, connect
from live.check_database import clock
from live.findings import Finding, broken, masked, ok, scrubbed
from live.settings import Settings

SECONDS = 5.0
"""How long it may take to connect, and a message to arrive."""
_REDIS = "redis"


def redis(settings: Settings, now: Callable[[], float]) -> Iterator[Finding]:
    """Reachable, carries messages, of the same time as this machine (`now`: seconds)."""
    url = settings.redis_url
    if not url:
        yield ok(_REDIS, f"not used: other processes' commits are noticed within {settings.tail_seconds:g} s")
        return
    try:
        took, ahead = asyncio.run(_looked(url, now))
    except ValueError:
        yield broken(_REDIS, "REDIS_URL is not an address of Redis", "Write redis://:password@host:6379/0, or unset it")
    except (*ERRORS, TimeoutError) as error:
        seen = scrubbed(str(error) or "no answer", url).rstrip(".")
        mend = "Start Redis, or correct REDIS_URL; what its user may do (ACL) must include subscribe and publish"
        yield broken(_REDIS, f"{masked(url)} does not carry messages: {seen}", mend)
    else:
        yield ok(_REDIS, f"{masked(url)} carries a message in {took * 1000:.1f} ms")
        yield clock(_REDIS, ahead)


async def _looked(url: str, now: Callable[[], float]) -> tuple[float, float]:
    """Seconds that a message took, and seconds that Redis' clock is ahead."""
    client = connect(url)
    try:
        async with asyncio.timeout(SECONDS):
            await client.initialize()  # see live/bus.py
            took = await _round_trip(client)
            told = await client.time()
            seconds, microseconds = next(iter(told.values())) if isinstance(told, dict) else told
            return took, seconds + microseconds / 1e6 - now()
    finally:
        await client.aclose()


async def _round_trip(client: Client) -> float:
    channel, message = f"plenum:check:{secrets.token_hex(8)}", secrets.token_bytes(8)
    async with client.pubsub() as subscription:
        await subscription.subscribe(channel)
        await _received(subscription, "subscribe")
        began = time.perf_counter()
        await client.publish(channel, message)
        while await _received(subscription, "message") != message:
            pass
        return time.perf_counter() - began


async def _received(subscription: Client, kind: str) -> object:
    while True:
        got = await subscription.get_message(timeout=SECONDS)
        if got is not None and got["type"] == kind:
            return got["data"]
