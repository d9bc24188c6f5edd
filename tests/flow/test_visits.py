"""Visits of the team with real connections: one whose browser has died ends by itself, and its call for help waits again."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from live.client import Client
from live.presence import KEPT_MS
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person
from tests.flow.installation import Installation
from tests.flow.server import Server
from tests.flow.small_groups import inside, prepared

HOLD = 10
"""Seconds, the least that a round holds: nobody waits for a minute here."""
LATEST = HOLD + KEPT_MS / 1000 + ANSWERED_WITHIN
"""Seconds after which a visit has ended at last, even if a killed process has just said that it goes on."""


async def visits(evening: Evening, *rooms: str) -> Person:
    """A moderator who has claimed the call of the first room, and has the pages of all of them open."""
    moderator = await evening.staff("moderator")
    await moderator.do("room.claim_help", room=rooms[0])
    for room in rooms:
        await moderator.do("room.enter", room=room)
    await moderator.watch(*(f"room/{room}" for room in rooms))
    return moderator


def state(shown: dict[str, Any], room: str = "1-1") -> tuple[int, str]:
    """How many visit the room, and what has become of its call."""
    data = shown["rooms"][f"room/{room}"]
    return len(data["guests"]), data["help"]


async def ended(desk: Person, room: str = "1-1") -> None:
    """Nobody visits the room any more, and its call waits."""

    def met(client: Client) -> bool:
        shown = client.documents
        return f"room/{room}" in shown["rooms"] and state(shown, room) == (0, "waiting")

    await desk.until(met, LATEST)


async def test_who_visits_and_whose_browser_dies_is_gone_and_the_call_waits_again(running: Server) -> None:
    async with Evening(running, await running.event()) as evening:
        await prepared(evening, hold=HOLD)
        desk = await evening.staff("organiser", "rooms")
        anna = await inside(evening)
        await anna.do("room.ask_for_help", room="1-1", why="Streit")
        mona = await visits(evening, "1-1", "1-2")
        await desk.sees(lambda shown: state(shown) == (1, "here") and state(shown, "1-2") == (1, ""))
        await mona.watch("room/1-2")
        await ended(desk)
        assert state(desk.documents, "1-2") == (1, ""), "the page of the other room is still open"
        assert desk.documents["rooms"]["help/1-1"]["why"] == "Streit"
        await anna.sees(lambda shown: shown["room/1-1"]["room/1-1"]["guests"] == [])


async def test_who_loads_the_page_anew_goes_on_with_the_visit(running: Server) -> None:
    async with Evening(running, await running.event()) as evening:
        await prepared(evening, hold=HOLD)
        desk = await evening.staff("organiser", "rooms")
        anna = await inside(evening)
        await anna.do("room.ask_for_help", room="1-1")
        mona = await visits(evening, "1-1")
        other = await evening.staff("moderator")
        await other.do("room.enter", room="1-1")
        await other.watch("room/1-1")
        await desk.sees(lambda shown: state(shown) == (2, "here"))
        cookie = mona.cookie
        await mona.__aexit__()
        await other.__aexit__()
        mona = await evening.person(cookie, "room/1-1")
        await desk.until(lambda client: state(client.documents) == (1, "here"), LATEST)
        assert mona.closed is None, "hers is the one that is left"


async def test_a_visitor_at_another_process_stays_and_one_whom_a_killed_process_had_goes(tmp_path: Path) -> None:
    async with Installation(tmp_path, processes=2) as installation, installation.evening() as evenings:
        await prepared(evenings[0], hold=HOLD)
        desk = await evenings[1].staff("organiser", "rooms")
        for room in ("1-1", "1-2"):
            person = await inside(evenings[1], room)
            await person.do("room.ask_for_help", room=room)
        mona, other = await visits(evenings[0], "1-1"), await visits(evenings[0], "1-2")
        await desk.sees(lambda shown: state(shown) == state(shown, "1-2") == (1, "here"))
        cookie = mona.cookie
        await mona.__aexit__()
        await evenings[1].person(cookie, "room/1-1")
        assert other.closed is None
        installation.servers[0].kill()
        await ended(desk, "1-2")
        assert state(desk.documents) == (1, "here")


async def test_the_end_of_a_visit_survives_the_server_though_nobody_is_in_a_room_then(serve: Callable[..., Server]) -> None:
    server = serve()
    async with Evening(server, await server.event()) as evening:
        await prepared(evening, hold=HOLD)
        desk = await evening.staff("organiser", "rooms")
        anna = await inside(evening)
        await anna.do("room.ask_for_help", room="1-1")
        mona = await visits(evening, "1-1")
        await desk.sees(lambda shown: state(shown) == (1, "here"))
        await mona.__aexit__()
        await anna.__aexit__()
        await desk.sees(lambda shown: shown["rooms"]["room/1-1"]["away"] == 1)
        assert state(desk.documents) == (1, "here"), "both were missed in the same look"
        server.kill()
    server.start()
    async with Evening(server, evening.slug) as evening:
        desk = await evening.person(desk.cookie, "rooms")
        await ended(desk)
