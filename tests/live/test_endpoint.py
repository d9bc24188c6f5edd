"""The endpoint on a server without our fan-out: the same frames, one `send` each."""

from __future__ import annotations

import asyncio
from pathlib import Path

import uvicorn

from live.admin import configure
from live.app import create, open_log
from live.client import Client
from live.desks import Desks
from live.settings import Settings
from rooms.programme import Programme
from tests.live.engines import free_port

PROGRAMME = Programme("abend", {"de": "Abend"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00", premoderation=False)


async def test_people_on_another_server_see_the_same(tmp_path: Path) -> None:
    settings = Settings(data=str(tmp_path))
    log = open_log(settings)
    async with Desks(log, settings) as desks:
        await configure(desks, PROGRAMME, "live")
    log.close()
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(create(settings), port=port, ws="websockets-sansio", log_level="warning"))
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(30):
        while not server.started:
            await asyncio.wait([serving], timeout=0.01)
        url = f"http://127.0.0.1:{port}"
        async with Client(url, "abend") as author, Client(url, "abend") as viewer:
            await viewer.open("public")
            await viewer.until(lambda client: "public" in client.documents)
            assert (await author.do("contribution.submit", kind="idea", text="Mehr Bänke"))["contribution"] == 1
            shown = await viewer.until(lambda client: client.documents["public"].get("contribution/1"))
            assert shown["text"] == "Mehr Bänke"
            await author.do("support.give", contribution=1)
            await viewer.until(lambda client: client.documents["public"]["contribution/1"]["support"] == 1)
        server.should_exit = True
        await serving
