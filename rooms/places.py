"""Places: the hall and the conference with their few seats, and who sits or waits there. Seats go in order of arrival.

A place's seats are pools: the reserved contingents, and the rest (`""`), which is for everybody. A party sits in one pool or waits
as a whole. Nobody overtakes: whoever waits for a pool blocks it for all who came later.
"""

from __future__ import annotations

import math
import unicodedata
from bisect import bisect_left, insort
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Literal

import msgspec

from rooms.command import Refused

if TYPE_CHECKING:
    from rooms.event import Event

PlaceName = Literal["hall", "conference"]
Purpose = Literal["picture", "voice", "name", "recording", "photos"]
"""What somebody can agree to: picture live, voice live, name on screen, recording published, photographs."""
PURPOSES: tuple[Purpose, ...] = ("picture", "voice", "name", "recording", "photos")

GENERAL = ""
"""The pool of the seats that are nobody's in particular."""
OFF_CAMERA = "off_camera"
"""The contingent of seats that no camera sees: who sits there has to consent to nothing, and sits nowhere else."""
MOST_IN_CONFERENCE = 75
"""The hard limit of a small group and of a conference (BRIEF.md)."""
MOST_IN_PARTY = 20

Order = tuple[int, int]
"""Second of arrival, number: what came in the same second goes by its arrival at the server."""


class Place(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Seats of an event. `opens` and `deadline` are ISO 8601 with offset (empty: as the event's phase says, until it starts);
    `party`: most people in one registration; `confirm_within`: hours that somebody who has moved up has to confirm; `reserved`:
    contingent → seats out of `seats`; `consents` are required here, `optional_consents` are asked for as well; `access` is what
    participants need to get in, sent at `access_at`."""

    seats: int
    opens: str = ""
    deadline: str = ""
    keyword: str = ""
    party: int = 2
    waiting_list: bool = True
    confirm_within: float = 48.0
    consents: tuple[Purpose, ...] = ()
    optional_consents: tuple[Purpose, ...] = ()
    reserved: dict[str, int] = {}
    access: dict[str, str] = {}
    access_at: str = ""

    def size(self, pool: str) -> int:
        """Seats in the pool."""
        return self.reserved.get(pool, 0) if pool != GENERAL else self.seats - sum(self.reserved.values())

    def pools(self, contingent: str) -> tuple[str, ...]:
        """Where somebody of this contingent may sit, the first choice first."""
        if contingent in (GENERAL, OFF_CAMERA):
            return (contingent,)
        return (contingent, GENERAL)

    def required(self, contingent: str) -> tuple[Purpose, ...]:
        """What has to be agreed to for such a seat."""
        return () if contingent == OFF_CAMERA else self.consents

    @property
    def asked(self) -> tuple[Purpose, ...]:
        """All purposes that are asked for here, in their usual order."""
        return tuple(purpose for purpose in PURPOSES if purpose in self.consents or purpose in self.optional_consents)


class Line(msgspec.Struct):
    """One place's seats taken by pool, and who waits by contingent, each in order."""

    taken: dict[str, int] = {}
    waiting: dict[str, list[Order]] = {}

    def copy(self) -> Line:
        """One to reckon with."""
        return Line(dict(self.taken), {contingent: list(orders) for contingent, orders in self.waiting.items()})

    def heads(self) -> Line:
        """The same seats with only the first of each contingent: enough to see whether anybody can be seated."""
        return Line(dict(self.taken), {contingent: orders[:1] for contingent, orders in self.waiting.items()})

    def take(self, pool: str, people: int) -> None:
        """So many more sit there; fewer if negative."""
        self.taken[pool] = self.taken.get(pool, 0) + people

    def enter(self, contingent: str, order: Order) -> None:
        """Wait from now on, at the place that the arrival gives."""
        insort(self.waiting.setdefault(contingent, []), order)

    def leave(self, contingent: str, order: Order) -> None:
        """Wait no more."""
        self.waiting[contingent].remove(order)

    def position(self, order: Order) -> int:
        """The place on the waiting list, from 1."""
        return 1 + sum(bisect_left(orders, order) for orders in self.waiting.values())

    def count(self) -> int:
        """How many registrations wait."""
        return sum(map(len, self.waiting.values()))

    def settle(self, place: Place, people_of: Callable[[int], int]) -> Iterator[tuple[int, str]]:
        """Give the free seats to those who wait, in order, as long as the first of them fits; yields number and pool. `people_of`:
        number → people. Changes this line."""
        active = {contingent for contingent, orders in self.waiting.items() if orders}
        blocked: set[str] = set()
        while active:
            contingent = min(active, key=lambda one: self.waiting[one][0])
            number = self.waiting[contingent][0][1]
            people = people_of(number)
            pool = next((one for one in place.pools(contingent) if one not in blocked and self.free(place, one) >= people), None)
            if pool is None:
                # All who wait in this contingent come later and want the same pools; so do some of the others.
                blocked.update(place.pools(contingent))
                active.discard(contingent)
                continue
            self.waiting[contingent].pop(0)
            self.take(pool, people)
            if not self.waiting[contingent]:
                active.discard(contingent)
            yield number, pool

    def free(self, place: Place, pool: str) -> int:
        """Seats in the pool that nobody has."""
        return place.size(pool) - self.taken.get(pool, 0)


def place_of(event: Event, name: str) -> Place:
    """Refuses `unknown_place`."""
    place = event.programme.places.get(name)  # type: ignore[call-overload]
    if place is None:
        raise Refused("unknown_place", field="place")
    return place  # type: ignore[no-any-return]


def check_places(places: Mapping[PlaceName, Place]) -> None:
    """Refuses `wrong_fact`: seats that cannot be given as written. Times are checked with the programme's."""
    for name, place in places.items():
        numbers = (place.seats, place.size(GENERAL) + 1, place.party, place.confirm_within, *place.reserved.values())
        too_large = name == "conference" and place.seats > MOST_IN_CONFERENCE
        endless = not math.isfinite(place.confirm_within)  # TOML can say so, the log cannot
        unheard = bool(place.keyword) and not folded(place.keyword)  # every letter would have it
        if min(numbers) <= 0 or too_large or endless or unheard or place.party > MOST_IN_PARTY or GENERAL in place.reserved:
            raise Refused("wrong_fact", field=f"places.{name}")


def check_taken(event: Event, places: Mapping[PlaceName, Place]) -> None:
    """Refuses `seats_taken`: nobody who has a seat loses it by a change of the facts."""
    for name, line in event.registrations.lines.items():
        place = places.get(name)
        for pool, people in line.taken.items():
            if people > (place.size(pool) if place else 0):
                raise Refused("seats_taken", field=f"places.{name}", taken=people)
        if place is None and line.count():
            raise Refused("seats_taken", field=f"places.{name}", taken=line.count())


def check_fits(place: Place, contingent: str, party: int) -> None:
    """Refuses `party_too_large`: so many could never sit together, and would block the line for ever."""
    most = max(place.size(pool) for pool in place.pools(contingent))
    if party > max(most, 1):
        raise Refused("party_too_large", field="party", most=most)


def folded(keyword: str) -> str:
    """A keyword as it is compared: letters and digits only: "Digitalisierung 20.08." = "digitalisierung 2008"."""
    composed = unicodedata.normalize("NFKC", keyword).casefold()
    return "".join(letter for letter in unicodedata.normalize("NFKC", composed) if letter.isalnum())
