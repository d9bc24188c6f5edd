"""Templates and browser modules as they are written: nothing that the policy forbids, and no word in JavaScript."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import frontend

ROOT = Path(frontend.__file__).parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))
STYLES = sorted((ROOT / "static" / "css").glob("*.css"))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates_have_no_inline_style_script_or_handler(file: Path) -> None:
    source = file.read_text("utf-8")
    if file.name == "loader.html":  # is kept on somebody's disk and has to hold all of itself
        return

    assert not re.search(r"<style|\sstyle\s*=|\son\w+\s*=|javascript:", source, re.IGNORECASE)
    assert not re.search(r"<script(?![^>]*\ssrc=)", source)
    assert not re.search(r"\|\s*safe\b|autoescape", source)


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_no_style_swallows_those_after_it(file: Path) -> None:
    assert swallowed(file.read_text("utf-8")) == []


def test_a_style_without_an_end_would_be_found() -> None:
    assert swallowed(".a {\n  color: red;\n}\n@media print {\n  .b {\n  }\n}\n") == []
    assert swallowed("@layer x {\n  .a {\n  .b {\n  }\n  .c {\n  }\n}\n") == [".a {"]
    assert swallowed(".a {\n}\n}\n") == ["}"]


@pytest.mark.parametrize("file", STYLES, ids=lambda file: file.name)
def test_what_a_has_leads_to_is_named(file: Path) -> None:
    """`:has(…) > *` makes the browser look at every element of the page whenever a word changes, also where nothing matches: half a
    second on a telephone with 300 cards (measured in Chromium, four times slower than a laptop)."""
    assert unnamed(file.read_text("utf-8")) == []


def test_what_is_not_named_would_be_found() -> None:
    assert unnamed(".a:has(.b) > *, .c > * {\n}\n") == [".a:has⟨.b⟩ > *"]
    assert unnamed("@media print {\n  body:has(.b > i) .c > :not([hidden]) {\n  }\n}\n") == ["body:has⟨.b_i⟩ .c > :not⟨[hidden]⟩"]
    assert unnamed(".a:has(.b:not(.c), .d) > * {\n}\n") == [".a:has⟨.b:not⟨.c⟩_.d⟩ > *"]
    assert unnamed(".a:has(> *), .a:not(:has(*)), .a:has(.b) + .c, .a:has(.b, .d) :is(.c, .e), body:has(p) form {\n}\n") == []


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_scripts_hold_no_words(file: Path) -> None:
    assert words_in(file.read_text("utf-8")) == []


def test_words_in_a_script_would_be_found() -> None:
    assert words_in("tell('No connection'); // It's a comment") == ["No connection"]
    assert words_in("tell(`Noch ${left} Zeichen frei`);") == ["Zeichen frei"]
    assert words_in("/** Don't */ querySelector('form [name=text]'); // 'two words'") == []


def unnamed(css: str) -> list[str]:
    """Selectors in which a :has() decides about others, which have no class, id, attribute or name of an element."""
    found: list[str] = []
    for rule in re.findall(r"([^{}@]+)\{", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)):
        for selector in folded(rule).split(","):
            *others, last = re.split(r"[\s>+~]+", selector.strip())
            if any(":has" in one for one in others) and not re.search(r"^\w|[.#\[]|:is", re.sub(r":not⟨.*?⟩", "", last)):
                found.append(selector.strip())
    return found


def folded(selector: str) -> str:
    """The selector with what is in parentheses written without what parts selectors, so that it can be cut into its parts."""
    def joined(part: re.Match[str]) -> str:
        return "⟨" + re.sub(r"[\s>+~,]+", "_", part[1]) + "⟩"

    while (simpler := re.sub(r"\(([^()]*)\)", joined, selector)) != selector:
        selector = simpler
    return selector


def swallowed(css: str) -> list[str]:
    """Selectors whose rule holds other rules or has no end, and ends of nothing. A browser is silent about it: nesting is allowed,
    and the end of the file ends all."""
    outer: list[str] = []
    wrong: list[str] = []
    for token in re.findall(r"[^{}]*\{|\}", re.sub(r"/\*.*?\*/", "", css, flags=re.DOTALL)):
        if token == "}":
            wrong += [] if outer else [token]
            outer = outer[:-1]
            continue
        if outer and not outer[-1].startswith("@"):
            wrong.append(outer[-1])
        outer.append(token.rpartition(";")[2].strip())
    return list(dict.fromkeys(wrong + [one for one in outer if not one.startswith("@")]))


def words_in(script: str) -> list[str]:
    """Pairs of words in the string literals of a script; selectors are told by their punctuation."""
    comment = r"/\*.*?\*/|(?<![:\"'`\\])//[^\n]*"
    literals = [
        match["text"] or match["template"] or ""
        for match in re.finditer(
            rf"{comment}|(?P<quote>[\"'])(?P<text>(?:\\.|(?!(?P=quote)).)*?)(?P=quote)|`(?P<template>[^`]*)`",
            script,
            re.DOTALL,
        )
    ]
    selector = re.compile(r"[\[\]#>:=]|\.[a-z]")
    plain = (part for literal in literals for part in re.split(r"\$\{[^}]*\}", literal) if not selector.search(part))
    return [found[0] for part in plain for found in re.finditer(r"[A-Za-zÄÖÜäöüß]{2,} [A-Za-zÄÖÜäöüß]{2,}", part)]
