"""Languages: complete catalogs, refusals that say what to do, and the right language for everybody."""

from __future__ import annotations

import re
from pathlib import Path
from typing import get_args

import pytest
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po

from frontend import words
from rooms.unmet import Code, Why

FRONTEND = Path(words.__file__).parent
LANGUAGES = pytest.mark.parametrize("lang", words.LANGUAGES)


@LANGUAGES
def test_catalogs_are_complete(lang: str) -> None:
    with (FRONTEND / "locale" / lang / "LC_MESSAGES" / "plenum.po").open("rb") as file:
        catalog = read_po(file, locale=lang)
    written = {message.id: message for message in catalog if message.id}
    methods = [("*.py", "python"), ("templates/**.html", "jinja2"), ("templates/**.txt", "jinja2")]
    keywords = {"_": None, "N_": None, "gettext": None}
    used = {
        found[2] for found in extract_from_dir(FRONTEND, methods, keywords=keywords) if "node_modules" not in found[0]
    }

    assert set(written) == used
    assert [message.id for message in written.values() if message.fuzzy or not str(message.string).strip()] == []
    slots = re.compile(r"\{\w+\}")
    assert [
        id
        for id, message in written.items()
        if sorted(slots.findall(str(id))) != sorted(slots.findall(str(message.string)))
    ] == []
    assert [id for id, message in written.items() if words.text(lang, str(id)) != message.string] == [], (
        "the catalogs are not compiled"
    )


PARAMS = {"min": 3, "max": 1000, "count": 1200, "retry_after": 7, "state": "on_air"}


@pytest.mark.parametrize("code", words.REFUSALS)
def test_every_refusal_says_in_both_languages_what_to_do(code: str) -> None:
    german, english = (words.wording(code, lang, PARAMS) for lang in words.LANGUAGES)

    assert german != english
    for said in (german, english):
        assert "{" not in said
        assert len(re.findall(r"[.;:]", said)) >= 2, "what has happened, and what to do next"


def test_the_wording_covers_every_code_of_the_protocol() -> None:
    protocol = (FRONTEND.parent / "docs" / "protocol.md").read_text("utf-8").partition("## Refusals")[2]
    codes = {
        code
        for line in protocol.splitlines()
        if line.startswith("| `")
        for code in re.findall(r"`(\w+)`", line.split("|")[1])
    }

    assert codes
    assert codes - set(words.REFUSALS) == set()


def test_wording_is_filled_from_the_params() -> None:
    assert "7 Sekunden" in words.wording("too_many", "de", {"retry_after": 6.6})
    assert "„auf Sendung“" in words.wording("state_changed", "de", {"state": "on_air"})
    assert "“closed”" in words.wording("wrong_state", "en", {"state": "closed"})
    assert "{" not in words.wording("wrong_state", "de", {})
    assert words.wording("from_the_future", "de", {}) == words.wording("bug", "de", {})


@pytest.mark.parametrize(
    ("accept", "cookie", "query", "offered", "chosen"),
    [
        (None, None, None, ("de", "en"), "de"),
        ("en-GB,en;q=0.9,de;q=0.5", None, None, ("de", "en"), "en"),
        ("fr, de;q=0.3, en;q=0.7", None, None, ("de", "en"), "en"),
        ("de;q=0, en", None, None, ("de", "en"), "en"),
        ("en", "de", None, ("de", "en"), "de"),
        ("en", "de", "en", ("de", "en"), "en"),
        ("en", "de", "tlh", ("de", "en"), "de"),
        ("de", None, None, ("en",), "en"),
        ("tr", None, None, ("tr", "de"), "de"),
        (";q=x,,;q=", None, None, ("de", "en"), "de"),
        ("en", None, None, (), "en"),
    ],
)
def test_the_language_is_the_one_asked_for(
    accept: str | None, cookie: str | None, query: str | None, offered: tuple[str, ...], chosen: str
) -> None:
    assert words.choose(accept, cookie, query, offered) == chosen


@LANGUAGES
@pytest.mark.parametrize("why", get_args(Why))
@pytest.mark.parametrize("condition", get_args(Code))
def test_every_condition_that_is_not_met_has_its_words(condition: str, why: str, lang: str) -> None:
    of_rooms, of_people = condition in ("capacity", "place", "moderator", "mixed"), condition not in ("moderator", "mixed")
    said = {words.not_met(condition, why, lang, room=room) for room in (True, False) if (of_rooms if room else of_people)}
    assert all(sentence.endswith(":") for sentence in said)
    assert len(said) == of_rooms + of_people
