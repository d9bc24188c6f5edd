"""The event for people's calendars: iCalendar (RFC 5545), as an invitation that updates itself (iTIP, RFC 5546)."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Literal

from icalendar import Alarm, Calendar, Event, vCalAddress, vText

from frontend.words import ZONE

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
    """An iCalendar object. `uid` stays the same for a person's event, and `sequence` goes up when it is moved or cancelled, so that
    calendars take the new one for the old one (RFC 5545 § 3.8.7.4). Times are ISO 8601 with offset, `now` is in ms, `address` is
    the person's page, `organiser` an e-mail address or empty, `attendee` name and e-mail address."""
    event = Event()
    event.add("uid", uid)
    event.add("sequence", sequence)
    event.add("dtstamp", datetime.fromtimestamp(now / 1000, UTC))
    event.add("dtstart", _local(starts))
    event.add("dtend", max(_local(ends), _local(starts)))
    event.add("summary", _line(title))
    if place:
        event.add("location", _line(place))
    event.add("description", f"{text}\n{address}")
    event.add("url", address)
    event.add("status", "CANCELLED" if method == "CANCEL" else "CONFIRMED")
    if organiser:
        event.add("organizer", vCalAddress(f"mailto:{organiser}"))
    name, mailbox = attendee
    if mailbox:
        person = vCalAddress(f"mailto:{mailbox}")
        if name:
            person.params["CN"] = vText(_line(name).replace('"', "'"))
        person.params["PARTSTAT"] = vText("ACCEPTED")
        person.params["RSVP"] = vText("FALSE")
        event.add("attendee", person)
    if method == "REQUEST":
        event.add_component(_alarm(title))
    calendar = Calendar()
    calendar.add("prodid", "-//Plenum//Registration//EN")
    calendar.add("version", "2.0")
    calendar.add("method", method)
    calendar.add_component(event)
    calendar.add_missing_timezones()
    return bytes(calendar.to_ical())


def _alarm(title: str) -> Alarm:
    """A day before."""
    alarm = Alarm()
    alarm.add("action", "DISPLAY")
    alarm.add("description", _line(title))
    alarm.add("trigger", timedelta(days=-1))
    return alarm


def _local(moment: str) -> datetime:
    """In the zone of the hall, so that the calendar shows the clock on its wall."""
    return datetime.fromisoformat(moment).astimezone(ZONE)


def _line(text: str) -> str:
    """One line: no name can begin a property of its own."""
    return " ".join(text.split())
