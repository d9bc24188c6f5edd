"""The composition: the only module that knows all parts."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.routing import WebSocketRoute
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from frontend import pages
from frontend.assets import Assets
from live import api, endpoint
from live.admission import Admission
from live.bus import Bus, InProcessBus, RedisBus
from live.bus_address import connect
from live.desks import Desks
from live.duties import duties
from live.identity import Identity
from live.limits import Limits
from live.log import Log
from live.logs import REQUEST, request_id
from live.notes import Allowed, Notes
from live.notes_endpoint import NotesEndpoint
from live.presence import LocalPresence, RedisPresence
from live.settings import Settings
from live.site import Site, cookie_header
from moderation.roles import notes_right

LOGGER = logging.getLogger("plenum.http")


def open_log(settings: Settings) -> Log:
    """The log of these settings, with its tables. Raises `live.migrations.Mismatch` if they are another release's."""
    log = log_of(settings)
    log.create_tables()
    return log


def log_of(settings: Settings) -> Log:
    """The log of these settings, whatever its tables are."""
    if not settings.database_url:
        Path(settings.data).mkdir(parents=True, exist_ok=True)
    return Log(settings.database, lock_seconds=settings.lock_seconds)


def installation(log: Log) -> str:
    """Tells installations apart that share one Redis."""
    return hashlib.sha256(log.key("bus").encode()).hexdigest()[:12]


def open_bus(settings: Settings, log: Log) -> Bus:
    """The bus of these settings."""
    return RedisBus(settings.redis_url, installation(log)) if settings.redis_url else InProcessBus()


def create(settings: Settings, *, alone: bool = False, notes_allowed: Allowed = notes_right) -> Starlette:
    """The application. Opens the log at once, so that a wrong address is told before anybody connects. `alone`: there is no worker,
    so that this process does what a worker would. `notes_allowed`: who may read and write a room's notes."""
    log = open_log(settings)
    desks = Desks(log, settings, open_bus(settings, log))
    redis = connect(settings.redis_url) if settings.redis_url else None
    presence = RedisPresence(redis, installation(log)) if redis else LocalPresence()
    own = duties(settings, desks) if alone else {}
    limits = Limits(settings)
    notes = Notes(desks, notes_allowed, limits)
    site = Site(settings, desks, Identity(log.key("person")), Assets(), presence, notes, limits)
    sockets = [WebSocketRoute("/ws/{slug}", endpoint.serve), NotesEndpoint(site, notes).route()]

    @contextlib.asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[dict[str, Admission]]:
        async with desks, asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(site.limits.share(desks.bus), name="limits")] if redis else []
            running += [tasks.create_task(duty(), name=name) for name, duty in own.items()]
            running.append(tasks.create_task(notes.run(), name="notes"))
            yield {"admission": Admission(settings.admitted_per_turn)}
            for task in running:
                task.cancel()
            await notes.close()
        if redis is not None:
            await redis.aclose()
        log.close()

    app = Starlette(
        routes=[*api.routes(site), *pages.routes(site), *sockets],
        middleware=[
            Middleware(Persons, site=site),
            Middleware(GZipMiddleware, minimum_size=500, compresslevel=5),
            Middleware(BodyLimit, most=settings.form_bytes),
        ],
        lifespan=lifespan,
    )
    app.state.site = site
    return app


class Persons:
    """Gives a new person their cookie, and every response the headers that all share."""

    def __init__(self, app: ASGIApp, site: Site) -> None:
        self.app, self.site = app, site

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        state: dict[str, Any] = scope.setdefault("state", {})
        given = dict(scope["headers"]).get(b"x-request-id")
        request = request_id(given.decode("latin-1") if given else None)
        REQUEST.set(request)
        began = time.perf_counter()

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = message.setdefault("headers", [])
                headers.append((b"x-request-id", request.encode()))
                _note(scope, message["status"], began)
                if state.get("new"):
                    headers.append(cookie_header(self.site.cookie(state["person"])))
                names = {name.lower() for name, _ in headers}
                headers.extend((name, value) for name, value in SECURITY if name not in names)
            await send(message)

        await self.app(scope, receive, with_headers)


def _note(scope: Scope, status: int, began: float) -> None:
    """One line about the request. The route's pattern, not the path: that holds tokens."""
    route = getattr(scope.get("route"), "path", "")
    if route.startswith("/static") or route in ("/healthz", "/readyz", "/metrics"):
        return
    milliseconds = round((time.perf_counter() - began) * 1000, 1)
    LOGGER.info("request", extra={"fields": {"method": scope["method"], "route": route, "status": status, "ms": milliseconds}})


SECURITY = [
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"DENY"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(), microphone=(), geolocation=(), browsing-topics=()"),
    (b"cross-origin-opener-policy", b"same-origin"),
]


DRAINED = 16
"""So many times the limit is read before the connection is closed on whoever goes on sending."""


class BodyLimit:
    """No request body is kept beyond `most` bytes: 413."""

    def __init__(self, app: ASGIApp, most: int) -> None:
        self.app, self.most = app, most

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await self.app(scope, receive, send)
            return
        body, size, more = b"", 0, True
        while more:
            message = await receive()
            if message["type"] != "http.request":
                return
            block = message.get("body", b"")
            size += len(block)
            if size > self.most * DRAINED:
                break
            # Beyond the limit it is read and thrown away: a client that is cut off while it sends never sees the answer.
            body = body + block if size <= self.most else b""
            more = message.get("more_body", False)
        if size > self.most:
            await _too_large(send)
            return
        sent = False

        async def again() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self.app(scope, again, send)


async def _too_large(send: Send) -> None:
    headers = [(b"content-type", b"text/plain"), (b"connection", b"close")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body", "body": b"too large"})
