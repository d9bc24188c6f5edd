"""A room calls for help: one call for each room, who is coming is announced, and nothing but its end takes it out of the queue."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import forgotten
from rooms.command import SYSTEM
from tests.moderation.evening import _READ, _WRITE, Evening, same


def room() -> Evening:
    """Anna and Bilal are in the first room, Cem is in the second; Mona and Olga may help."""
    evening = Evening()
    evening.send("mona", "round.create", title="Runde", policy="chosen", come_and_go=True, rooms=[{"name": "A"}, {"name": "B"}])
    evening.send("mona", "round.open", round=1, minutes=20)
    for person, id in (("anna", "1-1"), ("bilal", "1-1"), ("cem", "1-2")):
        evening.send(person, "room.enter", room=id)
    return evening


def calling(why: str = "Wir kommen nicht weiter") -> Evening:
    """Anna has called."""
    evening = room()
    evening.send("anna", "room.ask_for_help", room="1-1", why=why)
    return evening


def inside(evening: Evening) -> Any:
    """What the room is shown of its call."""
    return evening.seen("room/1-1", "help/1-1")


def queue(evening: Evening) -> list[str]:
    """The rooms in the moderators' queue."""
    return [key for key in evening.screen("rooms") if key.startswith("help/")]


def test_only_those_in_an_open_room_call() -> None:
    evening = room()
    for person in ("cem", "emil", "mona"):
        assert evening.refused(person, "room.ask_for_help", room="1-1").code == "not_your_room"
    evening.send("hilde", "room.enter", room="1-1")
    evening.send("hilde", "room.ask_for_help", room="1-1")
    evening.send("mona", "round.close", round=1, room="1-1")
    assert evening.refused("anna", "room.ask_for_help", room="1-1").code == "round_closed"
    assert evening.refused("anna", "room.ask_for_help", room="9-9").code == "unknown_room"


def test_a_room_has_one_call_and_asked_again_it_counts_and_changes_the_word() -> None:
    evening = calling()
    since = inside(evening)["since"]
    assert evening.send("anna", "room.ask_for_help", room="1-1", why="Wir kommen nicht weiter")["asked"] == 1
    assert evening.send("bilal", "room.ask_for_help", room="1-1")["asked"] == 2
    assert inside(evening)["why"] == "Wir kommen nicht weiter", "no word is no other word"
    evening.send("anna", "room.ask_for_help", room="1-1", why="Streit\nüber die Zeit")
    shown = inside(evening)
    assert (shown["why"], shown["asked"], shown["since"]) == ("Streit über die Zeit", 2, since)
    assert queue(evening) == ["help/1-1"]


def test_a_word_is_short() -> None:
    refused = room().refused("anna", "room.ask_for_help", room="1-1", why="x" * 141)
    assert (refused.code, refused.field, refused.params["max"]) == ("why_too_long", "why", 140)


def test_who_claims_is_announced_before_they_come_and_shown_when_they_are_there() -> None:
    evening = calling()
    evening.send("mona", "person.join", name="Mona M.")
    evening.send("mona", "room.claim_help", room="1-1")
    shown = inside(evening)
    assert (shown["by_name"], shown["by_role"], shown["here"]) == ("Mona M.", "moderator", False)
    assert evening.seen("room/1-1", "room/1-1")["guests"] == []
    evening.send("mona", "room.enter", room="1-1")
    assert inside(evening)["here"]
    assert evening.seen("room/1-1", "room/1-1")["guests"] == ["Mona M."]
    assert evening.seen("rooms", "room/1-1")["help"] == "here"
    evening.send("mona", "room.leave", room="1-1")
    assert inside(evening)["since"] == "", "the end of the visit settles it"
    assert queue(evening) == []


def test_a_new_name_of_who_is_coming_reaches_the_room() -> None:
    evening = calling()
    evening.send("olga", "room.claim_help", room="1-1")
    assert inside(evening)["by_role"] == "organiser"
    evening.send("olga", "person.join", name="Olga O.")
    assert "help/1-1" in evening.touched


def test_the_second_who_claims_is_told_who_has_it() -> None:
    evening = calling()
    evening.send("mona", "room.claim_help", room="1-1")
    refused = evening.refused("olga", "room.claim_help", room="1-1")
    assert (refused.code, refused.params) == ("already_claimed", {"by": inside(evening)["by"], "role": "moderator"})
    rows = len(evening.rows)
    evening.send("mona", "room.claim_help", room="1-1")
    assert len(evening.rows) == rows, "claimed is claimed"


@pytest.mark.parametrize("person", ["mona", "olga"])
def test_a_claim_may_be_given_back_also_for_somebody_whose_laptop_has_died(person: str) -> None:
    evening = calling()
    evening.send("mona", "room.claim_help", room="1-1")
    evening.send(person, "room.claim_help", room="1-1", on=False)
    assert (inside(evening)["by"], evening.seen("rooms", "room/1-1")["help"]) == ("", "waiting")
    evening.send("olga", "room.claim_help", room="1-1")


def test_there_is_nothing_to_claim_without_a_call() -> None:
    evening = room()
    assert evening.refused("mona", "room.claim_help", room="1-1").code == "no_call"
    for person in ("anna", "hilde", "oskar"):
        assert evening.refused(person, "room.claim_help", room="1-1").code == "forbidden"


@pytest.mark.parametrize("person", ["anna", "bilal", "mona", "olga"])
def test_the_room_may_withdraw_its_call_and_moderators_settle_it(person: str) -> None:
    evening = calling()
    evening.send(person, "room.end_help", room="1-1")
    assert queue(evening) == []
    rows = len(evening.rows)
    evening.send(person, "room.end_help", room="1-1")
    assert len(evening.rows) == rows, "done is done"


@pytest.mark.parametrize("person", ["cem", "emil", "hilde"])
def test_nobody_else_ends_it(person: str) -> None:
    assert calling().refused(person, "room.end_help", room="1-1").code == "not_your_room"


def test_a_call_stays_though_those_who_called_and_who_was_coming_are_gone() -> None:
    evening = calling()
    evening.send("mona", "room.claim_help", room="1-1")
    evening.send(SYSTEM, "link.revoke", role="moderator")
    evening.send(SYSTEM, "room.away", room="1-1", person="bilal", away=True)
    evening.send("anna", "room.leave", room="1-1")
    evening.event = evening.replayed()
    assert queue(evening) == ["help/1-1"]
    evening.send("olga", "room.claim_help", room="1-1", on=False)
    evening.send("olga", "room.claim_help", room="1-1")


def test_the_visit_of_somebody_else_settles_nothing() -> None:
    evening = calling()
    evening.send("mona", "room.claim_help", room="1-1")
    for command in ("room.enter", "room.leave"):
        evening.send("olga", command, room="1-1")
    assert (queue(evening), inside(evening)["here"]) == (["help/1-1"], False)


@pytest.mark.parametrize("close", [{"room": "1-1"}, {}])
def test_the_end_of_the_room_settles_it(close: dict[str, str]) -> None:
    evening = calling()
    evening.send("mona", "round.close", round=1, **close)
    assert queue(evening) == []
    assert "help/1-1" in evening.touched
    assert not inside(evening)["open"]


@pytest.mark.parametrize(
    ("person", "command", "arguments"),
    [
        ("anna", "room.end_help", {"room": "1-1"}),
        ("mona", "room.leave", {"room": "1-1"}),
        ("mona", "round.close", {"round": 1, "room": "1-1"}),
        ("mona", "round.close", {"round": 1}),
    ],
)
def test_what_it_was_about_is_forgotten_with_it(person: str, command: str, arguments: dict[str, Any]) -> None:
    evening = calling("Ein Geheimnis")
    evening.send("bilal", "room.ask_for_help", room="1-1", why="Noch ein Geheimnis")
    evening.send("mona", "room.claim_help", room="1-1")
    evening.send("mona", "room.enter", room="1-1")
    forget = evening.decide(person, command, **arguments).forget
    evening.send(person, command, **arguments)
    for seq in forget:
        at, by, changes = evening.rows[seq - 1]
        evening.rows[seq - 1] = at, by, _WRITE.encode([forgotten(change) for change in _READ.decode(changes)])
    assert b"Geheimnis" not in b"".join(changes for *_, changes in evening.rows) + evening.snapshot()
    assert same(evening.replayed(), evening.event)


def test_the_queue_is_for_moderators_and_the_call_for_its_room() -> None:
    evening = calling("Ein Geheimnis")
    assert "Geheimnis" in str(evening.screen("rooms"))
    for channel in ("public", "board", "stage", "room/1-2", "moderation"):
        assert "Geheimnis" not in str(evening.screen(channel))


def waiting(evening: Evening) -> list[tuple[str, str]] | None:
    """Who waits for help, as the console says it: room and name."""
    shown = evening.seen("moderation", "calls")
    return [(one["room"], one["name"]) for one in shown["rooms"]] if shown else None


def test_the_console_says_who_waits_and_nothing_when_somebody_comes_to_all_of_them() -> None:
    evening = room()
    assert waiting(evening) is None
    evening.send("cem", "room.ask_for_help", room="1-2")
    evening.send("anna", "room.ask_for_help", room="1-1", why="Ein Geheimnis")
    assert waiting(evening) == [("1-2", "B"), ("1-1", "A")], "the longest waiting first"
    assert "Geheimnis" not in str(evening.seen("moderation", "calls"))
    evening.send("mona", "room.claim_help", room="1-2")
    assert waiting(evening) == [("1-1", "A")]
    evening.send("olga", "room.claim_help", room="1-1")
    assert "calls" not in evening.screen("moderation")
    evening.send("olga", "room.claim_help", room="1-2", on=False)
    assert waiting(evening) == [("1-2", "B")]


@pytest.mark.parametrize(
    ("person", "command", "arguments"),
    [
        ("anna", "room.ask_for_help", {"room": "1-1"}),
        ("mona", "room.claim_help", {"room": "1-2"}),
        ("cem", "room.end_help", {"room": "1-2"}),
        ("mona", "round.close", {"round": 1, "room": "1-2"}),
        ("mona", "round.close", {"round": 1}),
        ("mona", "room.edit", {"room": "1-2", "name": "Anders"}),
    ],
)
def test_whatever_changes_who_waits_reaches_the_console(person: str, command: str, arguments: dict[str, Any]) -> None:
    evening = room()
    evening.send("cem", "room.ask_for_help", room="1-2")
    before = waiting(evening)
    evening.send(person, command, **arguments)
    assert waiting(evening) != before
    assert "calls" in evening.touched
