"""The command line: serving an evening, making events and links, rehearsing; checking, migrating, saving what is stored."""

from __future__ import annotations

import argparse
import asyncio
import sys
import tomllib
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any

import msgspec

from live import check, rehearsal, retain, server, worker
from live.admin import configure, exported, link, send
from live.app import log_of, open_log
from live.backup import Impossible, backup, verified
from live.desks import Desks
from live.log import Unavailable
from live.migrations import Mismatch
from live.restore import restore
from live.settings import Settings, load
from rooms.command import Refused
from rooms.programme import PHASES, Programme

OnDesks = Callable[[argparse.Namespace, Settings, Desks], Awaitable[int]]
ROLES = ("organiser", "moderator", "operator", "helper", "overlay")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; returns the exit status."""
    given = parser().parse_args(arguments)
    try:
        if given.run is check.run:  # it tells of wrong settings itself
            return int(given.run(given))
        url = getattr(given, "url", None)
        settings = load(data=given.data, public_url=url if isinstance(url, str) else None)
        return int(given.run(given, settings) or 0)
    except (Refused, Unavailable, Mismatch, Impossible, OSError, ValueError) as problem:  # msgspec's and tomllib's are ValueErrors
        detail = f" {problem.params}" if isinstance(problem, Refused) and problem.params else ""
        print(f"plenum: {problem}{detail}", file=sys.stderr)
        return 1


def parser() -> argparse.ArgumentParser:
    """All commands and their options."""
    top = argparse.ArgumentParser("plenum", description="Carries hybrid citizens' dialogues.")
    top.add_argument("--data", help="directory of everything that is stored (default: data)")
    commands = top.add_subparsers(required=True, metavar="COMMAND")

    serve = _command(commands, "serve", server.serve, "run the server")
    serve.add_argument("--host", default="127.0.0.1", help="address to listen on (default: 127.0.0.1)")
    serve.add_argument("--port", type=int, default=8000, help="port to listen on (default: 8000)")
    serve.add_argument("--url", help="address under which people reach it, e.g. https://dialog.example")
    serve.add_argument("--workers", type=int, default=1, help="processes (default: 1)")
    serve.add_argument("--demo", action="store_true", help="play the evening of 20 August 2020")

    _command(commands, "worker", worker.run, "run what needs no connection: timers and snapshots of all events")

    event = commands.add_parser("event", help="create, list and export events").add_subparsers(required=True, metavar="ACTION")
    create = _command(event, "create", _with_desks(create_event), "create an event from a TOML file, or change its facts")
    create.add_argument("file", type=Path)
    create.add_argument("--phase", choices=PHASES, help="go to this phase at once")
    advance = _command(event, "advance", _with_desks(advance_event), "go to another phase")
    advance.add_argument("slug")
    advance.add_argument("phase", choices=PHASES)
    _command(event, "list", _with_desks(list_events), "list all events")
    export = _command(event, "export", _with_desks(export_event), "print all contributions as JSON lines")
    export.add_argument("slug")

    link = _command(commands, "link", _with_desks(make_link), "print a sign-in link for a role, or an overlay's address")
    link.add_argument("slug")
    link.add_argument("role", choices=ROLES)
    link.add_argument("--name", default="main", help="name of the overlay (default: main)")
    link.add_argument("--hours", type=float, default=24.0, help="how long a sign-in link is valid (default: 24)")
    link.add_argument("--url", help="address of the server (default: http://127.0.0.1:8000)")
    link.add_argument("--revoke", action="store_true", help="take the role's links, or the overlay's address, back instead")

    looking = _command(commands, "check", check.run, "look whether an evening can be held with these settings")
    looking.add_argument("--url", help="address under which people reach it, e.g. https://dialog.example")
    looking.add_argument("--people", type=int, default=5000, help="how many are expected at once (default: 5000)")
    _command(commands, "migrate", migrate, "bring the database's tables up to this release")

    retaining = _command(commands, "retain", _with_desks(retain.run), "delete personal data of events whose date for it has come")
    retaining.add_argument("slug", nargs="?", help="of this event, even if its date has not come")

    saving = _command(commands, "backup", write_backup, "write everything that is stored into a file; a server may run meanwhile")
    saving.add_argument("file", type=Path)
    restoring = _command(commands, "restore", read_backup, "put a backup into an empty database")
    restoring.add_argument("file", type=Path)
    restoring.add_argument("--replace", action="store_true", help="delete all that the database holds first")
    restoring.add_argument("--running", action="store_true", help="under running servers, whose pages then load everything anew")

    rehearse = _command(commands, "rehearse", rehearsal.run, "play contributions from a file by simulated people")
    rehearse.add_argument("slug")
    rehearse.add_argument("file", type=Path)
    rehearse.add_argument("--hall", type=int, default=10, help="people in the hall (default: 10)")
    rehearse.add_argument("--home", type=int, default=40, help="people at home (default: 40)")
    rehearse.add_argument("--rate", type=float, default=5.0, help="contributions a second (default: 5)")
    rehearse.add_argument("--url", action="append", help="address of a server (default: http://127.0.0.1:8000); may be given again")
    return top


def _command(parent: Any, name: str, run: Callable[..., Any], text: str) -> argparse.ArgumentParser:
    command: argparse.ArgumentParser = parent.add_parser(name, help=text, description=text)
    command.set_defaults(run=run)
    # Accepted before and after the command; SUPPRESS keeps the later default from overruling an earlier word.
    command.add_argument("--data", default=argparse.SUPPRESS, help="directory of everything that is stored (default: data)")
    return command


def migrate(given: argparse.Namespace, settings: Settings) -> int:
    """`plenum migrate`."""
    log = log_of(settings)
    try:
        before, after = log.migrate()
    finally:
        log.close()
    print(f"the schema was {before or 'not there'} and is {after}" if before != after else f"the schema is {after}: nothing to do")
    return 0


def write_backup(given: argparse.Namespace, settings: Settings) -> int:
    """`plenum backup FILE`."""
    log = log_of(settings)
    try:
        made = backup(log, given.file)
    finally:
        log.close()
    print(f"{given.file}: {made.rows('events')} events with {made.rows('log')} log rows. It holds personal data and secrets")
    return 0


def read_backup(given: argparse.Namespace, settings: Settings) -> int:
    """`plenum restore FILE`."""
    with given.file.open("rb") as file:
        verified(file)  # before anything is made
    log = log_of(settings)
    try:
        made = restore(log, given.file, replace=given.replace, running=given.running)
    finally:
        log.close()
    print(f"restored {made.rows('events')} events with {made.rows('log')} log rows, as they were on {made.made_at}")
    return 0


def _with_desks(run: OnDesks) -> Callable[[argparse.Namespace, Settings], int]:
    """Commands that work on the log directly, whether or not a server runs: the database is the arbiter."""

    async def opened(given: argparse.Namespace, settings: Settings) -> int:
        log = open_log(settings)
        try:
            async with Desks(log, settings) as desks:
                return await run(given, settings, desks)
        finally:
            log.close()

    return lambda given, settings: asyncio.run(opened(given, settings))


async def create_event(given: argparse.Namespace, settings: Settings, desks: Desks) -> int:
    """`plenum event create FILE`."""
    programme = msgspec.convert(tomllib.loads(given.file.read_text()), Programme)
    created = await configure(desks, programme, given.phase)
    print(f"{programme.slug}: {'created' if created else 'changed'}")
    return 0


async def advance_event(given: argparse.Namespace, settings: Settings, desks: Desks) -> int:
    """`plenum event advance SLUG PHASE`."""
    await send(desks, given.slug, "event.advance", {"phase": given.phase})
    return 0


async def list_events(given: argparse.Namespace, settings: Settings, desks: Desks) -> int:
    """`plenum event list`."""
    for slug in await desks.slugs():
        desk = await desks.get(slug)
        if desk is not None:
            print(f"{slug}\t{desk.event.phase}\t{len(desk.event.contributions.items)} contributions")
    return 0


async def export_event(given: argparse.Namespace, settings: Settings, desks: Desks) -> int:
    """`plenum event export SLUG`: every contribution with state, origin, reason and support, one JSON object a line."""
    desk = await desks.get(given.slug)
    if desk is None:
        raise Refused("unknown_event")
    for line in exported(desk):
        print(line)
    return 0


async def make_link(given: argparse.Namespace, settings: Settings, desks: Desks) -> int:
    """`plenum link SLUG ROLE`."""
    if given.revoke:
        await send(desks, given.slug, "link.revoke", {"role": given.role, "name": given.name})
        print("revoked")
        return 0
    base = settings.public_url.rstrip("/") or "http://127.0.0.1:8000"
    path = await link(desks, given.slug, given.role, given.name, given.hours)
    print(base + path)
    if given.role == "overlay":
        # Beside the one line that scripts read.
        print(f"{base}{path}/loader.html is a file for OBS or vMix that waits for the server", file=sys.stderr)
    return 0
