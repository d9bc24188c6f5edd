"""Mail from end to end: what people are told and when, each exactly once, and letters that become registrations in their order."""

from __future__ import annotations

import asyncio
import itertools
import signal
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
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
from live.letter import Letter
from live.mailing import Mailing
from live.reading import Reading
from live.settings import Settings
from rooms import messages
from rooms.programme import Programme
from tests.flow.correspondence import (
    CITY,
    FACTS,
    KEYWORD,
    Letterbox,
    PostOffice,
    city,
    facts,
    hall,
    nothing_under_way,
    register,
    subject,
    working,
    written,
)
from tests.flow.evening import ANSWERED_WITHIN, Evening, Person, refusal
from tests.flow.installation import Installation
from tests.live.post_engines import Dovecot, Wire

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


async def test_a_mail_server_that_hangs_up_between_two_messages_gets_both(tmp_path: Path, post: PostOffice) -> None:
    async with city(tmp_path, post, mail_from=f"Stadt Castrop-Rauxel <{CITY}>") as evening:
        organiser = await evening.staff("organiser", "registrations")
        await register(evening, "Anna", ANNA)
        await post.come(ANNA)
        await nothing_under_way(organiser)
        post.hang_up()
        await register(evening, "Jörg", "joerg@bücher.example")  # whoever has such an address has a provider for it
        (mail,) = await post.come("joerg@xn--bcher-kva.example")
        await nothing_under_way(organiser)
        assert organiser.documents["registrations"]["registrations"]["sent"] == 2
        assert post.copies() == {1: 1, 2: 1}
        assert mail.message["From"].addresses[0].display_name == "Stadt Castrop-Rauxel"
        assert str(mail.message["Message-ID"]).endswith("@stadt.example>")
        assert mail.event["ORGANIZER"] == f"mailto:{CITY}"


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


# Letters.


@pytest.fixture
async def box(tmp_path: Path) -> AsyncIterator[Letterbox]:
    dovecot = Dovecot(tmp_path / "dovecot")
    await asyncio.to_thread(dovecot.start)
    yield Letterbox(dovecot)
    dovecot.stop()


async def test_letters_register_in_the_order_of_their_arrival_and_between_them_the_web(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    now = datetime.now(UTC)
    async with city(tmp_path, post, imap_url=box.dovecot.url, mail_seconds=1, changed={"places": hall(seats=1)}) as evening:
        organiser = await evening.staff("organiser", "registrations")
        await register(evening, "Jürgen", JUERGEN)
        box.dovecot.stop()
        assert (await register(evening, "Web", "web@example.org"))["position"] == 1
        box.drop(
            (written("Drei <drei@example.org>", KEYWORD), now + timedelta(minutes=1)),
            (written("Zwei <zwei@example.org>", KEYWORD), now - timedelta(hours=1)),
            (written("Eins <eins@example.org>", KEYWORD), now - timedelta(hours=2)),
        )
        await asyncio.to_thread(box.dovecot.start)
        for address, position in (("eins@example.org", 1), ("zwei@example.org", 2), ("drei@example.org", 4)):
            (mail,) = await post.come(address)
            assert mail.subject == subject("waiting", position=position)
        await organiser.sees(lambda shown: shown["registrations"]["registrations"]["sent"] == 5)
        people = registered(organiser)
        assert sorted(people, key=lambda email: people[email]["arrived"]) == [
            "eins@example.org", "zwei@example.org", JUERGEN, "web@example.org", "drei@example.org"
        ]  # fmt: skip
        assert people["eins@example.org"]["way"] == "email"
        assert people["eins@example.org"]["arrived"] == f"{now - timedelta(hours=2):%Y-%m-%dT%H:%M:%SZ}"
        assert people["web@example.org"]["way"] == "web"

        await organiser.do("registration.cancel", registration=people[JUERGEN]["number"])
        _, moved_up = await post.come("eins@example.org", 2)
        assert moved_up.subject == subject("moved_up")


def registered(organiser: Person) -> dict[str, Any]:
    """Everybody who has registered, by address."""
    return {data["email"]: data for key, data in organiser.documents["registrations"].items() if key.startswith("registration/")}


async def test_what_is_clear_is_done_at_once_and_the_rest_waits_for_a_person(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    places = {**hall(seats=20), "conference": {"seats": 20, "keyword": "Konferenz 20.08."}}
    html = f"<html><body><p>Guten Tag,</p><p>bitte um einen Platz: <b>{KEYWORD}</b></p></body></html>"
    asked = datetime.now(UTC) - timedelta(minutes=10)
    async with city(tmp_path, post, imap_url=box.dovecot.url, changed={"places": places}) as evening:
        organiser = await evening.staff("organiser", "registrations")
        box.put(written("Subjekt <subjekt@example.org>", "Re: DIGITALISIERUNG 2008"))
        box.put(written("Text <text@example.org>", "Anmeldung", f"Guten Tag,\n\nich komme zu {KEYWORD}\n"))
        box.put(written("Html <html@example.org>", "Anmeldung", html=html))
        box.put(written("Leer <leer@example.org>", "Anmeldung", "Ich möchte gern kommen."), asked)
        box.put(written("Beide <beide@example.org>", KEYWORD, "oder zur Konferenz 20.08."))
        for address in ("subjekt@example.org", "text@example.org", "html@example.org"):
            (mail,) = await post.come(address)
            assert mail.subject == subject("seated")
        shown = await organiser.sees(lambda shown: (one := shown["registrations"])["registrations"]["mails"] == 2 and one)
        waiting = {data["email"]: data for key, data in shown.items() if key.startswith("mail/") and data["open"]}
        assert {email: data["verdict"] for email, data in waiting.items()} == {
            "leer@example.org": "no_keyword", "beide@example.org": "several_keywords"
        }  # fmt: skip

        letter = waiting["leer@example.org"]
        wish = {"name": letter["name"], "email": letter["email"], "way": "email", "arrived_at": letter["arrived"]}
        done = await organiser.do("registration.submit", place="conference", **wish)
        await organiser.do("mail.settle", mail=letter["number"], registration=done["number"])
        await post.come("leer@example.org")
        await organiser.sees(lambda shown: shown["registrations"]["registrations"]["mails"] == 1)
        people = registered(organiser)
        assert people["leer@example.org"]["arrived"] == f"{asked:%Y-%m-%dT%H:%M:%SZ}"
        assert people["leer@example.org"]["late"]
        await nothing_under_way(organiser)
        assert len(post.taken) == 4


BROKEN = [
    b"",
    b"\r\n",
    b"no header at all",
    b"From: \xff\xfe <broken@example.org>\r\nSubject: =?utf-8?B?////?= =?x-unknown?Q?=FF?=\r\n\r\n\xff\xfe\xfd",
    b"From: Two <one@example.org>\r\nFrom: Other <two@example.org>\r\nSubject: " + KEYWORD.encode() + b"\r\n\r\nx",
    b"From: one@example.org, two@example.org\r\nSubject: " + KEYWORD.encode() + b"\r\n\r\nx",
    b"From: \"" + b"x" * 100_000 + b"\" <long@example.org>\r\n\r\nx",
    b"From: =?utf-8?Q?Eve=0D=0ABcc:_victim@example.org?= <eve@example.org>\r\nSubject: no\r\n\r\nx",
    b"From: Mime <mime@example.org>\r\nContent-Type: multipart/mixed; boundary=x\r\n\r\n--x\r\n--x\r\n\r\n--y",
    b"From: B64 <b64@example.org>\r\nContent-Type: text/plain; charset=nonsense\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
    b"From: Punycode <p@example.org>\r\nContent-Type: text/plain; charset=punycode\r\n\r\n" + b"a-" * 1000,
    b"From: Deep <deep@example.org>\r\n" + b"".join(
        b"Content-Type: multipart/mixed; boundary=b%d\r\n\r\n--b%d\r\n" % (depth, depth) for depth in range(500)
    ),
    b"From: Html <html@example.org>\r\nContent-Type: text/html\r\n\r\n" + b"<" * 100_000 + b"<![if gte mso 9]>",
]  # fmt: skip


async def test_whatever_is_in_a_letter_none_is_lost_and_nothing_breaks(tmp_path: Path, post: PostOffice, box: Letterbox) -> None:
    message = message_from_bytes(written("Groß <gross@example.org>", KEYWORD, "Bild anbei"), policy=policy.default)
    assert isinstance(message, EmailMessage)
    message.add_attachment(bytes(10_000_000), "image", "png", filename="bild.png")
    nul = b"From: Nul <nul@example.org>\r\nSubject: Digitalisierung\0 20.08.\r\n\r\nGuten\0 Tag\0\r\n"
    async with city(tmp_path, post, imap_url=box.dovecot.url, mail_seconds=20) as evening:
        organiser = await evening.staff("organiser", "registrations")
        box.drop(*((raw, datetime.now(UTC)) for raw in (*BROKEN, nul)))
        await asyncio.to_thread(box.put, message.as_bytes())
        box.put(written("Zuletzt <zuletzt@example.org>", KEYWORD))
        await post.come("gross@example.org")
        await post.come("zuletzt@example.org")
        letters = await organiser.sees(lambda shown: all_letters(shown, len(BROKEN) + 3))
        await nothing_under_way(organiser)
        assert all(letter["open"] for letter in letters if letter["verdict"] != "registered")
        by = {letter["email"]: letter["verdict"] for letter in letters}
        assert by["gross@example.org"] == by["zuletzt@example.org"] == "registered"
        assert by["nul@example.org"] in ("registered", "no_keyword")
        assert set(by.values()) <= {"registered", "no_keyword", "unusable"}
        assert {mail.to for mail in post.mails()} <= {(email,) for email, verdict in by.items() if verdict == "registered"}
        assert all(b"$PlenumDone" in flags for flags in box.flags())


def all_letters(shown: dict[str, Any], count: int) -> list[dict[str, Any]]:
    """Those in the tray, if there are so many."""
    letters = [data for key, data in shown["registrations"].items() if key.startswith("mail/")]
    return letters if len(letters) == count else []


async def test_robots_are_answered_three_times_at_most_and_those_that_say_so_never(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    async with city(tmp_path, post, imap_url=box.dovecot.url, mail_seconds=20) as evening:
        organiser = await evening.staff("organiser", "registrations")
        box.put(written("Rüpel <robot@example.org>", KEYWORD))
        box.put(written("Höflich <polite@example.org>", KEYWORD))
        async with asyncio.TaskGroup() as tasks:
            rude = tasks.create_task(answering(post, box, "robot@example.org"))
            polite = tasks.create_task(answering(post, box, "polite@example.org", Auto_Submitted="auto-replied"))
            # The one that was registered, three answers to what came then, and the letter that is left for people.
            left = await organiser.sees(lambda shown: [one for one in letters_of(shown, "robot") if one["open"]])
            assert [(one["verdict"], one["answered"]) for one in left] == [("refused", False)]
            await organiser.sees(lambda shown: len(letters_of(shown, "polite")) == 2)
            await nothing_under_way(organiser)
            rude.cancel()
            polite.cancel()
        assert [one["verdict"] for one in letters_of(organiser.documents, "robot")] == ["registered", *4 * ["refused"]]
        assert [one["verdict"] for one in letters_of(organiser.documents, "polite")] == ["registered", "automatic"]
        assert len(post.mails("robot@example.org")) == 1 + 3
        assert len(post.mails("polite@example.org")) == 1


async def answering(post: PostOffice, box: Letterbox, address: str, **headers: str) -> None:
    """A robot that answers each of our mails at once, with the keyword in it."""
    for count in itertools.count(1):
        await post.come(address, count)
        id = f"{count}-{address.replace('@', '-')}"
        box.put(written(address, f"Danke! {KEYWORD}", "Ihre Nachricht ist angekommen.", id=id, **headers))


def letters_of(shown: dict[str, Any], mailbox: str) -> list[dict[str, Any]]:
    """Those in the tray from this address, in their order."""
    all = [data for key, data in shown["registrations"].items() if key.startswith("mail/")]
    return sorted((one for one in all if one["email"].startswith(mailbox)), key=lambda one: one["number"])


BOUNCE = """From: Mail Delivery System <MAILER-DAEMON@mx.example>
To: {city}
Subject: Undelivered Mail Returned to Sender
Auto-Submitted: auto-replied
Message-ID: <{id}@mx.example>
MIME-Version: 1.0
Content-Type: multipart/report; report-type=delivery-status; boundary=b

--b
Content-Type: text/plain

{keyword} could not be delivered.

--b
Content-Type: message/delivery-status

Reporting-MTA: dns; mx.example

Final-Recipient: rfc822; {address}
Action: failed
Status: 5.1.1

--b
Content-Type: text/rfc822-headers

Message-ID: {message}

--b--
"""


async def test_a_message_that_comes_back_is_shown_as_failed_and_a_forged_return_changes_nothing(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    async with city(tmp_path, post, imap_url=box.dovecot.url, mail_seconds=20) as evening:
        organiser = await evening.staff("organiser", "registrations")
        await register(evening, "Anna", ANNA)
        await register(evening, "Ben", BEN)
        (anna,), (ben,) = await post.come(ANNA), await post.come(BEN)
        await nothing_under_way(organiser)
        forged = str(ben.message["Message-ID"]).replace(f"{evening.slug}.2.", f"{evening.slug}.2.X")
        for id, address, message in (("1", BEN, forged), ("2", ANNA, anna.message["Message-ID"])):
            text = BOUNCE.format(city=CITY, id=id, keyword=KEYWORD, address=address, message=message)
            box.put(text.replace("\n", "\r\n").encode())
        (failed,) = await organiser.sees(lambda shown: in_state("failed", shown["registrations"]["registration/1"]))
        assert failed["reason"] == "came back undelivered"
        assert organiser.documents["registrations"]["registrations"]["trouble"] == 1
        letters = await organiser.sees(lambda shown: letters_of(shown, ""))
        assert [(one["verdict"], one["answered"]) for one in letters] == [("automatic", False)], "the forged one"
        assert in_state("sent", organiser.documents["registrations"]["registration/2"])
        assert len(post.taken) == 2


async def test_the_same_letter_twice_is_one_registration_and_one_answer(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    async with city(tmp_path, post, imap_url=box.dovecot.url, mail_seconds=20) as evening:
        organiser = await evening.staff("organiser", "registrations")
        for _ in range(2):
            box.put(written("Anna <anna@example.org>", KEYWORD, id="einmal"))
        await organiser.sees(lambda shown: [one["verdict"] for one in letters_of(shown, "anna")] == ["registered", "duplicate"])
        await post.come(ANNA)
        await nothing_under_way(organiser)
        assert len(post.taken) == 1
        assert len(registered(organiser)) == 1
        assert organiser.documents["registrations"]["registrations"]["mails"] == 0


async def test_a_letter_that_no_event_can_take_stays_unread_until_one_can(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    box.put(written("Anna <anna@example.org>", KEYWORD))
    async with AsyncExitStack() as stack:
        wire = await stack.enter_async_context(Wire(box.dovecot.port).running())
        through = box.dovecot.url.replace(str(box.dovecot.port), str(wire.port))
        evening = await stack.enter_async_context(city(tmp_path, post, phase="draft", imap_url=through, mail_seconds=1))
        await wire.until(b"INTERNALDATE", times=3)  # read, left alone, and read again
        assert not any(flag in box.flags()[0] for flag in (b"\\Seen", b"$PlenumDone"))
        organiser = await evening.staff("organiser", "registrations")
        await organiser.do("event.advance", phase="registration")
        await post.come(ANNA)
        await wire.until(b"OK Store completed")
        assert all(flag in box.flags()[0] for flag in (b"\\Seen", b"$PlenumDone"))


class Faulty(Reading):
    """Has a bug that one of the letters meets."""

    async def _take(self, letter: Letter) -> None:
        if letter.name == "Gift":
            raise KeyError
        await super()._take(letter)


async def test_after_a_start_letters_go_to_the_event_whose_keyword_they_have_and_none_blocks_the_others(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    """Only one event is open yet: the other one."""
    url, data = "https://dialog.example", str(tmp_path / "data")
    settings = Settings(data=data, smtp_url=post.url, mail_from=CITY, public_url=url, imap_url=box.dovecot.url)
    box.put(written("Gift <gift@example.org>", KEYWORD), datetime.now(UTC) - timedelta(hours=1))
    box.put(written("Anna <anna@example.org>", KEYWORD))
    async with Desks(open_log(settings), settings) as before:
        await admin.configure(before, msgspec.convert(facts("abend"), Programme), "registration")
        later = facts("anderer", starts="2098-08-20T18:00:00+02:00", places=hall(keyword="Mobilität", deadline=""))
        await admin.configure(before, msgspec.convert(later, Programme), "registration")
    async with Desks(open_log(settings), settings) as desks:
        await desks.get("anderer")
        tasks = [asyncio.create_task(job) for job in (Faulty(settings, desks).run(), Mailing(settings, desks).run())]
        (mail,) = await post.come(ANNA)
        assert "/r/abend." in mail.link
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    assert [b"Seen" in flags for flags in box.flags()] == [False, True]


# What people type.


async def test_no_name_and_no_address_adds_a_header_or_somebody_to_write_to(
    tmp_path: Path, post: PostOffice, box: Letterbox
) -> None:
    names = [
        "Eve\r\nBcc: victim@example.org", "Eve\nSubject: Gewonnen", "Eve\r\n\r\nText", "Eve\u2028Bcc: victim@example.org",
        '"Eve" <victim@example.org>, x', "=?utf-8?Q?Eve=0D=0ABcc:_victim@example.org?=", "Eve\x00\x0b\x1c\x85Bcc: x", "🦊" * 60,
    ]  # fmt: skip
    letter = "From: =?utf-8?Q?Eve=0D=0ABcc:_victim@example.org?= <letter@example.org>\r\nSubject: "
    letter += "=?utf-8?Q?Digitalisierung_20.08.=0D=0ABcc:_victim@example.org?=\r\n\r\n"
    async with city(tmp_path, post, imap_url=box.dovecot.url, changed={"places": hall(seats=50)}) as evening:
        organiser = await evening.staff("organiser", "registrations")
        for number, name in enumerate(names):
            await register(evening, name, f"eve-{number}@example.org")
        for email in ("eve@example.org\r\nBcc: victim@example.org", "eve@example.org\nvictim@example.org",
                      "eve@example.org, victim@example.org", "<eve@example.org>\r\nRCPT TO:<victim@example.org>"):  # fmt: skip
            assert (await refusal(register(evening, "Eve", email))).code == "wrong_email"
        box.put(letter.encode())
        await post.come("letter@example.org")
        await organiser.sees(lambda shown: shown["registrations"]["registrations"]["sent"] == len(names) + 1)
        ours = {
            "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "MIME-Version",
            "Content-Type", "Content-Language",
        }  # fmt: skip
        for mail in post.mails():
            assert {*mail.message.keys()} == ours
            assert [address.addr_spec for address in mail.message["To"].addresses] == list(mail.to)
            assert mail.subject == subject("seated")
        assert not post.mails("victim@example.org")
