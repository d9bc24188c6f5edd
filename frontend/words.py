"""Languages: which one somebody reads, the catalogs, and the wording of refusals.

Message ids are the English texts. A refusal says what has happened and what to do next.
"""

from __future__ import annotations

import gettext
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

LANGUAGES = ("de", "en")
"""Languages with a catalog, the default first."""

CATALOGS = {lang: gettext.translation("plenum", Path(__file__).with_name("locale"), [lang]) for lang in LANGUAGES}
"""Read once, when the process starts. Raises FileNotFoundError before the catalogs are compiled (`make build`)."""


def N_(text: str) -> str:
    """Marks a text for the catalogs; it is translated where it is used."""
    return text


STATES = {
    "received": N_("received"),
    "approved": N_("approved"),
    "shortlisted": N_("shortlisted"),
    "on_air": N_("on air"),
    "answered": N_("answered"),
    "returned": N_("returned"),
    "hidden": N_("hidden"),
    "withdrawn": N_("withdrawn"),
}

PHASES = {
    "draft": N_("in preparation"),
    "registration": N_("open for registration"),
    "live": N_("live"),
    "closed": N_("closed"),
    "documented": N_("documented"),
}

REFUSALS = {
    "malformed": N_("This page is out of date. Please reload it and send again; your text is still there."),
    "unknown_command": N_("This page is out of date. Please reload it and send again; your text is still there."),
    "unknown_event": N_("There is no such event. Please check the address, or choose from the list of events."),
    "unknown_channel": N_("There is no such view. Please reload the page."),
    "unknown_contribution": N_("This contribution is no longer here. Reload the page to see what has changed."),
    "unknown_topic": N_("This topic no longer exists. Please choose another one, or none."),
    "forbidden": N_("You may not do this here. Sign in with the link for your role, or ask the organisers."),
    "text_too_short": N_("Your text is very short. Please write at least {min} characters."),
    "text_too_long": N_("Your text is too long. Please shorten it to {max} characters."),
    "name_too_long": N_("This name is too long. Please use at most {max} characters."),
    "name_missing": N_("A name is missing. Please use letters, digits and hyphens."),
    "reason_too_short": N_("Please write a short reason. The author reads it and can improve the text."),
    "reason_too_long": N_("Your reason is too long. Please shorten it to {max} characters."),
    "wrong_time": N_("This time is not understood. Please write it like 18:42."),
    "wrong_fact": N_("A fact of this event cannot be shown. Please check the times and numbers in the file."),
    "wrong_slug": N_("These facts belong to another event. Please check the file."),
    "not_open": N_("The event has not opened yet. Please come back when it begins."),
    "closed": N_("The event is over and takes nothing new. You can still read everything here."),
    "wrong_state": N_("This is not possible now: the contribution is “{state}”. Please look at it again."),
    "wrong_phase": N_(
        "This is not possible now: the event is “{state}”. A phase can be taken back one step at a time."
    ),
    "state_changed": N_("Somebody was faster: the contribution is now “{state}”. Please look at it again."),
    "wrong_code": N_(
        "This code is not valid, or no longer. Please take the one that the screen in the hall shows now."
    ),
    "link_used": N_("This link has been used. Please ask the organisers for a new one."),
    "link_expired": N_("This link has expired. Please ask the organisers for a new one."),
    "link_unknown": N_("This link is not known. Check that it is complete, or ask the organisers for a new one."),
    "too_many": N_(
        "That was a lot in a short time. Please wait {seconds} seconds and send again; your text is still there."
    ),
    "storage_unavailable": N_(
        "It could not be stored just now. Your text is still there; please send it again in a moment."
    ),
    "bug": N_("Something went wrong on our side, and we have been told. Please try again in a moment."),
}
"""Code → wording. `{…}` is filled from the refusal's params. `wrong_phase` is `wrong_state` of the event itself."""


def text(lang: str, message: str) -> str:
    """The message in this language."""
    return CATALOGS[lang].gettext(message)


def wording(code: str, lang: str, params: Mapping[str, Any]) -> str:
    """What the person reads whose command was refused with `code`; an unknown code reads as our fault.

    `params` are the refusal's; the wait of `too_many` may be given as `retry_after` (seconds).
    """
    filling = {"min": 3, "max": 1000, "state": "", **params}
    state = str(filling["state"])
    if code == "wrong_state" and state in PHASES:
        code = "wrong_phase"
    named = (STATES | PHASES).get(state)
    filling |= {"state": text(lang, named) if named else "…", "seconds": round(filling.get("retry_after") or 10)}
    return text(lang, REFUSALS.get(code, REFUSALS["bug"])).format_map(filling)


def choose(accept_language: str | None, cookie: str | None, query: str | None, offered: Collection[str]) -> str:
    """The language to answer in: what the address asks for, else what was chosen before, else what the browser prefers
    (RFC 9110 §12.5.4), else the event's first language."""
    languages = [lang for lang in offered if lang in LANGUAGES] or list(LANGUAGES)
    for asked in (query, cookie, *_preferred(accept_language or "")):
        if asked in languages:
            return asked
    return languages[0]


def _preferred(accept_language: str) -> list[str]:
    weighted = []
    for part in accept_language[:1000].split(","):
        tag, _, weight = part.partition(";q=")
        try:
            quality = float(weight or 1)
        except ValueError:
            continue
        if quality > 0:
            weighted.append((quality, tag.strip().lower().partition("-")[0]))
    return [tag for _, tag in sorted(weighted, key=lambda pair: -pair[0])]
