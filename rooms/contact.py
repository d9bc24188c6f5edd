"""E-mail addresses and telephone numbers as people write them, and as they are kept: one spelling for one mailbox or line."""

from __future__ import annotations

import phonenumbers
from email_validator import EmailNotValidError, validate_email

from rooms.command import Refused

REGION = "DE"
"""Numbers without a country code are of this country."""
MOST = 254
"""Characters of an address (RFC 5321 § 4.5.3.1.3, less its brackets)."""


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
    """The number in E.164, e.g. "02305 106-0" → "+4923051060"; none is none. Refuses `wrong_phone`."""
    given = given.strip()
    if not given:
        return ""
    try:
        number = phonenumbers.parse(given[:50], REGION)
    except phonenumbers.NumberParseException:
        raise Refused("wrong_phone", field="phone") from None
    if not phonenumbers.is_possible_number(number):
        raise Refused("wrong_phone", field="phone")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)
