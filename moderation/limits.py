"""Limits: how much one person and one address may send. Token buckets; kept in memory, forgotten when full again."""

from __future__ import annotations

import math

from rooms.command import Refused

_ROUNDING = 1e-6
"""Of a token: who comes at the very second is not sent away for what the sums of times are off."""


class Rate:
    """`burst` at once, then `per_second`; counted for each key on its own."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst = burst
        self.per_second = per_second
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept = 0.0
        self.taken: dict[str, float] | None = None
        """What was taken since somebody last looked, where somebody does: for the other processes."""

    def take(self, key: str, now: float, cost: float = 1.0) -> None:
        """Take from the key's bucket at time `now` (s, monotonic). Refuses `too_many` with the seconds to wait."""
        tokens, at = self._buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        if tokens < cost - _ROUNDING:
            self._buckets[key] = (tokens, now)
            raise Refused("too_many", retry_after=max(1.0, math.ceil((cost - tokens) / self.per_second)))
        self._buckets[key] = (tokens - cost, now)
        if self.taken is not None:
            self.taken[key] = self.taken.get(key, 0.0) + cost
        if now - self._swept > self.burst / self.per_second:
            self._sweep(now)

    def charge(self, key: str, now: float, cost: float) -> None:
        """What was taken from the key's bucket elsewhere. It may be left in debt, of one burst at most."""
        tokens, at = self._buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        self._buckets[key] = (max(-self.burst, tokens - cost), now)

    def _sweep(self, now: float) -> None:
        # A bucket that has had time to fill up again, from a debt too, is as good as none.
        full_after = 2 * self.burst / self.per_second
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[1] < full_after}
        self._swept = now

    def __len__(self) -> int:
        return len(self._buckets)
