"""Malformed, oversized, forbidden and too much: a clear refusal, no trace, and nobody else notices."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import signal
import sqlite3
import time
import uuid
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from rooms.command import Refused
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person, refusal
from tests.flow.server import Server
from tests.flow.test_operations import measured

LINE = {"t": "do", "id": "a", "name": "contribution.submit", "args": {"kind": "idea", "text": "Eine Idee"}}
BROKEN: list[Any] = [
    "",
    "kein JSON",
    "[]",
    "{}",
    "null",
    '{"t":"do"}',
    {**LINE, "t": "dance"},
    {**LINE, "more": 1},
    {**LINE, "id": 7},
    {**LINE, "id": "x" * 65},
    {**LINE, "id": "ein Leerzeichen"},
    {**LINE, "name": "contribution.explode"},
    {**LINE, "args": {"kind": "idea"}},
    {**LINE, "args": {"kind": "rant", "text": "Eine Idee"}},
    {**LINE, "args": {"kind": "idea", "text": "Eine Idee", "state": "approved"}},
    {**LINE, "args": {"kind": "idea", "text": ["Eine Idee"]}},
    {**LINE, "args": []},
    {"t": "open", "channels": {"public": {"seq": "viel"}}},
    {"t": "open", "channels": {"secret": {}}},
    {"t": "open", "channels": {"me/somebody": {}}},
    {"t": "open", "channels": []},
]


async def answer(line: ClientConnection) -> dict[str, Any]:
    """The next frame but the welcome."""
    async with asyncio.timeout(ANSWERED_WITHIN):
        while (frame := json.loads(await line.recv()))["t"] == "welcome":
            pass
    return dict(frame)


def wire(frame: Any) -> str:
    """As it goes over the line."""
    return frame if isinstance(frame, str) else json.dumps(frame)


@pytest.mark.parametrize("frame", BROKEN, ids=range(len(BROKEN)))
async def test_what_is_broken_is_refused_in_words_and_leaves_no_trace(evening: Evening, frame: Any) -> None:
    async with connect((await evening.person()).address) as line:
        await line.send(wire(frame))
        refused = await answer(line)
        assert refused["t"] == "refused"
        assert refused["code"] in ("malformed", "unknown_command", "unknown_channel")
        assert len(refused["text"]) > 20
        await line.send(wire({**LINE, "id": str(uuid.uuid4())}))
        assert (await answer(line))["result"]["contribution"] == 1, "it has left a trace, or closed the line"


async def test_noise_is_refused_until_the_line_is_closed_for_good(evening: Evening) -> None:
    """Mutations of good frames and plain noise; the server answers or closes, logs no exception, and serves the next one."""
    chance = random.Random(7)
    good = [wire(LINE), wire({"t": "open", "channels": {"public": {"epoch": "k", "seq": 1}}})]
    for _ in range(30):
        async with connect((await evening.person()).address) as line:
            with pytest.raises(ConnectionClosed) as closed:
                await make_noise(line, chance, good)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4502
    assert await evening.said() >= 1


async def make_noise(line: ClientConnection, chance: random.Random, good: list[str]) -> None:
    """Up to 60 frames with a few characters wrong."""
    for _ in range(60):
        text = list(chance.choice(good))
        for _ in range(chance.randrange(1, 9)):
            text[chance.randrange(len(text))] = chr(chance.choice([0, 34, 92, 123, 125, 0x202E, 0x1F600, 65]))
        await line.send("".join(text))
        await answer(line)


async def read_to_the_end(line: ClientConnection) -> None:
    """Raises ConnectionClosed."""
    while True:
        await line.recv()


async def test_a_frame_over_64_kib_ends_its_own_line_only(evening: Evening) -> None:
    viewer = await evening.person(None, "public")
    async with connect(viewer.address) as line:
        await line.send("x" * 70_000)
        with pytest.raises(ConnectionClosed) as closed:
            await read_to_the_end(line)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1009
    assert await evening.said() == 1
    assert viewer.closed is None


async def test_bytes_are_not_text(evening: Evening) -> None:
    async with connect((await evening.person()).address) as line:
        await line.send(b"\x00\x01")
        with pytest.raises(ConnectionClosed) as closed:
            await read_to_the_end(line)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 1003


async def test_a_script_of_another_site_is_not_let_in(evening: Evening) -> None:
    address = (await evening.person()).address
    for origin, code in (("https://evil.example", 4501), (evening.server.url, None)):
        async with connect(address, origin=origin) as line:  # type: ignore[arg-type]
            if code is None:
                assert json.loads(await line.recv())["t"] == "welcome"
                continue
            with pytest.raises(ConnectionClosed) as closed:
                await line.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == code


async def test_an_event_that_is_not_there_says_so_and_not_to_come_back(evening: Evening) -> None:
    async with connect((await evening.person()).address.rpartition("/")[0] + "/no-such-event") as line:
        with pytest.raises(ConnectionClosed) as closed:
            await line.recv()
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 4500


async def test_a_body_that_is_too_large_is_not_read(evening: Evening) -> None:
    browser = await evening.browser()
    for path in (f"{evening.page}/do", f"{evening.api}/commands"):
        assert (await browser.post(path, content=b"x" * 300_000)).status_code == 413
    many = (b"x" * 1000 for _ in range(400))

    async def chunks() -> Any:
        for block in many:
            yield block

    assert (await browser.post(f"{evening.api}/commands", content=chunks())).status_code == 413


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"id": "a", "name": "support.give", "args": {"contribution": 99}}, 422),
        ({"id": "a", "name": "contribution.approve", "args": {"contribution": 1}}, 403),
        ({"id": "a", "name": "contribution.submit", "args": {"kind": "idea", "text": "x"}}, 422),
        ({"id": "a", "name": "no.such", "args": {}}, 422),
        ({"name": "person.join"}, 422),
    ],
)
async def test_the_api_refuses_with_a_status_that_fits(evening: Evening, body: dict[str, Any], status: int) -> None:
    answer = await (await evening.browser()).post(f"{evening.api}/commands", json=body)
    assert answer.status_code == status
    assert answer.json()["t"] == "refused"


async def test_who_floods_is_told_when_to_try_again_and_others_are_served(serve: Callable[..., Server]) -> None:
    server = serve(send_burst=10, send_rate=1, submit_burst=3, submit_rate=0.5)
    async with Evening(server, await server.event()) as evening:
        flooder, citizen = await evening.person(), await evening.person()
        refusals = []
        for number in range(10):
            try:
                await flooder.do("contribution.submit", kind="idea", text=f"Flut {number}")
            except Refused as refused:
                refusals.append(refused)
        assert len(refusals) == 7
        assert all(one.code == "too_many" and one.retry_after is not None and 1 <= one.retry_after <= 10 for one in refusals)
        assert (await citizen.do("contribution.submit", kind="idea", text="Eine Idee"))["contribution"] == 4
        helper = await evening.staff("helper")
        for number in range(6):  # the control: staff type in what a whole hall says
            await helper.do("contribution.submit", kind="idea", text=f"Karte {number}", origin="paper")


async def test_guessing_the_halls_code_is_slow(serve: Callable[..., Server]) -> None:
    server = serve(join_burst=5, join_rate=0.1)
    async with Evening(server, await server.event()) as evening:
        codes = [await refusal((await evening.person()).do("person.join", place="hall", code="AAAAAA")) for _ in range(8)]
        assert [one.code for one in codes] == ["wrong_code"] * 5 + ["too_many"] * 3


async def test_one_address_has_so_many_lines_and_no_more(serve: Callable[..., Server]) -> None:
    server = serve(connections_per_address=3)
    async with Evening(server, await server.event()) as evening:
        people = [await evening.person() for _ in range(3)]
        async with connect(people[0].address) as line:
            with pytest.raises(ConnectionClosed) as closed:
                await line.recv()
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.code == 4002
        await people[2].__aexit__()
        async with asyncio.timeout(ANSWERED_WITHIN):
            while True:  # the server hears of the end a moment later
                async with connect(people[0].address) as line:
                    try:
                        assert json.loads(await line.recv())["t"] == "welcome"
                        return
                    except ConnectionClosed:
                        continue


class Author:
    """Writes 20 kB at a time, over and over."""

    def __init__(self, person: Person, numbers: list[int]) -> None:
        self.person, self.numbers, self.turns = person, numbers, 0

    async def writes(self) -> None:
        """The same five contributions with other words."""
        self.turns += 1
        await asyncio.gather(*(self.person.do("contribution.edit", contribution=n, text=self.text) for n in self.numbers))

    @property
    def text(self) -> str:
        return "🚲" * 990 + str(self.turns)


async def an_author(evening: Evening) -> Author:
    """Who has written five long contributions."""
    person = await evening.person()
    made = [await person.do("contribution.submit", kind="idea", text="🚲" * 999) for _ in range(5)]
    return Author(person, [one["contribution"] for one in made])


@contextlib.asynccontextmanager
async def somebody_who_does_not_read(evening: Evening) -> AsyncIterator[asyncio.StreamReader]:
    """A page that watches what is public, and reads no more of it than its buffer holds until the test does."""
    reader, writer = await asyncio.open_connection("127.0.0.1", evening.server.port, limit=1024)
    key = "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13"
    writer.write(
        f"GET /ws/{evening.slug} HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n{key}\r\n\r\n".encode()
    )
    await reader.readuntil(b"\r\n\r\n")
    payload = b'{"t":"open","channels":{"public":{}}}'
    writer.write(bytes((0x81, 0x80 | len(payload))) + b"\0\0\0\0" + payload)
    await writer.drain()
    yield reader
    writer.close()


@pytest.mark.slow
async def test_a_reader_who_does_not_read_costs_little(serve: Callable[..., Server]) -> None:
    """Some 15 MB pass a client that reads nothing: queued for it, they would be in the server's memory."""
    server = serve(flush_seconds=0)
    async with Evening(server, await server.event(premoderation=False)) as evening, somebody_who_does_not_read(evening):
        viewer, author = await evening.person(None, "public"), await an_author(evening)
        while author.turns < 250:
            await author.writes()
        memory = resident_kb(server)  # what the server and the network hold for anybody is full
        while author.turns < 1000:
            await author.writes()
        for number in author.numbers:
            await viewer.sees(lambda shown, key=f"contribution/{number}": shown["public"][key]["text"] == author.text)  # type: ignore[misc]
        assert resident_kb(server) - memory < 8_000


@pytest.mark.slow
async def test_a_reader_who_does_not_read_is_sent_away(serve: Callable[..., Server]) -> None:
    slow = 2.0
    server = serve(slow_seconds=slow, flush_seconds=0)
    async with Evening(server, await server.event(premoderation=False)) as evening, somebody_who_does_not_read(evening) as reader:
        author = await an_author(evening)
        while author.turns % 20 or not (await measured(server))["plenum_watchers_behind"]:
            await author.writes()
        noticed = time.monotonic()
        while time.monotonic() - noticed < slow:
            await author.writes()
        await author.writes()  # the server has come to it
        end = b""
        async with asyncio.timeout(ANSWERED_WITHIN):
            while block := await reader.read(65_536):
                end = (end + block)[-200:]
        assert (4001).to_bytes(2, "big") + b"too slow" in end


def resident_kb(server: Server) -> int:
    """Memory of the server's process."""
    assert server.process is not None
    lines = Path(f"/proc/{server.process.pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith("VmRSS")).split()[1])


async def test_a_locked_database_is_refused_in_words_and_the_page_stays(serve: Callable[..., Server]) -> None:
    server = serve(lock_seconds=0.2)
    async with Evening(server, await server.event()) as evening:
        author, browser = await evening.person(), await evening.browser()
        with sqlite3.connect(server.database, isolation_level=None) as other:
            other.execute("BEGIN EXCLUSIVE")
            refused = await refusal(author.do("contribution.submit", kind="idea", text="Eine Idee"))
            assert (refused.code, refused.retry_after) == ("storage_unavailable", 2.0)
            body = {"id": "a", "name": "contribution.submit", "args": {"kind": "idea", "text": "Eine Idee"}}
            answered = await browser.post(f"{evening.api}/commands", json=body)
            assert answered.status_code == 503
            assert answered.headers["retry-after"] == "2"
            assert (await browser.get(evening.page)).status_code == 200
            other.execute("ROLLBACK")
        other.close()
        assert (await author.do("contribution.submit", kind="idea", text="Eine Idee"))["contribution"] == 1


async def test_a_server_that_is_stopped_says_come_back_and_keeps_everything(serve: Callable[..., Server]) -> None:
    server = serve()
    slug = await server.event()
    async with Evening(server, slug) as evening:
        viewer = await evening.person(None, "public")
        await evening.said()
        assert server.process is not None
        server.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(server.process.wait, ANSWERED_WITHIN)
        await viewer.until(lambda client: client.closed is not None)
        assert viewer.closed == 1012
        await asyncio.to_thread(server.start)
        assert await evening.said() == 2
