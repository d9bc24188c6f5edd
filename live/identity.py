"""Identity: a person is a random id in a signed cookie. No account, no name, nothing to remember."""

from __future__ import annotations

import re
import secrets

from itsdangerous import BadSignature, Signer

COOKIE = "plenum_person"
AGE = 365 * 24 * 3600
"""Seconds that a browser keeps the cookie: a year covers an event and what follows from it."""

_ID = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")


class Identity:
    """Makes and checks cookies with the installation's key."""

    def __init__(self, key: str) -> None:
        self._signer = Signer(key, salt="person")

    def new(self) -> str:
        """A person nobody has met: 128 random bits."""
        return secrets.token_urlsafe(16)

    def sign(self, person: str) -> str:
        """The cookie's value."""
        return self._signer.sign(person).decode()

    def read(self, value: str | None) -> str | None:
        """The person, if we signed this."""
        try:
            return self._signer.unsign(value).decode() if value else None
        except BadSignature:
            return None


def valid_id(id: str) -> bool:
    """Whether a client's command id may be stored: 1 to 64 letters, digits and `_ . : -`, as a UUID has."""
    return _ID.match(id) is not None
