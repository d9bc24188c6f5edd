"""`/ws/<slug>`: one WebSocket connection from its handshake to its end."""

from __future__ import annotations

import asyncio
from urllib.parse import urlsplit

from starlette.websockets import WebSocket, WebSocketDisconnect

from frontend.render import LANGUAGES, wording
from live.asgi_link import AsgiLink
from live.fanout_protocol import SCOPE_KEY, FanoutProtocol
from live.logs import REQUEST, request_id
from live.site import Site, cookie_header
from live.wire import OVERLOADED, Connection
from rooms.command import Refused

UNKNOWN_EVENT, OTHER_ORIGIN = 4500, 4501


async def serve(socket: WebSocket) -> None:
    """Accept, then hand every text message to the connection; a refusal to connect is a close code, so that browsers see it."""
    site: Site = socket.app.state.site
    REQUEST.set(request_id(socket.headers.get("x-request-id")))
    if not same_origin(socket):
        await refuse(socket, OTHER_ORIGIN, "other origin")
        return
    address = socket.client.host if socket.client else ""
    try:
        hub = await site.hub(socket.path_params["slug"])
        site.limits.connect(address)
    except Refused as refused:
        await refuse(socket, UNKNOWN_EVENT if refused.code == "unknown_event" else OVERLOADED, refused.code)
        return
    try:
        known = site.known(socket)
        person = known or site.identity.new()
        await socket.accept(headers=[] if known else [cookie_header(site.cookie(person))])
        link = socket.scope["extensions"].get(SCOPE_KEY) or AsgiLink(socket.send)
        connection = Connection(link, hub, person, address, site.limits, wording, LANGUAGES)
        site.connections.add(connection)
        try:
            connection.welcome()
            await _serve(socket, link, connection)
        finally:
            site.connections.discard(connection)
            connection.closed()
    finally:
        site.limits.disconnect(address)


async def _serve(socket: WebSocket, link: FanoutProtocol | AsgiLink, connection: Connection) -> None:
    if isinstance(link, FanoutProtocol):
        link.forget_request()
        link.on_text = connection.receive
        await _receive(socket, connection)
        return
    async with asyncio.TaskGroup() as tasks:
        draining = tasks.create_task(link.drain())
        await _receive(socket, connection)
        draining.cancel()


async def _receive(socket: WebSocket, connection: Connection) -> None:
    try:
        while True:
            connection.receive(await socket.receive_text())
    except (WebSocketDisconnect, RuntimeError):
        return


def same_origin(socket: WebSocket) -> bool:
    """A browser says where its script comes from; only our own pages may use a visitor's cookie (RFC 6455 section 10.2)."""
    origin = socket.headers.get("origin")
    try:
        return origin is None or urlsplit(origin).netloc == socket.headers.get("host")
    except ValueError:  # no address at all
        return False


async def refuse(socket: WebSocket, code: int, reason: str, subprotocol: str | None = None) -> None:
    """Close with a code that the page can read, which needs a handshake first."""
    await socket.accept(subprotocol)
    await socket.close(code, reason)


