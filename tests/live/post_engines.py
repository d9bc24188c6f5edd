"""Mail servers of one's own on free ports: an SMTP server that answers as the test wants, Dovecot, and a wire that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.live.engines import free_port

PASSWORD = "geheim/ü?&"
"""With everything in it that an address has to encode."""
ENCODED = "geheim%2F%C3%BC%3F%26"


def certificate(folder: Path) -> tuple[Path, Path]:
    """A certificate of this machine, signed by itself, and its key."""
    made, key = folder / "mail.pem", folder / "mail.key"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:0.0.0.0", "-days", "2"]
    command = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(key), "-out", str(made), *subject]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return made, key


@dataclass
class SmtpServer:
    """An SMTP server in the loop of the test. DATA stands for the answer to the message."""

    certificate: tuple[Path, Path] | None = None
    """Then it offers STARTTLS."""
    implicit: bool = False
    """It speaks TLS from the first byte."""
    login: tuple[str, str] | None = None
    smtputf8: bool = False
    answers: dict[str, str] = field(default_factory=dict)
    """MAIL, RCPT, DATA or RSET → its answer instead of 250."""
    once: dict[str, str] = field(default_factory=dict)
    """The same for one time."""
    cut: set[str] = field(default_factory=set)
    """Where it closes the connection instead of an answer; a message is taken all the same."""
    gates: dict[str, asyncio.Event] = field(default_factory=dict)
    """Where it waits before its answer."""
    port: int = field(default_factory=free_port)
    taken: list[Envelope] = field(default_factory=list)
    heard: list[tuple[str, bool]] = field(default_factory=list)
    """Command, and whether it came encrypted."""
    reached: defaultdict[str, asyncio.Event] = field(default_factory=lambda: defaultdict(asyncio.Event))
    """Command → when it has come."""
    open: list[SMTP] = field(default_factory=list)
    """Every connection that there has been."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[SmtpServer]:
        """It listens on this machine, under all its addresses."""
        context = None
        if self.certificate is not None:
            context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            context.load_cert_chain(*self.certificate)
        offered, at_once = (None, context) if self.implicit else (context, None)
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: self._connection(offered), "0.0.0.0", self.port, ssl=at_once)
        try:
            yield self
        finally:
            listener.close()
            self.hang_up()

    def hang_up(self) -> None:
        """All connections are closed, as by a restart."""
        for connection in self.open:
            if connection.transport is not None:
                connection.transport.close()

    def _connection(self, context: ssl.SSLContext | None) -> SMTP:
        options: dict[str, Any] = {"tls_context": context, "hostname": "localhost", "command_call_limit": None}
        if self.login is not None:
            options |= {"authenticator": self._authenticate, "auth_require_tls": False}
        made = SMTP(self, enable_SMTPUTF8=self.smtputf8, loop=asyncio.get_running_loop(), **options)
        self.open.append(made)
        return made

    def _authenticate(self, server: SMTP, session: Any, envelope: Envelope, mechanism: str, data: LoginPassword) -> AuthResult:
        self.heard.append(("AUTH", session.ssl is not None))
        return AuthResult(success=(data.login.decode(), data.password.decode()) == self.login, handled=False)

    async def handle_MAIL(self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]) -> str:
        if self.login is not None and not session.authenticated:
            return "530 5.7.0 Authentication required"
        envelope.mail_from = address
        return await self._answer("MAIL", server)

    async def handle_RCPT(self, server: SMTP, session: Any, envelope: Envelope, address: str, options: list[str]) -> str:
        answer = await self._answer("RCPT", server, address)
        if answer.startswith("250"):
            envelope.rcpt_tos.append(address)
        return answer

    async def handle_DATA(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        if "DATA" not in self.answers or self.answers["DATA"].startswith("2"):
            self.taken.append(envelope)
        return await self._answer("DATA", server)

    async def handle_RSET(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        return await self._answer("RSET", server)

    async def _answer(self, command: str, server: SMTP, address: str = "") -> str:
        self.heard.append((command, server.session is not None and server.session.ssl is not None))
        self.reached[command].set()
        if command in self.gates:
            await self.gates[command].wait()
        if command in self.cut and isinstance(server.transport, asyncio.WriteTransport):
            server.transport.abort()
        if command in self.once:
            return self.once.pop(command)
        return self.answers.get(f"{command} {address}", self.answers.get(command, "250 OK"))
