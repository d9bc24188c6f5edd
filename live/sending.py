"""The ways to write the same bytes to many sockets, the fastest that this installation has first."""

from __future__ import annotations

import ctypes
import socket
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from itertools import repeat
from typing import Literal

Way = Literal["extension", "ctypes", "transport"]
"""How a group writes: the C loop of `_fanout.c`, without the GIL; libc's `send` from Python; or the transport."""

SendMany = Callable[[Sequence[int], bytes], list[tuple[int, int]]]
"""Sends the bytes to every descriptor; returns (index, bytes taken) of those that did not take all of them."""

_SEND_FLAGS = socket.MSG_DONTWAIT | getattr(socket, "MSG_NOSIGNAL", 0)


def fastest_way() -> Way:
    """The fastest way to write that this installation has."""
    return "extension" if _extension() else "ctypes" if _libc_send() else "transport"


def send_many_by(way: Way) -> SendMany | None:
    """None: through the transports. Raises RuntimeError if this installation does not have it."""
    if way == "transport":
        return None
    send_many = _extension() if way == "extension" else _libc_send()
    if send_many is None:
        raise RuntimeError(f"this installation cannot send by {way}")
    return send_many


def _extension() -> SendMany | None:
    try:
        send_many: SendMany = import_module("live._fanout").send_many
    except ImportError:
        return None
    return send_many


@cache
def _libc_send() -> SendMany | None:
    """libc's `send`, called without giving the GIL away, which other threads would use to hold up every single call."""
    try:
        send = ctypes.PyDLL(None).send
    except (OSError, TypeError, AttributeError):  # not POSIX
        return None
    send.restype = ctypes.c_ssize_t

    def send_many(descriptors: Sequence[int], data: bytes) -> list[tuple[int, int]]:
        size = len(data)
        taken = list(map(send, descriptors, repeat(data), repeat(ctypes.c_size_t(size)), repeat(_SEND_FLAGS)))
        if taken.count(size) == len(taken):
            return []
        return [(i, max(count, 0)) for i, count in enumerate(taken) if count != size]

    return send_many
