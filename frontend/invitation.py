"""An invitation for calendars (iCalendar, RFC 5545), sent by mail (iTIP, RFC 5546): a later version updates an earlier one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal
from unicodedata import category
from zoneinfo import ZoneInfo

from icalendar import Alarm, Calendar, Event, Timezone, vCalAddress

REMINDER = timedelta(days=-1)
"""When calendars remind of it, from its beginning."""
BERLIN = b"""BEGIN:VTIMEZONE
TZID:Europe/Berlin
BEGIN:DAYLIGHT
DTSTART:19810329T020000
RRULE:FREQ=YEARLY;BYMONTH=3;BYDAY=-1SU
TZNAME:CEST
TZOFFSETFROM:+0100
TZOFFSETTO:+0200
END:DAYLIGHT
BEGIN:STANDARD
DTSTART:19961027T030000
RRULE:FREQ=YEARLY;BYMONTH=10;BYDAY=-1SU
TZNAME:CET
TZOFFSETFROM:+0200
TZOFFSETTO:+0100
END:STANDARD
END:VTIMEZONE
"""
"""German time since 1996, as Directive 2000/84/EC has it; icalendar would make one that ends in a few years."""


Method = Literal["REQUEST", "CANCEL"]


def invitation(
    *,
    uid: str,
    sequence: int,
    method: Method,
    starts: str,
    ends: str,
    now: int,
    title: str,
    place: str,
    text: str,
    address: str,
    organiser: str,
    attendee: tuple[str, str],
) -> bytes:
    """An iCalendar object with one event for one person. It goes out as `text/calendar; charset=utf-8; method=…` with this method.

    uid: the same for ever; sequence: counts what changes (RFC 5546 section 2.1.4). starts, ends: ISO 8601 with an offset.
    now: ms since the epoch. address: the URL of the person's page, or "". organiser: e-mail, or "". attendee: name, e-mail or "".
    Raises ValueError for times without an offset.
    """
    begin, end = _berlin(starts), _berlin(ends)
    stamp = datetime.fromtimestamp(now / 1000, UTC).replace(microsecond=0)
    event = Event()
    event.add("uid", _line(uid))
    event.add("sequence", sequence)
    event.add("dtstamp", stamp)
    event.add("last-modified", stamp)
    event.add("dtstart", begin)
    if end > begin:  # RFC 5545 section 3.6.1; without one it is a moment
        event.add("dtend", end)
    event.add("status", "CONFIRMED" if method == "REQUEST" else "CANCELLED")
    event.add("summary", _line(title))
    event.add("location", _line(place))
    event.add("description", _lines(text))
    if address:
        event.add("url", _line(address))
    if organiser:
        event.add("organizer", vCalAddress(f"mailto:{_line(organiser)}"))
    if attendee[1]:
        event.add("attendee", _attendee(*attendee))
    if method == "REQUEST":  # a cancellation must not have one (RFC 5546 section 3.2.5)
        event.add_component(_reminder(title))
    content: bytes = _calendar(method, event).to_ical()
    return content


def _calendar(method: str, event: Event) -> Calendar:
    calendar = Calendar()
    calendar.add("prodid", "-//Plenum//Plenum//DE")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(Timezone.from_ical(BERLIN))
    calendar.add_component(event)
    return calendar


def _attendee(name: str, email: str) -> vCalAddress:
    """Nobody has to reply: who is invited has a page for that."""
    person = vCalAddress(f"mailto:{_line(email)}")
    parameters = {"CUTYPE": "INDIVIDUAL", "ROLE": "REQ-PARTICIPANT", "PARTSTAT": "NEEDS-ACTION", "RSVP": "FALSE"}
    if named := _line(name).replace('"', "'"):  # a quotation mark has no place in a parameter (RFC 5545 section 3.2)
        parameters["CN"] = named
    person.params.update(parameters)
    return person


def _reminder(title: str) -> Alarm:
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", _line(title))
    alarm.add("trigger", REMINDER)
    return alarm


def _berlin(time: str) -> datetime:
    moment = datetime.fromisoformat(time)
    if moment.tzinfo is None:
        raise ValueError(f"a time without its offset: {time}")
    return moment.astimezone(ZoneInfo("Europe/Berlin"))


def _line(text: str) -> str:
    """On one line and without control characters: a line break would begin a property of its own."""
    return " ".join("".join(" " if category(character) in ("Cc", "Cs", "Zl", "Zp") else character for character in text).split())


def _lines(text: str) -> str:
    return "\n".join(_line(line) for line in text.splitlines())
