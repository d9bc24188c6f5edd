"""The event itself: its facts (from the organiser's TOML file) and the phase it is in."""

from __future__ import annotations

import re
from datetime import datetime, time, timedelta
from typing import TYPE_CHECKING, Literal

import msgspec

from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.consent import ConsentText
from rooms.places import Place, PlaceName, Purpose, check_places, check_taken

if TYPE_CHECKING:
    from rooms.event import Event

PHASES = ("draft", "registration", "live", "closed", "documented")
Phase = Literal["draft", "registration", "live", "closed", "documented"]
Words = dict[str, str]
"""One text in several languages: language code → text."""


class Topic(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a contribution can be about; `group` names the pillar or field it stands under."""

    id: str
    title: Words
    group: Words = {}


class AgendaItem(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One point of the evening; `at` is local time as printed, e.g. "18:10"."""

    at: str
    title: Words
    speaker: str = ""
    note: Words = {}


class Stream(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the pictures come from: `hls` plays here, `embed` shows a third party's player after a click, `link` leads away."""

    kind: Literal["none", "embed", "hls", "link"] = "none"
    address: str = ""
    provider: str = ""


class Venue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Where the hall is."""

    name: str = ""
    address: str = ""


class Scheduled(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The event goes to this phase by itself at this moment (ISO 8601 with offset), unless somebody was earlier."""

    at: str
    phase: Phase


class MessageTimes(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """When messages to all are sent by themselves (ISO 8601 with offset; empty: not), and what the thanks lead to."""

    reminder_at: str = ""
    thanks_at: str = ""
    documentation: str = ""


_SLUG = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,79}")
"""A part of an address that needs no escaping."""


class Programme(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The facts of an event. Times are ISO 8601 with offset; `code_period` is in seconds. `contact`: how people reach the
    organisers, as printed. `retain_days`: personal data are deleted so many days after the end."""

    slug: str
    title: Words
    starts: str
    ends: str
    venue: Venue = Venue()
    languages: tuple[str, ...] = ("de", "en")
    topics: tuple[Topic, ...] = ()
    agenda: tuple[AgendaItem, ...] = ()
    stream: Stream = Stream()
    schedule: tuple[Scheduled, ...] = ()
    premoderation: bool = True
    code_period: int = 150
    places: dict[PlaceName, Place] = {}
    consent_texts: dict[Purpose, ConsentText] = {}
    messages: MessageTimes = MessageTimes()
    contact: str = ""
    retain_days: int = 28

    def topic(self, topic_id: str) -> Topic | None:
        """The topic with this id, if the event has it."""
        return next((topic for topic in self.topics if topic.id == topic_id), None)


class Configure(Command, frozen=True):
    """Set or replace the facts; the phase stays."""

    programme: Programme


class Advance(Command, frozen=True):
    """Go to another phase: any later one, or one back (a slip)."""

    phase: Phase


class Configured(Change, frozen=True, tag="configured"):
    """The event has these facts."""

    programme: Programme


class Advanced(Change, frozen=True, tag="advanced"):
    """The event is in this phase."""

    phase: Phase


def configure(event: Event, actor: Actor, command: Configure, now: int) -> Outcome:
    """Refuses `wrong_slug` if the facts belong to another event, `wrong_fact` what no page could show, and `seats_taken`."""
    check(command.programme)
    if command.programme.slug != event.slug:
        raise Refused("wrong_slug", field="slug")
    check_taken(event, command.programme.places)
    return Outcome([Configured(command.programme)])


def check(programme: Programme) -> None:
    """Refuses `wrong_fact` with the field that no page could show."""
    if not _SLUG.fullmatch(programme.slug):
        raise Refused("wrong_fact", field="slug")
    for field in ("starts", "ends"):
        if not _is_moment(getattr(programme, field)):
            raise Refused("wrong_fact", field=field)
    if not all(_is_moment(one.at) for one in programme.schedule):
        raise Refused("wrong_fact", field="schedule")
    for field in ("code_period", "retain_days"):
        if getattr(programme, field) < 1:
            raise Refused("wrong_fact", field=field)
    check_places(programme.places)
    for name, place in programme.places.items():
        if not all(_is_moment(at) for at in (place.opens, place.deadline, place.access_at) if at):
            raise Refused("wrong_fact", field=f"places.{name}")
    if not all(_is_moment(at) for at in (programme.messages.reminder_at, programme.messages.thanks_at) if at):
        raise Refused("wrong_fact", field="messages")


def timers(event: Event) -> list[Timer]:
    """The phases to come by themselves."""
    later = PHASES[PHASES.index(event.phase) + 1 :]
    return [
        Timer(ms(one.at), f"timer/phase/{one.phase}/{one.at}", "event.advance", Advance(phase=one.phase))
        for one in event.programme.schedule
        if one.phase in later
    ]


def advance(event: Event, actor: Actor, command: Advance, now: int) -> Outcome:
    """Refuses `wrong_state` for a jump back over more than one phase."""
    if PHASES.index(command.phase) < PHASES.index(event.phase) - 1:
        raise Refused("wrong_state", field="phase", state=event.phase)
    changes: list[Change] = [] if command.phase == event.phase else [Advanced(command.phase)]
    return Outcome(changes, {"phase": command.phase})


def _is_moment(text: str) -> bool:
    """Whether this is ISO 8601 with an offset."""
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False


def moment(event: Event, given: str | None, now: int, field: str) -> int:
    """When something was said or came, in ms: a local time of day ("18:42" or "18:42:07", the last such moment) or ISO 8601; never
    in the future, and not before 1970; nothing is now.

    Refuses `wrong_time`.
    """
    if not given:
        return now
    try:
        place = datetime.fromisoformat(event.programme.starts).tzinfo
        if len(given) <= len("18:42:07"):
            local = datetime.fromtimestamp(now / 1000, place)
            at = datetime.combine(local.date(), time.fromisoformat(given.zfill(5) if len(given) < 5 else given), local.tzinfo)
            if at > local:
                at -= timedelta(days=1)
        else:
            at = datetime.fromisoformat(given)
            if at.tzinfo is None:
                at = at.replace(tzinfo=place)
        return max(0, min(now, int(at.timestamp() * 1000)))
    except (ValueError, OverflowError):
        raise Refused("wrong_time", field=field) from None


def ms(moment: str) -> int:
    """ISO 8601 with offset → ms."""
    return int(datetime.fromisoformat(moment).timestamp() * 1000)


def configured(event: Event, change: Configured, now: int, by: str) -> tuple[str, ...]:
    """The facts and everything that shows them."""
    event.programme = change.programme
    shown = [f"contribution/{number}" for number in event.contributions.items]
    shown += [f"registration/{number}" for number in event.registrations.items]
    return ("event", "agenda", "entrance", "on_air", "places", "registrations", *shown)


def advanced(event: Event, change: Advanced, now: int, by: str) -> tuple[str, ...]:
    """The phase, and what authors may still do with their contributions."""
    event.phase = change.phase
    return ("event", "places", *(f"contribution/{number}" for number in event.contributions.items))


COMMANDS: Commands = {"event.configure": (Configure, configure), "event.advance": (Advance, advance)}
CHANGES: Changes = {Configured: configured, Advanced: advanced}
