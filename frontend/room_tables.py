"""Who goes where as a table: read from a spreadsheet's CSV with every mistake named, and written for one."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO

import msgspec

from frontend.directory import Directory, Entry
from frontend.tables import harmless
from frontend.words import LANGUAGES, N_, text, wording
from moderation.breakouts import BondData
from rooms.breakout import Room
from rooms.command import Refused

MOST_LINES = 5_000
HEADINGS = {
    "room": N_("Small group"),
    "name": N_("Name"),
    "number": N_("No."),
    "email": N_("E-mail"),
    "code": N_("Code"),
    "state": N_("State"),
    "together": N_("Kept together"),
    "apart": N_("Kept apart"),
}
WHO = ("code", "number", "email", "name")
"""By which columns somebody is known, the surest first."""
UNKNOWN_ROOM = N_("There is no small group “{name}” in this round.")
SEVERAL_ROOMS = N_("Several small groups are called “{name}”. Please write the number instead: the first is 1.")
TWICE = N_("{name} stands in the table twice.")
TOO_MANY = N_("“{name}” has {most} seats, and the table gives it {people} people.")
NO_TABLE = N_("There is no table with two columns, for people and for small groups.")
ALONE = N_("“{name}” stands only once in the column “{column}”, so it says nothing of anybody else.")
TOO_LONG = N_("The table has more than {most} lines.")


class Mistake(msgspec.Struct, frozen=True):
    """What is wrong in which line; 0 is the table as a whole."""

    line: int
    text: str


class Table(msgspec.Struct):
    """What a table says: tag → room, and the groups of those whom it keeps together and apart."""

    by_hand: dict[str, str] = {}
    keep_together: list[list[str]] = []
    keep_apart: list[list[str]] = []


def read(table: str, rooms: Sequence[Room], directory: Directory, lang: str) -> tuple[Table, list[Mistake]]:
    """The table, and its mistakes. Each line names somebody and their small group; with headings the columns may stand in any
    order, as in what `write` makes. Who has the same number or word in a column of bonds belongs to one; none is taken away."""
    lines = _lines(table)
    columns = _columns(lines[0][1]) if lines else None
    if columns is not None:
        lines = lines[1:]
    if not lines or max(len(cells) for _, cells in lines) < 2:
        return Table(), [Mistake(0, text(lang, NO_TABLE))]
    if len(lines) > MOST_LINES:
        return Table(), [Mistake(0, text(lang, TOO_LONG).format(most=MOST_LINES))]
    by_hand: dict[str, str] = {}
    bonds: dict[str, dict[str, list[str]]] = {"together": {}, "apart": {}}
    seen: set[str] = set()
    mistakes = []
    for number, cells in lines:
        who, where = _who_and_where(cells, columns)
        marks = [(how, mark) for how in bonds for mark in re.findall(r"[^\s,;]+", _cell(cells, columns, how).casefold())]
        if not where and not marks:
            continue
        try:
            person = directory.find(who)
            if person in seen:
                raise _Wrong(TWICE, name=directory.label(person))
            seen.add(person)
            for how, mark in dict.fromkeys(marks):
                bonds[how].setdefault(mark, []).append(person)
            if where:
                by_hand[person] = _room(where, rooms)
        except Refused as refused:
            mistakes.append(Mistake(number, wording(refused.code, lang, refused.params)))
        except _Wrong as wrong:
            mistakes.append(Mistake(number, text(lang, wrong.text).format(**wrong.params)))
    sizes = Counter(by_hand.values())
    for room in rooms:
        if sizes[room.id] > room.capacity:
            told = text(lang, TOO_MANY).format(name=room.name, most=room.capacity, people=sizes[room.id])
            mistakes.append(Mistake(0, told))
    for how, groups in bonds.items():
        alone = [mark for mark, people in groups.items() if len(people) == 1]
        column = text(lang, HEADINGS[how])
        mistakes += [Mistake(0, text(lang, ALONE).format(name=mark[:80], column=column)) for mark in alone]
    return Table(by_hand, list(bonds["together"].values()), list(bonds["apart"].values())), mistakes


def write(people: Iterable[tuple[Entry, str, str]], bonds: Mapping[str, Sequence[BondData]], lang: str) -> bytes:
    """(person, small group, state) for a spreadsheet: UTF-8 with a byte order mark and semicolons, no cell a formula. `bonds`: by
    person."""
    file = StringIO()
    writer = csv.writer(file, delimiter=";", quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([text(lang, heading) for name, heading in HEADINGS.items() if name != "email"])
    for one, room, state in people:
        mine = bonds.get(one.id, ())
        kept = (", ".join(str(bond["number"]) for bond in mine if bond["how"] == how) for how in ("together", "apart"))
        row = (room, one.name or one.label, one.registration or "", one.id, state, *kept)
        writer.writerow([harmless(value) for value in row])
    return file.getvalue().encode("utf-8-sig")


class _Wrong(Exception):
    def __init__(self, text: str, **params: object) -> None:
        self.text, self.params = text, params


def _lines(table: str) -> list[tuple[int, list[str]]]:
    """(number, cells) of the lines that are not empty."""
    table = table.removeprefix("\ufeff")
    first = table.partition("\n")[0]
    delimiter = max(";\t,", key=first.count)
    reader = csv.reader(StringIO(table, newline=""), delimiter=delimiter)
    return [(reader.line_num, [_unquoted(cell) for cell in cells]) for cells in reader if any(cell.strip() for cell in cells)]


def _unquoted(cell: str) -> str:
    """Without the apostrophe that `harmless` has put before what looks like a formula."""
    cell = cell.strip()
    return cell[1:] if cell.startswith("'") and harmless(cell[1:]) == cell else cell


def _columns(cells: Sequence[str]) -> dict[str, int] | None:
    """Which column holds what, if these are headings in any language of ours."""
    known = {text(lang, heading).casefold(): name for lang in LANGUAGES for name, heading in HEADINGS.items()}
    found = {known[cell.casefold()]: column for column, cell in enumerate(cells) if cell.casefold() in known}
    return found if "room" in found and any(one in found for one in WHO) else None


def _who_and_where(cells: Sequence[str], columns: dict[str, int] | None) -> tuple[str, str]:
    if columns is None:
        return cells[0], cells[1] if len(cells) > 1 else ""
    return next((value for name in WHO if (value := _cell(cells, columns, name))), ""), _cell(cells, columns, "room")


def _cell(cells: Sequence[str], columns: Mapping[str, int] | None, name: str) -> str:
    column = (columns or {}).get(name, len(cells))
    return cells[column] if column < len(cells) else ""


def _room(where: str, rooms: Sequence[Room]) -> str:
    """By name, id, or number in the order of the round."""
    named = [room for room in rooms if " ".join(room.name.split()).casefold() == " ".join(where.split()).casefold()]
    if len(named) > 1:
        raise _Wrong(SEVERAL_ROOMS, name=where[:80])
    if named:
        return named[0].id
    for turn, room in enumerate(rooms, 1):
        if where in (room.id, str(turn)):
            return room.id
    raise _Wrong(UNKNOWN_ROOM, name=where[:80])

