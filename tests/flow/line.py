"""The line to a server, or to an engine, which a test may cut, hold or silence."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from urllib.parse import urlsplit

from tests.live.engines import free_port, kept


class Line:
    """Passes everything on to the server at `target`, at an address of its own: `url`."""

    def __init__(self, target: str) -> None:
        self.target = urlsplit(target)
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._server: asyncio.Server | None = None
        self._kept: socket.socket | None = None
        self._connections: set[asyncio.StreamWriter] = set()
        self._carrying: set[asyncio.Task[None]] = set()
        self._open, self._open_up = asyncio.Event(), asyncio.Event()
        self.release()

    async def __aenter__(self) -> Line:
        await self.mend()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.cut()
        self._keep(None)
        for carrying in self._carrying:
            carrying.cancel()
        await asyncio.gather(*self._carrying, return_exceptions=True)

    async def cut(self) -> None:
        """Ends all connections, and takes no new ones until `mend`."""
        if self._server is not None:
            self._server.close()
            self._server = None
            self._keep(kept(self.port))
        self._drop()

    async def mend(self) -> None:
        """Takes connections again, at the same address."""
        self._keep(None)
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self.port)

    def hold(self) -> None:
        """What the server says waits on its way; what the browsers say does not."""
        self._open.clear()

    def silence(self) -> None:
        """Nothing passes in either direction, and nobody is told: a cable that was pulled."""
        self._open.clear()
        self._open_up.clear()

    def release(self) -> None:
        """What has waited arrives, in its order."""
        self._open.set()
        self._open_up.set()

    def _keep(self, port: socket.socket | None) -> None:
        if self._kept is not None:
            self._kept.close()
        self._kept = port

    def _drop(self) -> None:
        for writer in self._connections:
            writer.transport.abort()

    def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        passing = asyncio.get_running_loop().create_task(self._carry(reader, writer))
        self._carrying.add(passing)
        passing.add_done_callback(self._carrying.discard)

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            server_reader, server_writer = await asyncio.open_connection(self.target.hostname, self.target.port)
            both = {writer, server_writer}
            self._connections |= both
            try:
                async with asyncio.TaskGroup() as tasks:
                    tasks.create_task(self._pass(reader, server_writer, up=True))
                    tasks.create_task(self._pass(server_reader, writer, up=False))
            finally:
                self._connections -= both
                for one in both:
                    one.close()
        writer.close()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool) -> None:
        with contextlib.suppress(OSError):
            while block := await reader.read(65_536):
                await (self._open_up if up else self._open).wait()
                writer.write(block)
                await writer.drain()
        with contextlib.suppress(OSError, RuntimeError):
            writer.write_eof()
