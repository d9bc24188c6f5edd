"""The notes' wire format: y-protocols' messages (sync and awareness) around Yjs' updates (v1), read and written without any I/O.

What a client sends is walked through before the library gets it: an update of ten bytes can make it allocate gigabytes, one that
nests elements without end overflows its stack. Only what our editor makes passes: elements and formatted text below one root.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

ROOT = "notes"
"""The name of the shared XmlFragment that holds the text."""

SYNC, AWARENESS, AUTH, ASK_AWARENESS = 0, 1, 2, 3
"""y-protocols' kinds of messages."""
STEP_1, STEP_2, UPDATE = 0, 1, 2
"""y-protocols' kinds of sync messages."""
NOTHING = b"\0\0"
"""The update that says nothing."""

_SAFE = 2**53 - 1
"""Largest number (Number.MAX_SAFE_INTEGER)."""
_CLOCK = 2**31 - 1
"""Largest clock or length: the library counts in 32 bits."""
_FORMAT_BYTES = 500
"""Longest key or value of a format; it is JSON, which is parsed recursively."""
_GC, _DELETED, _STRING, _FORMAT, _TYPE, _ANY, _SKIP = 0, 1, 4, 6, 7, 8, 10
"""Kinds of structs in an update (Yjs INTERNALS.md); JSON, binary, embeds, subdocuments and moves are not ours."""
_ELEMENT, _TEXT = 3, 6
"""Kinds of shared types: XmlElement, XmlText."""


class Malformed(Exception):
    """Not what a client of ours sends."""


class Step1(NamedTuple):
    """Send me what this state vector lacks."""

    vector: bytes


class Update(NamedTuple):
    """What a client has to say; `whole`: all that the server lacks, as the answer to a Step1."""

    data: bytes
    whole: bool


class Presence(NamedTuple):
    """What one editor says about itself; `state` is JSON, "null" when it leaves."""

    client: int
    clock: int
    state: str


class AskAwareness(NamedTuple):
    """Who is here?"""


Message = Step1 | Update | list[Presence] | AskAwareness | None


def read(data: bytes) -> Message:
    """A client's message; None for kinds that are not meant for a server. Raises Malformed."""
    reader = _Reader(data)
    kind = reader.number()
    if kind == SYNC:
        step, content = reader.number(), reader.block()
        reader.finish()
        if step == STEP_1:
            clocks(content)
            return Step1(content)
        if step in (STEP_2, UPDATE):
            survey(content)
            return Update(content, step == STEP_2)
        raise Malformed("an unknown step")
    if kind == AWARENESS:
        content = reader.block()
        reader.finish()
        return _presences(content)
    return AskAwareness() if kind == ASK_AWARENESS else None


def step_1(vector: bytes) -> bytes:
    """Asks for what this state vector lacks."""
    return bytes((SYNC, STEP_1)) + _block(vector)


def step_2(update: bytes) -> bytes:
    """Answers a Step1."""
    return bytes((SYNC, STEP_2)) + _block(update)


def updated(update: bytes) -> bytes:
    """Passes an update on."""
    return bytes((SYNC, UPDATE)) + _block(update)


def presence(entries: list[Presence]) -> bytes:
    """Says who is here, or leaves."""
    content = number(len(entries))
    for entry in entries:
        content += number(entry.client) + number(entry.clock) + _block(entry.state.encode())
    return bytes((AWARENESS,)) + _block(content)


def denied(reason: str) -> bytes:
    """The auth protocol's "permission denied": all that the ordinary library knows of a refusal."""
    return bytes((AUTH, 0)) + _block(reason.encode())


def number(value: int) -> bytes:
    """lib0's varUint: seven bits a byte, the lowest first."""
    written = bytearray()
    while value > 127:
        written.append(value & 127 | 128)
        value >>= 7
    written.append(value)
    return bytes(written)


class Survey(NamedTuple):
    """Of an update: where each client's clock stands after it, and how many elements and texts it makes."""

    ends: dict[int, int]
    types: int


def survey(update: bytes) -> Survey:
    """Walks through an update. Raises Malformed unless it is one that our editor could have made."""
    reader = _Reader(update)
    found: dict[int, int] = {}
    for _ in range(reader.count()):
        structs = reader.count()
        client, clock = reader.number(), reader.number(_CLOCK)
        for _ in range(structs):
            clock += _struct(reader)
        if clock > _CLOCK:
            raise Malformed("a clock is too large")
        found[client] = max(clock, found.get(client, 0))
    for _ in range(reader.count()):
        reader.number()
        for _ in range(reader.count()):
            reader.number(_CLOCK)
            reader.number(_CLOCK)
    reader.finish()
    return Survey(found, reader.types)


def clocks(vector: bytes) -> dict[int, int]:
    """A state vector's clocks. Raises Malformed."""
    reader = _Reader(vector)
    found = {reader.number(): reader.number(_CLOCK) for _ in range(reader.count())}
    reader.finish()
    return found


def _struct(reader: _Reader) -> int:
    """One struct; returns its length in clocks."""
    info = reader.byte()
    kind = info & 31
    if kind in (_GC, _SKIP):
        return reader.number(_CLOCK)
    for side in (128, 64):  # the neighbours when it was made
        if info & side:
            _id(reader)
    named = False
    if not info & 192:
        if reader.number(1):
            if reader.text() != ROOT:
                raise Malformed("another root")
        else:
            _id(reader)
        named = bool(info & 32)
        if named and len(reader.block()) > _FORMAT_BYTES:
            raise Malformed("the name of an attribute is too long")
    return _content(reader, kind, named)


def _content(reader: _Reader, kind: int, named: bool) -> int:
    if kind == _DELETED:
        return reader.number(_CLOCK)
    if kind == _STRING:
        return len(reader.text().encode("utf-16-le")) // 2
    if kind == _ANY:
        values = reader.count()
        for _ in range(values):
            _any(reader)
        return values
    if kind == _FORMAT:
        key, value = reader.text(), reader.block()
        if len(key) > _FORMAT_BYTES or len(value) > _FORMAT_BYTES:
            raise Malformed("a format is too long")
        _json(value)
    elif kind == _TYPE and not named:
        made = reader.number()
        reader.types += 1
        if made == _ELEMENT:
            reader.text()
        elif made != _TEXT:
            raise Malformed("another type")
    else:
        raise Malformed("content that notes do not have")
    return 1


def _any(reader: _Reader) -> None:
    """lib0's Any, but no objects: attributes are plain values."""
    kind = reader.byte()
    if kind == 119:
        reader.text()
    elif kind == 125:
        reader.signed()
    elif kind in (124, 123, 122):
        reader.skip(4 if kind == 124 else 8)
    elif kind not in (127, 126, 121, 120):
        raise Malformed("an attribute that is no plain value")


def _id(reader: _Reader) -> None:
    reader.number()
    reader.number(_CLOCK)


def _presences(content: bytes) -> list[Presence]:
    reader = _Reader(content)
    found = [Presence(reader.number(), reader.number(_CLOCK), reader.text()) for _ in range(reader.count())]
    reader.finish()
    return found


def _json(value: bytes) -> None:
    try:
        msgspec.json.decode(value)
    except (msgspec.DecodeError, RecursionError):
        raise Malformed("no JSON") from None


def _block(content: bytes) -> bytes:
    return number(len(content)) + content


class _Reader:
    """Takes values from the front. `types`: how many types were among them."""

    __slots__ = ("_at", "_data", "types")

    def __init__(self, data: bytes) -> None:
        self._data, self._at, self.types = data, 0, 0

    def byte(self) -> int:
        """Raises Malformed at the end, as all do."""
        if self._at >= len(self._data):
            raise Malformed("cut off")
        self._at += 1
        return self._data[self._at - 1]

    def number(self, most: int = _SAFE) -> int:
        """A varUint up to `most`."""
        value = shift = 0
        while True:
            byte = self.byte()
            value |= (byte & 127) << shift
            shift += 7
            if value > most or shift > 63:
                raise Malformed("a number is too large")
            if byte < 128:
                return value

    def signed(self) -> None:
        """A varInt."""
        length = 1
        while self.byte() > 127:
            length += 1
            if length > 8:
                raise Malformed("a number is too large")

    def count(self) -> int:
        """How many follow, each of a byte at least: nothing is to be allocated for what is not there."""
        return self.number(len(self._data) - self._at)

    def skip(self, length: int) -> None:
        """Raises Malformed if there is less."""
        if length > len(self._data) - self._at:
            raise Malformed("cut off")
        self._at += length

    def block(self) -> bytes:
        """Bytes with their length before them."""
        length = self.number()
        self.skip(length)
        return self._data[self._at - length : self._at]

    def text(self) -> str:
        """The same as UTF-8."""
        try:
            return self.block().decode()
        except UnicodeDecodeError:
            raise Malformed("no UTF-8") from None

    def finish(self) -> None:
        """Raises Malformed if something is left."""
        if self._at != len(self._data):
            raise Malformed("too long")
