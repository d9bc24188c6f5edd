"""People who write to the city and are written to: the mail server that takes our messages, the mailbox that letters come to, and a
server between the two."""

from __future__ import annotations

import asyncio
import contextlib
import imaplib
import os
import re
import shutil
import signal
import subprocess
import tomllib
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from email import message_from_bytes, policy
from email.message import EmailMessage
from pathlib import Path
from typing import Any, NamedTuple

import msgspec
from aiosmtpd.smtp import Envelope
from icalendar import Calendar

from frontend.letters import SUBJECTS
from frontend.words import text
from live.mailing import marked
from rooms.programme import Programme
from tests.conftest import OPEN_HANDED
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person
from tests.flow.server import PROGRAMME, Server
from tests.live.post_engines import PASSWORD, Dovecot, SmtpServer

CITY = "dialog@stadt.example"
"""The city's address."""
KEYWORD = "Digitalisierung 20.08."
FACTS: dict[str, Any] = {
    "starts": "2099-08-20T18:00:00+02:00",
    "ends": "2099-08-20T20:00:00+02:00",
    "places": {"hall": {"seats": 2, "deadline": "2099-08-19T12:00:00+02:00", "party": 2, "keyword": KEYWORD}},
    "contact": "02305 106-0",
}


class Mail(NamedTuple):
    """One message of ours, as it came to the SMTP server: to whom, and its parts."""

    to: tuple[str, ...]
    raw: bytes
    message: EmailMessage

    @property
    def number(self) -> int:
        """Which message of the event it is."""
        found = marked(str(self.message["Message-ID"]))
        assert found is not None
        return found[1]

    @property
    def subject(self) -> str:
        """Decoded."""
        return str(self.message["Subject"]).strip()  # what is folded after the colon begins with a space

    @property
    def text(self) -> str:
        """For those who see no HTML."""
        return self._part("plain")

    @property
    def html(self) -> str:
        """For everybody else."""
        return self._part("html")

    @property
    def link(self) -> str:
        """The address of the registration's page that stands in it."""
        found = re.search(r"^https?://\S+/r/\S+$", self.text, re.M)
        assert found is not None, self.text
        return found[0]

    @property
    def event(self) -> Any:
        """What calendars make of it: the VEVENT that the part and the attachment hold, with the method that the part says."""
        parts = list(self.message.walk())
        (part,) = [one for one in parts if one.get_content_type() == "text/calendar"]
        (attached,) = [one for one in parts if one.get_filename() == "plenum.ics"]
        calendar, other = Calendar.from_ical(part.get_content()), Calendar.from_ical(attached.get_content())
        assert calendar.to_ical() == other.to_ical()
        assert calendar["METHOD"] == part.get_param("method")
        (event,) = calendar.walk("VEVENT")
        event["METHOD"] = calendar["METHOD"]
        return event

    @property
    def has_calendar(self) -> bool:
        """Whether there is something for calendars in it."""
        return any(one.get_content_type() in ("text/calendar", "application/ics") for one in self.message.walk())

    def _part(self, kind: str) -> str:
        body = self.message.get_body((kind,))
        assert body is not None
        return str(body.get_content()).replace("\r\n", "\n")


@dataclass
class PostOffice(SmtpServer):
    """The mail server that takes what we send."""

    def mails(self, to: str = "") -> list[Mail]:
        """All that it has taken, or those to this address."""
        read = [_mail(envelope) for envelope in self.taken]
        return [mail for mail in read if not to or to in mail.to]

    async def come(self, to: str, count: int = 1) -> list[Mail]:
        """As soon as so many have come to this address. There may be more."""
        await self.until(lambda: len(self.mails(to)) >= count)
        return self.mails(to)

    async def until(self, condition: Callable[[], bool]) -> None:
        """Looked at after each message."""
        async with asyncio.timeout(2 * ANSWERED_WITHIN), self.arrived:
            await self.arrived.wait_for(condition)

    def copies(self) -> Counter[int]:
        """Number of a message → how often it has come."""
        return Counter(mail.number for mail in self.mails())


def _mail(envelope: Envelope) -> Mail:
    assert isinstance(envelope.content, bytes)
    message = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(message, EmailMessage)
    return Mail(tuple(envelope.rcpt_tos), envelope.content, message)


class Letterbox:
    """The city's mailbox, as the mail server that puts letters there sees it, and people with programs of their own."""

    def __init__(self, dovecot: Dovecot) -> None:
        self.dovecot = dovecot

    def put(self, raw: bytes, arrived: datetime | None = None) -> None:
        """One letter, that has arrived then."""
        with self._imap() as imap:
            date = imaplib.Time2Internaldate(arrived or datetime.now(UTC))
            assert imap.append("INBOX", "", date, raw)[0] == "OK"

    def drop(self, *letters: tuple[bytes, datetime]) -> None:
        """These letters with their arrival, past IMAP: what it does not take, or while nobody listens."""
        for raw, arrived in letters:
            fresh = self.dovecot.folder / "mail" / "tmp" / f"{uuid.uuid4().hex}.example"
            fresh.write_bytes(raw)
            os.utime(fresh, (arrived.timestamp(), arrived.timestamp()))
            if os.getuid() == 0:
                shutil.chown(fresh, self.dovecot.owner.pw_uid, self.dovecot.owner.pw_gid)
            fresh.rename(self.dovecot.folder / "mail" / "new" / fresh.name)

    def flags(self) -> list[bytes]:
        """Of each letter."""
        with self._imap() as imap:
            imap.select("INBOX", readonly=True)
            return [bytes(line) for line in imap.fetch("1:*", "(FLAGS)")[1] if isinstance(line, bytes)]

    @contextlib.contextmanager
    def _imap(self):  # type: ignore[no-untyped-def]
        with imaplib.IMAP4("127.0.0.1", self.dovecot.port, timeout=ANSWERED_WITHIN) as imap:
            imap.authenticate("PLAIN", lambda _: f"\0dialog\0{PASSWORD}".encode())
            yield imap


def written(
    sender: str, subject: str = "Anmeldung", text: str = "", *, id: str = "", html: str = "", **headers: str
) -> bytes:  # fmt: skip
    """A letter as a mail program writes it."""
    made = EmailMessage()
    made["From"], made["To"], made["Subject"] = sender, CITY, subject
    made["Date"] = "Fri, 01 Jan 1999 00:00:00 +0000"
    made["Message-ID"] = f"<{id or abs(hash((sender, subject, text)))}@example.org>"
    for name, value in headers.items():
        made[name.replace("_", "-")] = value
    made.set_content(html or text, subtype="html" if html else "plain")
    return made.as_bytes()


def subject(kind: str, lang: str = "de", position: int = 1) -> str:
    """What stands over a message of this kind."""
    title = {"de": "Digitalisierung in Castrop-Rauxel", "en": "Digitalisation in Castrop-Rauxel"}[lang]
    return text(lang, SUBJECTS[kind]).format(title=title, position=position)


def facts(slug: str, **changed: object) -> dict[str, Any]:
    """The programme of an event with a hall, as `event.configure` takes it."""
    programme = msgspec.convert({**tomllib.loads(PROGRAMME.format(slug=slug)), **FACTS, **changed}, Programme)
    made: dict[str, Any] = msgspec.to_builtins(programme)
    return made


def hall(**changed: object) -> dict[str, Any]:
    """Its places, with these facts of the hall changed."""
    return {"hall": {**FACTS["places"]["hall"], **changed}}


@contextlib.asynccontextmanager
async def city(
    folder: Path,
    post: PostOffice,
    *options: str,
    phase: str = "registration",
    changed: dict[str, Any] | None = None,
    **settings: object,
) -> AsyncIterator[Evening]:
    """`plenum serve` that sends through this mail server, and an event that people register for. It never logs an exception."""
    own = {"smtp_url": post.url, "mail_from": CITY, "mail_seconds": 5, **settings}
    server = Server(folder / "city", {**OPEN_HANDED, **own}, *options)
    server.environment["PLENUM_PUBLIC_URL"] = server.url
    try:
        await asyncio.to_thread(server.start)
        async with Evening(server, await server.event(phase, **{**FACTS, **(changed or {})})) as evening:
            yield evening
        assert "Traceback" not in server.said(), server.said()
    finally:
        server.kill()


async def register(evening: Evening, name: str, email: str, **more: Any) -> dict[str, Any]:
    """By the web, somebody new; the answer."""
    person = await evening.person()
    return await person.do("registration.submit", place="hall", name=name, email=email, **more)


async def nothing_under_way(organiser: Person) -> None:
    """Until no message is waiting or being sent, as an organiser sees it."""
    await organiser.sees(lambda shown: shown["registrations"]["registrations"]["queued"] == 0)


@contextlib.asynccontextmanager
async def working(*servers: Server) -> AsyncIterator[list[subprocess.Popen[bytes]]]:
    """A worker beside each of these, which the test may kill. While they are waited for, the mail server can answer."""
    workers = [server.beside("worker") for server in servers]
    try:
        yield workers
        for worker in workers:
            worker.terminate()
            assert await asyncio.to_thread(worker.wait, ANSWERED_WITHIN) in (0, -signal.SIGKILL)
    finally:
        for worker in workers:
            worker.kill()
            worker.wait()
