"""What a calendar reads out of an invitation."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st
from icalendar import Alarm, Calendar, Event, Timezone

from frontend.invitation import BERLIN, invitation

NOW = 1_777_800_000_123
ASKED: dict[str, Any] = {
    "uid": "abend-7-anna@stadt.example",
    "sequence": 0,
    "method": "REQUEST",
    "starts": "2027-05-03T18:00:00+02:00",
    "ends": "2027-05-03T20:30:00+02:00",
    "now": NOW,
    "title": "Radwege; Gehwege, Plätze",
    "place": "Rathaus, Großer Saal\\1. Stock",
    "text": "Guten Tag Anna,\n\nwir laden Sie ein.",
    "address": "https://stadt.example/p/abc?x=1&y=2",
    "organiser": "dialog@stadt.example",
    "attendee": ("Anna Groß", "anna@example.org"),
}


def calendar(**changed: Any) -> Any:
    return Calendar.from_ical(invitation(**{**ASKED, **changed}))


def event(**changed: Any) -> Any:
    (found,) = calendar(**changed).walk("VEVENT")
    assert isinstance(found, Event)
    return found


def test_an_invitation_says_what_when_where_and_to_whom() -> None:
    found = event()
    assert found["UID"] == "abend-7-anna@stadt.example"
    assert found["SEQUENCE"] == 0
    assert found["STATUS"] == "CONFIRMED"
    assert found["SUMMARY"] == "Radwege; Gehwege, Plätze"
    assert found["LOCATION"] == "Rathaus, Großer Saal\\1. Stock"
    assert found["DESCRIPTION"] == "Guten Tag Anna,\n\nwir laden Sie ein."
    assert found["URL"] == "https://stadt.example/p/abc?x=1&y=2"
    assert found["ORGANIZER"] == "mailto:dialog@stadt.example"
    assert found["ATTENDEE"] == "mailto:anna@example.org"
    assert found["ATTENDEE"].params["CN"] == "Anna Groß"
    assert found["DTSTAMP"].dt == datetime.fromtimestamp(NOW // 1000, UTC)
    whole = calendar()
    assert (whole["METHOD"], whole["VERSION"]) == ("REQUEST", "2.0")
    assert whole.errors == found.errors == []


def test_its_times_are_those_of_berlin() -> None:
    raw = invitation(**{**ASKED, "starts": "2027-01-03T17:00:00+00:00", "ends": "2027-01-03T20:30:00+02:00"})
    assert b"DTSTART;TZID=Europe/Berlin:20270103T180000\r\n" in raw
    assert b"DTEND;TZID=Europe/Berlin:20270103T193000\r\n" in raw
    assert raw.index(b"TZID:Europe/Berlin") < raw.index(b"BEGIN:VEVENT")
    assert event()["DTSTART"].dt == datetime.fromisoformat("2027-05-03T18:00:00+02:00")


def test_the_rules_of_its_time_zone_are_those_of_the_time_zone() -> None:
    """As a calendar applies them that knows nothing else; every six hours for ten years."""
    component = Timezone.from_ical(BERLIN.replace(b"TZID:Europe/Berlin", b"TZID:described"))
    assert isinstance(component, Timezone)
    described = component.to_tz(lookup_tzid=False)
    berlin, moment = ZoneInfo("Europe/Berlin"), datetime(2026, 1, 1, 0, 30, tzinfo=UTC)
    while moment.year < 2036:
        local = moment.astimezone(berlin).replace(tzinfo=None)
        assert local.replace(tzinfo=described).utcoffset() == local.replace(tzinfo=berlin).utcoffset(), local
        moment += timedelta(hours=6)


def test_an_event_that_is_moved_updates_itself() -> None:
    before, after = event(), event(sequence=1, starts="2027-05-04T18:00:00+02:00", ends="2027-05-04T20:00:00+02:00", now=NOW + 5000)
    assert after["UID"] == before["UID"]
    assert after["SEQUENCE"] > before["SEQUENCE"]
    assert after["DTSTAMP"].dt > before["DTSTAMP"].dt
    assert after["DTSTART"].dt - before["DTSTART"].dt == timedelta(days=1)


def test_a_cancellation_takes_the_same_event_back() -> None:
    found, whole = event(method="CANCEL", sequence=2), calendar(method="CANCEL", sequence=2)
    assert (found["UID"], found["SEQUENCE"], found["STATUS"]) == (ASKED["uid"], 2, "CANCELLED")
    assert whole["METHOD"] == "CANCEL"
    assert whole.walk("VALARM") == []


def test_calendars_remind_of_it_a_day_before() -> None:
    (alarm,) = calendar().walk("VALARM")
    assert isinstance(alarm, Alarm)
    assert timedelta(days=-1) == alarm.TRIGGER
    assert (alarm["ACTION"], alarm["DESCRIPTION"]) == ("DISPLAY", ASKED["title"])


EVIL = 'Anna"\r\nATTENDEE:mailto:evil@example.com\r\nEND:VEVENT\r\n;CN=x:y,z\\n\u2028\u0085\x00\ud800^n^\''


def properties(raw: bytes) -> list[bytes]:
    """The names in front of its lines."""
    return [line.partition(b":")[0].partition(b";")[0] for line in raw.replace(b"\r\n ", b"").split(b"\r\n")]


@pytest.mark.parametrize("field", ["uid", "title", "place", "text", "address", "organiser", "name", "email"])
def test_nothing_in_it_begins_a_line_of_its_own(field: str) -> None:
    changed = {"name": {"attendee": (EVIL, "anna@example.org")}, "email": {"attendee": ("Anna", EVIL)}}.get(field, {field: EVIL})
    raw = invitation(**{**ASKED, **changed})
    harmless = invitation(**ASKED)
    assert properties(raw) == properties(harmless)
    assert not any(byte < 32 for line in raw.split(b"\r\n") for byte in line)


@given(st.text(), st.text(), st.text())
def test_any_text_leaves_one_readable_event(title: str, text: str, name: str) -> None:
    found = event(title=title, text=text, attendee=(name, "anna@example.org"))
    assert found["ATTENDEE"] == "mailto:anna@example.org"
    assert len(found["SUMMARY"].split()) <= len(title)


@given(st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1))
def test_any_title_is_read_back(title: str) -> None:
    assert event(title=title)["SUMMARY"] == title


def test_a_quotation_mark_in_a_name_needs_no_calendar_that_knows_rfc_6868() -> None:
    assert event(attendee=('Anna "die Rote"', "anna@example.org"))["ATTENDEE"].params["CN"] == "Anna 'die Rote'"


def test_long_lines_are_folded_between_characters() -> None:
    raw = invitation(**{**ASKED, "title": "ß€😀" * 100})
    assert max(map(len, raw.split(b"\r\n"))) <= 75
    for line in raw.split(b"\r\n"):
        line.decode()


@pytest.mark.parametrize("ends", ["2027-05-03T18:00:00+02:00", "2027-05-03T16:30:00+01:00"])
def test_an_end_that_is_not_after_the_beginning_is_left_out(ends: str) -> None:
    assert "DTEND" not in event(ends=ends)


def test_who_has_no_page_gets_no_address_of_one() -> None:
    assert "URL" not in event(address="")


@pytest.mark.parametrize(
    "changed",
    [
        {"starts": "2027-05-03T18:00:00"},
        {"ends": "2027-05-03T20:30:00"},
        {"starts": "morgen"},
    ],
)
def test_times_that_are_none_are_refused(changed: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        invitation(**{**ASKED, **changed})
