"""What each audience is shown: the documents of its channels, in their declared shapes, and nothing besides."""

from __future__ import annotations

from typing import Any, get_type_hints

import msgspec
import pytest

from moderation import documents
from moderation.documents import SHAPES, channels_of, data, keys, visible
from moderation.shape import iso, words
from rooms.command import SYSTEM
from rooms.contributions import State
from rooms.entrance import code_at
from tests.moderation.evening import LETTER, PROGRAMME, ROUND, SECRET, STATES, Evening

SHOWN = ("approved", "shortlisted", "on_air", "answered")
CHANNELS = ("public", "stage", "moderation", "output/main", "me", "hall", "registrations", "door", "rooms", "room/1-1", "board")
BOARD = {"proposal/1", "heading/1"}
ROOMS, CALLS = {"room/1-1", "room/1-2", "room/1-3"}, {"help/1-1", "help/1-3"}


@pytest.fixture
def evening() -> Evening:
    """One contribution in every state by Anna, one by Bilal that is public, and one that was typed in."""
    evening = Evening()
    for state in STATES:
        if state != "on_air":
            evening.bring(state, text=f"Geheimnis {state}", name="Anna")
    evening.bring("approved", "bilal", topic="city")
    evening.bring("approved", "hilde", origin="paper")
    evening.bring("on_air", text="Geheimnis on_air", name="Anna")
    evening.send("bilal", "support.give", contribution=9)
    evening.send(SYSTEM, "mail.receive", **LETTER)
    evening.send("mona", "round.create", **ROUND)
    evening.send("anna", "round.join")
    evening.send("mona", "round.open", round=1)
    evening.send("anna", "room.enter", room="1-1")
    evening.send("anna", "card.submit", room="1-1", text="Mehr Bänke am Ring")
    evening.send("anna", "card.propose", card=1)
    evening.send("anna", "room.raise_hand", room="1-1")
    evening.send("anna", "chat.send", room="1-1", text="Hallo zusammen")
    evening.send("anna", "room.ask_for_help", room="1-1", why="Wir kommen nicht weiter")
    evening.send("mona", "room.claim_help", room="1-1")
    evening.send("mona", "announcement.send", text="Noch zehn Minuten")
    evening.send("anna", "summary.draft", room="1-1")
    evening.send("mona", "summary.confirm", room="1-1")
    evening.send("mona", "proposal.group", cards=[1], title="Im Freien")
    evening.send("anna", "proposal.support", card=1)
    evening.send("bilal", "room.enter", room="1-2")
    evening.send("bilal", "summary.draft", room="1-2", open="Wer bezahlt?")
    evening.send("mona", "round.close", round=1, room="1-2")
    evening.send("mona", "room.add", round=1, rooms=[{"name": "Sport"}])
    evening.send("bilal", "room.enter", room="1-3")
    evening.send("bilal", "room.ask_for_help", room="1-3")
    return evening


@pytest.mark.parametrize(
    ("channel", "fixed"),
    [
        ("public", {"event", "agenda", "places", "rounds", "on_air"}),
        ("stage", {"event", "on_air"}),
        ("moderation", {"event", "on_air", "queue", "calls"}),
        ("output/main", {"on_air"}),
        ("me", {"person", "supports", "seat"}),
        ("rooms", {"rounds", "plan", "announcement/1", "summary/1-2", "result/1-1", *BOARD, *CALLS, *ROOMS}),
        ("board", {"result/1-1", *BOARD}),
        ("room/1-1", {"announcement/1", "room/1-1", "help/1-1", "hands/1-1", "summary/1-1", "card/1", "chat/1"}),
        ("hall", {"entrance"}),
        ("registrations", {"registrations", "registration/1", "mail/1"}),
        ("door", {"registrations", "registration/1"}),
    ],
)
def test_a_channel_has_its_documents_and_the_contributions_that_its_audience_may_see(
    evening: Evening, channel: str, fixed: set[str]
) -> None:
    items = evening.event.contributions.items.values()
    expected = {
        "public": [item for item in items if item.state in SHOWN],
        "moderation": list(items),
        "me": [item for item in items if item.person == "anna"],
    }.get(channel, [])
    assert set(keys(evening.event, channel, "anna")) == fixed | {f"contribution/{item.number}" for item in expected}
    assert len(list(keys(evening.event, channel, "anna"))) == len(fixed) + len(expected)


def test_what_an_audience_may_not_see_is_never_in_its_documents(evening: Evening) -> None:
    for channel, person in [("public", ""), ("stage", ""), ("output/main", ""), ("me", "bilal"), ("me", "")]:
        shown = str(evening.screen(channel, person))
        for state in STATES:
            if state not in SHOWN:
                assert f"Geheimnis {state}" not in shown, (channel, state)
    everything = str(evening.screen("moderation"))
    assert all(f"Geheimnis {state}" in everything for state in STATES if state != "withdrawn"), "the control"


@pytest.mark.parametrize("state", STATES)
def test_what_is_asked_for_by_key_is_not_shown_either(evening: Evening, state: State) -> None:
    """A touched key names a contribution for every channel; `data` decides who sees it."""
    key = next(f"contribution/{item.number}" for item in evening.event.contributions.items.values() if item.state == state)
    assert (data(evening.event, {}, "public", key, "de") is not None) is (state in SHOWN) is visible(evening.event, "public", key)
    own = next(
        f"contribution/{item.number}"
        for item in evening.event.contributions.items.values()
        if (item.state, item.person) == (state, "anna")
    )
    assert data(evening.event, {}, "me", own, "de", "anna") is not None
    assert data(evening.event, {}, "me", own, "de", "bilal") is None
    assert data(evening.event, {}, "moderation", own, "de") is not None


def test_every_document_has_its_declared_shape(evening: Evening) -> None:
    checked = set()
    for channel in CHANNELS:
        for key, shown in evening.screen(channel, "anna").items():
            if key == "entrance":
                continue  # made by the clock: live/site.py
            name = key.partition("/")[0]
            shape = f"{name} in {channel}" if f"{name} in {channel}" in SHAPES else name
            assert shown.keys() == get_type_hints(SHAPES[shape]).keys(), (channel, key)
            msgspec.convert(msgspec.json.decode(msgspec.json.encode(shown)), SHAPES[shape])
            checked.add(shape)
    assert checked == SHAPES.keys() - {"entrance"}


def test_each_key_that_a_channel_has_rings_the_channel(evening: Evening) -> None:
    for channel in CHANNELS:
        name = {"me": "me/anna", "room/1-1": "room/1-1"}.get(channel, documents.kind(channel))
        for key in keys(evening.event, channel, "anna"):
            touched = f"{key}/anna" if key in ("person", "supports", "seat") else key
            assert name in channels_of(evening.event, touched), (channel, key)


def test_the_author_sees_the_receipt_and_nobody_else(evening: Evening) -> None:
    own = evening.seen("me", "contribution/2", "anna")
    assert own["receipt"].startswith("2-")
    for channel in ("public", "stage", "output/main", "moderation"):
        assert own["receipt"] not in str(evening.screen(channel))
    assert evening.seen("me", "contribution/2", "bilal") is None


def test_no_audience_learns_the_id_of_a_person(evening: Evening) -> None:
    """An id is half of a cookie; documents name people only as they signed."""
    evening.names = {}
    for channel in CHANNELS:
        shown = str(evening.screen(channel, "anna"))
        for person in ("anna", "bilal", "mona", "hilde", "by-paper"):
            assert person not in shown, (channel, person)


def test_no_audience_learns_the_secret(evening: Evening) -> None:
    for channel in CHANNELS:
        assert SECRET not in str(evening.screen(channel, "anna"))


def test_the_event_in_the_language_of_the_reader() -> None:
    evening = Evening()
    shown: Any = [data(evening.event, {}, "public", "event", lang) for lang in ("de", "en", "fr")]
    assert [one["title"] for one in shown] == ["Abend", "Evening", "Abend"]
    assert shown[0]["starts"] == PROGRAMME["starts"]
    assert shown[0]["languages"] == ["de", "en"]


def test_a_title_in_no_language_is_empty() -> None:
    assert words({}, "de") == ""


def test_the_agenda(evening: Evening) -> None:
    assert evening.seen("public", "agenda") == {
        "items": [{"at": "18:10", "title": "Begrüßung", "speaker": "Die Bürgermeisterin", "note": ""}]
    }


def test_times_are_iso_8601_in_utc() -> None:
    assert iso(1_597_941_720_999) == "2020-08-20T16:42:00Z"
    assert iso(0) == "1970-01-01T00:00:00Z"


def test_a_person_sees_their_place_and_name() -> None:
    evening = Evening()
    evening.send("anna", "person.join", place="hall", code=code_at(SECRET, evening.now + 1_000, 150), name="Anna")
    supports: dict[str, list[int]] = {"contributions": [], "proposals": []}
    assert evening.screen("me", "anna") == {"person": {"name": "Anna", "place": "hall"}, "supports": supports}
    assert evening.screen("me", "bilal")["person"] == {"name": "", "place": "home"}


def test_a_screen_with_nothing_on_air_says_so() -> None:
    assert Evening().screen("output/main") == {"on_air": {"contribution": None, "result": None, "since": None}}


def test_texts_leave_as_they_were_written() -> None:
    """Escaping is for the page, not for the document: JSON clients show text as text."""
    evening = Evening()
    evening.bring("on_air", text="<b>fett</b> & 'so'")
    assert evening.screen("stage")["on_air"]["contribution"]["text"] == "<b>fett</b> & 'so'"
