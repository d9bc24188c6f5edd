"""For any interleaving of registrations, cancellations, confirmations and postponements, by any way: never more people than seats,
in order of arrival, nobody lost, and the log replays to the same state."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
from hypothesis import given, note, settings
from hypothesis import strategies as st

from moderation.capabilities import AnyChange, forgotten, timers
from rooms.command import SYSTEM, Change, Refused
from rooms.programme import ms
from rooms.register import LIVE, CheckedIn, Registration, Seated, token
from tests.moderation.evening import PROGRAMME, Evening, same

STARTS = ("2020-08-31T18:00:00+02:00", "2020-10-08T18:00:00+02:00", "2020-10-08T19:00:00+02:00")
HALL: dict[str, Any] = {
    "seats": 5, "deadline": "2020-10-07T23:59:00+02:00", "party": 3, "keyword": "Saal",
    "reserved": {"wheelchair": 1, "off_camera": 1}, "consents": ["picture"],
}  # fmt: skip
CONFERENCE: dict[str, Any] = {"seats": 2, "deadline": "2020-10-07T23:59:00+02:00", "party": 1}
_READ, _WRITE = msgspec.json.Decoder(list[AnyChange]), msgspec.json.Encoder()


class Registering(Evening):
    """An event that people register for, under observation. The log forgets as the real one does."""

    def __init__(self) -> None:
        super().__init__("registration", starts=STARTS[0], ends=STARTS[0], places={"hall": HALL, "conference": CONFERENCE})
        self.facts = {"starts": STARTS[0], "hall": 5}
        self.forget: set[int] = set()

    def play(self, chance: Random) -> str:
        """One thing that happens; returns what."""
        self.now += chance.choice((0, 1_000, 60_000, 3_600_000, 24 * 3_600_000))
        person, name, arguments = chance.choice(HAPPENINGS)(self, chance)
        before = {item.number: (item.status, item.order) for item in self.items}
        try:
            outcome = self.decide(person, name, **arguments)
        except Refused as refused:
            return f"{name} {refused.code}"
        if outcome.changes:
            self.forget.update(outcome.forget)
            self.enter(person, outcome.changes)
            self.names.update(outcome.names)
            self._in_order(outcome.changes, before, name)
        self._forgotten()
        return f"{name} done"

    @property
    def items(self) -> list[Registration]:
        """All registrations."""
        return list(self.event.registrations.items.values())

    def resized(self) -> bool:
        """Whether seats were added that the timer has not given yet."""
        return any(timer.name == "registration.settle" for timer in timers(self.event))

    def _forgotten(self) -> None:
        for seq in self.forget:
            at, by, changes = self.rows[seq - 1]
            self.rows[seq - 1] = at, by, _WRITE.encode([forgotten(change) for change in _READ.decode(changes)])
        self.forget.clear()

    def _in_order(self, changes: list[Change], before: dict[int, Any], name: str) -> None:
        """Whoever was seated came before all who still wait for those seats; but at the door, where who is there comes first."""
        at_door = any(isinstance(change, CheckedIn) for change in changes)
        if name == "registration.correct" or at_door:
            return
        for change in changes:
            if isinstance(change, Seated):
                item = self.event.registrations.items[change.number]
                places = self.event.programme.places[item.place]
                for other in self.items:
                    if (other.status, other.place) == ("waiting", item.place) and change.pool in places.pools(other.contingent):
                        assert item.order < other.order, f"{item.number} has overtaken {other.number}"


def of(registering: Registering, chance: Random) -> int:
    return chance.randint(1, max(1, len(registering.items)))


def submits(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    way = chance.choice(("web", "web", "phone", "email", "desk"))
    staff: dict[str, Any] = {} if way == "web" else {"way": way}
    if staff and chance.random() < 0.5:
        staff["arrived_at"] = f"2020-08-20T{chance.randint(6, 18):02}:{chance.randint(0, 59):02}:00+02:00"
    if staff and chance.random() < 0.1:
        staff = {"present": True}
    return (
        "anna" if not staff else "hilde",
        "registration.submit",
        {
            "place": chance.choice(("hall", "hall", "conference")),
            "name": "Jule",
            "email": f"{chance.randint(1, 60)}@example.org",
            "party": chance.choice((1, 1, 1, 2, 3)),
            "consents": ["picture"],
            "contingent": chance.choice(("", "", "", "wheelchair", "off_camera")),
        }
        | staff,
    )


def mails(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    letter = {"name": "Kai", "email": f"{chance.randint(1, 60)}@example.org", "subject": "Saal", "arrived": registering.now - 1_000}
    return SYSTEM, "mail.receive", letter | {"text": chance.choice(("", "2 Personen")), "message": f"<{chance.randint(1, 99)}@x>"}


def owner(command: str) -> Any:
    def happening(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
        number = of(registering, chance)
        return "anna", f"registration.{command}", {"registration": number, "token": token(registering.event, number)}

    return happening


def corrects(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    contingent = chance.choice(("", "wheelchair"))
    email = f"{chance.randint(1, 60)}@example.org"
    change = chance.choice(({"party": chance.randint(1, 3)}, {"contingent": contingent}, {"arrived_at": "07:00"}, {"email": email}))
    return "olga", "registration.correct", {"registration": of(registering, chance)} | change


def moves(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    return "olga", "registration.move", {"registration": of(registering, chance), "to": chance.choice(("hall", "conference"))}


def comes(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    return "hilde", "registration.check_in", {"registration": of(registering, chance), "here": chance.random() < 0.8}


def due(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    for timer in timers(registering.event):
        if timer.at <= registering.now:
            return SYSTEM, timer.name, msgspec.to_builtins(timer.command)
    return SYSTEM, "registration.settle", {}


def changes_facts(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    facts = registering.facts | chance.choice(({"starts": chance.choice(STARTS)}, {"hall": chance.choice((4, 5, 6, 8))}))
    places = {"hall": HALL | {"seats": facts["hall"]}, "conference": CONFERENCE}
    registering.facts = facts
    starts = facts["starts"]
    return SYSTEM, "event.configure", {"programme": PROGRAMME | {"starts": starts, "ends": starts, "places": places}}


def postpones(registering: Registering, chance: Random) -> tuple[str, str, dict[str, Any]]:
    return "olga", "registration.postpone", {}


HAPPENINGS = (
    *(submits,) * 8, mails, mails, *(owner("cancel"),) * 3, *(owner("confirm"),) * 3, owner("erase"), corrects, corrects, moves,
    comes, *(due,) * 4, changes_facts, postpones,
)  # fmt: skip


def check(registering: Registering) -> None:
    """What is true at every moment."""
    event, items = registering.event, registering.items
    assert [item.number for item in items] == list(range(1, len(items) + 1)), "somebody is lost"
    for name, place in event.programme.places.items():
        line = event.registrations.lines.get(name)
        if line is None:
            continue
        here = [item for item in items if item.place == name]
        for pool in ("", *place.reserved):
            people = sum(item.party for item in here if item.status == "seated" and item.pool == pool)
            assert people == line.taken.get(pool, 0), (name, pool)
            assert people <= place.size(pool), f"{name} is oversold"
        for contingent in ("", *place.reserved):
            waits = sorted(item.order for item in here if item.status == "waiting" and item.contingent == contingent)
            assert line.waiting.get(contingent, []) == waits
        if registering.now < ms(event.programme.starts) and not registering.resized():
            assert not list(line.copy().settle(place, lambda number: event.registrations.items[number].party)), "a seat lies idle"
    known = Counter(contact for item in items if item.status in LIVE for contact in item.contacts.values())
    assert known == Counter(dict.fromkeys(event.registrations.by_contact, 1)), "nobody is in twice"
    waiting_for = {item.number: item.confirm_by for item in items if item.confirm_by is not None}
    assert event.registrations.to_confirm == waiting_for
    for item in items:
        assert item.status != "seated" or item.erased is False
        told = [event.messages.items[number].kind for number in event.messages.of.get(f"registration/{item.number}", ())]
        assert not item.contacts or told, f"{item.number} was told nothing"
        if item.status == "waiting" and item.contacts:
            assert "waiting" in told or any(step.what in ("back", "moved") for step in item.history)


def test_seats_are_never_oversold_and_go_in_order_of_arrival() -> None:
    happened: Counter[str] = Counter()

    @settings(max_examples=80)
    @given(st.integers(0, 2**32))
    def play(seed: int) -> None:
        chance, registering = Random(seed), Registering()
        kept = registering.snapshot()
        for _ in range(120):
            what = registering.play(chance)
            note(what)
            happened[what] += 1
            check(registering)
            if chance.random() < 0.03:
                kept = registering.snapshot()
            if chance.random() < 0.05:
                registering.event = registering.replayed()  # another process takes over
        assert same(registering.replayed(), registering.event)
        if not any(item.erased for item in registering.items):
            # A snapshot of before somebody was forgotten is thrown away with them.
            assert same(registering.replayed(kept), registering.event)

    play()
    for name in ("submit", "cancel", "confirm", "erase", "correct", "move", "check_in", "lapse", "settle", "postpone"):
        assert happened[f"registration.{name} done"], f"the random evenings never did {name}"
    assert happened["registration.submit already_registered"]
    assert happened["mail.receive done"]


def test_the_control_without_the_order_is_found() -> None:
    """The check is worth something: a line that lets somebody overtake breaks it."""
    registering = Registering()
    for number in range(1, 8):
        given = {"place": "hall", "name": "Jule", "email": f"{number}@example.org", "consents": ["picture"]}
        registering.send("anna", "registration.submit", **given)
    line = registering.event.registrations.lines["hall"]
    overtaken = line.waiting[""][0]
    line.waiting[""] = [*line.waiting[""][1:], overtaken]
    try:
        registering._in_order(registering.decide("olga", "registration.cancel", registration=1).changes, {}, "registration.cancel")
    except AssertionError as found:
        assert "has overtaken" in str(found)
    else:
        raise AssertionError("nobody noticed")
    line.taken[""] += 1
    try:
        check(registering)
    except AssertionError:
        return
    raise AssertionError("nobody noticed")

