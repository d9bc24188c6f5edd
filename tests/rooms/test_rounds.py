"""Small groups: who gets in, who comes back, what a full room says, and how time ends although nobody is there."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from moderation.capabilities import timers
from moderation.roles import actor, check_channel
from rooms.breakout import Room, may_watch, tag
from rooms.command import SYSTEM, Refused
from tests.moderation.evening import Evening, same

ROOMS = [{"name": "Verkehr", "topic": "city"}, {"name": "Schule", "topic": "education"}]


def evening(*rooms: dict[str, Any], opened: bool = True, minutes: int | None = 20, **more: Any) -> Evening:
    """A round that is open."""
    evening = Evening()
    evening.send("mona", "round.create", **{"title": "Erste Runde", "rooms": list(rooms or ROOMS), "policy": "chosen"} | more)
    if opened:
        evening.send("mona", "round.open", round=1, **({"minutes": minutes} if minutes else {}))
    return evening


def room(evening: Evening, id: str = "1-1") -> Room:
    return evening.event.rounds.rooms[id]


def fire(evening: Evening, seconds: float) -> list[str]:
    """Let the time pass; returns the commands of the timers that were due."""
    evening.now += int(seconds * 1000)
    fired = []
    for timer in timers(evening.event):
        if timer.at <= evening.now:
            outcome = evening.decide(SYSTEM, timer.name, **msgspec.to_builtins(timer.command))
            if outcome.changes:
                evening.enter(SYSTEM, outcome.changes)
                fired.append(timer.name)
    return fired


# Getting in.


def test_who_chooses_gets_a_seat_and_a_full_room_names_another() -> None:
    play = evening({"name": "A", "capacity": 2}, {"name": "B", "capacity": 3})
    for person in ("anna", "bilal"):
        assert play.send(person, "room.enter", room="1-1")["role"] == "participant"
    refused = play.refused("cem", "room.enter", room="1-1")
    assert (refused.code, refused.params["room"]) == ("room_full", "1-2")


@pytest.mark.parametrize("capacity", [1, 76, 0, -1])
def test_no_room_is_for_fewer_than_two_or_more_than_75(capacity: int) -> None:
    assert Evening().refused("mona", "round.create", title="x", rooms=[{"name": "A", "capacity": capacity}]).code == "malformed"


def test_seats_that_are_held_count() -> None:
    play = evening({"name": "A", "capacity": 2})
    for person in ("anna", "bilal"):
        play.send(person, "room.enter", room="1-1")
    play.send(SYSTEM, "room.away", room="1-1", person="anna", away=True)
    assert play.refused("cem", "room.enter", room="1-1").code == "room_full"
    assert fire(play, 298) == []
    assert fire(play, 1) == ["room.release"]
    assert play.send("cem", "room.enter", room="1-1")["room"] == "1-1"
    assert play.refused("anna", "room.enter", room="1-1").code == "room_full"


def test_who_comes_back_in_time_has_seat_role_and_place_again() -> None:
    play = evening({"name": "A", "note_taker": "anna"})
    play.send("anna", "room.enter", room="1-1")
    play.send(SYSTEM, "room.away", room="1-1", person="anna", away=True)
    assert room(play).seats["anna"].away_since == play.now
    assert play.send("anna", "room.enter", room="1-1")["role"] == "note_taker"
    assert room(play).seats["anna"].away_since is None
    assert fire(play, 600) == []


def test_another_device_with_the_same_registration_is_the_same_participant() -> None:
    play = Evening("registration", starts="2020-08-31T18:00:00+02:00")
    given = {"place": "hall", "name": "Anna Aal", "email": "a@example.org", "consents": ["picture"]}
    registered = play.send("anna", "registration.submit", **given)
    play.send(SYSTEM, "event.advance", phase="live")
    play.send("mona", "round.create", title="Runde", rooms=ROOMS, policy="chosen")
    play.send("mona", "round.open", round=1)
    play.send("anna", "room.enter", room="1-1")
    play.send(SYSTEM, "room.away", room="1-1", person="registration/1", away=True)

    play.send("annas-tablet", "registration.enter", registration=1, token=registered["token"])
    assert play.send("annas-tablet", "room.enter", room="1-1")["role"] == "participant"
    assert list(room(play).seats) == ["registration/1"]
    assert play.seen("me", "seat", "annas-tablet")["room"] == "1-1"
    assert play.seen("me", "seat", "anna")["room"] == "1-1"


def test_who_was_assigned_finds_only_their_room_open() -> None:
    play = evening(policy="assigned", opened=False)
    for person in ("anna", "bilal"):
        play.send(person, "round.join")
    seats = play.send("mona", "round.assign", round=1, seed=7)["seats"]
    assert sorted(seats) == sorted(tag(play.event, person) for person in ("anna", "bilal"))
    assert set(seats.values()) == {"1-1", "1-2"}, "balanced"
    play.send("mona", "round.open", round=1, minutes=20)
    mine = seats[tag(play.event, "anna")]
    other = next(id for id in ("1-1", "1-2") if id != mine)
    refused = play.refused("anna", "room.enter", room=other)
    assert (refused.code, refused.params["room"]) == ("not_your_room", mine)
    assert play.send("anna", "room.enter", room=mine)["room"] == mine


def test_a_preview_changes_nothing_and_the_same_seed_gives_the_same() -> None:
    play = evening(policy="assigned", opened=False)
    for number in range(9):
        play.send(f"gast-{number}", "round.join", topics=["city"] if number % 2 else ["education"])
    before = play.snapshot()
    preview = play.send("mona", "round.assign", round=1, seed=3, conditions={"topics": True}, preview=True)
    assert play.snapshot() == before
    assert play.send("mona", "round.assign", round=1, seed=3, conditions={"topics": True}) == preview
    assert preview["sizes"] == {"1-1": 4, "1-2": 5}


def test_who_is_drawn_for_the_waiting_list_has_no_seat_besides() -> None:
    """Assigned anew while it runs: three for two seats, whoever had them before."""
    play = evening({"name": "A", "capacity": 2}, {"name": "B", "capacity": 2}, policy="mixed")
    for person in ("anna", "bilal", "cem"):
        play.send(person, "round.join")
    play.send("mona", "round.close", round=1, room="1-2")
    for seed in range(6):
        play.send("mona", "round.assign", round=1, seed=seed)
        assert len(room(play).seats) == 2
        assert play.screen("rooms")["rounds"]["current"]["waiting"] == 1


def test_whoever_comes_late_is_placed_and_never_lost() -> None:
    play = evening({"name": "A", "capacity": 2}, {"name": "B", "capacity": 2}, policy="assigned")
    placed = [play.send(f"gast-{number}", "round.join")["room"] for number in range(4)]
    assert sorted(placed) == ["1-1", "1-1", "1-2", "1-2"]
    assert play.send("cem", "round.join") == {"room": "", "waiting": True}
    assert play.seen("me", "seat", "cem")["waiting"]

    play.send("gast-0", "room.enter", room=placed[0])
    play.send("gast-0", "room.leave", room=placed[0])
    assert play.seen("me", "seat", "cem") == {
        "waiting": False, "room": placed[0], "name": room(play, placed[0]).name, "role": "participant",
        "open": True, "table": 0,
    }  # fmt: skip


def test_staff_visit_as_guests_who_are_announced_and_take_no_seat() -> None:
    play = evening({"name": "A", "capacity": 2})
    for person in ("anna", "bilal"):
        play.send(person, "room.enter", room="1-1")
    assert play.send("olga", "room.enter", room="1-1")["role"] == "guest"
    assert len(play.seen("room/1-1", "room/1-1")["guests"]) == 1
    play.send("olga", "room.leave", room="1-1")
    assert play.seen("room/1-1", "room/1-1")["guests"] == []


def test_people_are_moved_while_it_runs_but_not_into_a_full_room() -> None:
    play = evening({"name": "A", "capacity": 2}, {"name": "B", "capacity": 2})
    for person, id in (("anna", "1-1"), ("bilal", "1-2"), ("cem", "1-2")):
        play.send(person, "room.enter", room=id)
    assert play.refused("mona", "room.move", person="anna", to="1-2").code == "room_full"
    play.send(SYSTEM, "room.away", room="1-2", person="cem", away=True)
    play.send("mona", "room.move", person="cem", to="1-1")  # also who is away
    assert list(room(play).seats) == ["anna", "cem"]
    assert play.refused("mona", "room.move", person="nobody", to="1-2").code == "unknown_person"


# Time.


def test_a_room_ends_by_itself_after_its_grace_though_nobody_is_there() -> None:
    play = evening(minutes=20)
    play.send("anna", "room.enter", room="1-1")
    assert fire(play, 20 * 60) == []
    assert fire(play, 60) == ["round.close", "round.close"]
    assert play.event.rounds.items[1].state == "closed"
    assert play.refused("anna", "room.enter", room="1-1").code == "round_closed"


def test_more_time_for_one_room_or_for_all_and_who_may_give_it() -> None:
    play = evening({"name": "A", "moderators": ["anna"]}, {"name": "B"})
    for person, id in (("anna", "1-1"), ("bilal", "1-1")):
        play.send(person, "room.enter", room=id)
    end = play.event.rounds.items[1].ends_at
    assert end is not None
    assert play.send("bilal", "room.ask_for_time", room="1-1") == {"asked": 1}
    assert play.send("bilal", "room.ask_for_time", room="1-1") == {"asked": 1}, "once each"
    assert play.refused("bilal", "room.extend", room="1-1", minutes=5).code == "forbidden"
    assert play.refused("anna", "room.extend", round=1, minutes=5).code == "forbidden"

    assert play.send("anna", "room.extend", room="1-1", minutes=5) == {"ends_at": end + 5 * 60_000}
    assert room(play).asked == []
    fire(play, 21 * 60)
    assert [room(play, id).closed for id in ("1-1", "1-2")] == [False, True]
    assert play.send("mona", "room.extend", round=1, minutes=10)["ends_at"] > end
    assert fire(play, 60 * 60) == ["round.close"]


def test_a_recall_counts_down_and_then_all_are_back() -> None:
    play = evening(minutes=None)
    assert fire(play, 24 * 3600) == []
    play.send("mona", "round.recall", round=1, seconds=30)
    assert play.seen("room/1-1", "room/1-1")["recalled"]
    assert fire(play, 29) == []
    assert fire(play, 1) == ["round.close", "round.close"]


def test_an_end_that_was_moved_meanwhile_does_not_come() -> None:
    """The timer of the old end fires in a process that has not heard of the new one yet."""
    play = evening(minutes=1)
    old = play.event.rounds.items[1].ends_at
    play.send("mona", "room.extend", round=1, minutes=5)
    play.now += 3 * 60_000
    assert play.decide(SYSTEM, "round.close", round=1, room="1-1", at=old).changes == []


# Rights.


def test_nobody_reads_another_room() -> None:
    play = evening()
    play.send("anna", "room.enter", room="1-1")
    def may(person: str, channel: str) -> bool:
        try:
            check_channel(play.event, actor(play.event, person), channel, None)
        except Refused:
            return False
        return True

    assert [may(person, "room/1-1") for person in ("anna", "bilal", "mona", "olga", "oskar", "hilde")] == [
        True, False, False, False, False, False,
    ]  # fmt: skip
    assert not may("anna", "room/1-2")
    assert not may("anna", "room/")
    assert not may("anna", "room/9-9")
    assert [may(person, "rooms") for person in ("anna", "mona", "olga")] == [False, True, True]


def test_nobody_listens_unannounced() -> None:
    """Moderators read a room that is prepared or over; while people talk there they are shown as guests, or see nothing."""
    play = evening(opened=False)

    def may(person: str) -> bool:
        return may_watch(play.event, actor(play.event, person), "1-1")

    assert [may(person) for person in ("mona", "olga", "hilde", "bilal")] == [True, True, False, False]
    play.send("mona", "round.open", round=1, minutes=20)
    assert "rights" in play.touched, "who looks on is asked again"
    assert not may("mona")
    for person in ("mona", "hilde"):
        play.send(person, "room.enter", room="1-1")
        assert may(person)
        assert len(play.seen("room/1-1", "room/1-1")["guests"]) == 1
        play.send(person, "room.leave", room="1-1")
        assert "rights" in play.touched
        assert not may(person)
    play.send("mona", "round.close", round=1)
    assert [may(person) for person in ("mona", "hilde")] == [True, False]


def test_replayed_it_is_the_same() -> None:
    play = evening(policy="mixed", come_and_go=True)
    for number in range(5):
        play.send(f"gast-{number}", "round.join")
        play.send(f"gast-{number}", "room.enter", room=f"1-{number % 2 + 1}")
    play.send(SYSTEM, "room.away", room="1-1", person="gast-0", away=True)
    fire(play, 2_000)
    assert same(play.replayed(), play.event)


def test_moderators_name_people_as_they_see_them() -> None:
    """By their tags: nobody is shown the id of a browser."""
    play = evening(opened=False, policy="assigned")
    for person in ("anna", "bilal"):
        play.send(person, "round.join")
    by_hand = {tag(play.event, "anna"): "1-2", tag(play.event, "bilal"): "1-2"}
    assert play.send("mona", "round.assign", round=1, by_hand=by_hand)["seats"] == by_hand
    assert set(room(play, "1-2").seats) == {"anna", "bilal"}
    play.send("mona", "room.move", person=tag(play.event, "anna"), to="1-1")
    assert list(room(play, "1-1").seats) == ["anna"]
