"""uvicorn's WebSocket connection, to which a group may write past ASGI."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

from live.frames import WINDOW_BITS, Frame

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, WebSocketReceiveEvent
    from uvicorn.config import Config
    from uvicorn.server import ServerState
    from websockets.frames import Frame as ReceivedFrame
    from websockets.http11 import Request

    from live.fanout import Group

SCOPE_KEY = "plenum.fanout"
"""Where the endpoint finds its connection: `scope["extensions"][SCOPE_KEY]`."""

LEAVING_PER_SECOND = 500
"""Clients that a stopping process sends away: a quarter of the handshakes that another one can do in that time."""
LEAVING_SHARE = 0.8
"""Of the time that uvicorn gives them all."""

_DEFLATE = [
    ServerPerMessageDeflateFactory(
        server_no_context_takeover=True,  # one compressed frame for all
        client_no_context_takeover=True,  # and no window kept per connection
        server_max_window_bits=WINDOW_BITS,
        client_max_window_bits=WINDOW_BITS,
        compress_settings={"memLevel": 5},
    )
]


class _Inbox(asyncio.Queue["ASGIReceiveEvent"]):
    """The ASGI events of one connection for its one reader, without the four deques (3 kB) of an asyncio.Queue."""

    def __init__(self) -> None:
        self._events: deque[ASGIReceiveEvent] | tuple[()] = ()
        self._reader: asyncio.Future[None] | None = None

    def put_nowait(self, item: ASGIReceiveEvent) -> None:
        if not isinstance(self._events, deque):
            self._events = deque()
        self._events.append(item)
        if self._reader is not None and not self._reader.done():
            self._reader.set_result(None)

    async def get(self) -> ASGIReceiveEvent:
        while not isinstance(self._events, deque):
            self._reader = asyncio.get_running_loop().create_future()
            try:
                await self._reader
            finally:
                self._reader = None
        event = self._events.popleft()
        if not self._events:
            self._events = ()
        return event

    def empty(self) -> bool:
        return not self._events

    def take_messages(self) -> list[WebSocketReceiveEvent]:
        """Takes the messages out and leaves the other events."""
        events, self._events = self._events, ()
        messages: list[WebSocketReceiveEvent] = []
        for event in events:
            if event["type"] == "websocket.receive":
                messages.append(event)
            else:
                self.put_nowait(event)
        return messages


class FanoutProtocol(WebSocketsSansIOProtocol):
    """uvicorn's WebSocket connection (`ws=FanoutProtocol`) as a Link, found at `scope["extensions"][SCOPE_KEY]`.

    Its write-buffer limit is 0, so that `pause_writing` means that there is a backlog. Behind TLS the limit is 1,
    because SSL transports pause at 0 even when empty, and up to 64 KiB more wait below them before they say so.
    """

    __slots__ = ("_cutoff", "_is_leaving", "_muted", "_on_text", "_untold", "behind", "deflated", "descriptor", "groups",
                 "on_behind", "on_drained")  # fmt: skip
    queue: _Inbox

    def __init__(
        self,
        config: Config,
        server_state: ServerState,
        app_state: dict[str, Any],
        _loop: asyncio.AbstractEventLoop | None = None,
    ) -> None:
        super().__init__(config, server_state, app_state, _loop)
        self.queue = _Inbox()
        if config.ws_per_message_deflate:
            self.conn.available_extensions = _DEFLATE
        self.deflated = False
        self.descriptor = -1
        self.groups: tuple[Group, ...] = ()
        self.behind = False
        self.on_behind: Callable[[], None] | None = None
        self.on_drained: Callable[[], None] | None = None
        self._on_text: Callable[[str], None] | None = None
        self._muted = False
        self._untold: tuple[Group, ...] = ()
        self._cutoff: asyncio.TimerHandle | None = None
        self._is_leaving = False

    # The link.

    @property
    def is_open(self) -> bool:
        """See Link. False during the opening handshake, too."""
        return self.handshake_complete and self._cutoff is None and not self.transport.is_closing()

    def write(self, frame: Frame) -> None:
        """See Link."""
        if self.is_open:
            self.transport.write(frame.compressed if self.deflated else frame.plain)

    def close(self, code: int, reason: str = "") -> None:
        """See Link. The endpoint receives `websocket.disconnect` with the same code. `reason`: at most 123 bytes."""
        if not self.is_open:
            return
        self._retire()
        self.queue.put_nowait({"type": "websocket.disconnect", "code": code, "reason": reason})
        self.conn.send_close(code, reason)
        self.transport.write(b"".join(self.conn.data_to_send()))
        self.close_sent = True
        self.close_timer = self._cutoff  # uvicorn waits for the peer's close frame while this is set
        self.resume_reading()

    def buffered(self) -> int:
        """See Link."""
        return self.transport.get_write_buffer_size()

    @property
    def on_text(self) -> Callable[[str], None] | None:
        """Takes text messages at once, instead of the ASGI queue; binary ones are then refused with 1003.

        Setting it hands over what waits in the queue. There is no flow control but `pause_reading`, after which the
        rest of what was read (at most 256 KiB) still comes. If it raises, the connection is closed with 1011.
        """
        return self._on_text

    @on_text.setter
    def on_text(self, take: Callable[[str], None] | None) -> None:
        self._on_text = take
        if take is None:
            return
        self.resume_reading()
        for event in self.queue.take_messages():
            self._receive(event.get("text"))

    def pause_reading(self) -> None:
        """Reads nothing more from the peer, not even its close frame."""
        if not self.read_paused:
            self.read_paused = True
            self.transport.pause_reading()

    def resume_reading(self) -> None:
        """Undoes `pause_reading`."""
        if self.read_paused:
            self.read_paused = False
            self.transport.resume_reading()

    def forget_request(self) -> None:
        """Frees the request's headers (some 5 kB), in the endpoint's scope too: call it when they have been read."""
        self.scope["headers"] = []
        self.request.headers.clear()  # websockets' parser keeps the request
        self.response.headers.clear()

    # For groups.

    def hand_over(self, data: bytes) -> bool:
        """Gives data to the transport while a group sends; a backlog is told later. Returns whether there is one."""
        self._muted = True
        try:
            self.transport.write(data)
        finally:
            self._muted = False
        return self.behind

    def tell_behind(self) -> None:
        """Reports the backlog to the groups that it was a member of and to its owner."""
        groups, self._untold = self._untold, ()
        for group in groups:
            group.report(self)
        if self.on_behind is not None and self.is_open:
            self.on_behind()

    # The transport's calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        if self.scheme == "wss":  # the descriptor carries TLS records: only the transport may write to it
            self.transport.set_write_buffer_limits(high=1, low=0)
            return
        self.transport.set_write_buffer_limits(high=0)
        self.descriptor = self.transport.get_extra_info("socket").fileno()

    def pause_writing(self) -> None:
        super().pause_writing()
        self.behind = True
        self._untold, self.groups = self.groups, ()
        for group in self._untold:
            group.drop(self)
        if not self._muted:
            self.tell_behind()

    def resume_writing(self) -> None:
        super().resume_writing()
        self.behind = False
        if self.on_drained is not None and self.is_open:
            self.on_drained()

    def eof_received(self) -> None:
        self._retire()

    def connection_lost(self, exc: Exception | None) -> None:
        self._retire()
        if self._cutoff is not None:
            self._cutoff.cancel()
        self.on_behind = self.on_drained = self._on_text = None
        super().connection_lost(exc)

    # uvicorn's steps. No data frame may follow a close frame (RFC 6455 section 5.5.1), and descriptors are used again,
    # so whatever ends the connection retires it first.

    def _retire(self) -> None:
        """Leaves all groups for good. A peer that does not read the rest is cut off after `close_timeout` seconds."""
        groups, self.groups = self.groups, ()
        for group in groups:
            group.drop(self)
        if self._cutoff is None:
            self._cutoff = self.loop.call_later(self.close_timeout, self.transport.abort)

    def handle_connect(self, event: Request) -> None:
        super().handle_connect(event)
        if self.handshake_complete:  # refused
            return
        for extension in self.conn.extensions:
            if isinstance(extension, PerMessageDeflate):
                self.deflated = extension.local_max_window_bits >= WINDOW_BITS
        extensions = cast("dict[str, object]", self.scope["extensions"])
        extensions[SCOPE_KEY] = self

    def handle_bytes(self, event: ReceivedFrame) -> None:
        if self._on_text is not None:
            self.close(1003)
        else:
            super().handle_bytes(event)

    def send_receive_event_to_app(self) -> None:
        if self._on_text is None or self.close_sent:
            super().send_receive_event_to_app()
            return
        payload = b"".join(self.frames)
        self.frames = []
        try:
            text = payload.decode()
        except UnicodeDecodeError:
            self.close(1007)
        else:
            self._receive(text)

    def _receive(self, text: str | None) -> None:
        if self._on_text is None or not self.is_open:
            return
        if text is None:
            self.close(1003)
            return
        try:
            self._on_text(text)
        except Exception:
            self.logger.exception("a WebSocket message was not processed")
            self.close(1011)

    def handle_ping(self) -> None:
        if self.behind and self.conn.close_rcvd is None:
            self.conn.data_to_send()  # no pongs for a peer that does not read: they would pile up
        else:
            super().handle_ping()

    def handle_close(self, event: ReceivedFrame) -> None:
        self._retire()
        super().handle_close(event)

    def handle_parser_exception(self) -> None:
        self._retire()
        super().handle_parser_exception()

    def keepalive_timeout(self) -> None:
        self._retire()
        super().keepalive_timeout()

    def shutdown(self) -> None:
        """The process is to stop. Its clients leave one after the other, each at a moment of its own, and are served until then:
        all at once they would fall upon the processes that go on."""
        spread = min(len(self.connections) / LEAVING_PER_SECOND, LEAVING_SHARE * (self.config.timeout_graceful_shutdown or 0))
        self.loop.call_later(random.uniform(0, spread), self._shut_down)

    def _shut_down(self) -> None:
        """Whose handshake is under way is let in first: pages come back at once after 1012, and wait after an error."""
        if self.handshake_initiated and not self.handshake_complete:
            self._is_leaving = True
            return
        self._retire()
        super().shutdown()

    async def send(self, message: ASGISendEvent) -> None:
        if message["type"] == "websocket.close" and self.is_open:  # without waiting for a peer that does not read
            self.close(message.get("code", 1000), message.get("reason") or "")
        else:
            await super().send(message)
            if self._is_leaving and self.handshake_complete:
                self._shut_down()

    async def run_asgi(self) -> None:
        try:
            await super().run_asgi()
        finally:
            self._retire()
