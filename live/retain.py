"""Retention: deletes the personal data of events whose deletion date has come. `plenum retain`, and by itself every hour."""

from __future__ import annotations

import argparse
import asyncio
import logging
import uuid
from typing import Any

import msgspec

from live.desk import Desk
from live.desks import Desks
from live.log import Unavailable
from live.settings import Settings
from rooms.command import SYSTEM, Refused
from rooms.participation import keyed
from rooms.retention import due, noted

LOGGER = logging.getLogger("plenum.retain")
EVERY_SECONDS = 3600.0


async def run(given: argparse.Namespace, settings: Settings, desks: Desks) -> int:
    """`plenum retain`: every event whose date has come; with a slug, that event even before."""
    for slug in [given.slug] if given.slug else await desks.slugs():
        desk = await desks.get(slug)
        if desk is None:
            raise Refused("unknown_event")
        if not given.slug and not is_due(desk):
            continue
        erased = await retain(desk, early=given.slug is not None)
        print(f"{slug}: deleted what was known of {erased['registrations']} registrations, {erased['mails']} letters, "
              f"{erased['others']} others, {erased['messages']} messages, "
              f"and the notes of {erased['rooms']} small groups")  # fmt: skip
    return 0


async def watch(desks: Desks) -> None:
    """Until cancelled."""
    while True:
        for desk in list(desks.open.values()):
            try:
                if is_due(desk) and _left(desk):
                    LOGGER.info("retained", extra={"fields": {"event": desk.slug, **await retain(desk)}})
            except (Refused, Unavailable) as error:
                LOGGER.warning("cannot delete the personal data of %s: %s", desk.slug, error)
        await asyncio.sleep(EVERY_SECONDS)


async def retain(desk: Desk, *, early: bool = False) -> dict[str, Any]:
    """How much was deleted. Raises Refused."""
    arguments = {"people": _people(desk), "early": early}
    done = await desk.send(SYSTEM, str(uuid.uuid4()), "event.retain", msgspec.json.encode(arguments))
    counts: dict[str, Any] = msgspec.json.decode(done.result)
    return counts


def is_due(desk: Desk) -> bool:
    """Whether the deletion date has come; an event without facts has none."""
    return bool(desk.event.programme.ends) and desk.now() >= due(desk.event)


def _left(desk: Desk) -> bool:
    """Whether there is anything to delete."""
    event = desk.event
    return bool(_people(desk) or event.talk.kept() or event.rounds.bonds or keyed(event) or noted(event, desk.now()))


def _people(desk: Desk) -> list[str]:
    """Whose personal data are stored, but for the names that sign a contribution."""
    return [id for id, value in desk.names.items() if value and not id.startswith("contribution/")]
