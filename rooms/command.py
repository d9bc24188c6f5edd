"""The vocabulary of the rules: who acts, what they ask for, what follows, and how it is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import msgspec

SYSTEM = "system"
"""The person id and role of the command line and of timers."""


class Actor(msgspec.Struct, frozen=True):
    """Who sends a command: a person's id and the roles that this person holds in this event."""

    person: str
    roles: frozenset[str] = frozenset()

    def any_of(self, *roles: str) -> bool:
        """Whether the actor holds one of the roles; the system holds all."""
        return SYSTEM in self.roles or not self.roles.isdisjoint(roles)


class Command(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What somebody asks for. Fields are validated by type at the edge and by the rule in `decide`."""


class Timer(msgspec.Struct, frozen=True):
    """A command that the system sends by itself at `at` (ms). Its id is the same in every process: the log takes it once."""

    at: int
    id: str
    name: str
    command: Command


class Change(msgspec.Struct, frozen=True, tag_field="c", omit_defaults=True):
    """What is now true. Logged; never holds personal data (GDPR Art. 5 (1) c): people are ids."""


class Outcome(msgspec.Struct):
    """What one command leads to.

    `changes` go to the log, `result` to the sender, `names` (person id → name, empty to delete) to the people table only.
    `forget` lists the rows (seq) of the log whose citizens' text is to be deleted in the same transaction, `notes` the rooms whose
    notes are.
    """

    changes: list[Change] = []
    result: dict[str, Any] = {}
    names: dict[str, str] = {}
    forget: list[int] = []
    notes: list[str] = []


class Refused(Exception):
    """The command may not happen. `code` is stable; `field` names the argument to mend; `params` fill the wording."""

    def __init__(self, code: str, *, field: str | None = None, retry_after: float | None = None, **params: Any) -> None:
        super().__init__(code)
        self.code = code
        self.field = field
        self.retry_after = retry_after
        self.params = params


Commands = dict[str, tuple[type[Command], Callable[[Any, Actor, Any, int], Outcome]]]
"""Name → (arguments, rule). A rule takes event, actor, command and the time in ms; it changes nothing, and returns or refuses."""

Timers = Callable[[Any], Iterable[Timer]]
"""Event → its timers that may still be due."""

Changes = dict[type[Change], Callable[[Any, Any, int, str], tuple[str, ...]]]
"""Change → how it changes the state. Takes event, change, the row's time in ms and its actor; returns the keys touched."""
