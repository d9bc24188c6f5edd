"""Consent as data that acts: who agreed to what, when, by which way, to which text; and the one question that everything else
asks: `may`. Records as GDPR Art. 7 (1) wants them; withdrawing is as easy as giving (Art. 7 (3))."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Literal

import msgspec

from rooms.command import Refused
from rooms.places import Place, Purpose

if TYPE_CHECKING:
    from rooms.event import Event
    from rooms.programme import Programme
    from rooms.register import Registration

Way = Literal["web", "email", "phone", "desk"]
"""How somebody registered, and so how they consented."""
SIGNED: Purpose = "name"
"""Who is not registered and signs a contribution has been told that the name may be shown: that is the consent to this purpose."""


class ConsentText(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What people agree to, in the organiser's words, language → text. A new wording needs a new version."""

    version: str
    text: dict[str, str]


class Consent(msgspec.Struct, frozen=True):
    """One purpose agreed to: the version and language of the text, when (ms), by which way; and when it was withdrawn."""

    purpose: Purpose
    version: str
    lang: str
    at: int
    way: Way
    withdrawn_at: int | None = None


def version(programme: Programme, purpose: Purpose) -> str:
    """The version of the text that is shown now; `plenum-1` is that of the catalogs."""
    text = programme.consent_texts.get(purpose)
    return text.version if text else "plenum-1"


def given(
    programme: Programme, place: Place, contingent: str, purposes: tuple[Purpose, ...], lang: str, at: int, way: Way
) -> tuple[Consent, ...]:
    """The records of what is agreed to. Refuses `consent_missing` with the first required purpose that is not there; what was not
    asked for is not recorded (data minimisation)."""
    for purpose in place.required(contingent):
        if purpose not in purposes:
            raise Refused("consent_missing", field="consents", purpose=purpose)
    return tuple(Consent(one, version(programme, one), lang, at, way) for one in place.asked if one in purposes)


def may(event: Event, person: str, purpose: Purpose) -> bool:
    """Whether this person (a person's id, or `registration/<n>`) may be shown, heard or named for this purpose now."""
    kind, _, number = person.partition("/")
    if kind == "registration":
        found = event.registrations.items.get(int(number))
        return found is not None and not found.erased and _agreed(event, found, purpose)
    held = [event.registrations.items[one] for one in event.registrations.of_person.get(person, ())]
    # Several registrations from one browser, as of a family: whatever one of them has not agreed to is not done. A cancelled one
    # counts, or else by cancelling a name would come up.
    return all(_agreed(event, one, purpose) for one in held) if held else purpose == SIGNED


def _agreed(event: Event, registration: Registration, purpose: Purpose) -> bool:
    consent = registration.consents.get(purpose)
    if consent is not None:
        return consent.withdrawn_at is None
    return purpose == SIGNED and not any(SIGNED in place.asked for place in _asked_by(event, registration))


def _asked_by(event: Event, registration: Registration) -> Iterable[Place]:
    """The place where they are, and where they were: who was asked there and said nothing has said no."""
    moved = any(step.what == "moved" for step in registration.history)
    return [place for name, place in event.programme.places.items() if moved or name == registration.place]
