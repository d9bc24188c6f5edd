"""Messages: who is told what, by which way, and each exactly once."""

from __future__ import annotations

from collections import Counter
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from moderation.capabilities import timers
from rooms.command import SYSTEM, Refused
from rooms.messages import CLAIMED_FOR, GIVE_UP, MEANT_FOR, RETRY, Kind, Message, ToAll
from rooms.programme import ms
from rooms.register import token
from tests.moderation.evening import LETTER, PROGRAMME, Evening, same

STARTS, ENDS = "2020-08-31T18:00:00+02:00", "2020-08-31T20:30:00+02:00"
MOVED = {"starts": "2020-10-08T18:00:00+02:00", "ends": "2020-10-08T20:30:00+02:00"}
HOUR = 3_600_000


class Registering(Evening):
    """An event in a hall with one seat that people register for."""

    def __init__(self, seats: int = 1, phase: str = "registration", **facts: Any) -> None:
        self.facts = {"starts": STARTS, "ends": ENDS, "places": {"hall": {"seats": seats, "keyword": "Saal"}}} | facts
        super().__init__(phase, **self.facts)

    def register(self, *names: str, **more: Any) -> None:
        """Each with an address of their own."""
        for name in names:
            given = {"place": "hall", "name": name, "email": f"{name.lower()}@example.org"} | more
            staff = {"way", "present"} & set(more)
            self.send("hilde" if staff else name, "registration.submit", **{key: value for key, value in given.items() if value})

    def mine(self, command: str, number: int) -> dict[str, Any]:
        """A command by whoever has the link."""
        return self.send("link", f"registration.{command}", registration=number, token=token(self.event, number))

    def move(self, **facts: Any) -> None:
        """The event has other facts from now on."""
        self.send(SYSTEM, "event.configure", programme=PROGRAMME | self.facts | facts)

    def fire(self, at: int | None = None) -> list[str]:
        """What is due now, or then, happens; returns what."""
        self.now = at or self.now
        due = [timer for timer in timers(self.event) if timer.at <= self.now]
        for timer in due:
            outcome = self.decide(SYSTEM, timer.name, **msgspec.to_builtins(timer.command))
            if outcome.changes:
                self.enter(SYSTEM, outcome.changes)
        return [timer.name for timer in due]

    def message(self, number: int) -> Message:
        return self.event.messages.items[number]

    def last(self) -> Message:
        return list(self.event.messages.items.values())[-1]

    def told(self, since: int = 0) -> list[tuple[int, str]]:
        """(registration, kind) of all messages after the first so many."""
        return [(int(one.to.partition("/")[2]), one.kind) for one in list(self.event.messages.items.values())[since:]]

    def bring(self, *states: str, number: int = 1) -> None:  # type: ignore[override]
        """The worker goes on with the message."""
        for state in states:
            if state == "sending":
                self.send(SYSTEM, "message.claim", message=number)
            else:
                self.send(SYSTEM, "message.report", message=number, state=state)


def full() -> Registering:
    """Anna sits, Bilal waits, and both were told."""
    evening = Registering()
    evening.register("Anna", "Bilal")
    return evening


def moved_up() -> Registering:
    """Anna has cancelled, and Bilal has to confirm."""
    evening = full()
    evening.mine("cancel", 1)
    return evening


def lapsed() -> Registering:
    """Bilal has not confirmed."""
    evening = moved_up()
    evening.fire(evening.now + 49 * HOUR)
    return evening


def postponed(**facts: Any) -> Registering:
    evening = full()
    evening.move(**MOVED | facts)
    evening.send("olga", "registration.postpone")
    return evening


QUEUED = {
    "registered": (full, [(1, "seated"), (2, "waiting")]),
    "cancelled": (moved_up, [(2, "moved_up"), (1, "cancelled")]),
    "not confirmed": (lapsed, [(2, "lapsed")]),
    "another day": (postponed, [(1, "postponed"), (2, "changed")]),
}


@pytest.mark.parametrize(("happens", "kinds"), QUEUED.values(), ids=QUEUED)
def test_every_change_is_told_to_whom_it_concerns(happens: Any, kinds: list[tuple[int, str]]) -> None:
    evening = happens()
    assert evening.told()[-len(kinds) :] == kinds
    assert {one.state for one in evening.event.messages.items.values()} == {"queued"}
    assert set(evening.event.messages.open) == set(evening.event.messages.items)


def test_who_comes_back_is_told_what_they_have_then() -> None:
    evening = lapsed()
    assert evening.mine("confirm", 2)["status"] == "seated"
    assert evening.told()[-1] == (2, "seated")


def test_who_only_confirms_or_corrects_or_moves_nobody_is_not_written_to() -> None:
    evening = moved_up()
    before = len(evening.told())
    evening.mine("confirm", 2)
    evening.send("hilde", "registration.correct", registration=2, note="mit Hund", name="Bilal B.")
    evening.send("hilde", "registration.check_in", registration=2)
    evening.mine("cancel", 1)  # once more
    assert evening.told()[before:] == []


def test_who_is_moved_to_the_other_place_is_told() -> None:
    evening = Registering(places={"hall": {"seats": 1}, "conference": {"seats": 1}})
    evening.register("Anna", "Bilal", "Cem")
    evening.send("olga", "registration.move", registration=2, to="conference")
    evening.send("olga", "registration.move", registration=3, to="conference")
    assert evening.told(3) == [(2, "seated"), (3, "waiting")]


@pytest.mark.parametrize(
    ("contact", "state"),
    [({}, "queued"), ({"phone": "02305 1060"}, "queued"), ({"email": None, "phone": "02305 1060"}, "call")],
    ids=["e-mail", "both", "telephone"],
)
def test_who_has_only_a_telephone_is_called(contact: dict[str, Any], state: str) -> None:
    evening = Registering()
    evening.register("Anna", **contact)
    assert evening.message(1).state == state
    assert evening.event.messages.counts == {state: 1}
    evening.mine("cancel", 1)
    assert evening.last().state == state
    assert bool(evening.event.messages.open) == (state == "queued")


def test_a_walk_in_without_contact_is_told_at_the_door() -> None:
    evening = Registering(seats=2)
    evening.register("Anna", email=None, present=True)
    evening.send("hilde", "registration.correct", registration=1, party=2)
    evening.send("olga", "message.send", kind="thanks")
    evening.send("olga", "registration.cancel", registration=1)
    assert evening.told() == []


def test_two_workers_cannot_send_the_same_message() -> None:
    evening = full()
    assert evening.send(SYSTEM, "message.claim", message=1) == {"state": "sending"}
    refused = evening.refused(SYSTEM, "message.claim", message=1)
    assert (refused.code, refused.params["state"]) == ("wrong_message_state", "sending")
    assert (list(evening.event.messages.open), list(evening.event.messages.claimed)) == ([2], [1])

    evening.bring("sent")
    for command, more in (("claim", {}), ("report", {"state": "sent"}), ("report", {"state": "queued"})):
        assert evening.refused(SYSTEM, f"message.{command}", message=1, **more).code == "wrong_message_state"
    assert evening.refused("hilde", "message.retry", message=1).code == "wrong_message_state", "it has arrived"
    assert evening.event.messages.counts == {"queued": 1, "sending": 0, "sent": 1}
    assert evening.event.messages.claimed == {}


@pytest.mark.parametrize("command", ["claim", "report", "retry", "told"])
def test_a_message_that_is_not_there_is_unknown(command: str) -> None:
    more = {"state": "sent"} if command == "report" else {}
    assert full().refused(SYSTEM, f"message.{command}", message=9, **more).code == "unknown_message"


@pytest.mark.parametrize(
    ("happens", "number", "kind"),
    [
        (lambda one: one.mine("cancel", 1), 1, "seated"),
        (lambda one: one.mine("cancel", 1), 2, "waiting"),
        (lambda one: one.mine("cancel", 2), 2, "waiting"),
        (lambda one: one.mine("erase", 1), 1, "seated"),
    ],
    ids=["seated, but cancelled", "waiting, but moved up", "waiting, but cancelled", "seated, but forgotten"],
)
def test_what_is_no_longer_true_is_not_sent(happens: Any, number: int, kind: str) -> None:
    evening = full()
    happens(evening)
    assert evening.message(number).kind == kind
    if evening.message(number).state == "queued":
        assert evening.send(SYSTEM, "message.claim", message=number) == {"state": "dropped"}
    assert evening.message(number).state == "dropped"
    assert number not in evening.event.messages.open


STATUSES: dict[str, Any] = {"seated": full, "waiting": full, "lapsed": lapsed, "cancelled": moved_up}


@pytest.mark.parametrize("kind", get_args(Kind))
@pytest.mark.parametrize("status", STATUSES)
def test_every_kind_is_sent_only_in_the_states_that_it_tells_of(kind: Kind, status: str) -> None:
    evening = STATUSES[status]()
    item = next(one for one in evening.event.registrations.items.values() if one.status == status)
    number = len(evening.event.messages.items) + 1
    evening.event.messages.items[number] = Message(
        number, f"registration/{item.number}", kind, evening.now, "queued", evening.now, detail=STARTS
    )
    meant = kind not in MEANT_FOR or status in MEANT_FOR[kind]
    assert evening.decide(SYSTEM, "message.claim", message=number).result == {"state": "sending" if meant else "dropped"}


def test_every_kind_about_a_seat_is_for_some_state() -> None:
    assert set(get_args(Kind)) - set(MEANT_FOR) == {"link", "refused"}
    assert MEANT_FOR["seated"] == MEANT_FOR["moved_up"] == MEANT_FOR["access"] == ("seated",)
    assert MEANT_FOR["cancelled"] == ("cancelled",)


def test_an_event_that_moves_twice_is_told_once() -> None:
    """A letter says what is true when it is written: the first of two would say the same as the second."""
    evening = postponed()
    again = {"starts": "2020-10-15T18:00:00+02:00", "ends": "2020-10-15T20:30:00+02:00"}
    evening.move(**again)
    evening.send("olga", "registration.postpone")
    assert evening.told(2) == [(1, "postponed"), (2, "changed")] * 2
    states = [evening.send(SYSTEM, "message.claim", message=number)["state"] for number in (3, 4, 5, 6)]
    assert states == ["dropped", "dropped", "sending", "sending"]


@pytest.mark.parametrize("kind", ["access", "reminder"])
def test_nobody_is_reminded_of_what_is_over_or_has_moved(kind: ToAll) -> None:
    evening = full()
    evening.send("olga", "message.send", kind=kind)
    number = evening.last().number
    evening.now = ms(ENDS) - 1
    assert evening.decide(SYSTEM, "message.claim", message=number).result == {"state": "sending"}
    evening.now = ms(ENDS)
    assert evening.decide(SYSTEM, "message.claim", message=number).result == {"state": "dropped"}
    evening.now = ms(STARTS) - HOUR
    evening.move(**MOVED)
    assert evening.decide(SYSTEM, "message.claim", message=number).result == {"state": "dropped"}

    evening.now = ms(MOVED["ends"])
    assert evening.send("olga", "message.send", kind=kind) == {"queued": 0}


def test_what_cannot_be_handed_over_is_tried_again_ever_later_for_four_days() -> None:
    evening = full()
    begun, waits = evening.message(1).at, []
    while evening.message(1).state == "queued":
        evening.now = max(evening.now, evening.message(1).due)
        evening.bring("sending", "queued")
        if evening.message(1).state == "queued":
            waits.append((evening.message(1).due - evening.now) // 1000)
            assert evening.event.messages.open[1] == evening.message(1).due
    assert waits[:7] == [*RETRY, RETRY[-1], RETRY[-1]]
    assert waits == sorted(waits)
    assert evening.message(1).state == "failed"
    assert 0 < evening.now - begun - GIVE_UP <= 1000 * RETRY[-1] + 2_000, "after four days and at most one more wait"
    assert 1 not in evening.event.messages.open
    assert evening.screen("registrations")["registrations"]["trouble"] == 1
    assert same(evening.event, evening.replayed())


def test_a_worker_that_dies_leaves_an_uncertain_message_that_is_not_sent_again_by_itself() -> None:
    evening = full()
    evening.bring("sending")
    since = evening.now
    assert evening.fire(since + CLAIMED_FOR - 1) == []
    assert evening.fire(since + CLAIMED_FOR) == ["message.report"]
    assert (evening.message(1).state, evening.message(1).reason) == ("uncertain", "the worker did not report")
    assert evening.fire(since + 10 * CLAIMED_FOR) == []
    assert 1 not in evening.event.messages.open
    assert evening.refused(SYSTEM, "message.claim", message=1).code == "wrong_message_state"
    assert evening.screen("registrations")["registrations"]["trouble"] == 1


def test_a_worker_that_was_only_slow_may_still_say_that_it_was_sent() -> None:
    evening = full()
    evening.bring("sending")
    evening.fire(evening.now + CLAIMED_FOR)
    assert evening.refused(SYSTEM, "message.report", message=1, state="queued").code == "wrong_message_state"
    evening.bring("sent")
    assert evening.message(1).state == "sent"


@pytest.mark.parametrize("state", ["failed", "uncertain"])
def test_staff_may_send_again_or_call(state: str) -> None:
    evening = full()
    evening.bring("sending", state)
    called = evening.decide("hilde", "message.told", message=1)
    assert called.result == {"state": "told"}
    assert evening.send("hilde", "message.retry", message=1) == {"state": "queued"}
    assert evening.event.messages.open[1] == evening.now
    assert evening.message(1).reason == ""
    evening.bring("sending", "sent")
    assert evening.event.messages.counts == {"queued": 1, "sending": 0, state: 0, "sent": 1}


def test_who_waits_for_the_next_try_may_be_tried_now() -> None:
    evening = full()
    evening.bring("sending", "queued")
    assert evening.message(1).due > evening.now + 30_000
    evening.send("hilde", "message.retry", message=1)
    assert evening.message(1).due == evening.now


@pytest.mark.parametrize("command", ["retry", "told"])
def test_what_is_being_sent_is_left_alone(command: str) -> None:
    evening = full()
    evening.bring("sending")
    assert evening.refused("hilde", f"message.{command}", message=1).code == "wrong_message_state"


def test_a_call_is_made_once() -> None:
    evening = Registering()
    evening.register("Anna", email=None, phone="02305 1060")
    for command in ("claim", "retry"):
        assert evening.refused(SYSTEM, f"message.{command}", message=1).code == "wrong_message_state"
    assert evening.send("hilde", "message.told", message=1) == {"state": "told"}
    assert evening.decide("hilde", "message.told", message=1).changes == []
    assert evening.event.messages.counts == {"call": 0, "told": 1}


REASONS = [
    "550 5.1.1 <anna@example.org>: Recipient address rejected: User unknown",
    "550 anna@example.org unbekannt",
    "b\"5.7.1 'anna@example.org' rejected\"",
    "RCPT TO:<anna@example.org> refused",
]


@pytest.mark.parametrize("reason", REASONS)
def test_why_it_was_refused_is_logged_without_the_address(reason: str) -> None:
    evening = full()
    evening.bring("sending")
    evening.send(SYSTEM, "message.report", message=1, state="failed", reason=reason + " x" * 200)
    assert "anna" not in evening.message(1).reason.lower()
    assert evening.message(1).reason[:3] == reason[:3]
    assert len(evening.message(1).reason) <= 200
    assert not any(b"anna@" in changes.lower() for *_, changes in evening.rows)


STEPS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "claim": (SYSTEM, "message.claim", {"message": 1}),
    "sent": (SYSTEM, "message.report", {"message": 1, "state": "sent"}),
    "later": (SYSTEM, "message.report", {"message": 1, "state": "queued"}),
    "failed": (SYSTEM, "message.report", {"message": 1, "state": "failed"}),
    "uncertain": (SYSTEM, "message.report", {"message": 1, "state": "uncertain"}),
    "retry": ("hilde", "message.retry", {"message": 1}),
    "told": ("hilde", "message.told", {"message": 1}),
    "cancel": ("olga", "registration.cancel", {"registration": 1}),
}



@given(st.lists(st.sampled_from([*STEPS, "timers"]), max_size=25))
def test_whatever_happens_it_is_handed_over_once_for_each_time_that_somebody_asked(steps: list[str]) -> None:
    evening = Registering()
    evening.register("Anna")
    handed, asked = 0, 1
    for step in steps:
        before = evening.message(1).state
        try:
            if step == "timers":
                evening.fire(evening.now + HOUR)
            else:
                person, command, arguments = STEPS[step]
                evening.send(person, command, **arguments)
        except Refused as refused:
            assert (refused.code, evening.message(1).state) == ("wrong_message_state", before)
            continue
        state = evening.message(1).state
        handed += state == "sending" != before
        asked += step in ("retry", "later")
        assert handed <= asked
        messages = evening.event.messages
        assert (1 in messages.open, 1 in messages.claimed) == (state == "queued", state == "sending")
        assert messages.counts.get("sent", 0) <= 1
    states = Counter(one.state for one in evening.event.messages.items.values())
    assert states == Counter(evening.event.messages.counts), "the counts are those of the messages"
    assert same(evening.event, evening.replayed())


KINDS = get_args(ToAll)


@pytest.mark.parametrize("kind", KINDS)
def test_a_message_to_all_goes_to_each_who_has_a_seat_once(kind: ToAll) -> None:
    evening = Registering(seats=2)
    evening.register("Anna", "Bilal", "Cem")  # Cem waits
    before = len(evening.told())

    assert evening.send("olga", "message.send", kind=kind) == {"queued": 2}
    assert evening.told(before) == [(1, kind), (2, kind)]
    assert evening.send("olga", "message.send", kind=kind) == {"queued": 0}
    assert evening.decide("olga", "message.send", kind=kind).changes == []

    evening.mine("cancel", 1)
    evening.mine("confirm", 3)
    assert evening.send("olga", "message.send", kind=kind) == {"queued": 1}, "only to who came since"
    assert evening.told()[-1] == (3, kind)


@pytest.mark.parametrize("kind", KINDS)
def test_after_the_event_has_moved_it_is_sent_again(kind: ToAll) -> None:
    evening = Registering()
    evening.register("Anna")
    evening.send("olga", "message.send", kind=kind)
    evening.bring("sending", "sent", number=2)
    evening.move(**MOVED)
    assert evening.send("olga", "message.send", kind=kind) == {"queued": 1}
    assert evening.send("olga", "message.send", kind=kind) == {"queued": 0}
    assert [one.detail for one in evening.event.messages.items.values() if one.kind == kind] == [STARTS, MOVED["starts"]]


def test_a_message_to_one_place_is_for_that_place() -> None:
    evening = Registering(places={"hall": {"seats": 1}, "conference": {"seats": 1}})
    evening.register("Anna")
    evening.register("Bilal", place="conference")
    assert evening.send("olga", "message.send", kind="access", place="conference") == {"queued": 1}
    assert evening.told()[-1] == (2, "access")


def test_who_moves_to_the_other_place_needs_the_access_data_of_that_one() -> None:
    evening = Registering(places={"hall": {"seats": 1}, "conference": {"seats": 1}})
    evening.register("Anna")
    for kind in ("access", "reminder"):
        evening.send("olga", "message.send", kind=kind)
    evening.bring("sending", "sent", number=2)
    evening.send("olga", "registration.move", registration=1, to="conference")
    assert [evening.send("olga", "message.send", kind=kind)["queued"] for kind in ("access", "access", "reminder")] == [1, 0, 0]


def test_access_data_that_were_not_sent_yet_when_somebody_moved_are_sent_once() -> None:
    evening = Registering(places={"hall": {"seats": 1}, "conference": {"seats": 1}})
    evening.register("Anna")
    evening.send("olga", "message.send", kind="access")
    evening.send("olga", "registration.move", registration=1, to="conference")
    assert evening.send("olga", "message.send", kind="access") == {"queued": 0}


def test_who_has_to_confirm_gets_the_access_data_with_the_confirmation() -> None:
    at = "2020-08-21T12:00:00+02:00"
    evening = Registering(places={"hall": {"seats": 1, "access_at": at, "access": {"de": "Raum 1"}}})
    evening.register("Anna", "Bilal")
    evening.now = ms(at) - HOUR
    evening.mine("cancel", 1)
    assert evening.fire(ms(at)) == ["message.send"]
    assert (2, "access") not in evening.told()

    evening.mine("confirm", 2)
    assert evening.told()[-1] == (2, "access")
    assert evening.send("olga", "message.send", kind="access") == {"queued": 0}
    evening.mine("confirm", 2)
    assert evening.told().count((2, "access")) == 1


@pytest.mark.parametrize("offset", [-HOUR, HOUR], ids=["before their time", "after the event"])
def test_a_confirmation_brings_no_access_data_when_it_is_not_the_time(offset: int) -> None:
    at = "2020-08-30T12:00:00+02:00"
    evening = Registering(places={"hall": {"seats": 1, "access_at": at}})
    evening.register("Anna", "Bilal")
    evening.now = ms(at) - 2 * HOUR
    evening.mine("cancel", 1)
    evening.now = (ms(at) if offset < 0 else ms(ENDS)) + offset
    evening.mine("confirm", 2)
    assert (2, "access") not in evening.told()


@pytest.mark.parametrize(("here", "thanked"), [((), [1, 2]), ((2,), [2])], ids=["nobody was checked in", "somebody was"])
def test_thanks_go_to_who_was_there(here: tuple[int, ...], thanked: list[int]) -> None:
    evening = Registering(seats=2)
    evening.register("Anna", "Bilal", "Cem")
    for number in here:
        evening.send("hilde", "registration.check_in", registration=number)
    evening.now = ms(ENDS) + HOUR
    assert evening.send("olga", "message.send", kind="thanks") == {"queued": len(thanked)}
    assert [number for number, kind in evening.told() if kind == "thanks"] == thanked


TIMED: dict[str, dict[str, Any]] = {
    "access": {"places": {"hall": {"seats": 1, "access_at": "2020-08-29T12:00:00+02:00"}}},
    "reminder": {"messages": {"reminder_at": "2020-08-29T12:00:00+02:00"}},
    "thanks": {"messages": {"thanks_at": "2020-09-02T12:00:00+02:00"}},
}


@pytest.mark.parametrize("kind", TIMED)
def test_what_has_a_time_goes_by_itself_once(kind: str) -> None:
    evening = Registering(**TIMED[kind])
    evening.register("Anna", "Bilal")
    (timer,) = timers(evening.event)
    assert evening.fire(timer.at - 1) == []
    assert evening.fire(timer.at) == ["message.send"]
    assert evening.told()[-1] == (1, kind)
    told = evening.told()

    assert evening.fire(timer.at + HOUR) == []
    evening.event = evening.replayed()
    assert evening.fire(timer.at + 2 * HOUR) == [], "another process knows that it was sent"
    assert evening.told() == told


def test_the_timer_has_the_same_id_in_every_process_and_another_one_at_another_time() -> None:
    evening = Registering(**TIMED["reminder"])
    (timer,) = timers(evening.event)
    evening.event = evening.replayed()
    assert list(timers(evening.event)) == [timer]
    evening.move(messages={"reminder_at": "2020-08-30T12:00:00+02:00"})
    (other,) = timers(evening.event)
    assert other.id != timer.id


def test_with_nobody_to_tell_it_is_over_all_the_same() -> None:
    evening = Registering(**TIMED["reminder"])
    at = ms(TIMED["reminder"]["messages"]["reminder_at"])
    assert evening.fire(at) == ["message.send"]
    evening.register("Anna")
    assert evening.fire(at + HOUR) == []
    assert evening.send("olga", "message.send", kind="reminder") == {"queued": 1}


def test_a_server_that_was_off_does_not_remind_of_yesterday() -> None:
    evening = Registering(**TIMED["reminder"])
    evening.register("Anna")
    assert evening.fire(ms(ENDS) + HOUR) == ["message.send"]
    assert evening.told() == [(1, "seated")]
    assert evening.fire(ms(ENDS) + 2 * HOUR) == []


def test_a_draft_writes_to_nobody() -> None:
    evening = Registering(phase="draft", **TIMED["reminder"])
    assert timers(evening.event) == []
    evening.send("olga", "event.advance", phase="registration")
    assert [timer.name for timer in timers(evening.event)] == ["message.send"]


def test_what_a_forgotten_person_was_not_told_troubles_nobody() -> None:
    evening = Registering(seats=3)
    evening.register("Anna", email=None, phone="02305 1060")
    evening.register("Bilal", "Cem")
    evening.bring("sending", "failed", number=2)
    evening.bring("sending", number=3)
    for number in (1, 2, 3):
        evening.mine("erase", number)
    assert [evening.message(number).state for number in (1, 2, 3)] == ["dropped", "dropped", "sending"]
    evening.send(SYSTEM, "message.report", message=3, state="queued")
    assert evening.message(3).state == "dropped"
    counts = evening.screen("registrations")["registrations"]
    assert (counts["calls"], counts["trouble"], counts["queued"]) == (0, 0, 0)


def test_an_answer_to_a_letter_is_sent_unless_the_letter_is_forgotten() -> None:
    evening = full()
    for number in (1, 2):
        letter = LETTER | {"email": "anna@example.org", "text": "Saal", "message": f"<{number}@x>", "arrived": evening.now}
        evening.send(SYSTEM, "mail.receive", **letter)
    assert evening.event.messages.of["mail/1"] + evening.event.messages.of["mail/2"] == [3, 4]
    assert (evening.message(3).kind, evening.message(4).detail) == ("refused", "already_registered")
    assert evening.send(SYSTEM, "message.claim", message=3) == {"state": "sending"}
    evening.mine("erase", 1)
    assert evening.message(4).state == "dropped"
