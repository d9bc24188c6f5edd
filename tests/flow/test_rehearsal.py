"""`plenum rehearse` plays a file and tells what it saw; with one process and with two."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.flow.installation import Installation
from tests.flow.server import ROOT, Server

KREFELD = ROOT.parent / "shared" / "data" / "krefeld.jsonl"


def played(server: Server, slug: str, file: Path, *others: Server, rate: int = 40) -> dict[str, str]:
    """The report: name → value."""
    people = ("--hall", "4", "--home", "8", "--rate", str(rate))
    urls = [word for one in (server, *others) for word in ("--url", one.url)]
    report = server.plenum("rehearse", slug, file, *people, *urls)
    return dict(re.split(r"\s{2,}", line, maxsplit=1) for line in report.splitlines())


@pytest.mark.parametrize("options", [(), ("--workers", "2")], ids=["one process", "two processes"])
async def test_a_rehearsal_reports_what_is_in_the_log(
    serve: Callable[..., Server], tmp_path: Path, options: tuple[str, ...]
) -> None:
    server = serve(*options)
    slug = await server.event()
    file = tmp_path / "voices.jsonl"
    texts = [f"Beitrag {number}: mehr Bänke" for number in range(24)]
    file.write_text("".join(json.dumps({"title": "Bänke", "text": text}) + "\n" for text in texts), "utf-8")

    report = played(server, slug, file)

    exported = [json.loads(line) for line in server.plenum("event", "export", slug).splitlines()]
    assert sorted(one["text"] for one in exported) == sorted(f"Bänke – {text}" for text in texts)
    assert {one["state"] for one in exported} == {"approved"}
    assert {one["origin"] for one in exported} == {"hall", "home"}
    assert (report["people"], report["sent"], report["refused"]) == ("12", "24", "0")
    assert report["seen"] == f"{24 * 12} times, missing 0"
    assert sum(one["support"] for one in exported) == 24 * 3


@pytest.mark.slow
async def test_one_of_two_machines_dies_during_a_rehearsal_and_nothing_is_missing(tmp_path: Path) -> None:
    file = tmp_path / "voices.jsonl"
    file.write_text("".join(json.dumps({"text": f"Beitrag {number}: mehr Bänke"}) + "\n" for number in range(60)), "utf-8")
    async with Installation(tmp_path) as town, town.evening(premoderation=True) as evenings:
        here, there = town.servers
        watching = await evenings[0].person(None, "public")
        playing = asyncio.create_task(asyncio.to_thread(played, here, evenings[0].slug, file, there, rate=10))
        await watching.until(lambda client: len(client.documents["public"]) > 12, 30)
        there.kill()
        report = await playing
    assert (report["sent"], report["acknowledged"], report["seen"].partition("missing ")[2]) == ("60", "60", "0")
    assert int(report["came back"].partition(" ")[0]) >= 6


async def test_what_citizens_really_wrote_can_be_played(serve: Callable[..., Server], tmp_path: Path) -> None:
    if not KREFELD.exists():
        pytest.skip("the citizens' texts are not here")
    server = serve()
    slug = await server.event()
    file = tmp_path / "krefeld.jsonl"
    lines = KREFELD.read_text("utf-8").splitlines()[:40]
    file.write_text("\n".join(lines), "utf-8")
    report = played(server, slug, file)
    assert (report["sent"], report["seen"]) == ("40", f"{40 * 12} times, missing 0")
