"""Consent: what it lets be shown, what is on record, and that a withdrawal reaches every screen."""

from __future__ import annotations

from typing import Any

import pytest

from rooms.command import SYSTEM
from rooms.consent import Consent, may
from rooms.places import PURPOSES, Purpose
from tests.moderation.evening import PROGRAMME, Evening, same

HALL: dict[str, Any] = {
    "seats": 5,
    "consents": ["picture", "voice"],
    "optional_consents": ["photos", "name"],
    "reserved": {"off_camera": 2},
}
REQUIRED = ["picture", "voice"]
CHANNELS = ("public", "output/main", "stage")


def meeting(**hall: Any) -> Evening:
    """An evening whose hall asks for everything but the recording, and whose conference asks for nothing."""
    return Evening(places={"hall": HALL | hall, "conference": {"seats": 5}})


def register(evening: Evening, person: str = "anna", *purposes: str, **more: Any) -> dict[str, Any]:
    """The registration and its token, as arguments."""
    given = {"place": "hall", "name": "Anna Aal", "email": f"{person}@example.org", "consents": [*REQUIRED, *purposes]}
    result = evening.send(person, "registration.submit", **given | more)
    return {"registration": result["number"], "token": result["token"]}


def allowed(evening: Evening, person: str) -> set[str]:
    """What may be done with this person's image, voice and name."""
    return {purpose for purpose in PURPOSES if may(evening.event, person, purpose)}


def signed(evening: Evening, person: str = "anna", name: str = "Anna") -> int:
    """The number of a contribution that is on air and signed."""
    return evening.bring("on_air", person, name=name)


def shown(evening: Evening, number: int) -> set[str]:
    """The names by which screens show the contribution; empty: without a name."""
    names = {evening.seen(channel, "on_air")["contribution"]["name"] for channel in CHANNELS}
    return {*names, evening.seen("public", f"contribution/{number}")["name"]}


def test_who_is_not_registered_has_agreed_to_nothing_but_the_name_they_sign_with() -> None:
    evening = meeting()
    assert allowed(evening, "anna") == {"name"}
    assert shown(evening, signed(evening)) == {"Anna"}
    assert allowed(evening, "registration/1") == set(), "there is none"


@pytest.mark.parametrize("purpose", PURPOSES)
@pytest.mark.parametrize("agreed", [True, False])
def test_who_is_registered_is_shown_by_what_they_agreed_to(purpose: Purpose, agreed: bool) -> None:
    evening = meeting(consents=[], optional_consents=list(PURPOSES))
    register(evening, "anna", consents=[purpose] if agreed else [one for one in PURPOSES if one != purpose])
    for person in ("anna", "registration/1"):
        assert may(evening.event, person, purpose) == agreed


def test_a_place_that_does_not_ask_for_the_name_leaves_it_to_the_signature() -> None:
    evening = meeting()
    register(evening, place="conference", consents=[])
    assert allowed(evening, "anna") == {"name"}


@pytest.mark.parametrize("purpose", [*REQUIRED, "photos", "name"])
def test_withdrawn_is_withdrawn_until_it_is_given_again(purpose: Purpose) -> None:
    evening = meeting()
    mine = register(evening, "anna", "photos", "name")
    everything = allowed(evening, "anna")
    assert purpose in everything

    evening.send("anna", "registration.withdraw_consent", **mine, purpose=purpose)
    assert allowed(evening, "anna") == allowed(evening, "registration/1") == everything - {purpose}
    assert evening.decide("anna", "registration.withdraw_consent", **mine, purpose=purpose).changes == []

    evening.send("anna", "registration.give_consent", **mine, purpose=purpose)
    assert allowed(evening, "anna") == everything
    assert evening.decide("anna", "registration.give_consent", **mine, purpose=purpose).changes == []
    assert same(evening.event, evening.replayed())


def test_consent_can_be_withdrawn_by_whoever_gave_it_in_every_phase() -> None:
    evening = meeting()
    mine = register(evening)
    for phase in ("closed", "documented"):
        evening.send("olga", "event.advance", phase=phase)
    assert evening.refused("eve", "registration.withdraw_consent", registration=1, purpose="picture").code == "unknown_registration"
    evening.send("eve", "registration.withdraw_consent", **mine, purpose="picture")  # whoever has the link
    evening.send("hilde", "registration.withdraw_consent", registration=1, purpose="voice")  # who was called
    assert allowed(evening, "registration/1") == set()


def test_one_browser_does_only_what_all_its_registrations_agree_to() -> None:
    evening = meeting()
    register(evening, "anna", "name", "photos")
    other = register(evening, "anna", "photos", email="bilal@example.org", name="Bilal")
    assert allowed(evening, "anna") == {"picture", "voice", "photos"}
    assert (allowed(evening, "registration/1"), allowed(evening, "registration/2")) == (
        {"picture", "voice", "photos", "name"},
        {"picture", "voice", "photos"},
    )
    evening.send("anna", "registration.give_consent", **other, purpose="name")
    assert "name" in allowed(evening, "anna")


def test_a_link_opened_in_another_browser_brings_the_consents_along() -> None:
    evening = meeting()
    mine = register(evening, "anna")
    number = signed(evening, "phone")
    assert shown(evening, number) == {"Anna"}

    evening.send("phone", "registration.enter", **mine)

    assert shown(evening, number) == {""}
    assert {f"contribution/{number}", "on_air"} <= set(evening.touched)


def test_what_staff_enter_is_not_the_consent_of_the_staff() -> None:
    evening = meeting()
    register(evening, "hilde", way="phone", email="dana@example.org")
    assert allowed(evening, "hilde") == {"name"}
    assert allowed(evening, "registration/1") == set(REQUIRED)


NEVER_AGREED = {
    "cancelled": ("anna", "registration.cancel", {}),
    "cancelled by staff": ("hilde", "registration.cancel", {"token": None}),
    "moved to a place that does not ask": ("olga", "registration.move", {"to": "conference", "token": None}),
    "erased": ("anna", "registration.erase", {}),
    "forgotten at the end": ("olga", "event.retain", {"early": True, "registration": None, "token": None}),
}
"""What may become of a registration → by whom, how."""


@pytest.mark.parametrize("before", ["not agreed", "withdrawn"])
@pytest.mark.parametrize(("person", "command", "arguments"), NEVER_AGREED.values(), ids=NEVER_AGREED)
def test_nothing_that_becomes_of_a_registration_makes_a_name_come_up(
    person: str, command: str, arguments: dict[str, Any], before: str
) -> None:
    evening = meeting()
    number = signed(evening)
    mine = register(evening, "anna", *(["name"] if before == "withdrawn" else []))
    if before == "withdrawn":
        evening.send("anna", "registration.withdraw_consent", **mine, purpose="name")
    assert shown(evening, number) == {""}

    evening.send(person, command, **{key: value for key, value in (mine | arguments).items() if value is not None})

    assert shown(evening, number) == {""}


def test_a_cancelled_registration_is_still_somebody_who_agreed() -> None:
    evening = meeting()
    number = signed(evening)
    mine = register(evening, "anna", "name")
    evening.send("anna", "registration.cancel", **mine)
    assert shown(evening, number) == {"Anna"}
    evening.send("anna", "registration.withdraw_consent", **mine, purpose="name")
    assert shown(evening, number) == {""}


def test_who_is_erased_is_named_nowhere_and_agreed_to_nothing() -> None:
    evening = meeting()
    number = signed(evening)
    mine = register(evening, "anna", "name")
    assert shown(evening, number) == {"Anna"}

    evening.send("anna", "registration.erase", **mine)

    assert shown(evening, number) == {""}
    assert {f"contribution/{number}", "on_air"} <= set(evening.touched)
    assert not any(evening.names.get(id) for id in ("anna", "registration/1", f"contribution/{number}"))
    assert allowed(evening, "registration/1") == set()


def test_a_withdrawal_takes_the_name_off_every_screen_and_tells_them() -> None:
    evening = meeting()
    mine = register(evening, "anna", "name")
    first, others, number = signed(evening), signed(evening, "bilal", "Bilal"), signed(evening)
    before = {channel: evening.screen(channel) for channel in CHANNELS}
    assert shown(evening, number) == {"Anna"}

    evening.send("anna", "registration.withdraw_consent", **mine, purpose="name")

    assert shown(evening, number) == {""}
    assert {f"contribution/{first}", f"contribution/{number}", "on_air"} <= set(evening.touched)
    assert f"contribution/{others}" not in evening.touched
    for channel in CHANNELS:
        now = evening.screen(channel)
        assert "Anna" not in str(now)
        changed = {key for key in now if now[key] != before[channel][key]}
        assert changed, f"{channel} has changed"
        assert changed <= set(evening.touched), f"{channel} is told of what has changed"
    assert evening.seen("public", f"contribution/{others}")["name"] == "Bilal"


def test_given_again_it_is_back_on_every_screen() -> None:
    evening = meeting()
    mine = register(evening, "anna", "name")
    number = signed(evening)
    evening.send("anna", "registration.withdraw_consent", **mine, purpose="name")
    evening.send("anna", "registration.give_consent", **mine, purpose="name")
    assert shown(evening, number) == {"Anna"}
    assert {f"contribution/{number}", "on_air"} <= set(evening.touched)


def test_the_next_contribution_is_not_named_either() -> None:
    evening = meeting()
    register(evening, "anna")
    assert shown(evening, signed(evening)) == {""}


WAYS = {
    "web": ("anna", {}, "web"),
    "telephone": ("hilde", {"way": "phone", "phone": "02305 1060"}, "phone"),
    "mail entered by hand": ("hilde", {"way": "email"}, "email"),
    "at the desk": ("hilde", {"way": "desk"}, "desk"),
    "walk-in": ("hilde", {"present": True}, "desk"),
}


@pytest.mark.parametrize(("person", "more", "way"), WAYS.values(), ids=WAYS)
def test_on_record_are_version_language_way_and_time(person: str, more: dict[str, Any], way: str) -> None:
    texts = {"picture": {"version": "2020-08", "text": {"de": "Bild"}}}
    evening = Evening(places={"hall": HALL}, consent_texts=texts)
    register(evening, person, "photos", lang="en", **more)
    held = evening.event.registrations.items[1].consents
    assert held == {
        "picture": Consent("picture", "2020-08", "en", evening.now, way),  # type: ignore[arg-type]
        "voice": Consent("voice", "plenum-1", "en", evening.now, way),  # type: ignore[arg-type]
        "photos": Consent("photos", "plenum-1", "en", evening.now, way),  # type: ignore[arg-type]
    }


def test_a_consent_by_telephone_was_given_when_they_called() -> None:
    evening = meeting()
    register(evening, "hilde", way="phone", arrived_at="18:00")
    called = evening.event.registrations.items[1].consents["picture"].at
    assert evening.now - called == 42 * 60_000 + evening.now % 60_000


def test_a_new_wording_is_a_new_version_for_those_who_agree_from_then_on() -> None:
    evening = meeting()
    mine = register(evening)
    texts = {"photos": {"version": "2", "text": {"de": "Fotos"}}, "picture": {"version": "2", "text": {"de": "Bild"}}}
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | {"places": {"hall": HALL}, "consent_texts": texts})
    evening.send("anna", "registration.give_consent", **mine, purpose="photos")
    evening.send("hilde", "registration.give_consent", registration=1, purpose="name")
    versions = {one.purpose: (one.version, one.way) for one in evening.event.registrations.items[1].consents.values()}
    assert versions == {
        "picture": ("plenum-1", "web"), "voice": ("plenum-1", "web"), "photos": ("2", "web"), "name": ("plenum-1", "desk"),
    }  # fmt: skip


def test_when_it_was_withdrawn_is_on_record_too() -> None:
    evening = meeting()
    mine = register(evening)
    evening.send("anna", "registration.withdraw_consent", **mine, purpose="picture")
    consent = evening.event.registrations.items[1].consents["picture"]
    assert (consent.withdrawn_at, consent.at) == (evening.now, evening.now - 1_000)
    seen = {one["purpose"]: one for one in evening.seen("registrations", "registration/1")["consents"]}
    assert (seen["picture"]["state"], seen["voice"]["state"], seen["photos"]["state"]) == ("withdrawn", "given", "missing")
    assert [one["required"] for one in seen.values()] == [True, True, False, False]


def test_the_language_on_record_is_one_in_which_the_text_was_shown() -> None:
    """What a client sends as its language is no text for the log."""
    evening = meeting()
    register(evening, lang="Anna Aal, Westwall 1")
    assert {one.lang for one in evening.event.registrations.items[1].consents.values()} == {"de"}
    assert b"Westwall" not in b"".join(changes for *_, changes in evening.rows)


def test_what_was_not_asked_for_is_not_recorded() -> None:
    evening = meeting()
    mine = register(evening, "anna", "recording", "photos")
    assert set(evening.event.registrations.items[1].consents) == {*REQUIRED, "photos"}
    refused = evening.refused("anna", "registration.give_consent", **mine, purpose="recording")
    assert (refused.code, refused.field) == ("unknown_purpose", "purpose")

    register(evening, "bilal", "photos", place="conference")
    assert evening.event.registrations.items[2].consents == {}


@pytest.mark.parametrize("missing", REQUIRED)
def test_what_is_required_here_has_to_be_agreed_to(missing: str) -> None:
    evening = meeting()
    given = {"place": "hall", "name": "Anna", "email": "a@example.org", "consents": [one for one in REQUIRED if one != missing]}
    refused = evening.refused("anna", "registration.submit", **given)
    assert (refused.code, refused.field, refused.params["purpose"]) == ("consent_missing", "consents", missing)
    assert evening.send("anna", "registration.submit", **given | {"place": "conference"})["status"] == "seated"


def test_off_camera_nothing_has_to_be_agreed_to() -> None:
    evening = meeting()
    register(evening, contingent="off_camera", consents=[])
    assert evening.event.registrations.items[1].consents == {}
    assert allowed(evening, "registration/1") == set()
    assert not any(one["required"] for one in evening.seen("door", "registration/1")["consents"])


@pytest.mark.parametrize(
    ("more", "camera"),
    [
        ({}, "both"),
        ({"contingent": "off_camera"}, "none"),
        ({"contingent": "off_camera", "consents": []}, "none"),
    ],
)
def test_the_camera_crew_is_told_who_may_be_filmed(more: dict[str, Any], camera: str) -> None:
    evening = meeting()
    mine = register(evening, **more)
    assert evening.seen("door", "registration/1")["camera"] == camera
    for purpose, left in (("voice", "one"), ("picture", "none")):
        evening.send("anna", "registration.withdraw_consent", **mine, purpose=purpose)
        assert evening.seen("door", "registration/1")["camera"] == (left if camera == "both" else "none")
