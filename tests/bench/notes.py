"""People at the notes of their small groups, on raw sockets: all have them open, some in each room type."""

from __future__ import annotations

import asyncio
import random
import re
import time
from collections.abc import Sequence

from pycrdt import Doc, XmlElement, XmlFragment, XmlText, create_update_message

from live.identity import COOKIE
from live.notes_endpoint import SUBPROTOCOL
from live.notes_protocol import ROOT

TEXT, BINARY = 0x81, 0x82
"""The first byte of a message (RFC 6455 section 5.2)."""
FILLED = [f"{n}: Mehr Bänke am Ring, Schatten am Markt, und eine Ampel, die auch für Langsame grün bleibt" for n in range(100)]
"""What a room has written before: 10 kB, as every update costs reading and writing all of it."""
_MARK = re.compile(rb"q(\d{6})q")
_KEPT = 7
"""Bytes of a mark that may come in two pieces, without its last one."""


class Screen(asyncio.Protocol):
    """A WebSocket on which as little is done as can be. `seen`: mark → when it came."""

    def __init__(self, path: str, cookie: str = "", protocol: str = "") -> None:
        self.path, self.cookie, self.protocol = path, cookie, protocol
        self.transport: asyncio.Transport
        self.welcome: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.seen: dict[int, float] = {}
        self.refused = 0
        self.lost = False
        self._rest = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport  # type: ignore[assignment]
        lines = [f"GET {self.path} HTTP/1.1", "Host: bench", "Upgrade: websocket", "Connection: Upgrade"]
        lines += ["Sec-WebSocket-Version: 13", "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="]
        lines += [f"Cookie: {COOKIE}={self.cookie}"] if self.cookie else []
        lines += [f"Sec-WebSocket-Protocol: {self.protocol}"] if self.protocol else []
        self.transport.write("\r\n".join([*lines, "", ""]).encode())

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        if not self.welcome.done():
            self.welcome.set_exception(exc or ConnectionError("closed"))

    def data_received(self, data: bytes) -> None:
        if not self.welcome.done() and b'"t":"welcome"' in data:
            self.welcome.set_result(None)
        self.refused += data.count(b'{"t":"refused"')
        now = time.perf_counter()
        for mark in _MARK.findall(self._rest + data):
            self.seen.setdefault(int(mark), now)
        self._rest = (self._rest + data)[-_KEPT:]

    def write(self, payload: bytes, kind: int = TEXT) -> None:
        """A message, with the mask 0, which RFC 6455 allows and which costs nothing to apply."""
        size = len(payload)
        head = bytes((kind, 0x80 | size)) if size < 126 else bytes((kind, 0xFE)) + size.to_bytes(2, "big")
        self.transport.write(head + b"\0\0\0\0" + payload)


class Typist:
    """Somebody who types into a paragraph of their own."""

    def __init__(self, screen: Screen) -> None:
        self.screen = screen
        self._doc = Doc[XmlFragment]()
        self._doc.observe(lambda event: self._updates.append(event.update))
        self._updates: list[bytes] = []
        self._text = XmlText("")
        self._doc.get(ROOT, type=XmlFragment).children.append(XmlElement("paragraph", {}, [self._text]))

    def types(self, text: str) -> None:
        """At the end; on its way at once, as one update."""
        self._text.insert(len(str(self._text)), text)
        self._send()

    def fills(self, lines: Sequence[str]) -> None:
        """Paragraphs, as one update."""
        with self._doc.transaction():
            for line in lines:
                self._doc.get(ROOT, type=XmlFragment).children.append(XmlElement("paragraph", {}, [XmlText(line)]))
        self._send()

    def _send(self) -> None:
        for update in self._updates:
            self.screen.write(create_update_message(update), BINARY)
        self._updates.clear()


class Notes:
    """The notes of all rooms. `sent`: mark → room, sender, and when."""

    def __init__(self, of: dict[str, list[Screen]], writers: int) -> None:
        self.of = of
        self.typists = {room: [Typist(screen) for screen in screens[:writers]] for room, screens in of.items() if writers}
        self.sent: dict[int, tuple[str, Screen, float]] = {}

    async def fill(self) -> None:
        """All rooms have written before; returns when everybody has it."""
        for number, room in enumerate(self.typists):
            self.typists[room][0].fills([*FILLED, f"q{999_999 - number:06d}q"])
        while not all(len(screen.seen) for room, typists in self.typists.items() for screen in self.of[room][1:]):  # noqa: ASYNC110
            await asyncio.sleep(0.05)

    async def type(self, seconds: float, rate: float) -> None:
        """So many updates a second of each who types, none at the same moment as the others."""
        chance, began = random.Random(3), time.perf_counter()
        everybody = [(room, typist) for room, typists in self.typists.items() for typist in typists]
        turns = [(chance.random() / rate + turn / rate, one) for one in everybody for turn in range(int(seconds * rate))]
        for mark, (due, (room, typist)) in enumerate(sorted(turns, key=lambda turn: turn[0])):
            wait = began + due - time.perf_counter()
            if wait > 0:
                await asyncio.sleep(wait)
            self.sent[mark] = room, typist.screen, time.perf_counter()
            typist.types(f"q{mark:06d}q ")

    def waits(self) -> list[float] | None:
        """How long each update took to each of the others, in s; None if one has not come yet."""
        found = [
            (screen.seen.get(mark), at)
            for mark, (room, sender, at) in self.sent.items()
            for screen in self.of[room]
            if screen is not sender
        ]
        return None if any(seen is None for seen, _ in found) else [seen - at for seen, at in found if seen is not None]


async def connected(port: int, slug: str, room: str, cookies: Sequence[str]) -> list[Screen]:
    """The notes of a room on the screens of these people."""
    loop = asyncio.get_running_loop()

    async def one(cookie: str) -> Screen:
        _, screen = await loop.create_connection(
            lambda: Screen(f"/ws/{slug}/notes/{room}", cookie, SUBPROTOCOL), "127.0.0.1", port
        )
        await screen.welcome
        return screen

    return list(await asyncio.gather(*map(one, cookies)))
