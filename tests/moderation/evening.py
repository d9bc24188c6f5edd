"""An evening in memory: the rules alone, with the log that they write. For the tests of rooms/ and moderation/."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

import msgspec
import pytest

from moderation import documents
from moderation.capabilities import AnyChange, apply, decide, parse
from moderation.event import Event
from moderation.roles import actor, hashed
from rooms.breakout import tag
from rooms.command import SYSTEM, Actor, Change, Outcome, Refused
from rooms.contributions import Contribution, State
from rooms.entrance import code_at
from rooms.register import token
from rooms.tables import code

SECRET = "geheim"
NOW = 1_597_941_720_000
"""20 August 2020, 18:42 in Krefeld, in ms."""
STATES: tuple[State, ...] = get_args(State)
STAFF = {"mona": "moderator", "olga": "organiser", "oskar": "operator", "hilde": "helper"}
"""Person → role. Anna, Bilal and everybody else have none."""
PROGRAMME: dict[str, Any] = {
    "slug": "abend",
    "title": {"de": "Abend", "en": "Evening"},
    "starts": "2020-08-20T20:00:00+02:00",
    "ends": "2020-08-20T22:00:00+02:00",
    "topics": [{"id": topic, "title": {"de": topic.title()}} for topic in ("city", "education")],
    "places": {
        "hall": {"seats": 3, "keyword": "Abend", "deadline": "2020-08-20T22:00:00+02:00", "consents": ["picture"]},
        "conference": {"seats": 2, "reserved": {"press": 1}, "optional_consents": ["name"]},
    },
    "agenda": [{"at": "18:10", "title": {"de": "Begrüßung"}, "speaker": "Die Bürgermeisterin"}],
}

_PACK, _UNPACK = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Event)
_WRITE, _READ = msgspec.json.Encoder(), msgspec.json.Decoder(list[AnyChange])


class Evening:
    """An event, and everything that was decided about it. `now` goes on by a second with every command."""

    def __init__(self, phase: str = "live", **facts: Any) -> None:
        self.event = Event("abend", SECRET)
        self.rows: list[tuple[int, str, bytes]] = []
        self.names: dict[str, str] = {}
        self.now = NOW
        self.touched: list[str] = []
        self.send(SYSTEM, "event.configure", programme=PROGRAMME | facts)
        for person, role in STAFF.items():
            self.send(SYSTEM, "link.create", role=role, token_hash=hashed(person))
            self.send(person, "link.redeem", token=person)
        if phase != "draft":
            self.send(SYSTEM, "event.advance", phase=phase)

    def decide(self, person: str, command: str, /, **arguments: Any) -> Outcome:
        """What would follow. Raises Refused. Deciding must change nothing."""
        before = _PACK.encode(self.event)
        who = Actor(SYSTEM, frozenset({SYSTEM})) if person == SYSTEM else actor(self.event, person)
        try:
            return decide(self.event, who, command, parse(command, _WRITE.encode(arguments)), self.now)
        finally:
            assert _PACK.encode(self.event) == before, f"deciding {command} has changed the state"

    def send(self, person: str, command: str, /, **arguments: Any) -> dict[str, Any]:
        """The command's result, after it was logged. Raises Refused."""
        self.now += 1_000
        outcome = self.decide(person, command, **arguments)
        self.touched = []
        if outcome.changes:
            self.enter(person, outcome.changes)
            self.names.update(outcome.names)
        return outcome.result

    def enter(self, person: str, changes: list[Change]) -> None:
        """One row of the log."""
        self.rows.append((self.now, person, _WRITE.encode(changes)))
        self.touched = apply(self.event, len(self.rows), self.now, person, changes)

    def refused(self, person: str, command: str, /, **arguments: Any) -> Refused:
        """The refusal of a command that must not happen."""
        with pytest.raises(Refused) as caught:
            self.send(person, command, **arguments)
        return caught.value

    def submit(self, person: str = "anna", /, text: str = "Mehr Bänke am Westwall", **more: Any) -> int:
        """The number of a new contribution."""
        number: int = self.send(person, "contribution.submit", **({"kind": "idea", "text": text} | more))["contribution"]
        return number

    def bring(self, state: State, person: str = "anna", /, **more: Any) -> int:
        """The number of a new contribution that has come to this state by the way that is usual."""
        number = self.submit(person, **more)
        for command in WAYS[state]:
            self.send(person if command == "contribution.withdraw" else "mona", command, **step(command, number))
        assert self.item(number).state == state
        return number

    def item(self, number: int = 1) -> Contribution:
        """The contribution with this number."""
        return self.event.contributions.items[number]

    def seen(self, channel: str, key: str, person: str = "") -> Any:
        """A document's data, as this audience gets them; None if it does not see it."""
        return documents.data(self.event, self.names, channel, key, "de", person)

    def screen(self, channel: str, person: str = "") -> dict[str, Any]:
        """Everything that this audience sees."""
        keys = documents.keys(self.event, channel, person)
        return {key: self.seen(channel, key, person) for key in keys}

    def replayed(self, since: bytes | None = None) -> Event:
        """The state that another process reads from the log, or from a snapshot and the rest of the log."""
        event = Event("abend", SECRET) if since is None else _UNPACK.decode(since)
        for seq, (at, person, changes) in enumerate(self.rows, 1):
            if seq > event.seq:
                apply(event, seq, at, person, _READ.decode(changes))
        return event

    def snapshot(self) -> bytes:
        """The state as the log keeps it."""
        return _PACK.encode(self.event)


WAYS: dict[State, tuple[str, ...]] = {
    "received": (),
    "approved": ("contribution.approve",),
    "shortlisted": ("contribution.approve", "contribution.shortlist"),
    "on_air": ("contribution.approve", "contribution.shortlist", "contribution.air"),
    "answered": ("contribution.approve", "contribution.shortlist", "contribution.air", "contribution.answer"),
    "returned": ("contribution.return",),
    "hidden": ("contribution.approve", "contribution.hide"),
    "withdrawn": ("contribution.withdraw",),
}
"""State → how a contribution gets there."""


def step(command: str, number: int) -> dict[str, Any]:
    """The arguments of a command about a contribution."""
    more = {"contribution.return": {"reason": "Bitte ohne Namen Dritter"}, "contribution.edit": {"text": "Mehr Bänke im Park"}}
    return {"contribution": number} | more.get(command, {})


def same(one: Event, other: Event) -> bool:
    """Equal, and the documents in the same order: who comes back is answered from the end of `touched`."""
    return one == other and list(one.touched.items()) == list(other.touched.items())


Example = Callable[[Evening, str], dict[str, Any]]
"""Prepares an evening; returns the arguments with which the rules accept the command from this person, if the role allows it."""


def _about(state: State, command: str, *, own: bool = False) -> Example:
    return lambda evening, person: step(command, evening.bring(state, person if own else "anna"))


def _supported(evening: Evening, person: str) -> dict[str, Any]:
    number = evening.bring("approved")
    evening.send(person, "support.give", contribution=number)
    return {"contribution": number}


def _linked(evening: Evening, person: str) -> dict[str, Any]:
    evening.send(SYSTEM, "link.create", role="helper", token_hash=hashed("fresh"))
    return {"token": "fresh"}


REGISTERING: dict[str, Any] = {"place": "hall", "name": "Jule Jansen", "email": "jule@example.org", "consents": ["picture"]}


def _registered(**more: Any) -> Example:
    def example(evening: Evening, person: str) -> dict[str, Any]:
        result = evening.send("anna", "registration.submit", **REGISTERING)
        return {"registration": result["number"], "token": result["token"]} | more

    return example


def _numbered(**more: Any) -> Example:
    return lambda evening, person: {"registration": evening.send("anna", "registration.submit", **REGISTERING)["number"]} | more


def _waiting(evening: Evening) -> None:
    """Three sit in the hall, and a fourth waits."""
    for name in ("eins", "zwei", "drei", "vier"):
        evening.send(name, "registration.submit", **REGISTERING | {"email": f"{name}@example.org"})


def _running_out(evening: Evening, person: str) -> dict[str, Any]:
    _waiting(evening)
    evening.send("olga", "registration.cancel", registration=1)
    by = evening.event.registrations.items[4].confirm_by
    assert by is not None
    evening.now = by
    return {"registration": 4, "confirm_by": by}


def _larger(evening: Evening, person: str) -> dict[str, Any]:
    _waiting(evening)
    hall = PROGRAMME["places"]["hall"] | {"seats": 4}
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | {"places": PROGRAMME["places"] | {"hall": hall}})
    return {}


def _postponed(evening: Evening, person: str) -> dict[str, Any]:
    evening.send("anna", "registration.submit", **REGISTERING)
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | {"starts": "2020-10-08T20:00:00+02:00"})
    return {}


def _withdrawn(evening: Evening, person: str) -> dict[str, Any]:
    given = _registered(purpose="picture")(evening, person)
    evening.send("anna", "registration.withdraw_consent", **given)
    return given


def _told(*steps: str, way: str = "email") -> Example:
    """A message that has come so far: claimed, failed."""

    def example(evening: Evening, person: str) -> dict[str, Any]:
        contact = {"email": None, "phone": "02305 1060"} if way == "phone" else {}
        evening.send("anna", "registration.submit", **{k: v for k, v in (REGISTERING | contact).items() if v})
        for step in steps:
            more = {"state": "failed"} if step == "report" else {}
            evening.send(SYSTEM, f"message.{step}", message=1, **more)
        return {"message": 1}

    return example


LETTER: dict[str, Any] = {
    "name": "Jule Jansen", "email": "jule@example.org", "subject": "Anmeldung", "text": "Stichwort Abend",
    "arrived": NOW, "message": "<1@x>",
}  # fmt: skip


def _mailed(evening: Evening, person: str) -> dict[str, Any]:
    evening.send(SYSTEM, "mail.receive", **LETTER)
    return {"mail": 1, "open": True}


ROUND: dict[str, Any] = {
    "title": "Erste Runde", "policy": "mixed", "come_and_go": True,
    "rooms": [{"name": "Verkehr"}, {"name": "Schule", "capacity": 5}],
}  # fmt: skip


def _round(*steps: str, **more: Any) -> Example:
    """A round that has come so far."""

    def example(evening: Evening, person: str) -> dict[str, Any]:
        evening.send("mona", "round.create", **ROUND | more)
        evening.send("anna", "round.join")
        for step in steps:
            evening.send("mona", step, round=1, **({"minutes": 20} if step == "round.open" else {}))
        return {"round": 1}

    return example


def _inside(evening: Evening, person: str, *, leads: bool = False) -> dict[str, Any]:
    rooms = [ROUND["rooms"][0] | ({"moderators": [person]} if leads else {}), ROUND["rooms"][1]]
    given = _round("round.open", rooms=rooms)(evening, person)
    evening.send(person, "room.enter", room="1-1")
    return given


def _table(evening: Evening, person: str) -> dict[str, Any]:
    """A round of tables that is open, with what is on the card of the first."""
    evening.send("mona", "round.create", title="Tische", rooms=[{"name": "Tisch 1", "capacity": 8, "table": True}])
    evening.send("mona", "round.open", round=1)
    return {"room": "1-1", "heads": 3, "code": code(evening.event, 1)}


def _shared(evening: Evening, person: str) -> dict[str, Any]:
    """Four share a device at the first table, and two of them have said their names."""
    evening.send(person, "room.seat_table", **_table(evening, person) | {"heads": 4, "names": ["Jule", "Kai"]})
    return {"room": "1-1"}


def _pinned(evening: Evening, person: str) -> dict[str, Any]:
    """Staff are only guests unless they lead the room."""
    _inside(evening, person, leads=person in STAFF)
    evening.send(person, "card.submit", room="1-1", text="Mehr Bänke")
    return {"card": 1}


def _raised(evening: Evening, person: str) -> dict[str, Any]:
    _inside(evening, person, leads=person in STAFF)
    evening.send(person, "room.raise_hand", room="1-1")
    return {"room": "1-1"}


def _said(evening: Evening, person: str) -> dict[str, Any]:
    _inside(evening, person)
    return {"message": evening.send(person, "chat.send", room="1-1", text="Hallo zusammen")["message"]}


def _summed(evening: Evening, person: str) -> dict[str, Any]:
    _inside(evening, person, leads=person in STAFF)
    evening.send(person, "summary.draft", room="1-1", proposed="Mehr Bänke")
    return {"room": "1-1"}


def _left_over(evening: Evening, person: str) -> dict[str, Any]:
    """A room is over, and nobody has confirmed what it has written."""
    _inside(evening, "anna")
    evening.send("anna", "summary.draft", room="1-1", proposed="Mehr Bänke")
    evening.send("mona", "round.close", round=1)
    return {"room": "1-1"}


def _confirmed(evening: Evening, person: str) -> dict[str, Any]:
    """A room's results on the board, with one proposal."""
    _inside(evening, "anna")
    evening.send("anna", "card.submit", room="1-1", text="Mehr Bänke")
    evening.send("anna", "card.propose", card=1)
    evening.send("anna", "summary.draft", room="1-1", proposed="Mehr Bänke")
    evening.send("anna", "summary.confirm", room="1-1")
    return {"card": 1}


def _backed(evening: Evening, person: str) -> dict[str, Any]:
    evening.send(person, "proposal.support", **_confirmed(evening, person))
    return {"card": 1, "on": False}


def _two_proposals(evening: Evening, person: str) -> dict[str, Any]:
    _confirmed(evening, person)
    evening.send("anna", "card.submit", room="1-1", text="Mehr Bäume")
    evening.send("anna", "card.propose", card=2)
    return {"card": 1, "steps": 1}
def _calling(evening: Evening, person: str) -> dict[str, Any]:
    _inside(evening, person)
    evening.send(person, "room.ask_for_help", room="1-1", why="Wir kommen nicht weiter")
    return {"room": "1-1"}


def _told_all(evening: Evening, person: str) -> dict[str, Any]:
    _inside(evening, person, leads=person in STAFF)
    evening.send("mona", "announcement.send", text="Noch zehn Minuten")
    return {"announcement": 1}


def _held(evening: Evening, person: str) -> dict[str, Any]:
    _inside(evening, "anna")
    evening.send(SYSTEM, "room.away", room="1-1", person="anna", away=True)
    since = evening.now
    evening.now += 300_000
    return {"room": "1-1", "person": "anna", "away_since": since}


def _visited(evening: Evening, person: str) -> dict[str, Any]:
    """Mona visits a room, and her page is open there."""
    _inside(evening, "anna")
    evening.send("mona", "room.enter", room="1-1")
    evening.send(SYSTEM, "room.guest_away", room="1-1", person="mona", away=False)
    return {"room": "1-1", "person": "mona", "away": True}


def _gone(evening: Evening, person: str) -> dict[str, Any]:
    evening.send(SYSTEM, "room.guest_away", **_visited(evening, person))
    since = evening.now
    evening.now += 60_000
    return {"room": "1-1", "person": "mona", "gone_since": since}


EXAMPLES: dict[str, Example] = {
    "event.configure": lambda evening, person: {"programme": PROGRAMME | {"premoderation": False}},
    "event.advance": lambda evening, person: {"phase": "closed"},
    "person.join": lambda evening, person: {"place": "hall", "code": code_at(SECRET, evening.now, 150), "name": "Jule"},
    "contribution.submit": lambda evening, person: {"kind": "wish", "text": "Mehr Grün", "topic": "city", "name": "Jule"},
    "contribution.edit": _about("approved", "contribution.edit", own=True),
    "contribution.withdraw": _about("approved", "contribution.withdraw", own=True),
    "contribution.approve": _about("received", "contribution.approve"),
    "contribution.return": _about("received", "contribution.return"),
    "contribution.shortlist": _about("approved", "contribution.shortlist"),
    "contribution.air": _about("shortlisted", "contribution.air"),
    "contribution.answer": _about("on_air", "contribution.answer"),
    "contribution.hide": _about("approved", "contribution.hide"),
    "contribution.restore": _about("on_air", "contribution.restore"),
    "support.give": _about("approved", "support.give"),
    "support.withdraw": _supported,
    "registration.submit": lambda evening, person: REGISTERING,
    "registration.confirm": lambda evening, person: {"registration": _running_out(evening, person)["registration"]}
    | {"token": token(evening.event, 4)},
    "registration.cancel": _registered(),
    "registration.erase": _registered(),
    "registration.correct": _registered(name="Jule Janssen"),
    "registration.move": _numbered(to="conference"),
    "registration.check_in": _numbered(),
    "registration.withdraw_consent": _registered(purpose="picture"),
    "registration.give_consent": _withdrawn,
    "registration.enter": _registered(),
    "registration.lapse": _running_out,
    "registration.settle": _larger,
    "registration.postpone": _postponed,
    "message.send": lambda evening, person: {"kind": "reminder"},
    "message.claim": _told(),
    "message.report": lambda evening, person: _told("claim")(evening, person) | {"state": "sent"},
    "message.test": lambda evening, person: {"kind": "seated", "email": "olga@example.org"},
    "message.retry": _told("claim", "report"),
    "message.told": _told(way="phone"),
    "mail.receive": lambda evening, person: LETTER,
    "mail.settle": _mailed,
    "round.create": lambda evening, person: ROUND,
    "round.join": lambda evening, person: {"topics": ["city"]},
    "round.assign": _round(),
    "round.bind": lambda evening, person: _round()(evening, person) and {"people": ["anna", "mona"], "how": "apart"},
    "round.open": _round(),
    "round.close": _round("round.open"),
    "round.recall": _round("round.open"),
    "round.copy": lambda evening, person: _round()(evening, person) | {"title": "Zweite Runde"},
    "round.edit": lambda evening, person: _round()(evening, person) | {"title": "Runde eins"},
    "round.remove": _round(),
    "room.add": lambda evening, person: _round()(evening, person) | {"rooms": [{"name": "Sport"}]},
    "room.edit": lambda evening, person: _round()(evening, person) and {"room": "1-1", "name": "Sport"},
    "room.remove": lambda evening, person: _round()(evening, person) and {"room": "1-1"},
    "room.enter": lambda evening, person: _round("round.open")(evening, person) and {"room": "1-2"},
    "room.leave": lambda evening, person: _inside(evening, person) and {"room": "1-1"},
    "room.move": lambda evening, person: _inside(evening, "anna") and {"person": "anna", "to": "1-2"},
    "room.extend": lambda evening, person: _inside(evening, person, leads=True) and {"room": "1-1", "minutes": 5},
    "room.ask_for_time": lambda evening, person: _inside(evening, person) and {"room": "1-1"},
    "room.ask_for_help": lambda evening, person: _inside(evening, person) and {"room": "1-1", "why": "Streit"},
    "room.claim_help": _calling,
    "room.end_help": _calling,
    "announcement.send": lambda evening, person: _inside(evening, "anna") and {"text": "Noch zehn Minuten", "rooms": ["1-1"]},
    "announcement.withdraw": _told_all,
    "announcement.seen": _told_all,
    "room.seat_table": _table,
    "room.renew_code": lambda evening, person: _shared(evening, "anna"),
    "room.forget_names": _shared,
    "card.submit": lambda evening, person: _inside(evening, person) and {"room": "1-1", "text": "Mehr Bänke"},
    "card.edit": lambda evening, person: _pinned(evening, person) | {"text": "Mehr Bänke am Ring"},
    "card.withdraw": lambda evening, person: _pinned(evening, person),
    "card.group": lambda evening, person: _pinned(evening, person) and {"cards": [1], "name": "Bänke"},
    "card.order": lambda evening, person: _pinned(evening, person) and _pinned(evening, person) | {"steps": 1},
    "card.support": lambda evening, person: _pinned(evening, person),
    "card.propose": lambda evening, person: _pinned(evening, person),
    "card.set_aside": lambda evening, person: _pinned(evening, person),
    "summary.draft": lambda evening, person: _inside(evening, person, leads=person in STAFF)
    and {"room": "1-1", "proposed": "Mehr Bänke"},
    "summary.submit": lambda evening, person: _summed(evening, person),
    "summary.confirm": lambda evening, person: _summed(evening, person),
    "summary.set_aside": _left_over,
    "summary.air": lambda evening, person: _confirmed(evening, person) and {"room": "1-1"},
    "proposal.support": _backed,
    "proposal.group": lambda evening, person: _confirmed(evening, person) and {"cards": [1], "title": "Im Freien"},
    "proposal.order": _two_proposals,
    "proposal.air": _confirmed,
    "room.raise_hand": lambda evening, person: _inside(evening, person) and {"room": "1-1"},
    "room.lower_hand": lambda evening, person: _raised(evening, person) | {"person": tag(evening.event, person)},
    "room.give_floor": lambda evening, person: _raised(evening, person) | {"person": tag(evening.event, person)},
    "chat.send": lambda evening, person: _inside(evening, person) and {"room": "1-1", "text": "Hallo zusammen"},
    "chat.remove": _said,
    "room.away": lambda evening, person: _inside(evening, "anna") and {"room": "1-1", "person": "anna", "away": True},
    "room.release": _held,
    "room.guest_away": _visited,
    "room.end_visit": _gone,
    "event.retain": lambda evening, person: _registered()(evening, person) and {"early": True},
    "link.create": lambda evening, person: {"role": "overlay", "token_hash": hashed("overlay"), "name": "main"},
    "link.redeem": _linked,
    "link.revoke": lambda evening, person: {"role": "helper"},
}
"""Every command, in a way that is accepted."""


HOSTILE = {
    "markup": '<script>alert(1)</script><img src=x onerror=alert(2)> & "quotes" \'',
    "right-to-left override": "Zahlen Sie \u202e001\u202c Euro",
    "isolates and marks": "\u2066a\u2069\u200eb\u200f\u061cc",
    "zero-width": "Spar\u200bkasse\ufeff und\u2060 mehr\u180e",
    "zalgo": "Z" + "\u0300\u0489\u0337\u031b" * 20 + "algo ist da",
    "fillers": "\u3164\u115f\u1160\uffa0 Hallo Welt",
    "tags": "Gruß" + "".join(chr(0xE0000 + ord(letter)) for letter in "geheim"),
    "controls": "Kli\x00ngel\x07n \x1b[31mrot\x9b1m",
    "replacement": "Bild \ufffc hier \ufff9an\ufffano\ufffb",
    "family emoji": "\U0001f468\u200d\U0001f469\u200d\U0001f467\u200d\U0001f466" * 1_000,
    "lines": "eins\n\n\n\n\n\n\nzwei\u2028drei\r\nvier\rfünf",
    "one long word": "x" * 1_000,
}
"""What somebody may send to deceive the eye or to break a screen."""
