"""Documents and pages as HTML: harmless whatever citizens write, whole in both languages, one partial for every use."""

from __future__ import annotations

import re
import timeit
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest
from markupsafe import escape

from frontend import render, words
from moderation.queue import TRANSITIONS
from rooms.text import clean
from tests.frontend import seats

KINDS = ("idea", "wish", "question", "experience")
ORIGINS = ("hall", "home", "phone", "email", "paper", "microphone")
STATES = tuple(words.STATES)
LANGUAGES = pytest.mark.parametrize("lang", render.LANGUAGES)

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '" onmouseover="alert(1)" x="',
    "' autofocus onfocus='alert(1)",
    "</textarea></li></template><h1>out</h1>",
    "{{ 7 * 7 }} {% raw %} {# no #}",
    "&lt;b&gt; &amp;lt; &#60;i&#62;",
    "javascript:alert(1)",
    "\N{RIGHT-TO-LEFT OVERRIDE}txet desrever\N{POP DIRECTIONAL FORMATTING}",
    "zero\N{ZERO WIDTH SPACE}width\N{ZERO WIDTH NO-BREAK SPACE}",
    "😀" * 1000,
    "word" * 250,
]


class Tree(HTMLParser):
    """The elements of a piece of HTML: (tag, attributes), which of them are roots, and the text."""

    VOID = frozenset({"br", "hr", "img", "input", "link", "meta", "use", "path", "source"})

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.roots: list[dict[str, str]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(html)
        self.close()
        assert self._open == [], f"not closed: {self._open}"

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(tag, attrs)
        if tag not in self.VOID:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._add(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        assert self._open or not data.strip(), f"text outside of the root: {data!r}"
        self.text += data

    def _add(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        element = {name: value or "" for name, value in attrs}
        assert len(element) == len(attrs), f"an attribute twice: {attrs}"
        self.elements.append((tag, element))
        if not self._open:
            self.roots.append(element)


def public(number: int = 17, **changes: Any) -> dict[str, Any]:
    """A contribution as everybody sees it."""
    contribution = {
        "number": number,
        "kind": "question",
        "text": "Wann bekommt Merklinde Glasfaser?",
        "topic": "netz",
        "topic_title": "Digitale Infrastruktur",
        "name": "Jule",
        "origin": "home",
        "at": "2020-08-20T16:42:07Z",
        "state": "approved",
        "edited": False,
        "support": 3,
    }
    return contribution | changes


def own(**changes: Any) -> dict[str, Any]:
    """The same as its author sees it."""
    return public() | {"reason": None, "receipt": "17-K7QF3MVX2A", "may_edit": True, "may_withdraw": True} | changes


def moderated(**changes: Any) -> dict[str, Any]:
    """The same as the moderators see it."""
    steps = [{"state": state, "at": "2020-08-20T16:43:00Z", "by": "Petra"} for state in ("received", "approved")]
    more = {"reason": None, "original": None, "may": [*TRANSITIONS, "contribution.edit", "contribution.restore"]}
    return public() | more | {"history": steps, "in_state_since": "2020-08-20T16:43:00Z"} | changes


EVENT = {
    "slug": "digital",
    "phase": "live",
    "title": "Digitale Stadt",
    "venue": {"name": "DIEZE", "address": "Erinstraße 6"},
    "starts": "2020-08-20T18:00:00+02:00",
    "ends": "2020-08-20T20:00:00+02:00",
    "languages": ["de", "en"],
    "accepting": True,
    "premoderated": True,
}
AGENDA = {"items": [{"at": "18:00", "title": "Begrüßung", "speaker": "Bürgermeister", "note": "pünktlich"}]}
ENTRANCE = {
    "address": "https://x.example/e/d/hall?c=K7",
    "code": "K7QF3M",
    "valid_until": "2020-08-20T16:45:00Z",
    "short": "x.example",
}
CALLS = {"rooms": [{"room": "1-1", "name": "<b>Verkehr</b>", "since": "2020-08-20T16:43:00Z"}]}
QUEUE = {"counts": {"received": 2, "hidden": 1}, "aired": {"hall": 1, "home": 0, "other": 2}}


def samples(audience: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and data of every variant of a document."""
    if kind == "contribution":
        for state in STATES:
            for number, kind_of in enumerate(KINDS, 1):
                for origin in ORIGINS:
                    changes: dict[str, Any] = {"state": state, "kind": kind_of, "origin": origin, "number": number}
                    changes |= (
                        {"edited": True, "name": ""} if origin == "hall" else {"topic": None, "topic_title": None}
                    )
                    changes |= {"text": "so lang " * 60} if origin == "phone" else {}
                    if audience == "me":
                        yield f"contribution/{number}", own(reason="Bitte ohne Namen", **changes)
                        yield f"contribution/{number}", own(may_edit=False, may_withdraw=False, **changes)
                    elif audience == "moderation":
                        yield f"contribution/{number}", moderated(reason="Bitte", original="vorher", **changes)
                        yield f"contribution/{number}", moderated(may=[], history=[], **changes)
                    else:
                        yield f"contribution/{number}", public(**changes)
    elif kind == "on_air":
        yield "on_air", {"contribution": None, "result": None, "since": None}
        aired = {"key": "proposal/7", "room": "1-1", "name": "Verkehr", "round_title": "Runde", "question": "", "text": "Bänke"}
        for part, number in (("", 7), ("discussed", 0), ("proposed", 0), ("open", 0)):
            result = aired | {"part": part, "number": number}
            yield "on_air", {"contribution": None, "result": result, "since": "2020-08-20T16:50:00Z"}
        for kind_of in KINDS:
            for origin in ORIGINS:
                data = public(kind=kind_of, origin=origin)
                yield "on_air", {"contribution": data, "result": None, "since": "2020-08-20T16:50:00Z"}
    elif kind == "event":
        for phase in words.PHASES:
            yield "event", EVENT | {"phase": phase, "accepting": phase in ("registration", "live")}
        yield "event", EVENT | {"venue": {"name": "", "address": ""}, "hall": 31, "home": 208}
    else:
        others: dict[str, list[dict[str, Any]]] = {
            "agenda": [AGENDA, {"items": []}],
            "entrance": [ENTRANCE],
            "queue": [QUEUE, {"counts": {}, "aired": {"hall": 0, "home": 0, "other": 0}}],
            "person": [{"name": name, "place": place} for name in ("", "Jule") for place in ("hall", "home")],
            "calls": [CALLS, {"rooms": CALLS["rooms"] * 2}],
            "supports": [{"contributions": numbers, "proposals": numbers} for numbers in ([], [3, 17])],
        }
        if kind in others:
            yield from ((kind, data) for data in others[kind])
        else:
            yield from seats.shown(audience, kind)


EVERY_DOCUMENT = [(audience, kind) for audience, kinds in render.DOCUMENTS.items() for kind in kinds]


@LANGUAGES
@pytest.mark.parametrize(("audience", "kind"), EVERY_DOCUMENT)
def test_every_document_is_one_element_that_knows_its_place(audience: str, kind: str, lang: str) -> None:
    for key, data in samples(audience, kind):
        tree = Tree(render.document(key, audience, lang, data, "digital"))

        assert len(tree.roots) == 1
        root = tree.roots[0]
        assert root["id"] == ("doc-me-" if audience == "me" else "doc-") + key.replace("/", "-")
        assert root["data-key"] == key
        assert (root["data-in"], int(root["data-order"])) == render.place(key, audience, data)
        ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
        assert len(ids) == len(set(ids))
        assert all(
            attributes["id"].startswith(root["id"])
            for _, attributes in tree.elements
            if attributes.get("id", "").startswith("doc-")
        )


@LANGUAGES
@pytest.mark.parametrize("text", HOSTILE)
def test_whatever_citizens_write_is_only_text(text: str, lang: str) -> None:
    text = clean(text)

    def elements(written: str) -> tuple[Tree, list[tuple[str, list[str]]]]:
        everywhere = dict.fromkeys(("text", "name", "original", "reason", "topic_title", "topic"), written)
        tree = Tree(render.document("contribution/17", "moderation", lang, moderated(**everywhere), "digital"))
        return tree, [(tag, sorted(attributes)) for tag, attributes in tree.elements]

    tree, found = elements(text)
    assert found == elements("a" * len(text))[1]
    assert tree.text.count(text) >= 5
    for audience, kind in (
        ("public", "contribution"),
        ("me", "contribution"),
        ("output", "on_air"),
        ("stage", "on_air"),
        ("public", "on_air"),
    ):
        data = own(text=text, name=text, reason=text, topic_title=text)
        shown = {"contribution": data, "result": None, "since": "2020-08-20T16:50:00Z"} if kind == "on_air" else data
        key = "on_air" if kind == "on_air" else "contribution/17"
        tree = Tree(render.document(key, audience, lang, shown, "digital"))
        assert text in tree.text
        assert not {tag for tag, _ in tree.elements} & {"script", "img", "h1", "template", "style", "iframe"}
        assert not [
            name
            for _, attributes in tree.elements
            for name in attributes
            if name.startswith("on") or name in ("style", "autofocus")
        ]


def test_characters_that_deceive_the_eye_do_not_reach_the_page() -> None:
    html = render.document(
        "contribution/17", "public", "de", public(text=clean("\u202etxet\u202c\u200b!"), name=clean("\u2066x")), "d"
    )

    assert not re.search("[\u200b\u200e\u200f\u202a-\u202e\u2066-\u2069\ufeff]", html)
    # And what is allowed to run from right to left does so for itself only.
    assert re.search(r'<p class="said__text" dir="auto">', html)
    assert "<bdi" in html


def test_a_contribution_stands_where_its_state_says() -> None:
    for state in STATES:
        container, _ = render.place("contribution/17", "moderation", moderated(state=state))
        assert container == f"queue-{'hidden' if state == 'withdrawn' else state}"
    assert render.place("contribution/17", "public", public()) == ("contributions", 17)
    assert render.place("contribution/17", "me", own()) == ("own", 17)
    assert render.place("on_air", "output/main", {})[0] == "on-air"


def test_the_page_has_the_newest_first_or_the_most_supported() -> None:
    documents = [
        (f"contribution/{n}", "public", public(n, support=support)) for n, support in ((1, 5), (2, 0), (3, 5), (4, 1))
    ]

    def numbers(sort: str) -> list[str]:
        return re.findall(
            r'id="doc-contribution-(\d)"', "".join(render.arrange(documents, "de", "d", sort)["contributions"])
        )

    assert numbers("newest") == ["4", "3", "2", "1"]
    assert numbers("support") == ["3", "1", "4", "2"]


def test_the_shortlist_has_the_order_in_which_it_was_chosen_and_answers_the_latest_first() -> None:
    def at(number: int, state: str, minute: int) -> tuple[str, str, dict[str, Any]]:
        return (
            f"contribution/{number}",
            "moderation",
            moderated(number=number, state=state, in_state_since=f"2020-08-20T16:{minute}:00Z"),
        )

    documents = [
        at(1, "shortlisted", 50),
        at(2, "shortlisted", 40),
        at(3, "answered", 30),
        at(4, "answered", 20),
        at(5, "answered", 45),
    ]
    arranged = render.arrange(documents, "de", "d")

    assert [re.findall(r'data-number="(\d)"', html)[0] for html in arranged["queue-shortlisted"]] == ["2", "1"]
    assert [re.findall(r'data-number="(\d)"', html)[0] for html in arranged["queue-answered"]] == ["5", "3", "4"]


@pytest.mark.parametrize("audience", ["public", "me", "moderation"])
def test_forms_work_without_a_script(audience: str) -> None:
    data = {"public": public(), "me": own(), "moderation": moderated()}[audience]
    tree = Tree(render.document("contribution/17", audience, "de", data, "digital"))

    forms = [attributes for tag, attributes in tree.elements if tag == "form"]
    assert forms
    assert all(form["method"] == "post" and form["action"] == "/e/digital/do" for form in forms)
    assert all(form["data-do"] == ("now" if audience == "moderation" else "keep") for form in forms)


def test_the_console_offers_what_the_rules_allow() -> None:
    html = render.document(
        "contribution/17", "moderation", "de", moderated(may=["contribution.approve"], state="received"), "d"
    )

    assert re.findall(r'value="(contribution\.\w+)"', html) == ["contribution.approve"]


@LANGUAGES
def test_times_are_those_of_the_hall(lang: str) -> None:
    assert ">18:42<" in render.document("contribution/17", "public", lang, public(at="2020-08-20T16:42:07Z"), "d")
    assert ">17:42<" in render.document("contribution/17", "public", lang, public(at="2020-12-20T16:42:07Z"), "d")


def test_a_qr_code_needs_no_inline_style() -> None:
    svg = render.qr("https://plenum.example/e/digital")

    assert svg.startswith("<svg")
    assert "style" not in svg
    assert 'viewBox="0 0' in svg


def every_page() -> Iterator[tuple[str, dict[str, Any]]]:
    """Template and context of every page, as `frontend/pages.py` gives it."""
    shown: list[tuple[str, str, dict[str, Any]]] = [
        ("event", "public", EVENT),
        ("agenda", "public", AGENDA),
        ("on_air", "public", {"contribution": public(), "result": None, "since": "2020-08-20T16:50:00Z"}),
        ("contribution/17", "public", public()),
        ("contribution/17", "me", own()),
        ("person", "me", {"name": "", "place": "home"}),
        ("supports", "me", {"contributions": [17], "proposals": [7]}),
    ]
    documents = render.arrange(shown, "de", "digital")
    desk = render.arrange(
        [
            ("event", "moderation", EVENT),
            ("queue", "moderation", QUEUE),
            ("contribution/17", "moderation", moderated()),
            ("calls", "moderation", CALLS),
        ],
        "de",
        "d",
    )
    topics = [{"id": "netz", "title": "Netze", "group": "Digitale Stadt"}, {"id": "amt", "title": "Amt", "group": ""}]
    channels = {"public": {"epoch": "k3'\"<", "seq": 4}}
    refusal = {"code": "text_too_short", "field": "text", "text": "zu kurz"}
    form = {"text": "ab", "kind": "wish", "topic": "netz", "args.name": '"><b>'}
    stream: dict[str, Any] = {"kind": "none", "address": "", "provider": "", "shown": False, "host": ""}
    evening: dict[str, Any] = {
        "documents": documents,
        "topics": topics,
        "form": {},
        "refusal": None,
        "notice": None,
        "stream": stream,
        "channels": channels,
    }
    evening |= {"sort": "newest", "older": None, "command_id": "c1", "supports": [17]}
    yield "participant.html", evening
    yield (
        "participant.html",
        evening | {"refusal": refusal, "form": form, "notice": "received", "older": "/e/digital?before=3"},
    )
    yield "participant.html", evening | {"refusal": refusal, "form": form | {"contribution": "17"}, "sort": "support"}
    tv = {"address": "https://tv.example/x?a=1&b=2", "provider": "CAS-TV", "host": "tv.example"}
    for kind in ("embed", "hls", "link"):
        for clicked in (False, True):
            yield "participant.html", evening | {"stream": {**tv, "kind": kind, "shown": clicked}}
    console: dict[str, Any] = {
        "documents": desk,
        "topics": topics,
        "form": {},
        "refusal": None,
        "notice": None,
        "filters": {},
        "roles": ["moderator"],
        "denied": "contribution.air",
        "leads": True,
        "waiting": 1,
        "now": 0,
    }
    console |= {"command_id": "c1", "channels": channels}
    yield "moderation.html", console
    yield (
        "moderation.html",
        console | {"filters": {"q": '"x', "topic": "netz", "sort": "support"}, "refusal": refusal, "form": form},
    )
    for hall in (True, False):
        yield (
            "stage.html",
            {
                "documents": documents,
                "hall": hall,
                "qr": render.qr("https://x.example"),
                "address": "x.example",
                "channels": channels,
            },
        )
    yield (
        "overlay.html",
        {"documents": {}, "name": "main", "token": "digital.abc", "slug": "digital", "channels": channels},
    )
    yield "hall.html", {"refusal": None}
    yield "hall.html", {"refusal": refusal}
    yield "receipt.html", {"documents": {"own": documents["own"]}, "code": "17-K7", "refusal": None}
    yield "receipt.html", {"documents": {}, "code": '"x', "refusal": refusal}
    for role in ("organiser", "moderator", "operator", "helper", ""):
        yield "signin.html", {"token": "digital.abc", "role": role, "title": "Digitale Stadt"}
    yield "events.html", {"events": [EVENT, EVENT | {"phase": "closed"}]}
    yield "events.html", {"events": []}
    yield from seats.pages()
    for code in (403, 404, 409, 429, 503):
        yield "message.html", {"code": code, "text": "Etwas ist anders als gedacht.", "reason": "not_your_room"}
    yield "message.html", {"code": 409, "text": "Nobody comes unannounced.", "reason": "visit_first"}


PAGES = list(every_page())


@LANGUAGES
@pytest.mark.parametrize(
    "number", range(len(PAGES)), ids=[f"{number}-{template}" for number, (template, _) in enumerate(PAGES)]
)
def test_every_page_is_whole_and_keeps_to_the_policy(number: int, lang: str) -> None:
    template, context = PAGES[number]
    given = {
        "static": lambda name: f"/static/v/{name}",
        "path": "/e/digital",
        "legal": ("https://stadt.example/impressum", "", "/barrierefrei"),
        "event": EVENT,
        "person": {"name": "Jule", "place": "home"},
    }

    html = render.page(template, lang, **given, **context)

    tree = Tree(html.removeprefix("<!doctype html>"))
    assert tree.roots[0]["lang"] == lang
    assert [tag for tag, _ in tree.elements].count("main") == 1
    assert not [
        attributes
        for tag, attributes in tree.elements
        if tag == "script" and not attributes.get("src", "").startswith("/static/")
    ]
    assert not [
        name for _, attributes in tree.elements for name in attributes if name == "style" or name.startswith("on")
    ]
    ids = [attributes["id"] for _, attributes in tree.elements if "id" in attributes]
    assert len(ids) == len(set(ids)), sorted(one for one in ids if ids.count(one) > 1)
    labels = {attributes["for"] for tag, attributes in tree.elements if tag == "label" and "for" in attributes}
    assert labels <= set(ids)
    frames = [attributes for tag, attributes in tree.elements if tag in ("iframe", "video")]
    shown = context.get("stream", {})
    assert bool(frames) == (shown.get("kind") == "hls" or (shown.get("kind") == "embed" and shown["shown"]))


def test_rendering_a_contribution_costs_little_more_than_escaping_it() -> None:
    """Against escaping the finished text piece by piece, so that a slow machine does not fail."""
    data = public()
    html = render.document("contribution/17", "public", "de", data, "digital")
    pieces = re.split(r"(?<=>)", html)

    escaping = min(timeit.repeat(lambda: "".join([str(escape(piece)) for piece in pieces]), number=40, repeat=60))
    rendering = min(
        timeit.repeat(lambda: render.document("contribution/17", "public", "de", data, "digital"), number=40, repeat=60)
    )

    # Measured 1.1; looking up each text when rendering, instead of when compiling, makes it 2.3.
    assert rendering / escaping < 1.8
