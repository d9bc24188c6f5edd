"""The bus: tells the other desks of an event that rows were committed, with the rows in the message.

It is a doorbell: receivers order by seq and fetch what is missing from the log, so a lost, doubled or reordered message costs a
moment, never a fact. The contract is `tests/live/test_bus.py`.
"""

from __future__ import annotations

import asyncio
import logging
import secrets
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import msgspec

from live import metrics
from live.bus_address import ERRORS, SECONDS, Client, connect
from live.log import Row

LOGGER = logging.getLogger("plenum.bus")
MOST_WAITING = 20_000
"""Rows that wait for a Redis that does not answer; beyond that they are left to the log, where everybody finds them."""
MOST_ANNOUNCED = 1_000
"""Announcements that wait for it; the oldest are of no interest any more."""
GATHER_SECONDS = 0.05
"""Least time between two messages under load; half of what the hubs gather for. When it is quiet a row goes at once."""
RETRY_SECONDS = 0.5
QUIET_SECONDS = 5.0
"""After so long without a message the subscription is asked whether it is alive."""

Receive = Callable[[Sequence[Row]], None]
"""Takes rows as they were committed; an empty sequence says that something may have been missed."""
Listen = Callable[[bytes], None]
"""Takes what another process has announced."""


class Bus(Protocol):
    """Publish rows of an event; everybody subscribed to it but the sender receives them."""

    def publish(self, slug: str, rows: Sequence[Row], sender: Receive) -> None:
        """Tell the others. Never raises and never waits: what gets lost is found by looking at the log."""

    def subscribe(self, slug: str, receive: Receive) -> Callable[[], None]:
        """Be told from now on; returns the function that ends it."""

    def announce(self, topic: str, data: bytes) -> None:
        """Tell the other processes something that matters for a moment only. Never raises and never waits."""

    def listen(self, topic: str, receive: Listen) -> None:
        """Be told what the other processes announce."""

    async def run(self) -> None:
        """Carry messages until cancelled."""


class InProcessBus:
    """All desks live in one process: a call."""

    def __init__(self) -> None:
        self._receivers: dict[str, list[Receive]] = {}
        self._listeners: dict[str, list[Listen]] = {}

    def publish(self, slug: str, rows: Sequence[Row], sender: Receive) -> None:
        """See `Bus`."""
        for receive in list(self._receivers.get(slug, ())):
            if receive != sender:
                receive(rows)

    def subscribe(self, slug: str, receive: Receive) -> Callable[[], None]:
        """See `Bus`."""
        receivers = self._receivers.setdefault(slug, [])
        receivers.append(receive)
        return lambda: receivers.remove(receive)

    def announce(self, topic: str, data: bytes) -> None:
        """See `Bus`: there is no other process."""

    def listen(self, topic: str, receive: Listen) -> None:
        """See `Bus`."""
        self._listeners.setdefault(topic, []).append(receive)

    def heard(self, topic: str, data: bytes) -> None:
        """Another process has announced this."""
        for receive in self._listeners.get(topic, ()):
            receive(data)

    async def run(self) -> None:
        """See `Bus`: there is nothing to carry."""
        await asyncio.Event().wait()

    def everywhere(self) -> list[tuple[str, Receive]]:
        """Every receiver with its event."""
        return [(slug, receive) for slug, receivers in self._receivers.items() for receive in receivers]


class Committed(msgspec.Struct, array_like=True, tag=True):
    """Over Redis: which process has committed which rows of which event."""

    sender: str
    slug: str
    rows: list[Row]


class Announced(msgspec.Struct, array_like=True, tag=True):
    """Over Redis: what a process has announced."""

    sender: str
    topic: str
    data: bytes


class RedisBus:
    """Desks in many processes: Redis publish/subscribe, one channel for all events of an installation.

    Redis may die at any moment: messages are lost meanwhile, and when it is back every desk looks at the log.
    """

    def __init__(self, url: str, installation: str) -> None:
        self._client: Client = connect(url)
        self._channel = f"plenum:{installation}:rows"
        self._name = secrets.token_hex(8)
        self._here = InProcessBus()
        self._waiting: dict[str, list[Row]] = {}
        self._announcements: deque[Announced] = deque(maxlen=MOST_ANNOUNCED)
        self._count = 0
        self._wake = asyncio.Event()

    def publish(self, slug: str, rows: Sequence[Row], sender: Receive) -> None:
        """See `Bus`."""
        self._here.publish(slug, rows, sender)
        if self._count + len(rows) <= MOST_WAITING:
            self._waiting.setdefault(slug, []).extend(rows)
            self._count += len(rows)
            self._wake.set()

    def subscribe(self, slug: str, receive: Receive) -> Callable[[], None]:
        """See `Bus`."""
        return self._here.subscribe(slug, receive)

    def announce(self, topic: str, data: bytes) -> None:
        """See `Bus`."""
        self._announcements.append(Announced(self._name, topic, data))
        self._wake.set()

    def listen(self, topic: str, receive: Listen) -> None:
        """See `Bus`."""
        self._here.listen(topic, receive)

    async def run(self) -> None:
        """See `Bus`."""
        try:
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._again_and_again(self._send), name="bus: send")
                tasks.create_task(self._again_and_again(self._receive), name="bus: receive")
        finally:
            await self._client.aclose()

    async def _again_and_again(self, carry: Callable[[], Any]) -> None:
        while True:
            try:
                await carry()
            except ERRORS as error:
                LOGGER.warning("bus: %s; trying again", type(error).__name__)
                metrics.BUS_LOST.inc()
                await asyncio.sleep(RETRY_SECONDS)

    async def _send(self) -> None:
        loop = asyncio.get_running_loop()
        sent_at = 0.0
        while True:
            await self._wake.wait()
            await asyncio.sleep(max(0.0, sent_at + GATHER_SECONDS - loop.time()))
            self._wake.clear()
            waiting, self._waiting, self._count = self._waiting, {}, 0
            if waiting:  # what is merely announced holds up no row
                sent_at = loop.time()
            for slug, rows in waiting.items():
                await self._publish(Committed(self._name, slug, rows))
            while self._announcements:
                await self._publish(self._announcements.popleft())

    async def _publish(self, message: Committed | Announced) -> None:
        async with asyncio.timeout(SECONDS):  # a Redis that is stopped, or cut off, says nothing at all
            await self._client.publish(self._channel, _PACK.encode(message))

    async def _receive(self) -> None:
        await self._client.initialize()  # a cluster's map, which its subscriptions do not fetch themselves
        async with self._client.pubsub() as subscription:
            await subscription.subscribe(self._channel)
            for _, receive in self._here.everywhere():
                receive(())  # messages may have been lost while nobody listened
            silent = 0
            while silent < 2:
                received = await subscription.get_message(timeout=QUIET_SECONDS)
                if received is None:  # a cut network says nothing: ask
                    silent += 1
                    await subscription.ping()
                    continue
                silent = 0
                if received["type"] == "message":
                    self._deliver(received["data"])
            raise ConnectionError("no answer")

    def _deliver(self, data: bytes) -> None:
        try:
            message = _UNPACK.decode(data)
        except msgspec.DecodeError:
            LOGGER.warning("bus: a message that is not ours")
            return
        if message.sender == self._name:
            return
        if isinstance(message, Committed):
            self._here.publish(message.slug, message.rows, _nobody)
        else:
            self._here.heard(message.topic, message.data)


def _nobody(rows: Sequence[Row]) -> None:
    """Stands for the sender of what came from another process."""


_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(Committed | Announced)
