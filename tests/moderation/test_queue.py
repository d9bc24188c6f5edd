"""The state machine of contributions: every command from every state by every role, against the table of docs/protocol.md."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from moderation.queue import MAX_REASON, TRANSITIONS
from rooms.command import Refused
from rooms.contributions import State
from tests.moderation.evening import STAFF, STATES, Evening, step

MODERATORS = ("mona", "olga")
ROLES = ("anna", "bilal", *STAFF)
"""The author, somebody else, and one of each role."""

LEADS: dict[str, dict[State, State]] = {
    "contribution.approve": {"received": "approved", "shortlisted": "approved"},
    "contribution.return": {"received": "returned", "approved": "returned", "shortlisted": "returned"},
    "contribution.shortlist": {"approved": "shortlisted"},
    "contribution.air": {"approved": "on_air", "shortlisted": "on_air"},
    "contribution.answer": {"approved": "answered", "shortlisted": "answered", "on_air": "answered"},
    "contribution.hide": {state: "hidden" for state in STATES if state not in ("hidden", "withdrawn")},
    "contribution.restore": {
        "approved": "received",
        "shortlisted": "approved",
        "on_air": "shortlisted",
        "answered": "shortlisted",
        "returned": "received",
        "hidden": "approved",
    },
    "contribution.edit": {state: state for state in ("received", "approved", "shortlisted", "returned", "on_air")},
}
"""What the moderators can do: command → state before → state after, for contributions that came by the usual way."""

OWN: dict[str, dict[State, State]] = {
    "contribution.edit": dict.fromkeys(("received", "approved", "shortlisted", "returned"), "received"),
    "contribution.withdraw": dict.fromkeys(STATES, "withdrawn"),
}
"""What its author can do."""

OPERATORS = {"contribution.air", "contribution.answer"}


def leads(person: str, command: str, state: State) -> State | None:
    """Where the table says that this person's command leads; None if it is refused."""
    if person == "anna":
        return OWN.get(command, {}).get(state)
    allowed = person in MODERATORS or (
        person == "oskar" and (command in OPERATORS or (command, state) == ("contribution.restore", "on_air"))
    )
    return LEADS.get(command, {}).get(state) if allowed else None


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", [*LEADS, "contribution.withdraw"])
@pytest.mark.parametrize("person", ROLES)
def test_every_command_from_every_state_by_every_role(person: str, command: str, state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    expected = leads(person, command, state)
    if expected is None:
        refused = evening.refused(person, command, **step(command, number))
        assert refused.code in ("forbidden", "wrong_state", "unknown_contribution")
        assert evening.item(number).state == state
        return
    assert evening.send(person, command, **step(command, number)) == {"state": expected}
    assert evening.item(number).state == expected
    assert [step.state for step in evening.item(number).history][-1] == expected


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("command", LEADS)
def test_what_is_refused_says_why(command: str, state: State) -> None:
    if state in LEADS[command]:
        return
    evening = Evening()
    refused = evening.refused("mona", command, **step(command, evening.bring(state)))
    assert (refused.code, refused.field, refused.params) == ("wrong_state", "contribution", {"state": state})


@pytest.mark.parametrize("phase", ["registration", "live", "closed", "documented"])
@pytest.mark.parametrize("state", STATES)
def test_the_console_offers_exactly_what_the_rules_accept(state: State, phase: str) -> None:
    """`may` are the buttons that a moderator sees: one that is refused, or one that is missing, is a fault."""
    evening = Evening()
    number = evening.bring(state)
    evening.send("olga", "event.advance", phase=phase)
    offered = set(evening.seen("moderation", f"contribution/{number}")["may"])
    accepted = {command for command in LEADS if accepts(evening, command, number)}
    assert offered == accepted


def accepts(evening: Evening, command: str, number: int) -> bool:
    """Whether the moderator's command would be decided."""
    try:
        evening.decide("mona", command, **step(command, number))
    except Refused:
        return False
    return True


def test_the_table_is_complete() -> None:
    assert TRANSITIONS.keys() | {"contribution.restore", "contribution.edit"} == LEADS.keys()


# On air.


def test_who_follows_on_air_answers_who_was_before() -> None:
    evening = Evening()
    first, second = evening.bring("on_air"), evening.bring("shortlisted")
    evening.send("oskar", "contribution.air", contribution=second)
    assert (evening.item(first).state, evening.item(second).state) == ("answered", "on_air")
    assert evening.event.contributions.on_air == second
    assert evening.screen("output/main")["on_air"]["contribution"]["number"] == second
    assert len(evening.rows) == 1 + 2 * len(STAFF) + 1 + 4 + 3 + 1, "one row for both"


@pytest.mark.parametrize("command", ["contribution.answer", "contribution.hide", "contribution.restore"])
def test_what_leaves_the_air_leaves_the_screens(command: str) -> None:
    evening = Evening()
    number = evening.bring("on_air")
    evening.send("mona", command, contribution=number)
    assert evening.event.contributions.on_air is None
    for channel in ("output/main", "stage", "public"):
        assert evening.screen(channel)["on_air"] == {"contribution": None, "result": None, "since": None}
    assert "on_air" in evening.touched


def test_the_screens_show_since_when_it_is_on_air_and_an_edit_does_not_change_that() -> None:
    evening = Evening()
    number = evening.bring("on_air")
    since = evening.screen("stage")["on_air"]["since"]
    evening.send("mona", "contribution.edit", contribution=number, text="Ein Tippfehler weniger")
    assert evening.screen("stage")["on_air"]["since"] == since


# Undo.


@pytest.mark.parametrize("command", [command for command in LEADS if command not in ("contribution.restore", "contribution.edit")])
@pytest.mark.parametrize("state", STATES)
def test_restore_undoes_the_last_step_and_never_puts_on_air(command: str, state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    if state not in LEADS[command]:
        return
    evening.send("mona", command, **step(command, number))
    restored = evening.send("mona", "contribution.restore", contribution=number)
    assert restored == {"state": "shortlisted" if state == "on_air" else state}
    assert evening.event.contributions.on_air is None


@pytest.mark.parametrize("state", STATES)
def test_each_restore_leads_somewhere_until_nothing_is_left(state: State) -> None:
    """A button that does nothing reads as broken."""
    evening = Evening()
    number = evening.bring(state)
    passed = [state]
    while "contribution.restore" in evening.seen("moderation", f"contribution/{number}")["may"]:
        evening.send("mona", "contribution.restore", contribution=number)
        passed.append(evening.item(number).state)
    assert all(before != after for before, after in itertools.pairwise(passed)), passed
    assert passed[-1] == ("withdrawn" if state == "withdrawn" else "received")


def test_an_operator_takes_back_off_the_air_and_undoes_nothing_else() -> None:
    evening = Evening()
    on_air, approved = evening.bring("on_air"), evening.bring("approved")
    assert evening.send("oskar", "contribution.restore", contribution=on_air) == {"state": "shortlisted"}
    assert evening.refused("oskar", "contribution.restore", contribution=approved).code == "forbidden"


# Returning.


def test_a_return_tells_the_author_why_and_nobody_else() -> None:
    evening = Evening()
    number = evening.submit()
    evening.send("mona", "contribution.return", contribution=number, reason=" Bitte ohne\u202e Namen Dritter ")
    assert evening.seen("me", f"contribution/{number}", "anna")["reason"] == "Bitte ohne Namen Dritter"
    assert evening.seen("me", f"contribution/{number}", "bilal") is None
    assert evening.seen("moderation", f"contribution/{number}")["reason"] == "Bitte ohne Namen Dritter"


@pytest.mark.parametrize(
    ("reason", "code"),
    [({}, "reason_too_short"), ({"reason": " \u200b "}, "reason_too_short"), ({"reason": "x" * 501}, "reason_too_long")],
)
def test_a_return_needs_a_reason_that_can_be_read(reason: dict[str, str], code: str) -> None:
    evening = Evening()
    number = evening.submit()
    refused = evening.refused("mona", "contribution.return", contribution=number, **reason)
    assert (refused.code, refused.field) == (code, "reason")
    evening.send("mona", "contribution.return", contribution=number, reason="👩‍🚒" * MAX_REASON)


def test_the_reason_goes_with_the_state_and_comes_back_with_it() -> None:
    evening = Evening()
    number = evening.bring("returned")
    reasons = []
    for command in ("contribution.hide", "contribution.restore", "contribution.restore"):
        evening.send("mona", command, contribution=number)
        reasons.append(
            [
                evening.seen(*screen)["reason"]
                for screen in (("me", f"contribution/{number}", "anna"), ("moderation", f"contribution/{number}"))
            ]
        )
    assert reasons == [[None] * 2, ["Bitte ohne Namen Dritter"] * 2, [None] * 2]


def test_the_author_s_edit_answers_the_reason() -> None:
    evening = Evening()
    number = evening.bring("returned")
    evening.send("anna", "contribution.edit", contribution=number, text="Jetzt höflich")
    assert evening.seen("me", f"contribution/{number}", "anna")["reason"] is None


# Two moderators.


@pytest.mark.parametrize("command", [command for command in LEADS if command != "contribution.edit"])
def test_who_saw_another_state_is_told_what_it_is_now(command: str) -> None:
    evening = Evening()
    number = evening.bring("approved")
    refused = evening.refused("mona", command, **step(command, number), seen="received")
    assert (refused.code, refused.params) == ("state_changed", {"state": "approved"})


@pytest.mark.parametrize("command", ["contribution.shortlist", "contribution.air", "contribution.hide", "contribution.restore"])
def test_who_saw_the_true_state_may_go_on(command: str) -> None:
    evening = Evening()
    evening.send("mona", command, contribution=evening.bring("approved"), seen="approved")


def test_of_two_moderators_at_once_the_second_learns_that_the_first_was_faster() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("mona", "contribution.hide", contribution=number, seen="approved")
    assert evening.refused("olga", "contribution.air", contribution=number, seen="approved").code == "state_changed"


def test_a_state_that_does_not_exist_was_seen_by_nobody() -> None:
    evening = Evening()
    refused: Any = evening.refused("mona", "contribution.air", contribution=evening.bring("approved"), seen="burning")
    assert (refused.code, refused.field) == ("malformed", "seen")


# Counts.


def test_the_queue_counts_by_state_and_by_where_voices_come_from() -> None:
    evening = Evening()
    for state in STATES:
        if state != "on_air":
            evening.bring(state)
    evening.bring("answered", "hilde", origin="phone")
    evening.bring("on_air")
    queue = evening.seen("moderation", "queue")
    assert queue["counts"] == {state: 2 if state == "answered" else 1 for state in STATES}
    assert queue["aired"] == {"hall": 0, "home": 2, "other": 1}
