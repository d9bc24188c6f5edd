"""The limits of this process: rates per person and per address, from the settings. A hall shares one address."""

from __future__ import annotations

from live.settings import Settings
from moderation.event import Event
from moderation.limits import Rate
from moderation.roles import STAFF, actor
from rooms.command import Refused

_GUESSABLE = ("person.join", "link.redeem")


class Limits:
    """One for all events of the process. Times are seconds, monotonic."""

    def __init__(self, settings: Settings) -> None:
        self.send = Rate(settings.send_burst, settings.send_rate)
        self.submit = Rate(settings.submit_burst, settings.submit_rate)
        self.address = Rate(settings.address_burst, settings.address_rate)
        self.guess = Rate(settings.join_burst, settings.join_rate)
        self.most_connections = settings.connections_per_address
        self._connections: dict[str, int] = {}

    def command(self, event: Event, person: str, address: str, name: str, now: float) -> None:
        """Refuses `too_many`. Staff are trusted with their own pace, not with the address's."""
        self.address.take(address, now)
        if name in _GUESSABLE:
            self.guess.take(address, now)
        if actor(event, person).any_of(*STAFF):
            return
        self.send.take(person, now)
        if name == "contribution.submit":
            self.submit.take(person, now)

    def opening(self, person: str, now: float) -> None:
        """Asking for channels costs the server a rendering: it counts like a command."""
        self.send.take(person, now)

    def connect(self, address: str) -> None:
        """One more connection from there. Refuses `too_many`."""
        count = self._connections.get(address, 0)
        if count >= self.most_connections:
            raise Refused("too_many", retry_after=30.0)
        self._connections[address] = count + 1

    def disconnect(self, address: str) -> None:
        """One connection less."""
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]
