"""Shared frames: one message, encoded once, written to every WebSocket that watches.

A server's frames are not masked (RFC 6455 section 5.1), so the same bytes are right for everybody; compression
without context takeover (RFC 7692 section 7.1.1) makes that true of compressed frames as well. A connection with a
backlog leaves its groups at once: nothing is ever queued for a slow reader; its owner catches up when it has drained.

All of it belongs to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import ctypes
import random
import socket
import struct
import zlib
from array import array
from collections import deque
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from functools import cache
from importlib import import_module
from itertools import repeat
from typing import TYPE_CHECKING, Any, Literal, Protocol, cast

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.extensions.permessage_deflate import PerMessageDeflate, ServerPerMessageDeflateFactory

if TYPE_CHECKING:
    from uvicorn._types import ASGIReceiveEvent, ASGISendEvent, WebSocketReceiveEvent
    from uvicorn.config import Config
    from uvicorn.server import ServerState
    from websockets.frames import Frame as ReceivedFrame
    from websockets.http11 import Request

SCOPE_KEY = "plenum.fanout"
"""Where the endpoint finds its connection: `scope["extensions"][SCOPE_KEY]`."""

TEXT = 1
BINARY = 2

WINDOW_BITS = 12
"""LZ77 window, 4 KiB, as uvicorn and websockets choose it. A client that allows less gets plain frames."""

LEAVING_PER_SECOND = 500
"""Clients that a stopping process sends away: a quarter of the handshakes that another one can do in that time."""
LEAVING_SHARE = 0.8
"""Of the time that uvicorn gives them all."""

_FIN = 0x80
_RSV1 = 0x40
_WORTH_COMPRESSING = 64
"""Payloads below this many bytes are sent as they are: deflate gains nothing there and costs the client work."""


class Frame:
    """One message of the server. `plain` and `compressed` are complete frames; `payload` is the message itself."""

    __slots__ = ("_compressed", "_text", "opcode", "payload", "plain")

    def __init__(self, payload: bytes, opcode: int = TEXT) -> None:
        self.payload = payload
        self.opcode = opcode
        self.plain = _encode(payload, _FIN | opcode)
        self._compressed: bytes | None = None
        self._text: str | None = None

    @property
    def compressed(self) -> bytes:
        """The frame for connections with permessage-deflate; the plain one where that is not longer."""
        if self._compressed is None:
            self._compressed = self._compress()
        return self._compressed

    @property
    def text(self) -> str:
        """The payload as ASGI wants a text message."""
        if self._text is None:
            self._text = self.payload.decode()
        return self._text

    def _compress(self) -> bytes:
        if len(self.payload) < _WORTH_COMPRESSING:
            return self.plain
        deflated = _encode(_deflate(self.payload), _FIN | _RSV1 | self.opcode)
        return deflated if len(deflated) < len(self.plain) else self.plain


class Link(Protocol):
    """What the hub sees of one connection."""

    behind: bool
    """True while it has a backlog. What is written then is queued, so its owner writes nothing until `on_drained`."""
    on_behind: Callable[[], None] | None
    on_drained: Callable[[], None] | None
    groups: tuple[Group, ...]
    """Kept by the groups."""

    @property
    def is_open(self) -> bool:
        """True until the first sign of an end; what is written afterwards is dropped."""

    def write(self, frame: Frame) -> None:
        """Sends to this connection only, in order with what its groups send; nothing once it is closing."""

    def close(self, code: int, reason: str = "") -> None:
        """Leaves all groups and starts the closing handshake; a peer that does not answer is cut off."""

    def buffered(self) -> int:
        """Bytes that wait because the peer reads too slowly."""


Way = Literal["extension", "ctypes", "transport"]
"""How a group writes: the C loop of `_fanout.c`, without the GIL; libc's `send` from Python; or the transport."""

SendMany = Callable[[Sequence[int], bytes], list[tuple[int, int]]]
"""Sends the bytes to every descriptor; returns (index, bytes taken) of those that did not take all of them."""


class Group:
    """Connections that get the same frames.

    A member that falls behind is no longer a member, and `on_behind` is told so before `send` returns: the frame in
    hand is still delivered to it, in order, and nothing after it. Its owner adds it again when it has drained and has
    been written what is current. Joining is one step: `link.write(snapshot)`, `add(link)`, without an await between.
    """

    def __init__(self, on_behind: Callable[[Link], None], way: Way | None = None) -> None:
        self._on_behind = on_behind
        self._send_many = _send_many(way or fastest_way())
        self._lanes: dict[tuple[bool, bool], _Lane] = {}
        self._others: dict[Link, None] = {}

    def __len__(self) -> int:
        return len(self._others) + sum(len(lane.links) for lane in self._lanes.values())

    def __contains__(self, link: Link) -> bool:
        return self in link.groups

    def add(self, link: Link) -> None:
        """Takes the link in. One that is closing is left out; one that is behind is reported instead."""
        if self in link.groups or not link.is_open:
            return
        if link.behind:
            self._on_behind(link)
            return
        link.groups += (self,)
        if isinstance(link, FanoutProtocol):
            self._lane_of(link).add(link)
        else:
            self._others[link] = None

    def discard(self, link: Link) -> None:
        """Lets the link go, without a report; no harm if it is not a member."""
        if self in link.groups:
            link.groups = tuple(group for group in link.groups if group is not self)
            self.drop(link)

    def send(self, frame: Frame) -> None:
        """Writes the frame to every member. Reports may let members come and go: they see this frame once or never."""
        fell: list[FanoutProtocol] = []
        for (deflated, direct), lane in tuple(self._lanes.items()):
            if lane.links:
                data = frame.compressed if deflated else frame.plain
                fell += lane.send_direct(data, self._send_many) if direct and self._send_many else lane.send(data)
        for other in tuple(self._others):
            if other in self._others:
                other.write(frame)
        for link in fell:
            link.tell_behind()

    def drop(self, link: Link) -> None:
        """For links: takes a member out of the structure."""
        if isinstance(link, FanoutProtocol):
            self._lane_of(link).discard(link)
        else:
            self._others.pop(link, None)

    def report(self, link: Link) -> None:
        """For links: passes on that a former member has fallen behind."""
        self._on_behind(link)

    def _lane_of(self, link: FanoutProtocol) -> _Lane:
        key = link.deflated, link.descriptor >= 0 and self._send_many is not None
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        return lane


class _Lane:
    """Members that take byte-identical data the same way; none of them has a backlog."""

    __slots__ = ("_descriptors", "_order", "links")

    def __init__(self) -> None:
        self.links: dict[FanoutProtocol, None] = {}
        self._order: tuple[FanoutProtocol, ...] | None = None
        self._descriptors = array("i")

    def add(self, link: FanoutProtocol) -> None:
        self.links[link] = None
        self._order = None

    def discard(self, link: FanoutProtocol) -> None:
        self.links.pop(link, None)
        self._order = None

    def send_direct(self, data: bytes, send_many: SendMany) -> list[FanoutProtocol]:
        """Writes past the transports, which is right only because their buffers are empty. Returns who fell behind."""
        order = self._settled()
        short = send_many(self._descriptors, data)
        return [order[i] for i, taken in short if order[i].hand_over(data[taken:])]

    def send(self, data: bytes) -> list[FanoutProtocol]:
        """Writes through the transports. Returns who fell behind."""
        return [link for link in self._settled() if link.hand_over(data)]

    def _settled(self) -> tuple[FanoutProtocol, ...]:
        """The members in the order of their descriptors, made anew when somebody has come or gone."""
        if self._order is None:
            self._order = tuple(self.links)
            self._descriptors = array("i", [link.descriptor for link in self._order])
        return self._order


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


def fastest_way() -> Way:
    """The fastest way to write that this installation has."""
    return "extension" if _extension() else "ctypes" if _libc_send() else "transport"


def _send_many(way: Way) -> SendMany | None:
    """None: through the transports. Raises RuntimeError if this installation does not have it."""
    if way == "transport":
        return None
    send_many = _extension() if way == "extension" else _libc_send()
    if send_many is None:
        raise RuntimeError(f"this installation cannot send by {way}")
    return send_many


def _extension() -> SendMany | None:
    try:
        send_many: SendMany = import_module("live._fanout").send_many
    except ImportError:
        return None
    return send_many


@cache
def _libc_send() -> SendMany | None:
    """libc's `send`, called without giving the GIL away, which other threads would use to hold up every single call."""
    try:
        send = ctypes.PyDLL(None).send
    except (OSError, TypeError, AttributeError):  # not POSIX
        return None
    send.restype = ctypes.c_ssize_t

    def send_many(descriptors: Sequence[int], data: bytes) -> list[tuple[int, int]]:
        size = len(data)
        taken = list(map(send, descriptors, repeat(data), repeat(ctypes.c_size_t(size)), repeat(_SEND_FLAGS)))
        if taken.count(size) == len(taken):
            return []
        return [(i, max(count, 0)) for i, count in enumerate(taken) if count != size]

    return send_many


_SEND_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)

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


def _encode(payload: bytes, head: int) -> bytes:
    """RFC 6455 section 5.2, without mask."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", head, size) + payload
    if size < 65536:
        return struct.pack("!BBH", head, 126, size) + payload
    return struct.pack("!BBQ", head, 127, size) + payload


def _deflate(payload: bytes) -> bytes:
    """Raw deflate of one message; the empty block at its end is left out (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-WINDOW_BITS)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
