"""`plenum rehearse`: an evening played by simulated people over real WebSockets, and what was seen of it.

Everybody watches; the contributions of the file are sent at the given rate by people in turn; a simulated moderator approves what
arrives, so that it is seen; people support what they see.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import msgspec

from live.admin import link
from live.app import open_log
from live.client import Client, percentile
from live.desks import Desks
from live.settings import Settings
from rooms.command import Refused
from rooms.contributions import MAX_TEXT
from rooms.entrance import code_at

KINDS = ("idea", "wish", "question", "experience")


class Seen:
    """What a rehearsal saw; times in seconds."""

    def __init__(self) -> None:
        self.sent = self.acknowledged = self.refused = 0
        self.answered: list[float] = []
        self.shown: list[float] = []
        self.approved_at: dict[str, float] = {}
        self.missing = 0

    def lines(self, people: int) -> Iterator[str]:
        """The report."""
        yield f"people         {people}"
        yield f"sent           {self.sent}"
        yield f"acknowledged   {self.acknowledged}"
        yield f"refused        {self.refused}"
        yield f"seen           {len(self.shown)} times, missing {self.missing}"
        for name, values in (("acknowledged", self.answered), ("seen", self.shown)):
            p50, p99 = (percentile(values, share) * 1000 for share in (0.5, 0.99))
            yield f"{name + ' after':22s} p50 {p50:7.1f} ms   p99 {p99:7.1f} ms"


def run(given: argparse.Namespace, settings: Settings) -> int:
    """The command; exit status 1 if something sent was not acknowledged or not seen by everybody."""
    seen = asyncio.run(rehearse(given, settings))
    for line in seen.lines(given.hall + given.home):
        print(line)
    return 0 if seen.sent == seen.acknowledged and not seen.missing else 1


async def rehearse(given: argparse.Namespace, settings: Settings) -> Seen:
    """Play the file."""
    url = (given.url or "http://127.0.0.1:8000").rstrip("/")
    texts = list(contributions(given.file))
    token, code = await keys(settings, given.slug)
    seen = Seen()
    async with Crowd(url, given.slug, given.hall + given.home) as people, Client(url, given.slug) as moderator:
        await moderator.do("link.redeem", token=token)
        await moderator.open("moderation")
        for person in people[: given.hall]:
            await person.do("person.join", place="hall", code=code)
        await asyncio.gather(*(person.open("public", "me") for person in people))
        for person in people:
            person.on_put = lambda channel, key, data: _note(seen, channel, key)
        await _play(seen, people, moderator, texts, given.rate)
    return seen


class Crowd:
    """So many connections, opened a hundred at a time and closed at the end."""

    def __init__(self, url: str, slug: str, count: int) -> None:
        self.clients = [Client(url, slug) for _ in range(count)]

    async def __aenter__(self) -> list[Client]:
        for group in _groups(self.clients, 100):
            await asyncio.gather(*(client.__aenter__() for client in group))
        return self.clients

    async def __aexit__(self, *_: object) -> None:
        for group in _groups(self.clients, 100):
            await asyncio.gather(*(client.__aexit__() for client in group))


async def _play(seen: Seen, people: list[Client], moderator: Client, texts: list[str], rate: float) -> None:
    start = time.perf_counter()
    shy = random.Random(len(texts))  # the same rehearsal every time
    async with asyncio.TaskGroup() as tasks:
        for turn, text in enumerate(texts):
            await asyncio.sleep(max(0.0, start + turn / rate - time.perf_counter()))
            author = people[turn % len(people)]
            tasks.create_task(_voice(seen, author, moderator, text, KINDS[turn % 4], shy.sample(people, min(3, len(people)))))
    wanted = set(seen.approved_at)
    for person in people:
        try:
            await person.until(lambda client: wanted <= client.documents.get("public", {}).keys(), 10)
        except TimeoutError:
            seen.missing += len(wanted - person.documents.get("public", {}).keys())


async def _voice(seen: Seen, author: Client, moderator: Client, text: str, kind: str, friends: list[Client]) -> None:
    """One contribution: sent, approved, supported."""
    seen.sent += 1
    began = time.perf_counter()
    result = await patient(author, seen, "contribution.submit", kind=kind, text=text)
    seen.answered.append(time.perf_counter() - began)
    seen.acknowledged += 1
    number = result["contribution"]
    seen.approved_at[f"contribution/{number}"] = time.perf_counter()
    await patient(moderator, seen, "contribution.approve", contribution=number)
    for friend in friends:
        await patient(friend, seen, "support.give", contribution=number)


async def patient(client: Client, seen: Seen, command: str, /, **arguments: Any) -> dict[str, Any]:
    """The command's result; waits and tries again when told to."""
    while True:
        try:
            return await client.do(command, **arguments)
        except Refused as refused:
            if refused.retry_after is None:
                raise
            seen.refused += 1
            await asyncio.sleep(refused.retry_after)


def contributions(file: Path) -> Iterator[str]:
    """The texts of a JSON-lines file with `title`? and `text`, cut to what a contribution may hold."""
    for line in file.read_text().splitlines():
        if line.strip():
            record = msgspec.json.decode(line)
            text = " – ".join(part for part in (record.get("title", ""), record["text"]) if part)
            yield text[:MAX_TEXT]


async def keys(settings: Settings, slug: str) -> tuple[str, str]:
    """A moderator's sign-in token and the hall's present code, from the data directory. Refuses `unknown_event`."""
    log = open_log(settings)
    try:
        async with Desks(log, settings) as desks:
            path = await link(desks, slug, "moderator")
            desk = await desks.get(slug)
            assert desk is not None, "a link was just made for it"
            return path.rpartition("/")[2], code_at(desk.event.secret, int(time.time() * 1000), desk.event.programme.code_period)
    finally:
        log.close()


def _note(seen: Seen, channel: str, key: str) -> None:
    if channel == "public" and key in seen.approved_at:
        seen.shown.append(time.perf_counter() - seen.approved_at[key])


def _groups(clients: Iterable[Client], size: int) -> Iterator[list[Client]]:
    left = iter(clients)
    while group := list(itertools.islice(left, size)):
        yield group
