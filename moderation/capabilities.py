"""The list of all capabilities, and the two functions through which everything goes: `decide` and `apply`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import cache
from typing import get_args

import msgspec

from moderation import queue, roles
from moderation.event import Event
from moderation.queue import STILL_POSSIBLE
from rooms import (
    announcements,
    assigning,
    bonds,
    cards,
    contributions,
    inbox,
    joining,
    messages,
    moving_up,
    participation,
    plenary,
    preparing,
    programme,
    register,
    registration,
    retention,
    rounds,
    summaries,
    support,
    tables,
    talk,
    visits,
)
from rooms import help as calls
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused, Timer, Timers
from rooms.contributions import MIN_TEXT, Contribution, State

COMMANDS: Commands = {
    **programme.COMMANDS,
    **joining.COMMANDS,
    **contributions.COMMANDS,
    **support.COMMANDS,
    **registration.COMMANDS,
    **moving_up.COMMANDS,
    **messages.COMMANDS,
    **inbox.COMMANDS,
    **retention.COMMANDS,
    **rounds.COMMANDS,
    **assigning.COMMANDS,
    **bonds.COMMANDS,
    **participation.COMMANDS,
    **visits.COMMANDS,
    **tables.COMMANDS,
    **preparing.COMMANDS,
    **cards.COMMANDS,
    **summaries.COMMANDS,
    **plenary.COMMANDS,
    **talk.COMMANDS,
    **calls.COMMANDS,
    **announcements.COMMANDS,
    **queue.COMMANDS,
    **roles.COMMANDS,
}
"""Name → (arguments, rule)."""

_APPLY: Changes = {
    **programme.CHANGES,
    **joining.CHANGES,
    **contributions.CHANGES,
    **support.CHANGES,
    **register.CHANGES,
    **messages.CHANGES,
    **inbox.CHANGES,
    **retention.CHANGES,
    **rounds.CHANGES,
    **participation.CHANGES,
    **bonds.CHANGES,
    **visits.CHANGES,
    **tables.CHANGES,
    **preparing.CHANGES,
    **cards.CHANGES,
    **summaries.CHANGES,
    **plenary.CHANGES,
    **talk.CHANGES,
    **calls.CHANGES,
    **announcements.CHANGES,
    **roles.CHANGES,
}

_TIMERS: tuple[Timers, ...] = (
    programme.timers, moving_up.timers, messages.timers, rounds.timers, participation.timers, visits.timers,
)  # fmt: skip

AnyChange = (
    programme.Configured
    | programme.Advanced
    | joining.Joined
    | joining.Renamed
    | contributions.Submitted
    | contributions.Edited
    | contributions.Moved
    | support.Given
    | support.TakenBack
    | register.Registered
    | register.Seated
    | register.Confirmed
    | register.Left
    | register.Returned
    | register.Corrected
    | register.Relocated
    | register.CheckedIn
    | register.Consented
    | register.Withdrawn
    | register.Entered
    | register.AskedAgain
    | register.Told
    | register.Erased
    | messages.Queued
    | messages.Moved
    | messages.SentToAll
    | inbox.Received
    | inbox.Settled
    | inbox.Forgotten
    | retention.Retained
    | rounds.Created
    | rounds.Opened
    | rounds.Closed
    | rounds.Timed
    | rounds.Asked
    | participation.Joined
    | participation.Assigned
    | participation.Entered
    | participation.Left
    | participation.Waits
    | participation.WentAway
    | participation.AtTable
    | bonds.Bound
    | visits.WentAway
    | tables.Seated
    | tables.Renewed
    | preparing.Edited
    | preparing.Removed
    | preparing.RoomsAdded
    | preparing.RoomEdited
    | preparing.RoomRemoved
    | cards.Submitted
    | cards.Edited
    | cards.Withdrawn
    | cards.PutAside
    | cards.Grouped
    | cards.Ordered
    | cards.Supported
    | cards.Proposed
    | summaries.Drafted
    | summaries.Stated
    | summaries.PutAside
    | plenary.Supported
    | plenary.Placed
    | plenary.Ordered
    | plenary.Aired
    | talk.HandRaised
    | talk.HandLowered
    | talk.FloorGiven
    | talk.Sent
    | talk.Removed
    | talk.Emptied
    | calls.Asked
    | calls.Claimed
    | calls.Ended
    | announcements.Sent
    | announcements.Withdrawn
    | announcements.Seen
    | roles.Created
    | roles.Redeemed
    | roles.Revoked
)
"""Every change that a log can hold."""

_PLACE = re.compile(r"`\$\.(\w+)|field `(\w+)`")
_DECODERS = {name: msgspec.json.Decoder(arguments) for name, (arguments, _) in COMMANDS.items()}


def parse(name: str, arguments: bytes | msgspec.Raw) -> Command:
    """The command with its arguments. Refuses `unknown_command` and `malformed`."""
    decoder = _DECODERS.get(name)
    if decoder is None:
        raise Refused("unknown_command", field="name")
    try:
        return decoder.decode(arguments)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        place = _PLACE.search(str(error))
        raise Refused("malformed", field=place[1] or place[2] if place else "args") from None


def decide(event: Event, actor: Actor, name: str, command: Command, now: int) -> Outcome:
    """What follows from the command at time `now` (ms), or Refused. Rights first, then the rule. Changes nothing."""
    roles.check_command(event, actor, name)
    if event.phase == "documented" and name not in STILL_POSSIBLE and not actor.any_of("organiser"):
        raise Refused("closed")
    return COMMANDS[name][1](event, actor, command, now)


def forgotten(change: Change) -> Change:
    """The change without what somebody has taken back or is to be forgotten by."""
    for capability in (contributions, register, inbox, cards, talk, calls, announcements, bonds, participation):
        change = capability.forgotten(change)
    return change


def timers(event: Event) -> list[Timer]:
    """What the system does by itself, now or later; fired ones may be among them, as the log knows."""
    return [timer for capability in _TIMERS for timer in capability(event)]


@cache
def denied(held: frozenset[str]) -> frozenset[str]:
    """Which of the console's buttons are not for somebody with these roles: `<command>`, or `<command>@<state>` where others are.
    The rules themselves are asked, about somebody else's contribution, so that there is one place that says who may."""
    who = Actor("", held)
    granted: set[str] = set()
    found: set[tuple[str, State]] = set()
    for state in get_args(State):
        event = Event("", "", phase="live")
        event.contributions.items[1] = item = _example(state)
        for name in queue.allowed(event, item):
            arguments = {"contribution": 1, "text": "…" * MIN_TEXT, "reason": "…" * MIN_TEXT}
            kind = COMMANDS[name][0]
            command = kind(**{field: value for field, value in arguments.items() if field in kind.__struct_fields__})
            try:
                decide(event, who, name, command, 0)
            except Refused:
                found.add((name, state))
            else:
                granted.add(name)
    return frozenset(name if name not in granted else f"{name}@{state}" for name, state in found)


def _example(state: State) -> Contribution:
    return Contribution(1, "idea", "…", None, "home", "somebody else", 0, state, trail=["received"])


def apply(event: Event, seq: int, at: int, by: str, changes: Iterable[Change]) -> list[str]:
    """Bring the state to log row `seq`; returns the keys of the documents touched."""
    keys: list[str] = []
    event.seq = seq
    for change in changes:
        keys.extend(_APPLY[type(change)](event, change, at, by))
    touched = event.touched
    for key in keys:
        touched.pop(key, None)  # the latest stands last: who comes back reads from the end
        touched[key] = seq
    return keys
