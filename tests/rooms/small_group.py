"""A small group at work, for tests of what it works out."""

from __future__ import annotations

from tests.moderation.evening import Evening


def room(*, moderators: tuple[str, ...] = ("anna",), note_taker: str = "bilal") -> Evening:
    """Anna leads, Bilal takes notes, Cem takes part, Dana is in another room."""
    evening = Evening()
    plan = {"name": "Verkehr", "question": "Wie?", "moderators": moderators, "note_taker": note_taker}
    evening.send("mona", "round.create", title="Runde", policy="chosen", rooms=[plan, {"name": "Schule"}])
    evening.send("mona", "round.open", round=1, minutes=20)
    for person in ("anna", "bilal", "cem"):
        evening.send(person, "room.enter", room="1-1")
    evening.send("dana", "room.enter", room="1-2")
    return evening


def card(evening: Evening, text: str = "Mehr Bänke", person: str = "cem") -> int:
    return int(evening.send(person, "card.submit", room="1-1", text=text)["card"])
