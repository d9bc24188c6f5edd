"""The event's facts and phases: set by the system, advanced by the organiser, never by leaps backwards."""

from __future__ import annotations

from datetime import datetime
from itertools import product
from typing import Any

import msgspec
import pytest

from moderation.capabilities import timers
from rooms.command import SYSTEM
from rooms.programme import PHASES
from tests.moderation.evening import PROGRAMME, Evening


def configure(evening: Evening, **facts: Any) -> dict[str, Any]:
    return evening.send(SYSTEM, "event.configure", programme=PROGRAMME | facts)


@pytest.mark.parametrize(("at", "to"), list(product(PHASES, PHASES)))
def test_a_phase_leads_to_every_later_one_and_one_back(at: str, to: str) -> None:
    evening = Evening(at)
    if PHASES.index(to) >= PHASES.index(at) - 1:
        assert evening.send("olga", "event.advance", phase=to) == {"phase": to}
        assert evening.event.phase == to
    else:
        refused = evening.refused("olga", "event.advance", phase=to)
        assert (refused.code, refused.field, refused.params) == ("wrong_state", "phase", {"state": at})
        assert evening.event.phase == at


def test_going_where_one_is_writes_nothing() -> None:
    evening = Evening("live")
    rows = len(evening.rows)
    evening.send("olga", "event.advance", phase="live")
    assert len(evening.rows) == rows


def test_a_phase_that_does_not_exist_is_malformed() -> None:
    refused = Evening("live").refused("olga", "event.advance", phase="afterwards")
    assert (refused.code, refused.field) == ("malformed", "phase")


@pytest.mark.parametrize("phase", PHASES)
def test_the_event_says_whether_it_takes_contributions(phase: str) -> None:
    evening = Evening(phase)
    accepting = phase in ("registration", "live")
    assert evening.seen("public", "event")["accepting"] is accepting
    assert evening.seen("public", "event")["phase"] == phase
    if accepting:
        evening.submit()
    else:
        assert evening.refused("anna", "contribution.submit", kind="idea", text="Mehr Bänke").code == (
            "not_open" if phase == "draft" else "closed"
        )


def test_the_facts_can_be_replaced_and_the_phase_stays() -> None:
    evening = Evening("live")
    number = evening.bring("approved", topic="city")
    configure(evening, title={"de": "Neuer Titel"}, topics=[{"id": "city", "title": {"de": "Stadtgrün"}}])
    assert evening.seen("public", "event")["title"] == "Neuer Titel"
    assert evening.seen("public", f"contribution/{number}")["topic_title"] == "Stadtgrün"
    assert evening.event.phase == "live"


def test_a_topic_that_is_taken_away_leaves_its_contributions() -> None:
    evening = Evening("live")
    number = evening.bring("approved", topic="city")
    configure(evening, topics=[])
    shown = evening.seen("public", f"contribution/{number}")
    assert (shown["topic"], shown["topic_title"]) == ("city", None)


def test_what_shows_the_facts_is_touched_when_they_change() -> None:
    evening = Evening("live")
    evening.bring("on_air", topic="city")
    before = {channel: evening.screen(channel) for channel in ("public", "stage", "output/main", "moderation")}
    configure(evening, title={"de": "Neu"}, topics=[{"id": "city", "title": {"de": "Stadtgrün"}}])
    for channel, shown in before.items():
        changed = {key for key, data in evening.screen(channel).items() if data != shown[key]}
        assert changed
        assert changed <= set(evening.touched), channel


def test_the_facts_of_another_event_are_refused() -> None:
    refused = Evening("live").refused(SYSTEM, "event.configure", programme=PROGRAMME | {"slug": "morgen"})
    assert (refused.code, refused.field) == ("wrong_slug", "slug")


@pytest.mark.parametrize(
    ("facts", "field"),
    [
        ({"starts": "morgen um sechs"}, "starts"),
        ({"starts": ""}, "starts"),
        ({"ends": "20.08.2020"}, "ends"),
        ({"starts": "2020-08-20T18:00:00"}, "starts"),
        ({"schedule": [{"at": "18:00", "phase": "live"}]}, "schedule"),
        ({"code_period": 0}, "code_period"),
        ({"code_period": -150}, "code_period"),
    ],
    ids=["no time", "empty", "German date", "no offset", "no date", "no period", "backwards"],
)
def test_facts_that_no_page_could_show_are_refused(facts: dict[str, Any], field: str) -> None:
    """Every page shows when the event starts, and the stage divides by the period."""
    evening = Evening("live")
    assert evening.refused(SYSTEM, "event.configure", programme=PROGRAMME | facts).field == field
    assert evening.event.programme.starts == PROGRAMME["starts"]


@pytest.mark.parametrize(
    "facts", [{"colour": "red"}, {"title": "Abend"}, {"topics": [{"id": "city"}]}, {"stream": {"kind": "smoke"}}, {"venue": None}]
)
def test_facts_of_another_shape_are_malformed(facts: dict[str, Any]) -> None:
    assert Evening("live").refused(SYSTEM, "event.configure", programme=PROGRAMME | facts).code == "malformed"


@pytest.mark.parametrize("phase", PHASES)
def test_only_the_phases_to_come_are_waited_for(phase: str) -> None:
    evening = Evening(phase)
    moments = {other: f"2020-08-2{n}T18:00:00+02:00" for n, other in enumerate(PHASES)}
    configure(evening, schedule=[{"at": at, "phase": other} for other, at in moments.items()])
    waiting = [(msgspec.to_builtins(timer.command)["phase"], timer.id) for timer in timers(evening.event)]
    later = PHASES[PHASES.index(phase) + 1 :]
    assert [to for to, _ in waiting] == list(later)
    assert all(id.endswith(moments[to]) for to, id in waiting)


def test_a_phase_that_was_moved_is_another_timer() -> None:
    evening = Evening("registration")
    seen = set()
    for at in ("2020-08-20T18:00:00+02:00", "2020-08-20T18:15:00+02:00"):
        configure(evening, schedule=[{"at": at, "phase": "live"}])
        (timer,) = timers(evening.event)
        assert timer.at == datetime.fromisoformat(at).timestamp() * 1000
        seen.add(timer.id)
    assert len(seen) == 2
