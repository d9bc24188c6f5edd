"""Support: one per person and contribution, can be taken back, for what everybody sees."""

from __future__ import annotations

import pytest

from rooms.contributions import State
from tests.moderation.evening import STATES, Evening

SUPPORTABLE = ("approved", "shortlisted", "on_air")
HIDDEN = ("received", "returned", "hidden", "withdrawn")


def test_each_person_counts_once() -> None:
    evening = Evening()
    number = evening.bring("approved")
    assert evening.send("bilal", "support.give", contribution=number) == {"support": 1}
    assert evening.send("cem", "support.give", contribution=number) == {"support": 2}
    assert evening.send("bilal", "support.give", contribution=number) == {"support": 2}
    assert evening.event.supports.count(number) == 2


def test_giving_twice_writes_nothing_to_the_log() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("bilal", "support.give", contribution=number)
    rows = len(evening.rows)
    evening.send("bilal", "support.give", contribution=number)
    assert len(evening.rows) == rows


def test_support_can_be_taken_back_and_given_again() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("bilal", "support.give", contribution=number)
    assert evening.send("bilal", "support.withdraw", contribution=number) == {"support": 0}
    assert evening.send("bilal", "support.withdraw", contribution=number) == {"support": 0}
    assert evening.send("bilal", "support.give", contribution=number) == {"support": 1}


def test_nobody_takes_back_what_somebody_else_gave() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("bilal", "support.give", contribution=number)
    assert evening.send("cem", "support.withdraw", contribution=number) == {"support": 1}


@pytest.mark.parametrize("state", STATES)
def test_only_what_everybody_sees_and_is_not_answered_can_be_supported(state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    if state in SUPPORTABLE:
        assert evening.send("bilal", "support.give", contribution=number) == {"support": 1}
    else:
        refused = evening.refused("bilal", "support.give", contribution=number)
        assert refused.code == ("wrong_state" if state == "answered" else "unknown_contribution")


@pytest.mark.parametrize("state", HIDDEN)
def test_what_nobody_sees_tells_no_support_to_strangers(state: State) -> None:
    """An invisible contribution counts as none (docs/protocol.md), for who asks by taking back as well."""
    evening = Evening()
    number = evening.bring(state)
    assert evening.refused("cem", "support.withdraw", contribution=number).code == "unknown_contribution"
    assert evening.refused("cem", "support.withdraw", contribution=99).code == "unknown_contribution"


def test_who_has_given_support_takes_it_back_in_every_state_and_phase() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("bilal", "support.give", contribution=number)
    evening.send("mona", "contribution.hide", contribution=number)
    evening.send("olga", "event.advance", phase="documented")
    assert evening.send("bilal", "support.withdraw", contribution=number) == {"support": 0}
    assert evening.event.supports.of("bilal") == []


@pytest.mark.parametrize(("phase", "code"), [("draft", "not_open"), ("closed", "closed"), ("documented", "closed")])
def test_support_is_given_while_the_event_takes_contributions(phase: str, code: str) -> None:
    evening = Evening()
    number = evening.bring("approved")
    for towards in ("registration", "draft") if phase == "draft" else (phase,):
        evening.send("olga", "event.advance", phase=towards)
    assert evening.refused("bilal", "support.give", contribution=number).code == code


def test_people_see_what_they_support_themselves_and_nobody_else_does() -> None:
    evening = Evening()
    first, second = evening.bring("approved"), evening.bring("approved")
    evening.send("bilal", "support.give", contribution=second)
    evening.send("bilal", "support.give", contribution=first)
    assert evening.seen("me", "supports", "bilal")["contributions"] == [first, second]
    assert evening.seen("me", "supports", "anna")["contributions"] == []
    shown = [evening.screen("public"), evening.screen("moderation"), evening.screen("me", "anna")]
    assert "bilal" not in str(shown), "who supports is nobody's business"


def test_support_survives_the_ways_of_moderation() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("bilal", "support.give", contribution=number)
    evening.send("mona", "contribution.hide", contribution=number)
    evening.send("mona", "contribution.restore", contribution=number)
    assert evening.seen("public", f"contribution/{number}")["support"] == 1


def test_a_thousand_people_are_counted_exactly() -> None:
    evening = Evening()
    number = evening.bring("approved")
    for person in range(1_000):
        evening.send(f"person-{person}", "support.give", contribution=number)
    for person in range(0, 1_000, 3):
        evening.send(f"person-{person}", "support.withdraw", contribution=number)
    assert evening.event.supports.count(number) == 1_000 - 334
