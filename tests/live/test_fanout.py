"""Shared frames on real uvicorn servers, read by real clients and raw sockets, on both loops, by every way to write."""

import asyncio
import functools
import inspect
import json
import os
import shlex
import socket
import ssl
import struct
import subprocess
import sysconfig
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, get_args

import pytest
import uvicorn
import uvloop
from starlette.applications import Starlette
from starlette.routing import WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.extensions.permessage_deflate import PerMessageDeflate
from websockets.frames import Frame as ReceivedFrame
from websockets.streams import StreamReader

from live.asgi_link import AsgiLink
from live.fanout import Group, Link
from live.fanout_protocol import SCOPE_KEY, FanoutProtocol
from live.frames import Frame
from live.sending import Way, fastest_way

LIMIT = 20
"""Seconds that any of these tests may take on a busy machine; none waits for time to pass."""

ROOT = Path(__file__).resolve().parents[2]
TEXT, BINARY, CLOSE, PING, PONG = 1, 2, 8, 9, 10


@pytest.fixture(scope="session", autouse=True)
def _compiled() -> None:
    """The C loop, compiled if it is missing or older than its source."""
    source = ROOT / "live" / "_fanout.c"
    target = ROOT / "live" / f"_fanout{sysconfig.get_config_var('EXT_SUFFIX')}"
    if target.exists() and target.stat().st_mtime >= source.stat().st_mtime:
        return
    made = target.with_suffix(f".{os.getpid()}")
    compiler = shlex.split(os.environ.get("CC", "cc"))
    include = f"-I{sysconfig.get_path('include')}"
    subprocess.run([*compiler, "-O2", "-fPIC", "-shared", include, str(source), "-o", str(made)], check=True)
    made.replace(target)


def on_both_loops(test: Callable[..., Awaitable[None]]) -> Callable[..., None]:
    """Runs an async test on asyncio's and on uvloop's loop, within the limit. A report of either loop fails it."""

    @functools.wraps(test)
    def run(new_loop: Callable[[], asyncio.AbstractEventLoop], **arguments: Any) -> None:
        complaints: list[dict[str, Any]] = []

        async def limited() -> None:
            asyncio.get_running_loop().set_exception_handler(lambda loop, context: complaints.append(context))
            async with asyncio.timeout(LIMIT):
                await test(**arguments)

        with asyncio.Runner(loop_factory=new_loop) as runner:
            runner.run(limited())
        assert complaints == []

    signature = inspect.signature(test)
    loop = inspect.Parameter("new_loop", inspect.Parameter.KEYWORD_ONLY)
    run.__signature__ = signature.replace(parameters=[*signature.parameters.values(), loop])  # type: ignore[attr-defined]
    loops = [pytest.param(asyncio.new_event_loop, id="asyncio"), pytest.param(uvloop.new_event_loop, id="uvloop")]
    parametrized: Callable[..., None] = pytest.mark.parametrize("new_loop", loops)(run)
    return parametrized


every_way = pytest.mark.parametrize("way", get_args(Way))


class Hall:
    """The smallest hub: one group, a number as its state, a server on a free port."""

    def __init__(self, way: Way | None = None) -> None:
        self.number = 0
        self.group = Group(self.fell_behind, way)
        self.links: list[FanoutProtocol] = []
        self.behind: list[tuple[Link, int]] = []
        self.heard: list[str] = []
        self.ended: list[int] = []
        self.changed = asyncio.Condition()
        self.tasks: set[asyncio.Task[None]] = set()
        self.address = ("127.0.0.1", 0)

    async def endpoint(self, websocket: WebSocket) -> None:
        await websocket.accept()
        link: FanoutProtocol = websocket.scope["extensions"][SCOPE_KEY]
        link.on_text = self.heard.append
        link.on_behind = self.tell
        link.on_drained = lambda: self.join(link)
        self.links.append(link)
        self.join(link)
        event = await websocket.receive()
        assert event["type"] == "websocket.disconnect"
        self.ended.append(event["code"])
        self.tell()

    def join(self, link: Link) -> None:
        link.write(message(self.number, kind="snapshot"))
        self.group.add(link)
        self.tell()

    def say(self, padding: str = "") -> None:
        self.number += 1
        self.group.send(message(self.number, padding=padding))

    def fell_behind(self, link: Link) -> None:
        self.behind.append((link, self.number))
        self.tell()

    def tell(self) -> None:
        """Wakes `until`; callable from synchronous code."""

        async def notify() -> None:
            async with self.changed:
                self.changed.notify_all()

        task = asyncio.get_running_loop().create_task(notify())
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def until(self, condition: Callable[[], object]) -> None:
        async with self.changed:
            await self.changed.wait_for(lambda: bool(condition()))

    def app(self) -> Starlette:
        return Starlette(routes=[WebSocketRoute("/", self.endpoint)])


def message(number: int, kind: str = "news", padding: str = "") -> Frame:
    return Frame(json.dumps({"number": number, "kind": kind, "padding": padding}).encode())


@asynccontextmanager
async def serving(hall: Hall, *, buffer: int | None = None, **config: Any) -> AsyncIterator[None]:
    """Serves the hall with uvicorn, in this loop. `buffer`: bytes that the kernel takes per connection, about."""
    settings: dict[str, Any] = {"ws": FanoutProtocol, "log_level": "warning", "timeout_graceful_shutdown": 1, **config}
    server = uvicorn.Server(uvicorn.Config(hall.app(), **settings))
    with socket.create_server(("127.0.0.1", 0)) as listening:
        if buffer is not None:
            listening.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, buffer)
        hall.address = listening.getsockname()
        task = asyncio.get_running_loop().create_task(server.serve(sockets=[listening]))
        try:
            yield
        finally:
            server.should_exit = True
            await task


def visiting(hall: Hall, *, deflate: bool = False, **options: Any) -> connect:
    address = f"wss://localhost:{hall.address[1]}/" if "ssl" in options else f"ws://127.0.0.1:{hall.address[1]}/"
    return connect(address, compression="deflate" if deflate else None, max_size=None, max_queue=None, **options)


@asynccontextmanager
async def storm(hall: Hall) -> AsyncIterator[None]:
    """Says something in every step of the loop."""

    async def rage() -> None:
        while True:
            hall.say()
            await asyncio.sleep(0)

    task = asyncio.get_running_loop().create_task(rage())
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


class Raw:
    """A client that shows every byte and reads only when it is told to."""

    def __init__(self) -> None:
        self.socket = socket.socket()
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.socket.setblocking(False)
        self.received = b""

    async def open(self, hall: Hall, extensions: str = "") -> None:
        await asyncio.get_running_loop().sock_connect(self.socket, hall.address)
        await self.send(
            b"GET / HTTP/1.1\r\nHost: hall\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
            + (f"Sec-WebSocket-Extensions: {extensions}\r\n".encode() if extensions else b"")
            + b"\r\n"
        )
        while b"\r\n\r\n" not in self.received:
            assert await self.read()
        self.head, _, self.received = self.received.partition(b"\r\n\r\n")
        assert self.head.startswith(b"HTTP/1.1 101")

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def send_frame(self, opcode: int, payload: bytes = b"", fin: bool = True) -> None:
        await self.send(masked(opcode, payload, fin))

    async def read(self) -> bool:
        """Reads once; False at the end."""
        try:
            more = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 20)
        except ConnectionResetError:
            more = b""
        self.received += more
        return bool(more)

    async def read_to_end(self) -> list[tuple[int, bytes]]:
        while await self.read():
            pass
        return list(frames(self.received))

    async def read_until(self, condition: Callable[[list[tuple[int, bytes]]], object]) -> list[tuple[int, bytes]]:
        while not condition(list(frames(self.received))):
            assert await self.read(), "the connection ended too early"
        return list(frames(self.received))

    def reset(self) -> None:
        """Ends the connection with a TCP reset."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()


@asynccontextmanager
async def raw_visitor(hall: Hall, extensions: str = "") -> AsyncIterator[Raw]:
    raw = Raw()
    try:
        await raw.open(hall, extensions)
        yield raw
    finally:
        raw.socket.close()


def masked(opcode: int, payload: bytes, fin: bool = True) -> bytes:
    mask = b"\x01\x02\x03\x04"
    size = bytes([0x80 | len(payload)]) if len(payload) < 126 else b"\xfe" + struct.pack("!H", len(payload))
    return bytes([fin << 7 | opcode]) + size + mask + bytes(byte ^ mask[i % 4] for i, byte in enumerate(payload))


def frames(received: bytes) -> Iterator[tuple[int, bytes]]:
    """The complete, unmasked, unfragmented frames: (opcode, payload)."""
    while len(received) >= 2:
        head, size, start = received[0], received[1], 2
        assert head & 0xB0 == 0x80, f"not the beginning of a frame: {received[:20]!r}"
        assert size < 128, "a server's frames are not masked"
        if size >= 126:
            start = 4 if size == 126 else 10
            size = int.from_bytes(received[2:start], "big")
        if len(received) < start + size:
            return
        yield head & 0x0F, received[start : start + size]
        received = received[start + size :]


def numbers(received: list[tuple[int, bytes]]) -> list[int]:
    return [json.loads(payload)["number"] for opcode, payload in received if opcode == TEXT]


async def hears(client: ClientConnection) -> int:
    number: int = json.loads(await client.recv())["number"]
    return number


@pytest.mark.parametrize("size", [0, 1, 63, 64, 125, 126, 65535, 65536, 200_000])
def test_both_forms_of_a_frame_carry_the_same_message(size: int) -> None:
    payload = (b"Gute Ideen aus der Halle. " * (size // 26 + 1))[:size]
    frame = Frame(payload)
    extension = PerMessageDeflate(True, True, 12, 12)

    for data in (frame.plain, frame.compressed):
        reader = StreamReader()
        reader.feed_data(data)
        parser = ReceivedFrame.parse(reader.read_exact, mask=False, extensions=[extension])
        with pytest.raises(StopIteration) as done:
            next(parser)
        received: ReceivedFrame = done.value.value
        assert (received.opcode, received.fin, received.data) == (TEXT, True, payload)
        assert reader.buffer == b""
    assert frame.compressed is frame.compressed
    assert len(frame.compressed) < len(frame.plain) if size >= 64 else frame.compressed is frame.plain


def test_what_compression_does_not_make_smaller_stays_plain() -> None:
    frame = Frame(os.urandom(500), BINARY)

    assert frame.compressed is frame.plain
    assert frame.plain[0] == 0x80 | BINARY


def test_the_fastest_way_is_the_compiled_one() -> None:
    assert fastest_way() == "extension"


@every_way
@on_both_loops
async def test_everybody_hears_everything_in_order(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), visiting(hall) as plain, visiting(hall, deflate=True) as deflated:
        await hall.until(lambda: len(hall.group) == 2)
        assert sorted(link.deflated for link in hall.links) == [False, True]
        for i in range(200):
            hall.say(padding="é" * (i % 150) + "x" * (i * 37 % 3000))
            for link in hall.links:
                link.write(message(hall.number, kind="for you"))

        for client in (plain, deflated):
            assert await hears(client) == 0
            heard = [json.loads(await client.recv()) for _ in range(400)]
            assert [(each["number"], each["kind"]) for each in heard] == [
                (number, kind) for number in range(1, 201) for kind in ("news", "for you")
            ]


@every_way
@on_both_loops
async def test_whoever_joins_in_a_storm_misses_nothing_and_hears_nothing_twice(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), storm(hall):
        for i in range(12):
            async with visiting(hall, deflate=bool(i % 2)) as client:
                snapshot = json.loads(await client.recv())
                assert snapshot["kind"] == "snapshot"
                now = snapshot["number"]
                assert [await hears(client) for _ in range(50)] == list(range(now + 1, now + 51))


@every_way
@on_both_loops
async def test_a_stuck_client_costs_nothing_and_is_current_after_draining(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall, buffer=50_000), visiting(hall, deflate=True) as quick, raw_visitor(hall) as stuck:
        await hall.until(lambda: len(hall.group) == 2)
        [link] = [link for link in hall.links if not link.deflated]
        while not hall.behind:
            hall.say(padding="x" * 6000)
            assert await hears(quick) <= hall.number
        [(reported, since)] = hall.behind
        assert (reported, since) == (link, hall.number)
        assert len(hall.group) == 1
        backlog = link.buffered()
        assert 0 < backlog <= 7000

        for _ in range(1000):
            hall.say(padding="x" * 6000)
            await hears(quick)
        assert link.buffered() == backlog
        assert len(hall.behind) == 1

        last = hall.number
        await stuck.read_until(lambda received: last in numbers(received))
        await hall.until(lambda: link in hall.group)
        hall.say()
        received = await stuck.read_until(lambda received: last + 1 in numbers(received))
        assert numbers(received) == [*range(since + 1), last, last + 1]
        assert not link.behind
        assert link.buffered() == 0


@every_way
@on_both_loops
async def test_no_data_follows_a_close_frame_of_the_server(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), storm(hall):
        for i in range(10):
            async with raw_visitor(hall, "permessage-deflate" if i % 2 else "") as raw:
                await raw.read()
                hall.links[-1].close(4001, "too slow")
                hall.say()
                hall.join(hall.links[-1])
                hall.say()
                await raw.send_frame(CLOSE, struct.pack("!H", 4001))
                received = await raw.read_to_end()
                assert [opcode for opcode, _ in received].index(CLOSE) == len(received) - 1
                assert received[-1] == (CLOSE, struct.pack("!H", 4001) + b"too slow")
        await hall.until(lambda: hall.ended == [4001] * 10)
        assert len(hall.group) == 0


@every_way
@on_both_loops
async def test_no_data_follows_the_answer_to_a_clients_close_frame(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), storm(hall):
        for _ in range(10):
            async with raw_visitor(hall) as raw:
                await raw.read()
                await raw.send_frame(CLOSE, struct.pack("!H", 1000))
                received = await raw.read_to_end()
                assert [opcode for opcode, _ in received].index(CLOSE) == len(received) - 1
                assert received[-1] == (CLOSE, struct.pack("!H", 1000))
        await hall.until(lambda: hall.ended == [1000] * 10)
        assert len(hall.group) == 0


@every_way
@on_both_loops
async def test_members_come_and_go_between_messages(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), visiting(hall) as first, visiting(hall) as second:
        await hall.until(lambda: len(hall.group) == 2)
        one, two = hall.links
        hall.say()
        hall.group.discard(one)
        hall.group.discard(one)
        assert (one in hall.group, two in hall.group) == (False, True)
        hall.say()
        async with visiting(hall) as third:
            assert await hears(third) == 2
            hall.say()
            hall.group.add(one)
            hall.group.add(one)
            hall.say()
            assert [await hears(third) for _ in range(2)] == [3, 4]
        assert [await hears(second) for _ in range(5)] == [0, 1, 2, 3, 4]
        assert [await hears(first) for _ in range(3)] == [0, 1, 4]


@on_both_loops
async def test_who_joins_with_a_backlog_is_reported_instead() -> None:
    hall = Hall()
    async with serving(hall), raw_visitor(hall):
        await hall.until(lambda: len(hall.group) == 1)
        [link] = hall.links
        while not link.behind:
            hall.say(padding="x" * 50_000)
        assert hall.behind == [(link, hall.number)]
        hall.number += 1
        hall.group.add(link)
        assert len(hall.group) == 0
        assert hall.behind[1:] == [(link, hall.number)]


@pytest.mark.parametrize(
    ("offer", "answer", "deflated"),
    [
        ("", b"", False),
        ("permessage-deflate", b"server_max_window_bits=12", True),
        ("permessage-deflate; client_max_window_bits", b"client_max_window_bits=12", True),
        ("permessage-deflate; server_max_window_bits=9", b"server_max_window_bits=9", False),
    ],
)
@on_both_loops
async def test_no_compression_has_a_memory(offer: str, answer: bytes, deflated: bool) -> None:
    hall = Hall()
    async with serving(hall), raw_visitor(hall, offer) as raw:
        assert answer in raw.head
        assert raw.head.count(b"no_context_takeover") == (2 if offer else 0)
        await hall.until(lambda: hall.links)
        assert hall.links[0].deflated == deflated
        hall.say(padding="x" * 500)
        received = await raw.read_until(lambda received: len(received) == 2)
        assert (len(received[1][1]) < 200) == deflated


@every_way
@on_both_loops
async def test_a_reset_connection_leaves_and_harms_nobody(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), visiting(hall) as other:
        assert await hears(other) == 0
        for _ in range(5):
            raw = Raw()
            await raw.open(hall)
            await hall.until(lambda: len(hall.group) == 2)
            farewell = Farewell(hall.links[-1])
            raw.reset()
            hall.say()
            hall.say()
            await farewell.said.wait()
            assert len(hall.group) == 1
        assert [await hears(other) for _ in range(10)] == list(range(1, 11))
        await hall.until(lambda: len(hall.ended) == 5)


@every_way
@on_both_loops
async def test_reports_may_edit_the_group_while_it_sends(way: Way) -> None:
    hall = Hall(way)
    async with serving(hall), raw_visitor(hall) as stuck, raw_visitor(hall) as closed, visiting(hall) as late:
        await hall.until(lambda: len(hall.group) == 3)
        first, second, third = hall.links
        hall.group.discard(third)
        assert third not in hall.group

        def edit() -> None:
            second.close(4000)
            hall.join(third)

        first.on_behind = edit
        while first in hall.group:
            hall.say(padding="x" * 50_000)
        assert len(hall.group) == 1
        assert third in hall.group
        hall.say()
        assert [await hears(late) for _ in range(3)] == [0, hall.number - 1, hall.number]
        await closed.send_frame(CLOSE, struct.pack("!H", 4000))
        received = await closed.read_to_end()
        assert numbers(received) == list(range(len(received) - 1))
        assert received[-1] == (CLOSE, struct.pack("!H", 4000))
        assert stuck.socket.fileno() >= 0


@on_both_loops
async def test_a_client_that_never_reads_is_cut_off_after_the_close_frame() -> None:
    hall = Hall()
    async with serving(hall), raw_visitor(hall):
        await hall.until(lambda: len(hall.group) == 1)
        [link] = hall.links
        while not link.behind:
            hall.say(padding="x" * 50_000)
        link.close_timeout = 0.01
        farewell = Farewell(link)
        link.close(4001)
        await farewell.said.wait()
        assert hall.ended == [4001]


@on_both_loops
async def test_closing_does_not_wait_for_a_client_that_does_not_read() -> None:
    hall = Hall()
    closed = asyncio.Event()

    async def close_when_behind(websocket: WebSocket) -> None:
        await websocket.accept()
        link: FanoutProtocol = websocket.scope["extensions"][SCOPE_KEY]
        hall.links.append(link)
        hall.group.add(link)
        while not link.behind:
            hall.say(padding="x" * 50_000)
        link.close_timeout = 0.01
        await websocket.close(4001)
        closed.set()

    hall.endpoint = close_when_behind  # type: ignore[method-assign]
    async with serving(hall), raw_visitor(hall):
        await closed.wait()
        await Farewell(hall.links[0]).said.wait()


@on_both_loops
async def test_closing_a_paused_link_reads_the_answer() -> None:
    hall = Hall()
    async with serving(hall), visiting(hall) as client:
        await hears(client)
        hall.links[0].pause_reading()
        hall.links[0].close_timeout = 3600
        farewell = Farewell(hall.links[0])
        hall.links[0].close(4000)
        await farewell.said.wait()
        await client.wait_closed()
        assert client.close_code == 4000


class Farewell(asyncio.Protocol):
    """Takes a link's place as its transport's protocol and notes that the connection was lost, right after the link."""

    def __init__(self, link: FanoutProtocol) -> None:
        self.link = link
        self.said = asyncio.Event()
        link.transport.set_protocol(self)

    def data_received(self, data: bytes) -> None:
        self.link.data_received(data)

    def eof_received(self) -> None:
        self.link.eof_received()

    def pause_writing(self) -> None:
        self.link.pause_writing()

    def resume_writing(self) -> None:
        self.link.resume_writing()

    def connection_lost(self, exc: Exception | None) -> None:
        self.link.connection_lost(exc)
        assert self.link.groups == ()
        self.said.set()


@on_both_loops
async def test_pongs_do_not_pile_up_for_a_client_that_does_not_read() -> None:
    hall = Hall()
    async with serving(hall), raw_visitor(hall) as raw:
        await raw.send_frame(PING, b"first")
        assert (PONG, b"first") in await raw.read_until(lambda received: len(received) == 2)
        [link] = hall.links
        while not link.behind:
            hall.say(padding="x" * 50_000)
        backlog = link.buffered()
        for _ in range(100):
            await raw.send_frame(PING, b"x" * 125)
        await raw.send_frame(TEXT, b"after the pings")
        hall_heard = asyncio.Event()
        link.on_text = lambda text: hall_heard.set()
        await hall_heard.wait()
        assert link.buffered() == backlog


@on_both_loops
async def test_messages_come_at_once_and_in_order_also_those_from_before() -> None:
    hall = Hall()
    gate = asyncio.Event()
    heard: list[str] = []

    def take(text: str) -> None:
        heard.append(text)
        hall.tell()

    async def slow_endpoint(websocket: WebSocket) -> None:
        await websocket.accept()
        await gate.wait()
        link: FanoutProtocol = websocket.scope["extensions"][SCOPE_KEY]
        link.on_text = take
        hall.links.append(link)
        await websocket.receive()

    hall.endpoint = slow_endpoint  # type: ignore[method-assign]
    async with serving(hall), raw_visitor(hall) as raw:
        await raw.send(masked(TEXT, b"one") + masked(TEXT, b"tw", fin=False) + masked(PING, b"") + masked(0, b"o"))
        await raw.read_until(lambda received: (PONG, b"") in received)
        gate.set()
        await raw.send(b"".join(masked(TEXT, str(number).encode()) for number in range(3, 100)))
        await hall.until(lambda: len(heard) == 99)
        assert heard == ["one", "two", *map(str, range(3, 100))]


@pytest.mark.parametrize(
    ("wrong", "code"),
    [
        (masked(BINARY, b"binary"), 1003),
        (masked(BINARY, b"bin", fin=False) + masked(0, b"ary"), 1003),
        (masked(TEXT, b"\xff"), 1007),
        (masked(TEXT, b"x" * 3000), 1009),
        (masked(TEXT, b"unheard of"), 1011),
        (b"\x81\x01a", 1002),
    ],
)
@on_both_loops
async def test_what_is_wrong_ends_the_connection_with_its_code(wrong: bytes, code: int) -> None:
    hall = Hall()
    async with serving(hall, ws_max_size=2000), storm(hall), raw_visitor(hall) as raw:
        await raw.read()

        def take(text: str) -> None:
            raise LookupError(text)

        hall.links[0].on_text = take
        await raw.send(wrong + masked(TEXT, b"more"))
        received = await raw.read_until(lambda received: CLOSE in dict(received))
        assert received[-1][0] == CLOSE
        assert struct.unpack("!H", received[-1][1][:2]) == (code,)
        await hall.until(lambda: hall.ended == [code])
        assert len(hall.group) == 0


@on_both_loops
async def test_a_paused_link_is_not_read_from() -> None:
    hall = Hall()
    async with serving(hall), visiting(hall) as client:
        await hears(client)
        [link] = hall.links
        heard: list[str] = []

        def take(text: str) -> None:
            heard.append(text)
            if text == "one":
                link.pause_reading()
            hall.tell()

        link.on_text = take
        await client.send("one")
        await hall.until(lambda: heard == ["one"])
        assert not link.transport.is_reading()
        await client.send("two")
        assert heard == ["one"]
        link.resume_reading()
        await hall.until(lambda: heard == ["one", "two"])


@on_both_loops
async def test_an_endpoint_may_read_and_close_through_asgi() -> None:
    hall = Hall()

    async def echo(websocket: WebSocket) -> None:
        await websocket.accept()
        for _ in range(2):
            event = await websocket.receive()
            await websocket.send({"type": "websocket.send", "text": event.get("text"), "bytes": event.get("bytes")})
        await websocket.close(4500, "unknown event")

    hall.endpoint = echo  # type: ignore[method-assign]
    async with serving(hall), visiting(hall, deflate=True) as client:
        await client.send("text " * 100)
        assert await client.recv() == "text " * 100
        await client.send(b"binary")
        assert await client.recv() == b"binary"
        with pytest.raises(ConnectionClosed):
            await client.recv()
        assert (client.close_code, client.close_reason) == (4500, "unknown event")


@on_both_loops
async def test_what_the_handshake_needed_can_be_forgotten() -> None:
    hall = Hall()
    async with serving(hall), visiting(hall, additional_headers={"Cookie": "x" * 4000}) as client:
        await hears(client)
        [link] = hall.links
        link.forget_request()
        link.forget_request()
        assert link.scope["headers"] == []
        assert not link.request.headers
        hall.say()
        assert await hears(client) == 1


@every_way
@pytest.mark.parametrize("deflate", [False, True])
@on_both_loops
async def test_behind_tls_only_the_transport_writes(way: Way, deflate: bool, certificate: tuple[Path, Path]) -> None:
    hall = Hall(way)
    files = {"ssl_keyfile": certificate[0], "ssl_certfile": certificate[1]}
    trust = ssl.create_default_context(cafile=certificate[1])
    async with serving(hall, buffer=50_000, **files), visiting(hall, deflate=deflate, ssl=trust) as client:
        assert await hears(client) == 0
        [link] = hall.links
        assert link.descriptor == -1
        assert link.deflated == deflate
        for _ in range(100):
            hall.say(padding="x" * 500)
        assert [await hears(client) for _ in range(100)] == list(range(1, 101))

        while not link.behind:
            hall.say(padding=os.urandom(20_000).hex())
        last = hall.number
        assert hall.behind == [(link, last)]
        assert [await hears(client) for _ in range(101, last + 1)] == list(range(101, last + 1))
        assert json.loads(await client.recv()) == {"number": last, "kind": "snapshot", "padding": ""}
        await hall.until(lambda: link in hall.group)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Key and self-signed certificate of localhost."""
    folder = tmp_path_factory.mktemp("tls")
    key, certificate = folder / "key.pem", folder / "certificate.pem"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(key), "-out", str(certificate)),
        ],
        check=True,
        capture_output=True,
    )
    return key, certificate


class PlainHall(Hall):
    """A hall on a server that knows nothing of us."""

    plain_link: AsgiLink

    async def endpoint(self, websocket: WebSocket) -> None:
        await websocket.accept()
        assert SCOPE_KEY not in websocket.scope["extensions"]
        link = AsgiLink(websocket.send)
        link.on_behind = self.tell
        link.on_drained = lambda: self.join(link)
        self.plain_link = link
        async with asyncio.TaskGroup() as tasks:
            draining = tasks.create_task(link.drain())
            self.join(link)
            with suppress(RuntimeError):
                event = await websocket.receive()
                self.ended.append(event["code"])
            draining.cancel()
        self.tell()


@on_both_loops
async def test_a_server_without_our_protocol_sends_the_same_in_order() -> None:
    hall = PlainHall()
    async with serving(hall, ws="websockets-sansio"), visiting(hall, deflate=True) as client:
        assert await hears(client) == 0
        for number in range(1, 51):
            hall.say(padding="é" * number)
            hall.plain_link.write(Frame(str(number).encode(), BINARY))
            await hall.until(lambda: hall.plain_link in hall.group)
        received = []
        while str(50).encode() not in received:
            received.append(await client.recv())
        hall.plain_link.close(4000, "restart")
        await client.wait_closed()
        assert (client.close_code, client.close_reason) == (4000, "restart")
        assert [each for each in received if isinstance(each, bytes)] == [str(i).encode() for i in range(1, 51)]
        news = [json.loads(each)["number"] for each in received if isinstance(each, str)]
        assert news == sorted(news)
        assert set(news) == set(range(1, 51))
        await hall.until(lambda: hall.ended)


@on_both_loops
async def test_a_plain_link_keeps_two_messages_for_a_stuck_client_and_is_current_after_draining() -> None:
    hall = PlainHall()
    async with serving(hall, buffer=50_000, ws="websockets-sansio"), raw_visitor(hall) as stuck:
        await hall.until(lambda: len(hall.group) == 1)
        while not hall.behind:
            hall.say(padding="x" * 6000)
            await asyncio.sleep(0)
        link, since = hall.plain_link, hall.number
        assert hall.behind == [(link, since)]
        backlog = link.buffered()
        assert 0 < backlog <= 2 * 6100
        for _ in range(1000):
            hall.say(padding="x" * 6000)
            await asyncio.sleep(0)
        assert link.buffered() == backlog

        last = hall.number
        await stuck.read_until(lambda received: last in numbers(received))
        await hall.until(lambda: link in hall.group)
        hall.say()
        received = await stuck.read_until(lambda received: last + 1 in numbers(received))
        assert numbers(received) == [*range(since + 1), last, last + 1]


@on_both_loops
async def test_a_plain_link_ends_when_its_client_has_gone() -> None:
    group = Group(lambda link: None)

    async def gone(event: object) -> None:
        raise OSError

    link = AsgiLink(gone)
    group.add(link)
    group.send(message(1))
    await link.drain()
    assert len(group) == 0
    group.add(link)
    link.write(message(2))
    assert (len(group), link.buffered()) == (0, 0)


@on_both_loops
async def test_a_plain_link_may_leave_while_its_group_sends() -> None:
    async def sent(event: object) -> None:
        pass

    reported: list[Link] = []
    group = Group(reported.append)
    first, second = AsgiLink(sent), AsgiLink(sent)
    first.on_behind = lambda: second.close(4000)
    group.add(first)
    group.add(second)
    group.send(message(1))
    first.write(message(2))
    assert reported == [first]
    assert len(group) == 0

    second = AsgiLink(sent)
    first.behind = False
    first.on_behind = lambda: group.discard(second)
    group.add(first)
    group.add(second)
    group.send(message(3))
    assert len(group) == 0
    assert second.buffered() == 0
