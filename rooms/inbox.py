"""The inbox: what came by e-mail. A letter with the keyword of one place is a registration, in the order of its arrival; whatever
is not clear waits in the tray for a person. Nothing is dropped.

Sender and text are personal data: they are in the people table, under `mail/<n>`.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms import contact, messages, text
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.entrance import keyed
from rooms.joining import Renamed
from rooms.places import PlaceName, folded
from rooms.registration import MAX_NAME, Submit, submit

if TYPE_CHECKING:
    from rooms.event import Event

Verdict = Literal[
    "registered", "refused", "no_keyword", "several_keywords", "party_unclear", "cancellation", "unusable", "automatic", "duplicate"
]  # fmt: skip
"""What the rule made of a letter; `refused`: answered with the reason, as a form would be."""
CLEAR = ("registered", "refused", "automatic", "duplicate")
"""Nobody has to look at these, though everybody may; but at what is left over, as a question in a registration."""

MAX_SUBJECT, MAX_TEXT = 200, 4_000
"""Graphemes kept of a letter; the mailbox has the whole of it."""
FIELDS = ("", "/email", "/subject", "/text")
BY_MAIL = Actor("mail", frozenset({"organiser"}))
"""Who registers for somebody who has written: the way and the arrival are to be believed."""
ANSWERS = 3
"""Most answers to one address: two robots must not go on talking for ever (RFC 3834 § 2)."""

_WORDS = {"ein": 1, "eine": 1, "einen": 1, "one": 1, "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8}
_WORDS |= {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "neun": 9, "zehn": 10}
_SEVERAL = "|".join(word for word, count in _WORDS.items() if count > 1)
_PEOPLE = (
    r"(?:sitz)?plätzen?|(?:sitz)?platz|personen|person|pers|leuten?|teilnehm\w*|karten?|tickets?|erwachsenen?|gästen?|"
    r"people|persons|seats?|attendees|adults|guests"
)
_COUNT = re.compile(
    # Before it, it is said that there are others: "mit 2 Personen" may be two or three.
    r"(?P<more>\b(?:mit|und|noch|plus|weitere\w*|sowie|with|and|another)\s+|\+\s*)?"
    rf"(?<![\w.,:])(?P<count>\d{{1,9}}|{'|'.join(_WORDS)})\s*(?:x\s*)?(?:{_PEOPLE})\b|\b(?:{_PEOPLE}|anzahl|personenzahl|number)\s*[:=]\s*(?P<after>\d{{1,9}}|{'|'.join(_WORDS)})\b"
)
_MORE_THAN_ONE = re.compile(
    r"\b(zu (?:zweit|dritt|viert|fünft|sechst)\w*|begleit\w*|mitbring\w*|bringe\b[^.!?\n]{0,60}\bmit|"
    r"(?:mein|unser|ihr)\w* (?:\w+ )?(?:ehe|lebens)?(?:frau|mann|gatt\w*|gefährt\w*|partner\w*|sohn\w*|söhne\w*|tochter|töchter\w*|"
    r"kind\w*|eltern|mutter|vater|bruder|schwester|freund\w*|nachbar\w*|kolleg\w*)|wir|uns|unser\w*|beiden?|gemeinsam|zusammen|"
    r"personen|plätzen?|leuten?|people|persons|seats|ehepaar|familie|gruppe|sowie|weitere\w*|zusätzlich\w*|herrn? und frau|"
    r"my (?:\w+ )?(?:wife|husband|partner|son|daughter|child|children|parents?|mother|father|brother|sister|friends?|neighbours?|"
    r"colleagues?)|we|us|our|both|together|accompan\w*|bringing|plus one)\b|"
    rf"\b(?:für|for) (?:{_SEVERAL}|[2-9]|1\d)\b(?![.:]?\d)|\+ ?[1-9]\b"
)
_CANCELS = re.compile(
    r"\b(absag\w*|abzusagen|abgesagt|abmeld\w*|abzumelden|abgemeldet|stornier\w*|storno|austragen|zurück(?:zu)?zieh\w*|verhindert|"
    r"(?:sag|meld)\w*\b.{0,80}\bab|(?:komm|nehm)\w*\b.{0,80}\bnicht|"
    r"nicht\b.{0,40}\b(?:komm\w*|teilnehm\w*|teilzunehmen|dabei\w*)|cancel\w*|withdraw\w*|"
    r"(?:can ?not|can't|won't|unable to|not)\b.{0,30}\b(?:come|coming|attend\w*|make it|be there|join))\b",
    re.S,
)
_RESERVES = re.compile(
    r"\b(nicht|kein\w*|ohne|leider|rollstuhl\w*|rollator\w*|gebärden\w*|"
    r"not|don't|without|unfortunately|wheelchair\w*|sign language)\b"
)
"""Somebody wants it otherwise than a machine would do it: not to be filmed, a place for a wheelchair."""
_QUOTED = re.compile(r"^[>|].*$", re.M)
_NOT_THEIRS = re.compile(
    r"^(--|_{10,}|-{2,} ?(?:original|ursprüngliche|weitergeleitet|forwarded).*|(?:von|from): .+|"
    r"am .{4,120} schrieb.*|on .{4,120} wrote:)$",
    re.M,
)
"""Here a signature begins, or the letter that this one answers."""
_NUMBER = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class Mail(msgspec.Struct):
    """One letter. `arrived`: when our mail server took it (ms); `registration`: what it led to, or seems to be about;
    `message`: keyed fingerprint of its Message-ID, `sender`: of the address; `row`: the row of the log that holds them."""

    number: int
    arrived: int
    verdict: Verdict
    message: str
    sender: str
    registration: int | None = None
    detail: str = ""
    open: bool = True
    answered: bool = False
    erased: bool = False
    row: int = 0


class Inbox(msgspec.Struct):
    """All letters by number; how many are open."""

    items: dict[int, Mail] = {}
    open: int = 0

    def get(self, number: int) -> Mail:
        """Refuses `unknown_mail`."""
        item = self.items.get(number)
        if item is None or item.erased:
            raise Refused("unknown_mail", field="mail")
        return item


class Receive(Command, frozen=True):
    """A letter has come. Sent by the worker; `arrived` in ms, `automatic`: written by a machine (RFC 3834)."""

    name: str
    email: str
    subject: str
    text: str
    arrived: int
    message: str
    automatic: bool = False


class Settle(Command, frozen=True):
    """Somebody has looked at it and done what was to be done; `open` puts it back. `registration`: what it led to."""

    mail: _NUMBER
    open: bool = False
    registration: _NUMBER | None = None


class Received(Change, frozen=True, tag="mail_received"):
    """There is a letter, and what the rule made of it."""

    number: int
    arrived: int
    verdict: Verdict
    message: str
    sender: str
    registration: int | None
    detail: str
    open: bool
    answered: bool


class Settled(Change, frozen=True, tag="mail_settled"):
    """Nobody has to look at it any more, or again."""

    number: int
    open: bool
    registration: int | None


class Forgotten(Change, frozen=True, tag="mail_forgotten"):
    """Nothing personal is known of it any more."""

    number: int


def receive(event: Event, actor: Actor, command: Receive, now: int) -> Outcome:
    """Never refuses: what cannot be understood is for a person to read."""
    number = len(event.inbox.items) + 1
    subject = text.clipped(command.subject, MAX_SUBJECT, lines=False)
    body = text.clipped(command.text, MAX_TEXT)
    said = _own(f"{subject}\n{body}")
    arrived = max(0, min(command.arrived, now))
    try:
        email = contact.email(command.email)
    except Refused:
        email = ""
    name = text.clipped(command.name, MAX_NAME, lines=False) or email.partition("@")[0]
    message = keyed(event.secret, f"mail/{command.message!a}", 20) if command.message else ""
    sender = keyed(event.secret, f"contact/email/{email.casefold()}", 20) if email else ""
    known = event.registrations.by_contact.get(sender) if sender else None

    verdict, place = _judge(event, command, email, said, message, sender)
    outcome, registration, detail = Outcome([]), known, ""
    if verdict == "registered" and place is not None:
        try:
            outcome = _submit(event, place, name, email, _party(said) or 1, arrived, now)
            registration = int(outcome.result["number"])
        except Refused as refused:
            verdict, detail = ("refused" if refused.code in ANSWERED else "unusable"), refused.code
    answers = verdict == "refused" or (verdict == "cancellation" and known is not None)
    answered = answers and sum(one.answered for one in event.inbox.items.values() if one.sender == sender) < ANSWERS
    if answered and verdict == "refused":
        messages.queue(event, outcome, f"mail/{number}", "refused", now, by="email", detail=detail)
    elif answered and known is not None:
        # The address may be forged: the one that we know gets the link by which to cancel.
        messages.queue(event, outcome, known, "link", now)
    written_by = email or text.clipped(command.email, contact.MOST, lines=False)
    for field, value in zip(FIELDS, (name, written_by, subject, body), strict=True):
        if value:
            outcome.names[f"mail/{number}{field}"] = value
            outcome.changes.append(Renamed(f"mail/{number}{field}"))
    open = verdict not in CLEAR or (answers and not answered) or _left_over(event, command, verdict, said, known)
    received = Received(number, arrived, verdict, message, sender, registration, detail, open, answered)
    outcome.changes.insert(0, received)
    outcome.result = {"mail": number, "verdict": verdict, "registration": registration}
    return outcome


ANSWERED = ("already_registered", "too_late", "not_open_yet", "not_open", "closed", "full", "party_too_large")
"""Refusals of a registration by mail that are answered as they stand; any other needs a person."""


def _submit(event: Event, place: PlaceName, name: str, email: str, party: int, arrived: int, now: int) -> Outcome:
    """Whoever registers by mail agrees to what the invitation says is required (BRIEF.md); the answer tells them, and how to
    withdraw it. Refuses what a form does."""
    facts = event.programme.places[place]
    if party > facts.party:
        raise Refused("party_too_large", field="party", most=facts.party)
    wish = Submit(
        place=place, name=name, email=email, party=party, consents=facts.consents, way="email", arrived_at=_iso(arrived)
    )  # fmt: skip
    return submit(event, BY_MAIL, wish, now)


def _judge(
    event: Event, command: Receive, email: str, said: str, message: str, sender: str
) -> tuple[Verdict, PlaceName | None]:  # fmt: skip
    # Some programs give all their letters the same Message-ID.
    if message and any((one.message, one.sender) == (message, sender) for one in event.inbox.items.values()):
        return "duplicate", None
    if command.automatic:
        return "automatic", None
    if not email:
        return "unusable", None
    if _CANCELS.search(said):
        return "cancellation", None
    places = meant(event, said)
    if len(places) != 1:
        return ("several_keywords" if places else "no_keyword"), None
    count = _party(said)
    if count == 0 or (count in (None, 1) and _MORE_THAN_ONE.search(said)):
        return "party_unclear", None
    return ("unusable" if _RESERVES.search(said) else "registered"), places[0]


def _left_over(event: Event, command: Receive, verdict: Verdict, said: str, known: int | None) -> bool:
    """Whether there is something in the letter besides what was done: a question, more than was read, another number of people."""
    if verdict not in ("registered", "refused"):
        return False
    unread = len(command.subject) > MAX_SUBJECT or len(command.text) > MAX_TEXT
    others = known is not None and (_party(said) or 1) != event.registrations.items[known].party
    return "?" in said or unread or others


def _own(said: str) -> str:
    """What they have written themselves, in small letters: without the letter that they answer, and without the signature."""
    said = _QUOTED.sub("", said.replace("’", "'").casefold())
    theirs = _NOT_THEIRS.search(said)
    return said[: theirs.start()] if theirs else said


def meant(event: Event, said: str) -> list[PlaceName]:
    """The places whose keyword the text has as words of its own, whatever its spaces, dots and case."""
    said = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", said).casefold())
    return [name for name, place in event.programme.places.items() if place.keyword and _keyword(place.keyword).search(said)]


def _keyword(keyword: str) -> re.Pattern[str]:
    # "Wir haben den" has no "Abend" in it.
    letters = r"[\W_]*".join(map(re.escape, folded(keyword)))
    return re.compile(rf"(?<![^\W_]){letters}(?![^\W_])")


def _party(said: str) -> int | None:
    """For how many; None if nothing is said, 0 if different numbers are, or if there may be others."""
    counts = set()
    for found in _COUNT.finditer(said):
        count = found["count"] or found["after"]
        counts.add(0 if found["more"] else _WORDS.get(count) or int(count))
    return None if not counts else counts.pop() if len(counts) == 1 else 0


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def settle(event: Event, actor: Actor, command: Settle, now: int) -> Outcome:
    """Refuses `unknown_mail`, `unknown_registration`."""
    item = event.inbox.get(command.mail)
    # What a letter led to stays: it is forgotten with that registration.
    registration = item.registration or command.registration
    if command.registration is not None:
        event.registrations.get(command.registration)
    changed = (command.open, registration) != (item.open, item.registration)
    return Outcome([Settled(item.number, command.open, registration)] if changed else [], {"mail": item.number})


def forget(outcome: Outcome, item: Mail) -> None:
    """Add to the outcome that nothing personal is known of this letter any more."""
    outcome.changes.append(Forgotten(item.number))
    outcome.forget.append(item.row)
    for field in FIELDS:
        outcome.names[f"mail/{item.number}{field}"] = ""
        outcome.changes.append(Renamed(f"mail/{item.number}{field}"))


def forgotten(change: Change) -> Change:
    """The change without the fingerprints of somebody who is forgotten."""
    return msgspec.structs.replace(change, message="", sender="") if isinstance(change, Received) else change


def received(event: Event, change: Received, now: int, by: str) -> tuple[str, ...]:
    """In the tray, or done."""
    facts = msgspec.structs.asdict(change)
    event.inbox.items[change.number] = Mail(**facts, row=event.seq)
    event.inbox.open += change.open
    return (f"mail/{change.number}", "registrations")


def settled(event: Event, change: Settled, now: int, by: str) -> tuple[str, ...]:
    """Done, or open again."""
    item = event.inbox.items[change.number]
    event.inbox.open += change.open - item.open
    item.open, item.registration = change.open, change.registration
    return (f"mail/{change.number}", "registrations")


def emptied(event: Event, change: Forgotten, now: int, by: str) -> tuple[str, ...]:
    """Only that there was one."""
    item = event.inbox.items[change.number]
    event.inbox.open -= item.open
    item.open, item.erased, item.message, item.sender = False, True, "", ""
    return (f"mail/{change.number}", "registrations")


COMMANDS: Commands = {"mail.receive": (Receive, receive), "mail.settle": (Settle, settle)}
CHANGES: Changes = {Received: received, Settled: settled, Forgotten: emptied}
