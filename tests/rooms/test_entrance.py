"""The hall's code rotates: good now and for a moment longer, worth nothing tomorrow, and not to be guessed from another."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rooms.entrance import ALPHABET, LENGTH, admits, code_at, keyed

SECRET = "geheim"
PERIOD = 150
START = 1_597_941_600_000 // (PERIOD * 1_000) * PERIOD * 1_000
"""A period begins."""


def test_the_code_stays_for_a_period_and_then_changes() -> None:
    first = code_at(SECRET, START, PERIOD)
    assert code_at(SECRET, START + PERIOD * 1_000 - 1, PERIOD) == first
    assert code_at(SECRET, START + PERIOD * 1_000, PERIOD) != first


def test_a_code_is_good_for_its_period_and_one_more() -> None:
    code = code_at(SECRET, START, PERIOD)
    assert admits(SECRET, code, START, PERIOD)
    assert admits(SECRET, code, START + 2 * PERIOD * 1_000 - 1, PERIOD), "grace for slow phones"
    assert not admits(SECRET, code, START + 2 * PERIOD * 1_000, PERIOD)


def test_tomorrows_code_is_not_good_yet() -> None:
    code = code_at(SECRET, START + PERIOD * 1_000, PERIOD)
    assert not admits(SECRET, code, START, PERIOD)


@given(st.integers(2, 10_000))
def test_a_photographed_code_is_worth_nothing_later(periods: int) -> None:
    assert not admits(SECRET, code_at(SECRET, START, PERIOD), START + periods * PERIOD * 1_000, PERIOD)


def test_another_event_has_other_codes() -> None:
    assert not admits("another secret", code_at(SECRET, START, PERIOD), START, PERIOD)


def test_people_may_type_it_as_they_like() -> None:
    code = code_at(SECRET, START, PERIOD)
    for typed in (code.lower(), f"  {code} ", f"{code[:3]}-{code[3:]}", f"{code[:2]} {code[2:]}"):
        assert admits(SECRET, typed, START, PERIOD), typed


@pytest.mark.parametrize(
    "typed", ["", "-", "AAAAAA", "ÄÖÜßẞ\u202e", "\x00", "\ud800".encode("utf-8", "replace").decode(), "0" * 5_000]
)
def test_anything_else_is_refused_without_trouble(typed: str) -> None:
    assert not admits(SECRET, typed, START, PERIOD)


def test_part_of_a_code_is_no_code() -> None:
    code = code_at(SECRET, START, PERIOD)
    assert not admits(SECRET, code[:-1], START, PERIOD)
    assert not admits(SECRET, code + code[0], START, PERIOD)


def test_codes_are_written_in_letters_that_nobody_confuses() -> None:
    codes = {code_at(SECRET, START + n * PERIOD * 1_000, PERIOD) for n in range(2_000)}
    assert all(len(code) == LENGTH for code in codes)
    assert set("".join(codes)) == set(ALPHABET)
    assert not set("01IO") & set(ALPHABET)
    assert len(codes) > 1_990, "codes repeat more often than chance allows"


def test_what_is_keyed_for_one_purpose_is_of_no_use_for_another() -> None:
    assert keyed(SECRET, "receipt/17", 10) != keyed(SECRET, "receipt/18", 10)
    assert keyed(SECRET, "entrance/17", 10) != keyed(SECRET, "receipt/17", 10)
