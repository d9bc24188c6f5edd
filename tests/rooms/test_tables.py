"""Tables in the hall: one device for all who sit there, its code, its heads, its names, and what it may do."""

from __future__ import annotations

from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from moderation.roles import actor, check_channel
from rooms.breakout import Room, browsers, self_of, tag
from rooms.cards import MOST_OF_ONE
from rooms.command import SYSTEM, Refused
from rooms.entrance import ALPHABET
from rooms.tables import LENGTH, code
from tests.moderation.evening import HOSTILE, Evening, same
from tests.rooms.test_rounds import fire

TABLES: list[dict[str, Any]] = [
    {"name": "Tisch 1: Verkehr", "question": "Wie kommen wir zur Arbeit?", "capacity": 8, "table": True},
    {"name": "Tisch 2: Schule", "capacity": 8, "table": True},
]


def hall(*rooms: dict[str, Any], opened: bool = True, policy: str = "assigned", **more: Any) -> Evening:
    """A round of tables that is open."""
    evening = Evening()
    evening.send("mona", "round.create", title="Runde", rooms=list(rooms or TABLES), policy=policy, **more)
    if opened:
        evening.send("mona", "round.open", round=1, minutes=20)
    return evening


def sits(evening: Evening, device: str = "tablet", heads: int = 6, room: str = "1-1", **more: Any) -> dict[str, Any]:
    """A device that has read the card of the table."""
    card = code(evening.event, evening.event.rounds.rooms[room].number)
    return evening.send(device, "room.seat_table", **{"room": room, "heads": heads, "code": card} | more)


def room(evening: Evening, id: str = "1-1") -> Room:
    return evening.event.rounds.rooms[id]


def allowed(evening: Evening, person: str, channel: str) -> bool:
    try:
        check_channel(evening.event, actor(evening.event, person), channel, None)
    except Refused:
        return False
    return True


# Sitting down.


def test_a_table_sits_down_by_its_code_and_counts_its_heads() -> None:
    evening = hall()
    assert sits(evening) == {"room": "1-1", "heads": 6}
    assert list(room(evening).seats) == ["table/1-1"]
    assert room(evening).free == 2
    shown = evening.seen("rooms", "room/1-1")
    assert (shown["heads"], shown["table"]) == (6, 1)
    (people,) = shown["people"]
    assert (people["heads"], people["table"], people["name"]) == (6, True, "")
    line = evening.seen("public", "rounds")["current"]["rooms"][0]
    assert (line["people"], line["free"], line["table"]) == (6, 2, 1)
    assert evening.seen("public", "rounds")["people"] == 6
    assert evening.event.attendance.place("tablet") == "hall"


@pytest.mark.parametrize("written", ["{}", " {} ", "lower", "dashed"])
def test_the_code_is_read_as_people_type_it(written: str) -> None:
    evening = hall()
    card = code(evening.event, 1)
    typed = {"lower": card.lower(), "dashed": f"{card[:4]}-{card[4:]}"}.get(written, written.format(card))
    assert sits(evening, code=typed)["room"] == "1-1"


@pytest.mark.parametrize("wrong", ["", "AAAAAAAA", "\x00", "ß" * 8, "x" * 5_000, "table/1"])
def test_another_code_lets_nobody_in(wrong: str) -> None:
    evening = hall()
    before = evening.snapshot()
    refused = evening.refused("tablet", "room.seat_table", room="1-1", heads=3, code=wrong)
    assert (refused.code, refused.field) == ("wrong_table_code", "code")
    assert evening.snapshot() == before
    assert not allowed(evening, "tablet", "room/1-1")


def test_the_code_of_another_table_opens_only_that_one() -> None:
    evening = hall()
    other = code(evening.event, 2)
    assert evening.refused("tablet", "room.seat_table", room="1-1", heads=3, code=other).code == "wrong_table_code"
    assert evening.send("tablet", "room.seat_table", room="1-2", heads=3, code=other)["room"] == "1-2"
    assert evening.refused("tablet", "room.seat_table", room="1-1", heads=3).code == "wrong_table_code"


def test_a_code_is_long_enough_and_nowhere_stored() -> None:
    evening = hall()
    sits(evening)
    codes = {code(evening.event, number) for number in range(1, 201)}
    assert len(codes) == 200
    assert all(len(one) == LENGTH == 8 and set(one) <= set(ALPHABET) for one in codes)
    assert code(evening.event, 1).encode() not in evening.snapshot() + b"".join(row for *_, row in evening.rows)


def test_no_audience_learns_a_table_s_code() -> None:
    evening = hall()
    sits(evening)
    for channel in ("public", "stage", "hall", "moderation", "rooms", "room/1-1", "board", "door"):
        assert code(evening.event, 1) not in str(evening.screen(channel))


def test_a_room_that_is_no_table_has_no_device() -> None:
    evening = hall({"name": "Verkehr"}, TABLES[1])
    for command in ("room.seat_table", "room.renew_code", "room.forget_names"):
        more: dict[str, Any] = {"heads": 2, "code": code(evening.event, 1)} if command == "room.seat_table" else {}
        assert evening.refused("mona", command, room="1-1", **more).code == "unknown_room"


# How many they are.


@pytest.mark.parametrize(("heads", "refusal"), [(0, "malformed"), (-3, "malformed"), (9, "table_full"), (10**9, "table_full")])
def test_nobody_says_a_number_that_does_not_fit(heads: int, refusal: str) -> None:
    evening = hall()
    refused = evening.refused("tablet", "room.seat_table", room="1-1", heads=heads, code=code(evening.event, 1))
    assert refused.code == refusal
    if refusal == "table_full":
        assert refused.params["most"] == 8


@pytest.mark.parametrize("heads", [10**10, 2**63, 2**64, 10**30])
def test_a_number_that_no_snapshot_can_hold_is_malformed(heads: int) -> None:
    assert hall().refused("tablet", "room.seat_table", room="1-1", heads=heads, code="x").code == "malformed"


def test_the_number_changes_while_it_runs_and_is_never_above_the_cap() -> None:
    evening = hall(policy="chosen")
    sits(evening, heads=5)
    for person in ("anna", "bilal"):
        evening.send(person, "room.enter", room="1-1")
    refused = evening.refused("tablet", "room.seat_table", room="1-1", heads=7)
    assert (refused.code, refused.params["most"]) == ("table_full", 6)
    assert evening.send("tablet", "room.seat_table", room="1-1", heads=6) == {"room": "1-1", "heads": 6}
    assert evening.refused("cem", "room.enter", room="1-1").code == "room_full"
    evening.send("tablet", "room.seat_table", room="1-1", heads=1)
    assert room(evening).people == 3
    assert evening.send("cem", "room.enter", room="1-1")["room"] == "1-1"


def test_seats_that_a_table_gives_up_go_to_those_in_the_hall_who_wait() -> None:
    evening = hall({"name": "Tisch 1", "capacity": 4, "table": True})
    sits(evening, heads=4)
    for person in ("anna", "bilal", "cem"):
        evening.event.attendance.places[person] = "home" if person == "anna" else "hall"
        assert evening.send(person, "round.join")["waiting"]
    evening.send("tablet", "room.seat_table", room="1-1", heads=3)
    assert list(room(evening).seats) == ["table/1-1", "bilal"], "the first who is in the hall"
    evening.send("tablet", "room.leave", room="1-1")
    assert list(room(evening).seats) == ["bilal", "cem"]
    assert evening.event.rounds.items[1].waiting == ["anna"], "nobody at home sits in the hall by lot"


def test_the_lot_puts_nobody_at_a_table_who_is_at_home_and_no_table_anywhere() -> None:
    evening = hall({"name": "Tisch 1", "capacity": 4, "table": True}, {"name": "Zu Hause", "capacity": 4}, opened=False)
    sits(evening, heads=3)
    evening.event.attendance.places["hanna"] = "hall"
    for person in ("anna", "hanna"):
        evening.send(person, "round.join")
    seats = evening.send("mona", "round.assign", round=1, seed=1)["seats"]
    assert seats[tag(evening.event, "anna")] == "1-2"
    assert set(seats) == {tag(evening.event, person) for person in ("anna", "hanna")}
    assert room(evening).seats["table/1-1"].heads == 3
    named: list[dict[str, Any]] = [{"people": ["table/1-1"]}, {"by_hand": {tag(evening.event, "table/1-1"): "1-2"}}]
    for more in named:
        assert evening.refused("mona", "round.assign", round=1, **more).code == "table_stays"
    assert evening.refused("mona", "room.move", person=tag(evening.event, "table/1-1"), to="1-2").code == "table_stays"
    evening.send("mona", "round.assign", round=1, by_hand={tag(evening.event, "anna"): "1-1"})  # a mixed one, by hand
    assert "anna" in room(evening).seats


@settings(deadline=None, max_examples=60)
@given(st.integers(0, 2**32))
def test_no_table_ever_has_more_people_than_seats(seed: int) -> None:
    chance = Random(seed)
    plans = [{"name": "A", "capacity": 6, "table": True}, {"name": "B", "capacity": 5, "table": True}, {"name": "C", "capacity": 3}]
    evening = hall(*plans, policy=chance.choice(("chosen", "mixed")), come_and_go=True)
    people = [f"p{number}" for number in range(8)]
    for person in people[::2]:
        evening.event.attendance.places[person] = "hall"
    for _ in range(60):
        person, id = chance.choice(people), f"1-{chance.randint(1, 3)}"
        heads = chance.choice((1, 2, 3, 5, 6, 7, 75, 10**9))
        possible: list[tuple[str, dict[str, Any]]] = [
            ("room.seat_table", {"room": id, "heads": heads, "code": code(evening.event, int(id[2]))}),
            ("room.seat_table", {"room": id, "heads": heads}),
            ("room.enter", {"room": id}),
            ("room.leave", {"room": id}),
            ("round.join", {}),
            ("room.renew_code", {"room": id}),
            ("round.assign", {"round": 1, "seed": chance.randint(0, 9)}),
        ]
        name, arguments = chance.choice(possible)
        try:
            evening.send("mona" if name in ("room.renew_code", "round.assign") else person, name, **arguments)
        except Refused as refused:
            assert refused.code != "malformed"
        rooms = evening.event.rounds.rooms.values()
        for one in rooms:
            assert sum(seat.heads for seat in one.seats.values()) <= one.capacity, (name, arguments)
            assert not one.devices or f"table/{one.id}" in one.seats
        assert all(sum(self_of(evening.event, who) in one.seats for one in rooms) <= 1 for who in people)
    assert same(evening.replayed(places(evening)), evening.event)


def places(evening: Evening) -> bytes:
    """The beginning of the log, with the places that the test has written by hand."""
    start = Evening()
    start.event.attendance.places |= dict.fromkeys(("p0", "p2", "p4", "p6"), "hall")
    return start.snapshot()


# Devices.


def test_another_device_is_the_same_table_and_goes_on_where_one_has_failed() -> None:
    evening = hall()
    sits(evening)
    evening.send("tablet", "card.submit", room="1-1", text="Mehr Bänke")
    assert sits(evening, "phone", 7) == {"room": "1-1", "heads": 7}
    assert list(room(evening).seats) == ["table/1-1"]
    evening.send("phone", "card.edit", card=1, text="Mehr Bänke am Ring")
    assert evening.send("phone", "card.support", card=1)["support"] == 1
    assert evening.send("tablet", "card.support", card=1)["support"] == 1, "once for the table"
    assert sorted(browsers(evening.event, "table/1-1")) == ["phone", "tablet"]

    evening.send("tablet", "room.leave", room="1-1")
    assert room(evening).people == 7, "the other device is still there"
    assert not allowed(evening, "tablet", "room/1-1")
    evening.send("phone", "room.leave", room="1-1")
    assert room(evening).people == 0


def test_a_table_whose_device_has_failed_keeps_its_seats_until_the_end() -> None:
    evening = hall(policy="chosen")
    sits(evening, heads=8)
    evening.send(SYSTEM, "room.away", room="1-1", person="table/1-1", away=True)
    assert evening.seen("rooms", "room/1-1")["people"][0]["away_since"]
    assert fire(evening, 3_000) == ["round.close", "round.close"]
    evening = hall(policy="chosen")
    sits(evening, heads=8)
    evening.send(SYSTEM, "room.away", room="1-1", person="table/1-1", away=True)
    fire(evening, 600)
    since = room(evening).seats["table/1-1"].away_since
    assert since is not None
    release = evening.decide(SYSTEM, "room.release", room="1-1", person="table/1-1", away_since=since)
    assert release.changes == []
    assert evening.refused("anna", "room.enter", room="1-1").code == "room_full"
    sits(evening, "another", 8)
    assert room(evening).seats["table/1-1"].away_since is None


def test_before_the_round_begins_a_table_sits_down_and_is_called_like_everybody() -> None:
    evening = hall(opened=False)
    sits(evening)
    seat = evening.seen("me", "seat", "tablet")
    assert (seat["room"], seat["open"]) == ("1-1", False)
    evening.send("mona", "round.open", round=1, minutes=20)
    assert "seat/tablet" in evening.touched
    assert evening.seen("me", "seat", "tablet")["open"]
    assert evening.send("tablet", "room.enter", room="1-1")["room"] == "1-1"
    assert "table/1-1" not in evening.event.rounds.people


def test_the_same_card_serves_in_the_next_round_and_a_device_that_is_known_needs_no_code() -> None:
    evening = hall()
    sits(evening, heads=6, names=["Jule"])
    card = code(evening.event, 1)
    evening.send("mona", "round.close", round=1)
    evening.send("mona", "round.create", title="Zweite", rooms=TABLES)
    seat = evening.seen("me", "seat", "tablet")
    assert (seat["room"], seat["table"]) == ("", 1)
    evening.send("mona", "round.open", round=2, minutes=20)
    assert evening.refused("tablet", "room.seat_table", room="2-2", heads=4).code == "wrong_table_code"
    assert evening.send("tablet", "room.seat_table", room="2-1", heads=4)["room"] == "2-1"
    assert evening.seen("me", "seat", "tablet")["room"] == "2-1"
    assert evening.names.get("table/2-1", "") == "", "others sit there now"
    assert sits(evening, "other", 4, "2-1", code=card)["room"] == "2-1"
    assert room(evening).seats["table/1-1"].heads == 6, "what was, stays"


def test_who_lends_the_table_their_phone_has_one_seat_not_two() -> None:
    evening = hall({"name": "Tisch 1", "capacity": 4, "table": True}, TABLES[1], policy="chosen")
    for person in ("anna", "bilal"):
        evening.event.attendance.places[person] = "hall"
        evening.send(person, "room.enter", room="1-1")
    assert evening.refused("anna", "room.seat_table", room="1-1", heads=4, code=code(evening.event, 1)).params["most"] == 3
    sits(evening, "anna", 3)
    assert sorted(room(evening).seats) == ["bilal", "table/1-1"]
    assert room(evening).free == 0
    refused = evening.refused("anna", "room.enter", room="1-2")
    assert (refused.code, refused.params["room"]) == ("not_your_room", "1-1")
    assert evening.send("anna", "round.join") == {"room": "1-1", "waiting": False}
    assert "anna" in evening.event.rounds.people
    evening.send("mona", "round.assign", round=1, seed=1)
    assert "anna" not in {person for one in evening.event.rounds.rooms.values() for person in one.seats}

    evening.send("anna", "room.leave", room="1-1")
    assert room(evening).people <= 1
    assert evening.send("anna", "room.enter", room="1-2")["room"] == "1-2"


def test_a_device_that_is_carried_to_another_table_speaks_for_that_one() -> None:
    evening = hall()
    sits(evening, heads=6)
    sits(evening, heads=4, room="1-2")
    assert [room(evening, id).people for id in ("1-1", "1-2")] == [0, 4]
    assert [allowed(evening, "tablet", f"room/{id}") for id in ("1-1", "1-2")] == [False, True]


def test_after_the_round_a_phone_that_was_a_table_s_takes_part_as_its_owner_again() -> None:
    evening = hall()
    sits(evening, "anna")
    evening.send("mona", "round.close", round=1)
    assert self_of(evening.event, "anna") == "table/1-1"
    evening.send("anna", "summary.draft", room="1-1", proposed="Mehr Bänke")  # the table may still sum up
    evening.send("mona", "round.create", title="Zweite", rooms=[{"name": "A"}, {"name": "B"}], policy="chosen")
    evening.send("mona", "round.open", round=2)
    evening.send("anna", "room.enter", room="2-1")
    assert list(room(evening, "2-1").seats) == ["anna"]
    assert room(evening).seats["table/1-1"].heads == 6


def test_nobody_makes_themselves_a_table_by_their_name() -> None:
    """The ids of browsers are random and signed; none can begin like a table's."""
    evening = hall()
    sits(evening)
    assert evening.refused("anna", "card.submit", room="1-1", text="Ich auch").code == "not_your_room"
    assert not allowed(evening, "anna", "room/1-1")


# A new code.


def test_a_new_code_ends_the_old_card_and_puts_its_devices_out() -> None:
    evening = hall()
    old = code(evening.event, 1)
    sits(evening, "guesser", 8)
    sits(evening, "other", 3, "1-2")
    assert evening.refused("guesser", "room.renew_code", room="1-1").code == "forbidden"
    evening.send("mona", "room.renew_code", room="1-1")
    assert code(evening.event, 1) != old
    assert "rights" in evening.touched
    assert not allowed(evening, "guesser", "room/1-1")
    assert allowed(evening, "other", "room/1-2"), "the other table's card is as it was"
    assert room(evening).people == 0
    for tried in (old, ""):
        assert evening.refused("guesser", "room.seat_table", room="1-1", heads=2, code=tried).code == "wrong_table_code"
    assert sits(evening, "tablet", 6)["room"] == "1-1"


def test_a_closed_round_takes_nobody() -> None:
    evening = hall()
    evening.send("mona", "round.close", round=1)
    assert evening.refused("tablet", "room.seat_table", room="1-1", heads=3, code=code(evening.event, 1)).code == "round_closed"
    assert evening.refused("tablet", "room.seat_table", room="1-1", heads=3, code="AAAAAAAA").code == "round_closed", (
        "which code is right cannot be tried out when nothing depends on it"
    )


# What a table works out.


def test_a_table_works_like_everybody_else_and_reaches_the_board() -> None:
    evening = hall()
    sits(evening, heads=6)
    number = evening.send("tablet", "card.submit", room="1-1", text="Mehr Bänke")["card"]
    evening.send("tablet", "card.support", card=number)
    evening.send("tablet", "card.propose", card=number)
    evening.send("tablet", "room.ask_for_time", room="1-1")
    evening.send("tablet", "summary.draft", room="1-1")
    evening.send("tablet", "summary.confirm", room="1-1")
    result = evening.screen("board")["result/1-1"]
    assert result["people"] == 6
    assert evening.seen("board", "proposal/1")["text"] == "Mehr Bänke"


def test_where_somebody_was_named_to_lead_the_table_does_not_confirm() -> None:
    evening = hall(TABLES[0] | {"moderators": ["anna"]})
    sits(evening)
    evening.send("tablet", "summary.draft", room="1-1", open="Wo?")
    assert evening.refused("tablet", "summary.confirm", room="1-1").code == "forbidden"
    evening.send("anna", "summary.confirm", room="1-1")


def test_a_table_s_card_is_signed_with_a_name_or_with_none_and_nobody_else_s_is() -> None:
    evening = hall(policy="chosen")
    evening.send("bilal", "person.join", name="Bilal")
    evening.send("bilal", "room.enter", room="1-1")
    sits(evening, names=["Jule", "Kai"])
    for person, name in (("tablet", "Jule"), ("tablet", ""), ("bilal", "")):
        evening.send(person, "card.submit", room="1-1", text=f"Von {person} {name}", name=name)
    shown = [evening.seen("room/1-1", f"card/{number}") for number in (1, 2, 3)]
    assert [(one["name"], one["table"]) for one in shown] == [("Jule", True), ("", True), ("Bilal", False)]
    assert evening.refused("bilal", "card.submit", room="1-1", text="Falsch", name="Jule").code == "forbidden"


def test_a_table_writes_for_all_who_sit_there_and_has_the_room_s_limit_only() -> None:
    evening = hall({"name": "Tisch 1", "table": True}, TABLES[1], policy="chosen")
    sits(evening, heads=12)
    evening.send("anna", "room.enter", room="1-1")
    for number in range(MOST_OF_ONE + 1):
        evening.send("tablet", "card.submit", room="1-1", text=f"Vom Tisch {number}")
        if number < MOST_OF_ONE:
            evening.send("anna", "card.submit", room="1-1", text=f"Von Anna {number}")
    assert evening.refused("anna", "card.submit", room="1-1", text="Noch einer").code == "too_many_own_cards"


# Names.


def test_names_are_optional_changed_by_any_device_and_in_the_people_table_only() -> None:
    evening = hall()
    sits(evening, names=["Jule", " Kai  Uwe ", ""])
    assert evening.names["table/1-1"] == "Jule, Kai Uwe"
    assert evening.seen("room/1-1", "room/1-1")["people"][0]["name"] == "Jule, Kai Uwe"
    sits(evening, "phone")
    assert evening.names["table/1-1"] == "Jule, Kai Uwe", "who says nothing about names changes none"
    evening.send("phone", "room.seat_table", room="1-1", heads=6, names=["Lena"])
    assert "room/1-1" in evening.touched
    assert evening.seen("room/1-1", "room/1-1")["people"][0]["name"] == "Lena"
    logged = b"".join(row for *_, row in evening.rows) + evening.snapshot()
    for name in (b"Jule", b"Kai", b"Lena"):
        assert name not in logged


@pytest.mark.parametrize("kind", HOSTILE)
def test_names_that_deceive_are_made_harmless_or_refused(kind: str) -> None:
    evening = hall()
    try:
        sits(evening, names=[HOSTILE[kind], "Kai"])
    except Refused as refused:
        assert refused.code == "name_too_long"
    else:
        assert "\n" not in evening.names["table/1-1"]
        assert "\u202e" not in evening.names["table/1-1"]


def test_too_many_names_are_malformed() -> None:
    evening = hall()
    arguments = {"room": "1-1", "heads": 3, "code": code(evening.event, 1), "names": ["Kai"] * 76}
    assert evening.refused("tablet", "room.seat_table", **arguments).code == "malformed"


@pytest.mark.parametrize("person", ["tablet", "mona", "olga"])
@pytest.mark.parametrize("phase", ["live", "documented"])
def test_names_are_deleted_on_request_also_after_the_end_and_those_under_cards_too(person: str, phase: str) -> None:
    evening = hall()
    sits(evening, names=["Jule", "Kai"])
    evening.send("tablet", "card.submit", room="1-1", text="Mehr Bänke", name="Jule")
    evening.send("mona", "round.close", round=1)
    evening.send("olga", "event.advance", phase=phase) if phase != "live" else None
    evening.send(person, "room.forget_names", room="1-1")
    assert [value for value in evening.names.values() if value] == []
    assert {"room/1-1", "card/1"} <= set(evening.touched)
    assert "Jule" not in str([evening.screen(channel) for channel in ("room/1-1", "rooms", "board")])


def test_nobody_else_deletes_the_names_of_a_table() -> None:
    evening = hall()
    sits(evening, names=["Jule"])
    sits(evening, "other", 3, "1-2")
    for person in ("anna", "other", "hilde", "oskar"):
        assert evening.refused(person, "room.forget_names", room="1-1").code == "not_your_room"


def test_who_takes_a_card_back_takes_its_name_back() -> None:
    evening = hall()
    sits(evening)
    evening.send("tablet", "card.submit", room="1-1", text="Mehr Bänke", name="Jule")
    evening.send("tablet", "card.withdraw", card=1)
    assert evening.names["card/1"] == ""


def test_retention_deletes_the_names_of_tables_and_under_their_cards() -> None:
    evening = hall()
    sits(evening, names=["Jule"])
    evening.send("tablet", "card.submit", room="1-1", text="Mehr Bänke", name="Jule")
    people = [id for id, value in evening.names.items() if value and not id.startswith("contribution/")]
    assert sorted(people) == ["card/1", "table/1-1"]
    evening.send("olga", "event.retain", people=people, early=True)
    assert not any(evening.names.values())
    assert evening.seen("room/1-1", "card/1")["name"] == ""
    assert same(evening.replayed(), evening.event)


def test_an_old_log_without_tables_is_read_as_it_was() -> None:
    """A row of an earlier release knows neither heads nor tables."""
    evening = Evening()
    evening.send("mona", "round.create", title="Runde", rooms=[{"name": "A"}], policy="chosen")
    at, by, row = evening.rows[-1]
    assert row.count(b',"table":false') == 1
    evening.rows[-1] = at, by, row.replace(b',"table":false', b"")
    assert same(evening.replayed(), evening.event)
