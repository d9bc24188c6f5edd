"""Names as people look for them: written without accents, found whichever way an umlaut is spelt, and in the order of a list."""

from __future__ import annotations

import re
import unicodedata

_OTHERS = str.maketrans({"ø": "o", "ł": "l", "đ": "d", "æ": "ae", "œ": "oe", "ı": "i", "ð": "d", "þ": "th"})
_E = re.compile("([aou])e")


def folded(text: str) -> str:
    """The text without case and accents; "Mueller" is "Müller". `fold` in `static/js/guests.js` does the same."""
    letters = unicodedata.normalize("NFD", text.casefold().translate(_OTHERS))
    return _E.sub(r"\1", "".join(letter for letter in letters if not unicodedata.combining(letter)))


def position(name: str) -> int:
    """Where a name stands in a list: by its last word, then by its first, as far as the whole numbers of a browser reach
    (2**53). Letters that are not Latin come last."""
    words = ["".join(filter(str.isalpha, word)) for word in folded(name).split()] or [""]
    number = 0
    for letter in f"{words[-1]:8.8}{words[0]:3.3}":
        number = number * 27 + (0 if letter == " " else ord(letter) - 96 if "a" <= letter <= "z" else 26)
    return number
