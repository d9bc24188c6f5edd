"""What `plenum check` has found, one line each, without secrets."""

from __future__ import annotations

import re
from typing import Literal, NamedTuple
from urllib.parse import unquote

Level = Literal["OK", "WARNING", "BROKEN"]


class Finding(NamedTuple):
    """What was looked at and what was seen; unless it is OK, also how to mend it."""

    level: Level
    about: str
    seen: str

    def line(self) -> str:
        """As it is printed, in columns."""
        return f"{self.level:8s} {self.about:10s} {' '.join(self.seen.split())}"


def ok(about: str, seen: str) -> Finding:
    """As it should be."""
    return Finding("OK", about, seen)


def warning(about: str, seen: str, mend: str) -> Finding:
    """It works, and something about it will be regretted."""
    return Finding("WARNING", about, f"{seen}. {mend}")


def broken(about: str, seen: str, mend: str) -> Finding:
    """An evening cannot be held like this."""
    return Finding("BROKEN", about, f"{seen}. {mend}")


def masked(url: str) -> str:
    """The address without who signs in there, and without its options, which may hold passwords too."""
    scheme, separator, rest = url.partition("://")
    before, at, place = rest.rpartition("@")
    place = place.partition("?")[0].partition("#")[0]
    return f"{scheme}{separator}{'***@' if before or at else ''}{place}" if separator else "an address that cannot be read"


def scrubbed(text: str, url: str) -> str:
    """What somebody else says of this address, without the password that is in it, nor a part of it."""
    password = url.partition("://")[2].rpartition("@")[0].partition(":")[2]
    options = [option.partition("=") for option in url.partition("?")[2].split("&")]
    secrets = {password, *re.split(r"[/@:?#]", password), *(value for name, _, value in options if "pass" in name.lower())}
    for secret in sorted(secrets | {unquote(one) for one in secrets}, key=len, reverse=True):
        if len(secret) > 1:
            text = text.replace(secret, "***")
    return text
