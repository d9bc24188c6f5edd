"""The hub of one event: who watches what, and the documents on their way to them.

A touched document only makes its key dirty; a flush renders each dirty document once per audience and language and writes one
shared frame to everybody: at once when it is quiet, at most every `flush_seconds` under load, screens and staff before the crowd.
Nothing is queued for a slow client: it is noted since which seq it is stale, and gets the current documents when it has drained.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from live import metrics
from live.attendance import Attendance, at
from live.desk import Desk
from live.fanout import Group, Link
from live.frames import Frame
from live.presence import LocalPresence, Presence
from live.sending import Way
from moderation import documents
from moderation.roles import actor, check_channel
from rooms.breakout import self_of
from rooms.command import Refused

LOGGER = logging.getLogger("plenum.hub")
Render = Callable[[str, str, str, documents.Data], str]
"""(key, kind of channel, language, data) → HTML."""

TOO_SLOW, RIGHTS, COME_BACK = 4001, 4003, 1012
RESUMED = 64
"""Answers to "since" kept between two flushes: after a restart thousands come back having seen the same."""
WORKING_SECONDS = 15.0
"""So long it is believed that somebody is at work on something; a page says it again after half of it."""
_JSON = msgspec.json.Encoder()
_PACK = msgspec.msgpack.Encoder()
_WORK = msgspec.msgpack.Decoder(tuple[str, str, int, bool])
_ORDER = ("output", "stage", "hall", "moderation", "rooms", "room", "board", "door", "registrations", "me", "public")
_FIRST = {kind: turn for turn, kind in enumerate(_ORDER)}
"""The order of a flush: what is on air and those who work before the crowd."""
_COUNTED = ("public", "stage", "moderation")
"""The channels that show how many are in the hall and at home."""


class Since(NamedTuple):
    """What a client has seen of a channel."""

    epoch: str
    seq: int


class Audience:
    """Everybody who gets the same bytes: one channel, one language, HTML or JSON."""

    __slots__ = ("channel", "form", "group", "lang", "resumed", "snapshot")

    def __init__(self, channel: Channel, lang: str, form: str, on_behind: Callable[[Link], None], way: Way | None = None) -> None:
        self.channel, self.lang, self.form = channel, lang, form
        self.group = Group(on_behind, way)
        self.snapshot: Frame | None = None
        self.resumed: dict[int, list[Frame]] = {}


class Channel:
    """One channel that is watched. `shown`: the keys that its watchers may have; `flushed`: the seq of its last flush."""

    __slots__ = ("audiences", "flushed", "kind", "name", "person", "shown", "watchers")

    def __init__(self, name: str, person: str, seq: int) -> None:
        self.name, self.kind, self.person = name, documents.kind(name), person
        self.flushed = seq
        self.watchers = 0
        self.shown: set[str] = set()
        self.audiences: dict[tuple[str, str], Audience] = {}


class Watcher:
    """One connection and what it watches. `stale`: channel → the seq after which it has missed things."""

    __slots__ = ("behind_since", "channels", "episode", "link", "person", "stale", "token")

    def __init__(self, link: Link, person: str) -> None:
        self.link, self.person = link, person
        self.token: str | None = None
        self.channels: dict[str, Audience] = {}
        self.stale: dict[str, int] = {}
        self.episode = 0
        self.behind_since = 0.0


class Hub:
    """Made once per desk; for the loop's thread."""

    def __init__(
        self,
        desk: Desk,
        render: Render,
        entrance: Callable[[str], documents.Data] | None = None,
        presence: Presence | None = None,
    ) -> None:
        self.desk, self.render = desk, render
        self.entrance = entrance
        self.presence: Presence = presence or LocalPresence()
        self.channels: dict[str, Channel] = {}
        self.watchers: dict[Link, Watcher] = {}
        self._dirty: set[str] = set()
        self._flush_at: asyncio.TimerHandle | asyncio.Handle | None = None
        self._flushed_at = self._dirty_since = 0.0
        self._fragments: dict[tuple[str, str, str], dict[str, tuple[int, bytes]]] = {}
        self._present: dict[str, int] = {}
        self._presence: dict[str, int] = {}
        self._rotate_at: asyncio.TimerHandle | None = None
        self._presence_at: asyncio.TimerHandle | None = None
        self._counting: asyncio.Task[None] | None = None
        self._attendance = Attendance(desk, self.presence, self._in_rooms)
        self._working: dict[int, dict[str, asyncio.TimerHandle]] = {}
        desk.bus.listen("working", self._hear_work)
        self._epoch = desk.epoch
        desk.on_touched = self.touched
        desk.on_reset = self.reset

    # Watching.

    def watch(self, watcher: Watcher, wanted: dict[str, Since | None], lang: str, form: Literal["html", "json"]) -> None:
        """Let the connection watch exactly these channels. Call it settled, with rights checked."""
        self.watchers[watcher.link] = watcher
        for name in [name for name in watcher.channels if name not in wanted]:
            self._leave(watcher, name)
        for name, since in wanted.items():
            self._leave(watcher, name)
            self._join(watcher, name, since, lang, form)

    def leave(self, watcher: Watcher) -> None:
        """The connection is gone; what this person was at work on is free, unless another page of theirs says so again."""
        if "moderation" in watcher.channels:
            for number in [number for number, people in self._working.items() if watcher.person in people]:
                self.working(watcher.person, number, on=False)
        for name in list(watcher.channels):
            self._leave(watcher, name)
        self._caught_up(watcher)
        self.watchers.pop(watcher.link, None)

    def reset(self) -> None:
        """The state was read anew: everything that was rendered may be wrong. Of another epoch, what is on the screens too."""
        self._fragments.clear()
        if self.desk.epoch != self._epoch:
            self._epoch = self.desk.epoch
            for link in list(self.watchers):
                link.close(COME_BACK, "the log was replaced")
        for channel in self.channels.values():
            channel.shown = set(documents.keys(self.desk.event, channel.name, channel.person))
            for audience in channel.audiences.values():
                audience.snapshot = None
                audience.resumed.clear()

    def docs(self, name: str, person: str, since: Since | None, lang: str) -> bytes:
        """A `docs` frame of JSON data for somebody who asks once. Call it settled."""
        audience = Audience(Channel(name, person, 0), lang, "json", lambda link: None)
        if since is not None and self._known(since):
            keys = [documents.shown_by(key) for key in self._touched_keys(audience.channel, since.seq)]
            put, gone, _ = self._sorted(audience, list(dict.fromkeys(keys)))
            return self._docs(audience, put, gone).payload
        return self._snapshot(audience).payload

    def _join(self, watcher: Watcher, name: str, since: Since | None, lang: str, form: str) -> None:
        private = f"me/{watcher.person}" if name == "me" else name
        channel = self.channels.get(private)
        if channel is None:
            channel = self.channels[private] = Channel(name, watcher.person, self.desk.event.seq)
            channel.shown = set(documents.keys(self.desk.event, name, watcher.person))
        audience = channel.audiences.get((lang, form))
        if audience is None:
            way: Way | None = None if self.desk.settings.native_fanout else "ctypes"
            audience = Audience(channel, lang, form, lambda link: self._fell_behind(link, name), way)
            channel.audiences[lang, form] = audience
        watcher.channels[name] = audience
        channel.watchers += 1
        self._deliver(watcher, name, since)
        if name == "hall":
            self._rotate()
        if name.startswith("room/"):
            self._attendance.comes(name.partition("/")[2], self_of(self.desk.event, watcher.person))
        if name == "public":
            self._present[watcher.person] = self._present.get(watcher.person, 0) + 1
        if name in _COUNTED:
            self._presence_soon()

    def _leave(self, watcher: Watcher, name: str) -> None:
        audience = watcher.channels.pop(name, None)
        if audience is None:
            return
        watcher.stale.pop(name, None)
        audience.group.discard(watcher.link)
        audience.channel.watchers -= 1
        if not audience.channel.watchers:
            del self.channels[f"me/{watcher.person}" if name == "me" else name]
        if name == "public":
            self._present[watcher.person] -= 1
            if not self._present[watcher.person]:
                del self._present[watcher.person]
            self._presence_soon()

    # Catching up.

    def _current(self, audience: Audience, since: Since | None) -> list[Frame]:
        if since is None or not self._known(since):
            frames = [self._snapshot(audience)]
        else:
            cached = audience.resumed.get(since.seq)
            frames = cached if cached is not None else self._touched_frames(audience, since.seq)
            if cached is None and audience.channel.name != "me" and len(audience.resumed) < RESUMED:
                audience.resumed[since.seq] = frames
        if audience.channel.kind in _COUNTED and self._presence:
            frames = [*frames, self._counts(audience.channel, {"event": self._presence})]
        if audience.channel.kind == "moderation" and self._working:
            counts = {number: len(people) for number, people in self._working.items()}
            frames = [*frames, self._counts(audience.channel, self._work(counts))]
        return frames

    def _known(self, since: Since) -> bool:
        return since.epoch == self.desk.epoch and since.seq <= self.desk.event.seq

    def _snapshot(self, audience: Audience) -> Frame:
        if audience.snapshot is not None:
            return audience.snapshot
        event, channel = self.desk.event, audience.channel
        put = [self._fragment(audience, key) for key in documents.keys(event, channel.name, channel.person)]
        frame = self._docs(audience, [one for one in put if one is not None], [], reset=True)
        if channel.kind not in ("me", "hall"):
            audience.snapshot = frame
        return frame

    def _touched_frames(self, audience: Audience, since: int) -> list[Frame]:
        put, gone, counts = self._sorted(audience, self._touched_keys(audience.channel, since))
        frames = [self._docs(audience, put, gone)]
        if counts:
            frames.append(self._counts(audience.channel, counts))
        return frames

    def _touched_keys(self, channel: Channel, since: int) -> list[str]:
        """The channel's keys touched after `since`, from the state: `touched` is in the order of touching."""
        touched = self.desk.event.touched
        keys = ["entrance"] if channel.kind == "hall" else []
        for key in reversed(touched):
            if touched[key] <= since:
                break
            if self._concerns(key, channel):
                keys.append(key)
        return keys[::-1]

    def _concerns(self, key: str, channel: Channel) -> bool:
        names = documents.channels_of(self.desk.event, key)
        exact = {"me": f"me/{channel.person}", "room": channel.name}
        return exact.get(channel.kind, channel.kind) in names

    def _fell_behind(self, link: Link, name: str, since: int | None = None) -> None:
        watcher = self.watchers.get(link)
        if watcher is None or name not in watcher.channels:
            return
        # The flush during which it fell behind may have been half written: stale since the one before.
        watcher.stale[name] = watcher.channels[name].channel.flushed if since is None else since
        if len(watcher.stale) == 1:
            watcher.episode += 1
            loop = asyncio.get_running_loop()
            if not watcher.behind_since:
                watcher.behind_since = loop.time()
                metrics.BEHIND.inc()
            loop.call_later(self.desk.settings.slow_seconds, self._too_slow, watcher, watcher.episode)
        link.on_drained = lambda: self.desk.settled(lambda: self._drained(watcher))

    def _drained(self, watcher: Watcher) -> None:
        stale, watcher.stale = watcher.stale, {}
        for name, since in stale.items():
            if watcher.link.behind:
                watcher.stale[name] = since
            elif name in watcher.channels:
                self._deliver(watcher, name, Since(self.desk.epoch, since))
        if not watcher.stale:
            self._caught_up(watcher)

    def _caught_up(self, watcher: Watcher) -> None:
        if watcher.behind_since:
            metrics.BEHIND.dec()
            metrics.STALE.observe(asyncio.get_running_loop().time() - watcher.behind_since)
            watcher.behind_since = 0.0

    def _deliver(self, watcher: Watcher, name: str, since: Since | None) -> None:
        """Write what is current, and from now on what changes; who falls behind on it is noted as stale since now."""
        audience = watcher.channels[name]
        for frame in self._current(audience, since):
            watcher.link.write(frame)
        if watcher.link.behind:
            self._fell_behind(watcher.link, name, self.desk.event.seq)
        else:
            audience.group.add(watcher.link)

    def _too_slow(self, watcher: Watcher, episode: int) -> None:
        if watcher.stale and watcher.episode == episode and watcher.link.behind:
            watcher.link.close(TOO_SLOW, "too slow")

    # Flushing.

    def touched(self, keys: Iterable[str]) -> None:
        """These documents have changed: they are flushed at once, or when the last flush is long enough ago."""
        if not self._dirty:
            self._dirty_since = asyncio.get_running_loop().time()
        self._dirty.update(keys)
        if "rights" in self._dirty:
            self._check_rights()
        if self._flush_at is None:
            loop = asyncio.get_running_loop()
            wait = self._flushed_at + self.desk.settings.flush_seconds - loop.time()
            flush = self.desk.settled
            self._flush_at = loop.call_later(wait, flush, self._flush) if wait > 0 else loop.call_soon(flush, self._flush)

    def _check_rights(self) -> None:
        """Who may no longer watch what they watch is sent away, and told so when they come back."""
        self._dirty.discard("rights")
        event = self.desk.event
        for watcher in list(self.watchers.values()):
            try:
                for name in watcher.channels:
                    check_channel(event, actor(event, watcher.person), name, watcher.token)
            except Refused:
                watcher.link.close(RIGHTS, "rights have changed")

    def _flush(self) -> None:
        self._flush_at = None
        self._flushed_at = asyncio.get_running_loop().time()
        dirty, self._dirty = self._dirty, set()
        for channel, keys in self._by_channel(sorted(dirty)):
            for audience in channel.audiences.values():
                audience.snapshot = None
                audience.resumed.clear()
                if len(audience.group):
                    self._send(audience, keys)
            for key in keys:
                if documents.visible(self.desk.event, channel.name, key, channel.person):
                    channel.shown.add(key)
                else:
                    channel.shown.discard(key)
            channel.flushed = self.desk.event.seq
        metrics.FANOUT.observe(asyncio.get_running_loop().time() - self._dirty_since)
        if any(key.startswith("person/") for key in dirty):
            self._presence_soon()

    def _by_channel(self, dirty: list[str]) -> list[tuple[Channel, list[str]]]:
        found: dict[str, list[str]] = {}
        outputs = [name for name in self.channels if name.startswith("output/")]
        for key in dirty:
            for name in documents.channels_of(self.desk.event, key):
                for one in outputs if name == "output" else (name,):
                    if one in self.channels:
                        found.setdefault(one, []).append(key)
        return sorted(((self.channels[name], keys) for name, keys in found.items()), key=lambda pair: _FIRST[pair[0].kind])

    def _send(self, audience: Audience, keys: list[str]) -> None:
        put, gone, counts = self._sorted(audience, keys)
        gone = [key for key in gone if key in audience.channel.shown]
        if put or gone:
            audience.group.send(self._docs(audience, put, gone))
        if counts:
            audience.group.send(self._counts(audience.channel, counts))

    def _sorted(self, audience: Audience, keys: list[str]) -> tuple[list[bytes], list[str], dict[str, dict[str, int]]]:
        """Documents to put, keys that are gone, and numbers that changed alone."""
        put: list[bytes] = []
        gone: list[str] = []
        counts: dict[str, dict[str, int]] = {}
        for key in keys:
            name, shown = key.partition("/")[0], documents.shown_by(key)
            if shown != key:
                if shown not in keys and documents.visible(self.desk.event, audience.channel.name, shown, ""):
                    counts[shown] = documents.numbers(self.desk.event, key)
                continue
            fragment = self._fragment(audience, name if name in ("supports", "person") else key)
            if fragment is None:
                gone.append(key)
            else:
                put.append(fragment)
        return put, gone, counts

    # Making frames.

    def _data(self, audience: Audience, key: str) -> documents.Data | None:
        if key == "entrance":
            return self.entrance(audience.lang) if self.entrance is not None else None
        channel = audience.channel
        return documents.data(self.desk.event, self.desk.names, channel.name, key, audience.lang, channel.person)

    def _fragment(self, audience: Audience, key: str) -> bytes | None:
        """One element of `put`, rendered once per version for everybody; personal ones each time."""
        kind = audience.channel.kind
        if kind in ("me", "hall"):
            return self._rendered(audience, key)
        touched = self.desk.event.touched
        on_air = f"support/{self.desk.event.contributions.on_air}"
        counted = on_air if key == "on_air" else documents.counted(key)
        version = max(touched.get(key, 0), touched.get(counted, 0))
        cache = self._fragments.setdefault((kind, audience.lang, audience.form), {})
        cached = cache.get(key)
        if cached is not None and cached[0] == version:
            return cached[1]
        made = self._rendered(audience, key)
        if made is None:
            cache.pop(key, None)
        else:
            cache[key] = (version, made)
        return made

    def _rendered(self, audience: Audience, key: str) -> bytes | None:
        data = self._data(audience, key)
        if data is None:
            return None
        if audience.form == "json":
            return _JSON.encode({"key": key, "data": data})
        return _JSON.encode({"key": key, "html": self.render(key, audience.channel.kind, audience.lang, data)})

    def _docs(self, audience: Audience, put: Iterable[bytes], gone: list[str], *, reset: bool = False) -> Frame:
        head: dict[str, Any] = {"t": "docs", "channel": audience.channel.name, "epoch": self.desk.epoch}
        head |= {"seq": self.desk.event.seq, "reset": reset, "gone": gone}
        return Frame(_JSON.encode(head)[:-1] + b',"put":[' + b",".join(put) + b"]}")

    def _counts(self, channel: Channel, counts: dict[str, dict[str, int]]) -> Frame:
        return Frame(_JSON.encode({"t": "count", "channel": channel.name, "counts": counts}))

    # The hall's code changes by the clock.

    def _rotate(self) -> None:
        if self._rotate_at is None and "hall" in self.channels:
            period = self.desk.event.programme.code_period
            wait = period - self.desk.now() / 1000 % period
            self._rotate_at = asyncio.get_running_loop().call_later(wait, self._rotated)

    def _rotated(self) -> None:
        self._rotate_at = None
        self.touched(["entrance"])
        self._rotate()

    # Who is at work on what, so that two moderators do not do the same: told, not logged, and forgotten when it is not said again.

    def working(self, person: str, number: int, *, on: bool) -> None:
        """A member of staff is at work on a contribution, or no more; everybody at a console sees it, in every process."""
        if number in self.desk.event.contributions.items:
            self._note_work(person, number, on=on)
            self.desk.bus.announce("working", _PACK.encode((self.desk.slug, person, number, on)))

    def _hear_work(self, data: bytes) -> None:
        slug, person, number, on = _WORK.decode(data)
        if slug == self.desk.slug:
            self._note_work(person, number, on=on)

    def _note_work(self, person: str, number: int, *, on: bool) -> None:
        people = self._working.setdefault(number, {})
        before = len(people)
        if timer := people.pop(person, None):
            timer.cancel()
        if on:
            forget = asyncio.get_running_loop().call_later(WORKING_SECONDS, self._forget_work, person, number)
            people[person] = forget
        if not people:
            del self._working[number]
        if len(people) != before:
            self._tell_work({number: len(people)})

    def _forget_work(self, person: str, number: int) -> None:
        self._note_work(person, number, on=False)

    def _tell_work(self, counts: dict[int, int]) -> None:
        channel = self.channels.get("moderation")
        if channel is not None:
            frame = self._counts(channel, self._work(counts))
            for audience in channel.audiences.values():
                audience.group.send(frame)

    def _work(self, counts: dict[int, int]) -> dict[str, dict[str, int]]:
        return {f"contribution/{number}": {"working": count} for number, count in counts.items()}

    # Presence: counted, not logged.

    def _in_rooms(self) -> set[str]:
        """The participants with a room on a screen of this process, and at which rooms guests are."""
        event, found = self.desk.event, set()
        for watcher in self.watchers.values():
            for name in watcher.channels:
                kind, _, id = name.partition("/")
                if kind == "room":
                    found.add(person := self_of(event, watcher.person))
                    if (room := event.rounds.rooms.get(id)) is not None and person in room.guests:
                        found.add(at(id, person))
        return found

    def _presence_soon(self) -> None:
        if self._presence_at is None and self._counting is None:
            loop = asyncio.get_running_loop()
            self._presence_at = loop.call_later(self.desk.settings.presence_seconds, self._count_presence)

    def _count_presence(self) -> None:
        self._presence_at = None
        self._counting = asyncio.get_running_loop().create_task(self._count())
        self._counting.add_done_callback(self._counted_all)

    async def _count(self) -> None:
        place = self.desk.event.attendance.place
        now = await self.presence.count(self.desk.slug, {person: place(person) for person in self._present}, self.desk.now())
        if now != self._presence:
            self._presence = now
            for channel in self._counted():
                for audience in channel.audiences.values():
                    audience.group.send(self._counts(channel, {"event": now}))

    def _counted_all(self, counting: asyncio.Task[None]) -> None:
        self._counting = None
        if not counting.cancelled() and (error := counting.exception()) is not None:
            LOGGER.error("bug in counting presence", exc_info=error)
        if self.presence.shared and any(self._counted()):
            self._presence_soon()

    def _counted(self) -> Iterator[Channel]:
        return (self.channels[name] for name in ("stage", "moderation", "public") if name in self.channels)
