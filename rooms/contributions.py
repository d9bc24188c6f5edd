"""Contributions: ideas, wishes, questions and experiences, their states, and what their authors may do with them."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Literal

import msgspec

from rooms import text
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.entrance import keyed
from rooms.joining import rename
from rooms.programme import moment

if TYPE_CHECKING:
    from rooms.event import Event

Kind = Literal["idea", "wish", "question", "experience"]
Origin = Literal["hall", "home", "phone", "email", "paper", "microphone"]
ByHelper = Literal["phone", "email", "paper", "microphone"]
State = Literal["received", "approved", "shortlisted", "on_air", "answered", "returned", "hidden", "withdrawn"]

MIN_TEXT, MAX_TEXT = 3, 1_000
"""Graphemes of a contribution."""
PUBLIC = frozenset({"approved", "shortlisted", "on_air", "answered"})
"""The states in which everybody sees a contribution."""
EDITABLE = frozenset({"received", "approved", "shortlisted", "returned"})
"""The states in which the author may change the wording: not while it is on air, nor after the answer."""
STAFF = ("helper", "moderator", "organiser")


class Step(msgspec.Struct, frozen=True):
    """One state that a contribution has entered: when (ms) and by whom (person id)."""

    state: State
    at: int
    by: str


class Contribution(msgspec.Struct):
    """One contribution. `at`: when it was said or sent (ms); `trail`: the states that `restore` goes back through;
    `rows`: the rows of the log (seq) that hold its text; `given_reason`: the last one, for a restore."""

    number: int
    kind: Kind
    text: str
    topic: str | None
    origin: Origin
    person: str
    at: int
    state: State
    reason: str | None = None
    original: str | None = None
    trail: list[State] = []
    history: list[Step] = []
    rows: list[int] = []
    given_reason: str | None = None


class Contributions(msgspec.Struct):
    """All contributions by number, and the number that is on air."""

    items: dict[int, Contribution] = {}
    on_air: int | None = None
    by_state: dict[str, int] = {}

    def get(self, number: int) -> Contribution:
        """Refuses `unknown_contribution`."""
        try:
            return self.items[number]
        except KeyError:
            raise Refused("unknown_contribution", field="contribution") from None


class Submit(Command, frozen=True):
    """Send a contribution, signed or not. Staff may say that it came by another way, and when it was said ("18:42" or ISO 8601)."""

    kind: Kind
    text: str
    topic: str | None = None
    name: str | None = None
    origin: ByHelper | None = None
    said_at: str | None = None


class Edit(Command, frozen=True):
    """Change the wording: the author's edit goes back to the queue, a moderator's keeps the original."""

    contribution: int
    text: str
    kind: Kind | None = None
    topic: str | msgspec.UnsetType | None = msgspec.UNSET


class Withdraw(Command, frozen=True):
    """Take one's own contribution back, for good."""

    contribution: int


class Submitted(Change, frozen=True, tag="submitted"):
    """There is a new contribution."""

    number: int
    kind: Kind
    text: str
    topic: str | None
    origin: Origin
    person: str
    at: int
    state: State


class Edited(Change, frozen=True, tag="edited"):
    """The wording is now this; `state` is where the contribution is now."""

    number: int
    text: str
    kind: Kind
    topic: str | None
    state: State
    by_author: bool


class Moved(Change, frozen=True, tag="moved"):
    """The contribution is in this state; `back` if by `restore`."""

    number: int
    state: State
    reason: str | None = None
    back: bool = False


def submit(event: Event, actor: Actor, command: Submit, now: int) -> Outcome:
    """Refuses `not_open`, `closed`, `unknown_topic`, `text_*`, `name_too_long`, `forbidden` (another origin than one's own)."""
    accepting(event)
    words = text.within(command.text, "text", MIN_TEXT, MAX_TEXT)
    topic = known_topic(event, command.topic)
    number = len(event.contributions.items) + 1
    outcome = Outcome([])
    person, at = actor.person, now
    origin: Origin = event.attendance.place(actor.person)
    if command.origin or command.said_at:
        if not actor.any_of(*STAFF):
            raise Refused("forbidden", field="origin")
        at = moment(event, command.said_at, now, "said_at")
    if command.origin is not None:
        # Somebody without a screen: the contribution gets a person of its own, so that the helper does not become its author.
        person, origin = f"by-{command.origin}-{number}", command.origin
    if command.name:
        # Signed for this contribution only: the next one may be without a name, or under another one.
        rename(outcome, f"contribution/{number}", command.name)
        if person == actor.person:
            rename(outcome, person, command.name)
    state: State = "received" if event.programme.premoderation else "approved"
    outcome.changes.insert(0, Submitted(number, command.kind, words, topic, origin, person, at, state))
    outcome.result = {"contribution": number, "receipt": receipt(event, number), "state": state}
    return outcome


def edit(event: Event, actor: Actor, command: Edit, now: int) -> Outcome:
    """Refuses `unknown_contribution`, `forbidden`, `wrong_state`, `closed`, `text_*`, `unknown_topic`."""
    item = event.contributions.get(command.contribution)
    mine = item.person == actor.person
    if not mine and not actor.any_of("moderator", "organiser"):
        raise Refused("forbidden" if item.state in PUBLIC else "unknown_contribution", field="contribution")
    if mine:
        accepting(event)
    if item.state not in EDITABLE and not (item.state == "on_air" and not mine):
        raise Refused("wrong_state", field="contribution", state=item.state)
    said = text.within(command.text, "text", MIN_TEXT, MAX_TEXT)
    topic = item.topic if command.topic is msgspec.UNSET else known_topic(event, command.topic)
    state: State = item.state
    if mine:
        state = "received" if event.programme.premoderation or item.state == "returned" else item.state
    return Outcome([Edited(item.number, said, command.kind or item.kind, topic, state, mine)], {"state": state})


def withdraw(event: Event, actor: Actor, command: Withdraw, now: int) -> Outcome:
    """The author's right in every phase and state (GDPR Art. 7 (3), 17): the text is deleted from the log as well.

    Refuses `unknown_contribution`, `forbidden`.
    """
    item = event.contributions.get(command.contribution)
    if item.person != actor.person:
        raise Refused("forbidden" if item.state in PUBLIC else "unknown_contribution", field="contribution")
    if item.state == "withdrawn":
        return Outcome(result={"state": "withdrawn"})
    outcome = Outcome([Moved(item.number, "withdrawn")], {"state": "withdrawn"}, forget=list(item.rows))
    rename(outcome, f"contribution/{item.number}", "")
    return outcome


def receipt(event: Event, number: int) -> str:
    """The code by which whoever has it follows this contribution without an account, e.g. "17-K7QF3MVX2A" (50 bits)."""
    return f"{number}-{keyed(event.secret, f'receipt/{number}', 10)}"


def of_receipt(event: Event, code: str) -> Contribution | None:
    """The contribution that this receipt belongs to, if the receipt is right."""
    number = code.strip().partition("-")[0]
    if not (number.isascii() and number.isdigit() and len(number) < 10):
        return None
    item = event.contributions.items.get(int(number))
    if item is None or not hmac.compare_digest(receipt(event, item.number).encode(), code.strip().upper().encode()):
        return None
    return item


def accepting(event: Event) -> None:
    """Refuses `not_open` or `closed` outside the phases in which people write."""
    if event.phase == "draft":
        raise Refused("not_open")
    if event.phase in ("closed", "documented"):
        raise Refused("closed")


def known_topic(event: Event, topic: str | None) -> str | None:
    """The topic, if the event has it; none is none. Refuses `unknown_topic`."""
    if not topic:
        return None
    if event.programme.topic(topic) is None:
        raise Refused("unknown_topic", field="topic")
    return topic


def forgotten(change: Change) -> Change:
    """The change without the text that somebody has taken back."""
    return msgspec.structs.replace(change, text="") if isinstance(change, Submitted | Edited) else change


def submitted(event: Event, change: Submitted, now: int, by: str) -> tuple[str, ...]:
    """The new contribution and the counts of the queue."""
    steps = [Step(change.state, now, by)]
    item = Contribution(
        change.number, change.kind, change.text, change.topic, change.origin, change.person, change.at, change.state, history=steps
    )
    item.rows.append(event.seq)
    event.contributions.items[change.number] = item
    _count(event, change.state, 1)
    return (f"contribution/{change.number}", "queue")


def edited(event: Event, change: Edited, now: int, by: str) -> tuple[str, ...]:
    """The wording; the original is kept only of what a moderator changed."""
    item = event.contributions.items[change.number]
    item.original = None if change.by_author else item.original or item.text
    item.text, item.kind, item.topic = change.text, change.kind, change.topic
    item.rows.append(event.seq)
    if change.by_author and change.state != item.state:
        item.reason = None
        # What was approved was another wording: restore must not lead back to it.
        item.trail.clear()
    return _enter(event, item, change.state, now, by)


def moved(event: Event, change: Moved, now: int, by: str) -> tuple[str, ...]:
    """The state, what is on air, and the counts."""
    item = event.contributions.items[change.number]
    if change.back:
        item.trail.pop()
        while item.trail and item.trail[-1] == change.state:
            item.trail.pop()
    elif change.state == "withdrawn":
        item.trail.clear()
        item.text, item.original = "", None
        item.rows.clear()
    else:
        item.trail.append(item.state)
    if change.reason is not None:
        item.given_reason = change.reason
    item.reason = item.given_reason if change.state == "returned" else None
    return _enter(event, item, change.state, now, by)


def _enter(event: Event, item: Contribution, state: State, now: int, by: str) -> tuple[str, ...]:
    touched = [f"contribution/{item.number}"]
    if event.contributions.on_air == item.number:
        touched.append("on_air")
    if state != item.state:
        _count(event, item.state, -1)
        _count(event, state, 1)
        touched.append("queue")
        if item.state == "on_air":
            event.contributions.on_air = None
        if state == "on_air":
            event.contributions.on_air = item.number
            touched.append("on_air")
        item.state = state
        item.history.append(Step(state, now, by))
    return tuple(touched)


def _count(event: Event, state: State, by: int) -> None:
    counts = event.contributions.by_state
    counts[state] = counts.get(state, 0) + by


COMMANDS: Commands = {
    "contribution.submit": (Submit, submit),
    "contribution.edit": (Edit, edit),
    "contribution.withdraw": (Withdraw, withdraw),
}
CHANGES: Changes = {Submitted: submitted, Edited: edited, Moved: moved}
