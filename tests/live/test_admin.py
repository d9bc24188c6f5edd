"""What the command line does to an event, on the log itself, whether or not a server runs."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from live.admin import configure, exported, link, send
from live.desk import Desk
from live.desks import Desks
from live.log import Log
from live.settings import Settings
from moderation.roles import actor, hashed
from rooms.command import Refused
from rooms.contributions import receipt
from rooms.programme import Programme

PROGRAMME = Programme("abend", {"de": "Abend"}, "2020-08-20T18:00:00+02:00", "2020-08-20T20:00:00+02:00")


@pytest.fixture
async def desks(tmp_path: Path) -> AsyncIterator[Desks]:
    log = Log(f"sqlite:///{tmp_path / 'plenum.sqlite3'}")
    log.create_tables()
    async with Desks(log, Settings()) as desks:
        yield desks
    log.close()


async def opened(desks: Desks) -> Desk:
    """The event, live."""
    await configure(desks, PROGRAMME, "live")
    desk = await desks.get("abend")
    assert desk is not None
    return desk


async def do(desk: Desk, person: str, command: str, /, **arguments: Any) -> Any:
    done = await desk.send(person, f"{person}-{desk.event.seq}", command, msgspec.json.encode(arguments))
    return msgspec.json.decode(done.result)


async def test_an_event_is_created_once_and_then_changed(desks: Desks) -> None:
    assert await configure(desks, PROGRAMME)
    desk = await desks.get("abend")
    assert desk is not None
    assert (desk.event.phase, desk.event.programme) == ("draft", PROGRAMME)

    changed = msgspec.structs.replace(PROGRAMME, title={"de": "Neuer Titel"})
    assert not await configure(desks, changed, "registration")
    assert (desk.event.phase, desk.event.programme.title) == ("registration", {"de": "Neuer Titel"})
    assert not await configure(desks, changed)
    assert desk.event.phase == "registration", "the phase stays unless it is named"
    assert await desks.slugs() == ["abend"]


@pytest.mark.parametrize("fact", [{"starts": "morgen"}, {"code_period": 0}, {"slug": "a/b"}, {"slug": ""}], ids=str)
async def test_facts_that_are_refused_leave_no_event_behind(desks: Desks, fact: dict[str, Any]) -> None:
    """An address with a slash in it leads to no page."""
    with pytest.raises(Refused) as refused:
        await configure(desks, msgspec.structs.replace(PROGRAMME, **fact))
    assert [refused.value.field] == list(fact)
    assert await desks.slugs() == []


async def test_a_leap_backwards_is_refused(desks: Desks) -> None:
    await opened(desks)
    with pytest.raises(Refused, match="wrong_state"):
        await configure(desks, PROGRAMME, "draft")


@pytest.mark.parametrize("role", ["organiser", "moderator", "operator", "helper"])
async def test_a_sign_in_link_gives_its_role_once(desks: Desks, role: str) -> None:
    desk = await opened(desks)
    path = await link(desks, "abend", role)
    assert path.startswith("/in/abend.")
    token = path.removeprefix("/in/")
    assert await do(desk, "anna", "link.redeem", token=token) == {"role": role}
    assert actor(desk.event, "anna").roles == {role}
    with pytest.raises(Refused, match="link_used"):
        await do(desk, "bilal", "link.redeem", token=token)


async def test_every_link_is_another_and_only_its_hash_is_kept(desks: Desks) -> None:
    desk = await opened(desks)
    paths = {await link(desks, "abend", "helper") for _ in range(5)}
    tokens = {path.rpartition("/")[2] for path in paths}
    assert len(tokens) == 5
    assert desk.event.roles.links.keys() == {hashed(token) for token in tokens}
    rows = b"".join(row[4] + row[5] for row in desk.log.rows(desk.id, 0))
    assert not any(token.encode() in rows or token.partition(".")[2].encode() in rows for token in tokens)
    assert all(len(token.partition(".")[2]) >= 22 for token in tokens), "at least 128 random bits"


async def test_a_sign_in_link_ends_after_its_hours_and_an_overlay_does_not(desks: Desks) -> None:
    desk = await opened(desks)
    before = time.time()
    await link(desks, "abend", "helper", hours=2)
    await link(desks, "abend", "overlay", "links")
    sign_in, overlay = desk.event.roles.links.values()
    assert sign_in.expires_at is not None
    assert before + 2 * 3_600 - 1 <= sign_in.expires_at / 1_000 <= time.time() + 2 * 3_600
    assert (overlay.expires_at, overlay.name) == (None, "links")
    late = await link(desks, "abend", "helper", hours=-1)
    with pytest.raises(Refused, match="link_expired"):
        await do(desk, "anna", "link.redeem", token=late.removeprefix("/in/"))


async def test_an_overlay_has_an_address_of_its_own(desks: Desks) -> None:
    desk = await opened(desks)
    path = await link(desks, "abend", "overlay")
    assert path.startswith("/o/abend.")
    assert desk.event.roles.links[hashed(path.removeprefix("/o/"))].name == "main"


async def test_an_event_or_a_role_that_is_not_there_is_refused(desks: Desks) -> None:
    with pytest.raises(Refused, match="unknown_event"):
        await link(desks, "abend", "helper")
    await opened(desks)
    with pytest.raises(Refused, match="malformed"):
        await link(desks, "abend", "mayor")
    with pytest.raises(Refused, match="unknown_command"):
        await send(desks, "abend", "event.delete", {})


async def test_the_export_has_every_contribution_and_nothing_that_only_its_author_may_see(desks: Desks) -> None:
    desk = await opened(desks)
    texts = ["Mehr Bänke", "Zeile\nzwei", "<b>fett</b> „so“", "Zu privat", "Genommen"]
    for text in texts:
        await do(desk, "person-anna", "contribution.submit", kind="idea", text=text, name="Anna" if text == texts[0] else None)
    await send(desks, "abend", "contribution.approve", {"contribution": 1})
    await send(desks, "abend", "contribution.edit", {"contribution": 1, "text": "Mehr Bänke!"})
    await send(desks, "abend", "contribution.return", {"contribution": 4, "reason": "Bitte ohne Namen"})
    await do(desk, "person-anna", "contribution.withdraw", contribution=5)

    lines = list(exported(desk))
    found = [msgspec.json.decode(line) for line in lines]
    assert [one["number"] for one in found] == [1, 2, 3, 4, 5]
    assert [one["text"] for one in found] == ["Mehr Bänke!", *texts[1:4], ""]
    assert [one["state"] for one in found] == ["approved", "received", "received", "returned", "withdrawn"]
    assert (found[0]["name"], found[0]["original"], found[3]["reason"]) == ("Anna", "Mehr Bänke", "Bitte ohne Namen")
    assert [step["state"] for step in found[0]["history"]] == ["received", "approved"]
    assert all("\n" not in line for line in lines), "one line each"
    whole = "".join(lines)
    assert "person-anna" not in whole
    assert "Genommen" not in whole
    assert not any(receipt(desk.event, number) in whole for number in range(1, 6))


async def test_an_event_without_contributions_exports_nothing(desks: Desks) -> None:
    assert list(exported(await opened(desks))) == []
