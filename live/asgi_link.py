"""A connection of a server that lacks our protocol."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping
from typing import TYPE_CHECKING, Any

from live.frames import TEXT, Frame

if TYPE_CHECKING:
    from live.fanout import Group


class AsgiLink:
    """A Link over a plain ASGI `send`, for servers without FanoutProtocol. The endpoint's task group runs `drain`.

    It is behind when more than one message waits. Groups skip links that are behind, so that is all that waits here.
    """

    def __init__(self, send: Callable[[MutableMapping[str, Any]], Awaitable[None]]) -> None:
        self.behind = False
        self.on_behind: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self.groups: tuple[Group, ...] = ()
        self._send = send
        self._waiting: deque[Frame] = deque()
        self._end: dict[str, Any] | None = None
        self._changed = asyncio.Event()

    @property
    def is_open(self) -> bool:
        """See Link."""
        return self._end is None

    def write(self, frame: Frame) -> None:
        """See Link."""
        if self._end is not None:
            return
        self._waiting.append(frame)
        self._changed.set()
        if len(self._waiting) > 1 and not self.behind:
            self._fall_behind()

    def close(self, code: int, reason: str = "") -> None:
        """See Link. What waits is dropped."""
        if self._end is None:
            self._end = {"type": "websocket.close", "code": code, "reason": reason}
            self._waiting.clear()
            self._leave()
            self._changed.set()

    def buffered(self) -> int:
        """See Link: what the server has taken is not counted, it cannot be seen from here."""
        return sum(len(frame.payload) for frame in self._waiting)

    async def drain(self) -> None:
        """Sends what is written until the link is closed or the client is gone; to be cancelled with the endpoint."""
        try:
            while self._end is None:
                await self._changed.wait()
                await self._send_waiting()
            await self._send(self._end)
        except OSError:  # how ASGI servers say that the client has gone
            self._end = {}
        finally:
            self._leave()

    async def _send_waiting(self) -> None:
        while self._waiting:
            frame = self._waiting.popleft()
            body = {"text": frame.text} if frame.opcode == TEXT else {"bytes": frame.payload}
            await self._send({"type": "websocket.send", **body})
        self._changed.clear()
        if self.behind and self._end is None:
            self.behind = False
            if self.on_drained is not None:
                self.on_drained()

    def _fall_behind(self) -> None:
        self.behind = True
        for group in self._leave():
            group.report(self)
        if self.on_behind is not None:
            self.on_behind()

    def _leave(self) -> tuple[Group, ...]:
        groups, self.groups = self.groups, ()
        for group in groups:
            group.drop(self)
        return groups
