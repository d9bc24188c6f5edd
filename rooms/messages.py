"""Messages: what people are told about their registration, each exactly once.

A message is queued by the change that it tells of, in the same row of the log. The worker claims it, sends it, and says what became
of it; two workers cannot claim the same one. One that was being sent when the worker died may have arrived: it is not sent again
by itself, but shown to the organisers. Who has no e-mail address is called by the staff.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Annotated, Literal

import msgspec

from rooms import contact, text
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer
from rooms.joining import Renamed
from rooms.programme import ms

if TYPE_CHECKING:
    from rooms.event import Event
    from rooms.register import Registration

Reach = Literal["email", "phone"]
Kind = Literal[
    "seated", "waiting", "moved_up", "cancelled", "lapsed", "postponed", "changed",
    "access", "reminder", "thanks", "link", "refused",
]  # fmt: skip
ToAll = Literal["access", "reminder", "thanks"]
State = Literal["queued", "call", "sending", "sent", "told", "failed", "uncertain", "dropped"]
"""`call`: somebody has to be told by telephone; `told`: they were. `uncertain`: the connection broke when all was handed over."""

MEANT_FOR: Mapping[str, tuple[str, ...]] = {
    "seated": ("seated",), "waiting": ("waiting",), "moved_up": ("seated",), "cancelled": ("cancelled",), "lapsed": ("lapsed",),
    "postponed": ("seated",), "changed": ("seated", "waiting"), "access": ("seated",),
    "reminder": ("seated",), "thanks": ("seated",),
}  # fmt: skip
"""Kind → the states of a registration in which the message is still true; others are for everybody."""
OF_A_TIME = ("postponed", "changed", "access", "reminder", "thanks")
"""These are about the event at the time in their detail: when it moves again, another one follows."""
BEFORE = ("access", "reminder")
"""Of no use when the event is over."""
RETRY = (60, 300, 900, 1_800, 3_600)
"""Seconds before the next try (RFC 5321 § 4.5.4.1 wants at least 30 minutes after the first ones); the last goes on repeating."""
GIVE_UP = 4 * 24 * 3600 * 1000
"""Milliseconds after which a message that cannot be handed over has failed (ibid.: 4-5 days)."""
CLAIMED_FOR = 15 * 60_000
"""Milliseconds after which a claimed message that nobody has reported on is uncertain."""

_ADDRESS = re.compile(r"[^\s<>\"'(]+@[^\s<>\"'),;]+")
Number = Annotated[int, msgspec.Meta(ge=1, lt=2**31)]


class Message(msgspec.Struct):
    """One message. `to`: `registration/<n>` or `mail/<n>`, which lead to the address in the people table; `due`: not before (ms);
    `detail`: the refusal's code, or the beginning of the event that it is about."""

    number: int
    to: str
    kind: Kind
    at: int
    state: State
    due: int
    detail: str = ""
    tries: int = 0
    reason: str = ""
    changed_at: int = 0


class Messages(msgspec.Struct):
    """All messages by number; those to be sent (number → due) and those being sent (number → since); what each addressee got;
    the messages to all that were sent; how many are in each state."""

    items: dict[int, Message] = {}
    open: dict[int, int] = {}
    claimed: dict[int, int] = {}
    of: dict[str, list[int]] = {}
    batches: dict[str, int] = {}
    counts: dict[str, int] = {}

    def get(self, number: int) -> Message:
        """Refuses `unknown_message`."""
        try:
            return self.items[number]
        except KeyError:
            raise Refused("unknown_message", field="message") from None


class Send(Command, frozen=True):
    """To everybody who has a seat and has not got it yet. `at`: the time that the facts name, if it is their doing."""

    kind: ToAll
    place: str | None = None
    at: str = ""


class Claim(Command, frozen=True):
    """I am sending this one. Sent by the worker."""

    message: Number


class Report(Command, frozen=True):
    """What became of it. Sent by the worker."""

    message: Number
    state: Literal["sent", "queued", "failed", "uncertain"]
    reason: str = ""


class Test(Command, frozen=True):
    """Send an example of a message to this address, to see how it arrives."""

    kind: Kind
    email: str
    lang: str = "de"


class Retry(Command, frozen=True):
    """Send again what has failed or may not have arrived."""

    message: Number


class Tell(Command, frozen=True):
    """They were told by telephone."""

    message: Number


class Queued(Change, frozen=True, tag="message_queued"):
    """There is a message to be sent, or to be told."""

    number: int
    to: str
    kind: Kind
    state: Literal["queued", "call"]
    due: int
    detail: str = ""


class Moved(Change, frozen=True, tag="message_moved"):
    """The message is in this state; `due` if it is to be sent (again)."""

    number: int
    state: State
    due: int = 0
    reason: str = ""


class SentToAll(Change, frozen=True, tag="message_sent_to_all"):
    """This message to all is under way."""

    batch: str


def reach(contacts: Mapping[Reach, str]) -> Reach | None:
    """How somebody is told: by e-mail if possible."""
    return "email" if "email" in contacts else "phone" if "phone" in contacts else None


def queue(
    event: Event, outcome: Outcome, to: int | str, kind: Kind, now: int, *, by: Reach | None = None, detail: str = ""
) -> None:
    """Add to the outcome that somebody is to be told; `by`: how, of a registration that the state does not have yet."""
    if isinstance(to, int):
        known = event.registrations.items.get(to)
        by = reach(known.contacts) if known is not None else by
        to = f"registration/{to}"
    if by is None:
        return  # came to the door, and was told there
    number = len(event.messages.items) + 1 + sum(isinstance(change, Queued) for change in outcome.changes)
    outcome.changes.append(Queued(number, to, kind, "queued" if by == "email" else "call", now, detail))


def send(event: Event, actor: Actor, command: Send, now: int) -> Outcome:
    """Once to each; sent again, only to those who came since."""
    outcome = Outcome([], {"queued": 0})
    starts, somebody_came = event.programme.starts, any(one.here for one in event.registrations.items.values())
    over = command.kind in BEFORE and bool(event.programme.ends) and now >= ms(event.programme.ends)
    for item in () if over else event.registrations.items.values():
        if item.status != "seated" or item.erased or (command.place and item.place != command.place):
            continue
        if command.kind == "thanks" and somebody_came and item.here is None:
            continue  # where people are checked in, who was not was not there
        if command.kind == "access" and item.confirm_by is not None:
            continue  # whoever has to confirm first gets it then
        if has(event, item, command.kind):
            continue
        queue(event, outcome, item.number, command.kind, now, detail=starts)
        outcome.result["queued"] += 1
    batch = _batch(command.kind, command.place, command.at)
    if outcome.changes or batch not in event.messages.batches:
        outcome.changes.append(SentToAll(batch))
    return outcome


def has(event: Event, item: Registration, kind: ToAll) -> bool:
    """Whether they have got this message or will; after the event has moved it is another one, and after they have moved to the
    other place they need other access data."""
    moved_at = max((step.at for step in item.history if step.what == "moved"), default=0) if kind == "access" else 0
    got = [event.messages.items[number] for number in event.messages.of.get(f"registration/{item.number}", ())]
    return any(
        (one.kind, one.detail) == (kind, event.programme.starts)
        and one.state != "dropped"
        and (one.changed_at >= moved_at or one.state in ("queued", "sending", "call"))
        for one in got
    )


def claim(event: Event, actor: Actor, command: Claim, now: int) -> Outcome:
    """`state` of the result: "sending", or "dropped" if it is no longer true. Refuses `unknown_message`, `wrong_message_state`."""
    message = event.messages.get(command.message)
    if message.state != "queued":
        raise Refused("wrong_message_state", field="message", state=message.state)
    state: State = "sending" if _meant(event, message, now) else "dropped"
    return Outcome([Moved(message.number, state)], {"state": state})


def report(event: Event, actor: Actor, command: Report, now: int) -> Outcome:
    """Refuses `unknown_message`, `wrong_message_state`: only what is being sent can have been sent, and a late worker may say that
    it was; what was sent may come back undelivered."""
    message = event.messages.get(command.message)
    if message.state != "sending" and (message.state, command.state) not in (("uncertain", "sent"), ("sent", "failed")):
        raise Refused("wrong_message_state", field="message", state=message.state)
    state: State = command.state
    due = 0
    if state == "queued":
        due = now + 1000 * RETRY[min(message.tries, len(RETRY)) - 1]
        if now - message.at > GIVE_UP:
            state = "failed"
    if state != "sent" and _forgotten(event, message):
        state = "dropped"
    # Servers repeat the address that they refuse, and the log holds nobody.
    reason = _ADDRESS.sub("…", text.clean(command.reason, lines=False))[:200]
    return Outcome([Moved(message.number, state, due if state == "queued" else 0, reason)], {"state": state})


def test(event: Event, actor: Actor, command: Test, now: int) -> Outcome:
    """Refuses `wrong_email`, `contact_missing`."""
    email = contact.email(command.email)
    if not email:
        raise Refused("contact_missing", field="email")
    number = len(event.messages.items) + 1
    outcome = Outcome([Renamed(f"test/{number}/email")], {"message": number}, names={f"test/{number}/email": email})
    queue(event, outcome, f"test/{number}", command.kind, now, by="email", detail=command.lang)
    return outcome


def retry(event: Event, actor: Actor, command: Retry, now: int) -> Outcome:
    """Refuses `unknown_message`, `wrong_message_state`."""
    message = event.messages.get(command.message)
    if message.state not in ("failed", "uncertain", "queued"):
        raise Refused("wrong_message_state", field="message", state=message.state)
    return Outcome([Moved(message.number, "queued", now)], {"state": "queued"})


def tell(event: Event, actor: Actor, command: Tell, now: int) -> Outcome:
    """Done already if they were. Refuses `unknown_message`, `wrong_message_state`."""
    message = event.messages.get(command.message)
    if message.state not in ("call", "told", "failed", "uncertain"):
        raise Refused("wrong_message_state", field="message", state=message.state)
    return Outcome([] if message.state == "told" else [Moved(message.number, "told")], {"state": "told"})


def drop(event: Event, outcome: Outcome, to: str) -> None:
    """Add to the outcome that nobody is to be told or to look after what this addressee has not got yet."""
    for number in event.messages.of.get(to, ()):
        if event.messages.items[number].state not in ("sending", "sent", "told", "dropped"):
            outcome.changes.append(Moved(number, "dropped"))


def timers(event: Event) -> Iterator[Timer]:
    """Messages to all at the times that the facts name; claimed ones that nobody has reported on."""
    for kind, place, at in _times(event):
        if _batch(kind, place, at) not in event.messages.batches:
            command = Send(kind=kind, place=place, at=at)
            yield Timer(ms(at), f"timer/message/{kind}/{place}/{at}", "message.send", command)
    for number, since in event.messages.claimed.items():
        lost = Report(message=number, state="uncertain", reason="the worker did not report")
        yield Timer(since + CLAIMED_FOR, f"timer/message/{number}/{since}", "message.report", lost)


def _times(event: Event) -> Iterator[tuple[ToAll, str | None, str]]:
    if event.phase == "draft":
        return
    for name, place in event.programme.places.items():
        if place.access_at:
            yield "access", name, place.access_at
    for kind, at in (("reminder", event.programme.messages.reminder_at), ("thanks", event.programme.messages.thanks_at)):
        if at:
            yield kind, None, at  # type: ignore[misc]


def _batch(kind: str, place: str | None, at: str) -> str:
    return f"{kind}/{place or ''}/{at}"


def _meant(event: Event, message: Message, now: int) -> bool:
    """Whether it is still true what the message says."""
    if message.to.startswith("test/"):
        return True
    if _forgotten(event, message):
        return False
    if message.kind in OF_A_TIME and message.detail != event.programme.starts:
        return False
    if message.kind in BEFORE and now >= ms(event.programme.ends):
        return False
    meant = MEANT_FOR.get(message.kind)
    return meant is None or event.registrations.items[int(message.to.partition("/")[2])].status in meant


def _forgotten(event: Event, message: Message) -> bool:
    name, _, number = message.to.partition("/")
    if name == "test":
        return False
    return (event.registrations if name == "registration" else event.inbox).items[int(number)].erased


def queued(event: Event, change: Queued, now: int, by: str) -> tuple[str, ...]:
    """Waiting to be sent or told."""
    messages = event.messages
    messages.items[change.number] = Message(
        change.number, change.to, change.kind, now, change.state, change.due, change.detail, changed_at=now
    )
    messages.of.setdefault(change.to, []).append(change.number)
    _count(messages, change.state, 1)
    if change.state == "queued":
        messages.open[change.number] = change.due
    return (change.to, "registrations")


def moved(event: Event, change: Moved, now: int, by: str) -> tuple[str, ...]:
    """The state, and whether somebody has to send it."""
    messages = event.messages
    message = messages.items[change.number]
    _count(messages, message.state, -1)
    _count(messages, change.state, 1)
    message.state, message.reason, message.changed_at = change.state, change.reason, now
    messages.open.pop(change.number, None)
    messages.claimed.pop(change.number, None)
    if change.state == "queued":
        message.due = messages.open[change.number] = change.due
    elif change.state == "sending":
        message.tries += 1
        messages.claimed[change.number] = now
    return (message.to, "registrations")


def sent_to_all(event: Event, change: SentToAll, now: int, by: str) -> tuple[str, ...]:
    """Not again by itself."""
    event.messages.batches[change.batch] = now
    return ("registrations",)


def _count(messages: Messages, state: State, by: int) -> None:
    messages.counts[state] = messages.counts.get(state, 0) + by


COMMANDS: Commands = {
    "message.send": (Send, send),
    "message.claim": (Claim, claim),
    "message.report": (Report, report),
    "message.test": (Test, test),
    "message.retry": (Retry, retry),
    "message.told": (Tell, tell),
}
CHANGES: Changes = {Queued: queued, Moved: moved, SentToAll: sent_to_all}
