"""Retention: what is deleted when somebody wants it and when the time has come, in the tables and in the log; and what stays."""

from __future__ import annotations

import re
from typing import Any

import msgspec
import pytest

from moderation.capabilities import AnyChange, forgotten, timers
from rooms.bonds import Bound
from rooms.command import SYSTEM, Outcome
from rooms.programme import ms
from rooms.register import token
from rooms.retention import DAY, due
from tests.moderation.evening import LETTER, PROGRAMME, Evening, same

_READ, _WRITE = msgspec.json.Decoder(list[AnyChange]), msgspec.json.Encoder()
STARTS, ENDS = "2020-08-31T18:00:00+02:00", "2020-08-31T20:30:00+02:00"
FINGERPRINT = re.compile(rb'"[2-9A-HJ-NP-Z]{20}"')
"""What the log holds of addresses, telephones and Message-IDs while people are known."""


class Kept(Evening):
    """An evening whose log and people table forget as the real ones do."""

    def __init__(self, **facts: Any) -> None:
        places = {"hall": {"seats": 2, "keyword": "Saal", "optional_consents": ["name", "photos"]}, "conference": {"seats": 2}}
        super().__init__("live", starts=STARTS, ends=ENDS, places=places, **facts)

    def send(self, person: str, command: str, /, **arguments: Any) -> dict[str, Any]:
        outcome = self.decide(person, command, **arguments)
        result = super().send(person, command, **arguments)
        self._forget(outcome)
        return result

    def _forget(self, outcome: Outcome) -> None:
        for seq in outcome.forget:
            at, by, changes = self.rows[seq - 1]
            self.rows[seq - 1] = at, by, _WRITE.encode([forgotten(change) for change in _READ.decode(changes)])
        self.names = {id: name for id, name in self.names.items() if name}

    def register(self, name: str, **more: Any) -> int:
        given = {"place": "hall", "name": f"{name} Aal", "email": f"{name}@example.org", "consents": ["photos"]} | more
        person = "hilde" if {"way", "present", "note"} & set(more) else name
        number: int = self.send(person, "registration.submit", **{key: value for key, value in given.items() if value})["number"]
        return number

    def erase(self, number: int) -> None:
        """By whoever has the link."""
        self.send("link", "registration.erase", registration=number, token=token(self.event, number))

    def write(self, name: str, text: str, number: int) -> None:
        letter = LETTER | {"name": name, "email": f"{name}@example.org", "text": text, "message": f"<{number}@x>"}
        self.send(SYSTEM, "mail.receive", **letter)

    @property
    def log(self) -> bytes:
        """All that is written there."""
        return b"\n".join(changes for *_, changes in self.rows)


def busy() -> Kept:
    """Anna and Bilal sit, Cem waits, Dana has cancelled and was called; all have written, and said something."""
    evening = Kept()
    evening.register("anna", phone="02305 1060")
    evening.register("bilal")
    evening.register("cem")
    evening.register("dana", email=None, phone="02305 1061")
    evening.send("hilde", "registration.correct", registration=1, note="mit Hund", email="anne@example.org")
    evening.send("olga", "registration.cancel", registration=4)
    evening.write("bilal", "Saal", 1)
    evening.write("emil", "Guten Tag", 2)
    for name in ("anna", "emil"):
        evening.submit(name, name=name.title())
    evening.send("hilde", "registration.check_in", registration=2)
    return evening


def numbers(evening: Evening) -> Any:
    """What stays: how many there were."""
    counts = evening.screen("registrations")["registrations"]
    return counts["places"], [one.status for one in evening.event.registrations.items.values()]


def test_who_is_erased_is_nowhere_any_more() -> None:
    evening = busy()
    assert {"registration/1", "registration/1/email", "registration/1/phone", "registration/1/note"} <= set(evening.names)
    before = FINGERPRINT.findall(evening.log)

    evening.erase(1)

    assert "Anna" not in str(evening.names)
    assert "anne@" not in str(evening.names)
    assert evening.event.registrations.items[1].contacts == {}
    assert "anna" not in evening.event.registrations.of_person
    assert len(before) - len(FINGERPRINT.findall(evening.log)) == 4, "address and telephone, before and after the correction"
    assert same(evening.event, evening.replayed())
    assert evening.names["registration/2"] == "bilal Aal", "nobody else is forgotten"


def test_an_address_that_was_corrected_is_free_for_whose_it_is() -> None:
    evening = Kept()
    evening.register("anna", phone="02305 1060")
    evening.send("hilde", "registration.correct", registration=1, email="anne@example.org", phone="")
    assert set(evening.event.registrations.by_contact) == set(evening.event.registrations.items[1].contacts.values())
    assert evening.register("anna", phone="02305 1060") == 2
    taken = {"place": "hall", "name": "Eve", "email": "anne@example.org"}
    assert evening.refused("eve", "registration.submit", **taken).code == "already_registered"


def test_the_seat_of_who_is_erased_goes_to_the_next() -> None:
    evening = busy()
    evening.erase(1)
    assert [one.status for one in evening.event.registrations.items.values()] == ["cancelled", "seated", "seated", "cancelled"]


def test_letters_go_with_the_person_even_those_that_led_to_nothing() -> None:
    evening = Kept()
    evening.write("anna", "Ich habe Interesse", 1)
    evening.write("anna", "Saal", 2)
    evening.write("bilal", "Saal", 3)
    evening.write("anna", "Ich sage ab", 4)
    assert [mail.registration for mail in evening.event.inbox.items.values()] == [None, 1, 2, 1]

    evening.erase(1)

    assert [mail.erased for mail in evening.event.inbox.items.values()] == [True, True, False, True]
    assert {id.rpartition("/")[0] or id for id in evening.names if "mail" in id} >= {"mail/3"}
    assert not [id for id in evening.names if id.startswith(("mail/1", "mail/2", "mail/4", "registration/1"))]
    assert evening.event.inbox.open == 0
    assert same(evening.event, evening.replayed())


def test_what_somebody_cancelled_before_is_forgotten_with_them() -> None:
    evening = Kept()
    for _ in range(2):
        evening.register("anna")
        evening.send("olga", "registration.cancel", registration=len(evening.event.registrations.items))
    evening.register("bilal")
    evening.register("anna")
    evening.erase(4)
    assert [one.erased for one in evening.event.registrations.items.values()] == [True, True, False, True]
    assert {id for id in evening.names if id.startswith("registration")} == {"registration/3", "registration/3/email"}
    assert same(evening.event, evening.replayed())


def test_who_erases_what_they_cancelled_before_keeps_the_registration_of_today() -> None:
    evening = Kept()
    evening.write("anna", "Saal", 1)
    evening.send("olga", "registration.cancel", registration=1)
    evening.write("anna", "Saal", 2)
    evening.erase(1)
    assert evening.event.registrations.items[2].status == "seated"
    assert [mail.erased for mail in evening.event.inbox.items.values()] == [True, False]
    assert same(evening.event, evening.replayed()), "the row of a letter is also that of the registration it led to"


def test_before_the_date_it_is_refused_unless_it_is_meant() -> None:
    evening = busy()
    assert due(evening.event) == ms(ENDS) + 28 * DAY
    evening.now = due(evening.event) - 1_001  # to send takes a second
    assert evening.decide("olga", "event.retain", early=True).changes
    refused = evening.refused("olga", "event.retain")
    assert (refused.code, refused.field) == ("too_early", "early")
    assert evening.names["registration/1"], "and nothing is forgotten"

    evening.now = due(evening.event)
    assert evening.send("olga", "event.retain")["registrations"] == 4


def test_the_date_is_that_of_the_facts() -> None:
    evening = busy()
    facts = PROGRAMME | {"starts": STARTS, "ends": ENDS, "retain_days": 3, "places": {"hall": {"seats": 2}}}
    evening.send(SYSTEM, "event.configure", programme=facts)
    assert due(evening.event) == ms(ENDS) + 3 * DAY


@pytest.mark.parametrize("person", ["hilde", "mona", "anna"])
def test_only_organisers_delete_everything(person: str) -> None:
    assert busy().refused(person, "event.retain", early=True).code == "forbidden"


def retained(evening: Kept, *people: str) -> dict[str, Any]:
    return evening.send("olga", "event.retain", early=True, people=people)


def test_everything_personal_goes_and_the_counts_stay() -> None:
    evening = busy()
    before = numbers(evening)
    assert FINGERPRINT.search(evening.log)

    result = retained(evening, *evening.names)

    assert result["registrations"] == 4
    assert result["mails"] == 2
    assert set(evening.names) == {"contribution/2"}, "who signed and was asked for nothing else is part of what was said"
    assert not FINGERPRINT.search(evening.log)
    assert numbers(evening) == before
    for item in evening.event.registrations.items.values():
        assert (item.erased, item.contacts, item.people, item.rows) == (True, {}, [], [])
    assert (evening.event.registrations.by_contact, evening.event.registrations.of_person) == ({}, {})
    for mail in evening.event.inbox.items.values():
        assert (mail.erased, mail.message, mail.sender, mail.open) == (True, "", "", False)


def test_the_rewritten_log_replays_to_the_same_state() -> None:
    evening = busy()
    retained(evening, *evening.names)
    assert same(evening.event, evening.replayed())


def test_nobody_sees_a_person_any_more() -> None:
    evening = busy()
    retained(evening, *evening.names)
    for channel in ("registrations", "door"):
        assert [key for key in evening.screen(channel) if key.startswith(("registration/", "mail/"))] == []
    counts = evening.screen("registrations")["registrations"]
    assert (counts["mails"], counts["calls"], counts["queued"], counts["trouble"]) == (0, 0, 0, 0)
    for number in (1, 2, 3, 4):
        refused = evening.refused("link", "registration.confirm", registration=number, token=token(evening.event, number))
        assert refused.code == "unknown_registration"
    assert evening.refused("hilde", "mail.settle", mail=1).code == "unknown_mail"


def test_the_screens_are_told() -> None:
    evening = busy()
    retained(evening)
    gone = {f"registration/{number}" for number in (1, 2, 3, 4)} | {"mail/1", "mail/2", "registrations"}
    assert gone <= set(evening.touched)


def test_twice_is_nothing() -> None:
    evening = busy()
    retained(evening, *evening.names)
    again = evening.decide("olga", "event.retain", early=True)
    assert (again.changes, again.names, again.forget) == ([], {}, [])
    assert again.result == {"registrations": 0, "mails": 0, "others": 0, "messages": 0, "bonds": 0, "rooms": 0}
    assert evening.decide("olga", "event.retain", early=True, people=["contribution/2"]).changes == []


def test_who_came_after_it_goes_the_next_time() -> None:
    evening = busy()
    retained(evening, *evening.names)
    evening.register("fatma", place="conference")
    assert retained(evening) == {"registrations": 1, "mails": 0, "others": 0, "messages": 0, "bonds": 0, "rooms": 0}
    assert "fatma" not in str(evening.names)


def test_an_event_without_anybody_has_nothing_to_forget() -> None:
    assert Kept().decide("olga", "event.retain", early=True).changes == []


def test_notes_go_with_rooms_that_are_over_and_at_once_if_it_is_meant() -> None:
    evening = Kept()
    evening.send("mona", "round.create", title="Runde", policy="chosen", rooms=[{"name": "Verkehr"}, {"name": "Schule"}])
    evening.now = due(evening.event)
    assert evening.decide("olga", "event.retain").changes == [], "nothing was written yet"
    evening.send("mona", "round.open", round=1)
    assert evening.decide("olga", "event.retain").changes == [], "they write just now, whatever the date of the event is"
    evening.send("mona", "round.close", round=1, room="1-1")
    assert evening.decide("olga", "event.retain").notes == ["1-1"]
    assert evening.decide("olga", "event.retain", early=True).notes == ["1-1", "1-2"]
    assert evening.send("olga", "event.retain")["rooms"] == 1
    assert evening.decide("olga", "event.retain").changes == []
    assert evening.decide("olga", "event.retain", early=True).notes == ["1-2"], "what is over has been deleted for good"
    evening.now += DAY
    assert evening.send("olga", "event.retain")["rooms"] == 1, "a room that nobody has closed keeps nothing for ever"
    assert evening.decide("olga", "event.retain").notes == ["1-2"], "as they may be writing again"
    assert same(evening.event, evening.replayed())


def test_the_names_of_the_staff_go_as_well() -> None:
    evening = Kept()
    evening.send("mona", "person.join", name="Mona M.")
    assert evening.names == {"mona": "Mona M."}
    assert retained(evening, *evening.names) == {"registrations": 0, "mails": 0, "others": 1, "messages": 0, "bonds": 0, "rooms": 0}
    assert evening.names == {}


def test_after_it_nothing_happens_to_those_who_were_there() -> None:
    """Somebody who had to confirm, somebody who waits, and an event that moves: there is nobody to be asked."""
    evening = busy()
    evening.erase(1)  # Cem moves up and has to confirm
    assert evening.event.registrations.to_confirm
    retained(evening, *evening.names)
    before = numbers(evening)

    assert [timer.name for timer in timers(evening.event)] == []
    moved = {"starts": "2020-10-08T18:00:00+02:00", "ends": "2020-10-08T20:00:00+02:00"}
    evening.send(SYSTEM, "event.configure", programme=PROGRAMME | moved | {"places": {"hall": {"seats": 2}}})
    assert evening.send("olga", "registration.postpone") == {"asked": 0, "told": 0}
    assert evening.send("olga", "message.send", kind="thanks") == {"queued": 0}
    assert numbers(evening)[1] == before[1]


def test_a_row_is_forgotten_but_for_what_counts() -> None:
    evening = busy()
    rows = [row for row in evening.rows if FINGERPRINT.search(row[2])]
    assert len(rows) == 7, "four registrations, a correction, two letters"
    for _, _, written in rows:
        changes = _READ.decode(written)
        kept = [forgotten(change) for change in changes]
        assert [type(change) for change in kept] == [type(change) for change in changes]
        assert not FINGERPRINT.search(_WRITE.encode(kept))
        assert [forgotten(change) for change in kept] == kept


def chatting() -> Kept:
    """Anna, who is registered, and Bilal, who is not, talk in a small group."""
    evening = Kept()
    evening.register("anna")
    evening.send("mona", "round.create", title="Runde", policy="chosen", rooms=[{"name": "Verkehr"}])
    evening.send("mona", "round.open", round=1)
    for name in ("anna", "bilal"):
        evening.send(name, "room.enter", room="1-1")
        evening.send(name, "chat.send", room="1-1", text=f"Ich bin {name}")
    return evening


def test_who_is_forgotten_has_said_nothing_in_the_chat() -> None:
    evening = chatting()
    evening.erase(1)
    shown = evening.screen("room/1-1")
    assert [shown[f"chat/{number}"]["text"] for number in (1, 2)] == ["", "Ich bin bilal"]
    assert b"Ich bin anna" not in evening.log
    assert b"Ich bin bilal" in evening.log
    assert same(evening.replayed(), evening.event)


def test_nothing_of_the_chat_outlives_the_deletion_date() -> None:
    evening = chatting()
    assert retained(evening)["messages"] == 2
    assert "Ich bin" not in str(evening.screen("room/1-1"))
    assert b"Ich bin" not in evening.log
    assert same(evening.replayed(), evening.event)
    assert retained(evening)["messages"] == 0


def test_who_was_kept_together_or_apart_goes_from_the_log_too() -> None:
    evening = Kept()
    for person in ("anna", "bilal", "cem"):
        evening.send(person, "round.join")
    evening.send("mona", "round.bind", people=["anna", "bilal"], how="apart")
    evening.send("mona", "round.bind", people=["bilal", "cem"], how="together")
    assert retained(evening)["bonds"] == 2
    assert evening.event.rounds.bonds == {}
    told = [change for *_, changes in evening.rows for change in _READ.decode(changes) if isinstance(change, Bound)]
    assert told
    assert not any(change.people for change in told)
    assert evening.decide("olga", "event.retain", early=True).changes == []
    assert same(evening.event, evening.replayed())


def test_with_whom_people_wished_to_be_goes_from_the_log_too() -> None:
    evening = Kept()
    number = evening.register("anna")
    evening.send("anna", "round.join", together="Familie Krause")
    evening.send("bilal", "round.join", apart="Herr Krause", topics=["city"])
    evening.send("cem", "round.join", together="Familie Sommer")
    evening.send("cem", "round.join", together="Familie Winter")
    assert "sommer" not in str(evening.log), "what was said again is forgotten at once"
    evening.erase(number)
    assert ("familie krause" in str(evening.log), "herr krause" in str(evening.log)) == (False, True)
    assert retained(evening)["bonds"] == 2
    assert ("krause" in str(evening.log), "winter" in str(evening.log)) == (False, False)
    assert evening.event.rounds.people["bilal"].topics == ("city",)
    assert evening.decide("olga", "event.retain", early=True).changes == []
    assert same(evening.event, evening.replayed())


def test_whoever_is_erased_is_kept_from_nobody_any_more_and_the_others_still_are() -> None:
    evening = Kept()
    number = evening.register("anna")
    for person in ("bilal", "cem"):
        evening.send(person, "round.join")
    evening.send("mona", "round.bind", people=[f"registration/{number}", "bilal", "cem"], how="apart")
    evening.erase(number)
    assert [bond.people for bond in evening.event.rounds.bonds.values()] == [("bilal", "cem")]
    told = [change for *_, changes in evening.rows for change in _READ.decode(changes) if isinstance(change, Bound)]
    assert not any("registration/1" in change.people for change in told)
    assert same(evening.event, evening.replayed())
