"""The limits: rates per person and per address, from the settings. A hall shares one address.

Each process counts for itself and tells the others once a second what was taken, so that whoever spreads over the processes gains
a second's worth at most. Without Redis the limits are those of each process.
"""

from __future__ import annotations

import asyncio
import heapq
import time
from ipaddress import IPv6Address
from operator import itemgetter

import msgspec

from live.bus import Bus
from live.settings import Settings
from moderation.event import Event
from moderation.limits import Rate
from moderation.roles import STAFF, actor
from rooms.command import Refused

SHARED_SECONDS = 1.0
BUSIEST = 500
"""Of so many keys of each rate the other processes are told: who takes less than all of these takes little."""
_SAID = ("card.submit", "chat.send")
_GUESSABLE = ("person.join", "link.redeem", "room.seat_table")


class Limits:
    """One for all events of the process. Times are seconds, monotonic."""

    def __init__(self, settings: Settings) -> None:
        self.send = Rate(settings.send_burst, settings.send_rate)
        self.submit = Rate(settings.submit_burst, settings.submit_rate)
        self.address = Rate(settings.address_burst, settings.address_rate)
        self.guess = Rate(settings.join_burst, settings.join_rate)
        self.register = Rate(settings.register_burst, settings.register_rate)
        self.say = Rate(settings.say_burst, settings.say_rate)
        self.notes_growth = Rate(settings.notes_growth_burst, settings.notes_growth_rate)
        self._rates = {
            "send": self.send, "submit": self.submit, "address": self.address, "guess": self.guess, "register": self.register,
            "say": self.say, "notes_growth": self.notes_growth,
        }  # fmt: skip
        self.most_connections = settings.connections_per_address
        self._connections: dict[str, int] = {}

    def command(self, event: Event, person: str, host: str, name: str, now: float) -> None:
        """Refuses `too_many`. Staff are trusted with their own pace, not with the address's."""
        address = network(host)
        self.address.take(address, now)
        if name in _GUESSABLE:
            self.guess.take(address, now)
        if actor(event, person).any_of(*STAFF):
            return
        self.send.take(person, now)
        if name == "contribution.submit":
            self.submit.take(person, now)
        elif name in _SAID:
            self.say.take(person, now)
        elif name == "registration.submit":
            # Per address: a bot is a new person each time.
            self.register.take(address, now)

    def opening(self, person: str, now: float) -> None:
        """Asking for channels costs the server a rendering: it counts like a command."""
        self.send.take(person, now)

    def connect(self, host: str) -> None:
        """One more connection from there. Refuses `too_many`."""
        address = network(host)
        count = self._connections.get(address, 0)
        if count >= self.most_connections:
            raise Refused("too_many", retry_after=30.0)
        self._connections[address] = count + 1

    def disconnect(self, host: str) -> None:
        """One connection less."""
        address = network(host)
        self._connections[address] -= 1
        if not self._connections[address]:
            del self._connections[address]

    async def share(self, bus: Bus) -> None:
        """Tell the other processes what is taken here, and charge what is taken there; until cancelled."""
        bus.listen("rates", self._charge)
        for rate in self._rates.values():
            rate.taken = {}
        while True:
            await asyncio.sleep(SHARED_SECONDS)
            told = {}
            for name, rate in self._rates.items():
                taken, rate.taken = rate.taken or {}, {}
                if taken:
                    told[name] = dict(heapq.nlargest(BUSIEST, taken.items(), key=itemgetter(1)))
            if told:
                bus.announce("rates", _PACK.encode(told))

    def _charge(self, data: bytes) -> None:
        now = time.monotonic()
        for name, taken in _UNPACK.decode(data).items():
            if name not in self._rates:
                continue  # another release's, while one is replaced by the other
            for key, cost in taken.items():
                self._rates[name].charge(key, now, cost)


def network(host: str) -> str:
    """What is counted as one address: an IPv6 customer has a network of 64 bits at least (RFC 6177), an IPv4 one its address."""
    if ":" not in host:
        return host
    try:
        address = IPv6Address(host.partition("%")[0])
    except ValueError:
        return host
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(IPv6Address(int(address) >> 64 << 64))


_PACK = msgspec.msgpack.Encoder()
_UNPACK = msgspec.msgpack.Decoder(dict[str, dict[str, float]])
