"""Bonds: whom the organisers keep together or apart, in every lot and for everybody who comes late, and who learns of it."""

from __future__ import annotations

import contextlib
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rooms.bonds import Bonds, Bound, freed, tied
from rooms.breakout import Bond, How, tag
from rooms.command import Refused
from tests.moderation.evening import Evening, same
from tests.rooms.test_retention import _READ, Kept

PEOPLE = ("anna", "bilal", "cem", "dana", "emil", "fatma")
TWO = ({"name": "A", "capacity": 4}, {"name": "B", "capacity": 4})


def prepared(*rooms: dict[str, Any], who: tuple[str, ...] = PEOPLE, of: type[Evening] = Evening, **more: Any) -> Evening:
    """A round that is prepared, with people who take part."""
    play = of()
    play.send("mona", "round.create", title="Runde", rooms=list(rooms or TWO), **more)
    for person in who:
        play.send(person, "round.join")
    return play


def bind(play: Evening, how: str, *people: str) -> None:
    play.send("mona", "round.bind", how=how, people=[tag(play.event, one) for one in people])


def bonds(play: Evening) -> list[tuple[str, tuple[str, ...]]]:
    return [(bond.how, bond.people) for _, bond in sorted(play.event.rounds.bonds.items())]


def where(play: Evening, round: int = 1) -> dict[str, str]:
    rooms = play.event.rounds.of(play.event.rounds.items[round])
    return {person: room.name for room in rooms for person in room.seats}


# What they are.


def test_company_is_one_group_and_quarrels_are_several() -> None:
    play = prepared()
    bind(play, "together", "anna", "bilal")
    bind(play, "together", "cem", "bilal")
    bind(play, "apart", "dana", "anna")
    bind(play, "apart", "dana", "emil")
    assert bonds(play) == [
        ("together", ("anna", "bilal", "cem")), ("apart", ("dana", "anna")), ("apart", ("dana", "emil")),
    ]  # fmt: skip
    bind(play, "apart", "dana", "emil", "fatma")
    assert bonds(play)[2:] == [("apart", ("dana", "emil", "fatma"))], "which says more"
    assert play.decide("mona", "round.bind", how="apart", people=["emil", "dana"]).changes == [], "it is so already"
    bind(play, "free", "dana", "anna")
    assert bonds(play) == [("together", ("bilal", "cem")), ("apart", ("emil", "fatma"))]
    assert same(play.event, play.replayed())


def test_nobody_is_kept_together_and_apart() -> None:
    play = prepared()
    bind(play, "together", "anna", "bilal")
    bind(play, "apart", "bilal", "cem")
    assert play.refused("mona", "round.bind", how="apart", people=["anna", "bilal", "dana"]).code == "bonds_contradict"
    assert play.refused("mona", "round.bind", how="together", people=["anna", "cem"]).code == "bonds_contradict"
    for people, code in (([], "too_few_people"), (["anna"], "too_few_people"), (["anna", "no such"], "unknown_person")):
        assert play.refused("mona", "round.bind", how="apart", people=people).code == code
    assert play.refused("mona", "round.bind", how="free", people=["registration/9"]).code == "unknown_person"


def test_only_moderators_and_organisers_say_it() -> None:
    play = prepared()
    for person in ("anna", "hilde", "oskar"):
        assert play.refused(person, "round.bind", how="apart", people=["anna", "bilal"]).code == "forbidden"
    play.send("olga", "round.bind", how="apart", people=["anna", "bilal"])


@given(st.lists(st.tuples(st.sampled_from(("together", "apart", "free")), st.sets(st.sampled_from(PEOPLE), min_size=1))))
def test_whatever_is_said_what_was_said_holds_or_is_refused(said: list[tuple[str, set[str]]]) -> None:
    """Pairs, said in the simplest way: who is together with whom, and apart."""
    now: Bonds = {}
    together: set[frozenset[str]] = set()
    apart: set[frozenset[str]] = set()

    def pairs(how: How) -> set[frozenset[str]]:
        groups = [bond.people for bond in now.values() if bond.how == how]
        return {frozenset((a, b)) for people in groups for a in people for b in people if a != b}

    for how, people in said:
        try:
            now = freed(now, people) if how == "free" else tied(now, "together" if how == "together" else "apart", sorted(people))
        except Refused as refused:
            assert refused.code == ("too_few_people" if len(people) < 2 else "bonds_contradict")
            continue
        new = {frozenset((a, b)) for a in people for b in people if a != b}
        if how == "free":
            together, apart = ({pair for pair in known if not pair & people} for known in (together, apart))
        elif how == "apart":
            apart |= new
        else:
            together |= new
            while more := {a ^ b for a in together for b in together if len(a & b) == 1} - together:
                together |= more
        assert (pairs("together"), pairs("apart")) == (together, apart)
        assert not together & apart
        assert all(len(bond.people) > 1 for bond in now.values())


def test_the_log_holds_no_bond_that_is_not_true_any_more() -> None:
    play = prepared(of=Kept)
    groups = {"keep_apart": [["anna", "bilal"], ["cem", "dana"]], "keep_together": [["emil", "fatma"]]}
    play.send("mona", "round.assign", round=1, who="named", **groups)
    assert bonds(play) == [("together", ("emil", "fatma")), ("apart", ("anna", "bilal")), ("apart", ("cem", "dana"))]
    bind(play, "free", "anna")
    told = [change for *_, changes in play.rows for change in _READ.decode(changes) if isinstance(change, Bound)]
    assert {change.people for change in told} == {(), ("emil", "fatma"), ("cem", "dana")}
    assert same(play.event, play.replayed())
    assert play.replayed().rounds.bonds == play.event.rounds.bonds


@settings(max_examples=60)
@given(st.lists(st.tuples(st.sampled_from(("together", "apart", "apart", "free")), st.sets(st.sampled_from(PEOPLE), min_size=2))))
def test_the_rewritten_log_replays_to_the_same_bonds_and_names_nobody_else(said: list[tuple[str, set[str]]]) -> None:
    play = prepared(of=Kept)
    for how, people in said:
        with contextlib.suppress(Refused):
            bind(play, how, *sorted(people))
        told = [change for *_, changes in play.rows for change in _READ.decode(changes) if isinstance(change, Bound)]
        assert {(one.how, one.people) for one in told if one.people} == set(bonds(play))
        assert same(play.event, play.replayed())


# What they do.


@pytest.mark.parametrize("seed", range(6))
def test_every_lot_looks_at_them_in_every_round(seed: int) -> None:
    play = prepared()
    bind(play, "together", "anna", "bilal", "cem")
    bind(play, "apart", "cem", "dana")
    for round in (1, 2):
        play.send("mona", "round.assign", round=round, seed=seed)
        seats = where(play, round)
        assert seats["anna"] == seats["bilal"] == seats["cem"] != seats["dana"]
        play.send("mona", "round.copy", round=1, title="Noch eine")


def test_they_come_before_the_words_of_the_people() -> None:
    play = prepared(who=())
    play.send("anna", "round.join", apart="streit", together="familie")
    play.send("bilal", "round.join", apart="streit")
    play.send("cem", "round.join", apart="streit", together="familie")
    bind(play, "together", "anna", "bilal")
    result = play.send("mona", "round.assign", round=1, conditions={"together": True, "apart": True})
    assert where(play)["anna"] == where(play)["bilal"] != where(play)["cem"]
    assert [one["condition"] for one in result["unmet"]] == ["together"], "anna and cem"


def test_who_stays_where_they_are_counts_for_those_who_are_assigned_beside_them() -> None:
    play = prepared({"name": "A", "capacity": 4}, {"name": "B", "capacity": 4}, who=PEOPLE[:4], policy="chosen")
    play.send("mona", "round.assign", round=1, who="named", by_hand={"anna": "1-1", "bilal": "1-2"})
    bind(play, "apart", "anna", "cem")
    bind(play, "together", "anna", "dana")
    result = play.send("mona", "round.assign", round=1, unassigned=True)
    assert where(play) == {"anna": "A", "dana": "A", "bilal": "B", "cem": "B"}
    assert set(result["seats"]) == {tag(play.event, one) for one in ("cem", "dana")}, "of the others there is nothing to say"
    assert result["unmet"] == []
    play.send("mona", "room.move", people=["cem"], to="1-1")
    told = play.send("mona", "round.assign", round=1, unassigned=True, preview=True)["unmet"]
    assert {(one["condition"], one["person"]) for one in told} == {("apart", tag(play.event, one)) for one in ("anna", "cem")}


def test_who_holds_a_seat_keeps_it_whoever_else_is_given_the_room() -> None:
    play = prepared({"name": "A", "capacity": 2}, {"name": "B", "capacity": 4}, who=PEOPLE[:3])
    play.send("mona", "round.assign", round=1, who="named", by_hand={"anna": "1-1", "bilal": "1-1"})
    assert play.refused("mona", "round.assign", round=1, people=["cem"], by_hand={"cem": "1-1"}).code == "room_full"


# Who comes late.


@pytest.mark.parametrize("how", ["free", "leave"])
def test_who_waits_because_of_somebody_goes_when_that_is_over(how: str) -> None:
    play = prepared({"name": "A", "capacity": 3}, who=PEOPLE[:3])
    bind(play, "apart", "anna", "bilal", "cem")
    play.send("mona", "round.assign", round=1, by_hand={"anna": "1-1"})
    play.send("mona", "round.open", round=1)
    assert where(play) == {"anna": "A"}
    assert sorted(play.event.rounds.items[1].waiting) == ["bilal", "cem"]
    if how == "free":
        bind(play, "free", "bilal")
        assert sorted(where(play)) == ["anna", "bilal"]
        assert play.event.rounds.items[1].waiting == ["cem"]
    else:
        first, second = play.event.rounds.items[1].waiting
        play.send("anna", "room.leave", room="1-1")
        assert (sorted(where(play)), play.event.rounds.items[1].waiting) == ([first], [second])


LATE = ({"name": "Rad", "capacity": 4, "topic": "city"}, {"name": "Okul", "capacity": 4, "topic": "education", "languages": ["tr"]})


@pytest.mark.parametrize(
    ("conditions", "wishes", "room"),
    [
        (None, {"topics": ["city"]}, "1-1"),
        (None, {"languages": ["tr"], "topics": ["city"]}, "1-1"),
        (None, {"languages": ["de"], "topics": ["education"]}, "1-1"),
        ({"topics": True}, {"languages": ["de"], "topics": ["education"]}, "1-2"),
        ({"together": True, "topics": True}, {"together": "familie", "topics": ["city"]}, "1-2"),
        ({"languages": True}, {"languages": ["de"], "topics": ["education"], "together": "familie"}, "1-1"),
    ],
)
def test_who_comes_late_goes_where_the_lot_would_have_put_them(
    conditions: dict[str, Any] | None, wishes: dict[str, Any], room: str
) -> None:
    play = prepared(*LATE, who=())
    play.send("anna", "round.join", topics=["city"])
    play.send("bilal", "round.join", together="familie")
    by_hand = {"anna": "1-1", "bilal": "1-2"}
    given = {"who": "named"} if conditions is None else {"conditions": conditions}
    play.send("mona", "round.assign", round=1, by_hand=by_hand, **given)
    play.send("mona", "round.open", round=1)
    assert play.send("zoe", "round.join", **wishes)["room"] == room


def test_the_free_seats_are_given_away_under_the_conditions_of_the_lot() -> None:
    play = prepared(*LATE, who=())
    for person, topic in (("anna", "city"), ("bilal", "education")):
        play.send(person, "round.join", topics=[topic])
    play.send("mona", "round.assign", round=1, conditions={"topics": True, "moderator": True})
    drawn = play.event.rounds.items[1].drawn
    for person in PEOPLE[2:]:
        play.send(person, "round.join", topics=["city"])
    play.send("mona", "round.assign", round=1, unassigned=True)
    assert [where(play)[person] for person in PEOPLE] == ["Rad", "Okul", *["Rad"] * 3, "Okul"]
    play.send("mona", "round.assign", round=1, who="named", by_hand={"anna": "1-1"})
    assert play.event.rounds.items[1].drawn == drawn is not None


def test_a_seat_that_suits_worse_is_better_than_none() -> None:
    play = prepared({"name": "Okul", "capacity": 2, "languages": ["tr"], "topic": "city"}, who=())
    play.send("mona", "round.assign", round=1, conditions={"languages": True, "topics": True})
    play.send("mona", "round.open", round=1)
    assert play.send("anna", "round.join", languages=["de"], topics=["education"])["room"] == "1-1"


def test_where_hall_and_home_are_apart_nobody_is_put_between_them_later() -> None:
    play = prepared({"name": "A", "capacity": 3}, {"name": "B", "capacity": 3}, who=())
    for person in PEOPLE:
        play.event.attendance.places[person] = "hall" if person in PEOPLE[::2] else "home"
    for person in ("anna", "bilal"):
        play.send(person, "round.join")
    play.send("mona", "round.assign", round=1, conditions={"places": "apart"})
    play.send("mona", "round.open", round=1)
    hall, home = (next(id for id, one in play.event.rounds.rooms.items() if person in one.seats) for person in ("anna", "bilal"))
    for person in ("cem", "emil"):
        assert play.send(person, "round.join")["room"] == hall
    play.event.attendance.places["gast"] = "hall"
    assert play.send("gast", "round.join")["waiting"], "though there are seats among those at home"
    assert play.seen("rooms", "plan")["waiting"][0]["id"] == tag(play.event, "gast")
    assert not play.send("dana", "round.join")["waiting"]
    play.send("mona", "room.move", people=["gast"], to=home)
    assert play.event.rounds.items[1].waiting == []


def test_who_leads_a_room_and_comes_late_goes_there_though_others_are_emptier() -> None:
    play = prepared({"name": "A", "capacity": 4, "moderators": ["zoe"]}, {"name": "B", "capacity": 4}, who=PEOPLE[:2])
    play.send("mona", "round.assign", round=1, who="named", by_hand={"anna": "1-1", "bilal": "1-1"})
    play.send("mona", "round.open", round=1)
    play.send("zoe", "room.leave", room="1-1")
    assert play.send("zoe", "round.join")["room"] == "1-1"


# Who sees it.


def test_nobody_but_moderators_and_organisers_learns_of_it() -> None:
    play = prepared()
    play.send("mona", "round.assign", round=1)
    play.send("mona", "round.open", round=1)
    rooms = {channel: play.screen(channel, person) for channel, person in SCREENS}
    bind(play, "apart", "anna", "bilal")
    bind(play, "together", "cem", "dana")
    assert {channel: play.screen(channel, person) for channel, person in SCREENS} == rooms
    shown = [play.seen("rooms", f"room/{id}")["bonds"] for id in ("1-1", "1-2")]
    assert shown[0] | shown[1] == {
        tag(play.event, person): [{"how": how, "number": number}]
        for person, how, number in (("anna", "apart", 1), ("bilal", "apart", 1), ("cem", "together", 2), ("dana", "together", 2))
    }
    assert {"plan", "room/1-1", "room/1-2"} <= set(play.touched)


SCREENS = (
    ("public", ""), ("stage", ""), ("hall", ""), ("moderation", ""), ("output/main", ""), ("me", "anna"), ("door", ""),
    ("registrations", ""), ("board", ""), ("room/1-1", "anna"), ("room/1-2", "anna"),
)  # fmt: skip


def test_bonds_and_words_are_never_mistaken_for_each_other() -> None:
    """Somebody may have chosen a word that is the number of a bond."""
    play = prepared({"name": "A", "capacity": 4}, who=())
    play.send("anna", "round.join", apart="1")
    for person in ("bilal", "cem"):
        play.send(person, "round.join")
    bind(play, "apart", "bilal", "cem")
    assert play.event.rounds.bonds[1] == Bond("apart", ("bilal", "cem"), play.event.seq)
    play.send("mona", "round.assign", round=1, seed=Random(1).randint(0, 9), conditions={"apart": True})
    assert len(where(play)) == 2
