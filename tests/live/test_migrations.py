"""The schema: the revisions make what `live.log` says, on every engine, from every release, however many processes try at once; and
nobody works on tables of another release."""

from __future__ import annotations

import ast
import asyncio
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from live import cli, migrations
from live.log import METADATA, Log, Unavailable
from live.migrations import FIRST, Mismatch
from tests.flow.evening import Evening, Person
from tests.flow.server import ROOT, Server
from tests.live.release import ADDED, RELEASES, ROWS, as_at_first, first_release, leave_behind, revised, this_release


@pytest.fixture
def log(database: str) -> Iterator[Log]:
    log = Log(database)
    yield log
    log.close()


def revision(log: Log) -> str | None:
    with log.engine.connect() as connection:
        return migrations.revision(connection)


def schema(log: Log) -> dict[str, list[str]]:
    """Everything that the engine itself says about our tables."""
    if log.engine.dialect.name == "sqlite":
        ours = "WHERE t.schema = 'main' AND t.name NOT IN ('alembic_version', 'sqlite_schema')"
        indexes = "pragma_table_list AS t, pragma_index_list(t.name) AS i, pragma_index_xinfo(i.name) AS c"
        queries = [
            f"SELECT t.name, t.wr, t.strict, x.* FROM pragma_table_list AS t, pragma_table_xinfo(t.name) AS x {ours}",
            f"SELECT t.name, i.'unique', i.origin, c.* FROM {indexes} {ours}",
        ]
    else:
        ours = "NOT IN ('alembic_version', 'alembic_version_pkc') ORDER BY 1, 2"
        queries = [
            "SELECT table_name, ordinal_position, column_name, data_type, is_nullable, column_default "
            f"FROM information_schema.columns WHERE table_schema = 'public' AND table_name {ours}",
            f"SELECT tablename, indexname, indexdef FROM pg_indexes WHERE schemaname = 'public' AND tablename {ours}",
            "SELECT conname, conrelid::regclass::text, pg_get_constraintdef(oid) FROM pg_constraint "
            f"WHERE connamespace = 'public'::regnamespace AND conname {ours}",
        ]
    with log.engine.connect() as connection:
        return {query: sorted(map(str, connection.exec_driver_sql(query))) for query in queries}


def test_the_revisions_make_what_the_log_works_with(log: Log, new_database: Callable[[str], str]) -> None:
    assert log.migrate() == (None, migrations.head())

    with log.engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection, opts={"compare_server_default": True}), METADATA) == []
    made = Log(new_database(log.engine.dialect.name))
    with made.engine.begin() as connection:
        METADATA.create_all(connection)
    assert all(schema(log).values())
    assert schema(log) == schema(made)  # also what Alembic does not compare: WITHOUT ROWID, defaults, names
    made.close()


def test_the_control_a_difference_is_found(log: Log, next_release: str) -> None:
    log.migrate()
    with log.engine.connect() as connection:
        (found,) = compare_metadata(MigrationContext.configure(connection), METADATA)
    assert found[0] == "remove_column"


def test_migrating_again_does_nothing(log: Log) -> None:
    leave_behind(log, named=True)
    log.migrate()
    assert log.migrate() == (migrations.head(), migrations.head())
    assert as_at_first(log) == ROWS


def test_a_database_of_a_release_without_revisions_is_recognised(log: Log) -> None:
    leave_behind(log, named=False)
    assert revision(log) == FIRST

    assert log.migrate() == (FIRST, migrations.head())

    with log.engine.connect() as connection:
        assert MigrationContext.configure(connection).get_current_heads() == (migrations.head(),)
    assert as_at_first(log) == ROWS


@pytest.mark.parametrize("named", [True, False], ids=["with its revision", "from before revisions"])
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_what_the_first_release_left_behind_is_intact_after_all_revisions(
    engine: str, named: bool, new_database: Callable[[str], str], next_release: str
) -> None:
    log = Log(new_database(engine))
    leave_behind(log, named=named)
    assert revision(log) == FIRST

    assert log.migrate() == (FIRST, next_release)

    assert as_at_first(log) == ROWS
    with log.engine.connect() as connection:
        assert connection.exec_driver_sql("SELECT name, pronoun FROM people").all() == [("Anna Şahin", "?")]
    assert log.create_event("noch-einer")
    log.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_released_revision_is_never_changed(engine: str) -> None:
    file = RELEASES / f"{FIRST}.{engine}.sql"
    made = first_release(engine)
    if not file.exists():
        file.write_text(made, "utf-8")
        pytest.fail(f"{file.name} is written now: commit it with its revision")
    assert file.read_text("utf-8").split() == made.split()


def test_revisions_only_add() -> None:
    """So that processes of the last release go on working on tables of the next (docs/operating.md)."""
    adds = {"create_table", "add_column", "create_index", "execute", "get_bind", "get_context"}
    for file in sorted((migrations.FOLDER / "versions").glob("*.py")):
        calls = [node.func for node in ast.walk(ast.parse(file.read_text("utf-8"))) if isinstance(node, ast.Call)]
        used = {call.attr for call in calls if isinstance(call, ast.Attribute) and getattr(call.value, "id", "") == "op"}
        assert used <= adds, file.name


def test_the_tables_of_an_empty_database_are_made_at_once(log: Log) -> None:
    log.create_tables()
    assert revision(log) == migrations.head()
    assert log.create_event("abend")


def test_an_older_database_is_refused_until_it_is_migrated(log: Log, monkeypatch: pytest.MonkeyPatch, next_release: str) -> None:
    with monkeypatch.context() as last_release:
        last_release.setattr(migrations, "FOLDER", Path(migrations.__file__).parent)
        log.create_tables()
        last = migrations.head()
    with pytest.raises(Mismatch, match=rf"older than this program: its schema is {last}.* run `plenum migrate`"):
        log.create_tables()
    assert log.migrate() == (last, next_release)
    log.create_tables()


def test_a_newer_database_is_refused_and_left_alone(log: Log) -> None:
    log.create_tables()
    with log.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    before = schema(log)
    for refused in (log.create_tables, log.migrate):
        with pytest.raises(Mismatch, match=f"its schema is 9999, this program knows those up to {migrations.head()}"):
            refused()
    assert schema(log) == before


def test_somebody_elses_database_is_refused_and_left_alone(log: Log) -> None:
    with log.engine.begin() as connection:
        connection.exec_driver_sql("CREATE TABLE events (name TEXT)")
    before = schema(log)
    for refused in (log.create_tables, log.migrate):
        with pytest.raises(Mismatch, match="tables that are not Plenum's"):
            refused()
    assert schema(log) == before


def test_a_revision_that_fails_leaves_nothing(log: Log, next_release: str) -> None:
    leave_behind(log, named=True)
    revised(ADDED + '    op.execute("CREATE TABLE half (id INTEGER)")\n    op.execute("SELECT a FROM no_such_table")\n')
    with pytest.raises(Unavailable, match="no_such_table"):
        log.migrate()

    assert revision(log) == FIRST
    assert as_at_first(log) == ROWS
    with log.engine.connect() as connection:
        assert "half" not in sa.inspect(connection).get_table_names()
        assert "pronoun" not in [column["name"] for column in sa.inspect(connection).get_columns("people")]


class Meeting:
    """Lets the first who is in the revision wait until it is told to go on, and counts who comes in."""

    def __init__(self) -> None:
        self.inside = 0
        self.first, self.both, self.go_on = threading.Event(), threading.Event(), threading.Event()

    def enter(self) -> None:
        """Called by the revision."""
        self.inside += 1
        (self.first if self.inside == 1 else self.both).set()
        assert self.go_on.wait(30)


def at_once(database: str, meeting: Meeting, second_has_tried: Callable[[], object]) -> list[BaseException]:
    """Two threads with logs of their own migrate; returns their errors."""
    errors: list[BaseException] = []

    def migrate() -> None:
        log = Log(database, lock_seconds=0.2)
        try:
            log.migrate()
        except Exception as error:
            errors.append(error)
        finally:
            log.close()

    threads = [threading.Thread(target=migrate) for _ in range(2)]
    threads[0].start()
    assert meeting.first.wait(30)
    threads[1].start()
    assert second_has_tried()
    meeting.go_on.set()
    for thread in threads:
        thread.join(60)
    return errors


@pytest.fixture
def meeting(next_release: str, monkeypatch: pytest.MonkeyPatch) -> Meeting:
    """In the next release's revision."""
    meeting = Meeting()
    revised("from live.migrations import MEETING\n" + ADDED.replace("    op.add", "    MEETING.enter()\n    op.add"))
    monkeypatch.setattr(migrations, "MEETING", meeting, raising=False)
    return meeting


@pytest.fixture
def tries(monkeypatch: pytest.MonkeyPatch) -> threading.Semaphore:
    """Released each time that a migration was refused a lock."""
    tries, is_locked = threading.Semaphore(0), migrations.is_locked

    def noted(error: Any) -> bool:
        tries.release()
        return is_locked(error)

    monkeypatch.setattr(migrations, "is_locked", noted)
    return tries


def test_two_who_migrate_at_once_take_turns(log: Log, database: str, meeting: Meeting, tries: threading.Semaphore) -> None:
    leave_behind(log, named=True)
    assert at_once(database, meeting, lambda: tries.acquire(timeout=30)) == []
    assert meeting.inside == 1


def test_the_control_without_turns_both_change_the_tables(
    meeting: Meeting, new_database: Callable[[str], str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(migrations, "take_turns", lambda connection: None)
    monkeypatch.setattr(migrations, "PATIENCE", 0)
    database = new_database("postgresql")
    first = Log(database)
    leave_behind(first, named=True)
    with first.engine.begin() as connection:
        migrations.upgrade(connection, this_release())
    first.close()

    errors = at_once(database, meeting, lambda: meeting.both.wait(30))

    assert meeting.inside == 2
    assert errors


def test_processes_that_migrate_at_once_all_succeed_and_one_makes_the_tables(database: str, tmp_path: Path) -> None:
    """As several servers do that are started on an empty database."""
    code = "import sys; from live import cli; print('ready', flush=True); sys.stdin.readline(); sys.exit(cli.main(['migrate']))"
    environment = {"DATABASE_URL": database, "PYTHONPATH": str(ROOT)}
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    processes = [subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, env=environment, **pipes) for _ in range(4)]
    for process in processes:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        assert process.stdin is not None
        process.stdin.write("go\n")
        process.stdin.flush()
    said = sorted(process.communicate(timeout=120)[0] for process in processes)

    assert [process.returncode for process in processes] == [0] * 4
    head = migrations.head()
    assert said == [f"the schema is {head}: nothing to do\n"] * 3 + [f"the schema was not there and is {head}\n"]


def test_commits_do_not_queue_up_behind_a_migration_that_waits(
    new_database: Callable[[str], str], next_release: str, tries: threading.Semaphore
) -> None:
    """PostgreSQL: a change of a table waits for whoever reads it, a backup for instance, and all others wait for the change."""
    database = new_database("postgresql")
    log, migrating = Log(database, lock_seconds=20), Log(database, lock_seconds=0.2)
    leave_behind(log, named=True)
    migration = threading.Thread(target=migrating.migrate)
    with log.engine.connect() as reader:
        reader.execute(sa.select(METADATA.tables["people"]))
        migration.start()
        assert tries.acquire(timeout=30)

        log.begin(3, 2, [])
        log.commit(3, [(3, 3, "anna", "c-3", b"[]", b"{}")], {"bilal": "Bilal"})

        assert tries.acquire(timeout=30)
    migration.join(30)
    assert revision(log) == next_release
    log.close()
    migrating.close()


async def test_a_running_server_of_the_last_release_goes_on_while_and_after_its_database_is_migrated(
    database: str, serve: Callable[..., Server], release: Callable[[], str]
) -> None:
    server = serve(database_url=database)
    async with Evening(server, await server.event(premoderation=False)) as evening:
        people = [await evening.person() for _ in range(4)]
        shown = await evening.person(None, "public")
        last = migrations.head()
        migrated = release()
        log = Log(database)
        async with asyncio.TaskGroup() as tasks:
            done = asyncio.Event()
            writing = [tasks.create_task(write_until(person, done)) for person in people]
            assert await asyncio.to_thread(log.migrate) == (last, migrated)
            done.set()
        written = sum(writer.result() for writer in writing)
        assert written >= len(people)
        await shown.sees(lambda documents: f"contribution/{written}" in documents["public"])
        with log.engine.connect() as connection:
            assert len(connection.exec_driver_sql("SELECT pronoun FROM people WHERE name = 'Anna'").all()) == len(people)
        log.close()


async def write_until(person: Person, done: asyncio.Event) -> int:
    """Contributions one after the other, at least one after the event; none may be refused."""
    written, last = 0, False
    while not last:
        last = done.is_set()
        await person.do("person.join", name="Anna")
        await person.do("contribution.submit", kind="idea", text=f"Bänke {written}")
        written += 1
    return written


@pytest.mark.parametrize("words", ["serve", "serve --workers 2", "worker", "event list", "link abend moderator", "migrate"])
def test_every_command_refuses_a_newer_database_in_one_line(
    words: str, log: Log, database: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    log.create_tables()
    with log.engine.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
    monkeypatch.setenv("DATABASE_URL", database)

    assert cli.main(words.split()) == 1

    said = capsys.readouterr()
    assert said.out == ""
    assert said.err.startswith("plenum: the database is newer than this program")
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("words", ["serve", "serve --workers 2", "event list"])
def test_every_command_refuses_an_older_database_and_says_what_to_do(
    words: str,
    log: Log,
    database: str,
    next_release: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with log.engine.begin() as connection:  # as releases without revisions made them
        METADATA.create_all(connection, [METADATA.tables[name] for name in sorted(migrations.FIRST_TABLES)])
    monkeypatch.setenv("DATABASE_URL", database)

    assert cli.main(words.split()) == 1
    assert "run `plenum migrate`" in capsys.readouterr().err

    assert cli.main(["migrate"]) == 0
    assert capsys.readouterr().out == "the schema was 0001 and is 9001\n"
    assert cli.main(["event", "list"]) == 0
