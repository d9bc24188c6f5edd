"""Citizens' text: made harmless, and counted as people count."""

from __future__ import annotations

import unicodedata

import regex

from rooms.command import Refused

MAX_CODE_POINTS = 16_000
"""No honest text of 1,000 graphemes is longer; a family emoji has 7 to 11 code points."""

_GRAPHEME = regex.compile(r"\X")
# Controls but for tab and line feed; zero-width characters that join nothing; bidirectional marks, embeddings, overrides and
# isolates (they can make a text read as another one, "Trojan Source"); tags; object replacements. Kept: U+200C and U+200D,
# which Persian and emoji need.
_HARMFUL = regex.compile(
    "[\\x00-\\x08\\x0b-\\x1f\\x7f-\\x9f\u00ad\u061c\u115f\u1160\u180e\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\u3164\ufeff\uffa0"
    "\u2800\ufff9-\ufffc\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e007f\ud800-\udfff]"
)
_MARKS = regex.compile(r"(\p{M}{4})\p{M}+")
_JOINERS = regex.compile("[\u200c\u200d]+(?=$|\\s)|(?<=^|\\s)[\u200c\u200d]+|(?<=[\u200c\u200d])[\u200c\u200d]+")
_SPACES = regex.compile(r"[^\S\n]+")
_BREAKS = regex.compile(r"\n{3,}")


def clean(text: str, *, lines: bool = True) -> str:
    """The text in NFC without characters that deceive the eye or the layout, white space folded, at most one empty line
    in a row (`lines=False`: a single line), and at most four combining marks on a letter."""
    text = unicodedata.normalize("NFC", text.replace("\r\n", "\n").replace("\r", "\n").replace("\u2028", "\n"))
    text = _HARMFUL.sub("", text)
    text = _JOINERS.sub("", _MARKS.sub(r"\1", text))
    text = "\n".join(_SPACES.sub(" ", line).strip() for line in text.split("\n"))
    text = unicodedata.normalize("NFC", _BREAKS.sub("\n\n", text).strip())
    return text if lines else " ".join(text.split())


def length(text: str) -> int:
    """How many characters people see: extended grapheme clusters (UAX 29)."""
    return len(text) if text.isascii() else len(_GRAPHEME.findall(text))


def within(text: str, field: str, least: int, most: int, *, lines: bool = True) -> str:
    """The cleaned text, if it has `least` to `most` graphemes; refuses with `<field>_too_short` or `<field>_too_long`."""
    if len(text) > MAX_CODE_POINTS:
        raise Refused(f"{field}_too_long", field=field, max=most)
    text = clean(text, lines=lines)
    count = length(text)
    if count < least:
        raise Refused(f"{field}_too_short", field=field, min=least)
    if count > most:
        raise Refused(f"{field}_too_long", field=field, max=most, count=count)
    return text


def clipped(text: str, most: int, *, lines: bool = True) -> str:
    """The cleaned text, cut to `most` graphemes: for what must not be refused."""
    text = clean(text[:MAX_CODE_POINTS], lines=lines)
    return text if length(text) <= most else "".join(_GRAPHEME.findall(text)[: most - 1]) + "…"
