"""The text of a mail: which part of it, in which characters, what of HTML can be seen, and without what it answers to."""

from __future__ import annotations

import codecs
import re
from contextlib import suppress
from email.message import Message
from html import unescape
from html.parser import HTMLParser

NOT_OF_MAIL = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
"""Codecs of Python that are no charset; some of them take quadratic time."""
WHAT_IS_MEANT = {"iso8859-1": "cp1252", "ascii": None}
"""What programs write that say otherwise: Latin-1 is Windows-1252 (WHATWG Encoding Standard), ASCII can be anything."""

UNSEEN = frozenset({"script", "style", "title", "template"})
VOID = frozenset({"area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "track", "wbr"})
"""Elements without an end (HTML section 13.1.2)."""
LINES = frozenset({
    "address", "article", "aside", "blockquote", "br", "dd", "div", "dl", "dt", "footer", "form",
    "h1", "h2", "h3", "h4", "h5", "h6", "header", "hr", "li", "main", "nav", "ol", "p", "pre", "section", "table", "tr", "ul",
})  # fmt: skip
"""Elements that begin a line."""

ATTRIBUTION_LIMIT = 400
"""Characters of a line like `Am … schrieb …:`, which mail programs wrap."""

_LINE_BREAK = re.compile(r"\r\n|[\r\v\f\x85\u2028\u2029]")
_CONTROL = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufeff\u202a-\u202e\u2066-\u2069]")
"""Control characters, halves of characters, and what turns the direction of the text around it (Unicode TR 36 section 2.5)."""
_WROTE = re.compile(r"\bschrieb\b(?! (?:ich|wir|uns)\b)|\bwrote:$")
_HAS_WRITTEN = re.compile(r" hat am \d.* geschrieben:$|> schrieb am \d")
_ORIGINAL = re.compile(r"-{2,}\s?(?:Original Message|Original-?nachricht|Urspr(?:ü|ue)ngliche Nachricht)\s?-{2,}", re.IGNORECASE)
_SENT_BY, _SENT_ON = ("von:", "from:"), ("gesendet:", "sent:", "datum:", "date:")


def text_of(message: Message) -> str:
    """What the sender has written; "" if that cannot be made out."""
    try:
        text = _body(message)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError, AssertionError):  # what email and html raise
        return ""
    return without_quotes(cleaned(text))


def decoded(octets: bytes, charset: str | None) -> str:
    """These bytes as text: in their charset if Python knows it, else as UTF-8, else as Windows-1252."""
    try:
        name = codecs.lookup(charset or "ascii").name
        known = None if name in NOT_OF_MAIL else WHAT_IS_MEANT.get(name, name)
        if known:
            return octets.decode(known, "replace")
    except (LookupError, ValueError):
        pass
    try:
        return codecs.getincrementaldecoder("utf-8")().decode(octets)  # the last character may have been cut
    except UnicodeDecodeError:
        return octets.decode("cp1252", "replace")


def cleaned(text: str) -> str:
    """Without control characters; line breaks are "\\n", and lines end where something ends."""
    text = _CONTROL.sub("", _LINE_BREAK.sub("\n", text).replace("\t", " ").replace("\xa0", " "))
    return "\n".join(line.rstrip() for line in text.split("\n")).strip()


def without_quotes(text: str) -> str:
    """Without what a reply quotes: lines that begin with `>`, and all that follows a line that introduces a quotation.

    Where the lines after such a line are marked with `>`, what stands below them is an answer and stays.
    """
    lines, kept, at = text.split("\n"), list[str](), 0
    while at < len(lines):
        introduced = _introduction(lines, at)
        if introduced and not next((line for line in lines[at + introduced :] if line), "").startswith(">"):
            break
        if not introduced and not lines[at].lstrip().startswith(">"):
            kept.append(lines[at])
        at += introduced or 1
    while kept and not kept[-1].strip("_-* "):
        kept.pop()
    return re.sub(r"\n{3,}", "\n\n", "\n".join(kept)).strip()


def visible(html: str) -> str:
    """What is seen of this HTML, without what a mail program has marked as quoted."""
    page = _Page()
    with suppress(AssertionError):  # then what was read until there
        page.feed(html.replace("<![", "<!"))  # conditional comments of Office: the parser fails at those that it does not know
    if not page.rawdata.startswith("<"):  # a tag without an end; `close` would look for it again from every `<` after it
        page.handle_data(unescape(page.rawdata))
    lines = "".join(page.seen).split("\n")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(" ".join(line.split()) for line in lines))


def _body(part: Message) -> str:
    """The text of this part. What is attached, and mails in the mail, were not written for us."""
    kind = part.get_content_type()
    if part.get_content_disposition() == "attachment":
        return ""
    if part.is_multipart():
        if part.get_content_maintype() != "multipart":
            return ""
        inner = [one for one in part.get_payload() if isinstance(one, Message)]
        if kind == "multipart/alternative":
            plain = (_body(one) for one in sorted(inner, key=lambda one: one.get_content_type() == "text/html"))
            return next((text for text in plain if text.strip()), "")
        if kind == "multipart/related":
            return _body(inner[0]) if inner else ""
        return "\n".join(filter(None, map(_body, inner)))
    if kind not in ("text/plain", "text/html") and not kind.startswith("multipart/"):
        return ""
    octets = part.get_payload(decode=True)
    text = decoded(octets if isinstance(octets, bytes) else b"", part.get_content_charset())
    return visible(text) if kind == "text/html" else text


def _introduction(lines: list[str], at: int) -> int:
    """How many lines introduce a quotation here; 0 if none does."""
    if _ORIGINAL.fullmatch(lines[at].strip()) or _is_header_block(lines[at : at + 4]):
        return 1
    joined = ""
    for count, line in enumerate(lines[at : at + 3], 1):
        joined = f"{joined} {line.strip()}".strip()
        if not line or len(joined) > ATTRIBUTION_LIMIT:
            return 0
        if joined.endswith(":"):
            return count if _is_attribution(joined) else 0
    return 0


def _is_attribution(line: str) -> bool:
    if not any(character.isdigit() for character in line):
        return False
    return bool((line.startswith(("Am ", "On ")) and _WROTE.search(line)) or _HAS_WRITTEN.search(line))


def _is_header_block(lines: list[str]) -> bool:
    """`Von: …` and `Gesendet: …`, as Outlook puts them above what is answered."""
    begun = [line.lstrip("* ").replace("*", "").lower() for line in lines]
    return (
        begun[0].startswith(_SENT_BY + _SENT_ON)
        and any(line.startswith(_SENT_BY) for line in begun)
        and any(line.startswith(_SENT_ON) for line in begun)
    )


class _Page(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._unseen, self._depth = "", 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if self._unseen:
            self._depth += tag == self._unseen
        elif tag not in VOID and _is_unseen(tag, dict(attrs)):
            self._unseen, self._depth = tag, 1
        elif tag in LINES:
            self.seen.append("\n\n" if tag == "p" else "\n")

    def handle_endtag(self, tag: str) -> None:
        if tag == self._unseen:
            self._depth -= 1
            self._unseen = tag if self._depth else ""
        elif tag in LINES and not self._unseen:
            self.seen.append("\n")

    def handle_data(self, data: str) -> None:
        if not self._unseen:
            self.seen.append(re.sub(r"\s+", " ", data))


def _is_unseen(tag: str, attributes: dict[str, str | None]) -> bool:
    style = (attributes.get("style") or "").replace(" ", "").lower()
    quoted = tag == "blockquote" and (attributes.get("type") or "").lower() == "cite"
    quoted = quoted or "gmail_quote" in (attributes.get("class") or "").split()
    return tag in UNSEEN or "hidden" in attributes or "display:none" in style or quoted
