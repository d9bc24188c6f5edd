"""Notes in the database: rows of a room are batches of updates in the order of their commits; from time to time all rows up to one
become that one. All of it runs in the log's writer thread; what writes, in the writer's turn.

A transaction that writes takes the rows of its events first, as a commit to the log does, so a row that is seen is never followed
by one with a smaller seq.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from live.log import EVENTS, NOTES, WIPED, Log

Row = tuple[int, bytes]
"""seq, batch"""


class Batch(NamedTuple):
    """Updates of a room of an event's epoch, by a process that knows its rows up to `since`."""

    event: int
    epoch: str
    room: str
    since: int
    updates: list[bytes]


class Appended(NamedTuple):
    """The batch is row `seq`; `missed`: the rows of others between `since` and it."""

    seq: int
    missed: list[Row]


def rows(log: Log, event: int, room: str, since: int = 0) -> list[Row]:
    """The room's rows after `since`, in order."""
    with log.transaction() as connection:
        return _rows(connection, event, room, since)


def heads(log: Log, rooms: Sequence[tuple[int, str]]) -> list[int]:
    """The last seq of each room; 0 if it has none."""
    with log.transaction() as connection:
        return [_head(connection, event, room) for event, room in rooms]


def append(log: Log, batches: Sequence[Batch]) -> list[Appended | None]:
    """One commit for all of them; None for a batch of an event whose log was replaced, or of a room whose notes were deleted."""
    with log.transaction(writes=True) as connection:
        epochs = _take(connection, {batch.event for batch in batches})
        return [_append(connection, batch) if epochs.get(batch.event) == batch.epoch else None for batch in batches]


def compact(log: Log, event: int, epoch: str, room: str, seq: int, state: bytes) -> bool:
    """Let row `seq` be the whole document after it, and forget those before; False if another process was quicker."""
    with log.transaction(writes=True) as connection:
        if _take(connection, {event}).get(event) != epoch:
            return False
        of_room = (NOTES.c.event == event, NOTES.c.room == room)
        changed = connection.execute(NOTES.update().where(*of_room, NOTES.c.seq == seq).values(data=packed([state])))
        if changed.rowcount:
            connection.execute(NOTES.delete().where(*of_room, NOTES.c.seq < seq, NOTES.c.data != WIPED))
        return bool(changed.rowcount)


def packed(updates: list[bytes]) -> bytes:
    """A batch as it is stored."""
    return msgspec.msgpack.encode(updates)


def unpacked(found: Sequence[Row]) -> list[bytes]:
    """All updates of these rows."""
    return [update for _, data in found for update in _UPDATES.decode(data)]


def wiped(found: Sequence[Row]) -> int:
    """The seq of the last of these rows that says that the notes were deleted; 0 if none does."""
    return max((seq for seq, data in found if data == WIPED), default=0)


def _take(connection: Connection, events: set[int]) -> dict[int, str]:
    wanted = sa.select(EVENTS.c.id, EVENTS.c.epoch).where(EVENTS.c.id.in_(sorted(events))).order_by(EVENTS.c.id)
    return {row.id: row.epoch for row in connection.execute(wanted.with_for_update())}


def _append(connection: Connection, batch: Batch) -> Appended | None:
    missed = _rows(connection, batch.event, batch.room, batch.since)
    if wiped(missed):
        return None
    seq = max(batch.since, *(row[0] for row in missed), 0) + 1
    connection.execute(NOTES.insert().values(event=batch.event, room=batch.room, seq=seq, data=packed(batch.updates)))
    return Appended(seq, missed)


def _rows(connection: Connection, event: int, room: str, since: int) -> list[Row]:
    wanted = sa.select(NOTES.c.seq, NOTES.c.data).where(NOTES.c.event == event, NOTES.c.room == room, NOTES.c.seq > since)
    return [(row.seq, row.data) for row in connection.execute(wanted.order_by(NOTES.c.seq))]


def _head(connection: Connection, event: int, room: str) -> int:
    found = sa.select(sa.func.max(NOTES.c.seq)).where(NOTES.c.event == event, NOTES.c.room == room)
    return connection.scalar(found) or 0


_UPDATES = msgspec.msgpack.Decoder(list[bytes])
