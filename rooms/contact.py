"""E-mail addresses and telephone numbers as people write them, and as they are kept: one spelling for one mailbox or line."""

from __future__ import annotations

import re

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from rooms.command import Refused

REGION = "DE"
"""Numbers without a country code are of this country."""
MOST = 254
"""Characters of an address (RFC 5321 § 4.5.3.1.3, less its brackets)."""
MOST_IN_PHONE = 50
"""Characters of a number: 15 digits (E.164), and what people put between and before them."""

_START = re.compile(r"\D*?[+\uff0b0\u0660\u06f0\uff10]")
"""Up to the zero of the area code or the plus of the country's (ASCII, Arabic, Persian, full-width): "Tel.: (0"."""
_NOT_ONE_NUMBER = re.compile(r"[^\W\d_]|/\s*\d{1,2}$")
"""Words, an extension, a second number ("1060/61")."""


def email(given: str) -> str:
    """The address in its usual spelling (RFC 5321, 6531; nothing is asked of the DNS); none is none. Refuses `wrong_email`."""
    given = given.strip()
    if not given:
        return ""
    try:
        if len(given) > MOST:
            raise Refused("wrong_email", field="email")
        return validate_email(given, check_deliverability=False).normalized
    except EmailNotValidError:
        raise Refused("wrong_email", field="email") from None


def phone(given: str) -> str:
    """The number in E.164, e.g. "02305 106-0" → "+4923051060"; none is none. Refuses `wrong_phone`: what nobody could call, as a
    number without its area code."""
    given = given.strip()
    if not given:
        return ""
    start = _START.match(given)
    # Letters would be dialled as on a keypad ("106 abends"), and what is cut off would make another number.
    if start is None or len(given) > MOST_IN_PHONE or _NOT_ONE_NUMBER.search(given, start.end()):
        raise Refused("wrong_phone", field="phone")
    try:
        number = phonenumbers.parse(given, REGION)
    except phonenumbers.NumberParseException:
        raise Refused("wrong_phone", field="phone") from None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        raise Refused("wrong_phone", field="phone")
    written = phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
    if len(written) > 1 + 15 or phonenumbers.parse(written) != number:
        raise Refused("wrong_phone", field="phone")  # longer than E.164 has it, or nothing but zeros
    return written
