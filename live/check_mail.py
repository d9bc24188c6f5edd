"""Whether the mail servers let us in: the one that takes messages, and the mailbox. Nothing is sent, and no letter is marked."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

from live.findings import Finding, broken, masked, ok, warning
from live.mailbox import Mailbox, MailboxGone
from live.mailing import sender_of
from live.post import Post, Undelivered
from live.settings import Settings

SECONDS = 5.0
"""How long a mail server may take to connect, and for each answer."""
_MAIL = "mail"


def mail(settings: Settings) -> Iterator[Finding]:
    """What is used of the two, and what it needs."""
    if settings.smtp_url:
        yield from _sent_from(settings)
        yield _smtp(settings.smtp_url)
    elif settings.imap_url:
        mend = "Set PLENUM_SMTP_URL, or read the mailbox yourselves"
        yield warning(_MAIL, "letters are read, and nobody gets an answer by mail", mend)
    else:
        yield ok(_MAIL, "not used: people are told by telephone")
    if settings.imap_url:
        yield _imap(settings.imap_url)


def _sent_from(settings: Settings) -> Iterator[Finding]:
    try:
        sender_of(settings.mail_from)
    except ValueError:
        seen = "is no address" if settings.mail_from else "is not set"
        mend = "Write dialog@stadt.example, or Name <dialog@stadt.example>: answers go there"
        yield broken(_MAIL, f"PLENUM_MAIL_FROM {seen}", mend)
    if not settings.public_url:
        yield broken(_MAIL, "PLENUM_PUBLIC_URL is not set", "Set it: the links in messages begin with it")


def _smtp(url: str) -> Finding:
    try:
        asyncio.run(Post(url, SECONDS).greet())
    except ValueError as wrong:
        return broken(_MAIL, f"PLENUM_SMTP_URL {wrong}", "Write it so, or unset it")
    except Undelivered as refused:
        return broken(_MAIL, f"{masked(url)} takes no messages: {refused.reason}", "Correct PLENUM_SMTP_URL, or ask who keeps it")
    return ok(_MAIL, f"{masked(url)} lets us in to send")


def _imap(url: str) -> Finding:
    try:
        asyncio.run(_opened(url))
    except ValueError as wrong:
        return broken(_MAIL, f"PLENUM_IMAP_URL {wrong}", "Write it so, or unset it")
    except MailboxGone as gone:
        return broken(_MAIL, f"{masked(url)} cannot be read: {gone.reason}", "Correct PLENUM_IMAP_URL, or ask who keeps it")
    return ok(_MAIL, f"{masked(url)} can be read, and keeps what is done")


async def _opened(url: str) -> None:
    mailbox = Mailbox(url, SECONDS)
    await mailbox.open()
    await mailbox.close()
