"""Admission: how many HTTP requests begin in one turn of the loop. After a restart thousands come back in the same second; who is
connected already, the moderators first of all, must not wait behind all their handshakes.

A handshake costs about 0.4 ms, and the loop hands over everything that has arrived in one turn: with 10,000 at once each step of a
moderator's command would wait for turns of one or two seconds (measured: p99 3.5 s).
"""

from __future__ import annotations

import asyncio
from collections import deque

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class Admission:
    """For the loop's thread. What arrives beyond `per_turn` waits in its order, unread but for its first bytes."""

    def __init__(self, per_turn: int) -> None:
        self.per_turn = per_turn
        self._begun = 0
        self._waiting: deque[tuple[PacedProtocol, bytes]] = deque()
        self._scheduled = False

    def admits(self, protocol: PacedProtocol, data: bytes) -> bool:
        """Whether the data may be worked on at once; otherwise they come back when their turn has come."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)
        if self._begun < self.per_turn and not self._waiting:
            self._begun += 1
            return True
        protocol.transport.pause_reading()
        self._waiting.append((protocol, data))
        return False

    def _turn(self) -> None:
        self._begun = 0
        while self._waiting and self._begun < self.per_turn:
            protocol, data = self._waiting.popleft()
            if not protocol.transport.is_closing():
                self._begun += 1
                protocol.transport.resume_reading()
                protocol.work_on(data)
        self._scheduled = self._begun > 0
        if self._scheduled:
            asyncio.get_running_loop().call_soon(self._turn)


class PacedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP protocol (`http=`) with the admission that the application's lifespan puts into its state; WebSockets begin as
    HTTP requests."""

    def data_received(self, data: bytes) -> None:
        if self.app_state["admission"].admits(self, data):
            super().data_received(data)

    def work_on(self, data: bytes) -> None:
        """What has waited."""
        super().data_received(data)
