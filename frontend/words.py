"""Languages: which one somebody reads, the catalogs, and the wording of refusals.

Message ids are the English texts. A refusal says what has happened and what to do next.
"""

from __future__ import annotations

import gettext
from collections.abc import Collection, Mapping
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from babel import Locale
from babel.dates import format_datetime

ZONE = ZoneInfo("Europe/Berlin")
"""Times are shown as the clock on the wall of the hall."""

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

PLACES = {"hall": N_("hall"), "conference": N_("video conference")}

STATUSES = {
    "seated": N_("has a seat"),
    "waiting": N_("on the waiting list"),
    "lapsed": N_("not confirmed in time"),
    "cancelled": N_("cancelled"),
}

WAYS = {"web": N_("by form"), "email": N_("by e-mail"), "phone": N_("by telephone"), "desk": N_("at the desk")}

CONTINGENTS = {
    "wheelchair": N_("place for a wheelchair"),
    "interpreter": N_("place near the sign language interpreter"),
    "press": N_("press"),
    "off_camera": N_("seat that no camera sees"),
}
"""Reserved seats that have a wording; others are shown by the name that the organisers gave them."""

PURPOSES = {
    "picture": N_("My picture may be in the live broadcast."),
    "voice": N_("My voice may be in the live broadcast."),
    "name": N_("My name may be shown on the screen."),
    "recording": N_("The recording with me may be published."),
    "photos": N_("Photographs with me may be taken and published."),
}
"""The texts that people agree to unless the event has its own; their version is `plenum-1`."""

STEPS = {
    "registered": N_("registered"),
    "seated": N_("got a seat"),
    "confirmed": N_("confirmed"),
    "lapsed": N_("did not confirm in time"),
    "cancelled": N_("cancelled"),
    "back": N_("in line again"),
    "corrected": N_("corrected:"),
    "moved": N_("moved to:"),
    "here": N_("checked in"),
    "not_here": N_("check-in taken back"),
    "consented": N_("agreed to:"),
    "consent_withdrawn": N_("withdrew consent to:"),
    "asked": N_("asked about the new date"),
    "told": N_("told of the new time"),
    "erased": N_("deleted"),
}

MESSAGES = {
    "seated": N_("Confirmation"),
    "waiting": N_("Waiting list"),
    "moved_up": N_("Moved up"),
    "cancelled": N_("Cancellation"),
    "lapsed": N_("Not confirmed"),
    "postponed": N_("Postponed"),
    "changed": N_("Changed"),
    "access": N_("Access data"),
    "reminder": N_("Reminder"),
    "thanks": N_("Thanks"),
    "link": N_("Link"),
    "refused": N_("Refusal"),
}

SENDING = {
    "queued": N_("waiting to be sent"),
    "call": N_("to be told by telephone"),
    "sending": N_("being sent"),
    "sent": N_("sent"),
    "told": N_("told by telephone"),
    "failed": N_("not delivered"),
    "uncertain": N_("perhaps not delivered"),
    "dropped": N_("no longer needed"),
}

VERDICTS = {
    "registered": N_("registered"),
    "refused": N_("answered with the reason"),
    "no_keyword": N_("no keyword found"),
    "several_keywords": N_("several keywords found"),
    "party_unclear": N_("for how many people?"),
    "cancellation": N_("seems to be a cancellation"),
    "unusable": N_("could not be read by machine"),
    "automatic": N_("written by a machine"),
    "duplicate": N_("came twice"),
}

UNMET = {
    "capacity": N_("There is no seat left for them:"),
    "capacity/room": N_("There are more people than seats:"),
    "fixed/none": N_("The small group that was meant for them is not there:"),
    "fixed": N_("There was no seat left for them in the small group that was meant for them:"),
    "place/none": N_("There is no small group for people at their place (hall or home):"),
    "place/full": N_("All small groups for people at their place (hall or home) are full:"),
    "place": N_("Because of hall and home they have to wait, or do not sit where they should:"),
    "place/room": N_("Hall and home sit together, because somebody keeps their seat:"),
    "moderator/none/room": N_("Nobody moderates there, because there are not enough moderators:"),
    "moderator/room": N_("Nobody moderates there, because of other conditions:"),
    "together/none": N_("Not with their company, which is larger than any small group:"),
    "together": N_("Not with their company:"),
    "apart": N_("They wait, or sit with somebody from whom they should be apart:"),
    "language/none": N_("No small group has a language that they understand:"),
    "language/full": N_("The small groups with a language that they understand are full:"),
    "language": N_("In another language than they understand, because of other conditions:"),
    "topic/none": N_("No small group has a topic that they have wished for:"),
    "topic/full": N_("The small groups with the topics that they have wished for are full:"),
    "topic": N_("Another topic than they have wished for, because of other conditions:"),
    "mixed/room": N_("Hall and home are not mixed evenly there:"),
    "met": N_("They meet somebody again whom they have met in an earlier round:"),
}
"""Condition, why, and whether it is a small group that does not meet it → wording; without a reason it is any other one."""

ROLES = {
    "organiser": N_("Organiser"),
    "moderator": N_("Moderator"),
    "operator": N_("Operator"),
    "helper": N_("Helper"),
}

SPOKEN = ("de", "en", "tr", "ar", "uk", "ru", "pl", "ro", "fr", "fa")
"""Languages of small groups to choose from; their names come from Babel."""

WORDS = {
    "place": PLACES,
    "status": STATUSES,
    "way": WAYS,
    "contingent": CONTINGENTS,
    "purpose": PURPOSES,
    "step": STEPS,
    "message": MESSAGES,
    "sending": SENDING,
    "verdict": VERDICTS,
}
"""Kind of value → value → wording, for the filter `word`."""

REFUSALS = {
    "unknown_round": N_("This round of small groups is not there. Reload the page to see what there is."),
    "unknown_room": N_("This small group is not there. Reload the page to see what there is."),
    "unknown_person": N_("This person does not take part in the small groups. Reload the page to see who does."),
    "round_closed": N_("This small group is over. What you have worked out is kept; please come back to the plenary."),
    "round_running": N_("Another round is still running. Please call its people back first."),
    "rooms_missing": N_("There is no small group yet. Please write one on each line."),
    "too_many_rooms": N_("These are too many small groups. Please prepare {most} at most in one round."),
    "title_too_short": N_("The title is missing. Please write what this round is called."),
    "title_too_long": N_("The title is too long. Please shorten it to {max} characters."),
    "question_too_long": N_("The question is too long. Please shorten it to {max} characters."),
    "materials_too_long": N_("The materials are too long. Please shorten them to {max} characters, or put a link to them."),
    "not_your_room": N_(
        "This is not your small group. The page of the event tells you where you belong; ask the moderators to change."
    ),
    "room_full": N_("This small group is full. Please choose another one, or ask the moderators."),
    "wrong_table_code": N_("This code does not belong to this table. Please take the one on the card that lies on it."),
    "table_full": N_("There are not so many seats at this table: {most} people can share this device. Please ask the moderators."),
    "table_stays": N_("A table stays where it is. Its people can take part with a phone of their own, and then change."),
    "room_too_small": N_("{people} people have a seat in this small group already. It cannot have fewer seats than that."),
    "round_begun": N_("This round has begun, so that nothing of it is removed any more. You can close it, or single small groups."),
    "too_few_people": N_("Please choose the people first: at least two who are to be kept together or apart."),
    "bonds_contradict": N_(
        "Two of these people would be kept together and apart at once. Please choose one of them and press “As they wish” first."
    ),
    "assignment_changed": N_("People have come, gone or moved meanwhile. Please look at the preview again; nothing is done yet."),
    "unknown_name": N_("Nobody is known as “{name}”. Please choose from the list, or write a name as it stands there."),
    "ambiguous_name": N_("Several people are called “{name}”. Please choose the one from the list who is meant."),
    "unknown_card": N_("This card is not there any more. Reload the page to see what there is."),
    "card_aside": N_("This card was put aside. Whoever leads the small group can bring it back; then you can go on with it."),
    "card_too_short": N_("This card is empty. Please write at least {min} characters."),
    "card_too_long": N_("This card is too long: one thought has {max} characters at most. Please make two cards of it."),
    "too_many_cards": N_(
        "This small group has {most} cards, which is all that it can have. If somebody takes one back, yours fits in."
    ),
    "too_many_own_cards": N_(
        "You have {most} cards in this small group already. Please put several into one, or take some back, and then write more."
    ),
    "wrong_cards": N_("These cards cannot be put together. Please choose cards of one small group."),
    "group_too_long": N_("This name is too long. Please use at most {max} characters."),
    "summary_too_long": N_("This part of the summary is too long. Please shorten it to {max} characters."),
    "summary_changed": N_("Somebody else has changed this part meanwhile. Your text is still here; please put the two together."),
    "not_on_board": N_("This is not on the board, or not any more. Reload the page to see what is there."),
    "not_in_tray": N_("This does not wait for confirmation, or not any more. Reload the page to see what does."),
    "unknown_heading": N_("This heading is not there any more. Reload the page to see what there is."),
    "nothing_chosen": N_("Nothing is selected yet. Please select the proposals that belong together."),
    "summary_missing": N_("There is no summary yet. Please write at least one of its parts."),
    "notes_full": N_("The notes are full. Please shorten them before you write more."),
    "message_missing": N_("There is nothing to send yet. Please write your message first."),
    "chat_full": N_("There are {most} messages in this chat already. Please write down on cards what is to be kept."),
    "why_too_long": N_(
        "This is too long for the queue. Please say it in {max} characters; you can tell the rest when somebody is there."
    ),
    "no_call": N_("This small group does not call for help any more. The list shows who does."),
    "already_claimed": N_("Somebody was faster and is on the way already. The list says who it is."),
    "no_open_room": N_("No small group is open now, so nobody would read this. Begin a round first."),
    "unknown_announcement": N_("This announcement is not there any more. Reload the page to see what there is."),
    "visit_first": N_(
        "Nobody comes unannounced: on the page of all small groups, press “Visit” at this one. It is told that you come."
    ),
    "no_end": N_("This small group has no end, so nothing can be added. Call people back when it is time."),
    "unknown_registration": N_("This registration is not there any more. Check that the link is complete, or ask the organisers."),
    "unknown_place": N_("There are no seats of this kind. Reload the page to see what can be chosen."),
    "unknown_contingent": N_("There are no reserved seats of this kind. Reload the page to see what can be chosen."),
    "unknown_purpose": N_("Nobody is asked for this here. Reload the page to see what can be agreed to."),
    "unknown_message": N_("There is no such message. Reload the page to see what there is."),
    "unknown_mail": N_("This letter is not there any more. Reload the page to see what there is."),
    "not_open_yet": N_("Registration has not opened yet. It opens at this time: {at}. Please come back then."),
    "too_late": N_("Registration has closed; the deadline was: {at}. Please call the organisers, or follow the event from home."),
    "full": N_("There are not enough free seats; nothing was changed. Ask the organisers, or follow the event from home."),
    "already_registered": N_(
        "There is already a registration with this address or telephone number. Use the link in your message, or ask us."
    ),
    "wrong_keyword": N_("This keyword belongs to another event. Please check it: here it is “{keyword}”."),
    "party_too_large": N_("One registration is for {most} people at most. Please ask the others to register themselves."),
    "contact_missing": N_("We need a way to reach you: please give an e-mail address or a telephone number."),
    "wrong_email": N_("This e-mail address is not complete. Please write it like name@example.org."),
    "wrong_phone": N_("This telephone number is not understood. Please write it with its area code, like 02305 1060."),
    "name_too_short": N_("Your name is missing. Please write it as you want to be called at the door."),
    "note_too_long": N_("This note is too long. Please shorten it to {max} characters."),
    "consent_missing": N_("Without this consent there is no seat here: {purpose} Please agree, or follow the event from home."),
    "wrong_registration_state": N_("This is not possible now: the registration is “{state}”. Reload the page to see what is."),
    "wrong_message_state": N_("This is not possible now: the message is “{state}”. Reload the page to see what is."),
    "seats_taken": N_("More people have a seat already than there would be. Please cancel or move some of them first."),
    "too_early": N_("The deletion date of this event has not come yet. If you mean it, say so explicitly."),
    "too_fast": N_("That was faster than people are. Please look at it once more and send it again; all is still there."),
    "form_expired": N_("This form has lain open for too long. Please look at it once more and send it again; all is still there."),
    "looks_automatic": N_("This looks as if a program had filled it in. Please empty the field “Website”, and send it again."),
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
    empty = {"min": 3, "max": 1000, "state": "", "at": "", "keyword": "", "most": 2, "purpose": "", "people": 0, "name": ""}
    filling = {**empty, **params}
    if filling["at"]:
        filling["at"] = local_time(str(filling["at"]), lang)
    state = str(filling["state"])
    if code == "wrong_state" and state in PHASES:
        code = "wrong_phase"
    named = (STATES | PHASES | STATUSES | SENDING).get(state)
    if "purpose" in filling:
        filling["purpose"] = text(lang, PURPOSES.get(str(filling["purpose"]), ""))
    filling |= {"state": text(lang, named) if named else "…", "seconds": round(filling.get("retry_after") or 10)}
    return text(lang, REFUSALS.get(code, REFUSALS["bug"])).format_map(filling)


def not_met(condition: str, why: str, lang: str, *, room: bool) -> str:
    """What a preview says of a condition that is not met: for people, or for a small group."""
    end = "/room" if room else ""
    return text(lang, UNMET.get(f"{condition}/{why}{end}") or UNMET[f"{condition}{end}"])


def spoken(code: str, lang: str) -> str:
    """What a language is called in a language."""
    return str(Locale(lang).languages.get(code, code))


def local_time(iso: str, lang: str) -> str:
    """Day and hour as the clock on the wall of the hall shows them."""
    return format_datetime(datetime.fromisoformat(iso).astimezone(ZONE), "EEEE, d. MMMM y, HH:mm", locale=lang)


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
