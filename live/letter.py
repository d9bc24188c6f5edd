"""A letter: what is made of the bytes of a mail (RFC 5322, MIME) that anybody may have sent. Pure, and it never raises."""

from __future__ import annotations

import re
from collections.abc import Iterator
from email import message_from_bytes
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from email.parser import BytesHeaderParser, HeaderParser

import msgspec
from email_validator import EmailNotValidError, validate_email

from live.letter_text import cleaned, decoded, text_of

HEADER_LIMIT = 2000
"""Characters of a header that are looked at. A line has at most 998 (RFC 5322 section 2.1.1); a longer From is not usable."""
NOBODY = ("noreply", "donotreply", "mailerdaemon")
"""How the local parts of senders begin that read no answers, without their dots, hyphens and underscores."""
BULK = {"bulk", "junk", "list", "auto_reply"}

_ENCODED_WORD = re.compile(r"=\?[^?\s]+\?[bq]\?[^?\s]*\?=", re.IGNORECASE)
_QUOTED_STRING = re.compile(r'"(?:[^"\\]|\\.)*"')
_MESSAGE_ID = re.compile(r"<[\x21-\x3b\x3d\x3f-\x7e]{1,990}>")


class Letter(msgspec.Struct, frozen=True):
    """One mail. No text in it has control characters, but for the line breaks of `text`."""

    validity: int
    """UIDVALIDITY of the mailbox: with another one, the same uid is another letter (RFC 3501 section 2.3.1.1)."""
    uid: int
    arrived: int
    """When the server took it, in ms since the epoch. What the letter says itself can be forged."""
    message_id: str
    """With its angle brackets; "" if there is none."""
    name: str
    address: str
    """Of the only sender, normalised; "" if there is none that can be written to."""
    subject: str
    text: str
    """What the sender has written, without what it answers to."""
    automatic: bool
    """No person has sent it: it must not be answered (RFC 3834 section 2)."""
    bounced: str
    """Message-ID of the message of ours that could not be delivered, says this letter; or ""."""
    clipped: bool
    """There was more than was fetched."""


def read(raw: bytes, *, validity: int = 0, uid: int = 0, arrived: int = 0, clipped: bool = False) -> Letter:
    """The letter in these bytes, whatever they are."""
    message = _parsed(raw)
    name, address, written = _sender(message)
    return Letter(
        validity=validity,
        uid=uid,
        arrived=arrived,
        message_id=_message_id(message),
        name=name,
        address=address,
        subject=next((_words(value) for value in _headers(message, "subject")), ""),
        text=text_of(message),
        automatic=_is_automatic(message, written),
        bounced=_bounced(message),
        clipped=clipped,
    )


def _parsed(raw: bytes) -> Message:
    try:
        return message_from_bytes(raw)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError):  # hundreds of parts in each other
        message = BytesHeaderParser().parsebytes(raw)
        message.set_payload("")
        return message


def _headers(message: Message, name: str) -> Iterator[str]:
    """Every header of this name, unfolded, as it was sent."""
    for key, value in message.raw_items():
        if key.lower() == name:
            octets = str(value)[:HEADER_LIMIT].encode("ascii", "surrogateescape")
            yield " ".join(decoded(octets, None).split())


def _words(value: str) -> str:
    """Encoded words decoded (RFC 2047), on one line."""
    try:
        pieces = decode_header(value)
        value = "".join(piece if isinstance(piece, str) else decoded(piece, charset) for piece, charset in pieces)
    except (HeaderParseError, ValueError):
        pass  # as it was sent
    return " ".join(cleaned(value).split())


def _sender(message: Message) -> tuple[str, str, str]:
    """(name, address, address as written) of From. Two senders, or one that could be read as two, are none."""
    values = list(_headers(message, "from"))
    if len(values) != 1 or len(values[0]) >= HEADER_LIMIT:
        return "", "", ""
    bare = _ENCODED_WORD.sub(" ", _QUOTED_STRING.sub(" ", values[0]))
    name, opening = "", "(" if "<" not in bare else "<"
    before, _, rest = bare.partition(opening)
    if opening == "<":
        written, closed, after = (part.strip() for part in rest.partition(">"))
        name = _words(values[0].rpartition("<")[0].replace('\\"', "'").replace('"', ""))
    else:
        before, written, closed, after = "", before.strip(), ">", rest  # the form without brackets, and a comment
    if not closed or "@" in before + after or "<" in after:
        return name, "", written
    return name, _normalised(written), written


def _normalised(address: str) -> str:
    try:
        return validate_email(address, check_deliverability=False).normalized
    except (EmailNotValidError, ValueError):
        return ""


def _message_id(message: Message) -> str:
    found = (_MESSAGE_ID.search(value) for value in _headers(message, "message-id"))
    return next((match[0] for match in found if match), "")


def _is_automatic(message: Message, sender: str) -> bool:
    """RFC 3834 section 2, and what programs did before it and still do."""
    local = re.sub(r"[-._]", "", sender.partition("@")[0].lower())
    return (
        any(re.split(r"[\s;(]", value.lower())[0] != "no" for value in _headers(message, "auto-submitted"))
        or any(value.lower() in BULK for value in _headers(message, "precedence"))
        or any(value.replace(" ", "") in ("<>", "") for value in _headers(message, "return-path"))
        or any(True for name in ("list-id", "x-autoreply", "x-auto-response-suppress") for _ in _headers(message, name))
        or message.get_content_type() == "multipart/report"
        or local.startswith(NOBODY)
        or local == "postmaster"
    )


def _bounced(message: Message) -> str:
    """A delivery status notification (RFC 3464) brings back the message, or its headers (RFC 6522 section 3).

    One that says only that a message is late, or has arrived, is about none.
    """
    if message.get_content_type() != "multipart/report" or not message.is_multipart():
        return ""
    parts = {part.get_content_type(): part for part in message.get_payload() if isinstance(part, Message)}
    status = parts.get("message/delivery-status", parts.get("message/global-delivery-status"))
    if status is None:
        return ""
    actions = {value.lower() for block in status.walk() for value in _headers(block, "action")}
    if actions and "failed" not in actions:
        return ""
    for kind in ("message/rfc822", "message/global", "text/rfc822-headers", "message/global-headers"):
        if kind in parts:
            return _message_id(_returned(parts[kind]))
    return ""


def _returned(part: Message) -> Message:
    inner = part.get_payload()
    if isinstance(inner, list):
        return next((one for one in inner if isinstance(one, Message)), part)
    octets = part.get_payload(decode=True)
    return HeaderParser().parsestr(decoded(octets if isinstance(octets, bytes) else b"", None))
