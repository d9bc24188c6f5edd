"""One message of the server as the bytes that go over the line: encoded once, compressed once, for whoever watches."""

from __future__ import annotations

import struct
import zlib

TEXT = 1
BINARY = 2

WINDOW_BITS = 12
"""LZ77 window, 4 KiB, as uvicorn and websockets choose it. A client that allows less gets plain frames."""

_FIN = 0x80
_RSV1 = 0x40
_WORTH_COMPRESSING = 64
"""Payloads below this many bytes are sent as they are: deflate gains nothing there and costs the client work."""


class Frame:
    """One message of the server. `plain` and `compressed` are complete frames; `payload` is the message itself."""

    __slots__ = ("_compressed", "_text", "opcode", "payload", "plain")

    def __init__(self, payload: bytes, opcode: int = TEXT) -> None:
        self.payload = payload
        self.opcode = opcode
        self.plain = _encode(payload, _FIN | opcode)
        self._compressed: bytes | None = None
        self._text: str | None = None

    @property
    def compressed(self) -> bytes:
        """The frame for connections with permessage-deflate; the plain one where that is not longer."""
        if self._compressed is None:
            self._compressed = self._compress()
        return self._compressed

    @property
    def text(self) -> str:
        """The payload as ASGI wants a text message."""
        if self._text is None:
            self._text = self.payload.decode()
        return self._text

    def _compress(self) -> bytes:
        if len(self.payload) < _WORTH_COMPRESSING:
            return self.plain
        deflated = _encode(_deflate(self.payload), _FIN | _RSV1 | self.opcode)
        return deflated if len(deflated) < len(self.plain) else self.plain


def _encode(payload: bytes, head: int) -> bytes:
    """RFC 6455 section 5.2, without mask."""
    size = len(payload)
    if size < 126:
        return struct.pack("!BB", head, size) + payload
    if size < 65536:
        return struct.pack("!BBH", head, 126, size) + payload
    return struct.pack("!BBQ", head, 127, size) + payload


def _deflate(payload: bytes) -> bytes:
    """Raw deflate of one message; the empty block at its end is left out (RFC 7692 section 7.2.1)."""
    compressor = zlib.compressobj(wbits=-WINDOW_BITS)
    return (compressor.compress(payload) + compressor.flush(zlib.Z_SYNC_FLUSH))[:-4]
