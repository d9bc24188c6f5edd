"""The whole life of rounds under random commands of everybody: no room is ever above its capacity, nobody is in two rooms, nobody
who takes part is lost, no seat lies idle while somebody waits, what was said stays, time ends by itself, and the log replays to the
same."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any

import msgspec
import pytest
from hypothesis import given, note, settings
from hypothesis import strategies as st

from moderation.capabilities import timers
from rooms.breakout import MOST, Room, Round, running_round
from rooms.command import SYSTEM, Refused
from rooms.entrance import code_at
from tests.moderation.evening import SECRET, Evening, same

PEOPLE = [f"person {number}" for number in range(9)]
TOPICS = ("", "city", "education")
Happening = tuple[str, str, dict[str, Any]]


class Life(Evening):
    """An event with small groups, under observation. `placed`: who was promised a place in the round that is open."""

    def __init__(self) -> None:
        super().__init__()
        for person in PEOPLE[::2]:
            self.send(person, "person.join", place="hall", code=code_at(SECRET, self.now, 150))
        self.placed: set[str] = set()
        self.cards: dict[int, str] = {}

    def play(self, chance: Random) -> str:
        """One thing that happens; returns what."""
        self.now += chance.choice((0, 1_000, 20_000, 60_000, 300_000))
        person, name, arguments = chance.choice(HAPPENINGS)(self, chance)
        try:
            outcome = self.decide(person, name, **arguments)
        except Refused as refused:
            return f"{name} {refused.code}"
        if outcome.changes:
            self.enter(person, outcome.changes)
        self._promise(person, name, arguments, outcome.result)
        return f"{name} {'done' if outcome.changes else 'nothing to do'}"

    def fire(self) -> None:
        """Every timer that is due, in the order of their times, until none is left."""
        while due := min((timer for timer in timers(self.event) if timer.at <= self.now), key=lambda timer: timer.at, default=None):
            outcome = self.decide(SYSTEM, due.name, **msgspec.to_builtins(due.command))
            assert outcome.changes, f"{due.name} would fire for ever"
            self.enter(SYSTEM, outcome.changes)
            if due.name == "room.release":
                self.placed.discard(msgspec.to_builtins(due.command)["person"])

    def sent_back(self, was_open: Round | None) -> None:
        """Whose room has closed is back in the plenary, as everybody is when the round is over."""
        now_open = running_round(self.event)
        if now_open is None or was_open is None or now_open.number != was_open.number:
            self.placed.clear()
        else:
            self.placed -= {person for room in self.event.rounds.of(now_open) if room.closed for person in room.seats}

    @property
    def rooms(self) -> list[Room]:
        """Every room of every round."""
        return list(self.event.rounds.rooms.values())

    def _promise(self, person: str, name: str, arguments: dict[str, Any], result: dict[str, Any]) -> None:
        open_round = running_round(self.event)
        if name == "round.join" and open_round is not None and open_round.policy != "chosen":
            self.placed.add(person)
        elif name in ("room.leave", "room.release"):
            self.placed.discard(arguments.get("person", person))
        elif name == "card.submit":
            self.cards[result["card"]] = arguments["text"]
        elif name == "card.withdraw":
            self.cards[arguments["card"]] = ""


def a_room(life: Life, chance: Random) -> str:
    return chance.choice(life.rooms).id if life.rooms else "1-1"


def a_round(life: Life, chance: Random) -> int:
    return chance.randint(1, max(1, len(life.event.rounds.items)))


def creates(life: Life, chance: Random) -> Happening:
    rooms = [
        {
            "name": f"Gruppe {number}",
            "capacity": chance.choice((2, 2, 3, 4)),
            "topic": chance.choice(TOPICS),
            "moderators": chance.sample(PEOPLE, chance.choice((0, 0, 1))),
            "note_taker": chance.choice(("", "", PEOPLE[0])),
        }
        for number in range(chance.randint(1, 3))
    ]
    policy = chance.choice(("assigned", "chosen", "mixed"))
    times = {"grace": chance.choice((0, 60)), "hold": chance.choice((10, 300))}
    more = {"policy": policy, "come_and_go": chance.random() < 0.5}
    return "mona", "round.create", {"title": "Runde", "rooms": rooms} | more | times


def joins(life: Life, chance: Random) -> Happening:
    person = chance.choice(PEOPLE)
    apart = "streit" if person in PEOPLE[:3] else ""
    wishes = {"topics": chance.sample(TOPICS[1:], chance.randint(0, 2)), "together": chance.choice(("", "", "familie"))}
    return person, "round.join", wishes | {"apart": apart}


def assigns(life: Life, chance: Random) -> Happening:
    conditions: dict[str, Any] = {name: chance.random() < 0.4 for name in ("topics", "together", "apart", "moderator", "languages")}
    conditions["places"] = chance.choice(("any", "any", "mixed", "apart"))
    by_hand = {chance.choice(PEOPLE): a_room(life, chance)} if chance.random() < 0.3 else {}
    some = chance.sample(PEOPLE, chance.randint(1, 4)) if chance.random() < 0.3 else []
    given: dict[str, Any] = {"round": a_round(life, chance), "conditions": conditions, "seed": chance.randint(0, 9), "people": some}
    return "mona", "round.assign", given | {"by_hand": by_hand, "preview": chance.random() < 0.2}


def binds(life: Life, chance: Random) -> Happening:
    how = chance.choice(("together", "apart", "apart", "free"))
    return "mona", "round.bind", {"how": how, "people": chance.sample(PEOPLE, chance.randint(1, 3))}


def opens(life: Life, chance: Random) -> Happening:
    return "mona", "round.open", {"round": a_round(life, chance)} | chance.choice(({}, {"minutes": 5}, {"minutes": 20}))


def closes(life: Life, chance: Random) -> Happening:
    room = a_room(life, chance)
    return "mona", "round.close", {"round": int(room.partition("-")[0]), "room": room if chance.random() < 0.7 else ""}


def recalls(life: Life, chance: Random) -> Happening:
    return "mona", "round.recall", {"round": a_round(life, chance), "seconds": chance.choice((0, 60))}


def in_room(name: str) -> Any:
    def happens(life: Life, chance: Random) -> Happening:
        room = a_room(life, chance)
        return chance.choice((chance.choice(PEOPLE), insider(life, chance, room), "mona")), name, {"room": room}

    return happens


def moves(life: Life, chance: Random) -> Happening:
    return "mona", "room.move", {"person": chance.choice(PEOPLE), "to": a_room(life, chance)}


def extends(life: Life, chance: Random) -> Happening:
    where: dict[str, Any] = {"room": a_room(life, chance)} if chance.random() < 0.5 else {"round": a_round(life, chance)}
    return chance.choice((*PEOPLE, "mona")), "room.extend", {"minutes": 5} | where


def drops_out(life: Life, chance: Random) -> Happening:
    return SYSTEM, "room.away", {"room": a_room(life, chance), "person": chance.choice(PEOPLE), "away": chance.random() < 0.7}


def guest_drops_out(life: Life, chance: Random) -> Happening:
    return SYSTEM, "room.guest_away", {"room": a_room(life, chance), "person": "mona", "away": chance.random() < 0.5}


def insider(life: Life, chance: Random, id: str) -> str:
    """Mostly somebody who is in the room."""
    inside = [*life.event.rounds.rooms[id].seats] if id in life.event.rounds.rooms else []
    return chance.choice(inside if inside and chance.random() < 0.8 else PEOPLE)


def writes(life: Life, chance: Random) -> Happening:
    room = a_room(life, chance)
    return insider(life, chance, room), "card.submit", {"room": room, "text": f"Gedanke {chance.randint(0, 9)}"}


def on_card(name: str) -> Any:
    def happens(life: Life, chance: Random) -> Happening:
        number = chance.randint(1, max(1, len(life.cards)))
        card = life.event.results.cards.get(number)
        return insider(life, chance, card.room if card else ""), name, {"card": number}

    return happens


def summarises(life: Life, chance: Random) -> Happening:
    room = a_room(life, chance)
    return insider(life, chance, room), "summary.draft", {"room": room, "discussed": f"Satz {chance.randint(0, 9)}"}


HAPPENINGS = (
    creates, *(joins,) * 5, *(assigns,) * 2, binds, *(opens,) * 2, closes, recalls, *(in_room("room.enter"),) * 8,
    *(in_room("room.leave"),) * 2, in_room("room.ask_for_time"), moves, moves, extends, *(drops_out,) * 4,
    *(guest_drops_out,) * 2, *(writes,) * 3, on_card("card.support"), on_card("card.propose"), on_card("card.withdraw"),
    on_card("card.set_aside"), summarises, in_room("summary.submit"), in_room("summary.confirm"),
)  # fmt: skip


def welcome(life: Life, person: str, room: Room) -> bool:
    """Whether nobody is there whom this person must not meet, nor who is elsewhere if hall and home are apart."""
    people, places, bonds = life.event.rounds.people, life.event.attendance.places, life.event.rounds.bonds.values()
    mine = people[person].apart if person in people else ""
    apart = {people[one].apart for one in room.seats if one in people and one not in together(life, person)}
    quarrels = {one for bond in bonds if bond.how == "apart" and person in bond.people for one in bond.people} - {person}
    drawn = life.event.rounds.items[room.round].drawn
    strange = drawn is not None and drawn.places == "apart" and any(places.get(one) != places.get(person) for one in room.seats)
    return (not mine or mine not in apart) and quarrels.isdisjoint(room.seats) and not strange


def together(life: Life, person: str) -> set[str]:
    """Those with whom the organisers want this person, whatever words they have."""
    bonds = life.event.rounds.bonds.values()
    return {one for bond in bonds if bond.how == "together" and person in bond.people for one in bond.people}


def check(life: Life) -> None:
    """What is true at every moment."""
    event = life.event
    for room in life.rooms:
        assert room.free >= 0, f"{room.id} is above its capacity"
        assert room.capacity <= MOST
        assert all(seat.role == room.role(person) for person, seat in room.seats.items())
        assert not {*room.seats} & {*room.guests}, "somebody is there twice"
    for round in event.rounds.items.values():
        sitting = Counter(person for room in event.rounds.of(round) if not room.closed for person in room.seats)
        assert not [person for person, seats in sitting.items() if seats > 1], "somebody sits in two rooms"
        assert not {*round.waiting} & {*sitting}, "somebody waits who has a seat"
        assert len({*round.waiting}) == len(round.waiting)
        if round.state == "open":
            lost = life.placed - {*sitting} - {*round.waiting}
            assert not lost, f"lost: {lost}"
            for person in round.waiting:
                rooms = [room for room in event.rounds.of(round) if room.free > 0 and not room.closed]
                idle = [room.id for room in rooms if welcome(life, person, room)]
                assert not idle, f"{person} waits although there are seats in {idle}"
    held = {
        f"{room.id}/{person}": seat.away_since
        for room in life.rooms
        if not room.closed
        for person, seat in room.seats.items()
        if seat.away_since is not None
    }
    assert event.rounds.away == held
    assert {number: card.text for number, card in event.results.cards.items()} == life.cards, "what was said stays"
    assert sum(round.state == "open" for round in event.rounds.items.values()) <= 1


def test_rounds_live_and_end_under_random_commands() -> None:
    happened: Counter[str] = Counter()

    @settings(max_examples=200)
    @given(st.integers(0, 2**32))
    def play(seed: int) -> None:
        chance, life = Random(seed), Life()
        kept = life.snapshot()
        for _ in range(120):
            was_open = running_round(life.event)
            what = life.play(chance)
            note(what)
            happened[what] += 1
            life.fire()
            life.sent_back(was_open)
            check(life)
            if chance.random() < 0.03:
                kept = life.snapshot()
            if chance.random() < 0.05:
                life.event = life.replayed()  # another process takes over
        assert same(life.replayed(), life.event)
        assert same(life.replayed(kept), life.event)
        _ends_by_itself(life)

    play()
    for name in dict.fromkeys(name for what in happened for name in [what.partition(" ")[0]]):
        assert happened[f"{name} done"], f"the random evenings never did {name}"
    for refusal in ("room.enter room_full", "room.enter not_your_room", "room.enter round_closed", "card.submit not_your_room"):
        assert happened[refusal], refusal


def _ends_by_itself(life: Life) -> None:
    """Everybody has lost their network: what has an end, ends."""
    round: Round | None = running_round(life.event)
    if round is None:
        return
    timed = [room.id for room in life.event.rounds.of(round) if room.ends_at is not None or round.ends_at is not None]
    life.now += 24 * 3_600_000
    life.fire()
    assert all(life.event.rounds.rooms[id].closed for id in timed)
    assert round.ends_at is None or running_round(life.event) is None


def test_the_control_without_the_cap_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    """The check is worth something: rooms that always find one more seat are noticed."""
    life = Life()
    life.send("mona", "round.create", title="Runde", rooms=[{"name": "A", "capacity": 2}], policy="chosen")
    life.send("mona", "round.open", round=1)
    with monkeypatch.context() as patched:
        patched.setattr(Room, "free", property(lambda room: 1))
        for person in PEOPLE[:3]:
            life.send(person, "room.enter", room="1-1")
    with pytest.raises(AssertionError, match="above its capacity"):
        check(life)
