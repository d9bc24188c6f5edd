"""Joining: at home by default, in the hall with the code, under a name or none."""

from __future__ import annotations

import pytest

from rooms.entrance import code_at
from rooms.joining import MAX_NAME
from rooms.text import clean, length
from tests.moderation.evening import HOSTILE, SECRET, Evening


def code(evening: Evening, ago: int = 0) -> str:
    """The code that the next command will find valid, or was valid `ago` seconds before."""
    return code_at(SECRET, evening.now + 1_000 - ago * 1_000, 150)


def test_who_says_nothing_is_at_home() -> None:
    evening = Evening()
    assert evening.event.attendance.place("anna") == "home"
    assert evening.send("anna", "person.join") == {"place": "home"}


def test_the_code_of_the_stage_leads_into_the_hall() -> None:
    evening = Evening()
    assert evening.send("anna", "person.join", place="hall", code=code(evening)) == {"place": "hall"}
    assert evening.seen("me", "person", "anna") == {"name": "", "place": "hall"}
    assert evening.item(evening.submit("anna")).origin == "hall"
    assert evening.item(evening.submit("bilal")).origin == "home"


@pytest.mark.parametrize("wrong", [None, "", "AAAAAA"])
def test_without_the_code_nobody_is_in_the_hall(wrong: str | None) -> None:
    evening = Evening()
    refused = evening.refused("anna", "person.join", place="hall", code=wrong)
    assert (refused.code, refused.field) == ("wrong_code", "code")
    assert evening.event.attendance.place("anna") == "home"


def test_an_old_code_is_refused_and_the_last_one_is_not() -> None:
    evening = Evening()
    assert evening.refused("anna", "person.join", place="hall", code=code(evening, ago=300)).code == "wrong_code"
    evening.send("bilal", "person.join", place="hall", code=code(evening, ago=150))
    assert evening.event.attendance.place("bilal") == "hall"


def test_who_is_in_the_hall_stays_there_without_a_code_and_may_go_home() -> None:
    evening = Evening()
    evening.send("anna", "person.join", place="hall", code=code(evening))
    assert evening.send("anna", "person.join", place="hall", name="Anna") == {"place": "hall"}
    assert evening.send("anna", "person.join", place="home") == {"place": "home"}
    assert evening.refused("anna", "person.join", place="hall").code == "wrong_code"


def test_what_was_said_in_the_hall_stays_said_in_the_hall() -> None:
    evening = Evening()
    evening.send("anna", "person.join", place="hall", code=code(evening))
    number = evening.submit("anna")
    evening.send("anna", "person.join", place="home")
    assert evening.item(number).origin == "hall"


def test_a_name_is_kept_outside_the_log() -> None:
    evening = Evening()
    evening.send("anna", "person.join", name="Anna Außergewöhnlich")
    assert evening.seen("me", "person", "anna")["name"] == "Anna Außergewöhnlich"
    kept = b"".join(row for _, _, row in evening.rows) + evening.snapshot()
    assert "Anna Außergewöhnlich".encode() not in kept


def test_an_empty_name_takes_the_name_away() -> None:
    evening = Evening()
    evening.send("anna", "person.join", name="Anna")
    evening.send("anna", "person.join", name=" \n")
    assert evening.names["anna"] == ""


def test_a_name_has_up_to_sixty_characters_in_one_line() -> None:
    evening = Evening()
    evening.send("anna", "person.join", name="👩🏽‍🚒" * MAX_NAME)
    evening.send("anna", "person.join", name="Anna\nvon\nnebenan")
    assert evening.names["anna"] == "Anna von nebenan"
    refused = evening.refused("anna", "person.join", name="x" * (MAX_NAME + 1))
    assert (refused.code, refused.field) == ("name_too_long", "name")
    assert evening.names["anna"] == "Anna von nebenan"


@pytest.mark.parametrize("name", HOSTILE.values(), ids=HOSTILE.keys())
def test_a_hostile_name_is_cleaned_or_refused(name: str) -> None:
    evening = Evening()
    if length(clean(name, lines=False)) > MAX_NAME:
        assert evening.refused("anna", "person.join", name=name).code == "name_too_long"
        return
    evening.send("anna", "person.join", name=name)
    assert not set("\n\u202e\u2066\u200b\ufeff\x00\ufffc") & set(evening.names["anna"])


def test_a_refused_code_stores_no_name_either() -> None:
    evening = Evening()
    evening.refused("anna", "person.join", place="hall", code="AAAAAA", name="Anna")
    assert "anna" not in evening.names


@pytest.mark.parametrize("phase", ["registration", "live", "closed", "documented"])
def test_people_may_join_whenever_the_event_is_open_to_them(phase: str) -> None:
    Evening(phase).send("anna", "person.join", name="Anna")


def test_nobody_joins_a_draft() -> None:
    assert Evening("draft").refused("anna", "person.join", name="Anna").code == "not_open"


def test_the_name_on_air_changes_with_the_name_of_the_contribution() -> None:
    evening = Evening()
    evening.bring("on_air", "anna", name="Anna")
    assert evening.screen("output/main")["on_air"]["contribution"]["name"] == "Anna"
    evening.send("anna", "person.join", name="Somebody else")
    assert evening.screen("output/main")["on_air"]["contribution"]["name"] == "Anna", "a name signs one contribution"
