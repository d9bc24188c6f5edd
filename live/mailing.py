"""Sending what the rules have queued: claim a message, send it, say what became of it. Each is sent once, whoever tries.

The claim is a command like any other: of two workers the log gives it to one. A worker that dies between handing over and saying so
leaves the message claimed, and the rules make it "uncertain": it is not sent again unless a person wants it.
"""

from __future__ import annotations

import asyncio
import logging
import uuid
from email.headerregistry import Address
from email.message import EmailMessage
from email.utils import formatdate, make_msgid, parseaddr
from typing import NamedTuple

import msgspec
from email_validator import EmailNotValidError, validate_email

from frontend.letters import Letter, letter
from live.desk import Desk
from live.desks import Desks
from live.post import Post, Undelivered
from live.settings import Settings
from rooms.command import SYSTEM, Refused
from rooms.entrance import keyed
from rooms.messages import Message

LOGGER = logging.getLogger("plenum.mailing")
LOOK_SECONDS = 0.5
"""How often the queues in memory are looked at; nothing is asked of the database for that."""


class Due(NamedTuple):
    """A message that can be sent: to whom, and what it says."""

    address: str
    name: str
    letter: Letter


class Mailing:
    """All events' messages, through one mail server. Raises ValueError if the settings are not enough."""

    def __init__(self, settings: Settings, desks: Desks) -> None:
        if not settings.mail_from or not settings.public_url:
            raise ValueError("PLENUM_SMTP_URL needs PLENUM_MAIL_FROM, and PLENUM_PUBLIC_URL for the links in messages")
        self.desks, self.sender, self.site = desks, sender_of(settings.mail_from), settings.public_url.rstrip("/")
        self.post = Post(settings.smtp_url, settings.mail_seconds)
        self.patience = settings.drain_seconds

    async def run(self) -> None:
        """Until cancelled; the message that is under way then still has as long as clients have to leave."""
        try:
            while True:
                for desk in list(self.desks.open.values()):
                    await self._send_due(desk)
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            await self.post.close()

    async def _send_due(self, desk: Desk) -> None:
        now = desk.now()
        due = await desk.read(lambda: [number for number, at in desk.event.messages.open.items() if at <= now])
        for number in due:
            sending = asyncio.ensure_future(self._send(desk, number))
            try:
                await asyncio.shield(sending)
            except asyncio.CancelledError:
                # Cut off, it would be uncertain: with every restart somebody would have to be asked whether they got their mail.
                await asyncio.wait([sending], timeout=self.patience)
                sending.cancel()
                await asyncio.gather(sending, return_exceptions=True)
                raise
            except Refused as refused:
                # Another worker has it, or the database is away: the queue still holds it then. Others must not wait for this one.
                if refused.code not in ("wrong_message_state", "storage_unavailable"):
                    LOGGER.warning("a message was not sent: %s", refused.code)

    async def _send(self, desk: Desk, number: int) -> None:
        done = await desk.send(SYSTEM, str(uuid.uuid4()), "message.claim", msgspec.json.encode({"message": number}))
        if msgspec.json.decode(done.result)["state"] != "sending":
            return
        state, reason = await self._handed_over(desk, number)
        LOGGER.info("message", extra={"fields": {"event": desk.slug, "message": number, "state": state, "reason": reason}})
        report = {"message": number, "state": state, "reason": reason}
        await self._report(desk, report)

    async def _handed_over(self, desk: Desk, number: int) -> tuple[str, str]:
        """What became of it, and why. One that cannot be written is a bug, and must not keep the others from being sent."""
        try:
            due = await desk.read(lambda: self._due(desk, desk.event.messages.items[number]))
            made = composed(mark(desk, number), due, self.sender, desk.now()) if due is not None else None
        except Exception as error:
            LOGGER.exception("a message cannot be written")
            return "failed", type(error).__name__
        if made is None:
            return "failed", "no address"
        try:
            await self.post.send(made)
        except Undelivered as undelivered:
            return ("uncertain" if undelivered.uncertain else "failed" if undelivered.permanent else "queued"), undelivered.reason
        except Exception as error:
            LOGGER.exception("a message was not handed over")
            return "uncertain", type(error).__name__
        return "sent", ""

    async def _report(self, desk: Desk, report: dict[str, object]) -> None:
        """What became of it must be told, or it would be told as uncertain: also to a database that is away for a while."""
        id = str(uuid.uuid4())
        while True:
            try:
                await desk.send(SYSTEM, id, "message.report", msgspec.json.encode(report))
                return
            except Refused as refused:
                if refused.code != "storage_unavailable":
                    raise
                await asyncio.sleep(refused.retry_after or LOOK_SECONDS)

    def _due(self, desk: Desk, message: Message) -> Due | None:
        address = desk.names.get(f"{message.to}/email", "")
        if not address:
            return None
        written = letter(desk.event, desk.names, message, self.site, self.sender.addr_spec, desk.now())
        return Due(address, desk.names.get(message.to, ""), written)


def mark(desk: Desk, number: int) -> str:
    """Part of a Message-ID that only we can make: a letter that comes back says which it was, and nobody can say it for us."""
    return f"{desk.slug}.{number}.{keyed(desk.event.secret, f'message/{number}', 10)}"


def marked(message_id: str) -> tuple[str, int, str] | None:
    """The event, number and mark of a message that has this Message-ID, if it looks like one of ours."""
    # make_msgid puts what makes it unique before: <time.process.chance.slug.number.proof@host>.
    parts = message_id.strip("<>").partition("@")[0].split(".")[-3:]
    if len(parts) < 3 or not (parts[1].isascii() and parts[1].isdigit() and len(parts[1]) < 10):
        return None
    return parts[0], int(parts[1]), ".".join(parts)


def sender_of(mail_from: str) -> Address:
    """`dialog@stadt.example` or `Stadt <dialog@stadt.example>`. Raises ValueError, which does not repeat it."""
    name, address = parseaddr(mail_from)
    try:
        known = validate_email(address, check_deliverability=False)
    except EmailNotValidError:
        raise ValueError("PLENUM_MAIL_FROM: expected an address like dialog@stadt.example, or Name <address>") from None
    return Address(_literal(name), known.local_part, known.ascii_domain)


def composed(mark: str, due: Due, sender: Address, now: int) -> EmailMessage:
    """The mail: text, HTML, and the event for the calendar; `mark` ends the left part of its Message-ID."""
    made = EmailMessage()
    made["From"] = sender
    # A domain with umlauts has a spelling that every mail server takes (RFC 5891).
    to = validate_email(due.address, check_deliverability=False)
    made["To"] = Address(_literal(due.name)[:80], to.local_part, to.ascii_domain)
    made["Subject"] = _literal(due.letter.subject)
    made["Date"] = formatdate(now / 1000)
    made["Message-ID"] = make_msgid(mark, sender.domain)
    # Robots must not answer (RFC 3834 § 5; the second is Microsoft's).
    made["Auto-Submitted"] = "auto-generated"
    made["X-Auto-Response-Suppress"] = "All"
    made.set_content(due.letter.text)
    made.add_alternative(due.letter.html, subtype="html")
    if due.letter.calendar:
        event = due.letter.calendar.decode()
        made.add_alternative(event, subtype="calendar", params={"method": due.letter.method})
        made.add_attachment(due.letter.calendar, "application", "ics", filename="plenum.ics")
    made["Content-Language"] = due.letter.lang  # last: parts that are added take such headers with them
    return made


def _literal(text: str) -> str:
    """On one line, and meant as it stands: in what it is given as a header Python decodes encoded words (RFC 2047), and writes
    line breaks in them as such (CVE-2024-6923)."""
    return " ".join(text.split()).replace("=?", "= ?")
