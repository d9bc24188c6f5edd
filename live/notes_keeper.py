"""A process that does the work on notes: whatever somebody's update does to the library, it does it there.

Requests carry the document and answers bring it back, so there is nothing in that process to be lost: it is started on first use,
and again after it has crashed or was silent for too long.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import multiprocessing
import os
import resource
import signal
import socket
import struct
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from typing import Any

import msgspec

from live.notes_document import Full, Gap, Merged, appended, merged, missing, text_of

LOGGER = logging.getLogger("plenum.notes")
SECONDS = 5.0
"""So long the work on one update may take; a document of 200 kB takes milliseconds."""
START_SECONDS = 30.0
MEMORY = 2**30
"""Bytes of address space: a few documents need some megabytes."""
_LENGTH = struct.Struct("!I")


class Lost(Exception):
    """The work has failed: what it was about is not to be believed."""


class Unready(Exception):
    """The process does not start."""


class Keeper:
    """For the loop's thread. One request at a time, in the order in which they are made."""

    def __init__(self) -> None:
        self._turn = asyncio.Lock()
        self._process: BaseProcess | None = None
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def merged(self, state: bytes, updates: list[bytes], most: int | None = None) -> Merged:
        """See `notes_document.merged`. Raises Gap, Full, Lost, Unready, as the others do."""
        answer = await self._ask("merged", state, updates, most)
        return Merged(*answer)

    async def appended(self, state: bytes, lines: list[str], most: int) -> Merged:
        """See `notes_document.appended`."""
        answer = await self._ask("appended", state, lines, most)
        return Merged(*answer)

    async def missing(self, state: bytes, vector: bytes) -> bytes:
        """See `notes_document.missing`."""
        found: bytes = await self._ask("missing", state, vector)
        return found

    async def text_of(self, state: bytes) -> str:
        """See `notes_document.text_of`."""
        text: str = await self._ask("text_of", state)
        return text

    async def close(self) -> None:
        """End the process."""
        async with self._turn:
            self._end()

    async def _ask(self, what: str, *arguments: Any) -> Any:
        async with self._turn:
            try:
                if self._process is None:
                    await self._start()
                async with asyncio.timeout(SECONDS):
                    _send(self._writer, (what, arguments))
                    await self._writer.drain()
                    (length,) = _LENGTH.unpack(await self._reader.readexactly(_LENGTH.size))
                    kind, answer = _UNPACK.decode(await self._reader.readexactly(length))
            except (OSError, EOFError, TimeoutError) as error:
                LOGGER.warning("the work on notes has failed (%s); starting again", type(error).__name__)
                self._end()
                raise Lost from error
            except asyncio.CancelledError:
                self._end()  # the answer would be taken for somebody else's
                raise
        if kind == "done":
            return answer
        raise _RAISED.get(kind, Lost)

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        self._process = multiprocessing.get_context("spawn").Process(target=keep, args=(theirs,), name="plenum notes", daemon=True)
        try:
            self._reader, self._writer = await asyncio.open_connection(sock=ours)
            await asyncio.to_thread(self._process.start)
            theirs.close()
            async with asyncio.timeout(START_SECONDS):
                await self._reader.readexactly(1)
        except (OSError, EOFError, TimeoutError) as error:
            theirs.close()
            self._end()
            raise Unready from error

    def _end(self) -> None:
        process, self._process = self._process, None
        if process is not None:
            self._writer.close()
            if process.pid is not None:
                process.kill()
                process.join()


def keep(requests: socket.socket) -> None:
    """The process: answers until nobody asks any more."""
    for number in (signal.SIGINT, signal.SIGTERM):  # it ends with the process that asks
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    with contextlib.suppress(ValueError, OSError):  # not on every system
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)  # the library writes there what people have written
    work: dict[str, Callable[..., Any]] = {"appended": appended, "merged": merged, "missing": missing, "text_of": text_of}
    requests.sendall(b"\0")
    with requests.makefile("rwb") as file:
        while len(head := file.read(_LENGTH.size)) == _LENGTH.size:
            what, arguments = _UNPACK.decode(file.read(*_LENGTH.unpack(head)))
            signal.alarm(int(SECONDS) + 2)  # should it hang when nobody is there any more to end it
            try:
                answer = "done", work[what](*arguments)
            except (Gap, Full) as refused:
                answer = type(refused).__name__, None
            except Exception:  # the library's, about what is no update
                answer = "Lost", None
            except BaseException:  # a panic: its memory is not to be trusted any more
                os._exit(1)
            signal.alarm(0)
            _send(file, answer)
            file.flush()


def _send(to: Any, message: tuple[str, Any]) -> None:
    packed = _PACK.encode(message)
    to.write(_LENGTH.pack(len(packed)) + packed)


_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(tuple[str, Any])
_RAISED: dict[str, type[Exception]] = {"Gap": Gap, "Full": Full}
