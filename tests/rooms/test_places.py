"""Places: how free seats are given to a line, and which seats an event can have."""

from __future__ import annotations

import math
import unicodedata
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.command import Refused
from rooms.places import Line, Order, Place, PlaceName, check_fits, check_places, folded, place_of
from tests.moderation.evening import Evening

CONTINGENTS = ("", "off_camera", "press", "wheelchair")


def waiting(*entries: tuple[str, int], **taken: int) -> tuple[Line, dict[int, int]]:
    """A line in which these (contingent, people) have come one after the other; and the people by number."""
    line = Line({pool.replace("general", ""): people for pool, people in taken.items()})
    for number, (contingent, _) in enumerate(entries, 1):
        line.enter(contingent, (number, number))
    return line, {number: people for number, (_, people) in enumerate(entries, 1)}


def settled(place: Place, line: Line, people: dict[int, int]) -> list[tuple[int, str]]:
    return list(line.settle(place, people.__getitem__))


@pytest.mark.parametrize(
    ("entries", "seats", "given"),
    [
        ([("", 1), ("", 1)], {"seats": 1}, [(1, "")]),
        ([("", 2), ("", 1)], {"seats": 1}, []),
        ([("", 2), ("", 2), ("", 1)], {"seats": 3}, [(1, "")]),
        ([("press", 1), ("press", 1), ("press", 1)], {"seats": 2, "reserved": {"press": 1}}, [(1, "press"), (2, "")]),
        ([("press", 2), ("", 1)], {"seats": 2, "reserved": {"press": 1}}, []),
        ([("press", 2), ("wheelchair", 1)], {"seats": 3, "reserved": {"press": 1, "wheelchair": 1}}, [(2, "wheelchair")]),
        ([("", 2), ("press", 1)], {"seats": 2, "reserved": {"press": 1}}, [(2, "press")]),
        ([*[("off_camera", 1)] * 2, ("", 1)], {"seats": 2, "reserved": {"off_camera": 1}}, [(1, "off_camera"), (3, "")]),
        ([("", 1), ("off_camera", 1)], {"seats": 2, "reserved": {"off_camera": 2}}, [(2, "off_camera")]),
        ([("gone", 1), ("", 1)], {"seats": 1}, [(1, "")]),
    ],
    ids=[
        "the first has the last seat", "companions who do not fit block who would", "as long as the first one fits",
        "a contingent overflows into the rest", "who waits for both pools blocks both", "and no other",
        "who waits for the rest blocks no contingent", "off camera nobody sits elsewhere", "and nobody else sits there",
        "a contingent that is no more sits in the rest",
    ],
)  # fmt: skip
def test_free_seats_go_to_the_first_who_waits(
    entries: list[tuple[str, int]], seats: dict[str, Any], given: list[tuple[int, str]]
) -> None:
    assert settled(Place(**seats), *waiting(*entries)) == given


def test_taken_seats_are_not_given() -> None:
    place = Place(seats=4, reserved={"press": 1})
    line, people = waiting(("", 2), ("", 1), general=2)
    assert (line.free(place, ""), line.free(place, "press"), line.free(place, "nobody's")) == (1, 1, 0)
    assert settled(place, line, people) == []

    line.take("", -1)
    assert settled(place, line, people) == [(1, "")]
    assert (line.free(place, ""), line.count()) == (0, 1)


@st.composite
def lines(draw: st.DrawFn) -> tuple[Place, Line, dict[int, int]]:
    """A place, some of its seats taken, and a line in any order."""
    reserved = draw(st.dictionaries(st.sampled_from(CONTINGENTS[1:]), st.integers(1, 4)))
    place = Place(seats=sum(reserved.values()) + draw(st.integers(0, 6)), reserved=reserved)
    line = Line({pool: draw(st.integers(0, place.size(pool))) for pool in ("", *reserved)})
    people = {}
    for number, contingent in enumerate(draw(st.lists(st.sampled_from(CONTINGENTS), max_size=12)), 1):
        line.enter(contingent, (draw(st.integers(1, 9)), number))
        people[number] = draw(st.integers(1, 4))
    return place, line, people


def orders(line: Line) -> dict[int, tuple[Order, str]]:
    return {order[1]: (order, contingent) for contingent, waits in line.waiting.items() for order in waits}



@given(lines())
def test_never_more_people_than_seats(drawn: tuple[Place, Line, dict[int, int]]) -> None:
    place, line, people = drawn
    before = dict(line.taken)
    given = settled(place, line, people)

    for pool in ("", *place.reserved):
        came = sum(people[number] for number, one in given if one == pool)
        assert line.taken.get(pool, 0) == before.get(pool, 0) + came <= place.size(pool)
    assert {pool for _, pool in given} <= {"", *place.reserved}
    assert {number for number, _ in given}.isdisjoint(orders(line)), "who sits does not wait"
    assert len(given) + line.count() == len(people), "nobody is lost"



@given(lines())
def test_nobody_is_overtaken_in_a_pool(drawn: tuple[Place, Line, dict[int, int]]) -> None:
    place, line, people = drawn
    came = orders(line)
    given = settled(place, line, people)

    for number, pool in given:
        order, contingent = came[number]
        assert pool in place.pools(contingent)
        for other, theirs in orders(line).values():
            assert pool not in place.pools(theirs) or order < other
    assert [came[number][0] for number, _ in given] == sorted(came[number][0] for number, _ in given)



@given(lines())
def test_what_is_settled_is_settled(drawn: tuple[Place, Line, dict[int, int]]) -> None:
    place, line, people = drawn
    anybody = bool(list(line.heads().settle(place, people.__getitem__)))
    kept, copied = line.copy(), line.copy()
    given = settled(place, copied, people)
    assert line == kept, "reckoning with a copy changes nothing"
    assert anybody == bool(given), "the heads are enough to see whether anybody can be seated"

    again = copied.copy()
    assert settled(place, again, people) == []
    assert again == copied


def test_the_position_counts_everybody_who_came_before() -> None:
    line, _ = waiting(("", 1), ("press", 2), ("", 1))
    assert [line.position((number, number)) for number in (1, 2, 3, 4)] == [1, 2, 3, 4]
    line.enter("press", (1, 9))
    assert line.position((3, 3)) == 4, "who was entered late came earlier"
    line.leave("", (1, 1))
    assert (line.position((1, 9)), line.position((3, 3)), line.count()) == (1, 3, 3)


SAME_KEYWORDS = [
    "Digitalisierung 20.08.", "digitalisierung 2008", "DIGITALISIERUNG\n20. 08", "„Digitalisierung“ 20/08",
    "Ｄigitalisierung 20․08",
]  # fmt: skip


@pytest.mark.parametrize("keyword", SAME_KEYWORDS)
def test_keywords_are_compared_by_letters_and_digits(keyword: str) -> None:
    assert folded(keyword) == "digitalisierung2008"


@pytest.mark.parametrize("keyword", ["Bürgergespräch", "Straße", "Ελλάς", "İzmir", "Ångström"])
def test_keywords_are_the_same_however_they_are_encoded(keyword: str) -> None:
    forms = {unicodedata.normalize(form, keyword) for form in ("NFC", "NFD")}
    assert len({folded(one) for one in (*forms, keyword.swapcase().swapcase())}) == 1
    assert folded("Straße") == folded("STRASSE")


@pytest.mark.parametrize("other", ["Digitalisierung 31.08.", "Digitalisierung 20.8.", "Digitalisierung", ""])
def test_another_keyword_is_another_one(other: str) -> None:
    assert folded(other) != folded("Digitalisierung 20.08.")


def places(name: PlaceName = "hall", **facts: Any) -> dict[PlaceName, Place]:
    return {name: Place(**{"seats": 10} | facts)}


IMPOSSIBLE: dict[str, tuple[PlaceName, dict[str, Any]]] = {
    "no seats": ("hall", {"seats": 0}),
    "negative seats": ("hall", {"seats": -1}),
    "a conference above the limit": ("conference", {"seats": 76}),
    "more reserved than there is": ("hall", {"reserved": {"press": 6, "wheelchair": 5}}),
    "an empty contingent": ("hall", {"reserved": {"press": 0}}),
    "a negative contingent": ("hall", {"reserved": {"press": -1}}),
    "a contingent without a name": ("hall", {"reserved": {"": 1}}),
    "a party of nobody": ("hall", {"party": 0}),
    "a party that is a group": ("hall", {"party": 21}),
    "no time to confirm": ("hall", {"confirm_within": 0.0}),
    "for ever to confirm": ("hall", {"confirm_within": math.inf}),
    "no number of hours": ("hall", {"confirm_within": math.nan}),
    "a keyword that everything has": ("hall", {"keyword": " – "}),
}


@pytest.mark.parametrize(("name", "facts"), IMPOSSIBLE.values(), ids=IMPOSSIBLE)
def test_seats_that_cannot_be_given_are_not_taken_as_facts(name: PlaceName, facts: dict[str, Any]) -> None:
    with pytest.raises(Refused) as caught:
        check_places(places(name, **facts))
    assert (caught.value.code, caught.value.field) == ("wrong_fact", f"places.{name}")


POSSIBLE: list[tuple[PlaceName, dict[str, Any]]] = [
    ("hall", {"seats": 1}),
    ("hall", {"seats": 76, "party": 20}),
    ("conference", {"seats": 75}),
    ("hall", {"reserved": {"press": 6, "wheelchair": 4}}),
    ("hall", {"confirm_within": 0.5, "keyword": "A"}),
]


@pytest.mark.parametrize(("name", "facts"), POSSIBLE)
def test_the_limits_themselves_are_possible(name: PlaceName, facts: dict[str, Any]) -> None:
    check_places(places(name, **facts))


def test_a_place_without_facts_is_unknown() -> None:
    evening = Evening(places={"hall": {"seats": 3}})
    assert place_of(evening.event, "hall").seats == 3
    for name in ("conference", "home", ""):
        with pytest.raises(Refused, match="unknown_place"):
            place_of(evening.event, name)


@pytest.mark.parametrize(
    ("contingent", "most"), [("", 4), ("press", 4), ("large", 5), ("off_camera", 1)], ids=lambda value: str(value) or "general"
)
def test_companions_who_could_never_sit_together_do_not_wait_for_it(contingent: str, most: int) -> None:
    place = Place(seats=12, reserved={"press": 2, "large": 5, "off_camera": 1})
    check_fits(place, contingent, most)
    with pytest.raises(Refused) as caught:
        check_fits(place, contingent, most + 1)
    assert (caught.value.code, caught.value.params["most"]) == ("party_too_large", most)


CROWDED: dict[str, dict[str, Any]] = {
    "submit": {"place": "hall", "name": "Verein", "email": "v@example.org", "party": 5, "way": "phone"},
    "correct": {"registration": 1, "party": 5},
    "move": {"registration": 1, "to": "conference"},
}


@pytest.mark.parametrize("command", CROWDED)
def test_not_even_staff_can_put_companions_into_a_line_that_they_would_block(command: str) -> None:
    evening = Evening(places={"hall": {"seats": 4}, "conference": {"seats": 1}})
    evening.send("anna", "registration.submit", place="hall", name="Anna Aal", email="anna@example.org", party=2)

    assert evening.refused("hilde", f"registration.{command}", **CROWDED[command]).code == "party_too_large"
