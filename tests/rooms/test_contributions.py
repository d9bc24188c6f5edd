"""Contributions: sent, edited and taken back by their authors; typed in by helpers; found again by their receipt."""

from __future__ import annotations

import time
from datetime import datetime
from typing import Any

import pytest

from moderation.shape import iso
from rooms.command import SYSTEM
from rooms.contributions import State, of_receipt, receipt
from tests.moderation.evening import HOSTILE, NOW, PROGRAMME, STATES, Evening, same

EDITABLE = ("received", "approved", "shortlisted", "returned")
SEEN_BY_ALL = ("approved", "shortlisted", "on_air", "answered")
BERLIN = PROGRAMME["starts"][-6:]


def at(text: str) -> int:
    """Milliseconds of a time on 20 August, local."""
    return int(datetime.fromisoformat(f"2020-08-20T{text}:00{BERLIN}").timestamp() * 1_000)


# Sending.


def test_a_contribution_waits_for_the_moderators() -> None:
    evening = Evening()
    result = evening.send("anna", "contribution.submit", kind="wish", text="  Mehr  Grün ", topic="city")
    assert result == {"contribution": 1, "receipt": receipt(evening.event, 1), "state": "received"}
    item = evening.item()
    assert (item.text, item.kind, item.topic, item.origin, item.person) == ("Mehr Grün", "wish", "city", "home", "anna")
    assert item.at == evening.now


def test_without_premoderation_it_is_public_at_once() -> None:
    evening = Evening(premoderation=False)
    assert evening.send("anna", "contribution.submit", kind="idea", text="Mehr Grün")["state"] == "approved"
    assert "contribution/1" in evening.screen("public")


def test_contributions_are_numbered_in_their_order() -> None:
    evening = Evening()
    assert [evening.submit(person) for person in ("anna", "bilal", "anna")] == [1, 2, 3]


@pytest.mark.parametrize("text", HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_texts_are_taken_as_harmless_text(text: str) -> None:
    evening = Evening()
    evening.bring("on_air", text=text)
    shown = evening.screen("output/main")["on_air"]["contribution"]["text"]
    assert not set("\u202e\u2066\u200b\ufeff\x00\x1b\ufffc\U000e0067") & set(shown)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("", "text_too_short"),
        ("ab", "text_too_short"),
        (" \n\t ", "text_too_short"),
        ("\u200b" * 9, "text_too_short"),
        ("x" * 1_001, "text_too_long"),
    ],
)
def test_too_little_and_too_much_are_refused_without_a_trace(text: str, code: str) -> None:
    evening = Evening()
    refused = evening.refused("anna", "contribution.submit", kind="idea", text=text)
    assert (refused.code, refused.field) == (code, "text")
    assert evening.event.contributions.items == {}


def test_an_unknown_topic_is_refused_and_none_is_none() -> None:
    evening = Evening()
    refused = evening.refused("anna", "contribution.submit", kind="idea", text="Mehr Grün", topic="fishing")
    assert (refused.code, refused.field) == ("unknown_topic", "topic")
    assert evening.item(evening.submit(topic="")).topic is None


@pytest.mark.parametrize(
    "fields", [{"kind": "rant"}, {"text": None}, {"text": 5}, {"person": "bilal"}, {"state": "approved"}, {"origin": "hall"}]
)
def test_nobody_slips_in_what_is_not_theirs_to_say(fields: dict[str, Any]) -> None:
    arguments = {"kind": "idea", "text": "Mehr Grün"} | fields
    assert Evening().refused("anna", "contribution.submit", **arguments).code == "malformed"


# Names.


def test_a_name_signs_one_contribution_only() -> None:
    evening = Evening()
    evening.bring("approved", name="Anna")
    evening.bring("approved")
    assert evening.seen("public", "contribution/1")["name"] == "Anna"
    assert evening.seen("public", "contribution/2")["name"] == ""
    evening.bring("approved", name="Eine Nachbarin")
    assert evening.seen("public", "contribution/1")["name"] == "Anna"


def test_an_unsigned_contribution_is_unsigned_for_the_moderators_too() -> None:
    """Who left the name out did not leave it out for the public only."""
    evening = Evening()
    evening.send("anna", "person.join", name="Anna Außergewöhnlich")
    number = evening.bring("approved")
    assert "Anna Außergewöhnlich" not in str(evening.seen("moderation", f"contribution/{number}"))


def test_the_moderators_see_which_of_them_did_what() -> None:
    evening = Evening()
    evening.send("mona", "person.join", name="Mona")
    number = evening.bring("approved")
    assert [step["by"] for step in evening.seen("moderation", f"contribution/{number}")["history"]] == ["", "Mona"]


def test_no_name_is_in_the_log() -> None:
    evening = Evening()
    evening.bring("on_air", name="Anna Außergewöhnlich")
    assert "Außergewöhnlich".encode() not in b"".join(row for _, _, row in evening.rows) + evening.snapshot()


def test_a_name_that_is_too_long_sends_nothing() -> None:
    evening = Evening()
    refused = evening.refused("anna", "contribution.submit", kind="idea", text="Mehr Grün", name="x" * 61)
    assert (refused.code, refused.field) == ("name_too_long", "name")


# Typed in by a helper.


@pytest.mark.parametrize("origin", ["phone", "email", "paper", "microphone"])
def test_a_helper_types_in_what_came_another_way(origin: str) -> None:
    evening = Evening()
    number = evening.submit("hilde", origin=origin, said_at="18:10", name="Herr Yılmaz")
    item = evening.item(number)
    assert (item.origin, item.at) == (origin, at("18:10"))
    assert evening.seen("moderation", f"contribution/{number}")["name"] == "Herr Yılmaz"
    assert "hilde" not in evening.names, "the helper keeps their own name"


def test_a_helper_does_not_become_the_author() -> None:
    evening = Evening()
    number = evening.submit("hilde", origin="phone")
    assert evening.refused("hilde", "contribution.edit", contribution=number, text="Etwas anderes").code == "unknown_contribution"
    assert evening.refused("hilde", "contribution.withdraw", contribution=number).code == "unknown_contribution"
    assert f"contribution/{number}" not in evening.screen("me", "hilde")


@pytest.mark.parametrize("fields", [{"origin": "phone"}, {"said_at": "18:10"}])
@pytest.mark.parametrize("person", ["anna", "oskar"])
def test_only_helpers_and_moderators_speak_for_others(person: str, fields: dict[str, str]) -> None:
    refused = Evening().refused(person, "contribution.submit", kind="idea", text="Mehr Grün", **fields)
    assert (refused.code, refused.field) == ("forbidden", "origin")


@pytest.mark.parametrize(
    ("said", "moment"),
    [
        ("18:42", at("18:42")),
        ("8:05", at("08:05")),
        ("23:59", at("23:59") - 24 * 3_600_000),
        ("2020-08-20T18:00:00+02:00", at("18:00")),
        ("2020-08-20T16:00:00Z", at("18:00")),
        ("1950-01-01T00:00:00+00:00", 0),
        ("0001-01-01T00:00:00+14:00", 0),
    ],
)
def test_when_it_was_said_is_a_time_of_the_evening(said: str, moment: int) -> None:
    evening = Evening()
    assert evening.item(evening.submit("hilde", origin="phone", said_at=said)).at == moment


def test_a_time_without_offset_is_one_of_the_events_place_wherever_the_server_stands(monkeypatch: pytest.MonkeyPatch) -> None:
    moments = []
    for zone in ("UTC", "Asia/Tokyo", "America/New_York"):
        monkeypatch.setenv("TZ", zone)
        time.tzset()
        evening = Evening()
        moments.append(evening.item(evening.submit("hilde", origin="phone", said_at="2020-08-20T18:00:00")).at)
    monkeypatch.undo()
    time.tzset()
    assert moments == [at("18:00")] * 3


@pytest.mark.parametrize("said", ["2030-01-01T00:00:00Z", "9999-12-31T23:59:59+00:00"])
def test_nobody_has_said_anything_in_the_future(said: str) -> None:
    evening = Evening()
    assert evening.item(evening.submit("hilde", origin="phone", said_at=said)).at == evening.now


@pytest.mark.parametrize("said", ["abends", "25:00", "18:60", "18", "1842", "18:42:00", "-", "\ud7ff" * 5, "x" * 5_000])
def test_a_time_that_is_none_is_refused(said: str) -> None:
    refused = Evening().refused("hilde", "contribution.submit", kind="idea", text="Mehr Grün", origin="phone", said_at=said)
    assert (refused.code, refused.field) == ("wrong_time", "said_at")


# The author's edit.


@pytest.mark.parametrize("state", STATES)
def test_the_authors_edit_goes_back_to_the_queue(state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    if state in EDITABLE:
        assert evening.send("anna", "contribution.edit", contribution=number, text="Doch anders") == {"state": "received"}
        assert evening.item(number).text == "Doch anders"
        assert f"contribution/{number}" not in evening.screen("public")
    else:
        refused = evening.refused("anna", "contribution.edit", contribution=number, text="Doch anders")
        assert (refused.code, refused.params) == ("wrong_state", {"state": state})


@pytest.mark.parametrize("state", ["approved", "shortlisted", "returned"])
def test_restore_cannot_bring_an_unread_wording_to_the_public(state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    evening.send("anna", "contribution.edit", contribution=number, text="Ungelesen und unverschämt")
    assert evening.refused("mona", "contribution.restore", contribution=number).code == "wrong_state"
    assert "contribution.restore" not in evening.seen("moderation", f"contribution/{number}")["may"]

    # Nor by a detour over other states.
    for detour in ("contribution.return", "contribution.hide"):
        evening.send("mona", detour, contribution=number, **({"reason": "Bitte höflich"} if detour.endswith("return") else {}))
        evening.send("mona", "contribution.restore", contribution=number)
        assert evening.item(number).state == "received"
    assert "Ungelesen" not in str(evening.screen("public"))


def test_the_control_restore_does_bring_back_a_wording_that_was_read() -> None:
    evening = Evening()
    number = evening.bring("hidden")
    evening.send("mona", "contribution.restore", contribution=number)
    assert f"contribution/{number}" in evening.screen("public")


def test_without_premoderation_an_edit_stays_public_but_what_was_returned_is_read_again() -> None:
    evening = Evening(premoderation=False)
    number = evening.submit()
    assert evening.send("anna", "contribution.edit", contribution=number, text="Doch anders") == {"state": "approved"}
    evening.send("mona", "contribution.return", contribution=number, reason="Bitte höflich")
    assert evening.send("anna", "contribution.edit", contribution=number, text="Noch anders") == {"state": "received"}
    assert evening.refused("mona", "contribution.restore", contribution=number).code == "wrong_state"


def test_an_edit_changes_kind_and_topic_only_if_it_says_so() -> None:
    evening = Evening()
    number = evening.submit(kind="wish", topic="city")
    evening.send("anna", "contribution.edit", contribution=number, text="Doch anders")
    assert (evening.item(number).kind, evening.item(number).topic) == ("wish", "city")
    evening.send("anna", "contribution.edit", contribution=number, text="Doch anders", kind="question", topic=None)
    assert (evening.item(number).kind, evening.item(number).topic) == ("question", None)
    refused = evening.refused("anna", "contribution.edit", contribution=number, text="Doch anders", topic="fishing")
    assert refused.code == "unknown_topic"


@pytest.mark.parametrize("state", STATES)
def test_nobody_edits_or_withdraws_what_another_wrote_nor_learns_of_it(state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    code = "forbidden" if state in SEEN_BY_ALL else "unknown_contribution"
    for person in ("bilal", "hilde", "oskar"):
        assert evening.refused(person, "contribution.edit", contribution=number, text="Gekapert").code == code
        assert evening.refused(person, "contribution.withdraw", contribution=number).code == code


@pytest.mark.parametrize("number", [0, -1, 2, 10**18, 10**30])
@pytest.mark.parametrize("command", ["contribution.edit", "contribution.withdraw", "contribution.approve", "contribution.restore"])
def test_a_number_that_nobody_has_is_unknown(command: str, number: int) -> None:
    evening = Evening()
    evening.submit()
    arguments = {"contribution": number} | ({"text": "Doch anders"} if command.endswith("edit") else {})
    refused = evening.refused("mona", command, **arguments)
    assert (refused.code, refused.field) == ("unknown_contribution", "contribution")


@pytest.mark.parametrize(("phase", "code"), [("closed", "closed"), ("documented", "closed")])
def test_authors_edit_while_the_event_takes_contributions_and_the_page_says_so(phase: str, code: str) -> None:
    evening = Evening()
    number = evening.bring("approved")
    assert evening.seen("me", f"contribution/{number}", "anna")["may_edit"]
    evening.send("olga", "event.advance", phase=phase)
    assert not evening.seen("me", f"contribution/{number}", "anna")["may_edit"]
    assert evening.refused("anna", "contribution.edit", contribution=number, text="Doch anders").code == code


# A moderator's edit.


@pytest.mark.parametrize("state", STATES)
def test_a_moderators_edit_keeps_state_and_original(state: State) -> None:
    evening = Evening()
    number = evening.bring(state)
    if state not in (*EDITABLE, "on_air"):
        assert evening.refused("mona", "contribution.edit", contribution=number, text="Doch anders").code == "wrong_state"
        return
    for text in ("Etwas kürzer", "Noch kürzer"):
        assert evening.send("mona", "contribution.edit", contribution=number, text=text) == {"state": state}
    item = evening.item(number)
    assert (item.text, item.original) == ("Noch kürzer", "Mehr Bänke am Westwall"), (
        "the original is the author's, not the first edit"
    )
    assert evening.seen("moderation", f"contribution/{number}")["edited"] is True


def test_the_author_s_own_edit_is_a_new_original() -> None:
    evening = Evening()
    number = evening.bring("approved")
    evening.send("mona", "contribution.edit", contribution=number, text="Kürzer")
    evening.send("anna", "contribution.edit", contribution=number, text="Ganz anders")
    assert evening.item(number).original is None
    assert evening.seen("me", f"contribution/{number}", "anna")["edited"] is False


def test_the_original_wording_is_for_the_moderators_only() -> None:
    evening = Evening()
    number = evening.bring("on_air", text="Der Bürgermeister ist ein Esel")
    evening.send("mona", "contribution.edit", contribution=number, text="Der Bürgermeister irrt")
    for channel in ("public", "stage", "output/main"):
        assert "Esel" not in str(evening.screen(channel))
    assert "Esel" in str(evening.screen("moderation")), "the control"


def test_what_is_edited_on_air_changes_on_every_screen() -> None:
    evening = Evening()
    evening.bring("on_air")
    evening.send("mona", "contribution.edit", contribution=1, text="Ein Tippfehler weniger")
    assert {"on_air", "contribution/1"} <= set(evening.touched)


# Taking back.


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize("phase", ["live", "closed", "documented"])
def test_authors_take_back_in_every_state_and_phase(state: State, phase: str) -> None:
    evening = Evening()
    number = evening.bring(state, name="Anna")
    evening.send("olga", "event.advance", phase=phase)
    assert evening.send("anna", "contribution.withdraw", contribution=number) == {"state": "withdrawn"}
    item = evening.item(number)
    assert (item.state, item.text, item.original, item.reason) == ("withdrawn", "", None, None)
    assert evening.names[f"contribution/{number}"] == ""
    assert evening.event.contributions.on_air is None
    for channel in ("public", "moderation", "stage", "output/main"):
        assert "Westwall" not in str(evening.screen(channel))
    assert evening.refused("mona", "contribution.restore", contribution=number).code in ("wrong_state", "closed")


def test_taking_back_twice_is_done_already() -> None:
    evening = Evening()
    number = evening.bring("withdrawn")
    rows = len(evening.rows)
    assert evening.send("anna", "contribution.withdraw", contribution=number) == {"state": "withdrawn"}
    assert len(evening.rows) == rows


def test_taking_back_names_all_rows_that_hold_the_text() -> None:
    evening = Evening()
    evening.submit("bilal")
    number = evening.bring("approved")
    evening.send("mona", "contribution.edit", contribution=number, text="Kürzer")
    evening.send("anna", "contribution.edit", contribution=number, text="Wieder anders")
    holding = [seq for seq, (_, _, row) in enumerate(evening.rows, 1) if b'"text"' in row and b'"number":2' in row]
    assert evening.decide("anna", "contribution.withdraw", contribution=number).forget == holding
    assert len(holding) == 3


def test_the_text_is_gone_from_the_state() -> None:
    evening = Evening()
    number = evening.bring("approved", text="Unwiderruflich peinlich")
    evening.send("mona", "contribution.edit", contribution=number, text="Weniger peinlich")
    evening.send("anna", "contribution.withdraw", contribution=number)
    assert b"peinlich" not in evening.snapshot()
    assert same(evening.replayed(), evening.event)


# Receipts.


def test_a_receipt_leads_to_its_contribution() -> None:
    evening = Evening()
    for _ in range(12):
        evening.submit()
    for number in (1, 2, 12):
        code = receipt(evening.event, number)
        for typed in (code, code.lower(), f" {code}\n"):
            found = of_receipt(evening.event, typed)
            assert found is evening.item(number)


def test_no_other_code_does() -> None:
    evening = Evening()
    evening.submit()
    evening.submit()
    one, other = receipt(evening.event, 1), receipt(evening.event, 2)
    for typed in (
        "",
        "1",
        "1-",
        "-",
        "1-AAAAAAAAAA",
        "2" + one[1:],
        "1" + other[1:],
        "x-y",
        "１-" + one[2:],
        "9" * 5_000,
        one + "A",
        "Ä-Ö",
    ):
        assert of_receipt(evening.event, typed) is None, typed


def test_receipts_of_another_event_are_worth_nothing() -> None:
    evening = Evening()
    evening.submit()
    code = receipt(evening.event, 1)
    evening.event.secret = "another"
    assert of_receipt(evening.event, code) is None


# Times.


def test_the_history_says_when_and_by_whom() -> None:
    evening = Evening()
    evening.bring("on_air")
    history = evening.item().history
    assert [(step.state, step.by) for step in history] == [
        ("received", "anna"), ("approved", "mona"), ("shortlisted", "mona"), ("on_air", "mona"),
    ]  # fmt: skip
    assert [step.at for step in history] == sorted(step.at for step in history)
    assert evening.seen("moderation", "contribution/1")["in_state_since"] == iso(history[-1].at)
    assert history[0].at >= NOW


def test_the_system_may_what_an_organiser_may() -> None:
    evening = Evening()
    evening.submit(SYSTEM)
    evening.send(SYSTEM, "contribution.approve", contribution=1)
