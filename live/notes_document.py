"""The notes as a document: what updates make of it, what somebody lacks, and its plain text. The CRDT is Yjs', by pycrdt.

The library is not safe against updates that nobody's editor has made: it panics, hangs, or corrupts what it has in memory. So all
of this runs in a process of its own (`live/notes_keeper.py`), and an update counts once a copy has been written and read again.
"""

from __future__ import annotations

from typing import NamedTuple

from pycrdt import Doc, XmlElement, XmlFragment, XmlText, merge_updates

from live.notes_protocol import NOTHING, ROOT, Malformed, clocks, survey

DEEPEST = 40
"""Elements within elements: a list within a list takes two. Without an end they overflow the stack, here and in browsers."""

DELETING = 1.1
"""A letter that is taken out of the middle of a text parts it in two, which is 36 bytes more. In full notes that has to be possible
too; the limit is above that of writing, for one could cut a text into pieces on purpose."""


class Gap(Exception):
    """The update follows on something that is missing here: all of it has to be asked for."""


class Full(Exception):
    """The document would become larger than it may be."""


class Merged(NamedTuple):
    """The whole document, garbage-collected; its state vector; and what is new in it (NOTHING: nothing)."""

    state: bytes
    vector: bytes
    news: bytes


def merged(state: bytes, updates: list[bytes], most: int | None = None) -> Merged:
    """The document after the updates. Raises Gap; Full if it grows and has more than `most` bytes, or DELETING times as many if
    nothing but deleting has made it grow; Malformed or whatever else the library raises on an update that is none."""
    surveys = [survey(update) for update in updates]
    document, news = _read(state), list[bytes]()
    document.observe(lambda event: news.append(event.update))
    for update in updates:
        document.apply_update(update)
    vector = document.get_state()
    known = clocks(vector)
    if any(known.get(client, 0) < end for one in surveys for client, end in one.ends.items()):
        raise Gap
    written = document.get_update()
    if most is not None:
        most = most if any(one.ends for one in surveys) else int(most * DELETING)
        if len(written) > max(most, len(state)):
            raise Full
    again = _read(written)
    if clocks(again.get_state()) != known or str(_notes(again)) != str(_notes(document)):
        raise Malformed("what is written is not what was meant")
    if any(one.types for one in surveys):
        text_in(again)
    return Merged(written, vector, NOTHING if not news else news[0] if len(news) == 1 else merge_updates(*news))


def appended(state: bytes, lines: list[str], most: int) -> Merged:
    """The document with a paragraph more for each line. Raises Full."""
    document = _read(state)
    updates: list[bytes] = []
    document.observe(lambda event: updates.append(event.update))
    with document.transaction():
        for line in lines:
            _notes(document).children.append(XmlElement("paragraph", {}, [XmlText(line)]))
    return merged(state, updates, most)


def missing(state: bytes, vector: bytes) -> bytes:
    """The update for somebody whose document is at this state vector."""
    return _read(state).get_update(vector)


def text_of(state: bytes) -> str:
    """The notes as plain text: a line per paragraph, an empty one before a heading, lists with their marks."""
    return text_in(_read(state))


def text_in(document: Doc[XmlFragment]) -> str:
    """See `text_of`. Raises Malformed if elements lie too deep within one another."""
    lines: list[str] = []
    for block in _notes(document).children:
        _write(block, lines, "", "", 1)
    return "\n".join(lines).strip("\n")


def _read(state: bytes) -> Doc[XmlFragment]:
    document = Doc[XmlFragment]()
    document.apply_update(state)
    return document


def _notes(document: Doc[XmlFragment]) -> XmlFragment:
    return document.get(ROOT, type=XmlFragment)


def _write(block: object, lines: list[str], first: str, rest: str, depth: int) -> None:
    """One block; its first line begins with `first`, the others with `rest`."""
    if depth > DEEPEST:
        raise Malformed("too deep")
    if isinstance(block, XmlText):
        lines.append(first + _line(block))
        return
    if not isinstance(block, XmlElement):
        raise Malformed("neither element nor text")
    children = list(block.children)
    if block.tag in ("bullet_list", "ordered_list"):
        for count, item in enumerate(children, 1):
            mark = "- " if block.tag == "bullet_list" else f"{count}. "
            _write(item, lines, first + mark, rest + " " * len(mark), depth + 1)
            first = rest
    elif block.tag == "list_item":
        for child in children:
            _write(child, lines, first, rest, depth + 1)
            first = rest
    else:
        if block.tag == "heading" and lines and lines[-1]:
            lines.append("")
        lines.append(first + "".join(_inline(child, rest, depth + 1) for child in children))


def _inline(child: object, rest: str, depth: int) -> str:
    if isinstance(child, XmlText):
        return _line(child)
    if isinstance(child, XmlElement) and child.tag == "hard_break":
        return f"\n{rest}"
    if depth > DEEPEST or not isinstance(child, XmlElement):
        raise Malformed("too deep")
    return "".join(_inline(one, rest, depth + 1) for one in child.children)


def _line(text: XmlText) -> str:
    said = [piece for piece, _ in text.diff()]
    if not all(isinstance(piece, str) for piece in said):
        raise Malformed("something that is no text within a text")
    return "".join(said)
