"""Shared frames: one message, encoded once, written to every WebSocket that watches.

A server's frames are not masked (RFC 6455 section 5.1), so the same bytes are right for everybody; compression
without context takeover (RFC 7692 section 7.1.1) makes that true of compressed frames as well. A connection with a
backlog leaves its groups at once: nothing is ever queued for a slow reader; its owner catches up when it has drained.

All of it belongs to the event loop's thread.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable
from typing import Protocol

from live.fanout_protocol import FanoutProtocol
from live.frames import Frame
from live.sending import SendMany, Way, fastest_way, send_many_by


class Link(Protocol):
    """What the hub sees of one connection."""

    behind: bool
    """True while it has a backlog. What is written then is queued, so its owner writes nothing until `on_drained`."""
    on_behind: Callable[[], None] | None
    on_drained: Callable[[], None] | None
    groups: tuple[Group, ...]
    """Kept by the groups."""

    @property
    def is_open(self) -> bool:
        """True until the first sign of an end; what is written afterwards is dropped."""

    def write(self, frame: Frame) -> None:
        """Sends to this connection only, in order with what its groups send; nothing once it is closing."""

    def close(self, code: int, reason: str = "") -> None:
        """Leaves all groups and starts the closing handshake; a peer that does not answer is cut off."""

    def buffered(self) -> int:
        """Bytes that wait because the peer reads too slowly."""


class Group:
    """Connections that get the same frames.

    A member that falls behind is no longer a member, and `on_behind` is told so before `send` returns: the frame in
    hand is still delivered to it, in order, and nothing after it. Its owner adds it again when it has drained and has
    been written what is current. Joining is one step: `link.write(snapshot)`, `add(link)`, without an await between.
    """

    def __init__(self, on_behind: Callable[[Link], None], way: Way | None = None) -> None:
        self._on_behind = on_behind
        self._send_many = send_many_by(way or fastest_way())
        self._lanes: dict[tuple[bool, bool], _Lane] = {}
        self._others: dict[Link, None] = {}

    def __len__(self) -> int:
        return len(self._others) + sum(len(lane.links) for lane in self._lanes.values())

    def __contains__(self, link: Link) -> bool:
        return self in link.groups

    def add(self, link: Link) -> None:
        """Takes the link in. One that is closing is left out; one that is behind is reported instead."""
        if self in link.groups or not link.is_open:
            return
        if link.behind:
            self._on_behind(link)
            return
        link.groups += (self,)
        if isinstance(link, FanoutProtocol):
            self._lane_of(link).add(link)
        else:
            self._others[link] = None

    def discard(self, link: Link) -> None:
        """Lets the link go, without a report; no harm if it is not a member."""
        if self in link.groups:
            link.groups = tuple(group for group in link.groups if group is not self)
            self.drop(link)

    def send(self, frame: Frame) -> None:
        """Writes the frame to every member. Reports may let members come and go: they see this frame once or never."""
        fell: list[FanoutProtocol] = []
        for (deflated, direct), lane in tuple(self._lanes.items()):
            if lane.links:
                data = frame.compressed if deflated else frame.plain
                fell += lane.send_direct(data, self._send_many) if direct and self._send_many else lane.send(data)
        for other in tuple(self._others):
            if other in self._others:
                other.write(frame)
        for link in fell:
            link.tell_behind()

    def drop(self, link: Link) -> None:
        """For links: takes a member out of the structure."""
        if isinstance(link, FanoutProtocol):
            self._lane_of(link).discard(link)
        else:
            self._others.pop(link, None)

    def report(self, link: Link) -> None:
        """For links: passes on that a former member has fallen behind."""
        self._on_behind(link)

    def _lane_of(self, link: FanoutProtocol) -> _Lane:
        key = link.deflated, link.descriptor >= 0 and self._send_many is not None
        lane = self._lanes.get(key)
        if lane is None:
            lane = self._lanes[key] = _Lane()
        return lane


class _Lane:
    """Members that take byte-identical data the same way; none of them has a backlog."""

    __slots__ = ("_descriptors", "_order", "links")

    def __init__(self) -> None:
        self.links: dict[FanoutProtocol, None] = {}
        self._order: tuple[FanoutProtocol, ...] | None = None
        self._descriptors = array("i")

    def add(self, link: FanoutProtocol) -> None:
        self.links[link] = None
        self._order = None

    def discard(self, link: FanoutProtocol) -> None:
        self.links.pop(link, None)
        self._order = None

    def send_direct(self, data: bytes, send_many: SendMany) -> list[FanoutProtocol]:
        """Writes past the transports, which is right only because their buffers are empty. Returns who fell behind."""
        order = self._settled()
        short = send_many(self._descriptors, data)
        return [order[i] for i, taken in short if order[i].hand_over(data[taken:])]

    def send(self, data: bytes) -> list[FanoutProtocol]:
        """Writes through the transports. Returns who fell behind."""
        return [link for link in self._settled() if link.hand_over(data)]

    def _settled(self) -> tuple[FanoutProtocol, ...]:
        """The members in the order of their descriptors, made anew when somebody has come or gone."""
        if self._order is None:
            self._order = tuple(self.links)
            self._descriptors = array("i", [link.descriptor for link in self._order])
        return self._order
