"""`plenum check`: whether an evening can be held on this machine with these settings. Changes nothing; prints no secrets."""

from __future__ import annotations

import argparse
import difflib
import ipaddress
import math
import os
import resource
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import msgspec

from live.check_database import database, sqlite_file
from live.check_mail import mail
from live.check_redis import redis
from live.findings import Finding, broken, ok, warning
from live.sending import fastest_way
from live.settings import Settings, load, set_in, unknown, variable

LITTLE, TOO_LITTLE = 1_000_000_000, 100_000_000
"""Bytes of free disk: a large evening writes some hundred million with its snapshots and the write-ahead log."""
BESIDES = 100
"""Files that a process has open besides people's connections."""


def run(given: argparse.Namespace) -> int:
    """The command; exit status 1 if something is broken."""
    broke = False
    for finding in findings(given):
        print(finding.line(), flush=True)
        broke = broke or finding.level == "BROKEN"
    return int(broke)


def findings(given: argparse.Namespace, now: Callable[[], float] = time.time) -> Iterator[Finding]:
    """Everything, in the order in which it would fail."""
    try:
        settings = load(data=given.data, public_url=given.url)
    except msgspec.ValidationError as problem:
        yield broken("settings", str(problem), "Correct it (docs/settings.md); nothing else can be looked at until then")
        return
    yield from named(settings)
    yield from addresses(settings)
    yield from disk(settings)
    yield from database(settings, now)
    yield from redis(settings, now)
    yield from mail(settings)
    yield files(given.people)
    yield sending(settings)


def named(settings: Settings) -> Iterator[Finding]:
    """The variables that are set."""
    for name in unknown():
        close = difflib.get_close_matches(name, map(variable, Settings.__struct_fields__), 1)
        yield warning("settings", f"{name} is no setting", f"Is it {close[0]}?" if close else "See docs/settings.md")
    endless = [variable(field) for field in Settings.__struct_fields__ if getattr(settings, field) == math.inf]
    for name in endless:
        yield broken("settings", f"{name} has no end", "Write a number; unset it for the default")
    if not endless:
        yield ok("settings", f"{', '.join(set_in()) or 'none'} set, the others by default")


def addresses(settings: Settings) -> Iterator[Finding]:
    """The public address, and whether cookies go with it."""
    url, secure = settings.public_url, settings.secure_cookies
    if not url:
        mend = "Set PLENUM_PUBLIC_URL (or --url) to the one that people shall use"
        yield warning("address", "links and QR codes name whatever address the browser that asks has used", mend)
        return
    host = _host(url)
    if host is None:
        mend = "Write it like https://dialog.example, without anything behind the host"
        yield broken("address", "PLENUM_PUBLIC_URL is not the address of a site", mend)
    elif url.startswith("https:") and not secure:
        mend = "Set PLENUM_SECURE_COOKIES=true"
        yield warning("address", f"{url} is encrypted, but a browser would send its cookie without encryption too", mend)
    elif url.startswith("http:") and secure and not _is_here(host):
        mend = "Set PLENUM_PUBLIC_URL to https://…, or PLENUM_SECURE_COOKIES=false"
        yield broken("address", f"browsers do not send secure cookies to {url}: nobody stays signed in", mend)
    elif url.startswith("http:") and not _is_here(host):
        mend = "Put a proxy with TLS in front, then PLENUM_PUBLIC_URL=https://… and PLENUM_SECURE_COOKIES=true"
        yield warning("address", f"{url} is not encrypted: everybody on the way can read along and sign in as others", mend)
    else:
        yield ok("address", f"{url}, cookies {'for https only' if secure else 'also without https'}")


def _host(url: str) -> str | None:
    try:
        parts = urlsplit(url)
        plain = parts.scheme in ("http", "https") and parts.path in ("", "/") and "@" not in parts.netloc
        return parts.hostname if plain and not parts.query and not parts.fragment and parts.port != 0 else None
    except ValueError:
        return None


def _is_here(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def disk(settings: Settings) -> Iterator[Finding]:
    """Where SQLite's file is, or will be."""
    try:
        file = sqlite_file(settings.database)
    except ValueError:
        return  # told of with the database
    if file is None:
        yield ok("disk", "nothing is stored on this machine")
        return
    folder = file.parent
    there = next(parent for parent in (folder, *folder.absolute().parents) if parent.exists())
    try:
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(bytes(4096))
            probe.flush()
            os.fsync(probe.fileno())
    except OSError as problem:
        mend = "Let the user that runs Plenum write there, or name another directory (--data, PLENUM_DATA)"
        yield broken("disk", f"{there} takes no files: {problem.strerror}", mend)
    yield _room(there)


def _room(folder: Path) -> Finding:
    free = shutil.disk_usage(folder).free
    seen, mend = f"{free / 1e9:.1f} GB free in {folder}", "Make room: when the disk is full, nothing more is taken"
    if free < TOO_LITTLE:
        return broken("disk", seen, mend)
    return warning("disk", seen, mend) if free < LITTLE else ok("disk", seen)


def files(people: int) -> Finding:
    """Each connection is an open file."""
    limit, needed = resource.getrlimit(resource.RLIMIT_NOFILE)[0], people + BESIDES
    if limit != resource.RLIM_INFINITY and limit < needed:
        seen = f"a process may have {limit} files open: enough for {max(0, limit - BESIDES)} people at once, not for {people}"
        return warning("files", seen, f"ulimit -n {needed} before the start, or LimitNOFILE={needed} in systemd's unit")
    return ok("files", f"a process may have {'all' if limit < 0 else limit} files open: enough for {people} people at once")


def sending(settings: Settings) -> Finding:
    """Whether the C loop sends."""
    if not settings.native_fanout:
        mend = "Unset PLENUM_NATIVE_FANOUT unless you look for a fault"
        return warning("sending", "the C loop is switched off: sending takes more processor time", mend)
    if fastest_way() != "extension":
        mend = "Install a C compiler and Python's headers, then install Plenum again (make build)"
        return warning("sending", "the C loop was not built: sending takes more processor time", mend)
    return ok("sending", "by the C loop")
