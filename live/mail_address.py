"""A mail server by its address: `smtps://user:password@host:465`, `imap://user:password@localhost/INBOX?tls=no`.

Certificates are checked against those of the system. A city's own authority goes into a file that SSL_CERT_FILE (OpenSSL) names.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from typing import Literal
from urllib.parse import parse_qsl, unquote, urlsplit

import msgspec

Encryption = Literal["tls", "starttls", "none"]
"""TLS from the first byte, after STARTTLS and never without (RFC 8314 section 3 prefers the first), or not at all."""


class MailServer(msgspec.Struct, frozen=True):
    """Where a mail server is and how it is talked to. Shown without the password."""

    host: str
    port: int
    encryption: Encryption
    user: str
    password: str
    path: str

    def __repr__(self) -> str:
        return f"MailServer({self.host}:{self.port}, {self.encryption})"


def mail_server(address: str, ports: Mapping[str, int], expected: str) -> MailServer:
    """The server at this address.

    ports: scheme → the port that goes without saying; a scheme that ends in `s` is encrypted from the first byte.
    expected: the end of the sentence of ValueError, which repeats nothing of the address: there may be a password in it.
    """
    try:
        parts = urlsplit(address)
        port = parts.port
        options = parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))
    except ValueError:
        raise ValueError(f"cannot be read: {expected}") from None
    if parts.scheme not in ports:
        raise ValueError(f"another kind of address: {expected}")
    if not parts.hostname or port == 0:
        raise ValueError(f"no host in it: {expected}")
    if options not in ([], [("tls", "no")]) or parts.fragment:
        raise ValueError(f"has more in it than is understood: {expected}")
    user, password, path = (unquote(part or "") for part in (parts.username, parts.password, parts.path.removeprefix("/")))
    if bool(user) != bool(password) or not (user + password + path).isprintable():
        raise ValueError(f"user and password belong together and are printable: {expected}")
    if options and parts.scheme.endswith("s"):
        raise ValueError(f"asks for TLS and forbids it: {expected}")
    encryption = _encryption(parts.scheme, parts.hostname, bool(options))
    return MailServer(parts.hostname, port or ports[parts.scheme], encryption, user, password, path)


def _encryption(scheme: str, host: str, plain: bool) -> Encryption:
    if scheme.endswith("s"):
        return "tls"
    return "none" if plain or _is_loopback(host) else "starttls"


def _is_loopback(host: str) -> bool:
    """What does not leave the machine (RFC 6761 section 6.3, RFC 1122 section 3.2.1.3)."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
