"""The pages on which a round of small groups is prepared: its settings and rooms, who goes where, and the table of that."""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable
from secrets import randbelow
from typing import Any
from urllib.parse import urlencode

import msgspec
from starlette.datastructures import UploadFile
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from frontend import render, room_tables
from frontend.asked import Asked, Page, arguments, fields_of, status, told
from frontend.directory import Directory
from frontend.words import N_, SPOKEN, not_met, text
from moderation.breakouts import BondData, bonds_of
from moderation.capabilities import decide
from moderation.event import Event
from moderation.roles import MODERATOR, actor
from moderation.shape import words
from rooms.assigning import Assign, with_bonds
from rooms.bonds import Bonds
from rooms.breakout import Room, Round, tag, tagged
from rooms.command import Refused

HERE = ("round.edit", "round.copy", "round.remove", "round.open", "round.bind", "room.add", "room.edit", "room.remove")
"""The commands of a round's own page."""
CONDITIONS = ("topics", "languages", "together", "apart", "moderator", "anew")
SEEDS = 1_000_000
WAITING, NO_ROOM = N_("waits"), N_("has no small group")


def routes(page: Page) -> list[Route]:
    """The routes of these pages."""
    return [
        page("/e/{slug}/rooms/{round:int}", round, ("GET", "POST")),
        page("/e/{slug}/rooms/{round:int}/assign", assign, ("GET", "POST")),
        page("/e/{slug}/rooms/{round:int}.csv", csv),
    ]


async def leads(asked: Asked) -> None:
    """Refuses `forbidden` to everybody but moderators and organisers."""
    for _ in range(2):
        if actor(asked.evening.event, asked.person).any_of(*MODERATOR):
            return
        await asked.evening.look()  # they may have signed in a moment ago, at another process
    raise Refused("forbidden")


# The round.


async def round(asked: Asked, refused: Refused | None = None, form: dict[str, Any] | None = None) -> Response:
    """A round: what it is, who is where, and everything that can be changed. Refuses `forbidden`, `unknown_round`."""
    await leads(asked)
    number = _number(asked)
    if asked.request.method == "POST" and refused is None:
        fields = await fields_of(asked.request)
        try:
            return await _change(asked, number, fields)
        except Refused as problem:
            refused, form = problem, fields

    def look() -> Response:
        event, directory = asked.evening.event, _directory(asked)
        item = event.rounds.get(number)
        documents = [one for one in asked.documents("rooms") if _of_round(one[0], number)]
        seated = {person for room in event.rounds.of(item) for person in room.seats}
        without = [tag(event, one) for one in event.rounds.people if one not in seated]
        return asked.page(
            "round.html",
            200 if refused is None else status(refused),
            documents=render.arrange(documents, asked.lang, asked.evening.slug),
            item=item,
            rooms=[room_form(event, directory, one) for one in event.rounds.of(item)],
            directory=[one.label for one in directory.entries.values()],
            without=directory.sorted(without),
            bonds=bonds_by_tag(event, event.rounds.bonds),
            topics=_topics(asked),
            spoken=SPOKEN,
            form=form or {},
            options=first_options(event, item),
            earlier=earlier(event, item),
            now=asked.site.now(asked.evening),
            refusal=None if refused is None else told(asked, refused),
            notice=asked.request.query_params.get("notice"),
            command_id=str(uuid.uuid4()),
            # All documents come at once when the script is there: those of other rounds were left out.
            channels={"rooms": {}},
        )

    return await asked.evening.read(look)


async def _change(asked: Asked, number: int, fields: dict[str, Any]) -> Response:
    name, id = fields.get("name", ""), fields.get("id", "") or str(uuid.uuid4())
    if "how" in fields:
        # A button of the form that moves people.
        name, fields = "round.bind", {"people[]": fields.get("people[]", []), "how": fields["how"]}
    if name not in HERE:
        raise Refused("unknown_command", field="name")
    sent = {key: value for key, value in fields.items() if key not in ("name", "id", "moderator[]", "note_taker")}
    if name == "round.edit":
        sent["come_and_go"] = fields.get("come_and_go", "false")
    given = arguments(name, sent)
    if name == "room.edit":
        directory = await asked.evening.read(lambda: _directory(asked))
        note_taker = fields.get("note_taker", "").strip()
        given["languages"] = fields.get("languages[]", [])
        given["moderators"] = [_person(directory, one, "moderator[]") for one in fields.get("moderator[]", []) if one.strip()]
        given["note_taker"] = _person(directory, note_taker, "note_taker") if note_taker else ""
    result = await asked.site.perform(asked.request, asked.evening.slug, id, name, given)
    home = f"/e/{asked.evening.slug}/rooms"
    if name in ("round.remove", "round.open"):
        return RedirectResponse(home, 303)
    shown = result["round"] if name == "round.copy" else number
    room = fields.get("room", "") if name == "room.edit" else ""
    return RedirectResponse(f"{home}/{shown}?{urlencode({'notice': name})}{f'#edit-{room}' if room else ''}", 303)


def _person(directory: Directory, typed: str, field: str) -> str:
    try:
        return directory.find(typed)
    except Refused as refused:
        raise Refused(refused.code, field=field, **refused.params) from None


def room_form(event: Event, directory: Directory, room: Room) -> dict[str, Any]:
    """A room for its form."""

    def label(person: str) -> str:
        return directory.label(tag(event, person))

    return msgspec.structs.asdict(room) | {
        "moderators": [label(one) for one in room.moderators],
        "note_taker": label(room.note_taker) if room.note_taker else "",
        "people": len(room.seats),
    }


def bonds_by_tag(event: Event, bonds: Bonds) -> dict[str, list[BondData]]:
    """With whom the organisers want people, by their tags."""
    return {tag(event, person): bonds_of(bonds, person) for bond in bonds.values() for person in bond.people}


def _of_round(key: str, number: int) -> bool:
    kind, _, id = key.partition("/")
    return kind in ("room", "result") and id.partition("-")[0] == str(number)


# The preview of an assignment.


async def assign(asked: Asked) -> Response:
    """The preview: who would go where, and what could not be met. Confirmed (`do=confirm`), exactly that is done."""
    await leads(asked)
    number = _number(asked)
    fields, table = await _given(asked)
    if "seed" not in fields or fields.get("do") == "again":
        fields["seed"] = str(randbelow(SEEDS))
        if asked.request.method == "GET":
            return RedirectResponse(f"{asked.path}?{urlencode(fields, doseq=True)}", 303)
    refused: Refused | None = None
    mistakes: list[room_tables.Mistake] = []
    if table is not None:

        def read() -> tuple[room_tables.Table, list[room_tables.Mistake]]:
            rooms = asked.evening.event.rounds.of(asked.evening.event.rounds.get(number))
            return room_tables.read(table, rooms, _directory(asked), asked.lang)

        said, mistakes = await asked.evening.read(read)
        fields |= {"by_hand": _packed(said.by_hand), "who": "named"}
        fields |= {"keep_together": _joined(said.keep_together), "keep_apart": _joined(said.keep_apart)}
    if fields.get("do") == "confirm":
        id = fields.get("id", "") or str(uuid.uuid4())
        try:
            given = msgspec.to_builtins(_wanted(number, fields))
            given["seen"] = fields.get("seen", "")
            await asked.site.perform(asked.request, asked.evening.slug, id, "round.assign", given)
            return RedirectResponse(f"/e/{asked.evening.slug}/rooms/{number}?notice=round.assign", 303)
        except Refused as problem:
            refused = problem
    if fields.get("do") == "move":
        moved = _unpacked(fields.get("moved", "")) | dict.fromkeys(fields.get("people[]", []), fields.get("to", ""))
        fields["moved"] = _packed(moved)

    return await asked.evening.read(_preview(asked, number, fields, refused, mistakes, table or ""))


def _preview(
    asked: Asked, number: int, fields: dict[str, Any], refused: Refused | None, mistakes: list[room_tables.Mistake], table: str
) -> Callable[[], Response]:
    def look() -> Response:
        event, problem = asked.evening.event, refused
        item = event.rounds.get(number)
        result: dict[str, Any] | None = None
        bonds: Bonds = {}
        if not mistakes:
            try:
                command = msgspec.structs.replace(_wanted(number, fields), preview=True)
                now = asked.site.now(asked.evening)
                result = decide(event, actor(event, asked.person), "round.assign", command, now).result
                bonds = with_bonds(event, tagged(event), command)
            except Refused as wrong:
                problem = problem or wrong
        return asked.page(
            "assign.html",
            422 if mistakes else 200 if problem is None else status(problem),
            item=item,
            result=shown(event, _directory(asked), item, result, bonds, fields, asked.lang) if result else None,
            options=fields,
            earlier=earlier(event, item),
            mistakes=mistakes,
            table=table,
            refusal=None if problem is None else told(asked, problem),
            command_id=str(uuid.uuid4()),
        )

    return look


def shown(
    event: Event, directory: Directory, item: Round, result: dict[str, Any], bonds: Bonds, fields: dict[str, Any], lang: str
) -> dict[str, Any]:
    """A preview with names: rooms with their people, who waits, and what is not met, in words."""
    rooms = event.rounds.of(item)
    names = {room.id: room.name for room in rooms}
    by_room: dict[str, list[str]] = {room.id: [] for room in rooms}
    for person, room in result["seats"].items():
        by_room[room].append(person)
    unmet: dict[str, list[str]] = {}
    for one in result["unmet"]:
        sentence = not_met(one["condition"], one["why"], lang, room=not one["person"])
        where = names.get(one["room"], "")
        person = directory.label(one["person"]) if one["person"] else ""
        unmet.setdefault(sentence, []).append(f"{person} → {where}" if person and where else person or where)
    placed = {*result["seats"], *result["waiting"]}
    return {
        "rooms": [
            {
                "id": room.id,
                "name": room.name,
                "capacity": room.capacity,
                "people": directory.sorted(by_room[room.id]),
                "others": sum(tag(event, one) not in placed for one in room.seats),
                "closed": room.closed,
                "leads": {tag(event, one) for one in (*room.moderators, room.note_taker) if one},
            }
            for room in rooms
        ],
        "bonds": bonds_by_tag(event, bonds),
        "moved": set(_unpacked(fields.get("moved", ""))),
        "waiting": directory.sorted(result["waiting"]),
        "unmet": sorted(unmet.items()),
        "seated": len(result["seats"]),
        "digest": result["digest"],
    }


async def _given(asked: Asked) -> tuple[dict[str, Any], str | None]:
    """The fields of the address or the form, and the table that was pasted or sent as a file."""
    fields: dict[str, Any] = {key: value for key, value in asked.request.query_params.items() if value}
    if asked.request.method != "POST":
        return fields, None
    table = None
    form = await asked.request.form(max_files=1)
    for key, value in form.multi_items():
        if isinstance(value, UploadFile):
            table = _decoded(await value.read()) or table
        elif key == "table":
            table = table or value
        elif key.endswith("[]"):
            fields.setdefault(key, []).append(value)
        elif value:
            fields[key] = value
    return fields, table


def _decoded(data: bytes) -> str:
    """A spreadsheet's text: UTF-8, or what German Windows saves."""
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError:
        return data.decode("cp1252", "replace")


def _wanted(number: int, fields: dict[str, Any]) -> Assign:
    """The command of a form's fields. Refuses `malformed`."""
    conditions = {name: fields.get(name) == "on" for name in CONDITIONS} | {"places": fields.get("places", "any")}
    given = {
        "round": number,
        "conditions": conditions,
        "seed": fields.get("seed", 0),
        "who": fields.get("who", "taking_part"),
        "place": fields.get("place", ""),
        "unassigned": fields.get("unassigned") == "on",
        "by_hand": _unpacked(fields.get("by_hand", "")),
        "moved": _unpacked(fields.get("moved", "")),
        "keep_together": [group.split(",") for group in fields.get("keep_together", "").split()],
        "keep_apart": [group.split(",") for group in fields.get("keep_apart", "").split()],
        "after": fields.get("after") or None,
    }
    try:
        return msgspec.convert(given, Assign, strict=False)
    except msgspec.ValidationError:
        raise Refused("malformed", field="seed") from None


def _packed(rooms: dict[str, str]) -> str:
    """Person → room in few bytes, for a hidden field."""
    return " ".join(f"{person}.{room}" for person, room in rooms.items())


def _joined(groups: list[list[str]]) -> str:
    """People, group by group, for a hidden field."""
    return " ".join(",".join(group) for group in groups)


def _unpacked(text: str) -> dict[str, str]:
    return {person: room for person, _, room in (one.rpartition(".") for one in text.split())}


# The table.


async def csv(asked: Asked) -> Response:
    """Who is where, for a spreadsheet; who takes part and has no room is in it too. Refuses `forbidden`, `unknown_round`."""
    await leads(asked)
    number = _number(asked)

    def look() -> Response:
        event, directory = asked.evening.event, _directory(asked)
        item = event.rounds.get(number)
        rooms = event.rounds.of(item)
        often = Counter(room.name for room in rooms)
        people = [
            (one, room.name if often[room.name] == 1 else str(turn), "")
            for turn, room in enumerate(rooms, 1)
            for one in directory.sorted(tag(event, person) for person in room.seats)
        ]
        seated = {person for room in rooms for person in room.seats}
        bound = (one for bond in event.rounds.bonds.values() for one in bond.people)
        without = dict.fromkeys(one for one in (*event.rounds.people, *bound) if one not in item.waiting)
        for state, others in ((WAITING, item.waiting), (NO_ROOM, without)):
            ids = (tag(event, one) for one in others if one not in seated)
            people += [(one, "", text(asked.lang, state)) for one in directory.sorted(ids)]
        name = f"{asked.evening.slug}-{number}.csv"
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        content = room_tables.write(people, bonds_by_tag(event, event.rounds.bonds), asked.lang)
        return Response(content, media_type="text/csv; charset=utf-8", headers=headers)

    return await asked.evening.read(look)


# Words and choices.


def _number(asked: Asked) -> int:
    """The round of the address; a refused form of another page shows it too."""
    given = asked.request.path_params.get("round")
    return given if isinstance(given, int) else int(asked.path.rpartition("/rooms/")[2].partition("/")[0])


def _directory(asked: Asked) -> Directory:
    return Directory(asked.evening.event, asked.evening.names, asked.lang, full=asked.door)


def _topics(asked: Asked) -> list[dict[str, str]]:
    return [{"id": one.id, "title": words(one.title, asked.lang)} for one in asked.evening.event.programme.topics]


def first_options(event: Event, item: Round) -> dict[str, Any]:
    """What the form of an assignment says at first: while a round runs, nobody who has a seat is moved."""
    led = any(room.moderators for room in event.rounds.of(item))
    running = item.state == "open"
    return {"who": "taking_part", "unassigned": "on" if running else "", "places": "any", "moderator": "on" if led else ""}


def earlier(event: Event, item: Round) -> list[dict[str, Any]]:
    """The rounds whose groups can go on, the latest first."""
    before = [one for one in event.rounds.items.values() if one is not item and any(room.seats for room in event.rounds.of(one))]
    return [{"number": one.number, "title": one.title} for one in reversed(before)]
