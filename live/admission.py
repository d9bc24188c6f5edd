"""Admission: how many HTTP requests begin in one turn of the loop, and that a stopping process still answers whom it has let in.

After a restart thousands come back in the same second; who is connected already, the moderators first of all, must not wait behind
all their handshakes.

A handshake costs about 0.4 ms, and the loop hands over everything that has arrived in one turn: with 10,000 at once each step of a
moderator's command would wait for turns of one or two seconds (measured: p99 3.5 s).
"""

from __future__ import annotations

import asyncio
from collections import deque
from typing import cast

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

LAST_REQUEST_SECONDS = 1.0
"""For the request of somebody whom a stopping process has let in. It is under way already; a telephone may need that long."""


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

    is_leaving = False

    def data_received(self, data: bytes) -> None:
        if self.app_state["admission"].admits(self, data):
            super().data_received(data)
        else:
            self._unset_keepalive_if_required()  # it has said something

    def work_on(self, data: bytes) -> None:
        """What has waited."""
        super().data_received(data)

    def shutdown(self) -> None:
        """The process is to stop. Whose first request has not been read yet would find the door closed behind them, while other
        processes stand open: they are answered, for the last time."""
        if self._newest is not None:
            super().shutdown()
            return
        self.is_leaving = True
        self.timeout_keep_alive_task = self.loop.call_later(LAST_REQUEST_SECONDS, self.timeout_keep_alive_handler)

    def on_headers_complete(self) -> None:
        """See uvicorn."""
        super().on_headers_complete()
        if self.is_leaving and self._newest is not None:
            self._newest.keep_alive = False

    def handle_websocket_upgrade(self) -> None:
        """See uvicorn."""
        super().handle_websocket_upgrade()
        if self.is_leaving:
            cast("WebSocketsSansIOProtocol", self.transport.get_protocol()).shutdown()

    @property
    def _newest(self) -> RequestResponseCycle | None:
        """The newest request, answered or not. None: there has been none yet, or it became a WebSocket."""
        return cast("RequestResponseCycle | None", self.cycle)
