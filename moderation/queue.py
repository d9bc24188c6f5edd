"""The moderation queue: the state machine of contributions, for every role the same.

received → approved → shortlisted → on air → answered, and returned (with a reason), hidden, withdrawn (by the author).
"""

from __future__ import annotations

from functools import partial

from moderation.event import Event
from rooms import text
from rooms.command import Actor, Command, Commands, Outcome, Refused
from rooms.contributions import Contribution, Moved, State
from rooms.plenary import Aired

TRANSITIONS: dict[str, tuple[State, frozenset[State]]] = {
    "contribution.approve": ("approved", frozenset({"received", "shortlisted"})),
    "contribution.return": ("returned", frozenset({"received", "approved", "shortlisted"})),
    "contribution.shortlist": ("shortlisted", frozenset({"approved"})),
    "contribution.air": ("on_air", frozenset({"approved", "shortlisted"})),
    "contribution.answer": ("answered", frozenset({"approved", "shortlisted", "on_air"})),
    "contribution.hide": ("hidden", frozenset({"received", "approved", "shortlisted", "on_air", "answered", "returned"})),
}
"""Command → the state it leads to, and the states it may start from."""

STILL_POSSIBLE = frozenset(
    {
        "contribution.withdraw", "contribution.hide", "support.withdraw", "link.redeem", "person.join",
        "registration.withdraw_consent", "registration.erase", "card.withdraw", "chat.remove", "proposal.support",
        "room.forget_names",
    }
)  # fmt: skip
"""After the documentation is public its contents rest; people's rights do not."""

MIN_REASON, MAX_REASON = 3, 500
"""Graphemes of the reason that an author is told."""


class Approve(Command, frozen=True):
    """Show it to everybody, or take it off the shortlist."""

    contribution: int
    seen: State | None = None


class Return(Command, frozen=True):
    """Give it back to the author, with a reason."""

    contribution: int
    reason: str = ""
    seen: State | None = None


class Shortlist(Command, frozen=True):
    """Choose it for the stage."""

    contribution: int
    seen: State | None = None


class Air(Command, frozen=True):
    """Put it on overlay and stage; what was there before counts as answered."""

    contribution: int
    seen: State | None = None


class Answer(Command, frozen=True):
    """It has been answered."""

    contribution: int
    seen: State | None = None


class Hide(Command, frozen=True):
    """Take it away from everybody's eyes."""

    contribution: int
    seen: State | None = None


class Restore(Command, frozen=True):
    """Undo the last step. It never puts on air: what was on air before goes back to the shortlist."""

    contribution: int
    seen: State | None = None


Step = Approve | Return | Shortlist | Air | Answer | Hide


def step(name: str, event: Event, actor: Actor, command: Step, now: int) -> Outcome:
    """One transition. Refuses `unknown_contribution`, `state_changed`, `wrong_state`, `closed` (documented)."""
    item = _seen(event, command)
    to, starts = TRANSITIONS[name]
    if item.state not in starts:
        raise Refused("wrong_state", field="contribution", state=item.state)
    reason = None
    if isinstance(command, Return):
        reason = text.within(command.reason, "reason", MIN_REASON, MAX_REASON)
    outcome = Outcome([Moved(item.number, to, reason)], {"state": to})
    if to == "on_air" and event.contributions.on_air is not None:
        outcome.changes.insert(0, Moved(event.contributions.on_air, "answered"))
    elif to == "on_air" and event.results.on_air is not None:
        outcome.changes.insert(0, Aired())
    return outcome


def restore(event: Event, actor: Actor, command: Restore, now: int) -> Outcome:
    """Refuses `unknown_contribution`, `state_changed`, `wrong_state` (nothing to undo)."""
    item = _seen(event, command)
    if item.state != "on_air" and not actor.any_of("moderator", "organiser"):
        raise Refused("forbidden")
    to = _before(item)
    if to is None:
        raise Refused("wrong_state", field="contribution", state=item.state)
    return Outcome([Moved(item.number, to, back=True)], {"state": to})


def allowed(event: Event, item: Contribution) -> list[str]:
    """The commands that the rules allow now, as the console's buttons."""
    names = [name for name, (_, starts) in TRANSITIONS.items() if item.state in starts]
    if event.phase == "documented":
        return [name for name in names if name in STILL_POSSIBLE]
    if item.state in {"received", "approved", "shortlisted", "returned", "on_air"}:
        names.append("contribution.edit")
    if _before(item) is not None:
        names.append("contribution.restore")
    return names


def _before(item: Contribution) -> State | None:
    if not item.trail:
        return None
    return "shortlisted" if item.trail[-1] == "on_air" else item.trail[-1]


def _seen(event: Event, command: Step | Restore) -> Contribution:
    item = event.contributions.get(command.contribution)
    if command.seen is not None and command.seen != item.state:
        raise Refused("state_changed", field="contribution", state=item.state)
    return item


COMMANDS: Commands = {
    "contribution.approve": (Approve, partial(step, "contribution.approve")),
    "contribution.return": (Return, partial(step, "contribution.return")),
    "contribution.shortlist": (Shortlist, partial(step, "contribution.shortlist")),
    "contribution.air": (Air, partial(step, "contribution.air")),
    "contribution.answer": (Answer, partial(step, "contribution.answer")),
    "contribution.hide": (Hide, partial(step, "contribution.hide")),
    "contribution.restore": (Restore, restore),
}
