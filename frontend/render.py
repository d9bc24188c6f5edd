"""HTML of documents and pages. One partial per document and audience serves the first page, the push and the page
without JavaScript. Citizens' text is only ever put in by Jinja with autoescape on.

Templates are compiled once per language with their words already in them, so that a partial costs no lookup of a text.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from functools import lru_cache
from io import BytesIO
from pathlib import Path
from typing import Any

import segno
from babel.dates import format_date, format_time
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template, nodes
from jinja2.compiler import CodeGenerator
from jinja2.visitor import NodeTransformer
from markupsafe import Markup

from frontend import alphabet
from frontend.compiled import Compiled
from frontend.words import CATALOGS, LANGUAGES, STATES, WORDS, ZONE, choose, spoken, text, wording

__all__ = ["LANGUAGES", "arrange", "choose", "document", "page", "place", "qr", "wording"]

TEMPLATES = Path(__file__).with_name("templates")
DOCUMENTS = {
    "public": ("event", "agenda", "places", "rounds", "on_air", "contribution"),
    "stage": ("event", "on_air"),
    "hall": ("entrance",),
    "moderation": ("event", "on_air", "queue", "calls", "contribution"),
    "output": ("on_air",),
    "me": ("person", "supports", "seat", "contribution"),
    "rooms": ("help", "announcement", "rounds", "plan", "room", "summary", "result", "proposal", "heading"),
    "room": ("announcement", "room", "help", "hands", "card", "summary", "chat"),
    "board": ("result", "proposal", "heading"),
    "registrations": ("registrations", "registration", "mail"),
    "door": ("registrations", "registration"),
}
"""Audience → its kinds of document; each is the template `documents/<audience>/<kind>.html`."""
NEWEST_FIRST = frozenset({"contributions", "own", "queue-answered", "queue-returned", "queue-hidden", "tray-done", "announcements"})
"""Containers whose highest `data-order` comes first; the others begin with the lowest."""


def document(key: str, channel: str, lang: str, data: Mapping[str, Any], slug: str = "") -> str:
    """One document as its audience sees it: one root element with `id`, `data-key`, `data-in` and `data-order`.

    `slug` is the event's, for the addresses of forms that work without JavaScript.
    """
    kind = key.partition("/")[0]
    container, order = place(key, channel, data)
    return _DOCUMENTS[lang, audience(channel), kind].render(
        data,
        key=key,
        id=("doc-me-" if channel == "me" else "doc-") + key.replace("/", "-"),
        container=container,
        order=order,
        event_path=f"/e/{slug}",
    )


def place(key: str, channel: str, data: Mapping[str, Any]) -> tuple[str, int]:
    """The id of the container that a document belongs in, and its place there."""
    kind, _, number = key.partition("/")
    if kind == "room" and audience(channel) == "rooms":
        return "groups", _turn(number)
    if kind == "help" and audience(channel) == "rooms":
        # Who waits longest comes first; where somebody is coming already it is less urgent.
        return "help", _moment(data["since"]) + (_CLAIMED if data["by"] else 0)
    if kind == "announcement":
        return "announcements", int(number)
    if kind == "room":
        return "room", 0
    if kind == "card":
        return "cards-aside" if data["aside"] else "cards", data["order"]
    if kind == "summary" and audience(channel) == "rooms":
        return "tray-aside" if data["aside"] else "tray", _turn(number)
    if kind in ("proposal", "heading"):
        return "proposals", data["order"]
    if kind == "chat":
        return "chat", int(number)
    if kind == "result":
        return "results", _turn(number)
    if kind == "registration" and channel == "door":
        return "guests", alphabet.position(data["name"])
    if kind == "registration":
        return f"list-{data['status']}", _moment(data["arrived"]) * 100_000 + int(number)
    if kind == "mail":
        return "tray-open" if data["open"] else "tray-done", int(number)
    if kind != "contribution":
        return kind.replace("_", "-"), 0
    if channel == "me":
        return "own", int(number)
    if channel != "moderation":
        return "contributions", int(number)
    state = data["state"]
    if state == "withdrawn":
        state = "hidden"
    if state in ("received", "approved"):
        return f"queue-{state}", int(number)
    return f"queue-{state}", _moment(data["in_state_since"]) * 1000 + int(number) % 1000


def arrange(
    documents: Iterable[tuple[str, str, Mapping[str, Any]]], lang: str, slug: str, sort: str = "newest"
) -> dict[str, list[Markup]]:
    """Rendered partials of (key, channel, data) by container, in the order of the page; `sort` is the public list's."""
    placed: dict[str, list[tuple[tuple[int, int], Markup]]] = {}
    for key, channel, data in documents:
        container, order = place(key, channel, data)
        weight = data["support"] if container == "contributions" and sort == "support" else 0
        html = Markup(document(key, channel, lang, data, slug))
        placed.setdefault(container, []).append(((weight, order), html))
    for container, items in placed.items():
        items.sort(key=lambda item: item[0], reverse=container in NEWEST_FIRST)
    return {container: [html for _, html in items] for container, items in placed.items()}


_CLAIMED = 10**11
"""More than any time in seconds."""


def audience(channel: str) -> str:
    """`room/1-2` → `room`."""
    return channel.partition("/")[0]


def _turn(id: str) -> int:
    """`2-7` → 20007: rounds, and in them rooms, in their order."""
    round, _, turn = id.partition("-")
    return int(round) * 10_000 + int(turn)


def page(template: str, lang: str, **context: Any) -> str:
    """A whole page; `template` is its file's name, e.g. `hall.html`. Raises UndefinedError if context is missing."""
    return _PAGES[lang].get_template(template).render(context, lang=lang)


def qr(address: str) -> Markup:
    """A QR code as an SVG without inline style; level M, with the quiet zone of 4 modules of ISO/IEC 18004."""
    drawn = BytesIO()
    segno.make_qr(address, error="m").save(
        drawn, kind="svg", xmldecl=False, svgns=True, omitsize=True, border=4, dark="#000", light="#fff", nl=False
    )
    return Markup(drawn.getvalue().decode())


class _Words(NodeTransformer):
    """Replaces `_("…")` by its translation while a template is compiled."""

    def __init__(self, lang: str) -> None:
        self.catalog = CATALOGS[lang]

    def visit_Call(self, node: nodes.Call) -> nodes.Node:
        self.generic_visit(node)
        named = isinstance(node.node, nodes.Name) and node.node.name in ("_", "gettext")
        constant = len(node.args) == 1 and isinstance(node.args[0], nodes.Const) and not node.kwargs
        if not (named and constant):
            return node
        translated = self.catalog.gettext(node.args[0].value)  # type: ignore[attr-defined]
        return nodes.Const(Markup(translated.replace("%%", "%")), lineno=node.lineno, environment=node.environment)


class _CodeGenerator(CodeGenerator):
    def visit_Template(self, node: nodes.Template, frame: Any = None) -> None:
        super().visit_Template(_Words(self.environment.lang).visit(node), frame)  # type: ignore[attr-defined]


def _environment(lang: str) -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        bytecode_cache=Compiled(TEMPLATES / "__pycache__", lang),
        extensions=["jinja2.ext.i18n"],
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
        cache_size=-1,
    )
    environment.code_generator_class = _CodeGenerator
    environment.lang = lang  # type: ignore[attr-defined]
    environment.install_gettext_translations(CATALOGS[lang], newstyle=True)  # type: ignore[attr-defined]
    environment.globals["words"] = WORDS
    environment.filters |= {
        "clock": _clock,
        "day": lambda iso: format_date(_local(iso), "full", locale=lang),
        "hour": lambda iso: format_time(_local(iso), "short", locale=lang),
        "qr": qr,
        "size": _size,
        "state": lambda state: text(lang, STATES[state]),
        "moment": lambda iso: local(iso),
        "second": lambda iso: local(iso, seconds=True),
        "spoken": lambda code: spoken(code, lang),
        "word": lambda value, kind: text(lang, WORDS[kind][value]) if value in WORDS[kind] else value,
    }
    return environment


@lru_cache(4096)
def _clock(iso: str) -> str:
    """`2020-08-20T16:42:07Z` → `18:42`."""
    return _local(iso).strftime("%H:%M")


def local(iso: str, *, seconds: bool = False) -> str:
    """`2020-08-20T16:42:07Z` → `20.08.2020 18:42`; nothing stays nothing."""
    return _local(iso).strftime("%d.%m.%Y %H:%M:%S" if seconds else "%d.%m.%Y %H:%M") if iso else ""


def _local(iso: str) -> datetime:
    return datetime.fromisoformat(iso).astimezone(ZONE)


@lru_cache(4096)
def _moment(iso: str) -> int:
    return int(datetime.fromisoformat(iso).timestamp())


def _size(text: str) -> str:
    """How large a text can be shown on stage and overlay, by its length."""
    return next((name for most, name in ((70, "xl"), (150, "l"), (300, "m"), (520, "s")) if len(text) <= most), "xs")


_PAGES = {lang: _environment(lang) for lang in LANGUAGES}
_DOCUMENTS: dict[tuple[str, str, str], Template] = {
    (lang, audience, kind): _PAGES[lang].get_template(f"documents/{audience}/{kind}.html")
    for lang in LANGUAGES
    for audience, kinds in DOCUMENTS.items()
    for kind in kinds
}
