"""Everything goes through three functions: `parse` the arguments, `decide` what follows, `apply` it."""

from __future__ import annotations

from itertools import combinations
from pathlib import Path
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation import queue, roles
from moderation.capabilities import COMMANDS, AnyChange, apply, denied, parse
from moderation.queue import STILL_POSSIBLE
from rooms import (
    announcements,
    assigning,
    bonds,
    cards,
    contributions,
    inbox,
    joining,
    messages,
    moving_up,
    participation,
    plenary,
    preparing,
    programme,
    register,
    registration,
    retention,
    rounds,
    summaries,
    support,
    tables,
    talk,
    visits,
)
from rooms import help as calls
from rooms.command import SYSTEM, Change, Refused
from tests.moderation.evening import EXAMPLES, STAFF, Evening, same

CAPABILITIES: tuple[Any, ...] = (
    programme, joining, contributions, support, queue, roles, register, registration, moving_up, messages, inbox,
    retention, rounds, assigning, participation, preparing, cards, summaries, plenary, talk, calls, announcements, tables, bonds,
    visits,
)  # fmt: skip
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)


def test_the_lists_hold_everything_that_the_capabilities_have() -> None:
    assert len(COMMANDS) == sum(len(getattr(module, "COMMANDS", {})) for module in CAPABILITIES), "two commands of one name"
    changes = {change for module in CAPABILITIES for change in getattr(module, "CHANGES", {})}
    assert set(get_args(AnyChange)) == changes
    assert len({change.__struct_config__.tag for change in changes}) == len(changes), "two changes of one tag"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_takes_its_arguments_and_no_others(command: str) -> None:
    evening = Evening()
    arguments = EXAMPLES[command](evening, "olga")
    parse(command, msgspec.json.encode(arguments))
    with pytest.raises(Refused) as refused:
        parse(command, msgspec.json.encode(arguments | {"surprise": 1}))
    assert (refused.value.code, refused.value.field) == ("malformed", "surprise")


@pytest.mark.parametrize("command", COMMANDS)
def test_a_missing_argument_is_named(command: str) -> None:
    required = [field.name for field in msgspec.structs.fields(COMMANDS[command][0]) if field.required]
    if required:
        with pytest.raises(Refused) as refused:
            parse(command, b"{}")
        assert (refused.value.code, refused.value.field) == ("malformed", required[0])


@pytest.mark.parametrize("command", COMMANDS)
def test_an_argument_of_another_type_is_named(command: str) -> None:
    arguments = EXAMPLES[command](Evening(), "olga")
    for name in arguments:
        with pytest.raises(Refused) as refused:
            parse(command, msgspec.json.encode(arguments | {name: [[]]}))
        assert (refused.value.code, refused.value.field) == ("malformed", name)


@pytest.mark.parametrize(
    "name", ["", "contribution.delete", "contribution", "Contribution.Submit", "__class__", "x" * 5_000, "\x00"]
)
def test_a_command_that_does_not_exist_is_unknown(name: str) -> None:
    with pytest.raises(Refused) as refused:
        parse(name, b"{}")
    assert (refused.value.code, refused.value.field) == ("unknown_command", "name")


@given(st.sampled_from(sorted(COMMANDS)), st.binary(max_size=200) | JSON.map(msgspec.json.encode))
def test_whatever_comes_is_a_command_or_malformed(name: str, arguments: bytes) -> None:
    try:
        command = parse(name, arguments)
    except Refused as refused:
        assert refused.code == "malformed"
    else:
        assert isinstance(command, COMMANDS[name][0])


@given(st.sampled_from(sorted(COMMANDS)), st.data())
def test_arguments_with_a_field_replaced_are_a_command_or_malformed_and_decided_or_refused(name: str, data: st.DataObject) -> None:
    evening = Evening()
    arguments = EXAMPLES[name](evening, "olga")
    field = data.draw(st.sampled_from(sorted(arguments) or ["anything"]))
    person = data.draw(st.sampled_from(["olga", "anna", SYSTEM]))
    with_another = arguments | {field: data.draw(JSON)}
    try:
        evening.send(person, name, **with_another)
    except Refused:
        return
    assert same(evening.replayed(evening.snapshot()), evening.event)


@pytest.mark.parametrize(
    "arguments", [b"", b"null", b"[]", b"{", b"\xff\xfe", b'{"a":1}{', b"NaN", b"[" * 50_000, b'{"contribution":' * 5_000]
)
@pytest.mark.parametrize("name", COMMANDS)
def test_what_is_no_object_is_malformed(name: str, arguments: bytes) -> None:
    with pytest.raises(Refused, match="malformed"):
        parse(name, arguments)


@pytest.mark.parametrize("name", COMMANDS)
def test_rights_come_before_the_rule(name: str) -> None:
    """Who may not send a command does not learn from its refusal what it would have met."""
    if roles.MAY_SEND[name] is roles.EVERYBODY:
        return
    evening = Evening("draft")
    arguments = EXAMPLES[name](Evening(), "olga")
    assert evening.refused("anna", name, **arguments).code == "forbidden"


@pytest.mark.parametrize("person", ["anna", "mona", "oskar", "hilde"])
@pytest.mark.parametrize("name", sorted(COMMANDS.keys() - {"event.configure", "event.advance", "link.create", "link.revoke"}))
def test_what_is_documented_rests_and_people_s_rights_do_not(name: str, person: str) -> None:
    evening = Evening()
    arguments = EXAMPLES[name](evening, person)
    evening.send("olga", "event.advance", phase="documented")
    try:
        evening.send(person, name, **arguments)
    except Refused as refused:
        allowed = roles.MAY_SEND[name]
        if allowed is roles.EVERYBODY or roles.actor(evening.event, person).any_of(*allowed):
            assert (refused.code, name in STILL_POSSIBLE) == ("closed", False)
        else:
            assert refused.code == "forbidden"
    else:
        assert name in STILL_POSSIBLE


def test_the_latest_touched_stands_last() -> None:
    """Who comes back is answered from the end of `touched`."""
    evening = Evening()
    first, second = evening.bring("approved"), evening.bring("approved")
    evening.send("mona", "contribution.hide", contribution=first)
    assert [key for key in evening.event.touched if key.startswith("contribution/")] == [
        f"contribution/{second}",
        f"contribution/{first}",
    ]
    assert list(evening.event.touched.values()) == sorted(evening.event.touched.values())


def test_a_row_without_effect_still_counts() -> None:
    evening = Evening()
    assert apply(evening.event, 99, 0, "anna", []) == []
    assert evening.event.seq == 99


@pytest.mark.parametrize("change", get_args(AnyChange), ids=lambda change: str(change.__struct_config__.tag))
def test_no_change_has_room_for_personal_data(change: type[Change]) -> None:
    """GDPR Art. 5 (1) c: the log knows people by id. A field called name may only be an output's."""
    names = {field.name for field in msgspec.structs.fields(change)}
    assert not names & {"email", "phone", "address"}
    if "name" in names:
        assert change in (roles.Created, roles.Revoked)


@pytest.mark.parametrize(
    ("role", "hidden"),
    [
        ("organiser", set()),
        ("moderator", set()),
        ("operator", {"approve", "return", "shortlist", "hide", "edit", "restore@approved", "restore@answered"}),
        ("helper", {"approve", "return", "shortlist", "hide", "edit", "air", "answer", "restore"}),
    ],
)
def test_the_console_hides_what_the_rules_refuse_to_a_role(role: str, hidden: set[str]) -> None:
    found = denied(frozenset({role}))
    assert {f"contribution.{name}" for name in hidden} <= found
    assert {name.partition("@")[0] for name in found} == {f"contribution.{name}".partition("@")[0] for name in hidden}


@pytest.mark.parametrize("role", ["organiser", "moderator", "operator", "helper"])
def test_what_is_shown_is_done_and_what_is_hidden_is_refused(role: str) -> None:
    """Every button of every state, pressed on a real evening."""
    who = {title: person for person, title in STAFF.items()}[role]
    hidden = denied(frozenset({role}))
    for state in ("received", "approved", "shortlisted", "on_air", "answered", "returned", "hidden"):
        evening = Evening("live")
        number = evening.bring(state)
        for name in evening.seen("moderation", f"contribution/{number}")["may"]:
            again = Evening("live")
            number = again.bring(state)
            fields = {"contribution.edit": {"text": "Neuer Text"}, "contribution.return": {"reason": "Bitte kürzer"}}.get(name, {})
            if hidden & {name, f"{name}@{state}"}:
                assert again.refused(who, name, contribution=number, **fields).code in ("forbidden", "unknown_contribution")
            else:
                again.send(who, name, contribution=number, **fields)


def test_whatever_can_be_hidden_has_its_rule_in_the_stylesheet() -> None:
    sheet = (Path(__file__).parents[2] / "frontend/static/css/desk.css").read_text("utf-8")
    everything = {name for size in range(5) for held in combinations(roles.STAFF, size) for name in denied(frozenset(held))}
    assert {name for name in everything if f'[data-denied~="{name}"]' not in sheet} == set()
