"""The list of registrations for spreadsheets. It proves the order: when each came, by which way, when it was entered, and what was
corrected later."""

from __future__ import annotations

import csv as csv_files
from collections.abc import Sequence
from io import BytesIO, StringIO
from typing import Any

from openpyxl import Workbook
from openpyxl.utils import get_column_letter

from frontend.render import local
from frontend.words import CONTINGENTS, N_, PLACES, PURPOSES, STATUSES, STEPS, WAYS, text
from moderation.registrations import RegistrationData

HEADINGS = {
    "number": N_("No."),
    "place": N_("Place"),
    "status": N_("State"),
    "arrived": N_("Arrived"),
    "way": N_("Way"),
    "entered": N_("Entered"),
    "name": N_("Name"),
    "email": N_("E-mail"),
    "phone": N_("Telephone"),
    "party": N_("People"),
    "contingent": N_("Reserved seat"),
    "confirm_by": N_("To confirm by"),
    "consents": N_("Agreed to"),
    "here": N_("Checked in"),
    "note": N_("Note"),
    "corrections": N_("Corrections"),
}
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "|", "%")
"""What makes a spreadsheet take a text for a formula or a command (OWASP, "CSV injection")."""


def csv(items: Sequence[RegistrationData], lang: str) -> bytes:
    """UTF-8 with a byte order mark and semicolons, as German spreadsheets want it (RFC 4180 otherwise)."""
    file = StringIO()
    writer = csv_files.writer(file, delimiter=";", quoting=csv_files.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow([text(lang, heading) for heading in HEADINGS.values()])
    writer.writerows([[harmless(value) for value in _row(item, lang)] for item in items])
    return file.getvalue().encode("utf-8-sig")


def xlsx(items: Sequence[RegistrationData], lang: str) -> bytes:
    """One sheet, with the headings kept in sight. Texts are texts: no cell is a formula."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.freeze_panes = "A2"
    rows = [[text(lang, heading) for heading in HEADINGS.values()], *(_row(item, lang) for item in items)]
    for line, row in enumerate(rows, 1):
        for column, value in enumerate(row, 1):
            cell = sheet.cell(line, column, harmless(value))
            if isinstance(value, str):
                cell.data_type = "s"
    for column in range(1, len(HEADINGS) + 1):
        widths = [len(str(row[column - 1])) for row in rows]
        sheet.column_dimensions[get_column_letter(column)].width = min(40, max(widths) + 2)
    file = BytesIO()
    book.save(file)
    return file.getvalue()


def harmless(value: Any) -> Any:
    """The text, with an apostrophe before what a spreadsheet would execute; a telephone number in E.164 stays one."""
    if not isinstance(value, str) or not value.lstrip(" ").startswith(FORMULA):
        return value
    return value if value.startswith("+") and value[1:].isdigit() else f"'{value}"


def _row(item: RegistrationData, lang: str) -> list[Any]:
    def said(words: dict[str, str], value: str) -> str:
        return text(lang, words[value]) if value in words else value

    given = [said(PURPOSES, one["purpose"]) for one in item["consents"] if one["state"] == "given"]
    corrections = [
        f"{local(step['at'])} {said(STEPS, step['what'])} {step['detail']}".strip()
        for step in item["history"]
        if step["what"] in ("corrected", "moved", "consent_withdrawn")
    ]
    return [
        item["number"],
        said(PLACES, item["place"]),
        said(STATUSES, item["status"]),
        local(item["arrived"], seconds=True),
        said(WAYS, item["way"]),
        local(item["entered"], seconds=True),
        item["name"],
        item["email"],
        item["phone"],
        item["party"],
        said(CONTINGENTS, item["contingent"]) if item["contingent"] else "",
        local(item["confirm_by"]),
        ", ".join(given),
        local(item["here"]),
        item["note"],
        "; ".join(corrections),
    ]
