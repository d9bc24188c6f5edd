"""Sending mail over SMTP (RFC 5321). A message is never sent twice, and none is given up because a server is away."""

from __future__ import annotations

import asyncio
import re
import ssl
from email.message import EmailMessage

from aiosmtplib import (
    SMTP,
    SMTPAuthenticationError,
    SMTPDataError,
    SMTPException,
    SMTPRecipientRefused,
    SMTPResponseException,
    SMTPSenderRefused,
    SMTPServerDisconnected,
    SMTPTimeoutError,
)
from aiosmtplib.email import extract_recipients, extract_sender, flatten_message, parse_address

from live.mail_address import mail_server

EXPECTED = "expected smtp://user:password@host:587 or smtps://user:password@host:465, with ?tls=no after smtp:// for no encryption"
PORTS = {"smtp": 587, "smtps": 465}

NOT_ABOUT_THE_MESSAGE = frozenset({500, 502, 503, 521, 530, 534, 535, 538})
"""Permanent replies that an operator mends: commands not known or out of order (RFC 5321 section 4.2.2), a host that takes no mail
at all (RFC 7504), a login that is missing or too weak (RFC 4954 section 6)."""


class Undelivered(Exception):
    """The server has not said that it took the message.

    reason: what happened, for the operator; neither addresses nor the password nor words of the server are in it.
    permanent: another try would end in the same way.
    uncertain: the server may have taken the message all the same; who sends it again may send it twice.
    """

    def __init__(self, reason: str, permanent: bool, uncertain: bool = False) -> None:
        super().__init__(reason)
        self.reason, self.permanent, self.uncertain = reason, permanent, uncertain


class Post:
    """A mail server to send through. Its connection stays open for the next message, until `close`."""

    def __init__(self, address: str, timeout: float) -> None:
        """timeout: seconds for connecting with everything that belongs to it, and for each answer. Raises ValueError."""
        self._server = mail_server(address, PORTS, EXPECTED)
        if self._server.path:
            raise ValueError(f"no path belongs to it: {EXPECTED}")
        self._timeout = timeout
        self._turn = asyncio.Lock()
        self._connection: SMTP | None = None

    async def send(self, message: EmailMessage) -> None:
        """Returns when the server has taken the message for everybody in To, Cc and Bcc. Raises Undelivered: nobody gets it then.

        Raises ValueError without From or without anybody to send it to. Cancelled, it leaves open whether the message was taken.
        """
        sender, recipients = _envelope(message)
        content = flatten_message(message, utf8=not _is_ascii(sender, recipients), cte_type="7bit")
        async with self._turn:
            try:
                connection = await self._begun(sender, recipients)
                await self._hand_over(connection, content)
            except Undelivered:
                await self._begin_anew()
                raise
            except BaseException:
                self._drop()  # an answer that nobody waited for would be taken for that to the next command
                raise

    async def greet(self) -> None:
        """Connects, logs in and says goodbye, without anything to send. Raises Undelivered."""
        async with self._turn:
            self._drop()
            await self._connected()
        await self.close()

    async def close(self) -> None:
        """Says goodbye. It can be used again afterwards."""
        async with self._turn:
            if self._connection is not None:
                try:
                    await self._connection.quit()
                except (SMTPException, OSError):
                    pass
                finally:
                    self._drop()

    async def _begun(self, sender: str, recipients: list[str]) -> SMTP:
        """A connection on which everything has been said but the message. A kept one may have died: it is replaced once."""
        kept = self._connection
        if kept is not None and kept.is_connected:
            try:
                return await self._addressed(kept, sender, recipients)
            except Undelivered:
                if kept.is_connected:
                    raise
        self._drop()
        return await self._addressed(await self._connected(), sender, recipients)

    async def _connected(self) -> SMTP:
        """A new connection, encrypted and logged in as its address says."""
        server = self._server
        self._connection = connection = SMTP(
            hostname=server.host,
            port=server.port,
            username=server.user or None,
            password=server.password or None,
            timeout=self._timeout,
            use_tls=server.encryption == "tls",
            start_tls=server.encryption == "starttls",
        )
        try:
            async with asyncio.timeout(self._timeout):
                await connection.connect()
                if connection.is_ehlo_or_helo_needed:
                    await connection.ehlo()
        except (SMTPException, OSError, ValueError) as error:  # ValueError: a challenge or a host name that is none
            self._drop()
            raise Undelivered(_why_not_connected(error), permanent=False) from None
        return connection

    async def _addressed(self, connection: SMTP, sender: str, recipients: list[str]) -> SMTP:
        """Says from whom and to whom. Only what the server says about a recipient can be permanent."""
        utf8 = not _is_ascii(sender, recipients)
        if utf8 and not connection.supports_extension("smtputf8"):
            raise Undelivered("the server takes addresses in ASCII only", permanent=True)  # RFC 6531
        encoding = "utf-8" if utf8 else "ascii"
        try:
            await connection.mail(sender, options=["SMTPUTF8"] if utf8 else [], encoding=encoding)
            for recipient in recipients:
                await connection.rcpt(recipient, encoding=encoding)
        except SMTPRecipientRefused as error:
            raise Undelivered(f"recipient refused: {_code(error)}", _is_permanent(error)) from None
        except SMTPSenderRefused as error:
            raise Undelivered(f"sender refused: {_code(error)}", permanent=False) from None
        except (SMTPException, OSError) as error:
            raise Undelivered(_why_not_connected(error), permanent=False) from None
        return connection

    async def _hand_over(self, connection: SMTP, content: bytes) -> None:
        """From here on an answer that is lost, or is none, leaves open whether the message was taken."""
        try:
            await connection.data(content)
        except SMTPDataError as error:
            if not 400 <= error.code < 600:
                connection.close()
                raise Undelivered(f"answer not understood: {error.code}", permanent=False, uncertain=True) from None
            raise Undelivered(f"message refused: {_code(error)}", _is_permanent(error)) from None
        except (SMTPException, OSError):
            raise Undelivered("connection lost before the answer", permanent=False, uncertain=True) from None

    async def _begin_anew(self) -> None:
        """After a refusal: a connection on which the next message can begin, or none."""
        if self._connection is None or not self._connection.is_connected:
            return self._drop()
        try:
            await self._connection.rset()
        except (SMTPException, OSError):
            self._drop()
        except BaseException:
            self._drop()
            raise

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _envelope(message: EmailMessage) -> tuple[str, list[str]]:
    """From whom and to whom (RFC 5321 section 2.3.1)."""
    sender, recipients = extract_sender(message), list(dict.fromkeys(extract_recipients(message)))
    if not sender or not recipients:
        raise ValueError("a message says from whom and to whom it is")
    try:
        return parse_address(sender), [parse_address(recipient) for recipient in recipients]
    except ValueError:
        raise Undelivered("an address that cannot be written to", permanent=True) from None


def _is_ascii(sender: str, recipients: list[str]) -> bool:
    return all(address.isascii() for address in (sender, *recipients))


def _is_permanent(error: SMTPResponseException) -> bool:
    return 500 <= error.code < 600 and error.code not in NOT_ABOUT_THE_MESSAGE


def _code(error: SMTPResponseException) -> str:
    """Reply code and enhanced status code (RFC 3463), without the server's words: they often repeat the address."""
    enhanced = re.match(r"[245]\.\d{1,3}\.\d{1,3}(?!\S)", error.message)
    return f"{error.code} {enhanced[0]}" if enhanced else str(error.code)


def _why_not_connected(error: Exception) -> str:
    match error:
        case SMTPAuthenticationError():
            return f"login refused: {_code(error)}"
        case SMTPResponseException():
            return f"server not ready: {_code(error)}"
        case SMTPTimeoutError() | TimeoutError():
            return "no answer in time"
        case SMTPServerDisconnected():
            return "connection lost"
        case ssl.SSLError():
            return "TLS failed"
        case OSError():
            return "TLS failed" if isinstance(error.__cause__, ssl.SSLError) else "no connection"
        case SMTPException():
            return "the server does not offer what its address asks for: STARTTLS or a login"
        case _:
            return "the server is not understood"
