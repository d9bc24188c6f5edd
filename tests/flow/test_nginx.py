"""docs/nginx.conf as it stands, with other addresses, in front of two web processes."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import ssl
import subprocess
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from tests.conftest import OPEN_HANDED
from tests.flow.evening import ANSWERED_WITHIN
from tests.flow.server import ROOT, Server, free_port
from tests.live.engines import listening

EXAMPLE = ROOT / "docs" / "nginx.conf"
MAIN = """
daemon off; pid {folder}/nginx.pid; error_log {folder}/error.log; worker_processes 1;
events {{ worker_connections 1024; }}
http {{
    access_log off; client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    include {folder}/plenum.conf;
}}
"""


class Proxy:
    """nginx with the example, in front of two processes on one data directory. `changes` are made to the example first."""

    def __init__(self, folder: Path, changes: dict[str, str] | None = None, **settings: object) -> None:
        self.folder, self.changes = folder, changes or {}
        given = {**OPEN_HANDED, "secure_cookies": True, "trusted_proxies": "127.0.0.1", **settings}
        self.servers = [Server(folder / "data", given) for _ in range(2)]
        self.port, self.plain = free_port(), free_port()
        self.url = f"https://localhost:{self.port}"
        self.trusts = ssl.create_default_context()

    def configuration(self) -> str:
        """The example with other addresses and whatever else is to be changed."""
        text = EXAMPLE.read_text("utf-8")
        addresses = {
            "listen 80;": f"listen 127.0.0.1:{self.plain};",
            "listen 443 ssl": f"listen 127.0.0.1:{self.port} ssl",
            "dialog.example;": "localhost;",
            "/etc/ssl/dialog.example": str(self.folder / "localhost"),
            "127.0.0.1:8001": f"127.0.0.1:{self.servers[0].port}",
            "127.0.0.1:8002": f"127.0.0.1:{self.servers[1].port}",
        }
        for old, new in {**addresses, **self.changes}.items():
            assert old in text, f"the example has changed: {old}"
            text = text.replace(old, new)
        return text

    @contextlib.contextmanager
    def running(self) -> Iterator[Proxy]:
        """Both processes and nginx."""
        program = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert program is not None, "nginx is missing: apt-get install nginx-light"
        folder = str(self.folder)
        certificate = ["-keyout", f"{folder}/localhost.key", "-out", f"{folder}/localhost.pem"]
        subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost", "-days", "2"]
        request = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", *certificate, *subject]
        subprocess.run(request, check=True, stderr=subprocess.DEVNULL)
        self.trusts.load_verify_locations(self.folder / "localhost.pem")
        (self.folder / "plenum.conf").write_text(self.configuration(), "utf-8")
        (self.folder / "nginx.conf").write_text(MAIN.format(folder=self.folder), "utf-8")
        for server in self.servers:
            server.start()
        own = ["-p", folder, "-c", f"{folder}/nginx.conf", "-e", f"{folder}/error.log"]
        nginx = subprocess.Popen([program, *own])
        try:
            listening(self.port)
            yield self
        finally:
            nginx.terminate()
            nginx.wait(ANSWERED_WITHIN)
            for server in self.servers:
                server.kill()

    def browser(self, **headers: str) -> httpx.AsyncClient:
        """Somebody outside."""
        return httpx.AsyncClient(base_url=self.url, verify=self.trusts, headers=headers, timeout=ANSWERED_WITHIN)

    def socket(self, slug: str) -> Any:
        """A WebSocket through it."""
        return connect(f"{self.url.replace('https', 'wss')}/ws/{slug}", ssl=self.trusts, origin=self.url, ping_interval=None)  # type: ignore[arg-type]


async def asked(socket: ClientConnection, kind: str, say: dict[str, Any] | None = None) -> dict[str, Any]:
    """The next frame of this kind."""
    if say is not None:
        await socket.send(msgspec.json.encode(say).decode())
    async with asyncio.timeout(ANSWERED_WITHIN):
        while True:
            frame: dict[str, Any] = msgspec.json.decode(await socket.recv())
            if frame["t"] == kind:
                return frame


def submission(text: str) -> dict[str, Any]:
    return {"t": "do", "id": str(uuid.uuid4()), "name": "contribution.submit", "args": {"kind": "idea", "text": text}}


async def test_pages_and_sockets_go_through_and_nothing_that_is_not_for_outside(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    with proxy.running():
        slug = await proxy.servers[0].event(premoderation=False)
        async with proxy.browser() as browser, proxy.socket(slug) as socket:
            page = await browser.get(f"/e/{slug}")
            assert (page.status_code, page.http_version) == (200, "HTTP/1.1")
            assert "; Secure" in page.headers["set-cookie"]
            assert "max-age=31536000" in page.headers["strict-transport-security"]
            assert page.headers["server"] == "nginx", "no version"
            await asked(socket, "docs", {"t": "open", "channels": {"public": {}}})
            done = await asked(socket, "done", submission("Mehr Bänke"))
            assert done["result"]["contribution"] == 1

            for path in ("/metrics", "/readyz"):
                assert (await browser.get(path)).status_code == 404
            posted = await browser.post(f"/api/v1/events/{slug}/commands", content=b"x" * 70_000)
            assert posted.status_code == 413
            form = {"id": str(uuid.uuid4()), "name": "contribution.submit", "back": f"/e/{slug}"}
            form |= {"kind": "idea", "text": "Ohne Skript"}
            sent = await browser.post(f"/e/{slug}/do", data=form, headers={"Origin": proxy.url, "Sec-Fetch-Site": "same-origin"})
            assert sent.status_code == 303
            plain = await browser.get(f"http://localhost:{proxy.plain}/e/{slug}")
        assert (plain.status_code, plain.headers["location"]) == (301, f"https://localhost/e/{slug}")


async def test_one_of_two_processes_dies_and_everybody_goes_on(tmp_path: Path) -> None:
    proxy = Proxy(tmp_path)
    with proxy.running():
        slug = await proxy.servers[0].event(premoderation=False)
        proxy.servers[1].kill()
        async with proxy.browser() as browser:
            for _ in range(8):
                assert (await browser.get(f"/e/{slug}")).status_code == 200
            for turn in range(4):
                async with proxy.socket(slug) as socket:
                    assert (await asked(socket, "done", submission(f"Idee {turn}")))["result"]["contribution"] == turn + 1


@pytest.mark.parametrize(
    ("changes", "gets_through"),
    [({}, False), ({"X-Forwarded-For $remote_addr;": "X-Forwarded-For $proxy_add_x_forwarded_for;"}, True)],
    ids=["", "control: the client's claim is passed on"],
)
async def test_nobody_escapes_a_limit_by_claiming_another_address(
    tmp_path: Path, changes: dict[str, str], gets_through: bool
) -> None:
    proxy = Proxy(tmp_path, changes, join_burst=4, join_rate=0.001)
    with proxy.running():
        proxy.servers[1].kill()  # each process has its own count
        slug = await proxy.servers[0].event()
        codes = []
        async with proxy.browser() as browser:
            for turn in range(12):
                browser.cookies.clear()
                body = {"id": str(uuid.uuid4()), "name": "person.join", "args": {"place": "hall", "code": f"A{turn:05d}"}}
                forged = {"X-Forwarded-For": f"203.0.113.{turn}"}
                answer = await browser.post(f"/api/v1/events/{slug}/commands", json=body, headers=forged)
                codes.append(answer.json()["code"])
        assert ("too_many" not in codes) == gets_through, codes


@pytest.mark.parametrize(("ping_seconds", "lives"), [(0.5, True), (1_000, False)], ids=["", "control: nobody pings"])
async def test_a_connection_on_which_nothing_happens_outlives_the_proxy_s_patience(
    tmp_path: Path, ping_seconds: float, lives: bool
) -> None:
    impatient = {"proxy_read_timeout 60s;": "proxy_read_timeout 2s;"}
    proxy = Proxy(tmp_path, impatient, ping_seconds=ping_seconds, presence_seconds=1_000)
    with proxy.running():
        slug = await proxy.servers[0].event()
        async with proxy.socket(slug) as socket:
            await asked(socket, "welcome")
            closed = False
            try:
                async with asyncio.timeout(5):
                    await socket.recv()
            except TimeoutError:
                pass
            except ConnectionClosed:
                closed = True
            assert closed != lives
