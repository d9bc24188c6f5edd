"""The documentation says what the code does."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import get_type_hints

import pytest

from frontend.words import REFUSALS
from live.api import SCHEMA
from live.cli import parser
from live.settings import described
from moderation import documents
from moderation.capabilities import COMMANDS
from moderation.roles import MAY_SEND, MAY_WATCH
from rooms.command import SYSTEM

ROOT = Path(__file__).parents[1]
PROTOCOL = (ROOT / "docs" / "protocol.md").read_text("utf-8")
SYSTEM_ONLY = {name for name, roles in MAY_SEND.items() if roles == (SYSTEM,)}


def section(title: str) -> str:
    """The text under a heading."""
    return PROTOCOL.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def first_column(text: str) -> set[str]:
    """The words in backticks in the first column of a table."""
    return {word for line in text.splitlines() if line.startswith("| `") for word in re.findall(r"`([^`]+)`", line.split("|")[1])}


def raised() -> Iterator[str]:
    """Every refusal code that the source raises, also those that are put together of a field's name."""
    for folder in ("rooms", "moderation", "live", "frontend"):
        for path in (ROOT / folder).rglob("*.py"):
            if path.name == "client.py":
                continue  # passes on what a server has said
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "Refused" and node.args:
                    for code in ast.walk(node.args[0]):
                        if isinstance(code, ast.Constant) and isinstance(code.value, str) and not code.value.startswith("_"):
                            yield code.value
                elif isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "within":
                    field, least = node.args[1], node.args[2]
                    assert isinstance(field, ast.Constant)
                    assert isinstance(field.value, str)
                    yield f"{field.value}_too_long"
                    if not (isinstance(least, ast.Constant) and least.value == 0):
                        yield f"{field.value}_too_short"


def test_every_command_is_in_the_protocol_and_every_one_there_exists() -> None:
    assert first_column(section("Commands")) == COMMANDS.keys() - SYSTEM_ONLY
    assert MAY_SEND.keys() == COMMANDS.keys()


def test_every_argument_is_named_beside_its_command() -> None:
    for line in section("Commands").splitlines():
        for name in re.findall(r"`([a-z_]+\.[a-z_]+)`", line.split("|")[1] if line.startswith("| `") else ""):
            missing = [field for field in COMMANDS[name][0].__struct_fields__ if f"`{field}`" not in line]
            assert missing == [], name


def test_every_refusal_is_in_the_protocol_and_has_a_wording() -> None:
    codes = set(raised())
    assert {"text_too_short", "state_changed", "too_many", "name_too_long"} <= codes
    assert codes <= first_column(section("Refusals"))
    assert codes <= REFUSALS.keys()
    assert first_column(section("Refusals")) <= codes | {"bug"}


def test_every_channel_is_in_the_protocol() -> None:
    assert {name.partition("/")[0] for name in first_column(section("Channels"))} == MAY_WATCH.keys()


@pytest.mark.parametrize("key", documents.SHAPES)
def test_every_field_of_a_document_is_in_the_protocol(key: str) -> None:
    fields = get_type_hints(documents.SHAPES[key])
    named = set(re.findall(r"`([a-z_]+)`", section("Documents (JSON data)")))
    assert fields.keys() <= named


def test_the_schema_has_every_command_document_and_refusal() -> None:
    assert SCHEMA["commands"].keys() == COMMANDS.keys()
    assert SCHEMA["documents"].keys() == documents.SHAPES.keys()
    assert SCHEMA["refusals"].keys() == REFUSALS.keys()


def test_every_setting_is_described_with_its_default() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for name, default, text in described():
        number = f"{default:g}" if isinstance(default, float) else str(default)
        shown = number.lower() if isinstance(default, bool) else number
        assert f"| `{name}` | {f'`{shown}`' if shown else '(empty)'} | {text} |" in page


@pytest.mark.parametrize("page", ["README.md", "docs/evening.md", "docs/architecture.md", "docs/operating.md"])
def test_every_command_line_and_link_in_the_documentation_works(page: str) -> None:
    text = (ROOT / page).read_text("utf-8")
    for line in re.findall(r"(?:^|`)plenum ([^`\n]+)", text, re.MULTILINE):
        words = re.sub(r"\bN\b", "2", line.split(" > ")[0]).split()
        try:
            parser().parse_args([word.strip("`.,)") for word in words])
        except SystemExit as wrong:
            raise AssertionError(f"plenum {line}") from wrong
    for target in re.findall(r"\]\(([^)#]+)\)", text):
        assert target.startswith("https://") or (ROOT / page).parent.joinpath(target).exists(), target


def test_the_names_of_make_in_the_readme_exist() -> None:
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE)
    named = re.findall(r"make ([a-z]+)", (ROOT / "README.md").read_text("utf-8"))
    assert {"run", "test", "check", "bench"} <= set(named) <= set(targets)


def test_what_the_procfile_starts_are_commands() -> None:
    lines = (ROOT / "Procfile").read_text("utf-8").splitlines()
    started = dict(line.split(": plenum ", 1) for line in lines if line and not line.startswith("#"))
    assert started.keys() == {"web", "worker"}
    for words in started.values():
        parser().parse_args(re.sub(r"\$\{\w+:-(\w+)\}", r"\1", words).split())
