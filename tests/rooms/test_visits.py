"""A visit whose pages are gone ends by itself, and the call for help that it was for goes back to the queue."""

from __future__ import annotations

import pytest

from rooms.command import SYSTEM
from tests.moderation.evening import Evening, same
from tests.rooms.test_rounds import evening as running
from tests.rooms.test_rounds import fire, room


def visiting(person: str = "mona", *, seen: bool = True, hold: int = 300) -> Evening:
    """Anna's room has called for help; somebody of the team has claimed the call if they may, and is there."""
    evening = running(hold=hold)
    evening.send("anna", "room.enter", room="1-1")
    evening.send("anna", "room.ask_for_help", room="1-1", why="Streit")
    if person != "hilde":
        evening.send(person, "room.claim_help", room="1-1")
    evening.send(person, "room.enter", room="1-1")
    if seen:
        away(evening, person, on=False)
    return evening


def away(evening: Evening, person: str = "mona", *, on: bool = True) -> bool:
    """The system says so; returns whether that is news."""
    rows = len(evening.rows)
    evening.send(SYSTEM, "room.guest_away", room="1-1", person=person, away=on)
    return len(evening.rows) > rows


def guests(evening: Evening) -> int:
    return len(evening.seen("room/1-1", "room/1-1")["guests"])


def help_of(evening: Evening) -> str:
    return str(evening.seen("rooms", "room/1-1")["help"])


def test_a_visit_whose_pages_are_gone_ends_after_a_minute_and_the_call_waits_again() -> None:
    evening = visiting()
    assert away(evening)
    assert (fire(evening, 59), guests(evening), help_of(evening)) == ([], 1, "here")
    assert (fire(evening, 1), guests(evening), help_of(evening)) == (["room.end_visit"], 0, "waiting")
    assert {"room/1-1", "help/1-1", "rights"} <= {*evening.touched}
    assert evening.seen("rooms", "help/1-1")["why"] == "Streit", "nobody has settled it"
    evening.send("olga", "room.claim_help", room="1-1")


def test_who_comes_back_in_time_goes_on_with_the_visit() -> None:
    evening = visiting()
    away(evening)
    assert fire(evening, 40) == []
    assert away(evening, on=False)
    assert (fire(evening, 600), guests(evening), help_of(evening)) == ([], 1, "here")
    away(evening)
    assert fire(evening, 59) == [], "the minute begins anew"
    assert fire(evening, 1) == ["room.end_visit"]


def test_the_timer_of_an_earlier_absence_ends_nothing() -> None:
    evening = visiting()
    away(evening)
    since = evening.now
    away(evening, on=False)
    away(evening)
    evening.now = since + 60_000
    evening.send(SYSTEM, "room.end_visit", room="1-1", person="mona", gone_since=since)
    assert guests(evening) == 1


def test_a_visit_is_held_no_longer_than_a_seat() -> None:
    evening = visiting(hold=10)
    away(evening)
    assert (fire(evening, 9), fire(evening, 1)) == ([], ["room.end_visit"])


def test_who_was_never_seen_on_a_screen_is_not_gone() -> None:
    """They visit without a script."""
    evening = visiting(seen=False)
    assert not away(evening)
    assert (fire(evening, 600), guests(evening)) == ([], 1)


def test_each_is_said_once_whoever_says_it() -> None:
    evening = visiting()
    assert [away(evening, on=on) for on in (False, True, True, False, False)] == [False, True, False, True, False]
    assert not away(evening, "olga"), "she does not visit"


def test_a_visit_that_settled_nothing_leaves_the_call_with_who_is_coming() -> None:
    evening = visiting("hilde")
    evening.send("mona", "room.claim_help", room="1-1")
    away(evening, "hilde")
    assert fire(evening, 60) == ["room.end_visit"]
    assert help_of(evening) == "coming"


def test_the_button_settles_the_call_and_no_timer_is_left() -> None:
    evening = visiting()
    away(evening)
    evening.send("mona", "room.leave", room="1-1")
    assert help_of(evening) == ""
    evening.send("mona", "room.enter", room="1-1")
    assert (fire(evening, 60), guests(evening)) == ([], 1), "another visit"


def test_who_gets_a_seat_visits_no_more() -> None:
    evening = visiting()
    away(evening)
    evening.send("mona", "round.join")
    evening.send("olga", "room.move", person="mona", to="1-1")
    assert "mona" in room(evening).seats
    assert (fire(evening, 60), guests(evening)) == ([], 0)
    assert "mona" in room(evening).seats


@pytest.mark.parametrize("close", [{"room": "1-1"}, {}])
def test_a_room_that_is_over_keeps_no_visitor_who_is_gone(close: dict[str, str]) -> None:
    evening = visiting()
    away(evening)
    evening.send("olga", "round.close", round=1, **close)
    assert guests(evening) == 0
    assert "room.end_visit" not in fire(evening, 60)


def test_another_process_finds_the_same_timer() -> None:
    evening = visiting()
    kept = evening.snapshot()
    away(evening)
    for found in (evening.replayed(), evening.replayed(kept)):
        assert same(found, evening.event)
    evening.event = evening.replayed()
    assert fire(evening, 60) == ["room.end_visit"]
    assert same(evening.replayed(), evening.event)
