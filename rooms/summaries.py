"""The summary of a small group: what it has discussed, what it proposes, what is open.

It and the room's proposals reach the plenary's board when the room's moderator confirms it; what nobody has confirmed at the end
waits in a tray, and stays: it may be put aside there, and comes back when somebody goes on with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, TypeGuard, get_args

import msgspec

from rooms import text
from rooms.breakout import Room, may_lead, self_of, stir
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused
from rooms.results import Part, Summary, SummaryState, board, had, in_tray, off_air

if TYPE_CHECKING:
    from rooms.event import Event

MAX_PART = 2_000
"""Graphemes of each part of a summary: a page on the board."""


class Draft(Command, frozen=True):
    """Write the summary, or one of its parts. With none of them, make a first draft of cards and notes. `seen`: the version that
    was written on."""

    room: str
    discussed: str | None = None
    proposed: str | None = None
    open: str | None = None
    seen: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] | None = None


class Noted(Draft, frozen=True):
    """A first draft with the text of the room's notes, which the server adds: no client can say what they are."""

    notes: str = ""


class SubmitSummary(Command, frozen=True):
    """The summary is ready to be confirmed."""

    room: str


class Confirm(Command, frozen=True):
    """It goes to the plenary. `on=false` takes it back from the board."""

    room: str
    on: bool = True


class SetAside(Command, frozen=True):
    """What a room has left in the tray is not for the board. `on=false` brings it back."""

    room: str
    on: bool = True


class Drafted(Change, frozen=True, tag="summary_drafted"):
    """The summary says this now, and has to be confirmed (again)."""

    room: str
    discussed: str
    proposed: str
    open: str
    person: str


class Stated(Change, frozen=True, tag="summary_stated"):
    """The summary is in this state."""

    room: str
    state: SummaryState


class PutAside(Change, frozen=True, tag="summary_aside"):
    """What the room has left is put aside, or no more."""

    room: str
    on: bool


def draft(event: Event, actor: Actor, command: Draft, now: int) -> Outcome:
    """What is confirmed is written on by whoever may confirm it. Refuses `unknown_room`, `not_your_room`, `forbidden`,
    `summary_too_long`, `summary_changed`: somebody else has, since it was `seen`."""
    room = had(event, actor, command.room)
    old = event.results.summaries.get(room.id, Summary(room.id))
    if old.state == "confirmed" and not may_lead(event, actor, room):
        raise Refused("forbidden", field="room")
    parts = {"discussed": command.discussed, "proposed": command.proposed, "open": command.open}
    if all(part is None for part in parts.values()):
        parts = _first(event, room, old, command.notes if isinstance(command, Noted) else "")
    said = {
        name: getattr(old, name) if part is None else text.within(part, "summary", 0, MAX_PART) for name, part in parts.items()
    }
    changed = [name for name in said if said[name] != getattr(old, name)]
    for name in changed:
        if command.seen is not None and old.versions.get(name, 0) > command.seen:
            raise Refused("summary_changed", field=name)
    changes: list[Change] = [Drafted(room.id, **said, person=self_of(event, actor.person))] if changed else []
    return Outcome(changes, {"room": room.id, "state": "draft" if changed else old.state})


def submit_summary(event: Event, actor: Actor, command: SubmitSummary, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `summary_missing`."""
    room = had(event, actor, command.room)
    summary = _written(event, room)
    changes: list[Change] = [Stated(room.id, "submitted")] if summary.state == "draft" else []
    return Outcome(changes, {"room": room.id, "state": "submitted" if changes else summary.state})


def confirm(event: Event, actor: Actor, command: Confirm, now: int) -> Outcome:
    """By the room's moderator; if there is none, by its note-taker; by moderators of the plenary and organisers always. Refuses
    `unknown_room`, `not_your_room`, `forbidden`, `summary_missing`."""
    room = had(event, actor, command.room)
    if not may_lead(event, actor, room):
        raise Refused("forbidden", field="room")
    summary = _written(event, room)
    state: SummaryState = "confirmed" if command.on else "submitted"
    changed = (summary.state == "confirmed") != command.on
    return Outcome([Stated(room.id, state)] if changed else [], {"room": room.id, "state": state})


def set_aside(event: Event, actor: Actor, command: SetAside, now: int) -> Outcome:
    """Nothing is deleted, and who leads the room may go on. Refuses `unknown_room`, `not_in_tray`."""
    room = event.rounds.room(command.room)
    if command.on and not in_tray(event, room.id):
        raise Refused("not_in_tray", field="room")
    changed = command.on != (room.id in event.results.aside)
    return Outcome([PutAside(room.id, command.on)] if changed else [], {"room": room.id})


def wants_notes(command: Command) -> TypeGuard[Draft]:
    """Whether this makes a first draft, so that the notes have to be added by `noted`."""
    return isinstance(command, Draft) and command.discussed is None and command.proposed is None and command.open is None


def noted(command: Draft, notes: str) -> Noted:
    """The same with the text of the room's notes."""
    return Noted(**msgspec.structs.asdict(command), notes=notes)


def _written(event: Event, room: Room) -> Summary:
    summary = event.results.summaries.get(room.id)
    if summary is None or summary.empty:
        raise Refused("summary_missing", field="room")
    return summary


def _first(event: Event, room: Room, old: Summary, notes: str) -> dict[str, str | None]:
    """A first draft; what somebody has written already stays."""
    cards = sorted(event.results.live(room.id), key=lambda card: (-len(card.supporters), card.place))
    groups = dict.fromkeys(card.group for card in cards if card.group)
    talked = [f"{name}: {', '.join(card.text for card in cards if card.group == name)}" for name in groups]
    talked += [card.text for card in cards if not card.group and not card.proposed]
    wanted = [card.text for card in cards if card.proposed]
    collected = "\n".join(f"– {one}" for one in talked)
    return {
        "discussed": old.discussed or text.clipped(f"{collected}\n\n{notes}", MAX_PART),
        "proposed": old.proposed or text.clipped("\n".join(f"– {one}" for one in wanted), MAX_PART),
        "open": old.open,
    }


def drafted(event: Event, change: Drafted, now: int, by: str) -> tuple[str, ...]:
    """A confirmed summary that is written on comes off the board until it is confirmed again: nobody confirms what they have not
    read."""
    known = change.room in event.results.summaries
    old = event.results.summaries.get(change.room) or Summary(change.room)
    event.results.summaries[change.room] = new = Summary(
        change.room, change.discussed, change.proposed, change.open, "draft", change.person, versions=old.versions
    )
    event.results.aside.discard(change.room)
    new.versions |= {name: event.seq for name in get_args(Part) if getattr(new, name) != getattr(old, name)}
    on_board = _of_board(event, change.room) if old.state == "confirmed" else ()
    begun = (f"room/{change.room}",) if old.state != "draft" or not known else ()
    return (f"summary/{change.room}", *begun, *on_board, *stir(event.rounds.rooms[change.room], now))


def stated(event: Event, change: Stated, now: int, by: str) -> tuple[str, ...]:
    """On the board, or on the way there."""
    summary = event.results.summaries[change.room]
    summary.state = change.state
    event.results.aside.discard(change.room)
    summary.confirmed_at = now if change.state == "confirmed" else None
    summary.people = event.rounds.rooms[change.room].people
    return (f"summary/{change.room}", f"room/{change.room}", *_of_board(event, change.room))


def put_aside(event: Event, change: PutAside, now: int, by: str) -> tuple[str, ...]:
    """To the other part of the tray."""
    (event.results.aside.add if change.on else event.results.aside.discard)(change.room)
    return (f"summary/{change.room}",)


def _of_board(event: Event, room: str) -> tuple[str, ...]:
    """What a room has there comes or goes."""
    gone = () if event.results.confirmed(room) else off_air(event, room)
    proposals = [card for card in event.results.live(room) if card.proposed]
    return (f"result/{room}", *gone, *(board(event, proposals) if proposals else ()))


COMMANDS: Commands = {
    "summary.draft": (Draft, draft),
    "summary.submit": (SubmitSummary, submit_summary),
    "summary.confirm": (Confirm, confirm),
    "summary.set_aside": (SetAside, set_aside),
}
CHANGES: Changes = {
    Drafted: drafted,
    Stated: stated,
    PutAside: put_aside,
}
