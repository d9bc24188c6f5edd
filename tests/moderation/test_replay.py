"""Random commands by random people never break an invariant, and replaying the log gives the same state."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from random import Random
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from moderation import documents
from moderation.capabilities import COMMANDS, timers
from moderation.event import Event
from moderation.queue import TRANSITIONS
from moderation.roles import MAY_SEND, hashed
from rooms.breakout import at_table
from rooms.command import SYSTEM, Refused
from rooms.contributions import PUBLIC, State
from rooms.entrance import code_at, keyed
from rooms.programme import PHASES
from tests.moderation.evening import EXAMPLES, NOW, PROGRAMME, SECRET, STAFF, Evening, same

PEOPLE = ("anna", "bilal", "cem")
Draw = Callable[[Random], Any]
"""Draws an argument, or all arguments of a command."""


def one(*values: Any) -> Draw:
    """One of these."""
    return lambda chance: chance.choice(values)


def fields(required: dict[str, Draw], **optional: Draw) -> Draw:
    """Arguments, of which the optional ones are often left out."""

    def draw(chance: Random) -> dict[str, Any]:
        given = {name: of for name, of in optional.items() if chance.random() < 0.4}
        return {name: of(chance) for name, of in (required | given).items()}

    return draw


NUMBER, TEXT = one(1, 1, 1, 2, 2, 3, 4, 99), one(*["Mehr Bänke", "<b>fett</b>", "Radweg \u202e"] * 3, "ab", "x" * 1001)
NAME, KIND, TOPIC = (
    one("Jule", "Jule", "", " ", "x" * 61),
    one("idea", "wish", "question", "experience"),
    one("city", "education", None, "no such"),
)
CODE = one("", *(code_at(SECRET, NOW + seconds * 1_000, 150) for seconds in (0, 150)))
TOPICS = one(PROGRAMME["topics"], [{"id": "city", "title": {"de": "Stadtgrün"}}])
ROUND, YES = one(1, 1, 1, 2, 9), one(True, False)
TABLE: dict[str, Any] = {"name": "C", "capacity": 4, "table": True}
ROOMS = one([{"name": "A", "capacity": 2}, {"name": "B", "capacity": 3, "moderators": ["anna"]}, TABLE])
ROOM = fields({"room": one("1-1", "1-1", "1-2", "1-3", "2-1", "9-9")})
AT_TABLE = one("1-3", "1-3", "1-3", "2-3", "1-1")
HANDS = one({}, {"anna": "1-1"}, {"anna": "1-2", "bilal": "1-2"}, {"registration/1": "1-1"}, {"registration/9": "1-1"})
BOUND = one(["anna", "bilal"], ["bilal", "cem"], list(PEOPLE), ["anna"], [], ["nobody"], ["registration/1", "anna"])
STARTS = one("2020-08-20T20:30:00+02:00", "2020-08-21T20:00:00+02:00")
TAGS = tuple(keyed(SECRET, f"participant/{person}", 8) for person in (*PEOPLE, "emil"))
TOKENS = ("token-a", "token-b")
ABOUT = fields({"contribution": NUMBER})
STEP = fields({"contribution": NUMBER}, seen=one("received", "approved", "on_air"))
TOKEN = one(*(f"{number}.{keyed(SECRET, f'registration/{number}', 20)}" for number in (1, 1, 2, 3)), "1.WRONG")
REGISTRATION = fields({"registration": NUMBER}, token=TOKEN)
ARGUMENTS: dict[str, Draw] = {
    "event.configure": lambda chance: {
        "programme": PROGRAMME | fields({}, premoderation=one(True, False), topics=TOPICS, starts=STARTS)(chance)
    },
    "event.advance": fields({"phase": one(*PHASES, *["live"] * 9, "closed")}),
    "person.join": fields({}, place=one("hall", "home"), code=CODE, name=NAME),
    "contribution.submit": fields(
        {"kind": KIND, "text": TEXT},
        topic=TOPIC,
        name=NAME,
        origin=one(*[None] * 8, "phone", "email", "paper", "microphone"),
        said_at=one(*[None] * 6, "18:42", "2020-08-20T18:42:00+02:00", "abends"),
    ),
    "contribution.edit": fields({"contribution": NUMBER, "text": TEXT}, kind=KIND, topic=TOPIC),
    "contribution.withdraw": ABOUT,
    "contribution.approve": STEP,
    "contribution.return": fields(
        {"contribution": NUMBER, "reason": one("", "Bitte höflich", "Bitte kürzer")}, seen=one("received")
    ),
    "contribution.shortlist": STEP,
    "contribution.air": STEP,
    "contribution.answer": STEP,
    "contribution.hide": STEP,
    "contribution.restore": STEP,
    "support.give": ABOUT,
    "support.withdraw": ABOUT,
    "registration.submit": fields(
        {"place": one("hall", "hall", "conference"), "name": one("Jule", "Kai", "x"), "consents": one([], *[["picture"]] * 2)},
        email=one("a@example.org", "b@example.org", "c@example.org", "no"),
        phone=one("02305 1060", "02305 1061"),
        party=one(1, 1, 2, 3),
        contingent=one("press", "no such"),
        way=one(None, "phone", "email", "desk"),
        arrived_at=one(None, None, "18:00"),
        present=one(False, False, True),
    ),
    "registration.confirm": REGISTRATION,
    "registration.cancel": REGISTRATION,
    "registration.erase": REGISTRATION,
    "registration.correct": fields(
        {"registration": NUMBER}, token=TOKEN, party=one(1, 2), email=one("", "d@example.org"), contingent=one("", "press")
    ),
    "registration.move": fields({"registration": NUMBER, "to": one("hall", "conference")}),
    "registration.check_in": fields({"registration": NUMBER}, here=one(True, False)),
    "registration.withdraw_consent": fields({"registration": NUMBER, "purpose": one("picture", "name")}, token=TOKEN),
    "registration.give_consent": fields({"registration": NUMBER, "purpose": one("picture", "name")}, token=TOKEN),
    "registration.enter": fields({"registration": NUMBER, "token": TOKEN}),
    "registration.lapse": fields({"registration": NUMBER, "confirm_by": one(NOW, NOW + 48 * 3_600_000)}),
    "registration.settle": fields({}),
    "registration.postpone": fields({}),
    "message.send": fields({"kind": one("access", "reminder", "thanks")}, place=one("hall")),
    "message.claim": fields({"message": NUMBER}),
    "message.report": fields({"message": NUMBER, "state": one("sent", "queued", "failed", "uncertain")}),
    "message.test": fields({"kind": one("seated", "refused"), "email": one("a@example.org", "no")}),
    "message.retry": fields({"message": NUMBER}),
    "message.told": fields({"message": NUMBER}),
    "mail.receive": fields(
        {
            "name": one("Kai", ""),
            "email": one("a@example.org", "e@example.org", "no"),
            "subject": one("Stichwort Abend", "Absage", "Hallo"),
            "text": one("", "2 Personen", "mit meiner Frau"),
            "arrived": one(NOW, NOW - 5_000),
            "message": one("<1@x>", "<2@x>", ""),
        },
        automatic=one(False, True),
    ),
    "mail.settle": fields({"mail": NUMBER}, open=one(True, False)),
    "round.create": fields({"title": one("Runde", ""), "rooms": ROOMS}, policy=one("assigned", "chosen", "mixed"), come_and_go=YES),
    "round.join": fields({}, topics=one([], ["city"]), together=one("", "x")),
    "round.assign": fields(
        {"round": ROUND},
        seed=one(1, 2),
        preview=one(False, False, True),
        who=one("taking_part", "registered", "checked_in", "named"),
        place=one("", "", "hall", "home"),
        unassigned=YES,
        conditions=one({}, {"apart": True}, {"anew": True, "moderator": True}, {"places": "apart", "topics": True}),
        after=one(None, 1, 2, 9),
        by_hand=HANDS,
        moved=HANDS,
        keep_together=one([["anna", "bilal"]], [["anna", "cem"], ["bilal", "cem"]]),
        keep_apart=one([["anna", "bilal"]], [["bilal"]]),
        seen=one("", "", "", "no such"),
    ),
    "round.bind": fields({"people": BOUND, "how": one("together", "apart", "free")}),
    "round.copy": fields({"round": ROUND, "title": one("Noch eine", "")}),
    "round.edit": fields({"round": ROUND}, title=one("Anders", ""), policy=one("assigned", "chosen", "mixed"), grace=one(0, 30)),
    "round.remove": fields({"round": ROUND}),
    "room.add": fields({"round": ROUND, "rooms": ROOMS}),
    "room.edit": fields(
        {"room": one("1-1", "1-2", "2-1")},
        name=one("Anders", ""),
        topic=one("", "city", "no such"),
        capacity=one(2, 3, 75),
        moderators=one([], ["anna"], ["registration/9"]),
        note_taker=one("", "bilal"),
    ),
    "room.remove": fields({"room": one("1-1", "1-2", "2-1")}),
    "round.open": fields({"round": ROUND}, minutes=one(1, 20)),
    "round.close": fields({"round": ROUND}, room=one("", "1-1", "1-2")),
    "round.recall": fields({"round": ROUND}, seconds=one(0, 60)),
    "room.enter": ROOM,
    "room.leave": ROOM,
    "room.move": fields({"to": one("1-1", "1-2", "1-3", "2-1")}, person=one(*PEOPLE), people=one([], list(PEOPLE))),
    "room.extend": fields({"minutes": one(1, 5)}, room=one("1-1", "1-2"), round=ROUND),
    "room.ask_for_time": ROOM,
    "room.ask_for_help": fields({"room": one("1-1", "1-2", "9-9")}, why=one("", "Streit", "Streit", "x" * 141)),
    "room.claim_help": fields({"room": one("1-1", "1-2")}, on=YES),
    "room.end_help": fields({"room": one("1-1", "1-2")}),
    "announcement.send": fields({"text": one("Noch zehn Minuten", "x")}, rooms=one([], ["1-1"], ["1-2", "1-1"], ["9-9"])),
    "announcement.withdraw": fields({"announcement": NUMBER}),
    "announcement.seen": fields({"announcement": NUMBER}),
    "room.seat_table": fields(
        {"room": AT_TABLE, "heads": one(1, 2, 3, 4, 5, 99)},
        code=one(*[keyed(SECRET, f"table/3/{times}", 8) for times in (0, 0, 0, 1)], "WRONG"),
        names=one([], ["Jule", "Kai"]),
    ),
    "room.renew_code": fields({"room": AT_TABLE}),
    "room.forget_names": fields({"room": AT_TABLE}),
    "card.submit": fields({"room": one("1-1", "1-2", "1-3"), "text": one("Mehr Bänke", "x", "x" * 301)}, name=one("Kai", "")),
    "card.edit": fields({"card": NUMBER, "text": one("Mehr Bänke", "Weniger Bänke")}),
    "card.withdraw": fields({"card": NUMBER}),
    "card.group": fields({"cards": one([1], [1, 2], [])}, name=one("Bänke", "")),
    "card.set_aside": fields({"card": NUMBER, "on": one(True, True, False)}, all=YES),
    "card.order": fields({"card": NUMBER, "steps": one(-2, -1, 1, 100_000)}),
    "card.support": fields({"card": NUMBER}, on=YES),
    "card.propose": fields({"card": NUMBER}, on=YES),
    "summary.draft": fields({"room": one("1-1", "1-2")}, proposed=one("Bänke", ""), open=one("Wo?")),
    "summary.submit": fields({"room": one("1-1", "1-2")}),
    "summary.confirm": fields({"room": one("1-1", "1-2")}, on=YES),
    "summary.set_aside": fields({"room": one("1-1", "1-2")}, on=YES),
    "summary.air": fields({"room": one("1-1", "1-2")}, part=one("proposed", "open"), on=YES),
    "proposal.support": fields({"card": NUMBER}, on=YES),
    "proposal.group": fields({"cards": one([1], [2], [1, 2], []), "title": one("Bänke", "Bäume", "", "x" * 61)}, heading=one(1, 2)),
    "proposal.order": fields({}, card=one(1, 2, 3), heading=one(1, 2), steps=one(-1, 1, 5)),
    "proposal.air": fields({"card": NUMBER}, on=YES),
    "room.raise_hand": ROOM,
    "room.lower_hand": fields({"room": one("1-1", "1-2")}, person=one(*TAGS)),
    "room.give_floor": fields({"room": one("1-1", "1-2")}, person=one(*TAGS)),
    "chat.send": fields({"room": one("1-1", "1-1", "1-2"), "text": one("Hallo zusammen", "", "x" * 501)}),
    "chat.remove": fields({"message": NUMBER}),
    "room.away": fields({"room": one("1-1", "1-2", "1-3"), "person": one(*PEOPLE, "table/1-3"), "away": YES}),
    "room.release": fields({"room": one("1-1", "1-2"), "person": one(*PEOPLE), "away_since": one(NOW)}),
    "room.guest_away": fields({"room": one("1-1", "1-2"), "person": one("mona", "olga", *PEOPLE), "away": YES}),
    "room.end_visit": fields({"room": one("1-1", "1-2"), "person": one("mona", "olga"), "gone_since": one(NOW)}),
    "event.retain": fields({"early": one(False, False, True)}),
    "link.create": fields(
        {"role": one("moderator", "helper", "overlay"), "token_hash": one(*map(hashed, TOKENS)), "name": one("main", "")},
        expires_at=one(None, NOW + 40_000),
    ),
    "link.redeem": fields({"token": one(*TOKENS, "no such")}),
    "link.revoke": fields({"role": one("moderator", *["helper", "overlay"] * 4), "name": one("main")}),
}
"""Every command is named here: a new one without its arguments fails the first test."""

STEPS = (*TRANSITIONS, "contribution.restore")
Busy = list[tuple[tuple[str, ...], tuple[str, ...]]]
EVERYTHING: Busy = [((*PEOPLE, *STAFF, SYSTEM), tuple(ARGUMENTS)), ((SYSTEM, "olga"), tuple(ARGUMENTS))]
_OF_GROUPS = ("round.", "room.", "card.", "summary.", "chat.", "proposal.", "announcement.")
GROUPS = tuple(name for name in ARGUMENTS if name.startswith(_OF_GROUPS))
SEATS = tuple(name for name in ARGUMENTS if name.startswith(("registration.", "message.", "mail.")))
BUSY: dict[str, Busy] = {
    "what is said": [
        (PEOPLE, ("contribution.submit", "contribution.edit", "contribution.withdraw", "support.give", "support.withdraw")),
        (("mona", "olga", "oskar"), ("contribution.edit", *STEPS)),
        (("olga",), STEPS),
        (("hilde", "olga"), ("link.create", "link.redeem")),
        (PEOPLE, ("person.join", "link.redeem")),
    ],
    "seats": [
        (("anna", "hilde", "olga"), tuple(name for name in SEATS if name.startswith("registration."))),
        (("anna", "bilal"), ("registration.submit",)),
        ((SYSTEM,), ("message.claim", "message.report", "mail.receive", "registration.lapse", "event.configure")),
        (("hilde", "olga"), ("registration.withdraw_consent", "registration.give_consent", "message.retry", "message.told")),
        (("hilde", "olga"), ("registration.postpone", "mail.settle")),
    ],
    "small groups": [
        (("mona",), ("round.create", "round.open", "round.assign", "round.close", "round.recall", "room.move", "room.extend")),
        (("mona",), ("round.copy", "round.assign", "round.edit", "round.remove", "round.bind")),
        (("mona",), ("round.assign", "room.add", "room.edit", "room.remove")),
        (PEOPLE, ("round.join", "room.enter", "room.enter", "room.leave", "room.ask_for_time")),
        (PEOPLE, GROUPS),
        (("anna",), GROUPS),
        (PEOPLE, ("room.enter", "card.submit", "card.withdraw", "summary.draft")),
        (PEOPLE, ("room.raise_hand", "room.lower_hand", "room.give_floor")),
        (("anna",), ("chat.send", "chat.remove", "card.submit", "card.set_aside", "card.set_aside", "card.propose")),
        (PEOPLE, ("room.seat_table", "room.seat_table", "card.submit", "room.leave")),
        (PEOPLE, ("card.propose", "card.support", "card.group", "card.order", "card.edit", "summary.submit", "summary.confirm")),
        (PEOPLE, ("proposal.support",)),
        (("mona",), ("summary.confirm", "summary.air", "proposal.group", "proposal.order", "proposal.air", "contribution.air")),
        (("mona",), ("round.copy", "round.remove", "round.close", "summary.set_aside")),
        (PEOPLE, ("room.ask_for_help", "announcement.seen", "room.end_help")),
        (("mona", "olga"), ("room.claim_help", "room.enter", "room.leave", "announcement.send", "announcement.withdraw")),
        ((SYSTEM,), ("room.away", "room.guest_away")),
    ],
}
"""Theme → who sends what; each with anything by anybody among it."""


def drawn(chance: Random, theme: str) -> tuple[str, str, dict[str, Any]]:
    """(person, command, arguments)."""
    people, names = chance.choice(EVERYTHING if chance.random() < 0.2 else BUSY[theme])
    name = chance.choice(names)
    return chance.choice(people), name, ARGUMENTS[name](chance)


AUTHORS = {(state, "received") for state in ("approved", "shortlisted", "returned")}
LEGAL = (
    AUTHORS
    | {(start, to) for to, starts in TRANSITIONS.values() for start in starts}
    | {(state, "withdrawn") for state in get_args(State)}
)
"""Every way from one state to another but `restore`, which goes back on one of a moderator's; off the air means shortlisted."""
BACK = {(to, start if start != "on_air" else "shortlisted") for to, starts in TRANSITIONS.values() for start in starts}


class Played(Evening):
    """An evening under observation. Every wording bears its turn's number, so that it is found wherever it leaks."""

    def __init__(self) -> None:
        super().__init__()
        self.turn = 0
        self.given: dict[int, set[str]] = {}

    def play(self, person: str, name: str, arguments: dict[str, Any]) -> str:
        """One command; returns "done" or the refusal's code."""
        self.turn += 1
        if 3 <= len(arguments.get("text", "")) <= 900:
            arguments = arguments | {"text": f"{arguments['text']} [{self.turn}]"}
        states = {item.number: item.state for item in self.event.contributions.items.values()}
        before = self.snapshot()
        try:
            self.send(person, name, **arguments)
        except Refused as refused:
            assert self.snapshot() == before, "a refusal leaves no trace"
            return refused.code
        self._moved(name, states)
        self._counted(person, name, arguments)
        return "done"

    def _moved(self, name: str, states: dict[int, State]) -> None:
        for number, was in states.items():
            now = self.item(number).state
            assert was == now or (was, now) in (BACK if name == "contribution.restore" else LEGAL), (name, was, now)

    def _counted(self, person: str, name: str, arguments: dict[str, Any]) -> None:
        if name == "support.give":
            self.given.setdefault(arguments["contribution"], set()).add(person)
        elif name == "support.withdraw":
            self.given.get(arguments["contribution"], set()).discard(person)


def check(evening: Evening) -> None:
    """What is true of every event at every moment."""
    event = evening.event
    items = event.contributions.items
    assert list(items) == list(range(1, len(items) + 1))
    on_air = [item.number for item in items.values() if item.state == "on_air"]
    assert on_air == ([] if event.contributions.on_air is None else [event.contributions.on_air])
    check_board(evening)
    counted = {state: count for state, count in event.contributions.by_state.items() if count}
    assert counted == Counter(item.state for item in items.values())
    for item in items.values():
        assert item.state in get_args(State)
        assert item.history[-1].state == item.state
        shown = [
            evening.seen("me", f"contribution/{item.number}", item.person),
            evening.seen("moderation", f"contribution/{item.number}"),
        ]
        assert [one["reason"] is not None for one in shown] == [item.state == "returned"] * 2
        assert (item.state == "withdrawn") == (item.text == "")
        assert "withdrawn" not in [step.state for step in item.history[:-1]], "what was taken back has come again"
    assert all(number in items for number in event.supports.given)
    for room in event.rounds.rooms.values():
        assert sum(seat.heads for seat in room.seats.values()) <= room.capacity
        assert not room.devices or at_table(room) in room.seats
    assert event.rounds.tables == {one: room.id for room in event.rounds.rooms.values() for one in room.devices}
    if isinstance(evening, Played):
        assert nonempty(event.supports.given) == nonempty(evening.given), "each person counts once"
    assert list(event.touched.values()) == sorted(event.touched.values()), "who comes back reads from the end"
    for room in event.rounds.rooms.values():
        talking = [*room.hands, *([room.speaker] if room.speaker else [])]
        assert len(set(talking)) == len(talking), "who speaks does not wait"
        assert {*talking} <= {*room.seats, *room.guests}, "who has left speaks"
        assert not (room.closed and talking)


def check_board(evening: Evening) -> None:
    """One thing at a time is on air, and nothing that is not on the board; what is there has a place that is its own."""
    event, results = evening.event, evening.event.results
    board = {key: data for key, data in evening.screen("board").items() if not key.startswith("result/")}
    orders = [data["order"] for data in board.values()]
    assert len(set(orders)) == len(orders)
    headings = {data["number"]: data["order"] for key, data in board.items() if key.startswith("heading/")}
    assert {data["heading"] for data in board.values() if "heading" in data} - {0} == headings.keys() - {0}
    for data in board.values():
        assert data.get("heading") not in headings or headings[data["heading"]] < data["order"]
    if results.on_air is not None:
        assert event.contributions.on_air is None
        assert results.confirmed(results.on_air.room)
        assert not results.on_air.card or results.is_proposal(results.cards[results.on_air.card])
        assert evening.seen("output/main", "on_air")["result"]["text"]


def check_rooms(evening: Evening) -> None:
    """Nobody sits twice, nobody waits who sits, and no room is too full."""
    rounds = evening.event.rounds
    for round in rounds.items.values():
        rooms = [room for room in rounds.of(round) if not room.closed]
        seated = [person for room in rooms for person in room.seats]
        assert len(seated) == len(set(seated)), "two seats in a round"
        assert not set(seated) & set(round.waiting), "who has a seat does not wait"
        for room in rooms:
            assert room.people <= room.capacity, f"{room.id} is too full"
            assert all(seat.role == room.role(person) for person, seat in room.seats.items())
    assert rounds.rooms.keys() == {id for round in rounds.items.values() for id in round.rooms}


def nonempty(given: dict[int, set[str]]) -> dict[int, set[str]]:
    return {number: people for number, people in given.items() if people}


def check_screens(evening: Evening) -> None:
    """No audience is shown a wording that is not for it."""
    items = evening.event.contributions.items.values()
    for channel in ("public", "stage", "output/main"):
        seen = str(evening.screen(channel))
        for item in items:
            assert item.state in PUBLIC or not item.text or item.text not in seen, (channel, item)
            assert item.original is None or item.original not in seen, (channel, item)
    for person in (*PEOPLE, "nobody"):
        seen = str(evening.screen("me", person))
        for item in items:
            assert item.person == person or not item.text or item.text not in seen, (person, item)


CROWDS = ("board", "rooms", "room/1-1", "room/1-3", "registrations", "door", "public", "stage", "output/main", "moderation")
SCREENS = [*((channel, "") for channel in CROWDS), *(("me", person) for person in PEOPLE)]
Shown = dict[tuple[str, str, str], Any]
"""(channel, person, key) → data."""


def screens(evening: Evening) -> Shown:
    """Everything that is on any screen."""
    return {(channel, person, key): data for channel, person in SCREENS for key, data in evening.screen(channel, person).items()}


def check_rung(evening: Evening, before: Shown) -> None:
    """Whatever has changed on a screen was touched, so that it is sent there."""
    rung = {(channel, key) for key in evening.touched for channel in documents.channels_of(evening.event, key)}
    now = screens(evening)
    for channel, person, key in before.keys() | now.keys():
        old, new = before.get((channel, person, key)), now.get((channel, person, key))
        bell = f"me/{person}" if channel == "me" else channel if channel.startswith("room/") else documents.kind(channel)
        name = f"{key}/{person}" if key in ("person", "supports", "seat") else key
        number = documents.counted(key)
        if lasting(old) != lasting(new):
            assert (bell, name) in rung, f"{key} in {channel} has changed: {old} → {new}"
        elif number and counted(old) != counted(new) and channel in ("public", "moderation", "board", "rooms") and key != "on_air":
            assert (bell, number) in rung, f"the numbers of {key} in {channel} have changed"


COUNTED = ("support", "cards", "proposed", "hands", "active", "seen", "of")
"""The numbers that go by a way of their own (`count`)."""


def counted(shown: Any) -> list[Any]:
    return [shown[name] for name in COUNTED if name in shown] if shown else []


def lasting(shown: Any) -> Any:
    """Without those numbers, and without who took a step: that is not sent again when somebody changes their name."""
    if isinstance(shown, dict):
        numbers = {name for name in COUNTED if isinstance(shown.get(name), int)}
        return {name: lasting(value) for name, value in shown.items() if name not in (*numbers, "by")}
    return [lasting(value) for value in shown] if isinstance(shown, list) else shown


def begins(evening: Played, chance: Random) -> None:
    """A round that is running: without it few random evenings would get that far."""
    policy = chance.choice(("chosen", "mixed"))
    evening.play("mona", "round.create", {"title": "Runde", "policy": policy, "come_and_go": True, "rooms": ROOMS(chance)})
    evening.play("mona", "round.open", {"round": 1, "minutes": 20})
    for person in PEOPLE:
        evening.play(person, "room.enter", {"room": chance.choice(("1-1", "1-2"))})
    for card, room in enumerate(("1-1", "1-2"), 1):
        evening.play(chance.choice(PEOPLE), "card.submit", {"room": room, "text": "Mehr Bänke"})
        evening.play("mona", "card.propose", {"card": card})
        evening.play("mona", "summary.draft", {"room": room, "proposed": "Bänke"})
        evening.play("mona", "summary.confirm", {"room": room})


def test_every_command_is_played() -> None:
    assert ARGUMENTS.keys() == COMMANDS.keys()


@pytest.mark.parametrize("theme", BUSY)
def test_random_commands_keep_the_rules_and_replay_to_the_same_state(theme: str) -> None:
    """A failing example is a seed; the commands up to the one that breaks something are printed with it."""
    outcomes: dict[str, Counter[str]] = {name: Counter() for name in COMMANDS}
    states: set[State] = set()

    @settings(max_examples=100)
    @given(st.integers(0, 2**32))
    def play(seed: int) -> None:
        chance, evening = Random(seed), Played()
        for person in PEOPLE:
            evening.play(person, "contribution.submit", {"kind": "idea", "text": "Von Anfang an"})
        if theme == "small groups":
            begins(evening, chance)
        kept, shown = evening.snapshot(), screens(evening)
        for _ in range(100):
            person, name, arguments = drawn(chance, theme)
            outcome = evening.play(person, name, arguments)
            note(f"{person}: {name} {arguments} → {outcome}")
            outcomes[name][outcome] += 1
            assert outcome != "malformed", (name, arguments)
            check(evening)
            check_rooms(evening)
            if outcome == "done":
                check_screens(evening)
                check_rung(evening, shown)
                shown = screens(evening)
            if chance.random() < 0.05:
                evening.now += 400_000
                for timer in timers(evening.event):
                    if timer.at <= evening.now:
                        fired = evening.play(SYSTEM, timer.name, msgspec.to_builtins(timer.command))
                        outcomes[timer.name][fired] += 1
                shown = screens(evening)
            if chance.random() < 0.05:
                kept = evening.snapshot()
            if chance.random() < 0.05:
                evening.event = evening.replayed(kept)  # another process takes over
            states.update(item.state for item in evening.event.contributions.items.values())
        assert same(evening.replayed(), evening.event)
        assert same(evening.replayed(kept), evening.event)

    play()
    ours = {"small groups": GROUPS, "seats": SEATS}
    others = tuple(name for name in COMMANDS if name not in (*GROUPS, *SEATS))
    never = [name for name in ours.get(theme, others) if not outcomes[name]["done"]]
    assert never == [], "the random evenings never did this"
    if theme == "what is said":
        assert states == set(get_args(State)), "the random evenings never came to some states"


@pytest.mark.parametrize("name", COMMANDS)
def test_old_state_and_changes_are_the_state_as_loaded_afresh(name: str) -> None:
    evening = Evening()
    person = SYSTEM if MAY_SEND[name] == (SYSTEM,) else "olga"
    arguments = EXAMPLES[name](evening, person)
    before, rows = evening.snapshot(), len(evening.rows)
    evening.send(person, name, **arguments)

    assert len(evening.rows) == rows + 1, "the example changes nothing"
    assert same(evening.replayed(), evening.event)
    assert same(evening.replayed(before), evening.event)
    assert same(msgspec.msgpack.decode(evening.snapshot(), type=Event), evening.event)


@settings(max_examples=100)
@given(st.lists(st.sampled_from(STEPS), max_size=25))
def test_no_sequence_of_steps_leads_out_of_the_state_machine(names: list[str]) -> None:
    evening = Evening()
    evening.submit()
    for name in names:
        before, may = evening.item().state, evening.seen("moderation", "contribution/1")["may"]
        arguments = {"contribution": 1} | ({"reason": "Bitte kürzer"} if name == "contribution.return" else {})
        try:
            evening.send("mona", name, **arguments)
        except Refused:
            assert name not in may
        else:
            assert name in may
            after = evening.item().state
            if name == "contribution.restore":
                assert after != "on_air", "undo must never put on air"
                assert after != before, "undo must undo something"
            else:
                assert after == TRANSITIONS[name][0]
                assert before in TRANSITIONS[name][1]


# Controls: what the checks are there to see, they see.


def test_the_control_two_on_air_are_seen() -> None:
    evening = Evening()
    first, _ = evening.bring("on_air"), evening.bring("on_air")
    evening.item(first).state = "on_air"
    with pytest.raises(AssertionError):
        check(evening)


def test_the_control_a_wrong_count_is_seen() -> None:
    evening = Evening()
    evening.bring("approved")
    evening.event.contributions.by_state["approved"] += 1
    with pytest.raises(AssertionError):
        check(evening)


def test_the_control_a_leak_is_seen() -> None:
    evening = Evening()
    evening.bring("on_air", text="Gesehen")
    evening.bring("received", text="Gesehen und geheim")
    evening.item(1).text = "Gesehen und geheim"
    with pytest.raises(AssertionError, match="public"):
        check_screens(evening)


def test_the_control_a_change_that_rings_nobody_is_seen() -> None:
    evening = Evening()
    evening.bring("approved")
    before = screens(evening)
    evening.touched = ["queue"]
    evening.item(1).text = "Anders"
    with pytest.raises(AssertionError, match="contribution/1"):
        check_rung(evening, before)


def test_the_control_an_illegal_way_is_seen() -> None:
    evening = Played()
    evening.bring("hidden")
    states = {1: evening.item(1).state}
    evening.item(1).state = "on_air"
    with pytest.raises(AssertionError, match="hidden"):
        evening._moved("contribution.air", states)


def test_the_control_another_order_of_touching_is_another_state() -> None:
    evening = Evening()
    evening.bring("approved")
    other = evening.replayed()
    first = next(iter(other.touched))
    other.touched[first] = other.touched.pop(first)
    assert other == evening.event
    assert not same(other, evening.event)
