"""Seats: who gets them, who waits, who moves up, and what is refused how."""

from __future__ import annotations

from typing import Any

import pytest

from moderation.capabilities import timers
from rooms.command import SYSTEM
from rooms.programme import ms
from rooms.register import Registration
from tests.moderation.evening import NOW, PROGRAMME, Evening, same

OPENS, DEADLINE, STARTS = "2020-08-20T08:00:00+02:00", "2020-08-25T23:59:00+02:00", "2020-08-31T18:00:00+02:00"
HALL: dict[str, Any] = {"seats": 4, "opens": OPENS, "deadline": DEADLINE, "keyword": "Digitalisierung 31.08."}


def registering(**place: Any) -> Evening:
    """An event that people register for; `place` are the facts of the hall."""
    return Evening("registration", starts=STARTS, ends="2020-08-31T20:30:00+02:00", places={"hall": HALL | place})


def register(evening: Evening, name: str = "Anna Aal", person: str = "anna", **more: Any) -> dict[str, Any]:
    email = f"{name.split()[0].lower()}@example.org"
    given = {"place": "hall", "name": name, "email": email} | more
    return evening.send(person, "registration.submit", **{key: value for key, value in given.items() if value is not None})


def item(evening: Evening, number: int) -> Registration:
    return evening.event.registrations.items[number]


def statuses(evening: Evening) -> str:
    """s(eated), w(aiting), l(apsed), c(ancelled) in the order of the numbers."""
    return "".join(one.status[0] for one in evening.event.registrations.items.values())


def told(evening: Evening) -> list[tuple[str, str]]:
    """(addressee, kind) of all messages."""
    return [(one.to, one.kind) for one in evening.event.messages.items.values()]


def fire(evening: Evening, hours: float) -> None:
    """Let the time pass; what is due then happens."""
    evening.now += int(hours * 3_600_000)
    for timer in timers(evening.event):
        if timer.at <= evening.now:
            outcome = evening.decide(SYSTEM, timer.name, **{f: getattr(timer.command, f) for f in timer.command.__struct_fields__})
            if outcome.changes:
                evening.enter(SYSTEM, outcome.changes)


def test_seats_go_in_order_of_arrival_and_the_rest_waits() -> None:
    evening = registering(seats=2)

    results = [register(evening, name) for name in ("Anna", "Bilal", "Cem", "Dana")]

    assert [(one["number"], one["status"], one.get("position")) for one in results] == [
        (1, "seated", None), (2, "seated", None), (3, "waiting", 1), (4, "waiting", 2),
    ]  # fmt: skip
    assert told(evening) == [
        ("registration/1", "seated"), ("registration/2", "seated"), ("registration/3", "waiting"), ("registration/4", "waiting"),
    ]  # fmt: skip


def test_companions_get_seats_together_or_none() -> None:
    evening = registering(seats=3)

    assert register(evening, "Anna", party=2)["status"] == "seated"
    assert register(evening, "Bilal", party=2)["status"] == "waiting"
    # Nobody overtakes who waits for that seat.
    assert register(evening, "Cem")["status"] == "waiting"

    # Who needs one seat less has it, and the next in line the other one.
    evening.send("olga", "registration.correct", registration=2, party=1)
    assert statuses(evening) == "ssw"


def test_a_cancelled_seat_goes_to_the_first_who_waits_with_a_time_to_confirm() -> None:
    evening = registering(seats=1)
    first, second, _ = (register(evening, name) for name in ("Anna", "Bilal", "Cem"))

    evening.send("anna", "registration.cancel", registration=1, token=first["token"])

    assert statuses(evening) == "csw"
    assert item(evening, 2).confirm_by == evening.now + 48 * 3_600_000
    assert told(evening)[-2:] == [("registration/2", "moved_up"), ("registration/1", "cancelled")]

    evening.send("bilal", "registration.confirm", registration=2, token=second["token"])
    fire(evening, 49)
    assert statuses(evening) == "csw", "confirmed in time"


def test_who_does_not_confirm_in_time_loses_the_seat_and_may_come_back_to_the_old_place() -> None:
    evening = registering(seats=1)
    tokens = [register(evening, name)["token"] for name in ("Anna", "Bilal", "Cem", "Dana")]
    evening.send("anna", "registration.cancel", registration=1, token=tokens[0])

    fire(evening, 47)
    assert statuses(evening) == "csww", "there is still an hour"
    fire(evening, 2)
    assert statuses(evening) == "clsw"

    assert evening.send("bilal", "registration.confirm", registration=2, token=tokens[1])["status"] == "waiting"
    evening.send("olga", "registration.cancel", registration=3)
    assert statuses(evening) == "cscw", "Bilal arrived before Dana"


def test_what_is_entered_late_waits_at_the_place_of_its_arrival() -> None:
    """Seats that were given are not taken away again; the list shows what was entered late."""
    evening = registering(seats=1)
    for name in ("Anna", "Bilal"):
        register(evening, name)

    called = register(evening, "Cem", "hilde", way="phone", arrived_at="18:41", phone="02305 1060", email=None)

    assert (called["status"], called["position"]) == ("waiting", 1)
    assert item(evening, 3).arrived == NOW - 60_000
    assert evening.seen("registrations", "registration/3")["late"]
    evening.send("olga", "registration.cancel", registration=1)
    assert statuses(evening) == "cws"
    assert [one.state for one in evening.event.messages.items.values() if one.to == "registration/3"] == ["call", "call"]


def test_the_same_second_goes_by_the_arrival_at_the_server() -> None:
    evening = registering(seats=1)
    register(evening, "Zoe")
    at = "2020-08-20T18:30:07.900+02:00", "2020-08-20T18:30:07.100+02:00", "2020-08-20T18:30:06.999+02:00"
    for name, arrived in zip(("Anna", "Bilal", "Cem"), at, strict=True):
        register(evening, name, "hilde", way="email", arrived_at=arrived)

    line = evening.event.registrations.lines["hall"]
    assert [number for _, number in line.waiting[""]] == [4, 2, 3]


@pytest.mark.parametrize(
    ("more", "code", "field"),
    [
        ({"name": " "}, "name_too_short", "name"),
        ({"name": "x" * 121}, "name_too_long", "name"),
        ({"email": None}, "contact_missing", "email"),
        ({"email": "anna@"}, "wrong_email", "email"),
        ({"email": "anna@example.org\nBcc: all@example.org"}, "wrong_email", "email"),
        ({"email": None, "phone": "ruf mich an"}, "wrong_phone", "phone"),
        ({"party": 3}, "party_too_large", "party"),
        ({"keyword": "Digitalisierung 20.08."}, "wrong_keyword", "keyword"),
        ({"place": "conference"}, "unknown_place", "place"),
        ({"contingent": "press"}, "unknown_contingent", "contingent"),
        ({"way": "phone"}, "forbidden", "way"),
        ({"arrived_at": "08:00"}, "forbidden", "way"),
        ({"present": True}, "forbidden", "way"),
    ],
)
def test_each_mistake_has_its_own_clear_answer(more: dict[str, Any], code: str, field: str) -> None:
    evening = registering()

    given = _given({"place": "hall", "name": "Anna", "email": "a@example.org"} | more)
    refused = evening.refused("anna", "registration.submit", **given)

    assert (refused.code, refused.field) == (code, field)


def _given(arguments: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in arguments.items() if value is not None}


@pytest.mark.parametrize(
    "keyword", ["Digitalisierung 31.08.", "digitalisierung 31.08", "  DIGITALISIERUNG  31.08. ", "Digitalisierung3108"]
)
def test_the_keyword_is_taken_as_people_write_it(keyword: str) -> None:
    assert register(registering(), keyword=keyword)["status"] == "seated"


@pytest.mark.parametrize(
    ("place", "code"),
    [
        ({"opens": "2020-08-21T08:00:00+02:00"}, "not_open_yet"),
        ({"deadline": "2020-08-20T18:00:00+02:00"}, "too_late"),
        ({"deadline": "2020-08-20T18:42:01+02:00"}, "too_late"),
    ],
)
def test_before_the_opening_and_after_the_deadline(place: dict[str, Any], code: str) -> None:
    evening = registering(**place)
    assert evening.refused("anna", "registration.submit", place="hall", name="Anna", email="a@example.org").code == code


def test_a_call_before_the_deadline_counts_though_it_is_entered_after_it() -> None:
    evening = registering(deadline="2020-08-20T18:00:00+02:00")
    assert register(evening, person="hilde", way="phone", arrived_at="17:59")["status"] == "seated"
    late = {"place": "hall", "name": "Bilal", "email": "b@example.org", "way": "phone"}
    assert evening.refused("hilde", "registration.submit", **late).code == "too_late"


def test_nobody_gets_two_seats_by_the_same_address_or_telephone() -> None:
    evening = registering()
    register(evening, "Anna", phone="02305 106-0")

    again = {"place": "hall", "name": "Anne"}
    assert evening.refused("b", "registration.submit", **again, email="ANNA@example.ORG").code == "already_registered"
    assert evening.refused("b", "registration.submit", **again, phone="+49 2305 1060").code == "already_registered"

    evening.send("olga", "registration.cancel", registration=1)
    assert register(evening, "Anna")["status"] == "seated", "who has cancelled may come back"


def test_without_a_waiting_list_it_is_full() -> None:
    evening = registering(seats=1, waiting_list=False)
    register(evening)
    assert evening.refused("b", "registration.submit", place="hall", name="Bilal", email="b@example.org").code == "full"


def test_reserved_seats_are_for_those_who_need_them() -> None:
    evening = registering(seats=3, reserved={"wheelchair": 1, "press": 1})
    assert register(evening, "Anna")["status"] == "seated"
    assert register(evening, "Bilal")["status"] == "waiting", "the others are reserved"
    assert register(evening, "Cem", contingent="wheelchair")["status"] == "seated"
    assert register(evening, "Dana", contingent="wheelchair")["status"] == "waiting"

    evening.send("olga", "registration.cancel", registration=1)
    assert statuses(evening) == "cssw", "the general seat goes to Bilal, who came before Dana"


def test_off_camera_seats_need_no_consent_and_are_kept_for_that() -> None:
    evening = registering(seats=2, reserved={"off_camera": 1}, consents=["picture", "voice"])
    refused = evening.refused("anna", "registration.submit", place="hall", name="Anna", email="a@example.org", consents=["picture"])
    assert (refused.code, refused.params["purpose"]) == ("consent_missing", "voice")
    assert register(evening, "Anna", contingent="off_camera")["status"] == "seated"
    assert register(evening, "Bilal", contingent="off_camera")["status"] == "waiting", "the other seat is filmed"
    assert register(evening, "Cem", consents=["picture", "voice"])["status"] == "seated"
    assert [evening.seen("door", f"registration/{n}")["camera"] for n in (1, 3)] == ["none", "both"]


def test_only_who_has_the_link_may_touch_a_registration_and_nobody_learns_which_there_are() -> None:
    evening = registering()
    mine, other = register(evening, "Anna")["token"], register(evening, "Bilal")["token"]

    for command in ("confirm", "cancel", "erase", "correct"):
        for wrong in (other, None, "1.", mine[:-1], f"1.{other.partition('.')[2]}"):
            refused = evening.refused("anna", f"registration.{command}", **_given({"registration": 1, "token": wrong}))
            assert refused.code == "unknown_registration"
    assert evening.refused("anna", "registration.cancel", registration=99, token=mine).code == "unknown_registration"
    assert evening.send("eve", "registration.cancel", registration=1, token=mine.lower())["status"] == "cancelled"


def test_a_postponed_event_asks_everybody_and_who_declines_makes_room() -> None:
    evening = registering(seats=1)
    tokens = [register(evening, name)["token"] for name in ("Anna", "Bilal")]
    moved = {"starts": "2020-10-08T18:00:00+02:00", "ends": "2020-10-08T20:30:00+02:00", "places": {"hall": HALL | {"seats": 1}}}
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | moved)
    assert evening.screen("registrations")["registrations"]["outdated"] == 2

    assert evening.send("olga", "registration.postpone") == {"asked": 1, "told": 1}
    assert told(evening)[-2:] == [("registration/1", "postponed"), ("registration/2", "changed")]
    assert item(evening, 1).confirm_by is not None
    assert evening.send("olga", "registration.postpone") == {"asked": 0, "told": 0}, "nobody is asked twice"

    evening.send("anna", "registration.cancel", registration=1, token=tokens[0])
    assert statuses(evening) == "cs"
    evening.send("bilal", "registration.confirm", registration=2, token=tokens[1])
    assert item(evening, 2).starts.startswith("2020-10-08")


def test_another_hour_of_the_same_day_is_only_told() -> None:
    evening = registering()
    register(evening)
    later = {"starts": "2020-08-31T19:00:00+02:00", "ends": "2020-08-31T21:00:00+02:00", "places": {"hall": HALL}}
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | later)

    assert evening.send("olga", "registration.postpone") == {"asked": 0, "told": 1}
    assert (item(evening, 1).confirm_by, item(evening, 1).starts) == (None, later["starts"])


def test_more_seats_are_given_at_once_and_taken_ones_are_not_taken_away() -> None:
    evening = registering(seats=1)
    for name in ("Anna", "Bilal", "Cem"):
        register(evening, name)
    facts = PROGRAMME | {"starts": STARTS, "ends": STARTS}

    evening.send(SYSTEM, "event.configure", programme=facts | {"places": {"hall": HALL | {"seats": 2}}})
    fire(evening, 0)
    assert statuses(evening) == "ssw"
    fire(evening, 0)
    for places in ({"hall": HALL | {"seats": 1}}, {}):
        assert evening.refused(SYSTEM, "event.configure", programme=facts | {"places": places}).code == "seats_taken"


def test_at_the_door_who_is_there_gets_a_free_seat() -> None:
    evening = registering(seats=2)
    evening.send(SYSTEM, "event.advance", phase="live")
    register(evening, "Anna", party=2)
    register(evening, "Bilal")
    evening.now = ms(STARTS) + 60_000

    assert evening.refused("hilde", "registration.check_in", registration=2).code == "full"
    evening.send("olga", "registration.cancel", registration=1)
    assert statuses(evening) == "cw", "nobody moves up by mail when the event has begun"
    assert evening.send("hilde", "registration.check_in", registration=2)["status"] == "seated"
    walk_in = evening.send("hilde", "registration.submit", place="hall", name="Cem", present=True)
    assert (walk_in["status"], item(evening, 3).here is not None) == ("seated", True)
    assert evening.refused("hilde", "registration.submit", place="hall", name="Dana", present=True).code == "full"


def test_moving_to_the_other_place_keeps_the_order_of_arrival() -> None:
    evening = Evening("registration", starts=STARTS, places={"hall": HALL | {"seats": 1}, "conference": HALL | {"seats": 1}})
    for name, place in (("Anna", "hall"), ("Bilal", "hall"), ("Cem", "conference"), ("Dana", "conference")):
        register(evening, name, place=place)

    assert evening.send("olga", "registration.move", registration=2, to="conference")["status"] == "waiting"
    evening.send("olga", "registration.cancel", registration=3)
    assert statuses(evening) == "sscw", "Bilal came before Dana"
    assert item(evening, 2).place == "conference"


def test_erasing_leaves_the_count_and_nothing_else() -> None:
    evening = registering(seats=1)
    token = register(evening, "Anna Aal", phone="02305 1060")["token"]
    outcome = evening.decide("anna", "registration.erase", registration=1, token=token)
    known = {"registration/1", "registration/1/email", "registration/1/phone", "registration/1/note"}
    assert set(outcome.names) == known | {"anna"}, "and the name that this browser signs with"
    assert not any(outcome.names.values())
    assert outcome.forget == [item(evening, 1).rows[0]]

    evening.send("anna", "registration.erase", registration=1, token=token)
    assert evening.seen("registrations", "registration/1") is None
    assert evening.refused("anna", "registration.confirm", registration=1, token=token).code == "unknown_registration"
    assert evening.event.registrations.by_contact == {}
    assert register(evening, "Anna Aal", phone="02305 1060")["status"] == "seated"


def test_the_log_holds_nobody() -> None:
    evening = registering()
    register(evening, "Anna Aal", phone="02305 1060", consents=["photos"])
    evening.send("hilde", "registration.correct", registration=1, note="kommt mit Hund", name="Anna Ahl")

    written = b"".join(changes for *_, changes in evening.rows)
    for personal in (b"Aal", b"Ahl", b"anna@", b"02305", b"2305", b"Hund"):
        assert personal not in written
    assert evening.names["registration/1/note"] == "kommt mit Hund"
    assert same(evening.event, evening.replayed())


def test_what_is_corrected_is_seen_as_corrected() -> None:
    evening = registering()
    token = register(evening)["token"]
    evening.send("anna", "registration.correct", registration=1, token=token, phone="02305 1060", name="Anne Aal")
    evening.send("olga", "registration.correct", registration=1, arrived_at="2020-08-20T10:00:00+02:00")

    seen = evening.seen("registrations", "registration/1")
    assert seen["corrected"]
    corrections = [step["detail"] for step in seen["history"] if step["what"] == "corrected"]
    assert corrections == ["name, phone", "arrived"]
    for forbidden in ({"note": "x"}, {"arrived_at": "08:00"}, {"contingent": ""}):
        assert evening.refused("anna", "registration.correct", registration=1, token=token, **forbidden).code == "forbidden"
    unreachable = {"registration": 1, "token": token, "email": "", "phone": ""}
    assert evening.refused("anna", "registration.correct", **unreachable).code == "contact_missing"


@pytest.mark.parametrize(
    ("said", "second"), [("18:40", 0), ("18:40:07", 7), ("2020-08-20T18:40:07", 7), ("2020-08-20T16:40:07Z", 7), ("20:00", -81_600)]
)
def test_the_time_of_a_call_is_taken_to_the_second_as_a_browser_sends_it(said: str, second: int) -> None:
    evening = registering(opens="")
    register(evening, person="hilde", way="phone", arrived_at=said)
    assert item(evening, 1).arrived == NOW - 120_000 + second * 1_000


def test_where_addresses_have_to_be_proven_the_form_gives_no_link_and_an_unconfirmed_seat_goes_on() -> None:
    evening = registering(seats=1, confirm_web=True)
    invented = register(evening, "Eve")
    assert invented == {"number": 1, "status": "seated"}, "the link is in the message only"
    assert register(evening, "Anna")["status"] == "waiting"
    called = register(evening, "Bilal", "hilde", way="phone")
    assert "token" in called, "staff have spoken to them"

    fire(evening, 49)
    assert statuses(evening) == "lsw"


def test_the_control_without_proof_invented_addresses_keep_the_seats() -> None:
    evening = registering(seats=1)
    register(evening, "Eve")
    register(evening, "Anna")
    fire(evening, 49)
    assert statuses(evening) == "sw"
