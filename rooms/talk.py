"""Talking in a small group: raised hands and the speaker list, and the chat.

The list is in order of arrival. Who drops out keeps their place as long as their seat is held, and is passed over meanwhile.
The chat belongs to the room: it is not shown to the plenary, what is taken back is forgotten, and nothing of it outlives the
event's deletion date.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

import msgspec

from rooms import text
from rooms.breakout import Number, Room, may_lead, may_watch, seated, self_of, stir, tag
from rooms.command import Actor, Change, Changes, Command, Commands, Outcome, Refused

if TYPE_CHECKING:
    from rooms.event import Event

MAX_MESSAGE = 500
"""Graphemes: a few sentences; what is longer belongs on cards or into the notes."""
MOST_MESSAGES = 2_000
"""In one room, removed ones included."""
SHOWN = 200
"""The newest messages, which are on the page."""
Remover = Literal["author", "lead"]


class Message(msgspec.Struct):
    """What somebody has said in the chat. `row`: the row of the log that holds the text; `removed`: by whom it was."""

    number: int
    room: str
    text: str
    person: str
    at: int
    row: int
    removed: Remover | None = None


class Talk(msgspec.Struct):
    """All messages by number; their numbers by room and by participant."""

    messages: dict[int, Message] = {}
    of_room: dict[str, list[int]] = {}
    of_person: dict[str, list[int]] = {}

    def kept(self) -> list[Message]:
        """Those that nobody has removed."""
        return [message for message in self.messages.values() if not message.removed]

    def shown(self, room: str) -> list[int]:
        """The numbers of the messages that are on the room's page."""
        return self.of_room.get(room, [])[-SHOWN:]

    def by(self, participant: str) -> list[int]:
        """The numbers of the messages on a page that this participant has written."""
        return [one for one in self.of_person.get(participant, ()) if self.is_shown(one) and not self.messages[one].removed]

    def is_shown(self, number: int) -> bool:
        """Whether this message is."""
        numbers = self.of_room[self.messages[number].room]
        return number >= numbers[-min(SHOWN, len(numbers))]


class RaiseHand(Command, frozen=True):
    """Ask to speak."""

    room: str


class LowerHand(Command, frozen=True):
    """Do not want to speak any more, or have finished. `person`: the tag of somebody else, by who leads the room."""

    room: str
    person: str = ""


class GiveFloor(Command, frozen=True):
    """Let somebody speak, by their tag; without one the first on the list who is there. Who has spoken until now has finished."""

    room: str
    person: str = ""


class Send(Command, frozen=True):
    """Say something in the chat."""

    room: str
    text: str


class Remove(Command, frozen=True):
    """Take a message out of the chat, for good."""

    message: Number


class HandRaised(Change, frozen=True, tag="hand_raised"):
    """They are on the speaker list, as the last."""

    room: str
    person: str


class HandLowered(Change, frozen=True, tag="hand_lowered"):
    """They are not on the speaker list any more, nor speaking."""

    room: str
    person: str


class FloorGiven(Change, frozen=True, tag="floor_given"):
    """It is this person's turn; nobody's if empty."""

    room: str
    person: str


class Sent(Change, frozen=True, tag="chat_sent"):
    """There is a new message."""

    number: int
    room: str
    text: str
    person: str


class Removed(Change, frozen=True, tag="chat_removed"):
    """The message is gone, and its text with it."""

    number: int
    by: Remover


class Emptied(Change, frozen=True, tag="chat_emptied"):
    """All messages are gone, and their texts with them."""


# Deciding.


def raise_hand(event: Event, actor: Actor, command: RaiseHand, now: int) -> Outcome:
    """Done already if they are on the list or speaking (place 0). Refuses `unknown_room`, `not_your_room`, `round_closed`."""
    room = seated(event, actor, command.room)
    person = self_of(event, actor.person)
    if person not in room.seats and person not in room.guests:
        raise Refused("not_your_room", field="room", room="")  # who leads it, but has not come in
    if person == room.speaker:
        return Outcome([], {"place": 0})
    if person in room.hands:
        return Outcome([], {"place": room.hands.index(person) + 1})
    return Outcome([HandRaised(room.id, person)], {"place": len(room.hands) + 1})


def lower_hand(event: Event, actor: Actor, command: LowerHand, now: int) -> Outcome:
    """Done already if they are neither on the list nor speaking. Refuses `unknown_room`, `not_your_room`, `round_closed`,
    `unknown_person`, `forbidden`."""
    room = seated(event, actor, command.room)
    me = self_of(event, actor.person)
    person = _named(event, room, command.person) if command.person else me
    if person != me and not may_lead(event, actor, room):
        raise Refused("forbidden", field="person")
    listed = person in room.hands or person == room.speaker
    return Outcome([HandLowered(room.id, person)] if listed else [], {"hands": len(room.hands) - (person in room.hands)})


def give_floor(event: Event, actor: Actor, command: GiveFloor, now: int) -> Outcome:
    """By who leads the room. Done already if it is theirs: when two press the same button, nobody is passed over. Refuses
    `unknown_room`, `not_your_room`, `round_closed`, `forbidden`, `unknown_person`."""
    room = seated(event, actor, command.room)
    if not may_lead(event, actor, room):
        raise Refused("forbidden", field="room")
    person = _named(event, room, command.person) if command.person else following(room)
    changes: list[Change] = [FloorGiven(room.id, person)] if person != room.speaker else []
    return Outcome(changes, {"speaker": tag(event, person) if person else ""})


def send(event: Event, actor: Actor, command: Send, now: int) -> Outcome:
    """Refuses `unknown_room`, `not_your_room`, `round_closed`, `text_too_long`, `message_missing`, `chat_full`."""
    room = seated(event, actor, command.room)
    words = text.within(command.text, "text", 0, MAX_MESSAGE, lines=False)
    if not words:
        raise Refused("message_missing", field="text")
    if len(event.talk.of_room.get(room.id, ())) >= MOST_MESSAGES:
        raise Refused("chat_full", field="text", most=MOST_MESSAGES)
    number = len(event.talk.messages) + 1
    return Outcome([Sent(number, room.id, words, self_of(event, actor.person))], {"message": number})


def remove(event: Event, actor: Actor, command: Remove, now: int) -> Outcome:
    """The author's right at any time (GDPR Art. 7 (3), 17); also by who leads the room, as long as they may see it. Refuses
    `unknown_message`, `forbidden`."""
    message = event.talk.messages.get(command.message)
    if message is None or message.removed:
        raise Refused("unknown_message", field="message")
    author = message.person == self_of(event, actor.person)
    if not author and not may_watch(event, actor, message.room):
        raise Refused("unknown_message", field="message")
    if not author and not may_lead(event, actor, event.rounds.rooms[message.room]):
        raise Refused("forbidden", field="message")
    by: Remover = "author" if author else "lead"
    return Outcome([Removed(message.number, by)], {"message": message.number}, forget=[message.row])


def following(room: Room) -> str:
    """Whose turn is next: the first on the list who is there, or nobody's."""
    return next((one for one in room.hands if (seat := room.seats.get(one)) is None or seat.away_since is None), "")


def forget(event: Event, outcome: Outcome, participants: tuple[str, ...]) -> None:
    """Delete what these have said in the chat."""
    numbers = [number for person in participants for number in event.talk.of_person.get(person, ())]
    for message in (event.talk.messages[number] for number in numbers):
        if not message.removed:
            outcome.changes.append(Removed(message.number, "author"))
            outcome.forget.append(message.row)


def empty(event: Event, outcome: Outcome) -> int:
    """Delete what everybody has said in the chat; how many messages that were."""
    rows = [message.row for message in event.talk.kept()]
    if rows:
        outcome.changes.append(Emptied())
        outcome.forget.extend(rows)
    return len(rows)


def forgotten(change: Change) -> Change:
    """The change without the text that somebody has taken back."""
    return msgspec.structs.replace(change, text="") if isinstance(change, Sent) else change


def _named(event: Event, room: Room, one: str) -> str:
    """Somebody in the room, by their tag. Refuses `unknown_person`."""
    for person in (*room.seats, *room.guests):
        if tag(event, person) == one:
            return person
    raise Refused("unknown_person", field="person")


# Applying.


def hand_raised(event: Event, change: HandRaised, now: int, by: str) -> tuple[str, ...]:
    """At the end of the list."""
    room = event.rounds.rooms[change.room]
    room.hands.append(change.person)
    stir(room, now)
    return (f"hands/{room.id}", f"work/{room.id}")


def hand_lowered(event: Event, change: HandLowered, now: int, by: str) -> tuple[str, ...]:
    """Off the list, and the floor is nobody's if it was theirs."""
    room = event.rounds.rooms[change.room]
    if change.person in room.hands:
        room.hands.remove(change.person)
    if change.person == room.speaker:
        room.speaker, room.speaking_since = "", None
    return (f"hands/{room.id}", f"work/{room.id}")


def floor_given(event: Event, change: FloorGiven, now: int, by: str) -> tuple[str, ...]:
    """From one to the other."""
    room = event.rounds.rooms[change.room]
    if change.person in room.hands:
        room.hands.remove(change.person)
    room.speaker, room.speaking_since = change.person, now if change.person else None
    stir(room, now)
    return (f"hands/{room.id}", f"work/{room.id}")


def sent(event: Event, change: Sent, now: int, by: str) -> tuple[str, ...]:
    """The new message; the oldest leaves the page."""
    talk, room = event.talk, event.rounds.rooms[change.room]
    talk.messages[change.number] = Message(change.number, change.room, change.text, change.person, now, event.seq)
    talk.of_person.setdefault(change.person, []).append(change.number)
    numbers = talk.of_room.setdefault(change.room, [])
    numbers.append(change.number)
    gone = [f"chat/{numbers[-SHOWN - 1]}"] if len(numbers) > SHOWN else []
    return (f"chat/{change.number}", *gone, *stir(room, now))


def removed(event: Event, change: Removed, now: int, by: str) -> tuple[str, ...]:
    """That there was something stays to be seen, so that answers to it are understood."""
    message = event.talk.messages[change.number]
    message.text, message.removed = "", change.by
    return (f"chat/{message.number}",)


def emptied(event: Event, change: Emptied, now: int, by: str) -> tuple[str, ...]:
    """Of everybody."""
    left = event.talk.kept()
    for message in left:
        message.text, message.removed = "", "author"
    return tuple(f"chat/{message.number}" for message in left)


COMMANDS: Commands = {
    "room.raise_hand": (RaiseHand, raise_hand),
    "room.lower_hand": (LowerHand, lower_hand),
    "room.give_floor": (GiveFloor, give_floor),
    "chat.send": (Send, send),
    "chat.remove": (Remove, remove),
}
CHANGES: Changes = {
    HandRaised: hand_raised,
    HandLowered: hand_lowered,
    FloorGiven: floor_given,
    Sent: sent,
    Removed: removed,
    Emptied: emptied,
}
