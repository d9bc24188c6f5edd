"""The JSON API: the words of the WebSocket over HTTP, for integrators, scripts and tests. See docs/protocol.md."""

from __future__ import annotations

import secrets
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from frontend.render import LANGUAGES, choose, wording
from frontend.words import REFUSALS
from live import metrics
from live.desk import Done
from live.hub import Since
from live.site import Site
from live.wire import done, refusal
from moderation import documents
from moderation.capabilities import COMMANDS
from moderation.roles import actor, check_channel
from rooms.command import Refused

_JSON = msgspec.json.Encoder()
LISTED = ("slug", "title", "phase", "starts", "ends")
"""What the list of events tells of each."""


class Body(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a command."""

    id: str
    name: str
    args: msgspec.Raw = msgspec.Raw(b"{}")


_BODY = msgspec.json.Decoder(Body)


def routes(site: Site) -> list[Route]:
    """The routes of the API."""

    async def healthz(request: Request) -> Response:
        # Everybody may read it: the overlay's loader asks from a file on somebody's disk.
        return Response(b'{"status":"ok"}', media_type="application/json", headers={"Access-Control-Allow-Origin": "*"})

    async def readyz(request: Request) -> Response:
        missing = await site.missing()
        # Without Redis the evening goes on, a little slower: no reason to be taken off duty.
        ready = "database" not in missing
        return _json({"status": "ready" if ready else "not ready", "missing": missing}, 200 if ready else 503)

    async def measured(request: Request) -> Response:
        if not _may_measure(request, site.settings.metrics_token):
            return Response(status_code=404)
        return Response(metrics.text(site.settings.metrics_directory), media_type=metrics.TYPE)

    async def events(request: Request) -> Response:
        lang = _lang(request)
        shown = [documents.facts(desk.event, lang) for desk in await site.listed()]
        return _json({"events": [{field: one.get(field) for field in LISTED} for one in shown]})

    async def commands(request: Request) -> Response:
        id = None
        try:
            site.same_origin(request)
            body = _parsed(await request.body())
            id = body.id
            seq, result = await site.send(request, request.path_params["slug"], id, body.name, bytes(body.args))
            return Response(done(id, Done(seq, result)), media_type="application/json")
        except Refused as refused:
            return _refused(request, refused, id)

    async def channel(request: Request) -> Response:
        name = request.path_params["channel"]
        try:
            desk, hub = await site.find(request.path_params["slug"]), await site.hub(request.path_params["slug"])
            person = site.person(request)
            check_channel(desk.event, actor(desk.event, person), name, request.query_params.get("token"))
            since = _since(request.query_params.get("since"))
            body = await desk.read(lambda: hub.docs(name, person, since, _lang(request)))
            return Response(body, media_type="application/json", headers={"Cache-Control": "no-store"})
        except Refused as refused:
            return _refused(request, refused, None)

    async def schema(request: Request) -> Response:
        return _json(SCHEMA)

    return [
        Route("/healthz", healthz),
        Route("/readyz", readyz),
        Route("/metrics", measured),
        Route("/api/v1/events", events),
        Route("/api/v1/events/{slug}/commands", commands, methods=["POST"]),
        Route("/api/v1/events/{slug}/channels/{channel:path}", channel),
        Route("/api/v1/schema", schema),
    ]


def status(refused: Refused) -> int:
    """The HTTP status of a refusal: whose turn it is, and whether waiting helps."""
    known = {"forbidden": 403, "unknown_event": 404, "too_many": 429, "storage_unavailable": 503, "bug": 500}
    return known.get(refused.code, 422 if refused.field else 409)


def _schema() -> dict[str, Any]:
    """JSON Schema of every command's arguments and every document's data, and all refusals with their wording."""
    arguments = {name: command for name, (command, _) in COMMANDS.items()}
    schemas, definitions = msgspec.json.schema_components([*arguments.values(), *documents.SHAPES.values()])
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "commands": dict(zip(arguments, schemas, strict=False)),
        "documents": dict(zip(documents.SHAPES, schemas[len(arguments) :], strict=True)),
        "refusals": {code: wording(code, "en", {}) for code in REFUSALS},
        "$defs": definitions,
    }


SCHEMA = _schema()


def _may_measure(request: Request, token: str) -> bool:
    """From this machine, unless a proxy has passed it on, or with the token."""
    if token and secrets.compare_digest(request.headers.get("authorization", "").encode(), f"Bearer {token}".encode()):
        return True
    local = request.client is not None and request.client.host in ("127.0.0.1", "::1")
    return local and not any(name in request.headers for name in ("x-forwarded-for", "forwarded"))


def _parsed(body: bytes) -> Body:
    try:
        return _BODY.decode(body)
    except (msgspec.DecodeError, RecursionError):
        raise Refused("malformed", field="body") from None


def _since(text: str | None) -> Since | None:
    epoch, _, seq = (text or "").rpartition(":")
    return Since(epoch, int(seq)) if epoch and seq.isascii() and seq.isdigit() and len(seq) < 16 else None


def _lang(request: Request) -> str:
    return choose(request.headers.get("accept-language"), None, request.query_params.get("lang"), LANGUAGES)


def _json(data: Any, code: int = 200) -> Response:
    return Response(_JSON.encode(data), code, media_type="application/json")


def _refused(request: Request, refused: Refused, id: str | None) -> Response:
    response = _json(refusal(id, refused, _lang(request), wording), status(refused))
    if refused.retry_after is not None:
        response.headers["Retry-After"] = str(int(refused.retry_after))
    return response
