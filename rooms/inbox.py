"""The inbox: what came by e-mail. A letter with the keyword of one place is a registration, in the order of its arrival; whatever
is not clear waits in the tray for a person. Nothing is dropped.

Sender and text are personal data: they are in the people table, under `mail/<n>`.
"""

from __future__ import annotations

import re
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
"""Nobody has to look at these, though everybody may."""

MAX_SUBJECT, MAX_TEXT = 200, 4_000
"""Graphemes kept of a letter; the mailbox has the whole of it."""
FIELDS = ("", "/email", "/subject", "/text")
BY_MAIL = Actor("mail", frozenset({"organiser"}))
"""Who registers for somebody who has written: the way and the arrival are to be believed."""
ANSWERS = 3
"""Most answers to one address: two robots must not go on talking for ever (RFC 3834 § 2)."""

_COUNT = re.compile(
    r"\b(\d{1,3}|zwei|drei|vier|two|three|four)\s*(?:personen|person|plätze|platz|leute|people|persons|seats|seat)\b", re.I
)
_WORDS = {"zwei": 2, "two": 2, "drei": 3, "three": 3, "vier": 4, "four": 4}
_MORE_THAN_ONE = re.compile(
    r"\b(zu zweit|zu dritt|zu viert|begleit\w*|mein[e]? (?:frau|mann|partner\w*|sohn|tochter|freund\w*|kolleg\w*|mutter|vater)|"
    r"wir (?:sind|kommen|möchten|melden)|gemeinsam mit|my (?:wife|husband|partner|son|daughter|friend)|we are|both of us)\b", re.I
)  # fmt: skip
_CANCELS = re.compile(
    r"\b(absag\w*|abmeld\w*|stornier\w*|storno|nicht (?:kommen|teilnehmen)|verhindert|zurückzieh\w*|"
    r"cancel\w*|cannot (?:come|attend)|can't (?:come|attend)|withdraw\w*)\b", re.I
)  # fmt: skip
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
    try:
        email = contact.email(command.email)
    except Refused:
        email = ""
    name = text.clipped(command.name, MAX_NAME, lines=False) or email.partition("@")[0]
    message = keyed(event.secret, f"mail/{command.message}", 20) if command.message else ""
    sender = keyed(event.secret, f"contact/email/{email.casefold()}", 20) if email else ""
    known = event.registrations.by_contact.get(sender) if sender else None

    verdict, place = _judge(event, command, email, subject, f"{subject}\n{body}", message)
    outcome, registration, detail = Outcome([]), known, ""
    if verdict == "registered" and place is not None:
        consents = event.programme.places[place].consents
        party = _party(f"{subject}\n{body}") or 1
        # Whoever registers by mail agrees to what the invitation says is required (BRIEF.md); the answer tells them, and how to
        # withdraw it.
        arrived = _iso(command.arrived)
        wish = Submit(place=place, name=name, email=email, party=party, consents=consents, way="email", arrived_at=arrived)
        try:
            outcome = submit(event, BY_MAIL, wish, now)
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
    for field, value in zip(FIELDS, (name, email, subject, body), strict=True):
        if value:
            outcome.names[f"mail/{number}{field}"] = value
            outcome.changes.append(Renamed(f"mail/{number}{field}"))
    received = Received(
        number, command.arrived, verdict, message, sender, registration, detail, verdict not in CLEAR, answered
    )
    outcome.changes.insert(0, received)
    outcome.result = {"mail": number, "verdict": verdict, "registration": registration}
    return outcome


ANSWERED = ("already_registered", "too_late", "not_open_yet", "not_open", "closed", "full", "party_too_large")
"""Refusals of a registration by mail that are answered as they stand; any other needs a person."""


def _judge(
    event: Event, command: Receive, email: str, subject: str, said: str, message: str
) -> tuple[Verdict, PlaceName | None]:
    if message and any(one.message == message for one in event.inbox.items.values()):
        return "duplicate", None
    if command.automatic:
        return "automatic", None
    if not email:
        return "unusable", None
    if _CANCELS.search(said):
        return "cancellation", None
    places = meant(event, subject) or meant(event, said)
    if len(places) != 1:
        return ("several_keywords" if places else "no_keyword"), None
    count = _party(said)
    if count == 0 or (count is None and _MORE_THAN_ONE.search(said)):
        return "party_unclear", None
    return "registered", places[0]


def meant(event: Event, said: str) -> list[PlaceName]:
    """The places whose keyword the text has, whatever its spaces, dots and case."""
    letters = folded(said)
    return [name for name, place in event.programme.places.items() if place.keyword and folded(place.keyword) in letters]


def _party(said: str) -> int | None:
    """For how many; None if nothing is said, 0 if different numbers are."""
    counts = {_WORDS.get(found.casefold()) or int(found) for found in _COUNT.findall(said)}
    return None if not counts else counts.pop() if len(counts) == 1 else 0


def _iso(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat()


def settle(event: Event, actor: Actor, command: Settle, now: int) -> Outcome:
    """Refuses `unknown_mail`."""
    item = event.inbox.get(command.mail)
    # What a letter led to stays: it is forgotten with that registration.
    registration = item.registration or command.registration
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
