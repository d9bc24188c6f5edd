"""Rounds while they are prepared: changed, copied, rotated, assigned under conditions and by hand, confirmed as they were seen."""

from __future__ import annotations

from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from rooms.breakout import Room, tag, tagged
from rooms.command import SYSTEM, Refused
from tests.moderation.evening import PROGRAMME, REGISTERING, Evening, same

PLAN = "Der Plan: https://example.org/plan"
ROOMS = [{"name": "Verkehr", "capacity": 6}, {"name": "Schule", "capacity": 6}, {"name": "Sport", "capacity": 6}]


def prepared(people: int = 0, rooms: list[dict[str, Any]] | None = None, **more: Any) -> Evening:
    """A round with three rooms and people who take part in it."""
    play = Evening()
    play.send("mona", "round.create", **{"title": "Erste Runde", "rooms": rooms or ROOMS} | more)
    for number in range(people):
        play.send(f"gast-{number}", "round.join")
    return play


def room(play: Evening, id: str = "1-1") -> Room:
    return play.event.rounds.rooms[id]


def people(play: Evening, round: int = 1) -> dict[str, list[str]]:
    """Who is in which room."""
    return {one.id: sorted(one.seats) for one in play.event.rounds.of(play.event.rounds.get(round))}


# Changing.


def test_a_prepared_room_gets_another_name_question_capacity_and_moderator() -> None:
    play = prepared(2)
    play.send("mona", "round.assign", round=1)
    given = {"name": "Radwege", "topic": "city", "question": "Wohin?", "materials": PLAN, "capacity": 4, "languages": ["de", "tr"]}
    play.send("mona", "room.edit", room="1-1", moderators=["anna"], note_taker="bea", **given)
    one = room(play)
    assert one.materials == PLAN
    assert (one.name, one.topic, one.question, one.capacity, one.languages) == ("Radwege", "city", "Wohin?", 4, ("de", "tr"))
    assert (one.moderators, one.note_taker) == (("anna",), "bea")
    play.send("mona", "room.edit", room="1-1", question="")
    assert (room(play).name, room(play).question) == ("Radwege", "")


def test_who_is_made_moderator_while_they_sit_there_is_one_at_once() -> None:
    play = prepared(1, rooms=[{"name": "A"}, {"name": "B"}])
    play.send("mona", "round.assign", round=1, by_hand={"gast-0": "1-1"})
    play.send("mona", "round.open", round=1)
    play.send("gast-0", "room.enter", room="1-1")
    play.send("mona", "room.edit", room="1-1", moderators=["gast-0"])
    assert play.seen("me", "seat", "gast-0")["role"] == "moderator"


def test_a_room_never_has_fewer_seats_than_people() -> None:
    play = prepared(9)
    play.send("mona", "round.assign", round=1)
    refused = play.refused("mona", "room.edit", room="1-1", capacity=2)
    assert (refused.code, refused.params) == ("room_too_small", {"people": 3})
    play.send("mona", "room.edit", room="1-1", capacity=3)


def test_more_seats_and_more_rooms_are_for_those_who_wait() -> None:
    play = prepared(7, rooms=[{"name": "A", "capacity": 2}, {"name": "B", "capacity": 2}])
    waiting = play.send("mona", "round.assign", round=1)["waiting"]
    assert len(waiting) == 3
    play.send("mona", "round.open", round=1)
    play.send("mona", "room.edit", room="1-1", capacity=3)
    assert len(room(play).seats) == 3
    assert play.send("mona", "room.add", round=1, rooms=[{"name": "C", "capacity": 5}])["rooms"] == ["1-3"]
    assert len(room(play, "1-3").seats) == 2
    assert play.event.rounds.items[1].waiting == []


def test_a_room_goes_while_its_round_is_prepared_and_its_number_does_not_come_again() -> None:
    play = prepared(6)
    play.send("mona", "round.assign", round=1)
    play.send("mona", "room.remove", room="1-3")
    assert play.seen("rooms", "room/1-3") is None
    assert list(people(play)) == ["1-1", "1-2"]
    assert len(play.event.rounds.people) == 6, "they take part still"
    assert play.send("mona", "room.add", round=1, rooms=[{"name": "Neu"}])["rooms"] == ["1-4"]
    play.send("mona", "room.remove", room="1-1")
    play.send("mona", "room.remove", room="1-2")
    assert play.refused("mona", "room.remove", room="1-4").code == "rooms_missing"
    assert same(play.replayed(), play.event)


def test_what_has_begun_is_not_removed_and_what_is_over_is_not_changed() -> None:
    play = prepared()
    play.send("mona", "round.open", round=1)
    assert play.refused("mona", "room.remove", room="1-1").code == "round_begun"
    assert play.refused("mona", "round.remove", round=1).code == "round_begun"
    play.send("mona", "room.edit", room="1-1", question="Neu gefragt?")
    play.send("mona", "round.edit", round=1, come_and_go=True)
    play.send("mona", "round.close", round=1)
    over: dict[str, dict[str, Any]] = {
        "room.edit": {"room": "1-1", "name": "x"}, "room.add": {"round": 1, "rooms": [{"name": "x"}]},
        "round.edit": {"round": 1, "title": "x"}, "round.assign": {"round": 1},
    }  # fmt: skip
    for command, arguments in over.items():
        assert play.refused("mona", command, **arguments).code == "round_closed"


def test_a_removed_round_is_gone_with_what_its_leaders_wrote_and_its_number_does_not_come_again() -> None:
    play = prepared(rooms=[{"name": "A", "moderators": ["anna"]}])
    play.send("anna", "summary.draft", room="1-1", proposed="Bänke")
    play.send("anna", "summary.confirm", room="1-1")
    assert play.seen("board", "result/1-1")
    play.send("mona", "round.remove", round=1)
    assert play.screen("board") == {}
    assert play.seen("public", "rounds")["current"] is None
    assert play.send("mona", "round.create", title="Noch eine", rooms=ROOMS)["round"] == 2
    assert same(play.replayed(), play.event)


def test_settings_of_a_round_and_who_may_change_them() -> None:
    play = prepared()
    play.send("mona", "round.edit", round=1, title="Welt-Café", policy="mixed", come_and_go=True, grace=0, hold=10)
    round = play.event.rounds.items[1]
    assert (round.title, round.policy, round.come_and_go, round.grace, round.hold) == ("Welt-Café", "mixed", True, 0, 10)
    assert play.refused("mona", "round.edit", round=1, title=" ").code == "title_too_short"
    for command in ("round.edit", "round.remove", "round.copy"):
        more = {"title": "x"} if command == "round.copy" else {}
        assert play.refused("anna", command, round=1, **more).code == "forbidden"
        assert play.refused("hilde", command, round=1, **more).code == "forbidden"


def test_people_can_only_be_named_who_are_there() -> None:
    play = prepared()
    assert play.refused("mona", "room.edit", room="1-1", moderators=["registration/7"]).code == "unknown_person"
    assert play.refused("mona", "round.assign", round=1, by_hand={"registration/x": "1-1"}).code == "unknown_person"
    assert play.refused("mona", "round.assign", round=1, by_hand={"anna": "9-9"}).code == "unknown_room"
    assert "olga" in tagged(play.event).values(), "the staff can be named by their tags"
    play.send("mona", "room.edit", room="1-1", moderators=[tag(play.event, "olga")])
    assert room(play).moderators == ("olga",)


# The next round.


def world_cafe() -> Evening:
    """A round that is over, with a host at each of three tables, and the next one prepared like it."""
    play = prepared(12, rooms=[one | {"moderators": [f"gast-{number}"]} for number, one in enumerate(ROOMS)])
    play.send("mona", "round.assign", round=1, seed=4)
    play.send("mona", "round.open", round=1)
    play.send("mona", "round.close", round=1)
    play.send("mona", "round.copy", round=1, title="Zweite Runde")
    return play


def test_groups_go_on_to_the_next_room_and_hosts_stay() -> None:
    play = world_cafe()
    first = people(play)
    play.send("mona", "round.assign", round=2, after=1)
    second = people(play, 2)
    for turn in range(3):
        host = f"gast-{turn}"
        assert host in second[f"2-{turn + 1}"]
        group = {one for one in first[f"1-{turn + 1}"] if one != host}
        assert group < set(second[f"2-{(turn + 1) % 3 + 1}"])
    play.send("mona", "round.copy", round=2, title="Dritte Runde")
    assert play.send("mona", "round.assign", round=3, after=2) == play.send("mona", "round.assign", round=3, after=2, preview=True)


def test_who_finds_no_seat_beside_their_group_is_named_and_hosts_keep_theirs() -> None:
    play = world_cafe()
    play.send("mona", "room.edit", room="2-2", capacity=2)
    play.send("mona", "room.edit", room="2-3", capacity=7)
    result = play.send("mona", "round.assign", round=2, after=1)
    assert result["sizes"]["2-2"] == 2
    assert "gast-1" in people(play, 2)["2-2"]
    lost = {one["person"] for one in result["unmet"] if one["condition"] == "fixed"}
    assert len(lost) == 2
    assert lost <= {tag(play.event, one) for one in people(play)["1-1"]}


def test_mixed_anew_nobody_meets_anybody_whom_they_have_met() -> None:
    play = prepared(9)
    play.send("mona", "round.assign", round=1)
    play.send("mona", "round.open", round=1)
    play.send("mona", "round.close", round=1)
    play.send("mona", "round.copy", round=1, title="Zweite Runde")
    result = play.send("mona", "round.assign", round=2, conditions={"anew": True}, seed=5)
    assert result["unmet"] == []
    for old in people(play).values():
        assert Counter(next(id for id, there in people(play, 2).items() if one in there) for one in old).most_common(1)[0][1] == 1
    again = play.send("mona", "round.assign", round=2, conditions={"anew": True}, after=1)
    assert {one["condition"] for one in again["unmet"]} == {"met"}, "a group that goes on is together again, and it is said"


# Assigning.


def registered(play: Evening, name: str, place: str = "conference", **more: Any) -> int:
    given = REGISTERING | {"place": place, "email": f"{name}@example.org", "name": name} | more
    return int(play.send(name, "registration.submit", **given)["number"])


def test_from_registration_by_place_and_only_those_who_have_checked_in() -> None:
    places = {"hall": PROGRAMME["places"]["hall"] | {"seats": 9}, "conference": {"seats": 9}}
    play = Evening("registration", places=places, starts="2020-08-31T18:00:00+02:00")
    hall = [registered(play, f"saal-{number}", "hall", **({"party": 2} if number == 2 else {})) for number in range(3)]
    home = [registered(play, f"heim-{number}") for number in range(2)]
    play.send("hilde", "registration.check_in", registration=hall[0])
    play.send(SYSTEM, "event.advance", phase="live")
    play.send("mona", "round.create", title="Runde", rooms=ROOMS)

    def assigned(**more: Any) -> set[str]:
        seats = play.send("mona", "round.assign", round=1, preview=True, **more)["seats"]
        return {tagged(play.event)[one] for one in seats}

    # Of two who are registered as one nobody knows yet who they are: whoever opened it takes part as their browser.
    in_hall = {f"registration/{hall[0]}", f"registration/{hall[1]}", "saal-2"}
    assert assigned(who="registered") == in_hall | {f"registration/{number}" for number in home}
    assert assigned(who="registered", place="hall") == {f"registration/{hall[0]}", f"registration/{hall[1]}"}
    assert assigned(who="checked_in") == {f"registration/{hall[0]}"}
    assert assigned() == set()
    play.send("mona", "round.assign", round=1, who="registered")
    assert play.seen("me", "seat", "heim-0")["room"]
    play.send("olga", "registration.cancel", registration=hall[1])
    assert f"registration/{hall[1]}" not in assigned(who="registered")


def test_only_those_who_have_no_room_yet() -> None:
    play = prepared(4)
    play.send("mona", "round.assign", round=1)
    before = people(play)
    for number in range(4, 8):
        play.send(f"gast-{number}", "round.join")
    play.send("mona", "round.assign", round=1, unassigned=True, seed=9)
    after = people(play)
    assert all(set(before[id]) <= set(after[id]) for id in before)
    assert sorted(len(there) for there in after.values()) == [2, 3, 3]


def test_what_is_confirmed_is_what_was_seen_or_it_is_said_that_people_changed() -> None:
    play = prepared(7)
    asked = {"round": 1, "seed": 3, "conditions": {"places": "mixed"}}
    seen = play.send("mona", "round.assign", preview=True, **asked)
    play.send("cem", "round.join")
    assert play.refused("mona", "round.assign", seen=seen["digest"], **asked).code == "assignment_changed"
    assert people(play) == {"1-1": [], "1-2": [], "1-3": []}
    seen = play.send("mona", "round.assign", preview=True, **asked)
    assert play.send("mona", "round.assign", seen=seen["digest"], **asked) == seen
    assert play.event.rounds.items[1].drawn is not None
    assert play.event.rounds.items[1].drawn.places == "mixed"


def test_a_move_in_the_preview_moves_nobody_else_and_a_room_that_is_too_full_is_named_and_refused() -> None:
    play = prepared(6, rooms=[{"name": "A", "capacity": 3}, {"name": "B", "capacity": 4}])
    before = play.send("mona", "round.assign", round=1, preview=True)["seats"]
    one = next(person for person, id in before.items() if id == "1-1")
    other = next(person for person, id in before.items() if id == "1-2")
    assert play.send("mona", "round.assign", round=1, preview=True, moved={one: "1-2"})["seats"] == before | {one: "1-2"}
    full = play.send("mona", "round.assign", round=1, preview=True, moved={other: "1-1"})
    assert [(item["condition"], item["room"]) for item in full["unmet"]] == [("capacity", "1-1")]
    assert play.refused("mona", "round.assign", round=1, moved={other: "1-1"}).code == "room_full"
    exchanged = {other: "1-1", one: "1-2"}
    assert play.send("mona", "round.assign", round=1, moved=exchanged)["seats"] == before | exchanged


def test_who_has_to_wait_after_another_lot_has_lost_the_seat() -> None:
    """Both held the seat of the first lot and waited: then a room had more people than seats."""
    play = Evening()
    play.send("mona", "round.create", title="Runde", rooms=[{"name": "A", "capacity": 4}])
    for number in range(4):
        play.send(f"gast-{number}", "round.join", apart="streit")
    play.send("mona", "round.assign", round=1)
    assert len(room(play).seats) == 4
    play.send("mona", "round.assign", round=1, conditions={"apart": True})
    assert len(room(play).seats) == 1
    assert len(play.event.rounds.items[1].waiting) == 3


def test_nobody_but_who_is_named_by_hand() -> None:
    play = prepared(5)
    result = play.send("mona", "round.assign", round=1, who="named", by_hand={"gast-0": "1-1", "gast-1": "1-3"})
    assert people(play) == {"1-1": ["gast-0"], "1-2": [], "1-3": ["gast-1"]}
    assert result["waiting"] == []


def test_several_are_moved_at_once_or_nobody() -> None:
    play = prepared(6, rooms=[{"name": "A", "capacity": 6}, {"name": "B", "capacity": 2}])
    play.send("mona", "round.assign", round=1, who="named", by_hand={f"gast-{number}": "1-1" for number in range(6)})
    play.send("mona", "round.open", round=1)
    assert play.refused("mona", "room.move", people=["gast-0", "gast-1", "gast-2"], to="1-2").code == "room_full"
    assert len(room(play, "1-2").seats) == 0
    assert play.send("mona", "room.move", people=["gast-0", "gast-1", "gast-1"], to="1-2") == {"room": "1-2", "moved": 2}
    assert people(play)["1-2"] == ["gast-0", "gast-1"]
    assert play.refused("mona", "room.move", to="1-2").code == "unknown_person"
    assert play.refused("anna", "room.move", people=["gast-2"], to="1-2").code == "forbidden"


def test_the_seats_of_those_who_are_moved_go_to_those_who_wait() -> None:
    play = prepared(rooms=[{"name": "A", "capacity": 2}, {"name": "B", "capacity": 4}])
    for number in range(5):
        play.send(f"gast-{number}", "round.join", apart="streit" if number < 4 else "")
    by_hand = {"gast-4": "1-1", "gast-0": "1-1", "gast-1": "1-2"}
    play.send("mona", "round.assign", round=1, conditions={"apart": True}, by_hand=by_hand)
    assert sorted(play.event.rounds.items[1].waiting) == ["gast-2", "gast-3"]
    play.send("mona", "round.open", round=1)
    first, second = play.event.rounds.items[1].waiting
    play.send("mona", "room.move", people=["gast-0", "gast-4"], to="1-2")
    assert people(play) == {"1-1": [first], "1-2": ["gast-0", "gast-1", "gast-4"]}
    assert play.event.rounds.items[1].waiting == [second], "they must not meet"


def test_who_waits_and_who_came_late_is_shown_to_moderators_by_name() -> None:
    play = prepared(5, rooms=[{"name": "A", "capacity": 2}, {"name": "B", "capacity": 2}])
    play.send("gast-4", "person.join", name="Greta")
    play.send("mona", "round.assign", round=1, who="named", by_hand={"gast-0": "1-1", "gast-1": "1-1", "gast-2": "1-2"})
    shown = play.seen("rooms", "plan")
    assert [one["name"] for one in shown["others"]] == ["", "Greta"]
    assert (shown["free"], shown["current"]) == (1, 1)
    play.send("mona", "round.assign", round=1, unassigned=True)
    shown = play.seen("rooms", "plan")
    assert len(shown["waiting"]) == 1
    assert shown["others"] == []


@settings(deadline=None, max_examples=60)
@given(st.data())
def test_however_it_is_assigned_no_room_is_too_full_and_nobody_sits_twice(data: st.DataObject) -> None:
    capacities = data.draw(st.lists(st.integers(2, 4), min_size=1, max_size=4))
    rooms = [{"name": f"R{turn}", "capacity": most} for turn, most in enumerate(capacities)]
    play = prepared(data.draw(st.integers(0, 12)), rooms=rooms)
    taking = list(play.event.rounds.people)
    ids = list(play.event.rounds.rooms)
    hands = st.dictionaries(st.sampled_from(taking), st.sampled_from(ids), max_size=3) if taking else st.just({})
    play.send("mona", "round.copy", round=1, title="Zweite")
    for _ in range(4):
        asked = {
            "round": 1, "seed": data.draw(st.integers(0, 9)), "unassigned": data.draw(st.booleans()),
            "by_hand": data.draw(hands), "moved": data.draw(hands),
            "conditions": {"anew": data.draw(st.booleans()), "places": data.draw(st.sampled_from(("any", "mixed", "apart")))},
        }  # fmt: skip
        if data.draw(st.booleans()):
            asked["after"] = data.draw(st.sampled_from((1, 2)))
        try:
            preview = play.send("mona", "round.assign", preview=True, **asked)
            assert play.send("mona", "round.assign", seen=preview["digest"], **asked) == preview
        except Refused as refused:
            assert refused.code == "room_full"
            continue
        seated = people(play)
        assert {person: id for id, there in seated.items() for person in there}.items() >= {
            tagged(play.event)[one]: id for one, id in preview["seats"].items()
        }.items()
        assert all(len(there) <= room(play, id).capacity for id, there in seated.items())
        everybody = [person for there in seated.values() for person in there]
        assert len(everybody) == len(set(everybody))
        assert not set(everybody) & set(play.event.rounds.items[1].waiting)
