"""Addresses and telephone numbers: one spelling for one mailbox or line, and nothing that is neither."""

from __future__ import annotations

import re

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from rooms import contact
from rooms.command import Refused
from tests.moderation.evening import Evening

CITY_HALL = [
    "02305 106-0", "02305/1060", "(02305) 10 60", "02305.1060", " 02305 - 1060 ", "023051060", "02305\u00a01060", "02305\u20111060",
    "+49 2305 1060", "+49 (0) 2305 1060", "+49 (0)2305/106-0", "+49.2305.1060", "+49023051060", "0049 2305 1060",
    "00 49 2305 / 1060", "Tel. 02305 1060", "Tel.: +49 2305 1060", "tel:+4923051060", "\u202a+49 2305 1060\u202c",
    "٠٢٣٠٥ ١٠٦٠", "۰۲۳۰۵ ۱۰۶۰", "０２３０５ １０６０", "＋49 2305 1060",
]  # fmt: skip
"""One telephone, as people write it, copy it, and type it on their keyboards."""


@pytest.mark.parametrize("spelling", CITY_HALL)
def test_one_telephone_has_one_spelling(spelling: str) -> None:
    assert contact.phone(spelling) == "+4923051060"


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("0171 2345678", "+491712345678"),
        ("+31 20 624 1111", "+31206241111"),
        ("+1 (202) 555-0100", "+12025550100"),
        ("0039 06 6982", "+39066982"),
    ],
)
def test_mobile_and_foreign_numbers_are_kept(written: str, kept: str) -> None:
    assert contact.phone(written) == kept


@pytest.mark.parametrize(
    "written",
    [
        "ruf mich an", "+", "00", "0", "112", "1060", "2305 1060", "02305 1060 abends", "02305 106 abends", "0800 FLOWERS",
        "02305 1060 ext 12", "02305 1060 Durchwahl 5", "02305 1060 oder 0171 2345678", "0171 2345678, 0172 1234567",
        "02305 1060/61", "02305 1060\nBcc: x", "000000",
        "*31#02305 1060", "+999 123456", "0" * 60, "9" * 1_000, "02305 1060" + " " * 60 + "7",
        "+49" * 99, "02305-1060;phone-context=evil.example", "anna@example.org",
    ],
)  # fmt: skip
def test_what_nobody_could_call_is_refused(written: str) -> None:
    """Not one number, no area code, or words that a keypad would dial: somebody would be told nothing."""
    with pytest.raises(Refused) as caught:
        contact.phone(written)
    assert (caught.value.code, caught.value.field) == ("wrong_phone", "phone")


@pytest.mark.parametrize(
    ("written", "kept"),
    [
        ("Anna.Aal@Example.ORG", "Anna.Aal@example.org"),
        ("  anna@example.org\n", "anna@example.org"),
        ("\u00a0anna@example.org\u00a0", "anna@example.org"),
        ("anna+saal@example.org", "anna+saal@example.org"),
        ("o'neill@example.org", "o'neill@example.org"),
        ("anna@BÜCHER.de", "anna@bücher.de"),
        ("anna@xn--bcher-kva.de", "anna@bücher.de"),
        ("anna@bu\u0308cher.de", "anna@bücher.de"),
        ("ju\u0308rg@example.org", "jürg@example.org"),
        ("пушкин@пример.рф", "пушкин@пример.рф"),
        ("用户@例え。jp", "用户@例え.jp"),
    ],
)
def test_one_mailbox_has_one_spelling(written: str, kept: str) -> None:
    assert contact.email(written) == kept
    assert contact.email(kept) == kept


INJECTIONS = [
    "anna@example.org\nBcc: all@example.org", "anna@example.org\r\nSubject: x", "anna\n@example.org",
    "anna@example.org\r\n\r\nHello", "anna@example.org\x00", "anna@example.org\x0bx", "anna@example.org\u2028Bcc: x",
    "anna@example.org\u0085Bcc: x",
    "anna@example.org,bilal@example.org", "anna@example.org;bilal@example.org", "anna@example.org bilal@example.org",
    "Anna <anna@example.org>", "<anna@example.org>", '"anna\r\nBcc: x"@example.org', '"a b"@example.org', "anna(x)@example.org",
]  # fmt: skip
"""What would be a second header, a second addressee, or a part of a header."""


@pytest.mark.parametrize("written", INJECTIONS)
def test_an_address_is_no_header(written: str) -> None:
    with pytest.raises(Refused) as caught:
        contact.email(written)
    assert (caught.value.code, caught.value.field) == ("wrong_email", "email")


@pytest.mark.parametrize(
    "written",
    [
        "anna", "@", "anna@", "@example.org", "anna@@example.org", "anna@example", "anna@example..org", ".anna@example.org",
        "anna@example.org.", "anna@-example.org", "anna@[127.0.0.1]", "anna@localhost", "anna@xn--a.de", "mailto:anna@example.org",
        "anna\u202e@example.org", "anna\u200b@example.org", "\ud800@example.org", "anna@" + "a" * 64 + ".org",
        "anna@" + "a." * 200 + "org", "a" * 255 + "@example.org", "a@" * 100_000,
    ],
    ids=lambda written: ascii(written[:24]),
)  # fmt: skip
def test_what_is_no_address_is_refused(written: str) -> None:
    with pytest.raises(Refused) as caught:
        contact.email(written)
    assert (caught.value.code, caught.value.field) == ("wrong_email", "email")


@pytest.mark.parametrize("nothing", ["", " ", "\t\n", "\u00a0"])
def test_nothing_is_nothing(nothing: str) -> None:
    assert (contact.email(nothing), contact.phone(nothing)) == ("", "")


ANYTHING = st.text(st.characters(codec=None, exclude_categories=()))
NUMBERS = st.text("0123456789+-/() .a\n\u200b\u0660\uff10", max_size=60) | st.from_regex(r"(0|\+)[0-9 /-]{5,16}", fullmatch=True)
ADDRESSES = st.builds("{}@{}".format, ANYTHING, ANYTHING | st.just("example.org")) | st.emails()


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING | ADDRESSES)
@example("a@" + "\u0307" * 70 + ".de")
@example("a@xn--" + "9" * 60 + ".de")
def test_an_address_is_kept_in_one_line_or_refused(written: str) -> None:
    try:
        kept = contact.email(written)
    except Refused as refused:
        assert refused.code == "wrong_email"
        return
    assert (kept == "") == (not written.strip())
    assert contact.email(kept) == kept
    assert not re.search(r"[\s,;<>\x00-\x1f\x7f-\x9f]", kept)
    assert len(kept) <= contact.MOST


@settings(suppress_health_check=[HealthCheck.too_slow])
@given(ANYTHING | NUMBERS)
@example("+" + "0" * 49)
@example("0" + "\U0001d7ce" * 40)
def test_a_number_is_kept_in_digits_or_refused(written: str) -> None:
    try:
        kept = contact.phone(written)
    except Refused as refused:
        assert refused.code == "wrong_phone"
        return
    assert (kept == "") == (not written.strip())
    assert not kept or re.fullmatch(r"\+[1-9][0-9]{3,14}", kept)
    assert contact.phone(kept) == kept


@pytest.mark.parametrize(
    ("field", "one", "other"),
    [
        ("phone", "02305 106-0", "+49 (0)2305 1060"),
        ("email", "Anna@Example.org", "aNNA@example.ORG"),
        ("email", "anna@bücher.de", "ANNA@xn--bcher-kva.de"),
        ("email", "ju\u0308rg@example.org", "JÜRG@example.org"),
    ],
)
def test_who_registers_twice_is_known_by_either_spelling(field: str, one: str, other: str) -> None:
    evening = Evening("registration", places={"hall": {"seats": 5}})
    evening.send("anna", "registration.submit", place="hall", name="Anna Aal", **{field: one})
    refused = evening.refused("bilal", "registration.submit", place="hall", name="Anna Ahl", **{field: other})
    assert (refused.code, refused.field) == ("already_registered", field)
