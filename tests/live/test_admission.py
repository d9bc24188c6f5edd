"""A process that stops answers whom it has let in, whatever the moment: real connections to uvicorn in this loop."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

from live.admission import LAST_REQUEST_SECONDS, Admission, PacedProtocol
from live.fanout_protocol import LEAVING_PER_SECOND, FanoutProtocol

WITHIN = 20.0
PAGE = b"GET /page HTTP/1.1\r\nHost: hall\r\n\r\n"
UPGRADE = (
    b"GET /socket HTTP/1.1\r\nHost: hall\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
)
COME_BACK = b"\x88\x02\x03\xf4"
"""RFC 6455: a close frame with status code 1012, service restart."""


class Door:
    """A server that is about to leave; whoever asks for the page or the socket waits for `opened`."""

    def __init__(self, http: type[HttpToolsProtocol], ws: type[WebSocketsSansIOProtocol]) -> None:
        self.opened = asyncio.Event()
        self.asked = asyncio.Semaphore(0)
        app = Starlette(
            routes=[Route("/page", self._page), WebSocketRoute("/socket", self._socket)], lifespan=lambda _: self._living()
        )
        self.server = uvicorn.Server(uvicorn.Config(app, http=http, ws=ws, log_level="critical", timeout_graceful_shutdown=10))
        self.listening = socket.create_server(("127.0.0.1", 0))

    @asynccontextmanager
    async def _living(self) -> AsyncIterator[dict[str, Admission]]:
        yield {"admission": Admission(100)}

    async def _page(self, request: Request) -> PlainTextResponse:
        self.asked.release()
        await self.opened.wait()
        return PlainTextResponse("Guten Abend")

    async def _socket(self, websocket: WebSocket) -> None:
        self.asked.release()
        await self.opened.wait()
        await websocket.accept()
        await websocket.receive()

    async def open(self) -> None:
        self.server.config.load()
        self.server.lifespan = self.server.config.lifespan_class(self.server.config)
        await self.server.startup([self.listening])

    async def leave(self) -> asyncio.Task[None]:
        """Returns when every connection that there is has been told."""
        leaving = asyncio.create_task(self.server.shutdown([self.listening]))
        await asyncio.sleep(0)  # `shutdown` has come to its first wait
        return leaving

    async def visitor(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Somebody whom the process has let in and who has not said anything yet."""
        before = len(self.server.server_state.connections)
        reader, writer = await asyncio.open_connection(*self.listening.getsockname())
        async with asyncio.timeout(WITHIN):
            while len(self.server.server_state.connections) == before:  # noqa: ASYNC110  (uvicorn's set tells nobody)
                await asyncio.sleep(0)
        return reader, writer


@pytest.fixture
async def door() -> AsyncIterator[Callable[..., Door]]:
    made: list[Door] = []

    def make(http: type[HttpToolsProtocol] = PacedProtocol, ws: type[WebSocketsSansIOProtocol] = FanoutProtocol) -> Door:
        made.append(Door(http, ws))
        return made[-1]

    yield make
    for each in made:
        each.opened.set()
        each.listening.close()


async def rest(reader: asyncio.StreamReader) -> bytes:
    """What comes until the connection ends; nothing if it is reset, as it is for whoever speaks to a closed door."""
    async with asyncio.timeout(WITHIN):
        try:
            return await reader.read()
        except ConnectionResetError:
            return b""


@pytest.mark.parametrize("http", [PacedProtocol, HttpToolsProtocol], ids=["", "control: uvicorn's own"])
@pytest.mark.parametrize("request_bytes", [PAGE, UPGRADE], ids=["page", "socket"])
async def test_who_was_let_in_just_before_the_process_stops_is_answered(
    door: Callable[..., Door], http: type[HttpToolsProtocol], request_bytes: bytes
) -> None:
    closing = door(http)
    closing.opened.set()
    await closing.open()
    reader, writer = await closing.visitor()
    leaving = await closing.leave()
    writer.write(request_bytes)
    said = await rest(reader)
    writer.close()
    if http is HttpToolsProtocol:
        assert said == b"", "the control: the door is closed behind them"
    elif request_bytes is PAGE:
        assert said.startswith(b"HTTP/1.1 200 ")
        assert said.endswith(b"Guten Abend")
        assert b"connection: close\r\n" in said, "their next request goes to another process"
    else:
        assert said.startswith(b"HTTP/1.1 101 ")
        assert said.endswith(COME_BACK)
    await asyncio.wait_for(leaving, WITHIN)


@pytest.mark.parametrize("ws", [FanoutProtocol, WebSocketsSansIOProtocol], ids=["", "control: uvicorn's own"])
async def test_whose_handshake_is_under_way_is_let_in_and_told_to_come_back(
    door: Callable[..., Door], ws: type[WebSocketsSansIOProtocol]
) -> None:
    closing = door(ws=ws)
    await closing.open()
    reader, writer = await closing.visitor()
    writer.write(UPGRADE)
    await asyncio.wait_for(closing.asked.acquire(), WITHIN)
    leaving = await closing.leave()
    await asyncio.sleep(0)  # the timer of nought seconds
    closing.opened.set()
    said = await rest(reader)
    writer.close()
    if ws is WebSocketsSansIOProtocol:
        assert said.startswith(b"HTTP/1.1 500 "), "the control: an error, after which pages wait"
    else:
        assert said.startswith(b"HTTP/1.1 101 ")
        assert said.endswith(COME_BACK)
    await asyncio.wait_for(leaving, WITHIN)


@pytest.mark.parametrize("ws", [FanoutProtocol, WebSocketsSansIOProtocol], ids=["", "control: uvicorn's own"])
async def test_who_is_sent_away_leaves_one_after_the_other(
    door: Callable[..., Door], ws: type[WebSocketsSansIOProtocol], monkeypatch: pytest.MonkeyPatch
) -> None:
    """All at once they would fall upon the processes that go on. What is looked at are the timers: on a busy machine several go off
    late, and together."""
    delays: list[float] = []
    loop = asyncio.get_running_loop()
    later = loop.call_later

    def noted(delay: float, callback: Callable[..., object], *arguments: object, **more: object) -> asyncio.TimerHandle:
        if getattr(callback, "__func__", None) is FanoutProtocol._shut_down:
            delays.append(delay)
        return later(delay, callback, *arguments, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_later", noted)
    closing = door(ws=ws)
    closing.opened.set()
    await closing.open()
    visitors = [await closing.visitor() for _ in range(100)]
    for reader, writer in visitors:
        writer.write(UPGRADE)
        async with asyncio.timeout(WITHIN):
            await reader.readuntil(b"\r\n\r\n")
    leaving = await closing.leave()
    served = [one for one in closing.server.server_state.connections if not one.transport.is_closing()]
    if ws is WebSocketsSansIOProtocol:
        assert not served, "the control: nobody is served any more"
    else:
        assert len(served) == len(delays) == 100
        assert 0.1 < max(delays) - min(delays) <= 100 / LEAVING_PER_SECOND
    for reader, writer in visitors:
        assert await rest(reader) == COME_BACK
        writer.close()
    await asyncio.wait_for(leaving, WITHIN)


async def test_who_never_asks_does_not_keep_the_process(door: Callable[..., Door]) -> None:
    closing = door()
    await closing.open()
    reader, writer = await closing.visitor()
    started = asyncio.get_running_loop().time()
    leaving = await closing.leave()
    assert await rest(reader) == b""
    assert asyncio.get_running_loop().time() - started > LAST_REQUEST_SECONDS / 2, "they were given time"
    writer.close()
    await asyncio.wait_for(leaving, WITHIN)


async def test_who_is_answered_already_and_idle_is_let_go_at_once(door: Callable[..., Door]) -> None:
    closing = door()
    closing.opened.set()
    await closing.open()
    reader, writer = await closing.visitor()
    writer.write(PAGE)
    async with asyncio.timeout(WITHIN):
        await reader.readuntil(b"Guten Abend")
    leaving = await closing.leave()
    assert await rest(reader) == b""
    writer.close()
    await asyncio.wait_for(leaving, WITHIN)
