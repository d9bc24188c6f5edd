"""What moderators tell the rooms: who gets it, and how many have seen it."""

from __future__ import annotations

from typing import Any

import pytest

from moderation import documents
from moderation.capabilities import forgotten
from rooms.command import SYSTEM
from tests.moderation.evening import _READ, _WRITE, Evening, same


def rooms() -> Evening:
    """Anna and Bilal are in the first room, Cem is in the second, and the third is empty."""
    evening = Evening()
    plans = [{"name": name} for name in "ABC"]
    evening.send("mona", "round.create", title="Runde", policy="chosen", come_and_go=True, rooms=plans)
    evening.send("mona", "round.open", round=1, minutes=20)
    for person, id in (("anna", "1-1"), ("bilal", "1-1"), ("cem", "1-2")):
        evening.send(person, "room.enter", room=id)
    return evening


def told(*to: str) -> Evening:
    """Mona has told these rooms."""
    evening = rooms()
    evening.send("mona", "announcement.send", text="Noch zehn Minuten", rooms=to)
    return evening


def heard(evening: Evening) -> list[str]:
    """The rooms that are shown an announcement."""
    return [id for id in evening.event.rounds.rooms if any(key.startswith("announ") for key in evening.screen(f"room/{id}"))]


def readers(evening: Evening) -> dict[str, tuple[int, int]]:
    """Room → seen, of how many; and all together."""
    shown = evening.seen("rooms", "announcement/1")
    rooms = {one["name"]: (one["seen"], one["of"]) for one in shown["rooms"]}
    return rooms | {"all": (shown["seen"], shown["of"])}


def test_it_goes_to_all_open_rooms_or_to_some() -> None:
    assert heard(told()) == ["1-1", "1-2", "1-3"]
    assert heard(told("1-2", "1-2")) == ["1-2"]
    evening = rooms()
    evening.send("mona", "round.close", round=1, room="1-2")
    assert evening.send("mona", "announcement.send", text="Noch zehn Minuten") == {"announcement": 1, "rooms": 2}
    assert heard(evening) == ["1-1", "1-3"]


def test_a_room_that_is_not_there_or_over_is_named_and_nobody_is_told() -> None:
    evening = rooms()
    evening.send("mona", "round.close", round=1, room="1-2")
    for to, code in ((["1-1", "9-9"], "unknown_room"), (["1-1", "1-2"], "round_closed")):
        assert evening.refused("mona", "announcement.send", text="Noch zehn Minuten", rooms=to).code == code
    evening.send("mona", "round.close", round=1)
    assert evening.refused("mona", "announcement.send", text="Noch zehn Minuten").code == "no_open_room"
    assert Evening().refused("mona", "announcement.send", text="Noch zehn Minuten").code == "no_open_room"
    assert heard(evening) == []


@pytest.mark.parametrize("person", ["anna", "hilde", "oskar"])
def test_only_moderators_and_organisers_speak_to_all(person: str) -> None:
    evening = told()
    assert evening.refused(person, "announcement.send", text="Hört her").code == "forbidden"
    assert evening.refused(person, "announcement.withdraw", announcement=1).code == "forbidden"


@pytest.mark.parametrize(("text", "code"), [("\u200b x", "text_too_short"), ("x" * 301, "text_too_long")])
def test_it_is_a_text_that_is_read_in_passing(text: str, code: str) -> None:
    assert rooms().refused("mona", "announcement.send", text=text).code == code


def test_each_participant_counts_once_in_their_room() -> None:
    evening = told()
    assert readers(evening) == {"A": (0, 2), "B": (0, 1), "C": (0, 0), "all": (0, 3)}
    for _ in range(2):
        evening.send("anna", "announcement.seen", announcement=1)
    assert readers(evening)["A"] == (1, 2)
    rows = len(evening.rows)
    evening.send("anna", "announcement.seen", announcement=1)
    assert len(evening.rows) == rows
    evening.send("cem", "announcement.seen", announcement=1)
    assert readers(evening)["all"] == (2, 3)


def test_another_device_of_the_same_participant_does_not_count_again() -> None:
    evening = rooms()
    registered = evening.send(
        "dana", "registration.submit", place="hall", name="Dana", email="dana@example.org", consents=["picture"]
    )
    for device in ("dana", "danas-phone"):
        evening.send(device, "registration.enter", registration=registered["number"], token=registered["token"])
    evening.send("dana", "room.enter", room="1-2")
    evening.send("mona", "announcement.send", text="Noch zehn Minuten")
    for device in ("dana", "danas-phone"):
        evening.send(device, "announcement.seen", announcement=1)
    assert readers(evening)["B"] == (1, 2)


def test_who_comes_later_is_counted_when_they_have_seen_it_and_who_left_stays_in_the_count() -> None:
    evening = told()
    evening.send("dana", "room.enter", room="1-3")
    assert readers(evening)["C"] == (0, 0)
    evening.send("dana", "announcement.seen", announcement=1)
    assert readers(evening)["C"] == (1, 1)
    evening.send("bilal", "room.leave", room="1-1")
    evening.send("bilal", "announcement.seen", announcement=1)
    evening.send("anna", "room.enter", room="1-3")
    evening.send("anna", "announcement.seen", announcement=1)
    assert readers(evening) == {"A": (2, 2), "B": (0, 1), "C": (1, 1), "all": (3, 4)}


def test_guests_see_it_and_do_not_count_and_nobody_else_says_so() -> None:
    evening = told("1-1")
    evening.send("hilde", "room.enter", room="1-1")
    assert evening.send("hilde", "announcement.seen", announcement=1) == {"announcement": 1}
    assert readers(evening)["all"] == (0, 2)
    for person in ("cem", "emil", "olga"):
        assert evening.refused(person, "announcement.seen", announcement=1).code == "not_your_room"
    assert evening.refused("anna", "announcement.seen", announcement=2).code == "unknown_announcement"


def test_what_was_seen_rings_only_the_moderators_and_as_numbers() -> None:
    evening = told()
    evening.send("anna", "announcement.seen", announcement=1)
    assert evening.touched == ["seen/1"]
    assert documents.channels_of(evening.event, "seen/1") == ["rooms"]
    numbers = documents.numbers(evening.event, "seen/1")
    assert numbers == {"seen": 1, "of": 3, "seen-1-1": 1, "of-1-1": 2, "seen-1-2": 0, "of-1-2": 1, "seen-1-3": 0, "of-1-3": 0}
    shown: dict[str, Any] = evening.seen("room/1-1", "announcement/1")
    assert shown.keys() == {"number", "text", "at"}, "the rooms are not shown the numbers"


def test_what_is_taken_back_is_gone_from_the_rooms_and_from_the_log() -> None:
    evening = rooms()
    evening.send("mona", "announcement.send", text="Ein Geheimnis")
    evening.send("anna", "announcement.seen", announcement=1)
    forget = evening.decide("olga", "announcement.withdraw", announcement=1).forget
    evening.send("olga", "announcement.withdraw", announcement=1)
    assert heard(evening) == []
    assert evening.refused("mona", "announcement.withdraw", announcement=1).code == "unknown_announcement"
    assert evening.refused("anna", "announcement.seen", announcement=1).code == "unknown_announcement"
    for seq in forget:
        at, by, changes = evening.rows[seq - 1]
        evening.rows[seq - 1] = at, by, _WRITE.encode([forgotten(change) for change in _READ.decode(changes)])
    assert b"Geheimnis" not in b"".join(changes for *_, changes in evening.rows) + evening.snapshot()
    assert same(evening.replayed(), evening.event)
    assert evening.send("mona", "announcement.send", text="Ein anderer Text")["announcement"] == 2


def test_the_system_speaks_too_and_replayed_it_is_the_same() -> None:
    evening = rooms()
    before = evening.snapshot()
    evening.send(SYSTEM, "announcement.send", text="Noch zehn Minuten")
    for person in ("anna", "cem"):
        evening.send(person, "announcement.seen", announcement=1)
    assert same(evening.replayed(), evening.event)
    assert same(evening.replayed(before), evening.event)
