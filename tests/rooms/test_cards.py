"""Suggestion cards: who writes them, who proposes them, in which order they stand."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import forgotten
from rooms.breakout import tag
from rooms.cards import MOST_OF_ONE
from rooms.results import MOST_CARDS
from tests.moderation.evening import _READ, _WRITE, Evening, same
from tests.rooms.small_group import card, room


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


def aside(evening: Evening) -> list[str]:
    """The cards below the room's suggestions."""
    cards = [data for key, data in evening.screen("room/1-1").items() if key.startswith("card/")]
    return [data["text"] for data in cards if data["aside"]]


@pytest.mark.parametrize("person", ["anna", "bilal", "mona"])
def test_who_leads_puts_a_card_aside_and_everybody_in_the_room_can_still_read_it(person: str) -> None:
    evening = room()
    for text in ("Aa", "Unfug", "Cc"):
        card(evening, text)
    assert evening.refused("cem", "card.set_aside", card=2).code == "forbidden", "not even its author"
    assert evening.refused("dana", "card.set_aside", card=2).code == "not_your_room"
    evening.send(person, "card.set_aside", card=2)
    assert aside(evening) == ["Unfug"]
    assert not evening.decide(person, "card.set_aside", card=2).changes
    evening.send("anna", "summary.draft", room="1-1")
    assert evening.event.results.summaries["1-1"].discussed == "– Aa\n– Cc"
    assert evening.screen("rooms")["room/1-1"]["cards"] == 2
    evening.send(person, "card.set_aside", card=2, on=False)
    assert aside(evening) == []
    assert line(evening) == ["Aa", "Unfug", "Cc"], "where it stood"
    assert same(evening.replayed(), evening.event)


def test_a_proposal_that_is_put_aside_leaves_the_board_and_is_proposed_again_after_it_was_brought_back() -> None:
    evening = room()
    evening.send("anna", "card.propose", card=card(evening))
    evening.send("anna", "summary.draft", room="1-1", proposed="Bänke")
    evening.send("anna", "summary.confirm", room="1-1")
    evening.send("mona", "proposal.air", card=1)
    assert evening.screen("stage")["on_air"]["result"]
    evening.send("anna", "card.set_aside", card=1)
    assert not [key for key in evening.screen("board") if key.startswith("proposal/")]
    assert evening.screen("stage")["on_air"]["result"] is None
    evening.send("anna", "card.set_aside", card=1, on=False)
    assert not evening.event.results.cards[1].proposed
    evening.send("anna", "card.propose", card=1)
    assert "proposal/1" in evening.screen("board")


@pytest.mark.parametrize(
    ("person", "command", "arguments"),
    [
        ("cem", "card.support", {"card": 1}),
        ("cem", "card.group", {"cards": [1], "name": "Bänke"}),
        ("anna", "card.order", {"card": 1, "steps": 1}),
        ("anna", "card.propose", {"card": 1}),
    ],
)
def test_nobody_goes_on_with_what_is_put_aside_but_its_author_mends_it_or_takes_it_back(
    person: str, command: str, arguments: dict[str, Any]
) -> None:
    evening = room()
    card(evening)
    evening.send("anna", "card.set_aside", card=1)
    assert evening.refused(person, command, **arguments).code == "card_aside"
    evening.send("cem", "card.edit", card=1, text="Mehr Bänke am Ring")
    assert aside(evening) == ["Mehr Bänke am Ring"]
    evening.send("cem", "card.withdraw", card=1)
    assert aside(evening) == []


def test_what_is_put_aside_makes_room_for_others_but_not_for_whoever_floods() -> None:
    evening = room()
    for _ in range(MOST_OF_ONE):
        card(evening, "Unfug")
    for number in range(1, MOST_OF_ONE + 1):
        evening.send("anna", "card.set_aside", card=number)
    assert evening.refused("cem", "card.submit", room="1-1", text="Unfug").code == "too_many_own_cards"
    for _ in range(MOST_CARDS):
        card(evening, person="anna")
    assert evening.refused("anna", "card.submit", room="1-1", text="Noch eine").code == "too_many_cards"
    assert evening.refused("anna", "card.set_aside", card=1, on=False).code == "too_many_cards"


def test_all_that_one_person_has_written_is_put_aside_at_once_and_brought_back_at_once() -> None:
    evening = room()
    for text in ("Unfug", "Noch Unfug"):
        card(evening, text)
    card(evening, "Bänke", person="bilal")
    evening.send("anna", "card.propose", card=2)
    evening.send("anna", "card.set_aside", card=1)
    assert evening.send("anna", "card.set_aside", card=1, all=True) == {"cards": 1}
    assert sorted(aside(evening)) == ["Noch Unfug", "Unfug"]
    assert not evening.event.results.cards[2].proposed
    assert evening.send("anna", "card.set_aside", card=1, all=True, on=False) == {"cards": 2}
    assert aside(evening) == []
    assert same(evening.replayed(), evening.event)


def test_a_group_that_leaves_only_what_was_put_aside_leaves_nothing_in_the_tray() -> None:
    evening = room()
    card(evening, "Unfug")
    evening.send("mona", "round.close", round=1)
    assert "summary/1-1" in evening.screen("rooms")
    evening.send("anna", "card.set_aside", card=1)
    assert "summary/1-1" not in evening.screen("rooms")
