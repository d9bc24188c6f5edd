"""Styles, scripts, fonts and pictures: read once, compressed once, addressed by their content so that browsers keep them."""

from __future__ import annotations

import gzip
import hashlib
import mimetypes
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

STATIC = Path(__file__).with_name("static")
DOOR_WORKER = "js/door_worker.js"
"""The one script that may serve pages of an event itself; others only what lies beside them."""
_COMPRESSIBLE = ("text/", "application/javascript", "text/javascript", "image/svg+xml", "application/json")
_TYPES = {".js": "text/javascript", ".css": "text/css", ".svg": "image/svg+xml", ".woff2": "font/woff2", ".txt": "text/plain"}


class Assets:
    """All files under `frontend/static`. The address of each holds the hash of all: modules import one another relatively."""

    def __init__(self, root: Path = STATIC) -> None:
        self._files: dict[str, tuple[str, bytes, bytes | None]] = {}
        digest = hashlib.sha256()
        for path in sorted(root.rglob("*")):
            if path.is_file():
                name, body = path.relative_to(root).as_posix(), path.read_bytes()
                digest.update(name.encode() + b"\0" + body)
                self._files[name] = _prepared(path, body)
        self.version = digest.hexdigest()[:12]

    def url(self, name: str) -> str:
        """The address of a file, e.g. `js/sync.js`."""
        return f"/static/{self.version}/{name}"

    async def serve(self, request: Request) -> Response:
        """`/static/<version>/<name>`; an old version's address gives today's file, not to be kept."""
        name = request.path_params["name"]
        found = self._files.get(name)
        if found is None:
            return Response("not found", 404)
        kind, body, packed = found
        current = request.path_params["version"] == self.version
        headers = {
            "Cache-Control": "public, max-age=31536000, immutable" if current else "no-cache",
            "X-Content-Type-Options": "nosniff",
            "Vary": "Accept-Encoding",
        }
        if name == DOOR_WORKER:
            headers["Service-Worker-Allowed"] = "/e/"
        if packed is not None and "gzip" in request.headers.get("accept-encoding", ""):
            return Response(packed, headers={**headers, "Content-Encoding": "gzip"}, media_type=kind)
        return Response(body, headers=headers, media_type=kind)


def _prepared(path: Path, body: bytes) -> tuple[str, bytes, bytes | None]:
    kind = _TYPES.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    packed = gzip.compress(body, 9, mtime=0) if kind.startswith(_COMPRESSIBLE) else None
    return kind, body, packed
