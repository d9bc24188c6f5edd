"""`plenum rehearse`: an evening played by simulated people over real WebSockets, and what was seen of it.

Everybody watches; the contributions of the file are sent at the given rate by people in turn; a simulated moderator approves what
arrives, so that it is seen; people support what they see. With several addresses they spread over them, as over the processes of an
installation, and whoever is cut off comes back to the next one and sends again what was not answered.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import random
import resource
import time
import uuid
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec
from websockets.exceptions import WebSocketException

from live.admin import link
from live.app import open_log
from live.client import Client, percentile
from live.desks import Desks
from live.settings import Settings
from rooms.command import Refused
from rooms.contributions import MAX_TEXT
from rooms.entrance import code_at

AT_ONCE = 100
KINDS = ("idea", "wish", "question", "experience")


class Seen:
    """What a rehearsal saw; times in seconds."""

    def __init__(self) -> None:
        self.sent = self.acknowledged = self.refused = self.came_back = 0
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
        yield f"came back      {self.came_back} times"
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
    urls = [url.rstrip("/") for url in given.url or ["http://127.0.0.1:8000"]]
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))  # a connection each
    texts = list(contributions(given.file))
    token, code = await keys(settings, given.slug)
    seen = Seen()
    async with Crowd(urls, given.slug, given.hall + given.home) as people, Attendee(urls, 0, given.slug) as moderator:
        await moderator.do("link.redeem", token=token)
        await moderator.open("moderation")
        for group in _groups(people[: given.hall], AT_ONCE):
            await asyncio.gather(*(person.do("person.join", place="hall", code=code) for person in group))
        for person in people:
            person.on_put = lambda channel, key, data: _note(seen, channel, key)
        await asyncio.gather(*(person.open("public", "me") for person in people))
        await _play(seen, people, moderator, texts, given.rate)
    return seen


class Attendee(Client):
    """A client that comes back as a page does."""

    def __init__(self, urls: Sequence[str], number: int, slug: str) -> None:
        super().__init__(urls[number % len(urls)], slug)
        self._others = itertools.cycle([*urls[number % len(urls) + 1 :], *urls[: number % len(urls) + 1]])
        self._slug = slug
        self._watched: tuple[str, ...] = ()
        self._coming = asyncio.Lock()

    async def open(self, *channels: str, since: bool = False, form: str = "json", token: str | None = None) -> None:
        """See Client."""
        self._watched = channels
        await super().open(*channels, since=since, form=form, token=token)

    async def come_back(self) -> None:
        """To the next server that answers, if this one is gone."""
        async with self._coming:
            while self.closed is not None:
                await self.__aexit__()
                self.address = Client(next(self._others), self._slug).address
                try:
                    await self.__aenter__()
                    await self.open(*self._watched, since=True)
                except (OSError, EOFError, WebSocketException):
                    await asyncio.sleep(random.random())


class Crowd:
    """So many connections, opened a hundred at a time and closed at the end."""

    def __init__(self, urls: Sequence[str], slug: str, count: int) -> None:
        self.clients = [Attendee(urls, number, slug) for number in range(count)]

    async def __aenter__(self) -> list[Attendee]:
        for group in _groups(self.clients, AT_ONCE):
            await asyncio.gather(*(client.__aenter__() for client in group))
        return self.clients

    async def __aexit__(self, *_: object) -> None:
        for group in _groups(self.clients, AT_ONCE):
            await asyncio.gather(*(client.__aexit__() for client in group))


async def _play(seen: Seen, people: list[Attendee], moderator: Attendee, texts: list[str], rate: float) -> None:
    start = time.perf_counter()
    shy = random.Random(len(texts))  # the same rehearsal every time
    async with asyncio.TaskGroup() as tasks:
        for turn, text in enumerate(texts):
            await asyncio.sleep(max(0.0, start + turn / rate - time.perf_counter()))
            author = people[turn % len(people)]
            tasks.create_task(_voice(seen, author, moderator, text, KINDS[turn % 4], shy.sample(people, min(3, len(people)))))
    wanted = set(seen.approved_at)
    for person in people:
        if person.closed is not None:
            seen.came_back += 1
            await person.come_back()
        try:
            await person.until(lambda client: wanted <= client.documents.get("public", {}).keys(), 10)
        except TimeoutError:
            seen.missing += len(wanted - person.documents.get("public", {}).keys())


async def _voice(
    seen: Seen, author: Attendee, moderator: Attendee, text: str, kind: str, friends: list[Attendee]
) -> None:
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


async def patient(client: Attendee, seen: Seen, command: str, /, **arguments: Any) -> dict[str, Any]:
    """The command's result; waits and tries again when told to, and after a lost connection, with the same id."""
    id = str(uuid.uuid4())
    while True:
        try:
            return await client.do(command, id=id, **arguments)
        except ConnectionError:
            seen.came_back += client.closed is not None
            await client.come_back()
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


def _groups(clients: Iterable[Attendee], size: int) -> Iterator[list[Attendee]]:
    left = iter(clients)
    while group := list(itertools.islice(left, size)):
        yield group
