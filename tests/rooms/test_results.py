"""Cards and summaries: who writes, who proposes, and what reaches the plenary's board when somebody has confirmed it."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import forgotten, parse
from moderation.roles import actor
from rooms.breakout import tag
from rooms.results import MAX_PART, MOST_CARDS, MOST_OF_ONE, Drafted, draft, noted, wants_notes
from rooms.text import length
from tests.moderation.evening import _READ, _WRITE, Evening, same


def room(*, moderators: tuple[str, ...] = ("anna",), note_taker: str = "bilal") -> Evening:
    """Anna leads, Bilal takes notes, Cem takes part, Dana is in another room."""
    evening = Evening()
    plan = {"name": "Verkehr", "question": "Wie?", "moderators": moderators, "note_taker": note_taker}
    evening.send("mona", "round.create", title="Runde", policy="chosen", rooms=[plan, {"name": "Schule"}])
    evening.send("mona", "round.open", round=1, minutes=20)
    for person in ("anna", "bilal", "cem"):
        evening.send(person, "room.enter", room="1-1")
    evening.send("dana", "room.enter", room="1-2")
    return evening


def card(evening: Evening, text: str = "Mehr Bänke", person: str = "cem") -> int:
    return int(evening.send(person, "card.submit", room="1-1", text=text)["card"])


def test_only_those_in_the_room_write_and_support_its_cards() -> None:
    evening = room()
    number = card(evening)
    for person in ("dana", "emil"):
        assert evening.refused(person, "card.submit", room="1-1", text="Auch ich").code == "not_your_room"
        for command, more in (("support", {}), ("edit", {"text": "Anders"}), ("propose", {})):
            assert evening.refused(person, f"card.{command}", card=number, **more).code == "not_your_room"
    assert [evening.send(person, "card.support", card=number)["support"] for person in ("anna", "bilal", "anna")] == [1, 2, 2]
    assert evening.send("anna", "card.support", card=number, on=False)["support"] == 1


@pytest.mark.parametrize(("text", "code"), [("x", "card_too_short"), ("x" * 301, "card_too_long"), (" \n ", "card_too_short")])
def test_a_card_is_one_thought(text: str, code: str) -> None:
    assert room().refused("cem", "card.submit", room="1-1", text=text).code == code


def test_one_person_has_so_many_cards_in_a_room_and_all_others_go_on() -> None:
    evening = room()
    for number in range(MOST_OF_ONE):
        card(evening, f"Gedanke {number}")
    assert evening.refused("cem", "card.submit", room="1-1", text="Noch einer").code == "too_many_own_cards"
    card(evening, person="anna")
    evening.send("cem", "card.edit", card=1, text="Zwei in einem")
    evening.send("cem", "card.withdraw", card=2)
    card(evening, "Wieder einer")
    assert evening.refused("cem", "card.submit", room="1-1", text="Noch einer").code == "too_many_own_cards"
    evening.send("mona", "room.move", person=tag(evening.event, "cem"), to="1-2")
    evening.send("cem", "card.submit", room="1-2", text="In jedem Raum von vorn")


@pytest.mark.parametrize("person", ["anna", "bilal", "mona"])
def test_who_leads_a_room_writes_for_others_and_fills_it(person: str) -> None:
    """The control: without a limit of their own one person takes all cards that a room has, and nobody else has any."""
    evening = room()
    evening.send("mona", "room.enter", room="1-1")
    for number in range(MOST_CARDS):
        card(evening, f"Gedanke {number}", person)
    assert evening.refused(person, "card.submit", room="1-1", text="Noch einer").code == "too_many_cards"
    assert evening.refused("cem", "card.submit", room="1-1", text="Meiner").code == "too_many_cards"
    evening.send(person, "card.withdraw", card=1)
    card(evening)


def test_where_nobody_was_named_all_lead_and_nobody_fills_the_room() -> None:
    evening = room(moderators=(), note_taker="")
    for number in range(MOST_OF_ONE):
        card(evening, f"Gedanke {number}")
    assert evening.refused("cem", "card.submit", room="1-1", text="Noch einer").code == "too_many_own_cards"


def test_cards_that_are_taken_back_again_and_again_fill_nothing() -> None:
    evening = room()
    for _ in range(MOST_CARDS + 1):
        evening.send("cem", "card.withdraw", card=card(evening))
    before = len(evening.snapshot())
    evening.send("cem", "card.withdraw", card=card(evening, "x" * 300))
    assert len(evening.snapshot()) - before < 200, "nothing of the text, nor of its rows"
    card(evening)


def test_who_leads_proposes_and_where_nobody_was_named_everybody_does() -> None:
    evening = room()
    number = card(evening)
    assert evening.refused("cem", "card.propose", card=number).code == "forbidden"
    assert evening.refused("cem", "card.edit", card=card(evening, person="anna"), text="Anders").code == "forbidden"
    for person in ("anna", "bilal"):
        evening.send(person, "card.propose", card=number)
    without = room(moderators=(), note_taker="")
    without.send("bilal", "card.propose", card=card(without))
    assert without.seen("room/1-1", "card/1")["proposed"]


def test_what_is_taken_back_is_gone_from_room_board_and_log() -> None:
    evening = room()
    number = card(evening, "Ein Geheimnis")
    evening.send("cem", "card.edit", card=number, text="Ein anderes Geheimnis")
    evening.send("anna", "card.propose", card=number)
    evening.send("anna", "summary.draft", room="1-1", open="Wer bezahlt?")
    evening.send("anna", "summary.confirm", room="1-1")
    assert "Geheimnis" in str(evening.screen("board"))
    evening.send("mona", "proposal.air", card=number)
    assert "Geheimnis" in str(evening.screen("output/main"))
    assert evening.refused("anna", "card.withdraw", card=number).code == "forbidden"

    forget = evening.decide("cem", "card.withdraw", card=number).forget
    evening.send("cem", "card.withdraw", card=number)
    assert "Geheimnis" not in str([evening.screen(channel) for channel in ("board", "room/1-1", "rooms", "stage", "output/main")])
    assert evening.refused("cem", "card.support", card=number).code == "unknown_card"
    for seq in forget:
        at, by, changes = evening.rows[seq - 1]
        evening.rows[seq - 1] = at, by, _WRITE.encode([forgotten(change) for change in _READ.decode(changes)])
    assert b"Geheimnis" not in b"".join(changes for *_, changes in evening.rows)
    assert same(evening.replayed(), evening.event)


def test_groups_are_within_one_room() -> None:
    evening = room()
    first, second = card(evening), card(evening, "Bänke am Ring")
    evening.send("cem", "card.group", cards=[first, second], name="Bänke")
    assert [evening.seen("room/1-1", f"card/{number}")["group"] for number in (1, 2)] == ["Bänke", "Bänke"]
    evening.send("dana", "card.submit", room="1-2", text="Schule")
    assert evening.refused("cem", "card.group", cards=[first, 3], name="x").code == "not_your_room"
    assert evening.refused("cem", "card.group", cards=[], name="x").code == "wrong_cards"


def line(evening: Evening) -> list[str]:
    """The cards as the room sees them, from top to bottom."""
    cards = [data for key, data in evening.screen("room/1-1").items() if key.startswith("card/")]
    return [data["text"] for data in sorted(cards, key=lambda data: data["order"])]


def test_who_leads_the_room_puts_its_cards_in_order() -> None:
    evening = room()
    for text in ("Aa", "Bb", "Cc", "Dd"):
        card(evening, text)
    assert evening.refused("cem", "card.order", card=4, steps=-1).code == "forbidden"
    before = evening.event.seq
    evening.send("anna", "card.order", card=4, steps=-2)
    assert line(evening) == ["Aa", "Dd", "Bb", "Cc"]
    assert [key for key, seq in evening.event.touched.items() if seq > before] == ["card/4"], "only what was moved is sent again"
    evening.send("anna", "card.order", card=1, steps=100_000)
    evening.send("anna", "card.order", card=2, steps=-100_000)
    assert line(evening) == ["Bb", "Dd", "Cc", "Aa"]
    assert not evening.decide("anna", "card.order", card=2, steps=-1).changes, "it is the first already"
    card(evening, "Ee")
    assert line(evening) == ["Bb", "Dd", "Cc", "Aa", "Ee"]
    assert same(evening.replayed(), evening.event)


def test_there_is_always_a_place_between_two_cards() -> None:
    evening = room()
    for text in ("Aa", "Bb", "Cc"):
        card(evening, text)
    for turn in range(60):  # each time half of what is left
        evening.send("anna", "card.order", card=3 - turn % 2, steps=-1)
        assert line(evening) == (["Aa", "Bb", "Cc"] if turn % 2 else ["Aa", "Cc", "Bb"])


def test_a_group_stands_together() -> None:
    evening = room()
    for text in ("Aa", "Bb", "Cc", "Dd", "Ee"):
        card(evening, text)
    evening.send("cem", "card.group", cards=[4, 2], name="Bänke")
    assert line(evening) == ["Aa", "Bb", "Dd", "Cc", "Ee"]
    evening.send("cem", "card.group", cards=[1], name="Bänke")
    assert line(evening) == ["Bb", "Dd", "Aa", "Cc", "Ee"]
    evening.send("cem", "card.group", cards=[2], name="")
    assert line(evening) == ["Bb", "Dd", "Aa", "Cc", "Ee"], "what leaves a group stays where it is"


def test_the_board_begins_in_the_order_of_the_room() -> None:
    evening = room()
    for text in ("Aa", "Bb"):
        evening.send("anna", "card.propose", card=card(evening, text))
    evening.send("anna", "card.order", card=2, steps=-1)
    evening.send("anna", "summary.draft", room="1-1", proposed="Bb, Aa")
    evening.send("anna", "summary.confirm", room="1-1")
    proposals = [data for key, data in evening.screen("board").items() if key.startswith("proposal/")]
    assert [data["text"] for data in sorted(proposals, key=lambda data: data["order"])] == ["Bb", "Aa"]


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
