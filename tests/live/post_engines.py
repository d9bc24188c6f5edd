"""Mail servers of one's own on free ports: an SMTP server that answers as the test wants, Dovecot, and a wire that can be cut."""

from __future__ import annotations

import asyncio
import contextlib
import grp
import os
import pwd
import shutil
import signal
import ssl
import subprocess
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword

from tests.live.engines import WITHIN, free_port, listening

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
    arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    """Whoever waits for a message is told of each."""

    @property
    def url(self) -> str:
        return f"smtp://127.0.0.1:{self.port}"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Self]:
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
            async with self.arrived:
                self.arrived.notify_all()
        return await self._answer("DATA", server)

    async def handle_RSET(self, server: SMTP, session: Any, envelope: Envelope) -> str:
        return await self._answer("RSET", server)

    async def _answer(self, command: str, server: SMTP, address: str = "") -> str:
        self.heard.append((command, server.session is not None and server.session.ssl is not None))
        self.reached[command].set()
        if command in self.gates:
            await self.gates[command].wait()
        if command in self.cut and server.transport is not None:
            server.transport.abort()  # type: ignore[attr-defined]
        if command in self.once:
            return self.once.pop(command)
        return self.answers.get(f"{command} {address}", self.answers.get(command, "250 OK"))


class Dovecot:
    """An IMAP server of one's own for one person. It needs no rights: for root it runs as `dovecot`, whom its package has made."""

    def __init__(self, folder: Path, certificate: tuple[Path, Path] | None = None) -> None:
        self.folder, self.certificate = folder, certificate
        self.port, self.tls_port = free_port(), free_port()
        self.url = f"imap://dialog:{ENCODED}@127.0.0.1:{self.port}/INBOX"
        self.owner = pwd.getpwnam("dovecot") if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Returns when it listens. What it has kept from an earlier start is there."""
        program = shutil.which("dovecot", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
        assert program is not None, "Dovecot is missing: apt-get install dovecot-imapd"
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "dovecot.conf").write_text(self._settings())
        (self.folder / "users").write_text(f"dialog:{{PLAIN}}{PASSWORD}\n")
        for file in self.certificate or ():
            shutil.copy(file, self.folder)
        if os.getuid() == 0:
            for one in (self.folder, *self.folder.rglob("*")):
                shutil.chown(one, self.owner.pw_uid, self.owner.pw_gid)
            for parent in self.folder.parents:
                if parent.stat().st_uid == 0 and not parent.stat().st_mode & 0o001:
                    parent.chmod(parent.stat().st_mode | 0o011)
        who = {"user": self.owner.pw_uid, "group": self.owner.pw_gid, "extra_groups": []} if os.getuid() == 0 else {}
        command = [program, "-F", "-c", str(self.folder / "dovecot.conf")]
        quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
        self.process = subprocess.Popen(command, cwd=self.folder, start_new_session=True, **who, **quiet)  # type: ignore[call-overload]
        listening(self.port)

    def stop(self) -> None:
        """As a crash: its connections end; the letters stay."""
        if self.process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)  # also those who talk to somebody
            self.process.wait(WITHIN)
            self.process = None

    def _settings(self) -> str:
        """Dovecot 2.3 without root: its manual, \"Rootless Installation\"; and without the seconds that one who has given a wrong
        password waits from then on, and all others at this address with them."""
        owner, group = self.owner.pw_name, grp.getgrgid(self.owner.pw_gid).gr_name
        tls = "ssl = no"
        if self.certificate is not None:
            made, key = (self.folder / file.name for file in self.certificate)
            tls = f"ssl = yes\nssl_cert = <{made}\nssl_key = <{key}"
        return f"""
base_dir = {self.folder}/run
log_path = {self.folder}/log
protocols = imap
listen = 127.0.0.1
default_internal_user = {owner}
default_internal_group = {group}
default_login_user = {owner}
mail_location = maildir:{self.folder}/mail
auth_failure_delay = 0
mail_max_userip_connections = 0
first_valid_uid = 1
state_dir = {self.folder}/run
instance_name = {self.folder.name}
auth_mechanisms = plain
{tls}
passdb {{
  driver = passwd-file
  args = scheme=PLAIN {self.folder}/users
}}
userdb {{
  driver = static
  args = uid={self.owner.pw_uid} gid={self.owner.pw_gid} home={self.folder}
}}
service anvil {{
  chroot =
  unix_listener anvil-auth-penalty {{
    mode = 0
  }}
}}
service imap-login {{
  chroot =
  inet_listener imap {{
    port = {self.port}
  }}
  inet_listener imaps {{
    port = {self.tls_port if self.certificate else 0}
  }}
}}
"""


class Wire:
    """A connection that can be listened to, altered and cut: what comes to its port goes on to another."""

    def __init__(self, target: int) -> None:
        self.target, self.port = target, free_port()
        self.said: list[bytes] = []
        """What the server said."""
        self.alter: Callable[[bytes], bytes] = lambda octets: octets
        """Changes what the server says."""
        self._news = asyncio.Event()
        self._writers: list[asyncio.StreamWriter] = []

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[Wire]:
        listener = await asyncio.start_server(self._join, "127.0.0.1", self.port)
        try:
            yield self
        finally:
            listener.close()
            self.cut()

    async def until(self, words: bytes, times: int = 1) -> None:
        """Until the server has said this, so often."""
        while self.heard(words) < times:
            self._news.clear()
            await self._news.wait()

    def heard(self, words: bytes) -> int:
        """How often the server has said this."""
        return b"".join(self.said).count(words)

    def cut(self) -> None:
        """At once, for both sides."""
        for writer in self._writers:
            writer.transport.abort()

    async def _join(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):
            onward, back = await asyncio.open_connection("127.0.0.1", self.target)
            self._writers += [writer, back]
            async with asyncio.TaskGroup() as tasks:
                tasks.create_task(self._carry(reader, back, lambda octets: octets))
                tasks.create_task(self._carry(onward, writer, self._heard))

    async def _carry(self, source: asyncio.StreamReader, target: asyncio.StreamWriter, pass_on: Callable[[bytes], bytes]) -> None:
        with contextlib.suppress(OSError):
            while octets := await source.read(65_536):
                target.write(pass_on(octets))
                await target.drain()
            target.close()

    def _heard(self, octets: bytes) -> bytes:
        self.said.append(octets)
        self._news.set()
        return self.alter(octets)
