"""The plenary's board: who supports, how proposals are put under headings and ordered, and what of it is on stage and overlay."""

from __future__ import annotations

from typing import Any

import pytest

from rooms.command import SYSTEM
from tests.moderation.evening import Evening, same

ROOMS = [{"name": "Verkehr", "question": "Wie?", "moderators": ["anna"]}, {"name": "Schule", "moderators": ["bilal"]}]
SCREENS = ("stage", "output/main", "public", "moderation")


def board(verkehr: int = 2, schule: int = 1) -> Evening:
    """Two rooms whose results are confirmed, with so many proposals: those of Verkehr have the first numbers."""
    evening = Evening()
    evening.send("mona", "round.create", title="Runde", policy="chosen", rooms=ROOMS)
    evening.send("mona", "round.open", round=1, minutes=20)
    number = 0
    for person, room, count in (("anna", "1-1", verkehr), ("bilal", "1-2", schule)):
        evening.send(person, "room.enter", room=room)
        for _ in range(count):
            number += 1
            evening.send(person, "card.submit", room=room, text=f"Vorschlag {number}")
            evening.send(person, "card.propose", card=number)
        evening.send(person, "summary.draft", room=room, proposed=f"Das will {room}", open="Wer bezahlt?")
        evening.send(person, "summary.confirm", room=room)
    return evening


def lines(evening: Evening) -> list[Any]:
    """What the board shows from top to bottom: headings by their title, proposals by their number."""
    shown = [data for key, data in evening.screen("board").items() if not key.startswith("result/")]
    return [one.get("title", one["number"]) for one in sorted(shown, key=lambda one: one["order"])]


def backs(evening: Evening, card: int, *people: str) -> None:
    for person in people:
        evening.send(person, "proposal.support", card=card)


def test_a_proposal_keeps_its_origin() -> None:
    evening = board()
    evening.send("anna", "card.support", card=1)
    shown = evening.seen("board", "proposal/1")
    assert (shown["number"], shown["room"], shown["name"], shown["round_title"]) == (1, "1-1", "Verkehr", "Runde")
    assert (shown["support"], shown["room_support"]) == (0, 1)


def test_proposals_come_with_the_room_s_summary_and_go_with_it_and_come_back_to_their_place() -> None:
    evening = board()
    evening.send("mona", "proposal.group", cards=[1, 3], title="Im Freien")
    before = lines(evening)
    evening.send("mona", "summary.confirm", room="1-1", on=False)
    assert lines(evening) == ["Im Freien", 3]
    evening.send("anna", "summary.confirm", room="1-1")
    assert lines(evening) == before == ["Im Freien", 1, 3, "", 2]


def test_a_card_that_is_proposed_later_stands_at_the_end() -> None:
    evening = board()
    evening.send("anna", "card.submit", room="1-1", text="Noch etwas")
    assert lines(evening) == [1, 2, 3]
    evening.send("anna", "card.propose", card=4)
    assert lines(evening) == [1, 2, 3, 4]
    evening.send("mona", "card.propose", card=2, on=False)
    assert lines(evening) == [1, 3, 4]


def test_somebody_who_does_not_lead_the_room_changes_nothing_on_the_board() -> None:
    """What was confirmed was another wording."""
    evening = board()
    evening.send("cem", "room.enter", room="1-1")
    evening.send("cem", "card.submit", room="1-1", text="Von Cem")
    evening.send("anna", "card.propose", card=4)
    evening.send("cem", "card.edit", card=4, text="Etwas ganz anderes")
    assert lines(evening) == [1, 2, 3]
    evening.send("anna", "card.propose", card=4)
    evening.send("anna", "card.edit", card=4, text="Von Cem, gekürzt")
    assert evening.seen("board", "proposal/4")["text"] == "Von Cem, gekürzt"


# Support.


def test_everybody_in_the_event_supports_once_beside_the_room() -> None:
    evening = board()
    evening.send("anna", "card.support", card=1)
    counts = [evening.send(person, "proposal.support", card=1)["support"] for person in ("erna", "anna", "erna", "mona")]
    assert counts == [1, 2, 2, 3]
    assert evening.touched == ["backing/1", "supports/mona"], "a vote sends no document but the voter's own"
    assert evening.send("erna", "proposal.support", card=1, on=False)["support"] == 2
    assert evening.seen("board", "proposal/1")["support"] == 2
    assert evening.screen("me", "anna")["supports"]["proposals"] == [1]


def test_support_is_for_what_is_on_the_board_and_taken_back_at_any_time() -> None:
    evening = board()
    backs(evening, 1, "erna")
    evening.send("mona", "summary.confirm", room="1-1", on=False)
    assert evening.refused("fritz", "proposal.support", card=1).code == "not_on_board"
    assert evening.refused("erna", "proposal.support", card=99).code == "not_on_board"
    evening.send("olga", "event.advance", phase="closed")
    assert evening.refused("fritz", "proposal.support", card=3).code == "closed"
    assert evening.send("erna", "proposal.support", card=1, on=False)["support"] == 0


# Headings.


def test_proposals_of_several_rooms_are_put_under_a_heading_and_taken_out() -> None:
    evening = board()
    evening.send("mona", "proposal.group", cards=[2, 3], title="Im Freien")
    assert lines(evening) == ["Im Freien", 2, 3, "", 1]
    evening.send("mona", "proposal.group", cards=[1], title="Drinnen")
    assert lines(evening) == ["Im Freien", 2, 3, "Drinnen", 1]
    evening.send("mona", "proposal.group", cards=[1], title="Im Freien")
    assert lines(evening) == ["Im Freien", 1, 2, 3], "a heading over nothing is not shown"
    evening.send("mona", "proposal.group", cards=[1, 2, 3], title="")
    assert lines(evening) == [1, 2, 3]


def test_a_heading_gets_another_title_joins_another_one_and_is_dissolved() -> None:
    evening = board()
    evening.send("mona", "proposal.group", cards=[1], title="Drausen")
    evening.send("mona", "proposal.group", cards=[2, 3], title="Drinnen")
    evening.send("mona", "proposal.group", heading=1, title="Draußen")
    assert lines(evening) == ["Draußen", 1, "Drinnen", 2, 3]
    assert evening.touched == ["heading/0", "heading/1"], "what stands under it stays as it is"
    evening.send("mona", "proposal.group", heading=1, title="Drinnen")
    assert lines(evening) == ["Drinnen", 1, 2, 3]
    evening.send("mona", "proposal.group", heading=2, title="")
    assert lines(evening) == [1, 2, 3]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ({"cards": [], "title": "x"}, "nothing_chosen"),
        ({"heading": 2, "title": "x"}, "unknown_heading"),
        ({"cards": [1, 9], "title": "x"}, "not_on_board"),
        ({"cards": [1], "title": "x" * 61}, "title_too_long"),
    ],
)
def test_what_cannot_be_put_together_is_refused(arguments: dict[str, Any], code: str) -> None:
    assert board().refused("mona", "proposal.group", **arguments).code == code


# Order.


def test_by_hand_a_proposal_moves_under_its_heading_and_only_what_moves_is_sent() -> None:
    evening = board(verkehr=4)
    evening.send("mona", "proposal.order", card=1, steps=1)
    assert lines(evening) == [2, 1, 3, 4, 5]
    assert set(evening.touched) == {"proposal/1", "proposal/2"}
    evening.send("mona", "proposal.order", card=5, steps=-100)
    assert lines(evening) == [5, 2, 1, 3, 4]
    evening.send("mona", "proposal.group", cards=[2, 4], title="Im Freien")
    evening.send("mona", "proposal.order", card=4, steps=-1)
    assert lines(evening) == ["Im Freien", 4, 2, "", 5, 1, 3]
    evening.send("mona", "proposal.order", card=4, steps=-1)
    assert evening.touched == [], "it is at the top"
    assert evening.refused("mona", "proposal.order", card=9, steps=1).code == "not_on_board"


def test_by_hand_a_heading_moves_with_what_is_under_it() -> None:
    evening = board(verkehr=4)
    for title, cards in (("A", [1]), ("B", [2, 3]), ("C", [4])):
        evening.send("mona", "proposal.group", cards=cards, title=title)
    evening.send("mona", "proposal.order", heading=3, steps=-2)
    assert lines(evening) == ["C", 4, "A", 1, "B", 2, 3, "", 5]
    assert "proposal/5" not in evening.touched
    assert evening.refused("mona", "proposal.order", heading=4, steps=1).code == "unknown_heading"


def test_by_support_first_of_the_plenary_then_of_the_room_and_each_person_counts_once_for_a_heading() -> None:
    evening = board(verkehr=4)
    evening.send("anna", "card.support", card=4)
    backs(evening, 2, "erna")
    for card in (1, 3):
        backs(evening, card, "erna", "fritz")
    backs(evening, 5, "erna", "fritz", "gerda")
    evening.send("mona", "proposal.order")
    assert lines(evening) == [5, 1, 3, 2, 4]
    evening.send("mona", "proposal.group", cards=[1, 3], title="Zwei Leute")
    evening.send("mona", "proposal.group", cards=[5], title="Drei Leute")
    evening.send("mona", "proposal.order")
    assert lines(evening) == ["Drei Leute", 5, "Zwei Leute", 1, 3, "", 2, 4]
    evening.send("mona", "proposal.order")
    assert evening.touched == []


# Stage and overlay.


def on_air(evening: Evening) -> Any:
    """The same on every screen."""
    shown = [evening.screen(channel)["on_air"] for channel in SCREENS]
    assert shown == [shown[0]] * len(SCREENS)
    return shown[0]


def test_a_proposal_is_put_on_air_with_its_origin_and_taken_off() -> None:
    evening = board()
    evening.names = {"anna": "Anna Arndt", "registration/1": "Anna Arndt"}
    evening.send("oskar", "proposal.air", card=1)
    result = on_air(evening)["result"]
    assert (result["text"], result["name"], result["round_title"], result["number"]) == ("Vorschlag 1", "Verkehr", "Runde", 1)
    assert "Arndt" not in str(on_air(evening)), "a room proposes, not a person"
    assert evening.seen("board", "proposal/1")["on_air"]
    assert not evening.seen("board", "proposal/2")["on_air"]
    evening.send("oskar", "proposal.air", card=2, on=False)
    assert on_air(evening)["result"], "that one was not on air"
    evening.send("oskar", "proposal.air", card=1, on=False)
    assert on_air(evening) == {"contribution": None, "result": None, "since": None}
    assert not evening.seen("board", "proposal/1")["on_air"]


def test_a_summary_is_put_on_air_part_by_part() -> None:
    evening = board()
    evening.send("mona", "summary.air", room="1-1")
    result = on_air(evening)["result"]
    assert (result["part"], result["text"], result["name"], result["question"]) == ("proposed", "Das will 1-1", "Verkehr", "Wie?")
    evening.send("mona", "summary.air", room="1-1", part="open")
    assert on_air(evening)["result"]["text"] == "Wer bezahlt?"
    assert evening.seen("board", "result/1-1")["on_air"] == "open"
    since = on_air(evening)["since"]
    evening.send("mona", "summary.air", room="1-1", part="open")
    assert on_air(evening)["since"] == since, "it is there already"
    assert evening.refused("mona", "summary.air", room="1-1", part="discussed").code == "not_on_board"
    assert evening.refused("mona", "summary.air", room="9-9").code == "unknown_room"
    evening.send("mona", "summary.air", room="1-1", part="open", on=False)
    assert on_air(evening)["result"] is None


def test_one_thing_at_a_time_is_on_air() -> None:
    evening = board()
    number = evening.bring("on_air")
    evening.send("mona", "proposal.air", card=1)
    assert evening.item(number).state == "answered"
    assert (on_air(evening)["contribution"], on_air(evening)["result"]["number"]) == (None, 1)
    evening.send("mona", "summary.air", room="1-2")
    assert on_air(evening)["result"]["room"] == "1-2"
    second = evening.bring("on_air")
    assert (on_air(evening)["contribution"]["number"], on_air(evening)["result"]) == (second, None)
    assert not evening.seen("board", "result/1-2")["on_air"]


LEAVES: list[tuple[str, dict[str, Any]]] = [
    ("summary.confirm", {"room": "1-1", "on": False}),
    ("summary.draft", {"room": "1-1", "open": "Doch noch etwas"}),
    ("card.propose", {"card": 1, "on": False}),
    ("card.withdraw", {"card": 1}),
    ("card.edit", {"card": 1, "text": "Etwas anderes"}),
]


@pytest.mark.parametrize(("command", "arguments"), LEAVES)
def test_a_proposal_that_leaves_the_board_or_is_changed_leaves_stage_and_overlay_and_does_not_come_back_by_itself(
    command: str, arguments: dict[str, Any]
) -> None:
    evening = board()
    evening.send("mona", "proposal.air", card=1)
    evening.send("anna", command, **arguments)
    assert "on_air" in evening.touched
    assert on_air(evening) == {"contribution": None, "result": None, "since": None}
    evening.send("anna", "summary.confirm", room="1-1")
    assert on_air(evening)["result"] is None


@pytest.mark.parametrize(("command", "arguments"), LEAVES)
def test_what_another_room_or_card_does_leaves_it_on_air(command: str, arguments: dict[str, Any]) -> None:
    evening = board()
    evening.send("mona", "proposal.air", card=3)
    evening.send("anna", command, **arguments)
    assert on_air(evening)["result"]["number"] == 3


def test_a_summary_that_is_taken_off_the_board_or_written_on_leaves_stage_and_overlay() -> None:
    for command, arguments in LEAVES[:2]:
        evening = board()
        evening.send("mona", "summary.air", room="1-1")
        evening.send("anna", command, **arguments)
        assert on_air(evening)["result"] is None
        assert same(evening.replayed(), evening.event)


def test_what_is_not_on_the_board_is_not_put_on_air() -> None:
    evening = board()
    evening.send("mona", "summary.confirm", room="1-1", on=False)
    assert evening.refused("mona", "proposal.air", card=1).code == "not_on_board"
    assert evening.refused("mona", "summary.air", room="1-1").code == "not_on_board"
    assert evening.refused(SYSTEM, "proposal.air", card=9).code == "not_on_board"
