"""Random commands by random people never break an invariant, and replaying the log gives the same state."""

from __future__ import annotations

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moderation import documents
from moderation.capabilities import COMMANDS, AnyChange, apply, decide, parse
from moderation.event import Event
from moderation.queue import TRANSITIONS
from moderation.roles import actor, hashed
from rooms.command import SYSTEM, Actor, Change, Refused
from rooms.contributions import PUBLIC, State
from rooms.entrance import code_at
from rooms.programme import PHASES

NOW = 1_597_939_200_000
SECRET = "geheim"
PEOPLE = ("anna", "bilal", "cem", "dora")
STAFF = {"mona": "moderator", "olga": "organiser", "oskar": "operator", "hilde": "helper"}
TOPICS = ("city", "education")
TOKENS = ("token-a", "token-b")
NUMBERS = st.integers(1, 6)
STATES = st.sampled_from(get_args(State))
TEXTS = st.sampled_from(["Mehr Bänke", "Glasfaser!", "ab", "x" * 1001, "<b>fett</b>", "Radweg am Kanal \u202e"])
PROGRAMME = {
    "slug": "abend",
    "title": {"de": "Abend"},
    "starts": "2020-08-20T18:00:00+02:00",
    "ends": "2020-08-20T20:00:00+02:00",
    "topics": [{"id": topic, "title": {"de": topic}} for topic in TOPICS],
}


def optional(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    """Arguments of which each may be left out."""
    return st.fixed_dictionaries({}, optional=fields)


def joined(*parts: st.SearchStrategy[dict[str, Any]]) -> st.SearchStrategy[dict[str, Any]]:
    """Required and optional arguments together."""
    return st.tuples(*parts).map(lambda dicts: {key: value for one in dicts for key, value in one.items()})


STEP = joined(st.fixed_dictionaries({"contribution": NUMBERS}), optional(seen=STATES))
KINDS = st.sampled_from(["idea", "wish", "question", "experience"])
ARGUMENTS: dict[str, st.SearchStrategy[dict[str, Any]]] = {
    "event.configure": st.booleans().map(lambda read: {"programme": {**PROGRAMME, "premoderation": read}}),
    "event.advance": st.fixed_dictionaries({"phase": st.sampled_from(PHASES)}),
    "person.join": optional(
        place=st.sampled_from(["hall", "home"]), code=st.sampled_from(["", code_at(SECRET, NOW, 150)]), name=TEXTS
    ),
    "contribution.submit": joined(
        st.fixed_dictionaries({"kind": KINDS, "text": TEXTS}),
        optional(
            topic=st.sampled_from([*TOPICS, "no such"]),
            name=st.sampled_from(["Jule", ""]),
            origin=st.sampled_from(["phone", "email", "paper", "microphone"]),
            said_at=st.sampled_from(["18:42", "2020-08-20T18:42:00+02:00", "abends"]),
        ),
    ),
    "contribution.edit": joined(
        st.fixed_dictionaries({"contribution": NUMBERS, "text": TEXTS}),
        optional(kind=KINDS, topic=st.sampled_from([*TOPICS, None])),
    ),
    "contribution.withdraw": st.fixed_dictionaries({"contribution": NUMBERS}),
    "contribution.return": joined(STEP, optional(reason=st.sampled_from(["", "Bitte ohne Namen Dritter"]))),
    **{name: STEP for name in [*TRANSITIONS, "contribution.restore"] if name != "contribution.return"},
    "support.give": st.fixed_dictionaries({"contribution": NUMBERS}),
    "support.withdraw": st.fixed_dictionaries({"contribution": NUMBERS}),
    "link.create": st.fixed_dictionaries(
        {
            "role": st.sampled_from(["moderator", "helper", "overlay"]),
            "token_hash": st.sampled_from([hashed(token) for token in TOKENS]),
            "name": st.sampled_from(["main", ""]),
        }
    ),
    "link.redeem": st.fixed_dictionaries({"token": st.sampled_from([*TOKENS, "no such"])}),
    "link.revoke": st.fixed_dictionaries({"role": st.sampled_from(["moderator", "overlay"]), "name": st.just("main")}),
}
COMMON = ("contribution.submit", "contribution.approve", "contribution.shortlist", "contribution.air", "support.give")
ANY = st.sampled_from([*ARGUMENTS, *COMMON * 3]).flatmap(
    lambda name: st.tuples(st.sampled_from([*PEOPLE, *STAFF, SYSTEM]), st.just(name), ARGUMENTS[name])
)
PACK, UNPACK = msgspec.msgpack.Encoder(), msgspec.msgpack.Decoder(Event)
WRITE, READ = msgspec.json.Encoder(), msgspec.json.Decoder(list[AnyChange])


class Log:
    """An event with everything that was decided about it."""

    def __init__(self) -> None:
        self.event = Event("abend", SECRET)
        self.rows: list[tuple[str, bytes]] = []

    def send(self, person: str, name: str, arguments: dict[str, Any]) -> None:
        """Decide, log and apply. Raises Refused; a refusal must leave no trace."""
        before = PACK.encode(self.event)
        who = Actor(SYSTEM, frozenset({SYSTEM})) if person == SYSTEM else actor(self.event, person)
        try:
            outcome = decide(self.event, who, name, parse(name, WRITE.encode(arguments)), NOW + len(self.rows))
        finally:
            assert PACK.encode(self.event) == before, "deciding has changed the state"
        if outcome.changes:
            self.enter(person, outcome.changes)

    def enter(self, person: str, changes: list[Change]) -> None:
        """One row."""
        self.rows.append((person, WRITE.encode(changes)))
        apply(self.event, len(self.rows), NOW + len(self.rows), person, changes)


def replayed(rows: list[tuple[str, bytes]], since: Event | None = None) -> Event:
    """The state that a new process reads."""
    event = since or Event("abend", SECRET)
    for seq, (person, changes) in enumerate(rows, 1):
        if seq > event.seq:
            apply(event, seq, NOW + seq, person, READ.decode(changes))
    return event


def opened() -> Log:
    """An evening that is live, with a helper, a moderator, an operator and an organiser."""
    log = Log()
    log.send(SYSTEM, "event.configure", {"programme": PROGRAMME})
    log.send(SYSTEM, "event.advance", {"phase": "live"})
    for person, role in STAFF.items():
        log.send(SYSTEM, "link.create", {"role": role, "token_hash": hashed(person)})
        log.send(person, "link.redeem", {"token": person})
    return log


def check(log: Log) -> None:
    """What is true of every event at every moment."""
    event = log.event
    items = event.contributions.items
    assert list(items) == list(range(1, len(items) + 1))
    on_air = [item.number for item in items.values() if item.state == "on_air"]
    assert on_air == ([] if event.contributions.on_air is None else [event.contributions.on_air])
    counted = {state: count for state, count in event.contributions.by_state.items() if count}
    assert counted == {s: n for s in get_args(State) if (n := sum(item.state == s for item in items.values()))}
    for item in items.values():
        assert item.history[-1].state == item.state
        assert (item.state == "returned") == (item.reason is not None)
        assert (item.state == "withdrawn") == (item.text == "")
    assert all(number in items for number in event.supports.given)
    assert list(event.touched.values()) == sorted(event.touched.values()), "who comes back reads from the end"
    for channel in ("public", "stage", "output/main", "me"):
        seen = str([documents.data(event, {}, channel, key, "de", "nobody") for key in documents.keys(event, channel, "nobody")])
        for item in items.values():
            if item.state not in PUBLIC and item.text:
                assert f"'number': {item.number}," not in seen


def test_every_command_is_played() -> None:
    assert ARGUMENTS.keys() == COMMANDS.keys()


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large])
@given(st.lists(ANY, max_size=60), st.integers(0, 60))
def test_random_commands_keep_the_rules_and_replay_to_the_same_state(commands: list[Any], cut: int) -> None:
    log = opened()
    snapshot = PACK.encode(log.event)
    for turn, (person, name, arguments) in enumerate(commands):
        try:
            log.send(person, name, arguments)
        except Refused as refused:
            if refused.code == "malformed":
                raise
        check(log)
        if turn == cut:
            snapshot = PACK.encode(log.event)

    afresh = replayed(log.rows)
    assert PACK.encode(afresh) == PACK.encode(log.event)
    assert list(afresh.touched) == list(log.event.touched)
    assert PACK.encode(replayed(log.rows, UNPACK.decode(snapshot))) == PACK.encode(log.event)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.sampled_from([*TRANSITIONS, "contribution.restore"]), max_size=25))
def test_no_sequence_of_steps_leads_out_of_the_state_machine(names: list[str]) -> None:
    log = opened()
    log.send("anna", "contribution.submit", {"kind": "idea", "text": "Mehr Bänke"})
    for name in names:
        item = log.event.contributions.items[1]
        before, may = item.state, set(documents.data(log.event, {}, "moderation", "contribution/1", "de")["may"])  # type: ignore[typeddict-item, index]
        arguments = {"contribution": 1, "reason": "Bitte kürzer"} if name == "contribution.return" else {"contribution": 1}
        try:
            log.send("mona", name, arguments)
        except Refused:
            assert name not in may
        else:
            assert name in may
            after = log.event.contributions.items[1].state
            if name == "contribution.restore":
                assert after != "on_air", "undo must never put on air"
            else:
                assert after == TRANSITIONS[name][0]
                assert before in TRANSITIONS[name][1]


def test_the_control_a_rule_that_forgets_the_old_one_is_caught() -> None:
    """Two on air at once is what `check` must see."""
    log = opened()
    for number in (1, 2):
        log.send("anna", "contribution.submit", {"kind": "idea", "text": f"Idee {number}"})
        log.send("mona", "contribution.approve", {"contribution": number})
        log.send("mona", "contribution.air", {"contribution": number})
    log.event.contributions.items[1].state = "on_air"

    with pytest.raises(AssertionError):
        check(log)
