"""Rates: a burst at once, then so many a second, for each key on its own; and nothing is kept for ever."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from moderation.limits import Rate
from rooms.command import Refused

MOMENTS = st.lists(st.tuples(st.sampled_from("ab"), st.floats(0, 30)), max_size=80)


def takes(rate: Rate, key: str, now: float) -> bool:
    try:
        rate.take(key, now)
    except Refused:
        return False
    return True


def test_a_burst_passes_and_the_next_one_waits() -> None:
    rate = Rate(3, 0.5)
    assert [takes(rate, "anna", 100.0) for _ in range(5)] == [True, True, True, False, False]


def test_others_are_not_held_up() -> None:
    rate = Rate(1, 1)
    assert [takes(rate, key, 0.0) for key in ("anna", "anna", "bilal")] == [True, False, True]


def test_time_gives_back_but_never_more_than_the_burst() -> None:
    rate = Rate(2, 1)
    assert [takes(rate, "anna", now) for now in (0, 0, 0, 1, 1, 1_000, 1_000, 1_000)] == [
        True,
        True,
        False,
        True,
        False,
        True,
        True,
        False,
    ]


def test_who_was_refused_is_told_when_to_try_again() -> None:
    rate = Rate(1, 0.1)
    rate.take("anna", 0.0)
    with pytest.raises(Refused) as refused:
        rate.take("anna", 4.0)
    assert (refused.value.code, refused.value.retry_after) == ("too_many", 6.0)


@given(st.floats(1, 20), st.floats(0.05, 50), st.lists(st.floats(0, 5), max_size=40))
@example(1.0, 0.0625, [0.0, 0.0, 0.0, 0.1478896858280965, 0.0]).via("told 16 s, which were less than a token by 1e-16")
def test_who_waits_as_told_is_let_through(burst: float, per_second: float, pauses: list[float]) -> None:
    rate, now = Rate(burst, per_second), 0.0
    for pause in pauses:
        now += pause
        try:
            rate.take("anna", now)
        except Refused as refused:
            assert refused.retry_after is not None
            assert refused.retry_after >= 1
            now += refused.retry_after
            assert takes(rate, "anna", now)


def test_being_refused_costs_nothing() -> None:
    rate = Rate(1, 1)
    rate.take("anna", 0.0)
    for tenth in range(10):
        assert not takes(rate, "anna", tenth / 10)
    assert takes(rate, "anna", 1.0)


@given(MOMENTS)
def test_nobody_ever_gets_more_than_burst_and_rate_allow(moments: list[Any]) -> None:
    """Forgetting (the sweep) is only for buckets that are full again."""
    burst, per_second = 3, 0.5
    rate = Rate(burst, per_second)
    passed: dict[str, list[float]] = {"a": [], "b": []}
    for key, now in sorted(moments, key=lambda moment: moment[1]):
        if takes(rate, key, now):
            passed[key].append(now)
    for times in passed.values():
        for first in range(len(times)):
            for last in range(first, len(times)):
                assert last - first + 1 <= burst + (times[last] - times[first]) * per_second + 1e-6


def test_who_has_not_come_for_long_is_forgotten() -> None:
    rate = Rate(5, 1)
    for person in range(10_000):
        rate.take(f"person-{person}", 0.0)
    assert len(rate) == 10_000
    rate.take("anna", 11.0)
    assert len(rate) <= 1


def test_what_was_taken_elsewhere_counts_here_up_to_one_burst_of_debt() -> None:
    rate = Rate(burst=10, per_second=1)
    rate.charge("anna", 0, 8)
    rate.take("anna", 0, 2)
    with pytest.raises(Refused):
        rate.take("anna", 0)
    rate.charge("anna", 0, 1_000)
    with pytest.raises(Refused) as refused:
        rate.take("anna", 0)
    assert refused.value.retry_after == pytest.approx(11, abs=1)
    rate.take("anna", 11)


def test_a_debt_is_not_forgotten_before_it_is_paid() -> None:
    rate = Rate(burst=10, per_second=1)
    rate.charge("anna", 0, 20)
    rate.take("bilal", 10.5)  # sweeps
    with pytest.raises(Refused):
        rate.take("anna", 10.5)


def test_what_is_taken_is_told_only_where_somebody_asks() -> None:
    rate = Rate(burst=10, per_second=1)
    rate.take("anna", 0)
    assert rate.taken is None
    rate.taken = {}
    rate.take("anna", 0)
    rate.take("anna", 0, 2)
    assert rate.taken == {"anna": 3}
