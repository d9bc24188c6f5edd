"""A client of the protocol, as a browser is one: for rehearsals, the demo and the tests."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Callable
from typing import Any, Self

import msgspec
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from rooms.command import Refused


class Client:
    """One connection. `async with Client(url, slug) as client`; `documents` is what it has been shown, by channel and key."""

    def __init__(self, url: str, slug: str, cookie: str | None = None) -> None:
        self.address = f"{url.replace('http', 'ws', 1)}/ws/{slug}"
        self.cookie = cookie
        self.documents: dict[str, dict[str, Any]] = {}
        self.counts: dict[str, dict[str, int]] = {}
        self.seen: dict[str, tuple[str, int]] = {}
        self.frames = 0
        self.person = ""
        self.on_put: Callable[[str, str, Any], None] = lambda channel, key, data: None
        self._answers: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._changed = asyncio.Condition()
        self._socket: ClientConnection

    async def __aenter__(self) -> Self:
        headers = {"Cookie": f"plenum_person={self.cookie}"} if self.cookie else {}
        self._socket = await connect(self.address, additional_headers=headers, max_size=None, open_timeout=60, ping_interval=None)
        given = self._socket.response.headers.get("Set-Cookie", "") if self._socket.response else ""
        if given.startswith("plenum_person="):
            self.cookie = given.partition("=")[2].partition(";")[0]
        self._reader = asyncio.create_task(self._read())
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._socket.close()
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)

    async def open(self, *channels: str, since: bool = False, form: str = "json", token: str | None = None) -> None:
        """Watch these channels, from what was seen or from the start."""
        wanted: dict[str, Any] = {}
        for name in channels:
            known = self.seen.get(name) if since else None
            wanted[name] = {"epoch": known[0], "seq": known[1]} if known else {}
        await self._send({"t": "open", "channels": wanted, "as": form, "token": token})

    async def do(self, command: str, /, *, id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """One command; its result. Raises Refused, or ConnectionError if the answer is lost with the connection."""
        id = id or str(uuid.uuid4())
        answer = self._answers[id] = asyncio.get_running_loop().create_future()
        try:
            await self._send({"t": "do", "id": id, "name": command, "args": arguments})
            frame = await answer
        finally:
            self._answers.pop(id, None)
            if answer.done() and not answer.cancelled():
                answer.exception()  # has been raised already, or the sending has failed first
        if frame["t"] == "refused":
            raise Refused(frame["code"], field=frame["field"], retry_after=frame["retry_after"], **frame["params"])
        result: dict[str, Any] = frame["result"]
        return result

    async def until(self, condition: Callable[[Client], Any], seconds: float = 10.0) -> Any:
        """Wait until the condition on what has been shown is true, at most so long; returns its value. Raises TimeoutError."""
        async with asyncio.timeout(seconds), self._changed:
            while not (value := condition(self)):
                await self._changed.wait()
            return value

    @property
    def closed(self) -> int | None:
        """The code with which the connection was closed."""
        return self._socket.close_code

    async def _send(self, frame: dict[str, Any]) -> None:
        try:
            await self._socket.send(msgspec.json.encode(frame).decode())
        except ConnectionClosed as closed:
            raise ConnectionError(str(closed)) from closed

    async def _read(self) -> None:
        try:
            async for text in self._socket:
                self.frames += 1
                self._take(msgspec.json.decode(text))
                async with self._changed:
                    self._changed.notify_all()
        except ConnectionClosed:
            pass
        finally:
            for answer in self._answers.values():
                if not answer.done():
                    answer.set_exception(ConnectionError("closed"))
            async with self._changed:
                self._changed.notify_all()

    def _take(self, frame: dict[str, Any]) -> None:
        kind = frame["t"]
        if kind == "docs":
            self._take_documents(frame)
        elif kind == "count":
            for key, counts in frame["counts"].items():
                self.counts.setdefault(key, {}).update(counts)
                document = self.documents.get(frame["channel"], {}).get(key)
                if isinstance(document, dict):
                    document.update(counts)
        elif kind == "welcome":
            self.person = frame["person"]
        else:
            answer = self._answers.get(frame["id"])
            if answer is not None and not answer.done():
                answer.set_result(frame)

    def _take_documents(self, frame: dict[str, Any]) -> None:
        channel = frame["channel"]
        shown = self.documents.setdefault(channel, {})
        if frame["reset"]:
            shown.clear()
        self.seen[channel] = (frame["epoch"], frame["seq"])
        for key in frame["gone"]:
            shown.pop(key, None)
        for document in frame["put"]:
            content = document.get("data", document.get("html"))
            shown[document["key"]] = content
            self.on_put(channel, document["key"], content)


def percentile(values: list[float], share: float) -> float:
    """The value below which `share` of them lie; 0 if there are none."""
    return sorted(values)[min(len(values) - 1, int(len(values) * share))] if values else 0.0

