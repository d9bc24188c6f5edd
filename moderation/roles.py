"""Roles: who may send which command and watch which channel, and the links by which people get a role."""

from __future__ import annotations

import hashlib
from typing import Annotated, Literal

import msgspec

from moderation.event import Event, Link
from rooms.breakout import may_watch, may_write_notes
from rooms.command import SYSTEM, Actor, Change, Changes, Command, Commands, Outcome, Refused

EVERYBODY = ("everybody",)
ORGANISER = ("organiser",)
MODERATOR = ("moderator", "organiser")
ON_AIR = ("moderator", "organiser", "operator")
STAFF = ("helper", "moderator", "operator", "organiser")
DOOR = ("helper", "organiser")
"""Who takes registrations, answers the telephone, and checks people in: they see who it is."""

MAY_SEND = {
    "event.configure": (SYSTEM,),
    "event.advance": ORGANISER,
    "person.join": EVERYBODY,
    "contribution.submit": EVERYBODY,
    "contribution.edit": EVERYBODY,
    "contribution.withdraw": EVERYBODY,
    "contribution.approve": MODERATOR,
    "contribution.return": MODERATOR,
    "contribution.shortlist": MODERATOR,
    "contribution.hide": MODERATOR,
    "contribution.air": ON_AIR,
    "contribution.answer": ON_AIR,
    "contribution.restore": ON_AIR,
    "support.give": EVERYBODY,
    "support.withdraw": EVERYBODY,
    "registration.submit": EVERYBODY,
    "registration.confirm": EVERYBODY,
    "registration.cancel": EVERYBODY,
    "registration.erase": EVERYBODY,
    "registration.correct": EVERYBODY,
    "registration.move": DOOR,
    "registration.check_in": DOOR,
    "registration.withdraw_consent": EVERYBODY,
    "registration.give_consent": EVERYBODY,
    "registration.enter": EVERYBODY,
    "registration.lapse": (SYSTEM,),
    "registration.settle": (SYSTEM,),
    "registration.postpone": ORGANISER,
    "message.send": ORGANISER,
    "message.claim": (SYSTEM,),
    "message.report": (SYSTEM,),
    "message.test": ORGANISER,
    "message.retry": DOOR,
    "message.told": DOOR,
    "mail.receive": (SYSTEM,),
    "mail.settle": DOOR,
    "event.retain": ORGANISER,
    "round.create": MODERATOR,
    "round.copy": MODERATOR,
    "round.edit": MODERATOR,
    "round.remove": MODERATOR,
    "round.join": EVERYBODY,
    "round.assign": MODERATOR,
    "round.bind": MODERATOR,
    "round.open": MODERATOR,
    "round.close": MODERATOR,
    "round.recall": MODERATOR,
    "room.add": MODERATOR,
    "room.edit": MODERATOR,
    "room.remove": MODERATOR,
    "room.enter": EVERYBODY,
    "room.leave": EVERYBODY,
    "room.move": MODERATOR,
    "room.extend": EVERYBODY,
    "room.ask_for_time": EVERYBODY,
    "room.seat_table": EVERYBODY,
    "room.renew_code": MODERATOR,
    "room.forget_names": EVERYBODY,
    "card.submit": EVERYBODY,
    "card.edit": EVERYBODY,
    "card.withdraw": EVERYBODY,
    "card.group": EVERYBODY,
    "card.order": EVERYBODY,
    "card.support": EVERYBODY,
    "card.propose": EVERYBODY,
    "card.set_aside": EVERYBODY,
    "summary.draft": EVERYBODY,
    "summary.submit": EVERYBODY,
    "summary.confirm": EVERYBODY,
    "summary.set_aside": MODERATOR,
    "summary.air": ON_AIR,
    "proposal.support": EVERYBODY,
    "proposal.group": MODERATOR,
    "proposal.order": MODERATOR,
    "proposal.air": ON_AIR,
    "room.raise_hand": EVERYBODY,
    "room.lower_hand": EVERYBODY,
    "room.give_floor": EVERYBODY,
    "chat.send": EVERYBODY,
    "chat.remove": EVERYBODY,
    "room.ask_for_help": EVERYBODY,
    "room.claim_help": MODERATOR,
    "room.end_help": EVERYBODY,
    "announcement.send": MODERATOR,
    "announcement.withdraw": MODERATOR,
    "announcement.seen": EVERYBODY,
    "room.away": (SYSTEM,),
    "room.release": (SYSTEM,),
    "room.guest_away": (SYSTEM,),
    "room.end_visit": (SYSTEM,),
    "link.create": ORGANISER,
    "link.redeem": EVERYBODY,
    "link.revoke": ORGANISER,
}
"""Command name → roles. "Everybody" still meets the rule itself: an author edits only what is theirs."""

MAY_WATCH = {
    "public": EVERYBODY,
    "stage": EVERYBODY,
    "me": EVERYBODY,
    "hall": STAFF,
    "moderation": STAFF,
    "output": STAFF,
    "door": STAFF,
    "registrations": DOOR,
    "rooms": MODERATOR,
    "room": EVERYBODY,
    "board": EVERYBODY,
}
"""Kind of channel → roles. A room is for those in it, announced guests too: `rooms.breakout.may_watch`. An output
is also opened by its own token, and by nobody's cookie alone."""

Role = Literal["organiser", "moderator", "operator", "helper", "overlay"]
NotesRight = Literal["write", "read", ""]


class Create(Command, frozen=True):
    """Make a link: a sign-in link for a role, used once, or an output's address (`overlay` with a name), used until revoked."""

    role: Role
    token_hash: str
    expires_at: Annotated[int, msgspec.Meta(ge=0, lt=2**53)] | None = None
    name: str = ""


class Redeem(Command, frozen=True):
    """Sign in with the token of a link."""

    token: str


class Revoke(Command, frozen=True):
    """Take back an output's address, or all open sign-in links of a role and the role from all who have it."""

    role: Role
    name: str = ""


class Created(Change, frozen=True, tag="link_created"):
    """There is a link with this hash."""

    role: Role
    token_hash: str
    expires_at: int | None
    name: str


class Redeemed(Change, frozen=True, tag="link_redeemed"):
    """This person has the role; the link is used up."""

    token_hash: str
    person: str


class Revoked(Change, frozen=True, tag="link_revoked"):
    """The links of this role (and name) are gone, and the role with them."""

    role: Role
    name: str


def create(event: Event, actor: Actor, command: Create, now: int) -> Outcome:
    """Refuses `name_missing`: an output needs one."""
    if command.role == "overlay" and not command.name.replace("-", "").isalnum():
        raise Refused("name_missing", field="name")
    return Outcome([Created(command.role, command.token_hash, command.expires_at, command.name)])


def redeem(event: Event, actor: Actor, command: Redeem, now: int) -> Outcome:
    """Refuses `link_unknown`, `link_used`, `link_expired`."""
    token_hash = hashed(command.token)
    link = event.roles.links.get(token_hash)
    if link is None or link.role == "overlay":
        raise Refused("link_unknown", field="token")
    if link.redeemed_by is not None:
        raise Refused("link_used", field="token")
    if link.expires_at is not None and now >= link.expires_at:
        raise Refused("link_expired", field="token")
    return Outcome([Redeemed(token_hash, actor.person)], {"role": link.role})


def revoke(event: Event, actor: Actor, command: Revoke, now: int) -> Outcome:
    """Revoking what is not there is done already."""
    return Outcome([Revoked(command.role, command.name)])


def created(event: Event, change: Created, now: int, by: str) -> tuple[str, ...]:
    """An output of the same name gets a new address: the old one ends."""
    if change.role == "overlay":
        _forget(event, change.role, change.name)
    event.roles.links[change.token_hash] = Link(change.role, change.expires_at, change.name)
    return ()


def redeemed(event: Event, change: Redeemed, now: int, by: str) -> tuple[str, ...]:
    """The person's rights."""
    link = event.roles.links[change.token_hash]
    link.redeemed_by = change.person
    event.roles.held.setdefault(change.person, set()).add(link.role)
    return (f"person/{change.person}", "rights")


def revoked(event: Event, change: Revoked, now: int, by: str) -> tuple[str, ...]:
    """The rights of those who had the role."""
    _forget(event, change.role, change.name)
    if change.role != "overlay":
        for roles in event.roles.held.values():
            roles.discard(change.role)
    return ("rights",)


def hashed(token: str) -> str:
    """How a token is kept: it has 128 random bits, so a plain SHA-256 cannot be turned back."""
    return hashlib.sha256(token.encode()).hexdigest()


def actor(event: Event, person: str) -> Actor:
    """The person with the roles held in this event."""
    return Actor(person, frozenset(event.roles.held.get(person, ())))


def check_command(event: Event, who: Actor, name: str) -> None:
    """Refuses `forbidden` if the actor's roles do not allow the command."""
    allowed = MAY_SEND[name]
    if allowed is not EVERYBODY and not who.any_of(*allowed):
        raise Refused("forbidden")


def check_channel(event: Event, who: Actor, channel: str, token: str | None) -> None:
    """Refuses `unknown_channel` and `forbidden`. Channels: `public`, `stage`, `me`, `hall`, `moderation`, `output/<name>`,
    `door`, `registrations`, `rooms`, `room/<id>`, `board`."""
    kind, slash, name = channel.partition("/")
    allowed = MAY_WATCH.get(kind)
    if allowed is None or (not name if kind in ("output", "room") else slash):
        raise Refused("unknown_channel", field="channels")
    if kind == "room":
        # Nobody else reads what is said in a room, nor learns which rooms there are.
        if not may_watch(event, who, name):
            raise Refused("forbidden", field="channels")
        return
    if allowed is EVERYBODY or who.any_of(*allowed):
        return
    if kind == "output" and token is not None and output_of(event, token) == name:
        return
    raise Refused("forbidden", field="channels")


def notes_right(event: Event, person: str, room: str) -> NotesRight:
    """What the person may do with the room's notes: those in it write while it and the event are open; whoever may
    watch it reads."""
    who = actor(event, person)
    if event.phase != "documented" and may_write_notes(event, who, room):
        return "write"
    return "read" if may_watch(event, who, room) else ""


def output_of(event: Event, token: str) -> str | None:
    """The name of the output whose token this is."""
    link = event.roles.links.get(hashed(token))
    return link.name if link is not None and link.role == "overlay" else None


def _forget(event: Event, role: Role, name: str) -> None:
    links = event.roles.links
    for token_hash in [key for key, link in links.items() if link.role == role and (role != "overlay" or link.name == name)]:
        del links[token_hash]


COMMANDS: Commands = {"link.create": (Create, create), "link.redeem": (Redeem, redeem), "link.revoke": (Revoke, revoke)}
CHANGES: Changes = {Created: created, Redeemed: redeemed, Revoked: revoked}
