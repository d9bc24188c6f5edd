"""`plenum serve --demo`: the evening of 20 August 2020, with people who arrive, write and support, and a half-full queue."""

from __future__ import annotations

import asyncio
import random
import time
import tomllib
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from live.admin import configure, link
from live.app import open_log
from live.client import Client
from live.demo import guests
from live.desks import Desks
from live.settings import Settings
from rooms.command import Refused
from rooms.entrance import code_at
from rooms.programme import Programme

HERE = Path(__file__).parent
PEOPLE = 14
FIRST = 14
"""Contributions that are there when the demo opens; the rest comes one after the other."""


class Voice(msgspec.Struct, frozen=True):
    """One contribution of the demo."""

    kind: str
    text: str
    place: str
    topic: str | None = None
    name: str | None = None


class Demo(msgspec.Struct):
    """What `play` needs: how to get in, and how to moderate."""

    slug: str
    moderator: str
    secret: str
    period: int


async def prepare(settings: Settings, url: str) -> tuple[Demo, list[tuple[str, str]]]:
    """Create the event; returns what `play` needs, and (what, address) of every screen."""
    programme = msgspec.convert(tomllib.loads((HERE / "evening.toml").read_text()), Programme)
    log = open_log(settings)
    try:
        async with Desks(log, settings) as desks:
            await configure(desks, programme, "live")
            await guests.register(desks, programme, "hall", 36, "2020-07-27T08:00:00+02:00")
            other = guests.conference(datetime.now(UTC))
            await configure(desks, other, "registration")
            await guests.register(desks, other, "conference", 84, other.places["conference"].opens)
            desk = await desks.get(programme.slug)
            assert desk is not None, "it has just been configured"
            slug = programme.slug
            screens = [
                ("at home", f"{url}/e/{slug}"),
                ("in the hall", f"{url}/e/{slug}/hall"),
                *[(f"sign in: {role}", url + await link(desks, slug, role)) for role in ("organiser", "moderator", "helper")],
                ("sign in: stage", url + await link(desks, slug, "operator")),
                ("moderation", f"{url}/e/{slug}/moderation"),
                ("stage", f"{url}/e/{slug}/stage"),
                ("check-in at the door", f"{url}/e/{slug}/desk"),
                ("registrations", f"{url}/e/{slug}/registrations"),
                ("register for the conference", f"{url}/e/{other.slug}/register"),
                ("sign in: conference", url + await link(desks, other.slug, "organiser") + "?to=registrations"),
                ("overlay for OBS", url + await link(desks, slug, "overlay")),
            ]
            token = (await link(desks, slug, "moderator")).rpartition("/")[2]
            return Demo(slug, token, desk.event.secret, programme.code_period), screens
    finally:
        log.close()


async def play(demo: Demo, url: str) -> None:
    """People come in and write until cancelled."""
    voices = list(texts())
    dice = random.Random(20)  # the same evening every time
    async with Client(url, demo.slug) as moderator:
        await moderator.do("link.redeem", token=demo.moderator)
        await moderator.open("moderation")
        people = await _arrive(demo, url)
        try:
            numbers = [await _say(people, voice) for voice in voices[:FIRST]]
            await _fill(moderator, numbers)
            for voice in voices[FIRST:]:
                await asyncio.sleep(dice.uniform(4, 14))
                number = await _say(people, voice)
                if dice.random() < 0.6:
                    await asyncio.sleep(dice.uniform(2, 6))
                    await _try(moderator, "contribution.approve", number)
                for person in dice.sample(people, dice.randint(1, 6)):
                    await _try(person, "support.give", dice.choice(numbers))
                numbers.append(number)
            await asyncio.Event().wait()
        finally:
            for person in people:
                await person.__aexit__()


def texts() -> Iterator[Voice]:
    """The demo's voices, in the order in which they speak."""
    for record in tomllib.loads((HERE / "voices.toml").read_text())["voice"]:
        yield msgspec.convert(record, Voice)


async def _arrive(demo: Demo, url: str) -> list[Client]:
    people = []
    for turn in range(PEOPLE):
        person = await Client(url, demo.slug).__aenter__()
        await person.open("public", "me")
        if turn % 2:
            code = code_at(demo.secret, int(time.time() * 1000), demo.period)
            await person.do("person.join", place="hall", code=code)
        people.append(person)
    return people


async def _say(people: list[Client], voice: Voice) -> int:
    """Somebody at the voice's place says it; the next one takes their turn."""
    at = [turn for turn in range(len(people)) if (turn % 2 == 1) == (voice.place == "hall")]
    person = people[at[len(voice.text) % len(at)]]
    fields = {"kind": voice.kind, "text": voice.text, "topic": voice.topic, "name": voice.name}
    while True:
        try:
            result = await person.do("contribution.submit", **fields)
            return int(result["contribution"])
        except Refused as refused:
            if refused.retry_after is None:
                raise
            await asyncio.sleep(refused.retry_after)


async def _fill(moderator: Client, numbers: list[int]) -> None:
    """The state in which a visitor finds the evening: one on air, some answered, a shortlist, a queue."""
    for number in numbers[:10]:
        await _try(moderator, "contribution.approve", number)
    for number in numbers[:4]:
        await _try(moderator, "contribution.shortlist", number)
    for number in numbers[:2]:
        await _try(moderator, "contribution.air", number)


async def _try(client: Client, name: str, number: int) -> None:
    """A visitor may have been faster, or the pace too quick: then it is left."""
    try:
        await client.do(name, contribution=number)
    except Refused as refused:
        if refused.code not in ("wrong_state", "unknown_contribution", "too_many"):
            raise
