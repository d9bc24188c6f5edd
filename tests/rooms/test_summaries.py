"""Summaries: who writes and who confirms them, and what lies in the tray when nobody has."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import parse
from moderation.roles import actor
from rooms.summaries import MAX_PART, Drafted, draft, noted, wants_notes
from rooms.text import length
from tests.moderation.evening import Evening
from tests.rooms.small_group import card, room


def test_a_first_draft_is_made_of_the_cards_and_keeps_what_was_written() -> None:
    evening = room()
    for text in ("Mehr Bänke", "Bänke am Ring", "Weniger Autos"):
        card(evening, text)
    evening.send("cem", "card.group", cards=[1, 2], name="Bänke")
    evening.send("anna", "card.propose", card=3)
    evening.send("bilal", "card.support", card=2)
    evening.send("cem", "summary.draft", room="1-1", open="Wer bezahlt?")
    evening.send("cem", "summary.draft", room="1-1")
    seen = evening.seen("room/1-1", "summary/1-1")
    assert seen["discussed"] == "– Bänke: Bänke am Ring, Mehr Bänke", "the most supported first"
    assert (seen["proposed"], seen["open"]) == ("– Weniger Autos", "Wer bezahlt?")


def test_a_first_draft_has_the_notes_below_the_cards_and_what_was_drafted_is_in_the_log() -> None:
    evening = room()
    card(evening, "Bänke am Ring")
    command = parse("summary.draft", b'{"room":"1-1"}')
    assert wants_notes(command)
    assert not wants_notes(parse("summary.draft", b'{"room":"1-1","open":"Wer bezahlt?"}'))
    cem = actor(evening.event, "cem")
    drafted = draft(evening.event, cem, noted(command, "Schatten  fehlt.\n" * 1_000), evening.now).changes[0]
    assert isinstance(drafted, Drafted)
    assert drafted.discussed.startswith("– Bänke am Ring\n\nSchatten fehlt.\nSchatten fehlt.")
    assert length(drafted.discussed) == MAX_PART
    assert evening.refused("cem", "summary.draft", room="1-1", notes="Untergeschoben").code == "malformed"


def test_a_summary_reaches_the_board_when_it_is_confirmed_and_leaves_it_when_it_is_changed() -> None:
    evening = room()
    assert evening.refused("anna", "summary.confirm", room="1-1").code == "summary_missing"
    evening.send("cem", "summary.draft", room="1-1", proposed="Mehr Bänke")
    assert evening.send("cem", "summary.submit", room="1-1")["state"] == "submitted"
    assert evening.screen("board") == {}
    assert evening.refused("cem", "summary.confirm", room="1-1").code == "forbidden"
    evening.send("anna", "summary.confirm", room="1-1")
    shown = evening.screen("board")["result/1-1"]
    assert (shown["name"], shown["question"], shown["round_title"], shown["proposed"], shown["people"]) == (
        "Verkehr", "Wie?", "Runde", "Mehr Bänke", 3,
    )  # fmt: skip
    assert evening.refused("cem", "summary.draft", room="1-1", proposed="Viel mehr Bänke").code == "forbidden"
    evening.send("bilal", "summary.draft", room="1-1", proposed="Viel mehr Bänke")
    assert evening.screen("board") == {}, "nobody has read that yet"
    evening.send("mona", "summary.confirm", room="1-1")
    evening.send("anna", "summary.confirm", room="1-1", on=False)
    assert evening.screen("board") == {}


@pytest.mark.parametrize("person", ["bilal", "mona", "olga"])
def test_if_the_moderator_is_missing_the_note_taker_or_an_organiser_confirms_also_after_the_end(person: str) -> None:
    evening = room()
    evening.send("cem", "summary.draft", room="1-1", proposed="Mehr Bänke")
    evening.send("mona", "round.close", round=1)
    assert evening.refused("cem", "card.submit", room="1-1", text="Zu spät").code == "round_closed"
    evening.send("cem", "summary.draft", room="1-1", open="Wo?")
    assert evening.screen("rooms")["summary/1-1"]["open"] == "Wo?", "it lies in the tray"
    evening.send(person, "summary.confirm", room="1-1")
    assert list(evening.screen("board")) == ["result/1-1"]
    assert "summary/1-1" not in evening.screen("rooms")


@pytest.mark.parametrize(
    ("left", "expected"),
    [
        ((), False),
        ((("cem", "card.submit", {"room": "1-1", "text": "Mehr Bänke"}),), True),
        ((("cem", "summary.draft", {"room": "1-1", "open": "Wo?"}),), True),
        ((("cem", "summary.draft", {"room": "1-1", "open": "Wo?"}), ("cem", "summary.submit", {"room": "1-1"})), True),
        ((("cem", "summary.draft", {"room": "1-1", "open": "Wo?"}), ("anna", "summary.confirm", {"room": "1-1"})), False),
        ((("cem", "summary.draft", {"room": "1-1", "open": "Wo?"}), ("cem", "summary.draft", {"room": "1-1", "open": ""})), False),
    ],
)
def test_what_nobody_has_confirmed_at_the_end_lies_in_the_tray(left: Any, expected: bool) -> None:
    evening = room()
    for person, command, arguments in left:
        evening.send(person, command, **arguments)
    assert "summary/1-1" not in evening.screen("rooms"), "there is still time"
    evening.send("mona", "round.close", round=1, room="1-1")
    assert ("summary/1-1" in evening.screen("rooms")) is expected


def test_the_tray_says_what_was_proposed_and_who_leads_still_proposes_after_the_end() -> None:
    evening = room()
    for text in ("Mehr Bänke", "Weniger Autos"):
        card(evening, text)
    evening.send("anna", "card.propose", card=1)
    evening.send("mona", "round.close", round=1)
    seen = evening.seen("rooms", "summary/1-1")
    assert (seen["name"], seen["proposals"], seen["others"]) == ("Verkehr", [{"number": 1, "text": "Mehr Bänke"}], 1)
    assert evening.refused("cem", "card.propose", card=2).code == "forbidden"
    assert evening.refused("dana", "card.propose", card=2).code == "not_your_room"
    evening.send("bilal", "card.propose", card=2)
    assert evening.seen("rooms", "summary/1-1")["others"] == 0


def test_what_leaves_the_board_after_the_end_lies_in_the_tray_again() -> None:
    evening = room()
    evening.send("cem", "summary.draft", room="1-1", open="Wo?")
    evening.send("anna", "summary.confirm", room="1-1")
    evening.send("mona", "round.close", round=1)
    evening.send("mona", "summary.confirm", room="1-1", on=False)
    assert evening.seen("rooms", "summary/1-1")["open"] == "Wo?"


def test_two_who_write_on_the_same_part_do_not_undo_each_other_and_on_two_parts_they_may() -> None:
    evening = room()
    evening.send("anna", "summary.draft", room="1-1", open="Wo?", seen=0)
    seen = evening.seen("room/1-1", "summary/1-1")["version"]
    evening.send("bilal", "summary.draft", room="1-1", open="Wo und wann?", seen=seen)
    evening.send("anna", "summary.draft", room="1-1", proposed="Mehr Bänke", seen=seen)
    refused = evening.refused("anna", "summary.draft", room="1-1", open="Wo überall?", seen=seen)
    assert (refused.code, refused.field) == ("summary_changed", "open")
    evening.send("anna", "summary.draft", room="1-1", open="Wo und wann?", seen=seen)  # the same: nothing is undone
    evening.send("anna", "summary.draft", room="1-1", open="Wo überall?")  # now it is meant
    shown = evening.seen("room/1-1", "summary/1-1")
    assert (shown["open"], shown["proposed"]) == ("Wo überall?", "Mehr Bänke")


def test_who_was_never_in_the_room_writes_no_summary() -> None:
    evening = room()
    for command, more in (("draft", {"open": "x"}), ("submit", {}), ("confirm", {})):
        arguments: dict[str, Any] = {"room": "1-1"} | more
        assert evening.refused("dana", f"summary.{command}", **arguments).code == "not_your_room"


def left_over() -> Evening:
    """The room is over, with a card and a summary that nobody has confirmed."""
    evening = room()
    card(evening)
    evening.send("cem", "summary.draft", room="1-1", open="Wo?")
    evening.send("mona", "round.close", round=1)
    return evening


def aside(evening: Evening) -> bool | None:
    """Whether what the room has left was put aside; None: nothing of it is in the tray."""
    seen = evening.seen("rooms", "summary/1-1")
    return bool(seen["aside"]) if seen else None


@pytest.mark.parametrize("person", ["mona", "olga"])
def test_what_is_put_aside_stays_as_it_was_and_is_brought_back(person: str) -> None:
    evening = left_over()
    before = evening.seen("rooms", "summary/1-1")
    evening.send(person, "summary.set_aside", room="1-1")
    assert evening.seen("rooms", "summary/1-1") == before | {"aside": True}
    assert evening.touched == ["summary/1-1"]
    rows = len(evening.rows)
    evening.send("mona", "summary.set_aside", room="1-1")
    assert len(evening.rows) == rows, "aside is aside"
    evening.event = evening.replayed()
    evening.send(person, "summary.set_aside", room="1-1", on=False)
    assert evening.seen("rooms", "summary/1-1") == before


@pytest.mark.parametrize("person", ["anna", "bilal", "cem", "dana", "hilde", "oskar"])
def test_who_only_leads_the_room_puts_nothing_aside(person: str) -> None:
    assert left_over().refused(person, "summary.set_aside", room="1-1").code == "forbidden"


def test_only_what_lies_in_the_tray_is_put_aside() -> None:
    evening = room()
    card(evening)
    assert evening.refused("mona", "summary.set_aside", room="1-1").code == "not_in_tray", "there is still time"
    evening.send("cem", "summary.draft", room="1-1", open="Wo?")
    evening.send("anna", "summary.confirm", room="1-1")
    evening.send("mona", "round.close", round=1)
    for id, code in (("1-1", "not_in_tray"), ("1-2", "not_in_tray"), ("9-9", "unknown_room")):
        assert evening.refused("mona", "summary.set_aside", room=id).code == code


@pytest.mark.parametrize(
    ("person", "command", "arguments", "expected"),
    [
        ("anna", "summary.draft", {"room": "1-1", "open": "Wo überall?"}, False),
        ("cem", "summary.submit", {"room": "1-1"}, False),
        ("bilal", "card.propose", {"card": 1}, False),
        ("anna", "summary.confirm", {"room": "1-1"}, None),
        ("cem", "card.withdraw", {"card": 1}, True),
    ],
)
def test_what_somebody_goes_on_with_comes_back(person: str, command: str, arguments: dict[str, Any], expected: bool | None) -> None:
    evening = left_over()
    evening.send("mona", "summary.set_aside", room="1-1")
    evening.send(person, command, **arguments)
    assert aside(evening) is expected


def test_what_leaves_the_board_again_was_not_put_aside() -> None:
    evening = left_over()
    evening.send("mona", "summary.set_aside", room="1-1")
    evening.send("mona", "summary.confirm", room="1-1")
    evening.send("mona", "summary.confirm", room="1-1", on=False)
    assert aside(evening) is False
