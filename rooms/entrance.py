"""The hall's rotating code: whoever sees the stage view can enter as being in the hall; a photograph is worth nothing tomorrow."""

from __future__ import annotations

import hashlib
import hmac

ALPHABET = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
"""32 characters without 0, 1, I and O: to be read from a screen 20 m away and typed on a phone."""
LENGTH = 6
"""32^6 = 10^9 codes; guessing is bounded by the rate limit."""


def code_at(secret: str, now: int, period: int) -> str:
    """The code of the period of `period` seconds in which `now` (ms) lies. As TOTP (RFC 6238), with SHA-256 and letters."""
    return keyed(secret, f"entrance/{now // (period * 1000)}", LENGTH)


def admits(secret: str, code: str, now: int, period: int) -> bool:
    """Whether the code is this period's or the last one's (grace for slow phones)."""
    typed = code.strip().upper().replace("-", "").replace(" ", "").encode()
    known = (code_at(secret, now, period), code_at(secret, now - period * 1000, period))
    return any(hmac.compare_digest(typed, one.encode()) for one in known)


def keyed(secret: str, message: str, length: int) -> str:
    """`length` characters that only who knows the secret can make from the message (HMAC-SHA-256, RFC 2104)."""
    digest = hmac.digest(secret.encode(), message.encode(), hashlib.sha256)
    return "".join(ALPHABET[byte & 31] for byte in digest[:length])
