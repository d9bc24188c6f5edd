"""Backup and restore: one moment of a database that others write into, whole or not at all, on any engine."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import json
import random
import subprocess
import sys
import threading
import tracemalloc
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import msgspec
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import Connection

from live import backup as backups
from live import cli, migrations
from live import restore as restores
from live.backup import Impossible, backup, verified
from live.desk import SHAPE, restored
from live.log import METADATA, Log, Row, Unavailable
from live.migrations import Mismatch
from live.restore import restore
from tests.flow.evening import Evening, Person
from tests.flow.server import ROOT, Server
from tests.live.release import ROWS, as_at_first, contents, leave_behind

Contents = dict[str, list[tuple[Any, ...]]]
OpenLog = Callable[[str], Log]
OTHER = {"sqlite": "postgresql", "postgresql": "sqlite"}


@pytest.fixture
def open_log() -> Iterator[OpenLog]:
    """Opens a database; it is closed after the test."""
    logs: list[Log] = []

    def opened(url: str) -> Log:
        logs.append(Log(url, lock_seconds=0.5))
        return logs[-1]

    yield opened
    for log in logs:
        log.close()


@pytest.fixture
def log(database: str, open_log: OpenLog) -> Log:
    """A database with an evening in it."""
    log = open_log(database)
    leave_behind(log, named=True)
    log.migrate()
    return log


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "evening.backup"


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Do not wait long for those who have the database open."""
    monkeypatch.setattr(restores, "USE_SECONDS", 0.1)


def without_epochs(found: Contents) -> Contents:
    """What a restore leaves as it was."""
    position = list(METADATA.tables["events"].columns.keys()).index("epoch")
    return {**found, "events": [(*row[:position], *row[position + 1 :]) for row in found["events"]]}


def epochs(log: Log) -> dict[str, str]:
    with log.engine.connect() as connection:
        return dict(tuple(row) for row in connection.exec_driver_sql("SELECT slug, epoch FROM events"))


def append(log: Log, event: int, seq: int, size: int = 10, **names: str) -> None:
    log.begin(event, seq - 1, [])
    log.commit(event, [row(seq, size)], names)


def row(seq: int, size: int = 10) -> Row:
    return (seq, seq, "anna", f"command-{seq}", random.Random(seq).randbytes(size), b"{}")


def lines(file: Path) -> list[bytes]:
    with gzip.open(file) as unpacked:
        return unpacked.read().splitlines(keepends=True)


def written(file: Path, unpacked: list[bytes]) -> None:
    with gzip.open(file, "wb") as packed:
        packed.write(b"".join(unpacked))


def test_what_is_restored_on_the_other_engine_and_back_again_is_what_was_there(
    log: Log, file: Path, new_database: Callable[[str], str], open_log: OpenLog
) -> None:
    here = log.engine.dialect.name
    there, again = open_log(new_database(OTHER[here])), open_log(new_database(here))
    restore(there, made(log, file))
    restore(again, made(there, file))

    assert without_epochs(contents(there)) == without_epochs(contents(log)) == without_epochs(contents(again))
    assert as_at_first(log) == ROWS
    assert len({str(epochs(one)) for one in (log, there, again)}) == 3
    for one in (there, again):
        one.create_tables()
        assert one.create_event("der-nächste")  # ids go on after the restored ones
        stored = one.load("der-nächste", "shape")
        assert stored is not None
        assert stored.id == 4


def made(log: Log, file: Path) -> Path:
    backup(log, file)
    return file


def test_a_backup_says_what_it_is_and_nobody_else_may_read_it(log: Log, file: Path) -> None:
    header = backup(log, file)

    assert file.stat().st_mode & 0o777 == 0o600
    first, *rows, last = lines(file)
    assert json.loads(first) == msgspec.to_builtins(header)
    assert {table.name: table.rows for table in header.tables} == {name: len(rows) for name, rows in contents(log).items()}
    assert len(rows) == sum(table.rows for table in header.tables)
    assert json.loads(last) == {"sha256": hashlib.sha256(b"".join([first, *rows])).hexdigest()}
    assert (header.format, header.schema) == (1, migrations.head())


def test_every_column_is_of_a_type_that_a_backup_can_carry() -> None:
    types = {column.type.python_type for table in METADATA.tables.values() for column in table.columns}
    assert types <= {int, str, bytes, float}


@pytest.mark.parametrize("isolated", [True, False], ids=["in one transaction", "the control"])
def test_a_backup_shows_one_moment_even_if_others_write_between_its_tables(
    isolated: bool, log: Log, file: Path, database: str, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing, streamed = open_log(database), backups._streamed

    def then_write(connection: Connection, table: sa.Table) -> Any:
        yield from streamed(connection, table)
        if not isolated:
            connection.commit()
        if table.name == "events":
            append(writing, 3, 3, anna="Anna, jetzt anders", bilal="Bilal")
            writing.begin(3, 3, [])
            writing.save(3, 3, "shape", b"newer")

    monkeypatch.setattr(backups, "_streamed", then_write)
    if not isolated:
        monkeypatch.setattr(backups, "_reading", lambda engine: engine.connect())
    before = as_at_first(log)
    backup(log, file)

    header = json.loads(lines(file)[0])
    rows = iter(map(json.loads, lines(file)[1:-1]))
    try:
        found = {table["name"]: [next(rows) for _ in range(table["rows"])] for table in header["tables"]}
    except StopIteration:
        found = {}
    assert (found.get("people") == [list(one) for one in before["people"]]) is isolated
    assert as_at_first(log) != before


def test_a_backup_that_has_to_wait_for_its_disk_is_not_cut_off(
    new_database: Callable[[str], str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL ends a commit's transaction that is silent for longer than somebody would wait for it."""
    log = Log(new_database("postgresql"), lock_seconds=0.2)
    leave_behind(log, named=True)
    streamed = backups._streamed

    def slowly(connection: Connection, table: sa.Table) -> Any:
        threading.Event().wait(0.3)
        return streamed(connection, table)

    monkeypatch.setattr(backups, "_streamed", slowly)
    assert backup(log, file).rows("log") == 2
    monkeypatch.setattr(migrations, "take_time", lambda connection: None)  # the control
    with pytest.raises(Unavailable, match="idle-in-transaction"):
        backup(log, file)
    log.close()


def test_writers_and_a_backup_do_not_wait_for_each_other(log: Log, file: Path, database: str, open_log: OpenLog) -> None:
    """Backups one after the other while somebody commits: each is the log up to some row, and no commit fails."""
    writing, stop = open_log(database), threading.Event()
    seq = 2

    def write() -> None:
        nonlocal seq
        while not stop.is_set():
            append(writing, 3, seq + 1, anna=f"Anna {seq + 1}")
            seq += 1

    writer = threading.Thread(target=write)
    writer.start()
    heads = []
    try:
        for _ in range(10):
            acknowledged = seq
            backup(log, file)
            found = [json.loads(line) for line in lines(file)[1:-1]]
            (head,) = [one[4] for one in found if len(one) == 6]
            assert [one[1] for one in found if len(one) == 7] == list(range(1, head + 1))
            assert head == 2 or [3, "anna", f"Anna {head}"] in found
            assert head >= acknowledged
            heads.append(head)
    finally:
        stop.set()
        writer.join()
    assert heads == sorted(heads)
    assert heads[0] < heads[-1]


async def test_a_backup_of_a_running_server_holds_everything_acknowledged_before_it_and_replays_to_a_committed_state(
    database: str, serve: Callable[..., Server], file: Path, new_database: Callable[[str], str], open_log: OpenLog
) -> None:
    server = serve(database_url=database, snapshot_rows=40)
    async with Evening(server, await server.event(premoderation=False)) as evening:
        people = [await evening.person() for _ in range(8)]
        acknowledged: dict[str, int] = {}
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            for number, person in enumerate(people):
                tasks.create_task(write_until(stop, person, number, acknowledged))
            await evening.said("Der Anfang")
            await (await evening.person(None, "public")).sees(lambda shown: "contribution/40" in shown["public"])
            before = dict(acknowledged)
            said = await asyncio.to_thread(server.plenum, "backup", file)
            stop.set()
        assert "personal data" in said
        assert len(before) < len(acknowledged)

        live, elsewhere = open_log(database), open_log(new_database(OTHER[open_log(database).engine.dialect.name]))
        restore(elsewhere, file)
        theirs, ours = live.load(evening.slug, "no snapshot"), elsewhere.load(evening.slug, "no snapshot")
        assert theirs is not None
        assert ours is not None
        committed = len(ours.rows)
        assert ours.rows == theirs.rows[:committed]
        assert committed < len(theirs.rows)
        assert elsewhere.head(ours.id).seq == committed
        texts = {change["text"] for one in ours.rows for change in msgspec.json.decode(one[4]) if change["c"] == "submitted"}
        assert before.keys() <= texts
        theirs.rows = theirs.rows[:committed]
        assert restored(ours)[0] == restored(theirs)[0]
        with_snapshot = elsewhere.load(evening.slug, SHAPE)
        assert with_snapshot is not None
        assert with_snapshot.snapshot is not None
        assert restored(with_snapshot)[0] == restored(ours)[0]


async def write_until(stop: asyncio.Event, person: Person, number: int, acknowledged: dict[str, int]) -> None:
    """Contributions one after the other; what is acknowledged is noted."""
    turn = 0
    while not stop.is_set():
        text = f"Beitrag {number}-{turn}"
        answer = await person.do("contribution.submit", kind="idea", text=text)
        acknowledged[text] = answer["contribution"]
        turn += 1


async def test_after_a_restore_pages_that_have_seen_more_reload_and_the_evening_goes_on(
    database: str, serve: Callable[..., Server], file: Path
) -> None:
    server = serve(database_url=database)
    async with Evening(server, await server.event(premoderation=False)) as evening:
        await evening.said("Vor dem Backup")
        server.plenum("backup", file)
        await evening.said("Danach")
        viewer = await evening.person(None, "public")
        assert viewer.documents["public"].keys() >= {"contribution/1", "contribution/2"}
        seen = dict(viewer.seen)

        assert "the database is in use" in server.plenum("restore", file, "--replace", status=1)
        assert (await evening.person(None, "public")).documents["public"].keys() >= {"contribution/1", "contribution/2"}

        await viewer.__aexit__()
        server.stop()
        assert "it is deleted first" in server.plenum("restore", file, status=1)
        assert "restored 1 events" in server.plenum("restore", file, "--replace")
        await asyncio.to_thread(server.start)
        for number in range(2, 6):  # the log grows past what the page has seen
            assert await evening.said(f"Noch einmal {number}") == number

        again = await evening.person(viewer.cookie)
        again.seen, again.documents = seen, {"public": dict(viewer.documents["public"])}
        await again.watch("public", since=True)
        resets = [frame["reset"] for frame in again.heard if frame["t"] == "docs" and frame["channel"] == "public"]
        assert resets[0] is True
        fresh = await evening.person(None, "public")
        assert again.documents["public"] == fresh.documents["public"]
        assert fresh.documents["public"]["contribution/2"]["text"] == "Noch einmal 2"


@pytest.mark.parametrize("replace", [False, True])
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_damaged_file_is_refused_and_nothing_is_changed(
    engine: str, replace: bool, file: Path, new_database: Callable[[str], str], open_log: OpenLog
) -> None:
    source, target = open_log(new_database("sqlite")), open_log(new_database(engine))
    leave_behind(source, named=True)
    backup(source, file)
    if replace:
        target.create_tables()
        target.create_event("was-da-war")
    before = contents(target) if replace else {}
    whole = file.read_bytes()
    damages = [whole[:size] for size in {0, 1, 10, len(whole) // 2, len(whole) - 9, len(whole) - 8, len(whole) - 1}]
    chance = random.Random(1)
    for position in [chance.randrange(10, len(whole)) for _ in range(40)]:
        damages.append(whole[:position] + bytes([whole[position] ^ 1 << chance.randrange(8)]) + whole[position + 1 :])
    damages += [whole + whole, whole + b"more", b"SQLite format 3\0" + whole, b"{}\n"]
    for damage in damages:
        file.write_bytes(damage)
        if unharmed(file, whole):
            continue
        with pytest.raises(Impossible, match=r"damaged or no backup of Plenum.*Nothing was changed"):
            restore(target, file, replace=replace)
    if replace:
        assert contents(target) == before
    else:
        with target.engine.connect() as connection:
            assert migrations.revision(connection) is None


def unharmed(file: Path, whole: bytes) -> bool:
    """Whether the change has hit one of the bits that mean nothing to gzip."""
    try:
        return file.read_bytes()[:10] == whole[:10] and gzip.decompress(file.read_bytes()) == gzip.decompress(whole)
    except (OSError, EOFError, zlib.error):
        return False


def changed_row(unpacked: list[bytes]) -> list[bytes]:
    return [line.replace(b"Anna", b"Anne") for line in unpacked]


def missing_row(unpacked: list[bytes]) -> list[bytes]:
    return unpacked[:3] + unpacked[4:]


def doubled_row(unpacked: list[bytes]) -> list[bytes]:
    return [*unpacked[:3], unpacked[2], *unpacked[3:]]


def without_footer(unpacked: list[bytes]) -> list[bytes]:
    return unpacked[:-1]


def without_last_newline(unpacked: list[bytes]) -> list[bytes]:
    return [*unpacked[:-1], unpacked[-1].rstrip()]


def goes_on(unpacked: list[bytes]) -> list[bytes]:
    return [*unpacked, b"[1]\n"]


@pytest.mark.parametrize(
    "damage", [changed_row, missing_row, doubled_row, without_footer, without_last_newline, goes_on, lambda unpacked: []]
)
def test_a_file_with_other_contents_is_refused_although_it_is_packed_well(
    damage: Callable[[list[bytes]], list[bytes]], log: Log, file: Path
) -> None:
    backup(log, file)
    before = contents(log)
    unpacked = lines(file)
    assert damage(unpacked) != unpacked
    written(file, damage(unpacked))
    with pytest.raises(Impossible, match="damaged"):
        restore(log, file, replace=True)
    assert contents(log) == before


def test_a_file_that_changes_between_the_look_and_the_restore_changes_nothing(
    log: Log, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(log, file)
    before = contents(log)
    look = verified

    def then_damage(opened: Any) -> Any:
        header = look(opened)
        written(file, changed_row(lines(file)))
        return header

    monkeypatch.setattr(restores, "verified", then_damage)
    with pytest.raises(Impossible, match="the checksum does not fit"):
        restore(log, file, replace=True)
    assert contents(log) == before


def test_a_database_that_is_not_empty_is_only_replaced_when_told_so(
    log: Log, file: Path, new_database: Callable[[str], str], open_log: OpenLog
) -> None:
    backup(log, file)
    target = open_log(new_database(log.engine.dialect.name))
    target.create_tables()
    target.create_event("etwas-anderes")
    target.key("person")
    before = contents(target)
    with pytest.raises(Impossible, match=r"not empty \(rows: 1 in events, 1 in keys\).*--replace"):
        restore(target, file)
    assert contents(target) == before

    restore(target, file, replace=True)
    assert without_epochs(contents(target)) == without_epochs(contents(log))
    assert target.slugs() == ["abend"]


@pytest.mark.usefixtures("quick")
def test_a_database_that_somebody_else_has_open_is_left_alone(log: Log, file: Path, database: str, open_log: OpenLog) -> None:
    backup(log, file)
    other = open_log(database)
    assert other.slugs() == ["abend"]  # its connection is idle now, as a server's is between two commands
    before = contents(other)
    log.close()
    with pytest.raises(Impossible, match="the database is in use: stop whatever has it open"):
        restore(log, file, replace=True)
    assert contents(other) == before

    other.close()
    restore(log, file, replace=True)


def test_who_comes_while_a_restore_is_under_way_is_shut_out_until_it_ends(
    log: Log, file: Path, database: str, open_log: OpenLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(log, file)
    log.close()
    fill, refused = restores._fill, []

    def meanwhile(connection: Connection, unpacked: Any) -> None:
        with pytest.raises(Unavailable) as error:
            open_log(database).slugs()
        refused.append(error)
        fill(connection, unpacked)

    monkeypatch.setattr(restores, "_fill", meanwhile)
    restore(log, file, replace=True)
    assert refused
    assert open_log(database).slugs() == ["abend"]


def test_a_restore_that_fails_at_its_end_leaves_everything_as_it_was(
    log: Log, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(log, file)
    before = contents(log)
    monkeypatch.setattr(restores, "_renew_epochs", lambda connection: connection.exec_driver_sql("SELECT a FROM no_such_table"))
    with pytest.raises(Unavailable, match="no_such_table"):
        restore(log, file, replace=True)
    monkeypatch.undo()
    log.create_tables()
    assert contents(log) == before


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_restore_that_is_killed_leaves_everything_as_it_was(
    engine: str, file: Path, new_database: Callable[[str], str], open_log: OpenLog
) -> None:
    database = new_database(engine)
    log = open_log(database)
    leave_behind(log, named=True)
    log.migrate()
    for seq in range(3, 503):
        append(log, 3, seq, 10_000)  # more than SQLite keeps in memory: the file itself is half changed
    backup(log, file)
    log.create_event("was-danach-kam")
    before = contents(log)
    log.close()
    code = "import os; from live import cli, restore; restore._renew_epochs = lambda _: os.kill(os.getpid(), 9); cli.main()"
    words = [sys.executable, "-c", code, "restore", str(file), "--replace"]
    killed = subprocess.run(words, cwd=file.parent, env={"DATABASE_URL": database, "PYTHONPATH": str(ROOT)}, check=False)

    assert killed.returncode == -9
    assert contents(log) == before
    restore(log, file, replace=True)
    assert log.slugs() == ["abend"]


def test_a_backup_that_fails_leaves_no_file_and_keeps_the_one_before(
    log: Log, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    backup(log, file)
    before, streamed = file.read_bytes(), backups._streamed

    def torn(connection: Connection, table: sa.Table) -> Any:
        if table.name == "people":
            assert len(list(file.parent.glob("*.part"))) == 1
            raise OSError("No space left on device")
        return streamed(connection, table)

    monkeypatch.setattr(backups, "_streamed", torn)
    with pytest.raises(OSError, match="No space"):
        backup(log, file)
    with pytest.raises(OSError, match="No space"):
        backup(log, file.with_name("new.backup"))
    assert file.read_bytes() == before
    assert [path.name for path in file.parent.iterdir() if "backup" in path.name] == [file.name]


@pytest.mark.parametrize("named", [True, False], ids=["with its revision", "from before revisions"])
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_backup_of_the_last_release_is_restored_by_the_next_and_brought_up_to_date(
    engine: str, named: bool, file: Path, new_database: Callable[[str], str], open_log: OpenLog, next_release: str
) -> None:
    """The next release may also make it, before it migrates."""
    source, target = open_log(new_database(engine)), open_log(new_database(OTHER[engine]))
    leave_behind(source, named=named)
    assert backup(source, file).schema == migrations.FIRST

    restore(target, file)

    with target.engine.connect() as connection:
        assert migrations.revision(connection) == next_release
        assert connection.exec_driver_sql("SELECT name, pronoun FROM people").all() == [("Anna Şahin", "?")]
    assert without_epochs(as_at_first(target)) == without_epochs(ROWS)


def test_a_backup_of_a_newer_release_is_refused(
    log: Log, file: Path, release: Callable[[], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    before = contents(log)
    with monkeypatch.context() as newer:
        newer.setattr(migrations, "FOLDER", migrations.FOLDER)
        release()
        log.migrate()
        backup(log, file)
    monkeypatch.undo()
    with pytest.raises(Impossible, match=f"its schema is 9001, this program knows those up to {migrations.head()}"):
        restore(log, file, replace=True)
    with pytest.raises(Mismatch, match="newer"):
        backup(log, file.with_name("second"))
    assert contents(log) == before


@pytest.mark.parametrize("words", ["backup evening.backup", "restore evening.backup", "restore evening.backup --replace"])
def test_the_command_line_says_in_one_line_why_it_did_nothing(
    words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DATABASE_URL", raising=False)
    (tmp_path / "data").mkdir()
    if words.startswith("restore"):
        (tmp_path / "evening.backup").write_bytes(b"not a backup")

    assert cli.main(words.split()) == 1

    said = capsys.readouterr()
    assert said.out == ""
    why = "there is nothing to back up" if words.startswith("backup") else "the file is damaged"
    assert said.err.startswith(f"plenum: {why}")
    assert said.err.count("\n") == 1
    assert cli.main(["restore", "no-such-file"]) == 1


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_large_database_is_not_held_in_memory(
    engine: str, file: Path, new_database: Callable[[str], str], open_log: OpenLog
) -> None:
    log, target = open_log(new_database(engine)), open_log(new_database(engine))
    log.create_tables()
    log.create_event("abend")
    for start in range(1, 4001, 500):
        rows = [row(seq, 10_000) for seq in range(start, start + 500)]
        log.begin(1, start - 1, [])
        log.commit(1, rows, {})
    peaks = []
    works: list[Callable[[], object]] = [lambda: backup(log, file), lambda: restore(target, file)]
    for work in works:
        tracemalloc.start()
        work()
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
    assert file.stat().st_size > 40_000_000
    assert max(peaks) < 12_000_000
    assert target.head(1).seq == 4000
