"""Mail from end to end: what people are told and when, each exactly once, and letters that become registrations in their order."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

import msgspec
import pytest

from frontend.letters import SUBJECTS
from live import admin
from live.app import open_log
from live.desk import Desk
from live.desks import Desks
from live.mailing import Mailing
from live.settings import Settings
from rooms import messages
from rooms.programme import Programme
from tests.flow.correspondence import CITY, FACTS, PostOffice, city, facts, hall, nothing_under_way, register, subject, working
from tests.flow.evening import ANSWERED_WITHIN, Evening, refusal
from tests.flow.installation import Installation

JUERGEN, ZOE, ANNA, BEN = "juergen@example.org", "zoe@example.org", "anna@example.org", "ben@example.org"
PEOPLE = 40
WISH = msgspec.json.encode({"place": "hall", "name": "Eine Bürgerin", "email": ANNA})


@pytest.fixture
async def post() -> AsyncIterator[PostOffice]:
    async with PostOffice().running() as post:
        yield post


# What people are told.


async def test_who_registers_gets_one_mail_in_their_language_with_everything_in_it(tmp_path: Path, post: PostOffice) -> None:
    async with city(tmp_path, post) as evening:
        organiser = await evening.staff("organiser", "registrations")
        done = await register(evening, 'Jürgen "Jü" Müßig, Dr.', JUERGEN, party=1)
        await register(evening, "Zoë Łuk", ZOE, lang="en")
        (german,), (english,) = await post.come(JUERGEN), await post.come(ZOE)
        await nothing_under_way(organiser)
        assert len(post.taken) == 2

        assert german.subject == subject("seated")
        assert english.subject == subject("seated", "en")
        for mail, lang, name in ((german, "de", "Jürgen \"Jü\" Müßig, Dr."), (english, "en", "Zoë Łuk")):
            assert mail.raw.isascii(), "old mail servers spoil anything else"
            assert mail.message["Auto-Submitted"] == "auto-generated"
            assert mail.message["X-Auto-Response-Suppress"] == "All"
            assert mail.message["Content-Language"] == lang
            assert mail.message["From"].addresses[0].addr_spec == CITY
            (to,) = mail.message["To"].addresses
            assert (to.display_name, to.addr_spec) == (name, mail.to[0])
            assert name in mail.text
            assert f'<html lang="{lang}">' in mail.html
            assert f'href="{mail.link}"' in mail.html
            assert mail.event["METHOD"] == "REQUEST"
            assert mail.event["ATTENDEE"] == f"mailto:{mail.to[0]}"
            assert mail.event["ORGANIZER"] == f"mailto:{CITY}"
            assert mail.event["DTSTART"].dt == datetime(2099, 8, 20, 16, tzinfo=UTC)
        assert german.link == f"{evening.server.url}/r/{evening.slug}.{done['token']}"
        page = await (await evening.browser()).get(urlsplit(german.link).path)
        assert page.status_code == 200
        assert "Müßig" in page.text


async def test_who_waits_is_told_the_place_in_line_and_moves_up_when_a_seat_becomes_free(tmp_path: Path, post: PostOffice) -> None:
    async with city(tmp_path, post, changed={"places": hall(seats=1)}) as evening:
        organiser = await evening.staff("organiser", "registrations")
        browser = await evening.browser()
        await register(evening, "Jürgen", JUERGEN)
        (seated,) = await post.come(JUERGEN)
        await register(evening, "Anna", ANNA)
        (first,) = await post.come(ANNA)
        await register(evening, "Ben", BEN, lang="en")
        (second,) = await post.come(BEN)
        assert first.subject == subject("waiting", position=1)
        assert second.subject == subject("waiting", "en", position=2)
        assert "1" in first.subject
        assert "2" in second.subject
        assert not first.has_calendar

        answer = await browser.post(urlsplit(seated.link).path, data={"name": "registration.cancel"})
        assert answer.status_code == 303
        _, cancelled = await post.come(JUERGEN, 2)
        _, moved_up = await post.come(ANNA, 2)
        assert cancelled.subject == subject("cancelled")
        assert moved_up.subject == subject("moved_up")
        assert cancelled.event["METHOD"] == "CANCEL"
        assert cancelled.event["STATUS"] == "CANCELLED"
        assert cancelled.event["UID"] == seated.event["UID"] != moved_up.event["UID"]
        assert cancelled.event["SEQUENCE"] > seated.event["SEQUENCE"]

        shown = await organiser.sees(lambda shown: (one := shown["registrations"]["registration/2"])["to_confirm"] and one)
        by = datetime.fromisoformat(shown["confirm_by"])
        assert timedelta(hours=47) < by - datetime.now(UTC) <= timedelta(hours=48)
        assert f", {by.astimezone(ZoneInfo('Europe/Berlin')):%H:%M}\n{moved_up.link}" in moved_up.text
        answer = await browser.post(urlsplit(moved_up.link).path, data={"name": "registration.confirm"})
        assert answer.status_code == 303
        await organiser.sees(lambda shown: shown["registrations"]["registration/2"]["confirm_by"] == "")
        await nothing_under_way(organiser)
        assert len(post.taken) == 5


async def test_a_new_date_reaches_every_calendar_and_access_data_only_who_has_a_seat(tmp_path: Path, post: PostOffice) -> None:
    access = {"de": "Eingang Nord, Kennwort Zeche", "en": "North entrance, password colliery"}
    async with city(tmp_path, post, changed={"places": hall(access=access, access_at="2099-08-20T12:00:00+02:00")}) as evening:
        organiser = await evening.staff("organiser", "registrations")
        for name, email, lang in (("Jürgen", JUERGEN, "de"), ("Zoe", ZOE, "en"), ("Anna", ANNA, "de"), ("Ben", BEN, "de")):
            await register(evening, name, email, lang=lang)
        before = [(await post.come(email))[0] for email in (JUERGEN, ZOE, ANNA, BEN)]
        assert not any("Zeche" in mail.text or "colliery" in mail.text for mail in before)

        moved = {"starts": "2099-09-03T19:00:00+02:00", "ends": "2099-09-03T21:00:00+02:00"}
        places = hall(access=access, access_at="2099-09-03T12:00:00+02:00", deadline="2099-09-02T12:00:00+02:00")
        await evening.server.command(evening.slug, "event.configure", programme=facts(evening.slug, **moved, places=places))
        assert await organiser.do("registration.postpone") == {"asked": 2, "told": 2}
        for old, email in zip(before[:2], (JUERGEN, ZOE), strict=True):
            _, postponed = await post.come(email, 2)
            assert postponed.event["UID"] == old.event["UID"]
            assert postponed.event["SEQUENCE"] > old.event["SEQUENCE"]
            assert postponed.event["METHOD"] == "REQUEST"
            assert postponed.event["DTSTART"].dt == datetime(2099, 9, 3, 17, tzinfo=UTC)
            assert postponed.subject == subject("postponed", "en" if email == ZOE else "de")
            answer = await (await evening.browser()).post(urlsplit(postponed.link).path, data={"name": "registration.confirm"})
            assert answer.status_code == 303
        for email in (ANNA, BEN):
            _, changed = await post.come(email, 2)
            assert changed.subject == subject("changed")

        soon = (datetime.now(UTC) + timedelta(seconds=2)).isoformat()
        places = hall(access=access, access_at=soon, deadline="2099-09-02T12:00:00+02:00")
        await evening.server.command(evening.slug, "event.configure", programme=facts(evening.slug, **moved, places=places))
        _, _, german = await post.come(JUERGEN, 3)
        _, _, english = await post.come(ZOE, 3)
        assert access["de"] in german.text
        assert access["en"] in english.text
        await nothing_under_way(organiser)
        assert len(post.taken) == 10, "one mail for each, and none of those for who waits"


async def test_an_example_goes_to_the_address_that_was_given(tmp_path: Path, post: PostOffice) -> None:
    async with city(tmp_path, post) as evening:
        organiser = await evening.staff("organiser", "registrations")
        for kind in ("seated", "moved_up", "refused"):
            await organiser.do("message.test", kind=kind, email="pressestelle@stadt.example", lang="en")
        mails = await post.come("pressestelle@stadt.example", 3)
        assert [mail.subject for mail in mails] == [subject(kind, "en") for kind in ("seated", "moved_up", "refused")]
        await nothing_under_way(organiser)
        helper = await evening.staff("helper")
        assert (await refusal(helper.do("message.test", kind="seated", email=ANNA))).code == "forbidden"


# Each exactly once.


async def test_no_mail_is_doubled_with_four_processes_that_send(tmp_path: Path, post: PostOffice) -> None:
    own = {"smtp_url": post.url, "mail_from": CITY, "mail_seconds": 20, "public_url": "https://dialog.example"}
    gate = post.gates["DATA"] = asyncio.Event()
    async with Installation(tmp_path, 2, **own) as town, AsyncExitStack() as stack:
        slug = await town.servers[0].event("registration", **FACTS)
        evenings = [await stack.enter_async_context(Evening(server, slug)) for server in town.servers]
        organiser = await evenings[0].staff("organiser", "registrations")
        async with working(*town.servers):
            people = [f"person-{number}@example.org" for number in range(PEOPLE)]
            pages = itertools.cycle(evenings)
            await asyncio.gather(*(register(next(pages), "Eine Bürgerin", email) for email in people))
            await post.until(lambda: len(post.taken) == 4)  # one from each process, before any of them is told that it was taken
            gate.set()
            await organiser.sees(lambda shown: shown["registrations"]["registrations"]["sent"] == PEOPLE)
        await stack.aclose()
        for server in town.servers:
            assert await asyncio.to_thread(server.stop) in (0, -signal.SIGTERM)
        assert sorted(mail.to for mail in post.mails()) == sorted((email,) for email in people)
        assert post.copies() == Counter(range(1, PEOPLE + 1))
        assert not any("Traceback" in server.said() for server in town.servers)


class Careless(Mailing):
    """Sends what is queued, without claiming it."""

    async def _send(self, desk: Desk, number: int) -> None:
        await self._handed_over(desk, number)


@pytest.mark.parametrize(("kind", "different"), [(Mailing, 2), (Careless, 1)], ids=["as it is", "control: nobody claims"])
async def test_two_who_send_at_the_same_time_send_different_messages(
    tmp_path: Path, post: PostOffice, kind: type[Mailing], different: int
) -> None:
    settings = Settings(data=str(tmp_path), smtp_url=post.url, mail_from=CITY, public_url="https://dialog.example")
    post.gates["DATA"] = asyncio.Event()
    async with AsyncExitStack() as stack:
        both = [await stack.enter_async_context(Desks(open_log(settings), settings)) for _ in range(2)]
        await admin.configure(both[0], msgspec.convert(facts("abend"), Programme), "registration")
        desks = [desk for desks in both if (desk := await desks.get("abend")) is not None]
        for number in range(2):
            wish = {"place": "hall", "name": "Eine Bürgerin", "email": f"person-{number}@example.org"}
            await desks[0].send("somebody", str(number), "registration.submit", msgspec.json.encode(wish))
        await desks[1].look()
        sending = [asyncio.create_task(kind(settings, desks).run()) for desks in both]
        await post.until(lambda: len(post.taken) == 2)
        assert len(post.copies()) == different
        for task in sending:
            task.cancel()
        post.gates["DATA"].set()
        await asyncio.gather(*sending, return_exceptions=True)


async def test_a_worker_that_dies_while_it_sends_leaves_the_message_to_people(tmp_path: Path, post: PostOffice) -> None:
    async with city(tmp_path, post, "--workers", "2") as evening:
        organiser = await evening.staff("organiser", "registrations")
        gate = post.gates["DATA"] = asyncio.Event()
        async with working(evening.server) as (worker,):
            await register(evening, "Anna", ANNA)
            await post.come(ANNA)
            worker.kill()
        gate.set()
        (message,) = await organiser.sees(lambda shown: in_state("sending", shown["registrations"]["registration/1"]))
        assert organiser.documents["registrations"]["registrations"]["queued"] == 1
        refused = await refusal(organiser.do("message.retry", message=message["number"]))
        assert (refused.code, refused.params) == ("wrong_message_state", {"state": "sending"})

        async with working(evening.server):
            await register(evening, "Ben", BEN)
            await post.come(BEN)
            await organiser.sees(lambda shown: shown["registrations"]["registrations"]["sent"] == 1)
        assert [mail.to for mail in post.mails()] == [(ANNA,), (BEN,)]
        assert in_state("sending", organiser.documents["registrations"]["registration/1"])


@pytest.mark.parametrize(("patience", "state"), [(ANSWERED_WITHIN, "sent"), (0.0, "sending")], ids=["as it is", "control"])
async def test_who_stops_sending_hears_first_what_becomes_of_the_message(
    tmp_path: Path, post: PostOffice, patience: float, state: str
) -> None:
    gate = post.gates["DATA"] = asyncio.Event()
    async with sending(tmp_path, post, drain_seconds=patience) as (desk, task):
        await desk.send("somebody", "1", "registration.submit", WISH)
        await post.come(ANNA)
        task.cancel()
        await asyncio.wait([task], timeout=0)
        gate.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert desk.event.messages.items[1].state == state


async def test_a_message_that_cannot_be_written_does_not_keep_others_from_being_sent(
    tmp_path: Path, post: PostOffice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(SUBJECTS, "seated")  # what a slip of ours would do
    async with sending(tmp_path, post) as (desk, _):
        await desk.send("somebody", "1", "registration.submit", WISH)
        await desk.send("system", "2", "message.test", msgspec.json.encode({"kind": "waiting", "email": BEN}))
        await post.come(BEN)
        failed = desk.event.messages.items[1]
        assert (failed.state, failed.reason) == ("failed", "KeyError")


@asynccontextmanager
async def sending(folder: Path, post: PostOffice, **own: Any) -> AsyncIterator[tuple[Desk, asyncio.Task[None]]]:
    """The desk of an event in this process, and the task that sends its messages."""
    settings = Settings(data=str(folder), smtp_url=post.url, mail_from=CITY, public_url="https://dialog.example", **own)
    async with Desks(open_log(settings), settings) as desks:
        await admin.configure(desks, msgspec.convert(facts("abend"), Programme), "registration")
        task = asyncio.create_task(Mailing(settings, desks).run())
        yield desks.open["abend"], task
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def in_state(state: str, registration: dict[str, Any]) -> list[dict[str, Any]]:
    """The messages to this person that are in this state."""
    return [message for message in registration["messages"] if message["state"] == state]


# The mail server is away.


async def test_while_the_mail_server_is_away_people_register_and_nothing_is_lost(tmp_path: Path) -> None:
    post = PostOffice()
    async with city(tmp_path, post) as evening:
        organiser = await evening.staff("organiser", "registrations")
        people = [f"person-{number}@example.org" for number in range(5)]
        for email in people:
            assert "token" in await register(evening, "Eine Bürgerin", email)
        waiting = await organiser.sees(lambda shown: tried(shown["registrations"], 5))
        assert organiser.documents["registrations"]["registrations"]["queued"] == 5
        assert {message["reason"] for message in waiting} == {"no connection"}

        async with post.running():
            post.answers[f"RCPT {people[1]}"] = f"550 5.1.1 <{people[1]}> unknown"
            for message in waiting:
                assert await organiser.do("message.retry", message=message["number"]) == {"state": "queued"}
            counts = await organiser.sees(
                lambda shown: (one := shown["registrations"]["registrations"])["sent"] == 4 and one["trouble"] == 1 and one
            )
            assert counts["queued"] == 0
            (failed,) = organiser.documents["registrations"]["registration/2"]["messages"]
            assert (failed["state"], failed["reason"]) == ("failed", "recipient refused: 550 5.1.1")
            assert sorted(mail.to[0] for mail in post.mails()) == sorted({*people} - {people[1]})

            post.answers.clear()
            await organiser.do("message.retry", message=failed["number"])
            await post.come(people[1])
            await organiser.sees(lambda shown: shown["registrations"]["registrations"]["trouble"] == 0)
            assert set(post.copies().values()) == {1}


def tried(shown: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """All messages, if so many wait and there was an attempt to send each."""
    all = [message for key, data in shown.items() if key.startswith("registration/") for message in data["messages"]]
    waiting = [message for message in all if message["state"] == "queued" and message["reason"]]
    return waiting if len(all) == len(waiting) == count else []


async def test_what_waits_is_sent_by_itself_when_its_time_has_come(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(messages, "RETRY", (0,))
    post = PostOffice()
    async with sending(tmp_path, post) as (desk, task):
        failed = asyncio.Event()
        desk.on_touched = lambda keys: failed.set() if desk.event.messages.items[1].reason else None
        await desk.send("somebody", "1", "registration.submit", WISH)
        await asyncio.wait_for(failed.wait(), ANSWERED_WITHIN)
        async with post.running():
            await post.come(ANNA)
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert desk.event.messages.items[1].state == "sent"
        assert post.copies() == {1: 1}
