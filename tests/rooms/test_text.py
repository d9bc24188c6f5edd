"""Citizens' text is made harmless, and counted as people count."""

from __future__ import annotations

import unicodedata

import pytest
import regex
from hypothesis import example, given
from hypothesis import strategies as st

from rooms.command import Refused
from rooms.text import MAX_CODE_POINTS, clean, length, within
from tests.moderation.evening import HOSTILE

FAMILY = "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466"
DECEIVING = regex.compile(
    r"[\p{Cc}\p{Bidi_Control}\u00ad\u200b\u2060-\u206f\ufeff\ufff9-\ufffc\U000e0000-\U000e007f\p{Cs}--\n]", regex.V1
)
"""No reader sees these, and each changes what is read or where it stands."""
ANY = st.text(st.characters(), max_size=60)
NASTY = st.text(
    "ab \t\n\r\u2028\u200b\u200c\u200d\u202e\u0301\u0308\u0489\ufe0f\u00e9\u1100\u1161\U0001f468\U000e0067", max_size=30
)


@pytest.mark.parametrize(
    ("sent", "shown"),
    [
        ("  Mehr   Bänke\t\tam Westwall ", "Mehr Bänke am Westwall"),
        ("eins\r\nzwei\rdrei\u2028vier", "eins\nzwei\ndrei\nvier"),
        ("oben\n\n\n\n\nunten", "oben\n\nunten"),
        ("oben\n \t \n \n unten", "oben\n\nunten"),
        ("Bu\u0308rger", "Bürger"),
        ("\u202eneztnärgeB\u202c", "neztnärgeB"),
        ("a\u2066b\u2069c\u200ed\u200fe", "abcde"),
        ("Spar\u200bkasse\ufeff", "Sparkasse"),
        ("weg\u00adstrecke", "wegstrecke"),
        ("Kli\x00ngel\x07n\x9b", "Klingeln"),
        ("\u3164\u115f\u1160\uffa0", ""),
        (FAMILY, FAMILY),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("\u200dAnfang und Ende\u200d", "Anfang und Ende"),
        ("a\u200d\u200d\u200db", "a\u200db"),
        ('<b>fett</b> & "so"', '<b>fett</b> & "so"'),
    ],
)
def test_what_deceives_the_eye_goes_and_what_people_wrote_stays(sent: str, shown: str) -> None:
    assert clean(sent) == shown


def test_a_letter_keeps_at_most_four_marks() -> None:
    assert clean("Z" + "\u0300" * 50 + "o") == "Z" + "\u0300" * 4 + "o"
    assert clean("Việt Nam, naïve, ệ̃") == unicodedata.normalize("NFC", "Việt Nam, naïve, ệ̃"), "honest marks stay"


def test_a_name_is_one_line() -> None:
    assert clean("Jule\nvon\u2028nebenan", lines=False) == "Jule von nebenan"


@given(ANY | NASTY)
@example("e\u200b\u0301")
def test_cleaning_a_clean_text_changes_nothing(sent: str) -> None:
    once = clean(sent)
    assert clean(once) == once


@given(ANY | NASTY)
@example("e\u200b\u0301")
@example("\u1100\u00ad\u1161")
def test_a_clean_text_is_in_nfc_without_deceiving_characters(sent: str) -> None:
    shown = clean(sent)
    assert unicodedata.is_normalized("NFC", shown)
    assert DECEIVING.findall(shown) == []
    assert shown == shown.strip()
    assert "\n\n\n" not in shown
    assert regex.search(r"\p{M}{5}", shown) is None


def test_the_control_an_uncleaned_text_is_caught() -> None:
    assert DECEIVING.findall("\u202e\u200b\x07\U000e0067") == ["\u202e", "\u200b", "\x07", "\U000e0067"]
    assert not unicodedata.is_normalized("NFC", "e\u0301")


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("", 0),
        ("abc", 3),
        ("Bürger", 6),
        ("Bu\u0308rger", 6),
        (FAMILY, 1),
        ("🇩🇪🇺🇦", 2),
        ("👍🏽", 1),
        ("각", 1),
        ("நி", 1),
        ("a\nb", 3),
    ],
)
def test_length_is_what_people_count(text: str, seen: int) -> None:
    assert length(text) == seen


def test_a_thousand_families_are_a_thousand_and_one_more_is_too_many() -> None:
    assert length(within(FAMILY * 1_000, "text", 3, 1_000)) == 1_000
    with pytest.raises(Refused) as refused:
        within(FAMILY * 1_001, "text", 3, 1_000)
    assert (refused.value.code, refused.value.field) == ("text_too_long", "text")
    assert refused.value.params == {"max": 1_000, "count": 1_001}


def test_the_longest_emoji_there_are_fit_a_thousand_times() -> None:
    couple = "\U0001f468\U0001f3fb\u200d\u2764\ufe0f\u200d\U0001f48b\u200d\U0001f468\U0001f3ff"  # kiss: man, man, two skin tones
    assert length(couple) == 1
    assert length(within(couple * 1_000, "text", 3, 1_000)) == 1_000


@pytest.mark.parametrize(
    "text", ["", " ", "\n\n \t\n", "ab", "  ab  ", "\u200b" * 10, "\u3164\u3164\u3164", "a\u0301b\u0301", FAMILY * 2]
)
def test_fewer_than_three_characters_are_too_few(text: str) -> None:
    with pytest.raises(Refused) as refused:
        within(text, "text", 3, 1_000)
    assert (refused.value.code, refused.value.field, refused.value.params) == ("text_too_short", "text", {"min": 3})


@pytest.mark.parametrize(
    "blank",
    ["\u2800", "\U0001d173", "\U0001bca0"],
    ids=["braille blank", "musical control", "shorthand control"],
)
def test_what_nobody_can_see_is_no_text(blank: str) -> None:
    with pytest.raises(Refused, match="text_too_short"):
        within(blank * 5, "text", 3, 1_000)


def test_three_characters_are_enough() -> None:
    assert within("  Ja! ", "text", 3, 1_000) == "Ja!"


def test_a_text_that_no_person_wrote_is_refused_before_it_is_looked_at() -> None:
    """Counting graphemes of a megabyte would hold up everybody."""
    with pytest.raises(Refused) as refused:
        within(" " * (MAX_CODE_POINTS + 1), "text", 0, 1_000)
    assert refused.value.code == "text_too_long"
    assert within(" " * MAX_CODE_POINTS, "text", 0, 1_000) == ""


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_every_hostile_text_is_made_harmless_or_refused(text: str) -> None:
    shown = within(text, "text", 3, 1_000)
    assert DECEIVING.findall(shown) == []
    assert 3 <= length(shown) <= 1_000
