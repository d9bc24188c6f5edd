"""Registering without JavaScript: the form, one's own page, the organisers' list, exports; and what robots and the curious get."""

from __future__ import annotations

import csv
import io
import re
import sqlite3
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import openpyxl
import pytest
from icalendar import Calendar

from rooms.entrance import keyed
from tests.flow.evening import Evening, refusal
from tests.flow.server import Server

HALL: dict[str, Any] = {
    "seats": 2, "keyword": "Digitalisierung 20.08.", "consents": ["picture"], "optional_consents": ["name"],
    "access": {"de": "Eingang am Hof", "en": "Entrance at the yard"},
}  # fmt: skip
FACTS: dict[str, Any] = {
    "starts": "2099-08-20T18:00:00+02:00", "ends": "2099-08-20T20:00:00+02:00", "places": {"hall": HALL}, "contact": "02305 1060",
}  # fmt: skip
HEADINGS = ["Nr.", "Ort", "Stand", "Eingegangen", "Weg", "Eingetragen", "Name", "E-Mail", "Telefon", "Personen"]


@pytest.fixture
async def evening(running: Server) -> AsyncIterator[Evening]:
    """An event that people register for."""
    before = len(running.said())
    async with Evening(running, await running.event("registration", **FACTS)) as evening:
        yield evening
    assert "Traceback" not in running.said()[before:], running.said()[before:]


async def form(evening: Evening, **fields: Any) -> tuple[httpx.AsyncClient, dict[str, Any]]:
    """Somebody's browser, and the form as it would send it."""
    browser = await evening.browser(**{"accept-language": "de"})
    page = (await browser.get(f"{evening.page}/register")).text
    hidden = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', page))
    return browser, hidden | {"args.name": "Anna Aal", "email": "anna@example.org", "consents[]": ["picture"]} | fields


async def registered(evening: Evening, **fields: Any) -> tuple[httpx.AsyncClient, str]:
    """Somebody's browser, and the path of their own page."""
    browser, given = await form(evening, **fields)
    answer = await browser.post(f"{evening.page}/register", data=given)
    assert answer.status_code == 303, answer.text
    return browser, answer.headers["location"].partition("?")[0]


async def test_the_form_leads_to_one_s_own_page_and_sent_twice_it_counts_once(evening: Evening) -> None:
    browser, given = await form(evening)
    first, again = [await browser.post(f"{evening.page}/register", data=given) for _ in range(2)]
    assert first.headers["location"] == again.headers["location"]
    own = await browser.get(first.headers["location"])
    assert "Sie haben einen Platz." in own.text
    assert "Eingang am Hof" in own.text
    assert own.headers["referrer-policy"] == "no-referrer"
    assert "noindex" in own.headers.get("x-robots-tag", "")


async def test_what_was_typed_is_kept_when_it_is_refused(evening: Evening) -> None:
    browser, given = await form(evening, email="anna@", phone="0234 1", **{"consents[]": ["name"]})
    answer = await browser.post(f"{evening.page}/register", data=given)
    assert answer.status_code == 422
    assert "Diese E-Mail-Adresse ist nicht vollständig." in answer.text
    assert 'aria-describedby="email-problem"' in answer.text
    for kept in ('value="Anna Aal"', 'value="anna@"', 'value="0234 1"', 'value="name" checked'):
        assert kept in answer.text
    assert 'value="picture" checked' not in answer.text


async def test_the_third_waits_and_moves_up_when_somebody_cancels(evening: Evening) -> None:
    people = [await registered(evening, email=f"{n}@example.org") for n in range(3)]
    browser, path = people[2]
    assert "Sie stehen auf der Warteliste, an dieser Stelle: 1" in (await browser.get(path)).text

    first, cancelled = people[0]
    assert (await first.post(cancelled, data={"name": "registration.cancel"})).status_code == 303
    assert "Ihre Anmeldung ist abgesagt." in (await first.get(cancelled)).text
    assert "Bitte bestätigen Sie ihn!" in (await browser.get(path)).text
    await browser.post(path, data={"name": "registration.confirm"})
    assert "Sie haben einen Platz." in (await browser.get(path)).text


async def test_one_s_own_page_corrects_withdraws_tells_all_and_deletes(evening: Evening) -> None:
    browser, path = await registered(evening)
    changed = {"set.name": "Anne Aal", "set.email": "anne@example.org", "set.phone": ""}
    await browser.post(path, data={"name": "registration.correct", **changed})
    await browser.post(path, data={"name": "registration.withdraw_consent", "purpose": "picture"})
    page = (await browser.get(path)).text
    assert "Anne Aal" in page
    assert "Widerrufen am" in page

    stored = (await browser.get(f"{path}/data.json")).json()
    assert stored["registration"]["email"] == "anne@example.org"
    assert [one["state"] for one in stored["registration"]["consents"]] == ["withdrawn", "missing"]
    calendar = Calendar.from_ical((await browser.get(f"{path}/calendar.ics")).content)
    assert [str(event["SUMMARY"]) for event in calendar.walk("VEVENT")] == ["Digitalisierung in Castrop-Rauxel"]

    assert (await browser.post(path, data={"name": "registration.erase"})).status_code == 303
    assert (await browser.get(path)).status_code == 409
    organiser = await evening.staff("organiser", "registrations")
    assert not [key for frame in organiser.heard if frame["t"] == "docs" for key in map(str, frame["put"]) if "Aal" in key]


async def test_whoever_asks_the_organisers_is_told_all_that_is_stored(evening: Evening) -> None:
    browser, path = await registered(evening)
    helper = await evening.browser(await evening.cookie("helper"))
    theirs = (await helper.get(f"{evening.page}/registrations/1.json")).json()
    assert theirs == (await browser.get(f"{path}/data.json")).json()
    assert (await helper.get(f"{evening.page}/registrations/2.json")).status_code in (404, 422)
    assert (await browser.get(f"{evening.page}/registrations/1.json")).status_code == 403


async def test_the_link_lets_nobody_do_more_than_its_own(evening: Evening) -> None:
    browser, path = await registered(evening)
    _, other = await registered(evening, email="b@example.org")
    assert (await browser.post(path, data={"name": "event.advance", "phase": "live"})).status_code == 403
    # Another number in a field changes nothing: the link says whose it is.
    await browser.post(path, data={"name": "registration.cancel", "registration": "2", "token": other.partition(".")[2]})
    assert "Sie haben einen Platz." in (await browser.get(other)).text
    for wrong in (path[:-1], path + "A", path.replace(".1.", ".2."), f"/r/{evening.slug}", "/r/no-such.1.A"):
        assert (await browser.get(wrong)).status_code in (404, 409)
        assert (await browser.get(f"{wrong}/data.json")).status_code in (404, 409)


@pytest.mark.parametrize("path", ["registrations", "registrations.csv", "registrations.xlsx", "registrations/print",
                                  "registrations/message?kind=seated"])  # fmt: skip
@pytest.mark.parametrize("role", ["moderator", "operator", None])
async def test_who_is_registered_is_only_for_helpers_and_organisers(evening: Evening, path: str, role: str | None) -> None:
    await registered(evening)
    browser = await evening.browser(await evening.cookie(role) if role else None)
    answer = await browser.get(f"{evening.page}/{path}")
    assert answer.status_code == 403
    assert "anna@" not in answer.text


async def test_a_call_is_typed_in_with_its_time_and_stands_where_it_came(evening: Evening) -> None:
    await registered(evening)
    helper = await evening.browser(await evening.cookie("helper"), **{"accept-language": "de"})
    call = {"name": "registration.submit", "way": "phone", "arrived_at": "2020-07-20T09:00:07+02:00", "place": "hall",
            "args.name": "Bilal Bär", "phone": "02305 1060", "party": "1", "consents[]": "picture",
            "back": f"{evening.page}/registrations"}  # fmt: skip
    assert (await helper.post(f"{evening.page}/do", data=call)).status_code == 303
    page = (await helper.get(f"{evening.page}/registrations")).text
    assert page.index("Bilal Bär") < page.index("Anna Aal")
    assert "20.07.2020 09:00:07" in page
    assert "spät eingetragen" in page

    refused = await helper.post(f"{evening.page}/do", data={**call, "phone": "kaputt"})
    assert refused.status_code == 422
    assert "Diese Telefonnummer ist nicht zu verstehen." in refused.text
    assert 'value="Bilal Bär"' in refused.text


async def test_the_list_filters_by_its_address(evening: Evening) -> None:
    for n, name in enumerate(("Anna Aal", "Bilal Bär", "Cem Çelik")):
        await registered(evening, email=f"{n}@example.org", **{"args.name": name})
    organiser = await evening.browser(await evening.cookie("organiser"))

    async def shown(query: str) -> list[bool]:
        page = (await organiser.get(f"{evening.page}/registrations?{query}")).text
        return [name in page for name in ("Anna Aal", "Bilal Bär", "Cem Çelik")]

    assert await shown("") == [True, True, True]
    assert await shown("q=bilal") == [False, True, False]
    assert await shown("status=waiting") == [False, False, True]
    assert await shown("way=phone") == [False, False, False]
    assert await shown("trouble=late") == [False, False, False]


async def test_the_export_proves_the_order_and_executes_nothing(evening: Evening) -> None:
    names = ("=HYPERLINK(\"https://evil.example\")", "+49 Anna", "@SUM(A1)", "-2+3", "Doğan; \"Ö\"")
    for n, name in enumerate(names):
        await registered(evening, email=f"{n}@example.org", **{"args.name": name})
    organiser = await evening.browser(await evening.cookie("organiser"), **{"accept-language": "de"})

    table = (await organiser.get(f"{evening.page}/registrations.csv")).content.decode("utf-8-sig")
    rows = list(csv.reader(io.StringIO(table), delimiter=";"))
    assert rows[0][:10] == HEADINGS
    assert [row[0] for row in rows[1:]] == ["1", "2", "3", "4", "5"]
    assert [row[6] for row in rows[1:]] == [f"'{name}" for name in names[:4]] + [names[4]]
    assert [row[2] for row in rows[1:]] == ["hat einen Platz"] * 2 + ["auf der Warteliste"] * 3
    assert all(re.fullmatch(r"\d\d\.\d\d\.\d{4} \d\d:\d\d:\d\d", row[3]) for row in rows[1:])

    book = openpyxl.load_workbook(io.BytesIO((await organiser.get(f"{evening.page}/registrations.xlsx")).content))
    sheet = book.worksheets[0]
    assert [cell.value for cell in sheet[1]][:10] == HEADINGS
    assert {cell.data_type for column in ("G", "H") for cell in sheet[column]} == {"s"}
    printed = (await organiser.get(f"{evening.page}/registrations/print")).text
    assert "Doğan" in printed
    assert "@example.org" not in printed, "the sheet at the door shows no addresses"


async def test_every_message_can_be_seen_before_it_is_sent(evening: Evening) -> None:
    organiser = await evening.browser(await evening.cookie("organiser"), **{"accept-language": "de"})
    for kind in ("seated", "waiting", "moved_up", "cancelled", "postponed", "access", "reminder", "thanks", "refused"):
        page = await organiser.get(f"{evening.page}/registrations/message?kind={kind}&lang=en")
        assert page.status_code == 200
        assert "Good day Maria Muster" in page.text
        html = await organiser.get(f"{evening.page}/registrations/message?kind={kind}&lang=de&part=html")
        assert "Guten Tag Maria Muster" in html.text
        assert "default-src 'none'" in html.headers["content-security-policy"]
    assert (await organiser.get(f"{evening.page}/registrations/message?kind=no-such")).status_code == 422


# Robots.


async def test_a_program_is_told_apart_without_a_puzzle_and_people_lose_nothing(serve: Callable[..., Server]) -> None:
    server = serve(form_seconds=3.0)
    async with Evening(server, await server.event("registration", **FACTS)) as evening:
        browser, given = await form(evening)
        for changed, words in (
            ({}, "schneller, als Menschen sind"),
            ({"website": "https://spam.example"}, "als hätte ein Programm es ausgefüllt"),
            ({"made": ""}, "zu lange offen"),
            ({"made": "1.AAAAAAAAAAAA"}, "zu lange offen"),
        ):
            answer = await browser.post(f"{evening.page}/register", data=given | changed)
            assert answer.status_code in (409, 422)
            assert words in answer.text
            assert 'value="Anna Aal"' in answer.text
        with sqlite3.connect(server.database) as database:
            (secret,) = database.execute("SELECT secret FROM events WHERE slug = ?", [evening.slug]).fetchone()
        second = int(given["made"].partition(".")[0]) - 10  # as somebody who has taken ten seconds
        given["made"] = f"{second}.{keyed(secret, f'form/{second}', 12)}"
        assert (await browser.post(f"{evening.page}/register", data=given)).status_code == 303


async def test_one_address_cannot_take_all_seats(serve: Callable[..., Server]) -> None:
    server = serve(register_burst=3)
    async with Evening(server, await server.event("registration", **FACTS)) as evening:
        answers = []
        for n in range(6):
            browser, given = await form(evening, email=f"{n}@example.org")
            answers.append((await browser.post(f"{evening.page}/register", data=given)).status_code)
        assert answers == [303] * 3 + [429] * 3


# Deleting.


async def test_personal_data_are_deleted_when_their_date_has_come_and_not_before(serve: Callable[..., Server]) -> None:
    server = serve()
    past = FACTS | {"starts": "2020-08-20T18:00:00+02:00", "ends": "2020-08-20T20:00:00+02:00"}
    slugs = [await server.event("live", **facts) for facts in (past, FACTS)]
    for slug in slugs:
        async with Evening(server, slug) as evening:
            helper = await evening.staff("helper")
            await helper.do("registration.submit", place="hall", name="Anna Aal", email="anna@example.org", present=True,
                            consents=["picture"])  # fmt: skip
    server.stop()

    deleted = "deleted what was known of 1 registrations, 0 letters, 0 others, 0 messages, and the notes of 0 small groups"
    assert server.plenum("retain").splitlines() == [f"{slugs[0]}: {deleted}"]

    with sqlite3.connect(server.database) as database:
        people = database.execute("SELECT slug, person FROM people JOIN events ON id = event").fetchall()
        log = database.execute("SELECT slug, changes FROM log JOIN events ON id = event").fetchall()
    assert {slug for slug, _ in people} == {slugs[1]}
    assert [b'"email":"' in changes for slug, changes in log if b'"registered"' in changes] == [False, True], "fingerprints"
    server.start()
    async with Evening(server, slugs[0]) as evening:
        organiser = await evening.staff("organiser", "registrations")
        (counts,) = [put["data"]["places"] for frame in organiser.heard if frame["t"] == "docs" for put in frame["put"]
                     if put["key"] == "registrations"]  # fmt: skip
        assert [(one["taken"], one["here"]) for one in counts] == [(1, 1)]
        assert (await refusal(organiser.do("registration.cancel", registration=1))).code == "unknown_registration"
    assert "2099" not in server.plenum("retain", slugs[1]), "asked for by name it is meant"
    assert server.plenum("retain", "no-such", status=1)
