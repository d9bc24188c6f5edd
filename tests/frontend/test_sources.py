"""Templates and browser modules as they are written: nothing that the policy forbids, and no word in JavaScript."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

import frontend

ROOT = Path(frontend.__file__).parent
TEMPLATES = sorted((ROOT / "templates").rglob("*.html"))
SCRIPTS = sorted((ROOT / "static" / "js").glob("*.js"))


@pytest.mark.parametrize("file", TEMPLATES, ids=lambda file: file.name)
def test_templates_have_no_inline_style_script_or_handler(file: Path) -> None:
    source = file.read_text("utf-8")
    if file.name == "loader.html":  # is kept on somebody's disk and has to hold all of itself
        return

    assert not re.search(r"<style|\sstyle\s*=|\son\w+\s*=|javascript:", source, re.IGNORECASE)
    assert not re.search(r"<script(?![^>]*\ssrc=)", source)
    assert not re.search(r"\|\s*safe\b|autoescape", source)


@pytest.mark.parametrize("file", SCRIPTS, ids=lambda file: file.name)
def test_scripts_hold_no_words(file: Path) -> None:
    assert words_in(file.read_text("utf-8")) == []


def test_words_in_a_script_would_be_found() -> None:
    assert words_in("tell('No connection'); // It's a comment") == ["No connection"]
    assert words_in("tell(`Noch ${left} Zeichen frei`);") == ["Zeichen frei"]
    assert words_in("/** Don't */ querySelector('form [name=text]'); // 'two words'") == []


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
