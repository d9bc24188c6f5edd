"""Who may import whom, and where each library is at home."""

import ast
import sys
from collections.abc import Iterator
from fnmatch import fnmatchcase
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FOLDERS = {
    "rooms": {"rooms"},
    "moderation": {"moderation", "rooms"},
    "frontend": {"frontend", "moderation", "rooms"},
    "live": {"live", "frontend", "moderation", "rooms"},
}
"""Folder → the folders of this repository that it may import."""

RULES = {"rooms", "moderation"}
"""Folders of pure rules: no input, no output, no clock, no await."""

LIBRARIES_OF_RULES = {"email_validator", "msgspec", "phonenumbers", "regex"}
IMPURE = {
    "asyncio", "concurrent", "http", "logging", "multiprocessing", "os", "pathlib", "random", "secrets", "select", "shutil",
    "signal", "smtplib", "socket", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading", "time", "urllib",
}  # fmt: skip

HOMES = {
    "aioimaplib": ["live/mailbox.py"],
    "aiosmtplib": ["live/post.py"],
    "aiortc": ["live/media*"],
    "alembic": ["live/log.py", "live/people.py", "live/migrations/*"],
    "babel": ["frontend/*"],
    "icalendar": ["frontend/invitation.py"],
    "jinja2": ["frontend/*"],
    "openpyxl": ["frontend/tables.py"],
    "prometheus_client": ["live/metrics.py"],
    "pycrdt": ["live/notes*"],
    "redis": ["live/bus*", "live/presence.py"],
    "sqlalchemy": [
        "live/log.py", "live/people.py", "live/migrations/*", "live/backup.py", "live/restore.py", "live/check_database.py",
        "live/notes_store.py",
    ],
    "sqlite3": ["live/log.py", "live/people.py"],
    "starlette": ["live/*", "frontend/*"],
    "uvicorn": ["live/*"],
    "websockets": ["live/*"],
}  # fmt: skip
"""Library → the files that may import it; `*` stands for any part of a path."""

HOME_OF_THE_ENVIRONMENT = "live/settings.py"
ENVIRONMENT = {"environ", "environb", "getenv", "getenvb", "putenv", "unsetenv"}


def test_sources_obey_the_architecture() -> None:
    files = [file for folder in FOLDERS for file in sorted((ROOT / folder).rglob("*.py")) if "node_modules" not in file.parts]
    assert {file.relative_to(ROOT).parts[0] for file in files} == set(FOLDERS)

    found = [line for file in files for line in violations(file.relative_to(ROOT).as_posix(), file.read_text("utf-8"))]

    assert found == []


@pytest.mark.parametrize(
    ("file", "source", "complaint"),
    [
        ("rooms/polls.py", "import live.desk", "rooms may not import live"),
        ("rooms/polls.py", "from moderation import roles", "rooms may not import moderation"),
        ("rooms/polls.py", "from frontend.words import wording", "rooms may not import frontend"),
        ("rooms/polls.py", "from ..live import desk", "rooms may not import live"),
        ("rooms/polls.py", "import starlette.requests", "rooms may not import starlette"),
        ("rooms/polls.py", "import hypothesis", "rooms may not import hypothesis"),
        ("rooms/polls.py", "import time", "rooms is pure and may not import time"),
        ("rooms/polls.py", "def decide():\n    import random", "rooms is pure and may not import random"),
        ("rooms/polls.py", "async def decide(): pass", "rooms is pure and may not be async"),
        ("moderation/queue.py", "import frontend", "moderation may not import frontend"),
        ("moderation/queue.py", "if TYPE_CHECKING:\n    from live.desk import Desk", "moderation may not import live"),
        ("moderation/queue.py", "import asyncio", "moderation is pure and may not import asyncio"),
        ("frontend/render.py", "from live.settings import Settings", "frontend may not import live"),
        ("frontend/render.py", "import tests.conftest", "frontend may not import tests"),
        ("live/desk.py", "from tests import world", "live may not import tests"),
        ("live/desk.py", "import sqlalchemy as sa", "sqlalchemy is at home in live/log.py, live/people.py, live/migrations/*"),
        ("live/hub.py", "from sqlalchemy.engine import Engine", "sqlalchemy is at home in"),
        ("frontend/render.py", "import sqlite3", "sqlite3 is at home in"),
        ("live/desk.py", "import alembic.config", "alembic is at home in"),
        ("live/desk.py", "from jinja2 import Template", "jinja2 is at home in frontend/*"),
        ("live/desk.py", "import babel.dates", "babel is at home in frontend/*"),
        ("live/hub.py", "import redis.asyncio", "redis is at home in live/bus*, live/presence.py"),
        ("live/hub.py", "import aiortc", "aiortc is at home in live/media*"),
        ("frontend/pages.py", "import uvicorn", "uvicorn is at home in live/*"),
        ("frontend/pages.py", "from websockets.protocol import State", "websockets is at home in live/*"),
        ("live/desk.py", "importlib.import_module('redis.asyncio')", "redis is at home in live/bus*, live/presence.py"),
        ("live/desk.py", "import os\nos.environ['A']", "the environment is read in live/settings.py only"),
        ("live/desk.py", "import os\nos.getenv('A')", "the environment is read in live/settings.py only"),
        ("live/desk.py", "from os import environ", "the environment is read in live/settings.py only"),
    ],
)
def test_a_breach_is_found(file: str, source: str, complaint: str) -> None:
    found = violations(file, source)

    assert len(found) == 1
    assert complaint in found[0]
    assert found[0].startswith(f"{file}:")


@pytest.mark.parametrize(
    ("file", "source"),
    [
        ("rooms/polls.py", "import hashlib, msgspec, regex\nfrom rooms.event import Event\nfrom . import text"),
        ("moderation/queue.py", "import msgspec\nfrom rooms import contributions"),
        ("frontend/render.py", "import jinja2, starlette.responses\nfrom babel import Locale\nfrom moderation import documents"),
        ("live/app.py", "import os, uvicorn, starlette\nfrom frontend import render\nfrom live import desk\nos.getpid()"),
        ("live/log.py", "import sqlalchemy as sa, sqlite3, alembic.command"),
        ("live/migrations/env.py", "import alembic, sqlalchemy"),
        ("live/bus_redis.py", "import redis.asyncio"),
        ("live/media/engine.py", "import aiortc"),
        ("live/settings.py", "import os\nos.environ"),
    ],
)
def test_what_is_allowed_is_not_complained_about(file: str, source: str) -> None:
    assert violations(file, source) == []


def violations(file: str, source: str) -> list[str]:
    """One sentence per breach in `source`, which is the text of `file` (a path from the repository's root)."""
    folder = file.split("/")[0]
    tree = ast.parse(source, file)
    found = [(line, complaint) for line, module in imports(file, tree) for complaint in about_import(file, folder, module)]
    if file != HOME_OF_THE_ENVIRONMENT:
        found += [(line, f"the environment is read in {HOME_OF_THE_ENVIRONMENT} only") for line in readings(tree)]
    if folder in RULES:
        found += [
            (node.lineno, f"{folder} is pure and may not be async")
            for node in ast.walk(tree)
            if isinstance(node, ast.AsyncFunctionDef | ast.Await)
        ]
    return [f"{file}:{line}: {complaint}" for line, complaint in sorted(found)]


def about_import(file: str, folder: str, module: str) -> Iterator[str]:
    top = module.split(".")[0]
    if not may_import(folder, top):
        yield f"{folder} may not import {top}"
    elif folder in RULES and top in IMPURE:
        yield f"{folder} is pure and may not import {top}"
    elif top in HOMES and not any(fnmatchcase(file, home) for home in HOMES[top]):
        yield f"{top} is at home in {', '.join(HOMES[top])}"


def may_import(folder: str, top: str) -> bool:
    if top in FOLDERS or top == "tests":
        return top in FOLDERS[folder]
    return folder not in RULES or top in sys.stdlib_module_names | LIBRARIES_OF_RULES


def imports(file: str, tree: ast.AST) -> Iterator[tuple[int, str]]:
    """Line and absolute name of every module that is imported anywhere in the file."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from ((node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=module, level=0) if module:
                yield node.lineno, module
            case ast.ImportFrom(module=module, level=level, names=names):
                package = file.split("/")[:-level]
                absolute = [*package, *(module.split(".") if module else [])]
                yield node.lineno, ".".join(absolute or [names[0].name])
            case ast.Call(func=ast.Attribute(attr="import_module") | ast.Name(id="import_module" | "__import__"), args=args):
                yield from ((node.lineno, str(arg.value)) for arg in args[:1] if isinstance(arg, ast.Constant))
            case _:
                pass


def readings(tree: ast.AST) -> Iterator[int]:
    """Lines that touch the process environment."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(value=ast.Name(id="os"), attr=attr) if attr in ENVIRONMENT:
                yield node.lineno
            case ast.ImportFrom(module="os", names=names) if ENVIRONMENT & {alias.name for alias in names}:
                yield node.lineno
            case _:
                pass
