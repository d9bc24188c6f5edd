"""Names as people look for them, and in the order of a list."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from frontend.alphabet import folded, position


@pytest.mark.parametrize(
    ("name", "words"),
    [("Jürgen Müller", "mueller"), ("Jürgen Müller", "MÜL"), ("Zoë Groß", "gross"), ("Zoë Groß", "zoe"), ("Şükran Öz", "sukran o")],
)
def test_a_name_is_found_as_it_is_spoken(name: str, words: str) -> None:
    assert folded(words) in folded(name)


def test_another_name_is_not_found() -> None:
    assert folded("Möller") not in folded("Jürgen Müller")


def test_names_are_ordered_by_the_last_word_and_then_by_the_first() -> None:
    names = ["", "Zoë Abel", "Prof. Dr. Anna von der Heide-Loss", "Jürgen Müller", "Anna Müllers", "Özlem Zander", "Анна Иванова"]
    assert sorted(names, key=position) == names


@given(st.text())
def test_a_browser_can_count_so_far(name: str) -> None:
    assert 0 <= position(name) < 2**53
