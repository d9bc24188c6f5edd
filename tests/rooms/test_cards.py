"""Suggestion cards: who writes them, who proposes them, in which order they stand."""

from __future__ import annotations

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
