"""The bus: tells the other desks of an event that rows were committed, with the rows in the message.

It is a doorbell: receivers order by seq and fetch what is missing from the log, so a lost, doubled or reordered message costs a
moment, never a fact. This is the in-process implementation; the contract is `tests/live/test_bus.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from live.log import Row

Receive = Callable[[Sequence[Row]], None]


class Bus(Protocol):
    """Publish rows of an event; everybody subscribed to it but the sender receives them."""

    def publish(self, slug: str, rows: Sequence[Row], sender: Receive) -> None:
        """Tell the others. Never raises and never waits: what gets lost is found by looking at the log."""

    def subscribe(self, slug: str, receive: Receive) -> Callable[[], None]:
        """Be told from now on; returns the function that ends it."""


class InProcessBus:
    """All desks live in one process: a call."""

    def __init__(self) -> None:
        self._receivers: dict[str, list[Receive]] = {}

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
