"""An evening on a running server and the people who take part in it, as tests speak of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import httpx

from live.client import Client
from live.identity import COOKIE
from rooms.command import Refused
from tests.flow.server import Server

ANSWERED_WITHIN = 20.0
"""Seconds. Generous, because what is tested is that an answer comes at all; a busy machine is not a defect."""


class Person(Client):
    """A client whose every wait has a limit, which remembers every frame and hears it when a channel is refused."""

    def __init__(self, url: str, slug: str, cookie: str | None = None) -> None:
        super().__init__(url, slug, cookie)
        self.heard: list[dict[str, Any]] = []
        self._opening: asyncio.Future[None] | None = None
        self._awaited: set[str] = set()

    async def do(self, command: str, /, *, id: str | None = None, **arguments: Any) -> dict[str, Any]:
        """See Client."""
        async with asyncio.timeout(ANSWERED_WITHIN):
            return await super().do(command, id=id, **arguments)

    async def watch(self, *channels: str, since: bool = False, form: str = "json", token: str | None = None) -> None:
        """Watch these channels until they are shown for the first time. Raises Refused."""
        self._awaited = set(channels)
        self._opening = asyncio.get_running_loop().create_future()
        async with asyncio.timeout(ANSWERED_WITHIN):
            await self.open(*channels, since=since, form=form, token=token)
            await self._opening

    async def sees(self, condition: Callable[[dict[str, dict[str, Any]]], Any]) -> Any:
        """Wait until the condition holds for the documents shown, by channel and key; returns its value. A document that is not
        there yet does not meet it."""

        def met(client: Client) -> Any:
            try:
                return condition(client.documents)
            except KeyError:
                return False

        return await self.until(met, ANSWERED_WITHIN)

    async def _read(self) -> None:
        await super()._read()
        if self._opening is not None and not self._opening.done():
            self._opening.set_exception(ConnectionError(f"closed with {self.closed}"))

    def _take(self, frame: dict[str, Any]) -> None:
        self.heard.append(frame)
        super()._take(frame)
        if self._opening is None or self._opening.done():
            return
        if frame["t"] == "docs":
            self._awaited.discard(frame["channel"])
            if not self._awaited:
                self._opening.set_result(None)
        elif frame["t"] == "refused" and frame["id"] is None:
            self._opening.set_exception(Refused(frame["code"], field=frame["field"], retry_after=frame["retry_after"]))


class Evening:
    """One event of a server. People and browsers made here leave when it ends: `async with Evening(server, slug)`."""

    def __init__(self, server: Server, slug: str) -> None:
        self.server, self.slug = server, slug
        self._leaving = AsyncExitStack()

    async def __aenter__(self) -> Evening:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._leaving.aclose()

    async def person(self, cookie: str | None = None, *channels: str) -> Person:
        """Somebody at a screen, watching these channels."""
        person = await self._leaving.enter_async_context(Person(self.server.url, self.slug, cookie))
        if channels:
            await person.watch(*channels)
        return person

    async def browser(self, cookie: str | None = None, **headers: str) -> httpx.AsyncClient:
        """Somebody's browser without JavaScript: it keeps cookies and does not follow redirects by itself."""
        # A connection of its own for each request: the server closes one that has been idle for some seconds, at any moment.
        limits = httpx.Limits(max_keepalive_connections=0)
        client = httpx.AsyncClient(base_url=self.server.url, headers=headers, timeout=ANSWERED_WITHIN, limits=limits)
        if cookie is not None:
            client.cookies.set(COOKIE, cookie)
        return await self._leaving.enter_async_context(client)

    async def cookie(self, role: str) -> str:
        """The cookie of somebody new who has signed in with a link for this role."""
        path = await self.server.link(self.slug, role)
        browser = await self.browser()
        answer = await browser.post(path)
        assert answer.status_code == 303, answer.text
        return browser.cookies[COOKIE]

    async def staff(self, role: str, *channels: str) -> Person:
        """Somebody with this role, watching these channels."""
        return await self.person(await self.cookie(role), *channels)

    async def overlay(self, name: str = "main") -> str:
        """The token of a new output, which the server knows."""
        token = (await self.server.link(self.slug, "overlay", name)).removeprefix("/o/")
        await (await self.person()).do("person.join", name="")  # a command makes the server read what others wrote
        return token

    async def said(self, text: str = "Mehr Bänke am Ring", **arguments: Any) -> int:
        """A contribution of somebody new; returns its number."""
        author = await self.person()
        return int((await author.do("contribution.submit", **{"kind": "wish", "text": text, **arguments}))["contribution"])

    @property
    def page(self) -> str:
        """The path of the participant page."""
        return f"/e/{self.slug}"

    @property
    def api(self) -> str:
        """The path of the event's API."""
        return f"/api/v1/events/{self.slug}"


async def refusal(asked: Any) -> Refused:
    """How the command that is awaited here was refused."""
    try:
        answer = await asked
    except Refused as refused:
        return refused
    raise AssertionError(f"not refused: {answer}")
