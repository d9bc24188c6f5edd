"""A mailbox read over IMAP (RFC 3501): the letters that are not yet marked as done, and the wait for the next one.

Nothing is ever deleted, and no unread mark decides: people may read the same mailbox with their own programs.
"""

from __future__ import annotations

import asyncio
import base64
import logging
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from email.utils import parsedate_to_datetime
from functools import partial
from typing import Any

from aioimaplib import IMAP4, AioImapException  # type: ignore[import-untyped]
from aioimaplib.aioimaplib import CommandTimeout, quoted  # type: ignore[import-untyped]

from live.letter import Letter as Letter
from live.letter import read as read
from live.mail_address import mail_server

EXPECTED = "expected imaps://user:password@host/INBOX, or imap:// on this machine or with ?tls=no after it"
PORTS = {"imap": 143, "imaps": 993}

DONE = "$PlenumDone"
"""The keyword (RFC 3501 section 2.3.2) of letters that need no more attention from us."""
LETTER_BYTES = 262_144
"""What is fetched of a letter; what is attached usually stands behind its text."""
AT_ONCE = 50
"""Letters fetched in one go, for the sake of memory."""
IDLE_SECONDS = 29 * 60.0
"""Servers may log out who idles longer (RFC 2177)."""

logging.getLogger("aioimaplib").setLevel(logging.WARNING)  # below that it writes letters and the password into the log


class MailboxGone(Exception):
    """The mailbox cannot be used just now. `reason` is for the operator; the next call tries again."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class Mailbox:
    """One folder on one server, for one task at a time. It connects when it is first used, and again after MailboxGone."""

    def __init__(self, address: str, timeout: float) -> None:
        """timeout: seconds for connecting and for each answer. Raises ValueError."""
        server = mail_server(address, PORTS, EXPECTED)
        if server.encryption == "starttls":
            raise ValueError(f"not encrypted: {EXPECTED}")
        if not server.user:
            raise ValueError(f"nobody to log in: {EXPECTED}")
        self._server, self._timeout = server, timeout
        self._client: Any = None  # IMAP4, which has no types
        self._lost = asyncio.Event()
        self._limit: asyncio.Timeout | None = None
        self._validity = 0
        self._next = self._known = b""
        self._more = self._moved_on = False

    async def open(self) -> None:
        """Logs in and opens the folder, as far as that is not done. Raises MailboxGone."""
        async with self._asking():
            pass

    async def letters(self) -> list[Letter]:
        """Those that are not marked as done: the first 50, in the order of their arrival. Raises MailboxGone."""
        async with self._asking() as client:
            await self._select(client)
            found = _ok(await client.uid_search("UNKEYWORD", DONE, charset=None), "search refused")
            uids = sorted(int(uid) for line in found[:-1] for uid in line.split() if uid.isdigit())
        self._known, self._more, self._moved_on = self._next, len(uids) > AT_ONCE, False
        letters = [letter for uid in uids[:AT_ONCE] if (letter := await self._letter(uid)) is not None]
        return sorted(letters, key=lambda letter: (letter.arrived, letter.uid))

    async def done(self, letter: Letter) -> None:
        """Marks it as done and seen: `letters` does not return it any more. Raises MailboxGone."""
        async with self._asking() as client:
            if letter.validity == self._validity:  # else its uid is that of another letter
                flags = f"({DONE} \\Seen)"
                _ok(await client.uid("STORE", str(letter.uid), "+FLAGS.SILENT", flags), "mark refused")
        self._moved_on = True

    async def wait(self, seconds: float) -> None:
        """Until something has arrived since `letters` was called, or these seconds are over. Raises MailboxGone.

        At once if there were more than 50 letters and `done` has been called since.
        """
        if self._more and self._moved_on:
            return
        async with self._asking() as client:
            await self._select(client)  # what the server told of new letters within other answers, aioimaplib has dropped
        if self._next == self._known:
            await (self._idle if client.has_capability("IDLE") else self._rest)(min(seconds, IDLE_SECONDS))

    async def close(self) -> None:
        """Logs out. It can be used again afterwards."""
        if self._client is not None and not self._lost.is_set():
            with suppress(MailboxGone):
                async with self._asking() as client:
                    await client.logout()
        self._drop()

    async def _letter(self, uid: int) -> Letter | None:
        """None: somebody has deleted it in the meantime."""
        async with self._asking() as client:
            got = await client.uid("FETCH", str(uid), f"(UID INTERNALDATE BODY.PEEK[]<0.{LETTER_BYTES}>)")
            lines = _ok(got, "fetch refused")[:-1]
        raw = next((bytes(line) for line in lines if isinstance(line, bytearray)), None)  # aioimaplib's mark of a literal
        if raw is None:
            return None
        arrived = _internal_date(b" ".join(line for line in lines if isinstance(line, bytes)))
        cut = len(raw) >= LETTER_BYTES
        return await asyncio.to_thread(read, raw, validity=self._validity, uid=uid, arrived=arrived, clipped=cut)

    async def _idle(self, seconds: float) -> None:
        """The server says when something arrives (RFC 2177)."""
        async with self._asking() as client:
            idle = await client.idle_start(seconds + 2 * self._timeout)
            self._allow(seconds + self._timeout)
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    while not any(line.endswith(b" EXISTS") for line in await client.wait_server_push(seconds)):
                        pass
            self._allow(self._timeout)
            client.idle_done()
            await idle

    async def _rest(self, seconds: float) -> None:
        """The server says nothing of itself: only that it is gone can be noticed."""
        async with self._asking():
            self._allow(seconds + self._timeout)
            await asyncio.sleep(seconds)

    @asynccontextmanager
    async def _asking(self) -> AsyncIterator[Any]:
        """A connection for one question. It is given up without an answer in time, and at once when it is lost."""
        if self._lost.is_set():
            self._drop()
        try:
            async with asyncio.timeout(self._timeout) as self._limit:
                yield self._client or await self._connected()
        except BaseException as error:
            reason = _why_gone(error, self._lost.is_set() or self._is_closed())
            self._drop()
            if reason:
                raise MailboxGone(reason) from None
            raise
        finally:
            self._limit = None

    async def _connected(self) -> Any:
        server, self._lost = self._server, asyncio.Event()
        context = await asyncio.to_thread(ssl.create_default_context) if server.encryption == "tls" else None
        lost = partial(self._interrupt, self._lost)
        self._client = client = IMAP4(server.host, server.port, None, self._timeout, lost, context)
        await client.wait_hello_from_server()
        _ok(await client.login(quoted(server.user), server.password), "login refused")
        await client.protocol.capability()  # a server may say more after the login
        await self._select(client)
        return client

    def _is_closed(self) -> bool:
        """A connection may be closed for a moment before anybody is told. uvloop takes nothing for it then: RuntimeError."""
        transport = self._client.protocol.transport if self._client is not None else None
        return transport is not None and bool(transport.is_closing())

    def _allow(self, seconds: float) -> None:
        """So much time from now on for the question that is being asked."""
        if self._limit is not None and not self._lost.is_set():
            self._limit.reschedule(asyncio.get_running_loop().time() + seconds)

    def _interrupt(self, lost: asyncio.Event, error: Exception | None) -> None:
        """The connection is lost. aioimaplib goes on to wait for the answer."""
        lost.set()
        if lost is self._lost and self._limit is not None:
            with suppress(RuntimeError):  # it is over already
                self._limit.reschedule(0)

    async def _select(self, client: Any) -> None:
        """Opens the folder, which says what is new in it. One that keeps no keyword would give us every letter for ever."""
        lines = _ok(await client.select(quoted(_mailbox_name(self._server.path or "INBOX"))), "folder refused")
        said = b"\n".join(lines)
        flags = re.search(rb"\[PERMANENTFLAGS \(([^)]*)\)", said)
        if b"[READ-ONLY]" in lines[-1] or (flags and not {b"\\*", DONE.encode()} & set(flags[1].split())):
            raise MailboxGone("the folder does not keep the keyword of what is done")
        validity = re.search(rb"\[UIDVALIDITY (\d+)\]", said)
        self._validity = int(validity[1]) if validity else 0
        following = re.search(rb"\[UIDNEXT (\d+)\]", said) or re.search(rb"(\d+) EXISTS", said)
        self._next = following[0] if following else b""

    def _drop(self) -> None:
        """Closes the connection and ends what aioimaplib does with it by itself."""
        client, self._client = self._client, None
        if client is not None:
            if client.protocol.transport is not None:
                if client.has_pending_idle():
                    with suppress(RuntimeError):  # see _is_closed
                        client.idle_done()  # stops its clock too
                client.protocol.transport.abort()
            for task in (*client.tasks, *client.protocol.tasks):
                task.cancel()


def _ok(response: Any, reason: str) -> list[bytes | bytearray]:
    """The lines of this answer; the last is what the server said of the command as a whole."""
    if response.result != "OK":
        raise MailboxGone(reason)
    lines: list[bytes | bytearray] = response.lines
    return lines


def _why_gone(error: BaseException, lost: bool) -> str:
    """ "" for what has to do with something else."""
    match error:
        case MailboxGone():
            return error.reason
        case TimeoutError() | CommandTimeout():
            return "connection lost" if lost else "no answer in time"
        case RuntimeError() if lost:
            return "connection lost"
        case ssl.SSLError():
            return "TLS failed"
        case OSError():
            return "no connection"
        case AioImapException() | ValueError() | LookupError():
            return "the server is not understood"
    return ""


def _internal_date(said: bytes) -> int:
    """Ms since the epoch; 0 if the server does not say it."""
    date = re.search(rb'INTERNALDATE "([^"]+)"', said)
    try:
        return int(parsedate_to_datetime(date[1].decode("ascii")).timestamp() * 1000) if date else 0
    except (ValueError, TypeError):
        return 0


def _mailbox_name(name: str) -> str:
    """In modified UTF-7 (RFC 3501 section 5.1.3)."""

    def shifted(run: re.Match[str]) -> str:
        return "&" + base64.b64encode(run[0].encode("utf-16-be")).decode().rstrip("=").replace("/", ",") + "-"

    return re.sub(r"[^\x20-\x7e]+", shifted, name.replace("&", "&-"))
