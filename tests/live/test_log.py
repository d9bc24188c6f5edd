"""The log's contract, on every engine: in order, all or nothing, each command once, two writers never in each other's way."""

from __future__ import annotations

import threading
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from live.log import Log, Row, Unavailable
from tests.live.engines import Postgres

OpenLog = Callable[..., Log]


@pytest.fixture(params=["sqlite", "postgresql"])
def open_log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[OpenLog]:
    """Opens the same database each time."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'plenum.sqlite3'}"
    else:
        postgres: Postgres = request.getfixturevalue("postgres")
        url = postgres.url
    logs: list[Log] = []

    def opened(**options: float) -> Log:
        logs.append(Log(url, **options))
        logs[-1].create_tables()
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def log(open_log: OpenLog) -> Log:
    return open_log()


@pytest.fixture
def slug() -> str:
    return f"abend-{uuid.uuid4().hex[:8]}"


def row(seq: int, command: str = "", actor: str = "anna") -> Row:
    return (seq, 1_000 + seq, actor, command or f"command-{seq}", b'[{"c":"joined"}]', b"{}")


def made(log: Log, slug: str) -> int:
    """A new event's number."""
    assert log.create_event(slug)
    stored = log.load(slug, "shape")
    assert stored is not None
    return stored.id


def append(log: Log, event: int, *rows: Row, **names: str) -> None:
    log.begin(event, rows[0][0] - 1, [])
    log.commit(event, rows, names)


def save(log: Log, event: int, seq: int, state: bytes) -> None:
    log.begin(event, seq, [])
    log.save(event, seq, "shape", state)


def test_what_is_appended_is_read_in_order(log: Log, slug: str) -> None:
    event = made(log, slug)
    append(log, event, row(1), row(2))
    append(log, event, row(3))

    stored = log.load(slug, "shape")
    assert stored is not None
    assert stored.rows == [row(1), row(2), row(3)]
    assert log.rows(event, 1) == [row(2), row(3)]
    assert log.head(event).seq == 3


def test_an_event_is_made_once(log: Log, slug: str) -> None:
    assert log.create_event(slug)
    assert not log.create_event(slug)
    assert log.load("no-such-event", "shape") is None
    assert slug in log.slugs()


def test_a_command_that_was_answered_is_found_by_its_sender_and_id(log: Log, slug: str) -> None:
    event, other = made(log, slug), made(log, f"{slug}-2")
    append(log, event, *(row(seq) for seq in range(1, 700)))
    append(log, other, row(1, "command-5"))

    asked = [("anna", f"command-{seq}") for seq in range(1, 601)] + [("bilal", "command-5"), ("anna", "new")]
    _, missed, answered = log.begin(event, 699, asked)
    log.release()

    assert missed == []
    assert answered.keys() == {("anna", f"command-{seq}") for seq in range(1, 601)}
    assert answered["anna", "command-5"] == row(5)


def test_who_has_missed_rows_is_given_them(open_log: OpenLog, slug: str) -> None:
    mine, yours = open_log(), open_log()
    event = made(mine, slug)
    append(mine, event, row(1), row(2))

    begun = yours.begin(event, 0, [])
    yours.release()
    assert begun.missed == [row(1), row(2)]
    assert begun.head.seq == 2


def test_what_is_released_or_fails_leaves_nothing(log: Log, slug: str) -> None:
    event = made(log, slug)
    append(log, event, row(1))
    log.begin(event, 1, [])
    log.release()
    log.begin(event, 1, [])
    with pytest.raises(Unavailable):
        log.commit(event, [row(2), row(3), row(3)], {"anna": "Anna"})

    assert log.rows(event, 0) == [row(1)]
    assert log.head(event).seq == 1
    assert log.names(event, ["anna"]) == {}
    append(log, event, row(2))


def test_a_command_id_is_stored_once(log: Log, slug: str) -> None:
    """The database's own lock, behind the desk's look: the control is another sender."""
    event = made(log, slug)
    append(log, event, row(1, "a"))
    log.begin(event, 1, [])
    with pytest.raises(Unavailable):
        log.commit(event, [row(2, "a")], {})
    append(log, event, row(2, "a", "bilal"))


def test_names_are_kept_beside_the_log_and_deleted_when_empty(log: Log, slug: str) -> None:
    event = made(log, slug)
    append(log, event, row(1), anna="Anna", bilal="Bilal")
    append(log, event, row(2), anna="")

    assert log.names(event, ["anna", "bilal"]) == {"bilal": "Bilal"}


def test_a_snapshot_is_used_if_its_shape_fits(log: Log, slug: str) -> None:
    event = made(log, slug)
    append(log, event, row(1), row(2), row(3))
    save(log, event, 2, b"old state")
    save(log, event, 2, b"state")

    fits, not_mine = log.load(slug, "shape"), log.load(slug, "another release's")
    assert fits is not None
    assert not_mine is not None
    assert (fits.snapshot, fits.rows) == ((2, "shape", b"state"), [row(3)])
    assert (not_mine.snapshot, len(not_mine.rows)) == (None, 3)


def test_a_forgotten_text_takes_the_snapshot_with_it(log: Log, slug: str) -> None:
    event = made(log, slug)
    append(log, event, row(1))
    save(log, event, 1, b"state")
    log.begin(event, 1, [])
    assert log.rows_at(event, [1, 9]) == [row(1)]
    log.commit(event, [row(2)], {}, [(1, b"[]")])

    stored = log.load(slug, "shape")
    assert stored is not None
    assert stored.snapshot is None
    assert stored.rows[0][4] == b"[]"


def test_two_writers_take_turns_and_lose_nothing(open_log: OpenLog, slug: str) -> None:
    logs = [open_log(lock_seconds=20), open_log(lock_seconds=20)]
    event = made(logs[0], slug)

    def write(log: Log, name: str) -> None:
        seen = 0
        for turn in range(60):
            seen += len(log.begin(event, seen, []).missed) + 1
            log.commit(event, [row(seen, f"{name}-{turn}")], {})

    writers = [threading.Thread(target=write, args=(log, name)) for log, name in zip(logs, "ab", strict=True)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    rows = logs[0].rows(event, 0)
    assert [one[0] for one in rows] == list(range(1, 121))
    assert {one[3] for one in rows} == {f"{name}-{turn}" for name in "ab" for turn in range(60)}


def test_the_control_without_the_turn_two_writers_take_the_same_place(open_log: OpenLog, slug: str) -> None:
    mine, yours = open_log(), open_log()
    event = made(mine, slug)
    places = [log.head(event).seq + 1 for log in (mine, yours)]
    assert places[0] == places[1]

    append(mine, event, row(places[0], "a"))
    with pytest.raises(Unavailable):
        append(yours, event, row(places[1], "b"))


def test_a_lock_that_is_not_given_up_is_not_waited_for(open_log: OpenLog, slug: str) -> None:
    mine, yours = open_log(), open_log(lock_seconds=0.1)
    event = made(mine, slug)
    mine.begin(event, 0, [])
    with pytest.raises(Unavailable):
        yours.begin(event, 0, [])

    mine.commit(event, [row(1)], {})
    assert yours.begin(event, 0, []).missed == [row(1)]
    yours.release()


def test_all_processes_share_one_time(open_log: OpenLog, slug: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The database's, where it has a clock; the control is SQLite, which has this machine's only."""
    log = open_log()
    event = made(log, slug)
    before = log.head(event).now
    monkeypatch.setattr("live.log.time.time", lambda: 0.0)
    now = log.begin(event, 0, []).head.now
    log.release()
    if log.engine.dialect.name == "sqlite":
        assert now == 0
    else:
        assert before <= now < before + 60_000


def test_an_event_that_is_gone_is_told(log: Log, slug: str) -> None:
    event = made(log, slug)
    for look in (lambda: log.head(event + 1_000), lambda: log.begin(event + 1_000, 0, [])):
        with pytest.raises(Unavailable, match="gone"):
            look()
    append(log, event, row(1))


@pytest.mark.parametrize("protected", [True, False], ids=["", "control: no limit on a transaction that does nothing"])
def test_who_is_paused_within_a_transaction_does_not_hold_up_the_others(postgres: Postgres, slug: str, protected: bool) -> None:
    paused, other = Log(postgres.url, lock_seconds=1), Log(postgres.url, lock_seconds=1)
    other.create_tables()
    event = made(other, slug)
    paused.begin(event, 0, [])
    if not protected:
        assert paused._writer is not None
        paused._writer.cursor().execute("SET idle_in_transaction_session_timeout = 0")
        with pytest.raises(Unavailable):
            other.begin(event, 0, [])
    else:
        other.begin(event, 0, [])
        other.commit(event, [row(1)], {})
        with pytest.raises(Unavailable):
            paused.commit(event, [row(1, "from the past")], {})
        assert paused.begin(event, 0, []).missed == [row(1)], "woken, it goes on"
    for log in (paused, other):
        log.close()


@pytest.mark.parametrize("protected", [True, False], ids=["", "control: a dead connection is tried first"])
def test_after_a_restart_of_the_database_the_next_transaction_is_done(
    tmp_path: Path, slug: str, protected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = Postgres(tmp_path / "own")
    engine.start()
    log = Log(engine.url)
    log.create_tables()
    event = made(log, slug)
    append(log, event, row(1))
    engine.stop()
    engine.start()
    if not protected:
        monkeypatch.setattr(Log, "_dead", lambda self: False)
        with pytest.raises(Unavailable):
            log.begin(event, 1, [])
    else:
        append(log, event, row(2))
        assert log.rows(event, 0) == [row(1), row(2)]
    log.close()
    engine.stop()


def test_a_database_that_is_gone_in_the_middle_of_a_commit_refuses_it_and_is_used_again(tmp_path: Path, slug: str) -> None:
    engine = Postgres(tmp_path / "own")
    engine.start()
    log = Log(engine.url)
    log.create_tables()
    event = made(log, slug)
    log.begin(event, 0, [])
    engine.stop()
    with pytest.raises(Unavailable):
        log.commit(event, [row(1)], {})
    with pytest.raises(Unavailable):
        log.begin(event, 0, [])
    engine.start()
    append(log, event, row(1))
    assert log.rows(event, 0) == [row(1)]
    log.close()
    engine.stop()


def test_a_key_is_made_once_and_kept(open_log: OpenLog) -> None:
    mine, yours = open_log(), open_log()
    assert mine.key("person") == yours.key("person") != mine.key("bus")
