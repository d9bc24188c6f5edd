"""An event that people have registered for in every way, as the rules make it: what the pages of seats are tried with."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import msgspec

from frontend import letters, render, round_pages
from frontend.directory import Directory
from frontend.room_tables import Mistake
from frontend.words import SPOKEN
from moderation import documents, registrations
from rooms.breakout import Bond
from rooms.command import SYSTEM
from rooms.tables import code
from tests.moderation.evening import LETTER, NOW, PROGRAMME, Evening

STARTS = "2020-08-31T18:00:00+02:00"
HALL: dict[str, Any] = {
    "seats": 6, "deadline": "2020-08-25T23:59:00+02:00", "keyword": "Saal", "consents": ["picture", "voice"], "party": 2,
    "optional_consents": ["name", "photos"], "reserved": {"wheelchair": 1, "off_camera": 1},
    "access": {"de": "Eingang Erinstraße, https://dialog.example/anfahrt"},
}  # fmt: skip
CONFERENCE: dict[str, Any] = {"seats": 2, "deadline": "2020-08-25T23:59:00+02:00", "waiting_list": False}
FACTS: dict[str, Any] = {
    "starts": STARTS, "ends": "2020-08-31T20:30:00+02:00", "places": {"hall": HALL, "conference": CONFERENCE},
    "contact": "Stadt Castrop-Rauxel, 02305 1060", "venue": {"name": "DIEZE", "address": "Erinstraße 6"},
}  # fmt: skip


@cache
def played() -> Evening:
    """Seated, waiting, lapsed, cancelled, moved, corrected, erased; by form, mail, telephone, at the desk; told and not told."""
    evening = Evening("registration", **FACTS)
    given = {"place": "hall", "consents": ["picture", "voice"]}
    people: dict[str, dict[str, Any]] = {
        "Anna Aal": {"consents": ["picture", "voice", "name"]},
        "Bilal <b>Bär</b>": {"party": 2},
        "Cem Çelik": {"contingent": "wheelchair", "phone": "02305 1060"},
        "Dana Dachs": {"contingent": "off_camera", "consents": []},
        "Emil Elster": {},
        "Frida Fuchs": {},
    }
    for number, (name, more) in enumerate(people.items(), 1):
        evening.send("anna", "registration.submit", **given | {"name": name, "email": f"{number}@example.org"} | more)
    phone = {"name": "Gül Gans", "phone": "02305 1061", "way": "phone", "arrived_at": "2020-08-20T09:30:00+02:00"}
    evening.send("hilde", "registration.submit", **given, **phone)
    evening.send("olga", "registration.correct", registration=7, party=1, note="kommt mit Hund")
    evening.send("olga", "registration.cancel", registration=1)
    evening.send("olga", "registration.withdraw_consent", registration=2, purpose="picture")
    evening.send("olga", "registration.check_in", registration=3)
    evening.send(SYSTEM, "message.claim", message=2)
    evening.send(SYSTEM, "message.report", message=2, state="failed", reason="550 no such user")
    for subject in ("Saal", "Hallo", "Absage"):
        evening.send(SYSTEM, "mail.receive", **LETTER | {"subject": subject, "email": "g@example.org", "message": f"<{subject}@x>"})
    evening.send("anna", "registration.submit", place="conference", name="Ida Igel", email="ida@example.org")
    rooms = [{"name": "Verkehr", "question": "Wie?", "topic": "city", "moderators": ["mona"]}, {"name": "Schule", "capacity": 2}]
    rooms.append({"name": "Am <b>Fenster</b>", "question": "Wo?", "table": True, "capacity": 8})
    evening.send("mona", "round.create", title="Erste Runde", policy="mixed", rooms=rooms)
    table = {"room": "1-3", "heads": 3, "names": ["Jo <b>Fett</b>", "Kai"], "code": code(evening.event, 3)}
    evening.send("tablet", "room.seat_table", **table)
    for person in ("bilal", "cem", "dana"):
        evening.send(person, "round.join")
    evening.send("mona", "round.assign", round=1)
    evening.send("mona", "round.open", round=1, minutes=20)
    evening.send("anna", "room.enter", room="1-1")
    evening.send("olga", "room.enter", room="1-1")
    evening.send("anna", "room.ask_for_time", room="1-1")
    evening.send("anna", "room.ask_for_help", room="1-1", why="<b>Streit</b>")
    evening.send("olga", "room.claim_help", room="1-1")
    other = next(iter(evening.event.rounds.rooms["1-2"].seats))
    evening.send(other, "room.ask_for_help", room="1-2")
    evening.send("mona", "announcement.send", text="Noch <i>zehn</i> Minuten")
    evening.send("anna", "announcement.seen", announcement=1)
    for card in ("Mehr Bänke am Ring", "<b>Weniger</b> Autos"):
        evening.send("anna", "card.submit", room="1-1", text=card)
    for name in ("Jo <b>Fett</b>", ""):
        evening.send("tablet", "card.submit", room="1-3", text="Ein Tisch schreibt", name=name)
    evening.send("anna", "card.group", cards=[1], name="Bänke")
    evening.send("mona", "card.propose", card=1)
    evening.send("anna", "card.support", card=1)
    for person in ("olga", "anna", "mona"):
        evening.send(person, "room.enter", room="1-1")
        evening.send(person, "room.raise_hand", room="1-1")
        evening.send(person, "chat.send", room="1-1", text="<i>Hallo</i>")
    evening.send("olga", "room.give_floor", room="1-1")
    evening.send("anna", "chat.remove", message=2)
    evening.send("anna", "summary.draft", room="1-1", open="Wer bezahlt es?")
    evening.send("mona", "summary.confirm", room="1-1")
    evening.send("olga", "proposal.group", cards=[1], title="Im <b>Freien</b>")
    evening.send("anna", "card.submit", room="1-1", text="Nicht zusammengestellt")
    evening.send("mona", "card.propose", card=5)
    evening.send("anna", "proposal.support", card=5)
    evening.send("olga", "proposal.air", card=5)
    evening.send("cem", "summary.draft", room="1-2", discussed="Wege")
    evening.send("mona", "round.close", round=1, room="1-2")
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | FACTS | {"starts": "2020-10-08T18:00:00+02:00"})
    assert evening.now > NOW
    return evening


def shown(audience: str, kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Key and data of every document of this kind that the audience sees."""
    evening = played()
    channels = [f"room/{id}" for id in evening.event.rounds.rooms] if audience == "room" else [audience]
    for channel in channels:
        for key in documents.keys(evening.event, channel, "anna"):
            if key.partition("/")[0] == kind:
                yield key, evening.seen(channel, key, "anna")


def pages() -> Iterator[tuple[str, dict[str, Any]]]:
    """Template and context of every page of seats, as `frontend/registration_pages.py` gives it."""
    evening = played()
    event, names = evening.event, evening.names
    refusal = {"code": "wrong_email", "field": "email", "text": "nicht vollständig"}
    texts = {"contact": event.programme.contact, "command_id": "c1", "refusal": None, "notice": None}
    places = [
        one | {"shut": shut, "why": shut, "contingents": ["wheelchair"], "off_camera": True, "consents": consents}
        for one in registrations.places(event)["items"]
        for shut, consents in (("", [{"purpose": "picture", "required": True, "text": ""}]), ("too_late", []))
    ]
    form: dict[str, Any] = {"place": "hall", "form": {}, "agreed": [], "made": "1.X", "trapped": False}
    trapped = {"places": places[:1], "refusal": refusal, "trapped": True}
    variants: list[dict[str, Any]] = [{"places": []}, {"places": places}, trapped]
    for given in variants:
        yield "register.html", texts | form | given
    for item in event.registrations.items.values():
        data = registrations.full(event, names, item)
        own = {"item": data, "position": 1, "address": "https://x.example/r/abend.1.A", "most": 2}
        own |= {"texts": {one["purpose"]: "" for one in data["consents"]}, "access": "Eingang https://x.example"}
        yield "own.html", texts | own
        yield "own.html", texts | own | {"refusal": refusal, "access": ""}
    for channel in ("registrations", "door"):
        all = [(key, channel, evening.seen(channel, key)) for key in documents.keys(event, channel, "")]
        listed: dict[str, Any] = {"documents": render.arrange(all, "de", "abend"), "form": {}, "channels": {channel: {}}}
        if channel == "registrations":
            listed |= {"places": places, "agreed": [], "filters": {}, "query": "", "kinds": letters.KINDS, "organiser": True}
            yield "registrations.html", texts | listed
            yield "registrations.html", texts | listed | {"refusal": refusal, "filters": {"q": '"x'}, "query": "q=%22x"}
    common: dict[str, Any] = {"form": {}, "refusal": None, "now": evening.now, "channels": {"rooms": {}}, "command_id": "c1"}
    for template, channel in (("rooms.html", "rooms"), ("room.html", "room/1-1")):
        all = [(key, channel, evening.seen(channel, key)) for key in documents.keys(event, channel, "")]
        arranged = {"documents": render.arrange(all, "de", "abend"), "topics": [], "room": "1-1", "me": "anna", "open": True}
        inside = {"here": True, "leads": template == "room.html", "hand": "down", "chat_id": "c2"}
        inside |= {"waiting": 1, "to": [{"id": "1-1", "name": "Verkehr"}], "guest": False, "unseen": [1]}
        inside |= {"table": 0, "signers": [], "notes": "<b>Bänke</b>\nSchatten", "writes": True}
        inside |= {"movable": event.rounds.of(event.rounds.items[1]), "idle": False}
        yield template, common | arranged | inside
        yield template, common | arranged | inside | {"table": 3, "signers": ["Jo <b>Fett</b>", "Kai"]}
        yield template, common | arranged | inside | {"table": 3, "signers": [], "open": False, "idle": True}
        yield template, common | arranged | inside | {"notes": None}
        yield template, common | arranged | inside | {"notes": "", "open": False, "idle": True, "writes": False}
        refused = {"refusal": refusal, "form": {"set.open": '"><b>'}, "here": False, "guest": True}
        yield template, common | arranged | inside | refused
    yield "board.html", common | {"documents": {}, "staff": False}
    all = [(key, "rooms", evening.seen("rooms", key)) for key in documents.keys(event, "board", "")]
    staff = {"documents": render.arrange(all, "de", "abend"), "staff": True, "headings": ['"><b>']}
    yield "board.html", common | staff | {"refusal": refusal}
    yield from _tables(evening, refusal)
    directory = Directory(event, names, "de", full=True)
    for round in event.rounds.items.values():
        forms = [round_pages.room_form(event, directory, one) for one in event.rounds.of(round)]
        labels = [one.label for one in directory.entries.values()]
        common |= {"item": round, "notice": None, "earlier": round_pages.earlier(event, round), "documents": {}, "rooms": forms}
        common |= {"topics": [], "spoken": SPOKEN, "directory": labels, "without": directory.sorted(directory.entries)}
        bonds = {1: Bond("together", tuple(event.rounds.people)), 12: Bond("apart", tuple(event.rounds.people))}
        common |= {"bonds": round_pages.bonds_by_tag(event, bonds)}
        yield "round.html", common | {"options": round_pages.first_options(event, round)}
        yield "round.html", common | {"options": {}, "refusal": refusal, "form": {"name": "room.edit", "room": "1-1"}}
        fields = {"seed": "7", "by_hand": "A.1-1", "places": "mixed"}
        wanted: dict[str, Any] = {"round": round.number, "preview": True, "conditions": {"moderator": True, "topics": True}}
        made = evening.decide("mona", "round.assign", **wanted).result
        preview = round_pages.shown(event, directory, round, made, bonds, fields, "de")
        common |= {"options": fields, "mistakes": [], "table": ""}
        yield "assign.html", common | {"result": preview}
        mistakes = [Mistake(0, "<b>"), Mistake(3, "Niemand")]
        yield "assign.html", common | {"result": None, "refusal": refusal, "mistakes": mistakes, "table": "<b>;1"}
    items = [registrations.full(event, names, item) for item in event.registrations.items.values()]
    yield "print.html", {"items": items, "path_back": "/e/abend/registrations"}
    for kind in letters.KINDS:
        letter = letters.example(event, names, kind, "de", "https://x.example", evening.now)
        yield "letter.html", {"letter": letter, "kind": kind, "letter_lang": "de", "organiser": True}


def _tables(evening: Evening, refusal: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    room = evening.event.rounds.rooms["1-3"]
    base: dict[str, Any] = {"number": 3, "room": room, "mine": False, "known": False, "most": 8, "refusal": None}
    base["command_id"] = "c1"
    asked = base | {"form": {"heads": "", "names": "", "code": "ABCDEFGH"}}
    kept = {"heads": 3, "names": "Jo <b>Fett</b>\nKai", "code": ""}
    variants: list[dict[str, Any]] = [
        {}, {"room": None}, {"mine": True, "known": True, "form": kept}, {"known": True},
        *({"refusal": refusal | {"field": field}} for field in ("code", "heads", "name")),
    ]  # fmt: skip
    for given in variants:
        yield "table.html", asked | given
    over = msgspec.structs.replace(room, closed=True)
    for mine in (False, True):
        yield "table.html", asked | {"room": over, "mine": mine}
    cards = [{"room": room, "code": "ABCDEFGH", "address": "https://x.example/e/abend/table/3"}]
    for given in ({"cards": cards}, {"cards": []}):
        yield "cards.html", given | {"round": evening.event.rounds.items[1]}
