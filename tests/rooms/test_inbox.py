"""The inbox: a clear letter is a registration in order of arrival, anything else is for a person, and nothing is dropped."""

from __future__ import annotations

from typing import Any, get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from moderation.capabilities import decide
from rooms.command import SYSTEM, Actor
from rooms.inbox import ANSWERED, ANSWERS, CLEAR, Mail, Receive, Verdict
from rooms.programme import ms
from tests.moderation.evening import HOSTILE, LETTER, NOW, PROGRAMME, Evening, same

STARTS = "2020-08-31T18:00:00+02:00"
HALL: dict[str, Any] = {"seats": 4, "keyword": "Digitalisierung 20.08.", "consents": ["picture"], "party": 3}
CONFERENCE: dict[str, Any] = {"seats": 2, "keyword": "Digitalisierung 31.08."}
FIELDS = ("", "/email", "/phone", "/note", "/subject", "/text")
SAAL = "Stichwort Digitalisierung 20.08."


class Post(Evening):
    """An event with two places that people write letters to."""

    def __init__(self, phase: str = "registration", **hall: Any) -> None:
        super().__init__(phase, starts=STARTS, ends=STARTS, places={"hall": HALL | hall, "conference": CONFERENCE})
        self.letters = 0

    def receive(self, text: str = SAAL, **more: Any) -> Mail:
        """A letter of its own, as the worker hands it in."""
        self.letters += 1
        letter = LETTER | {"text": text, "message": f"<{self.letters}@x>", "arrived": self.now}
        result = self.send(SYSTEM, "mail.receive", **letter | more)
        mail = self.event.inbox.items[result["mail"]]
        assert (result["verdict"], result["registration"]) == (mail.verdict, mail.registration)
        return mail

    def answers(self) -> list[tuple[str, str, str]]:
        """(addressee, kind, detail) of the messages."""
        return [(one.to, one.kind, one.detail) for one in self.event.messages.items.values()]


@pytest.mark.parametrize(
    ("subject", "text"),
    [
        ("Digitalisierung 20.08.", ""),
        ("Anmeldung", "Stichwort: Digitalisierung 20.08.\n\nMit freundlichen Grüßen\nJule Jansen"),
        ("AW: Anmeldung digitalisierung 20.08", "Danke!"),
        ("DIGITALISIERUNG 20.08.", "Digitalisierung 20.08."),
        ("Anmeldung", "Digitalisierung 20. 08. 2020"),
        ("Anmeldung", "Digitalisierung2008"),
        ("Anmeldung", "„Digitalisierung\n  20.08.“"),
        ("Anmeldung", "Digitalisierung\u00a020.08., bitte"),
        ("Registration", "keyword Digitalisierung 20/08"),
        ("Anmeldung", "Di\u0067italisierung 20.08.\r\n-- \r\nWir sind die Firma Jansen, wir kommen mit 9 Personen"),
        ("Anmeldung", SAAL + "\n> Digitalisierung 31.08."),
    ],
)  # fmt: skip
def test_a_letter_with_one_keyword_is_a_registration(subject: str, text: str) -> None:
    post = Post()
    mail = post.receive(text, subject=subject)
    assert (mail.verdict, mail.registration, mail.open) == ("registered", 1, False)
    item = post.event.registrations.items[1]
    assert (item.place, item.party, item.way, item.status) == ("hall", 1, "email", "seated")
    assert set(item.consents) == {"picture"}, "what the invitation says is required"
    assert post.answers() == [("registration/1", "seated", "")]


@pytest.mark.parametrize(
    ("keyword", "text"),
    [
        ("Abend", "Wir haben den Termin gesehen"),
        ("Abend", "Feierabend"),
        ("Saal", "Die Saalfrage"),
        ("20", "am 2020"),
        ("Digitalisierung 20.08.", "Digitalisierung 20.8."),
        ("Digitalisierung 20.08.", "Digitalisierung 21.08."),
        ("Digitalisierung 20.08.", "Digitalisierung"),
        ("Digitalisierung 20.08.", ""),
        ("Digitalisierung 20.08.", "Danke.\n\nAm 12.08.2020 um 10:00 schrieb Stadt:\n" + SAAL),
        ("Digitalisierung 20.08.", "Danke.\n> " + SAAL),
        ("Digitalisierung 20.08.", "Anbei\n---- Weitergeleitete Nachricht ----\nVon: Bilal <b@example.org>\n" + SAAL),
        ("Digitalisierung 20.08.", "Frage\n-----Ursprüngliche Nachricht-----\n" + SAAL),
        ("Digitalisierung 20.08.", "Thanks\nOn Wed, 12 Aug 2020 at 10:00, City wrote:\n" + SAAL),
        ("Digitalisierung 20.08.", "Gruß\n\nVon: Stadt\nGesendet: gestern\n" + SAAL),
    ],
)
def test_without_the_keyword_in_ones_own_words_it_is_for_a_person(keyword: str, text: str) -> None:
    post = Post(keyword=keyword)
    mail = post.receive(text)
    assert (mail.verdict, mail.open, mail.registration) == ("no_keyword", True, None)
    assert post.event.registrations.items == {}
    assert post.answers() == []


@pytest.mark.parametrize(
    ("subject", "text"),
    [("Anmeldung", f"{SAAL} und Digitalisierung 31.08."), ("Digitalisierung 20.08.", "ich möchte auch zu Digitalisierung 31.08.")],
)
def test_several_keywords_are_for_a_person(subject: str, text: str) -> None:
    mail = Post().receive(text, subject=subject)
    assert (mail.verdict, mail.open) == ("several_keywords", True)


PARTIES = {
    "": 1, "für 1 Person": 1, "einen Platz bitte": 1, "Eine Person": 1, "one seat": 1,
    "2 Personen": 2, "zwei Plätze": 2, "für zwei Personen": 2, "2x Karten": 2, "Personen: 2": 2, "Anzahl: 2": 2,
    "wir sind 2 Personen": 2,
    "zwei Sitzplätze, für mich und meinen Mann": 2, "2 persons": 2, "two seats": 2, "for two people": 2, "2 Pers.": 2,
    "3 Leute": 3, "drei Teilnehmende": 3, "three guests": 3, "Am 20.08. 3 Personen": 3,
}  # fmt: skip


@pytest.mark.parametrize("said", PARTIES)
def test_for_how_many_is_read_in_german_and_english(said: str) -> None:
    post = Post()
    mail = post.receive(f"{SAAL}\n{said}")
    assert mail.verdict == "registered"
    assert post.event.registrations.items[1].party == PARTIES[said]


UNCLEAR = [
    "wir kommen zu zweit", "zu dritt", "ich bringe Bilal mit", "mit meiner Frau", "ich komme mit meinem Mann",
    "und mein lieber Sohn", "mit unseren Kindern", "siebzehn Personen", "mehrere Plätze",
    "meine Eltern und ich", "in Begleitung", "mit Begleitperson", "wir möchten kommen", "hiermit möchten wir uns anmelden",
    "gemeinsam mit Bilal", "Familie Jansen", "Ehepaar Jansen", "Herr und Frau Jansen", "beide bitte", "für zwei",
    "für 2", "2 Personen oder 3 Personen", "ich und zwei weitere Personen", "ich mit 2 Personen", "plus 2 Personen", "ich +1",
    "1 Person und meine Frau", "0 Personen", "my wife and I", "with my two children", "both of us", "we are coming", "for two",
    "plus one", "another two people", "1 seat or 2 seats",
]  # fmt: skip


@pytest.mark.parametrize("said", UNCLEAR)
def test_who_may_come_with_others_is_asked_by_a_person(said: str) -> None:
    """Companions sit together or not at all: registering one of them would part them."""
    post = Post()
    mail = post.receive(f"{SAAL}\n{said}")
    assert (mail.verdict, mail.open) == ("party_unclear", True)
    assert post.event.registrations.items == {}


@pytest.mark.parametrize("said", ["4 Personen", "fünf Personen", "20 Plätze", "999 Personen", "acht Leute", "123456789 Personen"])
def test_too_many_are_told_so_and_block_nobody(said: str) -> None:
    post = Post()
    mail = post.receive(f"{SAAL}\n{said}")
    assert (mail.verdict, mail.detail, mail.answered, mail.open) == ("refused", "party_too_large", True, False)
    assert post.answers() == [("mail/1", "refused", "party_too_large")]
    assert post.receive(email="bilal@example.org").verdict == "registered"
    assert post.event.registrations.items[1].status == "seated"


@pytest.mark.parametrize(
    "said",
    [
        "Ich möchte nicht gefilmt werden", "bitte ohne Bild", "kein Foto bitte", "Ich brauche einen Rollstuhlplatz",
        "mit Gebärdensprache", "please do not film me", "I don't want to be filmed", "wheelchair",
    ],
)  # fmt: skip
def test_who_wants_it_otherwise_is_read_by_a_person(said: str) -> None:
    post = Post()
    mail = post.receive(f"{SAAL}\n{said}")
    assert (mail.verdict, mail.open) == ("unusable", True)
    assert post.event.registrations.items == {}, "nobody has consented for them"


@pytest.mark.parametrize("text", [f"{SAAL} Gibt es Parkplätze?", SAAL + "\nbitte " * 1_000, SAAL + " " * 20_000 + "ich sage ab"])
def test_what_is_left_over_in_a_registration_is_read_as_well(text: str) -> None:
    post = Post()
    mail = post.receive(text)
    assert (mail.verdict, mail.registration, mail.open) == ("registered", 1, True)


CANCELLING = [
    "Ich sage ab", "ich muss leider absagen", "Hiermit sage ich meine Teilnahme am 20.08. ab", "Ich melde mich\nhiermit ab",
    "bitte stornieren", "Storno", "Ich kann nicht kommen", "ich komme doch nicht", "ich komme am 20.08. nicht", "nehme nicht teil",
    "kann nicht dabei sein", "Ich bin verhindert", "Ich ziehe zurück, zurückziehen", "Abmeldung", "bitte austragen",
    "please cancel", "I can't come", "I can’t come", "I cannot attend", "I won’t be able to attend", "unable to make it",
    "I am not coming", "I withdraw",
]  # fmt: skip


@pytest.mark.parametrize("said", CANCELLING)
@pytest.mark.parametrize("subject", ["Anmeldung", "Re: Digitalisierung 20.08."])
def test_a_cancellation_by_mail_gets_the_link_and_a_person(said: str, subject: str) -> None:
    """The sender may be forged: who has the mailbox has the link."""
    post = Post()
    post.receive()
    mail = post.receive(said, subject=subject)
    assert (mail.verdict, mail.open, mail.answered, mail.registration) == ("cancellation", True, True, 1)
    assert post.event.registrations.items[1].status == "seated"
    assert post.answers()[1:] == [("registration/1", "link", "")]
    assert post.event.messages.items[2].state == "queued"


@pytest.mark.parametrize("said", CANCELLING)
def test_a_cancellation_of_nobody_known_is_for_a_person_and_registers_nobody(said: str) -> None:
    post = Post()
    mail = post.receive(f"{said}\n{SAAL}")
    assert (mail.verdict, mail.open, mail.answered, mail.registration) == ("cancellation", True, False, None)
    assert (post.answers(), post.event.registrations.items) == ([], {})


@pytest.mark.parametrize("text", [SAAL, "Ich sage ab", "2 Personen", "Ich bin bis zum 1. September nicht im Büro. " + SAAL])
@pytest.mark.parametrize("known", [False, True])
def test_what_a_machine_has_written_is_never_answered(text: str, known: bool) -> None:
    post = Post()
    if known:
        post.receive()
    before = post.answers()
    mail = post.receive(text, automatic=True)
    assert (mail.verdict, mail.answered, mail.open) == ("automatic", False, False)
    assert post.answers() == before
    assert len(post.event.registrations.items) == known


def test_the_same_letter_twice_is_one() -> None:
    post = Post()
    first = post.receive(message="<same@x>")
    again = post.receive(message="<same@x>")
    assert (first.verdict, again.verdict, again.open, again.answered) == ("registered", "duplicate", False, False)
    assert (len(post.event.registrations.items), len(post.answers())) == (1, 1)


@pytest.mark.parametrize("message", ["<same@x>", ""], ids=["a program that always gives the same", "none"])
def test_another_persons_letter_is_not_the_same_one(message: str) -> None:
    post = Post()
    assert post.receive(message=message).verdict == "registered"
    assert post.receive(message=message, email="bilal@example.org").verdict == "registered"


def test_one_address_is_answered_three_times_at_most_and_then_by_a_person() -> None:
    post = Post()
    post.receive()
    for text in (SAAL, "Ich sage ab", SAAL):
        assert post.receive(text).answered
    for text, verdict in ((SAAL, "refused"), ("Ich sage ab", "cancellation"), (SAAL, "refused")):
        mail = post.receive(text)
        assert (mail.verdict, mail.answered, mail.open) == (verdict, False, True)
    assert len(post.answers()) == 1 + ANSWERS
    post.receive(email="bilal@example.org")
    assert post.receive(email="bilal@example.org").answered, "somebody else is answered"


def test_two_robots_come_to_an_end() -> None:
    post = Post()
    for _ in range(50):
        before = len(post.answers())
        post.receive(f"{SAAL} Vielen Dank für Ihre Nachricht", email="robot@example.org")
        if len(post.answers()) == before:
            break
    assert len(post.answers()) == 1 + ANSWERS


REFUSING: dict[str, tuple[dict[str, Any], str]] = {
    "already_registered": ({}, "registration"),
    "too_late": ({"deadline": "2020-08-20T18:00:00+02:00"}, "registration"),
    "not_open_yet": ({"opens": "2020-08-21T18:00:00+02:00"}, "registration"),
    "not_open": ({}, "draft"),
    "closed": ({}, "closed"),
    "full": ({"seats": 1, "waiting_list": False}, "registration"),
    "party_too_large": ({"party": 1}, "registration"),
}


@pytest.mark.parametrize("code", ANSWERED)
def test_each_refusal_has_its_own_answer(code: str) -> None:
    hall, phase = REFUSING[code]
    post = Post(phase, **hall)
    if code in ("already_registered", "full"):
        post.receive(email="jule@example.org" if code == "already_registered" else "bilal@example.org")
    before = len(post.answers())
    mail = post.receive(f"{SAAL} 2 Personen" if code == "party_too_large" else SAAL)

    assert (mail.verdict, mail.detail, mail.answered, mail.open) == ("refused", code, True, False)
    assert post.answers()[before:] == [(f"mail/{mail.number}", "refused", code)]
    assert post.event.messages.items[before + 1].state == "queued"


def test_every_refusal_is_either_answered_or_for_a_person() -> None:
    mail = Post().receive(name="", email="j@example.org")
    assert (mail.verdict, mail.detail, mail.open, mail.answered) == ("unusable", "name_too_short", True, False)
    assert set(CLEAR) < set(get_args(Verdict))
    assert set(REFUSING) == set(ANSWERED)


@pytest.mark.parametrize("said", ["2 Personen", "Wann geht es los?"])
def test_a_second_letter_that_says_something_else_is_read(said: str) -> None:
    post = Post()
    post.receive()
    mail = post.receive(f"{SAAL} {said}")
    assert (mail.verdict, mail.detail, mail.answered, mail.open) == ("refused", "already_registered", True, True)


@pytest.mark.parametrize(
    "email",
    [
        "", " ", "undisclosed-recipients:;", "Jule <jule@example.org>", "a@example.org, b@example.org",
        "a@example.org\nBcc: b@example.org",
        "jule", "@", "jule@localhost", "x" * 100_000, "jule@exa\u202emple.org",
    ],
    ids=lambda email: ascii(email[:20]),
)  # fmt: skip
def test_who_cannot_be_answered_is_for_a_person(email: str) -> None:
    post = Post()
    mail = post.receive(email=email)
    assert (mail.verdict, mail.open, mail.answered, mail.sender) == ("unusable", True, False, "")
    assert post.answers() == []
    kept = post.names.get("mail/1/email", "")
    assert bool(kept) == bool(email.strip()), "who looks at it sees what was there"
    assert len(kept) <= 254
    assert "\n" not in kept


def test_without_a_name_the_address_has_one() -> None:
    post = Post()
    post.receive(name="", email="jule.jansen@example.org")
    assert post.names["registration/1"] == "jule.jansen"


@pytest.mark.parametrize("hostile", HOSTILE.values(), ids=HOSTILE)
def test_hostile_letters_are_kept_harmless(hostile: str) -> None:
    post = Post()
    mail = post.receive(f"{SAAL}\n{hostile}", name=hostile, subject=hostile)
    kept = "".join(post.names.values())
    assert not set(kept) & set("\u202e\u2066\u200b\x00\x1b\ufffc\u3164")
    assert "\n" not in post.names["mail/1"] + post.names["mail/1/subject"]
    assert mail.verdict in get_args(Verdict)


def test_the_order_is_that_of_the_arrival_at_our_mail_server() -> None:
    post = Post(seats=1)
    post.receive(email="zoe@example.org")
    for name, before in (("anna", 1), ("bilal", 3), ("cem", 2)):
        post.receive(email=f"{name}@example.org", arrived=NOW - before * 60_000)
    line = post.event.registrations.lines["hall"]
    assert [number for _, number in line.waiting[""]] == [3, 4, 2]
    assert post.event.registrations.items[3].arrived == NOW - 3 * 60_000


def test_what_arrived_in_time_is_in_time_though_it_is_read_late() -> None:
    post = Post(deadline="2020-08-20T18:00:00+02:00")
    before = ms("2020-08-20T18:00:00+02:00") - 1
    assert post.receive(arrived=before).verdict == "registered"
    assert post.receive(arrived=before + 1, email="bilal@example.org").detail == "too_late"


@pytest.mark.parametrize("arrived", [-(2**63), -1, 0, NOW * 1_000, 2**63 - 1])
def test_a_clock_that_is_wrong_drops_no_letter(arrived: int) -> None:
    post = Post()
    mail = post.receive(arrived=arrived)
    assert 0 <= mail.arrived <= post.now
    assert mail.verdict == "registered"
    assert post.seen("registrations", "mail/1")["arrived"]


@pytest.mark.parametrize("phase", ["draft", "registration", "live", "closed", "documented"])
def test_letters_are_taken_in_every_phase(phase: str) -> None:
    post = Post(phase)
    post.receive()
    post.receive("Noch eine Frage")
    assert len(post.event.inbox.items) == 2
    assert post.event.inbox.items[2].open


def test_personal_data_are_in_the_people_table_only() -> None:
    post = Post()
    letter = {"name": "Jule Jansen", "email": "jule@example.org", "subject": "Geheimes", "message": "<jule.1@example.org>"}
    for text in (SAAL, SAAL, "Ich sage ab, Westwall 1", "Nur so, Westwall 1"):
        post.receive(f"{text}\nTel. 02305 1060", **letter | {"message": f"<jule.{post.letters}@example.org>"})
    written = b"".join(changes for *_, changes in post.rows).lower()
    for personal in (b"jansen", b"jule", b"geheimes", b"westwall", b"02305", b"1060"):
        assert personal not in written
    assert post.names["mail/4"] == "Jule Jansen"
    assert post.names["mail/4/email"] == "jule@example.org"
    assert post.names["mail/4/subject"] == "Geheimes"
    assert post.names["mail/4/text"].startswith("Nur so, Westwall 1")
    assert set(post.names) <= {f"{to}/{n}{field}" for to in ("mail", "registration") for n in range(9) for field in FIELDS}


SAID = st.lists(
    st.sampled_from([SAAL, "Digitalisierung 31.08.", "2 Personen", "zu zweit", "Ich sage ab", "nicht filmen", "Frage?", "\n> alt"])
    | st.text(st.characters(codec=None, exclude_categories=()), max_size=30),
    max_size=4,
).map(" ".join)  # fmt: skip
WRITTEN = st.builds(
    Receive,
    name=SAID,
    email=st.sampled_from(["anna@example.org", "ANNA@example.org", "bilal@example.org", "", "?"]) | SAID,
    subject=SAID,
    text=SAID,
    arrived=st.integers(-(2**63), 2**63 - 1) | st.integers(NOW, NOW + 10_000),
    message=st.sampled_from(["", "<1@x>", "<2@x>"]) | SAID,
    automatic=st.booleans(),
)


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(WRITTEN, max_size=6))
def test_nothing_is_ever_dropped(letters: list[Receive]) -> None:
    post = Post()
    for number, letter in enumerate(letters, 1):
        post.now += 1_000
        outcome = decide(post.event, Actor(SYSTEM, frozenset({SYSTEM})), "mail.receive", letter, post.now)
        post.enter(SYSTEM, outcome.changes)
        post.names.update(outcome.names)
        mail = post.event.inbox.items[number]
        assert outcome.result["mail"] == number
        assert mail.open or mail.verdict in CLEAR
        assert mail.open or mail.answered or mail.verdict in ("registered", "automatic", "duplicate")
        assert not (letter.automatic and mail.answered)
        assert (mail.verdict == "registered") <= (mail.registration is not None)
        assert all(id.partition("/")[0] in ("mail", "registration") for id in outcome.names)
    assert list(post.event.inbox.items) == list(range(1, len(letters) + 1))
    assert post.event.inbox.open == sum(mail.open for mail in post.event.inbox.items.values())
    assert {one["number"] for key, one in post.screen("registrations").items() if key.startswith("mail/")} == set(
        post.event.inbox.items
    )
    for sender in {mail.sender for mail in post.event.inbox.items.values()}:
        assert sum(mail.answered for mail in post.event.inbox.items.values() if mail.sender == sender) <= ANSWERS
    assert same(post.event, post.replayed())


def test_who_has_looked_at_a_letter_takes_it_from_the_tray_and_may_put_it_back() -> None:
    post = Post()
    post.receive("Guten Tag")
    assert post.event.inbox.open == 1
    post.send(
        "hilde", "registration.submit", place="hall", name="Jule", email="jule@example.org", way="email", consents=["picture"]
    )
    post.send("hilde", "mail.settle", mail=1, registration=1)
    assert (post.event.inbox.open, post.event.inbox.items[1].registration) == (0, 1)
    assert post.decide("hilde", "mail.settle", mail=1).changes == []
    post.send("hilde", "mail.settle", mail=1, open=True)
    assert (post.event.inbox.open, post.event.inbox.items[1].registration) == (1, 1), "it is forgotten with that registration"
    assert same(post.event, post.replayed())


def test_a_letter_leads_to_what_there_is() -> None:
    post = Post()
    post.receive("Guten Tag")
    assert post.refused("hilde", "mail.settle", mail=1, registration=7).code == "unknown_registration"
    assert post.refused("hilde", "mail.settle", mail=2).code == "unknown_mail"
    assert post.refused("anna", "mail.settle", mail=1).code == "forbidden"
    assert post.refused("olga", "mail.receive", **LETTER).code == "forbidden"


def test_letters_of_other_facts_are_judged_by_the_facts_of_their_time() -> None:
    post = Post()
    post.receive()
    other = {"hall": HALL | {"keyword": "Neues Stichwort"}, "conference": CONFERENCE}
    post.send(SYSTEM, "event.configure", programme=PROGRAMME | {"starts": STARTS, "ends": STARTS, "places": other})
    assert post.receive(email="bilal@example.org").verdict == "no_keyword"
    assert post.receive("neues stichwort", email="bilal@example.org").verdict == "registered"
    assert [mail.verdict for mail in post.event.inbox.items.values()] == ["registered", "no_keyword", "registered"]
