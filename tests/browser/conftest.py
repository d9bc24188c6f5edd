"""The stage for the plays: one Chromium for all, an evening and its people for each."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator

import pytest_asyncio
from playwright.async_api import Browser, BrowserType, async_playwright, expect

from tests.browser.camera import ALLOWED
from tests.browser.cast import WITHIN, Cast, Moderator, Participant, Person
from tests.flow.evening import Evening
from tests.flow.line import Line
from tests.flow.server import Server
from tests.prerequisites import BROWSERS

OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--no-first-run"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    """The system's Chromium. Every page may use its camera, which shows Chromium's own test picture; nobody is asked."""
    expect.set_options(timeout=WITHIN)
    async with async_playwright() as playwright:
        browser = await launched(playwright.chromium, *ALLOWED)
        yield browser
        await browser.close()


async def launched(chromium: BrowserType, *options: str) -> Browser:
    """The system's Chromium with more options, such as those of another camera. The caller closes it."""
    program = next(filter(None, map(shutil.which, BROWSERS)), None)
    assert program, "Chromium is missing: python tests/prerequisites.py tests"
    return await chromium.launch(executable_path=program, args=[*OPTIONS, *options])


@pytest_asyncio.fixture(loop_scope="session")
async def evening(running: Server) -> AsyncIterator[Evening]:
    """A new event, live, on the common server; the server has logged no exception."""
    before = len(running.said())
    async with Evening(running, await running.event()) as evening:
        yield evening
    assert "Traceback" not in running.said()[before:], running.said()[before:]


@pytest_asyncio.fixture(loop_scope="session")
async def cast(browser: Browser, evening: Evening) -> AsyncIterator[Cast]:
    """Opens browsers for people; nobody must have met an error, nor a request to another host."""
    async with Cast(browser, evening) as cast:
        yield cast
        cast.assert_no_faults()


@pytest_asyncio.fixture(loop_scope="session")
async def home(cast: Cast) -> Participant:
    """Somebody at home."""
    return await cast.home()


@pytest_asyncio.fixture(loop_scope="session")
async def moderator(cast: Cast) -> Moderator:
    """Somebody at the console."""
    return await cast.moderator()


@pytest_asyncio.fixture(loop_scope="session")
async def overlay(cast: Cast) -> Person:
    """The browser source of OBS."""
    return await cast.overlay()


@pytest_asyncio.fixture(loop_scope="session")
async def stage(cast: Cast) -> Person:
    """The projector."""
    return await cast.stage()


@pytest_asyncio.fixture(loop_scope="session")
async def hall(cast: Cast, stage: Person) -> Participant:
    """Somebody in the hall, who has read the code from the stage."""
    return await cast.hall(await stage.page.locator(".entrance__code b").inner_text())


@pytest_asyncio.fixture(loop_scope="session")
async def line(evening: Evening) -> AsyncIterator[Line]:
    """A line to the server that may be cut or held."""
    async with Line(evening.server.url) as line:
        yield line
