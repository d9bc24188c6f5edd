"""Limits: how much one person and one address may send. Token buckets; kept in memory, forgotten when full again."""

from __future__ import annotations

from rooms.command import Refused


class Rate:
    """`burst` at once, then `per_second`; counted for each key on its own."""

    def __init__(self, burst: float, per_second: float) -> None:
        self.burst = burst
        self.per_second = per_second
        self._buckets: dict[str, tuple[float, float]] = {}
        self._swept = 0.0

    def take(self, key: str, now: float, cost: float = 1.0) -> None:
        """Take from the key's bucket at time `now` (s, monotonic). Refuses `too_many` with the seconds to wait."""
        tokens, at = self._buckets.get(key, (self.burst, now))
        tokens = min(self.burst, tokens + (now - at) * self.per_second)
        if tokens < cost:
            self._buckets[key] = (tokens, now)
            raise Refused("too_many", retry_after=max(1.0, round((cost - tokens) / self.per_second + 0.5)))
        self._buckets[key] = (tokens - cost, now)
        if now - self._swept > self.burst / self.per_second:
            self._sweep(now)

    def _sweep(self, now: float) -> None:
        # A bucket that has had time to fill up again is as good as none.
        full_after = self.burst / self.per_second
        self._buckets = {key: bucket for key, bucket in self._buckets.items() if now - bucket[1] < full_after}
        self._swept = now

    def __len__(self) -> int:
        return len(self._buckets)
