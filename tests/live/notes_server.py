"""A server whose notes have rights that tests can turn, and editors of its notes: Yjs clients of another making than ours."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import msgspec
import uvicorn
from pycrdt import Doc, XmlElement, XmlFragment, XmlText, create_sync_message, create_update_message, handle_sync_message
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed
from websockets.typing import Subprotocol

from live.app import create
from live.identity import COOKIE
from live.notes_document import text_in
from live.notes_endpoint import SUBPROTOCOL
from live.server import options
from live.settings import load
from moderation.event import Event
from moderation.roles import NotesRight, actor
from tests.flow.evening import ANSWERED_WITHIN
from tests.flow.server import Server

SYNC, AWARENESS, AUTH = b"\0", b"\1", b"\2"
_JSON = msgspec.json.Decoder()


def rights(event: Event, person: str, room: str) -> NotesRight:
    """Everybody writes in rooms that are called `open…`; in those called `shown…`, moderators do, and the others read; elsewhere
    moderators only."""
    if room.startswith("open") or actor(event, person).any_of("moderator"):
        return "write"
    return "read" if room.startswith("shown") else ""


class NotesServer(Server):
    """A server with these rights."""

    program = (sys.executable, "-m", "tests.live.notes_server")

    @property
    def keeper(self) -> int:
        """The process that does the work on notes (proc_pid_task_children(5))."""
        assert self.process is not None
        of_threads = Path(f"/proc/{self.process.pid}/task").glob("*/children")
        children = " ".join(file.read_text() for file in of_threads).split()
        return next(int(child) for child in children if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes())


class Editor:
    """Somebody's editor: `async with Editor(url, slug, room) as editor`. It keeps its document when it comes again: `async with
    editor`. `ours`: whether it understands our words, or those of y-protocols only."""

    def __init__(self, url: str, slug: str, room: str = "open", cookie: str | None = None, *, ours: bool = True) -> None:
        self.address, self.cookie, self.ours = f"{url.replace('http', 'ws', 1)}/ws/{slug}/notes/{room}", cookie, ours
        self.doc = Doc[XmlFragment]()
        self.notes = self.doc.get("notes", type=XmlFragment)
        self.doc.observe(self._changed)
        self.frames: list[dict[str, Any]] = []
        self.present: list[bytes] = []
        self.denied: list[bytes] = []
        self.asked = 0
        self.given = 0
        self.closed: int | None = None
        self._applying = False
        self._waiting: list[bytes] = []
        self._news = asyncio.Condition()
        self._socket: ClientConnection | None = None

    async def __aenter__(self) -> Self:
        headers = {"Cookie": f"{COOKIE}={self.cookie}"} if self.cookie else {}
        protocols = [Subprotocol(SUBPROTOCOL)] if self.ours else None
        self.frames, self.given, self.asked, self.closed = [], 0, 0, None
        self._socket = await connect(
            self.address, additional_headers=headers, subprotocols=protocols, max_size=None, open_timeout=60, ping_interval=None
        )
        self._waiting.clear()  # all of it is asked for
        await self.send(create_sync_message(self.doc))
        self._reading = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._socket is not None
        await self._socket.close()
        await self._reading
        self._socket = None

    def writes(self, text: str, tag: str = "paragraph") -> None:
        """A paragraph at the end; on its way with the next `sends`."""
        self.notes.children.append(XmlElement(tag, {}, [XmlText(text)]))

    def deletes(self, text: str) -> None:
        """The first paragraph with this text."""
        children = self.notes.children
        del children[next(index for index in range(len(children)) if text in str(children[index]))]

    async def says(self, *texts: str) -> None:
        """Paragraphs, each in a message of its own."""
        for text in texts:
            self.writes(text)
            await self.sends()

    async def sends(self) -> None:
        """Everything that was written since, each change in a message of its own."""
        waiting, self._waiting = self._waiting, []
        for update in waiting:
            self.given += 1
            await self.send(create_update_message(update))

    async def send(self, data: bytes | str) -> None:
        """As it is."""
        assert self._socket is not None
        with contextlib.suppress(ConnectionClosed):
            await self._socket.send(data)

    @property
    def text(self) -> str:
        """What it shows."""
        return text_in(self.doc)

    @property
    def lines(self) -> list[str]:
        """What it shows, in no order."""
        return sorted(self.text.split("\n"))

    async def until(self, condition: Callable[[], Any], seconds: float = ANSWERED_WITHIN) -> Any:
        """Wait until it holds; returns its value. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._news:
            while not (value := condition()):
                await self._news.wait()
            return value

    async def sees(self, *texts: str) -> None:
        """Until its text contains these."""
        await self.until(lambda: all(text in self.text for text in texts))

    async def is_saved(self) -> None:
        """Until the server has said that all it was given is saved."""
        await self.until(lambda: {"t": "saved", "count": self.given} in self.frames)

    async def is_asked(self, times: int = 1) -> None:
        """Until the server has asked for what it lacks, and was answered."""
        await self.until(lambda: self.asked >= times)

    async def is_refused(self, code: str) -> dict[str, Any]:
        """The frame that says so."""
        found: dict[str, Any] = await self.until(lambda: next((one for one in self.frames if one.get("code") == code), None))
        return found

    async def is_closed(self) -> int:
        """The code with which it was sent away."""
        code: int = await self.until(lambda: self.closed)
        return code

    def _changed(self, event: Any) -> None:
        if not self._applying:
            self._waiting.append(event.update)

    async def _read(self) -> None:
        assert self._socket is not None
        try:
            async for message in self._socket:
                await self._take(message)
                async with self._news:
                    self._news.notify_all()
        except ConnectionClosed:
            pass
        self.closed = self._socket.close_code
        async with self._news:
            self._news.notify_all()

    async def _take(self, message: str | bytes) -> None:
        if isinstance(message, str):
            self.frames.append(_JSON.decode(message))
        elif message[:1] == SYNC:
            with self._taking():
                answer = handle_sync_message(message[1:], self.doc)
            if answer is not None:
                self.given += 1
                await self.send(answer)
                self.asked += 1
        elif message[:1] == AWARENESS:
            self.present.append(message)
        else:
            self.denied.append(message)

    @contextlib.contextmanager
    def _taking(self) -> Iterator[None]:
        self._applying = True
        try:
            yield
        finally:
            self._applying = False


def main() -> None:
    """`plenum serve` with these rights."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int)
    parser.add_argument("--data")
    given = parser.parse_args()
    settings = load(data=given.data)
    uvicorn.run(create(settings, alone=True, notes_allowed=rights), **options(settings, "127.0.0.1", given.port))


if __name__ == "__main__":
    main()
