"""The state of one event: a slice per capability, and when each document was last touched."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from rooms.announcements import Announcements
from rooms.breakout import Rounds
from rooms.contributions import Contributions
from rooms.help import Help
from rooms.inbox import Inbox
from rooms.joining import Attendance
from rooms.messages import Messages
from rooms.programme import Phase, Programme
from rooms.register import Registrations
from rooms.results import Results
from rooms.support import Supports
from rooms.talk import Talk


class Event(msgspec.Struct):
    """Everything the rules know of an event. `secret` keys codes and receipts and is never shown; `seq` is the last log row
    applied; `touched` maps a document's key to the seq of the row that last touched it."""

    slug: str
    secret: str
    seq: int = 0
    touched: dict[str, int] = {}
    phase: Phase = "draft"
    programme: Programme = Programme("", {}, "", "")
    attendance: Attendance = msgspec.field(default_factory=Attendance)
    contributions: Contributions = msgspec.field(default_factory=Contributions)
    supports: Supports = msgspec.field(default_factory=Supports)
    registrations: Registrations = msgspec.field(default_factory=Registrations)
    messages: Messages = msgspec.field(default_factory=Messages)
    inbox: Inbox = msgspec.field(default_factory=Inbox)
    rounds: Rounds = msgspec.field(default_factory=Rounds)
    results: Results = msgspec.field(default_factory=Results)
    talk: Talk = msgspec.field(default_factory=Talk)
    help: Help = msgspec.field(default_factory=Help)
    announcements: Announcements = msgspec.field(default_factory=Announcements)

    def staff(self) -> Iterable[str]:
        """Who holds a role; what roles are is known in moderation/ only."""
        return ()
