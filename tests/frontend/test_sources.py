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


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_scripts_hold_no_words(file: Path) -> None:
    assert words_in(file.read_text("utf-8")) == []


def test_words_in_a_script_would_be_found() -> None:
    assert words_in("tell('No connection'); // It's a comment") == ["No connection"]
    assert words_in("tell(`Noch ${left} Zeichen frei`);") == ["Zeichen frei"]
    assert words_in("/** Don't */ querySelector('form [name=text]'); // 'two words'") == []


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
